"""Sizes, bounds, levels and gates: what each follower really holds against numbers worked out by hand.

The leader buys 73,000 EURUSD at 1.08508 with a stop 80.3 pips below (1.07705) and a target 121.7 pips above (1.09725);
the brokers are those of `tests/rulebook.py`.
"""

from __future__ import annotations

import pytest

from cmam.domain.events import CopyTouched, RequestRefused
from cmam.openapi._pb.OpenApiModelMessages_pb2 import LIMIT
from cmam.store.past.replay import verify
from tests.rulebook import BUY, EURGBP, GER40, SELL, TABLE_HEAD, UNIT, USDJPY, XAUUSD, Case, Rulebook

UNITS = {"volume.basis": "units"}
CONFIRMED = {"volume.lots_confirmed": "EURUSD"}
RAISE = {"volume.rounding": "raise,cap"}


def _mode(mode: str, amount: str = "1", **more: str) -> dict[str, str]:
    return {"volume.mode": mode, "volume.amount": amount, **{name.replace("__", "."): v for name, v in more.items()}}


SIZES = [
    # 0.73 lots × 0.37 = 0.2701 of each broker's lots; differing lots only where confirmed
    Case("lots", "Same", {"volume.amount": "0.37"}, 27_000),
    Case("mini lots", "Mini", {"volume.amount": "0.37"}, "lots_unconfirmed"),
    Case("mini lots confirmed", "Mini", {"volume.amount": "0.37", **CONFIRMED}, 2_700),  # 2,701
    Case("mini units", "Mini", {"volume.amount": "0.37", **UNITS}, 27_000),  # 27,010
    Case("mini notional", "Mini", {"volume.amount": "0.37", "volume.basis": "notional"}, 27_000),  # × 1.08508 / 1.08511
    Case("fixed", "Mini", _mode("fixed", "1.47"), 14_700),
    Case("fixed odd", "Odd", _mode("fixed", "0.5"), 49_700),
    # 73,000 × 23,456.78 / 100,000 = 17,123.4; in EUR the leader has 100,000 / 1.0850.. (18,578.9 to 18,580.7)
    Case("balance", "Same", _mode("balance_ratio"), 17_000, balance="23456.78"),
    Case("balance eur", "Same", _mode("balance_ratio"), 18_000, currency="EUR", balance="23456.78"),
    Case("balance raw", "Same", _mode("balance_ratio", volume__currency="raw"), 17_000, "EUR", "23456.78"),
    Case("balance raw yen", "Same", _mode("balance_ratio", volume__currency="raw"), "sanity", "JPY", "2345678"),
    Case("balance yen", "Same", _mode("balance_ratio", "1.5"), 17_000, "JPY", "2345678"),  # 17,122.3 to 17,123.4
    # 73,000 × 3,456.78 / (99,994.16 / 1.2700..) = 3,205
    Case("equity gbp", "Mini", _mode("equity_ratio", volume__basis="units"), 3_000, "GBP", "3456.78"),
    # the leader's free margin is 99,994.16 − 73,000 × 1.085 / 100 = 99,202.11: 73,000 × 2 × 23,456.78 / 91,430 = 37,457
    Case("free margin", "Same", _mode("free_margin_ratio", "2"), 37_000, "EUR", "23456.78"),
    Case("notional", "Same", _mode("notional_multiplier", "0.5"), 36_000, "EUR", "23456.78"),  # 36,499.3
    Case("notional yen", "Odd", _mode("notional_multiplier", "0.5"), 36_400, "JPY", "9000000"),  # 36,496.0
    # 12,345.67 × 3 / 1.0851 = 34,132; in EUR one unit is worth one: 37,037; 1,234,567 × 3 / (1.0852 × 150.0x) = 22,750
    Case("leverage", "Same", _mode("fixed_leverage", "3"), 34_000, "USD", "12345.67"),
    Case("leverage eur", "Same", _mode("fixed_leverage", "3"), 37_000, "EUR", "12345.67"),
    Case("leverage yen", "Odd", _mode("fixed_leverage", "3"), 22_400, "JPY", "1234567"),
    # 123.4567 / (0.00803 + 2 × 3 / 100,000) = 15,260
    Case("risk", "Same", _mode("risk_percent", "1"), 15_000, "USD", "12345.67"),
    # 185.185 / ((0.00803 + 0.00006) / 1.085) = 24,836
    Case("risk eur", "Same", _mode("risk_percent", "1.5"), 24_000, "EUR", "12345.67"),
    # the stop on Odd's tick is 1.0772, 0.0080 away: 22,345.67 / (0.0080 × 150.02 + 0.01302) = 18,419
    Case("risk yen", "Odd", _mode("risk_percent", "1"), 18_200, "JPY", "2234567"),
    Case("risk gbp", "Mini", _mode("risk_percent", "2", risk_base="equity"), 6_900, "GBP", "2234.56"),  # 7,068
    # 23,456.78 − 5,000 of equity over one lot's price, × 4/3: 18,431
    Case(
        "formula",
        "Same",
        _mode("formula", volume__formula="max(0.1, (equity - 5000) / (price * lot_units)) * 4/3"),
        18_000,
        "EUR",
        "20000",
    ),
    # the step of 700, from 2,100 to 98,700
    Case("below", "Odd", {**UNITS, "volume.amount": "0.0287"}, "below_minimum"),  # 2,095.1 → 1,400
    Case("edge", "Odd", {**UNITS, "volume.amount": "0.02877"}, 2_100),  # 2,100.2
    Case("raise", "Odd", {**UNITS, **RAISE, "volume.amount": "0.0058"}, 2_100),  # 423.4: × 4.96
    Case("raise far", "Odd", {**UNITS, **RAISE, "volume.amount": "0.0057"}, "raise_too_far"),  # 416.1: × 5.05
    Case("raise less", "Odd", {**UNITS, **RAISE, "volume.amount": "0.014", "raise_risk_max": "2"}, "raise_too_far"),
    Case("own min", "Odd", {**UNITS, "volume.amount": "0.03", "volume.min": "0.025"}, "below_minimum"),
    Case("own min raise", "Odd", {**UNITS, **RAISE, "volume.amount": "0.03", "volume.min": "0.025"}, 2_800),
    Case("cap", "Odd", {**UNITS, "volume.amount": "2"}, 98_700),
    Case("split", "Odd", {**UNITS, "volume.amount": "3", "volume.rounding": "skip,split"}, 218_400, balance="500000"),
    Case("own max", "Odd", {**UNITS, "volume.amount": "2", "volume.max": "0.5"}, 49_700),
    Case("own max split", "Odd", {**UNITS, "volume.max": "0.3", "volume.rounding": "skip,split"}, 29_400),
    # proportion, caps, margin: 73,000 × 1.0851 / 100 = 792.13, × 1.2 = 950.56
    Case("times", "Same", _mode("fixed_leverage"), "sanity", balance="5000000"),  # 4,607,000 / 73,000 = 63
    Case("account", "Same", _mode("fixed_leverage", "40"), "sanity", balance="1000", leverage=500),
    Case("margin", "Same", UNITS, "margin", balance="950"),
    Case("margin enough", "Same", UNITS, 73_000, balance="951"),
    Case("margin off", "Same", {**UNITS, "margin_reserve": "off"}, 73_000, balance="840"),
    # 73,000 at 1.0852 are 79,219.60 USD: 500 for the first 50,000, 2,921.96 for the rest; × 1.2 = 4,106.35
    Case("margin tiers", "Dear", UNITS, "margin", balance="4106"),
    Case("margin tiers enough", "Dear", UNITS, 73_000, balance="4107"),
    Case("lots cap", "Same", {**UNITS, "max_lots_open": "0.72"}, "max_lots"),
    Case("lots cap edge", "Same", {**UNITS, "max_lots_symbol": "0.73"}, 73_000),
    # gates
    Case("sell only", "Same", {**UNITS, "side": "sell"}, "side_excluded"),
    Case("wide", "Same", {**UNITS, "max_spread": "0.9"}, "spread"),
    Case("wide edge", "Same", {**UNITS, "max_spread": "1"}, 73_000),
    Case("away", "Odd", {**UNITS, "max_price_distance": "1.1"}, "price_away"),  # 1.0852 − 1.08508 = 1.2 pips
    Case("away edge", "Odd", {**UNITS, "max_price_distance": "1.2"}, 72_800),
    Case("limits only", "Same", {**UNITS, "order_types": "limit"}, "order_type_excluded"),
    Case("another symbol", "Same", {**UNITS, "symbols.include": "GBPUSD"}, "symbol_excluded"),
    Case("label", "Same", {**UNITS, "label": "exact:abc"}, "label_excluded"),
    Case("label prefix", "Same", {**UNITS, "label": "prefix:abc"}, 73_000),
]


