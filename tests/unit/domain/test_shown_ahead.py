"""Positions that an event shows ahead of the deal that made them what they are, or behind their end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen
from cmam.domain.folds.account import evolve
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import DealId, PositionId, position_source
from cmam.domain.values.quantities import Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.sight import (
    ACCEPTED_SHOW_AHEAD,
    ENDS_OPEN_NOTHING,
    FILLED_ONCE,
    SHOWN_AHEAD,
    SHOWN_IS_THERE,
)
from cmam.domain.values.trades import AccountType, ExecutionKind, OrderStatus
from tests.factories import LOT, Pair, a_view, price

MINI = LOT // 10


def _opened() -> tuple[ExecutionSeen, ExecutionSeen]:
    """An open's fill without its position, and the event of its protective order, which comes 9 ms later."""
    pair = Pair()
    pair.opens(stop=price("1.09"))
    (intent,) = pair.waiting
    told = [event for event in pair.events_of(intent) if isinstance(event, ExecutionSeen)]
    fill = next(event for event in told if event.deal is not None)
    protected = next(event for event in told if event.deal is None and event.is_server_event)
    assert protected.position is not None
    assert fill.deal is not None
    later = replace(protected.position, updated_ms=fill.deal.executed_ms + 9)
    return replace(fill, position=None), replace(protected, position=later)


def _heard(view: AccountView, *events: ExecutionSeen) -> AccountView:
    for number, event in enumerate(events):
        view = evolve(view, event, view.at_us + 20_000_000 + number)
    return view


def _held(view: AccountView) -> list[int]:
    return [int(position.volume) for position in view.positions.values()]


@pytest.mark.parametrize(("rules", "held"), [(RULES, LOT), (SHOWN_AHEAD - 1, 2 * LOT)])
def test_a_fill_behind_its_protective_order_is_booked_once(rules: int, held: int) -> None:
    """The protective order's event shows the lot, then its deal comes without the position: it was two."""
    fill, protected = _opened()
    view = _heard(replace(a_view(), rules=rules), protected, fill)
    assert _held(view) == [held]


def test_what_is_dealt_after_what_was_shown_is_booked() -> None:
    """Another lot, 20 ms later: it is in nothing that was shown, though one deal has not been told yet."""
    fill, protected = _opened()
    assert fill.deal is not None
    later = replace(fill.deal, deal=DealId(99_999), executed_ms=fill.deal.executed_ms + 20)
    view = _heard(a_view(), protected, replace(fill, deal=later))
    assert _held(view) == [2 * LOT]
    assert _held(_heard(view, fill)) == [2 * LOT]


def test_told_in_their_order_both_are_one() -> None:
    """As ever."""
    fill, protected = _opened()
    view = _heard(a_view(), fill, protected)
    assert (_held(view), view.untold) == ([LOT], {})


@pytest.mark.parametrize(("rules", "held"), [(RULES, []), (ENDS_OPEN_NOTHING - 1, [LOT])])
def test_the_end_of_an_order_that_is_told_again_opens_nothing(rules: int, held: list[int]) -> None:
    """The rest of an order is cancelled on a net without times, which is closed then; told again, it gave it back."""
    pair = Pair(view=replace(a_view(kind=AccountType.NETTED), rules=rules))
    pair.opens()
    (intent,) = pair.waiting
    fill = next(event for event in pair.events_of(intent) if isinstance(event, ExecutionSeen) and event.deal)
    assert fill.order is not None
    assert fill.position is not None
    assert fill.deal is not None
    untimed = replace(fill, position=replace(fill.position, updated_ms=0))
    order = replace(fill.order, volume=Volume(2 * LOT), status=OrderStatus.CANCELLED)
    end = replace(untimed, kind=ExecutionKind.ORDER_CANCELLED, order=order, deal=None)
    view = _heard(pair.view, untimed, end)
    assert _held(view) == [LOT]
    (number,) = pair.held
    over = next(
        event for event in pair.close(number, Volume(LOT))[::-1] if isinstance(event, ExecutionSeen) and event.deal
    )
    assert over.position is not None
    view = _heard(view, replace(over, position=replace(over.position, updated_ms=0)))
    assert _held(view) == []
    assert _held(_heard(view, end)) == held


