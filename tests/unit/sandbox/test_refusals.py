"""Every way in which a trading request is refused: code, carrier, words; and nothing happened (wire.md#refusals)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from tests.unit.sandbox.bench import BETA_EURO, LEADER, LIVE, NETTED, Bench, Line, market_order

ORDER_ERROR, ERROR, EXECUTION = 2132, 2142, 2126
BUY, SELL = 1, 2
LOT = 10_000_000


@pytest.fixture
def line() -> Line:
    """A client with accounts at all three brokers, on a market that stands still."""
    bench = Bench(tick_interval_ms=10**9)
    bench.set_quote(LEADER, 1, 1.1, 1.1001)
    return bench.login(LEADER, BETA_EURO, NETTED, LIVE)


def refusal(line: Line, request: Any) -> tuple[int, Any]:
    """Send a request that is refused; gives carrier and message, after making sure that nothing else came."""
    line.inbox.clear()
    msg_id = line.send(request)
    line.bench.pass_time(1)
    ((kind, body, found),) = line.inbox
    assert found == msg_id
    return kind, body


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"volume": 99_900}, "TRADING_BAD_VOLUME", "Order volume 999.00 is smaller than group minVolume=1000.00"),
        (
            {"volume": 0},
            "TRADING_BAD_VOLUME",
            "Order volume = 0.00 is smaller than minimum allowed volume = 0.01.",
        ),
        ({"volume": 150_000}, "TRADING_BAD_VOLUME", "not a multiple of stepVolume=1000.00"),
        ({"volume": 10_000_100_000}, "TRADING_BAD_VOLUME", "is bigger than group maxVolume"),
        ({"volume": 2_000_000_000}, "NOT_ENOUGH_MONEY", "Not enough"),
        ({"symbolId": 999}, "SYMBOL_NOT_FOUND", "999"),
        ({"symbolId": 301, "volume": 100}, "MARKET_CLOSED", "closed"),
        (
            {"stopLoss": 1.0},
            "INVALID_REQUEST",
            "SL/TP in absolute values are allowed only for order types: [LIMIT, STOP, STOP_LIMIT]",
        ),
        ({"relativeStopLoss": 0}, "TRADING_BAD_STOPS", "positive"),
        (
            {"trailingStopLoss": True},
            "INVALID_REQUEST",
            "Can't set Trailing Stop Loss parameter without specified Stop Loss",
        ),
        ({"guaranteedStopLoss": True, "relativeStopLoss": 500}, "INVALID_REQUEST", "Guaranteed"),
        ({"label": "x" * 101}, "INVALID_REQUEST", "Label is longer than 100"),
        ({"comment": "x" * 513}, "INVALID_REQUEST", "Comment is longer than 512"),
        ({"clientOrderId": "x" * 51}, "INVALID_REQUEST", "Client order id is longer than 50"),
        ({"positionId": 12345}, "POSITION_NOT_FOUND", "Position not found with id 12345"),
        ({"orderType": 4}, "INVALID_REQUEST", "type"),
        ({"orderType": 2}, "INVALID_REQUEST", "limitPrice is required for LIMIT orders"),
        ({"orderType": 3}, "INVALID_REQUEST", "stopPrice is required"),
        ({"orderType": 6, "stopPrice": 1.2}, "INVALID_REQUEST", "slippageInPoints is required"),
        ({"orderType": 5, "slippageInPoints": 1}, "INVALID_REQUEST", "baseSlippagePrice is required"),
        (
            {"orderType": 2, "limitPrice": 1.123456},
            "INVALID_REQUEST",
            "more digits than symbol allows. Allowed 5 digits",
        ),
        ({"orderType": 2, "limitPrice": -1.0}, "TRADING_BAD_PRICES", "not a valid price"),
        ({"orderType": 2, "limitPrice": float("nan")}, "TRADING_BAD_PRICES", "not a valid price"),
        ({"orderType": 2, "limitPrice": 1e-12}, "TRADING_BAD_PRICES", "not a valid price"),
        ({"orderType": 2, "limitPrice": 1.09, "stopLoss": 1.1}, "TRADING_BAD_STOPS", "wrong side"),
        ({"orderType": 2, "limitPrice": 1.09, "timeInForce": 1}, "TRADING_BAD_EXPIRATION_DATE", "future"),
        (
            {"orderType": 2, "limitPrice": 1.09, "timeInForce": 1, "expirationTimestamp": 1},
            "TRADING_BAD_EXPIRATION_DATE",
            "future",
        ),
        ({"orderType": 3, "stopPrice": 1.2, "timeInForce": 4}, "INVALID_REQUEST", "Time in force"),
        ({"orderType": 2, "limitPrice": 1.0, "timeInForce": 5}, "INVALID_REQUEST", "Time in force"),
        ({"orderType": 2, "limitPrice": 1.09, "positionId": 1}, "INVALID_REQUEST", "positionId is allowed only for"),
    ],
)
def test_a_new_order_that_is_refused(line: Line, fields: dict[str, Any], code: str, words: str) -> None:
    """Refused with OrderErrorEvent, the client's id and the broker's words; no order and no position comes of it."""
    values: dict[str, Any] = {"symbolId": 1, "volume": LOT, "orderType": 1, **fields}
    kind, body = refusal(line, messages.ProtoOANewOrderReq(ctidTraderAccountId=LEADER, tradeSide="BUY", **values))
    assert (kind, body.errorCode) == (ORDER_ERROR, code)
    assert words in body.description
    account = line.bench.broker.floor.accounts[LEADER]
    assert not account.orders
    assert not account.positions


def test_relative_levels_must_fit_the_digits(line: Line) -> None:
    """Gamma's EUR/USD has 4 digits: a distance must be a multiple of 10; 20 is accepted."""
    for name, words in (("relativeStopLoss", "Relative stop loss"), ("relativeTakeProfit", "Relative take profit")):
        kind, body = refusal(line, market_order(LIVE, 7001, BUY, 100_000, **{name: 25}))
        assert (kind, body.errorCode) == (ORDER_ERROR, "INVALID_REQUEST")
        assert body.description == f"{words} has invalid precision"
    assert len(line.trade(market_order(LIVE, 7001, BUY, 100_000, relativeStopLoss=2000))) == 3


