"""The file of the log: how it is made, opened, recognised, and how its errors are told apart.

One connection writes (SQLite before 3.51.3 may damage a file that two connections checkpoint in the same instant);
all others open it read-only. The table is the one of eventsourcing's recorder, its states stored as text, so that any
SQLite tool shows readable JSON. It knows rows, not facts.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from eventsourcing.persistence import PersistenceError

from cmam.config.files import refusal, sync_folder
from cmam.store.errors import (
    StoreBroken,
    StoreDamaged,
    StoreError,
    StoreMissing,
    StoreNewer,
    StoreUnavailable,
    ViewsDamaged,
)
from cmam.store.logfile.log_recorder import LogDatastore, LogRecorder

log = logging.getLogger(__name__)

FILE_NAME = "events.db"
TABLE = "stored_events"
APPLICATION_ID = 0x636D616D
"""`cmam` in ASCII, in the header of the file: `file events.db` and we know whose it is."""
FORMAT = 1
"""Raised when an older cmam could no longer read the file."""
LOCK_TIMEOUT_S = 0.25
"""How long a writer waits for a foreign lock before it says so: the recorder must not hang while copies wait."""
WAL_BYTES_MAX = 64 << 20
"""64 MiB: past it the write-ahead log is folded back even if the system is never idle."""
WAL_BYTES_KEPT = 4 << 20
"""4 MiB: what is left of the write-ahead log's file once it begins anew. A longer one would look full for ever, and be
folded back every second under load."""

ROOM_TO_LENGTHEN = 64 << 20
"""64 MiB: with less free on the disk the write-ahead log is as long as its records. What it took ahead of them would be
missing where they are folded back to, and for the views."""

_HEADER = b"SQLite format 3\x00"
_FOREIGN = f"""SELECT type, name FROM sqlite_master WHERE type IN ('trigger', 'view')
UNION ALL SELECT 'column', name FROM pragma_table_xinfo('{TABLE}') WHERE hidden"""
"""What a log may not hold. A hidden column is one that is computed: it may be another state, or have SQLite replace
records by those that come."""
_TEMPORARY = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk answered with an error",
    sqlite3.SQLITE_IOERR_SHMSIZE: "the disk has no room for its index",
    sqlite3.SQLITE_BUSY: "another process has locked it",
    sqlite3.SQLITE_LOCKED: "another process has locked it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_READONLY: "it may not be written",
    sqlite3.SQLITE_PERM: "it may not be accessed",
    sqlite3.SQLITE_AUTH: "it may not be accessed",
    sqlite3.SQLITE_NOMEM: "memory ran out",
    sqlite3.SQLITE_PROTOCOL: "another process has locked it",
    sqlite3.SQLITE_INTERRUPT: "it was interrupted",
}


class Durability(StrEnum):
    """What a committed record survives: `full` a power cut, `normal` a crash of ours; `none` is for measuring only."""

    FULL = "full"
    NORMAL = "normal"
    NONE = "none"

    @property
    def synchronous(self) -> str:
        """The word SQLite has for it."""
        return {"full": "FULL", "normal": "NORMAL", "none": "OFF"}[self.value]


def explain(error: BaseException, path: Path, *, is_log: bool = True) -> StoreError:
    """Turn an error of SQLite, or of the library around it, into one of ours, in a sentence.

    Whatever is no log can be made anew from one, so that only a log that is damaged is lost.
    """
    found: BaseException | None = error
    while found is not None and not isinstance(found, sqlite3.Error):
        found = found.__cause__
    other = sqlite3.SQLITE_NOMEM if isinstance(error, MemoryError) else sqlite3.SQLITE_ERROR
    exactly = getattr(found, "sqlite_errorcode", other)
    code = exactly & 0xFF
    if why := _TEMPORARY.get(exactly) or _TEMPORARY.get(code):
        what = "The event store" if is_log else "The views"
        return StoreUnavailable(
            f"{what} {path} did not take this: {why} ({_withheld(path) or found or type(error).__name__})."
        )
    if not is_log:
        return ViewsDamaged(f"The views {path} are damaged ({found or error}). They are made anew from the log.")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreDamaged(
            f"{path} is not an event store: expected an SQLite database, found something else",
            "Restore it from a backup (cmam restore FILE --replace), or choose another folder with --home.",
        )
    return StoreDamaged(
        f"The event store {path} is damaged ({found or error})",
        "Restore it from a backup, or copy out what is good with `cmam salvage FILE`: what comes after it is asked of "
        "the brokers.",
    )


def _withheld(path: Path) -> str | None:
    """What of a database is not ours to use, and whose it is: SQLite names neither the file nor its owner."""
    for part in (beside(path, ending) for ending in ("", "-wal", "-shm")):
        if part.exists() and not os.access(part, os.R_OK | os.W_OK):
            text = refusal(PermissionError(errno.EACCES, os.strerror(errno.EACCES)), part)
            return text if part.name in text else f"{text}: {part.name}"
    return None


def open_for_writing(path: Path, durability: Durability) -> LogRecorder:
    """Open the file for its one writer, making it where there is none."""
    if not path.exists():
        _refuse_what_is_elsewhere(path)
        put_aside(path)
        _create(path)
    elif is_store(path) and not is_written_ahead(path):
        put_aside(path)
    _check_file(path)
    try:
        connection = _connect(path, "rw")
        _check_format(connection, path)
        _write_ahead(connection, path)
        connection.execute(f"PRAGMA synchronous={durability.synchronous}")
        connection.execute("PRAGMA fullfsync=1")  # what `config.files.sync` does: macOS alone knows it
        connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES_KEPT}").fetchone()
        connection.execute("PRAGMA wal_autocheckpoint=0")  # an automatic one would run inside somebody's commit
        connection.execute(f"PRAGMA busy_timeout={int(LOCK_TIMEOUT_S * 1000)}")
    except sqlite3.Error as error:
        raise explain(error, path) from error
    return LogRecorder(LogDatastore(path, connection), TABLE)


def _write_ahead(connection: sqlite3.Connection, path: Path) -> None:
    """Have a database written ahead; raises StoreUnavailable where it is not, which SQLite says in its answer alone."""
    (found,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if found != "wal":
        raise StoreUnavailable(
            f"The folder {path.parent} cannot hold an event store: SQLite has no write-ahead log on its file system, "
            "and whoever looks would hold up what is copied. Choose one on a disk of this machine with --home."
        )


def lengthen_wal(connection: sqlite3.Connection, path: Path) -> None:
    """Let the file of the write-ahead log be as long as it may stay, from the beginning.

    A commit that overwrites what a file has takes the disk less than one that lengthens it. What grows it here is a
    transaction larger than the cache, which is then rolled back: nobody ever sees a page of it. A disk that has little
    room is left as it is, and what was taken of a quota that ends sooner is given back.
    """
    wal = beside(path, "-wal")
    with suppress(sqlite3.Error, OSError):
        if wal.stat().st_size >= WAL_BYTES_KEPT or shutil.disk_usage(wal.parent).free < ROOM_TO_LENGTHEN:
            return
        (cache,) = connection.execute("PRAGMA cache_size").fetchone()
        try:
            connection.execute("PRAGMA cache_size=10")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE filling (bytes BLOB)")
            connection.execute("INSERT INTO filling VALUES (zeroblob(?))", (WAL_BYTES_KEPT * 15 // 16,))
            has_room = True
        except sqlite3.Error:
            has_room = False
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.execute(f"PRAGMA cache_size={cache}")
        if not has_room:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def close_in_place(connection: sqlite3.Connection, path: Path) -> None:
    """Close a writer's connection and leave the write-ahead log, folded back, and its index beside the file.

    SQLite takes them away with the last connection unless that may only read, and cannot make the index again on a
    disk that has filled up meanwhile: the next start would be refused, though closes need no room.
    """
    with suppress(sqlite3.Error), closing(_connect(path, "ro")) as last:
        last.execute("SELECT count(*) FROM sqlite_master").fetchone()  # else it has not met the write-ahead log
        connection.close()
    connection.close()


def exchanged(path: Path) -> Path:
    """Where a whole log waits that is to take the place of another one."""
    return path.with_name(f"{path.name}.whole")


def _refuse_what_is_elsewhere(path: Path) -> None:
    """Notice that a log is only not in its place: an empty one made now, or shown, would forget every copy.

    It may be a link to a disk that is not there, or an exchange that was killed between its two renames.
    """
    if path.is_symlink():
        raise StoreBroken(
            f"{path} is a link to {path.readlink()}, which is not there: is its disk mounted? Nothing was made in its "
            "place."
        )
    waiting = exchanged(path)
    if waiting.exists():
        raise StoreBroken(
            f"{path} was being exchanged for {waiting.name} when that was ended: it is whole and lacks only its name. "
            f"Rename it to {path.name}, then go on."
        )


def beside(path: Path, ending: str) -> Path:
    """Where SQLite lays what belongs to a database: beside the file itself, wherever a link of its name stands."""
    real = Path(os.path.realpath(path))
    return real.with_name(real.name + ending)


def following(path: Path) -> Path:
    """Where the file lies that is to go on from a log while that is archived."""
    return path.resolve().with_name(f"{FILE_NAME}.next")


def put_aside(path: Path) -> None:
    """Keep the pages that a deleted log left beside it, out of the way: SQLite would write them into the new file.

    A write-ahead log is none of a backup's either, which is not written ahead; a journal may be.
    """
    for ending in ("-shm", "-wal") if path.exists() else ("-shm", "-wal", "-journal"):
        left = beside(path, ending)
        if ending != "-shm" and _has_content(left):
            kept = left.replace(left.with_name(f"{left.name}.left"))
            log.warning("! what another log had not folded back lay beside %s, and is kept as %s", path, kept.name)
        elif left.exists():  # as an orderly end leaves them; the index is made anew for any write-ahead log
            left.unlink()


def open_for_reading(path: Path, *, whole: bool = True) -> LogRecorder:
    """Open the file beside its writer, without the right to change it; `whole` refuses one that was cut off."""
    if not path.exists():
        _refuse_what_is_elsewhere(path)
        raise StoreMissing(
            f"There is no event store in {path.parent}: expected {path.name}. Set cmam up there (cmam account add), or "
            "name the right folder with --home."
        )
    if whole:
        _check_file(path)
    try:
        connection = connect_to_read(path)
        _check_format(connection, path)
        connection.execute("PRAGMA query_only=1")
    except sqlite3.Error as error:
        raise explain(error, path) from error
    return LogRecorder(LogDatastore(path, connection), TABLE)


def open_in_memory() -> LogRecorder:
    """A log without a file, for tests and simulations."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _make_tables(connection)
    return LogRecorder(LogDatastore(Path(":memory:"), connection), TABLE)


