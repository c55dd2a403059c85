"""The exact sequences of events, as a client sees them (wire.md#opens)."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from tests.unit.sandbox.bench import LEADER, Bench, Line, market_order

EURUSD = 1
BUY, SELL = 1, 2
ACCEPTED, FILLED, REPLACED, CANCELLED, EXPIRED = 2, 3, 4, 5, 6
OPEN, CLOSED, CREATED = 1, 2, 3
EXECUTION = 2126
LOT = 10_000_000


@pytest.fixture
def bench() -> Bench:
    """A broker under virtual time."""
    return Bench()


@pytest.fixture
def line(bench: Bench) -> Line:
    """A client with the leader's account open."""
    return bench.login(LEADER)


def kinds(events: list[Any]) -> list[int]:
    """Give the execution types."""
    return [event.executionType for event in events]


def open_position(line: Line, **fields: Any) -> Any:
    """Open a long position of one lot and forget the events."""
    events = line.trade(market_order(LEADER, EURUSD, BUY, LOT, **fields))
    line.inbox.clear()
    return events[-1].position


def test_a_market_order_is_accepted_and_filled_130_ms_later(bench: Bench, line: Line) -> None:
    """A: ACCEPTED with a CREATED position at once, FILLED with the deal after the gap, both with the request's id."""
    msg_id = line.send(market_order(LEADER, EURUSD, BUY, LOT, clientOrderId="mine", label="l", comment="c"))
    (kind, accepted, found), *more = line.inbox
    assert (kind, found, more) == (EXECUTION, msg_id, [])
    assert accepted.executionType == ACCEPTED
    assert accepted.isServerEvent is False
    assert accepted.position.positionStatus == CREATED
    assert accepted.position.tradeData.volume == 0
    assert accepted.position.price == 0
    assert not accepted.position.tradeData.HasField("openTimestamp")
    assert not accepted.position.HasField("utcLastUpdateTimestamp")
    assert accepted.order.clientOrderId == "mine"
    assert accepted.order.timeInForce == 3
    assert accepted.order.positionId == accepted.position.positionId
    assert not accepted.HasField("deal")
    bench.pass_time(0.129)
    assert len([1 for kind, *_ in line.inbox if kind == EXECUTION]) == 1
    _, ask = bench.quote(LEADER, EURUSD)
    bench.pass_time(0.001)
    _, filled, found = line.inbox[-1]
    assert found == msg_id
    assert filled.executionType == FILLED
    assert filled.position.positionStatus == OPEN
    assert filled.position.tradeData.volume == LOT
    assert filled.order.executedVolume == LOT
    assert filled.order.tradeData.HasField("closeTimestamp")
    assert filled.deal.filledVolume == LOT
    assert not filled.deal.HasField("closePositionDetail")
    assert filled.deal.executionPrice == filled.position.price == ask / 1e8
    assert filled.deal.commission == filled.position.commission == -250
    assert filled.position.tradeData.label == "l"
    assert filled.position.tradeData.comment == "c"


def test_b_relative_levels_make_a_protective_order_after_the_fill(line: Line) -> None:
    """B: the FILLED event has no levels yet; a server event ACCEPTED brings the protective order and the levels."""
    events = line.trade(market_order(LEADER, EURUSD, BUY, LOT, relativeStopLoss=500, relativeTakeProfit=1000))
    assert kinds(events) == [ACCEPTED, FILLED, ACCEPTED]
    _, filled, protected = events
    assert not filled.position.HasField("stopLoss")
    assert not filled.position.HasField("takeProfit")
    price = filled.position.price
    assert protected.isServerEvent
    assert protected.order.orderType == 4
    assert protected.order.closingOrder
    assert protected.order.tradeData.tradeSide == SELL
    assert protected.order.tradeData.volume == LOT
    assert protected.position.stopLoss == protected.order.stopPrice == pytest.approx(price - 0.005)
    assert protected.position.takeProfit == protected.order.limitPrice == pytest.approx(price + 0.01)
    assert not protected.order.HasField("stopLoss")
    assert not protected.order.HasField("relativeStopLoss")
    assert protected.order.positionId == filled.position.positionId


def test_j_full_close_of_a_protected_position(line: Line) -> None:
    """J: ACCEPTED, FILLED with status CREATED and volume 0, then the protective order's CANCELLED with CLOSED."""
    position = open_position(line, relativeStopLoss=500, label="l")
    close = messages.ProtoOAClosePositionReq(ctidTraderAccountId=LEADER, positionId=position.positionId, volume=LOT)
    events = line.trade(close)
    assert kinds(events) == [ACCEPTED, FILLED, CANCELLED]
    accepted, filled, cancelled = events
    assert accepted.order.closingOrder
    assert accepted.order.orderType == 1
    assert accepted.order.clientOrderId
    assert accepted.order.tradeData.label == "l"
    assert accepted.position.positionStatus == OPEN
    assert filled.position.tradeData.volume == 0
    assert filled.position.positionStatus == CREATED
    assert filled.position.price == 0
    assert filled.position.stopLoss > 0
    assert not filled.position.tradeData.HasField("closeTimestamp")
    assert filled.deal.closePositionDetail.closedVolume == LOT
    assert cancelled.isServerEvent
    assert cancelled.order.orderType == 4
    assert cancelled.position.positionStatus == CLOSED
    assert cancelled.position.tradeData.HasField("closeTimestamp")
    assert not cancelled.position.HasField("stopLoss")


def test_k_full_close_of_an_unprotected_position(line: Line) -> None:
    """K: ACCEPTED and FILLED with status CLOSED, and no third event."""
    position = open_position(line)
    close = messages.ProtoOAClosePositionReq(ctidTraderAccountId=LEADER, positionId=position.positionId, volume=LOT)
    events = line.trade(close)
    assert kinds(events) == [ACCEPTED, FILLED]
    assert events[1].position.positionStatus == CLOSED
    assert events[1].position.tradeData.volume == 0


