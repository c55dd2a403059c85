"""Positions as snapshots tell them: what a late one may not undo, and what only a new deal can tell apart."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cmam.domain.belief.copies import Intent
from cmam.domain.belief.holdings import CLOSED_US, SETTLED_US, book_deal
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen, Reconciled, RulesBegan, TrailingStopMoved
from cmam.domain.folds.account import evolve
from cmam.domain.turns.leading import changes
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, DealId, IntentId, OrderId, SourceKey, SymbolId
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.sight import SHOWN_BEFORE
from cmam.domain.values.trades import (
    AccountType,
    CloseDetail,
    Deal,
    ExecutionKind,
    Order,
    OrderStatus,
    OrderType,
    Position,
    PositionStatus,
    Trader,
)
from tests.factories import LINK
from tests.unit.domain.fills import POSITION, filled


def test_a_netted_position_emptied_and_filled_within_one_millisecond_is_held() -> None:
    """The second fill brings the same position back, though the broker's clock did not move."""
    empty = replace(POSITION, volume=Volume(0), status=PositionStatus.CLOSED)
    view = AccountView(account=AccountId(1))
    for number, position in enumerate((POSITION, empty, POSITION)):
        view = evolve(view, filled(position, number + 1), 1)
    assert view.positions[POSITION.position].volume == 100_000


def test_levels_of_a_position_that_stands_again_within_one_millisecond_are_believed() -> None:
    """The broker sets the stop that the last order carried in the same millisecond; a late word of before is not it."""
    empty = replace(POSITION, volume=Volume(0), status=PositionStatus.CLOSED)
    view = AccountView(account=AccountId(1), rules=RULES)
    for number, position in enumerate((POSITION, empty, POSITION)):
        view = evolve(view, filled(position, number + 1), 1)
    told = replace(POSITION, stop=Price(109_000_000))
    view = evolve(view, ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, position=told), 1)
    assert view.positions[POSITION.position].stop == 109_000_000
    turned = replace(POSITION, side=Side.SELL, stop=None)
    view = evolve(view, ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, position=turned), 1)
    assert view.positions[POSITION.position] == told


def test_a_second_delivery_of_a_fill_does_not_raise_a_closed_position() -> None:
    """An event that arrives twice, the second time after the close, changes nothing."""
    empty = replace(POSITION, volume=Volume(0), status=PositionStatus.CLOSED)
    view = AccountView(account=AccountId(1))
    for event in (filled(POSITION, 1), filled(empty, 2), filled(POSITION, 1)):
        view = evolve(view, event, 1)
    assert view.positions == {}


def _shown_again(*, account_type: AccountType, after_us: int = 1, rules: int = RULES) -> AccountView:
    """An account after a fill, its close, and a snapshot without times that shows what stood before that."""
    untimed = replace(POSITION, updated_ms=0, opened_ms=0)
    trader = Trader(account=AccountId(1), account_type=account_type)
    view = AccountView(account=AccountId(1), rules=rules, trader=trader)
    view = evolve(view, filled(untimed, 1), 1)
    view = evolve(view, filled(replace(untimed, volume=Volume(0), status=PositionStatus.CLOSED), 2), 2)
    assert view.positions == {}
    return evolve(view, Reconciled(positions=(untimed,), orders=(), quiet=True), 2 + after_us)


def test_a_snapshot_of_before_opens_no_hedged_position_that_was_told_closed() -> None:
    """The number of a hedged position that is closed lives no more; that of a net may, and what stands for longer than
    any answer is under way is believed."""
    assert _shown_again(account_type=AccountType.HEDGED).positions == {}
    assert _shown_again(account_type=AccountType.HEDGED, rules=11).positions
    assert _shown_again(account_type=AccountType.HEDGED, after_us=CLOSED_US).positions
    assert _shown_again(account_type=AccountType.NETTED).positions


