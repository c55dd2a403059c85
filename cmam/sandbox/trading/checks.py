"""What a trading request must satisfy before it becomes an order: rights, hours, volumes, prices, levels, margin.

Each check raises Refused with the broker's code and words, in the order in which the broker is believed to look.
Changes nothing.
"""

from __future__ import annotations

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox import units
from cmam.sandbox.books.ledger import (
    BUY,
    FOK,
    GTC,
    GTD,
    IMMEDIATE,
    IOC,
    LIMIT,
    MARKET_RANGE,
    MOO,
    SELL,
    STOP,
    STOP_LIMIT,
    Account,
    Order,
    Position,
)
from cmam.sandbox.markets import hours
from cmam.sandbox.trading import margin, protection
from cmam.sandbox.trading.floor import Floor, Refused
from cmam.sandbox.trading.venue import Quote
from cmam.sandbox.world import NETTED, AccessRights, Symbol, TradingMode

LABEL_MAX, COMMENT_MAX, CLIENT_ORDER_ID_MAX = 100, 512, 50
ORDER_WORDS = {1: "MARKET", 2: "LIMIT", 3: "STOP", 5: "MARKET_RANGE", 6: "STOP_LIMIT"}


def text(value: str | bytes, what: str, longest: int) -> str:
    """Read a text field; what is not UTF-8 arrives as bytes, and is refused like what is too long."""
    if not isinstance(value, str):
        raise Refused("INVALID_REQUEST", f"{what} is not valid UTF-8")
    if len(value) > longest:
        raise Refused("INVALID_REQUEST", f"{what} is longer than {longest} characters")
    return value


def rights(account: Account, *, opens: bool) -> None:
    """Refuse what the account may not do."""
    if account.access >= AccessRights.NO_TRADING:
        raise Refused("TRADING_NOT_ALLOWED", "Trading is not allowed for this account")
    if opens and account.access == AccessRights.CLOSE_ONLY:
        raise Refused("TRADING_NOT_ALLOWED", "Only closing of positions is allowed for this account")


def listed(floor: Floor, account: Account, symbol_id: int) -> Symbol:
    """Find a symbol that may be traded at all."""
    symbol = floor.venue_of(account).symbols.get(symbol_id)
    if symbol is None or symbol.archived:
        raise Refused("SYMBOL_NOT_FOUND", f"Symbol not found with id {symbol_id}")
    if not symbol.enabled:
        raise Refused("TRADING_DISABLED", f"Trading is disabled for symbol {symbol.name}")
    return symbol


def mode(symbol: Symbol, *, opens: bool) -> None:
    """Refuse what the symbol's trading mode forbids."""
    if symbol.mode in (TradingMode.DISABLED_WITH_PENDINGS_EXECUTION, TradingMode.DISABLED_WITHOUT_PENDINGS_EXECUTION):
        raise Refused("TRADING_DISABLED", f"Trading is disabled for symbol {symbol.name}")
    if opens and symbol.mode is TradingMode.CLOSE_ONLY_MODE:
        raise Refused("TRADING_DISABLED", f"Symbol {symbol.name} is in close only mode")


def session(floor: Floor, symbol: Symbol) -> None:
    """Refuse an execution while the market is closed."""
    if symbol.holidays and hours.is_holiday(symbol, floor.now_us):
        raise Refused("SYMBOL_HAS_HOLIDAY", f"Symbol {symbol.name} has a holiday")
    if not hours.is_in_session(symbol, floor.now_us):
        raise Refused("MARKET_CLOSED", f"Market is closed for symbol {symbol.name}")


def volume(symbol: Symbol, amount: int) -> None:
    """Refuse a volume below the minimum, above the maximum or off the step."""
    if amount <= 0:
        raise Refused(
            "TRADING_BAD_VOLUME", f"Order volume = {amount / 100:.2f} is smaller than minimum allowed volume = 0.01."
        )
    if amount < symbol.min_volume:
        raise Refused(
            "TRADING_BAD_VOLUME",
            f"Order volume {amount / 100:.2f} is smaller than group minVolume={symbol.min_volume / 100:.2f}",
        )
    if amount > symbol.max_volume:
        raise Refused(
            "TRADING_BAD_VOLUME",
            f"Order volume {amount / 100:.2f} is bigger than group maxVolume={symbol.max_volume / 100:.2f}",
        )
    if amount % symbol.step_volume:
        raise Refused(
            "TRADING_BAD_VOLUME",
            f"Order volume {amount / 100:.2f} is not a multiple of stepVolume={symbol.step_volume / 100:.2f}",
        )


def price(symbol: Symbol, value: float, what: str) -> int:
    """Read a price that must be on the symbol's grid."""
    amount = units.price_in(value)
    if amount is None:
        raise Refused("TRADING_BAD_PRICES", f"{what} = {value} is not a valid price")
    if amount % units.tick_size(symbol.digits):
        raise Refused(
            "INVALID_REQUEST",
            f"{what} = {value} has more digits than symbol allows. Allowed {symbol.digits} digits",
        )
    return amount


