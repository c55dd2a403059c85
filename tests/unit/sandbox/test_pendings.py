"""Pending orders: placed, amended, cancelled, expired, triggered; times in force, triggers (wire.md#resting-orders)."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from tests.unit.sandbox.bench import LEADER, Bench, Line

EURUSD, AUDUSD = 1, 5
BUY, SELL = 1, 2
MARKET, LIMIT, STOP, RANGE, STOP_LIMIT = 1, 2, 3, 5, 6
GTD, GTC, IOC, FOK, MOO = 1, 2, 3, 4, 5
ACCEPTED, FILLED, REPLACED, CANCELLED, EXPIRED, REJECTED = 2, 3, 4, 5, 6, 7
OPEN, CLOSED, CREATED = 1, 2, 3
EXECUTION, TRAILED = 2126, 2107
LOT = 10_000_000


@pytest.fixture
def bench() -> Bench:
    """A market that stands at 1.10000 / 1.10010 until a test moves it."""
    bench = Bench(tick_interval_ms=10**9, idle_timeout_ms=10**10)
    bench.set_quote(LEADER, EURUSD, 1.1, 1.1001)
    bench.set_quote(LEADER, AUDUSD, 1.1, 1.1001)
    return bench


@pytest.fixture
def line(bench: Bench) -> Line:
    """A client with the leader's account open."""
    return bench.login(LEADER)


def place(line: Line, kind: int, side: int = BUY, *, wait: float = 0, **fields: Any) -> list[Any]:
    """Place an order of one lot; gives what carries its id."""
    fields = {"volume": LOT, "symbolId": EURUSD, **fields}
    return line.trade(
        messages.ProtoOANewOrderReq(ctidTraderAccountId=LEADER, orderType=kind, tradeSide=side, **fields), wait
    )


def executions(line: Line) -> list[tuple[Any, str | None]]:
    """Take the execution events with their ids, and forget everything."""
    found = [(body, msg_id) for kind, body, msg_id in line.inbox if kind == EXECUTION]
    line.inbox.clear()
    return found


def reconcile(line: Line) -> Any:
    """Ask for positions and orders."""
    return line.ask(messages.ProtoOAReconcileReq(ctidTraderAccountId=LEADER))


def test_d_a_pending_is_accepted_with_a_placeholder_and_relative_levels(line: Line) -> None:
    """D: GTC by default, position CREATED with volume 0; absolute levels are reported as distances."""
    (event,) = place(line, LIMIT, limitPrice=1.09, stopLoss=1.08, takeProfit=1.12, label="l", clientOrderId="me")
    assert event.executionType == ACCEPTED
    assert event.order.timeInForce == GTC
    assert event.order.limitPrice == 1.09
    assert (event.order.relativeStopLoss, event.order.relativeTakeProfit) == (1000, 3000)
    assert not event.order.HasField("stopLoss")
    assert event.position.positionStatus == CREATED
    assert event.position.tradeData.volume == 0
    assert event.order.clientOrderId == "me"
    found = reconcile(line)
    assert [o.orderId for o in found.order] == [event.order.orderId]
    assert not found.position


def test_e_an_amend_replaces_and_clears_what_is_left_out(line: Line) -> None:
    """E: REPLACED with the same id; levels and expiration that are not repeated are gone, price and volume stay."""
    soon = line.bench.now_us // 1000 + 60_000
    (placed,) = place(line, LIMIT, limitPrice=1.09, relativeStopLoss=500, timeInForce=GTD, expirationTimestamp=soon)
    amend = messages.ProtoOAAmendOrderReq(
        ctidTraderAccountId=LEADER, orderId=placed.order.orderId, relativeTakeProfit=700, limitPrice=1.08
    )
    (event,) = line.trade(amend, 0)
    assert event.executionType == REPLACED
    assert event.order.orderId == placed.order.orderId
    assert event.order.limitPrice == 1.08
    assert event.order.tradeData.volume == LOT
    assert event.order.relativeTakeProfit == 700
    assert not event.order.HasField("relativeStopLoss")
    assert not event.order.HasField("expirationTimestamp")
    assert event.order.timeInForce == GTC
    line.bench.pass_time(120)
    assert len(reconcile(line).order) == 1