def _open() -> dict[str, int]:
    return {"relativeStopLoss": 803, "relativeTakeProfit": 1_217}


def test_every_mode_bound_and_gate_gives_the_volume_of_the_rules() -> None:
    """Each follower holds the units worked out in its row, or nothing for the reason named there."""
    book = Rulebook(SIZES)
    book.begin()
    book.person.buy(73_000 * UNIT, label="abcD", **_open())
    book.go(3)
    found = {case.name: book.volumes(case.name) for case in SIZES}
    found_reasons = {case.name: book.reason(case.name) for case in SIZES if isinstance(case.expected, str)}
    wanted = {case.name: [] if isinstance(case.expected, str) else [case.expected * UNIT] for case in SIZES}
    assert found == wanted
    assert found_reasons == {case.name: case.expected for case in SIZES if isinstance(case.expected, str)}
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_a_stop_that_is_hit_costs_no_more_than_the_percentage() -> None:
    """What each broker really takes at the stop is within the percentage, and hardly less."""
    cases = [
        Case("same", "Same", _mode("risk_percent", "1"), 8.1, balance="12345.67"),
        Case("odd", "Odd", _mode("risk_percent", "1"), 870, "JPY", "2234567"),
        # 100 / (0.00803 + 2 × 0.0005426) = 10,970.2; one unit less, since 88.09 and twice 5.96 are 100.01
        Case("dear", "Dear", _mode("risk_percent", "1"), 0.1, balance="10000"),
        # 4 GBP are 5.09 and more than 0.05 %: (30 − 2 × 5.09) / 0.00803 = 2,468.2
        Case("dear little", "Dear", _mode("risk_percent", "0.3"), 0.1, balance="10000"),
        Case("dear yen", "Dear", _mode("risk_percent", "1"), 15, "JPY", "1500000"),
        Case("dear gbp", "Dear", _mode("risk_percent", "0.5"), 0.1, "GBP", "10000"),
    ]
    book = Rulebook(cases)
    book.begin()
    book.person.buy(73_000 * UNIT, **_open())
    book.go(2)
    held = {case.name: book.volumes(case.name) for case in cases}
    assert held["dear"] == [10_969 * UNIT]
    assert held["dear little"] == [2_468 * UNIT]
    stops = sorted({stop for case in cases for _, stop, _, _ in book.levels(case.name)}, reverse=True)
    for stop in stops:
        book.price("EURUSD", f"{stop:.5f}")
        book.go(0.5)
    for case in cases:
        view = book.view(book.ids[case.name])
        assert view is not None
        assert not view.positions
        scale = 10**view.money_digits
        lost = float(case.balance) - view.balance / scale
        asked = float(case.balance) * float(case.settings["volume.amount"]) / 100
        assert asked - case.expected <= lost <= asked, case.name


