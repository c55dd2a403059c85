"""What a broker tells without any time, once or again: what of it is news."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.holdings import SETTLED_US
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen, Reconciled
from cmam.domain.folds.account import evolve
from cmam.domain.values.ids import AccountId, DealId, OrderId, SymbolId
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.sight import (
    BARE_WORDS_TRADE_NOTHING,
    SWAPS_LOOSEN_NOTHING,
    SWAPS_MOVE_NOTHING,
    SWAPS_TRADE_NOTHING,
    UNTIMED_AGAIN,
    UNTIMED_HOLDS,
)
from cmam.domain.values.trades import (
    ExecutionKind,
    Order,
    OrderStatus,
    OrderType,
    PositionStatus,
)
from tests.unit.domain.fills import POSITION, filled


def _accepted(
    *, executed: int = 0, closing: bool = False, status: PositionStatus = PositionStatus.CREATED
) -> ExecutionSeen:
    order = Order(
        order=OrderId(1), symbol=SymbolId(1), side=Side.BUY, type=OrderType.MARKET, volume=Volume(100_000),
        executed_volume=Volume(executed), closing=closing, position=POSITION.position, updated_ms=4_000,
    )  # fmt: skip
    before = replace(POSITION, volume=Volume(0), status=status, opened_ms=0, updated_ms=0)
    return ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=order, position=before)


@pytest.mark.parametrize(("rules", "shown"), [(RULES, 60_000), (UNTIMED_AGAIN - 1, 100_000)])
def test_what_is_told_again_without_times_gives_back_nothing_that_was_closed(rules: int, shown: int) -> None:
    """Its deal is known, and an acceptance executes nothing: the position stood again as before its part was closed."""
    whole = replace(POSITION, updated_ms=0)
    part = replace(whole, volume=Volume(60_000))
    closing = replace(_accepted(closing=True), position=whole)
    for again in (filled(whole, 1), closing):
        view = evolve(AccountView(account=AccountId(1), rules=rules), filled(whole, 1), 1)
        view = evolve(view, filled(part, 2), 2)
        assert evolve(view, again, 3).positions[POSITION.position].volume == shown


def test_what_is_told_again_without_times_opens_nothing_that_was_closed() -> None:
    """Its followers bought it back, and closed it with the next look."""
    whole = replace(POSITION, updated_ms=0)
    empty = replace(whole, volume=Volume(0), status=PositionStatus.CLOSED)
    for rules, is_open in ((RULES, False), (UNTIMED_AGAIN - 1, True)):
        view = evolve(AccountView(account=AccountId(1), rules=rules), filled(whole, 1), 1)
        view = evolve(view, filled(empty, 2), 2)
        assert bool(evolve(view, filled(whole, 1), 3).positions) is is_open


def _protects(volume: int, *, stop: int, kind: ExecutionKind = ExecutionKind.ORDER_ACCEPTED) -> ExecutionSeen:
    """What a broker without times tells of the order that protects a position."""
    held = replace(POSITION, volume=Volume(volume), updated_ms=0, stop=Price(stop))
    order = Order(
        order=OrderId(2),
        symbol=POSITION.symbol,
        side=Side.SELL,
        volume=Volume(volume),
        type=OrderType.PROTECTION,
        status=OrderStatus.ACCEPTED,
        position=POSITION.position,
        closing=True,
    )
    return ExecutionSeen(kind=kind, order=order, position=held, is_server_event=True)


@pytest.mark.parametrize(("rules", "shown"), [(RULES, 60_000), (UNTIMED_HOLDS - 1, 100_000)])
def test_a_protective_order_without_times_moves_levels_and_no_volume(rules: int, shown: int) -> None:
    """Its acceptance was told again behind a part of a close: the leader had that back, and his followers bought it."""
    whole = replace(POSITION, updated_ms=0)
    view = evolve(AccountView(account=AccountId(1), rules=rules), filled(whole, 1), 1)
    view = evolve(view, filled(replace(whole, volume=Volume(60_000)), 2), 2)
    held = evolve(view, _protects(100_000, stop=109_000_000), 3).positions[POSITION.position]
    assert (held.volume, held.stop) == (shown, 109_000_000)
    empty = replace(whole, volume=Volume(0), status=PositionStatus.CLOSED)
    view = evolve(evolve(view, filled(empty, 4), 4), _protects(100_000, stop=109_000_000), 5)
    assert bool(view.positions) is (rules != RULES)


def test_a_protective_order_of_the_millisecond_that_is_known_moves_no_volume() -> None:
    """Parts of a close were told the last first, each with the stop that follows it: the last word was of before."""
    for rules, shown in ((RULES, 60_000), (UNTIMED_HOLDS - 1, 100_000)):
        view = evolve(AccountView(account=AccountId(1), rules=rules), filled(POSITION, 1), 1)
        part = replace(POSITION, volume=Volume(60_000), updated_ms=6_000)
        view = evolve(view, filled(part, 2), 2)
        told = _protects(100_000, stop=109_000_000)
        told = replace(told, position=replace(POSITION, updated_ms=6_000, stop=Price(109_000_000)))
        held = evolve(view, told, 3).positions[POSITION.position]
        assert (held.volume, held.stop) == (shown, 109_000_000)
        later = replace(told, position=replace(POSITION, volume=Volume(50_000), updated_ms=6_001))
        assert evolve(view, later, 3).positions[POSITION.position].volume == 50_000


def test_a_protective_order_without_times_that_has_filled_moves_volume() -> None:
    """Its stop took the position, or a part of it, and the deal is left out: that is no word of levels."""
    for left, status in ((60_000, PositionStatus.OPEN), (0, PositionStatus.CLOSED)):
        view = evolve(AccountView(account=AccountId(1), rules=RULES), filled(replace(POSITION, updated_ms=0), 1), 1)
        told = _protects(left, stop=109_000_000, kind=ExecutionKind.ORDER_FILLED)
        assert told.order is not None
        assert told.position is not None
        done = replace(told.order, executed_volume=Volume(100_000 - left), status=OrderStatus.FILLED)
        view = evolve(view, replace(told, order=done, position=replace(told.position, status=status)), 2)
        assert [held.volume for held in view.positions.values()] == ([left] if left else [])


def test_a_protective_order_beside_a_position_of_before_takes_nothing() -> None:
    """Accepted in the moment of the fill, it showed the position as created, with nothing in it."""
    for told_ms in (0, 5_000):
        view = evolve(AccountView(account=AccountId(1), rules=RULES), filled(POSITION, 1), 1)
        told = _protects(0, stop=109_000_000)
        before = replace(POSITION, volume=Volume(0), status=PositionStatus.CREATED, updated_ms=told_ms)
        view = evolve(view, replace(told, position=before), 2)
        assert [held.volume for held in view.positions.values()] == [100_000]


def test_a_protective_order_without_times_shows_what_nothing_has_told() -> None:
    """A position that is not known at all is news, whoever tells it."""
    view = evolve(AccountView(account=AccountId(1), rules=RULES), _protects(100_000, stop=109_000_000), 1)
    assert view.positions[POSITION.position].volume == 100_000


def test_a_deal_without_times_that_its_own_event_has_told_leads_on_no_more() -> None:
    """Within ten seconds of a look it was told again: by chance it led on from there, and a copy counted as grown."""
    whole = replace(POSITION, updated_ms=0, volume=Volume(200_000))
    part = replace(whole, volume=Volume(100_000))
    for rules, held in ((RULES, 200_000), (UNTIMED_HOLDS - 1, 100_000)):
        view = AccountView(account=AccountId(1), rules=rules)
        view = evolve(view, Reconciled(positions=(), orders=()), 1)
        closing = filled(part, 2)
        assert closing.deal is not None
        closing = replace(closing, deal=replace(closing.deal, side=Side.SELL))
        for at_us, told in enumerate((filled(whole, 1), closing, filled(whole, 3), closing), 2):
            view = evolve(view, told, at_us)
        assert view.positions[POSITION.position].volume == held


def test_a_fill_without_times_that_a_history_has_told_ahead_counts() -> None:
    """It leads on from what the look has just shown; a good while later it is told again."""
    shown = replace(POSITION, volume=Volume(60_000), updated_ms=0)
    told = filled(replace(POSITION, updated_ms=0), 1)
    assert told.deal is not None
    fill = replace(told, deal=replace(told.deal, volume=Volume(40_000), filled_volume=Volume(40_000)))
    assert fill.deal is not None
    for at_us, volume in ((2, 100_000), (2 + SETTLED_US, 60_000)):
        look = Reconciled(positions=(shown,), orders=(), deals=(fill.deal,))
        view = evolve(AccountView(account=AccountId(1), rules=RULES), look, 1)
        assert evolve(view, fill, at_us).positions[POSITION.position].volume == volume


def test_a_fill_that_a_history_has_told_ahead_leads_on_once() -> None:
    """Its own event has told it by then: told again behind a close of as much, it leads on by chance."""
    shown = replace(POSITION, volume=Volume(60_000), updated_ms=0)
    told = filled(replace(POSITION, updated_ms=0), 1)
    assert told.deal is not None
    fill = replace(told, deal=replace(told.deal, volume=Volume(40_000), filled_volume=Volume(40_000)))
    assert fill.deal is not None
    closing = replace(fill, position=shown, deal=replace(fill.deal, deal=DealId(2), side=Side.SELL))
    view = AccountView(account=AccountId(1), rules=RULES)
    view = evolve(view, Reconciled(positions=(shown,), orders=(), deals=(fill.deal,)), 1)
    for at_us, event in enumerate((fill, closing, fill), 2):
        view = evolve(view, event, at_us)
    assert view.positions[POSITION.position].volume == 60_000


@pytest.mark.parametrize(("at_ms", "told_ms"), [(0, 0), (5_000, 0), (5_000, 5_000)])
def test_a_swap_without_a_time_of_its_own_moves_no_volume(at_ms: int, told_ms: int) -> None:
    """Told a second late it showed what was before an add, which was asked for once more."""
    before = replace(POSITION, updated_ms=at_ms)
    grown = replace(before, volume=Volume(160_000))
    charged = ExecutionSeen(kind=ExecutionKind.SWAP, position=replace(before, swap=-12, updated_ms=told_ms))
    for rules, held in ((RULES, 160_000), (SWAPS_MOVE_NOTHING - 1, 100_000)):
        view = evolve(AccountView(account=AccountId(1), rules=rules), filled(before, 1), 1)
        view = evolve(evolve(view, filled(grown, 2), 2), charged, 3)
        assert (view.positions[POSITION.position].volume, view.positions[POSITION.position].swap) == (held, -12)


def test_a_swap_takes_no_trailing_stop_back() -> None:
    """It may show where the stop stood before it trailed, with a time of its own; where nothing trails it is news."""
    trailed = replace(POSITION, trailing=True, stop=Price(109_500_000))
    before = replace(trailed, stop=Price(109_000_000), swap=-12, updated_ms=6_000)
    charged = ExecutionSeen(kind=ExecutionKind.SWAP, position=before)
    set_back = ExecutionSeen(kind=ExecutionKind.SWAP, position=replace(before, trailing=False))
    for rules, event, stop in (
        (RULES, charged, 109_500_000),
        (SWAPS_LOOSEN_NOTHING - 1, charged, 109_000_000),
        (RULES, set_back, 109_000_000),
    ):
        view = evolve(AccountView(account=AccountId(1), rules=rules), filled(trailed, 1), 1)
        told = evolve(view, event, 2).positions[POSITION.position]
        assert (told.stop, told.swap, told.updated_ms) == (stop, -12, 6_000)


def test_a_swap_with_a_later_time_is_the_newest_word() -> None:
    """It shows what stands then; what has been traded unseen is left to be told."""
    view = evolve(AccountView(account=AccountId(1), rules=RULES), filled(POSITION, 1), 1)
    later = replace(POSITION, stop=Price(109_000_000), updated_ms=6_000)
    view = evolve(view, ExecutionSeen(kind=ExecutionKind.SWAP, position=later), 2)
    assert view.positions[POSITION.position].stop == 109_000_000
    charged = ExecutionSeen(kind=ExecutionKind.SWAP, position=replace(later, volume=Volume(60_000), updated_ms=7_000))
    assert evolve(view, charged, 3).positions[POSITION.position].volume == 100_000
    before = replace(view, rules=SWAPS_TRADE_NOTHING - 1)
    assert evolve(before, charged, 3).positions[POSITION.position].volume == 60_000


@pytest.mark.parametrize("kind", [ExecutionKind.OTHER, ExecutionKind.ORDER_REPLACED])
@pytest.mark.parametrize(("at_ms", "told_ms"), [(0, 0), (5_000, 0), (5_000, 5_000)])
def test_a_bare_word_without_a_time_of_its_own_moves_no_volume(at_ms: int, told_ms: int, kind: ExecutionKind) -> None:
    """Behind a snapshot that was ahead of it, a position was as large as before, and its parts were copied twice."""
    before = replace(POSITION, updated_ms=at_ms)
    part = replace(before, volume=Volume(60_000))
    bare = ExecutionSeen(kind=kind, position=replace(before, stop=Price(109_000_000), updated_ms=told_ms))
    for rules, held, stop in ((RULES, 60_000, None), (BARE_WORDS_TRADE_NOTHING - 1, 100_000, 109_000_000)):
        view = evolve(AccountView(account=AccountId(1), rules=rules), filled(before, 1), 1)
        view = evolve(evolve(view, filled(part, 2), 2), bare, 3)
        told = view.positions[POSITION.position]
        assert (told.volume, told.stop) == (held, stop)


def test_a_bare_word_with_a_later_time_is_news() -> None:
    """A split may be told so; and a fill that tells neither its deal nor its order is one."""
    part = replace(POSITION, volume=Volume(60_000))
    for kind, at_ms in ((ExecutionKind.OTHER, 6_000), (ExecutionKind.ORDER_FILLED, 5_000)):
        view = evolve(AccountView(account=AccountId(1), rules=RULES), filled(POSITION, 1), 1)
        view = evolve(view, ExecutionSeen(kind=kind, position=replace(part, updated_ms=at_ms)), 2)
        assert view.positions[POSITION.position].volume == 60_000