def test_what_an_event_tells_open_after_its_close_stays_in_a_snapshot_that_shows_it() -> None:
    """What a fill has brought back is held, and not taken away since its close was told just before."""
    view = _shown_again(account_type=AccountType.HEDGED)
    view = evolve(view, filled(POSITION, 3), 4)
    view = evolve(view, Reconciled(positions=(POSITION,), orders=(), quiet=True), 5)
    assert view.positions == {POSITION.position: POSITION}


def test_a_swap_on_what_is_not_known_leaves_it_to_be_told() -> None:
    """What a leader has opened unseen is told by the next look with its deal, or never copied."""
    charged = ExecutionSeen(kind=ExecutionKind.SWAP, position=replace(POSITION, swap=-12, updated_ms=6_000))
    view = AccountView(account=AccountId(1), rules=RULES)
    assert evolve(view, charged, 1).positions == {}
    assert evolve(replace(view, rules=11), charged, 1).positions
    assert evolve(evolve(view, filled(POSITION, 1), 1), charged, 2).positions[POSITION.position].swap == -12


def _accepted(
    *, executed: int = 0, closing: bool = False, status: PositionStatus = PositionStatus.CREATED
) -> ExecutionSeen:
    order = Order(
        order=OrderId(1), symbol=SymbolId(1), side=Side.BUY, type=OrderType.MARKET, volume=Volume(100_000),
        executed_volume=Volume(executed), closing=closing, position=POSITION.position, updated_ms=4_000,
    )  # fmt: skip
    before = replace(POSITION, volume=Volume(0), status=status, opened_ms=0, updated_ms=0)
    return ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=order, position=before)


def test_an_order_that_is_told_accepted_after_its_fill_closes_nothing() -> None:
    """The position stands in it as before the fill: created, empty, and without a time (wire.md#before-the-fill)."""
    view = evolve(AccountView(account=AccountId(1), rules=RULES), filled(POSITION, 1), 1)
    assert evolve(view, _accepted(), 2).positions == view.positions
    for gone in (_accepted(executed=100_000), _accepted(closing=True), _accepted(status=PositionStatus.CLOSED)):
        assert evolve(view, gone, 2).positions == {}
    assert evolve(replace(view, rules=7), _accepted(), 2).positions == {}


def test_an_acceptance_that_tells_no_order_closes_nothing() -> None:
    """The schema calls the order optional: by its word, or by one of no schema, no position has come to its end."""
    for kind in (ExecutionKind.ORDER_ACCEPTED, ExecutionKind.OTHER):
        told = replace(_accepted(), order=None, kind=kind)
        view = evolve(AccountView(account=AccountId(1), rules=RULES), filled(POSITION, 1), 1)
        assert evolve(view, told, 2).positions == view.positions
        assert evolve(replace(view, rules=10), told, 2).positions == {}
    assert evolve(view, replace(told, kind=ExecutionKind.ORDER_FILLED), 2).positions == {}


def test_a_position_that_is_shown_smaller_without_order_or_deal_is_told_to_followers() -> None:
    """What becomes of its protective order may be told before the deal that closed it: that deal finds nothing left. A
    correction, which is of no order, leaves something and is nobody's trade."""
    gone = replace(POSITION, volume=Volume(0), status=PositionStatus.CLOSED, updated_ms=6_000)
    less = replace(POSITION, volume=Volume(50_000), updated_ms=6_000)
    for kind, position, told in (
        (ExecutionKind.ORDER_CANCELLED, gone, [ChangeKind.CLOSED]),
        (ExecutionKind.OTHER, gone, [ChangeKind.CLOSED]),
        (ExecutionKind.ORDER_REPLACED, less, [ChangeKind.REDUCED]),
        (ExecutionKind.OTHER, less, []),
    ):
        event = ExecutionSeen(kind=kind, position=position)
        for rules, kinds in ((RULES, told), (10, [])):
            view = evolve(AccountView(account=AccountId(1), rules=rules), filled(POSITION, 1), 1)
            assert [change.kind for change in changes(view, evolve(view, event, 2), event)] == kinds