def test_f_a_cancel_closes_the_placeholder(line: Line) -> None:
    """F: CANCELLED, position CLOSED with volume 0 and a close time, with the id; a second cancel is ORDER_NOT_FOUND."""
    (placed,) = place(line, STOP, stopPrice=1.11)
    assert not placed.position.HasField("utcLastUpdateTimestamp")
    cancel = messages.ProtoOACancelOrderReq(ctidTraderAccountId=LEADER, orderId=placed.order.orderId)
    (event,) = line.trade(cancel, 0)
    assert (event.executionType, event.order.orderStatus) == (CANCELLED, 5)
    assert event.position.positionStatus == CLOSED
    assert event.position.tradeData.HasField("closeTimestamp")
    assert not event.order.tradeData.HasField("closeTimestamp")
    (refused,) = line.trade(cancel, 0)
    assert refused.errorCode == "ORDER_NOT_FOUND"
    assert refused.orderId == placed.order.orderId
    assert not refused.HasField("positionId")
    assert not reconcile(line).order


def test_g_an_expiry_is_a_server_event_without_id(bench: Bench, line: Line) -> None:
    """G: EXPIRED at its moment and not before; an amend moves the moment."""
    soon = bench.now_us // 1000 + 10_000
    (placed,) = place(line, LIMIT, limitPrice=1.09, timeInForce=GTD, expirationTimestamp=soon)
    assert placed.order.timeInForce == GTD
    amend = messages.ProtoOAAmendOrderReq(
        ctidTraderAccountId=LEADER, orderId=placed.order.orderId, expirationTimestamp=soon + 5_000
    )
    line.trade(amend, 0)
    line.inbox.clear()
    bench.pass_time(14.9)
    assert executions(line) == []
    bench.pass_time(0.1)
    ((event, msg_id),) = executions(line)
    assert msg_id is None
    assert event.isServerEvent
    assert (event.executionType, event.order.orderStatus) == (EXPIRED, 4)
    assert event.position.positionStatus == CLOSED


@pytest.mark.parametrize(
    ("kind", "side", "fields", "near", "reached"),
    [
        (LIMIT, BUY, {"limitPrice": 1.09}, (1.0899, 1.0901), (1.0899, 1.09)),
        (LIMIT, SELL, {"limitPrice": 1.11}, (1.1099, 1.1101), (1.11, 1.1101)),
        (STOP, BUY, {"stopPrice": 1.11}, (1.1099, 1.10999), (1.1099, 1.11)),
        (STOP, SELL, {"stopPrice": 1.09}, (1.09001, 1.0901), (1.09, 1.0901)),
    ],
)
def test_h_a_price_triggers_a_pending(
    bench: Bench, line: Line, kind: int, side: int, fields: Any, near: Any, reached: Any
) -> None:
    """H: not one tick early; FILLED without id at its own side, then the protective order, also without."""
    (placed,) = place(line, kind, side, relativeStopLoss=500, **fields)
    line.inbox.clear()
    bench.set_quote(LEADER, EURUSD, *near)
    assert executions(line) == []
    bench.set_quote(LEADER, EURUSD, *reached)
    (filled, first_id), (protected, second_id) = executions(line)
    assert (first_id, second_id) == (None, None)
    assert filled.executionType == FILLED
    assert filled.order.orderId == placed.order.orderId
    assert filled.position.positionId == placed.position.positionId
    assert filled.position.positionStatus == OPEN
    assert filled.deal.executionPrice == pytest.approx(reached[1] if side == BUY else reached[0], abs=1e-9)
    assert (protected.executionType, protected.isServerEvent) == (ACCEPTED, True)


def test_a_marketable_limit_fills_at_once_and_better(bench: Bench, line: Line) -> None:
    """A limit above the market is accepted, then filled at the market with the request's id."""
    accepted, filled = place(line, LIMIT, limitPrice=1.2, wait=1)
    assert (accepted.executionType, filled.executionType) == (ACCEPTED, FILLED)
    assert filled.deal.executionPrice == 1.1001


