"""What a price or the time does to resting orders: limits, stops, stop-limits, protection, trailing, expiry.

Trigger methods (wire.md#orders-by-type): TRADE looks at the side at which the order would execute, OPPOSITE at the
other one; the DOUBLE methods wait for the second consecutive tick.
"""

from __future__ import annotations

from functools import partial

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox import units
from cmam.sandbox.books.ledger import (
    BUY,
    CANCELLED,
    DOUBLE_OPPOSITE,
    DOUBLE_TRADE,
    EXPIRED,
    GTD,
    LIMIT,
    OPPOSITE,
    STOP_LIMIT,
    STOP_LOSS_TAKE_PROFIT,
    Account,
    Order,
    Position,
)
from cmam.sandbox.markets import hours
from cmam.sandbox.trading import fills, margin, outcomes
from cmam.sandbox.trading.checks import netted_position
from cmam.sandbox.trading.floor import ORDER_CANCELLED, ORDER_EXPIRED, Floor
from cmam.sandbox.trading.venue import Quote, Venue
from cmam.sandbox.world import Symbol, TradingMode

TRAILING_SL_CHANGED_EVENT = 2107


def rest(floor: Floor, account: Account, order: Order) -> None:
    """Leave an order to wait for its price or its expiry; from now on its events have no cause in a request."""
    order.msg_id = None
    order.is_under_way = False
    floor.venue_of(account).watchers[order.symbol_id][order.order_id] = account, order
    if order.tif == GTD:
        set_expiry(floor, account, order)


def set_expiry(floor: Floor, account: Account, order: Order) -> None:
    """Let an order expire at the moment it names now; a later amend sets another."""
    assert order.expires_ms is not None
    floor.at(
        order.expires_ms * units.MILLISECOND_US,
        partial(expire, floor, account, order, order.expires_ms),
        while_needed=partial(_may_expire, account, order, order.expires_ms),
    )


def _may_expire(account: Account, order: Order, expires_ms: int) -> bool:
    return order.order_id in account.orders and order.expires_ms == expires_ms


def expire(floor: Floor, account: Account, order: Order, expires_ms: int) -> None:
    """Expire an order, unless it is gone or was given another moment."""
    if _may_expire(account, order, expires_ms):
        outcomes.withdraw(floor, account, order, EXPIRED, ORDER_EXPIRED, None, is_server=True)


def on_quote(floor: Floor, venue: Venue, quote: Quote) -> None:
    """Look at every order that waits for this symbol's price."""
    waiting = venue.watchers[quote.symbol.id]
    if not waiting:
        return
    for order_id, (account, order) in list(waiting.items()):
        if order_id in waiting:
            look(floor, account, order)


def look(floor: Floor, account: Account, order: Order, *, is_tick: bool = True) -> None:
    """Trigger one order if the present quote has reached it."""
    quote = floor.quote(account, order.symbol_id)
    symbol = quote.symbol
    if not _may_execute(floor, symbol, order):
        return
    if order.kind == STOP_LOSS_TAKE_PROFIT:
        _look_at_protection(floor, account, order, quote, is_tick)
        return
    if order.kind == LIMIT or order.is_triggered:
        if _limit_reached(order, order.limit_price, quote):
            _execute(floor, account, order, quote.ask if order.side == BUY else quote.bid)
        return
    if not _stop_reached(order, quote, is_tick):
        return
    if order.kind == STOP_LIMIT:
        assert order.stop_price is not None
        room = (order.slippage_points or 0) * quote.tick
        order.limit_price = max(order.stop_price + (room if order.side == BUY else -room), quote.tick)
        order.is_triggered = True
        order.updated_us = floor.now_us
        if not _limit_reached(order, order.limit_price, quote):
            return
    _execute(floor, account, order, quote.ask if order.side == BUY else quote.bid)


def is_marketable(floor: Floor, account: Account, order: Order) -> bool:
    """Say whether a new limit order would execute at once."""
    quote = floor.quote(account, order.symbol_id)
    is_reached = order.kind == LIMIT and _limit_reached(order, order.limit_price, quote)
    return is_reached and _may_execute(floor, quote.symbol, order)


