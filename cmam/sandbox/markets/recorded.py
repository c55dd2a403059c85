"""Recorded ticks: read from a CSV, kept in columns, so that millions of rows fit into memory."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import NamedTuple

from cmam.sandbox import units
from cmam.sandbox.tables import delimiter_of

COLUMNS = ("time", "symbol", "bid", "ask")

MILLISECOND_DIGITS_MIN = 12
"""A bare number of so many digits counts milliseconds; fewer may be a date without its hyphens."""
MILLISECONDS = range(315_532_800_000, 10_000_000_000_000)
"""From 1980 to thirteen digits: 202001011700 and 20200101170000 are dates run together, and none of these."""

LATE_US_MAX = 60 * units.SECOND_US
"""How late a tick may come: feeds deliver a few out of order; a file that runs backwards would be over at once."""


class TickFileError(ValueError):
    """A file of ticks that cannot be played: which line, what was expected."""


class RecordedTick(NamedTuple):
    """One row of a tick file; bid and ask as prices."""

    at_us: int
    bid: int
    ask: int


def _column() -> array[int]:
    return array("q")


@dataclass(frozen=True, slots=True)
class Recording:
    """The ticks of one symbol in the order of their rows: 24 bytes a tick."""

    at_us: array[int] = field(default_factory=_column)
    bid: array[int] = field(default_factory=_column)
    ask: array[int] = field(default_factory=_column)

    def add(self, at_us: int, bid: int, ask: int) -> None:
        """Take one more tick."""
        self.at_us.append(at_us)
        self.bid.append(bid)
        self.ask.append(ask)

    def __iter__(self) -> Iterator[RecordedTick]:
        return map(RecordedTick, self.at_us, self.bid, self.ask)


Recordings = dict[str, Recording]
"""By symbol."""


def read_ticks(lines: Iterable[str], name: str = "ticks", into: Recordings | None = None) -> Recordings:
    """Read a CSV of `time,symbol,bid,ask` line by line, behind what `into` holds; gives it.

    Recordings have a crossed quote now and then, which counts as one without a spread; where a symbol begins with one,
    the two columns have the wrong names. Raises TickFileError naming the line.
    """
    recordings: Recordings = {} if into is None else into
    lines = iter(lines)
    first = next(lines, "")
    delimiter = delimiter_of(first, COLUMNS)
    if delimiter != ",":  # a comma in a price is then a decimal comma; times may have one, too
        lines = (line.replace(",", ".") for line in lines)
    reader = csv.reader(chain((first,), lines), skipinitialspace=True, delimiter=delimiter)
    try:
        head = next(reader, [])
        places = {column.strip().lower(): place for place, column in enumerate(head)}
        missing = set(COLUMNS) - set(places)
        if missing:
            raise TickFileError(
                f"{name}: expected the columns time, symbol, bid, ask; {', '.join(sorted(missing))} not found"
            )
        _read_rows(reader, name, len(head), tuple(places[column] for column in COLUMNS), recordings)
    except csv.Error as fault:
        raise TickFileError(f"{name}, line {reader.line_num}: expected a row of a CSV ({fault})") from None
    return recordings


def _read_rows(
    reader: Iterator[list[str]], name: str, width: int, places: tuple[int, ...], recordings: Recordings
) -> None:
    at, symbol, bids, asks = places
    needed = max(places) + 1
    latest = {feed: recording.at_us[-1] for feed, recording in recordings.items()}
    is_empty = True
    for row in reader:
        if not row:
            continue
        if not needed <= len(row) <= width:  # a decimal comma makes two fields of one price
            found = "more" if len(row) > width else "fewer"
            raise _fault(reader, name, f"expected as many fields as columns, found {found}")
        try:
            at_us = _moment(row[at])
            bid, ask = units.price_in(float(row[bids])), units.price_in(float(row[asks]))
        except ValueError as fault:
            words = "expected a time such as 2026-01-31T12:00:00.250Z or milliseconds since 1970, and two prices"
            raise _fault(reader, name, f"{words} ({fault})") from None
        feed = row[symbol]
        recording = recordings.get(feed)
        if bid is None or ask is None or (bid > ask and recording is None):
            raise _fault(reader, name, f"expected 0 < bid <= ask, found {row[bids]} and {row[asks]}")
        newest = latest.get(feed, at_us)
        if at_us < newest - LATE_US_MAX:
            words = "expected times that go on, a tick a minute late at most"
            raise _fault(reader, name, f"{words}; found {row[at]} behind a tick of {feed} that is newer")
        latest[feed] = max(newest, at_us)
        if recording is None:
            recording = recordings[feed] = Recording()
        recording.add(at_us, bid, max(bid, ask))
        is_empty = False
    if is_empty:
        raise TickFileError(f"{name}: expected at least one tick after the columns, found none")


def _fault(reader: Iterator[list[str]], name: str, words: str) -> TickFileError:
    return TickFileError(f"{name}, line {reader.line_num}: {words}")  # type: ignore[attr-defined]  # csv's own type


def _moment(text: str) -> int:
    """Read a time in us: ISO 8601, UTC unless it says otherwise, or milliseconds since 1970 as terminals export it."""
    if text.isascii() and text.isdigit() and len(text) >= MILLISECOND_DIGITS_MIN:
        return _milliseconds(text) * units.SECOND_US // 1_000
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * units.SECOND_US)


def _milliseconds(text: str) -> int:
    if int(text) not in MILLISECONDS:
        raise ValueError(
            f"{text[:20]} is a bare number: as milliseconds it is not of the years 1980 to 2286, "
            "and a date needs its hyphens"
        )
    return int(text)
