"""Where bars begin (wire.md#bars-and-ticks): up to an hour on the clock, longer ones from 17:00 in New York. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

M1, H1, H4, H12, D1, W1, MN1 = 1, 9, 10, 11, 12, 13, 14
CLOCK = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 10, 7: 15, 8: 30, 9: 60}
"""Periods in minutes that divide an hour."""
DAILY = {10: 240, 11: 720, 12: 1440}
"""Periods in minutes that divide a trading day."""
ROLL_MIN = 17 * 60
"""When the trading day turns, in New York."""
_NEW_YORK = ZoneInfo("America/New_York")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SUNDAY = 3
"""The first Sunday after 1970-01-01, a Thursday, in days."""


@lru_cache(maxsize=4096)
def _offset(hour: int) -> int:
    local = (_EPOCH + timedelta(hours=hour)).astimezone(_NEW_YORK)
    offset = local.utcoffset()
    assert offset is not None
    return int(offset.total_seconds()) // 60


def start_of(period: int, minute: int) -> int:
    """Give the minute in which the bar opened that holds `minute`."""
    if period in CLOCK:
        return minute - minute % CLOCK[period]
    shift = _offset(minute // 60) - ROLL_MIN
    local = minute + shift
    if period in DAILY:
        return local - local % DAILY[period] - shift
    day = local // 1440
    if period == W1:
        return ((day - _SUNDAY) // 7 * 7 + _SUNDAY) * 1440 - shift
    return _month_start(day) * 1440 - shift


def end_of(period: int, minute: int) -> int:
    """Give a minute that is not before the last one of the bar that holds `minute`."""
    longest = CLOCK.get(period) or DAILY.get(period) or (7 * 1440 if period == W1 else 31 * 1440)
    return start_of(period, minute) + longest + 60


def _month_start(day: int) -> int:
    """Give the day whose 17:00 begins the trading month: the eve of its first calendar day."""
    date = _EPOCH.date() + timedelta(days=day + 1)
    return (date.replace(day=1) - _EPOCH.date()).days - 1
