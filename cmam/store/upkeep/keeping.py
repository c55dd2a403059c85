"""The log as a file to be kept: copied while it is written, put back, and put aside so that a new one continues it.

All three are checked against the chains before anything gets its name, and none deletes or overwrites a record.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cmam.config.files import sync_folder
from cmam.domain.operating.registry import APP
from cmam.store.auditing.audit import verify_log
from cmam.store.errors import StoreBroken, StoreDamaged, StoreError, StoreMissing, StoreUnavailable
from cmam.store.logfile import database
from cmam.store.logfile.chain import LogHead, checkpoint
from cmam.store.logfile.database import FILE_NAME, TABLE, exchanged, explain, is_store
from cmam.store.logfile.files import new_file
from cmam.store.logfile.lock import LOCK_NAME
from cmam.store.logfile.log import EventLog
from cmam.store.logfile.segments import ARCHIVE, PART_NAME, first_position, part_name
from cmam.store.records.envelope import Pending, encode, envelope_of
from cmam.store.text import iso
from cmam.store.upkeep.known_end import note_restore

WAL_PARTS = ("-wal", "-shm")
GOOD_PART = (
    "Take another backup. If there is none: copy this one to an empty folder as events.db, `cmam --home FOLDER salvage "
    "FILE` copies out what is good of it, and FILE can be restored."
)
"""The way on from a backup that is damaged."""


# --- backup ---------------------------------------------------------------------------------------------------------


def backup(home: Path, path: Path, *, replace: bool = False) -> LogHead:
    """Copy the store while it is written; the copy is whole, verified, and holds all that was committed when it began.

    An older backup of this log gives way to it; one of another log, or one that cannot be read, only if asked.

    Answers its head, to be kept apart from it. Secrets, settings of the way to the API and views are not part of it,
    nor are older parts in `archive`: these never change, and are verified along with it.
    """
    if path.is_dir():
        raise StoreUnavailable(f"Expected a file to write the backup to, found the folder {path}.")
    _refuse_a_log_in_use(home / FILE_NAME, path)
    _refuse_what_is_no_backup(path)
    if is_store(path) and not replace:
        _refuse_another_log(home, path)
    with new_file(path, over_store=True) as fresh:
        with closing(EventLog.read_only(home)) as log:
            _copy(log, fresh)
        with closing(EventLog.read_file(fresh, home / ARCHIVE)) as copied:
            result = verify_log(copied)
        if not result.is_whole:  # and what stands there may be the last good one
            raise StoreBroken(
                f"The store is not whole, so nothing was written to {path}: {result.findings[0].text} Restore an older "
                "backup, or copy out what is good with `cmam salvage FILE`."
            )
        for part in WAL_PARTS:
            fresh.with_name(fresh.name + part).unlink(missing_ok=True)
    return result.head


def _refuse_a_log_in_use(source: Path, path: Path) -> None:
    """A backup may take the place of an older one, but not of a home's log, nor of a part that one rests on."""
    is_itself = source.exists() and path.exists() and path.samefile(source)
    is_part = path.resolve().parent.name == ARCHIVE and PART_NAME.fullmatch(path.name)
    is_log = path.name == FILE_NAME and path.with_name(LOCK_NAME).exists()
    if path.exists() and (is_itself or is_part or is_log):
        raise StoreUnavailable(f"{path} is the log of a home, or a part of one: expected another name for the backup.")


def _refuse_what_is_no_backup(path: Path) -> None:
    """A name typed wrong must not cost somebody another file: only an older backup, or nothing, is written over."""
    if path.is_file() and path.stat().st_size and not is_store(path):
        raise StoreUnavailable(f"{path} is there already and no backup: expected another name, or an older backup's.")


def _refuse_another_log(home: Path, path: Path) -> None:
    """What is kept of another log may be all that is left of it: of a lost one, say, that this one took the place of.

    A log is known by the first record of its file: ours has that one too, at its place, in the same bytes.
    """
    begins = "expected a backup of this log, or another name"
    try:
        first = _record(path, "ORDER BY rowid LIMIT 1")
    except StoreError as error:
        raise StoreUnavailable(
            f"What stands at {path} cannot be read, so whose backup it is cannot be told ({error}): {begins}. "
            "`--replace` writes over it."
        ) from error
    if first is None:  # an empty log
        return
    ours = home / FILE_NAME
    for one in (ours, *sorted((home / ARCHIVE).glob("events-*.db"))):
        if one.exists() and _record(one, "WHERE rowid = ?", first[0]) == first:
            return
    since = iso(_begun(first[-1]))
    raise StoreUnavailable(
        f"{path} is a backup of another log than {ours}{f', one that began {since}' if since else ''}: {begins}. "
        "`--replace` writes over it."
    )