def test_distances_in_percent_are_of_the_markets_price(line: Line) -> None:
    """0.1 % of 1.1001 is a hair more than 110 points: 110 are too near, 111 are taken."""
    floor = line.bench.broker.floor
    venue = floor.venue_of(floor.accounts[LEADER])
    venue.replace_symbol(replace(venue.symbols[1], tp_distance=10, distance_in_percent=True))
    _, body = refusal(line, market_order(LEADER, 1, BUY, LOT, relativeTakeProfit=110))
    assert body.errorCode == "PROTECTION_IS_TOO_CLOSE_TO_MARKET"
    assert len(line.trade(market_order(LEADER, 1, BUY, LOT, relativeTakeProfit=111))) == 3


def test_absolute_levels_on_market_may_come_on_the_other_carrier() -> None:
    """With the switch the refusal is an ErrorRes."""
    line = Bench(absolute_levels_on_market="error").login(LEADER)
    kind, body = refusal(line, market_order(LEADER, 1, BUY, LOT, stopLoss=1.0))
    assert (kind, body.errorCode) == (ERROR, "INVALID_REQUEST")


def test_symbols_that_may_not_be_traded(line: Line) -> None:
    """Disabled, archived, without short selling: each has its own code."""
    assert refusal(line, market_order(LIVE, 7006, BUY, 100_000))[1].errorCode == "TRADING_DISABLED"
    assert refusal(line, market_order(LIVE, 7007, BUY, 100_000))[1].errorCode == "SYMBOL_NOT_FOUND"
    assert refusal(line, market_order(LIVE, 7102, SELL, 1))[1].errorCode == "SHORT_SELLING_NOT_ALLOWED"