LEVELS = [
    # bought at 1.0851: the leader's + 0.00002. On Odd at 1.0852: + 0.00012, on the tick towards the market
    Case("same", "Same", UNITS, (BUY, 1.07707, 1.09727, 1.0851)),
    Case("odd", "Odd", UNITS, (BUY, 1.0772, 1.0973, 1.0852)),
    Case("odd price", "Odd", {**UNITS, "levels": "price"}, (BUY, 1.0771, 1.0972, 1.0852)),
    # sold at 1.0850, − 0.00008: the stop is the leader's target, the target his stop
    Case("reverse", "Same", {**UNITS, "reverse": "on"}, (SELL, 1.09717, 1.07697, 1.0850)),
    Case("reverse odd", "Odd", {**UNITS, "reverse": "on"}, (SELL, 1.0971, 1.0770, 1.0850)),
    # offsets before reverse: the leader's stop 10 pips farther, his target 7.3 pips nearer
    Case("offset", "Same", {**UNITS, "sl_offset": "10", "tp_offset": "-7.3"}, (BUY, 1.07607, 1.09654, 1.0851)),
    Case(
        "offset reverse",
        "Same",
        {**UNITS, "sl_offset": "10", "tp_offset": "-7.3", "reverse": "on"},
        (SELL, 1.09644, 1.07597, 1.0850),
    ),
    Case(
        "fixed reverse",
        "Same",
        {**UNITS, "fixed_sl": "55.5", "fixed_tp": "33", "reverse": "on"},
        (SELL, 1.09055, 1.0817, 1.0850),
    ),
    # on Odd 75.5 and 55.5 pips lie between two ticks: 75 and 55
    Case("fixed odd", "Odd", {**UNITS, "fixed_sl": "75.5", "fixed_tp": "55.5"}, (BUY, 1.0777, 1.0907, 1.0852)),
    Case("no stop", "Same", {**UNITS, "copy_sl": "off"}, (BUY, 0.0, 1.09727, 1.0851)),
    Case("stop needed", "Same", {**UNITS, "copy_sl": "off", "require_stop": "on"}, None),
    # 12 pips on Odd, where 60 is the least: skipped, or widened to 60 and the volume cut to a fifth (14,560 → 14,000)
    Case("too close", "Odd", {**UNITS, "fixed_sl": "12"}, None),
    Case("widened", "Odd", {**UNITS, "fixed_sl": "12", "bad_stop": "widen"}, (BUY, 1.0792, 1.0973, 1.0852)),
]


