"""Which symbol is which, and what one currency is in another: with certainty, or not at all."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from cmam.domain.deciding.inputs import quotes_needed
from cmam.domain.events import ExpectedMargin, LeverageSeen, LeverageTier, RulesBegan, SymbolListSeen
from cmam.domain.folds.account import evolve
from cmam.domain.market.conversion import Rates, chain
from cmam.domain.market.equity import equity
from cmam.domain.market.mapping import names_to_know, symbol_for
from cmam.domain.market.margins import asked_volumes, expected_margin
from cmam.domain.profiles.policy import policy_of
from cmam.domain.values.ids import PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.opens import ROWS_IN_ANY_CASE
from cmam.domain.values.symbols import SymbolName
from cmam.domain.values.trades import Position
from tests.factories import LOT, T0_US, a_change, a_leader_symbol, a_quote, a_spec, a_view, price, some_settings

LEADER_QUOTE = a_quote("1.09999", "1.10001")


def mapped(name: str, *others: object, **spec: object) -> tuple[str, str]:
    """What EURUSD maps to where the follower has a symbol of this name; and how."""
    own = replace(a_spec(), name=name, **spec)
    view = a_view((own, *others))
    quotes = {symbol.name: LEADER_QUOTE for symbol in view.specs.values()}
    found = symbol_for(view, a_leader_symbol(a_spec()), policy_of({}), quotes, LEADER_QUOTE)
    return (found.spec.name if found.spec is not None else "", found.how)


@pytest.mark.parametrize("name", ["EURUSD.r", "EURUSDm", "EUR/USD", "eurusd", "EURUSD-pro", "fxEURUSD", "EURUSD_raw"])
def test_known_spellings_of_one_symbol_are_alike(name: str) -> None:
    """Separators, case and one known prefix or suffix."""
    assert mapped(name) == (name, "alike")


def test_the_exact_name_needs_no_likeness() -> None:
    """It is taken as it is; the lots are another matter."""
    assert mapped("EURUSD", lot_size=Volume(1)) == ("EURUSD", "exact")


@pytest.mark.parametrize(
    "spec",
    [
        {"base_name": "EUX"}, {"quote_name": "USX"}, {"lot_size": Volume(1_000_000)},
        {"measurement_units": "Contracts"},
    ],
)  # fmt: skip
def test_another_nature_is_another_symbol(spec: dict[str, object]) -> None:
    """Assets, lot size and units must agree where the name is only alike."""
    assert mapped("EURUSD.r", **spec)[0] == ""


def test_two_that_fit_are_none_and_so_is_another_price() -> None:
    """EURUSD.r and EURUSD.m: nobody knows which; a mid more than 0.5 % away is another thing."""
    assert mapped("EURUSD.r", replace(a_spec(symbol=9), name="EURUSD.m"))[0] == ""
    view = a_view((replace(a_spec(), name="EURUSD.r"),))
    for mid, fits in (("1.1055", True), ("1.1056", False)):
        quotes = {"EURUSD.r": a_quote(mid, mid)}
        found = symbol_for(view, a_leader_symbol(a_spec()), policy_of({}), quotes, LEADER_QUOTE)
        assert (found.spec is not None) is fits


@pytest.mark.parametrize("table", ["", "leader_symbol,follower_symbol\nEURUSD,EURUSD\n"])
def test_a_name_that_several_symbols_have_is_none_of_them(table: str) -> None:
    """The last of the list was taken, silently; one that is disabled is no second one, whatever its place."""
    names = [SymbolName(symbol=SymbolId(number), name="EURUSD") for number in (1, 7)]
    for listed, number, rules in (
        (names, None, RULES),
        ([names[0], replace(names[1], enabled=False)], 1, RULES),
        ([replace(names[1], enabled=False), names[0]], 1, RULES),
        (names, 7, 4),
    ):
        view = a_view((a_spec(), replace(a_spec(), symbol=SymbolId(7))))
        view = evolve(view, RulesBegan(rules=rules), T0_US)
        view = evolve(view, SymbolListSeen(digest="e", symbols=tuple(listed)), T0_US)
        policy = policy_of({"symbols.table": table})
        found = symbol_for(view, a_leader_symbol(a_spec()), policy, {"EURUSD": LEADER_QUOTE}, LEADER_QUOTE)
        assert (found.spec.symbol if found.spec is not None else None) == number
        assert ("several symbols of the name EURUSD" in found.why) == (number is None)


@pytest.mark.parametrize(
    ("names", "row", "rules", "found"),
    [
        (("EURUSD.b",), "eurusd.B", RULES, "EURUSD.b"),
        (("EURUSD.b", "eurusd.B"), "eurusd.B", RULES, "eurusd.B"),
        (("EURUSD.b", "eurusd.B"), "EURUSD.B", RULES, ""),
        (("EURUSDB",), "EURUSD.b", RULES, ""),
        (("EURUSD.b",), "eurusd.B", ROWS_IN_ANY_CASE - 1, ""),
    ],
)
def test_a_row_means_the_brokers_name_in_any_case(names: tuple[str, ...], row: str, rules: int, found: str) -> None:
    """From a file of profiles, too; not another spelling, nor one of two, nor for decisions of before."""
    own = [replace(a_spec(), symbol=SymbolId(number), name=name) for number, name in enumerate(names, 1)]
    view = evolve(a_view(own), RulesBegan(rules=rules), T0_US)
    policy = policy_of({"symbols.table": f"leader_symbol,follower_symbol\nEURUSD,{row}\n"})
    mapped = symbol_for(view, a_leader_symbol(a_spec()), policy, {}, LEADER_QUOTE)
    assert (mapped.spec.name if mapped.spec is not None else "", mapped.how) == (found, "row")
    assert names_to_know(view, ["EURUSD"], policy) == ((found,) if found else ())


def test_a_row_decides_and_a_file_mapping_knows_only_rows() -> None:
    """The table's word comes first; with `symbols.mapping=file` nothing else counts."""
    view = a_view((a_spec(), a_spec("GBPUSD", 2)))
    table = "leader_symbol,follower_symbol\nEURUSD,GBPUSD\n"
    by_row = policy_of({"symbols.table": table})
    leader = a_leader_symbol(a_spec())
    assert symbol_for(view, leader, by_row, {}, None).spec.name == "GBPUSD"
    by_file = policy_of({"symbols.table": "leader_symbol\nXAUUSD\n", "symbols.mapping": "file"})
    assert symbol_for(view, leader, by_file, {}, None).spec is None