def test_an_acceptance_of_the_millisecond_of_its_fill_closes_nothing() -> None:
    """A broker may tell the time of the order with the empty position: behind a snapshot it is no newer than that."""
    shown = Reconciled(positions=(POSITION,), orders=())
    accepted = _accepted()
    assert accepted.position is not None
    told = replace(accepted, position=replace(accepted.position, updated_ms=POSITION.updated_ms))
    for rules, positions in ((RULES, {POSITION.position: POSITION}), (8, {})):
        view = evolve(AccountView(account=AccountId(1), rules=rules), shown, 1)
        assert evolve(view, told, 2).positions == positions
        assert told.position is not None
        for later in (replace(told.position, updated_ms=5_001), replace(told.position, opened_ms=4_000)):
            assert evolve(view, replace(told, position=later), 2).positions == {}


def test_a_fill_that_is_told_again_takes_no_levels_away() -> None:
    """The levels that the order carried were set in the fill's own millisecond; as the fill left it, it has none."""
    view = evolve(AccountView(account=AccountId(1), rules=RULES), filled(POSITION, 1), 1)
    told = replace(POSITION, stop=Price(109_000_000))
    view = evolve(view, ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, position=told), 1)
    assert evolve(view, filled(POSITION, 1), 2).positions == {POSITION.position: told}
    assert evolve(replace(view, rules=7), filled(POSITION, 1), 2).positions == {POSITION.position: POSITION}
    later = replace(POSITION, updated_ms=POSITION.updated_ms + 1)
    assert evolve(view, filled(later, 1), 2).positions == {POSITION.position: later}


def test_a_trailing_stop_goes_back_by_no_event_of_before_the_snapshot_that_shows_it() -> None:
    """Its moves do not move the position's time: an event that was held back shows an older place of that moment."""
    trailing = replace(POSITION, trailing=True, stop=Price(109_500_000))
    before = replace(trailing, stop=Price(109_000_000))
    for rules, stop in ((RULES, 109_500_000), (7, 109_000_000)):
        view = evolve(AccountView(account=AccountId(1), rules=rules), Reconciled(positions=(trailing,), orders=()), 1)
        replaced = ExecutionSeen(kind=ExecutionKind.ORDER_REPLACED, position=before)
        assert evolve(view, replaced, 2).positions[POSITION.position].stop == stop
        amended = replace(replaced, position=replace(before, updated_ms=5_001))
        assert evolve(view, amended, 2).positions[POSITION.position].stop == 109_000_000


def test_a_trailing_stop_that_is_loosened_in_the_moment_in_which_it_was_set_is_looser() -> None:
    """What lies on the way that it has trailed since is of before; of a broker that tells no times the last word is."""
    tight = replace(POSITION, trailing=True, stop=Price(109_500_000), updated_ms=6_000)
    loose = replace(tight, stop=Price(109_000_000))
    for rules, told_ms, stop in ((RULES, 6_000, loose.stop), (RULES, 0, loose.stop), (8, 6_000, tight.stop)):
        view = AccountView(account=AccountId(1), rules=rules, reconciled_us=1)
        for seen in (tight, loose):
            told = replace(seen, updated_ms=told_ms)
            view = evolve(view, ExecutionSeen(kind=ExecutionKind.ORDER_REPLACED, position=told), 20_000_000)
        assert view.positions[POSITION.position].stop == stop
    view = evolve(view, RulesBegan(rules=RULES), 20_000_000)
    for moved in (109_600_000, 109_700_000):
        told = TrailingStopMoved(position=tight.position, order=OrderId(1), stop=Price(moved), updated_ms=7_000)
        view = evolve(view, told, 20_000_000)
    for seen, stop in ((tight, 109_700_000), (loose, 109_000_000)):
        view = evolve(view, ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, position=seen), 20_000_000)
        assert view.positions[POSITION.position].stop == stop


