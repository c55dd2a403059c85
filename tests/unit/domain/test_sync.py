"""What is made up at a start, and what becomes of copies whose leader is out of sight."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from cmam.domain.belief.view import AccountView
from cmam.domain.events import ChangeDecided, Reconciled, Wait
from cmam.domain.folds.account import evolve
from cmam.domain.repair.sync import at_start
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import AccountId, LinkId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Quote, Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.opens import NOT_MADE_UP
from cmam.domain.values.trades import AccountType, Order, OrderType, Position
from tests.factories import (
    LEADER,
    LOT,
    T0_US,
    Pair,
    a_quote,
    a_view,
    price,
    some_settings,
)


def a_leader(
    *positions: Position, orders: tuple[Order, ...] = (), kind: AccountType = AccountType.HEDGED
) -> AccountView:
    """A leader that holds these."""
    view = a_view(account=LEADER, kind=kind)
    return evolve(view, Reconciled(positions=positions, orders=orders), T0_US)


def held(number: int = 500, volume: int = LOT, **changes: object) -> Position:
    """One of the leader's positions, opened ten minutes ago."""
    position = Position(
        position=PositionId(number), symbol=SymbolId(1), side=Side.BUY, volume=Volume(volume), price=price("1.1"),
        opened_ms=T0_US // 1_000 - 600_000, updated_ms=T0_US // 1_000 - 600_000,
    )  # fmt: skip
    return replace(position, **changes)


def quote_of(symbol: SymbolId) -> Quote | None:
    """The leader's quote of EURUSD."""
    return a_quote("1.09999", "1.10001") if symbol == 1 else None


def start(pair: Pair, leader: AccountView) -> list[ChangeDecided]:
    """Let a follower make up what it missed."""
    changes = at_start(leader, pair.view, pair.link, quote_of)
    return [pair.tell(change) for change in changes]


def test_sync_open_is_off_by_default_and_opens_each_position_once() -> None:
    """Ten minutes old: too old for `max_age`, not for `sync_max_age`; told twice, opened once."""
    leader = a_leader(held())
    assert start(Pair(), leader) == []
    pair = Pair({"sync_open": "on"})
    (found,) = start(pair, leader)
    assert found.verdict is Verdict.COPY
    pair.answer()
    assert start(pair, leader) == []
    assert pair.view.cursors == {}
    assert pair.copy.volume == LOT


def test_sync_open_has_its_own_limits() -> None:
    """`sync_max_age` and `sync_max_price_distance`, in pips worse than the leader's entry."""
    old = Pair({"sync_open": "on", "sync_max_age": "9m"})
    assert start(old, a_leader(held()))[0].reason is Reason.TOO_OLD
    far = Pair({"sync_open": "on", "sync_max_price_distance": "5"})
    far.quotes["EURUSD"] = ("1.10099", "1.10101")
    assert start(far, a_leader(held()))[0].reason is Reason.PRICE_AWAY


def test_what_closed_meanwhile_is_closed_and_each_close_stands_alone() -> None:
    """Two copies, one source gone: that one closes; with `sync_closed=off` nothing does."""
    for settings, closes in (({}, 1), ({"sync_closed": "off"}, 0)):
        pair = Pair(settings)
        pair.opens()
        pair.answer()
        pair.tell(pair.change(source="pdx", position=PositionId(501)))
        pair.answer()
        start(pair, a_leader(held(501)))
        assert len(pair.waiting) == closes
        pair.answer()
        assert len(pair.held) == 2 - closes


def test_what_closed_meanwhile_is_closed_though_its_order_rests_on_in_part() -> None:
    """His limit has filled by a part, which was copied, and he has closed that; what is left of the order rests on."""
    rest = Order(
        order=OrderId(400), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(2 * LOT),
        executed_volume=Volume(LOT), limit_price=price("1.1"),
    )  # fmt: skip
    pair = Pair()
    pair.opens(origin_type=OrderType.LIMIT)
    pair.answer()
    assert start(pair, a_leader(held(), orders=(rest,))) == []
    start(pair, a_leader(orders=(rest,)))
    pair.answer()
    assert pair.held == {}


