"""One thing a trader does, however it was asked for (options or a CSV row), checked and then done.

A step names what it makes or means by a reference: a word of the person's own, or the id of a position or an order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.trader.trader import Tradable, Trader, TradeRefused, plain
from cmam.sandbox.wire import json_codec

MARKET_ACTIONS: Final = ("buy", "sell")
PENDING_ACTIONS: Final = ("limit", "stop", "stop-limit")
ACTIONS: Final = (*MARKET_ACTIONS, *PENDING_ACTIONS, "close", "amend", "cancel")
DIGITS_MAX: Final = 12
"""Most digits before and after the point of a person's number: more is a slip, and would cost time to compute with."""
SIDES: Final = ("buy", "sell")


class BadStep(ValueError):
    """A step that makes no sense, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action with what it needs; fields that an action does not use are refused, not ignored."""

    action: str
    ref: str = ""
    symbol: str = ""
    side: str = ""
    lots: Decimal | None = None
    price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trailing: bool = False
    slippage: int | None = None
    label: str = ""

    def check(self) -> None:
        """Say what is missing or too much; raises BadStep."""
        if self.action not in ACTIONS:
            raise BadStep(f"expected one of {', '.join(ACTIONS)} as action, found {self.action!r}")
        needed, allowed = _FIELDS[self.action]
        for name in needed:
            if getattr(self, name) in ("", None):
                raise BadStep(f"{self.action} needs a value for {_WORDS.get(name, name)}")
        for name in _ALL - needed - allowed:
            if getattr(self, name) not in ("", None, False):
                raise BadStep(f"{self.action} takes no {_WORDS.get(name, name)}")
        if self.action in PENDING_ACTIONS and self.side not in SIDES:
            raise BadStep(f"expected buy or sell as side, found {self.side!r}")
        if self.trailing and self.stop_loss is None:
            raise BadStep("a trailing stop needs a stop loss to start from")
        for name in ("lots", "price", "stop_loss", "take_profit"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise BadStep(f"expected more than 0 for {_WORDS.get(name, name)}, found {plain(value)}")

    @property
    def makes_ref(self) -> bool:
        """Whether the reference is a new name, rather than that of something earlier."""
        return self.action in MARKET_ACTIONS + PENDING_ACTIONS


_WORDS = {"stop_loss": "sl", "take_profit": "tp"}
_ALL = frozenset(
    {"ref", "symbol", "side", "lots", "price", "stop_loss", "take_profit", "trailing", "slippage", "label"}
)
_MARKET = frozenset({"symbol", "lots"}), frozenset({"ref", "stop_loss", "take_profit", "trailing", "label"})
_PENDING = (
    frozenset({"symbol", "side", "lots", "price"}),
    frozenset({"ref", "stop_loss", "take_profit", "trailing", "label"}),
)
_FIELDS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "buy": _MARKET,
    "sell": _MARKET,
    "limit": _PENDING,
    "stop": _PENDING,
    "stop-limit": (_PENDING[0] | {"slippage"}, _PENDING[1]),
    "close": (frozenset({"ref"}), frozenset({"lots"})),
    "amend": (frozenset({"ref"}), frozenset({"lots", "price", "stop_loss", "take_profit", "trailing", "slippage"})),
    "cancel": (frozenset({"ref"}), frozenset()),
}


@dataclass(slots=True)
class Placed:
    """What a reference stands for."""

    symbol: Tradable
    position_id: int
    order_id: int
    is_pending: bool


@dataclass(frozen=True, slots=True)
class Done:
    """What a step did: a line for a person, and the events for a program."""

    text: str
    events: tuple[dict[str, Any], ...] = field(default=())


def decimal(text: str, name: str) -> Decimal:
    """Read a number; raises BadStep."""
    try:
        value = Decimal(text)
        if not value.is_finite() or value.adjusted() > DIGITS_MAX or int(value.as_tuple().exponent) < -DIGITS_MAX:
            raise InvalidOperation
    except InvalidOperation:
        raise BadStep(f"expected a number for {name}, found {text!r}") from None
    return value


def perform(trader: Trader, step: Step, refs: dict[str, Placed]) -> Done:
    """Do one step; raises SandboxError, TradeRefused or NoOutcome with one sentence."""
    match step.action:
        case "buy" | "sell":
            return _market(trader, step, refs)
        case "limit" | "stop" | "stop-limit":
            return _pending(trader, step, refs)
        case "close":
            return _close(trader, step, find(trader, step.ref, refs))
        case "amend":
            return _amend(trader, step, find(trader, step.ref, refs))
        case _:
            placed = find(trader, step.ref, refs)
            events = trader.cancel(placed.order_id)
            return _done(f"cancelled order {placed.order_id}", events)


def find(trader: Trader, ref: str, refs: dict[str, Placed]) -> Placed:
    """Say what a reference stands for: an earlier step, else the id of an open position or a pending order."""
    if ref in refs:
        return refs[ref]
    answer = trader.reconcile()
    for position in answer.position:
        if str(position.positionId) == ref:
            return Placed(trader.symbol_of(position.tradeData.symbolId), position.positionId, 0, False)
    for order in answer.order:
        if str(order.orderId) == ref:
            return Placed(trader.symbol_of(order.tradeData.symbolId), order.positionId, order.orderId, True)
    raise TradeRefused(f"expected the id of an open position or a pending order, found {ref!r}")


