"""How what is on record is written for people and programs."""

from __future__ import annotations

import pytest

from cmam.store.text import iso, iso_ms, parse_last, parse_time


@pytest.mark.parametrize(
    ("at_us", "shown"),
    [
        (None, None),
        (0, None),
        (1_767_614_400_123_456, "2026-01-05T12:00:00.123Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (10**24, "9999-12-31T23:59:59.999Z"),
        (-(10**24), "0001-01-01T00:00:00.000Z"),
    ],
)
def test_every_number_is_shown_as_a_moment(at_us: int | None, shown: str | None) -> None:
    """What a broker told and no calendar shows stands on record for ever, and must not end every audit."""
    assert iso(at_us) == shown


def test_a_brokers_milliseconds_are_shown_in_the_same_form() -> None:
    """The largest number of the wire among them."""
    assert iso_ms(1_767_614_400_123) == "2026-01-05T12:00:00.123Z"
    assert iso_ms(2**63 - 1) == "9999-12-31T23:59:59.999Z"
    assert iso_ms(None) is None


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("2026-03-05", "2026-03-05T23:59:59.999999Z"),
        (" 2026-03-05 ", "2026-03-05T23:59:59.999999Z"),
        ("9999-12-31", "9999-12-31T23:59:59.999999Z"),
        ("2026-03-05T00:00", "2026-03-05T00:00:00.000999Z"),
        ("2026-03-05T14:32:07.020Z", "2026-03-05T14:32:07.020999Z"),
        ("2026-03-05T14:32:07.020123Z", "2026-03-05T14:32:07.020123Z"),
        ("2026-03-29T02:30+02:00", "2026-03-29T00:30:00.000999Z"),
    ],
)
def test_the_end_of_a_span_is_all_of_what_was_named(text: str, last: str) -> None:
    """A day to its last instant, a millisecond to its last microsecond; what is finer is meant as it is."""
    assert parse_last(text) == parse_time(last)
