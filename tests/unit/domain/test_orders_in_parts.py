"""Pending orders that fill in parts, on either side: what follows, what is amended, what ends, what nobody makes up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmam.domain.events import (
    CopiesReleased,
    CopyTouched,
    Event,
    ExecutionSeen,
    GuardTripped,
    Health,
    HealthChanged,
    IntentOverdue,
    RulesBegan,
)
from cmam.domain.profiles.choices import Reaction
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import OrderId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.resting import AHEAD_AS_OPENED
from cmam.domain.values.trades import AccountType, ExecutionKind, OrderStatus, OrderType, TimeInForce
from tests.factories import LINK, LOT, Pair, a_spec, a_view, price
from tests.unit.domain.test_levels import levels
from tests.unit.domain.test_pendings import exposure, kinds, order_of, placed

PART = LOT * 4 // 10


def half(filled: int | None = None, **settings: str) -> Pair:
    """A copy of half a lot rests; `filled` of it has filled, ahead of the leader's order."""
    pair = placed({"volume.amount": "0.5", **settings})
    if filled is not None:
        pair.hears(pair.order_triggers(order_of(pair), volume=filled))
        pair.passes(1_000)
    return pair


def fills_on(pair: Pair, before: int = PART, after: int = LOT, **more: object) -> Verdict:
    """The leader's order fills on."""
    opening = {"origin": OrderId(450), "origin_type": OrderType.LIMIT, "is_opening": True, "price": price("1.09")}
    return pair.grows(before, after, **{**opening, **more}).verdict


def settles(pair: Pair) -> None:
    """The grace passes, and all that is asked is answered."""
    for _ in range(3):
        pair.answer()
        pair.passes(1_100_000)
    pair.answer()


# --- the leader's order fills on when ours is over --------------------------------------------------------------------


def test_what_the_leaders_order_fills_after_a_market_copy_is_added() -> None:
    """0.4 of his 1.0, and our order is met by the market with 0.2; when his rest fills, 0.3 are added, none closed."""
    pair = half()
    pair.order_fills(PART)
    settles(pair)
    assert (kinds(pair), exposure(pair)) == (["place", "cancel", "open"], 2_000_000)
    assert fills_on(pair) is Verdict.COPY
    settles(pair)
    assert (kinds(pair)[3:], exposure(pair), pair.copy.target) == (["add"], 5_000_000, 5_000_000)


def test_what_the_leaders_order_fills_after_a_part_of_ours_is_added() -> None:
    """Of ours 0.1 had filled as the grace ended: 0.1 were added for his 0.4, and 0.3 are for the rest of his."""
    pair = half(1_000_000)
    pair.order_fills(PART)
    settles(pair)
    assert exposure(pair) == 2_000_000
    fills_on(pair)
    settles(pair)
    assert (kinds(pair)[2:], exposure(pair)) == (["add", "add"], 5_000_000)


def test_a_market_copy_on_its_way_grows_once_it_has_filled() -> None:
    """His rest fills while our market order is out: it is no reason to take that back."""
    pair = half()
    pair.order_fills(PART)
    pair.passes(2_000_000)
    pair.answer()
    pair.passes(1_000)
    (waiting,) = pair.waiting
    fills_on(pair)
    assert [command.volume for command in pair.commands if command.kind.value == "open"] == [2_000_000]
    pair.hears(pair.events_of(pair.lose()[0]))
    settles(pair)
    assert (waiting.command.volume, kinds(pair)[2:], exposure(pair)) == (2_000_000, ["open", "add"], 5_000_000)


def test_ours_that_fills_whole_after_a_part_of_his_is_ahead_of_him() -> None:
    """0.4 of his, then all of ours in the grace: nothing is closed while his order is out, and all is as it ends."""
    for ends in (False, True):
        pair = half()
        pair.order_fills(PART)
        pair.hears(pair.order_triggers(order_of(pair)))
        settles(pair)
        assert (kinds(pair), exposure(pair)) == (["place"], 5_000_000)
        if ends:
            pair.order(ChangeKind.ORDER_CANCELLED)
        else:
            fills_on(pair)
        settles(pair)
        assert exposure(pair) == (2_000_000 if ends else 5_000_000)
    pair = half()
    pair.order_fills(PART)
    pair.hears(pair.order_triggers(order_of(pair)))
    pair.passes(60_000_000)
    settles(pair)
    assert exposure(pair) == 2_000_000


