"""Books in the words of the wire, as the broker's habits have it. Knows no session and changes nothing."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeVar

from google.protobuf.message import Message

from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from tests.stranger.books import (
    BUY,
    CLOSED,
    CREATED,
    FILLED,
    OPEN,
    POINT,
    PROTECTIVE,
    Book,
    Deal,
    Order,
    Position,
    Symbol,
)
from tests.stranger.habits import Habits
from tests.stranger.market import ASSETS, BROKERS

M = TypeVar("M", bound=Message)
NEW_TIME_IN_FORCE = bytes([model.ProtoOAOrder.TIMEINFORCE_FIELD_NUMBER << 3 & 0x7F | 0x80, 1, 9])
"""A time in force of no published schema."""
UNKNOWN = b"\xba\x06\x00\xc0\x06\x07"
"""Fields 103 and 104 of whatever it is put behind: an empty message and a number."""


def real(price: Fraction | int) -> float:
    """A price as the double that the wire has."""
    return float(Fraction(price) / POINT)


class Words:
    """One broker's way of speaking."""

    def __init__(self, habits: Habits) -> None:
        self._habits = habits

    def position(self, held: Position, *, status: int = 0) -> model.ProtoOAPosition:
        """A position; before its fill it has volume 0 and no price."""
        is_there = held.volume > 0
        found = model.ProtoOAPosition(
            positionId=held.number,
            positionStatus=status or (OPEN if is_there else CLOSED if held.closed_ms else CREATED),
            swap=held.swap,
            price=real(held.price) if is_there else 0.0,
        )
        trade = found.tradeData
        trade.symbolId, trade.volume, trade.tradeSide = held.symbol.number, held.volume, held.side
        if held.opened_ms and self._habits.opening_times:
            trade.openTimestamp = held.opened_ms
        if held.closed_ms:
            trade.closeTimestamp = held.closed_ms
        if held.label and (is_there or self._habits.position_label == "kept"):
            trade.label = spelt(held.label, self._habits.labels, 20)
        if held.comment:
            trade.comment = held.comment
        if held.sl:
            found.stopLoss, found.stopLossTriggerMethod = real(held.sl), held.trigger
        if held.tp:
            found.takeProfit = real(held.tp)
        if self._habits.stamps and held.updated_ms:
            found.utcLastUpdateTimestamp = held.updated_ms if self._habits.stamps_move else held.opened_ms
        if held.trailing or not self._habits.leaves_out:
            found.trailingStopLoss = held.trailing
        if not self._habits.leaves_out:
            found.commission, found.moneyDigits, found.mirroringCommission = held.commission, 2, 0
            found.usedMargin = round(held.volume * held.price / POINT / 100) if is_there else 0
            found.marginRate, found.guaranteedStopLoss = real(held.price), False
        return self._with_unknown(found)

    def order(self, order: Order) -> model.ProtoOAOrder:
        """An order; levels that it carries are told as distances where it was given them so."""
        found = model.ProtoOAOrder(orderId=order.number, orderType=order.kind, orderStatus=order.status)
        trade = found.tradeData
        trade.symbolId, trade.volume, trade.tradeSide = order.symbol.number, order.volume, order.side
        if self._habits.opening_times:
            trade.openTimestamp = order.at_ms
        if order.label:
            trade.label = spelt(order.label, self._habits.labels, 20)
        if order.comment:
            trade.comment = order.comment
        if order.position:
            found.positionId = order.shown or order.position
        if self._habits.names != "requests" and (order.name or not self._habits.leaves_out):
            found.clientOrderId = spelt(order.name, self._habits.order_names, 16)
        if order.executed:
            found.executionPrice = real(order.average)
        if order.executed or not self._habits.leaves_out:
            found.executedVolume = order.executed
        if order.closing or not self._habits.leaves_out:
            found.closingOrder = order.closing
        for field, value in (
            ("limitPrice", order.limit),
            ("stopPrice", order.stop),
            ("baseSlippagePrice", order.base_price),
        ):
            if value:
                setattr(found, field, real(value))
        for field, value in (("stopLoss", order.sl), ("takeProfit", order.tp)):
            if value:
                setattr(found, field, real(value))
        if order.sl_away:
            found.relativeStopLoss = order.sl_away
        if order.tp_away:
            found.relativeTakeProfit = order.tp_away
        if order.slippage:
            found.slippageInPoints = order.slippage
        if order.expires_ms:
            found.expirationTimestamp = order.expires_ms
        if order.stop:
            found.stopTriggerMethod = order.trigger
        found.timeInForce = order.in_force
        if order.kind == PROTECTIVE and self._habits.values == "new":
            found.ClearField("timeInForce")
            found.MergeFromString(NEW_TIME_IN_FORCE)
        if order.trailing or not self._habits.leaves_out:
            found.trailingStopLoss = order.trailing
        if order.stop_out:
            found.isStopOut = True
        if self._habits.stamps:
            found.utcLastUpdateTimestamp = (order.updated_ms if self._habits.stamps_move else 0) or order.at_ms
        if order.status == FILLED:
            trade.closeTimestamp = order.updated_ms
        return self._with_unknown(found)

    def deal(self, deal: Deal) -> model.ProtoOADeal:
        """One execution."""
        found = model.ProtoOADeal(
            dealId=deal.number,
            orderId=deal.order.number,
            positionId=deal.position,
            volume=deal.volume,
            filledVolume=0 if deal.is_missed else deal.volume,
            symbolId=deal.order.symbol.number,
            createTimestamp=deal.order.at_ms,
            executionTimestamp=deal.at_ms,
            tradeSide=deal.side,
            dealStatus=model.MISSED if deal.is_missed else model.FILLED,
        )
        if not deal.is_missed:
            found.executionPrice = real(deal.price)
        if self._habits.deal_volumes == "sent" and not deal.is_missed and deal.sent > deal.volume:
            found.volume, found.dealStatus = deal.sent, model.PARTIALLY_FILLED
        if not self._habits.leaves_out:
            found.commission, found.moneyDigits, found.baseToUsdConversionRate = deal.commission, 2, 1.0
            found.utcLastUpdateTimestamp = deal.at_ms
        if deal.closed is not None and self._habits.closes_detail:
            detail = found.closePositionDetail
            detail.entryPrice, detail.grossProfit = real(deal.closed.entry), deal.closed.gross
            detail.swap, detail.commission = deal.closed.swap, deal.closed.commission
            detail.balance = deal.closed.balance
            if self._habits.closes_tell == "all":
                detail.balanceVersion, detail.closedVolume = deal.closed.version, deal.closed.volume
            if not self._habits.leaves_out:
                detail.moneyDigits, detail.quoteToDepositConversionRate, detail.pnlConversionFee = 2, 1.0, 0
        if self._habits.adds_unknown:
            found.MergeFromString(b"\x9a\x01\x00")  # field 19, an empty message: seen on live deals
        return found

    def trader(self, book: Book) -> model.ProtoOATrader:
        """An account's particulars."""
        found = model.ProtoOATrader(
            ctidTraderAccountId=book.account, balance=book.balance, depositAssetId=1, traderLogin=book.account - 10_000
        )
        found.balanceVersion, found.accountType = book.version, int(book.netted)
        found.accessRights = model.CLOSE_ONLY if book.closes_only else model.FULL_ACCESS
        found.brokerName, found.leverageInCents = book.broker, 10_000
        if not self._habits.leaves_out:
            found.swapFree, found.moneyDigits = False, 2
            found.maxLeverage, found.registrationTimestamp, found.isLimitedRisk = 500, 1_600_000_000_000, False
        return self._with_unknown(found)

    def symbol(self, symbol: Symbol) -> model.ProtoOASymbol:
        """What a symbol allows."""
        found = model.ProtoOASymbol(
            symbolId=symbol.number, digits=symbol.digits, pipPosition=symbol.pip, lotSize=symbol.lot
        )
        found.minVolume = found.stepVolume = symbol.step
        found.maxVolume = symbol.step * 100_000
        found.commissionType, found.preciseTradingCommissionRate = model.USD_PER_LOT, 250_000_000
        if not self._habits.leaves_out:
            found.tradingMode, found.enableShortSelling, found.scheduleTimeZone = model.ENABLED, True, "Europe/Moscow"
            found.schedule.add(startSecond=0, endSecond=604_800)
        return self._with_unknown(found)

    def light_symbols(self, broker: str) -> list[model.ProtoOALightSymbol]:
        """What a broker lists: what may be traded, and one that may not."""
        found = []
        for symbol in BROKERS[broker].values():
            light = model.ProtoOALightSymbol(
                symbolId=symbol.number, symbolName=symbol.name, baseAssetId=symbol.base, quoteAssetId=symbol.quote
            )
            if not self._habits.leaves_out:
                light.enabled, light.symbolCategoryId, light.description = True, 3, f"{symbol.name} at {broker}"
            found.append(light)
        found.append(model.ProtoOALightSymbol(symbolId=90_001, symbolName="EURUSD.old", enabled=False))
        return found

    def assets(self) -> list[model.ProtoOAAsset]:
        """The currencies, and what is no currency."""
        return [
            model.ProtoOAAsset(assetId=number, name=name, digits=digits) for number, (name, digits) in ASSETS.items()
        ]

    def execution(
        self,
        book: Book,
        kind: int,
        order: Order | None,
        held: Position | None,
        deal: Deal | None,
        *,
        status: int = 0,
        is_server: bool = False,
    ) -> wire.ProtoOAExecutionEvent:
        """What happened to an order, with the position and the deal where there are any."""
        found = wire.ProtoOAExecutionEvent(ctidTraderAccountId=book.account, executionType=kind)
        if order is not None:
            found.order.CopyFrom(self.order(order))
        if held is not None:
            found.position.CopyFrom(self.position(held, status=status))
        if deal is not None:
            found.deal.CopyFrom(self.deal(deal))
        if is_server or not self._habits.leaves_out:
            found.isServerEvent = is_server
        return self._with_unknown(found)

    def of_no_schema(self, told: wire.ProtoOAExecutionEvent) -> wire.ProtoOAExecutionEvent:
        """What followed on an execution, of a kind that no published schema has: nothing was traded by it.

        An enum's value that is not known leaves its field unset (wire.md#unknown-fields-and-words)."""
        found = wire.ProtoOAExecutionEvent()
        found.CopyFrom(told)
        for name in ("executionType", "deal", "errorCode"):
            found.ClearField(name)
        found.MergeFromString(b"\x18\x28")  # executionType 40
        return found

    def _with_unknown(self, message: M) -> M:
        if self._habits.adds_unknown:
            message.MergeFromString(UNKNOWN)
        return message


def spelt(text: str, habit: str, most: int) -> str:
    """A name as it comes back: whole, in capitals, cut, or not at all."""
    return {"whole": text, "capitals": text.upper(), "cut": text[:most]}.get(habit, "")


def mirrored(side: int) -> int:
    """The other side."""
    return 3 - side


def away(price: Fraction | int, side: int, distance: int, tick: Any, *, is_stop: bool) -> Any:
    """The level that lies so far from a fill, on the tick: a buyer's stop below it, his target above."""
    sign = -1 if (side == BUY) is is_stop else 1
    return round((Fraction(price) + sign * distance) / tick) * tick


def protective_of(held: Position, number: int, at_ms: int) -> Order:
    """The one order that keeps both levels of a position."""
    return Order(number, PROTECTIVE, held.symbol, mirrored(held.side), held.volume, held.number, at_ms, closing=True)