def _connect(path: Path, mode: str, extra: str = "") -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}{extra}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=LOCK_TIMEOUT_S,
    )


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open any database of ours beside its writer, without the right to change it; raises sqlite3.Error."""
    if is_no_file(path):
        raise sqlite3.DatabaseError(NO_FILE)
    connection = _connect(path, "ro")
    try:
        connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.OperationalError as error:
        # In a folder that we may not write, or on a full disk, SQLite cannot make its index of the write-ahead log;
        # without such a log the file itself is whole and nobody is writing it. Who finds it locked is told so: it may
        # be half written.
        connection.close()
        is_unable = (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if not (is_unable or error.sqlite_errorcode in NO_INDEX) or any(
            _has_content(beside(path, part)) for part in ("-wal", "-journal")
        ):
            raise
        connection = _connect(path, "ro", "&immutable=1")
    return connection


NO_INDEX = (sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP)
"""What SQLite says where its index of the write-ahead log cannot grow: the disk is full."""


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _create(path: Path) -> None:
    """Make an empty store beside its place and move it there: what stands under the name is whole at every moment.

    It is written ahead once its tables are in the file: what a full disk leaves in a write-ahead log as the file is
    closed, nobody is told of.
    """
    fresh = path.with_name(f"{path.name}.new-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        connection = _connect(fresh, "rw")
        try:
            _make_tables(connection)
            _write_ahead(connection, path)
        finally:
            connection.close()
        if path.exists():  # somebody else was quicker, and theirs may hold records already
            return
        fresh.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreUnavailable(
            f"The event store {path} cannot be made: {error.strerror or error}. Choose a folder that you may write "
            "with --home."
        ) from error
    except STORE_FAULTS as error:
        raise explain(error, path) from error
    finally:
        remove_with_parts(fresh)


def _make_tables(connection: sqlite3.Connection) -> None:
    recorder = LogRecorder(LogDatastore(Path(":memory:"), connection), TABLE)
    recorder.create_table()
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={FORMAT}")


def _check_file(path: Path) -> None:
    """Refuse what SQLite would take for an empty or a whole database although it is neither."""
    try:
        size = path.stat().st_size
        header = _header_of(path)
    except OSError as error:
        raise StoreUnavailable(f"The event store {path} cannot be read: {refusal(error, path)}.") from error
    wal = beside(path, "-wal")
    if size == 0:
        raise StoreDamaged(
            f"{path} is empty: expected an event store, found 0 bytes",
            "It was cut off; restore it from a backup (cmam restore FILE --replace), or move it away to begin anew.",
        )
    if not header.startswith(_HEADER):
        raise explain(_NotADatabase(), path)
    expected = _length(header)
    if size < expected and not (wal.exists() and wal.stat().st_size > 0):
        raise StoreDamaged(
            f"The event store {path} is cut off: expected {expected} bytes, found {size}",
            "Restore it from a backup, or copy out what is good with `cmam salvage FILE`.",
        )


NO_FILE = "this is a pipe or a device, and no file"


def is_no_file(path: Path) -> bool:
    """Whether a pipe stands under a name, which SQLite would wait for, or a device, which it takes for empty."""
    return path.exists() and not (path.is_file() or path.is_dir())


def _header_of(path: Path) -> bytes:
    if is_no_file(path):
        raise OSError(errno.EINVAL, NO_FILE, str(path))
    with path.open("rb") as file:
        return file.read(100)


def is_store(path: Path) -> bool:
    """Whether an event store stands under a name, whole or not: by its header alone."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            header = file.read(100)
    except OSError:
        return False
    return header.startswith(_HEADER) and header[68:72] == APPLICATION_ID.to_bytes(4, "big")


