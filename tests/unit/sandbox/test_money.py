"""The broker's arithmetic, with numbers of recordings and of examples worked by hand (wire.md#money-of-an-account)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox import units
from cmam.sandbox.books import money
from cmam.sandbox.serving.world_file import default_world
from cmam.sandbox.world import CommissionType, SwapType, Symbol
from tests.unit.sandbox.bench import BETA_EURO, BETA_YEN, EURO, LEADER, LIVE, Bench, market_order

BUY, SELL = 1, 2
ONE = units.RATE
LOT = 10_000_000


def eurusd(**changed: Any) -> Symbol:
    """Give Alpha's EURUSD, changed."""
    return replace(default_world().brokers[0].symbols[0], **changed)


def rate(value: str) -> int:
    """Read a rate."""
    return int(Decimal(value) * ONE)


def cost(symbol: Symbol, volume: int, price: str = "1.1", **rates: int) -> int:
    """Count a commission in cents at given rates."""
    values = {"usd": ONE, "base_usd": rate("1.1"), "quote": ONE, "least": ONE, **rates}
    return money.commission(symbol, volume, int(Decimal(price) * units.PRICE), digits=2, **values)


def test_commission_per_lot_is_rounded_away_from_zero() -> None:
    """2.50 a lot on 0.01 lots is 0.025, booked as 3 cents (recorded)."""
    assert cost(eurusd(), 100_000) == -3
    assert cost(eurusd(), LOT) == -250
    assert cost(eurusd(), LOT, usd=rate("0.9")) == -225