def _executed(pair: Pair, number: int) -> list[ExecutionSeen]:
    """The broker carries out what was asked under a number, a millisecond later; its acceptance shows what it held."""
    pair.now_us += 1_000
    intent = next(intent for intent in pair.sent if intent.seq == number)
    held = pair.held[pair.copy.position or PositionId(0)]
    events = [event for event in pair.events_of(intent) if isinstance(event, ExecutionSeen)]
    return [replace(events[0], position=held), *events[1:]]


@pytest.mark.parametrize(
    ("rules", "asked", "held"), [(RULES, [LOT, LOT], 2 * LOT), (ACCEPTED_SHOW_AHEAD - 1, [LOT], LOT)]
)
def test_a_close_that_an_add_shows_before_it_is_told_counts_once(rules: int, asked: list[int], held: int) -> None:
    """Two lots, one is added and two of the three are closed: the close of one is done, the add is, the acceptance of
    which shows one lot, and only then the close is told. Two lots are held and one more is closed; by the rules of
    before one was believed to be held, and once a look showed two, the other was a person's and stayed."""
    pair = Pair(view=replace(a_view(), rules=rules))
    pair.opens(2 * LOT)
    pair.answer()
    pair.grows(2 * LOT, 3 * LOT)
    pair.reduces(3 * LOT, LOT)
    pair.send()
    closed, added = _executed(pair, 3), _executed(pair, 2)
    for event in (*added, *closed):
        pair.fact(event)
    assert [one.volume for one in pair.commands if one.kind is CommandKind.CLOSE] == asked
    assert _held(pair.view) == [held]


@pytest.mark.parametrize(("rules", "held"), [(RULES, LOT), (ACCEPTED_SHOW_AHEAD - 1, 2 * LOT)])
def test_an_add_that_a_close_shows_before_it_is_told_counts_once(rules: int, held: int) -> None:
    """One lot of a net and another, of which the open is told only after the close of the first: the net is one lot. It
    was two until the next look, and the close of two was asked for, again and again."""
    pair = Pair(view=replace(a_view(kind=AccountType.NETTED), rules=rules))
    pair.opens(LOT)
    pair.answer()
    second = PositionId(600)
    pair.opens(LOT, source=position_source(second), position=second)
    pair.closes(LOT)
    pair.send()
    (opening, closing) = pair.waiting
    pair.now_us += 1_000
    opened = pair.events_of(opening)
    (shown,) = pair.held.values()
    pair.now_us += 1_000
    closed = [event for event in pair.events_of(closing) if isinstance(event, ExecutionSeen)]
    for event in (replace(closed[0], position=shown), *closed[1:], *opened):
        pair.fact(event)
    assert _held(pair.view) == [held]


@pytest.mark.parametrize(("rules", "held"), [(RULES, 12 * MINI), (SHOWN_IS_THERE - 1, 8 * MINI)])
def test_what_is_shown_of_an_untold_add_is_not_on_its_way_to_the_next(rules: int, held: int) -> None:
    """Of an add only the stop is told that it moved; half is closed, and the leader adds as much as he had closed."""
    pair = Pair(view=replace(a_view(), rules=rules))
    pair.opens(8 * MINI, stop=price("1.09"))
    pair.answer()
    pair.passes(60_000_000)
    pair.grows(8 * MINI, 12 * MINI)
    pair.send()
    pair.events_of(pair.lose()[0])
    (held_now,) = pair.held.values()
    pair.hears([pair.protective(ExecutionKind.ORDER_REPLACED, held_now, is_server=True)])
    pair.reduces(12 * MINI, 6 * MINI)
    pair.answer()
    pair.grows(6 * MINI, 12 * MINI)
    pair.answer()
    assert [position.volume for position in pair.held.values()] == [held]


@pytest.mark.parametrize(("rules", "held"), [(RULES, [4 * MINI]), (FILLED_ONCE - 1, [])])
def test_what_a_look_has_shown_filled_is_not_filled_again_behind_a_close(rules: int, held: list[int]) -> None:
    """A look shows an add done, the half is closed, and only then the add's fill comes, with the position of before."""
    pair = Pair(view=replace(a_view(), rules=rules))
    pair.opens(4 * MINI)
    pair.answer()
    pair.passes(60_000_000)
    pair.grows(4 * MINI, 8 * MINI)
    pair.send()
    _, *told = pair.events_of(pair.lose()[0])
    pair.passes(1_000_000)
    pair.fact(pair.reconciled())
    pair.reduces(8 * MINI, 4 * MINI)
    pair.answer()
    pair.hears(told)
    pair.answer()
    assert [position.volume for position in pair.held.values()] == held
