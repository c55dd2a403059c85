"""Trading requests: new orders, amends, cancels, closes. Each is checked whole, then accepted, then on its way.

An immediate order is accepted at once and filled a moment later (`fill_delay_ms`); what a price triggers is in
`triggers.py`.
"""

from __future__ import annotations

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox.books.ledger import (
    BUY,
    CANCELLED,
    FOK,
    GTC,
    GTD,
    IMMEDIATE,
    IOC,
    LIMIT,
    MARKET,
    SELL,
    STOP_LIMIT,
    STOP_LOSS_TAKE_PROFIT,
    Account,
    Order,
    Position,
)
from cmam.sandbox.trading import checks, execution, outcomes, protection, triggers
from cmam.sandbox.trading.floor import (
    ORDER_ACCEPTED,
    ORDER_CANCEL_REJECTED,
    ORDER_CANCELLED,
    ORDER_REPLACED,
    Floor,
    Refused,
)
from cmam.sandbox.world import NETTED, Symbol


def new_order(floor: Floor, account: Account, request: messages.ProtoOANewOrderReq, msg_id: str | None) -> None:
    """Place an order."""
    symbol = checks.listed(floor, account, request.symbolId)
    order = _draft(floor, request, msg_id)
    position = _target(account, request, order)
    reduces = position is not None and position.side != order.side and position.volume >= order.volume
    checks.rights(account, opens=not reduces)
    checks.mode(symbol, opens=not reduces)
    checks.volume(symbol, order.volume)
    checks.order_fields(floor, account, symbol, request, order)
    if (order.tif == IOC and order.kind in IMMEDIATE) or _is_now_or_never(floor, order):
        checks.session(floor, symbol)
    if floor.switches.refuse_repeated_client_order_id and order.client_order_id:
        _refuse_repeated(account, order.client_order_id)
    checks.room(floor, account, symbol, order, position)
    quote = floor.quote(account, symbol.id)
    if order.kind not in IMMEDIATE:
        checks.stop_side(quote, order)
    if position is None or order.kind not in IMMEDIATE:
        position = None
    _accept(floor, account, order, position, opens_new=position is None)


def _draft(floor: Floor, request: messages.ProtoOANewOrderReq, msg_id: str | None) -> Order:
    label = checks.text(request.label, "Label", checks.LABEL_MAX) if request.HasField("label") else None
    comment = checks.text(request.comment, "Comment", checks.COMMENT_MAX) if request.HasField("comment") else None
    return Order(
        order_id=0,
        position_id=0,
        symbol_id=request.symbolId,
        kind=request.orderType,
        side=request.tradeSide,
        volume=request.volume,
        created_us=floor.now_us,
        updated_us=floor.now_us,
        client_order_id=checks.text(request.clientOrderId, "Client order id", checks.CLIENT_ORDER_ID_MAX),
        label=label,
        comment=comment,
        msg_id=msg_id,
    )


def _target(account: Account, request: messages.ProtoOANewOrderReq, order: Order) -> Position | None:
    """Find the position that an order adds to or reduces: the named one, or the netted account's only one."""
    if not request.HasField("positionId") or not request.positionId:
        return checks.netted_position(account, order.symbol_id)
    if order.kind not in IMMEDIATE:
        raise Refused("INVALID_REQUEST", "positionId is allowed only for MARKET and MARKET_RANGE orders")
    position = _held(account, request.positionId)
    if position.symbol_id != order.symbol_id:
        raise Refused("INVALID_REQUEST", "The position belongs to another symbol")
    left = position.volume - position.closing
    if account.spec.kind != NETTED and position.side != order.side and order.volume > left:
        raise Refused(
            "TRADING_BAD_VOLUME", f"Order volume {order.volume / 100:.2f} is bigger than the position's volume"
        )
    return position


def _held(account: Account, position_id: int) -> Position:
    position = account.positions.get(position_id)
    if position is None:
        raise _no_position(position_id)
    if not position.volume:
        raise Refused("POSITION_NOT_OPEN", f"Position {position_id} is not open", order_id=0, position_id=0)
    return position


def _no_position(position_id: int) -> Refused:
    return Refused("POSITION_NOT_FOUND", f"Position not found with id {position_id}", order_id=0, position_id=0)


def _refuse_repeated(account: Account, client_order_id: str) -> None:
    for order in (*account.orders.values(), *account.past_orders.values()):
        if order.client_order_id == client_order_id:
            raise Refused("INVALID_REQUEST", f"Order with clientOrderId {client_order_id} exists already")


