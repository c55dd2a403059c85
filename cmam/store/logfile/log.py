"""The log: facts appended in one transaction, each chained to the one before it in its stream.

It is eventsourcing's SQLite recorder used as a store. The writer of a stream gives the versions; the log checks that
each is the last plus one, sets `prev`, and writes all of a batch or nothing. What it cannot write it never renumbers.
It knows neither the clock nor what an event means.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import cmam
from cmam.domain.events import Checkpointed
from cmam.domain.operating.registry import APP
from cmam.store.errors import (
    RecordRefused,
    StoreBroken,
    StoreError,
    StoreMissing,
    StoreNewer,
    StoreUnavailable,
    VersionConflict,
)
from cmam.store.logfile import database
from cmam.store.logfile import statements as sql
from cmam.store.logfile.chain import NO_ORDER, Head, LogHead, checkpoint, latest_checkpoint, roll
from cmam.store.logfile.database import Durability, explain
from cmam.store.logfile.file_place import FilePlace, write_anew
from cmam.store.logfile.log_reader import LogReader
from cmam.store.logfile.log_recorder import LogRecorder
from cmam.store.logfile.preparing import NO_HEAD, Prepared, prepare
from cmam.store.logfile.segments import older_parts
from cmam.store.records.envelope import Pending, code_in, encode, form_in
from cmam.store.records.forms import FORM

log = logging.getLogger(__name__)

UNROLLED_MAX = 100
"""So many records at most are left to be hashed into the head of the log when somebody asks for it."""


class EventLog(LogReader):
    """One store's log. One thread at a time; any number of readers in other processes."""

    def __init__(
        self,
        recorder: LogRecorder,
        *,
        path: Path | None,
        code: str = cmam.__version__,
        writes: bool = True,
        durability: Durability = Durability.FULL,
        is_home: bool = False,
    ) -> None:
        super().__init__(recorder, path)
        self._is_home = is_home
        self._code = code
        self._writes = writes
        self._durability = durability
        self._place = FilePlace(path, is_held=writes) if path is not None else None
        self._is_anew = False  # it was deleted and written again, and is not open again yet
        self._heads: dict[str, Head] | None = None
        self._log_head: LogHead | None = None
        self._unrolled: list[bytes] = []  # what came after that head, not hashed into it yet
        self._ours: dict[str, int] = {}  # per stream, the last version that this process has tried to write

    def _with_older(self, archive: Path | None = None) -> Self:
        """Open the files that come before this one."""
        try:
            paths = older_parts(self.connection, self.path, archive)
            self._older = tuple(type(self)(database.open_for_reading(path), path=path, writes=False) for path in paths)
        except StoreError:
            self.connection.close()
            raise
        return self

    def _expecting_known_forms(self) -> Self:
        """Refuse to write on where a newer cmam has: what it recorded and we do not know would be left out of all that
        is believed, and what it decided would be decided otherwise. Looking at such a log is nobody's loss."""
        try:
            last = self._rows(sql.LAST_OF_EACH, ())
        except StoreBroken:
            return self  # whoever reads it names the first bad record
        newest = max(last, key=lambda raw: form_in(raw.state), default=None)
        if newest is not None and form_in(newest.state) > FORM:
            self.close()
            used, knows = f"it has records of form {form_in(newest.state)}", f"forms up to {FORM}"
            raise StoreNewer(self.path, used, knows, code_in(newest.state))
        return self

    @classmethod
    def open(
        cls, home: Path, *, durability: Durability | str = Durability.FULL, code: str = cmam.__version__
    ) -> EventLog:
        """Open the log of a folder for its one writer, who holds the store's lock; it is made where there is none."""
        path = home / database.FILE_NAME
        safety = Durability(durability)
        log = cls(database.open_for_writing(path, safety), path=path, code=code, durability=safety, is_home=True)
        return log._with_older()._expecting_known_forms()

    @classmethod
    def read_only(cls, home: Path) -> EventLog:
        """Open the log of a folder beside its writer; raises StoreMissing where there is none."""
        return cls.read_file(home / database.FILE_NAME)

    @classmethod
    def read_file(cls, path: Path, archive: Path | None = None) -> EventLog:
        """Open a log under any name, read-only: a backup, or a sample. Its older parts lie in `archive` beside it."""
        return cls(database.open_for_reading(path), path=path, writes=False)._with_older(archive)

    @classmethod
    def open_file(cls, path: Path, archive: Path | None = None) -> EventLog:
        """Make or open a log under any name, for its one writer. Its older parts lie in `archive`."""
        log = cls(database.open_for_writing(path, Durability.FULL), path=path)
        return log._with_older(archive)._expecting_known_forms()

    @classmethod
    def damaged(cls, path: Path, archive: Path | None = None) -> EventLog:
        """Open what is left of a log, read-only: whether it is whole is not asked. Its older parts must be."""
        return cls(database.open_for_reading(path, whole=False), path=path, writes=False)._with_older(archive)

    @classmethod
    def in_memory(cls, *, code: str = cmam.__version__) -> EventLog:
        """A log without a file."""
        return cls(database.open_in_memory(), path=None, code=code)

    @property
    def code(self) -> str:
        """The version of cmam that stands in what is written here."""
        return self._code

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(self, batch: Sequence[Pending]) -> int:
        """Make a batch durable, all or nothing, in its order; answers the log's position after it.

        Raises StoreUnavailable (try the same batch again), VersionConflict or RecordRefused (that stream must stop; the
        rest of the batch may be tried without it), StoreBroken. Records that already stand there byte for byte, because
        the answer to an earlier try of ours was lost, count as written; those of a second writer never do.
        """
        assert self._writes, "this log was opened for reading"
        if not batch:
            return self.position()
        wanted = batch
        try:
            prepared = prepare(batch, self._known_heads(), self._code)
        except (VersionConflict, RecordRefused):
            wanted = [pending for pending in batch if not self._is_written(pending)]
            if len(wanted) == len(batch):
                raise
            if not wanted:
                return self.position()
            prepared = prepare(wanted, self._known_heads(), self._code)
        self._check_place()
        if self._log_head is None or len(self._unrolled) >= UNROLLED_MAX:
            self.log_head()  # before the insert: found after it, it would have to be read again each time
        try:
            last = self._recorder.insert_rows(prepared.values)
        except database.STORE_FAULTS as error:
            if not database.is_integrity_error(error):
                self._tried(prepared)  # nobody knows how far it came: what stands there later may be this try
                raise explain(error, self.path) from error
            return self._append_the_rest(wanted, error)
        self._tried(prepared)
        return self._advance(prepared, last)

    def _advance(self, prepared: Prepared, last: int) -> int:
        self._known_heads().update(prepared.heads)
        if last != self.position() + len(prepared.hashes):
            self._log_head = None  # somebody else wrote in between: read again where the log stands
            self._unrolled.clear()
            return self.position()
        self._unrolled.extend(prepared.hashes)
        return last

    def _tried(self, prepared: Prepared) -> None:
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
        if pending.version > self._known_heads().get(pending.stream, NO_HEAD).version:
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
        if self._is_anew:
            self._reopen(self.path)
        if self._place is None or self._place.is_kept():
            return
        if self._place.is_deleted():
            self._make_anew(self._place, self.path)
            return
        raise StoreUnavailable(f"The event store {self.path} was moved or replaced while in use. Put it back.")

    def expect_in_place(self) -> None:
        """Raise StoreMissing where the file that is open is no longer the one under its name."""
        if self._place is not None and not self._place.is_kept():
            raise StoreMissing("The event store is another file than it was: begin anew.")

    def _make_anew(self, place: FilePlace, path: Path) -> None:
        """Write a file that somebody deleted again, from what is still open of it, and go on in that."""
        log.error("! the event store %s was deleted while in use: it is written anew from what is open of it", path)
        try:
            write_anew(self.connection, path)
            self.connection.close()  # which also takes its write-ahead log away, by name: before the new one has one
            place.let_go()
        except OSError as error:
            raise StoreUnavailable(
                f"The event store {path} was deleted and cannot be written anew: {error}."
            ) from error
        except sqlite3.Error as error:
            raise explain(error, path) from error
        self._is_anew = True
        self._reopen(path)

    def _reopen(self, path: Path) -> None:
        """Go on in the file that was written anew; where it cannot be opened now, as while it is copied, later."""
        recorder = database.open_for_writing(path, self._durability)
        try:
            self._place = FilePlace(path, is_held=True)
        except OSError as error:
            raise StoreUnavailable(f"The event store {path} cannot be opened again: {error}.") from error
        self._recorder = recorder
        self._is_anew = False
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
            return database.beside(self._path, "-wal").stat().st_size > database.WAL_BYTES_MAX
        except OSError:
            return False

    def close(self) -> None:
        """Fold everything back and let go of the file."""
        try:
            if self._writes and self._path is not None:
                self._checkpoint_wal("TRUNCATE")
                if self._is_home:
                    database.close_in_place(self.connection, self._path)
        except StoreError:
            pass  # the write-ahead log stays, and is read at the next start
        for part in self.parts:
            part.connection.close()
            if part._place is not None:
                part._place.let_go()

    def _checkpoint_wal(self, mode: str) -> None:
        try:
            self.connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        except database.STORE_FAULTS as error:
            raise explain(error, self.path) from error

    # --- where the chains stand ---------------------------------------------------------------------------------------

    def head(self, stream: str) -> Head:
        """The last version of a stream and its hash; version 0 where it has not begun."""
        return self._known_heads().get(stream, NO_HEAD)

    def heads(self) -> Mapping[str, Head]:
        """The last version and hash of every stream."""
        return dict(self._known_heads())

    def log_head(self) -> LogHead:
        """The whole log in one line: its last position, and the hash over all records in their order."""
        if self._log_head is None:
            self._log_head = self._find_log_head()
        elif self._unrolled:
            rolling = roll(self._log_head.digest, *self._unrolled)
            self._log_head = LogHead(self._log_head.position + len(self._unrolled), rolling)
        self._unrolled.clear()
        return self._log_head

    def position(self) -> int:
        """The position of the last record; 0 in an empty log."""
        if self._writes and self._log_head is not None:
            return self._log_head.position + len(self._unrolled)
        return super().position()

    def refresh(self) -> None:
        """Read again what is remembered of the file."""
        self._log_head = None
        self._unrolled.clear()
        self._heads = self._found_heads()  # in one step: the operator may ask for one meanwhile

    def _known_heads(self) -> dict[str, Head]:
        if self._heads is None:
            self._heads = self._found_heads()
        return self._heads

    def _found_heads(self) -> dict[str, Head]:
        heads = {raw.stream: Head(raw.version, raw.hash) for raw in self._rows(sql.LAST_OF_EACH, ())}
        for part in reversed(self._older):
            heads = {**part.heads(), **heads}
        return heads

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
