"""Orders that rest, fill in part, and are told as filled all the same: the rest rests on (wire.md#fills-in-parts)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen
from cmam.domain.folds.account import evolve
from cmam.domain.turns.leading import changes
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import OrderId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.resting import RESTS_TOLD_FILLED
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus, OrderType
from tests.factories import LOT, T0_US, Pair, a_view, price

SECOND_US = 1_000_000


def _told_filled(pair: Pair, volume: int) -> None:
    """So much of ours fills, and its broker tells it as it would the whole."""
    (number,) = pair.resting
    for event in pair.order_triggers(number, volume=volume):
        if isinstance(event, ExecutionSeen) and event.deal is not None and event.order is not None:
            order = replace(event.order, status=OrderStatus.FILLED)
            event = replace(event, kind=ExecutionKind.ORDER_FILLED, order=order)
        pair.fact(event)


@pytest.mark.parametrize(("rules", "asked"), [(RULES, ["place", "cancel", "add"]), (RESTS_TOLD_FILLED - 1, ["place"])])
def test_the_rest_of_ours_is_cancelled_as_ever(rules: int, asked: list[str]) -> None:
    """Half has filled as the leader's fills whole: the rest is cancelled after its grace, and added. It counted as
    gone, and nothing was asked for."""
    pair = Pair()
    pair.view = replace(pair.view, rules=rules)
    pair.order()
    pair.answer()
    pair.order_fills()
    _told_filled(pair, LOT // 2)
    for _ in range(3):
        pair.passes(3 * SECOND_US)
        pair.answer()
    assert [command.kind.value for command in pair.commands] == asked
    assert pair.copy.volume == (LOT if rules == RULES else LOT // 2)


def test_what_fills_last_of_ours_ends_it() -> None:
    """The rest fills in its grace: nothing is cancelled, nothing is added."""
    pair = Pair()
    pair.order()
    pair.answer()
    pair.order_fills()
    _told_filled(pair, LOT // 2)
    (number,) = pair.resting
    pair.hears(pair.order_triggers(number))
    pair.passes(3 * SECOND_US)
    assert [command.kind.value for command in pair.commands] == ["place"]
    assert (pair.copy.volume, pair.copy.ended_order) == (LOT, True)


@pytest.mark.parametrize("rules", [RULES, RESTS_TOLD_FILLED - 1])
def test_the_end_of_a_leaders_rest_is_told(rules: int) -> None:
    """Half of his has filled and been told so, then he cancels: his followers' orders end with it. They rested on until
    the next look."""
    view: AccountView = replace(a_view(), rules=rules)
    order = Order(
        order=OrderId(7),
        symbol=SymbolId(1),
        side=Side.BUY,
        type=OrderType.LIMIT,
        volume=Volume(LOT),
        limit_price=price("1.09"),
        updated_ms=1,
    )
    view = evolve(view, ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=order), T0_US)
    part = replace(order, status=OrderStatus.FILLED, executed_volume=Volume(LOT // 2), updated_ms=2)
    view = evolve(view, ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, order=part), T0_US + 1)
    over = ExecutionSeen(
        kind=ExecutionKind.ORDER_CANCELLED, order=replace(part, status=OrderStatus.CANCELLED, updated_ms=3)
    )
    told = changes(view, evolve(view, over, T0_US + 2), over)
    assert [change.kind for change in told] == ([ChangeKind.ORDER_CANCELLED] if rules == RULES else [])
