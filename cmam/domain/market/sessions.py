"""When a symbol trades: its weekly schedule and its holidays, each by the clock of its own zone.

A symbol that tells no schedule counts as always open: nothing is held back for want of a table.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cmam.domain.profiles.hours import EPOCH, instants, to_us, turns
from cmam.domain.values.rules.closes import OPENS_AS_TURNED
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.symbols import Holiday, SymbolSpec

DAY_S = 86_400
SEARCHED_DAYS = 370
"""How far ahead an opening is looked for: more than a year of holidays."""
WEEK_DAYS = 9
"""How far without holidays: a week and the days at its ends."""
NEAR_DAYS = 12
"""How far, with some, it is looked for first: nearly all are nearer, and each copy asks whose close is refused out of
session."""
ZONES_DAYS = 3
"""More than the days of two zones lie apart: what begins so much nearer begins before all that lies behind."""


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    """A zone by its name; one that nobody knows is taken for UTC."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _local(at_us: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + timedelta(microseconds=at_us)).astimezone(zone)


def _second(moment: datetime) -> int:
    return moment.hour * 3_600 + moment.minute * 60 + moment.second


def is_open(spec: SymbolSpec, at_us: int) -> bool:
    """Whether a symbol trades at a moment by its schedule and its holidays."""
    return _is_in_session(spec, at_us) and not any(_covers(holiday, at_us) for holiday in spec.holidays)


def _is_in_session(spec: SymbolSpec, at_us: int) -> bool:
    if not spec.schedule:
        return True
    local = _local(at_us, _zone(spec.schedule_zone))
    second = local.isoweekday() % 7 * DAY_S + _second(local)
    return any(span.start_s <= second < span.end_s for span in spec.schedule)


def _covers(holiday: Holiday, at_us: int) -> bool:
    local = _local(at_us, _zone(holiday.zone))
    if not _is_on(holiday, local.date()):
        return False
    return (holiday.start_s or 0) <= _second(local) < (DAY_S if holiday.end_s is None else holiday.end_s)


def _is_on(holiday: Holiday, day: date) -> bool:
    told = date(1970, 1, 1) + timedelta(days=holiday.date_days)
    return (day.month, day.day) == (told.month, told.day) if holiday.recurring else day == told


def next_open(spec: SymbolSpec, at_us: int, *, rules: int = RULES) -> int | None:
    """The first moment, now or later, at which a symbol trades, in us; None where there is none within a year."""
    if is_open(spec, at_us):
        return at_us
    if not spec.holidays:
        return _first_open(spec, at_us, rules, WEEK_DAYS)
    near = _first_open(spec, at_us, rules, NEAR_DAYS)
    is_first = near is not None and near < at_us + (NEAR_DAYS - ZONES_DAYS) * DAY_S * 1_000_000
    return near if is_first else _first_open(spec, at_us, rules, SEARCHED_DAYS)


def _first_open(spec: SymbolSpec, at_us: int, rules: int, days: int) -> int | None:
    return next((moment for moment in _openings(spec, at_us, rules, days) if is_open(spec, moment)), None)


def _openings(spec: SymbolSpec, at_us: int, rules: int, days: int) -> list[int]:
    """The moments within so many days at which a symbol may begin to trade: starts of its sessions, ends of its
    holidays, and the turns of the clocks that both go by."""
    zone = _zone(spec.schedule_zone)
    today = _local(at_us, zone).date()
    found: set[int] = set()
    first = -1 if rules >= OPENS_AS_TURNED else 0  # where yesterday's holiday goes by a clock that is behind
    if rules >= OPENS_AS_TURNED:
        for name in {spec.schedule_zone, *(holiday.zone for holiday in spec.holidays)}:
            found.update(turns(today + timedelta(days=first), days, _zone(name)))
    for offset in range(first, days):
        day = today + timedelta(days=offset)
        first_s = day.isoweekday() % 7 * DAY_S
        for span in spec.schedule:
            if first_s <= span.start_s < first_s + DAY_S:
                found.update(_at(day, span.start_s - first_s, zone, rules))
        for holiday in spec.holidays:
            if _is_on(holiday, day):
                end_s = DAY_S if holiday.end_s is None else holiday.end_s
                found.update(_at(day, end_s, _zone(holiday.zone), rules))
    return sorted(moment for moment in found if moment > at_us)


def _at(day: date, second: int, zone: ZoneInfo, rules: int) -> tuple[int, ...]:
    """The moments of a second of a day, by the clock on the wall there."""
    wall = datetime.combine(day, datetime.min.time()) + timedelta(seconds=second)
    return instants(wall, zone) if rules >= OPENS_AS_TURNED else (to_us(wall.replace(tzinfo=zone)),)