def test_levels_are_carried_by_the_shift_onto_the_followers_tick() -> None:
    """Stop, target and side of each follower are those worked out in its row; a widened stop risks no more money."""
    book = Rulebook(LEVELS)
    book.begin()
    book.person.buy(73_000 * UNIT, **_open())
    book.go(2)
    assert {case.name: book.levels(case.name) for case in LEVELS} == {
        case.name: [case.expected] if case.expected else [] for case in LEVELS
    }
    assert book.volumes("widened") == [14_000 * UNIT]
    assert not any(book.events(account, RequestRefused) for account in book.ids.values())


def test_a_widened_stop_stays_until_the_leader_moves_his() -> None:
    """On Odd 60 points of the fourth digit are the least: his 40 pips become 60, and no narrower stop is asked for.

    Bought at 1.0852: 1.0792. As he moves his to 1.07500 ours goes to 1.07512, on the tick towards the market. A limit
    at 1.08100 with 40 pips rests with 60, and has them from its fill at 1.0807 on; that is 1.0747.
    """
    book = Rulebook([Case("wide", "Odd", {**UNITS, "bad_stop": "widen"})])
    book.begin()
    position = book.person.buy(73_000 * UNIT, relativeStopLoss=400)
    order = book.person.place(LIMIT, 73_000 * UNIT, price=1.08100, relativeStopLoss=400)
    book.go(2)
    assert [stop for _, stop, _, _ in book.levels("wide")] == [1.0792]
    assert order
    book.person.amend(position, stop=1.07500)
    book.go(2)
    assert [stop for _, stop, _, _ in book.levels("wide")] == [1.0752]
    book.price("EURUSD", "1.08050")
    book.go(3)
    assert [stop for _, stop, _, _ in book.levels("wide")] == [1.0752, 1.0747]
    assert not book.events(book.ids["wide"], RequestRefused)
    assert not book.events(book.ids["wide"], CopyTouched)
    assert verify(book.log.read_all()).is_identical


def test_a_fixed_stop_that_was_widened_is_there_again_once_stops_are_fixed_again() -> None:
    """On Odd 12 pips become 60, at 1.0792. Fixed no more it is the leader's 1.0760, + 0.00012; then 80 pips, 1.0772."""
    book = Rulebook([Case("wide", "Odd", {**UNITS, "fixed_sl": "12", "bad_stop": "widen"})])
    book.begin()
    position = book.person.buy(73_000 * UNIT, relativeStopLoss=803)
    book.go(2)
    found = [stop for _, stop, _, _ in book.levels("wide")]
    for fixed, stop in (("off", 1.0760), ("80", 1.0750)):
        book.command({"command": "profile.set", "profile": "wide", "settings": {"fixed_sl": fixed}})
        book.person.amend(position, stop=stop)
        book.go(2)
        found += [stop for _, stop, _, _ in book.levels("wide")]
    assert found == [1.0792, 1.0762, 1.0772]
    assert verify(book.log.read_all()).is_identical


