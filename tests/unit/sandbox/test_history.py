"""The past: deals, orders, offsets by span and page; bars and ticks from the feed (wire.md#snapshots-and-histories)."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.markets import periods
from tests.unit.sandbox.bench import LEADER, LIVE, Bench, Line, market_order

BUY, SELL = 1, 2
LOT = 10_000_000
HOUR_MS = 3_600_000
WEEK_MS = 604_800_000


@pytest.fixture
def line() -> Line:
    """A client with the leader's account open."""
    return Bench(idle_timeout_ms=10**12, historical_per_second=10**6, requests_per_second=10**6).login(LEADER)


def now_ms(line: Line) -> int:
    """Give the time."""
    return line.bench.now_us // 1000


def deals(line: Line, **fields: Any) -> Any:
    """Ask for deals, of the last hour unless told otherwise."""
    values = {"fromTimestamp": now_ms(line) - HOUR_MS, "toTimestamp": now_ms(line), **fields}
    return line.ask(messages.ProtoOADealListReq(ctidTraderAccountId=LEADER, **values))


def test_deals_come_newest_first_and_page_by_moving_the_end(line: Line) -> None:
    """Five deals in pages of two, each page ending before the oldest of the one before; no deal twice or missing."""
    for _ in range(5):
        line.trade(market_order(LEADER, 1, BUY, LOT))
    found: list[int] = []
    end, has_more = now_ms(line), True
    while has_more:
        page = deals(line, toTimestamp=end, maxRows=2)
        found += [deal.dealId for deal in page.deal]
        end, has_more = page.deal[-1].executionTimestamp - 1, page.hasMore
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 5


def test_deals_of_a_list_have_their_creation_as_last_update(line: Line) -> None:
    """Recorded: in lists utcLastUpdateTimestamp is the creation; in the event it is the execution."""
    *_, filled = line.trade(market_order(LEADER, 1, BUY, LOT))
    (deal,) = deals(line).deal
    assert deal.utcLastUpdateTimestamp == deal.createTimestamp == filled.deal.executionTimestamp - 130
    assert filled.deal.utcLastUpdateTimestamp == filled.deal.executionTimestamp


def test_orders_are_filtered_by_their_last_update(line: Line) -> None:
    """A pending placed long ago and cancelled now is found by now."""
    (placed,) = line.trade(
        messages.ProtoOANewOrderReq(
            ctidTraderAccountId=LEADER, symbolId=1, orderType="LIMIT", tradeSide="BUY", volume=LOT, limitPrice=1.0
        )
    )
    line.bench.pass_time(7200)
    span: dict[str, Any] = {"fromTimestamp": now_ms(line) - 1000, "toTimestamp": now_ms(line) + 1000}
    request = messages.ProtoOAOrderListReq(ctidTraderAccountId=LEADER, **span)
    assert not line.ask(request).order
    line.trade(messages.ProtoOACancelOrderReq(ctidTraderAccountId=LEADER, orderId=placed.order.orderId), 0)
    (order,) = line.ask(request).order
    assert (order.orderId, order.orderStatus) == (placed.order.orderId, 5)


@pytest.mark.parametrize(
    ("start", "end"), [(0, WEEK_MS + 1), (WEEK_MS, 0), (-1, 5)], ids=["too long", "turned around", "before 1970"]
)
def test_spans_that_are_wrong(line: Line, start: int, end: int) -> None:
    """Longer than a week or inconsistent: INCORRECT_BOUNDARIES, for deals, orders, cash flow, ticks and by position."""
    span: dict[str, Any] = {"ctidTraderAccountId": LEADER, "fromTimestamp": start, "toTimestamp": end}
    for request in (
        messages.ProtoOADealListReq(**span),
        messages.ProtoOAOrderListReq(**span),
        messages.ProtoOACashFlowHistoryListReq(**span),
        messages.ProtoOAGetTickDataReq(symbolId=1, type="BID", **span),
        messages.ProtoOADealListByPositionIdReq(positionId=1, **span),
        messages.ProtoOAOrderListByPositionIdReq(positionId=1, **span),
    ):
        assert line.ask(request).errorCode == "INCORRECT_BOUNDARIES"


@pytest.mark.parametrize("end", [-1, -(2**63)])
def test_an_end_before_1970_is_wrong_also_alone(line: Line, end: int) -> None:
    """No answer is made up for it, and the longest bars do not fail on a day before the year 1."""
    span: dict[str, Any] = {"ctidTraderAccountId": LEADER, "toTimestamp": end}
    for request in (
        messages.ProtoOADealListReq(**span),
        messages.ProtoOAOrderListByPositionIdReq(positionId=1, **span),
    ):
        assert line.ask(request).errorCode == "INCORRECT_BOUNDARIES"
    assert bars(line, 12, count=1, toTimestamp=end).errorCode == "INCORRECT_BOUNDARIES"


