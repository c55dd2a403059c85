"""Hedged and netted positions: adds, reductions, reversals, partial fills, what two brokers share and what not."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from tests.unit.sandbox.bench import BETA_EURO, LEADER, NETTED, Bench, Line, market_order

BUY, SELL = 1, 2
ACCEPTED, FILLED, REPLACED, CANCELLED, REJECTED, PARTIAL = 2, 3, 4, 5, 7, 11
OPEN, CLOSED, CREATED = 1, 2, 3
LOT = 10_000_000
GAMMA_EURUSD = 7001


@pytest.fixture
def bench() -> Bench:
    """A market that stands at 1.10000 / 1.10010 until a test moves it."""
    bench = Bench(tick_interval_ms=10**9)
    bench.set_quote(LEADER, 1, 1.1, 1.1001)
    return bench


@pytest.fixture
def line(bench: Bench) -> Line:
    """A client with a hedged and a netted account open."""
    return bench.login(LEADER, NETTED, BETA_EURO)


def kinds(events: list[Any]) -> list[int]:
    """Give the execution types."""
    return [event.executionType for event in events]


def held(line: Line, ctid: int) -> list[tuple[int, int, int]]:
    """Give id, side and volume of the open positions."""
    positions = line.bench.open_positions(line, ctid)
    return [(p.positionId, p.tradeData.tradeSide, p.tradeData.volume) for p in positions]


def test_every_market_order_opens_its_own_hedged_position(line: Line) -> None:
    """Two buys and a sell: three positions."""
    for side in (BUY, BUY, SELL):
        line.trade(market_order(LEADER, 1, side, LOT))
    assert [(side, volume) for _, side, volume in held(line, LEADER)] == [(BUY, LOT), (BUY, LOT), (SELL, LOT)]


def test_an_order_with_a_position_id_adds_to_it(bench: Bench, line: Line) -> None:
    """Same side: one position, price the volume-weighted average, the stop's volume follows with REPLACED."""
    *_, first = line.trade(market_order(LEADER, 1, BUY, LOT, relativeStopLoss=1000))
    number = first.position.positionId
    bench.set_quote(LEADER, 1, 1.1032, 1.1033)
    events = line.trade(market_order(LEADER, 1, BUY, 3 * LOT, positionId=number))
    assert kinds(events) == [ACCEPTED, FILLED, REPLACED]
    position = events[-1].position
    assert position.tradeData.volume == 4 * LOT
    assert position.price == pytest.approx((1.1001 + 3 * 1.1033) / 4, abs=1e-8)
    assert position.commission == -1000
    assert position.stopLoss == first.position.stopLoss
    assert events[-1].order.tradeData.volume == 4 * LOT
    assert held(line, LEADER) == [(number, BUY, 4 * LOT)]


