"""The library's recorder on one connection of ours: rows go in with as few statements as can be.

It knows rows, not facts, and neither opens a file nor tells its errors apart.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteConnection, SQLiteDatastore

ROWS_MAX = 64
"""Rows in one statement: each number of them is a statement that SQLite has to compile once."""
_COLUMNS = 4
_VALUES_MAX = ROWS_MAX * _COLUMNS


class LogDatastore(SQLiteDatastore):
    """The library's datastore on one connection of ours instead of a pool: one writer, one thread at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.raw = connection
        self.single_row_tracking = True
        self.originator_id_type = "text"
        self._lent = SQLiteConnection(connection, max_age=None)

    @contextmanager
    def get_connection(self, *, commit: bool) -> Iterator[SQLiteConnection]:  # noqa: ARG002 - the library's signature
        try:
            yield self._lent
        finally:
            if self.raw.in_transaction:  # a commit that failed leaves its transaction open
                with suppress(sqlite3.Error):
                    self.raw.rollback()

    def close(self) -> None:
        self.raw.close()

    def __del__(self) -> None:
        """The connection belongs to whoever opened it, not to this wrapper."""


class LogRecorder(SQLiteApplicationRecorder):
    """The library's recorder, with states kept as text; `insert_events` is one transaction."""

    def __init__(self, datastore: LogDatastore, table: str) -> None:
        super().__init__(datastore, table)
        self._raw = datastore.raw
        self._table = table
        self._statements: dict[int, str] = {}

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int]:
        """One transaction, as the library has it."""
        found = ((e.originator_id, e.originator_version, e.topic, e.state.decode()) for e in stored_events)
        last = self.insert_rows([value for row in found for value in row])
        return range(last - len(stored_events) + 1, last + 1)

    def insert_rows(self, values: Sequence[object]) -> int:
        """One transaction in as few statements as possible, without the library's wrappers around it.

        `values` are those of all rows, one after the other. At each statement the interpreter is let go, and has to be
        waited for where other threads have work: a row at a time, a burst of copies waited a hundred times. Who holds
        the write lock gets positions without a gap, so the last one, which this answers, tells them all.
        """
        if len(values) <= _VALUES_MAX:
            return self._insert(values)  # a statement outside of a transaction is one
        last = 0
        try:
            self._raw.execute("BEGIN IMMEDIATE")
            for first in range(0, len(values), _VALUES_MAX):
                last = self._insert(values[first : first + _VALUES_MAX])
            self._raw.execute("COMMIT")
        except BaseException:
            if self._raw.in_transaction:  # a commit that failed leaves its transaction open
                with suppress(sqlite3.Error):
                    self._raw.rollback()
            raise
        return last

    def _insert(self, values: Sequence[object]) -> int:
        return self._raw.execute(self._statement(len(values) // _COLUMNS), values).lastrowid or 0

    def _statement(self, rows: int) -> str:
        found = self._statements.get(rows)
        if found is None:
            places = ",".join(["(?,?,?,?)"] * rows)
            found = self._statements[rows] = f"INSERT INTO {self._table} VALUES {places}"
        return found
