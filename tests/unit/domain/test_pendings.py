"""Pending orders: whatever fills first, late, twice or never, exactly one copy results."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import CopyState
from cmam.domain.events import CopyTouched, ExecutionSeen, IntentOverdue, SymbolSpecSeen
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId, PositionId, order_source
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.trades import ExecutionKind, OrderStatus, OrderType, TimeInForce, TriggerMethod
from tests.factories import LOT, Pair, a_quote, a_spec, a_view, price


def placed(settings: dict[str, str] | None = None, **change: object) -> Pair:
    """A copy of the leader's buy limit of one lot at 1.09 rests at the follower's broker."""
    pair = Pair(settings or {})
    pair.order(**change)
    pair.answer()
    return pair


def order_of(pair: Pair) -> OrderId:
    """The follower's resting order."""
    (number,) = pair.resting
    return number


def kinds(pair: Pair) -> list[str]:
    """What was asked of the broker, in order."""
    return [command.kind.value for command in pair.commands]


def exposure(pair: Pair) -> int:
    """What the follower's broker holds."""
    return sum(position.volume for position in pair.held.values())


# --- placing ------------------------------------------------------------------------------------------------------


def test_a_pending_is_placed_as_it_is_with_levels_as_distances() -> None:
    """A buy limit at 1.09 with its stop 50 pips away rests here at 1.09 with 50 pips."""
    pair = placed({"volume.amount": "0.5"}, relative_stop=price("0.005"), stop=price("1.085"))
    command = pair.commands[0]
    assert (command.kind, command.order_type) == (CommandKind.PLACE, OrderType.LIMIT)
    assert (command.limit_price, command.volume, command.relative_stop) == (price("1.09"), LOT // 2, price("0.005"))
    assert pair.copy.state is CopyState.RESTING
    assert pair.intent() == "cm1.st0re.l1nk01.oci.1"


@pytest.mark.parametrize(
    ("quotes", "wanted"),
    [(("1.10299", "1.10301"), "1.093"), (("1.10000", "1.10002"), "1.09")],
)
def test_the_price_moves_by_the_brokers_difference_only_above_both_spreads(
    quotes: tuple[str, str], wanted: str
) -> None:
    """We quote 30 pips higher, far more than a spread: 1.093; 0.1 pip is less than a spread: 1.09."""
    pair = Pair()
    pair.quotes["EURUSD"] = quotes
    pair.order(quote=a_quote("1.09999", "1.10001"))
    assert pair.commands[0].limit_price == price(wanted)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"limit_price": price("1.10001")}, Reason.WOULD_FILL),
        ({"origin_type": OrderType.STOP, "limit_price": None, "stop_price": price("1.10001")}, Reason.WOULD_FILL),
        ({"expires_ms": 1_600_000_005_000, "time_in_force": TimeInForce.GTD}, Reason.EXPIRED),
    ],
)
def test_what_would_fill_or_expire_at_once_is_not_placed(change: dict[str, object], reason: Reason) -> None:
    """The ask is 1.10001; the test's broker clock stands at 1,600,000,000,000 ms."""
    assert Pair().order(**change).reason is reason


def test_an_order_at_limited_risk_rests_as_long_as_its_stop_may_be_guaranteed() -> None:
    """It is placed where stops may be, not where they may not, and ends as its leader's is amended afterwards."""
    pair = Pair(view=a_view((a_spec(guaranteed_stops=False),), limited_risk=True))
    assert pair.order(relative_stop=price("0.005")).reason is Reason.NO_GUARANTEED_STOP
    pair = Pair(view=a_view((a_spec(guaranteed_stops=True),), limited_risk=True))
    pair.order(relative_stop=price("0.005"))
    pair.answer()
    pair.fact(SymbolSpecSeen(spec=a_spec(guaranteed_stops=False)))
    assert len(pair.resting) == 1
    amended = pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.08"), relative_stop=price("0.005"))
    assert amended.reason is Reason.NO_GUARANTEED_STOP
    pair.answer()
    assert pair.resting == {}


