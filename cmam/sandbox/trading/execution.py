"""Executing what was accepted: at once or a moment later, against the best quote or the levels of the book.

The book is the symbol's `depth`: each further level is one tick worse. Without one the best quote holds any volume.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from cmam.sandbox import units
from cmam.sandbox.books.ledger import BUY, CANCELLED, FOK, IOC, LIMIT, MARKET_RANGE, MOO, Account, Order, Position
from cmam.sandbox.markets import hours
from cmam.sandbox.trading import fills, margin, outcomes, triggers
from cmam.sandbox.trading.checks import netted_position
from cmam.sandbox.trading.floor import ORDER_CANCELLED, Floor
from cmam.sandbox.trading.venue import Quote


def schedule(floor: Floor, account: Account, order: Order) -> None:
    """Let an accepted order be executed when the delay between acceptance and fill is over."""
    order.is_under_way = True
    due = floor.now_us + floor.switches.fill_delay_ms * units.MILLISECOND_US
    if due <= floor.now_us:
        run(floor, account, order)
    else:
        floor.at(due, partial(run, floor, account, order))


def run(floor: Floor, account: Account, order: Order) -> None:
    """Execute an accepted order as far as price, book and money allow."""
    if order.order_id not in account.orders:
        return
    if not _is_open(floor, account, order):
        return
    code = None if order.executed else floor.faults.rejection(account.spec.ctid)
    if code:
        outcomes.reject(floor, account, order, code)
        return
    position = _settle_target(account, order)
    if order.is_closing and (position is None or not position.volume):
        outcomes.reject(floor, account, order, "POSITION_NOT_OPEN")
        return
    if position is not None and order.is_closing:
        order.volume = min(order.volume, position.volume + order.executed)
    elif not _can_pay(floor, account, order, position):
        outcomes.reject(floor, account, order, "NOT_ENOUGH_MONEY")
        return
    _take(floor, account, order)


def _is_open(floor: Floor, account: Account, order: Order) -> bool:
    """Look at the hours again: a session may have ended since the order was accepted; a market-on-open order waits."""
    symbol = floor.symbol(account, order.symbol_id)
    if hours.is_open(symbol, floor.now_us):
        return True
    opens_us = hours.next_open(symbol, floor.now_us) if order.tif == MOO else None
    if opens_us is None:
        outcomes.reject(floor, account, order, "MARKET_CLOSED")
    else:
        floor.at(opens_us, partial(run, floor, account, order))
    return False


def _settle_target(account: Account, order: Order) -> Position | None:
    """Find the position as it is now; on a netted account others may have opened, closed or turned it meanwhile."""
    position = account.positions.get(order.position_id)
    netted = netted_position(account, order.symbol_id)
    if netted is not None and position is not netted and not order.is_closing:
        if position is not None and not position.volume:
            account.positions.pop(position.position_id)
        order.position_id = netted.position_id
        return netted
    return position if order.is_closing else account.position_of(order)


def _can_pay(floor: Floor, account: Account, order: Order, position: Position | None) -> bool:
    volume = order.volume - order.executed
    if position is not None and position.volume and position.side != order.side:
        volume -= position.volume
    symbol = floor.symbol(account, order.symbol_id)
    return volume <= 0 or margin.allows(floor, account, symbol, order.side, volume)


def book(quote: Quote, side: int) -> Iterator[tuple[int, int | None]]:
    """Give the levels that an order of `side` would meet, best first: price and volume (None: any)."""
    price = quote.ask if side == BUY else quote.bid
    if not quote.symbol.depth:
        yield price, None
    for level, volume in enumerate(quote.symbol.depth):
        yield max(price + level * quote.tick * (1 if side == BUY else -1), quote.tick), volume


def worst_price(quote: Quote, order: Order) -> int | None:
    """Give the worst price an order accepts; None for any."""
    if order.kind == LIMIT:
        return order.limit_price
    if order.kind == MARKET_RANGE and order.base_slippage is not None:
        room = (order.slippage_points or 0) * quote.tick
        return order.base_slippage + (room if order.side == BUY else -room)
    return None


def _is_acceptable(order: Order, price: int, worst: int | None) -> bool:
    return worst is None or (price <= worst if order.side == BUY else price >= worst)


def plan(quote: Quote, order: Order) -> list[tuple[int, int]]:
    """Split what is left of an order over the book: (price, volume) for each deal; less than asked if the book ends."""
    left, worst = order.volume - order.executed, worst_price(quote, order)
    parts = []
    for price, volume in book(quote, order.side):
        if not left or not _is_acceptable(order, price, worst):
            break
        taken = left if volume is None else min(left, volume)
        parts.append((price, taken))
        left -= taken
    return parts


def _take(floor: Floor, account: Account, order: Order) -> None:
    parts = plan(floor.quote(account, order.symbol_id), order)
    wanted = order.volume - order.executed
    found = sum(volume for _, volume in parts)
    if order.tif == FOK and found < wanted:
        parts = []
    cut = floor.faults.partial_fill(account.spec.ctid)
    if parts and cut is not None and not order.executed:
        permille, is_completed = cut
        parts, more = _cut(floor, account, order, parts, permille)
        if more and is_completed:
            _fill(floor, account, order, parts)
            floor.at(
                floor.now_us + floor.switches.fill_delay_ms * units.MILLISECOND_US + 1,
                partial(run, floor, account, order),
            )
            return
    _fill(floor, account, order, parts)
    if order.order_id in account.orders:
        _give_up(floor, account, order)


def _cut(
    floor: Floor, account: Account, order: Order, parts: list[tuple[int, int]], permille: int
) -> tuple[list[tuple[int, int]], bool]:
    """Keep only a fraction of a fill, on the symbol's step; the order keeps wanting the rest."""
    whole = fills.part_of(floor, account, order, permille)
    if whole == order.volume:
        return parts, False
    kept, left = [], whole
    for price, volume in parts:
        if left:
            kept.append((price, min(volume, left)))
            left -= min(volume, left)
    return kept, True


def _fill(floor: Floor, account: Account, order: Order, parts: list[tuple[int, int]]) -> None:
    for price, volume in parts:
        if order.order_id in account.orders:
            fills.fill(floor, account, order, volume, price, is_server=order.is_stop_out)


def _give_up(floor: Floor, account: Account, order: Order) -> None:
    """Decide about what could not be executed: a limit order rests, anything else is cancelled."""
    if order.kind == LIMIT and order.tif not in (IOC, FOK):
        triggers.rest(floor, account, order)
    elif order.kind == MARKET_RANGE and not order.executed and floor.switches.market_range_outside == "rejected":
        outcomes.reject(floor, account, order, "NO_QUOTES")
    else:
        outcomes.withdraw(floor, account, order, CANCELLED, ORDER_CANCELLED, order.msg_id)