def test_a_closing_deal_tells_the_balance_unless_a_newer_one_is_known() -> None:
    """Sizes and guards count from it: the deal of version 3 that comes behind that of 4 sets nothing back."""
    view = evolve(
        AccountView(account=AccountId(1), rules=RULES, balance=1_000_000, balance_version=2), filled(POSITION, 1), 1
    )
    for number, version, balance, known in (
        (2, 4, 990_000, 990_000),
        (3, 3, 995_000, 990_000),
        (4, 5, 980_000, 980_000),
    ):
        fact = filled(POSITION, number)
        assert fact.deal is not None
        close = CloseDetail(
            entry_price=POSITION.price,
            gross=-10_000,
            swap=0,
            commission=0,
            balance=balance,
            closed_volume=Volume(1),
            balance_version=version,
        )
        view = evolve(view, replace(fact, deal=replace(fact.deal, close=close)), 1)
        assert view.balance == known


def test_the_acceptance_of_an_order_that_is_told_again_undoes_no_amendment_of_that_millisecond() -> None:
    """An order is accepted once, and whatever becomes of it is told by another name."""
    order = Order(
        order=OrderId(7),
        symbol=SymbolId(1),
        side=Side.BUY,
        type=OrderType.LIMIT,
        volume=Volume(100_000),
        updated_ms=5_000,
    )
    amended = replace(order, volume=Volume(300_000))
    for rules, volume in ((RULES, 300_000), (8, 100_000)):
        view = AccountView(account=AccountId(1), rules=rules)
        for kind, told in (("order_accepted", order), ("order_replaced", amended), ("order_accepted", order)):
            view = evolve(view, ExecutionSeen(kind=ExecutionKind(kind), order=told), 1)
        assert view.orders[OrderId(7)].volume == volume


def test_the_acceptance_of_an_order_that_is_told_behind_its_end_lets_nothing_rest() -> None:
    """The end of an order may be the first word of it; a later one that shows it resting is of before."""
    order = Order(
        order=OrderId(7),
        symbol=SymbolId(1),
        side=Side.BUY,
        type=OrderType.LIMIT,
        volume=Volume(100_000),
        updated_ms=5_000,
    )
    ended = replace(order, status=OrderStatus.CANCELLED, updated_ms=5_100)
    for rules, count in ((RULES, 0), (8, 1)):
        before = evolve(
            AccountView(account=AccountId(1), rules=rules),
            ExecutionSeen(kind=ExecutionKind.ORDER_CANCELLED, order=ended),
            1,
        )
        late = ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=order)
        after = evolve(before, late, 2)
        assert len(after.orders) == len(changes(before, after, late)) == count


def test_parts_of_one_millisecond_that_a_history_has_told_are_held_as_their_events_come() -> None:
    """The snapshot was older than the history; the second part counted as told again, and was not held."""
    first, second = (replace(POSITION, volume=Volume(volume), updated_ms=6_000) for volume in (200_000, 300_000))
    for rules, volume in ((RULES, 300_000), (8, 200_000)):
        view = AccountView(account=AccountId(1), rules=rules)
        deals = tuple(told.deal for told in (filled(first, 1), filled(second, 2)) if told.deal is not None)
        view = evolve(view, Reconciled(positions=(POSITION,), orders=(), deals=deals), 1)
        for event in (filled(first, 1), filled(second, 2), filled(first, 1)):
            view = evolve(view, event, 2)
        assert view.positions[POSITION.position].volume == volume


def test_a_quiet_snapshot_is_believed_although_the_brokers_clock_has_stepped_back() -> None:
    """What is asked for while nothing happens is newer than all that is known, whatever time stands on it."""
    shrunk = replace(POSITION, volume=Volume(40_000), updated_ms=POSITION.updated_ms - 4_000)
    view = evolve(AccountView(account=AccountId(1)), filled(POSITION, 1), 1)
    doubtful = evolve(view, Reconciled(positions=(shrunk,), orders=()), 2)
    assert doubtful.positions[POSITION.position].volume == 100_000
    believed = evolve(view, Reconciled(positions=(shrunk,), orders=(), quiet=True), 2)
    assert believed.positions[POSITION.position].volume == 40_000