def test_expiry_is_the_leaders_instant_or_a_longest_life() -> None:
    """GTD keeps its instant; with `pending_max_life` a GTC copy dies after an hour."""
    pair = placed(expires_ms=1_600_000_600_000, time_in_force=TimeInForce.GTD)
    assert pair.commands[0].expires_ms == 1_600_000_600_000
    limited = placed({"pending_max_life": "1h"})
    assert limited.commands[0].expires_ms == 1_600_003_600_000
    without = placed({"copy_expiry": "off"}, expires_ms=1_600_000_600_000, time_in_force=TimeInForce.GTD)
    assert without.commands[0].time_in_force is TimeInForce.GTC


def test_the_longest_life_counts_from_the_placing() -> None:
    """An hour, amended after 20 minutes and again four seconds before its end: the same instant, then no order."""
    pair = placed({"pending_max_life": "1h"})
    (first,) = pair.resting.values()
    pair.passes(20 * 60_000_000)
    pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.08"))
    pair.answer()
    (amended,) = pair.resting.values()
    assert (amended.limit_price, amended.expires_ms) == (price("1.08"), first.expires_ms)
    pair.passes(40 * 60_000_000 - 4_000_000)
    assert pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.07")).reason is Reason.EXPIRED
    pair.answer()
    assert pair.resting == {}


def test_reversed_a_limit_becomes_a_stop_at_the_same_price() -> None:
    """A buy limit at 1.09 becomes a sell stop at 1.09; a stop-limit cannot be reversed."""
    pair = Pair({"reverse": "on", "reverse_without_stop": "on"})
    pair.order()
    command = pair.commands[0]
    assert (command.side, command.order_type, command.stop_price) == (Side.SELL, OrderType.STOP, price("1.09"))
    found = Pair(pair.settings).order(origin_type=OrderType.STOP_LIMIT, limit_price=None, stop_price=price("1.2"))
    assert found.reason is Reason.ORDER_TYPE_EXCLUDED


# --- amending, cancelling, expiring -----------------------------------------------------------------------------------


