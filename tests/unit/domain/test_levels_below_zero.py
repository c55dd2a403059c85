"""Levels that would lie at 0 or below, where no price ever is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.quantities import Side
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.levels import NO_LEVELS_BELOW, NO_LEVELS_BELOW_HERE
from cmam.domain.values.rules.newest import RULES
from tests.factories import Pair, price


def _pair(rules: int, **settings: str) -> Pair:
    pair = Pair(settings)
    pair.view = replace(pair.view, rules=rules)
    return pair


@pytest.mark.parametrize(
    ("settings", "stop"),
    [({"fixed_sl": "11001"}, None), ({"fixed_sl": "12000"}, None), ({"sl_offset": "11000"}, "1.095")],
)
@pytest.mark.parametrize("rules", [RULES, NO_LEVELS_BELOW - 1])
def test_a_stop_below_any_price_is_no_stop(settings: dict[str, str], stop: str | None, rules: int) -> None:
    """1.1001 or more below an entry at 1.1: nothing is opened. It was, with a stop that no price could reach, and what
    the broker made of it was taken away by the first amendment."""
    pair = _pair(rules, **settings)
    decided = pair.opens(stop=None if stop is None else price(stop))
    assert decided.reason is (Reason.LEVEL_WRONG_SIDE if rules == RULES else None)
    if rules == RULES:
        assert decided.working[-1].name == "stop"


def test_a_stop_just_above_zero_is_one() -> None:
    """10,999 pips below 1.1 is 0.0001."""
    pair = Pair({"fixed_sl": "10999"})
    assert pair.opens().reason is None
    (command,) = pair.commands
    assert command.relative_stop == price("1.0999")


def test_of_a_sell_the_stop_lies_above() -> None:
    """Twice the price away: a price may rise as far."""
    assert Pair({"fixed_sl": "22000"}).opens(side=Side.SELL).reason is None


@pytest.mark.parametrize("rules", [RULES, NO_LEVELS_BELOW - 1])
def test_a_target_below_any_price_is_left_out(rules: int) -> None:
    """A sell with its target at -0.1 would never reach it: it is opened without one."""
    pair = _pair(rules, fixed_tp="12000")
    assert pair.opens(side=Side.SELL).reason is None
    (command,) = pair.commands
    assert (command.relative_target is None) is (rules == RULES)
    pair.answer()
    pair.passes(1_000)
    if rules == RULES:
        assert len(pair.commands) == 1


def test_an_order_that_would_rest_with_such_a_stop_does_not() -> None:
    """It counts from the order's price."""
    pair = Pair({"fixed_sl": "10950"})
    assert pair.order(ChangeKind.ORDER_PLACED).reason is Reason.LEVEL_WRONG_SIDE


@pytest.mark.parametrize("rules", [RULES, NO_LEVELS_BELOW - 1])
def test_a_stop_that_is_there_is_not_given_up_for_none(rules: int) -> None:
    """The leader's stop goes so low that ours would lie below 0: the one that is there stays. It was taken away."""
    pair = _pair(rules, sl_offset="9000")
    pair.opens(stop=price("1.095"))
    pair.answer()
    was = pair.copy.seen_stop
    assert was == price("0.19501")
    pair.protects(stop="0.8")
    pair.answer()
    assert pair.copy.seen_stop == (was if rules == RULES else None)
    pair.protects(stop="1.0")
    pair.answer()
    assert pair.copy.seen_stop == price("0.10001")


@pytest.mark.parametrize("rules", [RULES, NO_LEVELS_BELOW_HERE - 1])
def test_a_stop_is_judged_by_the_followers_market_too(rules: int) -> None:
    """The follower's symbol is quoted at a tenth of the leader's: his stop, 0.2 below 1.1, would lie 0.09 below 0. The
    copy was opened with it, and nothing protected it."""
    pair = _pair(rules)
    pair.quotes = {"EURUSD": ("0.10998", "0.11")}
    decided = pair.opens(stop=price("0.9"))
    assert decided.reason is (Reason.LEVEL_WRONG_SIDE if rules == RULES else None)
    if rules == RULES:
        assert (decided.working[-1].name, decided.working[-1].value) == ("stop", "-0.09000")


def test_a_stop_that_the_followers_market_has_room_for_is_carried() -> None:
    """0.1 below 0.11 there still is a price."""
    pair = Pair()
    pair.quotes = {"EURUSD": ("0.10998", "0.11")}
    assert pair.opens(stop=price("1.0")).reason is None
    (command,) = pair.commands
    assert command.relative_stop == price("0.1")


@pytest.mark.parametrize("rules", [RULES, NO_LEVELS_BELOW_HERE - 1])
def test_a_target_is_judged_by_the_followers_market_too(rules: int) -> None:
    """A sell that would end with 0.2 won, at a price of 0.11: it is opened without that target."""
    pair = _pair(rules)
    pair.quotes = {"EURUSD": ("0.10998", "0.11")}
    assert pair.opens(side=Side.SELL, target=price("0.9")).reason is None
    (command,) = pair.commands
    assert (command.relative_target is None) is (rules == RULES)


@pytest.mark.parametrize("rules", [RULES, NO_LEVELS_BELOW_HERE - 1])
def test_a_stop_is_not_judged_by_the_leaders_price(rules: int) -> None:
    """Ten times as high as the leader's there is room for 1.2: nothing was opened, for 1.1 has none."""
    pair = _pair(rules, fixed_sl="12000", margin_reserve="off")
    pair.quotes = {"EURUSD": ("10.9998", "11")}
    assert pair.opens().reason is (None if rules == RULES else Reason.LEVEL_WRONG_SIDE)


@pytest.mark.parametrize("stop", [None, "0.9"])
def test_without_a_quote_the_leaders_price_is_all_there_is(stop: str | None) -> None:
    """A size by the multiplier needs no quote, and the copy is opened."""
    pair = Pair({"margin_reserve": "off"})
    pair.quotes = {}
    assert pair.opens(stop=None if stop is None else price(stop)).reason is None