def relative(symbol: Symbol, distance: int, what: str) -> int:
    """Read a relative level: a positive multiple of the symbol's tick in 1/100000 (wire.md#units)."""
    if distance <= 0:
        raise Refused("TRADING_BAD_STOPS", f"{what} must be positive", order_id=0, position_id=0)
    if distance % 10 ** (5 - symbol.digits) or distance * units.PRICE_PER_WIRE >= units.PRICE_MAX:
        raise Refused("INVALID_REQUEST", f"{what} has invalid precision")
    return distance


def order_fields(
    floor: Floor, account: Account, symbol: Symbol, request: messages.ProtoOANewOrderReq, order: Order
) -> None:
    """Read what the order's type needs and refuse what it does not allow (wire.md#orders-by-type); fills in `order`."""
    kind = order.kind
    if kind not in ORDER_WORDS:
        raise Refused("INVALID_REQUEST", "Order type is not allowed in requests")
    absolute = request.HasField("stopLoss") or request.HasField("takeProfit")
    if kind in IMMEDIATE and absolute:
        raise Refused(
            "INVALID_REQUEST",
            "SL/TP in absolute values are allowed only for order types: [LIMIT, STOP, STOP_LIMIT]",
            as_error_res=floor.switches.absolute_levels_on_market == "error",
        )
    if kind in (LIMIT,):
        order.limit_price = _needed(request, "limitPrice", symbol, kind)
    if kind in (STOP, STOP_LIMIT):
        order.stop_price = _needed(request, "stopPrice", symbol, kind)
        order.trigger = request.stopTriggerMethod
    if kind == MARKET_RANGE:
        order.base_slippage = _needed(request, "baseSlippagePrice", symbol, kind)
    if kind in (MARKET_RANGE, STOP_LIMIT):
        if not request.HasField("slippageInPoints") or request.slippageInPoints < 0:
            raise Refused("INVALID_REQUEST", f"slippageInPoints is required for {ORDER_WORDS[kind]} orders")
        order.slippage_points = request.slippageInPoints
    if request.HasField("relativeStopLoss"):
        order.relative_sl = relative(symbol, request.relativeStopLoss, "Relative stop loss")
    if request.HasField("relativeTakeProfit"):
        order.relative_tp = relative(symbol, request.relativeTakeProfit, "Relative take profit")
    time_in_force(floor, request, order)
    if absolute and kind not in IMMEDIATE:
        sl = request.stopLoss if request.HasField("stopLoss") else None
        tp = request.takeProfit if request.HasField("takeProfit") else None
        absolute_levels(symbol, order, sl, tp)
    quote = floor.quote(account, symbol.id)
    flags(account, symbol, order, quote, trailing=request.trailingStopLoss, guaranteed=request.guaranteedStopLoss)


def _needed(request: messages.ProtoOANewOrderReq, field: str, symbol: Symbol, kind: int) -> int:
    if not request.HasField(field):
        raise Refused("INVALID_REQUEST", f"{field} is required for {ORDER_WORDS[kind]} orders")
    return price(symbol, getattr(request, field), f"Order {field}")


def time_in_force(floor: Floor, request: messages.ProtoOANewOrderReq, order: Order) -> None:
    """Read the time in force; immediate orders have their own, whatever was asked (wire.md#orders-by-type)."""
    if order.kind in IMMEDIATE:
        order.tif = MOO if request.HasField("timeInForce") and request.timeInForce == MOO else IOC
        return
    order.tif = request.timeInForce
    if order.tif == MOO or (order.tif in (IOC, FOK) and order.kind != LIMIT):
        raise Refused("INVALID_REQUEST", f"Time in force is not allowed for {ORDER_WORDS[order.kind]} orders")
    if order.tif == GTC and request.HasField("expirationTimestamp"):
        order.tif = GTD
    if order.tif == GTD:
        expiration(floor, order, request.expirationTimestamp if request.HasField("expirationTimestamp") else None)