def test_trading_modes_of_a_symbol(line: Line) -> None:
    """Close-only lets closes through, disabled lets nothing through; everybody at the broker is told of the change."""
    *_, filled = line.trade(market_order(LEADER, 1, BUY, LOT))
    close = messages.ProtoOAClosePositionReq(
        ctidTraderAccountId=LEADER, positionId=filled.position.positionId, volume=100_000
    )
    broker = line.bench.broker
    line.inbox.clear()
    broker.set_fault("symbol", {"broker": "Alpha", "symbol": "EURUSD", "set": "mode=CLOSE_ONLY_MODE"})
    line.bench.collect()
    assert [list(body.symbolId) for kind, body, _ in line.inbox if kind == 2120] == [[1]]
    assert refusal(line, market_order(LEADER, 1, BUY, LOT))[1].errorCode == "TRADING_DISABLED"
    assert len(line.trade(close)) == 2
    broker.set_fault("symbol", {"broker": "Alpha", "symbol": "EURUSD", "set": "mode=DISABLED_WITH_PENDINGS_EXECUTION"})
    line.bench.collect()
    assert refusal(line, close)[1].errorCode == "TRADING_DISABLED"


@pytest.mark.parametrize(("rights", "opens", "closes"), [("CLOSE_ONLY", False, True), ("NO_TRADING", False, False)])
def test_access_rights_of_an_account(line: Line, rights: str, opens: bool, closes: bool) -> None:
    """Close-only closes and amends, and cannot open; no-trading can do nothing; the trader entity says so."""
    *_, filled = line.trade(market_order(LEADER, 1, BUY, LOT))
    line.inbox.clear()
    line.bench.broker.set_fault("access", {"account": str(LEADER), "rights": rights})
    line.bench.collect()
    (event,) = [body for kind, body, _ in line.inbox if kind == 2123]
    assert event.trader.accessRights == {"CLOSE_ONLY": 1, "NO_TRADING": 2}[rights]
    opened = line.trade(market_order(LEADER, 1, BUY, LOT))
    assert (len(opened) == 2) == opens
    close = messages.ProtoOAClosePositionReq(
        ctidTraderAccountId=LEADER, positionId=filled.position.positionId, volume=LOT
    )
    answers = line.trade(close)
    assert (len(answers) == 2) == closes
    if not closes:
        assert answers[0].errorCode == "TRADING_NOT_ALLOWED"


def test_an_account_without_login_cannot_be_opened() -> None:
    """NO_LOGIN: RET_ACCOUNT_DISABLED at account authorisation."""
    bench = Bench()
    bench.broker.set_fault("access", {"account": str(LEADER), "rights": "NO_LOGIN"})
    auth = messages.ProtoOAAccountAuthReq(ctidTraderAccountId=LEADER, accessToken=bench.token(LEADER))
    assert bench.login().ask(auth).errorCode == "RET_ACCOUNT_DISABLED"


def test_closes_that_are_refused(line: Line) -> None:
    """Unknown position with explicit zero ids; too much, off the step; while another close is under way."""
    kind, body = refusal(line, messages.ProtoOAClosePositionReq(ctidTraderAccountId=LEADER, positionId=77, volume=LOT))
    assert (kind, body.errorCode, body.description) == (
        ORDER_ERROR,
        "POSITION_NOT_FOUND",
        "Position not found with id 77",
    )
    assert body.HasField("orderId")
    assert body.HasField("positionId")
    assert (body.orderId, body.positionId) == (0, 0)
    *_, filled = line.trade(market_order(LEADER, 1, BUY, LOT))
    close = messages.ProtoOAClosePositionReq(
        ctidTraderAccountId=LEADER, positionId=filled.position.positionId, volume=LOT + 100_000
    )
    assert refusal(line, close)[1].errorCode == "TRADING_BAD_VOLUME"
    close.volume = 150_000
    assert refusal(line, close)[1].errorCode == "TRADING_BAD_VOLUME"
    close.volume = LOT
    line.send(close)
    line.send(close)
    assert line.inbox[-1][1].errorCode == "POSITION_LOCKED"


def test_a_position_that_is_not_filled_yet(line: Line) -> None:
    """Between acceptance and fill a close is POSITION_NOT_OPEN."""
    accepted = line.ask(market_order(LEADER, 1, BUY, LOT))
    line.send(
        messages.ProtoOAClosePositionReq(
            ctidTraderAccountId=LEADER, positionId=accepted.position.positionId, volume=LOT
        )
    )
    assert line.inbox[-1][1].errorCode == "POSITION_NOT_OPEN"


