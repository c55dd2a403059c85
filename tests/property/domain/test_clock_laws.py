"""Hours and days by the clocks of zones, against a search minute by minute that knows no arithmetic of time zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cmam.domain.guarding.days import day_of
from cmam.domain.market.sessions import next_open
from cmam.domain.profiles.hours import is_within_hours, next_outside
from cmam.domain.profiles.policy import policy_of
from cmam.domain.profiles.reading import ResetAt
from cmam.domain.values.symbols import Holiday, Interval
from tests.factories import a_spec

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
    ("America/Asuncion", datetime(2023, 10, 1, 4, tzinfo=UTC)),
    ("America/Asuncion", datetime(2024, 3, 24, 3, tzinfo=UTC)),
    ("America/Havana", datetime(2024, 11, 3, 5, tzinfo=UTC)),
    ("America/St_Johns", datetime(2010, 11, 7, 2, 31, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2025, 2, 23, 2, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2025, 4, 6, 2, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2024, 2, 29, 18, 15, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2024, 12, 31, 18, 15, tzinfo=UTC)),
)
"""Zones and when they change their clocks: some by half an hour, some at midnight, one from a minute past it back to
the day before, one for a month; the last one never, at the end of a February and of a year."""
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


NEAR = st.integers(-100, 100) | st.integers(-720, 719)
"""How far from a change of clocks something begins or ends, in minutes: most of the time so that it matters."""


@settings(max_examples=150)
@given(at=st.sampled_from(CHANGES), away=st.integers(-400, 200), starts=NEAR, ends=NEAR, days=st.sampled_from(DAYS))
@example(at=CHANGES[1], away=-46, starts=-49, ends=-66, days="all")
def test_hours_are_what_the_clock_on_the_wall_says(
    at: tuple[str, datetime], away: int, starts: int, ends: int, days: str
) -> None:
    """Inside, and the next moment outside, are those of a search through every minute, over any change of clocks: an
    hour that comes twice may end hours too, where its clock is set back to before they began."""
    zone, change = at
    moment, start, end = change + away * MINUTE, _near(zone, change, starts), _near(zone, change, ends)
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


def _trades(moment: datetime, zone: str, spans: list[tuple[int, int]], holiday: Holiday | None) -> bool:
    """A schedule and a holiday read off the clocks on two walls."""
    here = moment.astimezone(ZoneInfo(zone))
    minute = (here.isoweekday() % 7 * 24 + here.hour) * 60 + here.minute
    if not any(start <= minute < end for start, end in spans):
        return False
    if holiday is None:
        return True
    there = moment.astimezone(ZoneInfo(holiday.zone))
    is_on = there.date() == date(1970, 1, 1) + timedelta(days=holiday.date_days)
    return not is_on or there.hour * 60 + there.minute < (holiday.start_s or 0) // 60


@settings(max_examples=60)
@given(
    at=st.sampled_from(CHANGES),
    away=st.integers(-400, 200),
    opens=st.lists(NEAR, min_size=1, max_size=3),
    minutes=st.integers(1, 600),
    holiday=st.none() | st.tuples(st.sampled_from(("UTC", "Asia/Tokyo")), NEAR),
)
@example(at=CHANGES[2], away=-30, opens=[20], minutes=60, holiday=None)  # the hour of its opening is skipped
@example(at=CHANGES[3], away=-10, opens=[-90], minutes=80, holiday=None)  # set back into a session that has ended
@example(at=CHANGES[3], away=90, opens=[1], minutes=600, holiday=("Asia/Tokyo", -720))
@example(at=CHANGES[7], away=31, opens=[0], minutes=600, holiday=("UTC", 0))  # there it is still yesterday
def test_a_market_opens_when_the_clocks_on_the_walls_say(
    at: tuple[str, datetime], away: int, opens: list[int], minutes: int, holiday: tuple[str, int] | None
) -> None:
    """The next opening is that of a search through every minute: each day's sessions, and a holiday by another clock
    from some time of a day to its end."""
    zone, change = at
    moment, day = change + away * MINUTE, 24 * 60
    starts = {weekday * day + _near(zone, change, away) for weekday in range(7) for away in opens}
    spans = [(start, min(start + minutes, 7 * day)) for start in sorted(starts)]
    found = None
    if holiday is not None:
        there = change.astimezone(ZoneInfo(holiday[0]))
        number = (there.date() - date(1970, 1, 1)).days
        found = Holiday(date_days=number, zone=holiday[0], start_s=_near(holiday[0], change, holiday[1]) * 60)
    schedule = tuple(Interval(start_s=start * 60, end_s=end * 60) for start, end in spans)
    spec = a_spec(schedule=schedule, schedule_zone=zone, holidays=(found,) if found is not None else ())
    later = moment
    while not _trades(later, zone, spans, found):
        later += MINUTE
    assert next_open(spec, _us(moment)) == _us(later)


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