def test_conversions_take_the_side_that_costs() -> None:
    """One EUR in USD: 1.10001 dear, 1.09999 cheap; one USD in EUR the other way round."""
    rates = Rates(a_view(), {"EURUSD": LEADER_QUOTE}, T0_US, 10_000)
    assert rates.rate("EUR", "USD", high=True) == Fraction("1.10001")
    assert rates.rate("EUR", "USD", high=False) == Fraction("1.09999")
    assert rates.rate("USD", "EUR", high=True) == 1 / Fraction("1.09999")
    assert rates.rate("USD", "USD", high=True) == 1


def test_a_chain_goes_through_what_is_quoted_best() -> None:
    """From GBP to JPY by USD; from an unknown currency nowhere; with an old quote not at all."""
    view = a_view()
    assert [leg.symbol for leg in chain(view, "GBP", "JPY") or ()] == ["GBPUSD", "USDJPY"]
    assert chain(view, "GBP", "XXX") is None
    quotes = {"GBPUSD": a_quote("1.3", "1.3"), "USDJPY": a_quote("150", "150", at_us=T0_US - 10_000_001)}
    assert Rates(view, quotes, T0_US, 10_000).rate("GBP", "JPY", high=True) is None


def test_equity_is_balance_and_what_positions_would_bring() -> None:
    """Long 10,000 EURUSD from 1.1 at a bid of 1.09: −100 USD, −7 of costs: 9,893; another currency pays its fee."""
    view = a_view()
    held = Position(
        position=PositionId(1), symbol=SymbolId(1), side=Side.BUY, volume=Volume(1_000_000), price=price("1.1"),
        swap=-300, commission=-400,
    )  # fmt: skip
    view = replace(view, positions={held.position: held})
    quotes = {"EURUSD": a_quote("1.09", "1.0901")}
    assert equity(Rates(view, quotes, T0_US, 10_000)) == 9_893
    euro = replace(view, currency="EUR", specs={SymbolId(1): a_spec(conversion_fee_rate=70)})
    gross = Fraction(-100) / Fraction("1.09")
    assert equity(Rates(euro, quotes, T0_US, 10_000)) == 10_000 + gross - abs(gross) * 70 / 10_000 - 7
    assert equity(Rates(view, {}, T0_US, 10_000)) is None


