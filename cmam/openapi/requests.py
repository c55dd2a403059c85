"""What the domain asks in the words of the wire: commands and questions as requests.

Integers become doubles once, by way of their decimal text, which a double of that size always carries exactly back.
Distances go out in 1/100000 of price; the domain has them on the symbol's tick, as the server demands (wire.md#units).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.message import Message

from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, IntentId
from cmam.domain.values.quantities import PRICE_SCALE, RELATIVE_SCALE, Price, Side, decimal_text
from cmam.domain.values.trades import OrderType, TimeInForce, TriggerMethod
from cmam.openapi import catalogue, translate
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.errors import LocalError

PAYLOAD_TYPES: Final = {
    CommandKind.OPEN: catalogue.NEW_ORDER,
    CommandKind.ADD: catalogue.NEW_ORDER,
    CommandKind.PLACE: catalogue.NEW_ORDER,
    CommandKind.CLOSE: catalogue.CLOSE_POSITION,
    CommandKind.AMEND_PROTECTION: catalogue.AMEND_PROTECTION,
    CommandKind.AMEND_ORDER: catalogue.AMEND_ORDER,
    CommandKind.CANCEL: catalogue.CANCEL_ORDER,
}
"""The kind of request that each command is on the wire."""

PRICE_DIGITS: Final = len(str(PRICE_SCALE)) - 1

_TYPES: Final = {word: number for number, word in translate.ORDER_TYPES.items()}
_TIMES: Final = {word: number for number, word in translate.TIMES_IN_FORCE.items()}
_TRIGGERS: Final = {word: number for number, word in translate.TRIGGERS.items()}


def real(price: Price) -> float:
    """An integer price as the double that the wire wants."""
    return float(decimal_text(price, PRICE_DIGITS))


def relative(distance: int) -> int:
    """A distance in 1/100000 of price, rounded down: never farther than asked, but for the smallest that there is.

    Raises LocalError for a distance of 0 and below, which the server would take for none at all.
    """
    if distance <= 0:
        raise LocalError(f"expected a distance above 0, found {distance}")
    return max(distance // RELATIVE_SCALE, 1)


def request(account: AccountId, intent: IntentId, command: Command) -> Message:
    """The request of a command; raises LocalError where its kind needs more, or no message can carry what it says."""
    try:
        return _request(account, intent, command)
    except (ValueError, OverflowError) as error:
        raise LocalError(f"cannot ask for {command.kind.value}: {error}") from None


def _request(account: AccountId, intent: IntentId, command: Command) -> Message:
    match command.kind:
        case CommandKind.OPEN | CommandKind.ADD | CommandKind.PLACE:
            return _new_order(account, intent, command)
        case CommandKind.CLOSE:
            return messages.ProtoOAClosePositionReq(
                ctidTraderAccountId=account, positionId=_need(command.position, "position"), volume=command.volume
            )
        case CommandKind.AMEND_PROTECTION:
            return _amend_protection(account, command)
        case CommandKind.AMEND_ORDER:
            return _amend_order(account, command)
        case CommandKind.CANCEL:
            return messages.ProtoOACancelOrderReq(ctidTraderAccountId=account, orderId=_need(command.order, "order"))


def _need(value: Any, name: str) -> Any:
    if value is None:
        raise LocalError(f"expected a command with a {name}, found none")
    return value


def _new_order(account: AccountId, intent: IntentId, command: Command) -> Message:
    wire = messages.ProtoOANewOrderReq(
        ctidTraderAccountId=account,
        symbolId=command.symbol,
        orderType=_TYPES[command.order_type],
        tradeSide=model.BUY if command.side is Side.BUY else model.SELL,
        volume=command.volume,
        clientOrderId=intent,
        label=command.label,
    )
    if command.comment:
        wire.comment = command.comment
    if command.kind is CommandKind.ADD and not command.netted:
        wire.positionId = _need(command.position, "position")
    _put_relative(wire, command)
    if command.order_type is OrderType.MARKET_RANGE:
        wire.baseSlippagePrice = real(_need(command.base_price, "base price"))
        wire.slippageInPoints = _need(command.slippage_points, "slippage")
    if command.kind is CommandKind.PLACE:
        _put_pending(wire, command)
    return wire


def _put_relative(wire: Any, command: Command) -> None:
    if command.relative_stop is not None:
        wire.relativeStopLoss = relative(command.relative_stop)
        if command.trailing:
            wire.trailingStopLoss = True
        if command.guaranteed:
            wire.guaranteedStopLoss = True
    if command.relative_target is not None:
        wire.relativeTakeProfit = relative(command.relative_target)


def _put_prices(wire: Any, command: Command) -> None:
    """The prices of a pending order; an absolute level goes where no relative one stands."""
    if command.limit_price is not None:
        wire.limitPrice = real(command.limit_price)
    if command.stop_price is not None:
        wire.stopPrice = real(command.stop_price)
        if command.trigger is not TriggerMethod.TRADE:
            wire.stopTriggerMethod = _TRIGGERS[command.trigger]
    if command.slippage_points is not None:
        wire.slippageInPoints = command.slippage_points
    if command.stop is not None and command.relative_stop is None:
        wire.stopLoss = real(command.stop)
        if command.trailing:
            wire.trailingStopLoss = True
        if command.guaranteed:
            wire.guaranteedStopLoss = True
    if command.target is not None and command.relative_target is None:
        wire.takeProfit = real(command.target)
    if command.expires_ms is not None:
        wire.expirationTimestamp = command.expires_ms


def _put_pending(wire: Any, command: Command) -> None:
    _put_prices(wire, command)
    in_force = command.time_in_force or (TimeInForce.GTD if command.expires_ms is not None else TimeInForce.GTC)
    wire.timeInForce = _TIMES[in_force]


def _amend_order(account: AccountId, command: Command) -> Message:
    """A full replacement: what is not sent is cleared (wire.md#amended-orders), so the command carries all that shall
    stay."""
    wire = messages.ProtoOAAmendOrderReq(ctidTraderAccountId=account, orderId=_need(command.order, "order"))
    wire.volume = command.volume
    _put_relative(wire, command)
    _put_prices(wire, command)
    if command.stop_price is not None:
        wire.stopTriggerMethod = _TRIGGERS[command.trigger]  # also the usual one, which may be what has changed
    return wire


def _amend_protection(account: AccountId, command: Command) -> Message:
    """Both levels always: the one left out is removed, the trailing flag left out is kept (wire.md#levels)."""
    wire = messages.ProtoOAAmendPositionSLTPReq(
        ctidTraderAccountId=account, positionId=_need(command.position, "position"), trailingStopLoss=command.trailing
    )
    if command.stop is not None:
        wire.stopLoss = real(command.stop)
        wire.stopLossTriggerMethod = _TRIGGERS[command.trigger]
        if command.guaranteed:
            wire.guaranteedStopLoss = True
    if command.target is not None:
        wire.takeProfit = real(command.target)
    return wire


# --- questions ----------------------------------------------------------------------------------------------------


def ask_trader(account: AccountId) -> Message:
    """What the account is and holds."""
    return messages.ProtoOATraderReq(ctidTraderAccountId=account)


def ask_assets(account: AccountId) -> Message:
    """The currencies of its broker."""
    return messages.ProtoOAAssetListReq(ctidTraderAccountId=account)


def ask_symbols(account: AccountId) -> Message:
    """Its symbols by name."""
    return messages.ProtoOASymbolsListReq(ctidTraderAccountId=account)


def ask_specs(account: AccountId, symbols: Iterable[int]) -> Message:
    """What some symbols allow, by ids that this server has listed: one that it does not know may cost the answer of all
    (wire.md#symbols)."""
    return messages.ProtoOASymbolByIdReq(ctidTraderAccountId=account, symbolId=list(symbols))


def ask_state(account: AccountId) -> Message:
    """Its open positions and pending orders."""
    return messages.ProtoOAReconcileReq(ctidTraderAccountId=account)


def ask_deals(account: AccountId, from_ms: int, to_ms: int) -> Message:
    """Its deals of a span of at most a week, newest first; historical."""
    return messages.ProtoOADealListReq(
        ctidTraderAccountId=account, fromTimestamp=from_ms, toTimestamp=to_ms, maxRows=1_000
    )


def ask_orders(account: AccountId, from_ms: int, to_ms: int) -> Message:
    """Its orders by last update, of a span of at most a week; historical."""
    return messages.ProtoOAOrderListReq(ctidTraderAccountId=account, fromTimestamp=from_ms, toTimestamp=to_ms)


def ask_deals_of(account: AccountId, position: int, *, until_ms: int = 0) -> Message:
    """All deals of a position, newest first, or those up to a moment of the broker's; historical. Without a window: one
    too wide is refused (wire.md#spans)."""
    return messages.ProtoOADealListByPositionIdReq(
        ctidTraderAccountId=account, positionId=position, toTimestamp=until_ms or None
    )


def ask_orders_of(account: AccountId, position: int, *, until_ms: int = 0) -> Message:
    """The orders that built a position up and took it down, all of them or those up to a moment; historical."""
    return messages.ProtoOAOrderListByPositionIdReq(
        ctidTraderAccountId=account, positionId=position, toTimestamp=until_ms or None
    )


def ask_order(account: AccountId, order: int) -> Message:
    """One order, whatever became of it, with its deals (wire.md#snapshots-and-histories)."""
    return messages.ProtoOAOrderDetailsReq(ctidTraderAccountId=account, orderId=order)


def subscribe_spots(account: AccountId, symbols: Iterable[int]) -> Message:
    """Ask for the quotes of some symbols, with the server's time."""
    return messages.ProtoOASubscribeSpotsReq(
        ctidTraderAccountId=account, symbolId=list(symbols), subscribeToSpotTimestamp=True
    )


def unsubscribe_spots(account: AccountId, symbols: Iterable[int]) -> Message:
    """Have no more quotes of some symbols; a few may still come (wire.md#quotes)."""
    return messages.ProtoOAUnsubscribeSpotsReq(ctidTraderAccountId=account, symbolId=list(symbols))