def test_a_stop_that_moved_while_the_volume_shrank_is_told_too() -> None:
    """A gap in which the leader closed a part and moved the stop makes two changes, not one."""
    before = evolve(AccountView(account=AccountId(1)), Reconciled(positions=(POSITION,), orders=()), 1)
    found = Reconciled(
        positions=(replace(POSITION, volume=Volume(40_000), stop=Price(99_000_000), updated_ms=6_000),), orders=()
    )
    after = evolve(before, found, 2)
    told = changes(before, after, found)
    assert [change.kind for change in told] == [ChangeKind.REDUCED, ChangeKind.PROTECTED]
    assert told[1].stop == 99_000_000


def _dealt(deal: int, moved: int, held: int, at_ms: int) -> ExecutionSeen:
    """The fill of so much, bought as positive, after which the position holds so much."""
    side = Side.BUY if held >= 0 else Side.SELL
    status = PositionStatus.OPEN if held else PositionStatus.CLOSED
    shown = replace(POSITION, volume=Volume(abs(held)), side=side, status=status, updated_ms=at_ms)
    executed = Deal(
        deal=DealId(deal), order=OrderId(deal), position=POSITION.position, symbol=POSITION.symbol,
        side=Side.BUY if moved > 0 else Side.SELL, volume=Volume(abs(moved)), filled_volume=Volume(abs(moved)),
        executed_ms=at_ms,
    )  # fmt: skip
    return ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, position=shown, deal=executed)


def _holds(view: AccountView) -> int:
    position = view.positions.get(POSITION.position)
    return int(position.volume) * position.side.sign if position is not None else 0


MOVES = st.lists(st.sampled_from((-300, -200, -100, 100, 200, 300)), min_size=1, max_size=12)
LATER_US = 60_000_000


@given(moves=MOVES, at=st.integers(0, 11), back_ms=st.sampled_from((1, 7, 20_000)))
def test_deals_count_though_the_brokers_clock_steps_back(moves: list[int], at: int, back_ms: int) -> None:
    """Each fill in its order, and from one of them on an older time on everything: the volume is right after each."""
    view, held = AccountView(account=AccountId(1), rules=RULES), 0
    for number, moved in enumerate(moves):
        held += moved
        at_ms = 1_000_000 + number - (back_ms if number >= at else 0)
        view = evolve(view, _dealt(number + 1, moved, held, at_ms), LATER_US + number)
        assert _holds(view) == held
    assert not view.untold


@given(moves=MOVES, data=st.data())
def test_fills_that_arrive_out_of_order_are_counted_once(moves: list[int], data: st.DataObject) -> None:
    """Neighbours may change places, each with its true time: once both of them are there, the volume is right."""
    events, held = [], 0
    for number, moved in enumerate(moves):
        held += moved
        events.append((_dealt(number + 1, moved, held, 1_000_000 + number), held))
    view, number = AccountView(account=AccountId(1), rules=RULES), 0
    while number < len(events):
        pair = events[number : number + 2] if data.draw(st.booleans()) else events[number : number + 1]
        for event, _ in reversed(pair):
            view = evolve(view, event, LATER_US)
        assert _holds(view) == pair[-1][1]
        number += len(pair)
    assert not view.untold


def test_what_a_snapshot_holds_already_is_not_counted_from_a_deal_behind_it() -> None:
    """Told after the snapshot that shows it, a fill changes nothing; ten seconds later nothing can be on its way."""
    first = evolve(AccountView(account=AccountId(1), rules=RULES), _dealt(1, 100, 100, 1_000), 1)
    shown = replace(POSITION, volume=Volume(100), updated_ms=1_002)
    view = evolve(first, Reconciled(positions=(shown,), orders=()), LATER_US)
    late = _dealt(2, 100, 200, 1_001)  # bought and sold again meanwhile: the snapshot is of after both
    assert _holds(evolve(view, late, LATER_US + 9_000_000)) == 100
    assert _holds(evolve(view, late, LATER_US + 10_000_000)) == 200