def test_an_opposite_order_with_a_position_id_reduces_it(line: Line) -> None:
    """Part, then all; more than there is, is refused."""
    *_, first = line.trade(market_order(LEADER, 1, BUY, LOT))
    number = first.position.positionId
    *_, reduced = line.trade(market_order(LEADER, 1, SELL, LOT // 2, positionId=number))
    assert reduced.deal.closePositionDetail.closedVolume == LOT // 2
    (refused,) = line.trade(market_order(LEADER, 1, SELL, LOT, positionId=number))
    assert refused.errorCode == "TRADING_BAD_VOLUME"
    line.trade(market_order(LEADER, 1, SELL, LOT // 2, positionId=number))
    assert held(line, LEADER) == []


def test_a_netted_account_has_one_position_a_symbol(bench: Bench, line: Line) -> None:
    """Same side enlarges, the other side reduces and closes, under one position id."""
    *_, first = line.trade(market_order(NETTED, GAMMA_EURUSD, BUY, 1_000_000))
    number = first.position.positionId
    line.trade(market_order(NETTED, GAMMA_EURUSD, BUY, 2_000_000))
    assert held(line, NETTED) == [(number, BUY, 3_000_000)]
    *_, reduced = line.trade(market_order(NETTED, GAMMA_EURUSD, SELL, 1_000_000))
    assert reduced.position.positionId == number
    assert reduced.deal.closePositionDetail.closedVolume == 1_000_000
    line.trade(market_order(NETTED, GAMMA_EURUSD, SELL, 2_000_000))
    assert held(line, NETTED) == []


@pytest.mark.parametrize("keeps_id", [False, True])
def test_a_netted_reversal_is_two_deals_of_one_order(keeps_id: bool) -> None:
    """The first closes what there was, the second opens the rest on the other side; the id is kept only by switch."""
    bench = Bench(netted_reversal="same_position" if keeps_id else "new_position", tick_interval_ms=10**9)
    line = bench.login(NETTED)
    *_, first = line.trade(market_order(NETTED, GAMMA_EURUSD, BUY, 1_000_000))
    accepted, closing, opening = line.trade(market_order(NETTED, GAMMA_EURUSD, SELL, 3_000_000))
    assert kinds([accepted, closing, opening]) == [ACCEPTED, PARTIAL, FILLED]
    assert closing.deal.closePositionDetail.closedVolume == 1_000_000
    assert closing.position.positionStatus == CLOSED
    assert closing.deal.orderId == opening.deal.orderId
    assert opening.deal.filledVolume == 2_000_000
    assert not opening.deal.HasField("closePositionDetail")
    assert opening.order.executedVolume == 3_000_000
    ((number, side, volume),) = held(line, NETTED)
    assert (side, volume) == (SELL, 2_000_000)
    assert (number == first.position.positionId) == keeps_id


def test_a_pending_on_a_netted_account_joins_the_position_when_it_fills(bench: Bench, line: Line) -> None:
    """Its placeholder is gone, the fill is on the position that there is."""
    *_, first = line.trade(market_order(NETTED, GAMMA_EURUSD, BUY, 1_000_000))
    limit = messages.ProtoOANewOrderReq(
        ctidTraderAccountId=NETTED,
        symbolId=GAMMA_EURUSD,
        orderType="LIMIT",
        tradeSide="BUY",
        volume=1_000_000,
        limitPrice=1.09,
    )
    line.trade(limit)
    bench.set_quote(LEADER, 1, 1.0895, 1.0896)
    assert held(line, NETTED) == [(first.position.positionId, BUY, 2_000_000)]


def test_two_netted_orders_under_way_together_end_in_one_position(bench: Bench, line: Line) -> None:
    """The second was accepted before the first was filled; it still joins."""
    line.send(market_order(NETTED, GAMMA_EURUSD, BUY, 1_000_000))
    line.send(market_order(NETTED, GAMMA_EURUSD, BUY, 2_000_000))
    bench.pass_time(1)
    assert [volume for _, _, volume in held(line, NETTED)] == [3_000_000]


def test_two_netted_sells_under_way_together_turn_the_position(bench: Bench, line: Line) -> None:
    """Both were accepted against the same long position; the second finds none left and opens a short one."""
    line.trade(market_order(NETTED, GAMMA_EURUSD, BUY, 1_000_000))
    for _ in range(2):
        line.send(market_order(NETTED, GAMMA_EURUSD, SELL, 1_000_000))
    bench.pass_time(1)
    assert [(side, volume) for _, side, volume in held(line, NETTED)] == [(SELL, 1_000_000)]


def test_a_close_and_a_sell_under_way_together_on_a_netted_account(bench: Bench, line: Line) -> None:
    """The sell reduces first; the close takes what is left and no more."""
    *_, filled = line.trade(market_order(NETTED, GAMMA_EURUSD, BUY, 3_000_000))
    line.send(market_order(NETTED, GAMMA_EURUSD, SELL, 2_000_000))
    line.send(
        messages.ProtoOAClosePositionReq(
            ctidTraderAccountId=NETTED, positionId=filled.position.positionId, volume=3_000_000
        )
    )
    bench.pass_time(1)
    assert held(line, NETTED) == []
    deals = bench.broker.floor.accounts[NETTED].deals.values()
    assert [deal.filled for deal in deals] == [3_000_000, 2_000_000, 1_000_000]


def test_a_close_whose_position_is_gone_meanwhile_is_rejected(bench: Bench, line: Line) -> None:
    """The stop is hit between the close's acceptance and its fill: ORDER_REJECTED with POSITION_NOT_OPEN."""
    *_, protected = line.trade(market_order(LEADER, 1, BUY, LOT, relativeStopLoss=500))
    line.inbox.clear()
    line.send(
        messages.ProtoOAClosePositionReq(
            ctidTraderAccountId=LEADER, positionId=protected.position.positionId, volume=LOT
        )
    )
    bench.set_quote(LEADER, 1, 1.09, 1.0901)
    bench.pass_time(1)
    events = [body for kind, body, _ in line.inbox if kind == 2126]
    assert kinds(events) == [ACCEPTED, FILLED, REJECTED]
    assert events[-1].errorCode == "POSITION_NOT_OPEN"


def test_a_partial_fill_that_is_completed_later(bench: Bench, line: Line) -> None:
    """I: a part with ORDER_PARTIAL_FILL, the rest with ORDER_FILLED, two deals of one order and position."""
    bench.broker.set_fault("partial-fill", {"fraction": "0.3", "rest": "fill"})
    events = line.trade(market_order(LEADER, 1, BUY, LOT, relativeStopLoss=500))
    assert kinds(events) == [ACCEPTED, PARTIAL, ACCEPTED, FILLED, REPLACED]
    assert (events[1].deal.filledVolume, events[3].deal.filledVolume) == (3_000_000, 7_000_000)
    assert events[1].deal.dealStatus == 3
    assert events[1].order.executedVolume == 3_000_000
    assert events[-1].order.tradeData.volume == LOT


def test_a_partial_fill_whose_rest_is_cancelled(bench: Bench, line: Line) -> None:
    """I: the order ends CANCELLED with what was executed; the position holds that."""
    bench.broker.set_fault("partial-fill", {"fraction": "0.25"})
    events = line.trade(market_order(LEADER, 1, BUY, LOT))
    assert kinds(events) == [ACCEPTED, PARTIAL, CANCELLED]
    assert events[-1].order.executedVolume == 2_500_000
    assert [volume for _, _, volume in held(line, LEADER)] == [2_500_000]
    *_, cancelled = line.trade(
        messages.ProtoOAClosePositionReq(
            ctidTraderAccountId=LEADER, positionId=events[-1].position.positionId, volume=2_500_000
        )
    )
    assert cancelled.executionType == CANCELLED
    bench.broker.clear_fault("partial-fill")
    ((number, _, left),) = held(line, LEADER)
    *_, closed = line.trade(
        messages.ProtoOAClosePositionReq(ctidTraderAccountId=LEADER, positionId=number, volume=left)
    )
    assert closed.executionType == FILLED


def test_brokers_number_by_themselves(line: Line) -> None:
    """Two brokers give the same ids to different positions: ids are unique at one broker only."""
    *_, alpha = line.trade(market_order(LEADER, 1, BUY, LOT))
    *_, beta = line.trade(market_order(BETA_EURO, 2, BUY, LOT))
    assert alpha.position.positionId == beta.position.positionId
    assert alpha.ctidTraderAccountId != beta.ctidTraderAccountId


def test_without_delay_acceptance_and_fill_come_at_once() -> None:
    """The switch for the gap set to 0: both events in the answer to the request."""
    line = Bench(fill_delay_ms=0).login(LEADER)
    line.send(market_order(LEADER, 1, BUY, LOT))
    assert kinds([body for _, body, _ in line.inbox]) == [ACCEPTED, FILLED]


@pytest.mark.parametrize("rest", ["fill", "cancel"])
def test_a_resting_order_may_fill_in_part_too(bench: Bench, line: Line, rest: str) -> None:
    """A part at the tick that reaches it; the rest at the next one, or cancelled by the server, which says so."""
    (placed,) = line.trade(
        messages.ProtoOANewOrderReq(
            ctidTraderAccountId=LEADER, symbolId=1, orderType=2, tradeSide=BUY, volume=LOT, limitPrice=1.09
        )
    )
    bench.broker.set_fault("partial-fill", {"fraction": "0.3", "rest": rest})
    line.take()
    bench.set_quote(LEADER, 1, 1.08980, 1.08990)
    part, *more = line.take(2126)
    assert (part.executionType, part.deal.filledVolume, part.order.orderId) == (
        PARTIAL,
        3_000_000,
        placed.order.orderId,
    )
    if rest == "cancel":
        assert [(event.executionType, event.isServerEvent) for event in more] == [(CANCELLED, True)]
        assert more[0].order.executedVolume == 3_000_000
        return
    assert more == []
    bench.set_quote(LEADER, 1, 1.08970, 1.08980)
    (filled,) = line.take(2126)
    assert (filled.executionType, filled.deal.filledVolume) == (FILLED, 7_000_000)