def _record(path: Path, which: str, *values: int) -> tuple[int, str, int, bytes] | None:
    """One record of a file, whether or not the file's older parts are there; raises a StoreError."""
    columns = "rowid, originator_id, originator_version, state"
    try:
        with closing(database.connect_to_read(path)) as connection:
            found = connection.execute(f"SELECT {columns} FROM {TABLE} {which}", values).fetchone()
    except sqlite3.Error as error:
        raise explain(error, path) from error
    if found is None:
        return None
    position, stream, version, state = found
    return position, str(stream), version, state.encode() if isinstance(state, str) else bytes(state)


def _begun(state: bytes) -> int | None:
    try:
        return envelope_of(state).at_us
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _copy(log: EventLog, path: Path) -> None:
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as target:
            log.connection.backup(target)
            _make_one_file(target, path)
    except sqlite3.Error as error:
        raise explain(error, path) from error


def _make_one_file(connection: sqlite3.Connection, path: Path) -> None:
    """Without a write-ahead log beside it; raises StoreUnavailable where the disk does not take that."""
    try:
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.Error as error:
        raise explain(error, path) from error


# --- restore --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    """What stands in the folder now, and where what stood there before was put."""

    head: LogHead
    replaced: Path | None


def expect_backup(path: Path) -> None:
    """Refuse what is no backup, before anything is made for it; raises a StoreError in a sentence."""
    if not path.exists():
        raise StoreMissing(f"There is no backup {path}.")
    if os.access(path, os.R_OK) and not is_store(path):
        raise StoreBroken(f"{path} is no backup: expected a file that `cmam backup` wrote, or another log of cmam.")


def restore(home: Path, path: Path, now_us: int, *, replace: bool = False) -> Restored:
    """Put a backup in the place of a folder's log, for the holder of its lock; raises a StoreError in a sentence.

    The backup must be whole. A log that stands there is kept under another name, and only moved aside if asked. Behind
    the backup's records each account's stream gets one that says so: what came after them happened all the same.
    """
    expect_backup(path)
    place = home / FILE_NAME
    if place.exists() and path.samefile(place):
        raise StoreUnavailable(f"{path} is the log of {home} itself: expected a backup of it. Nothing was changed.")
    with _expected_whole(), closing(EventLog.read_file(path, _archive_of(home, path))) as log:
        result = verify_log(log)
        if not result.is_whole:
            raise StoreDamaged(result.findings[0].text.rstrip("."), GOOD_PART)
        if place.exists() and not replace:
            raise StoreUnavailable(
                f"There is a log in {home} already ({_length(home)}); the backup has {result.head.position} records. "
                "`--replace` moves the one that is there aside, and deletes nothing."
            )
        if place.is_symlink() and not place.exists() and not replace:
            raise StoreUnavailable(
                f"{place} is a link to {place.readlink()}, which is not there: is its disk mounted? `--replace` puts "
                "the backup in the place of the link."
            )
        with new_file(exchanged(place), over_store=True) as fresh:
            _copy(log, fresh)
            with closing(EventLog.open_file(fresh, _archive_of(home, path))) as restored:
                note_restore(restored, result.head.position, now_us)
                _make_one_file(restored.connection, fresh)
    aside = _move_aside(place) if place.exists() else None
    database.put_aside(place)
    sync_folder(home)  # what is of the old log has gone from here before the new one comes
    exchanged(place).replace(place)
    place.chmod(0o600)
    sync_folder(home)
    return Restored(result.head, aside)


@contextmanager
def _expected_whole() -> Iterator[None]:
    """What is damaged here is the backup: the way on is not the one for a log."""
    try:
        yield
    except StoreDamaged as error:
        raise StoreBroken(f"Nothing was restored: the backup is damaged. {error.found}. {GOOD_PART}") from error


def _archive_of(home: Path, path: Path) -> Path:
    """Where a backup's older parts lie: in the home, or beside it."""
    inside = home / ARCHIVE
    return inside if inside.is_dir() else path.parent / ARCHIVE


def _length(home: Path) -> str:
    try:
        with closing(EventLog.read_only(home)) as log:
            return f"{log.position()} records"
    except StoreBroken as error:
        return f"which cannot be read: {error}"


