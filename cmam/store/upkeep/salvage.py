"""Copying the good part of a damaged log into a file that can be started on.

What is copied is everything before the first bad record, byte for byte, so its chains hold. Not more: a follower's
decisions rest on its leader's records, and a log with a gap in the middle would make a later version mean something
else. What comes after the gap is kept beside it as text, for people; the brokers know what it led to.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, count, takewhile
from pathlib import Path

from cmam.config.files import sync_folder
from cmam.domain.events import (
    AccountPaused,
    FlattenRequested,
    GuardTripped,
    LinkAdded,
    LinkRemoved,
    LinkSettingsChanged,
    ProfileCreated,
    ProfileDeleted,
    ProfileSettingsChanged,
    ProfileStateChanged,
)
from cmam.store.errors import StoreBroken, StoreDamaged, StoreUnavailable
from cmam.store.logfile import database
from cmam.store.logfile.database import TABLE, explain
from cmam.store.logfile.files import new_file
from cmam.store.logfile.lock import StoreLock
from cmam.store.logfile.log import EventLog
from cmam.store.logfile.segments import ARCHIVE
from cmam.store.proof.tail import Unreadable, readable
from cmam.store.proof.verify import Verifier
from cmam.store.records.envelope import Raw

PARTS = ("", "-wal", "-shm")
LEFT_OUT = ".left-out.jsonl"
"""What the name of the file ends with that holds what was not copied."""


FORGOTTEN: Mapping[str, str] = {
    FlattenRequested.TOPIC: "flatten",
    GuardTripped.TOPIC: "guard that tripped",
    ProfileStateChanged.TOPIC: "pause or other state of a profile",
    AccountPaused.TOPIC: "pause of an account",
    ProfileSettingsChanged.TOPIC: "change of settings",
    LinkSettingsChanged.TOPIC: "change of settings",
    ProfileCreated.TOPIC: "profile or follower",
    LinkAdded.TOPIC: "profile or follower",
    LinkRemoved.TOPIC: "profile or follower taken out",
    ProfileDeleted.TOPIC: "profile or follower taken out",
}
"""Records that no broker can tell again: what people had said, and what forbade to open."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What a salvage found: how many records are good, how many more could be read, and what the first bad one is.

    `forgotten` counts, in words, what is among the others that no broker can tell again.
    """

    records: int
    left_out: int
    bad: str
    forgotten: Mapping[str, int]


def salvage(home: Path, path: Path) -> Salvaged:
    """Copy what is good of a home's log to `path`; raises StoreBroken where not even its beginning can be read."""
    source = home / database.FILE_NAME
    beside = path.with_name(path.name + LEFT_OUT)
    taken = next((one for one in (path, beside) if one.exists()), None)
    if taken is not None:
        raise StoreUnavailable(f"Expected a name that is free to write to, found the file {taken}.")
    with _readable(source), _openable(source, path) as whole, closing(EventLog.damaged(whole, home / ARCHIVE)) as log:
        begins = sum(part.position() for part in log.parts[-2:-1]) + 1  # what was archived stays where it is
        first_bad, end, why = _first_bad(log)
        rest = _rows(log, max(begins, first_bad), end)
        with new_file(path) as fresh:
            good = _write(fresh, _rows(log, begins, first_bad))
            if not good:
                raise StoreBroken(f"Nothing can be copied out of {source}: {why}")
        left_out: Counter[str] = Counter()
        if (first := next(rest, None)) is not None:
            with new_file(beside) as fresh:
                left_out = _keep(fresh, chain([first], rest))
    forgotten: Counter[str] = Counter()
    for topic, times in left_out.items():
        if topic in FORGOTTEN:
            forgotten[FORGOTTEN[topic]] += times
    return Salvaged(good, left_out.total(), why, dict(forgotten))


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    """Where SQLite does not even open the file, a salvage is no way on."""
    try:
        yield
    except StoreDamaged as error:
        raise StoreBroken(
            f"Nothing can be copied out of {source}, since its beginning is damaged: {error.found}. Restore a backup "
            "(`cmam restore FILE --replace`). Without one, move it away and begin anew; the brokers are asked for what "
            "is open."
        ) from error