def _may_execute(floor: Floor, symbol: Symbol, order: Order) -> bool:
    if symbol.mode is TradingMode.DISABLED_WITHOUT_PENDINGS_EXECUTION:
        return False
    if symbol.mode is TradingMode.CLOSE_ONLY_MODE and order.kind != STOP_LOSS_TAKE_PROFIT:
        return False
    return hours.is_open(symbol, floor.now_us)


def _limit_reached(order: Order, limit: int | None, quote: Quote) -> bool:
    if limit is None:
        return False
    return quote.ask <= limit if order.side == BUY else quote.bid >= limit


def _stop_reached(order: Order, quote: Quote, is_tick: bool) -> bool:
    if order.stop_price is None:
        return False
    on_ask = (order.side == BUY) != (order.trigger in (OPPOSITE, DOUBLE_OPPOSITE))
    price = quote.ask if on_ask else quote.bid
    is_beyond = price >= order.stop_price if order.side == BUY else price <= order.stop_price
    if order.trigger not in (DOUBLE_TRADE, DOUBLE_OPPOSITE):
        return is_beyond
    if is_tick:
        order.hits = order.hits + 1 if is_beyond else 0
    return order.hits >= 2


def _execute(floor: Floor, account: Account, order: Order, price: int) -> None:
    """Fill a pending order whole, or in part where that fault strikes, if there is money for it."""
    symbol = floor.symbol(account, order.symbol_id)
    netted = netted_position(account, order.symbol_id)
    if netted is not None and order.position_id != netted.position_id:
        _drop_placeholder(account, order)
        order.position_id = netted.position_id
    else:
        account.position_of(order)
    added = order.volume - order.executed
    if netted is not None and netted.side != order.side:
        added -= netted.volume
    if added > 0 and not margin.allows(floor, account, symbol, order.side, added):
        outcomes.reject(floor, account, order, "NOT_ENOUGH_MONEY", is_server=True)
        return
    if order.executed == 0:
        code = floor.faults.rejection(account.spec.ctid)
        if code:
            outcomes.reject(floor, account, order, code, is_server=True)
            return
    left = order.volume - order.executed
    cut = floor.faults.partial_fill(account.spec.ctid) if not order.executed else None
    part = fills.part_of(floor, account, order, cut[0]) if cut is not None else left
    fills.fill(floor, account, order, part, price)
    if cut is not None and not cut[1] and part < left:
        outcomes.withdraw(floor, account, order, CANCELLED, ORDER_CANCELLED, None, is_server=True)


def _drop_placeholder(account: Account, order: Order) -> None:
    placeholder = account.positions.get(order.position_id)
    if placeholder is not None and not placeholder.volume:
        account.positions.pop(order.position_id)


def _look_at_protection(floor: Floor, account: Account, order: Order, quote: Quote, is_tick: bool) -> None:
    position = account.positions[order.position_id]
    if order.trailing and is_tick:
        _trail(floor, account, order, position, quote)
    price = quote.ask if order.side == BUY else quote.bid
    if _stop_reached(order, quote, is_tick):
        if order.guaranteed and order.stop_price is not None:
            price = order.stop_price
    elif not _limit_reached(order, order.limit_price, quote):
        return
    position.protective_id = order.order_id
    fills.fill(floor, account, order, order.volume, price, is_server=True)


def _trail(floor: Floor, account: Account, order: Order, position: Position, quote: Quote) -> None:
    """Pull a trailing stop after the price; it never goes back. Told by its own event only
    (wire.md#stops-that-trail)."""
    if order.stop_price is None:
        return
    is_long = position.side == BUY
    price = quote.bid if is_long else quote.ask
    wanted = price - position.trail_distance if is_long else price + position.trail_distance
    wanted = max(wanted // quote.tick * quote.tick if is_long else -(-wanted // quote.tick) * quote.tick, quote.tick)
    gain = wanted - order.stop_price if is_long else order.stop_price - wanted
    if gain < max(floor.switches.trailing_step_points, 1) * quote.tick:
        return
    order.stop_price = position.sl = wanted
    order.updated_us = floor.now_us
    event = messages.ProtoOATrailingSLChangedEvent(
        ctidTraderAccountId=account.spec.ctid,
        positionId=position.position_id,
        orderId=order.order_id,
        stopPrice=units.price_out(wanted),
        utcLastUpdateTimestamp=floor.stamp.ms(floor.now_us),
    )
    floor.publish(account, TRAILING_SL_CHANGED_EVENT, event, None)
