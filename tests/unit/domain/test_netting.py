"""Netted accounts: a copy is a share of the net, and each leader's change moves the net by its own part."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import CopyState
from cmam.domain.belief.shares import pooled_excess
from cmam.domain.events import (
    ChangeDecided,
    CopyTouched,
    ExecutionSeen,
    GuardRearmed,
    Health,
    HealthChanged,
    IntentDropped,
    IntentOverdue,
    RequestRefused,
    StopOutSeen,
)
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import AccountId, ChangeKey, OrderId, PositionId, SourceKey, order_source, position_source
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.trades import AccountType, ExecutionKind, Order, OrderStatus, OrderType
from cmam.domain.wanted.unasked import asking, freed, unasked
from tests.factories import LEADER, LINK, LOT, Pair, a_view, price, some_settings


class Netted(Pair):
    """A hedged leader and a netted follower."""

    def opens_at(self, number: int, volume: int, side: Side = Side.BUY, **others: object) -> ChangeDecided:
        """The leader opens one of several positions."""
        position = PositionId(number)
        return self.tell(
            self.change(
                source=position_source(position),
                position=position,
                volume=Volume(volume),
                after=Volume(volume),
                side=side,
                **others,
            )
        )

    def ends(self, number: int, before: int, after: int = 0) -> ChangeDecided:
        """The leader closes one of them, or a part of it."""
        position = PositionId(number)
        kind = ChangeKind.CLOSED if after == 0 else ChangeKind.REDUCED
        return self.tell(
            self.change(
                kind,
                source=position_source(position),
                position=position,
                before=Volume(before),
                after=Volume(after),
            )
        )

    def copy_levels(self, number: int) -> int:
        """Where the stop of a share shall be."""
        copy = self.copy_of(key(number))
        assert copy is not None
        assert copy.goal.leader_stop is not None
        return copy.goal.leader_stop + (copy.goal.shift or 0)

    @property
    def net(self) -> int:
        """What the follower's broker holds, signed."""
        return sum(position.volume * position.side.sign for position in self.held.values())


def netted(**settings: str) -> Netted:
    """A netted follower that holds nothing."""
    return Netted(
        {key.replace("__", "."): value for key, value in settings.items()}, view=a_view(kind=AccountType.NETTED)
    )


def key(number: int) -> SourceKey:
    """The source of a leader's position."""
    return position_source(PositionId(number))


