"""When a link may open: windows of the day in a zone that knows summer and winter, and when they end next."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cmam.domain.profiles.policy import Policy
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.opens import CLOCK_CHANGES, CLOCK_TURNS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
DAYS_AHEAD = 9
"""A week and the days at its ends: within them every window of a week has ended once."""


def local(at_us: int, zone: str) -> datetime:
    """A moment by the clock of a zone."""
    return (EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(zone))


def to_us(moment: datetime) -> int:
    """A moment with its zone, in us since 1970."""
    return round((moment - EPOCH) / timedelta(microseconds=1))


def is_within_hours(policy: Policy, at_us: int) -> bool:
    """Whether a moment lies inside a policy's hours and days; a window belongs to the day on which it began."""
    if not policy.hours.windows and len(policy.days) == 7:
        return True
    here = local(at_us, policy.hours.zone)
    minute, day = here.hour * 60 + here.minute, here.weekday()
    if not policy.hours.windows:
        return day in policy.days
    return any(
        window.holds(minute)
        and ((day - 1) % 7 if window.start >= window.end and minute < window.end else day) in policy.days
        for window in policy.hours.windows
    )


def instants(wall: datetime, zone: ZoneInfo) -> tuple[int, ...]:
    """The moments, in us, at which a zone's clock shows a time; the next that there is where the clock skips it."""
    early, late = (to_us(wall.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if early <= late:
        return (early,) if early == late else (early, late)
    early, late = late, early
    while late - early > 1:
        middle = (early + late) // 2
        if local(middle, zone.key).replace(tzinfo=None) < wall:
            early = middle
        else:
            late = middle
    return (late,)


def turns(first: date, days: int, zone: ZoneInfo) -> tuple[int, ...]:
    """The moments, in us, at which a zone's clock is set forward or back within so many days from the first one on."""
    found: list[int] = []
    early = to_us(datetime.combine(first, datetime.min.time(), zone)) - DAY_US
    was = local(early, zone.key).utcoffset()
    for late in range(early + DAY_US, early + (days + 2) * DAY_US + 1, DAY_US):
        if (offset := local(late, zone.key).utcoffset()) != was:
            before, after = late - DAY_US, late
            while after - before > 1:
                middle = (before + after) // 2
                before, after = (middle, after) if local(middle, zone.key).utcoffset() == was else (before, middle)
            found.append(after)
            was = offset
    return tuple(found)


def next_outside(policy: Policy, now_us: int, *, rules: int = RULES) -> int | None:
    """When the hours end that hold at `now_us`, in us; None where they never do."""
    if not policy.hours.windows and len(policy.days) == 7:
        return None
    zone = ZoneInfo(policy.hours.zone)
    today = local(now_us, policy.hours.zone).date()
    ends = {window.end for window in policy.hours.windows} | {0}
    found: list[int] = []
    if rules >= CLOCK_TURNS:
        found.extend(turns(today, DAYS_AHEAD, zone))
    for offset in range(DAYS_AHEAD):
        day = datetime.combine(today + timedelta(days=offset), datetime.min.time())
        for end in ends:
            wall = day + timedelta(minutes=end)
            found.extend(instants(wall, zone) if rules >= CLOCK_CHANGES else (to_us(wall.replace(tzinfo=zone)),))
    later = (moment for moment in sorted(found) if moment > now_us and not is_within_hours(policy, moment))
    return next(later, None)
