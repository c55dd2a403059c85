"""The log: facts appended in one transaction, each chained to the one before it in its stream.

It is eventsourcing's SQLite recorder used as a store. The writer of a stream gives the versions; the log checks that
each is the last plus one, sets `prev`, and writes all of a batch or nothing. What it cannot write it never renumbers.
It knows neither the clock nor what an event means.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from eventsourcing.persistence import StoredEvent

import cmam
from cmam.domain.events import Checkpointed
from cmam.domain.registry import APP
from cmam.store import database
from cmam.store import statements as sql
from cmam.store.chain import NO_ORDER, Head, LogHead, checkpoint, latest_checkpoint, roll
from cmam.store.database import TABLE, Durability, LogRecorder, explain
from cmam.store.envelope import (
    GENESIS,
    Cause,
    Decoding,
    Fact,
    Pending,
    Raw,
    Recorded,
    UnknownEvent,
    encode,
    envelope_of,
    fact_of,
    record_hash,
)
from cmam.store.errors import RecordRefused, StoreBroken, StoreError, StoreUnavailable, VersionConflict
from cmam.store.segments import older_parts

__all__ = ["Cause", "Durability", "EventLog", "Pending", "Raw", "Recorded", "UnknownEvent"]

log = logging.getLogger(__name__)

PAGE = 500
"""Rows read at a time: few transactions, little memory."""
PAGE_OF_SOME = 4_000
"""Rows of some streams read at a time: each page tells SQLite all their names again."""

UNROLLED_MAX = 100
"""So many records at most are left to be hashed into the head of the log when somebody asks for it."""

_NO_HEAD = Head(0, GENESIS)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A batch ready for the file, and where the chains stand once it is in."""

    rows: list[StoredEvent]
    hashes: list[bytes]
    heads: dict[str, Head]