def test_a_stop_on_the_wrong_side_is_refused(line: Line) -> None:
    """A buy stop at or below the ask, a sell stop at or above the bid: TRADING_BAD_PRICES."""
    (refused,) = place(line, STOP, BUY, stopPrice=1.1001)
    assert refused.errorCode == "TRADING_BAD_PRICES"
    (refused,) = place(line, STOP, SELL, stopPrice=1.1)
    assert refused.errorCode == "TRADING_BAD_PRICES"


def test_a_stop_limit_waits_for_both(bench: Bench, line: Line) -> None:
    """The stop at 1.11 with 10 points becomes a limit at 1.11010; a gap beyond it waits for the way back."""
    place(line, STOP_LIMIT, BUY, stopPrice=1.11, slippageInPoints=10)
    line.inbox.clear()
    bench.set_quote(LEADER, EURUSD, 1.12, 1.1201)
    assert executions(line) == []
    found = reconcile(line).order[0]
    assert (found.stopPrice, found.limitPrice, found.slippageInPoints) == (1.11, 1.1101, 10)
    line.inbox.clear()
    bench.set_quote(LEADER, EURUSD, 1.11, 1.1101)
    ((filled, _),) = executions(line)
    assert filled.deal.executionPrice == 1.1101


@pytest.mark.parametrize(("method", "ticks"), [(1, 1), (2, 0), (3, 2), (4, 0)])
def test_trigger_methods_of_a_buy_stop(bench: Bench, line: Line, method: int, ticks: int) -> None:
    """TRADE looks at the ask, OPPOSITE at the bid; DOUBLE wants two ticks in a row."""
    place(line, STOP, BUY, stopPrice=1.11, stopTriggerMethod=method)
    line.inbox.clear()
    needed = 0
    for needed in range(1, 4):
        bench.set_quote(LEADER, EURUSD, 1.1095 - needed / 1e4, 1.1101 + needed / 1e5)
        if executions(line):
            break
    else:
        needed = 0
    assert needed == ticks
    if method in (2, 4):
        bench.set_quote(LEADER, EURUSD, 1.1101, 1.1103)
        assert len(executions(line)) == (method == 2)
        if method == 4:
            bench.set_quote(LEADER, EURUSD, 1.109, 1.1103)
            bench.set_quote(LEADER, EURUSD, 1.1101, 1.1104)
            assert executions(line) == [], "the two ticks must be consecutive"
            bench.set_quote(LEADER, EURUSD, 1.1102, 1.1105)
            assert len(executions(line)) == 1


def test_an_ioc_limit_takes_what_there_is_and_cancels_the_rest(bench: Bench, line: Line) -> None:
    """The book holds 18 million units over four ticks; ten with a limit at the third get 8, the rest is cancelled."""
    bench.broker.set_fault("deposit", {"account": str(LEADER), "amount": "1000000"})
    volume = 1_000_000_000
    _, *parts, last = place(line, LIMIT, symbolId=AUDUSD, limitPrice=1.10012, volume=volume, timeInForce=IOC, wait=1)
    assert [part.executionType for part in parts] == [11, 11, 11]
    assert [part.deal.filledVolume for part in parts] == [100_000_000, 200_000_000, 500_000_000]
    assert [part.deal.executionPrice for part in parts] == [1.1001, 1.10011, 1.10012]
    assert (last.executionType, last.order.executedVolume) == (CANCELLED, 800_000_000)
    assert last.position.tradeData.volume == 800_000_000
    assert last.order.executionPrice == pytest.approx(1.1001150, abs=1e-8)


def test_ioc_and_fok_away_from_the_market_are_cancelled(line: Line) -> None:
    """Accepted, then cancelled with nothing executed; with the switch an IOC rests, as was reported once."""
    for tif in (IOC, FOK):
        accepted, cancelled = place(line, LIMIT, limitPrice=1.09, timeInForce=tif, wait=1)
        assert (accepted.executionType, cancelled.executionType) == (ACCEPTED, CANCELLED)
        assert cancelled.order.executedVolume == 0
    resting = Bench(ioc_limit_rests=True).login(LEADER)
    (accepted,) = place(resting, LIMIT, limitPrice=1.0, timeInForce=IOC, wait=1)
    assert len(reconcile(resting).order) == 1