def is_written_ahead(path: Path) -> bool:
    """Whether a database is one that is written ahead, as each is that a cmam writes: by its header alone."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:20] == b"\x02\x02"
    except OSError:
        return True


def remove_with_parts(path: Path) -> None:
    """Take a database that never got its name away, with all that SQLite laid beside it."""
    for ending in ("", "-journal", "-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + ending).unlink(missing_ok=True)


def missing_bytes(path: Path) -> int:
    """How much shorter a database is than its own header says; raises StoreBroken where it has no such header."""
    try:
        header = _header_of(path)
        size = path.stat().st_size
    except OSError as error:
        raise StoreUnavailable(f"The event store {path} cannot be read: {refusal(error, path)}.") from error
    if not header.startswith(_HEADER):
        raise explain(_NotADatabase(), path)
    return max(0, _length(header) - size)


def _length(header: bytes) -> int:
    page_size = int.from_bytes(header[16:18], "big")
    return (65_536 if page_size == 1 else page_size) * int.from_bytes(header[28:32], "big")


class _NotADatabase(sqlite3.DatabaseError):
    sqlite_errorcode = sqlite3.SQLITE_NOTADB


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    (whose,) = connection.execute("PRAGMA application_id").fetchone()
    (written,) = connection.execute("PRAGMA user_version").fetchone()
    if whose != APPLICATION_ID:
        raise StoreBroken(
            f"{path} is an SQLite database, but not an event store of cmam. Move it away, or choose another folder "
            "with --home."
        )
    if written > FORMAT:
        raise StoreNewer(path, f"the file has format {written}", f"formats up to {FORMAT}")
    found = connection.execute(_FOREIGN).fetchone()
    if found is not None:  # no hash covers it, and it would show or change records behind the back of every check
        raise StoreBroken(
            f"{path} holds the {found[0]} {found[1]!r}, which no cmam makes and which may show or write other records "
            "than were recorded. Use another copy of this log, or find out whose it is and DROP it."
        )
    connection.execute(f"SELECT rowid, originator_id, originator_version, topic, state FROM {TABLE} LIMIT 0")


def is_integrity_error(error: BaseException) -> bool:
    """Whether the file refused a record because its place is taken."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, sqlite3.IntegrityError):
            return True
        found = found.__cause__
    return False


STORE_FAULTS = (PersistenceError, sqlite3.Error, MemoryError)
"""What the library and SQLite raise between them. Memory that ran out in SQLite is no error of its own in Python."""
