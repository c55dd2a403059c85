"""Parts of an order that are told in any order, and deals beside a position of before."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen
from cmam.domain.folds.account import evolve
from cmam.domain.values.ids import AccountId, DealId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.sight import DEALS_OPEN, PARTS_IN_ANY_ORDER
from cmam.domain.values.trades import CloseDetail, Deal, ExecutionKind, Position, PositionStatus

PART = 10_000
BOUGHT = Position(position=PositionId(9), symbol=SymbolId(1), side=Side.BUY, volume=Volume(3 * PART), updated_ms=5_000)


def _part(deal: int, held: int, *, side: Side = Side.BUY, at_ms: int = 5_000) -> ExecutionSeen:
    """The event of a part, with its position as that part left it."""
    status = PositionStatus.OPEN if held else PositionStatus.CREATED
    executed = Deal(
        deal=DealId(deal),
        order=OrderId(1),
        position=BOUGHT.position,
        symbol=BOUGHT.symbol,
        side=side,
        volume=Volume(PART),
        filled_volume=Volume(PART),
        executed_ms=at_ms,
    )
    shown = replace(BOUGHT, volume=Volume(held), updated_ms=at_ms, status=status)
    return ExecutionSeen(kind=ExecutionKind.ORDER_PARTIAL_FILL, position=shown, deal=executed)


def _held_after(events: list[ExecutionSeen], rules: int = RULES) -> int:
    """What is held of the position in the end."""
    view = AccountView(account=AccountId(1), rules=rules)
    for at_us, event in enumerate(events, 1):
        view = evolve(view, event, at_us)
    found = view.positions.get(BOUGHT.position)
    return 0 if found is None else found.volume


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_parts_of_an_open_of_one_millisecond_are_told_in_any_order(order: tuple[int, ...]) -> None:
    """The last that was told first shows all of it: what comes then is of before, and no close."""
    parts = [_part(number, number * PART) for number in (1, 2, 3)]
    assert _held_after([parts[index] for index in order]) == 3 * PART


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_parts_of_a_close_of_one_millisecond_are_told_in_any_order(order: tuple[int, ...]) -> None:
    """It stays closed, and what is left of a part stays left."""
    before = [_part(number, number * PART) for number in (1, 2, 3)]
    for left in (0, 1):
        opened = [] if not left else [_part(7, 4 * PART)]
        parts = [_part(4 + n, (2 - n + left) * PART, side=Side.SELL, at_ms=6_000) for n in range(3)]
        assert _held_after([*before, *opened, *(parts[index] for index in order)]) == left * PART


def test_parts_that_were_told_the_last_first_took_an_open_back() -> None:
    """By older rules two thirds of a leader's open were closed at once."""
    parts = [_part(number, number * PART) for number in (3, 2, 1)]
    assert _held_after(parts, PARTS_IN_ANY_ORDER - 1) == PART


def test_a_deal_opens_also_where_its_position_is_shown_as_it_was_before() -> None:
    """The copy that it opened was nobody's; what closes, or is closed already, opens nothing."""
    first = _part(1, 0)
    assert _held_after([first]) == PART
    assert _held_after([first], DEALS_OPEN - 1) == 0
    assert first.deal is not None
    detail = CloseDetail(
        entry_price=Price(1), gross=0, swap=0, commission=0, balance=0, closed_volume=Volume(PART), balance_version=1
    )
    closing = replace(first, deal=replace(first.deal, close=detail))
    assert _held_after([closing]) == 0
    assert _held_after([_part(1, 0, side=Side.SELL)]) == 0
    gone = replace(_part(2, 0, side=Side.SELL, at_ms=6_000))
    assert _held_after([_part(1, PART), gone, _part(3, 0, at_ms=7_000)]) == 0
    assert first.position is not None
    assert _held_after([replace(first, position=replace(first.position, status=PositionStatus.CLOSED))]) == 0
