"""When a symbol trades: weekly schedule and holidays, each in its own IANA zone (wire.md#trading-hours). Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cmam.sandbox import units
from cmam.sandbox.world import Holiday, Symbol

WEEK_S = 604_800
DAY_S = 86_400
SEARCH_DAYS = 400
"""How far ahead the next opening is looked for: more than a year of holidays."""
COARSE_MINUTES = 15
"""Step of that search; sessions shorter than that may be overlooked."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _local(moment_us: int, zone: str) -> datetime:
    return (_EPOCH + timedelta(microseconds=moment_us)).astimezone(ZoneInfo(zone))


def is_holiday(symbol: Symbol, moment_us: int) -> bool:
    """Say whether a holiday closes the symbol at that moment."""
    return any(_covers(holiday, moment_us) for holiday in symbol.holidays)


def _covers(holiday: Holiday, moment_us: int) -> bool:
    local = _local(moment_us, holiday.zone)
    day = date(1970, 1, 1) + timedelta(days=holiday.day)
    if holiday.is_recurring:
        if (local.month, local.day) != (day.month, day.day):
            return False
    elif local.date() != day:
        return False
    second = local.hour * 3600 + local.minute * 60 + local.second
    return (holiday.start_s or 0) <= second < (DAY_S if holiday.end_s is None else holiday.end_s)


def is_in_session(symbol: Symbol, moment_us: int) -> bool:
    """Say whether the weekly schedule has the symbol open, holidays aside."""
    if symbol.schedule == ((0, WEEK_S),):
        return True
    local = _local(moment_us, symbol.zone)
    second = local.isoweekday() % 7 * DAY_S + local.hour * 3600 + local.minute * 60 + local.second
    return any(start <= second < end for start, end in symbol.schedule)


def is_open(symbol: Symbol, moment_us: int) -> bool:
    """Say whether the symbol trades at that moment."""
    return is_in_session(symbol, moment_us) and not (symbol.holidays and is_holiday(symbol, moment_us))


def next_open(symbol: Symbol, moment_us: int) -> int | None:
    """Give the first whole minute, now or later, at which the symbol trades; None if there is none within a year."""
    if is_open(symbol, moment_us):
        return moment_us
    if not symbol.schedule:
        return None
    coarse = COARSE_MINUTES * units.MINUTE_US
    candidate = moment_us // coarse * coarse + coarse
    for _ in range(SEARCH_DAYS * 24 * 60 // COARSE_MINUTES):
        if is_open(symbol, candidate):
            earlier = candidate - units.MINUTE_US
            while earlier > moment_us and is_open(symbol, earlier):
                earlier -= units.MINUTE_US
            return earlier + units.MINUTE_US
        candidate += coarse
    return None