def test_by_position_works_without_a_span(line: Line) -> None:
    """All deals and orders of one position, newest first, and of no other."""
    *_, filled = line.trade(market_order(LEADER, 1, BUY, LOT, relativeStopLoss=500))
    line.trade(market_order(LEADER, 1, BUY, LOT))
    number = filled.position.positionId
    line.trade(messages.ProtoOAClosePositionReq(ctidTraderAccountId=LEADER, positionId=number, volume=LOT))
    of_position: dict[str, Any] = {"ctidTraderAccountId": LEADER, "positionId": number}
    found = line.ask(messages.ProtoOADealListByPositionIdReq(**of_position))
    assert [deal.HasField("closePositionDetail") for deal in found.deal] == [True, False]
    assert not found.hasMore
    orders = line.ask(messages.ProtoOAOrderListByPositionIdReq(**of_position)).order
    assert sorted(order.orderType for order in orders) == [1, 1, 4]
    (closing,) = [order for order in orders if order.orderType == 1 and order.closingOrder]
    assert closing.stopLoss == pytest.approx(filled.position.stopLoss)
    assert not closing.HasField("takeProfit")


def test_order_details_and_offsets(line: Line) -> None:
    """An order with its deals; a closing deal names what it closed, the opening ones what closed them."""
    *_, first = line.trade(market_order(LEADER, 1, BUY, LOT))
    number = first.position.positionId
    *_, second = line.trade(market_order(LEADER, 1, BUY, LOT, positionId=number))
    *_, closed = line.trade(
        messages.ProtoOAClosePositionReq(ctidTraderAccountId=LEADER, positionId=number, volume=LOT + LOT // 2)
    )
    details = line.ask(messages.ProtoOAOrderDetailsReq(ctidTraderAccountId=LEADER, orderId=closed.order.orderId))
    assert [deal.dealId for deal in details.deal] == [closed.deal.dealId]

    def offsets(deal_id: int) -> Any:
        return line.ask(messages.ProtoOADealOffsetListReq(ctidTraderAccountId=LEADER, dealId=deal_id))

    assert [(o.dealId, o.volume) for o in offsets(closed.deal.dealId).offsetting] == [
        (first.deal.dealId, LOT),
        (second.deal.dealId, LOT // 2),
    ]
    assert [(o.dealId, o.volume) for o in offsets(second.deal.dealId).offsetBy] == [(closed.deal.dealId, LOT // 2)]
    unknown = line.ask(messages.ProtoOAOrderDetailsReq(ctidTraderAccountId=LEADER, orderId=5))
    assert (unknown.errorCode, unknown.description) == (
        "ORDER_NOT_FOUND",
        "Order 5 not found or not belong to trader 9000001",
    )


def bars(line: Line, period: int, **fields: Any) -> Any:
    """Ask for bars."""
    values: dict[str, Any] = {"symbolId": 1, "toTimestamp": now_ms(line), **fields}
    return line.ask(messages.ProtoOAGetTrendbarsReq(ctidTraderAccountId=LEADER, period=period, **values))


def ticks(line: Line, kind: str, start: int, end: int) -> list[tuple[int, int]]:
    """Ask for all ticks of a span, decoded, oldest first."""
    found: list[tuple[int, int]] = []
    has_more = True
    while has_more:
        page = line.ask(
            messages.ProtoOAGetTickDataReq(
                ctidTraderAccountId=LEADER, symbolId=1, type=kind, fromTimestamp=start, toTimestamp=end
            )
        )
        at = price = 0
        for tick in page.tickData:
            at, price = at + tick.timestamp, price + tick.tick
            found.append((at, price))
        end, has_more = at - 1, page.hasMore
    return found[::-1]


def test_bars_are_bars_of_the_ticks(line: Line) -> None:
    """Across the start of the sandbox, M1 bars computed from the ticks equal the bars that are answered."""
    line.bench.pass_time(600)
    start = (now_ms(line) - 1_200_000) // 60_000 * 60_000
    computed: dict[int, list[int]] = {}
    for at, price in ticks(line, "BID", start, now_ms(line)):
        computed.setdefault(at // 60_000, []).append(price)
    found = bars(line, 1, fromTimestamp=start)
    assert len(found.trendbar) >= 20
    for bar in found.trendbar:
        prices = computed[bar.utcTimestampInMinutes]
        values = (bar.low + bar.deltaOpen, bar.low + bar.deltaHigh, bar.low, bar.low + bar.deltaClose, bar.volume)
        assert values == (prices[0], max(prices), min(prices), prices[-1], len(prices))
        assert not bar.HasField("period")


def test_longer_bars_are_made_of_shorter_ones(line: Line) -> None:
    """Each H1 bar has the open, extremes, close and volume of its M5 bars."""
    end = now_ms(line) // HOUR_MS * HOUR_MS - 1
    long = bars(line, 9, fromTimestamp=end + 1 - 24 * HOUR_MS, toTimestamp=end).trendbar
    short = bars(line, 5, fromTimestamp=end + 1 - 24 * HOUR_MS, toTimestamp=end).trendbar
    assert len(long) == 24
    assert len(short) == 288
    for index, bar in enumerate(long):
        parts = short[index * 12 : index * 12 + 12]
        assert bar.utcTimestampInMinutes == parts[0].utcTimestampInMinutes
        assert bar.low == min(part.low for part in parts)
        assert bar.low + bar.deltaHigh == max(part.low + part.deltaHigh for part in parts)
        assert bar.low + bar.deltaOpen == parts[0].low + parts[0].deltaOpen
        assert bar.low + bar.deltaClose == parts[-1].low + parts[-1].deltaClose
        assert bar.volume == sum(part.volume for part in parts)


def test_count_takes_the_last_bars_and_says_that_there_are_more(line: Line) -> None:
    """Ten bars up to the end; `timestamp` and `hasMore` are always filled; paging by the end meets without overlap."""
    page = bars(line, 1, count=10)
    assert len(page.trendbar) == 10
    assert page.hasMore
    assert page.timestamp == now_ms(line)
    first = page.trendbar[0].utcTimestampInMinutes
    before = bars(line, 1, count=10, toTimestamp=first * 60_000 - 1).trendbar
    assert before[-1].utcTimestampInMinutes == first - 1


def test_bars_beyond_history_and_limits(line: Line) -> None:
    """History has a beginning; spans without count have a limit; an unknown symbol has no bars."""
    assert 4 <= len(bars(line, 13, count=1000).trendbar) <= 6
    assert not bars(line, 13, count=1000).hasMore
    assert bars(line, 1, fromTimestamp=now_ms(line) - 302_400_001).errorCode == "INCORRECT_BOUNDARIES"
    assert bars(line, 1).errorCode == "INCORRECT_BOUNDARIES"
    assert bars(line, 1, count=1, symbolId=999).errorCode == "SYMBOL_NOT_FOUND"
    long_ago = bars(line, 1, fromTimestamp=0, toTimestamp=1000)
    assert list(long_ago.trendbar) == []


def test_the_day_turns_at_17_in_new_york() -> None:
    """D1 opens at 22:00 UTC in winter and 21:00 in summer, W1 on Sunday, MN1 on the eve of the first; H4 follows."""
    winter, summer = 29_460_240, 29_720_880  # 2026-01-05 12:00, 2026-07-05 12:00
    assert periods.start_of(periods.D1, winter) % 1440 == 22 * 60
    assert periods.start_of(periods.D1, summer) % 1440 == 21 * 60
    assert periods.start_of(periods.H4, winter) % 240 == 22 * 60 % 240
    assert periods.start_of(periods.W1, winter) == 29_459_400  # Sunday 2026-01-04 22:00
    assert periods.start_of(periods.MN1, winter) == 29_453_640 + 0  # 2025-12-31 22:00


def test_asks_of_the_past_stand_above_bids(line: Line) -> None:
    """Ticks of both sides have the same moments and a spread."""
    end = now_ms(line)
    bids, asks = ticks(line, "BID", end - 60_000, end), ticks(line, "ASK", end - 60_000, end)
    assert [at for at, _ in bids] == [at for at, _ in asks]
    assert all(ask > bid for (_, bid), (_, ask) in zip(bids, asks, strict=True))


def test_bars_have_the_digits_of_the_broker() -> None:
    """Gamma quotes EUR/USD with four digits, in bars too."""
    line = Bench().login(LIVE)
    found = line.ask(
        messages.ProtoOAGetTrendbarsReq(
            ctidTraderAccountId=LIVE, period="M1", symbolId=7001, count=50, toTimestamp=now_ms(line)
        )
    )
    assert len(found.trendbar) == 50
    assert all((bar.low + bar.deltaHigh) % 10 == bar.low % 10 == 0 for bar in found.trendbar)


def test_cash_flow_and_deals_add_up_to_the_balance(line: Line) -> None:
    """A stranger who knows no world file asks week by week since the registration: what was paid in and what closes
    made is the balance, of an account that has traded and of one that has not."""
    trader = line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)).trader
    span = {"fromTimestamp": trader.registrationTimestamp, "toTimestamp": trader.registrationTimestamp + WEEK_MS}
    asked = messages.ProtoOACashFlowHistoryListReq(ctidTraderAccountId=LEADER, **span)
    (paid_in,) = line.ask(asked).depositWithdraw
    assert (paid_in.delta, paid_in.balance, paid_in.balanceVersion) == (trader.balance, trader.balance, 1)
    assert paid_in.operationType == model.BALANCE_DEPOSIT
    *_, opened = line.trade(market_order(LEADER, 1, BUY, LOT))
    line.bench.pass_time(60)
    position = opened.position.positionId
    line.trade(messages.ProtoOAClosePositionReq(ctidTraderAccountId=LEADER, positionId=position, volume=LOT))
    closes = [deal.closePositionDetail for deal in deals(line).deal if deal.HasField("closePositionDetail")]
    made = sum(one.grossProfit + one.swap + one.commission + one.pnlConversionFee for one in closes)
    assert made != 0
    assert line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)).trader.balance == paid_in.delta + made