@pytest.mark.parametrize(("rules", "held"), [(RULES, PART // 2), (9, LOT // 2)])
def test_what_he_closes_of_an_order_that_has_filled_whole_is_closed_as_ours_fills(rules: int, held: int) -> None:
    """He closes 0.6 of his lot before our half has filled: it comes to 0.2 at once, and waits for no more of his order.

    By older rules his order passed for one of which a part still rests, and all of ours was held for a minute.
    """
    pair = half()
    pair.view = replace(pair.view, rules=rules)
    pair.order_fills()
    pair.reduces(LOT, PART)
    pair.hears(pair.order_triggers(order_of(pair)))
    pair.answer()
    assert pair.copy.volume == held
    pair.passes(61_000_000)
    pair.answer()
    assert pair.copy.volume == PART // 2


@pytest.mark.parametrize(("rules", "held"), [(RULES, LOT * 4 // 10), (9, LOT // 2)])
def test_an_order_of_which_he_has_closed_a_part_in_between_is_filled_whole_all_the_same(rules: int, held: int) -> None:
    """0.4 of his lot fills and he closes 0.2 of them; our half is ahead until the other 0.6 fill, then it is 0.4."""
    pair = half()
    pair.view = replace(pair.view, rules=rules)
    pair.order_fills(PART)
    pair.hears(pair.order_triggers(order_of(pair)))
    pair.reduces(PART, PART // 2)
    pair.answer()
    assert pair.copy.volume == LOT // 2
    fills_on(pair, PART // 2, LOT * 8 // 10)
    pair.answer()
    assert pair.copy.volume == held


@pytest.mark.parametrize(
    ("rules", "scale_in", "held"), [(RULES, "on", 8_000_000), (RULES, "off", 5_000_000), (9, "on", 5_000_000)]
)
def test_what_he_adds_while_his_order_fills_in_parts_is_no_part_of_it(rules: int, scale_in: str, held: int) -> None:
    """0.4 of his lot fills, he buys 0.6 at the market, and the order's other 0.6 fill: 1.6 are 0.8 of ours, or 0.5
    where adds are not copied. By older rules never more than the order had was held, whatever he had added."""
    pair = half(scale_in=scale_in)
    pair.view = replace(pair.view, rules=rules)
    pair.order_fills(PART)
    pair.hears(pair.order_triggers(order_of(pair)))
    settles(pair)
    pair.grows(PART, LOT)
    settles(pair)
    assert exposure(pair) == 5_000_000
    fills_on(pair, LOT, LOT * 16 // 10)
    settles(pair)
    assert (exposure(pair), pair.copy.target) == (held, held)


def test_further_fills_pass_the_gates_of_an_add() -> None:
    """The link is locked out meanwhile: what is there stays, nothing is added, and his half is then half of it."""
    pair = half()
    pair.order_fills(PART)
    settles(pair)
    pair.fact(GuardTripped(link=LINK, guard="daily_loss", reaction=Reaction.OPEN_ONLY_OFF.value))
    fills_on(pair)
    settles(pair)
    assert (kinds(pair), exposure(pair), pair.copy.target) == (["place", "cancel", "open"], 2_000_000, 2_000_000)


def test_the_shift_stays_that_of_the_first_fills() -> None:
    """Filled ahead at 1.0901, his at 1.09 and then at 1.0896: his stop of 1.08 is 1.0801 here, before and after."""
    pair = half()
    pair.hears(pair.order_triggers(order_of(pair), at="1.0901"))
    pair.passes(3_000_000)
    pair.order_fills(PART, stop=price("1.08"))
    pair.answer()
    assert levels(pair)[0] == price("1.0801")
    fills_on(pair, price=price("1.0896"), stop=price("1.08"))
    pair.answer()
    assert (levels(pair)[0], pair.copy.goal.shift) == (price("1.0801"), price("0.0001"))


def test_a_copy_that_is_being_closed_is_not_revived_by_a_fill() -> None:
    """Ahead for too long and its close refused: the late fill of his order does not forget that."""
    pair = half(5_000_000)
    pair.passes(60_000_000)
    pair.refuse("MARKET_CLOSED", temporary=True)
    assert pair.order_fills().reason is Reason.COPY_FINISHED
    settles(pair)
    assert exposure(pair) == 0


# --- nothing of ours has ever rested ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["correctable", "temporary", "dropped", "quotes"])
def test_a_fill_whose_order_never_rested_is_an_open(how: str) -> None:
    """It was to be placed a moment later, and his filled before that: his fill is copied, once, at the market."""
    pair = Pair(warming=how == "quotes")
    quote = pair.quotes["EURUSD"]
    if how == "quotes":
        del pair.quotes["EURUSD"]
    pair.order()
    if how == "correctable":
        pair.refuse("TRADING_BAD_PRICES")
    elif how == "temporary":
        pair.refuse("MARKET_CLOSED", temporary=True)
    elif how == "dropped":
        pair.drop("the connection was lost")
    pair.passes(300_000)
    pair.order_fills(PART)
    fills_on(pair)
    pair.quotes["EURUSD"] = quote
    settles(pair)
    assert (kinds(pair)[-1], exposure(pair)) == ("open", LOT)
    pair.passes(60_000_000)
    assert exposure(pair) == LOT


def test_an_order_that_is_refused_for_good_after_the_fill_is_no_reason_to_miss_it() -> None:
    """Placed, filled at the leader's, and only then refused here: the fill is an open through all gates."""
    pair = Pair()
    pair.order()
    pair.order_fills()
    pair.refuse("TRADING_BAD_EXPIRATION_DATE")
    settles(pair)
    assert (kinds(pair), exposure(pair)) == (["place", "open"], LOT)


@pytest.mark.parametrize("is_seen", [True, False])
def test_an_order_that_is_rejected_after_the_fill_gives_way_to_it(is_seen: bool) -> None:
    """Taken and then rejected, told or found in the history: the fill is an open like any other."""
    pair = Pair()
    pair.order()
    (intent,) = pair.lose()
    (accepted,) = pair.events_of(intent)
    pair.resting.clear()
    pair.order_fills()
    assert isinstance(accepted, ExecutionSeen)
    assert accepted.order is not None
    order = replace(accepted.order, status=OrderStatus.REJECTED)
    if is_seen:
        pair.fact(replace(accepted, kind=ExecutionKind.ORDER_REJECTED, order=order, error_code="NO_QUOTES"))
    else:
        pair.hears([IntentOverdue(intent=intent.intent, why="no answer"), pair.reconciled(past_orders=(order,))])
    settles(pair)
    assert (kinds(pair), exposure(pair)) == (["place", "open"], LOT)


def test_an_order_that_never_arrived_gives_way_to_the_fill() -> None:
    """The line was cut as it left, and he filled meanwhile: proof of absence, then the fill is an open like any."""
    pair = Pair()
    pair.order()
    (intent,) = pair.lose()
    pair.order_fills()
    pair.hears([IntentOverdue(intent=intent.intent, why="no answer"), HealthChanged(health=Health.DOWN)])
    pair.passes(10_000_000)
    pair.hears([pair.reconciled(looked_up=True), HealthChanged(health=Health.RECONCILED)])
    settles(pair)
    assert (kinds(pair), exposure(pair)) == (["place", "open"], LOT)


# --- the rest of ours -------------------------------------------------------------------------------------------------


def test_the_rest_of_an_order_that_filled_in_part_follows_its_leaders() -> None:
    """Amended to 1.08 and to an expiry: what rests of ours is amended too; then he cancels, and both parts end."""
    pair = half(2_000_000)
    expiry = {"expires_ms": 1_600_000_900_000, "time_in_force": TimeInForce.GTD}
    assert pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.08"), **expiry).verdict is Verdict.COPY
    pair.answer()
    (order,) = pair.resting.values()
    assert (order.volume, order.executed_volume) == (5_000_000, 2_000_000)
    assert (order.limit_price, order.expires_ms) == (price("1.08"), 1_600_000_900_000)
    pair.order(ChangeKind.ORDER_CANCELLED)
    pair.answer()
    assert (kinds(pair), exposure(pair)) == (["place", "amend_order", "cancel", "close"], 0)


def test_an_amendment_that_cannot_rest_leaves_the_part_that_has_filled() -> None:
    """It would fill at once here: the rest is cancelled, the part is held ahead, and his fill adds what is missing."""
    pair = half(2_000_000)
    decided = pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.2"))
    assert decided.reason is Reason.WOULD_FILL
    pair.answer()
    assert (kinds(pair), exposure(pair)) == (["place", "cancel"], 2_000_000)
    pair.order_fills()
    settles(pair)
    assert (kinds(pair)[2:], exposure(pair)) == (["add"], 5_000_000)


def test_an_amendment_to_less_than_has_filled_ends_the_rest_and_gives_back_the_excess() -> None:
    """His 1.0 become 0.2, ours had filled 0.2 of 0.5: 0.1 stay, and nothing rests."""
    pair = half(2_000_000)
    pair.order(ChangeKind.ORDER_AMENDED, volume=Volume(2_000_000))
    pair.answer()
    assert (kinds(pair), exposure(pair)) == (["place", "cancel", "close"], 1_000_000)


@pytest.mark.parametrize(("volume", "at_once", "then"), [(LOT // 2, 2_500_000, 2_500_000), (2 * LOT, 5_000_000, LOT)])
def test_an_order_that_is_amended_in_size_after_ours_has_filled_is_followed(
    volume: int, at_once: int, then: int
) -> None:
    """Ours is held ahead: half of his is half of ours at once; twice of his is added as it fills."""
    pair = half(5_000_000)
    pair.order(ChangeKind.ORDER_AMENDED, volume=Volume(volume))
    settles(pair)
    assert exposure(pair) == at_once
    assert pair.order(ChangeKind.ORDER_AMENDED, volume=Volume(volume)).reason is Reason.ALREADY_THERE
    pair.order_fills(volume)
    settles(pair)
    assert (exposure(pair), pair.copy.target) == (then, then)


@pytest.mark.parametrize(
    ("rules", "settings", "held"),
    [
        (AHEAD_AS_OPENED - 1, {"volume.max": "0.7"}, LOT),
        (RULES, {"volume.max": "0.7"}, 7_000_000),
        (AHEAD_AS_OPENED - 1, {"volume.mode": "fixed"}, LOT),
        (RULES, {"volume.mode": "fixed"}, 5_000_000),
    ],
)
def test_what_is_ahead_of_an_order_that_grows_becomes_no_larger_than_an_open(
    rules: int, settings: dict[str, str], held: int
) -> None:
    """Ours has filled, and the leader makes his order twice as large: the link's own bounds hold for what is added."""
    pair = half(5_000_000, **settings)
    pair.fact(RulesBegan(rules=rules))
    pair.order(ChangeKind.ORDER_AMENDED, volume=Volume(2 * LOT))
    pair.order_fills(2 * LOT)
    settles(pair)
    assert exposure(pair) == held


@pytest.mark.parametrize(("rules", "held"), [(AHEAD_AS_OPENED - 1, LOT // 2), (RULES, LOT)])
def test_an_order_that_grows_after_a_part_of_it_has_filled_is_followed_as_it_fills_on(rules: int, held: int) -> None:
    """0.4 of his has filled, and all of ours; he makes it twice as large, and all of that fills."""
    pair = half(5_000_000)
    pair.fact(RulesBegan(rules=rules))
    pair.order_fills(PART)
    target = pair.copy.target
    pair.order(ChangeKind.ORDER_AMENDED, volume=Volume(2 * LOT))
    assert (exposure(pair), pair.copy.target) == (LOT // 2, target)
    fills_on(pair, PART, 2 * LOT)
    settles(pair)
    assert exposure(pair) == held


@pytest.mark.parametrize(("rules", "held"), [(AHEAD_AS_OPENED - 1, LOT // 2), (RULES, LOT)])
def test_an_order_that_grows_after_a_part_and_fills_before_ours_is_made_up_for(rules: int, held: int) -> None:
    """0.4 of his has filled, he makes it twice as large, and all of that fills; then ours does, as it rested."""
    pair = half()
    pair.fact(RulesBegan(rules=rules))
    pair.order_fills(PART)
    pair.order(ChangeKind.ORDER_AMENDED, volume=Volume(2 * LOT))
    fills_on(pair, PART, 2 * LOT)
    pair.hears(pair.order_triggers(order_of(pair)))
    settles(pair)
    assert (exposure(pair), pair.copy.wait) == (held, None)


ENDS: tuple[Event, ...] = (
    GuardTripped(link=LINK, guard="daily_loss", reaction=Reaction.OPEN_ONLY_OFF.value),
    CopiesReleased(links=(LINK,), close=False, keep_pendings=False),
)


@pytest.mark.parametrize("end", ENDS, ids=["latch", "stop"])
def test_a_latch_or_a_stop_ends_what_rests_of_an_order_that_has_filled_in_part(end: Event) -> None:
    """The part is kept, the rest is cancelled at once, whatever was refused before."""
    pair = half(2_000_000)
    pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.08"))
    pair.refuse("TRADING_DISABLED")
    pair.fact(end)
    pair.answer()
    assert (kinds(pair)[-1], exposure(pair), pair.resting) == ("cancel", 2_000_000, {})


def test_a_rest_whose_cancel_was_refused_is_asked_for_again_as_its_part_ends() -> None:
    """Locked out, its cancel refused, and then the part's stop is hit: what rests must not fill alone."""
    pair = half(2_000_000)
    pair.fact(ENDS[0])
    pair.refuse("TRADING_DISABLED")
    (number,) = pair.held
    pair.hears(pair.close(number, 2_000_000, by_level=True))
    pair.answer()
    assert (kinds(pair), pair.resting) == (["place", "cancel", "cancel"], {})


@pytest.mark.parametrize("is_late", [True, False], ids=["filled", "cancelled"])
def test_a_share_whose_part_is_closed_waits_for_the_end_of_its_rest(is_late: bool) -> None:
    """The leader takes his order back: the part of ours is closed first, and then the rest fills before its cancel."""
    pair = Pair(view=a_view(kind=AccountType.NETTED))
    pair.order()
    pair.answer()
    number = order_of(pair)
    pair.hears(pair.order_triggers(number, volume=PART))
    pair.passes(1_000)
    pair.order(ChangeKind.ORDER_CANCELLED)
    cancel, close = pair.lose()
    pair.hears(pair.events_of(close))
    assert (exposure(pair), pair.copy.volume) == (0, 0)
    pair.hears(pair.order_triggers(number) if is_late else pair.events_of(cancel))
    pair.answer()
    assert kinds(pair) == ["place", "cancel", "close", *(["close"] if is_late else [])]
    assert (exposure(pair), pair.resting, pair.view.copies) == (0, {}, {})


def test_pendings_that_are_kept_keep_their_rests_too() -> None:
    """`--keep-pendings` speaks of all that rests."""
    pair = half(2_000_000)
    pair.fact(CopiesReleased(links=(LINK,), close=False, keep_pendings=True))
    assert kinds(pair) == ["place"]


# --- people -----------------------------------------------------------------------------------------------------------


def test_what_a_person_takes_off_a_part_is_not_made_up_by_the_fill() -> None:
    """0.2 of 0.5 had filled, he takes 0.1: the leader's fill brings it to 0.4, not to 0.5."""
    pair = half(2_000_000)
    (number,) = pair.held
    pair.hears(pair.close(number, 1_000_000))
    pair.order_fills()
    pair.passes(2_000_000)
    settles(pair)
    assert (exposure(pair), pair.copy.target) == (4_000_000, 4_000_000)


def test_a_copy_that_a_person_halved_while_it_was_ahead_stays_a_half() -> None:
    """All of ours had filled and he took half: the leader's fill leaves it so."""
    pair = half(5_000_000)
    (number,) = pair.held
    pair.hears(pair.close(number, 2_500_000))
    pair.order_fills()
    settles(pair)
    assert (kinds(pair), exposure(pair), pair.copy.target) == (["place"], 2_500_000, 2_500_000)


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_rest_that_a_person_cancels_is_not_made_up(is_seen: bool) -> None:
    """He cancels what is left of ours, in sight or while the line is cut: recorded, and the fill adds nothing."""
    pair = half(2_000_000)
    order = pair.resting[order_of(pair)]
    events = pair.order_ends(order.order, OrderStatus.CANCELLED)
    if is_seen:
        pair.hears(events)
    else:
        past = tuple(event.order for event in events)
        pair.hears([pair.reconciled(past_orders=past)])
    touched = [event for event, _ in pair.said if isinstance(event, CopyTouched)]
    assert [(event.what, event.before, event.after) for event in touched] == [("volume", 5_000_000, 2_000_000)]
    pair.order_fills()
    settles(pair)
    assert (kinds(pair), exposure(pair)) == (["place"], 2_000_000)


AMENDED: tuple[dict[str, object], ...] = (
    {"limit_price": price("1.085")},
    {"expires_ms": 1_600_000_900_000, "time_in_force": TimeInForce.GTD},
    {"volume": Volume(2_000_000)},
    {"volume": Volume(8_000_000)},
    {"relative_stop": price("0.002")},
)


@pytest.mark.parametrize("amended", AMENDED, ids=lambda amended: "-".join(amended))
@pytest.mark.parametrize("is_seen", [True, False], ids=["seen", "unseen"])
def test_what_a_person_makes_of_a_copied_order_is_kept(amended: dict[str, object], is_seen: bool) -> None:
    """Price, expiry, size or stop, in sight or not: on record, never amended back, and what fills is what is wanted."""
    pair = half()
    number = order_of(pair)
    pair.passes(5_000_000)
    terms: dict[str, Any] = {**amended, "updated_ms": pair.now_us // 1_000}
    pair.resting[number] = replace(pair.resting[number], **terms)
    if is_seen:
        order = pair.resting[number]
        pair.fact(ExecutionSeen(kind=ExecutionKind.ORDER_REPLACED, order=order, client_msg_id="terminal"))
    pair.fact(pair.reconciled())
    settles(pair)
    (touched,) = [event for event, _ in pair.said if isinstance(event, CopyTouched)]
    volume = amended.get("volume", 5_000_000)
    assert (touched.what, touched.after, kinds(pair)) == ("order", volume, ["place"])
    pair.hears(pair.order_triggers(number))
    pair.order_fills(stop=price("1.08"))
    settles(pair)
    assert (exposure(pair), pair.copy.target) == (volume, volume)
    assert levels(pair)[0] == (price("1.088") if "relative_stop" in amended else price("1.08"))


@pytest.mark.parametrize(("left", "then"), [(2_000_000, 2_000_000), (8_000_000, 5_000_000), (10_000, 0)])
def test_what_a_person_takes_off_an_order_is_not_made_up_at_the_market(left: int, then: int) -> None:
    """Half a lot rests, he leaves 0.2 of it, and only the leader's order fills: 0.2 go to market, never more than 0.5.

    What he leaves is less than the symbol allows: nothing does, and it stands with its reason.
    """
    pair = half()
    number = order_of(pair)
    pair.passes(5_000_000)
    order = replace(pair.resting[number], volume=Volume(left), updated_ms=pair.now_us // 1_000)
    pair.resting[number] = order
    pair.fact(ExecutionSeen(kind=ExecutionKind.ORDER_REPLACED, order=order, client_msg_id="terminal"))
    pair.order_fills()
    settles(pair)
    assert (kinds(pair), exposure(pair)) == (["place", "cancel", *(["open"] if then else [])], then)
    assert pair.copy.reason is (None if then else Reason.BELOW_MINIMUM)


# --- widened stops ----------------------------------------------------------------------------------------------------


def widened(**change: object) -> Pair:
    """An order of one lot on a symbol whose stops are ten pips away at least."""
    pair = Pair({"bad_stop": "widen"}, view=a_view((a_spec(sl_distance=100),)))
    pair.order(**change)
    pair.answer()
    return pair


def test_an_order_whose_stop_is_moved_too_near_shrinks_as_its_stop_is_widened() -> None:
    """100 pips become 5, widened to 10: half a lot, and the fill keeps the ten pips."""
    pair = widened(relative_stop=price("0.01"))
    pair.order(ChangeKind.ORDER_AMENDED, relative_stop=price("0.0005"))
    assert (pair.commands[-1].volume, pair.commands[-1].relative_stop) == (LOT // 2, price("0.001"))
    pair.answer()
    pair.order_fills(stop=price("1.0895"))
    pair.hears(pair.order_triggers(order_of(pair)))
    settles(pair)
    assert (levels(pair)[0], kinds(pair)) == (price("1.089"), ["place", "amend_order"])


def test_an_order_whose_stop_is_moved_away_is_widened_no_more() -> None:
    """5 pips, widened to 10, become 100: the fill has the leader's own, and his next target leaves it."""
    pair = widened(relative_stop=price("0.0005"))
    assert pair.commands[-1].relative_stop == price("0.001")
    pair.order(ChangeKind.ORDER_AMENDED, relative_stop=price("0.01"))
    pair.answer()
    pair.order_fills(stop=price("1.08"))
    pair.hears(pair.order_triggers(order_of(pair)))
    settles(pair)
    assert levels(pair)[0] == price("1.08")
    pair.protects(stop="1.08", target="1.12")
    pair.answer()
    assert levels(pair) == (price("1.08"), price("1.12"))


# --- records of before ------------------------------------------------------------------------------------------------


def test_by_the_rules_of_its_time_a_record_is_derived_as_it_was() -> None:
    """Number 2: the rest of his order closed what its market copy held. What was, stays on record as it was."""
    pair = half()
    pair.fact(RulesBegan(rules=2))
    pair.order_fills(PART)
    settles(pair)
    fills_on(pair)
    settles(pair)
    assert (kinds(pair)[-1], exposure(pair)) == ("close", 0)