def test_shares_of_one_side_add_up_and_leave_one_by_one() -> None:
    """Two buys of 1.0 and 0.5 are a net of 1.5; closing the first leaves 0.5."""
    pair = netted()
    for number, volume in ((1, LOT), (2, LOT // 2)):
        pair.opens_at(number, volume)
        pair.answer()
        pair.passes(1_000)
    assert pair.net == 15_000_000
    assert [copy.volume for copy in pair.view.copies.values()] == [LOT, LOT // 2]
    pair.ends(1, LOT)
    command = pair.commands[-1]
    assert (command.kind, command.volume, command.whole) == (CommandKind.CLOSE, LOT, False)
    pair.answer()
    assert pair.net == LOT // 2
    assert pair.copy_of(key(1)).state is CopyState.CLOSED
    pair.ends(2, LOT // 2)
    assert pair.commands[-1].whole
    pair.answer()
    assert (pair.net, pair.view.copies) == (0, {})


def test_shares_that_end_together_leave_one_after_the_other() -> None:
    """One reduction of a position is under way at a time: what a second one takes off could not be told apart."""
    pair = netted()
    pair.opens_at(1, 2 * LOT)
    pair.answer()
    pair.opens_at(2, LOT)
    pair.answer()
    pair.ends(1, 2 * LOT)
    pair.ends(2, LOT)
    assert [intent.command.volume for intent in pair.waiting] == [2 * LOT]
    pair.answer()
    assert (pair.net, pair.view.copies) == (0, {})


@pytest.mark.parametrize("how", ["refused", "dropped"])
def test_a_share_whose_close_comes_back_undone_frees_the_next(how: str) -> None:
    """The next share's close waited for that one's turn: once asked it goes out, and the first at its next try."""
    pair = netted()
    for number, volume in ((1, 2 * LOT), (2, LOT)):
        pair.opens_at(number, volume)
        pair.answer()
    pair.ends(1, 2 * LOT)
    pair.ends(2, LOT)
    before = pair.view
    if how == "refused":
        pair.refuse("TRADING_BAD_VOLUME", temporary=True)
    else:
        pair.drop()
    fact = next(event for event, _ in reversed(pair.said) if isinstance(event, RequestRefused | IntentDropped))
    (waiting,) = freed(before, fact)
    assert waiting[1] == key(2)
    assert list(unasked(pair.view, pair.now_us)) == [waiting]
    pair.fact(asking(waiting))
    assert [(intent.source, intent.command.volume) for intent in pair.waiting] == [(key(2), LOT)]
    pair.passes(60_000_000)
    assert [intent.source for intent in pair.waiting] == [key(2)]
    pair.answer()
    assert [intent.source for intent in pair.sent] == [key(1), key(2), key(1), key(2), key(1)]
    assert (pair.net, pair.view.copies) == (0, {})


def test_shares_of_both_sides_net_out() -> None:
    """Buy 1.0 and sell 0.4: net 0.6 long. The sell ends: 0.4 are bought back, so that the net is 1.0 again."""
    pair = netted()
    pair.opens_at(1, LOT)
    pair.answer()
    pair.passes(1_000)
    pair.opens_at(2, 4_000_000, Side.SELL)
    pair.answer()
    assert pair.net == 6_000_000
    pair.passes(1_000)
    pair.ends(2, 4_000_000)
    command = pair.commands[-1]
    assert (command.side, command.volume) == (Side.BUY, 4_000_000)
    pair.answer()
    assert pair.net == LOT
    pair.passes(1_000)
    pair.ends(1, LOT)
    pair.answer()
    assert (pair.net, pair.view.copies) == (0, {})


def test_a_share_that_may_not_leave_against_its_net_is_told_to_a_person() -> None:
    """Buy 1.0 and sell 0.4; the sell ends, and 0.4 may not be bought: an alert at once, asked again after 1 and 2 s."""
    pair = netted()
    for number, volume, side in ((1, LOT, Side.BUY), (2, 4_000_000, Side.SELL)):
        pair.opens_at(number, volume, side)
        pair.answer()
        pair.passes(1_000)
    pair.ends(2, 4_000_000)
    for wait_us in (1_000_000, 2_000_000):
        asked = len(pair.sent)
        pair.refuse("NOT_ENOUGH_MONEY")
        pair.passes(wait_us - 1)
        (text,) = pair.view.alerts.values()
        assert text.startswith("The broker refuses to close the copy of EURUSD p2: NOT_ENOUGH_MONEY")
        assert len(pair.sent) == asked
        pair.passes(1)
        assert pair.waiting[-1].command.volume == 4_000_000
    pair.answer()
    pair.passes(1)
    assert (pair.net, dict(pair.view.alerts)) == (LOT, {})


@pytest.mark.parametrize("is_seen", [True, False], ids=["seen", "unseen"])
@pytest.mark.parametrize("part", [LOT, 3 * LOT // 2], ids=["part", "whole"])
def test_a_stop_out_of_a_net_locks_its_link_and_adds_to_no_share(part: int, is_seen: bool) -> None:
    """Some or all of a net of two shares is taken for want of margin, in sight or not: no open, no add."""
    pair = netted()
    for number, volume in ((1, LOT), (2, LOT // 2)):
        pair.opens_at(number, volume)
        pair.answer()
        pair.passes(1_000)
    (held,) = pair.held
    if is_seen:
        pair.hears(pair.close(held, part, stop_out=True))
    else:
        pair.fact(HealthChanged(health=Health.DOWN))
        _, fill = pair.close(held, part, stop_out=True)
        assert isinstance(fill, ExecutionSeen)
        assert fill.order is not None
        assert fill.deal is not None
        pair.passes(30_000_000)
        pair.fact(replace(pair.reconciled(past_orders=(fill.order,)), deals=(fill.deal,)))
        pair.fact(HealthChanged(health=Health.RECONCILED))
    assert [event.source for event, _ in pair.said if isinstance(event, StopOutSeen)] == [key(1), key(2)]
    asked = len(pair.sent)
    assert pair.opens_at(3, LOT).reason is Reason.GUARD
    grown = pair.change(ChangeKind.GREW, source=key(1), position=PositionId(1), before=Volume(LOT),
                        after=Volume(2 * LOT), volume=Volume(LOT), origin=OrderId(409))  # fmt: skip
    assert pair.tell(grown).reason is Reason.COPY_FINISHED
    assert len(pair.sent) == asked
    found = {copy.reason for copy in pair.view.finished.values()}
    assert found == ({Reason.CLOSED_BY_STOP_OUT} if part > LOT else set())
    pair.fact(GuardRearmed(link=LINK, guard=""))
    pair.fact(pair.reconciled(past_orders=()))
    assert pair.opens_at(4, LOT).verdict is Verdict.COPY


def test_what_a_share_may_not_give_up_counts_as_no_refused_open() -> None:
    """Buy 1.0, sell 0.4, and the 0.4 may not be bought back: the guard of refused opens has nothing to do with it."""
    pair = netted()
    for number, volume, side in ((1, LOT, Side.BUY), (2, 4_000_000, Side.SELL)):
        pair.opens_at(number, volume, side)
        pair.answer()
        pair.passes(1_000)
    pair.ends(2, 4_000_000)
    pair.refuse("NOT_ENOUGH_MONEY")
    assert not pair.view.refused_opens.get(LINK)


def test_a_share_that_turns_the_net_and_its_close() -> None:
    """Buy 0.4, sell 1.0: net 0.6 short; the buy ends: 0.4 more are sold; the sell ends: flat."""
    pair = netted()
    pair.opens_at(1, 4_000_000)
    pair.answer()
    pair.passes(1_000)
    pair.opens_at(2, LOT, Side.SELL)
    pair.answer()
    assert pair.net == -6_000_000
    pair.passes(1_000)
    pair.ends(1, 4_000_000)
    pair.answer()
    assert pair.net == -LOT
    pair.passes(1_000)
    pair.ends(2, LOT)
    pair.answer()
    assert (pair.net, pair.view.copies) == (0, {})


def test_opposite_shares_that_cancel_out_leave_no_position_and_live_on() -> None:
    """Buy 1.0 and sell 1.0 are flat at the broker; each share lives until its source ends."""
    pair = netted()
    pair.opens_at(1, LOT)
    pair.answer()
    pair.passes(1_000)
    pair.opens_at(2, LOT, Side.SELL)
    pair.answer()
    assert (pair.net, len(pair.view.copies)) == (0, 2)
    pair.passes(1_000)
    pair.ends(2, LOT)
    pair.answer()
    assert pair.net == LOT
    pair.passes(1_000)
    pair.ends(1, LOT)
    pair.answer()
    assert (pair.net, pair.view.copies) == (0, {})


@pytest.mark.parametrize("rules", [RULES, 10])
@pytest.mark.parametrize("bought", [LOT, 2 * LOT], ids=["against no net", "against the net"])
def test_an_add_waits_for_what_its_share_gives_up(bought: int, rules: int) -> None:
    """He closes a half of what is short, which is bought back as an order, and adds it again before that has filled."""
    pair = netted()
    pair.view = replace(pair.view, rules=rules)
    for number, volume, side in ((1, bought, Side.BUY), (2, LOT, Side.SELL)):
        pair.opens_at(number, volume, side)
        pair.answer()
    pair.ends(2, LOT, LOT // 2)
    assert [(intent.command.kind, intent.command.side) for intent in pair.waiting] == [(CommandKind.ADD, Side.BUY)]
    grown = pair.change(ChangeKind.GREW, source=key(2), position=PositionId(2), before=Volume(LOT // 2),
                        after=Volume(LOT), volume=Volume(LOT // 2), origin=OrderId(409))  # fmt: skip
    pair.tell(grown)
    pair.answer()
    pair.passes(1_000_000)
    pair.answer()
    share = pair.copy_of(key(2))
    assert share is not None
    assert (share.volume, share.target) == (LOT if rules == RULES else LOT // 2, LOT)
    assert pair.net == bought - share.volume


@pytest.mark.parametrize("rules", [RULES, 10])
@pytest.mark.parametrize(("first", "third"), [(2 * LOT, LOT), (3 * LOT, 0)])
def test_a_look_that_sees_a_close_before_its_deal_ends_no_other_share(rules: int, first: int, third: int) -> None:
    """A net of two lots short: he closes two, all of a share or a part. What is left is a lot of each side."""
    pair = netted()
    pair.view = replace(pair.view, rules=rules)
    for number, volume, side in ((1, LOT, Side.BUY), (2, first, Side.SELL), (3, third, Side.SELL)):
        if volume:
            pair.opens_at(number, volume, side)
            pair.answer()
    pair.ends(2, first, first - 2 * LOT)
    (intent,) = pair.waiting
    told = pair.events_of(intent)
    pair.send()
    assert pair.net == 0
    pair.fact(pair.reconciled())
    pair.hears(told)
    left = {source: copy.volume for (_, source), copy in pair.view.copies.items()}
    assert left == ({key(1): LOT, key(3 if third else 2): LOT} if rules == RULES else {})


@pytest.mark.parametrize("rules", [RULES, 10])
@pytest.mark.parametrize("held", [0, LOT], ids=["open", "add"])
def test_a_look_that_sees_an_order_before_its_deal_ends_no_share(rules: int, held: int) -> None:
    """He opens as much on the other side, or adds what that lacks: the net is flat, and each side is held."""
    pair = netted()
    pair.view = replace(pair.view, rules=rules)
    for number, volume, side in ((1, 2 * LOT, Side.BUY), (2, held, Side.SELL)):
        if volume:
            pair.opens_at(number, volume, side)
            pair.answer()
    if held:
        pair.tell(pair.change(ChangeKind.GREW, source=key(2), position=PositionId(2), before=Volume(held),
                              after=Volume(2 * LOT), volume=Volume(LOT), origin=OrderId(409)))  # fmt: skip
    else:
        pair.opens_at(2, 2 * LOT, Side.SELL)
    (intent,) = pair.waiting
    told = pair.events_of(intent)
    pair.send()
    assert pair.net == 0
    pair.fact(pair.reconciled())
    pair.hears(told)
    pair.fact(pair.reconciled())
    left = {source: copy.volume for (_, source), copy in pair.view.copies.items()}
    assert left == ({key(1): 2 * LOT, key(2): 2 * LOT} if rules == RULES else {})


@pytest.mark.parametrize("stop_out", [True, False])
def test_a_net_that_is_closed_in_sight_under_an_order_of_the_other_side_ends_its_share(stop_out: bool) -> None:
    """The deal tells that it was not the order: that fills into a net of its own."""
    pair = netted()
    pair.opens_at(1, LOT, Side.BUY)
    pair.answer()
    pair.opens_at(2, LOT, Side.SELL)
    pair.send()
    (held,) = pair.held
    pair.hears(pair.close(held, LOT, stop_out=stop_out))
    reason = Reason.CLOSED_BY_STOP_OUT if stop_out else Reason.CLOSED_BY_HUMAN
    assert [copy.reason for copy in pair.view.finished.values()] == [reason]
    pair.answer()
    assert key(1) not in {copy.source for copy in pair.view.copies.values()}


@pytest.mark.parametrize("rules", [RULES, 10])
def test_a_net_that_somebody_else_closed_under_a_close_ends_all_shares(rules: int) -> None:
    """The close is refused, and the next look says so."""
    pair = netted()
    pair.view = replace(pair.view, rules=rules)
    for number, volume, side in ((1, 2 * LOT, Side.SELL), (2, LOT, Side.BUY), (3, LOT, Side.SELL)):
        pair.opens_at(number, volume, side)
        pair.answer()
    pair.ends(1, 2 * LOT)
    pair.held.clear()
    pair.fact(pair.reconciled())
    pair.refuse("POSITION_NOT_FOUND")
    pair.fact(pair.reconciled())
    pair.answer()
    assert 1 not in {copy.leader_position for copy in pair.view.copies.values()}
    assert (pair.net, pair.waiting) == (0, [])


def test_a_partial_close_of_a_share_moves_the_net_by_its_part() -> None:
    """1.0 and 1.0; the first falls to 0.3: the net falls by 0.7."""
    pair = netted()
    for number in (1, 2):
        pair.opens_at(number, LOT)
        pair.answer()
        pair.passes(1_000)
    pair.ends(1, LOT, 3_000_000)
    pair.answer()
    assert pair.net == 13_000_000
    assert pair.copy_of(key(1)).volume == 3_000_000


@pytest.mark.parametrize("is_refused", [False, True], ids=["taken", "refused"])
@pytest.mark.parametrize("other", list(Side), ids=["one side", "both sides"])
def test_a_share_whose_part_is_rounded_up_to_all_of_it_is_over(other: Side, *, is_refused: bool) -> None:
    """With `partial_rounding=up`, 0.01 lot at a target of 0.0067 leaves its net whole, and comes back with no add."""
    pair = netted(volume__amount="0.01", partial_rounding="up")
    for number, volume, side in ((1, 3 * LOT, other), (2, LOT, Side.BUY)):
        pair.opens_at(number, volume, side)
        pair.answer()
        pair.passes(1_000)
    pair.ends(2, LOT, 6_700_000)
    assert (pair.waiting[-1].command.volume, pair.waiting[-1].command.side) == (100_000, Side.SELL)
    if is_refused:
        pair.refuse("TRADING_BAD_VOLUME")
        pair.passes(1_000_000)
    grown = pair.change(ChangeKind.GREW, source=key(2), position=PositionId(2), before=Volume(6_700_000),
                        after=Volume(60 * LOT), volume=Volume(53_300_000), origin=OrderId(409))  # fmt: skip
    assert pair.tell(grown).reason is Reason.COPY_FINISHED
    pair.answer()
    assert pair.net == 300_000 * other.sign
    assert pair.view.finished[(LINK, key(2))].reason is Reason.CLOSED_BY_LEADER
    assert pair.tell(replace(grown, key=ChangeKey("deal:410"))).reason is Reason.COPY_FINISHED


def test_the_stop_is_the_farthest_and_a_target_stands_only_alone() -> None:
    """Stops 1.09 and 1.08: the net's is 1.08, and no target while there are two shares."""
    pair = netted()
    pair.opens_at(1, LOT, stop=price("1.09"), target=price("1.12"))
    pair.answer(at="1.1")
    (held,) = pair.held.values()
    assert (held.stop, held.target) == (price("1.09"), price("1.12"))
    pair.passes(3_000_000)
    pair.opens_at(2, LOT, stop=price("1.08"), target=price("1.13"))
    pair.answer(at="1.1")
    pair.passes(3_000_000)
    pair.answer()
    (held,) = pair.held.values()
    assert (held.stop, held.target) == (price("1.08"), None)
    pair.passes(1_000)
    pair.ends(2, LOT)
    pair.answer()
    (held,) = pair.held.values()
    assert (held.stop, held.target) == (price("1.09"), price("1.12"))


@pytest.mark.parametrize(("rules", "verdicts"), [(RULES, "ccs"), (15, "css")])
@pytest.mark.parametrize("cap", ["max_lots_symbol", "max_lots_open"])
def test_caps_count_longs_and_shorts_of_a_net_apart(cap: str, rules: int, verdicts: str) -> None:
    """Buy 0.4 and sell 0.3 under a cap of 0.6: the sale leads away from it. Another buy of 0.2 is all that may be:
    with 0.3 the net would be 0.4, but 0.7 once the sale is closed.

    By older rules the sale was 0.7 with the net, and was skipped.
    """
    pair = netted(**{cap: "0.6"})
    pair.view = replace(pair.view, rules=rules)
    asked = ((1, 4_000_000, Side.BUY), (2, 3_000_000, Side.SELL), (3, 3_000_000, Side.BUY))
    for (number, volume, side), letter in zip(asked, verdicts, strict=True):
        decision = pair.opens_at(number, volume, side)
        assert decision.reason is (None if letter == "c" else Reason.MAX_LOTS)
        pair.answer()
        pair.passes(1_000)
    assert pair.opens_at(4, 2_000_000).verdict is Verdict.COPY
    pair.answer()
    if rules == RULES:
        pair.ends(2, 3_000_000)
        pair.answer()
    assert pair.net == 6_000_000


def test_caps_count_what_rests_and_what_others_hold_in_a_net() -> None:
    """Sell 0.3 rests against buy 0.4, under a cap of 0.6: of sales 0.3 more are allowed, and 0.4 are too many. What a
    person adds to the net is on its side."""
    pair = netted(max_lots_symbol="0.6")
    pair.opens_at(1, 4_000_000)
    pair.answer()
    pair.order(side=Side.SELL, volume=Volume(3_000_000), limit_price=price("1.2"))
    pair.answer()
    pair.passes(1_000)
    assert pair.opens_at(2, 4_000_000, Side.SELL).reason is Reason.MAX_LOTS
    (held,) = pair.view.positions.values()
    before = pair.view
    pair.view = replace(before, positions={held.position: replace(held, volume=Volume(6_000_000))})
    assert pair.opens_at(3, 1_000_000).reason is Reason.MAX_LOTS
    pair.view = before
    assert pair.opens_at(4, 1_000_000).verdict is Verdict.COPY
    pair.answer()
    pair.passes(1_000)
    assert pair.opens_at(5, 3_000_000, Side.SELL).verdict is Verdict.COPY


@pytest.mark.parametrize(("rules", "cap", "net"), [(RULES, "0.7", 0), (RULES, "1", LOT), (9, "0.7", LOT)])
def test_a_close_that_would_raise_the_net_above_the_cap_goes_to_flat(rules: int, cap: str, net: int) -> None:
    """Buy 1.0 and sell 0.6, then a cap of 0.7: ending the sell would make 1.0 long, so the net is closed instead.

    By older rules each share kept the cap under which it was opened, and no open passes one that a close may meet.
    """
    pair = netted(max_lots_symbol="1.6")
    pair.view = replace(pair.view, rules=rules)
    pair.opens_at(1, LOT)
    pair.answer()
    pair.passes(1_000)
    pair.opens_at(2, 6_000_000, Side.SELL)
    pair.answer()
    assert pair.net == 4_000_000
    pair.settings = {**pair.settings, "max_lots_symbol": cap}
    pair.link = some_settings(pair.settings)
    pair.passes(1_000)
    pair.ends(2, 6_000_000)
    assert (pair.commands[-1].kind is CommandKind.CLOSE and pair.commands[-1].whole) is (net == 0)
    pair.answer()
    assert (pair.net, len(pair.view.copies)) == (net, 1 if net else 0)
    assert net or pair.copy_of(key(1)).reason is Reason.MAX_LOTS


@pytest.mark.parametrize(("rules", "net"), [(RULES, 2 * LOT), (6, 0)])
def test_a_close_that_meets_a_net_which_has_turned_ends_no_other_share(rules: int, net: int) -> None:
    """Sell 1.0 is to be closed when buy 2.0 turns the net, which keeps its number: the close takes 1.0 of the buy.

    What is missing is bought back; by older rules both were taken for over, and what stood of them was nobody's.
    """
    pair = netted()
    pair.view = replace(pair.view, rules=rules)
    pair.opens_at(1, LOT, Side.SELL)
    pair.answer()
    pair.passes(1_000)
    pair.ends(1, LOT)
    pair.opens_at(2, 2 * LOT)
    closing, opening = pair.lose()
    for intent in (opening, closing):
        for event in pair.events_of(intent):
            pair.fact(event)
    assert pair.net == 0
    pair.answer()
    pair.passes(2_000_000)
    pair.answer()
    assert pair.net == net
    assert [int(copy.volume) for copy in pair.view.copies.values()] == ([2 * LOT] if net else [])


def test_a_share_that_is_still_being_filled_is_no_residue() -> None:
    """2.0 of a sell of 5.0 are not filled yet: they are not taken off the buy of 3.0, which is as it should be."""
    pair = netted()
    pair.opens_at(1, 3 * LOT)
    pair.answer()
    pair.opens_at(2, 5 * LOT, Side.SELL)
    pair.answer(part=3 * LOT)
    long, short = sorted(pair.view.copies.values(), key=lambda copy: copy.side)
    assert (long.volume, short.volume, short.target) == (3 * LOT, 3 * LOT, 5 * LOT)
    assert pooled_excess(pair.view, pair.view.specs[short.symbol], short.symbol) is None
    assert not [command for command in pair.commands if command.kind is CommandKind.CLOSE]


def test_a_share_that_is_still_being_closed_is_no_residue() -> None:
    """3.0 of a buy of 5.0 are refused for now, and come again by themselves: nobody gives them up besides."""
    pair = netted()
    pair.opens_at(1, 5 * LOT)
    pair.answer()
    pair.opens_at(2, LOT)
    pair.answer()
    pair.ends(1, 5 * LOT, 2 * LOT)
    pair.refuse("MARKET_CLOSED", temporary=True)
    held = pair.copy_of(key(1))
    assert held is not None
    assert (held.volume, held.target) == (5 * LOT, 2 * LOT)
    assert pooled_excess(pair.view, pair.view.specs[held.symbol], held.symbol) is None


def test_another_leaders_symbol_is_taken() -> None:
    """One leader per account and symbol."""
    pair = netted()
    pair.opens_at(1, LOT)
    pair.answer()
    assert pair.opens_at(2, LOT, leader=AccountId(1002)).reason is Reason.NETTED_TAKEN


def test_of_two_leaders_who_wait_in_one_symbol_the_first_is_copied() -> None:
    """What waits is no order yet: the first was skipped for the second that waited, and that for the third."""
    pair = netted()
    pair.reading = True
    for number, leader in ((1, LEADER), (2, AccountId(1002)), (3, LEADER)):
        assert pair.opens_at(number, LOT, leader=leader).verdict is Verdict.COPY
    pair.reading = False
    pair.passes(1_000_000)
    pair.answer()
    pair.passes(1_000_000)
    pair.answer()
    assert {copy.leader for copy in pair.view.copies.values()} == {LEADER}
    assert pair.net == 2 * LOT
    (ended,) = pair.view.finished.values()
    assert (ended.leader, ended.reason) == (AccountId(1002), Reason.NETTED_TAKEN)


@pytest.mark.parametrize("kind", [AccountType.NETTED, AccountType.HEDGED])
def test_a_netted_leaders_reversal_is_copied_on_either_kind_of_account(kind: AccountType) -> None:
    """Long 1.0 becomes short 0.5: ours closes whole and opens 0.5 short."""
    pair = Netted({}, view=a_view(kind=kind))
    pair.opens_at(500, LOT)
    pair.answer()
    pair.passes(1_000)
    volumes = {"before": Volume(LOT), "after": Volume(5_000_000), "volume": Volume(5_000_000)}
    found = pair.tell(pair.change(ChangeKind.REVERSED, side=Side.SELL, **volumes))
    assert found.verdict is Verdict.COPY
    pair.answer()
    pair.wake()
    pair.answer()
    assert pair.net == -5_000_000


# --- levels of a net --------------------------------------------------------------------------------------------------


def test_a_persons_stop_on_a_net_is_pinned_until_the_leader_sets_a_tighter_one() -> None:
    """By hand from 1.09001 to 1.095: a look leaves it, so do the leader's target and looser stop; 1.097 takes over."""
    pair = Pair(view=a_view(kind=AccountType.NETTED))
    pair.opens(stop=price("1.09"), target=price("1.12"))
    pair.answer()
    pair.passes(5_000_000)
    (number,) = pair.held
    pair.held[number] = replace(pair.held[number], stop=price("1.095"), updated_ms=pair.now_us // 1_000)
    pair.fact(pair.protective(ExecutionKind.ORDER_REPLACED, pair.held[number], is_server=False, name="terminal"))
    assert [event.what for event, _ in pair.said if isinstance(event, CopyTouched)] == ["stop"]
    pair.fact(pair.reconciled())
    pair.answer()
    for stop, shown in (("1.09", "1.095"), ("1.08", "1.095"), ("1.097", "1.09701")):
        pair.protects(stop=stop, target="1.13")
        pair.answer()
        assert (pair.held[number].stop, pair.held[number].target) == (price(shown), price("1.13001"))


def test_a_net_whose_stop_came_with_an_order_that_filled_unseen_was_touched_by_nobody() -> None:
    """A resting order fills into the net of a share out of sight, and the broker sets the stop that it carried.

    The first look shows that, and not yet what became of the order; the next tells, and sets the farthest.
    """
    pair = Pair(view=a_view(kind=AccountType.NETTED))
    pair.opens(stop=price("1.09"))
    pair.answer()
    pair.order(relative_stop=price("0.001"), stop=price("1.089"))
    pair.answer()
    (number,), (resting,) = pair.held, pair.resting
    pair.passes(5_000_000)
    pair.fact(HealthChanged(health=Health.DOWN))
    pair.passes(5_000_000)
    order = pair.resting.pop(resting)
    done = replace(order, status=OrderStatus.FILLED, executed_volume=Volume(LOT), execution_price=price("1.09"),
                   position=number)  # fmt: skip
    volume = Volume(pair.held[number].volume + LOT)
    moved = replace(pair.held[number], volume=volume, stop=price("1.094"), updated_ms=pair.now_us // 1_000)
    pair.held[number] = moved
    pair.hears([pair.reconciled(), HealthChanged(health=Health.RECONCILED)])
    pair.fact(pair.reconciled(looked_up=True, past_orders=(done,)))
    assert not [event for event, _ in pair.said if isinstance(event, CopyTouched)]
    pair.passes(2_000_000)
    pair.answer()
    assert pair.held[number].stop == price("1.089")


def test_a_persons_stop_that_came_while_nobody_looked_is_pinned_on_every_share() -> None:
    """Two shares of one net, a cut line, his stop: the reconcile says so of both, and nothing is amended."""
    pair = Pair(view=a_view(kind=AccountType.NETTED))
    pair.opens(stop=price("1.09"))
    pair.opens(stop=price("1.08"), source=SourceKey("pzz"), position=PositionId(999))
    pair.answer()
    pair.passes(5_000_000)
    (number,) = pair.held
    pair.held[number] = replace(pair.held[number], stop=price("1.095"), updated_ms=pair.now_us // 1_000)
    asked = len(pair.sent)
    pair.fact(pair.reconciled())
    assert len([event for event, _ in pair.said if isinstance(event, CopyTouched)]) == 2
    assert len(pair.sent) == asked


def test_levels_that_a_shares_order_brought_while_the_line_was_cut_are_not_a_persons() -> None:
    """The second share has just filled, and the broker sets the net to its stop unseen: nobody's pin, and amended."""
    pair = Pair(view=a_view(kind=AccountType.NETTED))
    pair.opens(stop=price("1.09"))
    pair.answer()
    pair.passes(5_000_000)
    pair.opens(stop=price("1.095"), source=SourceKey("pzz"), position=PositionId(999))
    accepted, filled, _ = pair.events_of(pair.lose()[0])
    pair.hears([accepted, filled, HealthChanged(health=Health.DOWN)])
    pair.passes(30_000_000)
    pair.hears([pair.reconciled(), HealthChanged(health=Health.RECONCILED)])
    assert not [event for event, _ in pair.said if isinstance(event, CopyTouched)]
    pair.answer()
    (held,) = pair.held.values()
    assert (held.volume, held.stop) == (2 * LOT, price("1.09001"))


def test_a_net_has_no_target_while_a_share_of_the_other_side_is_in_it() -> None:
    """A target that closes the net would close the short share too: it goes as that opens, and comes as that closes."""
    pair = Pair(view=a_view(kind=AccountType.NETTED))
    pair.opens(stop=price("1.09"), target=price("1.12"))
    pair.answer()
    short = {"source": SourceKey("pzz"), "position": PositionId(999), "side": Side.SELL}
    pair.opens(LOT // 2, stop=price("1.12"), target=price("1.05"), **short)
    pair.answer()
    pair.passes(3_000_000)
    pair.answer()
    (held,) = pair.held.values()
    assert (held.volume, held.stop, held.target) == (LOT // 2, price("1.09001"), None)
    pair.closes(LOT // 2, **short)
    pair.answer()
    (held,) = pair.held.values()
    assert (held.volume, held.stop, held.target) == (LOT, price("1.09001"), price("1.12001"))


# --- the levels of a net that went flat and came again ----------------------------------------------------------------


def through_flat(pair: Netted, **first: object) -> None:
    """A sell of one lot with levels, a buy of as much that makes the account flat, and then the buy ends."""
    pair.opens_at(1, LOT, Side.SELL, **first)
    pair.answer()
    (held,) = pair.held.values()
    assert held.stop is not None
    pair.protects("1.13", source=key(1), position=PositionId(1), side=Side.SELL)
    pair.answer()
    pair.opens_at(2, LOT)
    pair.answer()
    assert pair.net == 0
    pair.ends(2, LOT)
    pair.answer()


def test_a_share_has_its_stop_again_once_its_net_stands_again() -> None:
    """At flat the broker drops the stop with the position; the new one gets it, although it was confirmed once."""
    pair = netted()
    through_flat(pair, stop=price("1.12"))
    (held,) = pair.held.values()
    assert (held.side, held.volume, held.stop) == (Side.SELL, LOT, pair.copy_levels(1))


def test_a_share_has_its_stop_again_where_a_reconcile_shows_its_new_net() -> None:
    """The same, where what was between was out of sight."""
    pair = netted()
    pair.opens_at(1, LOT, Side.SELL, stop=price("1.12"))
    pair.answer()
    pair.protects("1.13", source=key(1), position=PositionId(1), side=Side.SELL)
    pair.answer()
    (number,) = pair.held
    shown = pair.held.pop(number)
    new = PositionId(number + 1)
    pair.held[new] = replace(shown, position=new, stop=None, updated_ms=shown.updated_ms + 1)
    pair.fact(pair.reconciled())
    pair.answer()
    assert pair.held[new].stop == pair.copy_levels(1)


def test_a_share_has_its_stop_again_once_its_net_has_turned_back() -> None:
    """Where the position keeps its number when it turns, it loses its levels all the same."""
    pair = netted()
    pair.opens_at(1, LOT, Side.SELL, stop=price("1.12"))
    pair.answer()
    pair.protects("1.13", source=key(1), position=PositionId(1), side=Side.SELL)
    pair.answer()
    pair.opens_at(2, 2 * LOT)
    pair.answer()
    (number,) = pair.held
    pair.held[number] = replace(pair.held[number], stop=None, target=None)
    pair.ends(2, 2 * LOT)
    pair.answer()
    (held,) = pair.held.values()
    assert (held.side, held.volume, held.stop) == (Side.SELL, LOT, pair.copy_levels(1))


def test_levels_that_another_shares_took_the_place_of_are_asked_for_again_within_a_second() -> None:
    """Each share asks for the levels of their net, and one request leaves; a share that is left alone asks at once."""
    pair = netted()
    pair.opens_at(1, LOT, Side.SELL, stop=price("1.12"))
    pair.answer()
    pair.protects("1.13", source=key(1), position=PositionId(1), side=Side.SELL)
    for _ in range(5):
        (asked,) = pair.lose()
        pair.fact(IntentDropped(intent=asked.intent, reason="merged"))
        pair.passes(1_000_000)
    pair.answer()
    (held,) = pair.held.values()
    assert held.stop == pair.copy_levels(1)


def test_what_ended_with_its_position_is_not_taken_off_a_share_of_the_next() -> None:
    """Out of sight the net's stop was hit, and then a copied order filled into a new position: that one is whole."""
    pair = netted()
    pair.opens_at(1, LOT, Side.SELL, stop=price("1.12"))
    pair.answer()
    pair.order(side=Side.SELL, limit_price=price("1.11"), volume=Volume(2 * LOT))
    pair.answer()
    (resting,) = pair.resting
    (number,) = pair.held
    gone = pair.held.pop(number)
    pair.order_triggers(resting, at="1.11")
    (new,) = pair.held
    assert new != gone.position
    order = Order(
        order=resting,
        symbol=gone.symbol,
        side=Side.SELL,
        type=OrderType.LIMIT,
        volume=Volume(2 * LOT),
        status=OrderStatus.FILLED,
        executed_volume=Volume(2 * LOT),
        execution_price=price("1.11"),
        position=new,
        client_order_id=pair.sent[1].intent,
        label=pair.sent[1].command.label,
    )
    pair.fact(pair.reconciled(past_orders=(order,)))
    (share,) = pair.view.copies.values()
    assert (share.source, share.volume, share.target) == (order_source(OrderId(450)), 2 * LOT, 2 * LOT)
    assert pair.copy_of(key(1)).state is CopyState.CLOSED


@pytest.mark.parametrize("rules", [RULES, 10])
def test_what_a_person_took_out_of_sight_is_booked_though_an_order_rests(rules: int) -> None:
    """He has sold half of the net meanwhile. The look shows that the copied order has filled nothing: once it is told
    as quiet, the half is his, and a half that the leader closes is one of what is left."""
    pair = netted()
    pair.view = replace(pair.view, rules=rules)
    pair.opens_at(1, LOT)
    pair.answer()
    pair.order(side=Side.BUY, limit_price=price("1.05"))
    pair.answer()
    pair.fact(HealthChanged(health=Health.DOWN))
    (held,) = pair.held
    pair.close(held, LOT // 2)
    pair.fact(pair.reconciled())
    share = pair.copy_of(key(1))
    assert share is not None
    assert share.volume == LOT  # the look was not quiet: what has filled since may be in it
    pair.fact(replace(pair.reconciled(), quiet=True))
    pair.fact(HealthChanged(health=Health.RECONCILED))
    share = pair.copy_of(key(1))
    assert share is not None
    assert share.volume == (LOT // 2 if rules == RULES else LOT)
    pair.ends(1, LOT, LOT // 2)
    pair.answer()
    assert pair.net == (LOT // 4 if rules == RULES else 0)


@pytest.mark.parametrize("rules", [RULES, 6])
def test_levels_for_a_net_that_has_just_become_flat_are_no_trouble(rules: int) -> None:
    """Nothing is there to protect; the alert stayed for as long as the share did."""
    pair = Netted(view=replace(a_view(kind=AccountType.NETTED), rules=rules))
    pair.opens_at(500, LOT)
    pair.answer()
    pair.protects(stop="1.09")
    pair.refuse("POSITION_NOT_FOUND")
    assert bool(pair.copy.trouble) is (rules == 6)


@pytest.mark.parametrize("status", [OrderStatus.ACCEPTED, OrderStatus.FILLED])
def test_what_an_order_counts_without_its_deals_is_looked_up(status: OrderStatus) -> None:
    """The line was cut between two deals of an add, and its order is told with all it has filled: what the second deal
    brought was booked to nobody, and bought once more."""
    pair = netted()
    pair.opens_at(500, LOT)
    pair.answer()
    pair.grows(LOT, 4 * LOT)
    (add,) = pair.waiting
    events = pair.events_of(add, part=LOT)
    filled = next(event for event in events if isinstance(event, ExecutionSeen) and event.deal is not None)
    assert filled.order is not None
    part = replace(filled.order, status=OrderStatus.ACCEPTED, executed_volume=Volume(LOT))
    pair.fact(replace(filled, order=part))
    assert pair.copy.volume == 2 * LOT
    whole = replace(part, status=status, executed_volume=Volume(3 * LOT))
    pair.fact(ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=whole))
    assert add.intent in pair.view.intents
    (number,) = pair.held
    pair.held[number] = replace(pair.held[number], volume=Volume(4 * LOT))
    pair.fact(IntentOverdue(intent=add.intent, why="no answer"))
    pair.fact(pair.reconciled(looked_up=True, past_orders=(replace(whole, status=OrderStatus.FILLED),)))
    pair.wake()
    assert (pair.copy.volume, pair.view.intents, len(pair.sent)) == (4 * LOT, {}, 2)
