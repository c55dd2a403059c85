"""What was written since the last checkpoint, held against its chains before anything rests on it.

A start folds the whole log, and what it folds moves money: a record that was damaged where a crash or a failing disk
strikes, at the end, must not pass for what was decided. What lies before the last checkpoint was whole when that was
written, and is the business of `audit verify`. Reads rows, knows no facts but checkpoints.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from cmam.domain.events import Checkpointed
from cmam.domain.operating.registry import APP
from cmam.store.errors import StoreBroken, StoreDamaged
from cmam.store.logfile.database import TABLE
from cmam.store.logfile.log import EventLog
from cmam.store.logfile.log_reader import PAGE
from cmam.store.proof.verify import Verifier
from cmam.store.records.envelope import Raw

TRIES = 5
"""So many of the last checkpoints are looked at for one that can be read."""
_CHECKPOINTS = (
    f"SELECT originator_version FROM {TABLE} WHERE originator_id = '{APP}' AND topic = '{Checkpointed.TOPIC}' "
    f"ORDER BY originator_version DESC LIMIT {TRIES}"
)


class Unreadable(StoreBroken):
    """The file cannot be read at one position; what lies before it can."""

    def __init__(self, position: int, why: str) -> None:
        self.position = position
        super().__init__(f"The record at position {position} cannot be read ({why}).")


def check_tail(log: EventLog, *, is_known: bool = True) -> None:
    """Hold everything since the last checkpoint against its chains; raises StoreBroken, naming the first bad record.

    A file that this home has not written is held whole: who copies a log while it is written may copy pages of two
    moments, and what lacks then lies anywhere. What was archived before it was whole when that was done.
    """
    verifier, after = Verifier(), 0
    if not is_known:
        _check_pages(log)
    last = _last_checkpoint(log) if is_known else _first_checkpoint(log)
    if last is not None:
        after = verifier.resume(last)
    try:
        for raw in readable(log, after):
            verifier.check(raw)
    except Unreadable as error:
        raise StoreBroken(f"{error} {_advice(log)}") from error
    found = verifier.finish()
    if found.findings:
        raise StoreBroken(f"{found.findings[0].text} {_advice(log)}")


def _check_pages(log: EventLog) -> None:
    """Have SQLite hold its pages and its index against each other."""
    try:
        (found,) = log.connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        found = str(error)
    if found != "ok":
        raise StoreBroken(f"The file {log.path} is not whole ({found}). {_advice(log)}")


def _first_checkpoint(log: EventLog) -> Checkpointed | None:
    """Where the file goes on from older parts, what it begins with."""
    if len(log.parts) == 1:
        return None
    try:
        event = log.decode(log.page_of_raw(log.parts[-2].position(), 1)[0]).event
    except (ValueError, IndexError):
        return None  # it is damaged, and found as such
    return event if isinstance(event, Checkpointed) else None


def _advice(log: EventLog) -> str:
    return (
        f"Nothing was started on {log.path}. Restore a backup, or copy out what is good with `cmam salvage FILE`; the "
        "brokers are asked for the rest."
    )


def readable(log: EventLog, after: int = 0) -> Iterator[Raw]:
    """All rows after a position, in order; raises Unreadable at the first that the file does not give."""
    size = PAGE
    while True:
        try:
            page = log.page_of_raw(after, size)
        except StoreBroken as error:
            if size == 1:
                raise Unreadable(after + 1, error.found if isinstance(error, StoreDamaged) else str(error)) from error
            size = 1  # find out where exactly
            continue
        if not page:
            return
        for raw in page:
            if raw.position <= after:  # a torn tree may lead in circles
                raise Unreadable(after + 1, "the file leads back to where it was")
            yield raw
            after = raw.position


def _last_checkpoint(log: EventLog) -> Checkpointed | None:
    """The newest checkpoint that can be read; a damaged one is found as part of what follows the one before it."""
    try:
        versions = [int(row[0]) for row in log.connection.execute(_CHECKPOINTS)]
    except Exception:  # noqa: BLE001 - a torn index: everything is checked from the beginning
        return None
    for version in versions:
        try:
            record = log.record(APP, version)
        except StoreBroken:
            continue
        if record is not None and isinstance(record.event, Checkpointed):
            return record.event
    return None
