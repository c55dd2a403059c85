"""How the store shows times, volumes, prices and money: in the forms that commands show, decimal and exact."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from cmam.domain.values.quantities import decimal_text, price_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
DIGITS = 5
"""How many digits a price is shown with where those of its symbol are not known."""
_LAST_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def iso(at_us: int | None) -> str | None:
    """A moment as ISO 8601 UTC with milliseconds; None where there is none.

    A number that no calendar can show, which a broker may have told, is shown as the calendar's first or last moment.
    """
    if not at_us:
        return None
    moment = _EPOCH + timedelta(microseconds=min(max(at_us, _FIRST_US), _LAST_US))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_ms(at_ms: int | None) -> str | None:
    """A moment in the broker's milliseconds, in the same form."""
    return iso(at_ms * 1_000) if at_ms else None


def parse_time(text: str) -> int:
    """Read a moment of ISO 8601, UTC unless it says otherwise, as microseconds; raises ValueError in a sentence."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        known = "2020-01-31, 2020-01-31T12:00:00Z, now, today or yesterday"
        raise ValueError(f"expected a time such as {known}, found {text!r}") from error
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def parse_last(text: str) -> int:
    """Read a moment that a span ends with, as its last microsecond: a day alone means all of it, and so does a
    millisecond, the least that is ever shown; raises ValueError in a sentence."""
    found = parse_time(text)
    try:
        date.fromisoformat(text.strip())
    except ValueError:
        return found + (999 if found % 1_000 == 0 else 0)
    return found + timedelta(days=1) // timedelta(microseconds=1) - 1


def price(value: int | None, digits: int = DIGITS) -> str | None:
    """A price with its symbol's digits, more where it has more; None where there is none."""
    return None if value is None else price_text(value, digits)


def money(value: int, digits: int) -> str:
    """Money of minor units as a decimal."""
    return decimal_text(value, digits)