def test_expected_margin_is_notional_over_leverage() -> None:
    """100,000 EUR at an ask of 1.10001 and 1:100: 1,100.01 USD."""
    rates = Rates(a_view(), {"EURUSD": LEADER_QUOTE}, T0_US, 10_000)
    assert expected_margin(rates, a_spec(), 10_000_000) == Fraction("1100.01")


TIERS = (LeverageTier(limit_cents=10_000_000, leverage=100), LeverageTier(limit_cents=20_000_000, leverage=20))


def _tiered(tiers: tuple[LeverageTier, ...] | None, held: int = 0, **changes: object) -> Rates:
    """EURUSD at 1.1 with dynamic leverage 9, on an account of 1:50 that may hold some of it already."""
    view = a_view((a_spec(leverage_id=9),), leverage_cents=5_000)
    if tiers is not None:
        view = evolve(view, LeverageSeen(leverage=9, tiers=tiers), T0_US)
    if held:
        position = Position(position=PositionId(1), symbol=SymbolId(1), side=Side.BUY, volume=Volume(held))
        view = replace(view, positions={position.position: position})
    return Rates(replace(view, **changes), {"EURUSD": a_quote("1.1", "1.1")}, T0_US, 10_000)


def test_expected_margin_follows_the_tiers_of_a_dynamic_leverage() -> None:
    """110,000 USD: 100,000 at 1:50, the account's own, and 10,000 at 1:20: 2,000 + 500; above the last tier it goes on.

    With 100,000 EUR held, the next 100,000 are 110,000 at 1:20: 5,500.
    """
    spec = a_spec(leverage_id=9)
    assert expected_margin(_tiered(TIERS), spec, LOT) == 2_500
    assert expected_margin(_tiered(TIERS), spec, 3 * LOT) == 2_000 + Fraction(230_000, 20)
    assert expected_margin(_tiered(TIERS, held=LOT), spec, LOT) == 5_500
    assert expected_margin(_tiered(()), spec, LOT) == 2_200
    assert expected_margin(_tiered(None), spec, LOT) is None


def test_expected_margin_is_the_brokers_own_where_that_is_more() -> None:
    """Told 30.00 for a thousand and 2,600.00 for a lot: 2,600 for a lot, half for half of it, 30 each above 1:50."""
    least, lot = (100_000, 2_900, 3_000), (LOT, 260_000, 0)
    told = tuple(ExpectedMargin(volume=Volume(volume), buy=buy, sell=sell) for volume, buy, sell in (least, lot))
    known = {"margins": {SymbolId(1): told}}
    spec = a_spec(leverage_id=9)
    assert expected_margin(_tiered((), **known), spec, LOT) == 2_600
    assert expected_margin(_tiered((), **known), spec, LOT // 2) == 1_300
    assert expected_margin(_tiered((), **known), spec, 2 * LOT) == 6_000
    assert expected_margin(_tiered(None, **known), spec, LOT) == 2_600
    assert asked_volumes(replace(spec, max_volume=5 * LOT)) == (100_000, LOT, 5 * LOT)


def test_a_broker_that_wants_more_for_a_large_volume_wants_as_much_more_of_what_we_reckon_for_less() -> None:
    """3,000.00 for a lot where we reckon 2,500: 1.2 times the 1,100 of half a lot, which is at 1:50 alone.

    2,500.00 is what its tiers say: half a lot is 1,100, and not half of it. By the rules before it was.
    """
    spec = a_spec(leverage_id=9)
    for told, half in ((300_000, 1_320), (250_000, 1_100), (200_000, 1_100)):
        margins = {SymbolId(1): (ExpectedMargin(volume=Volume(LOT), buy=told, sell=0),)}
        assert expected_margin(_tiered(TIERS, margins=margins), spec, LOT // 2) == half
    margins = {SymbolId(1): (ExpectedMargin(volume=Volume(LOT), buy=250_000, sell=0),)}
    assert expected_margin(_tiered(TIERS, margins=margins, rules=4), spec, LOT // 2) == 1_250


def test_what_a_decision_needs_to_be_told_is_named() -> None:
    """GBPUSD on an account in JPY: its own quote and the chain of both its currencies."""
    view = a_view(currency="JPY")
    change = a_change(spec=a_spec("GBPUSD", 2))
    assert set(quotes_needed(view, change, some_settings())) == {"GBPUSD", "USDJPY"}