def test_l_partial_close_replaces_the_protective_order(line: Line) -> None:
    """L: exactly three events; the remainder keeps its price, commission and margin shrink, the stop fits."""
    position = open_position(line, relativeStopLoss=500)
    part = 3_000_000
    close = messages.ProtoOAClosePositionReq(ctidTraderAccountId=LEADER, positionId=position.positionId, volume=part)
    events = line.trade(close)
    assert kinds(events) == [ACCEPTED, FILLED, REPLACED]
    _, filled, replaced = events
    assert filled.position.tradeData.volume == LOT - part
    assert filled.position.price == position.price
    assert filled.position.commission == -175
    assert filled.deal.closePositionDetail.commission == -150
    assert filled.position.usedMargin == round(position.usedMargin * 0.7)
    assert filled.deal.closePositionDetail.closedVolume == part
    assert replaced.isServerEvent
    assert replaced.order.tradeData.volume == LOT - part
    assert replaced.position.stopLoss == position.stopLoss


def test_m_amending_levels_creates_replaces_and_cancels_the_protective_order(line: Line) -> None:
    """M: one event each: ACCEPTED when there was none, REPLACED when there was, CANCELLED when both are removed."""
    position = open_position(line)
    amend = messages.ProtoOAAmendPositionSLTPReq(
        ctidTraderAccountId=LEADER, positionId=position.positionId, stopLoss=1.0, takeProfit=1.2
    )
    (first,) = line.trade(amend)
    assert first.executionType == ACCEPTED
    assert first.isServerEvent is False
    assert (first.position.stopLoss, first.position.takeProfit) == (1.0, 1.2)
    amend.ClearField("takeProfit")
    (second,) = line.trade(amend)
    assert second.executionType == REPLACED
    assert not second.position.HasField("takeProfit")
    assert second.order.orderId == first.order.orderId
    (refused,) = line.trade(amend)
    assert (refused.errorCode, refused.description) == ("INVALID_REQUEST", "Nothing to amend.")
    amend.ClearField("stopLoss")
    (third,) = line.trade(amend)
    assert third.executionType == CANCELLED
    assert not third.position.HasField("stopLoss")
    assert third.position.positionStatus == OPEN


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"stopLossTriggerMethod": 3}, "Nothing to amend."),
        ({"trailingStopLoss": False, "guaranteedStopLoss": False, "stopLossTriggerMethod": 2}, "Nothing to amend."),
        ({"guaranteedStopLoss": True}, "Guaranteed stop loss requires a stop loss"),
    ],
)
def test_m_flags_without_a_level_to_be_of_are_answered(line: Line, flags: dict[str, Any], words: str) -> None:
    """A method or a flag alone, on a position without protection: refused, and the position is as it was."""
    position = open_position(line)
    amend = messages.ProtoOAAmendPositionSLTPReq(ctidTraderAccountId=LEADER, positionId=position.positionId, **flags)
    (refused,) = line.trade(amend)
    assert (refused.errorCode, refused.description) == ("INVALID_REQUEST", words)
    (held,) = line.bench.open_positions(line, LEADER)
    assert held == position


def test_m_one_bad_level_refuses_both(line: Line) -> None:
    """A level on the wrong side refuses the whole amend with TRADING_BAD_STOPS and explicit zero ids."""
    position = open_position(line, relativeStopLoss=500)
    amend = messages.ProtoOAAmendPositionSLTPReq(
        ctidTraderAccountId=LEADER, positionId=position.positionId, stopLoss=1.0, takeProfit=1.0
    )
    (refused,) = line.trade(amend)
    assert refused.errorCode == "TRADING_BAD_STOPS"
    assert refused.HasField("orderId")
    assert refused.orderId == 0
    assert refused.HasField("positionId")
    assert refused.positionId == 0
    assert refused.description.startswith("New TP for BUY position should be >= current BID price. current BID: ")
    line.inbox.clear()
    found = line.ask(messages.ProtoOAReconcileReq(ctidTraderAccountId=LEADER)).position[0]
    assert found.stopLoss != 1.0
    assert not found.HasField("takeProfit")


def test_n_a_stop_that_is_hit_is_one_server_event_without_id(bench: Bench, line: Line) -> None:
    """N: one FILLED of the protective order, position CLOSED, no id, the deal with its closing detail."""
    open_position(line, relativeStopLoss=500)
    bench.set_quote(LEADER, EURUSD, 1.07, 1.0701)
    (_, event, msg_id), *more = [item for item in line.inbox if item[0] == EXECUTION]
    assert not more
    assert msg_id is None
    assert event.isServerEvent
    assert event.executionType == FILLED
    assert event.order.orderType == 4
    assert event.position.positionStatus == CLOSED
    assert event.position.tradeData.volume == 0
    assert event.position.tradeData.HasField("closeTimestamp")
    assert not event.position.HasField("stopLoss")
    assert event.deal.executionPrice == 1.07
    assert event.deal.closePositionDetail.grossProfit < 0


def test_events_reach_every_connection_of_the_account_with_the_same_id(bench: Bench, line: Line) -> None:
    """Another connection with the account open gets the events too, with the foreign id (wire.md#whose-an-event-is)."""
    other = bench.login(LEADER)
    msg_id = line.send(market_order(LEADER, EURUSD, BUY, LOT))
    bench.pass_time(1)
    assert [(kind, found) for kind, _, found in other.inbox if kind == EXECUTION] == [(EXECUTION, msg_id)] * 2