def _accept(floor: Floor, account: Account, order: Order, position: Position | None, *, opens_new: bool) -> None:
    """Give the order its ids, tell of it, and send it on its way."""
    venue = floor.venue_of(account)
    order.order_id = venue.new_id("order")
    if opens_new or position is None:
        position = Position(
            venue.new_id("position"), order.symbol_id, order.side, label=order.label, comment=order.comment
        )
        position.guaranteed = order.guaranteed
        position.updated_us = floor.now_us
        account.positions[position.position_id] = position
    elif position.side != order.side and account.spec.kind != NETTED:
        order.is_closing = True
        position.closing += order.volume
    order.position_id = position.position_id
    account.orders[order.order_id] = order
    floor.execution(account, ORDER_ACCEPTED, order=order, position=position, msg_id=order.msg_id)
    if order.kind in IMMEDIATE or triggers.is_marketable(floor, account, order) or _is_now_or_never(floor, order):
        execution.schedule(floor, account, order)
    else:
        triggers.rest(floor, account, order)


def _is_now_or_never(floor: Floor, order: Order) -> bool:
    return order.kind == LIMIT and order.tif in (IOC, FOK) and not floor.switches.ioc_limit_rests


def cancel_order(floor: Floor, account: Account, request: messages.ProtoOACancelOrderReq, msg_id: str | None) -> None:
    """Cancel a pending order, or both levels of a position by its protective order."""
    order = _live(account, request.orderId)
    position = account.position_of(order)
    if order.kind == STOP_LOSS_TAKE_PROFIT:
        if position.guaranteed:
            raise Refused("UNABLE_TO_CANCEL_ORDER", "A guaranteed stop loss cannot be cancelled")
        position.sl = position.tp = None
        position.trailing = False
        position.updated_us = floor.now_us
        protection.cancel(floor, account, position, msg_id, is_server=False)
        return
    if order.is_under_way:
        code = "UNABLE_TO_CANCEL_ORDER"
        if floor.switches.cancel_refused_by == "execution":
            floor.execution(
                account, ORDER_CANCEL_REJECTED, order=order, position=position, msg_id=msg_id, error_code=code
            )
            return
        raise Refused(code, f"Order {order.order_id} is being executed", order_id=order.order_id)
    outcomes.withdraw(floor, account, order, CANCELLED, ORDER_CANCELLED, msg_id)


def _live(account: Account, order_id: int) -> Order:
    order = account.orders.get(order_id)
    if order is None:
        raise Refused("ORDER_NOT_FOUND", f"Order not found with id {order_id}", order_id=order_id)
    return order


def amend_order(floor: Floor, account: Account, request: messages.ProtoOAAmendOrderReq, msg_id: str | None) -> None:
    """Replace a pending order's terms: what is left out of the optional ones is cleared, price and volume are kept."""
    order = _live(account, request.orderId)
    if order.kind == STOP_LOSS_TAKE_PROFIT:
        raise Refused("UNABLE_TO_AMEND_ORDER", "Amend the position's levels instead", order_id=order.order_id)
    if order.is_under_way:
        raise Refused("UNABLE_TO_AMEND_ORDER", f"Order {order.order_id} is being executed", order_id=order.order_id)
    checks.rights(account, opens=True)
    symbol = checks.listed(floor, account, order.symbol_id)
    checks.mode(symbol, opens=True)
    draft = _amended(floor, account, symbol, order, request)
    changed = draft.expires_ms != order.expires_ms
    for name in ("volume", "limit_price", "stop_price", "expires_ms", "tif", "slippage_points", "relative_sl"):
        setattr(order, name, getattr(draft, name))
    for name in ("relative_tp", "trailing", "guaranteed", "trigger", "is_triggered"):
        setattr(order, name, getattr(draft, name))
    order.updated_us = floor.now_us
    order.hits = 0
    position = account.position_of(order)
    position.guaranteed = order.guaranteed
    position.updated_us = floor.now_us
    floor.execution(account, ORDER_REPLACED, order=order, position=position, msg_id=msg_id)
    if changed and order.expires_ms is not None:
        triggers.set_expiry(floor, account, order)
    triggers.look(floor, account, order, is_tick=False)


def _reprice(symbol: Symbol, draft: Order, order: Order, request: messages.ProtoOAAmendOrderReq) -> None:
    """Give the draft the prices of the request, as far as the order's kind has them, and say whether its stop counts
    as reached still."""
    if request.HasField("limitPrice") and order.kind == LIMIT:
        draft.limit_price = checks.price(symbol, request.limitPrice, "Order limitPrice")
    if request.HasField("stopPrice") and order.kind != LIMIT:
        draft.stop_price = checks.price(symbol, request.stopPrice, "Order stopPrice")
    if order.kind == STOP_LIMIT and request.HasField("slippageInPoints"):
        if request.slippageInPoints < 0:
            raise Refused("INVALID_REQUEST", "slippageInPoints must not be negative")
        draft.slippage_points = request.slippageInPoints
    if (draft.stop_price, draft.slippage_points) == (order.stop_price, order.slippage_points):
        draft.is_triggered = order.is_triggered
    elif order.kind == STOP_LIMIT:  # it waits for its stop anew; where it then rests follows from that
        draft.limit_price = None


