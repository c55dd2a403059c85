"""When a symbol trades, worked out on a calendar: weeks, zones with summer time, holidays whole and in part."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from cmam.domain.market import sessions
from cmam.domain.market.sessions import is_open, next_open
from cmam.domain.values.symbols import Holiday, Interval, SymbolSpec
from tests.factories import a_spec

HOUR = 3_600
DAY = 24 * HOUR


def us(text: str) -> int:
    """A moment in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def shown(at_us: int | None) -> str:
    """A moment as a person writes it."""
    return "-" if at_us is None else datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="seconds")[:19]


def forex(*holidays: Holiday, zone: str = "America/New_York") -> SymbolSpec:
    """From Sunday 17:05 to Friday 16:55 in New York, with a break of ten minutes each day."""
    spans = [Interval(start_s=day * DAY + 17 * HOUR + 300, end_s=(day + 1) * DAY + 17 * HOUR - 300) for day in range(5)]
    return a_spec(schedule=tuple(spans), schedule_zone=zone, holidays=holidays)


def days(text: str) -> int:
    """A day as the broker counts it."""
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def test_a_symbol_without_a_schedule_is_always_open() -> None:
    """Nothing is held back for want of a table."""
    assert is_open(a_spec(), us("2024-06-08T12:00"))
    assert next_open(a_spec(), us("2024-06-08T12:00")) == us("2024-06-08T12:00")


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2024-06-05T12:00:00", "2024-06-05T12:00:00"),  # a Wednesday
        ("2024-06-05T20:54:59", "2024-06-05T20:54:59"),
        ("2024-06-05T20:55:00", "2024-06-05T21:05:00"),  # 16:55 in New York in summer
        ("2024-06-07T20:55:00", "2024-06-09T21:05:00"),  # over the weekend
        ("2024-01-10T21:55:00", "2024-01-10T22:05:00"),  # in winter
        ("2024-03-08T22:00:00", "2024-03-10T21:05:00"),  # the clock goes forward that Sunday
        ("2024-11-01T21:00:00", "2024-11-03T22:05:00"),  # and back
    ],
)
def test_the_next_opening_follows_the_clock_of_the_schedule(now: str, opens: str) -> None:
    """Sunday 17:05 in New York is 21:05 UTC in summer and 22:05 in winter."""
    assert shown(next_open(forex(), us(now))) == opens
    assert is_open(forex(), us(now)) == (now == opens)


def test_holidays_close_a_day_or_a_part_of_it_in_their_own_zone() -> None:
    """Christmas in UTC every year; on one day only from noon on in London; then from midnight on again."""
    christmas = Holiday(date_days=days("2010-12-25"), recurring=True)
    noon = Holiday(date_days=days("2024-06-05"), zone="Europe/London", start_s=12 * HOUR, end_s=18 * HOUR)
    spec = forex(christmas, noon)
    assert shown(next_open(spec, us("2024-12-25T01:00"))) == "2024-12-26T00:00:00"
    assert shown(next_open(spec, us("2025-12-25T23:59"))) == "2025-12-26T00:00:00"
    assert is_open(spec, us("2024-06-05T10:59"))
    assert shown(next_open(spec, us("2024-06-05T11:00"))) == "2024-06-05T17:00:00"
    assert shown(next_open(spec, us("2025-06-05T11:00"))) == "2025-06-05T11:00:00"


def test_an_opening_that_is_near_is_found_without_a_year_of_holidays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each copy whose close is refused out of session asks for it, and a year took 20 ms; one behind many holidays is
    found all the same."""
    asked: list[date] = []
    is_on = sessions._is_on

    def noted(holiday: Holiday, day: date) -> bool:
        asked.append(day)
        return is_on(holiday, day)

    monkeypatch.setattr(sessions, "_is_on", noted)
    one = Holiday(date_days=days("2024-06-09"), zone="Europe/London")
    assert shown(next_open(forex(one), us("2024-06-07T21:00"))) == "2024-06-09T23:00:00"
    assert max(asked) < date(2024, 7, 1)
    first, second = "2024-06-16T21:05:00", "2024-06-23T21:05:00"
    weekends = {7: first, 8: first, 14: second, 15: second}
    for count in range(6, 20):
        weeks = tuple(Holiday(date_days=days("2024-06-08") + number) for number in range(count))
        opens = weekends.get(count, f"2024-06-{8 + count:02}T00:00:00")
        assert shown(next_open(forex(*weeks), us("2024-06-07T21:00"))) == opens, count


def test_a_symbol_that_never_opens_again_has_no_opening() -> None:
    """A holiday every day of the year, or a zone that nobody knows and a schedule of nothing to come."""
    always = tuple(Holiday(date_days=days("2024-01-01") + number, recurring=True) for number in range(366))
    assert next_open(forex(*always), us("2024-06-05T12:00")) is None
    odd = forex(zone="Nowhere/At_All")
    assert shown(next_open(odd, us("2024-06-08T12:00"))) == "2024-06-09T17:05:00"
