"""What the broker does of itself from time to time: margin calls, stop-outs, swaps."""

from __future__ import annotations

from functools import partial

from cmam.sandbox import margin, orders, units
from cmam.sandbox.floor import Floor
from cmam.sandbox.ledger import Account, Position

MOST_LOSING_FIRST = 1


def start(floor: Floor) -> None:
    """Set the timers."""
    interval_us = max(floor.switches.stop_out_interval_ms, 1) * units.MILLISECOND_US
    floor.at(floor.now_us + interval_us, partial(_look_at_margins, floor, interval_us))


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
    candidates = [position for position in account.open_positions() if position.volume > position.closing]
    if candidates and not any(order.is_stop_out for order in account.orders.values()):
        _stop_out(floor, account, candidates)


def _stop_out(floor: Floor, account: Account, candidates: list[Position]) -> None:
    """Close one position, whole or in part; the next look decides whether that was enough (FACTS 4.4 P)."""
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
