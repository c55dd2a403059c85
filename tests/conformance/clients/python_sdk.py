"""A full session with the vendor's own Python SDK, unmodified. Runs in an environment of its own: no import of cmam.

    python python_sdk.py READY_FILE        one JSON line a step on stdout; exit 0 when the session came to its end

The SDK sends once a second, so what does not depend on each other is asked for together.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from ctrader_open_api import Client, Protobuf, TcpProtocol
from ctrader_open_api.messages.OpenApiMessages_pb2 import *
from ctrader_open_api.messages.OpenApiModelMessages_pb2 import *
from twisted.internet import defer, reactor, task

READY = json.loads(Path(sys.argv[1]).read_text())
ACCOUNT = READY["accounts"][0]
CTID = ACCOUNT["ctid"]
STEP_S_MAX = 60

client = Client(READY["host"], READY["port"], TcpProtocol, numberOfMessagesToSendPerSecond=40)
seen = []  # every message that came, in order: (client message id, extracted message)
waiting = []  # (predicate, deferred)
result = {"code": 1}


def say(step, **facts):
    print(json.dumps({"step": step, **facts}), flush=True)


def name_of(enum, number):
    return enum.Name(number)


def on_message(_, message):
    extracted = Protobuf.extract(message)
    seen.append((message.clientMsgId, extracted))
    for pair in list(waiting):
        if pair[0](message.clientMsgId, extracted):
            waiting.remove(pair)
            pair[1].callback(extracted)


def until(predicate):
    """Wait for a message, also one that is already here."""
    for found in seen:
        if predicate(*found):
            return defer.succeed(found[1])
    deferred = defer.Deferred()
    waiting.append((predicate, deferred))
    deferred.addTimeout(STEP_S_MAX, reactor)
    return deferred


def ask(message, msg_id=None):
    return client.send(message, clientMsgId=msg_id, responseTimeoutInSeconds=STEP_S_MAX).addCallback(Protobuf.extract)


def executed(msg_id, *kinds):
    """Wait for the execution event of that kind which answers that request."""
    wanted = [ProtoOAExecutionType.Value(kind) for kind in kinds]
    return until(
        lambda found_id, found: (
            found_id == msg_id and type(found).__name__ == "ProtoOAExecutionEvent" and found.executionType in wanted
        )
    )


def order(msg_id, **fields):
    fields.setdefault("ctidTraderAccountId", CTID)
    request = ProtoOANewOrderReq()
    for name, value in fields.items():
        setattr(request, name, value)
    return ask(request, msg_id)


@defer.inlineCallbacks
def session():
    answer = yield ask(ProtoOAApplicationAuthReq(clientId=READY["client_id"], clientSecret=READY["client_secret"]))
    say("application", answer=type(answer).__name__)
    version, accounts, unknown = yield defer.gatherResults(
        [
            ask(ProtoOAVersionReq()),
            ask(ProtoOAGetAccountListByAccessTokenReq(accessToken=ACCOUNT["access_token"])),
            ask(ProtoOATraderReq(ctidTraderAccountId=CTID)),
        ]
    )
    say("version", version=version.version)
    say("accounts", ctids=sorted(a.ctidTraderAccountId for a in accounts.ctidTraderAccount))
    say("before account auth", code=unknown.errorCode, description=unknown.description)
    wrong = yield ask(ProtoOAAccountAuthReq(ctidTraderAccountId=CTID, accessToken="wrong"))
    say("wrong token", answer=type(wrong).__name__, code=wrong.errorCode)
    answer = yield ask(ProtoOAAccountAuthReq(ctidTraderAccountId=CTID, accessToken=ACCOUNT["access_token"]))
    say("account", answer=type(answer).__name__, ctid=answer.ctidTraderAccountId)
    twice, trader, assets, listed = yield defer.gatherResults(
        [
            ask(ProtoOAAccountAuthReq(ctidTraderAccountId=CTID, accessToken=ACCOUNT["access_token"])),
            ask(ProtoOATraderReq(ctidTraderAccountId=CTID)),
            ask(ProtoOAAssetListReq(ctidTraderAccountId=CTID)),
            ask(ProtoOASymbolsListReq(ctidTraderAccountId=CTID)),
        ]
    )
    say("account twice", code=twice.errorCode)
    say(
        "trader", balance=trader.trader.balance, money_digits=trader.trader.moneyDigits, login=trader.trader.traderLogin
    )
    say("assets", names=sorted(asset.name for asset in assets.asset))
    symbol = next(s.symbolId for s in listed.symbol if s.symbolName == "EURUSD")
    by_id, spots, expected, dynamic = yield defer.gatherResults(
        [
            ask(ProtoOASymbolByIdReq(ctidTraderAccountId=CTID, symbolId=[symbol])),
            ask(ProtoOASubscribeSpotsReq(ctidTraderAccountId=CTID, symbolId=[symbol])),
            ask(ProtoOAExpectedMarginReq(ctidTraderAccountId=CTID, symbolId=symbol, volume=[100000])),
            ask(ProtoOASymbolCategoryListReq(ctidTraderAccountId=CTID)),
        ]
    )
    full = by_id.symbol[0]
    say("symbol", digits=full.digits, lot_size=full.lotSize, min_volume=full.minVolume)
    say("spots", answer=type(spots).__name__)
    say("expected margin", volume=expected.margin[0].volume, positive=expected.margin[0].buyMargin > 0)
    say("categories", count=len(dynamic.symbolCategory))
    spot = yield until(lambda _, m: type(m).__name__ == "ProtoOASpotEvent" and m.HasField("bid") and m.HasField("ask"))
    say("first spot", both_sides=True, is_sane=0 < spot.bid <= spot.ask)
    bid, tick = spot.bid / 100000, 10**-full.digits
    volume = full.minVolume * 4
    far_below, far_above = round(bid * 0.98, full.digits), round(bid * 1.02, full.digits)
    yield defer.gatherResults(
        [
            order("market", symbolId=symbol, orderType=MARKET, tradeSide=BUY, volume=volume, label="m", comment="c"),
            order(
                "levels",
                symbolId=symbol,
                orderType=MARKET,
                tradeSide=SELL,
                volume=volume,
                relativeStopLoss=1000,
                relativeTakeProfit=2000,
            ),
            order(
                "range",
                symbolId=symbol,
                orderType=MARKET_RANGE,
                tradeSide=BUY,
                volume=volume,
                baseSlippagePrice=spot.ask / 100000,
                slippageInPoints=500,
            ),
            order(
                "limit",
                symbolId=symbol,
                orderType=LIMIT,
                tradeSide=BUY,
                volume=volume,
                limitPrice=far_below,
                clientOrderId="mine-1",
            ),
            order("stop", symbolId=symbol, orderType=STOP, tradeSide=BUY, volume=volume, stopPrice=far_above),
            order(
                "stop-limit",
                symbolId=symbol,
                orderType=STOP_LIMIT,
                tradeSide=BUY,
                volume=volume,
                stopPrice=far_above,
                slippageInPoints=20,
            ),
        ]
    )
    opened = {}
    for msg_id in ("market", "levels", "range"):
        accepted = yield executed(msg_id, "ORDER_ACCEPTED")
        filled = yield executed(msg_id, "ORDER_FILLED")
        opened[msg_id] = filled
        say(
            f"order {msg_id}",
            accepted_position=ProtoOAPositionStatus.Name(accepted.position.positionStatus),
            filled_position=ProtoOAPositionStatus.Name(filled.position.positionStatus),
            same_position=accepted.position.positionId == filled.position.positionId,
            volume=filled.deal.filledVolume == volume,
            order_status=ProtoOAOrderStatus.Name(filled.order.orderStatus),
        )
    protective = yield until(
        lambda _, m: (
            type(m).__name__ == "ProtoOAExecutionEvent"
            and m.order.orderType == STOP_LOSS_TAKE_PROFIT
            and m.position.positionId == opened["levels"].position.positionId
        )
    )
    fill = opened["levels"].deal.executionPrice
    say(
        "protective order",
        server=protective.isServerEvent,
        stop_loss=round(protective.position.stopLoss - fill, 5),
        take_profit=round(protective.position.takeProfit - fill, 5),
    )
    placed = {}
    for msg_id in ("limit", "stop", "stop-limit"):
        placed[msg_id] = yield executed(msg_id, "ORDER_ACCEPTED")
        say(f"order {msg_id}", type=ProtoOAOrderType.Name(placed[msg_id].order.orderType))
    amended, levelled, part = yield defer.gatherResults(
        [
            ask(
                ProtoOAAmendOrderReq(
                    ctidTraderAccountId=CTID,
                    orderId=placed["limit"].order.orderId,
                    volume=volume,
                    limitPrice=round(far_below - 10 * tick, full.digits),
                )
            ),
            ask(
                ProtoOAAmendPositionSLTPReq(
                    ctidTraderAccountId=CTID, positionId=opened["market"].position.positionId, stopLoss=far_below
                )
            ),
            ask(
                ProtoOAClosePositionReq(
                    ctidTraderAccountId=CTID, positionId=opened["range"].position.positionId, volume=full.minVolume
                ),
                "part",
            ),
        ]
    )
    say(
        "amend order", type=ProtoOAExecutionType.Name(amended.executionType), price=amended.order.limitPrice < far_below
    )
    say(
        "amend position",
        type=ProtoOAExecutionType.Name(levelled.executionType),
        stop_loss=levelled.position.stopLoss == far_below,
    )
    del part
    part = yield executed("part", "ORDER_FILLED")
    say(
        "partial close",
        left=part.position.tradeData.volume == volume - full.minVolume,
        detail=part.deal.HasField("closePositionDetail"),
    )
    state = yield ask(ProtoOAReconcileReq(ctidTraderAccountId=CTID))
    say("reconcile", positions=len(state.position), orders=len(state.order))
    refusals = {
        "volume below the minimum": order("r1", symbolId=symbol, orderType=MARKET, tradeSide=BUY, volume=1),
        "absolute levels on market": order(
            "r2", symbolId=symbol, orderType=MARKET, tradeSide=BUY, volume=volume, stopLoss=far_below
        ),
        "unknown symbol": order("r3", symbolId=999_999, orderType=MARKET, tradeSide=BUY, volume=volume),
        "cancel of an unknown order": ask(ProtoOACancelOrderReq(ctidTraderAccountId=CTID, orderId=1)),
        "close of an unknown position": ask(
            ProtoOAClosePositionReq(ctidTraderAccountId=CTID, positionId=1, volume=volume)
        ),
    }
    answers = yield defer.gatherResults(list(refusals.values()))
    for what, refused in zip(refusals, answers):
        say(f"refused: {what}", carrier=type(refused).__name__, code=refused.errorCode)
    for msg_id, filled in opened.items():
        left = volume - (full.minVolume if msg_id == "range" else 0)
        ask(
            ProtoOAClosePositionReq(ctidTraderAccountId=CTID, positionId=filled.position.positionId, volume=left),
            f"close {msg_id}",
        )
    for msg_id, accepted in placed.items():
        ask(ProtoOACancelOrderReq(ctidTraderAccountId=CTID, orderId=accepted.order.orderId), f"cancel {msg_id}")
    for msg_id in opened:
        closed = yield executed(f"close {msg_id}", "ORDER_FILLED")
        say(
            f"close {msg_id}",
            volume=closed.position.tradeData.volume,
            profit=closed.deal.HasField("closePositionDetail"),
        )
    for msg_id in placed:
        cancelled = yield executed(f"cancel {msg_id}", "ORDER_CANCELLED")
        say(f"cancel {msg_id}", status=ProtoOAOrderStatus.Name(cancelled.order.orderStatus))
    now_ms = int(time.time() * 1000)
    state, deals, orders, bars, ticks, trader = yield defer.gatherResults(
        [
            ask(ProtoOAReconcileReq(ctidTraderAccountId=CTID)),
            ask(
                ProtoOADealListReq(
                    ctidTraderAccountId=CTID, fromTimestamp=now_ms - 3_600_000, toTimestamp=now_ms + 60_000
                )
            ),
            ask(
                ProtoOAOrderListReq(
                    ctidTraderAccountId=CTID, fromTimestamp=now_ms - 3_600_000, toTimestamp=now_ms + 60_000
                )
            ),
            ask(
                ProtoOAGetTrendbarsReq(
                    ctidTraderAccountId=CTID,
                    symbolId=symbol,
                    period=M5,
                    fromTimestamp=now_ms - 7_200_000,
                    toTimestamp=now_ms,
                )
            ),
            ask(
                ProtoOAGetTickDataReq(
                    ctidTraderAccountId=CTID,
                    symbolId=symbol,
                    type=BID,
                    fromTimestamp=now_ms - 600_000,
                    toTimestamp=now_ms,
                )
            ),
            ask(ProtoOATraderReq(ctidTraderAccountId=CTID)),
        ]
    )
    say("end", positions=len(state.position), orders=len(state.order))
    say("deals", count=len(deals.deal), has_more=deals.hasMore)
    say("orders", enough=len(orders.order) >= 10)
    say(
        "bars",
        answer=type(bars).__name__,
        some=len(getattr(bars, "trendbar", [])) > 0,
        error=getattr(bars, "description", ""),
    )
    say(
        "ticks",
        answer=type(ticks).__name__,
        some=len(getattr(ticks, "tickData", [])) > 0,
        error=getattr(ticks, "description", ""),
    )
    closing = [deal.closePositionDetail for deal in deals.deal if deal.HasField("closePositionDetail")]
    newest = max(closing, key=lambda detail: detail.balanceVersion)
    say("balance", agrees=trader.trader.balance == newest.balance)
    logout = yield ask(ProtoOAAccountLogoutReq(ctidTraderAccountId=CTID))
    say("logout", answer=type(logout).__name__)
    yield until(lambda _, m: type(m).__name__ == "ProtoOAAccountDisconnectEvent")
    say("done")
    result["code"] = 0


def finish(failure):
    if failure is not None and not isinstance(failure, (bool, int)):
        print(failure, file=sys.stderr)
    reactor.stop()


started = []


def on_connected(_):
    if not started:
        started.append(True)
        running = session()
        running.addTimeout(120, reactor)
        running.addBoth(finish)


client.setConnectedCallback(on_connected)
client.setMessageReceivedCallback(on_message)
client.startService()
task.deferLater(reactor, 150, reactor.stop)
reactor.run()
sys.exit(result["code"])