@contextmanager
def _openable(source: Path, path: Path) -> Iterator[Path]:
    """The file itself; where it lost its end, a copy as long as it was, since SQLite reads nothing of a shorter one."""
    missing = database.missing_bytes(source)
    if not missing:
        yield source
        return
    longer = path.with_name(f"{path.name}.long-{os.getpid()}")
    try:
        shutil.copyfile(source, longer)
        with longer.open("ab") as file:
            file.truncate(longer.stat().st_size + missing)
        yield longer
    except OSError as error:
        raise StoreUnavailable(f"{longer} cannot be written: {error.strerror or error}.") from error
    finally:
        for part in PARTS:
            longer.with_name(longer.name + part).unlink(missing_ok=True)


def put_in_place(home: Path, path: Path) -> Path:
    """Exchange a home's damaged log for a salvaged one, under the store's lock; answers where the damaged one lies."""
    source = home / database.FILE_NAME
    with StoreLock(home).acquire(since="", command="cmam salvage"):
        whole = _brought_beside(source, path)
        kept = next(name for name in _names(source) if not name.exists())
        for part in PARTS:
            found = source.with_name(source.name + part)
            if found.exists():
                found.rename(kept.with_name(kept.name + part))
                sync_folder(home)  # the log before its last records, and these before the whole one comes
        whole.rename(source)
        sync_folder(home)
    return kept


def _brought_beside(source: Path, path: Path) -> Path:
    """Have the salvaged log lie beside the damaged one, from whatever disk, before that loses its name."""
    whole = database.exchanged(source)
    try:
        path.rename(whole)
    except OSError:
        with new_file(whole, over_store=True) as fresh:
            shutil.copyfile(path, fresh)
        path.unlink()
    return whole


def _names(source: Path) -> Iterator[Path]:
    return (source.with_name(f"{source.name}.damaged-{number}") for number in count(1))


def _first_bad(log: EventLog) -> tuple[int, int, str]:
    """The positions of the first bad record and behind the last that can be read, both where all is good; what is bad.

    A log may be longer than memory, so what is read here is read again where it is copied.
    """
    verifier, last, why = Verifier(), 0, ""
    try:
        for raw in readable(log):
            verifier.check(raw)
            last = raw.position
    except Unreadable as error:
        why = str(error)
    found = verifier.finish().findings
    return (found[0].position, last + 1, found[0].text) if found else (last + 1, last + 1, why)


def _rows(log: EventLog, begin: int, end: int) -> Iterator[Raw]:
    """What can be read from a position on, and before another one: somebody may write meanwhile."""
    with suppress(Unreadable):
        yield from takewhile(lambda raw: raw.position < end, readable(log, begin - 1))


def _write(path: Path, rows: Iterable[Raw]) -> int:
    """A new store with these records, at the same positions; answers how many."""
    path.unlink()
    with closing(EventLog.open_file(path)) as log:
        try:
            log.connection.execute("BEGIN")
            written = log.connection.executemany(
                f"INSERT INTO {TABLE} (rowid, originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?, ?)",
                ((raw.position, raw.stream, raw.version, raw.topic, raw.state.decode()) for raw in rows),
            )
            log.connection.execute("COMMIT")
            log.connection.execute("PRAGMA journal_mode=DELETE").fetchone()
            return written.rowcount
        except sqlite3.Error as error:
            raise explain(error, path) from error


def _keep(path: Path, rows: Iterable[Raw]) -> Counter[str]:
    """Write records as text; answers how many of each topic."""
    kept: Counter[str] = Counter()
    with path.open("w", encoding="utf-8") as out:
        for raw in rows:
            state = base64.b64encode(raw.state).decode()
            line = {"position": raw.position, "stream": raw.stream, "version": raw.version, "topic": raw.topic}
            out.write(json.dumps({**line, "state_base64": state}) + "\n")
            kept[raw.topic] += 1
    return kept
