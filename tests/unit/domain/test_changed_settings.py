"""Settings that are changed while copies are open: what stands keeps its side, and what is no longer copied stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import CopyState
from cmam.domain.events import Health, HealthChanged, RulesBegan, Wait
from cmam.domain.turns.timing import set_anew
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Distance, Price, Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.trades import OrderType
from tests.factories import LOT, QUOTES, Pair, price, some_settings

REVERSED = {"reverse": "on", "reverse_without_stop": "on"}


def set_to(pair: Pair, **settings: str) -> None:
    """The owner of a link sets it otherwise; names have a point where these have two underscores."""
    pair.settings = {**pair.settings, **{name.replace("__", "."): value for name, value in settings.items()}}
    pair.link = some_settings(pair.settings)


def take_settings(pair: Pair) -> None:
    """What the account does with settings as they change."""
    for fact in tuple(set_anew(pair.view, {pair.link.link: pair.link})):
        pair.fact(fact)


def levels(pair: Pair) -> tuple[Price | None, Price | None]:
    """Stop and target of the one position."""
    (held,) = pair.held.values()
    return held.stop, held.target


# --- reverse ----------------------------------------------------------------------------------------------------------


def test_a_copy_keeps_its_leaders_levels_when_its_link_is_reversed_afterwards() -> None:
    """It was bought as the leader bought: his stop stays its stop. Changed about, its stop would lie above the market,
    and a stop that the market has passed closes the copy."""
    pair = Pair()
    pair.opens(stop=price("1.09"), target=price("1.12"))
    pair.answer()
    set_to(pair, **REVERSED)
    pair.protects(stop="1.095", target="1.13")
    pair.answer()
    pair.passes(2_000_000)
    assert levels(pair) == (price("1.09501"), price("1.13001"))
    assert pair.copy.state is CopyState.OPEN


def test_a_reversed_copy_stays_so_when_its_link_is_no_longer_reversed() -> None:
    """We sold where he bought: his target stays its stop."""
    pair = Pair({"reverse": "on"})
    pair.opens(stop=price("1.09"), target=price("1.12"))
    pair.answer()
    set_to(pair, reverse="off")
    pair.protects(stop="1.095", target="1.13")
    pair.answer()
    assert levels(pair) == (price("1.12999"), price("1.09499"))


def test_a_trailing_stop_is_followed_though_the_link_is_reversed_afterwards() -> None:
    """What the broker moves for the leader moves the stop of a copy that stands on his side."""
    pair = Pair({"copy_trailing": "off"})
    pair.opens(stop=price("1.09"))
    pair.answer()
    set_to(pair, **REVERSED)
    pair.protects(stop="1.092", trailing=True, trailed=True)
    pair.answer()
    assert levels(pair) == (price("1.09201"), None)


def test_a_copy_has_its_own_shift_again_once_levels_are_copied_by_price_no_more() -> None:
    """Filled 3 points above his: his 1.091 is 1.09103, by price 1.092, then 1.09303. One opened by price stays so."""
    pair = Pair()
    pair.opens(stop=price("1.09"))
    pair.answer(at="1.10003")
    for stop, mode, then in (
        ("1.091", "shift", "1.09103"),
        ("1.092", "price", "1.092"),
        ("1.0925", "price", "1.0925"),
        ("1.093", "shift", "1.09303"),
        ("1.094", "price", "1.094"),
        ("1.095", "shift", "1.09503"),
    ):
        set_to(pair, levels=mode)
        pair.protects(stop=stop)
        pair.answer()
        assert levels(pair)[0] == price(then)
    other = Pair({"levels": "price"})
    other.opens(stop=price("1.09"))
    other.answer(at="1.10003")
    set_to(other, levels="shift")
    other.protects(stop="1.091")
    other.answer()
    assert levels(other)[0] == price("1.091")


def test_an_add_is_priced_on_the_side_of_its_copy() -> None:
    """A market range of a buy is laid around the ask, whatever `reverse` has become."""
    pair = Pair({"max_slippage": "10"})
    pair.opens()
    pair.answer()
    set_to(pair, **REVERSED)
    pair.grows(LOT, 2 * LOT)
    first, added = pair.commands
    assert (added.kind, added.side, added.base_price) == (CommandKind.ADD, Side.BUY, first.base_price)


def test_a_resting_order_keeps_its_type_when_its_link_is_reversed_afterwards() -> None:
    """A buy limit that the leader moves stays a buy limit."""
    pair = Pair()
    pair.order(relative_stop=price("0.005"), relative_target=price("0.01"))
    pair.answer()
    set_to(pair, **REVERSED)
    pair.order(
        ChangeKind.ORDER_AMENDED,
        limit_price=price("1.08"),
        relative_stop=price("0.004"),
        relative_target=price("0.02"),
    )
    amended = pair.commands[-1]
    assert (amended.kind, amended.order_type, amended.limit_price) == (
        CommandKind.AMEND_ORDER,
        OrderType.LIMIT,
        price("1.08"),
    )
    assert (amended.relative_stop, amended.relative_target) == (price("0.004"), price("0.02"))


def test_a_reversed_order_that_waited_for_quotes_is_on_its_own_side() -> None:
    """Its fixed stop lies above a sell. On the wrong side it would be refused, and close the copy."""
    pair = Pair({**REVERSED, "fixed_sl": "20"}, warming=True, quotes={})
    pair.order()
    pair.quotes = dict(QUOTES)
    pair.wake()
    pair.answer()
    assert (pair.commands[0].kind, pair.commands[0].side, pair.copy.side) == (CommandKind.PLACE, Side.SELL, Side.SELL)
    pair.order_fills()
    (order,) = pair.resting
    pair.hears(pair.order_triggers(order))
    pair.answer()
    assert levels(pair)[0] == price("1.092")


def test_a_record_by_older_rules_is_derived_as_it_was() -> None:
    """What was derived before these rules began comes out the same for ever."""
    pair = Pair()
    pair.fact(RulesBegan(rules=2))
    pair.opens(stop=price("1.09"), target=price("1.12"))
    pair.answer()
    set_to(pair, **REVERSED)
    decided = pair.protects(stop="1.095", target="1.13")
    assert decided.goal is not None
    assert (decided.goal.leader_stop, decided.goal.leader_target) == (price("1.13"), price("1.095"))


# --- what is no longer copied -----------------------------------------------------------------------------------------


def test_a_stop_that_is_no_longer_copied_stays_where_it_is() -> None:
    """The target follows; the stop is not the leader's affair any more, and is not taken away."""
    pair = Pair()
    pair.opens(stop=price("1.09"), target=price("1.12"))
    pair.answer()
    had = levels(pair)[0]
    set_to(pair, copy_sl="off")
    pair.protects(stop="1.095", target="1.13")
    pair.answer()
    assert had is not None
    assert levels(pair) == (had, price("1.13001"))


