"""How much, where more than one rule has a say: growth and sanity, widened stops and bounds, orders without a stop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import RulesBegan
from cmam.domain.values.changes import ChangeKind, LeaderMoney
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.resting import AMENDED_BY_RISK
from tests.factories import LOT, Pair, a_leader_symbol, a_spec, a_view, price, some_settings

OFF = {"margin_reserve": "off"}


def test_growth_counts_in_the_leverage_that_sanity_allows() -> None:
    """20 × 10,000 buy 181,000 units; twice as many more would be 59.7 times equity, a tenth more 21.9 times."""
    pair = Pair({"volume.mode": "fixed_leverage", "volume.amount": "20", **OFF})
    assert pair.opens().volume == 18_100_000
    pair.answer()
    found = pair.grows(LOT, 3 * LOT)
    assert (found.reason, [step.name for step in found.working][-1]) == (Reason.SANITY, "leverage")
    assert pair.grows(LOT, 11 * LOT // 10).volume == 1_800_000


def test_growth_by_a_multiplier_needs_no_sanity() -> None:
    """The same exposure in a mode that rests on nothing but the leader's volume."""
    pair = Pair({"volume.amount": "1.81", **OFF})
    pair.opens()
    pair.answer()
    assert pair.grows(LOT, 3 * LOT).volume == 36_200_000