def _market(trader: Trader, step: Step, refs: dict[str, Placed]) -> Done:
    assert step.lots is not None
    symbol = trader.symbol(step.symbol)
    order = oa.ProtoOANewOrderReq(
        symbolId=symbol.id,
        orderType=model.MARKET,
        tradeSide=model.BUY if step.action == "buy" else model.SELL,
        volume=symbol.volume(step.lots),
    )
    if step.label:
        order.label = step.label
    events = trader.order(order)
    last = events[-1]
    if not last.order.executedVolume:
        raise TradeRefused(
            f"order {last.order.orderId} was not filled: {model.ProtoOAExecutionType.Name(last.executionType)}"
        )
    placed = Placed(symbol, last.position.positionId, last.order.orderId, is_pending=False)
    if step.ref:
        refs[step.ref] = placed
    word = "bought" if step.action == "buy" else "sold"
    filled = symbol.lots(last.order.executedVolume)
    text = (
        f"{word} {filled} {symbol.name} at {last.order.executionPrice:.{symbol.digits}f}: position {placed.position_id}"
        f"{_rest(last)}"
    )
    if step.stop_loss is not None or step.take_profit is not None:
        # Absolute levels are refused on market orders (wire.md#orders-by-type), so they follow the fill,
        # as a terminal sends them.
        try:
            events += trader.amend_position(_levels(placed.position_id, step))
        except TradeRefused as refused:
            raise TradeRefused(f"{text}, which is open without levels: {refused}") from None
        text += ", levels set"
    return _done(text, events)


def _levels(position_id: int, step: Step) -> oa.ProtoOAAmendPositionSLTPReq:
    request = oa.ProtoOAAmendPositionSLTPReq(positionId=position_id)
    if step.stop_loss is not None:
        request.stopLoss = float(step.stop_loss)
        request.trailingStopLoss = step.trailing
    if step.take_profit is not None:
        request.takeProfit = float(step.take_profit)
    return request


_TYPES = {"limit": model.LIMIT, "stop": model.STOP, "stop-limit": model.STOP_LIMIT}


def _pending(trader: Trader, step: Step, refs: dict[str, Placed]) -> Done:
    assert step.lots is not None
    assert step.price is not None
    symbol = trader.symbol(step.symbol)
    order = oa.ProtoOANewOrderReq(
        symbolId=symbol.id,
        orderType=_TYPES[step.action],
        tradeSide=model.BUY if step.side == "buy" else model.SELL,
        volume=symbol.volume(step.lots),
    )
    if step.action == "limit":
        order.limitPrice = float(step.price)
    else:
        order.stopPrice = float(step.price)
    if step.slippage is not None:
        order.slippageInPoints = step.slippage
    if step.stop_loss is not None:
        order.stopLoss = float(step.stop_loss)
        order.trailingStopLoss = step.trailing
    if step.take_profit is not None:
        order.takeProfit = float(step.take_profit)
    if step.label:
        order.label = step.label
    events = trader.order(order)
    last = events[-1]
    placed = Placed(symbol, last.order.positionId, last.order.orderId, is_pending=True)
    if step.ref:
        refs[step.ref] = placed
    what = f"{step.action} {step.side} {plain(step.lots)} {symbol.name} at {plain(step.price)}"
    return _done(f"placed {what}: order {placed.order_id}, position {placed.position_id}", events)


def _close(trader: Trader, step: Step, placed: Placed) -> Done:
    position = next((p for p in trader.reconcile().position if p.positionId == placed.position_id), None)
    if position is None:
        raise TradeRefused(f"position {placed.position_id} is not open")
    volume = placed.symbol.volume(step.lots) if step.lots is not None else position.tradeData.volume
    events = trader.close_position(placed.position_id, volume)
    last = events[-1]
    if not last.order.executedVolume:
        raise TradeRefused(f"the close was not filled: {model.ProtoOAExecutionType.Name(last.executionType)}")
    price = f"{last.order.executionPrice:.{placed.symbol.digits}f}"
    lots = placed.symbol.lots(last.order.executedVolume)
    return _done(f"closed {lots} {placed.symbol.name} at {price}: position {placed.position_id}{_rest(last)}", events)


def _rest(last: oa.ProtoOAExecutionEvent) -> str:
    """What is said of an order that was filled in part only."""
    return "" if last.executionType == model.ORDER_FILLED else ", and the rest was cancelled"


def _amend(trader: Trader, step: Step, placed: Placed) -> Done:
    answer = trader.reconcile()
    order = next((o for o in answer.order if o.orderId == placed.order_id), None)
    if order is None:
        if step.price is not None or step.lots is not None or step.slippage is not None:
            raise TradeRefused(f"position {placed.position_id} has no price or volume to amend, only sl and tp")
        events = trader.amend_position(_levels(placed.position_id, step))
        return _done(f"amended position {placed.position_id}", events)
    request = oa.ProtoOAAmendOrderReq(orderId=order.orderId, volume=order.tradeData.volume)
    if step.lots is not None:
        request.volume = placed.symbol.volume(step.lots)
    for name in ("limitPrice", "stopPrice", "slippageInPoints", "expirationTimestamp"):
        if order.HasField(name):
            setattr(request, name, getattr(order, name))
    if step.price is not None:
        setattr(request, "limitPrice" if order.orderType == model.LIMIT else "stopPrice", float(step.price))
    if step.slippage is not None:
        request.slippageInPoints = step.slippage
    if step.stop_loss is not None:
        request.stopLoss = float(step.stop_loss)
        request.trailingStopLoss = step.trailing
    if step.take_profit is not None:
        request.takeProfit = float(step.take_profit)
    events = trader.amend_order(request)
    return _done(f"amended order {order.orderId}", events)


def _done(text: str, events: list[oa.ProtoOAExecutionEvent]) -> Done:
    return Done(text, tuple(json_codec.as_document(event) for event in events))