def test_fok_is_all_or_nothing(line: Line) -> None:
    """More than the book holds within the limit: nothing; less: everything."""
    _, cancelled = place(line, LIMIT, symbolId=AUDUSD, limitPrice=1.1001, volume=200_000_000, timeInForce=FOK, wait=1)
    assert (cancelled.executionType, cancelled.order.executedVolume) == (CANCELLED, 0)
    _, filled = place(line, LIMIT, symbolId=AUDUSD, limitPrice=1.1001, volume=100_000_000, timeInForce=FOK, wait=1)
    assert (filled.executionType, filled.order.executedVolume) == (FILLED, 100_000_000)


def test_c_market_range(line: Line) -> None:
    """Inside the range as a market order; outside ACCEPTED then CANCELLED, or REJECTED with the switch."""
    inside = place(line, RANGE, baseSlippagePrice=1.1, slippageInPoints=10, wait=1)
    assert [event.executionType for event in inside] == [ACCEPTED, FILLED]
    outside = place(line, RANGE, baseSlippagePrice=1.1, slippageInPoints=9, wait=1)
    assert [event.executionType for event in outside] == [ACCEPTED, CANCELLED]
    assert outside[1].order.executedVolume == 0
    switched = Bench(market_range_outside="rejected", tick_interval_ms=10**9)
    rejected = place(switched.login(LEADER), RANGE, baseSlippagePrice=1.0, slippageInPoints=1, wait=1)
    assert [event.executionType for event in rejected] == [ACCEPTED, REJECTED]


def test_market_on_open_waits_for_the_session(bench: Bench, line: Line) -> None:
    """At noon UTC New York sleeps: MARKET is MARKET_CLOSED, MARKET_ON_OPEN is accepted and filled at 09:30 there."""
    (refused,) = place(line, MARKET, symbolId=301, volume=100)
    assert refused.errorCode == "MARKET_CLOSED"
    (accepted,) = place(line, MARKET, symbolId=301, volume=100, timeInForce=MOO, wait=1)
    assert (accepted.executionType, accepted.order.timeInForce) == (ACCEPTED, MOO)
    line.inbox.clear()
    bench.pass_time(2.5 * 3600 - 2)
    assert executions(line) == []
    bench.pass_time(1)
    ((filled, _),) = executions(line)
    assert filled.executionType == FILLED


def test_a_trailing_stop_follows_and_never_goes_back(bench: Bench, line: Line) -> None:
    """O: its moves come as 2107 only, at a constant distance from the bid; on the way back it is hit where it stood."""
    place(line, MARKET, relativeStopLoss=1000, trailingStopLoss=True, wait=1)
    line.inbox.clear()
    bench.set_quote(LEADER, EURUSD, 1.101, 1.1011)
    (moved,) = [body for kind, body, _ in line.inbox if kind == TRAILED]
    assert moved.stopPrice == pytest.approx(1.0911, abs=1e-9)
    assert executions(line) == []
    before = reconcile(line).position[0]
    assert before.stopLoss == moved.stopPrice
    line.inbox.clear()
    bench.set_quote(LEADER, EURUSD, 1.0950, 1.0951)
    assert line.inbox == []
    bench.set_quote(LEADER, EURUSD, 1.0911, 1.0912)
    ((hit, _),) = executions(line)
    assert hit.executionType == FILLED
    assert hit.order.trailingStopLoss