@pytest.mark.parametrize(
    ("most", "whole", "grown", "reason"),
    [
        ("1", LOT, None, Reason.MAX_LOTS),
        ("1.5", LOT, 5_000_000, None),
        ("2", LOT, LOT, None),
        ("0.4", 4_000_000, None, Reason.MAX_LOTS),
    ],
)
def test_a_copy_grows_to_the_most_it_may_have(most: str, whole: int, grown: int | None, reason: Reason | None) -> None:
    """The leader doubles his lot; `volume.max` bounds the copy, not each of its orders."""
    pair = Pair({"volume.max": most, **OFF})
    assert pair.opens().volume == whole
    pair.answer()
    found = pair.grows(LOT, 2 * LOT)
    assert (found.reason, found.volume or None) == (reason, grown)
    pair.answer()
    assert [held.volume for held in pair.held.values()] == [whole + (grown or 0)]
    pair.reduces(2 * LOT, LOT)
    pair.answer()
    pair.link = some_settings({**pair.settings, "ignore_new": "on"})
    assert pair.grows(LOT, 2 * LOT).reason is Reason.IGNORE_NEW  # the state of the link comes first
    assert [held.volume for held in pair.held.values()] == [(whole + (grown or 0)) // 2]


@pytest.mark.parametrize("leader", ["EURUSD", "EURUSD.x"])
def test_what_opens_late_is_held_against_all_that_the_leader_holds(leader: str) -> None:
    """His order has filled 99,000 and then 1,000 more; the first was skipped. All is copied: that is his own size."""
    symbol = a_leader_symbol(a_spec())
    if leader == "EURUSD.x":
        symbol = a_leader_symbol(a_spec(base_name="EURO"))  # another thing by its name: compared in money
    pair = Pair({"volume.mode": "balance_ratio", "max_spread": "1", **OFF})
    pair.quotes["EURUSD"] = ("1.0990", "1.1010")
    assert pair.opens(9_900_000, symbol=symbol).reason is Reason.SPREAD
    pair.quotes["EURUSD"] = ("1.09999", "1.10001")
    assert pair.grows(9_900_000, LOT, is_opening=True, symbol=symbol).volume == LOT


@pytest.mark.parametrize(
    ("rounding", "volume", "whole"),
    [("skip,cap", 5_000_000, 5_000_000), ("skip,split", LOT, 12_000_000)],
)
def test_a_widened_stop_shrinks_a_split_volume_as_a_whole(rounding: str, volume: int, whole: int) -> None:
    """2.4 lots in parts of one; the stop goes from 10 pips to 20: 1.2 lots in all. A capped lot becomes half of one."""
    view = a_view((a_spec(max_volume=LOT, sl_distance=200),))
    pair = Pair({"bad_stop": "widen", "volume.rounding": rounding, **OFF}, view=view)
    found = pair.opens(24_000_000, stop=price("1.099"))
    assert found.goal is not None
    assert (found.volume, found.goal.target_numerator) == (volume, whole)


def test_a_widened_stop_shrinks_nothing_below_the_links_own_minimum() -> None:
    """One lot, halved, and `volume.min` is 0.6 lot."""
    pair = Pair({"bad_stop": "widen", "volume.min": "0.6"}, view=a_view((a_spec(sl_distance=200),)))
    assert pair.opens(stop=price("1.099")).reason is Reason.BELOW_MINIMUM


def test_a_pending_order_without_a_stop_takes_its_own_lots() -> None:
    """It does not wait for a stop, which may come whenever its leader likes: 0.03 lot, or none at all."""
    own = Pair({"volume.mode": "risk_percent", "volume.without_stop": "0.03"})
    assert own.order().volume == 300_000
    none = Pair({"volume.mode": "risk_percent"})
    assert none.order().reason is Reason.NO_STOP
    stopped = Pair({"volume.mode": "risk_percent"})
    assert stopped.order(stop=price("1.085")).volume == 2_000_000


@pytest.mark.parametrize(
    ("stop", "volume"),
    [("1.085", 2_000_000), ("1.088", 2_000_000), ("1.08", 1_000_000), ("1.04", 200_000), (None, None), ("0.98", None)],
)
@pytest.mark.parametrize("rules", [RULES, AMENDED_BY_RISK - 1])
def test_an_order_sized_by_its_stop_loses_no_more_at_a_farther_one(
    stop: str | None, volume: int | None, rules: int
) -> None:
    """1 % of 10,000 at 50 pips is 20,000 units; moved to 100 pips before it fills it is 10,000, and nothing without a
    stop, or where less than the least would be left. It grows by no nearer one. By older rules it stayed so large."""
    pair = Pair({"volume.mode": "risk_percent", **OFF})
    pair.order(stop=price("1.085"))
    pair.answer()
    pair.view = replace(pair.view, rules=rules)
    pair.order(ChangeKind.ORDER_AMENDED, stop=None if stop is None else price(stop))
    asked = [(command.kind, command.volume) for command in pair.commands[1:]]
    if rules < AMENDED_BY_RISK:
        volume = 2_000_000
    wanted = (CommandKind.CANCEL, 0) if volume is None else (CommandKind.AMEND_ORDER, volume)
    assert asked == ([] if stop == "1.085" else [wanted])


def test_an_order_sized_by_its_stop_keeps_its_size_where_the_stop_is_copied_no_more() -> None:
    """What the leader does to his stop then is nothing to it."""
    pair = Pair({"volume.mode": "risk_percent", **OFF})
    pair.order(stop=price("1.085"))
    pair.answer()
    pair.link = some_settings({**pair.settings, "copy_sl": "off"})
    pair.order(ChangeKind.ORDER_AMENDED, stop=price("1.04"))
    assert len(pair.commands) == 1


def test_a_pending_order_is_capped_and_counted_as_it_is_placed() -> None:
    """Two lots at one lot an order: one rests, and a cap of 1.5 lots lets it; a market order would be two parts."""
    settings = {"volume.rounding": "skip,split", "max_lots_open": "1.5", **OFF}
    view = a_view((a_spec(max_volume=LOT),))
    order = Pair(settings, view=view).order(volume=Volume(2 * LOT))
    assert (order.volume, [step.name for step in order.working if step.name in ("capped", "split")]) == (
        LOT,
        ["capped"],
    )
    assert Pair(settings, view=view).opens(2 * LOT).reason is Reason.MAX_LOTS


@pytest.mark.parametrize(
    ("settings", "stop", "target"),
    [
        ({"fixed_sl": "10.25", "fixed_tp": "7.77"}, "0.102", "0.077"),
        ({"fixed_sl": "10.3", "fixed_tp": "0.04"}, "0.103", "0.001"),
    ],
)
@pytest.mark.parametrize("kind", ["market", "limit"])
def test_fixed_distances_lie_on_the_tick(settings: dict[str, str], stop: str, target: str, kind: str) -> None:
    """A pip of USDJPY is ten ticks: what lies between is down to the tick, and one tick is the least."""
    spec = a_spec("USDJPY", 3, digits=3, pip_position=2)
    pair = Pair(settings, view=a_view((spec,)))
    symbol, quote = a_leader_symbol(spec), pair.quote("USDJPY")
    if kind == "market":
        pair.opens(symbol=symbol, price=price("150"), quote=quote)
    else:
        pair.order(symbol=symbol, limit_price=price("149"), quote=quote)
    command = pair.commands[0]
    assert (command.relative_stop, command.relative_target) == (price(stop), price(target))


def test_what_was_decided_before_stays_as_it_was() -> None:
    """A log whose record does not say that these rules hold is derived by the old ones."""
    view = a_view((a_spec(max_volume=LOT, sl_distance=200),))
    pair = Pair({"bad_stop": "widen", "volume.rounding": "skip,split", "fixed_tp": "7.777", **OFF}, view=view)
    pair.fact(RulesBegan(rules=2))
    assert pair.opens(24_000_000, stop=price("1.099")).volume == 5_000_000
    assert pair.commands[0].relative_target == price("0.0007777")
    grown = Pair({"volume.mode": "fixed_leverage", "volume.amount": "20", **OFF})
    grown.fact(RulesBegan(rules=2))
    grown.opens()
    grown.answer()
    assert grown.grows(LOT, 3 * LOT).verdict is Verdict.COPY
    order = Pair({"volume.mode": "risk_percent", "volume.without_stop": "0.03"})
    order.fact(RulesBegan(rules=2))
    assert order.order().reason is Reason.NO_STOP


def test_a_risk_is_of_the_followers_own_side_in_reverse() -> None:
    """The leader buys with a target 40 pips above, which is our stop: 1 % of 10,000 over 0.0040 is 25,000 units."""
    money = LeaderMoney(currency="USD", money_digits=2, balance=1)
    pair = Pair({"volume.mode": "risk_percent", "reverse": "on", **OFF})
    found = pair.opens(target=price("1.104"), stop=price("1.0"), money=money)
    assert (found.side, found.volume) == (Side.SELL, 2_500_000)
