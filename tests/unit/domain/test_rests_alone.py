"""Orders of a leader that filled in part out of sight, and of which nothing but the rest is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import Reconciled
from cmam.domain.folds.account import evolve
from cmam.domain.turns.leading import changes
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.resting import RESTS_ALONE
from cmam.domain.values.trades import Order, OrderType
from tests.factories import LOT, T0_US, Pair, a_view, price


@pytest.mark.parametrize(("rules", "told"), [(RULES, LOT // 4), (RESTS_ALONE - 1, LOT)])
def test_what_is_left_of_an_order_is_copied(rules: int, told: int) -> None:
    """Three quarters of his lot have filled in a gap and are closed: a quarter rests. All of it rested here."""
    view = replace(a_view(), rules=rules)
    order = Order(
        order=OrderId(7),
        symbol=SymbolId(1),
        side=Side.BUY,
        type=OrderType.LIMIT,
        volume=Volume(LOT),
        executed_volume=Volume(3 * LOT // 4),
        position=PositionId(8),
        limit_price=price("1.09"),
        updated_ms=T0_US // 1_000,
    )
    seen = Reconciled(positions=(), orders=(order,))
    (change,) = changes(view, evolve(view, seen, T0_US + 1), seen)
    assert (change.kind, change.volume) == (ChangeKind.ORDER_PLACED, told)


def test_the_rest_that_fills_is_all_of_ours() -> None:
    """A quarter of a lot rests at both: as his fills, nothing is cut off ours, and nothing is added."""
    pair = Pair()
    pair.order(volume=Volume(LOT // 4), before=Volume(3 * LOT // 4), after=Volume(3 * LOT // 4))
    pair.answer()
    (number,) = pair.resting
    pair.hears(pair.order_triggers(number))
    pair.order_fills(LOT // 4, volume=Volume(LOT // 4), origin_volume=Volume(LOT))
    pair.passes(61_000_000)
    assert ([command.kind.value for command in pair.commands], pair.copy.volume) == (["place"], LOT // 4)