def test_a_guaranteed_stop_fills_at_its_level_through_a_gap() -> None:
    """On the limited-risk account a stop must be guaranteed; a gap through it costs no more than the level."""
    limited = 41_000_008
    bench = Bench(tick_interval_ms=10**9)
    bench.set_quote(limited, 7001, 1.1, 1.1001)
    line = bench.login(limited)
    order = messages.ProtoOANewOrderReq(
        ctidTraderAccountId=limited, symbolId=7001, orderType=1, tradeSide=BUY, volume=1_000_000, relativeStopLoss=2000
    )
    (refused,) = line.trade(order)
    assert "guaranteed" in refused.description
    order.guaranteedStopLoss = True
    *_, protected = line.trade(order)
    assert protected.position.guaranteedStopLoss
    amend = messages.ProtoOAAmendPositionSLTPReq(
        ctidTraderAccountId=limited, positionId=protected.position.positionId, stopLoss=1.05
    )
    (refused,) = line.trade(amend)
    assert refused.errorCode == "WORSE_GSL_NOT_ALLOWED"
    line.inbox.clear()
    bench.set_quote(limited, 7001, 1.0, 1.0001)
    ((hit, _),) = executions(line)
    assert hit.deal.executionPrice == protected.position.stopLoss


def test_a_pending_without_margin_is_rejected_when_it_triggers(bench: Bench, line: Line) -> None:
    """Placed without looking at the margin, REJECTED with NOT_ENOUGH_MONEY when the price comes."""
    place(line, LIMIT, limitPrice=1.09, volume=1_000_000_000)
    line.inbox.clear()
    bench.set_quote(LEADER, EURUSD, 1.0899, 1.09)
    ((event, _),) = executions(line)
    assert (event.executionType, event.errorCode) == (REJECTED, "NOT_ENOUGH_MONEY")
    assert event.position.positionStatus == CLOSED


def test_an_order_under_way_cannot_be_cancelled_or_amended(line: Line) -> None:
    """Between acceptance and fill a cancel and an amend are refused."""
    (accepted,) = place(line, MARKET)
    number = accepted.order.orderId
    (refused,) = line.trade(messages.ProtoOACancelOrderReq(ctidTraderAccountId=LEADER, orderId=number), 0)
    assert refused.errorCode == "UNABLE_TO_CANCEL_ORDER"
    (refused,) = line.trade(messages.ProtoOAAmendOrderReq(ctidTraderAccountId=LEADER, orderId=number), 0)
    assert refused.errorCode == "UNABLE_TO_AMEND_ORDER"


def test_cancelling_the_protective_order_takes_both_levels_away(line: Line) -> None:
    """CANCELLED with the id; the position has no levels any more."""
    *_, protected = place(line, MARKET, relativeStopLoss=500, relativeTakeProfit=500, wait=1)
    cancel = messages.ProtoOACancelOrderReq(ctidTraderAccountId=LEADER, orderId=protected.order.orderId)
    (event,) = line.trade(cancel, 0)
    assert event.executionType == CANCELLED
    (position,) = reconcile(line).position
    assert not position.HasField("stopLoss")
    assert not position.HasField("takeProfit")


def test_an_amended_price_that_the_market_has_reached_fills_at_once(bench: Bench, line: Line) -> None:
    """REPLACED with the id, then FILLED without one."""
    (placed,) = place(line, LIMIT, limitPrice=1.09)
    line.inbox.clear()
    amend = messages.ProtoOAAmendOrderReq(
        ctidTraderAccountId=LEADER, orderId=placed.order.orderId, limitPrice=1.2, volume=2 * LOT
    )
    msg_id = line.send(amend)
    events = executions(line)
    assert [(event.executionType, found) for event, found in events] == [(REPLACED, msg_id), (FILLED, None)]
    assert events[1][0].deal.filledVolume == 2 * LOT


def test_amends_that_are_refused_change_nothing(bench: Bench, line: Line) -> None:
    """Volume off the step, a stop on the wrong side, a past expiry, the protective order: each refused whole."""
    (placed,) = place(line, STOP, stopPrice=1.11, relativeStopLoss=500)
    *_, protected = place(line, MARKET, relativeStopLoss=500, wait=1)
    for number, fields, code in (
        (placed.order.orderId, {"volume": 150_000}, "TRADING_BAD_VOLUME"),
        (placed.order.orderId, {"stopPrice": 1.0}, "TRADING_BAD_PRICES"),
        (placed.order.orderId, {"stopPrice": 1.123456}, "INVALID_REQUEST"),
        (placed.order.orderId, {"expirationTimestamp": 1}, "TRADING_BAD_EXPIRATION_DATE"),
        (placed.order.orderId, {"trailingStopLoss": True}, "INVALID_REQUEST"),
        (protected.order.orderId, {"stopPrice": 1.0}, "UNABLE_TO_AMEND_ORDER"),
        (1, {"stopPrice": 1.2}, "ORDER_NOT_FOUND"),
    ):
        values: Any = fields
        (refused,) = line.trade(messages.ProtoOAAmendOrderReq(ctidTraderAccountId=LEADER, orderId=number, **values), 0)
        assert refused.errorCode == code
    (order,) = reconcile(line).order
    assert (order.stopPrice, order.relativeStopLoss, order.tradeData.volume) == (1.11, 500, LOT)


