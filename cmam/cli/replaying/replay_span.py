"""From where to where in the log a replay goes, and the sentence for a span that cannot be.

A place is a position or a moment. What begins just after the last record is no mistake: so asks who has read all of the
log and wants to know what came since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cmam.cli.auditing.audit_options import last_moment, moment

if TYPE_CHECKING:
    from cmam.store.logfile.log import EventLog

POSITION_DIGITS_MAX = 18
"""A number of more digits is beyond every log, whatever it is."""


def place(text: str | None) -> tuple[int | None, int | None]:
    """A position in the log, or a moment in us."""
    if text is None:
        return None, None
    if not text.isdecimal():
        try:
            return None, moment(text)
        except click.UsageError:
            raise click.UsageError(
                f"expected a position of the log, or a time such as 2020-01-31T12:00:00Z, found {text!r}."
            ) from None
    return (int(text) if len(text) <= POSITION_DIGITS_MAX else 10**POSITION_DIGITS_MAX), None


def end_place(text: str | None) -> tuple[int | None, int | None]:
    """Where a span ends: as a place, but a day or a millisecond that is given means all of it."""
    position, at_us = place(text)
    return position, last_moment(text) if at_us is not None else None


def refuse_impossible(log: EventLog, start: str | None, end: str | None) -> None:
    """Raise a usage error for a beginning after the log's end, an end before its first record, and the two in the wrong
    order; of a moment and a position, where the record there proves it."""
    first, first_us = place(start)
    last, last_us = end_place(end)
    head = log.position()
    if first is not None and first > head + 1:
        raise click.UsageError(
            f"expected --from with a position up to {head}, where the log ends, found {start}. A moment is written as "
            "2026-01-31 or 2026-01-31T12:00:00Z."
        )
    if last == 0:
        raise click.UsageError(f"expected --until with a position from 1 to {head}, found 0.")
    is_turned = (first is not None and last is not None and first > last) or (
        first_us is not None and last_us is not None and first_us > last_us
    )
    if is_turned:
        raise click.UsageError(f"--from must be before --until; {start} is after {end}.")
    if first is not None and last_us is not None and (at := _moment_of(log, first)) is not None and at > last_us:
        raise click.UsageError(f"--from must be before --until; position {first} ({_iso(at)}) is after {end}.")


def refuse_turned(log: EventLog, start: str | None, end: str | None) -> None:
    """Raise a usage error where no record up to the position of an end is as late as the moment of a beginning; to be
    asked once that is seen, for moments of a log need not ascend."""
    last, _ = place(end)
    if last is not None and place(start)[1] is not None and last < log.position():
        at = _moment_of(log, last)
        raise click.UsageError(f"--from must be before --until; {start} is after position {last} ({_iso(at)}).")


def extent(log: EventLog) -> str:
    """Where the log begins and ends, in words."""
    found = log.page_of_raw(0, 1)
    if not found:
        return "the log is empty"
    first, head = found[0].position, log.position()
    begins = f"position {first}, {_iso(log.moment_of(found[0]))}"
    return f"the log begins at {begins}, and ends at position {head}, {_iso(_moment_of(log, head))}"


def _moment_of(log: EventLog, position: int) -> int | None:
    """When the record at a position was made; None where there is none."""
    found = log.page_of_raw(position - 1, 1)
    return log.moment_of(found[0]) if found and found[0].position == position else None


def _iso(at_us: int | None) -> str:
    from cmam.store.text import iso

    return iso(at_us) or ""
