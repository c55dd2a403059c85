"""Reading the log: pages of rows, rows as facts, one cut through all its streams.

A log may lie in several files, the older ones closed; whoever reads it sees one. It knows neither the clock nor what an
event means, and changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import msgspec

from cmam.store.errors import StoreBroken
from cmam.store.logfile import statements as sql
from cmam.store.logfile.database import STORE_FAULTS, TABLE, explain
from cmam.store.logfile.log_recorder import LogDatastore, LogRecorder
from cmam.store.records.envelope import Decoding, Fact, Raw, Recorded, envelope_of, fact_of

PAGE = 500
"""Rows read at a time: few transactions, little memory."""
PAGE_OF_SOME = 4_000
"""Rows of some streams read at a time: each page tells SQLite all their names again."""


class LogReader:
    """One store's log as it is read. One thread at a time."""

    def __init__(self, recorder: LogRecorder, path: Path | None) -> None:
        self._recorder = recorder
        self._path = path
        self._decoding = Decoding()
        self._older: tuple[Self, ...] = ()

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection, for reading."""
        datastore = self._recorder.datastore
        assert isinstance(datastore, LogDatastore)
        return datastore.raw

    @property
    def parts(self) -> tuple[Self, ...]:
        """The files of this log, the oldest first, this one last."""
        return (*self._older, self)

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self._path if self._path is not None else Path(":memory:")

    def position(self) -> int:
        """The position of the last record; 0 in an empty log."""
        try:
            (found,) = self.connection.execute(f"SELECT max(rowid) FROM {TABLE}").fetchone()
        except STORE_FAULTS as error:
            raise explain(error, self.path) from error
        return found or (self._older[-1].position() if self._older else 0)

    def read(self, after_position: int = 0, limit: int = PAGE) -> list[Recorded]:
        """One page of the log, in its order."""
        return list(self._decoded(self._page(after_position, limit)))

    def read_all(self, after_position: int = 0) -> Iterator[Recorded]:
        """The whole log after a position, page by page."""
        yield from self._decoded(self.raw(after_position))

    def facts(self, after_position: int = 0) -> Iterator[Fact]:
        """What `read_all` reads, for a fold: without what of each record only others ask for."""
        while rows := self._part_after(after_position)._fetched(sql.PAGE_OF_LOG, (after_position, PAGE)):
            yield from self._facts_in(rows)
            after_position = self._onwards(after_position, rows[-1][0])

    def facts_of(self, stream: str, after: int, end: int) -> Iterator[Fact]:
        """What `read_stream` reads up to a position, for a fold: one cut through all streams, however the log grows.
        Checkpoints, which change nothing of what is believed, are passed over."""
        for part in self.parts:
            while rows := part._fetched(sql.PAGE_TO_FOLD, (stream, after, PAGE)):
                for fact in part._facts_in(rows):
                    if fact[0] > end:
                        return
                    yield fact
                after = rows[-1][2]

    def _facts_in(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Fact]:
        read = self._decoding.fact
        for row in rows:
            position, stream, version, topic, state = row
            is_whole = type(stream) is str and type(version) is int and type(topic) is str and state is not None
            found = read(topic, state) if is_whole else None
            if found is not None:
                yield (position, stream, version, *found)
            else:
                yield from map(fact_of, self._decoded([_raw(row)]))

    def facts_among(self, streams: Collection[str], end: int) -> Iterator[Fact]:
        """What `facts` reads up to a position, of some streams only: the others are not decoded."""
        for part, rows in self._pages_of_some(streams, end):
            yield from part._facts_in(rows)

    def read_among(self, streams: Collection[str], end: int) -> Iterator[Recorded]:
        """What `read_all` reads up to a position, of some streams only."""
        for part, rows in self._pages_of_some(streams, end):
            yield from part._decoded(map(_raw, rows))

    def _pages_of_some(self, streams: Collection[str], end: int) -> Iterator[tuple[Self, list[tuple[Any, ...]]]]:
        names, after = json.dumps(sorted(streams)), 0
        for part in self.parts:
            while rows := part._fetched(sql.PAGE_OF_SOME, (after, end, names, PAGE_OF_SOME)):
                yield part, rows
                after = rows[-1][0]

    def streams(self) -> list[str]:
        """Every stream there is now, in the order in which they began."""
        return list(dict.fromkeys(raw.stream for part in self.parts for raw in part._rows(sql.FIRST_OF_EACH, ())))

    def read_stream(self, stream: str, after: int = 0) -> Iterator[Recorded]:
        """All of one stream after a version, in its order."""
        for part in self.parts:
            while page := part._rows(sql.PAGE_OF_STREAM, (stream, after, PAGE)):
                yield from part._decoded(page)
                after = page[-1].version

    def record(self, stream: str, version: int) -> Recorded | None:
        """One record, if there is one."""
        raw = self._row(stream, version)
        return None if raw is None else next(self._decoded([raw]))

    def raw(self, after_position: int = 0) -> Iterator[Raw]:
        """All rows after a position as they lie in the file, page by page."""
        while page := self._page(after_position, PAGE):
            yield from page
            after_position = self._onwards(after_position, page[-1].position)

    def _onwards(self, before: int, after: int) -> int:
        """Where the next page begins."""
        if after <= before:
            raise StoreBroken(f"The event store {self.path} is damaged: it leads in circles at {before}.")
        return after

    def page_of_raw(self, after_position: int, limit: int) -> list[Raw]:
        """One page of rows as they lie in the file."""
        return self._page(after_position, limit)

    def decode(self, raw: Raw) -> Recorded:
        """Read one row as a fact; raises ValueError where even its envelope cannot be read."""
        return self._decoding.read(raw)

    def moment_of(self, raw: Raw) -> int:
        """When a record was made, in us, without a look at what it says; raises StoreBroken where nothing tells."""
        try:
            return envelope_of(raw.state).at_us
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return next(self._decoded([raw])).at_us

    def data_version(self) -> int:
        """A number that changes when another process has written: a cheap question, for pollers."""
        (number,) = self.connection.execute("PRAGMA data_version").fetchone()
        return int(number)

    def _decoded(self, rows: Iterable[Raw]) -> Iterator[Recorded]:
        for raw in rows:
            try:
                yield self._decoding.read(raw)
            except ValueError as error:
                raise StoreBroken(
                    f"Record {raw.version} of {raw.stream}, at position {raw.position} of {self.path}, is damaged: "
                    f"{error}. Run cmam audit verify, and restore the store from a backup."
                ) from error

    def _row(self, stream: str, version: int) -> Raw | None:
        found = (part._rows(sql.ONE, (stream, version)) for part in reversed(self.parts))
        return next((rows[0] for rows in found if rows), None)

    def _page(self, after_position: int, limit: int) -> list[Raw]:
        return self._part_after(after_position)._rows(sql.PAGE_OF_LOG, (after_position, limit))

    def _part_after(self, after_position: int) -> Self:
        """The part of the log in which the records after a position stand."""
        return next((part for part in self._older if after_position < part.position()), self)

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[Raw]:
        return [_raw(row) for row in self._fetched(statement, values)]

    def _fetched(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            try:
                return self.connection.execute(statement.format(columns=sql.COLUMNS), values).fetchall()
            except sqlite3.OperationalError as error:
                if "decode" not in str(error):
                    raise
                return self.connection.execute(statement.format(columns=sql.COLUMNS_AS_BYTES), values).fetchall()
        except STORE_FAULTS as error:
            raise explain(error, self.path) from error


def _raw(row: tuple[Any, ...]) -> Raw:
    """One row, whatever somebody may have made of it: what has the wrong type cannot have the right hash either."""
    position, stream, version, topic, state = row
    if type(stream) is str and type(version) is int and type(topic) is str and state is not None:
        return Raw(position, stream, version, topic, state)
    number = version if type(version) is int else -1
    return Raw(position, _text(stream), number, _text(topic), state if state is not None else b"")


def _text(found: object) -> str:
    return found.decode(errors="replace") if isinstance(found, bytes) else str(found)