def test_a_trailing_stop_that_is_no_longer_copied_trails_on() -> None:
    """Nobody said that it shall stand still."""
    pair = Pair()
    pair.opens(stop=price("1.09"), trailing=True)
    pair.answer()
    set_to(pair, copy_sl="off")
    pair.protects(stop="1.095", target="1.13")
    pair.answer()
    (held,) = pair.held.values()
    assert (held.trailing, held.stop, held.target) == (True, price("1.09001"), price("1.13001"))


@pytest.mark.parametrize("human_levels", ["pin", "leader"])
def test_a_persons_stop_stays_where_stops_are_not_copied(human_levels: str) -> None:
    """Whoever sets his own stops has them: the leader has no say in stops that are not copied."""
    pair = Pair({"copy_sl": "off", "human_levels": human_levels})
    pair.opens(stop=price("1.09"), target=price("1.12"))
    pair.answer()
    (number,) = pair.held
    pair.held[number] = replace(pair.held[number], stop=price("1.085"), updated_ms=pair.now_us // 1_000 + 1)
    pair.fact(pair.reconciled())
    pair.protects(stop="1.095", target="1.13")
    pair.answer()
    assert levels(pair) == (price("1.085"), price("1.13001"))


# --- orders that have not left yet ------------------------------------------------------------------------------------


def test_an_order_that_waits_for_quotes_is_placed_as_its_leader_has_amended_it() -> None:
    """What he did to it meanwhile is not forgotten."""
    pair = Pair(warming=True, quotes={})
    assert pair.order(relative_stop=price("0.005")).wait is Wait.QUOTES
    amended = pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.08"), volume=Volume(LOT // 2))
    assert amended.verdict is Verdict.COPY
    pair.quotes = dict(QUOTES)
    pair.wake()
    (placed,) = pair.commands
    assert (placed.limit_price, placed.volume, placed.relative_stop) == (price("1.08"), LOT // 2, None)


def test_an_order_that_the_line_kept_back_is_placed_as_its_leader_has_amended_it() -> None:
    """It comes back unsent and passes all gates again, with the terms of now."""
    pair = Pair()
    pair.order(relative_stop=price("0.005"))
    pair.fact(HealthChanged(health=Health.DOWN))
    pair.drop("the connection was lost")
    pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.08"), relative_stop=price("0.004"))
    pair.fact(pair.reconciled())
    pair.fact(HealthChanged(health=Health.RECONCILED))
    pair.passes(1_500_000)
    placed = pair.commands[-1]
    assert (placed.kind, placed.limit_price, placed.relative_stop) == (
        CommandKind.PLACE,
        price("1.08"),
        Distance(price("0.004")),
    )


# --- volume.max -------------------------------------------------------------------------------------------------------


def test_no_add_makes_a_copy_larger_than_volume_max() -> None:
    """One lot and a half is the most: the leader's second lot brings half of one, the third nothing."""
    pair = Pair({"volume.max": "1.5", "margin_reserve": "off"})
    pair.opens()
    pair.answer()
    pair.grows(LOT, 2 * LOT)
    pair.answer()
    assert pair.copy.volume == pair.copy.target == 3 * LOT // 2
    decided = pair.grows(2 * LOT, 3 * LOT)
    pair.answer()
    assert (decided.verdict, decided.reason) == (Verdict.SKIP, Reason.MAX_LOTS)
    pair.passes(40_000_000)
    assert pair.copy.volume == pair.copy.target == 3 * LOT // 2


def test_a_volume_max_that_was_lowered_takes_nothing_away() -> None:
    """What is held stays; only nothing is added."""
    pair = Pair({"margin_reserve": "off"})
    pair.opens()
    pair.answer()
    set_to(pair, volume__max="0.5")
    assert pair.grows(LOT, 2 * LOT).reason is Reason.MAX_LOTS
    pair.answer()
    assert pair.copy.volume == pair.copy.target == LOT


# --- how parts are closed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rules", "then", "left"), [(RULES, "up", 0), (RULES, "carry", 100_000), (9, "up", 100_000)])
def test_a_part_is_rounded_as_the_link_is_set_when_it_is_closed(rules: int, then: str, left: int) -> None:
    """0.01 lot at a target of 0.0067 is carried, or closed whole where parts are rounded up by now, whatever was set
    when it was opened; by older rules a copy kept that for life."""
    pair = Pair({"volume.amount": "0.01", "partial_rounding": "carry" if then == "up" else "up"})
    pair.fact(RulesBegan(rules=rules))
    pair.opens()
    pair.answer()
    set_to(pair, partial_rounding=then)
    decided = pair.reduces(LOT, 6_700_000)
    pair.answer()
    assert (decided.reason is Reason.CARRIED) is bool(left)
    assert pair.copy.volume == left


# --- levels that are no longer fixed ----------------------------------------------------------------------------------


def test_a_fixed_stop_stays_when_stops_are_fixed_no_more() -> None:
    """The leader has none: with his next target the copy stood without a stop. One that he sets takes its place."""
    pair = Pair({"fixed_sl": "20"})
    pair.opens(target=price("1.12"))
    pair.answer()
    had = levels(pair)[0]
    set_to(pair, fixed_sl="off")
    pair.protects(target="1.13")
    pair.answer()
    assert had is not None
    assert levels(pair) == (had, price("1.13001"))
    pair.protects(stop="1.09", target="1.13")
    pair.answer()
    assert levels(pair)[0] == price("1.09001")
    pair.protects(target="1.13")
    pair.answer()
    assert levels(pair)[0] is None


def test_a_fixed_target_stays_when_targets_are_fixed_no_more() -> None:
    """As a stop does."""
    pair = Pair({"fixed_tp": "20"})
    pair.opens(stop=price("1.09"))
    pair.answer()
    had = levels(pair)[1]
    set_to(pair, fixed_tp="off")
    pair.protects(stop="1.091")
    pair.answer()
    assert had is not None
    assert levels(pair) == (price("1.09101"), had)


def test_a_resting_order_keeps_its_fixed_levels_when_they_are_fixed_no_more() -> None:
    """It is amended, and fills, with the distances that it was placed with."""
    pair = Pair({"fixed_sl": "20", "fixed_tp": "30"})
    pair.order()
    pair.answer()
    set_to(pair, fixed_sl="off", fixed_tp="off", require_stop="on")
    pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.08"))
    pair.answer()
    (order,) = pair.resting.values()
    assert (order.relative_stop, order.relative_target) == (price("0.002"), price("0.003"))
    pair.order_fills()
    (number,) = pair.resting
    pair.hears(pair.order_triggers(number, at="1.08"))
    pair.answer()
    assert levels(pair) == (price("1.078"), price("1.083"))


def test_a_fixed_target_that_was_set_for_a_resting_order_stays_too() -> None:
    """Set when he amended it, and off again before it fills."""
    pair = Pair()
    pair.order()
    pair.answer()
    set_to(pair, fixed_tp="30")
    pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.08"))
    pair.answer()
    set_to(pair, fixed_tp="off")
    pair.order_fills()
    (number,) = pair.resting
    pair.hears(pair.order_triggers(number, at="1.08"))
    pair.answer()
    assert levels(pair)[1] == price("1.083")


# --- whose levels win -------------------------------------------------------------------------------------------------


def a_person_sets(pair: Pair, stop: str) -> None:
    """Somebody moves the stop at the broker."""
    (number,) = pair.held
    pair.held[number] = replace(pair.held[number], stop=price(stop), updated_ms=pair.now_us // 1_000 + 1)
    pair.fact(pair.reconciled())
    pair.answer()


def test_a_persons_stop_counts_as_soon_as_levels_are_pinned() -> None:
    """The copy was opened under `leader`, and its owner's own stop was put back all the same."""
    pair = Pair({"human_levels": "leader"})
    pair.opens(stop=price("1.09"))
    pair.answer()
    a_person_sets(pair, "1.095")
    assert levels(pair)[0] == price("1.09001")
    set_to(pair, human_levels="pin")
    take_settings(pair)
    a_person_sets(pair, "1.095")
    pair.passes(2_000_000)
    assert levels(pair)[0] == price("1.095")
    assert list(set_anew(pair.view, {pair.link.link: pair.link})) == []


def test_a_pin_that_the_leader_has_won_against_does_not_come_back() -> None:
    """Set to `leader`, a stop followed him; set back to `pin`, his next target moved it to where the person had it."""
    pair = Pair()
    pair.opens(stop=price("1.08"))
    pair.answer()
    a_person_sets(pair, "1.075")
    set_to(pair, human_levels="leader")
    pair.protects(stop="1.081")
    pair.answer()
    set_to(pair, human_levels="pin")
    pair.protects(stop="1.081", target="1.13")
    pair.answer()
    assert levels(pair) == (price("1.08101"), price("1.13001"))


def test_a_persons_only_stop_stays_when_levels_are_the_leaders() -> None:
    """He has none: nothing is taken away."""
    pair = Pair()
    pair.opens()
    pair.answer()
    a_person_sets(pair, "1.085")
    set_to(pair, human_levels="leader")
    pair.protects(target="1.13")
    pair.answer()
    assert levels(pair) == (price("1.085"), price("1.13001"))


# --- what rests, and what is closed in parts --------------------------------------------------------------------------


@pytest.mark.parametrize("otherwise", [{"pending_outside": "keep"}, {"hours": "always"}, {}])
def test_an_order_rests_by_the_hours_of_now(otherwise: dict[str, str]) -> None:
    """It was cancelled at the end of the hours by which it was placed, whatever its link says by then."""
    pair = Pair({"hours": "12:00-12:30 UTC"})  # it is 12:26:40
    pair.order()
    pair.answer()
    set_to(pair, **otherwise)
    take_settings(pair)
    pair.passes(300_000_000)
    pair.answer()
    assert len(pair.resting) == bool(otherwise)


def test_a_part_is_rounded_as_it_is_set_now() -> None:
    """Half a step too much is carried, or closed by a whole one, as the link says when the leader closes the part."""
    pair = Pair({"volume.amount": "0.01"})
    pair.opens(10 * LOT)
    pair.answer()
    held = pair.copy.volume
    set_to(pair, partial_rounding="up")
    pair.reduces(10 * LOT, 10 * LOT - LOT // 2)
    pair.answer()
    assert pair.copy.volume < held
    assert pair.copy.volume <= pair.copy.target
    set_to(pair, partial_rounding="carry")
    held = pair.copy.volume
    pair.reduces(10 * LOT - LOT // 2, 10 * LOT - LOT)
    pair.answer()
    assert pair.copy.volume == held