def _move_aside(place: Path) -> Path:
    number = 1
    while (aside := place.with_name(f"{place.name}.replaced-{number}")).exists():
        number += 1
    place.replace(aside)  # before what it has not yet folded back: without that it would look whole
    sync_folder(place.parent)
    for part in ("-journal", "-wal"):
        beside = place.with_name(place.name + part)
        if beside.exists() and beside.stat().st_size:
            beside.replace(aside.with_name(aside.name + part))
    return aside


# --- archive --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Archived:
    """An older part that was put aside, and where the log stands."""

    part: Path
    first: int
    last: int
    head: LogHead


def archive(home: Path, now_us: int) -> Archived:
    """Put a folder's log aside and begin a new file that continues its chains, for the holder of its lock.

    The new file's first record is a checkpoint that holds the heads of all streams, at the next position. A crash
    leaves either the old file in its place, or the new one with the old in `archive`.
    """
    place = (home / FILE_NAME).resolve()  # a link of that name goes on leading there
    following = database.following(place)
    with closing(EventLog.open(home)) as log:
        first = first_position(log.connection, place)
        if log.position() == 0 or log.position() == first:
            raise StoreUnavailable(f"There is nothing to archive: {place} holds nothing since the last time.")
        log.write_checkpoint(now_us)
        result = verify_log(log)
        if not result.is_whole:
            raise StoreBroken(f"The log is not whole, so it was not archived: {result.findings[0].text}")
        last = log.position()
        part = _place_for(home, place, first, last)
        with _whole_or_not(place, following):
            _begin_next(log, following, now_us)
    with _whole_or_not(place, following):
        _close_for_good(place)
    _link(place, part)
    folder = part.parent
    for each in (folder, home, place.parent):  # the old file has its name, and nothing beside it, before the new comes
        sync_folder(each)
    following.replace(place)
    sync_folder(place.parent)
    part.chmod(0o400)
    with closing(EventLog.read_only(home)) as continued:
        return Archived(part, first, last, continued.log_head())


@contextmanager
def _whole_or_not(place: Path, following: Path) -> Iterator[None]:
    """Say what SQLite has against it, as where the disk is full or somebody reads the log, and leave it as it was."""
    try:
        yield
    except (*database.STORE_FAULTS, StoreUnavailable) as error:
        if database.is_written_ahead(place):  # else it was closed for good, and would look like a copy without it
            database.remove_with_parts(following)
        found = error if isinstance(error, StoreUnavailable) else explain(error, place)
        if not isinstance(found, StoreUnavailable):
            raise found from error
        again = "end whoever reads it (cmam audit), or make room, and try again"
        raise StoreUnavailable(f"{found} Nothing was archived: {again}.") from error


def _begin_next(log: EventLog, path: Path, now_us: int) -> None:
    """A new file whose first record continues the chain of `app`, at the next position of the log."""
    head = log.head(APP)
    event = checkpoint(log.heads(), log.log_head())
    record = Pending(APP, head.version + 1, now_us, event)
    state = encode(record, log.code, head.hash).decode()
    sql = f"INSERT INTO {TABLE} (rowid, originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?, ?)"
    path.unlink(missing_ok=True)  # of an archive that a crash ended
    recorder = database.open_for_writing(path, database.Durability.FULL)
    with closing(EventLog(recorder, path=path)) as fresh:
        fresh.connection.execute(sql, (log.position() + 1, APP, record.version, event.TOPIC, state))
        fresh.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # moved alone; closing hides faults


def _place_for(home: Path, place: Path, first: int, last: int) -> Path:
    """Where the part goes. Second names of the log itself, of an archive that a crash ended, are taken away."""
    folder = home / ARCHIVE
    folder.mkdir(mode=0o700, exist_ok=True)
    for one in folder.glob("events-*.db"):
        if one.samefile(place):
            one.unlink()
    part = folder / part_name(first, last)
    if part.exists():
        raise StoreUnavailable(
            f"{part} is there already, of a log that was restored since: move it elsewhere, then archive again."
        )
    return part


def _close_for_good(place: Path) -> None:
    """One file without a write-ahead log: it is only read from now on, perhaps from a disk that cannot be written."""
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchone()


def _link(place: Path, part: Path) -> None:
    """Give the file a second name, so that it has one at every moment; a copy where the disk knows no links."""
    try:
        os.link(place, part)
    except OSError:
        with new_file(part) as fresh:
            shutil.copyfile(place, fresh)
