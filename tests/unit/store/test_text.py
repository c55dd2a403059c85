"""How what is on record is written for people and programs."""

from __future__ import annotations

import pytest

from cmam.store.text import iso, iso_ms


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