@pytest.mark.parametrize(
    ("kind", "value", "volume", "expected"),
    [
        (CommissionType.USD_PER_MILLION_USD, 30 * 10**8, LOT, -330),  # 110,000 USD at 30 a million
        (CommissionType.PERCENTAGE_OF_VALUE, 300, LOT, -330),  # 0.003 percent of 110,000
        (CommissionType.QUOTE_CCY_PER_LOT, 10**8 // 2, 4 * LOT, -200),
        (CommissionType.USD_PER_LOT, 0, LOT, 0),
    ],
)
def test_commission_by_type(kind: CommissionType, value: int, volume: int, expected: int) -> None:
    """Each type on its own scale of preciseTradingCommissionRate."""
    assert cost(eurusd(commission_type=kind, commission_rate=value), volume) == expected


def test_minimum_commission_in_its_own_asset() -> None:
    """One unit of the minimum's asset at a rate of 1.25 is 1.25; a larger commission stays."""
    symbol = eurusd(min_commission=10**8)
    assert cost(symbol, 100_000, least=rate("1.25")) == -125
    assert cost(symbol, LOT, least=rate("1.25")) == -250


def test_conversion_fee_as_recorded() -> None:
    """2621 at 70 of 10,000 is 18.35, booked as 19; none in the deposit currency; on losses too."""
    symbol = eurusd(conversion_fee_rate=70)
    assert money.conversion_fee(2621, symbol, "EUR") == -19
    assert money.conversion_fee(-2621, symbol, "EUR") == -19
    assert money.conversion_fee(2621, symbol, "USD") == 0


def test_margin_as_recorded() -> None:
    """1,000 units at 1.12569 through 1:100 is 11.26."""
    assert money.margin(100_000, rate("1.12569"), 10_000, 2) == 1126


def test_dynamic_leverage_counts_each_slice_at_its_tier() -> None:
    """110,000 USD: 50,000 at 1:500, the rest at 1:100; the account's lower leverage wins."""
    tiers = ((5_000_000, 500), (100_000_000, 100))
    count = money.tiered_margin(LOT, rate("1.1"), rate("1.1"), tiers, 50_000, 2)
    assert count == 10_000 + 60_000
    assert money.tiered_margin(LOT, rate("1.1"), rate("1.1"), tiers, 10_000, 2) == 110_000
    assert money.tiered_margin(LOT, rate("1.1"), rate("1.1"), ((1, 100),), 50_000, 2) == 110_000


@pytest.mark.parametrize(
    ("kind", "points", "expected"),
    [(SwapType.PIPS, "-0.62", -620), (SwapType.POINTS, "-6.2", -620), (SwapType.PERCENTAGE, "-3.6", -1100)],
)
def test_swap_by_type(kind: SwapType, points: str, expected: int) -> None:
    """A lot of EURUSD at 1.1 for a night: pips of 0.0001, points of 0.00001, or a 360th of a yearly percentage."""
    symbol = eurusd(swap_type=kind, swap_long=Decimal(points))
    assert money.swap(symbol, BUY, LOT, 11 * units.PRICE // 10, ONE, 1, 2) == expected
    assert money.swap(symbol, BUY, LOT, 11 * units.PRICE // 10, ONE, 3, 2) == 3 * expected


def close_all(bench: Bench, ctid: int, symbol: int, side: int, volume: int, to: tuple[float, float]) -> Any:
    """Open, move the market, close; gives the closing deal."""
    line = bench.login(ctid)
    *_, filled = line.trade(market_order(ctid, symbol, side, volume))
    bench.set_quote(ctid, symbol, *to)
    *_, closed = line.trade(
        messages.ProtoOAClosePositionReq(ctidTraderAccountId=ctid, positionId=filled.position.positionId, volume=volume)
    )
    return closed.deal


def test_a_round_trip_in_the_deposit_currency() -> None:
    """Buy a lot at 1.1001, close at 1.1051: 500.00 gross, 2.50 twice, no fee; the balance says the same."""
    bench = Bench(tick_interval_ms=10**9)
    bench.set_quote(LEADER, 1, 1.1, 1.1001)
    detail = close_all(bench, LEADER, 1, BUY, LOT, (1.1051, 1.1052)).closePositionDetail
    assert (detail.grossProfit, detail.commission, detail.pnlConversionFee, detail.swap) == (50_000, -500, 0, 0)
    assert detail.balance == 10_000_000 + 50_000 - 500
    assert (detail.entryPrice, detail.balanceVersion, detail.moneyDigits) == (1.1001, 2, 2)


def test_a_round_trip_in_another_currency() -> None:
    """The same on the EUR account: profit and commission through EURUSD's bid, and the fee of 0.70 percent."""
    bench = Bench(tick_interval_ms=10**9)
    bench.set_quote(EURO, 1, 1.1, 1.1001)
    deal = close_all(bench, EURO, 1, SELL, LOT, (1.0950, 1.0951))
    detail = deal.closePositionDetail
    assert detail.quoteToDepositConversionRate == pytest.approx(1 / 1.095, abs=1e-12)
    assert detail.grossProfit == 44749  # 490 / 1.095 = 447.488...
    assert detail.pnlConversionFee == -314  # 3.13243 away from zero
    assert deal.commission == -229  # 2.50 / 1.095 = 2.2831
    assert detail.commission == -229 - 228  # opened at 1.1: 2.2727


def test_a_yen_account_counts_in_whole_yen() -> None:
    """moneyDigits 0 on the deal, the position and the trader; USDJPY needs no conversion."""
    bench = Bench(tick_interval_ms=10**9)
    bench.set_quote(BETA_YEN, 1, 150.0, 150.01)
    deal = close_all(bench, BETA_YEN, 1, BUY, 1_000_000, (151.0, 151.01))
    assert deal.moneyDigits == deal.closePositionDetail.moneyDigits == 0
    assert deal.closePositionDetail.grossProfit == 9_870  # 10,000 USD from 150.013, with 3 points of markup
    line = bench.login(BETA_YEN)
    assert line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=BETA_YEN)).trader.moneyDigits == 0


def test_a_chain_of_two_symbols() -> None:
    """GBPJPY on Beta's EUR account: yen to EUR through EURJPY, pounds to EUR through EURGBP."""
    bench = Bench(tick_interval_ms=10**9)
    line = bench.login(BETA_EURO)
    assets = {a.name: a.assetId for a in line.ask(messages.ProtoOAAssetListReq(ctidTraderAccountId=BETA_EURO)).asset}

    def chain(first: str, last: str) -> list[str]:
        found = line.ask(
            messages.ProtoOASymbolsForConversionReq(
                ctidTraderAccountId=BETA_EURO, firstAssetId=assets[first], lastAssetId=assets[last]
            )
        )
        return [symbol.symbolName for symbol in found.symbol]

    assert chain("JPY", "EUR") == ["EURJPY.b"]
    assert chain("XAU", "JPY") == ["GOLD.b", "USDJPY.b"]
    assert chain("EUR", "EUR") == []
    deal = close_all(bench, BETA_EURO, 7, BUY, 100_000, (191.0, 191.05))
    bid, _ = bench.quote(BETA_EURO, 4)
    assert deal.closePositionDetail.quoteToDepositConversionRate == pytest.approx(10**8 / bid, rel=1e-11)


def test_money_keeps_its_worth_where_its_symbols_are_no_longer_traded() -> None:
    """All three ways from the dollar to the euro are closed to trading: a profit in dollars is no profit in euros."""
    bench = Bench(tick_interval_ms=10**9)
    venue = bench.broker.floor.venue_of(bench.broker.floor.accounts[EURO])
    before = venue.rate("USD", "EUR")
    for symbol in ("EURUSD", "EURJPY", "EURGBP"):
        bench.broker.set_fault("symbol", {"broker": "Alpha", "symbol": symbol, "set": "enabled=false"})
    assert venue.rate("USD", "EUR") == before
    assert before != 10**12


def test_unrealised_profit_is_what_a_close_would_bring_without_its_commission() -> None:
    """Gross and net of an open position, net with the opening commission, the swap and the fee."""
    bench = Bench(tick_interval_ms=10**9)
    bench.set_quote(EURO, 1, 1.1, 1.1001)
    line = bench.login(EURO)
    line.trade(market_order(EURO, 1, BUY, LOT))
    bench.set_quote(EURO, 1, 1.1101, 1.1102)
    (row,) = line.ask(messages.ProtoOAGetPositionUnrealizedPnLReq(ctidTraderAccountId=EURO)).positionUnrealizedPnL
    assert row.grossUnrealizedPnL == 90_082  # 1,000 / 1.1101 = 900.8197
    assert row.netUnrealizedPnL == 90_082 - 228 - 631  # 2.50 / 1.1 and 6.30574, both away from zero


def test_a_swap_is_charged_at_its_time_and_realised_at_the_close() -> None:
    """One night from Monday to Tuesday at 20:59 UTC, three on Wednesday; the event is SWAP, the deal carries it."""
    bench = Bench(tick_interval_ms=10**9, idle_timeout_ms=10**12, stop_out_interval_ms=60_000)
    line = bench.login(LEADER)
    *_, filled = line.trade(market_order(LEADER, 1, BUY, LOT))
    line.inbox.clear()
    bench.pass_time(9 * 3600)
    ((event, msg_id),) = [(body, found) for kind, body, found in line.inbox if kind == 2126]
    assert (event.executionType, event.isServerEvent, msg_id) == (9, True, None)
    assert event.position.swap == -620
    line.inbox.clear()
    bench.pass_time(48 * 3600)
    swaps = [body.position.swap for kind, body, _ in line.inbox if kind == 2126]
    assert swaps == [-1240, -3100]
    *_, closed = line.trade(
        messages.ProtoOAClosePositionReq(
            ctidTraderAccountId=LEADER, positionId=filled.position.positionId, volume=LOT // 4
        )
    )
    assert closed.deal.closePositionDetail.swap == -775
    assert closed.position.swap == -2325


def test_no_swap_at_weekends_unless_the_symbol_says_so() -> None:
    """Over Saturday and Sunday EURUSD pays nothing, bitcoin two nights."""
    bench = Bench(
        tick_interval_ms=10**9, idle_timeout_ms=10**12, stop_out_interval_ms=60_000, start_us=1_768_003_200_000_000
    )  # Saturday
    line = bench.login(LEADER)
    line.trade(market_order(LEADER, 1, BUY, LOT))
    line.trade(market_order(LEADER, 201, BUY, 10))
    line.inbox.clear()
    bench.pass_time(2 * 86_400)
    charged = [body.position.tradeData.symbolId for kind, body, _ in line.inbox if kind == 2126]
    assert charged == [201, 201]


def test_money_that_comes_and_goes_without_a_trade() -> None:
    """DEPOSIT_WITHDRAW with the new balance and version, a trader event, and a row in the cash flow history."""
    bench = Bench()
    line = bench.login(LIVE)
    bench.broker.set_fault("deposit", {"account": str(LIVE), "amount": "12.34", "note": "hello"})
    bench.broker.set_fault("withdraw", {"account": str(LIVE), "amount": "2.34"})
    bench.collect()
    assert [kind for kind, _, _ in line.inbox] == [2126, 2123, 2126, 2123]
    first = line.inbox[0][1].depositWithdraw
    assert (first.operationType, first.delta, first.balance, first.balanceVersion) == (0, 1234, 1_001_234, 2)
    assert first.externalNote == "hello"
    now_ms = bench.now_us // 1000
    found = line.ask(
        messages.ProtoOACashFlowHistoryListReq(
            ctidTraderAccountId=LIVE, fromTimestamp=now_ms - 1000, toTimestamp=now_ms + 1000
        )
    )
    assert [row.delta for row in found.depositWithdraw] == [1234, -234]
    bench.broker.set_fault("bonus", {"account": str(LIVE), "amount": "5"})
    bench.collect()
    trader = line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=LIVE)).trader
    assert (trader.balance, trader.balanceVersion, trader.managerBonus) == (1_001_000, 3, 500)