class EventLog:
    """One store's log. One thread at a time; any number of readers in other processes."""

    def __init__(
        self,
        recorder: LogRecorder,
        *,
        path: Path | None,
        code: str = cmam.__version__,
        writes: bool = True,
        durability: Durability = Durability.FULL,
    ) -> None:
        self._recorder = recorder
        self._path = path
        self._code = code
        self._writes = writes
        self._decoding = Decoding()
        self._durability = durability
        self._name = str(path)
        self._inode = path.stat().st_ino if path is not None else 0
        # Kept open beside SQLite's own: it tells a file that was deleted from one that was moved. It is closed only
        # after the connection, since closing any of a process's handles lets go of all its locks on the file.
        self._handle = os.open(path, os.O_RDONLY) if path is not None and writes else None
        self._heads: dict[str, Head] | None = None
        self._log_head: LogHead | None = None
        self._unrolled: list[bytes] = []  # what came after that head, not hashed into it yet
        self._ours: dict[str, int] = {}  # per stream, the last version that this process has tried to write
        self._older: tuple[EventLog, ...] = ()

    def _with_older(self, archive: Path | None = None) -> EventLog:
        """Open the files that come before this one."""
        try:
            paths = older_parts(self.connection, self.path, archive)
            self._older = tuple(EventLog(database.open_for_reading(path), path=path, writes=False) for path in paths)
        except StoreError:
            self.connection.close()
            raise
        return self

    @classmethod
    def open(
        cls, home: Path, *, durability: Durability | str = Durability.FULL, code: str = cmam.__version__
    ) -> EventLog:
        """Open the log of a folder for its one writer, who holds the store's lock; it is made where there is none."""
        path = home / database.FILE_NAME
        safety = Durability(durability)
        log = cls(database.open_for_writing(path, safety), path=path, code=code, durability=safety)
        return log._with_older()

    @classmethod
    def read_only(cls, home: Path) -> EventLog:
        """Open the log of a folder beside its writer; raises StoreMissing where there is none."""
        return cls.read_file(home / database.FILE_NAME)

    @classmethod
    def read_file(cls, path: Path, archive: Path | None = None) -> EventLog:
        """Open a log under any name, read-only: a backup, or a sample. Its older parts lie in `archive` beside it."""
        return cls(database.open_for_reading(path), path=path, writes=False)._with_older(archive)

    @classmethod
    def open_file(cls, path: Path) -> EventLog:
        """Make a log under any name, for its one writer."""
        return cls(database.open_for_writing(path, Durability.FULL), path=path)

    @classmethod
    def damaged(cls, path: Path, archive: Path | None = None) -> EventLog:
        """Open what is left of a log, read-only: whether it is whole is not asked. Its older parts must be."""
        return cls(database.open_for_reading(path, whole=False), path=path, writes=False)._with_older(archive)

    @classmethod
    def in_memory(cls, *, code: str = cmam.__version__) -> EventLog:
        """A log without a file."""
        return cls(database.open_in_memory(), path=None, code=code)

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection, for reading."""
        datastore = self._recorder.datastore
        assert isinstance(datastore, database.LogDatastore)
        return datastore.raw

    @property
    def code(self) -> str:
        """The version of cmam that stands in what is written here."""
        return self._code

    @property
    def parts(self) -> tuple[EventLog, ...]:
        """The files of this log, the oldest first, this one last."""
        return (*self._older, self)

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self._path if self._path is not None else Path(":memory:")

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(self, batch: Sequence[Pending]) -> int:
        """Make a batch durable, all or nothing, in its order; answers the log's position after it.

        Raises StoreUnavailable (try the same batch again), VersionConflict or RecordRefused (that stream must stop; the
        rest of the batch may be tried without it), StoreBroken. Records that already stand there byte for byte, because
        the answer to an earlier try of ours was lost, count as written; those of a second writer never do.
        """
        assert self._writes, "this log was opened for reading"
        heads = self._known_heads()
        wanted = batch
        if any(pending.version <= heads.get(pending.stream, _NO_HEAD).version for pending in batch):
            wanted = [pending for pending in batch if not self._is_written(pending)]
        if not wanted:
            return self.position()
        self._check_place()
        if self._log_head is None or len(self._unrolled) >= UNROLLED_MAX:
            self.log_head()  # before the insert: found after it, it would have to be read again each time
        prepared = self._prepare(wanted)
        try:
            positions = self._recorder.insert_events(prepared.rows) or ()
        except database.STORE_FAULTS as error:
            if not database.is_integrity_error(error):
                self._tried(prepared)  # nobody knows how far it came: what stands there later may be this try
                raise explain(error, self.path) from error
            return self._append_the_rest(wanted, error)
        self._tried(prepared)
        self._advance(prepared, positions)
        return self.position()

    def _prepare(self, batch: Sequence[Pending]) -> _Prepared:
        heads = self._known_heads()
        moved: dict[str, Head] = {}
        rows, hashes = [], []
        for pending in batch:
            last = moved.get(pending.stream) or heads.get(pending.stream, _NO_HEAD)
            if pending.version != last.version + 1:
                raise VersionConflict(
                    pending.stream, pending.version, f"expected version {last.version + 1}, the one after the last."
                )
            topic = pending.event.TOPIC
            try:
                state = encode(pending, self._code, last.hash)
            except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
                raise RecordRefused(pending.stream, pending.version, f"{topic} cannot be written as JSON.") from error
            link = record_hash(pending.stream, pending.version, topic, state)
            rows.append(StoredEvent(pending.stream, pending.version, topic, state))
            hashes.append(link)
            moved[pending.stream] = Head(pending.version, link.hex())
        return _Prepared(rows, hashes, moved)

    def _advance(self, prepared: _Prepared, positions: Sequence[int]) -> None:
        assert self._heads is not None
        self._heads.update(prepared.heads)
        if positions[0] != self.position() + 1:
            self._log_head = None  # somebody else wrote in between: read again where the log stands
            self._unrolled.clear()
            return
        self._unrolled.extend(prepared.hashes)

    def _tried(self, prepared: _Prepared) -> None:
        self._ours.update({stream: head.version for stream, head in prepared.heads.items()})

    def _append_the_rest(self, batch: Sequence[Pending], error: BaseException) -> int:
        """After a refusal for a taken place: what is ours there is done, anything else is somebody else's."""
        self.refresh()
        left = [pending for pending in batch if not self._is_written(pending)]
        if len(left) == len(batch):
            raise StoreBroken(f"The event store {self.path} refused records for no reason we can see.") from error
        return self.append(left)

    def _is_written(self, pending: Pending) -> bool:
        """Whether exactly this record stands in the file; raises VersionConflict if another one has its place."""
        if pending.version > self._known_heads().get(pending.stream, _NO_HEAD).version:
            return False
        raw = self._row(pending.stream, pending.version)
        if raw is None:
            return False
        try:
            stored = self._decoding.read(raw)
            ours = encode(pending, stored.code, stored.prev)
        except ValueError:
            ours = b""
        is_tried = pending.version <= self._ours.get(pending.stream, 0)
        if not is_tried or raw.topic != pending.event.TOPIC or raw.state != ours:
            raise VersionConflict(
                pending.stream,
                pending.version,
                "another record has its place. Two processes write this store, or the writer lost count: nothing more "
                "may be sent for this stream until it has been read again.",
            )
        return True

    def _check_place(self) -> None:
        """Notice that the file was moved or deleted under us: writing on would keep records where nobody looks."""
        if self._path is None:
            return
        if self.is_in_place():
            return
        if self._handle is not None and os.fstat(self._handle).st_nlink == 0 and not self._path.exists():
            self._make_anew(self._path)
            return
        raise StoreUnavailable(f"The event store {self._path} was moved or replaced while in use. Put it back.")

    def is_in_place(self) -> bool:
        """Whether the file that is open is the one under its name."""
        if self._path is None:
            return True
        try:
            return os.stat(self._name).st_ino == self._inode
        except OSError:
            return False

    def _make_anew(self, path: Path) -> None:
        """Write a file that somebody deleted again, from what is still open of it, and go on in that."""
        log.error("! the event store %s was deleted while in use: it is written anew from what is open of it", path)
        fresh = path.with_name(f"{path.name}.new-{os.getpid()}")
        try:
            fresh.unlink(missing_ok=True)
            os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(fresh, isolation_level=None)) as target:
                self.connection.backup(target)
            fresh.rename(path)
            database.sync_folder(path.parent)
            self.connection.close()  # which also takes its write-ahead log away, by name: before the new one has one
            self._let_go()
        except OSError as error:
            raise StoreUnavailable(
                f"The event store {path} was deleted and cannot be written anew: {error}."
            ) from error
        except sqlite3.Error as error:
            raise explain(error, path) from error
        self._recorder = database.open_for_writing(path, self._durability)
        self._inode = path.stat().st_ino
        self._handle = os.open(path, os.O_RDONLY)
        self.refresh()

    def write_checkpoint(self, at_us: int) -> None:
        """Put all heads on record in `app`, if anything was recorded since the last time.

        For the holder of the lock at its end, when no actor writes that stream any more.
        """
        last = self._page(self.position() - 1, 1)
        if last and last[0].topic != Checkpointed.TOPIC:
            event = checkpoint(self.heads(), self.log_head())
            self.append([Pending(APP, self.head(APP).version + 1, at_us, event)])

    def tidy(self) -> None:
        """Fold the write-ahead log back into the file, as far as no reader needs it. Call when idle."""
        self._checkpoint_wal("PASSIVE")

    def is_tidy_due(self) -> bool:
        """Whether the write-ahead log has grown so long that it cannot wait for an idle moment."""
        if self._path is None:
            return False
        try:
            return self._path.with_name(self._path.name + "-wal").stat().st_size > database.WAL_BYTES_MAX
        except OSError:
            return False

    def close(self) -> None:
        """Fold everything back and let go of the file."""
        try:
            if self._writes and self._path is not None:
                self._checkpoint_wal("TRUNCATE")
        except StoreError:
            pass  # the write-ahead log stays, and is read at the next start
        for part in self.parts:
            part.connection.close()
            part._let_go()

    def _let_go(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _checkpoint_wal(self, mode: str) -> None:
        try:
            self.connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error

    # --- where the chains stand ---------------------------------------------------------------------------------------

    def head(self, stream: str) -> Head:
        """The last version of a stream and its hash; version 0 where it has not begun."""
        return self._known_heads().get(stream, _NO_HEAD)

    def heads(self) -> Mapping[str, Head]:
        """The last version and hash of every stream."""
        return dict(self._known_heads())

    def log_head(self) -> LogHead:
        """The whole log in one line: its last position, and the hash over all records in their order."""
        if self._log_head is None:
            self._log_head = self._find_log_head()
        elif self._unrolled:
            rolling = self._log_head.digest
            for link in self._unrolled:
                rolling = roll(rolling, link)
            self._log_head = LogHead(self._log_head.position + len(self._unrolled), rolling)
        self._unrolled.clear()
        return self._log_head

    def position(self) -> int:
        """The position of the last record; 0 in an empty log."""
        if self._writes and self._log_head is not None:
            return self._log_head.position + len(self._unrolled)
        try:
            (found,) = self.connection.execute(f"SELECT max(rowid) FROM {TABLE}").fetchone()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        return found or (self._older[-1].position() if self._older else 0)

    def refresh(self) -> None:
        """Forget what is remembered of the file: the next question reads it again."""
        self._heads = None
        self._log_head = None
        self._unrolled.clear()

    def _known_heads(self) -> dict[str, Head]:
        if self._heads is None:
            heads = {raw.stream: Head(raw.version, raw.hash) for raw in self._rows(sql.LAST_OF_EACH, ())}
            for part in reversed(self._older):
                heads = {**part.heads(), **heads}
            self._heads = heads
        return self._heads

    def _find_log_head(self) -> LogHead:
        """Go on from the last checkpoint, whose word is taken here; verify takes nobody's."""
        try:
            head = latest_checkpoint(self._decoding.read(raw) for raw in self._rows(sql.LAST_CHECKPOINT, ()))
        except ValueError:
            head = None  # damaged: count from the beginning
        found = head or LogHead(0, NO_ORDER)
        for raw in self.raw(after_position=found.position):
            found = LogHead(raw.position, roll(found.digest, bytes.fromhex(raw.hash)))
        return found

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, after_position: int = 0, limit: int = PAGE) -> list[Recorded]:
        """One page of the log, in its order."""
        return list(self._decoded(self._page(after_position, limit)))

    def read_all(self, after_position: int = 0) -> Iterator[Recorded]:
        """The whole log after a position, page by page."""
        yield from self._decoded(self.raw(after_position))

    def facts(self, after_position: int = 0) -> Iterator[Fact]:
        """What `read_all` reads, for a fold: without what of each record only others ask for."""
        while rows := self._place(after_position)._fetched(sql.PAGE_OF_LOG, (after_position, PAGE)):
            yield from self._facts_in(rows)
            after_position = self._onwards(after_position, rows[-1][0])

    def facts_of(self, stream: str, after: int, end: int) -> Iterator[Fact]:
        """What `read_stream` reads up to a position, for a fold: one cut through all streams, however the log grows."""
        for part in self.parts:
            while rows := part._fetched(sql.PAGE_OF_STREAM, (stream, after, PAGE)):
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

    def _pages_of_some(self, streams: Collection[str], end: int) -> Iterator[tuple[EventLog, list[tuple[Any, ...]]]]:
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
        return self._place(after_position)._rows(sql.PAGE_OF_LOG, (after_position, limit))

    def _place(self, after_position: int) -> EventLog:
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
        except sqlite3.Error as error:
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
