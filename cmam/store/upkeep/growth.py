"""How large a home's files are, and how fast its log grows: said in `status`, so that a disk does not fill unseen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from cmam.store.errors import StoreError
from cmam.store.logfile.database import beside
from cmam.store.logfile.log import EventLog
from cmam.store.projection.views_file import VIEWS_NAME

DAY_US = 86_400_000_000


def growth(home: Path) -> dict[str, Any] | None:
    """Records, bytes of log, archive and views, and the bytes of the last day; None without a log that can be read."""
    try:
        with closing(EventLog.read_only(home)) as log:
            return _measured(home, log)
    except (StoreError, ValueError):
        return None


def _measured(home: Path, log: EventLog) -> dict[str, Any]:
    records = log.position()
    own, archived = _taken(log.connection), sum(_size(part.path) for part in log.parts[:-1])
    newest = _at(log, records)
    first = _first_since(log, newest - DAY_US, records)
    span = max(1, newest - _at(log, first))
    of_day = records - first + 1
    whole = own + archived
    a_day = of_day * whole // max(1, records)
    return {
        "records": records,
        "bytes": own,
        "archived_bytes": archived,
        "views_bytes": _size(home / VIEWS_NAME),
        "records_per_day": of_day,
        "bytes_per_day": a_day,
        "measured_hours": f"{span / 3_600_000_000:.1f}",
    }


def _first_since(log: EventLog, at_us: int, last: int) -> int:
    """The first position whose record is not older, by halving: streams are nearly in the order of time."""
    low, high = 1, max(1, last)
    while low < high:
        middle = (low + high) // 2
        if _at(log, middle) < at_us:
            low = middle + 1
        else:
            high = middle
    return low


def _at(log: EventLog, position: int) -> int:
    page = log.page_of_raw(position - 1, 1)
    return log.decode(page[0]).at_us if page else 0


def _taken(connection: sqlite3.Connection) -> int:
    """The bytes of what stands in a log, folded back or not; the write-ahead log itself is long from the start."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (bytes_each,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages * bytes_each)


def _size(path: Path) -> int:
    """A file's bytes, its write-ahead log with it."""
    found = 0
    for one in (path, beside(path, "-wal")):
        try:
            found += one.stat().st_size
        except OSError:
            continue
    return found
