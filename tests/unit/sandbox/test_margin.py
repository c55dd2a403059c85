"""Margin: what is used by type of account, expected margin, margin calls, stop-outs (wire.md#stop-outs)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox.serving.world_file import default_world
from cmam.sandbox.trading import margin
from tests.unit.sandbox.bench import BETA_EURO, LEADER, START_US, Bench, Line, market_order

BUY, SELL = 1, 2
LOT = 10_000_000


def bench_with(**changed: Any) -> tuple[Bench, Line]:
    """Make a bench whose leader's account is changed, on a market at 1.10000 / 1.10010."""
    world = default_world()
    first, *others = world.accounts
    world = replace(world, accounts=(replace(first, **changed), *others))
    bench = Bench(world, tick_interval_ms=10**9)
    bench.set_quote(LEADER, 1, 1.1, 1.1001)
    return bench, bench.login(LEADER)


@pytest.mark.parametrize(("kind", "expected"), [(0, 2 * 110_000), (1, 3 * 110_000), (2, 110_000)])
def test_margin_of_both_sides_by_type(kind: int, expected: int) -> None:
    """Two lots long and one short: MAX counts the larger side, SUM both, NET the difference."""
    bench, line = bench_with(margin_type=kind)
    for side in (BUY, BUY, SELL):
        line.trade(market_order(LEADER, 1, side, LOT))
    assert margin.used(bench.broker.floor.accounts[LEADER]) == expected


def test_an_order_needs_free_margin() -> None:
    """With 100,000 USD at 1:100 ninety lots are possible, one more is not; a hedge on a MAX account costs nothing."""
    _, line = bench_with(margin_type=0)
    assert len(line.trade(market_order(LEADER, 1, BUY, 90 * LOT))) == 2
    (refused,) = line.trade(market_order(LEADER, 1, BUY, LOT))
    assert refused.errorCode == "NOT_ENOUGH_MONEY"
    assert len(line.trade(market_order(LEADER, 1, SELL, LOT))) == 2


def test_expected_margin_is_what_the_position_then_uses() -> None:
    """For each volume, both sides; with the account's leverage and with dynamic leverage."""
    for ctid, symbol in ((LEADER, 1), (BETA_EURO, 2)):
        bench = Bench(tick_interval_ms=10**9)
        line = bench.login(ctid)
        found = line.ask(
            messages.ProtoOAExpectedMarginReq(ctidTraderAccountId=ctid, symbolId=symbol, volume=[LOT, 3 * LOT])
        )
        assert [row.volume for row in found.margin] == [LOT, 3 * LOT]
        assert all(row.buyMargin == row.sellMargin for row in found.margin)
        *_, filled = line.trade(market_order(ctid, symbol, BUY, 3 * LOT))
        assert filled.position.usedMargin == found.margin[1].buyMargin
        assert found.moneyDigits == 2


def test_dynamic_leverage_is_shown() -> None:
    """Beta's forex symbols name it, and its tiers can be read; an unknown one is ENTITY_NOT_FOUND."""
    line = Bench().login(BETA_EURO)
    symbol = line.ask(messages.ProtoOASymbolByIdReq(ctidTraderAccountId=BETA_EURO, symbolId=[2])).symbol[0]
    found = line.ask(
        messages.ProtoOAGetDynamicLeverageByIDReq(ctidTraderAccountId=BETA_EURO, leverageId=symbol.leverageId)
    )
    first = found.leverage.tiers[0]
    assert (first.volume, first.leverage) == (500_000_000, 500)
    unknown = messages.ProtoOAGetDynamicLeverageByIDReq(ctidTraderAccountId=BETA_EURO, leverageId=99)
    assert line.ask(unknown).errorCode == "ENTITY_NOT_FOUND"


def test_a_change_of_leverage_changes_the_margin() -> None:
    """TraderUpdatedEvent with the leverage, MarginChangedEvent with each position's margin."""
    bench, line = bench_with()
    line.trade(market_order(LEADER, 1, BUY, LOT))
    line.inbox.clear()
    bench.broker.set_fault("leverage", {"account": str(LEADER), "leverage": "50"})
    bench.collect()
    (_, trader, _), (_, changed, _) = line.inbox
    assert trader.trader.leverageInCents == 5_000
    assert changed.usedMargin == 220_000
    assert changed.moneyDigits == 2


