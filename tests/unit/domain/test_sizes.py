"""How much is copied: every mode with its arithmetic spelled out, every bound, every missing input."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from cmam.domain.events import ChangeDecided, ExecutionSeen, RulesBegan
from cmam.domain.values.changes import Change, ChangeKind, LeaderMoney
from cmam.domain.values.ids import OrderId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.trades import ExecutionKind, Order, OrderType
from tests.factories import LOT, Pair, a_change, a_leader_symbol, a_quote, a_spec, a_view, price

OFF = {"margin_reserve": "off"}


def decided(pair: Pair, change: Change | None = None) -> ChangeDecided:
    """What a follower makes of the leader's one lot."""
    return pair.tell(change or a_change())


def leader_money(balance: int, currency: str = "USD", **others: int) -> LeaderMoney:
    """A leader's money in cents."""
    return LeaderMoney(currency=currency, money_digits=2, balance=balance, **others)


@pytest.mark.parametrize(
    ("amount", "leader", "volume"),
    [
        ("0.5", LOT, 5_000_000),  # 1.00 lot × 0.5
        ("0.333", LOT, 3_300_000),  # 0.333 lot, down to 0.33
        ("2", 1_300_000, 2_600_000),  # 0.13 × 2
        ("0.1", 1_900_000, 100_000),  # 0.19 × 0.1 = 0.019, down to 0.01
    ],
)
def test_multiplier_rounds_down_to_the_step(amount: str, leader: int, volume: int) -> None:
    """Leader's volume × amount, exact, then down to a step of 0.01 lot."""
    pair = Pair({"volume.amount": amount, **OFF})
    found = pair.opens(leader)
    assert (found.verdict, found.volume) == (Verdict.COPY, volume)


def test_below_the_minimum_is_skipped_by_default() -> None:
    """0.01 × 0.5 = 0.005 lot, down to 0: below 0.01."""
    found = Pair({"volume.amount": "0.5"}).opens(100_000)
    assert (found.verdict, found.reason) == (Verdict.SKIP, Reason.BELOW_MINIMUM)


@pytest.mark.parametrize(
    ("leader", "amount", "reason", "volume"),
    [
        (100_000, "0.5", None, 100_000),  # 0.01 ÷ 0.005 = 2 times
        (100_000, "0.2", None, 100_000),  # 5 times, the most allowed
        (100_000, "0.19", Reason.RAISE_TOO_FAR, 0),  # 5.26 times
    ],
)
def test_raise_lifts_to_the_minimum_within_its_limit(
    leader: int, amount: str, reason: Reason | None, volume: int
) -> None:
    """`raise` only while the minimum over the exact volume is at most `raise_risk_max` = 5."""
    found = Pair({"volume.amount": amount, "volume.rounding": "raise"}).opens(leader)
    assert (found.reason, found.volume) == (reason, volume)


def test_own_bounds_are_in_lots_and_only_tighten() -> None:
    """volume.max of 0.25 lot caps; volume.min of 0.3 lot skips what is below it."""
    assert Pair({"volume.max": "0.25"}).opens().volume == 2_500_000
    assert Pair({"volume.max": "0.255"}).opens().volume == 2_500_000
    assert Pair({"volume.min": "0.3", "volume.amount": "0.2"}).opens().reason is Reason.BELOW_MINIMUM


