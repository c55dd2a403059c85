"""Executions: what one fill does to order, position, money and margin, and the events that tell of it (wire.md#opens).

A fill on the position's own side opens or adds; on the other side it reduces, closes, or (netted) reverses. Decides
nothing about whether or at which price; that is `orders.py` and `triggers.py`.
"""

from __future__ import annotations

from cmam.sandbox import units
from cmam.sandbox.books import money
from cmam.sandbox.books.ledger import (
    CLOSED,
    CREATED,
    DEAL_FILLED,
    DEAL_PARTIALLY_FILLED,
    FILLED,
    OPEN,
    STOP_LOSS_TAKE_PROFIT,
    Account,
    Deal,
    Order,
    Position,
    trim,
)
from cmam.sandbox.trading import protection
from cmam.sandbox.trading.floor import ORDER_FILLED, ORDER_PARTIAL_FILL, Floor


def fill(floor: Floor, account: Account, order: Order, volume: int, price: int, *, is_server: bool = False) -> None:
    """Execute `volume` of `order` at `price`, with every event that follows from it."""
    position = account.positions[order.position_id]
    if order.side == position.side or not position.volume:
        _open(floor, account, order, position, volume, price, is_server)
        return
    closing = min(volume, position.volume)
    _close(floor, account, order, position, closing, price, is_server)
    if volume > closing:
        _reverse(floor, account, order, position, volume - closing, price, is_server)


def part_of(floor: Floor, account: Account, order: Order, permille: int) -> int:
    """So many thousandths of an order on its symbol's step; all of it where that is nothing."""
    step = floor.symbol(account, order.symbol_id).step_volume
    part = order.volume * permille // 1000 // step * step
    return part if 0 < part < order.volume else order.volume


def _reverse(
    floor: Floor, account: Account, order: Order, old: Position, volume: int, price: int, is_server: bool
) -> None:
    """Open what is left of an order that closed a netted position, on the other side."""
    keeps_id = floor.switches.netted_reversal == "same_position"
    number = old.position_id if keeps_id else floor.venue_of(account).new_id("position")
    position = Position(number, order.symbol_id, order.side, label=order.label, comment=order.comment)
    account.positions[number] = position
    order.position_id = number
    _open(floor, account, order, position, volume, price, is_server)


def _book_execution(floor: Floor, order: Order, volume: int, price: int) -> None:
    order.executed += volume
    order.cost += volume * price
    order.updated_us = floor.now_us
    if order.executed >= order.volume:
        order.status = FILLED
        order.closed_us = floor.now_us


def _deal(floor: Floor, account: Account, order: Order, position: Position, volume: int, price: int) -> Deal:
    symbol = floor.symbol(account, order.symbol_id)
    deal = Deal(
        deal_id=floor.venue_of(account).new_id("deal"),
        order_id=order.order_id,
        position_id=position.position_id,
        symbol_id=order.symbol_id,
        side=order.side,
        volume=order.volume,
        filled=volume,
        price=price,
        created_us=order.created_us,
        executed_us=floor.now_us,
        status=DEAL_FILLED if order.executed >= order.volume else DEAL_PARTIALLY_FILLED,
        commission=floor.commission(account, symbol, volume, price),
        base_to_usd=floor.rate(account, symbol.base, "USD"),
    )
    account.deals[deal.deal_id] = deal
    trim(account.deals, floor.switches.history_rows_max)
    return deal


def _finish(floor: Floor, account: Account, order: Order) -> None:
    if order.status == FILLED:
        floor.venue_of(account).watchers[order.symbol_id].pop(order.order_id, None)
        account.archive(order, floor.switches.history_rows_max)