def test_an_amendment_is_complete() -> None:
    """Price, volume, levels and expiry go out together: what is not sent would be cleared."""
    pair = placed({"volume.amount": "0.5"}, relative_stop=price("0.005"))
    pair.order(
        ChangeKind.ORDER_AMENDED, limit_price=price("1.08"), volume=Volume(2 * LOT), relative_stop=price("0.005"),
        expires_ms=1_600_000_900_000, time_in_force=TimeInForce.GTD,
    )  # fmt: skip
    command = pair.commands[-1]
    assert command.kind is CommandKind.AMEND_ORDER
    assert (command.limit_price, command.volume, command.relative_stop) == (price("1.08"), LOT, price("0.005"))
    assert command.expires_ms == 1_600_000_900_000
    pair.answer()
    assert len(pair.sent) == 2


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        (OrderType.STOP, {}, {"trigger": TriggerMethod.OPPOSITE}),
        (OrderType.STOP, {"trigger": TriggerMethod.DOUBLE_TRADE}, {"trigger": TriggerMethod.TRADE}),
        (OrderType.STOP_LIMIT, {"slippage_points": 10}, {"slippage_points": 25}),
    ],
)
def test_how_an_order_is_triggered_and_its_range_are_amended_with_it(
    kind: OrderType, before: dict[str, object], after: dict[str, object]
) -> None:
    """The leader changes nothing else: that is asked for once, and a person who sets it back is respected."""
    rests = {"origin_type": kind, "limit_price": None, "stop_price": price("1.11")}
    pair = placed(None, **rests, **before)
    assert pair.order(ChangeKind.ORDER_AMENDED, **rests, **after).verdict is Verdict.COPY
    number, was = order_of(pair), pair.resting[order_of(pair)]
    pair.answer()
    assert all(getattr(pair.resting[number], name) == value for name, value in after.items())
    pair.passes(5_000_000)
    for shown in (pair.resting[number], replace(was, updated_ms=pair.now_us // 1_000)):
        pair.resting[number] = shown
        pair.fact(pair.reconciled())
    assert kinds(pair) == ["place", "amend_order"]
    assert [event.what for event, _ in pair.said if isinstance(event, CopyTouched)] == ["order"]


def test_an_order_that_shrinks_and_grows_again_is_what_it_was() -> None:
    """0.03 of his 1.0 lot, 0.015 → 0.01 of his half, and 0.03 again of the whole: rounded once, not twice."""
    pair = placed({"volume.amount": "0.03"})
    asked = []
    for volume in (LOT // 2, LOT):
        pair.order(ChangeKind.ORDER_AMENDED, volume=Volume(volume))
        pair.answer()
        asked.append(pair.commands[-1].volume)
    assert asked == [100_000, 300_000]
    pair.hears(pair.order_triggers(order_of(pair)))
    pair.order_fills()
    pair.passes(3_000_000)
    assert (exposure(pair), pair.copy.target, pair.waiting) == (300_000, 300_000, [])


def test_an_order_that_is_as_large_as_its_link_allows_grows_no_further() -> None:
    """One lot is the most: the leader doubles his order and moves it, ours is moved."""
    pair = placed({"volume.max": "1", "margin_reserve": "off"})
    pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.08"), volume=Volume(2 * LOT))
    assert (pair.commands[-1].limit_price, pair.commands[-1].volume) == (price("1.08"), LOT)


@pytest.mark.parametrize(("rules", "volume"), [(10, LOT), (RULES, LOT // 2)])
def test_an_order_is_amended_to_no_more_than_its_symbol_allows_by_now(rules: int, volume: int) -> None:
    """The broker has halved the most: that amendment was refused without end, and the order stayed where his was."""
    pair = placed()
    pair.view = replace(pair.view, rules=rules)
    pair.fact(SymbolSpecSeen(spec=a_spec(max_volume=LOT // 2)))
    pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.08"))
    assert (pair.commands[-1].limit_price, pair.commands[-1].volume) == (price("1.08"), volume)


def test_an_amendment_that_cannot_rest_cancels() -> None:
    """At the new price it would fill at once here, or it expires now: it goes."""
    pair = placed()
    found = pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.2"))
    assert (found.verdict, found.reason) == (Verdict.COPY, Reason.WOULD_FILL)
    pair.answer()
    assert kinds(pair) == ["place", "cancel"]
    assert pair.copy.state is CopyState.CANCELLED


def test_a_larger_volume_passes_the_gates_of_an_open() -> None:
    """Paused: the price follows, the volume does not grow."""
    from cmam.domain.events import Standing

    pair = placed()
    change = pair.change(
        ChangeKind.ORDER_AMENDED, source=order_source(OrderId(450)), order=OrderId(450), origin=OrderId(450),
        origin_type=OrderType.LIMIT, limit_price=price("1.08"), volume=Volume(2 * LOT), price=None, position=None,
    )  # fmt: skip
    pair.tell(change, standing=Standing.PAUSED)
    assert (pair.commands[-1].limit_price, pair.commands[-1].volume) == (price("1.08"), LOT)


@pytest.mark.parametrize("kind", [ChangeKind.ORDER_CANCELLED, ChangeKind.ORDER_EXPIRED])
def test_a_cancel_or_expiry_of_the_leader_cancels_the_copy(kind: ChangeKind) -> None:
    """Also where the copy's own expiry is off."""
    pair = placed({"copy_expiry": "off"})
    pair.order(kind)
    assert kinds(pair) == ["place", "cancel"]
    pair.answer()
    assert (pair.copy.state.is_end, pair.resting) == (True, {})


def test_a_cancel_before_the_order_has_left_withdraws_it() -> None:
    """Not sent yet: none(source_gone), taken back, ended."""
    from cmam.domain.turns.turn import withdrawn

    pair = Pair()
    pair.order()
    assert pair.order(ChangeKind.ORDER_CANCELLED).reason is Reason.SOURCE_GONE
    assert withdrawn(pair.view) == (pair.intent(),)
    pair.drop()
    assert pair.copy.state is CopyState.CANCELLED


def test_a_cancel_while_the_order_is_on_its_way_follows_it() -> None:
    """Sent and unanswered: as soon as it is seen to rest, it is cancelled."""
    pair = Pair()
    pair.order()
    pair.send()
    pair.order(ChangeKind.ORDER_CANCELLED)
    pair.answer()
    assert kinds(pair) == ["place", "cancel"]
    assert pair.resting == {}


def test_a_person_who_cancels_the_copy_finishes_it() -> None:
    """Respected: the leader's fill then opens nothing."""
    pair = placed()
    pair.hears(pair.order_ends(order_of(pair), OrderStatus.CANCELLED))
    assert pair.copy.reason is Reason.CLOSED_BY_HUMAN
    assert pair.order_fills().reason is Reason.COPY_FINISHED
    assert exposure(pair) == 0


# --- fills --------------------------------------------------------------------------------------------------------


def test_both_fill_the_leader_first() -> None:
    """Within the grace our own order fills: one copy, nothing is cancelled, nothing goes to market."""
    pair = placed()
    pair.order_fills()
    pair.passes(1_000_000)
    pair.hears(pair.order_triggers(order_of(pair)))
    pair.passes(10_000_000)
    assert kinds(pair) == ["place"]
    assert (exposure(pair), pair.copy.state) == (LOT, CopyState.OPEN)


def test_the_leader_fills_and_our_order_does_not() -> None:
    """After the grace it is cancelled; only its final cancel with nothing filled lets a market copy go."""
    pair = placed()
    pair.order_fills(stop=price("1.085"))
    pair.passes(1_999_999)
    assert kinds(pair) == ["place"]
    pair.passes(1)
    assert kinds(pair) == ["place", "cancel"]
    pair.wake()
    assert kinds(pair) == ["place", "cancel"]
    pair.answer()
    pair.wake()
    assert kinds(pair) == ["place", "cancel", "open"]
    assert pair.commands[-1].relative_stop == price("1.10001") - price("1.085")
    pair.answer()
    assert (exposure(pair), pair.copy.state) == (LOT, CopyState.OPEN)


def test_what_the_leader_closes_while_his_fill_waits_for_a_better_price_is_over_at_once() -> None:
    """Ours has ended unfilled and nothing went to market yet: the copy ends with its source, not when the wait does."""
    pair = placed(settings={"wait_for_better": "50"})
    pair.order_fills()
    pair.passes(2_000_000)
    pair.answer()
    pair.wake()
    assert (kinds(pair), pair.copy.state.is_end) == (["place", "cancel"], False)
    pair.closes()
    assert (kinds(pair), pair.copy.state.is_end) == (["place", "cancel"], True)


def test_our_order_fills_while_its_cancel_is_on_the_way() -> None:
    """The cancel finds nothing: the fill is the copy, and no second one goes out."""
    pair = placed()
    number = order_of(pair)
    pair.order_fills()
    pair.passes(2_000_000)
    pair.hears(pair.order_triggers(number))
    pair.refuse("ORDER_NOT_FOUND")
    pair.passes(5_000_000)
    assert kinds(pair) == ["place", "cancel"]
    assert (exposure(pair), pair.copy.state) == (LOT, CopyState.OPEN)


def test_a_cancel_that_is_refused_by_an_execution_is_asked_for_again() -> None:
    """ORDER_CANCEL_REJECTED answers the cancel, not the order: the copy rests on, and the cancel follows later."""
    pair = placed()
    order = pair.resting[order_of(pair)]
    pair.order(ChangeKind.ORDER_CANCELLED)
    (cancel,) = pair.waiting
    refused = ExecutionSeen(
        kind=ExecutionKind.ORDER_CANCEL_REJECTED,
        order=order,
        error_code="UNABLE_TO_CANCEL_ORDER",
        client_msg_id=cancel.intent,
    )
    pair.fact(refused)
    assert (pair.copy.order, pair.copy.state.is_end, pair.view.intents) == (order.order, False, {})
    pair.passes(1_000_001)
    assert [command.kind for command in pair.commands][-2:] == [CommandKind.CANCEL, CommandKind.CANCEL]


def test_a_persons_refused_cancel_of_our_order_on_its_way_says_nothing_of_it() -> None:
    """Somebody else tries to cancel our market order under execution: its fill is the copy all the same."""
    pair = Pair()
    pair.opens()
    (intent,) = pair.waiting
    *_, filled = pair.events_of(intent)
    assert isinstance(filled, ExecutionSeen)
    pair.fact(ExecutionSeen(kind=ExecutionKind.ORDER_CANCEL_REJECTED, order=filled.order, error_code="X"))
    assert list(pair.view.intents) == [intent.intent]
    pair.fact(filled)
    assert (pair.copy.state, pair.copy.volume) == (CopyState.OPEN, LOT)


def test_a_cancel_without_an_answer_sends_nothing_to_market() -> None:
    """An unknown outcome: nothing until the broker shows what became of the order."""
    pair = placed({"max_age": "10m"})
    number = order_of(pair)
    pair.order_fills()
    pair.passes(2_000_000)
    pair.send()
    pair.lose()
    pair.fact(IntentOverdue(intent=pair.intent(), why="cut"))
    pair.passes(20_000_000)
    assert kinds(pair) == ["place", "cancel"]
    order = pair.resting.pop(number)
    from dataclasses import replace

    ended = replace(order, status=OrderStatus.CANCELLED, updated_ms=pair.now_us // 1_000)
    pair.fact(pair.reconciled(looked_up=True, past_orders=(ended,)))
    pair.wake()
    assert kinds(pair) == ["place", "cancel", "open"]


def test_a_part_that_filled_before_the_cancel_is_completed_by_an_add() -> None:
    """0.4 of 1.0 filled, the rest cancelled after the grace: the difference of 0.6 is added to the position."""
    pair = placed()
    number = order_of(pair)
    pair.order_fills()
    pair.hears(pair.order_triggers(number, volume=4_000_000))
    pair.passes(2_000_000)
    assert kinds(pair) == ["place", "cancel"]
    pair.answer()
    pair.wake()
    assert (pair.commands[-1].kind, pair.commands[-1].volume) == (CommandKind.ADD, 6_000_000)
    pair.answer()
    assert exposure(pair) == LOT


def test_our_order_fills_first_and_the_leaders_follows() -> None:
    """Held as ahead; then it is simply the copy, with its shift from the two fills."""
    pair = placed()
    pair.hears(pair.order_triggers(order_of(pair), at="1.09003"))
    assert pair.copy.ahead_since_us > 0
    pair.passes(30_000_000)
    pair.order_fills(stop=price("1.085"))
    pair.answer()
    assert pair.copy.goal.shift == price("0.00003")
    pair.passes(120_000_000)
    assert (exposure(pair), pair.copy.state, kinds(pair)[0]) == (LOT, CopyState.OPEN, "place")
    assert "close" not in kinds(pair)
    (held,) = pair.held.values()
    assert held.stop == price("1.08503")


def test_the_stop_that_a_filled_order_carried_is_awaited_and_nobody_elses() -> None:
    """Ours fills, and his is told before our broker has set the stop of 1.08503: it is not asked for a second time.

    Nor is it taken for a person's, which only a tighter one would replace: his wider 1.08 is 1.08003 here.
    """
    pair = placed(relative_stop=price("0.005"), stop=price("1.085"))
    fill, protection = pair.order_triggers(order_of(pair), at="1.09003")
    pair.fact(fill)
    pair.order_fills(stop=price("1.085"))
    assert kinds(pair) == ["place"]
    pair.fact(protection)
    assert (kinds(pair), pair.copy.pinned_stop) == (["place"], None)
    pair.protects(stop="1.08")
    assert pair.commands[-1].stop == price("1.08003")


def test_a_stop_that_the_broker_sets_late_is_its_own() -> None:
    """We are ahead and 3 s pass before the broker sets what the order carried; then his wider stop is followed."""
    pair = placed(relative_stop=price("0.005"), stop=price("1.085"))
    fill, protection = pair.order_triggers(order_of(pair), at="1.09003")
    pair.fact(fill)
    pair.passes(3_000_000)
    pair.fact(protection)
    assert (kinds(pair), pair.copy.pinned_stop) == (["place"], None)
    pair.order_fills(stop=price("1.08"))
    assert pair.commands[-1].stop == price("1.08003")


def test_a_stop_that_never_comes_is_asked_for() -> None:
    """Two seconds after both fills the position still has none."""
    pair = placed(relative_stop=price("0.005"), stop=price("1.085"))
    fill, _ = pair.order_triggers(order_of(pair), at="1.09003")
    pair.fact(fill)
    pair.order_fills(stop=price("1.085"))
    (held,) = pair.held.values()
    pair.held[held.position] = replace(held, stop=None)
    pair.passes(1_999_999)
    assert kinds(pair) == ["place"]
    pair.passes(1)
    assert (kinds(pair)[-1], pair.commands[-1].stop) == ("amend_protection", price("1.08503"))


def test_a_copy_that_stays_ahead_is_closed_when_its_time_is_over() -> None:
    """60 s without the leader's fill: closed, and his late fill opens nothing a second time."""
    pair = placed()
    pair.hears(pair.order_triggers(order_of(pair)))
    pair.passes(59_999_999)
    assert kinds(pair) == ["place"]
    pair.passes(1)
    assert kinds(pair) == ["place", "close"]
    pair.answer()
    assert (pair.copy.reason, exposure(pair)) == (Reason.AHEAD, 0)


@pytest.mark.parametrize("kind", [ChangeKind.ORDER_CANCELLED, ChangeKind.ORDER_EXPIRED])
def test_a_copy_that_is_ahead_of_a_cancelled_order_is_closed(kind: ChangeKind) -> None:
    """The leader will never hold it."""
    pair = placed()
    pair.hears(pair.order_triggers(order_of(pair)))
    pair.order(kind)
    assert kinds(pair) == ["place", "close"]


def test_a_partial_fill_of_the_leader_is_the_same_fraction() -> None:
    """0.4 of his 1.0 fill and the rest is cancelled: of our 0.5 that filled whole, 0.2 stay."""
    pair = placed({"volume.amount": "0.5"})
    pair.hears(pair.order_triggers(order_of(pair)))
    pair.order_fills(4_000_000)
    assert pair.copy.target == 2_000_000
    assert kinds(pair) == ["place"]
    pair.order(ChangeKind.ORDER_CANCELLED)
    pair.answer()
    assert exposure(pair) == 2_000_000


def test_further_fills_of_the_leaders_order_raise_the_fraction() -> None:
    """0.4, then all of it: the target is the whole again, and nothing was closed in between."""
    pair = placed({"volume.amount": "0.5"})
    pair.hears(pair.order_triggers(order_of(pair)))
    pair.order_fills(4_000_000)
    pair.grows(4_000_000, LOT, origin=OrderId(450), origin_type=OrderType.LIMIT, is_opening=True, price=price("1.09"))
    pair.passes(120_000_000)
    assert (pair.copy.target, exposure(pair), kinds(pair)) == (5_000_000, 5_000_000, ["place"])


def test_the_leaders_position_and_our_order_are_one_chain() -> None:
    """After the fill his position's levels, parts and close reach the copy of his order."""
    pair = placed()
    pair.order_fills()
    pair.hears(pair.order_triggers(order_of(pair)))
    pair.protects(stop="1.08", price=price("1.09"))
    pair.answer()
    pair.reduces(LOT, LOT // 2)
    pair.answer()
    assert exposure(pair) == LOT // 2
    pair.closes(LOT // 2)
    pair.answer()
    assert (exposure(pair), pair.copy.reason) == (0, Reason.CLOSED_BY_LEADER)


def test_a_fill_told_twice_gives_one_copy() -> None:
    """The same event again, also after the end, changes nothing."""
    pair = placed()
    events = pair.order_triggers(order_of(pair))
    pair.order_fills()
    pair.hears(events + events)
    assert exposure(pair) == pair.copy.volume == LOT
    pair.passes(1_000)
    pair.closes()
    pair.answer()
    pair.hears(events)
    assert pair.view.copies == {}
    assert pair.view.positions == {}


def test_a_fill_that_only_the_reconcile_shows_is_the_copy() -> None:
    """We were away while our order filled: its position carries our label."""
    pair = placed()
    number = order_of(pair)
    pair.order_triggers(number)
    pair.fact(pair.reconciled())
    assert (pair.copy.state, pair.copy.volume) == (CopyState.OPEN, LOT)
    pair.order_fills()
    pair.passes(120_000_000)
    assert kinds(pair) == ["place"]


def test_the_leader_closes_before_our_order_has_filled() -> None:
    """Filled and closed there while ours still rests: it is cancelled and never goes to market."""
    pair = placed()
    pair.order_fills()
    pair.closes(price=price("1.1"))
    pair.answer()
    pair.passes(10_000_000)
    assert kinds(pair) == ["place", "cancel"]
    assert exposure(pair) == 0


def test_a_pending_that_was_skipped_is_opened_by_its_fill_through_all_gates() -> None:
    """It would have filled at once here, so it never rested; the fill is an open like any other."""
    pair = Pair()
    assert pair.order(limit_price=price("1.2")).reason is Reason.WOULD_FILL
    assert pair.order_fills().verdict is Verdict.COPY
    pair.answer()
    assert exposure(pair) == LOT


def test_a_pending_that_the_broker_refused_is_opened_by_its_fill() -> None:
    """Refused means nothing rests: the leader's fill is copied at the market."""
    pair = Pair()
    pair.order()
    pair.refuse("TRADING_BAD_EXPIRATION_DATE")
    assert pair.copy.state is CopyState.REFUSED
    assert pair.order_fills().verdict is Verdict.COPY


def test_a_paused_link_sends_nothing_to_market_after_the_grace() -> None:
    """The cancel goes on; the market copy is an open and meets the gate."""
    from cmam.domain.events import Standing
    from tests.factories import some_settings

    pair = placed()
    pair.order_fills()
    pair.link = some_settings({}, standing=Standing.PAUSED)
    pair.passes(2_000_000)
    pair.answer()
    pair.wake()
    assert kinds(pair) == ["place", "cancel"]
    assert pair.copy.reason is Reason.PAUSED
    assert PositionId(500) == pair.copy.leader_position


def test_a_correctable_refusal_is_placed_anew_once_and_never_goes_to_market() -> None:
    """TRADING_BAD_PRICES: a second later it passes all gates again, as the pending order that it is."""
    pair = Pair()
    pair.order()
    pair.refuse("TRADING_BAD_PRICES")
    pair.passes(1_000_000)
    assert kinds(pair) == ["place", "place"]
    pair.answer()
    assert (pair.copy.state, exposure(pair)) == (CopyState.RESTING, 0)


def test_what_rests_is_cancelled_at_the_end_of_the_hours_unless_kept() -> None:
    """The test begins on Sunday 12:26 UTC; the hours end at 13:00."""
    for settings, asked in (({}, ["place", "cancel"]), ({"pending_outside": "keep"}, ["place"])):
        pair = placed({"hours": "12:00-13:00", **settings})
        assert kinds(pair) == ["place"]
        pair.passes(33 * 60_000_000)
        pair.passes(60_000_000)
        assert kinds(pair) == asked
        if "cancel" in asked:
            pair.answer()
            assert pair.copy.reason is Reason.OUTSIDE_HOURS


def test_a_broker_that_does_not_take_an_expiry_by_amendment_gets_a_new_order() -> None:
    """GTC to GTD: amended, read back without it, cancelled, placed anew under the same chain: one order rests."""
    pair = placed()
    pair.order(ChangeKind.ORDER_AMENDED, expires_ms=1_600_000_900_000, time_in_force=TimeInForce.GTD)
    from dataclasses import replace

    from cmam.domain.events import ExecutionSeen
    from cmam.domain.values.trades import ExecutionKind

    (intent,) = pair.lose()
    order = replace(pair.resting[order_of(pair)], updated_ms=pair.now_us // 1_000)
    pair.fact(ExecutionSeen(kind=ExecutionKind.ORDER_REPLACED, order=order, client_msg_id=intent.intent))
    assert kinds(pair) == ["place", "amend_order", "cancel"]
    pair.answer()
    assert kinds(pair) == ["place", "amend_order", "cancel", "place"]
    assert pair.commands[-1].expires_ms == 1_600_000_900_000
    (order,) = pair.resting.values()
    assert (order.expires_ms, pair.copy.state) == (1_600_000_900_000, CopyState.RESTING)


def test_a_broker_that_reports_an_order_otherwise_is_not_asked_without_end() -> None:
    """It took the order and shows no levels of it: one amendment at most, never a loop."""
    pair = Pair()
    pair.order(relative_stop=price("0.005"))
    from dataclasses import replace

    (intent,) = pair.lose()
    events = pair.events_of(intent)
    bare = replace(events[0].order, relative_stop=None)
    pair.resting[bare.order] = bare
    pair.hears([replace(events[0], order=bare)])
    pair.answer()
    pair.passes(60_000_000)
    assert kinds(pair) == ["place"]


def test_a_fill_without_its_deal_is_a_fill() -> None:
    """The event carries the filled order and the position only: the copy is joined all the same, and stays one."""
    from dataclasses import replace

    for pair in (placed(), Pair()):
        if pair.resting:
            events = pair.order_triggers(order_of(pair))
        else:
            pair.opens()
            (intent,) = pair.lose()
            events = pair.events_of(intent)
        pair.hears([replace(event, deal=None) for event in events])
        assert (pair.copy.state, pair.copy.volume) == (CopyState.OPEN, LOT)
        pair.passes(1_000)
        assert pair.waiting == []


def test_after_a_whole_fill_nothing_of_the_grace_is_left() -> None:
    """Leader first, then ours: no second look, no cancel, no wait stands."""
    pair = placed()
    pair.order_fills()
    pair.hears(pair.order_triggers(order_of(pair)))
    assert pair.copy.wait is None
    pair.passes(60_000_000)
    assert kinds(pair) == ["place"]


def test_an_order_that_is_told_twice_rests_once() -> None:
    """Found by a reconcile under another key while its copy rests, and once more when that has ended."""
    pair = Pair()
    pair.order()
    pair.answer()
    assert pair.order(synced=True).reason is Reason.DUPLICATE
    (resting,) = pair.resting
    pair.hears(pair.order_ends(resting, OrderStatus.CANCELLED))
    assert pair.order(synced=True).reason is Reason.DUPLICATE
    assert len(pair.sent) == 1
