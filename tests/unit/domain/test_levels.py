"""Stops and targets: carried, shifted, reversed, widened, pinned, trailed, and never loosened by mistake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmam.domain.events import (
    CopyOverdue,
    CopyTouched,
    ExecutionSeen,
    GuardTripped,
    Health,
    HealthChanged,
    IntentDropped,
    IntentOverdue,
    RulesBegan,
    SymbolSpecSeen,
    TrailingStopMoved,
)
from cmam.domain.profiles.choices import Reaction
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import ChangeKey, DealId, OrderId, SourceKey
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.levels import LEVELS_ON_TICKS, MOVED_IN_A_GAP
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.symbols import DistanceIn, SymbolSpec
from cmam.domain.values.trades import ExecutionKind, OrderStatus
from cmam.domain.wanted.needs import needed
from tests.factories import LINK, LOT, Pair, a_change, a_quote, a_spec, a_view, price


def opened(at: str | None = None, settings: dict[str, str] | None = None, **change: object) -> Pair:
    """A copy that is open, bought at `at`."""
    pair = Pair(settings or {})
    pair.opens(**change)
    pair.answer(at=at)
    return pair


def cut_after_its_fill(us: int) -> Pair:
    """A copy bought at 1.1 with its stop at 1.095 on the way: the line was cut before the broker told of that."""
    pair = Pair()
    pair.opens(stop=price("1.095"))
    accepted, filled, _ = pair.events_of(pair.waiting[-1], at="1.1")
    pair.hears([accepted, filled, HealthChanged(health=Health.DOWN)])
    pair.passes(us)
    return pair


def levels(pair: Pair) -> tuple[int | None, int | None]:
    """What the follower's position shows."""
    (held,) = pair.held.values()
    return held.stop, held.target


def test_an_open_carries_its_levels_as_distances() -> None:
    """Stop 50 pips and target 100 pips from the leader's 1.1: the same distances from our own fill."""
    pair = Pair()
    pair.opens(stop=price("1.095"), target=price("1.11"))
    command = pair.commands[0]
    assert (command.relative_stop, command.relative_target) == (price("0.005"), price("0.01"))
    pair.answer(at="1.10003")
    assert levels(pair) == (price("1.09503"), price("1.11003"))
    assert pair.waiting == []


def test_levels_that_the_broker_set_while_the_line_was_cut_are_not_a_persons() -> None:
    """Cut right after the fill for 30 s: the stop that the reconcile shows is ours, and his wider one is followed."""
    pair = cut_after_its_fill(30_000_000)
    pair.hears([pair.reconciled(), HealthChanged(health=Health.RECONCILED)])
    assert (levels(pair), pair.copy.pinned_stop) == ((price("1.095"), None), None)
    pair.protects(stop="1.09")
    assert pair.commands[-1].stop == price("1.09")


