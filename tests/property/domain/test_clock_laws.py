"""Hours and days by the clocks of zones, against a search minute by minute that knows no arithmetic of time zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.domain.guarding.days import day_of
from cmam.domain.profiles.hours import is_within_hours, next_outside
from cmam.domain.profiles.policy import policy_of
from cmam.domain.profiles.reading import ResetAt

MINUTE = timedelta(minutes=1)
CHANGES = (
    ("America/New_York", datetime(2024, 3, 10, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2024, 11, 3, 6, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2024, 3, 31, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2024, 10, 27, 1, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2024, 3, 30, 22, tzinfo=UTC)),
    ("Asia/Beirut", datetime(2024, 10, 26, 21, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2024, 4, 6, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2024, 10, 5, 15, 30, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2024, 10, 5, 15, 30, tzinfo=UTC)),
)
"""Zones and when they change their clocks: some by half an hour, some at midnight, the last one never."""
DAYS = ("all", "mon-fri", "sat", "sun", "sat-sun", "mon,wed")


def _us(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _is_inside(moment: datetime, zone: str, start: int, end: int, days: str) -> bool:
    """One window of a day, read off the clock on the wall; what lies after midnight belongs to the evening before."""
    here = moment.astimezone(ZoneInfo(zone))
    names = {"all": range(7), "mon-fri": range(5), "sat": (5,), "sun": (6,), "sat-sun": (5, 6), "mon,wed": (0, 2)}
    minute, today = here.hour * 60 + here.minute, here.weekday()
    if start < end:
        return start <= minute < end and today in names[days]
    return (minute >= start and today in names[days]) or (minute < end and (today - 1) % 7 in names[days])


def _near(zone: str, change: datetime, away: int) -> int:
    """A time of day near a change of clocks, as the clock before it counts on."""
    wall = (change - MINUTE).astimezone(ZoneInfo(zone)).replace(tzinfo=None) + away * MINUTE
    return wall.hour * 60 + wall.minute


@settings(max_examples=300)
@given(
    at=st.sampled_from(CHANGES),
    away=st.integers(-400, 200),
    start=st.integers(0, 1_439),
    ends=st.integers(-100, 100),
    days=st.sampled_from(DAYS),
)
def test_hours_are_what_the_clock_on_the_wall_says(
    at: tuple[str, datetime], away: int, start: int, ends: int, days: str
) -> None:
    """Inside, and the next moment outside, are those of a search through every minute, over any change of clocks."""
    zone, change = at
    moment, end = change + away * MINUTE, _near(zone, change, ends)
    if start == end:
        start = (end + 720) % 1_440
    policy = policy_of({"hours": f"{_clock(start)}-{_clock(end)} {zone}", "days": days})
    assert is_within_hours(policy, _us(moment)) is _is_inside(moment, zone, start, end, days)
    if not _is_inside(moment, zone, start, end, days):
        return
    later = moment
    while _is_inside(later, zone, start, end, days):
        later += MINUTE
    assert next_outside(policy, _us(moment)) == _us(later)


@settings(max_examples=100)
@given(at=st.sampled_from(CHANGES), away=st.integers(-400, 200), resets=st.integers(-100, 100))
def test_a_day_begins_once_when_the_clock_first_shows_its_time_or_has_passed_it(
    at: tuple[str, datetime], away: int, resets: int
) -> None:
    """Each date of the zone begins one guard's day: at the first minute of it that shows the time or a later one."""
    zone, change = at
    moment, reset = change + away * MINUTE, _near(zone, change, resets)
    began: list[datetime] = []
    now, seen = moment - 3_000 * MINUTE, set[object]()
    while now <= moment + 3_000 * MINUTE:
        here = now.astimezone(ZoneInfo(zone))
        if here.date() not in seen and here.hour * 60 + here.minute >= reset:
            seen.add(here.date())
            began.append(now)
        now += MINUTE
    first, after = day_of(ResetAt(reset, zone), _us(moment))
    assert first == _us(max(start for start in began[1:] if start <= moment))
    assert after == _us(min(start for start in began[1:] if start > moment))
