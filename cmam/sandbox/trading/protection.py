"""Stops and targets: the one protective order of a position, how it comes, changes and goes (wire.md#levels).

A position's levels are the legs of its protective order; this is the only place that writes either.
"""

from __future__ import annotations

from cmam.sandbox import units
from cmam.sandbox.books.ledger import (
    BUY,
    CANCELLED,
    GTC,
    SELL,
    STOP_LOSS_TAKE_PROFIT,
    Account,
    Order,
    Position,
)
from cmam.sandbox.trading.floor import ORDER_ACCEPTED, ORDER_CANCELLED, ORDER_REPLACED, Floor, Refused
from cmam.sandbox.trading.venue import Quote
from cmam.sandbox.world import Symbol


def after_open(floor: Floor, account: Account, order: Order, position: Position, msg_id: str | None) -> None:
    """Protect what an order has opened, or fit an existing protection to the grown volume."""
    if order.relative_sl is not None or order.relative_tp is not None:
        sl, tp = relative_levels(position.side, position.price, order.relative_sl, order.relative_tp)
        tick = units.tick_size(floor.symbol(account, position.symbol_id).digits)
        position.sl = position.sl if sl is None else _on_tick(sl, tick)
        position.tp = position.tp if tp is None else _on_tick(tp, tick)
        position.trailing = order.trailing or position.trailing
        position.guaranteed = order.guaranteed or position.guaranteed
        _measure_trail(floor, account, position)
    if position.sl is not None or position.tp is not None:
        _write(floor, account, position, msg_id, is_server=True)


def after_reduction(floor: Floor, account: Account, position: Position, msg_id: str | None) -> None:
    """Fit the protection to a smaller volume."""
    if position.protective_id is not None:
        _write(floor, account, position, msg_id if floor.switches.server_cancels_carry_id else None, is_server=True)


def relative_levels(side: int, price: int, sl: int | None, tp: int | None) -> tuple[int | None, int | None]:
    """Turn distances in 1/100000 into levels: a buyer's stop below, his target above; a seller's mirrored."""
    way = 1 if side == BUY else -1
    return (
        None if sl is None else price - way * sl * units.PRICE_PER_WIRE,
        None if tp is None else price + way * tp * units.PRICE_PER_WIRE,
    )


def _on_tick(price: int, tick: int) -> int:
    return max(units.nearest(price, tick) * tick, tick)


def amend(
    floor: Floor,
    account: Account,
    position: Position,
    sl: int | None,
    tp: int | None,
    *,
    trailing: bool | None,
    guaranteed: bool | None,
    trigger: int | None,
    msg_id: str | None,
) -> None:
    """Replace both levels; a flag or a method that is None stays as it is. Raises Refused and then changes nothing."""
    wanted = (
        sl,
        tp,
        position.trailing if trailing is None else trailing,
        position.guaranteed if guaranteed is None else guaranteed,
        position.trigger if trigger is None else trigger,
    )
    if wanted == (position.sl, position.tp, position.trailing, position.guaranteed, position.trigger):
        raise Refused("INVALID_REQUEST", "Nothing to amend.")
    if wanted[2] and sl is None:
        raise Refused("INVALID_REQUEST", "Can't set Trailing Stop Loss parameter without specified Stop Loss")
    if wanted[3] and not position.guaranteed and sl is None:
        raise Refused("INVALID_REQUEST", "Guaranteed stop loss requires a stop loss")
    if sl is None and tp is None and position.protective_id is None:  # flags and a method, and no level they are of
        raise Refused("INVALID_REQUEST", "Nothing to amend.")
    symbol = floor.symbol(account, position.symbol_id)
    quote = floor.quote(account, position.symbol_id)
    check_levels(symbol, quote, position.side, sl, tp, is_guaranteed=wanted[3])
    _check_guarantee(symbol, position, sl, is_guaranteed=wanted[3])
    position.sl, position.tp, position.trailing, position.guaranteed, position.trigger = wanted
    _measure_trail(floor, account, position)
    position.updated_us = floor.now_us
    if sl is None and tp is None:
        cancel(floor, account, position, msg_id, is_server=False)
    else:
        _write(floor, account, position, msg_id, is_server=False)


