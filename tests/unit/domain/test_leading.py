"""What followers are told of a leader: every move of his, by the same name whether it was heard or found later."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.holdings import SETTLED_US
from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    AlertHealed,
    Event,
    ExecutionSeen,
    Health,
    HealthChanged,
    Reconciled,
    TrailingStopMoved,
)
from cmam.domain.folds.account import evolve
from cmam.domain.turns.leading import changes
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.ids import DealId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.resting import AMENDED_AS_HEARD, ORDERS_WITH_POSITIONS
from cmam.domain.values.rules.sight import (
    CORRECTIONS_OPEN_NOTHING,
    GAPS_TO_COME,
    NO_OLDER_THAN_GAPS,
    OLD_AS_BEGUN,
    ORIGINS_OF_FILLS,
    SWAPS_TRADE_NOTHING,
    UNTIMED_SHOW_AHEAD,
)
from cmam.domain.values.trades import Deal, ExecutionKind, Order, OrderStatus, OrderType, Position
from tests.factories import LEADER, LOT, T0_US, Pair, a_view, price

HELD = Position(
    position=PositionId(500), symbol=SymbolId(1), side=Side.BUY, volume=Volume(LOT), price=price("1.1"),
    stop=price("1.09"), opened_ms=1, updated_ms=1,
)  # fmt: skip


def _holding(*positions: Position) -> AccountView:
    return evolve(a_view(account=LEADER), Reconciled(positions=positions, orders=()), T0_US)


def _told(view: AccountView, fact: Event) -> list[Change]:
    return list(changes(view, evolve(view, fact, T0_US + 1), fact))


def test_a_stop_that_moved_is_told_with_the_position_as_it_is_now() -> None:
    """An event of the protective order carries the position: its new stop, its target, and the same volume."""
    moved = replace(HELD, stop=price("1.095"), target=price("1.2"), updated_ms=2)
    order = Order(order=OrderId(9), symbol=SymbolId(1), side=Side.SELL, type=OrderType.PROTECTION, volume=Volume(LOT),
                  closing=True, position=HELD.position, updated_ms=2)  # fmt: skip
    (told,) = _told(_holding(HELD), ExecutionSeen(kind=ExecutionKind.ORDER_REPLACED, order=order, position=moved))
    assert (told.kind, told.stop, told.target, told.after) == (
        ChangeKind.PROTECTED, price("1.095"), price("1.2"), LOT,
    )  # fmt: skip
    assert not told.trailed


def test_a_stop_that_the_broker_trailed_is_told_as_that() -> None:
    """A trailing leader's stop moves without an order of anybody's."""
    fact = TrailingStopMoved(position=HELD.position, order=OrderId(9), stop=price("1.096"))
    (told,) = _told(_holding(replace(HELD, stop=price("1.095"), trailing=True)), fact)
    assert (told.kind, told.stop, told.trailed) == (ChangeKind.PROTECTED, price("1.096"), True)


@pytest.mark.parametrize("stop", [None, price("1.09")])
def test_a_stop_that_does_not_trail_has_not_trailed(stop: Price | None) -> None:
    """What is told late of a net that has turned under its number is no stop of what it is now: it lies beyond the
    market for that, and copies were closed for it. Nor has a stop moved that its leader has set to stand since."""
    fact = TrailingStopMoved(position=HELD.position, order=OrderId(9), stop=price("1.106"))
    for rules, count in ((RULES, 0), (9, 1)):
        assert len(_told(replace(_holding(replace(HELD, stop=stop)), rules=rules), fact)) == count


def test_a_trailing_stop_moves_nothing_by_a_word_of_before_its_position_was_changed() -> None:
    """He has set it farther since, which is told first: it was told of as trailed on, and copies were tightened."""
    fact = TrailingStopMoved(position=HELD.position, order=OrderId(9), stop=price("1.096"), updated_ms=1_000)
    view = _holding(replace(HELD, stop=price("1.094"), trailing=True, updated_ms=1_001))
    assert _told(view, fact) == []
    for told in (replace(fact, updated_ms=1_001), replace(fact, updated_ms=0)):
        assert [change.stop for change in _told(view, told)] == [price("1.096")]
    assert [change.stop for change in _told(replace(view, rules=8), fact)] == [price("1.096")]


def test_a_stop_does_not_trail_back_and_what_has_loosened_it_is_told_by_the_next_look() -> None:
    """He has set it farther in a moment of which the broker's times say nothing, and it has trailed on from there. That
    was told as trailed, the look behind it had nothing new, and copies kept the nearer stop for good."""
    fact = TrailingStopMoved(position=HELD.position, order=OrderId(9), stop=price("1.091"), updated_ms=5)
    view = _holding(replace(HELD, stop=price("1.095"), trailing=True))
    shown = Reconciled(positions=(replace(HELD, stop=price("1.091"), trailing=True),), orders=(), quiet=True)
    for rules, told, looked in ((RULES, [], [False]), (14, [True], [])):
        before = replace(view, rules=rules)
        after = evolve(before, fact, T0_US + 1)
        assert [change.trailed for change in changes(before, after, fact)] == told
        found = changes(after, evolve(after, shown, T0_US + 60_000_000), shown)
        assert [change.trailed for change in found] == looked


def test_what_happened_in_a_gap_is_told_by_the_reconcile() -> None:
    """A stop that moved, a part that was closed, a close and an open: each once, each marked as late."""
    other = replace(HELD, position=PositionId(501))
    view = _holding(HELD, other)
    now = replace(HELD, stop=price("1.095"), volume=Volume(LOT // 2), updated_ms=2)
    fresh = replace(HELD, position=PositionId(502), opened_ms=2, updated_ms=2)
    told = _told(view, Reconciled(positions=(now, fresh), orders=()))
    assert {(change.position, change.kind) for change in told} == {
        (500, ChangeKind.REDUCED), (500, ChangeKind.PROTECTED), (501, ChangeKind.CLOSED), (502, ChangeKind.OPENED),
    }  # fmt: skip
    assert len(told) == 4
    assert all(change.late for change in told)


def test_a_position_whose_deal_nobody_told_came_of_the_order_with_its_number() -> None:
    """His limit filled out of sight, and no history was read: the open is of that order, and so of its copy."""
    limit = Order(
        order=OrderId(77), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(LOT),
        position=PositionId(500), limit_price=price("1.1"), updated_ms=1,
    )  # fmt: skip
    view = evolve(_holding(), Reconciled(positions=(), orders=(limit,)), T0_US)
    (told,) = _told(view, Reconciled(positions=(HELD,), orders=()))
    assert (told.kind, told.origin, told.origin_type) == (ChangeKind.OPENED, 77, OrderType.LIMIT)
    by_old_rules = replace(view, rules=1)
    (told,) = _told(by_old_rules, Reconciled(positions=(HELD,), orders=()))
    assert (told.origin, told.origin_type) == (None, OrderType.MARKET)


@pytest.mark.parametrize(("stamp_ms", "is_old"), [(1_000, True), (2_000, False)])
def test_an_amendment_that_its_broker_does_not_stamp_is_as_old_as_its_hearing(stamp_ms: int, *, is_old: bool) -> None:
    """The order tells the time that it had before: an hour later a larger volume counted as an hour old, and was not
    followed. A time that has moved stands, and what a look finds is no newer than that."""
    rests = Order(
        order=OrderId(77), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(LOT),
        limit_price=price("1.1"), opened_ms=1_000, updated_ms=1_000,
    )  # fmt: skip
    view = evolve(_holding(), Reconciled(positions=(), orders=(rests,)), T0_US)
    larger = replace(rests, volume=Volume(2 * LOT), updated_ms=stamp_ms)
    heard = ExecutionSeen(kind=ExecutionKind.ORDER_REPLACED, order=larger)
    (told,) = _told(view, heard)
    assert (told.kind, told.at_ms) == (ChangeKind.ORDER_AMENDED, T0_US // 1_000 if is_old else stamp_ms)
    (told,) = _told(replace(view, rules=AMENDED_AS_HEARD - 1), heard)
    assert told.at_ms == stamp_ms
    (found,) = _told(view, Reconciled(positions=(), orders=(larger,)))
    assert found.at_ms == stamp_ms


def test_what_is_first_told_with_a_protective_order_did_not_come_of_it() -> None:
    """The broker moves the stop's volume along with a growth whose own event was lost, or comes behind it."""
    order = Order(
        order=OrderId(9), symbol=SymbolId(1), side=Side.SELL, type=OrderType.PROTECTION, volume=Volume(2 * LOT),
        closing=True, position=HELD.position, stop=price("1.09"), updated_ms=2,
    )  # fmt: skip
    grown = replace(HELD, volume=Volume(2 * LOT), updated_ms=2)
    fact = ExecutionSeen(kind=ExecutionKind.ORDER_REPLACED, order=order, position=grown)
    (told,) = _told(_holding(HELD), fact)
    assert (told.kind, told.origin_type) == (ChangeKind.GREW, OrderType.MARKET)
    (told,) = _told(replace(_holding(HELD), rules=5), fact)
    assert told.origin_type is OrderType.PROTECTION
    turned = replace(HELD, side=Side.SELL, volume=Volume(LOT // 2), stop=None, updated_ms=2)
    (told,) = _told(_holding(HELD), replace(fact, position=turned))
    assert (told.kind, told.origin_type) == (ChangeKind.REVERSED, OrderType.MARKET)
    smaller = replace(HELD, volume=Volume(LOT // 2), updated_ms=2)
    (told,) = _told(_holding(HELD), replace(fact, kind=ExecutionKind.ORDER_FILLED, position=smaller))
    assert (told.kind, told.origin_type) == (ChangeKind.REDUCED, OrderType.PROTECTION)


def test_an_event_that_changes_nothing_tells_nothing() -> None:
    """The same event again, or an older one behind it, is no news."""
    fact = ExecutionSeen(kind=ExecutionKind.ORDER_REPLACED, position=HELD)
    assert _told(_holding(HELD), fact) == []
    assert _told(_holding(replace(HELD, updated_ms=5, stop=price("1.08"))), fact) == []


def test_what_opened_in_a_gap_without_a_deal_is_as_old_as_its_opening() -> None:
    """No history came: a move of its stop a moment ago makes no old position young, and no time of it none at all."""
    view = _holding()
    moved = replace(HELD, opened_ms=1_000, updated_ms=900_000)
    bare = replace(HELD, opened_ms=1_000, updated_ms=0)
    for shown in (moved, bare):
        (told,) = _told(view, Reconciled(positions=(shown,), orders=()))
        assert (told.kind, told.at_ms) == (ChangeKind.OPENED, 1_000)
    by_old_rules = replace(view, rules=7)
    assert [change.at_ms for change in _told(by_old_rules, Reconciled(positions=(moved,), orders=()))] == [900_000]
    (grown,) = _told(_holding(HELD), Reconciled(positions=(replace(moved, volume=Volume(2 * LOT)),), orders=()))
    assert (grown.kind, grown.at_ms) == (ChangeKind.GREW, 900_000)


def _dealt(number: int, order: int, side: Side, volume: int, at_ms: int, paid: str) -> Deal:
    return Deal(
        deal=DealId(number), order=OrderId(order), position=PositionId(500), symbol=SymbolId(1), side=side,
        volume=Volume(volume), filled_volume=Volume(volume), price=price(paid), executed_ms=at_ms,
    )  # fmt: skip


@pytest.mark.parametrize("since", [Side.BUY, Side.SELL])
@pytest.mark.parametrize("was", [None, Side.SELL])
@pytest.mark.parametrize("rules", [RULES, OLD_AS_BEGUN - 1])
def test_what_began_in_a_gap_is_as_old_as_that_whatever_came_of_it_since(
    rules: int, was: Side | None, since: Side
) -> None:
    """He opened, or turned, long ago, and has added or closed a part a moment ago: that makes no old trade young."""
    view = _holding() if was is None else _holding(replace(HELD, side=was, volume=Volume(LOT // 2)))
    first = _dealt(11, 21, Side.BUY, LOT if was is None else LOT + LOT // 2, 1_000, "1.1")
    last = _dealt(12, 22, since, LOT // 2, 900_000, "1.2")
    shown = replace(HELD, volume=Volume(LOT + LOT // 2 * since.sign), opened_ms=1_000, updated_ms=900_000)
    told, *_ = _told(replace(view, rules=rules), Reconciled(positions=(shown,), orders=(), deals=(last, first)))
    began = first if rules == RULES else last
    assert told.kind is (ChangeKind.OPENED if was is None else ChangeKind.REVERSED)
    assert (told.at_ms, told.price, told.origin) == (began.executed_ms, began.price, began.order)


@pytest.mark.parametrize(("rules", "origin"), [(RULES, 77), (ORIGINS_OF_FILLS - 1, None)])
@pytest.mark.parametrize("is_heard", [True, False])
def test_the_order_that_has_opened_is_known_without_the_event_of_its_deal(
    rules: int, origin: int | None, *, is_heard: bool
) -> None:
    """His limit fills, told without the deal; or while the snapshot was taken, so that the history alone knows, and the
    first word of his position is that he closes it. Its copy rested on, and another one was opened."""
    limit = Order(
        order=OrderId(77), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(LOT),
        limit_price=price("1.1"), updated_ms=1,
    )  # fmt: skip
    view = replace(evolve(_holding(), Reconciled(positions=(), orders=(limit,)), T0_US), rules=rules)
    filled = replace(limit, status=OrderStatus.FILLED, executed_volume=Volume(LOT), updated_ms=2)
    fact = ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, order=filled, position=HELD)
    if not is_heard:
        deal = _dealt(11, 77, Side.BUY, LOT, 1, "1.1")
        view = evolve(view, Reconciled(positions=(), orders=(limit,), deals=(deal,)), T0_US)
        close = replace(limit, order=OrderId(78), side=Side.SELL, type=OrderType.MARKET, closing=True, updated_ms=2)
        fact = ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=close, position=HELD)
    (told,) = _told(view, fact)
    assert (told.kind, told.origin) == (ChangeKind.OPENED, origin)


def test_what_is_told_without_any_time_is_as_old_as_its_hearing() -> None:
    """An acceptance may leave out when it was: the order was fifty years old, and skipped."""
    order = Order(order=OrderId(9), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(LOT),
                  status=OrderStatus.ACCEPTED, limit_price=price("1.05"))  # fmt: skip
    fact = ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=order)
    (told,) = _told(_holding(), fact)
    assert (told.kind, told.at_ms) == (ChangeKind.ORDER_PLACED, (T0_US + 1) // 1_000)
    (told,) = _told(replace(_holding(), rules=10), fact)
    assert told.at_ms == 0


@pytest.mark.parametrize(("rules", "is_known"), [(RULES, True), (NO_OLDER_THAN_GAPS - 1, False)])
def test_what_a_gap_has_left_without_any_time_is_no_older_than_the_gap(*, rules: int, is_known: bool) -> None:
    """His broker tells no times and his history was refused: what he had added was fifty years old, and skipped."""
    bare = replace(HELD, opened_ms=0, updated_ms=0)
    lost_us = T0_US + 4_000_000
    view = evolve(_holding(bare), HealthChanged(health=Health.RECONCILED), T0_US)
    view = evolve(view, AlertHealed(kind="session"), lost_us)
    view = evolve(view, HealthChanged(health=Health.DOWN), lost_us + 9_000_000)
    view = replace(evolve(view, HealthChanged(health=Health.AUTHORISED), lost_us + 10_000_000), rules=rules)
    order = Order(order=OrderId(9), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(LOT),
                  status=OrderStatus.ACCEPTED, limit_price=price("1.05"))  # fmt: skip
    fact = Reconciled(positions=(replace(bare, volume=Volume(2 * LOT)),), orders=(order,))
    told = changes(view, evolve(view, fact, lost_us + 11_000_000), fact)
    assert [change.kind for change in told] == [ChangeKind.GREW, ChangeKind.ORDER_PLACED]
    assert {change.at_ms for change in told} == {lost_us // 1_000 if is_known else 0}


@pytest.mark.parametrize(("rules", "is_known"), [(RULES, False), (GAPS_TO_COME - 1, True)])
def test_what_a_gap_has_left_is_of_no_known_age_where_the_clock_was_set_back(*, rules: int, is_known: bool) -> None:
    """By the clock of this life the gap is yet to begin: what he added in it was never too old to be copied."""
    bare = replace(HELD, opened_ms=0, updated_ms=0)
    view = evolve(_holding(bare), HealthChanged(health=Health.RECONCILED), T0_US)
    view = replace(evolve(view, HealthChanged(health=Health.DOWN), T0_US), rules=rules)
    now_us = T0_US - 3_600_000_000
    view = evolve(view, HealthChanged(health=Health.AUTHORISED), now_us)
    fact = Reconciled(positions=(replace(bare, volume=Volume(2 * LOT)),), orders=())
    (told,) = changes(view, evolve(view, fact, now_us + 1_000_000), fact)
    assert (told.kind, told.at_ms) == (ChangeKind.GREW, T0_US // 1_000 if is_known else 0)


def test_what_no_event_has_told_without_any_time_came_after_the_look_before() -> None:
    """No line was lost: the look before this one had not shown it."""
    bare = replace(HELD, opened_ms=0, updated_ms=0)
    view = evolve(_holding(bare), HealthChanged(health=Health.RECONCILED), T0_US)
    view = evolve(view, AlertHealed(kind="session"), T0_US + 50_000_000)
    fact = Reconciled(positions=(replace(bare, volume=Volume(2 * LOT)),), orders=())
    (told,) = changes(view, evolve(view, fact, T0_US + 60_000_000), fact)
    assert (told.kind, told.at_ms) == (ChangeKind.GREW, T0_US // 1_000)


@pytest.mark.parametrize(
    ("names", "executed", "rules", "into"),
    [
        (HELD.position, 0, RULES, True),
        (HELD.position, 0, ORDERS_WITH_POSITIONS - 1, False),
        (HELD.position, LOT, RULES, True),  # it has opened that itself, before we knew it, and fills on
        (PositionId(501), 0, RULES, False),
    ],
)
def test_an_order_that_names_a_position_fills_into_that(
    names: PositionId, executed: int, rules: int, into: bool
) -> None:
    """A hedged leader adds to what he holds by an order that rests: no copy of it rests, for its fill is growth. It was
    copied as both. One that rests has a number of its own, under which nothing is held yet."""
    order = Order(order=OrderId(9), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(2 * LOT),
                  status=OrderStatus.ACCEPTED, executed_volume=Volume(executed), limit_price=price("1.09"),
                  position=names, updated_ms=2)  # fmt: skip
    view = replace(_holding(HELD), rules=rules)
    (told,) = _told(view, ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=order))
    assert (told.kind, told.into_net) == (ChangeKind.ORDER_PLACED, into)
    opened = replace(view, origins={HELD.position: order.order})
    (own,) = _told(opened, ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=order))
    assert own.into_net is (executed > 0)


@pytest.mark.parametrize("heard", [True, False])
def test_an_order_that_comes_to_light_when_it_has_filled_in_part_is_copied_once(heard: bool) -> None:
    """A limit of one lot, placed out of sight, has filled 0.4 and rests: that much is opened, and the rest is added as
    it fills. The whole lot rested here besides, and would have been held beside the copy."""
    order = Order(order=OrderId(450), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(LOT),
                  status=OrderStatus.ACCEPTED, executed_volume=Volume(LOT * 4 // 10), limit_price=price("1.09"),
                  position=HELD.position, updated_ms=T0_US // 1_000)  # fmt: skip
    held = replace(HELD, volume=order.executed_volume, stop=None, opened_ms=T0_US // 1_000, updated_ms=T0_US // 1_000)
    deal = Deal(deal=DealId(1), order=order.order, position=held.position, symbol=SymbolId(1), side=Side.BUY,
                volume=Volume(LOT), filled_volume=held.volume, price=price("1.09"),
                executed_ms=T0_US // 1_000)  # fmt: skip
    part: Event = Reconciled(positions=(held,), orders=(order,), deals=(deal,))
    if heard:
        part = ExecutionSeen(kind=ExecutionKind.ORDER_PARTIAL_FILL, order=order, position=held, deal=deal)
    rest = ExecutionSeen(
        kind=ExecutionKind.ORDER_FILLED,
        order=replace(order, status=OrderStatus.FILLED, executed_volume=Volume(LOT), updated_ms=T0_US // 1_000 + 9),
        position=replace(held, volume=Volume(LOT), updated_ms=T0_US // 1_000 + 9),
        deal=replace(deal, deal=DealId(2), filled_volume=Volume(LOT * 6 // 10), executed_ms=T0_US // 1_000 + 9),
    )
    leader, follower = _holding(), Pair()
    for fact, whole in ((part, LOT * 4 // 10), (rest, LOT)):
        for change in _told(leader, fact):
            follower.tell(change)
            follower.answer()
        leader = evolve(leader, fact, T0_US + 1)
        assert ([copy.volume for copy in follower.held.values()], follower.resting) == ([whole], {})


@pytest.mark.parametrize("kind", [ExecutionKind.SWAP, ExecutionKind.OTHER, ExecutionKind.ORDER_ACCEPTED])
def test_an_open_that_a_bare_event_shows_first_is_told_by_the_next_look(kind: ExecutionKind) -> None:
    """A swap may be told under a word of no schema too: what it showed was held and told to nobody, ever."""
    shown = ExecutionSeen(kind=kind, position=HELD)
    look = Reconciled(positions=(HELD,), orders=())
    view = _holding()
    assert _told(view, shown) == []
    (told,) = _told(evolve(view, shown, T0_US + 1), look)
    assert (told.kind, told.position, told.late) == (ChangeKind.OPENED, HELD.position, True)
    if kind is not ExecutionKind.SWAP:
        before = replace(view, rules=CORRECTIONS_OPEN_NOTHING - 1)
        assert _told(evolve(before, shown, T0_US + 1), look) == []


@pytest.mark.parametrize(("after", "kind"), [(2 * LOT, ChangeKind.GREW), (LOT // 2, ChangeKind.REDUCED)])
def test_a_trade_that_a_swap_shows_first_is_told_by_its_deal_or_the_next_look(after: int, kind: ChangeKind) -> None:
    """The first look knew its deal and showed the position as before: followers never heard of it."""
    side = Side.BUY if after > LOT else Side.SELL
    deal = Deal(deal=DealId(8), order=OrderId(9), position=HELD.position, symbol=SymbolId(1), side=side,
                volume=Volume(abs(after - LOT)), filled_volume=Volume(abs(after - LOT)), executed_ms=2)  # fmt: skip
    traded = replace(HELD, volume=Volume(after), updated_ms=2)
    charged = ExecutionSeen(kind=ExecutionKind.SWAP, position=replace(traded, swap=-12, updated_ms=3))
    look = Reconciled(positions=(replace(traded, updated_ms=3),), orders=(), deals=(deal,))
    fill = ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, position=traded, deal=deal)
    for is_known in (True, False):
        view = _holding(HELD)
        if is_known:
            view = evolve(view, Reconciled(positions=(HELD,), orders=(), deals=(deal,)), T0_US)
        assert _told(view, charged) == []
        for told_by in (look, fill):
            (told,) = _told(evolve(view, charged, T0_US + 1), told_by)
            assert (told.kind, told.after) == (kind, after)
            before = evolve(replace(view, rules=SWAPS_TRADE_NOTHING - 1), charged, T0_US + 1)
            assert _told(before, told_by) == []


@pytest.mark.parametrize(("volume", "after"), [(0, LOT), (LOT, 2 * LOT), (LOT, LOT // 2)])
def test_a_deal_without_its_position_is_told_once_behind_a_look_without_times(volume: int, after: int) -> None:
    """The look has told it: an open was added to, and an add was added twice, until the next look."""
    side, moved = (Side.BUY if after > volume else Side.SELL), Volume(abs(after - volume))
    deal = Deal(deal=DealId(8), order=OrderId(9), position=HELD.position, symbol=SymbolId(1), side=side,
                volume=moved, filled_volume=moved, executed_ms=2)  # fmt: skip
    held = (replace(HELD, volume=Volume(volume), updated_ms=0),) if volume else ()
    look = Reconciled(positions=(replace(HELD, volume=Volume(after), updated_ms=0),), orders=())
    fill = ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, deal=deal)
    view = _holding(*held)
    assert [told.after for told in _told(view, look)] == [after]
    shown = evolve(view, look, T0_US + 1)
    assert _told(shown, fill) == []
    assert _told(evolve(replace(view, rules=UNTIMED_SHOW_AHEAD - 1), look, T0_US + 1), fill)
    further = replace(fill, deal=replace(deal, deal=DealId(9), side=Side.BUY))
    assert [told.after for told in _told(evolve(shown, fill, T0_US + 2), further)] == [after + moved]
    for known in (replace(look, deals=(deal,)), replace(look, positions=held)):
        told = _told(evolve(view, known, T0_US + 1), further)
        assert [change.volume for change in told] == [moved]
    assert changes(shown, evolve(shown, fill, T0_US + 1 + SETTLED_US), fill)


def test_an_open_that_a_bare_fill_shows_first_is_told_at_once() -> None:
    """What tells neither deal nor order, and is of a fill, is of a trade."""
    (told,) = _told(_holding(), ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, position=HELD))
    assert (told.kind, told.late) == (ChangeKind.OPENED, False)