def _open(
    floor: Floor, account: Account, order: Order, position: Position, volume: int, price: int, is_server: bool
) -> None:
    symbol = floor.symbol(account, order.symbol_id)
    msg_id = order.msg_id
    _book_execution(floor, order, volume, price)
    deal = _deal(floor, account, order, position, volume, price)
    rate = floor.rate(account, symbol.base, account.spec.currency)
    total = position.volume + volume
    position.margin_rate = units.nearest(position.margin_rate * position.volume + rate * volume, total)
    position.price = units.nearest(position.price * position.volume + price * volume, total)
    is_new = position.volume == 0
    position.volume = total
    position.status = OPEN
    position.commission += deal.commission
    position.used_margin = floor.margin(account, symbol, total, position.margin_rate)
    position.lots.append([deal.deal_id, volume])
    if is_new:
        position.opened_us = floor.now_us
    position.updated_us = floor.now_us
    deal.margin_rate = rate
    kind = ORDER_FILLED if order.status == FILLED else ORDER_PARTIAL_FILL
    floor.execution(account, kind, order=order, position=position, deal=deal, msg_id=msg_id, is_server=is_server)
    _finish(floor, account, order)
    protection.after_open(floor, account, order, position, msg_id)


def _close(
    floor: Floor, account: Account, order: Order, position: Position, volume: int, price: int, is_server: bool
) -> None:
    msg_id = order.msg_id
    _book_execution(floor, order, volume, price)
    deal = _deal(floor, account, order, position, volume, price)
    _realise(floor, account, position, deal)
    if order.is_closing and order.kind != STOP_LOSS_TAKE_PROFIT:
        position.closing -= volume
    position.closing = max(0, min(position.closing, position.volume))
    position.updated_us = floor.now_us
    kind = ORDER_FILLED if order.status == FILLED else ORDER_PARTIAL_FILL
    if position.volume:
        floor.execution(account, kind, order=order, position=position, deal=deal, msg_id=msg_id, is_server=is_server)
        _finish(floor, account, order)
        protection.after_reduction(floor, account, position, msg_id)
        return
    # Recorded: while its protective order still lives, a position that was closed shows as CREATED (wire.md#closes).
    waits = position.protective_id is not None and position.protective_id != order.order_id
    position.closed_us = floor.now_us
    position.status = CREATED if waits else CLOSED
    floor.execution(account, kind, order=order, position=position, deal=deal, msg_id=msg_id, is_server=is_server)
    _finish(floor, account, order)
    position.status = CLOSED
    if waits:
        protection.cancel(floor, account, position, msg_id if floor.switches.server_cancels_carry_id else None)
    account.positions.pop(position.position_id, None)


def _realise(floor: Floor, account: Account, position: Position, deal: Deal) -> None:
    """Book a closing deal: profit, the closed part's swap and opening commission, its own commission and the fee."""
    symbol = floor.symbol(account, position.symbol_id)
    volume, total = deal.filled, position.volume
    rate = floor.rate(account, symbol.quote, account.spec.currency)
    deal.is_closing = True
    deal.entry_price = position.price
    deal.quote_to_deposit = rate
    deal.margin_rate = position.margin_rate
    deal.gross = money.gross_profit(position.side, position.price, deal.price, volume, rate, account.spec.money_digits)
    deal.fee = money.conversion_fee(deal.gross, symbol, account.spec.currency)
    opening = money.share(position.commission, volume, total)
    deal.total_commission = opening + deal.commission
    deal.swap = money.share(position.swap, volume, total)
    position.commission -= opening
    position.swap -= deal.swap
    position.volume = total - volume
    position.used_margin = (
        floor.margin(account, symbol, position.volume, position.margin_rate) if position.volume else 0
    )
    _offset(floor, account, position, deal)
    account.book(deal.net, floor.now_us)
    account.last_closing_us = floor.now_us
    deal.balance = account.balance
    deal.balance_version = account.balance_version


def _offset(floor: Floor, account: Account, position: Position, deal: Deal) -> None:
    """Pair a closing deal with the oldest open parts."""
    left = deal.filled
    while left and position.lots:
        lot = position.lots[0]
        taken = min(left, lot[1])
        account.offsets.append([lot[0], deal.deal_id, taken])
        lot[1] -= taken
        left -= taken
        if not lot[1]:
            position.lots.pop(0)
    del account.offsets[: -floor.switches.history_rows_max]