def _amended(
    floor: Floor, account: Account, symbol: Symbol, order: Order, request: messages.ProtoOAAmendOrderReq
) -> Order:
    """Work out on a copy what the order would become."""
    draft = Order(0, 0, order.symbol_id, order.kind, order.side, order.volume, order.created_us, floor.now_us)
    draft.limit_price, draft.stop_price, draft.slippage_points = (
        order.limit_price,
        order.stop_price,
        order.slippage_points,
    )
    if request.HasField("volume"):
        checks.volume(symbol, request.volume)
        draft.volume = request.volume
    if draft.volume <= order.executed:
        raise Refused("TRADING_BAD_VOLUME", "Order volume is smaller than what was executed already")
    _reprice(symbol, draft, order, request)
    draft.tif = GTC if order.tif == GTD else order.tif
    if request.HasField("expirationTimestamp"):
        draft.tif = GTD
        checks.expiration(floor, draft, request.expirationTimestamp)
    if request.HasField("relativeStopLoss"):
        draft.relative_sl = checks.relative(symbol, request.relativeStopLoss, "Relative stop loss")
    if request.HasField("relativeTakeProfit"):
        draft.relative_tp = checks.relative(symbol, request.relativeTakeProfit, "Relative take profit")
    sl = request.stopLoss if request.HasField("stopLoss") else None
    tp = request.takeProfit if request.HasField("takeProfit") else None
    checks.absolute_levels(symbol, draft, sl, tp)
    draft.trigger = request.stopTriggerMethod if request.HasField("stopTriggerMethod") else order.trigger
    guaranteed = request.guaranteedStopLoss if request.HasField("guaranteedStopLoss") else order.guaranteed
    quote = floor.quote(account, symbol.id)
    checks.flags(account, symbol, draft, quote, trailing=request.trailingStopLoss, guaranteed=guaranteed)
    if draft.stop_price != order.stop_price:
        checks.stop_side(quote, draft)
    return draft


def amend_position(
    floor: Floor, account: Account, request: messages.ProtoOAAmendPositionSLTPReq, msg_id: str | None
) -> None:
    """Replace both levels of an open position: the one left out is removed."""
    position = _held(account, request.positionId)
    checks.rights(account, opens=False)
    symbol = floor.symbol(account, position.symbol_id)
    sl = checks.price(symbol, request.stopLoss, "Stop loss") if request.HasField("stopLoss") else None
    tp = checks.price(symbol, request.takeProfit, "Take profit") if request.HasField("takeProfit") else None
    trailing = request.trailingStopLoss if request.HasField("trailingStopLoss") else None
    protection.amend(
        floor,
        account,
        position,
        sl,
        tp,
        trailing=False if sl is None and trailing is None else trailing,
        guaranteed=request.guaranteedStopLoss if request.HasField("guaranteedStopLoss") else None,
        trigger=request.stopLossTriggerMethod if request.HasField("stopLossTriggerMethod") else None,
        msg_id=msg_id,
    )


def close_position(
    floor: Floor, account: Account, request: messages.ProtoOAClosePositionReq, msg_id: str | None
) -> None:
    """Close a position, whole or in part."""
    position = _held(account, request.positionId)
    checks.rights(account, opens=False)
    symbol = floor.symbol(account, position.symbol_id)
    checks.mode(symbol, opens=False)
    checks.session(floor, symbol)
    place_close(floor, account, position, _closing_volume(floor, symbol, position, request.volume), msg_id)


def _closing_volume(floor: Floor, symbol: Symbol, position: Position, wanted: int) -> int:
    left = position.volume - position.closing
    if left <= 0:
        raise Refused("POSITION_LOCKED", f"Position {position.position_id} is being closed")
    if wanted > left:
        if floor.switches.close_above_volume == "close_all":
            return left
        raise Refused(
            "TRADING_BAD_VOLUME", f"Order volume {wanted / 100:.2f} is bigger than position volume {left / 100:.2f}"
        )
    if wanted != left:
        checks.volume(symbol, wanted)
    return wanted


def place_close(
    floor: Floor,
    account: Account,
    position: Position,
    volume: int,
    msg_id: str | None,
    *,
    is_stop_out: bool = False,
) -> Order:
    """Send a market order that closes `volume` of a position."""
    venue = floor.venue_of(account)
    order = Order(
        order_id=venue.new_id("order"),
        position_id=position.position_id,
        symbol_id=position.symbol_id,
        kind=MARKET,
        side=SELL if position.side == BUY else BUY,
        volume=volume,
        created_us=floor.now_us,
        updated_us=floor.now_us,
        tif=IOC,
        label=position.label,
        comment=position.comment,
        is_closing=True,
        is_stop_out=is_stop_out,
        msg_id=msg_id,
    )
    order.client_order_id = f"srv-{order.order_id}"
    order.shown_sl, order.shown_tp = position.sl, position.tp
    position.closing += volume
    account.orders[order.order_id] = order
    floor.execution(account, ORDER_ACCEPTED, order=order, position=position, msg_id=msg_id, is_server=is_stop_out)
    execution.schedule(floor, account, order)
    return order