def test_margin_calls_ring_once_in_ten_minutes() -> None:
    """At 100, 80 and 60 percent; again only after ten minutes; a threshold can be changed and everybody hears of it."""
    bench, line = bench_with(stop_out_percent=0)
    line.trade(market_order(LEADER, 1, BUY, 85 * LOT))
    line.inbox.clear()
    bench.set_quote(LEADER, 1, 1.0985, 1.0986)
    bench.pass_time(5)
    rung = line.take(2172)
    assert [event.marginCall.marginCallType for event in rung] == [61]
    bench.pass_time(10)
    assert line.take(2172) == []
    update = messages.ProtoOAMarginCallUpdateReq(ctidTraderAccountId=LEADER)
    update.marginCall.marginCallType = 62
    update.marginCall.marginLevelThreshold = 95.0
    line.send(update)
    assert [kind for kind, _, _ in line.inbox] == [2170, 2171]
    listed = line.ask(messages.ProtoOAMarginCallListReq(ctidTraderAccountId=LEADER)).marginCall
    assert [(call.marginCallType, call.marginLevelThreshold) for call in listed] == [(61, 100), (62, 95), (63, 60)]
    line.inbox.clear()
    bench.pass_time(1)
    assert [event.marginCall.marginCallType for event in line.take(2172)] == [62]


def stop_out(bench: Bench, line: Line, to: tuple[float, float]) -> list[Any]:
    """Move the market and let the broker look; gives the stop-out's events."""
    line.inbox.clear()
    bench.set_quote(LEADER, 1, *to)
    bench.pass_time(0.7)
    return [body for kind, body, _ in line.inbox if kind == 2126]


def test_p_a_fair_stop_out_closes_whole_positions_by_margin() -> None:
    """ACCEPTED and FILLED as server events with isStopOut, then the protective order's cancel; largest margin first."""
    bench, line = bench_with()
    line.trade(market_order(LEADER, 1, BUY, 30 * LOT))
    line.trade(market_order(LEADER, 1, BUY, 50 * LOT, relativeStopLoss=9_000))
    accepted, filled, cancelled = stop_out(bench, line, (1.0930, 1.0931))
    assert [e.executionType for e in (accepted, filled, cancelled)] == [2, 3, 5]
    assert all(event.isServerEvent for event in (accepted, filled, cancelled))
    assert accepted.order.isStopOut
    assert accepted.order.closingOrder
    assert filled.deal.closePositionDetail.closedVolume == 50 * LOT
    assert [p.tradeData.volume for p in bench.open_positions(line, LEADER)] == [30 * LOT]


def test_p_a_position_whose_market_is_shut_waits_and_the_others_go() -> None:
    """Ten seconds before New York closes: later the shares bind the most, cannot be sold, and nothing tries to."""
    bench = Bench(start_us=START_US + 32_390 * 1_000_000, tick_interval_ms=10**9)
    line = bench.login(LEADER)
    line.trade(market_order(LEADER, 301, BUY, 1_000_000))
    line.trade(market_order(LEADER, 1, BUY, LOT))
    bench.pass_time(10)
    bench.broker.set_fault("withdraw", {"account": str(LEADER), "amount": "92000"})
    line.inbox.clear()
    bench.pass_time(5)
    events = [body for kind, body, _ in line.inbox if kind == 2126 and body.HasField("order")]
    assert [(event.executionType, event.order.tradeData.symbolId) for event in events] == [(2, 1), (3, 1)]
    assert [p.tradeData.symbolId for p in bench.open_positions(line, LEADER)] == [301]


def test_p_the_most_losing_position_goes_first_by_strategy() -> None:
    """The smaller position loses more, since it was opened higher."""
    bench, line = bench_with(stop_out_strategy=1)
    bench.set_quote(LEADER, 1, 1.115, 1.1151)
    line.trade(market_order(LEADER, 1, BUY, 20 * LOT))
    bench.set_quote(LEADER, 1, 1.1, 1.1001)
    line.trade(market_order(LEADER, 1, BUY, 40 * LOT))
    events = stop_out(bench, line, (1.0890, 1.0891))
    assert events[1].deal.closePositionDetail.closedVolume == 20 * LOT


def test_p_a_smart_stop_out_closes_only_what_is_needed() -> None:
    """Partial: the level is back above the stop-out level, and most of the position is still there."""
    bench, line = bench_with(fair_stop_out=False)
    line.trade(market_order(LEADER, 1, BUY, 80 * LOT))
    events = stop_out(bench, line, (1.0930, 1.0931))
    closed = events[1].deal.closePositionDetail.closedVolume
    assert 0 < closed < 40 * LOT
    level = margin.level_percent(bench.broker.floor, bench.broker.floor.accounts[LEADER])
    assert level is not None
    assert level > 49.9