def test_bounds_that_meet_leave_one_size() -> None:
    """Half a lot at least and at most: the leader's two are capped to it, his 0.1 is skipped."""
    bounds = {"volume.min": "0.5", "volume.max": "0.5", **OFF}
    assert Pair(bounds).opens(2 * LOT).volume == LOT // 2
    assert Pair(bounds).opens(LOT // 10).reason is Reason.BELOW_MINIMUM


def test_above_the_maximum_is_capped() -> None:
    """The symbol takes 1 lot at most; three become one."""
    pair = Pair(OFF, view=a_view((a_spec(max_volume=LOT),)))
    assert pair.opens(3 * LOT).volume == LOT


def test_fixed_is_lots_of_the_follower_whatever_the_leader_trades() -> None:
    """0.07 lot of the follower's 10,000 units: 700 units."""
    pair = Pair({"volume.mode": "fixed", "volume.amount": "0.07"}, view=a_view((a_spec(lot_size=1_000_000, step_volume=10_000, min_volume=10_000),)))  # fmt: skip  # noqa: E501
    assert pair.opens(5 * LOT).volume == 70_000


@pytest.mark.parametrize(
    ("settings", "reason", "volume"),
    [
        ({}, Reason.LOTS_UNCONFIRMED, 0),
        ({"volume.lots_confirmed": "EURUSD"}, None, 1_000_000),  # 1 lot of 10,000 units
        ({"volume.lots_confirmed": "gbpusd, eurusd"}, None, 1_000_000),
        ({"volume.lots_confirmed": "EURUSDX"}, Reason.LOTS_UNCONFIRMED, 0),
        ({"volume.basis": "units"}, None, 10_000_000),  # 100,000 units
        ({"symbols.table": "leader_symbol,volume_amount\nEURUSD,2\n"}, None, 2_000_000),  # 1 × 2 lots of 10,000
    ],
)
def test_lots_of_different_size_are_copied_only_where_somebody_confirmed_it(
    settings: dict[str, str], reason: Reason | None, volume: int
) -> None:
    """The leader's lot is 100,000 units, the follower's 10,000: lots mean a tenth of the units."""
    spec = a_spec(lot_size=1_000_000, step_volume=10_000, min_volume=10_000)
    found = decided(Pair({**settings, **OFF}, view=a_view((spec,))))
    assert (found.reason, found.volume) == (reason, volume)


def test_a_record_from_before_lots_were_confirmed_in_either_case_stays_as_it_is() -> None:
    """What an account skipped under older rules is skipped when it is derived again."""
    spec = a_spec(lot_size=1_000_000, step_volume=10_000, min_volume=10_000)
    before = Pair({"volume.lots_confirmed": "eurusd", **OFF}, view=a_view((spec,)))
    before.fact(RulesBegan(rules=3))
    assert decided(before).reason is Reason.LOTS_UNCONFIRMED


def test_balance_ratio_in_one_currency() -> None:
    """1 lot ÷ 50,000 × 10,000 × 1.5 = 0.3 lot."""
    pair = Pair({"volume.mode": "balance_ratio", "volume.amount": "1.5"})
    assert decided(pair, a_change(money=leader_money(5_000_000))).volume == 3_000_000


def test_balance_ratio_converts_the_leaders_money_at_the_dearer_side() -> None:
    """50,000 GBP are 50,000 × 1.30001 = 65,000.50 USD: 1 ÷ 65,000.50 × 10,000 = 0.15384 lot, down to 0.15."""
    pair = Pair({"volume.mode": "balance_ratio"})
    found = decided(pair, a_change(money=leader_money(5_000_000, "GBP")))
    assert found.volume == 1_500_000
    raw = Pair({"volume.mode": "balance_ratio", "volume.currency": "raw"})
    assert decided(raw, a_change(money=leader_money(5_000_000, "GBP"))).volume == 2_000_000


def test_balance_ratio_through_a_chain_of_two() -> None:
    """From JPY to an account in EUR by USDJPY and EURUSD: 5,000,000 JPY ÷ 149.999 ÷ 1.09999 at the dearer sides."""
    pair = Pair({"volume.mode": "balance_ratio"}, view=a_view(currency="EUR"))
    found = decided(pair, a_change(money=leader_money(500_000_000, "JPY")))
    rate = Fraction(1) / Fraction("149.999") / Fraction("1.09999")
    exact = LOT * Fraction(10_000) / (5_000_000 * rate)
    assert found.volume == int(exact) // 100_000 * 100_000 == 3_200_000


def test_equity_ratio_counts_open_positions() -> None:
    """10,000 USD and a loss of 1,000 on one lot: equity 9,000; 1 lot ÷ 18,000 × 9,000 = 0.5 lot, a step less."""
    pair = Pair({**OFF})
    pair.opens()
    pair.answer(at="1.10999")
    pair.settings = {"volume.mode": "equity_ratio", **OFF}
    pair.__post_init__()
    found = decided(pair, a_change(source="p2", position=2, money=leader_money(1_800_000, equity=1_800_000)))
    # Bought at 1.10999, the bid is 1.09999: 100,000 × -0.01 = -1,000.00 USD.
    assert found.volume == 5_000_000


def test_free_margin_ratio_needs_the_leaders_free_margin() -> None:
    """Unknown at the leader: skip(stale_input), no substitute."""
    pair = Pair({"volume.mode": "free_margin_ratio"})
    assert decided(pair, a_change(money=leader_money(100))).reason is Reason.STALE_INPUT
    found = decided(pair, a_change(money=leader_money(100, free_margin=2_000_000)))
    assert found.volume == 5_000_000  # 1 lot ÷ 20,000 × 10,000


@pytest.mark.parametrize("balance", [0, -5])
def test_money_that_is_not_above_zero_sizes_nothing(balance: int) -> None:
    """A leader without money has no ratio."""
    pair = Pair({"volume.mode": "balance_ratio"})
    assert decided(pair, a_change(money=leader_money(balance))).reason is Reason.STALE_INPUT
    assert decided(pair, a_change(money=None)).reason is Reason.STALE_INPUT


@pytest.mark.parametrize("currency", ["USC", "XAU"])
def test_money_that_no_symbols_convert_sizes_nothing_and_says_so(currency: str) -> None:
    """A cent account's currency that the follower's broker does not know, or knows and has no symbols for: no quote
    will ever come, and `raw` with the worth of a cent counted into the amount is the way."""
    theirs = leader_money(50_000_000, currency, equity=50_000_000)
    for mode in ("balance_ratio", "equity_ratio"):
        found = decided(Pair({"volume.mode": mode}), a_change(money=theirs))
        assert (found.verdict, found.reason) == (Verdict.SKIP, Reason.NO_RATE)
        assert found.working[-1].note == f"no symbols of the follower's broker lead from {currency} to USD"
    formula = {"volume.mode": "formula", "volume.formula": "leader_lots * equity / leader_equity"}
    assert decided(Pair(formula), a_change(money=theirs)).reason is Reason.NO_RATE
    raw = Pair({"volume.mode": "balance_ratio", "volume.currency": "raw", "volume.amount": "100", **OFF})
    assert decided(raw, a_change(money=theirs)).volume == 2 * LOT  # 10,000 USD before 5,000: twice his lot


def test_a_formula_counts_the_leaders_money_in_the_followers_currency() -> None:
    """50,000 GBP at 1.30001 are 65,000.50 USD: 10,000 ÷ 65,000.50 = 0.15384 lot, down to 0.15; as bare numbers 0.2."""
    formula = {"volume.mode": "formula", "volume.formula": "leader_lots * balance / leader_balance", **OFF}
    change = a_change(money=leader_money(5_000_000, "GBP"))
    assert decided(Pair(formula), change).volume == 1_500_000
    assert decided(Pair({**formula, "volume.currency": "raw"}), change).volume == 2_000_000


def test_a_currency_that_is_not_known_yet_is_no_reason_for_good() -> None:
    """Before the lists of a broker are read, and by older rules, nothing says that no symbols lead there."""
    change = a_change(money=leader_money(50_000_000, "USC"))
    older = Pair({"volume.mode": "balance_ratio"}, view=replace(a_view(), rules=10))
    assert decided(older, change).reason is Reason.STALE_INPUT
    unread = Pair({"volume.mode": "balance_ratio"}, view=replace(a_view(), asset_ids={}))
    assert decided(unread, change).reason is Reason.STALE_INPUT
    assert decided(Pair({"volume.mode": "balance_ratio"}), a_change(money=leader_money(100, ""))).reason is (
        Reason.STALE_INPUT
    )


def test_notional_multiplier_copies_what_it_is_worth() -> None:
    """The leader's index of 10 at 200 USD is 2,000 USD; the follower's EURUSD-like unit costs 1.10001 USD."""
    leader = replace(a_leader_symbol(a_spec()), name="EURUSD", base="IDX", quote="USD", lot_size=Volume(100))
    pair = Pair({"volume.mode": "notional_multiplier", **OFF})
    found = decided(pair, a_change(symbol=leader, volume=Volume(1_000), after=Volume(1_000), price=price("200")))
    exact = 1_000 * Fraction(200) / Fraction("1.10001")  # 181,816 hundredths
    assert found.volume == int(exact) // 100_000 * 100_000 == 100_000


def test_fixed_leverage_is_of_equity() -> None:
    """2 × 10,000 USD ÷ 1.10001 USD a unit = 18,181.6 units, down to 18,000."""
    assert decided(Pair({"volume.mode": "fixed_leverage", "volume.amount": "2"})).volume == 1_800_000


def test_risk_percent_loses_at_most_the_percentage() -> None:
    """1 % of 10,000 = 100 USD; stop 50 pips: 100 ÷ 0.0050 = 20,000 units."""
    pair = Pair({"volume.mode": "risk_percent", "volume.amount": "1"})
    assert decided(pair, a_change(stop=price("1.095"))).volume == 2_000_000


def test_risk_percent_counts_commission_both_ways() -> None:
    """3 USD a lot and side is 6 USD ÷ 100,000 units = 0.00006 a unit: 100 ÷ (0.0050 + 0.00006) = 19,762 units."""
    spec = a_spec(commission_type=2, commission_rate_e8=300_000_000)
    pair = Pair({"volume.mode": "risk_percent", "volume.amount": "1"}, view=a_view((spec,)))
    assert decided(pair, a_change(stop=price("1.095"))).volume == 1_900_000


RISK = {"volume.mode": "risk_percent", "volume.amount": "1"}
FINE = {"min_volume": 100, "step_volume": 100}
"""Sizes to the unit, so that a cent of cost shows."""


def test_risk_percent_counts_a_percentage_at_the_followers_entry() -> None:
    """0.5 % of the value a side: at our ask of 1.21 each unit costs 0.0121, at the leader's 1.1 it would be 0.0110.

    100 ÷ (0.0050 + 2 × 0.00605) = 5,847.9; the broker books 29.24 for 5,847 and 35.38 twice: 100.00.
    """
    spec = a_spec(commission_type=3, commission_rate_e8=50_000, **FINE)
    pair = Pair({**RISK, "margin_reserve": "off"}, view=a_view((spec,)), quotes={"EURUSD": ("1.2099", "1.21")})
    assert decided(pair, a_change(stop=price("1.095"))).volume == 584_700


def test_risk_percent_counts_a_sells_close_at_its_stop() -> None:
    """A sell at our bid of 1.1 closes at 1.2: 0.5 % of that is 0.006: 100 ÷ (0.1 + 0.0055 + 0.006) = 896.86 units."""
    spec = a_spec(commission_type=3, commission_rate_e8=50_000, **FINE)
    pair = Pair(RISK, view=a_view((spec,)), quotes={"EURUSD": ("1.1", "1.1001")})
    assert decided(pair, a_change(side=Side.SELL, stop=price("1.2"))).volume == 89_600


def test_risk_percent_counts_the_minimum_commission() -> None:
    """3 USD a lot is 0.60 on 20,000 units, but the least is 10 USD an order: (100 − 20) ÷ 0.0050 = 16,000 units.

    In pounds the least is 8 × 1.30001 = 10.40008, booked as 10.41: (100 − 20.82) ÷ 0.0050 = 15,836 units.
    """
    least = {"commission_type": 2, "commission_rate_e8": 300_000_000, **FINE}
    dollars = a_spec(min_commission_e8=1_000_000_000, min_commission_asset="USD", **least)
    pounds = a_spec(min_commission_e8=800_000_000, min_commission_asset="GBP", **least)
    for spec, units in ((dollars, 16_000), (pounds, 15_836)):
        pair = Pair(RISK, view=a_view((spec, a_spec("GBPUSD", 2))))
        assert decided(pair, a_change(stop=price("1.095"))).volume == units * 100


def test_a_minimum_commission_above_the_risk_opens_nothing() -> None:
    """Twice 60 USD is more than the 100 that may be lost."""
    spec = a_spec(min_commission_e8=6_000_000_000, min_commission_asset="USD")
    pair = Pair(RISK, view=a_view((spec,)))
    assert decided(pair, a_change(stop=price("1.095"))).reason is Reason.BELOW_MINIMUM


def test_risk_percent_pays_the_minimum_commission_of_every_part() -> None:
    """At most 5,000 units an order, 10 USD each: three orders in and one out leave 60 USD, which is 12,000 units."""
    spec = a_spec(min_commission_e8=1_000_000_000, min_commission_asset="USD", max_volume=500_000, **FINE)
    pair = Pair({**RISK, "volume.rounding": "skip,split"}, view=a_view((spec,)))
    found = decided(pair, a_change(stop=price("1.095")))
    assert (found.volume, found.goal.target_numerator if found.goal else 0) == (500_000, 1_200_000)


def test_risk_percent_takes_what_comes_to_the_percentage_exactly() -> None:
    """100 ÷ (0.00994 + 0.00006) = 10,000 units, and 99.40 + 0.30 + 0.30 are 100.00: nothing is taken off."""
    spec = a_spec(commission_type=2, commission_rate_e8=300_000_000)
    assert decided(Pair(RISK, view=a_view((spec,))), a_change(stop=price("1.09006"))).volume == 1_000_000


def test_risk_percent_counts_the_fee_of_a_conversion() -> None:
    """0.7 % of the loss in pounds on an account in EUR: 100 ÷ (0.0050 ÷ 1.09999 × 1.007) = 21,846.87 units.

    21,846 lose 99.300916, booked as 99.30; 0.7 % of that are 0.6951, booked as 0.70: 100.00 to the cent.
    """
    spec = a_spec("GBPUSD", 2, conversion_fee_rate=70, **FINE)
    pair = Pair(RISK, view=a_view((a_spec(), spec), currency="EUR"))
    assert decided(pair, a_change(spec=spec, price=price("1.3"), stop=price("1.295"))).volume == 2_184_600


def test_risk_percent_converts_the_loss_at_the_worse_side() -> None:
    """GBPUSD on an account in EUR: q2d = 1 ÷ 1.09999; 1 % of 10,000 EUR ÷ (0.0050 × q2d) = 21,999.8 units."""
    pair = Pair({"volume.mode": "risk_percent", "volume.amount": "1"}, view=a_view(currency="EUR"))
    change = a_change(spec=a_spec("GBPUSD", 2), price=price("1.3"), stop=price("1.295"))
    assert decided(pair, change).volume == 2_100_000


@pytest.mark.parametrize(
    ("stop", "settings", "reason"),
    [
        ("1.0999", {"risk_min_stop": "5"}, Reason.STOP_TOO_TIGHT),
        ("1.09997", {}, Reason.STOP_TOO_TIGHT),  # 0.3 pip, less than twice the spread of 0.2 pip
        ("1.105", {}, Reason.LEVEL_WRONG_SIDE),
    ],
)
def test_a_stop_that_is_no_measure_of_risk_is_skipped(stop: str, settings: dict[str, str], reason: Reason) -> None:
    """Too tight, or on the winning side."""
    pair = Pair({"volume.mode": "risk_percent", **settings})
    assert decided(pair, a_change(stop=price(stop))).reason is reason


def test_formula_is_exact_and_in_lots() -> None:
    """leader_lots × min(1, balance ÷ 40,000) ÷ 2 = 1 × 0.25 ÷ 2 = 0.125, down to 0.12 lot."""
    pair = Pair({"volume.mode": "formula", "volume.formula": "leader_lots * min(1, balance / 40000) / 2"})
    assert decided(pair).volume == 1_200_000
    by_zero = Pair({"volume.mode": "formula", "volume.formula": "1 / (balance - 10000)"})
    assert decided(by_zero).reason is Reason.BAD_FORMULA


def test_the_price_of_a_formula_is_the_followers_own() -> None:
    """The leader's index is quoted tenfold: 10,000 USD at our own 1.10001, not at his 11, are 0.0909 lot."""
    pair = Pair({"volume.mode": "formula", "volume.formula": "equity / price / lot_units", **OFF})
    tenfold = {"price": price("11"), "quote": a_quote("10.9999", "11.0001")}
    assert decided(pair, a_change(**tenfold)).volume == 900_000
    order = Pair({"volume.mode": "formula", "volume.formula": "equity / price / lot_units", **OFF})
    assert order.order(limit_price=price("1.0")).volume == 1_000_000  # a resting order's is its own
    before = Pair({"volume.mode": "formula", "volume.formula": "equity / price / lot_units", **OFF})
    before.fact(RulesBegan(rules=2))
    assert before.tell(a_change(**tenfold)).reason is Reason.BELOW_MINIMUM


def test_an_old_quote_is_no_input() -> None:
    """A quote older than `input_max_age` ends in skip(stale_input)."""
    pair = Pair({"volume.mode": "fixed_leverage"})
    old = {"EURUSD": a_quote("1.1", "1.10002", at_us=pair.now_us - 10_000_001)}
    assert pair.tell(a_change(), quotes=old).reason is Reason.STALE_INPUT


def test_sanity_refuses_what_is_out_of_proportion() -> None:
    """By leverage 200, 10,000 USD would hold 2 million; the leader trades 1,000 units: more than 20 times."""
    pair = Pair({"volume.mode": "fixed_leverage", "volume.amount": "2", **OFF})
    small = a_change(volume=Volume(100_000), after=Volume(100_000))
    assert decided(pair, small).volume == 1_800_000
    tiny = a_change(volume=Volume(50_000), after=Volume(50_000), source="p2")
    assert decided(pair, tiny).reason is Reason.SANITY
    wild = Pair({"volume.mode": "fixed_leverage", "volume.amount": "31", "sanity.max_times_leader": "off", **OFF})
    assert decided(wild).reason is Reason.SANITY
    off = {"sanity.max_times_leader": "off", "sanity.max_leverage": "off"}
    typed = Pair({"volume.mode": "fixed_leverage", "volume.amount": "31", **off, **OFF})
    assert decided(typed).verdict is Verdict.COPY


def test_margin_counts_what_is_in_flight_and_its_reserve() -> None:
    """1:100: a lot of EURUSD binds 1,100.01 USD, × 1.2 = 1,320.01. Free 2,500: the first fits, then only 1,399.99 is
    left, still enough; the third has 299.98 and is skipped."""
    pair = Pair(view=a_view(balance=250_000))
    assert decided(pair, a_change(source="p1")).verdict is Verdict.COPY
    assert decided(pair, a_change(source="p2")).verdict is Verdict.COPY
    assert decided(pair, a_change(source="p3")).reason is Reason.MARGIN


def test_a_margin_that_cannot_be_known_opens_nothing() -> None:
    """Every quote was asked for and one is missing: skip, never a guess."""
    pair = Pair()
    pair.quotes.clear()
    assert decided(pair).reason is Reason.STALE_INPUT
    assert pair.tell(a_change(source="p9"), complete=False).verdict is Verdict.COPY


def test_caps_count_positions_orders_and_what_is_in_flight() -> None:
    """Two of at most two are in flight: the third is skipped; lots likewise, per symbol and in all."""
    pair = Pair({"max_positions": "2", **OFF})
    for source in ("p1", "p2"):
        assert decided(pair, a_change(source=source)).verdict is Verdict.COPY
    assert decided(pair, a_change(source="p3")).reason is Reason.MAX_POSITIONS
    lots = Pair({"max_lots_symbol": "1.5", **OFF})
    assert decided(lots, a_change(source="p1")).verdict is Verdict.COPY
    assert decided(lots, a_change(source="p2")).reason is Reason.MAX_LOTS
    other = a_change(source="p3", spec=a_spec("GBPUSD", 2), price=price("1.3"))
    assert decided(lots, other).verdict is Verdict.COPY
    everything = Pair({"max_lots_open": "1.5", **OFF})
    assert decided(everything, a_change(source="p1")).verdict is Verdict.COPY
    assert decided(everything, replace(other, source="p4")).reason is Reason.MAX_LOTS


def a_persons_order(pair: Pair) -> None:
    """A person lets one lot of EURUSD rest on the follower, far from the market."""
    order = Order(
        order=OrderId(77_001), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT, volume=Volume(LOT),
        limit_price=price("1.05"), updated_ms=pair.now_us // 1_000,
    )  # fmt: skip
    pair.fact(ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=order, client_msg_id="terminal"))