def test_pendings_of_a_symbol_without_execution_wait(bench: Bench, line: Line) -> None:
    """DISABLED_WITHOUT_PENDINGS_EXECUTION holds them back, DISABLED_WITH lets them fill."""
    place(line, LIMIT, limitPrice=1.09)
    for mode, fills in (("DISABLED_WITHOUT_PENDINGS_EXECUTION", 0), ("DISABLED_WITH_PENDINGS_EXECUTION", 1)):
        bench.broker.set_fault("symbol", {"broker": "Alpha", "symbol": "EURUSD", "set": f"mode={mode}"})
        line.inbox.clear()
        bench.set_quote(LEADER, EURUSD, 1.0890 - fills / 1e4, 1.0891)
        assert len(executions(line)) == fills


def test_the_rest_of_a_limit_whose_position_closed_is_amended_cancelled_or_filled(bench: Bench, line: Line) -> None:
    """Filled in part by the book, it rests on; what it opened may close before it. Its fill opens the position anew."""
    for end in ("cancel", "fill"):
        (placed, *_) = place(line, LIMIT, symbolId=AUDUSD, limitPrice=1.1001, volume=15 * LOT, wait=1)
        order, position = placed.order.orderId, placed.position.positionId
        close = messages.ProtoOAClosePositionReq(ctidTraderAccountId=LEADER, positionId=position, volume=10 * LOT)
        assert [event.executionType for event in line.trade(close)] == [ACCEPTED, FILLED]
        amend = messages.ProtoOAAmendOrderReq(ctidTraderAccountId=LEADER, orderId=order, limitPrice=1.09)
        (amended,) = line.trade(amend, 0)
        assert (amended.executionType, amended.position.positionStatus) == (REPLACED, CREATED)
        line.inbox.clear()
        if end == "cancel":
            (ended,) = line.trade(messages.ProtoOACancelOrderReq(ctidTraderAccountId=LEADER, orderId=order), 0)
            assert (ended.executionType, ended.position.positionStatus) == (CANCELLED, CLOSED)
        else:
            bench.set_quote(LEADER, AUDUSD, 1.0899, 1.09)
            ((ended, _),) = executions(line)
            assert (ended.executionType, ended.position.positionStatus) == (FILLED, OPEN)
            assert ended.position.tradeData.volume == 5 * LOT
        assert not reconcile(line).order
    assert bench.broker.stats()["internal_errors"] == 0


def test_a_stop_limit_whose_stop_is_amended_waits_for_it_anew(bench: Bench, line: Line) -> None:
    """Its first stop was reached and its limit not; the new one is further away, and the old limit counts no longer."""
    (placed,) = place(line, STOP_LIMIT, stopPrice=1.102, slippageInPoints=10)
    bench.set_quote(LEADER, EURUSD, 1.1049, 1.105)
    amend = messages.ProtoOAAmendOrderReq(ctidTraderAccountId=LEADER, orderId=placed.order.orderId, stopPrice=1.11)
    (event,) = line.trade(amend, 0)
    assert (event.order.stopPrice, event.order.HasField("limitPrice")) == (1.11, False)
    line.inbox.clear()
    bench.set_quote(LEADER, EURUSD, 1.102, 1.1021)
    assert executions(line) == []
    bench.set_quote(LEADER, EURUSD, 1.1099, 1.11)
    ((filled, _),) = executions(line)
    assert (filled.executionType, filled.order.executionPrice) == (FILLED, 1.11)