def _check_guarantee(symbol: Symbol, position: Position, sl: int | None, *, is_guaranteed: bool) -> None:
    if is_guaranteed and not symbol.guaranteed:
        raise Refused("INVALID_REQUEST", f"Guaranteed stop loss is not available for symbol {symbol.name}")
    if not position.guaranteed:
        return
    if sl is None or not is_guaranteed:
        raise Refused("WORSE_GSL_NOT_ALLOWED", "A guaranteed stop loss cannot be removed")
    assert position.sl is not None
    if sl < position.sl if position.side == BUY else sl > position.sl:
        raise Refused("WORSE_GSL_NOT_ALLOWED", "A guaranteed stop loss cannot be moved to increase the risk")


def check_levels(
    symbol: Symbol, quote: Quote, side: int, sl: int | None, tp: int | None, *, is_guaranteed: bool = False
) -> None:
    """Refuse levels on the wrong side of the present quote or too close to it; both are looked at together."""
    name, price = ("BID", quote.bid) if side == BUY else ("ASK", quote.ask)
    word = "BUY" if side == BUY else "SELL"
    for label, level, above in (("SL", sl, side == SELL), ("TP", tp, side == BUY)):
        if level is None:
            continue
        if level < price if above else level > price:
            sign = ">=" if above else "<="
            raise Refused(
                "TRADING_BAD_STOPS",
                f"New {label} for {word} position should be {sign} current {name} price. "
                f"current {name}: {units.price_text(price, symbol.digits)}, "
                f"{label}: {units.price_text(level, symbol.digits)}",
                order_id=0,
                position_id=0,
            )
        points = symbol.tp_distance if label == "TP" else symbol.gsl_distance if is_guaranteed else symbol.sl_distance
        if points and abs(level - price) < distance(symbol, points, price):
            raise Refused(
                "PROTECTION_IS_TOO_CLOSE_TO_MARKET", f"{label} is too close to the market: at least {points} away"
            )


def distance(symbol: Symbol, points: int, price: int) -> int:
    """Turn a symbol's distance into prices: points, or 1/100 percent of the price."""
    return price * points // 10_000 if symbol.distance_in_percent else points * units.tick_size(symbol.digits)


def _measure_trail(floor: Floor, account: Account, position: Position) -> None:
    if position.trailing and position.sl is not None:
        position.trail_distance = abs(floor.closing_price(account, position) - position.sl)


def _write(floor: Floor, account: Account, position: Position, msg_id: str | None, *, is_server: bool) -> None:
    """Make the protective order say what the position says, creating it if need be, and tell."""
    venue = floor.venue_of(account)
    order = account.orders.get(position.protective_id or 0)
    kind = ORDER_REPLACED if order else ORDER_ACCEPTED
    if order is None:
        order = Order(
            order_id=venue.new_id("order"),
            position_id=position.position_id,
            symbol_id=position.symbol_id,
            kind=STOP_LOSS_TAKE_PROFIT,
            side=SELL if position.side == BUY else BUY,
            volume=position.volume,
            created_us=floor.now_us,
            updated_us=floor.now_us,
            tif=GTC,
            is_closing=True,
            label=position.label,
            comment=position.comment,
        )
        position.protective_id = order.order_id
        account.orders[order.order_id] = order
        venue.watchers[order.symbol_id][order.order_id] = account, order
    order.volume = position.volume
    order.stop_price, order.limit_price = position.sl, position.tp
    order.trailing, order.guaranteed, order.trigger = position.trailing, position.guaranteed, position.trigger
    order.updated_us = floor.now_us
    order.hits = 0
    floor.execution(account, kind, order=order, position=position, msg_id=msg_id, is_server=is_server)


def cancel(floor: Floor, account: Account, position: Position, msg_id: str | None, *, is_server: bool = True) -> None:
    """End the protective order, because its position closed or both levels were taken away."""
    order = account.orders.get(position.protective_id or 0)
    position.protective_id = None
    if order is None:
        return
    order.status = CANCELLED
    order.updated_us = order.closed_us = floor.now_us
    floor.venue_of(account).watchers[order.symbol_id].pop(order.order_id, None)
    account.archive(order, floor.switches.history_rows_max)
    floor.execution(account, ORDER_CANCELLED, order=order, position=position, msg_id=msg_id, is_server=is_server)