@pytest.mark.parametrize(
    ("cap", "reason"), [("max_positions", Reason.MAX_POSITIONS), ("max_lots_open", Reason.MAX_LOTS)]
)
def test_caps_count_what_people_let_rest(cap: str, reason: Reason) -> None:
    """One of at most one rests at his hand: nothing opens beside it. By the rules of before it did."""
    pair = Pair({cap: "1", **OFF})
    a_persons_order(pair)
    assert decided(pair, a_change(source="p1")).reason is reason
    before = Pair({cap: "1", **OFF})
    before.fact(RulesBegan(rules=3))
    a_persons_order(before)
    assert decided(before, a_change(source="p1")).verdict is Verdict.COPY


def test_an_order_that_grows_is_counted_once_and_from_when_it_is_asked_for() -> None:
    """1.0 becomes 1.5 of at most 2.0; before the broker has answered 0.6 more are too much, and 0.5 are not."""
    pair = Pair({"max_lots_open": "2", "max_lots_symbol": "2", "margin_reserve": "off"})
    pair.order()
    pair.answer()
    pair.order(ChangeKind.ORDER_AMENDED, volume=Volume(LOT * 3 // 2))
    assert pair.commands[-1].volume == LOT * 3 // 2
    assert pair.opens(6_000_000).reason is Reason.MAX_LOTS
    assert pair.opens(5_000_000, source="p2").verdict is Verdict.COPY


def test_an_order_that_has_filled_in_part_grows_by_what_is_to_come() -> None:
    """0.4 of 1.0 have filled, and it becomes 2.0 of at most 2.0: 0.4 are held and 1.6 rest, no more and no less."""
    pair = Pair({"max_lots_open": "2", "margin_reserve": "off"})
    pair.order()
    pair.answer()
    (number,) = pair.resting
    pair.hears(pair.order_triggers(number, volume=LOT * 4 // 10))
    pair.order(ChangeKind.ORDER_AMENDED, volume=Volume(2 * LOT))
    assert pair.commands[-1].volume == 2 * LOT
    pair.answer()
    assert pair.order(ChangeKind.ORDER_AMENDED, volume=Volume(2 * LOT + 100_000)).volume == 2 * LOT


def test_the_symbol_table_overrides_mode_amount_and_bounds() -> None:
    """A row's empty cells inherit; its volume mode and bounds hold for its symbol alone."""
    table = "leader_symbol,follower_symbol,volume_mode,volume_amount,max_volume\nEURUSD,,fixed,0.2,\nGBPUSD,,,,0.3\n"
    pair = Pair({"volume.amount": "0.5", "symbols.table": table, **OFF})
    assert decided(pair, a_change(source="p1")).volume == 2_000_000
    pound = a_change(source="p2", spec=a_spec("GBPUSD", 2), price=price("1.3"))
    assert decided(pair, pound).volume == 3_000_000


def test_a_decision_tells_its_arithmetic() -> None:
    """Every number on the way stands in the working, down to the last rounding."""
    found = Pair({"volume.amount": "0.333"}).opens()
    steps = {step.name: step.value for step in found.working}
    assert steps["leader_volume"] == "100000.00"
    assert steps["volume.amount"] == "0.333"
    assert steps["raw"] == "33300"
    assert steps["rounded"] == "33000.00"
    assert {"age_ms", "symbol", "free_margin", "expected_margin"} <= steps.keys()
    assert found.side is Side.BUY