def expiration(floor: Floor, order: Order, moment_ms: int | None) -> None:
    """Take over an expiration, which must lie in the future."""
    if moment_ms is None or moment_ms * 1000 <= floor.now_us:
        raise Refused("TRADING_BAD_EXPIRATION_DATE", "Expiration timestamp must be in the future")
    order.expires_ms = min(moment_ms, 2**62 // 1000)


def entry_price(symbol: Symbol, order: Order) -> int:
    """Give the price that a pending order's levels are counted from: the limit, the stop, or a stop-limit's stop."""
    found = order.limit_price if order.kind == LIMIT else order.stop_price
    assert found is not None, f"expected a price on pending order {order.order_id} of {symbol.name}"
    return found


def absolute_levels(symbol: Symbol, order: Order, sl: float | None, tp: float | None) -> None:
    """Turn absolute levels of a pending order into the distances that the broker reports (wire.md#resting-orders)."""
    entry = entry_price(symbol, order)
    way = 1 if order.side == BUY else -1
    for what, value in (("Stop loss", sl), ("Take profit", tp)):
        if value is None:
            continue
        level = price(symbol, value, what)
        gap = (entry - level) * way if what == "Stop loss" else (level - entry) * way
        if gap <= 0:
            raise Refused(
                "TRADING_BAD_STOPS", f"{what} is on the wrong side of the order's price", order_id=0, position_id=0
            )
        if what == "Stop loss":
            order.relative_sl = gap // units.PRICE_PER_WIRE
        else:
            order.relative_tp = gap // units.PRICE_PER_WIRE


def flags(account: Account, symbol: Symbol, order: Order, quote: Quote, *, trailing: bool, guaranteed: bool) -> None:
    """Read the trailing and guaranteed flags of an order, which both need a stop."""
    order.trailing, order.guaranteed = trailing, guaranteed
    if trailing and order.relative_sl is None:
        raise Refused("INVALID_REQUEST", "Can't set Trailing Stop Loss parameter without specified Stop Loss")
    if guaranteed and not symbol.guaranteed:
        raise Refused("INVALID_REQUEST", f"Guaranteed stop loss is not available for symbol {symbol.name}")
    if (guaranteed or account.spec.limited_risk) and order.relative_sl is None:
        raise Refused("INVALID_REQUEST", "Guaranteed stop loss requires a stop loss")
    if account.spec.limited_risk and not guaranteed:
        raise Refused("INVALID_REQUEST", "Stop loss must be guaranteed for accounts with limited risk")
    if guaranteed and trailing:
        raise Refused("INVALID_REQUEST", "A guaranteed stop loss cannot trail")
    _far_enough(symbol, order, quote)


def _far_enough(symbol: Symbol, order: Order, quote: Quote) -> None:
    """Refuse distances below the symbol's minimum; percentages are of the order's price, of a market order's the
    market's."""
    points = symbol.gsl_distance if order.guaranteed else symbol.sl_distance
    market = quote.ask if order.side == BUY else quote.bid
    basis = order.limit_price or order.stop_price or order.base_slippage or market
    for distance, least, what in ((order.relative_sl, points, "SL"), (order.relative_tp, symbol.tp_distance, "TP")):
        if (
            distance is not None
            and least
            and distance * units.PRICE_PER_WIRE < protection.distance(symbol, least, basis)
        ):
            raise Refused(
                "PROTECTION_IS_TOO_CLOSE_TO_MARKET", f"{what} is too close to the market: at least {least} away"
            )


def stop_side(quote: Quote, order: Order) -> None:
    """Refuse a stop that the market has already reached; it would be a market order in disguise."""
    if order.stop_price is None:
        return
    if order.side == BUY and order.stop_price <= quote.ask:
        raise Refused(
            "TRADING_BAD_PRICES", f"Stop price of a BUY order should be > current ASK {units.price_out(quote.ask)}"
        )
    if order.side == SELL and order.stop_price >= quote.bid:
        raise Refused(
            "TRADING_BAD_PRICES", f"Stop price of a SELL order should be < current BID {units.price_out(quote.bid)}"
        )


def room(floor: Floor, account: Account, symbol: Symbol, order: Order, position: Position | None) -> None:
    """Refuse what would exceed the number of positions, the exposure limit, short selling rules or the free margin.

    Volume that reduces `position` needs none of that.
    """
    added = order.volume
    if position is not None and position.side != order.side:
        added -= position.volume
        if added <= 0:
            return
    if order.side == SELL and not symbol.short_selling:
        raise Refused("SHORT_SELLING_NOT_ALLOWED", f"Short selling is not allowed for symbol {symbol.name}")
    if position is None and len(account.positions) >= account.spec.max_positions:
        raise Refused(
            "TOO_MANY_POSITIONS", f"More than {account.spec.max_positions} positions and orders are not allowed"
        )
    if symbol.max_exposure and _exposure(account, order) + added > symbol.max_exposure:
        raise Refused(
            "MAX_EXPOSURE_REACHED", f"Exposure limit of {symbol.max_exposure / 100:.2f} reached for {symbol.name}"
        )
    if order.kind in IMMEDIATE and not margin.allows(floor, account, symbol, order.side, added):
        raise Refused("NOT_ENOUGH_MONEY", "Not enough free margin")


def _exposure(account: Account, order: Order) -> int:
    return sum(p.volume for p in account.positions.values() if p.symbol_id == order.symbol_id and p.side == order.side)


def netted_position(account: Account, symbol_id: int) -> Position | None:
    """Find the one open position of a netted account in a symbol."""
    if account.spec.kind != NETTED:
        return None
    return next((p for p in account.open_positions() if p.symbol_id == symbol_id), None)
