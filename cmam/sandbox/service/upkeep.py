"""What the broker does of itself from time to time: margin calls, stop-outs, swaps, the turn of the trading day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from cmam.sandbox import units
from cmam.sandbox.books import money
from cmam.sandbox.books.ledger import Account, Position
from cmam.sandbox.markets import periods
from cmam.sandbox.markets.hours import is_open
from cmam.sandbox.trading import margin, orders
from cmam.sandbox.trading.floor import SWAP, Floor
from cmam.sandbox.world import Symbol

MOST_LOSING_FIRST = 1
SATURDAY = 6
TRIPLE = 3
HOUR_US = 60 * units.MINUTE_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def start(floor: Floor) -> None:
    """Set the timers."""
    interval_us = max(floor.switches.stop_out_interval_ms, 1) * units.MILLISECOND_US
    floor.at(floor.now_us + interval_us, partial(_look_at_margins, floor, interval_us))
    clocks = {(s.swap_time_min, s.swap_period_h) for venue in floor.venues.values() for s in venue.symbols.values()}
    for minute, hours in sorted(clocks):
        midnight = floor.now_us // units.DAY_US * units.DAY_US
        due = midnight + minute * units.MINUTE_US
        while due <= floor.now_us:
            due += hours * HOUR_US
        floor.at(due, partial(_swap, floor, minute, hours))
    _wait_for_day(floor)


def _wait_for_day(floor: Floor) -> None:
    minute = floor.now_us // units.MINUTE_US
    begins = periods.start_of(periods.D1, periods.start_of(periods.D1, minute) + 25 * 60)
    floor.at(begins * units.MINUTE_US, partial(_turn_day, floor))


def _turn_day(floor: Floor) -> None:
    """Take the last prices of the trading day as `sessionClose` of the next."""
    for venue in floor.venues.values():
        for quote in venue.quotes.values():
            quote.session_close = quote.bid
    _wait_for_day(floor)


def _swap(floor: Floor, minute: int, hours: int) -> None:
    """Charge or pay the swap of every open position whose symbol rolls over now, and tell
    (wire.md#money-that-comes-and-goes)."""
    day = (_EPOCH + timedelta(microseconds=floor.now_us)).isoweekday()
    for account in floor.accounts.values():
        if account.spec.swap_free:
            continue
        for position in list(account.open_positions()):
            symbol = floor.symbol(account, position.symbol_id)
            nights = _nights(symbol, day)
            if (symbol.swap_time_min, symbol.swap_period_h) == (minute, hours) and nights:
                _charge(floor, account, position, symbol, nights)
    floor.at(floor.now_us + hours * HOUR_US, partial(_swap, floor, minute, hours))


def _nights(symbol: Symbol, day: int) -> int:
    """Count the nights that a rollover stands for; `day` is 1 Monday to 7 Sunday."""
    if day >= SATURDAY and not symbol.swap_at_weekends:
        return 0
    return TRIPLE if day == symbol.swap_triple_day else 1


def _charge(floor: Floor, account: Account, position: Position, symbol: Symbol, nights: int) -> None:
    rate = floor.rate(account, symbol.quote, account.spec.currency)
    price = floor.closing_price(account, position)
    digits = account.spec.money_digits
    amount = money.swap(symbol, position.side, position.volume, price, rate, nights, digits)
    if amount:
        position.swap += amount
        position.updated_us = floor.now_us
        floor.execution(account, SWAP, position=position, is_server=True)


def _look_at_margins(floor: Floor, interval_us: int) -> None:
    for account in floor.accounts.values():
        if account.positions:
            look_at_margin(floor, account)
    floor.at(floor.now_us + interval_us, partial(_look_at_margins, floor, interval_us))


def look_at_margin(floor: Floor, account: Account) -> None:
    """Ring what is due, and close positions while the margin level is at or below the stop-out level."""
    level = margin.level_percent(floor, account)
    if level is None:
        return
    margin.ring(floor, account, level)
    if level > account.spec.stop_out_percent:
        return
    candidates = [
        position
        for position in account.open_positions()
        if position.volume > position.closing and is_open(floor.symbol(account, position.symbol_id), floor.now_us)
    ]
    if candidates and not any(order.is_stop_out for order in account.orders.values()):
        _stop_out(floor, account, candidates)


def _stop_out(floor: Floor, account: Account, candidates: list[Position]) -> None:
    """Close one position, whole or in part; the next look decides whether that was enough (wire.md#stop-outs)."""
    if account.spec.stop_out_strategy == MOST_LOSING_FIRST:
        victim = min(candidates, key=lambda position: floor.unrealised(account, position)[1])
    else:
        victim = max(candidates, key=lambda position: position.used_margin)
    volume = victim.volume - victim.closing
    if not account.spec.fair_stop_out:
        volume = _part(floor, account, victim, volume)
    orders.place_close(floor, account, victim, volume, None, is_stop_out=True)


def _part(floor: Floor, account: Account, victim: Position, volume: int) -> int:
    """Find the smallest part whose margin, once released, brings the level back above the stop-out level."""
    symbol = floor.symbol(account, victim.symbol_id)
    used, equity = margin.used(account), floor.equity(account)
    allowed = equity * 100 // account.spec.stop_out_percent if account.spec.stop_out_percent and equity > 0 else 0
    excess = max(used - allowed, 0) + 1
    if not victim.used_margin or excess >= victim.used_margin:
        return volume
    wanted = -(-victim.volume * excess // victim.used_margin)
    part = max(-(-wanted // symbol.step_volume) * symbol.step_volume, symbol.min_volume)
    return part if part < volume and volume - part >= symbol.min_volume else volume