def test_a_persons_stop_that_comes_to_light_after_the_cut_is_pinned() -> None:
    """Cut right after the fill for an hour: what the reconcile shows is not what our order carried, but tighter."""
    pair = cut_after_its_fill(3_600_000_000)
    (held,) = pair.held.values()
    pair.held[held.position] = replace(held, stop=price("1.097"), updated_ms=pair.now_us // 1_000)
    pair.hears([pair.reconciled(), HealthChanged(health=Health.RECONCILED)])
    assert (pair.copy.pinned_stop, len(pair.commands)) == (price("1.097"), 1)


def test_what_an_open_carried_is_nobodys_pin_where_the_leader_has_moved_his_stop_since() -> None:
    """His stop goes from 1.095 to 1.09 while ours opens, and the line is cut before the broker tells what it set."""
    pair = Pair({"levels": "price"})
    pair.opens(stop=price("1.095"))
    accepted, filled, _ = pair.events_of(pair.waiting[-1], at="1.1")
    pair.protects(stop="1.09")
    pair.hears([accepted, filled, HealthChanged(health=Health.DOWN)])
    pair.passes(30_000_000)
    pair.hears([pair.reconciled(), HealthChanged(health=Health.RECONCILED)])
    assert (pair.copy.pinned_stop, pair.commands[-1].stop) == (None, price("1.09"))


@pytest.mark.parametrize("by_hand", [None, "1.098"])
def test_what_a_second_attempt_carried_is_told_by_its_request_and_not_by_the_leaders_price(by_hand: str | None) -> None:
    """`levels=price`, his stop at 1.095: the second attempt fills 20 pips higher, and so does its stop stand.

    The line is cut between fill and levels. What the look shows there is ours and is set to 1.095; another is a
    person's, also where the leader has moved his meanwhile.
    """
    pair = Pair({"levels": "price"})
    pair.opens(stop=price("1.095"))
    (lost,) = pair.lose()
    pair.fact(IntentOverdue(intent=lost.intent, why="the connection was lost"))
    pair.now_us += 11_000_000
    pair.fact(pair.reconciled(looked_up=True))
    (again,) = pair.waiting
    assert (again.attempt, again.command) == (2, lost.command)
    accepted, filled, _ = pair.events_of(again, at="1.102")
    pair.lose()
    if by_hand is not None:
        pair.protects(stop="1.096")
    pair.hears([accepted, filled, HealthChanged(health=Health.DOWN)])
    pair.passes(30_000_000)
    (held,) = pair.held.values()
    assert held.stop == price("1.09699")
    if by_hand is not None:
        pair.held[held.position] = replace(held, stop=price(by_hand), updated_ms=pair.now_us // 1_000)
    pair.hears([pair.reconciled(), HealthChanged(health=Health.RECONCILED)])
    pair.answer()
    pinned = None if by_hand is None else price(by_hand)
    assert (pair.copy.pinned_stop, levels(pair)[0]) == (pinned, pinned or price("1.095"))


def test_a_stop_that_the_broker_sets_back_with_the_rest_of_an_order_is_set_again() -> None:
    """Half of our limit fills with 1.085, his stop goes to 1.089 and so does ours; the rest sets it to 1.085 again."""
    pair = Pair()
    pair.order(stop=price("1.085"), relative_stop=price("0.005"))
    pair.answer()
    (number,) = pair.resting
    pair.hears(pair.order_triggers(number, volume=LOT // 2))
    pair.passes(5_000_000)
    pair.order_fills(stop=price("1.085"))
    pair.answer()
    pair.protects(stop="1.089")
    pair.answer()
    pair.hears(pair.order_triggers(number))
    pair.answer()
    assert (levels(pair)[0], pair.copy.pinned_stop) == (price("1.089"), None)


def test_parts_that_fill_one_after_the_other_hold_no_stop_back() -> None:
    """A later part's fill shows the stop, and no event of it follows: the leader's tighter stop waits for none."""
    pair = Pair()
    pair.order(stop=price("1.085"), relative_stop=price("0.005"))
    pair.answer()
    (number,) = pair.resting
    pair.hears(pair.order_triggers(number, volume=LOT // 4))
    pair.order_fills(stop=price("1.085"))
    pair.passes(1_000_000)
    pair.answer()
    fill, _ = pair.order_triggers(number, volume=LOT // 4)
    assert isinstance(fill, ExecutionSeen)
    assert fill.position is not None
    pair.fact(replace(fill, position=replace(fill.position, stop=price("1.085"))))
    pair.protects(stop="1.089")
    assert pair.commands[-1].stop == price("1.089")


def test_levels_that_move_with_the_average_of_parts_are_not_a_persons() -> None:
    """0.3 fill at 1.1 with the stop at 1.095, the rest at 1.10002: the broker moves the stop by a point, by itself."""
    pair = Pair()
    pair.opens(stop=price("1.095"))
    accepted, filled, protected = pair.events_of(pair.waiting[-1], at="1.1")
    assert isinstance(filled, ExecutionSeen)
    assert isinstance(protected, ExecutionSeen)
    assert filled.order is not None
    assert filled.position is not None
    assert filled.deal is not None
    third, whole = Volume(3 * LOT // 10), Volume(LOT)
    held, order = replace(filled.position, volume=third), replace(filled.order, executed_volume=third)
    order = replace(order, status=OrderStatus.ACCEPTED)
    part = replace(filled.deal, filled_volume=third)
    rest = replace(filled.deal, deal=DealId(99_001), filled_volume=Volume(LOT - third), price=price("1.10002"))
    average = replace(filled.position, price=price("1.10001"), stop=price("1.095"), updated_ms=pair.now_us // 1_000)
    moved = replace(average, stop=price("1.09501"))
    pair.hears([
        accepted,
        ExecutionSeen(kind=ExecutionKind.ORDER_PARTIAL_FILL, order=order, position=held, deal=part),
        replace(protected, position=replace(held, stop=price("1.095"))),
    ])  # fmt: skip
    pair.passes(10_000_000)
    pair.fact(replace(filled, order=replace(order, executed_volume=whole), position=average, deal=rest))
    pair.fact(replace(protected, kind=ExecutionKind.ORDER_REPLACED, position=moved))
    assert (pair.copy.volume, pair.copy.seen_stop, pair.copy.pinned_stop) == (LOT, price("1.09501"), None)
    pair.protects(stop="1.09")
    assert pair.commands[-1].stop == price("1.09")


def test_a_reconcile_ahead_of_the_events_of_what_it_shows_makes_nobody_touch_a_level() -> None:
    """It shows the stop that moved with the second part; the events of that part come behind, the old stop first."""
    pair = Pair()
    pair.opens(stop=price("1.095"))
    (intent,) = pair.lose()
    accepted, filled, protected = pair.events_of(intent, at="1.1")
    assert isinstance(filled, ExecutionSeen)
    assert isinstance(protected, ExecutionSeen)
    assert filled.deal is not None
    pair.hears([accepted, IntentOverdue(intent=intent.intent, why="the connection was lost")])
    (held,) = pair.held.values()
    moved = replace(held, stop=price("1.09501"))
    pair.held[held.position] = moved
    pair.fact(replace(pair.reconciled(), deals=(filled.deal,)))
    pair.hears([
        replace(filled, position=held),
        replace(protected, kind=ExecutionKind.ORDER_REPLACED, position=moved),
    ])  # fmt: skip
    assert (pair.copy.seen_stop, pair.copy.pinned_stop) == (price("1.09501"), None)


def test_levels_of_ours_that_come_to_light_late_are_not_a_persons() -> None:
    """Its broker's clock was set back: what it showed as it confirmed our target was older than what we knew."""
    pair = opened("1.1")
    pair.protects(target="1.12")
    old = pair.now_us
    pair.now_us -= 20_000_000
    pair.answer()
    assert pair.view.positions[pair.copy.position].target is None
    pair.now_us = old + 60_000_000
    (held,) = pair.held.values()
    pair.held[held.position] = replace(held, updated_ms=pair.now_us // 1_000)
    pair.fact(pair.reconciled())
    assert (levels(pair)[1], pair.copy.seen_target, pair.copy.pinned_target) == (price("1.12"), price("1.12"), None)


def test_relative_levels_of_the_leaders_order_count_from_its_fill() -> None:
    """In its FILLED event the position has no levels yet; the order's distances do."""
    pair = Pair()
    pair.opens(relative_stop=price("0.005"))
    assert pair.commands[0].relative_stop == price("0.005")


def test_a_later_level_moves_by_the_copys_own_shift() -> None:
    """Filled 0.3 pip above the leader: his 1.096 is our 1.09603, to the tick."""
    pair = opened("1.10003", stop=price("1.095"))
    pair.protects(stop="1.096", target="1.12")
    command = pair.commands[-1]
    assert command.kind is CommandKind.AMEND_PROTECTION
    assert (command.stop, command.target) == (price("1.09603"), price("1.12003"))
    pair.answer()
    assert pair.waiting == []


def test_levels_by_price_are_the_leaders_own() -> None:
    """`levels=price`: 1.096 stays 1.096, whatever our fill was."""
    pair = opened("1.10003", {"levels": "price"}, stop=price("1.095"))
    assert pair.commands[0].relative_stop == price("1.10001") - price("1.095")
    pair.protects(stop="1.096")
    assert pair.commands[-1].stop == price("1.096")


def test_a_level_between_two_ticks_goes_out_on_one_beside_another() -> None:
    """A broker that sets levels by an average price may set them so, and takes none that is asked for so."""
    pair = Pair()
    pair.opens(stop=price("1.09"), target=price("1.12"))
    pair.answer()
    (held,), (copy,) = pair.view.positions.values(), pair.view.copies.values()
    assert held.stop is not None
    between = replace(held, stop=Price(held.stop + 500), target=None)
    view = replace(pair.view, positions={held.position: between})
    for rules, stop in ((RULES, held.stop + 1_000), (LEVELS_ON_TICKS - 1, held.stop + 500)):
        (asked,) = needed(replace(view, rules=rules), copy.key, view.at_us)
        assert (asked.stop, asked.target) == (stop, held.target)


def test_a_level_is_rounded_towards_the_market() -> None:
    """A follower with 3 digits: a buy's stop of 1.09512 becomes 1.096, its target of 1.1109 becomes 1.110."""
    view = a_view((a_spec(digits=3, pip_position=3),))
    pair = Pair(view=view)
    pair.opens()
    pair.answer(at="1.100")
    pair.protects(stop="1.09512", target="1.1109")
    assert (pair.commands[-1].stop, pair.commands[-1].target) == (price("1.096"), price("1.110"))


def test_what_is_not_copied_stays_as_the_copy_has_it_not() -> None:
    """`copy_tp=off`: the stop is sent, the target is not."""
    pair = Pair({"copy_tp": "off"})
    pair.opens(stop=price("1.095"), target=price("1.11"))
    assert pair.commands[0].relative_target is None


def test_offsets_are_farther_from_the_entry() -> None:
    """5 pips more for the stop, 10 pips less for the target: 55 and 90 pips."""
    pair = Pair({"sl_offset": "5", "tp_offset": "-10"})
    pair.opens(stop=price("1.095"), target=price("1.11"))
    assert (pair.commands[0].relative_stop, pair.commands[0].relative_target) == (price("0.0055"), price("0.009"))


def test_fixed_levels_count_from_the_copys_own_entry() -> None:
    """20 and 40 pips, whatever the leader has; his later moves do not touch them."""
    pair = opened("1.10005", {"fixed_sl": "20", "fixed_tp": "40"}, stop=price("1.05"))
    assert levels(pair) == (price("1.09805"), price("1.10405"))
    pair.protects(stop="1.06")
    pair.answer()
    assert levels(pair) == (price("1.09805"), price("1.10405"))


def test_reversed_the_levels_change_places() -> None:
    """The leader buys with target 1.11 and stop 1.095: we sell with stop 1.11 and target 1.095."""
    pair = Pair({"reverse": "on"})
    pair.opens(stop=price("1.095"), target=price("1.11"))
    command = pair.commands[0]
    assert command.side is Side.SELL
    assert (command.relative_stop, command.relative_target) == (price("0.01"), price("0.005"))
    pair.answer(at="1.09999")
    assert levels(pair) == (price("1.10999"), price("1.09499"))
    pair.protects(stop="1.096", target="1.12")
    assert (pair.commands[-1].stop, pair.commands[-1].target) == (price("1.11999"), price("1.09599"))


@pytest.mark.parametrize("copy_trailing", ["on", "off"])
def test_reversed_the_target_follows_his_trailing_stop(copy_trailing: str) -> None:
    """He buys with a trailing stop: our sell's target comes nearer with it, from a pip on and once a second."""
    pair = opened("1.10000", {"reverse": "on", "copy_trailing": copy_trailing}, stop=price("1.095"),
                  target=price("1.11"), trailing=True)  # fmt: skip
    assert shown(pair) == (price("1.11"), price("1.095"), False)
    said = [
        pair.protects(stop=stop, target="1.11", trailing=True, trailed=True)
        for stop in ("1.09505", "1.0952", "1.0960", "1.0950")
    ]
    assert [one.reason for one in said] == [Reason.TRAILING_STEP, None, None, Reason.TRAILING_STEP]
    pair.answer()
    assert shown(pair)[1] == price("1.0952")
    pair.passes(1_000_000)
    pair.answer()
    assert shown(pair) == (price("1.11"), price("1.096"), False)


def test_a_level_on_the_wrong_side_is_skipped() -> None:
    """A buy's stop above its entry protects nothing."""
    assert Pair().opens(stop=price("1.11")).reason is Reason.LEVEL_WRONG_SIDE
    assert Pair().opens(target=price("1.09")).reason is Reason.LEVEL_WRONG_SIDE


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (a_spec(sl_distance=50), None),  # 50 points = 5 pips
        (a_spec(sl_distance=51), Reason.STOP_TOO_CLOSE),
        (a_spec(sl_distance=4, distance_in=DistanceIn.PERCENTAGE), None),  # 0.04 % of 1.1 = 4.4 pips
        (a_spec(sl_distance=5, distance_in=DistanceIn.PERCENTAGE), Reason.STOP_TOO_CLOSE),  # 5.5 pips
    ],
)
def test_a_stop_nearer_than_the_symbol_allows_is_skipped(spec: object, reason: Reason | None) -> None:
    """The leader's stop is 5 pips away."""
    pair = Pair(view=a_view((spec,)))
    assert pair.opens(stop=price("1.0995")).reason is reason


def test_a_widened_stop_shrinks_the_volume_and_stays_wide() -> None:
    """5 pips become 10, so one lot becomes a half: the money at risk does not grow; nobody amends it back."""
    pair = Pair({"bad_stop": "widen"}, view=a_view((a_spec(sl_distance=100),)))
    pair.opens(stop=price("1.0995"))
    assert (pair.commands[0].relative_stop, pair.commands[0].volume) == (price("0.001"), LOT // 2)
    pair.answer(at="1.10000")
    assert levels(pair)[0] == price("1.099")
    assert pair.waiting == []


@pytest.mark.parametrize("filled", ["1.09981", "1.10021"])
@pytest.mark.parametrize(("is_late", "settings"), [(False, {"levels": "price"}), (True, {}), (False, {})])
def test_a_widened_stop_is_as_wide_from_the_fill(filled: str, settings: dict[str, str], is_late: bool) -> None:
    """10 pips are the least, and the fill is 2 pips from where the market was: nobody asks for 8 or 12 instead. The
    leader's next target leaves it there; where he moves his stop, ours follows."""
    pair = Pair({"bad_stop": "widen", **settings}, view=a_view((a_spec(sl_distance=100),)))
    pair.tell(a_change(late=is_late, stop=price("1.0995")))
    assert pair.commands[0].relative_stop == price("0.001")
    pair.answer(at=filled)
    as_wide = price(filled) - price("0.001")
    assert (levels(pair)[0], pair.waiting) == (as_wide, [])
    pair.protects(stop="1.0995", target="1.12")
    assert pair.commands[-1].stop == as_wide
    pair.answer()
    pair.protects(stop="1.095", target="1.12")
    shift = pair.copy.goal.shift
    assert shift is not None
    assert pair.commands[-1].stop == price("1.095") + shift


def test_a_late_open_counts_from_the_market_and_both_quotes() -> None:
    """We quote 30 pips above the leader: his stop 1.095 is our 1.098; we would enter at 1.10301, so 50.1 pips."""
    pair = Pair()
    pair.quotes["EURUSD"] = ("1.10299", "1.10301")
    change = a_change(late=True, stop=price("1.095"), quote=a_quote("1.09999", "1.10001"))
    pair.tell(change)
    assert pair.commands[0].relative_stop == price("0.00501")
    pair.answer(at="1.10301")
    pair.protects(stop="1.096")
    assert pair.commands[-1].stop == price("1.099")


def test_a_late_open_whose_level_the_market_has_passed_is_skipped() -> None:
    """The price fell below the leader's stop meanwhile."""
    pair = Pair()
    pair.quotes["EURUSD"] = ("1.09399", "1.09401")
    change = a_change(late=True, stop=price("1.095"), quote=a_quote("1.09399", "1.09401"))
    assert pair.tell(change).reason is Reason.LEVEL_PASSED
    blind = a_change(source="p9", late=True, stop=price("1.095"), quote=None)
    assert pair.tell(blind).reason is Reason.STALE_INPUT


def test_a_persons_level_is_pinned_until_the_leader_sets_a_tighter_one() -> None:
    """By hand to 1.098: the leader's target leaves it, his 1.097 is looser and leaves it, his 1.099 takes over."""
    pair = opened("1.10000", stop=price("1.095"))
    pair.passes(1_000)
    (number,) = pair.held
    held = replace(pair.held[number], stop=price("1.098"), updated_ms=pair.now_us // 1_000)
    pair.held[number] = held
    pair.fact(pair.protective(ExecutionKind.ORDER_REPLACED, held, is_server=False, name="terminal"))
    assert pair.waiting == []
    for wanted, shown in (("1.095", "1.098"), ("1.097", "1.098"), ("1.099", "1.099")):
        pair.passes(1_000)
        pair.protects(stop=wanted, target="1.12")
        pair.answer()
        assert levels(pair) == (price(shown), price("1.12"))


def by_hand_in_a_silence(by_hand: str | None, *, moved: str, when: str, rules: int = RULES) -> Pair:
    """Bought with its stop at 1.095. Its line tells nothing for a minute before it is given up: in it a person puts the
    stop elsewhere. The leader has moved his before that, or in it, and then the request for it has not left."""
    pair = Pair()
    pair.fact(RulesBegan(rules=rules))
    pair.opens(stop=price("1.095"))
    pair.answer(at="1.10000")
    pair.passes(1_000_000)
    if when == "before":
        pair.protects(stop=moved)
        pair.answer()
    pair.passes(30_000_000)
    (held,) = pair.held.values()
    stop = None if by_hand is None else price(by_hand)
    pair.held[held.position] = replace(held, stop=stop, updated_ms=pair.now_us // 1_000)
    pair.passes(30_000_000)
    if when == "in it":
        pair.protects(stop=moved)
    pair.fact(HealthChanged(health=Health.DOWN, silent_us=45_000_000))
    for intent in pair.lose():
        pair.fact(IntentDropped(intent=intent.intent, reason="the line was lost"))
    pair.hears([pair.reconciled(), HealthChanged(health=Health.RECONCILED)])
    pair.answer()
    return pair


@pytest.mark.parametrize(
    ("by_hand", "moved", "when", "shown"),
    [
        (None, "1.096", "in it", "1.096"),
        (None, "1.094", "in it", "1.094"),
        ("1.093", "1.096", "in it", "1.096"),
        ("1.098", "1.096", "in it", "1.098"),
        (None, "1.096", "before", None),
        ("1.093", "1.096", "before", "1.093"),
    ],
)
def test_of_a_leaders_stop_and_a_persons_in_one_silence_the_tighter_one_stands(
    by_hand: str | None, moved: str, when: str, shown: str | None
) -> None:
    """Nothing tells which came last, and a copy without a stop while its leader has one is the greater risk. What the
    leader had moved before the silence tells nothing of it: the person came last, and his is pinned."""
    pair = by_hand_in_a_silence(by_hand, moved=moved, when=when)
    assert levels(pair)[0] == (None if shown is None else price(shown))
    pair.protects(stop=moved, target="1.12")
    pair.answer()
    assert levels(pair) == (None if shown is None else price(shown), price("1.12"))


def test_a_person_who_takes_a_stop_away_in_a_later_gap_is_heard() -> None:
    """The leader moved his in the one before: what has been seen since is told apart."""
    pair = by_hand_in_a_silence(None, moved="1.096", when="in it")
    pair.passes(5_000_000)
    pair.fact(HealthChanged(health=Health.DOWN))
    (held,) = pair.held.values()
    pair.held[held.position] = replace(held, stop=None, updated_ms=pair.now_us // 1_000)
    pair.passes(5_000_000)
    pair.hears([pair.reconciled(), HealthChanged(health=Health.RECONCILED)])
    pair.answer()
    assert (levels(pair)[0], pair.copy.pinned_stop) == (None, 0)


def test_logs_of_before_keep_a_persons_stop_of_a_silence() -> None:
    """What was derived then is derived again: the copy stayed without a stop."""
    pair = by_hand_in_a_silence(None, moved="1.096", when="in it", rules=MOVED_IN_A_GAP - 1)
    assert (levels(pair)[0], pair.copy.pinned_stop) == (None, 0)


def test_a_persons_target_is_pinned_too() -> None:
    """By hand from 1.12 to 1.13: the leader's stop leaves it, his 1.14 leaves it, his nearer 1.11 takes over."""
    pair = opened("1.10000", stop=price("1.095"), target=price("1.12"))
    pair.passes(1_000)
    (number,) = pair.held
    held = replace(pair.held[number], target=price("1.13"), updated_ms=pair.now_us // 1_000)
    pair.held[number] = held
    pair.fact(pair.protective(ExecutionKind.ORDER_REPLACED, held, is_server=False, name="terminal"))
    assert pair.waiting == []
    for stop, wanted, shown in (("1.096", "1.12", "1.13"), ("1.096", "1.14", "1.13"), ("1.096", "1.11", "1.11")):
        pair.passes(1_000)
        pair.protects(stop=stop, target=wanted)
        pair.answer()
        assert levels(pair) == (price(stop), price(shown))


def test_with_human_levels_leader_the_leaders_next_word_wins() -> None:
    """`human_levels=leader`: a person's stop goes when the leader speaks."""
    pair = opened("1.10000", {"human_levels": "leader"}, stop=price("1.095"))
    pair.passes(1_000)
    (number,) = pair.held
    held = replace(pair.held[number], stop=price("1.098"), updated_ms=pair.now_us // 1_000)
    pair.held[number] = held
    pair.fact(pair.protective(ExecutionKind.ORDER_REPLACED, held, is_server=False))
    pair.protects(stop="1.097")
    pair.answer()
    assert levels(pair)[0] == price("1.097")


def trailed_to(pair: Pair, stop: str) -> None:
    """The follower's broker has trailed the copy's stop."""
    (number,) = pair.held
    pair.held[number] = replace(pair.held[number], stop=price(stop))
    pair.fact(TrailingStopMoved(position=number, order=OrderId(1), stop=price(stop)))


def by_hand(pair: Pair, **levels: object) -> None:
    """A person changes the levels of the one copy at his terminal."""
    pair.passes(5_000_000)
    (number,) = pair.held
    fields: dict[str, Any] = {**levels, "updated_ms": pair.now_us // 1_000}
    pair.held[number] = replace(pair.held[number], **fields)
    pair.fact(pair.protective(ExecutionKind.ORDER_REPLACED, pair.held[number], is_server=False, name="terminal"))
    pair.answer()


def shown(pair: Pair) -> tuple[int | None, int | None, bool]:
    """Stop, target and trailing of the one position."""
    (held,) = pair.held.values()
    return held.stop, held.target, held.trailing


def test_a_stop_that_a_person_lets_trail_goes_on_trailing() -> None:
    """By hand, and on to 1.0985: a look and the leader's looser stop leave it; his tighter one is taken, and trails."""
    pair = opened("1.10000", stop=price("1.095"), target=price("1.12"))
    by_hand(pair, trailing=True)
    trailed_to(pair, "1.0985")
    pair.fact(pair.reconciled())
    pair.answer()
    for stop, then in (("1.096", "1.0985"), ("1.099", "1.099")):
        pair.protects(stop=stop, target="1.12")
        pair.answer()
        assert shown(pair) == (price(then), price("1.12"), True)
    assert [event.what for event, _ in pair.said if isinstance(event, CopyTouched)] == ["trailing"]


@pytest.mark.parametrize("human_levels", ["leader", "pin"])
@pytest.mark.parametrize(("rules", "stop"), [(RULES, "1.0985"), (10, "1.097")])
def test_a_persons_own_stop_stays_where_it_has_trailed_to(human_levels: str, rules: int, stop: str) -> None:
    """The leader has none: he sets 1.097, lets it trail to 1.0985, and ends that. Then the leader sets a target."""
    pair = opened("1.10000", {"human_levels": human_levels})
    pair.view = replace(pair.view, rules=rules)
    by_hand(pair, stop=price("1.097"), trailing=True)
    trailed_to(pair, "1.0985")
    by_hand(pair, trailing=False)
    pair.protects(target="1.12")
    pair.answer()
    assert shown(pair) == (price("1.0985" if human_levels == "pin" else stop), price("1.12"), False)


def test_a_copy_that_a_person_lets_trail_no_more_stays_so_until_the_leader_speaks_of_it() -> None:
    """Its stop stays where it stood; when the leader switches his own trailing off and on, it trails with him."""
    pair = opened("1.10000", stop=price("1.095"), trailing=True)
    trailed_to(pair, "1.0975")
    by_hand(pair, trailing=False)
    assert shown(pair) == (price("1.0975"), None, False)
    pair.protects(stop="1.095", target="1.12", trailing=True)
    pair.answer()
    assert shown(pair) == (price("1.0975"), price("1.12"), False)
    pair.protects(stop="1.095", target="1.12")
    pair.protects(stop="1.095", target="1.12", trailing=True)
    pair.answer()
    assert shown(pair)[2]


@pytest.mark.parametrize("setting", ["copy_sl", "copy_tp"])
def test_what_is_not_copied_stays_as_a_person_set_it(setting: str) -> None:
    """Also where the leader always wins: there is nothing of his that could."""
    pair = opened("1.10000", {setting: "off", "human_levels": "leader"}, stop=price("1.095"), target=price("1.12"))
    by_hand(pair, stop=price("1.097"), target=price("1.13"))
    pair.protects(stop="1.096", target="1.125")
    pair.answer()
    own = setting == "copy_sl"
    assert levels(pair) == ((price("1.097"), price("1.125")) if own else (price("1.096"), price("1.13")))


def test_a_stop_of_a_persons_where_the_leader_has_none_is_his_until_the_leader_sets_one() -> None:
    """`human_levels=leader`: nothing takes the only stop away; the leader's wins once he has one, and ends with it."""
    pair = opened("1.10000", {"human_levels": "leader"})
    by_hand(pair, stop=price("1.097"))
    assert levels(pair)[0] == price("1.097")
    for stop in ("1.096", None):
        pair.protects(stop=stop, target="1.12")
        pair.answer()
        assert levels(pair)[0] == (price(stop) if stop else None)


def test_a_trailing_copy_trails_itself_and_is_not_loosened() -> None:
    """The flag is copied; the leader's 2107 are facts; a new target keeps the stop that has trailed on."""
    pair = opened("1.10000", stop=price("1.095"), trailing=True)
    assert pair.commands[0].trailing
    assert pair.protects(stop="1.096", trailing=True, trailed=True).reason is Reason.TRAILS_ITSELF
    (number,) = pair.held
    pair.held[number] = replace(pair.held[number], stop=price("1.0975"))
    pair.fact(TrailingStopMoved(position=number, order=OrderId(1), stop=price("1.0975")))
    assert pair.waiting == []
    pair.protects(stop="1.095", target="1.12", trailing=True)
    assert (pair.commands[-1].stop, pair.commands[-1].target) == (price("1.0975"), price("1.12"))
    pair.answer()
    pair.protects(stop="1.094", target="1.12", trailing=True)
    assert pair.commands[-1].stop == price("1.094")


@pytest.mark.parametrize(("rules", "has_moved"), [(RULES, True), (14, False)])
def test_an_answer_to_our_amendment_moves_a_trailing_stop_back_whatever_its_time_says(
    rules: int, *, has_moved: bool
) -> None:
    """A look has just shown the stop, and the broker's times stand still: what was asked for counted as told before
    that look, and as a person's hand at the next one."""
    pair = opened("1.10000", stop=price("1.095"), trailing=True)
    pair.view = replace(pair.view, rules=rules)
    pair.fact(pair.reconciled())
    pair.protects(stop="1.094", trailing=True)
    (held,) = pair.held.values()
    asked = pair.waiting[0]
    amended = replace(held, stop=asked.command.stop)
    pair.fact(pair.protective(ExecutionKind.ORDER_REPLACED, amended, is_server=False, name=asked.intent))
    assert (pair.view.positions[held.position].stop == asked.command.stop) is has_moved


def test_a_stop_that_the_leader_set_is_taken_once_and_not_again_by_a_trailing_copy() -> None:
    """He set 1.096, ours trailed on to 1.0985: neither his new target, nor a person's, brings 1.096 back."""
    pair = opened("1.10000", {"human_levels": "leader"}, stop=price("1.095"), trailing=True)
    pair.protects(stop="1.096", trailing=True)
    pair.answer()
    trailed_to(pair, "1.0985")
    pair.protects(stop="1.096", target="1.12", trailing=True)
    pair.answer()
    assert levels(pair) == (price("1.0985"), price("1.12"))
    (number,) = pair.held
    pair.held[number] = replace(pair.held[number], target=price("1.13"), updated_ms=pair.now_us // 1_000)
    pair.fact(pair.protective(ExecutionKind.ORDER_REPLACED, pair.held[number], is_server=False, name="terminal"))
    pair.answer()
    assert levels(pair) == (price("1.0985"), price("1.12"))
    pair.protects(stop="1.094", target="1.12", trailing=True)
    pair.answer()
    assert levels(pair) == (price("1.094"), price("1.12"))


def test_a_stop_that_was_taken_is_not_brought_back_as_a_person_moves_the_target() -> None:
    """The leader said nothing since he set the looser 1.094, and ours has trailed on to 1.0985: there it stays."""
    pair = opened("1.10000", {"human_levels": "leader"}, stop=price("1.095"), target=price("1.12"), trailing=True)
    pair.protects(stop="1.094", target="1.12", trailing=True)
    pair.answer()
    trailed_to(pair, "1.0985")
    (number,) = pair.held
    pair.held[number] = replace(pair.held[number], target=price("1.13"), updated_ms=pair.now_us // 1_000)
    pair.fact(pair.protective(ExecutionKind.ORDER_REPLACED, pair.held[number], is_server=False, name="terminal"))
    pair.answer()
    assert levels(pair) == (price("1.0985"), price("1.12"))


@pytest.mark.parametrize(
    ("rules", "stops"),
    [(RULES, ("1.0985", "1.0985", "1.0985", "1.099")), (10, ("1.097", "1.0975", "1.0975", "1.099"))],
)
def test_a_persons_stop_that_has_trailed_goes_back_for_no_looser_one(rules: int, stops: tuple[str, ...]) -> None:
    """He sets 1.097, and it trails to 1.0985: the leader's looser ones leave it there, his tighter one is taken."""
    pair = opened("1.10000", stop=price("1.095"), trailing=True)
    pair.view = replace(pair.view, rules=rules)
    by_hand(pair, stop=price("1.097"))
    trailed_to(pair, "1.0985")
    for asked, then in zip(("1.09", "1.0975", "1.098", "1.099"), stops, strict=True):
        pair.protects(stop=asked, trailing=True, target="1.12")
        pair.answer()
        assert shown(pair) == (price(then), price("1.12"), True)


@pytest.mark.parametrize("is_told", [True, False])
def test_where_the_leaders_stop_has_trailed_to_is_no_setting_of_his(is_told: bool) -> None:
    """His stop trailed to 1.0965, told or while nobody looked, and ours to 1.0975: his new target leaves ours there."""
    pair = opened("1.10000", stop=price("1.095"), trailing=True)
    if is_told:
        assert pair.protects(stop="1.0965", trailing=True, trailed=True).reason is Reason.TRAILS_ITSELF
    trailed_to(pair, "1.0975")
    pair.protects(stop="1.0965", target="1.12", trailing=True, late=not is_told)
    pair.answer()
    assert levels(pair) == (price("1.0975"), price("1.12"))


def test_a_copy_that_trails_no_more_keeps_what_it_has_trailed_to() -> None:
    """The leader switches trailing off at his 1.098, ours is at 1.0985: it stays, until he sets his stop himself."""
    pair = opened("1.10000", stop=price("1.095"), trailing=True)
    trailed_to(pair, "1.0985")
    pair.protects(stop="1.098", trailing=True, trailed=True)
    for target in ("1.12", "1.13"):
        pair.protects(stop="1.098", target=target)
        pair.answer()
        (held,) = pair.held.values()
        assert (levels(pair), held.trailing) == ((price("1.0985"), price(target)), False)
    pair.protects(stop="1.097", target="1.13")
    pair.answer()
    assert levels(pair) == (price("1.097"), price("1.13"))


@pytest.mark.parametrize("trails_on", [True, False])
def test_a_looser_stop_of_the_leaders_is_his_until_the_copy_has_it(trails_on: bool) -> None:
    """He sets 1.092 and, before our broker has answered, 1.093: ours, which has trailed to 1.0985, goes to that."""
    pair = opened("1.10000", stop=price("1.095"), trailing=True)
    trailed_to(pair, "1.0985")
    pair.protects(stop="1.092", trailing=True)
    pair.protects(stop="1.093", trailing=trails_on)
    pair.answer()
    pair.answer()
    assert shown(pair) == (price("1.093"), None, trails_on)


def test_a_guaranteed_stop_follows_a_leader_who_begins_to_trail() -> None:
    """It cannot trail itself: with `copy_trailing` too, the leader's 2107 are stop moves from then on."""
    pair = Pair(view=a_view((a_spec(gsl_distance=100),), limited_risk=True))
    pair.opens(stop=price("1.09"))
    pair.answer(at="1.10000")
    pair.protects(stop="1.091", trailing=True)
    pair.answer()
    assert pair.protects(stop="1.093", trailing=True, trailed=True).verdict is Verdict.COPY
    assert (pair.commands[-1].stop, pair.commands[-1].trailing) == (price("1.093"), False)


def trailed() -> Pair:
    """Both stops have trailed, the copy's to 1.0975 and its leader's to 1.097."""
    pair = opened("1.10000", stop=price("1.095"), trailing=True)
    pair.protects(stop="1.097", trailing=True, trailed=True)
    (number,) = pair.held
    pair.held[number] = replace(pair.held[number], stop=price("1.0975"))
    pair.fact(TrailingStopMoved(position=number, order=OrderId(1), stop=price("1.0975")))
    return pair


def test_a_target_that_the_leader_moves_loosens_no_stop_that_has_trailed_on() -> None:
    """His own stop stands where the broker trailed it, and so does the copy's."""
    pair = trailed()
    pair.protects(stop="1.097", target="1.12", trailing=True)
    assert (pair.commands[-1].stop, pair.commands[-1].target) == (price("1.0975"), price("1.12"))
    pair.answer()
    assert pair.waiting == []


def test_what_trailed_out_of_sight_loosens_no_stop_that_has_trailed_on() -> None:
    """A reconcile shows the leader's stop farther along: nobody has set it, now or when the copy's goes on."""
    pair = trailed()
    pair.protects(stop="1.0975", trailing=True, late=True)
    (number,) = pair.held
    pair.held[number] = replace(pair.held[number], stop=price("1.0985"))
    pair.fact(TrailingStopMoved(position=number, order=OrderId(1), stop=price("1.0985")))
    pair.protects(stop="1.0978", trailing=True, trailed=True)
    assert [command.kind for command in pair.commands] == [CommandKind.OPEN]


def test_a_stop_that_the_leader_takes_back_from_where_it_trailed_is_followed() -> None:
    """From 1.097 to 1.096 is his own hand, though it is nearer than where he began."""
    pair = trailed()
    pair.protects(stop="1.096", trailing=True)
    assert pair.commands[-1].stop == price("1.096")


def test_without_copy_trailing_the_leaders_moves_are_followed_in_steps() -> None:
    """Tightening only, from one pip, at most once a second; the newest place wins."""
    pair = opened("1.10000", {"copy_trailing": "off"}, stop=price("1.095"), trailing=True)
    assert not pair.commands[0].trailing
    assert pair.protects(stop="1.09505", trailing=True, trailed=True).reason is Reason.TRAILING_STEP
    assert pair.protects(stop="1.0951", trailing=True, trailed=True).verdict is Verdict.COPY
    assert pair.commands[-1].stop == price("1.0951")
    pair.answer()
    pair.protects(stop="1.0952", trailing=True, trailed=True)
    pair.protects(stop="1.0953", trailing=True, trailed=True)
    assert pair.waiting == []
    pair.passes(1_000_000)
    assert [intent.command.stop for intent in pair.waiting] == [price("1.0953")]


def test_a_refused_amendment_keeps_the_old_level_and_is_tried_again() -> None:
    """Reported, and asked for again with growing delay; never given up while it is wanted."""
    pair = opened("1.10000", stop=price("1.095"))
    pair.protects(stop="1.099")
    pair.refuse("PROTECTION_IS_TOO_CLOSE_TO_MARKET")
    assert levels(pair)[0] == price("1.095")
    pair.passes(1_000_000)
    assert pair.waiting[-1].command.stop == price("1.099")
    (text,) = pair.view.alerts.values()
    assert text.startswith("protection_refused: The broker refuses to move the levels of the copy of EURUSD pdw: ")
    assert text.endswith("PROTECTION_IS_TOO_CLOSE_TO_MARKET; its old levels stand, and cmam asks again.")


def test_where_it_is_the_stop_that_is_too_near_the_target_stays_and_is_set_with_it() -> None:
    """Refused with the target and without: then it waits for its next try, and nothing has changed meanwhile."""
    pair = opened("1.10000", stop=price("1.095"), target=price("1.12"))
    pair.protects(stop="1.0999", target="1.12")
    for delay_us in (1_000_000, 2_000_000, 4_000_000):
        assert pair.waiting
        while pair.waiting:
            pair.refuse("PROTECTION_IS_TOO_CLOSE_TO_MARKET")
        assert levels(pair) == (price("1.095"), price("1.12"))
        pair.passes(delay_us - 1)
        assert not pair.waiting
        pair.passes(1)
    assert len(pair.sent) <= 1 + 2 * 4
    pair.answer()
    for _ in range(4):
        pair.passes(1_000_000)
        pair.answer()
    assert levels(pair) == (price("1.0999"), price("1.12"))
    assert pair.copy.left_out is None
    pair.passes(1_000)
    assert not pair.view.alerts


def test_a_target_that_may_be_set_is_said_once_while_a_refused_stop_holds_it_back() -> None:
    """Both go out with the next try of the stop."""
    pair = Pair(view=a_view((a_spec(tp_distance=51),)))
    pair.opens(stop=price("1.095"), target=price("1.1005"))
    pair.answer(at="1.10000")
    pair.protects(stop="1.0985", target="1.1005")
    while pair.waiting:
        pair.refuse("PROTECTION_IS_TOO_CLOSE_TO_MARKET")
    pair.quotes["EURUSD"] = ("1.09980", "1.09982")
    for _ in range(4):
        pair.passes(100_000)
    assert [event.what for event, _ in pair.said if isinstance(event, CopyOverdue)] == ["target"]
    assert not pair.waiting
    pair.passes(1_000_000)
    pair.answer()
    assert levels(pair) == (price("1.0985"), price("1.1005"))


@pytest.mark.parametrize(("rules", "stop"), [(10, "1.0850"), (RULES, "1.0851")])
def test_a_stop_stays_as_its_order_has_carried_it_where_only_the_target_is_set(rules: int, stop: str) -> None:
    """49 pips from 1.0900 on a tick of a pip, where his lie at 1.08498: set with the target, it was a pip looser."""
    pair = Pair(view=a_view((a_spec(digits=4, tp_distance=51),)))
    pair.view = replace(pair.view, rules=rules)
    pair.order(limit_price=price("1.09003"), relative_stop=price("0.00502"), relative_target=price("0.004"))
    pair.answer()
    assert (pair.commands[0].relative_stop, pair.commands[0].relative_target) == (price("0.0049"), None)
    pair.hears(pair.order_triggers(next(iter(pair.resting))))
    pair.order_fills(price=price("1.09003"), stop=price("1.08501"), target=price("1.09403"))
    assert levels(pair) == (price("1.0851"), None)
    pair.quotes["EURUSD"] = ("1.0880", "1.0881")
    pair.passes(2_500_000)
    pair.answer()
    assert levels(pair) == (price(stop), price("1.0940"))


@pytest.mark.parametrize(
    ("spec", "carried"),
    [
        (a_spec(tp_distance=50), "0.0005"),  # 50 points = 5 pips
        (a_spec(tp_distance=51), None),
        (a_spec(tp_distance=4, distance_in=DistanceIn.PERCENTAGE), "0.0005"),  # 0.04 % of 1.1 = 4.4 pips
        (a_spec(tp_distance=5, distance_in=DistanceIn.PERCENTAGE), None),  # 5.5 pips
    ],
)
def test_a_target_below_the_symbols_distance_is_left_out_of_the_open(spec: SymbolSpec, carried: str | None) -> None:
    """5 pips: in points or percent of the price; the stop goes with the open all the same."""
    pair = Pair(view=a_view((spec,)))
    pair.opens(stop=price("1.095"), target=price("1.1005"))
    wanted = None if carried is None else price(carried)
    assert (pair.commands[0].relative_stop, pair.commands[0].relative_target) == (price("0.005"), wanted)


def test_an_older_record_derives_the_open_with_its_target() -> None:
    """By rules of number 5 it went out with it, and was refused."""
    pair = Pair(view=a_view((a_spec(tp_distance=51),)))
    pair.view = replace(pair.view, rules=5)
    pair.opens(stop=price("1.095"), target=price("1.1005"))
    assert pair.commands[0].relative_target == price("0.0005")


def test_under_a_latch_that_only_closes_no_stop_is_loosened_or_taken_away() -> None:
    """The leader's looser stop is not taken, nor that he has none; his tighter one is, and his targets are."""
    pair = opened("1.10000", stop=price("1.095"), target=price("1.12"))
    pair.fact(GuardTripped(link=LINK, guard="daily_loss", reaction=Reaction.CLOSE_ONLY.value))
    for stop, then in (("1.09", "1.095"), (None, "1.095"), ("1.097", "1.097"), (None, "1.097")):
        pair.protects(stop=stop, target="1.13")
        pair.answer()
        assert levels(pair) == (price(then), price("1.13"))


def test_nothing_to_amend_counts_as_done() -> None:
    """The broker's words for it are no refusal."""
    pair = opened("1.10000", stop=price("1.095"))
    pair.protects(stop="1.096")
    pair.refuse("INVALID_REQUEST", text="Nothing to amend.")
    assert pair.copy.refusals == 0
    assert not pair.view.alerts


def test_a_limited_risk_follower_opens_with_a_guaranteed_stop_or_not_at_all() -> None:
    """No stop: skip(stop_required); with one: guaranteed, at least the guaranteed distance away, never trailing."""
    view = a_view((a_spec(gsl_distance=100),), limited_risk=True)
    assert Pair(view=view).opens().reason is Reason.STOP_REQUIRED
    assert Pair(view=view).opens(stop=price("1.0995")).reason is Reason.STOP_TOO_CLOSE
    pair = Pair(view=view)
    pair.opens(stop=price("1.09"), trailing=True)
    assert (pair.commands[0].guaranteed, pair.commands[0].trailing) == (True, False)


@pytest.mark.parametrize("offered", [None, True, False])
def test_nothing_opens_at_limited_risk_where_no_stop_may_be_guaranteed(offered: bool | None) -> None:
    """With or without a stop it is skipped, and nothing is sent; where nobody has told, the broker is asked as ever."""
    view = a_view((a_spec(guaranteed_stops=offered),), limited_risk=True)
    for stop in (None, price("1.09")):
        pair = Pair(view=view)
        wanted = Reason.NO_GUARANTEED_STOP if offered is False else None if stop else Reason.STOP_REQUIRED
        assert pair.opens(stop=stop).reason is wanted
        assert len(pair.sent) == (wanted is None)


@pytest.mark.parametrize(
    ("settings", "theirs", "wanted"),
    [
        ({"copy_guaranteed": "on"}, True, Reason.NO_GUARANTEED_STOP),
        ({"copy_guaranteed": "on"}, False, None),
        ({"copy_guaranteed": "on", "copy_sl": "off"}, True, None),
        ({}, True, None),
    ],
)
def test_a_guarantee_that_is_copied_is_skipped_where_there_is_none(
    settings: dict[str, str], theirs: bool, wanted: Reason | None
) -> None:
    """A plain stop would be less than what was asked for; where no stop or no guarantee is copied nothing is amiss."""
    pair = Pair(settings, view=a_view((a_spec(guaranteed_stops=False),)))
    assert pair.opens(stop=price("1.09"), guaranteed=theirs).reason is wanted


def test_a_symbol_that_offers_guaranteed_stops_later_is_opened_in() -> None:
    """And one that offers them no longer is not."""
    pair = Pair(view=a_view((a_spec(guaranteed_stops=False),), limited_risk=True))
    found = []
    for number, offered in enumerate((False, True, False)):
        pair.fact(SymbolSpecSeen(spec=a_spec(guaranteed_stops=offered)))
        source = SourceKey(f"p{number}")
        found.append(pair.opens(key=ChangeKey(f"deal:{number}"), source=source, stop=price("1.09")).reason)
    assert found == [Reason.NO_GUARANTEED_STOP, None, Reason.NO_GUARANTEED_STOP]


def test_a_broker_that_confirms_and_shows_other_levels_is_not_asked_without_end() -> None:
    """It confirms the amendment and goes on showing the old stop: asked once, not in a loop."""
    pair = opened("1.10000", stop=price("1.095"))
    pair.protects(stop="1.096")
    (intent,) = pair.lose()
    (held,) = pair.held.values()
    pair.fact(pair.protective(ExecutionKind.ORDER_REPLACED, held, is_server=False, name=intent.intent))
    assert pair.waiting == []
    assert len(pair.sent) == 2


def test_a_stop_that_the_market_has_passed_closes_the_copy() -> None:
    """The broker refuses the stop, and our bid is below it: the leader would be out, and so are we."""
    pair = opened("1.10000", stop=price("1.095"))
    pair.protects(stop="1.0999")
    pair.quotes["EURUSD"] = ("1.09980", "1.09982")
    pair.refuse("TRADING_BAD_STOPS")
    pair.wake()
    assert (pair.commands[-1].kind, pair.commands[-1].whole) == (CommandKind.CLOSE, True)
    pair.answer()
    assert pair.copy.reason is Reason.LEVEL_PASSED


def test_a_guaranteed_stop_that_may_not_be_loosened_stays() -> None:
    """WORSE_GSL_NOT_ALLOWED: the old stop stays, and nothing is asked again."""
    pair = opened("1.10000", stop=price("1.095"))
    pair.protects(stop="1.09")
    pair.refuse("WORSE_GSL_NOT_ALLOWED")
    pair.passes(120_000_000)
    assert len(pair.sent) == 2
    assert levels(pair)[0] == price("1.095")


def test_the_alert_about_a_refusal_is_said_again_every_quarter_of_an_hour() -> None:
    """At once, and with the time it has lasted."""
    pair = opened("1.10000", stop=price("1.095"))
    pair.protects(stop="1.099")
    pair.refuse("TRADING_DISABLED")
    pair.passes(1_000)
    (first,) = pair.view.alerts.values()
    pair.passes(900_000_000)
    (second,) = pair.view.alerts.values()
    assert first != second
    assert "15 minutes" in second