def test_a_fill_that_a_snapshot_has_shown_already_is_neither_counted_nor_missed() -> None:
    """The look of once a minute comes back with the fill, then the event of it: nothing is untold, and nothing owed."""
    first = evolve(AccountView(account=AccountId(1), rules=RULES), _dealt(1, 100, 100, 1_000), 1)
    shown = replace(POSITION, volume=Volume(200), updated_ms=1_001)
    view = evolve(first, Reconciled(positions=(shown,), orders=(), quiet=True), LATER_US)
    after = evolve(view, _dealt(2, 100, 200, 1_001), LATER_US + 1)
    assert (_holds(after), dict(after.untold)) == (200, {})


def test_fills_of_one_millisecond_that_change_places_are_counted_once() -> None:
    """The second of two comes first, both with the same time: what it shows beyond its own deal is the other one."""
    view = evolve(AccountView(account=AccountId(1), rules=RULES), _dealt(1, 100, 100, 1_000), LATER_US)
    for event in (_dealt(3, 300, 600, 1_001), _dealt(2, 200, 300, 1_001)):
        view = evolve(view, event, LATER_US)
    assert (_holds(view), dict(view.untold)) == (600, {})


_ADD = Intent(
    intent=IntentId("ours"),
    link=LINK,
    source=SourceKey("p1"),
    seq=1,
    command=Command(kind=CommandKind.ADD, symbol=POSITION.symbol, side=Side.BUY, volume=POSITION.volume),
    volume_before=POSITION.volume,
    attempt=1,
    recorded_us=0,
)


def _bare(deal: int, executed_ms: int) -> ExecutionSeen:
    """A fill that tells its deal and no position."""
    return replace(filled(replace(POSITION, updated_ms=executed_ms), deal), position=None)


def _looked(rules: int, *, shown: Position = POSITION) -> AccountView:
    """An account whose last look has shown a position."""
    view = AccountView(account=AccountId(1), rules=rules)
    return evolve(view, Reconciled(positions=(shown,), orders=(), deals=(), quiet=True), 10_000_000)


def test_a_deal_that_a_look_has_shown_is_not_booked_again() -> None:
    """The open of a copy, told behind the look that showed it: it counted as twice as large, and was cut in half."""
    seen = replace(POSITION, updated_ms=5_001)
    for executed_ms in (4_999, 5_001):
        view = evolve(_looked(RULES, shown=seen), _bare(7, executed_ms), 10_500_000)
        assert view.positions[seen.position] == seen
        former = evolve(_looked(SHOWN_BEFORE - 1, shown=seen), _bare(7, executed_ms), 10_500_000)
        assert former.positions[seen.position].volume == 2 * seen.volume


def test_a_deal_that_no_look_has_shown_is_booked() -> None:
    """Parts of one millisecond behind the look, one of a whole second (where the clock may count no finer), one long
    after the look, by a clock that was set back."""
    seen = replace(POSITION, updated_ms=5_001)
    view = _looked(RULES, shown=seen)
    for number in (7, 8):
        view = evolve(view, _bare(number, 5_002), 10_500_000)
    assert view.positions[seen.position].volume == 3 * seen.volume
    assert evolve(_looked(RULES), _bare(7, 5_000), 10_500_000).positions[seen.position].volume == 2 * seen.volume
    view = evolve(_looked(RULES, shown=seen), _bare(7, 4_000), 10_000_000 + SETTLED_US)
    assert view.positions[seen.position].volume == 2 * seen.volume


def test_what_we_asked_for_since_a_look_is_booked_whatever_its_time_says() -> None:
    """A broker's clock that was set back between the two: what fills now is not what the look has shown."""
    seen = replace(POSITION, updated_ms=5_001)
    told = _bare(7, 4_000)
    assert told.deal is not None
    for recorded_us, volume in ((9_000_000, 1), (10_100_000, 2)):
        intent = replace(_ADD, recorded_us=recorded_us)
        view = replace(_looked(RULES, shown=seen), at_us=10_500_000)
        assert book_deal(view, told.deal, intent).positions[seen.position].volume == volume * seen.volume