ROWS = f"{TABLE_HEAD}\nXAUUSD,GOLD,,,,,,,\nGER40,DAX,,,,,,,\n"
OVERRIDES = (
    f"{TABLE_HEAD}\nXAUUSD,GOLD,off,,multiplier,1.7,,,\nGER40,DAX,,off,fixed,0.77,0.1,,\nUSDJPY,USDJPY,,,,,,0.05,\n"
)
OTHERS = [
    Case("automatic", "Same", {}, {USDJPY: 47_000, EURGBP: "unmapped_symbol", XAUUSD: "unmapped_symbol"}),
    Case("unconfirmed", "Same", {"symbols.table": ROWS}, {XAUUSD: "lots_unconfirmed", GER40: "lots_unconfirmed"}),
    # 37 × 0.37 = 13.69 → 13.5 of 0.3; 0.13 × 0.37 = 0.048, below 0.07
    Case(
        "units",
        "Same",
        {"symbols.table": ROWS, **UNITS, "volume.amount": "0.37"},
        {XAUUSD: 13.5, GER40: "below_minimum"},
    ),
    # 0.37 lots × 0.37 × 10 = 1.369 → 1.2; 0.13 lots × 0.37 × 25 = 1.2025 → 1.19
    Case(
        "lots",
        "Same",
        {"symbols.table": ROWS, "volume.lots_confirmed": "XAUUSD,GER40", "volume.amount": "0.37"},
        {XAUUSD: 1.2, GER40: 1.19},
    ),
    # a row's own amount confirms its lots: 0.37 × 1.7 × 10 = 6.29 → 6; 0.77 × 25 = 19.25; 0.05 lots at the most
    Case(
        "overrides",
        "Same",
        {"symbols.table": OVERRIDES, "volume.amount": "0.5"},
        {XAUUSD: 6, GER40: 19.25, USDJPY: 5_000},
    ),
    # 30,000 / (0.451 + 6 / 100,000 × 150.01) = 65,217; 30,000 / (12.5 × 150.01) = 15.99;
    # 30,000 / (90.5 × 1.0851 × 150.01) = 2.04
    Case(
        "risk yen",
        "Same",
        {"symbols.table": ROWS, **_mode("risk_percent", "2")},
        {USDJPY: 65_000, XAUUSD: 15.9, GER40: 2.03},
        "JPY",
        "1500000",
    ),
    # GBP to JPY by GBP/USD 1.2702 and USD/JPY 150.02: 30,000 / (0.0031 × 190.5554 + 0.01302) = 49,690
    Case("risk two steps", "Odd", _mode("risk_percent", "2"), {EURGBP: 49_000}, "JPY", "1500000"),
]


@pytest.mark.parametrize(
    ("symbol", "volume", "side", "stop"),
    [
        (EURGBP, 55_000, SELL, 312),
        (USDJPY, 47_000, SELL, 45_100),
        (XAUUSD, 37, BUY, 1_250_000),
        (GER40, 0.13, SELL, 9_050_000),
    ],
    ids=["EURGBP", "USDJPY", "XAUUSD", "GER40"],
)
def test_other_symbols_lots_rows_and_chains(symbol: int, volume: float, side: int, stop: int) -> None:
    """Metal, index and yen pairs with other lot sizes, rows of the table, and conversion in one and two steps."""
    cases = [case for case in OTHERS if symbol in case.expected]
    book = Rulebook(cases)
    book.begin()
    book.person.buy(round(volume * UNIT), symbol=symbol, side=side, relativeStopLoss=stop)
    book.go(2)
    for case in cases:
        wanted = case.expected[symbol]
        if isinstance(wanted, str):
            assert (book.volumes(case.name), book.reason(case.name)) == ([], wanted), case.name
        else:
            assert book.volumes(case.name) == [round(wanted * UNIT)], case.name
    assert verify(book.log.read_all()).is_identical