def test_a_volume_that_fell_meanwhile_is_followed_down_and_never_up() -> None:
    """1.0 to 0.4 while nobody told: 0.6 are closed. 1.0 to 2.0: nothing is added."""
    pair = Pair()
    pair.opens()
    pair.answer()
    start(pair, a_leader(held(volume=4_000_000)))
    pair.answer()
    assert pair.copy.volume == 4_000_000
    assert start(pair, a_leader(held(volume=2 * LOT))) == []


def test_a_part_of_what_grew_without_its_copy_is_closed_though_it_is_more_than_was_copied() -> None:
    """1.0 grew to 3.0, `scale_in` is off; back to 1.5 while the profile was: half is closed, as it is live, once."""
    pair = Pair({"scale_in": "off"})
    pair.opens()
    pair.answer()
    pair.grows(LOT, 3 * LOT)
    assert start(pair, a_leader(held(volume=3 * LOT))) == []
    leader = a_leader(held(volume=3 * LOT // 2))
    start(pair, leader)
    pair.answer()
    assert pair.copy.volume == LOT // 2
    assert start(pair, leader) == []
    pair.reduces(3 * LOT // 2, LOT)
    pair.answer()
    assert pair.copy.target == Fraction(LOT, 3)


def test_a_pending_that_was_cancelled_meanwhile_is_cancelled() -> None:
    """The leader's order is no longer there, nor a position of it."""
    pair = Pair()
    pair.order()
    pair.answer()
    resting = Order(
        order=OrderId(450), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(LOT),
        limit_price=price("1.09"),
    )  # fmt: skip
    assert start(pair, a_leader(orders=(resting,))) == []
    start(pair, a_leader())
    pair.answer()
    assert pair.resting == {}


def test_an_order_that_was_amended_while_the_link_was_off_is_amended_and_once() -> None:
    """The leader moved his limit from 1.09 to 1.08 unheard; another link's copies are not told of it."""
    pair = Pair()
    pair.order()
    pair.answer()
    moved = Order(
        order=OrderId(450), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(LOT),
        limit_price=price("1.08"),
    )  # fmt: skip
    leader = a_leader(orders=(moved,))
    elsewhere = replace(pair.link, link=LinkId("l1nk02"))
    assert list(at_start(leader, pair.view, elsewhere, quote_of)) == []
    (told,) = start(pair, leader)
    pair.answer()
    assert (told.change.kind, told.verdict) == (ChangeKind.ORDER_AMENDED, Verdict.COPY)
    assert [order.limit_price for order in pair.resting.values()] == [price("1.08")]
    assert start(pair, leader) == []


def test_a_stop_that_moved_while_the_link_was_off_is_followed_and_once() -> None:
    """The profile began again at record 90 of the leader, after the last change it was told: his stop has moved."""
    pair = Pair()
    pair.opens(stop=price("1.095"))
    pair.answer()
    pair.link = replace(pair.link, since=90)
    leader = a_leader(held(stop=price("1.08")))
    (found,) = start(pair, leader)
    assert (found.change.kind, found.verdict) == (ChangeKind.PROTECTED, Verdict.COPY)
    assert pair.commands[-1].stop == price("1.08001")
    pair.answer()
    assert start(pair, leader) == []


def test_another_change_after_the_link_began_again_hides_no_stop_that_moved_before() -> None:
    """He opened something else since: what he did to this one meanwhile is made up all the same."""
    pair = Pair()
    pair.opens(stop=price("1.095"))
    pair.answer()
    pair.link = replace(pair.link, since=pair.view.cursors[pair.link.link].version)
    pair.tell(pair.change(source="pdx", position=PositionId(501)))
    pair.answer()
    told = start(pair, a_leader(held(stop=price("1.08")), held(501)))
    assert [found.change.position for found in told] == [500]


def test_a_part_that_he_closed_since_hides_no_stop_that_moved_before() -> None:
    """What is told of his volume tells nothing of his stop, which moved while the link was off."""
    pair = Pair()
    pair.opens(stop=price("1.095"))
    pair.answer()
    pair.link = replace(pair.link, since=pair.view.cursors[pair.link.link].version)
    pair.reduces(LOT, LOT // 2, stop=price("1.098"))
    pair.answer()
    (found,) = start(pair, a_leader(held(volume=LOT // 2, stop=price("1.098"))))
    assert found.change.kind is ChangeKind.PROTECTED
    assert pair.commands[-1].stop == price("1.09801")


def test_other_settings_do_not_touch_a_stop_that_he_has_not_moved() -> None:
    """A profile that begins again with other levels has them for what comes: what is open keeps its stop."""
    for settings in ({"copy_sl": "off"}, {"sl_offset": "5"}, {"fixed_sl": "20"}):
        pair = Pair()
        pair.opens(stop=price("1.095"))
        pair.answer()
        pair.link = replace(some_settings(settings), since=90)
        assert start(pair, a_leader(held(stop=price("1.095")))) == []


def test_a_pending_that_filled_untold_is_told_as_its_fill_and_once() -> None:
    """His order is gone and its position is there, of half its volume by now: the copy is of that fill."""
    pair = Pair()
    pair.order(position=PositionId(500))
    pair.answer()
    leader = a_leader(held(volume=LOT // 2))
    filled, reduced = start(pair, leader)
    assert (filled.verdict, filled.change.after, reduced.change.after) == (Verdict.COPY, LOT, LOT // 2)
    assert (pair.copy.leader_filled, pair.copy.target) == (True, LOT // 2)
    assert start(pair, leader) == []


@pytest.mark.parametrize(
    ("settings", "rules", "kinds"),
    [
        ({}, RULES, ["place", "cancel"]),
        ({"sync_open": "on"}, RULES, ["place", "cancel", "open"]),
        ({}, NOT_MADE_UP - 1, ["place", "cancel", "open"]),
    ],
)
def test_a_pending_that_filled_long_ago_is_opened_only_where_that_is_wanted(
    settings: dict[str, str], rules: int, kinds: list[str]
) -> None:
    """His order filled ten minutes ago, while the link was off and ours was kept: ours is cancelled, and what he holds
    is opened at the market only with `sync_open`. By older rules it was opened without."""
    pair = Pair(settings)
    pair.order(position=PositionId(500))
    pair.answer()
    pair.view = replace(pair.view, rules=rules)
    start(pair, a_leader(held()))
    for _ in range(3):
        pair.passes(2_500_000)
        pair.answer()
    assert [command.kind.value for command in pair.commands] == kinds


def test_a_pending_that_still_rests_is_no_part_of_what_its_position_lost() -> None:
    """A netted leader's position has the number that his resting order has too, and less than that order's volume."""
    pair = Pair()
    pair.order(position=PositionId(500))
    pair.answer()
    resting = replace(
        Order(order=OrderId(450), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(LOT)),
        limit_price=price("1.09"),
    )
    assert start(pair, a_leader(held(volume=LOT // 2), orders=(resting,))) == []


def test_a_pending_that_has_filled_in_part_untold_keeps_that_part_of_the_copy_which_is_ahead() -> None:
    """The rest of his order rests on: the copy was closed once `pending_ahead` was over, though he held his part."""
    pair = Pair()
    pair.order(position=PositionId(500))
    pair.answer()
    resting = replace(
        Order(order=OrderId(450), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(LOT)),
        limit_price=price("1.09"), executed_volume=Volume(LOT // 2),
    )  # fmt: skip
    leader = a_leader(held(volume=LOT // 4), orders=(resting,))
    assert start(pair, leader) == []
    pair.hears(pair.order_triggers(next(iter(pair.resting))))
    filled, reduced = start(pair, leader)
    assert (filled.change.after, reduced.change.after) == (LOT // 2, LOT // 4)
    assert (pair.copy.leader_filled, pair.copy.target) == (True, LOT // 4)
    pair.passes(61_000_000)
    pair.answer()
    assert [position.volume for position in pair.held.values()] == [LOT // 4]


@pytest.mark.parametrize("is_ahead", [False, True])
@pytest.mark.parametrize("opened_by", [OrderId(450), OrderId(451), None])
def test_a_netted_leader_s_order_that_is_gone_untold_has_filled_where_it_opened_his_net(
    opened_by: OrderId | None, is_ahead: bool
) -> None:
    """Nobody told its copy: it rested on without him, or was closed once `pending_ahead` was over while he held.

    Where another order has opened the net, its fill has changed that, and the copy ends.
    """
    pair = Pair({"sync_open": "on"})
    pair.order(position=PositionId(500))
    pair.answer()
    if is_ahead:
        pair.hears(pair.order_triggers(next(iter(pair.resting))))
    leader = a_leader(held(), kind=AccountType.NETTED)
    leader = replace(leader, origins={} if opened_by is None else {PositionId(500): opened_by})
    (found,) = start(pair, leader)
    is_own = opened_by == 450
    assert found.change.kind is (ChangeKind.OPENED if is_own else ChangeKind.ORDER_CANCELLED)
    pair.passes(61_000_000)
    pair.answer()
    pair.passes(1_000_000)
    pair.answer()
    assert [position.volume for position in pair.held.values()] == ([LOT] if is_own else [])
    assert pair.resting == {}


def test_a_pending_whose_position_has_a_copy_already_is_cancelled_and_takes_nothing_from_it() -> None:
    """One position, one copy: his fill was copied by itself, and he then closed a half, which is not closed again."""
    pair = Pair()
    pair.order(position=PositionId(500))
    pair.answer()
    pair.opens()
    pair.answer()
    pair.reduces(LOT, LOT // 2)
    pair.answer()
    leader = a_leader(held(volume=LOT // 2))
    (found,) = start(pair, leader)
    assert (found.change.kind, found.change.source) == (ChangeKind.ORDER_CANCELLED, "oci")
    pair.answer()
    assert [position.volume for position in pair.held.values()] == [LOT // 2]
    assert (pair.resting, start(pair, leader)) == ({}, [])


def test_nothing_is_made_up_from_an_account_that_is_not_seen() -> None:
    """An unreconciled leader holds nothing that we know of; its copies stay."""
    pair = Pair()
    pair.opens()
    pair.answer()
    from cmam.domain.events import Health, HealthChanged

    blind = evolve(a_leader(), HealthChanged(health=Health.DOWN), T0_US)
    assert start(pair, blind) == []


def test_a_finished_copy_never_counts_as_missing() -> None:
    """A person closed it; a start does not open it again."""
    pair = Pair({"sync_open": "on"})
    pair.opens()
    pair.answer()
    pair.passes(1_000)
    (number,) = pair.held
    pair.hears(pair.close(number, LOT))
    assert start(pair, a_leader(held())) == []


def test_a_leader_out_of_sight_is_held_and_named_or_closed_after_a_while() -> None:
    """The alert names the copies and which have no stop; `close_after 10m` closes them then, `hold` never."""
    from cmam.domain.events import AlertHealed, AlertRaised, CopyOverdue
    from cmam.domain.turns.blindness import watch_blind
    from tests.factories import LINK

    for settings, closes in (({}, False), ({"leader_blind": "close_after 10m"}, True)):
        pair = Pair(settings)
        pair.opens()
        pair.answer()
        since = {LEADER: pair.now_us}
        (alert,) = watch_blind(pair.view, {LINK: pair.link}, since, pair.now_us)
        assert isinstance(alert, AlertRaised)
        assert alert.text.startswith(f"Account {LEADER} is out of sight. Its copies: EURUSD pdw")
        assert "Without a stop at the broker: EURUSD pdw" in alert.text
        pair.fact(alert)
        assert watch_blind(pair.view, {LINK: pair.link}, since, pair.now_us + 299_000_000) == ()
        pair.now_us += 600_000_000
        found = watch_blind(pair.view, {LINK: pair.link}, since, pair.now_us)
        assert any(isinstance(fact, CopyOverdue) for fact in found) is closes
        assert any(
            "out of sight for 10 minutes or more" in fact.text for fact in found if isinstance(fact, AlertRaised)
        )
        for fact in found:
            pair.fact(fact)
        pair.answer()
        assert (pair.held == {}) is closes
        if closes:
            assert pair.copy.reason is Reason.LEADER_BLIND
        assert isinstance(watch_blind(pair.view, {}, {}, pair.now_us)[0], AlertHealed)


def test_an_open_that_a_gate_skipped_after_a_wait_is_met_again_at_the_next_start() -> None:
    """It waited for quotes, and its price was then too far away: it stood as a copy that had been, for ever.

    What never waited is met at every start; now both are.
    """
    pair = Pair({"sync_open": "on"})
    pair.warming, quotes, pair.quotes = True, pair.quotes, {}
    leader = a_leader(held())
    (found,) = start(pair, leader)
    assert found.wait is Wait.QUOTES
    pair.quotes = {**quotes, "EURUSD": ("1.10290", "1.10300")}
    pair.passes(1_000)
    assert [ended.reason for ended in pair.view.finished.values()] == [Reason.PRICE_AWAY]
    pair.quotes = quotes
    (again,) = start(pair, leader)
    assert again.verdict is Verdict.COPY
    pair.answer()
    assert len(pair.held) == 1


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"reverse": "on"}, Reason.NO_STOP_REVERSED),
        ({"require_stop": "on"}, Reason.STOP_REQUIRED),
        ({"volume.mode": "formula", "volume.formula": "balance - balance"}, Reason.BAD_FORMULA),
        ({"volume.amount": "0.001", "volume.rounding": "raise,cap"}, Reason.RAISE_TOO_FAR),
        ({"ignore_new": "on"}, Reason.IGNORE_NEW),
    ],
)
def test_whichever_gate_skips_what_has_waited_it_is_met_again(settings: dict[str, str], reason: Reason) -> None:
    """A reversed copy that lacked a stop when its quotes came was never opened, though he had set a target since."""
    pair = Pair({"sync_open": "on"})
    pair.warming, quotes, pair.quotes = True, pair.quotes, {}
    leader = a_leader(held())
    (found,) = start(pair, leader)
    assert found.wait is Wait.QUOTES
    pair.quotes = quotes
    pair.link = some_settings({"sync_open": "on", **settings})
    pair.passes(1_000)
    assert [ended.reason for ended in pair.view.finished.values()] == [reason]
    (change,) = at_start(leader, pair.view, pair.link, quote_of)
    assert change.kind is ChangeKind.OPENED


def test_what_another_link_copies_is_missing_all_the_same() -> None:
    """Positions of leaders at different brokers may have one number, and a leader may lead twice."""
    pair = Pair({"sync_open": "on"})
    start(pair, a_leader(held()))
    pair.answer()
    other = replace(pair.link, link=LinkId("other1"))
    (change,) = at_start(a_leader(held()), pair.view, other, quote_of, others=(pair.link.link,))
    assert change.kind is ChangeKind.OPENED


def test_what_a_link_that_is_over_has_left_is_not_bought_a_second_time() -> None:
    """A profile deleted with its copies left, and made anew with `sync_open`: the leader's position is held already."""
    pair = Pair({"sync_open": "on"})
    start(pair, a_leader(held()))
    pair.answer()
    other = replace(pair.link, link=LinkId("other1"))
    assert at_start(a_leader(held()), pair.view, other, quote_of) == ()
    of_another_leader = replace(other, leader=AccountId(77))
    (change,) = at_start(replace(a_leader(held()), account=AccountId(77)), pair.view, of_another_leader, quote_of)
    assert change.kind is ChangeKind.OPENED


def test_an_order_that_a_link_which_is_over_has_left_is_not_opened_once_it_has_filled() -> None:
    """It fills here too, with no link to tell."""
    pair = Pair({"sync_open": "on"})
    pair.order()
    pair.answer()
    (copy,) = pair.view.copies.values()
    other = replace(pair.link, link=LinkId("other1"))
    leader = replace(a_leader(held()), origins={held().position: copy.leader_order})
    assert at_start(leader, pair.view, other, quote_of) == ()


def test_what_is_too_old_does_not_wait_for_what_is_still_being_read() -> None:
    """It waited, was over as a copy in the same moment, and what `sync_open` would open was there no more."""
    pair = Pair()
    pair.reading = True
    found = pair.opens(at_ms=pair.now_us // 1_000 - 60_000)
    assert (found.verdict, found.reason, pair.view.finished) == (Verdict.SKIP, Reason.TOO_OLD, {})