@pytest.mark.parametrize(("carrier", "kind"), [("order_error", ORDER_ERROR), ("execution", EXECUTION)])
def test_the_cancel_of_an_order_that_is_being_executed(carrier: str, kind: int) -> None:
    """Refused by an order error or, with the switch, by ORDER_CANCEL_REJECTED with the order in it."""
    line = Bench(cancel_refused_by=carrier).login(LEADER)
    accepted = line.ask(market_order(LEADER, 1, BUY, LOT))
    order = accepted.order.orderId
    line.send(messages.ProtoOACancelOrderReq(ctidTraderAccountId=LEADER, orderId=order))
    found, body, *_ = line.inbox[-1]
    assert (found, body.errorCode) == (kind, "UNABLE_TO_CANCEL_ORDER")
    if kind == EXECUTION:
        assert (body.executionType, body.order.orderId) == (model.ORDER_CANCEL_REJECTED, order)
    else:
        assert body.orderId == order


def test_a_close_above_the_volume_may_close_all() -> None:
    """With the switch it closes what there is."""
    line = Bench(close_above_volume="close_all").login(LEADER)
    *_, filled = line.trade(market_order(LEADER, 1, BUY, LOT))
    close = messages.ProtoOAClosePositionReq(
        ctidTraderAccountId=LEADER, positionId=filled.position.positionId, volume=2 * LOT
    )
    *_, closed = line.trade(close)
    assert closed.deal.closePositionDetail.closedVolume == LOT


def test_levels_too_close_to_the_market(line: Line) -> None:
    """Gamma's gold wants 50 points between price and level, on orders and on amends."""
    kind, body = refusal(line, market_order(LIVE, 7041, BUY, 100, relativeStopLoss=49_000))
    assert (kind, body.errorCode) == (ORDER_ERROR, "PROTECTION_IS_TOO_CLOSE_TO_MARKET")
    *_, filled = line.trade(market_order(LIVE, 7041, BUY, 100))
    bid, _ = line.bench.quote(LIVE, 7041)
    amend = messages.ProtoOAAmendPositionSLTPReq(
        ctidTraderAccountId=LIVE, positionId=filled.position.positionId, stopLoss=(bid - 49 * 10**6) / 10**8
    )
    assert refusal(line, amend)[1].errorCode == "PROTECTION_IS_TOO_CLOSE_TO_MARKET"
    amend.stopLoss = (bid - 50 * 10**6) / 10**8
    assert len(line.trade(amend)) == 1


def test_exposure_and_number_of_positions_are_limited() -> None:
    """One above the account's number of positions is refused."""
    bench = Bench(tick_interval_ms=10**9, requests_per_second=10_000, trading_limits=False)
    line = bench.login(LEADER)
    for _ in range(2000):
        line.send(
            messages.ProtoOANewOrderReq(
                ctidTraderAccountId=LEADER,
                symbolId=1,
                orderType="LIMIT",
                tradeSide="BUY",
                volume=100_000,
                limitPrice=1.0,
            )
        )
    line.inbox.clear()
    kind, body = refusal(line, market_order(LEADER, 1, BUY, 100_000))
    assert (kind, body.errorCode) == (ORDER_ERROR, "TOO_MANY_POSITIONS")


def test_repeated_client_order_ids_are_taken_unless_switched() -> None:
    """The broker is not known to refuse them; the switch does."""
    for refuses in (False, True):
        line = Bench(refuse_repeated_client_order_id=refuses).login(LEADER)
        order = market_order(LEADER, 1, BUY, LOT, clientOrderId="once")
        assert len(line.trade(order)) == 2
        assert len(line.trade(order)) == (1 if refuses else 2)


def test_a_holiday_has_its_own_code() -> None:
    """On Christmas Day, in New York, AAPL is SYMBOL_HAS_HOLIDAY."""
    line = Bench(start_us=1_798_214_400_000_000).login(LEADER)  # 2026-12-25 16:00 UTC, a Friday
    (refused,) = line.trade(market_order(LEADER, 301, BUY, 100))
    assert refused.errorCode == "SYMBOL_HAS_HOLIDAY"
