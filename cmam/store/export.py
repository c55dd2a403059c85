"""What leaves the store as a file: lists as CSV or JSON lines, and the whole log as a backup.

A file appears under its name only once it is whole. Evidence packs are `pack.py`'s and `pack_check.py`'s.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from cmam.store.audit import Line, verify_log
from cmam.store.chain import LogHead
from cmam.store.database import explain
from cmam.store.errors import StoreBroken, StoreUnavailable
from cmam.store.files import new_file
from cmam.store.log import EventLog

PACK_FORMAT = "cmam evidence 1"


# --- tables -------------------------------------------------------------------------------------------------------


def write_json_lines(lines: Iterable[Line], file: IO[str]) -> int:
    """One JSON object per line; answers how many."""
    count = 0
    for line in lines:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        count += 1
    return count


def write_csv(lines: Iterable[Line], file: IO[str]) -> int:
    """A header and a row per line; what is nested stands as JSON in its cell. Answers how many rows."""
    writer: csv.DictWriter[str] | None = None
    count = 0
    for line in lines:
        count += 1
        if writer is None:
            writer = csv.DictWriter(file, list(line))
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in line.items()})
    return count


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def export_table(lines: Iterable[Line], path: Path, *, as_csv: bool | None = None) -> int:
    """Write lines as CSV, or as JSON lines, by the ending of the file's name where nothing else is said."""
    is_csv = path.suffix.lower() == ".csv" if as_csv is None else as_csv
    write: Callable[[Iterable[Line], IO[str]], int] = write_csv if is_csv else write_json_lines
    with new_file(path) as fresh, fresh.open("w", encoding="utf-8", newline="") as file:
        return write(lines, file)


# --- backups ------------------------------------------------------------------------------------------------------


def backup(home: Path, path: Path) -> LogHead:
    """Copy the store while it is written; the copy is whole, verified, and holds all that was committed when it began.

    Answers its head, to be kept apart from it. Secrets, settings of the way to the API and views are not part of it.
    """
    if path.is_dir():
        raise StoreUnavailable(f"Expected a file to write the backup to, found the folder {path}.")
    with new_file(path) as fresh:
        with closing(EventLog.read_only(home)) as log:
            _copy(log, fresh)
        with closing(EventLog.read_file(fresh)) as copied:
            result = verify_log(copied)
        for part in ("-wal", "-shm"):
            fresh.with_name(fresh.name + part).unlink(missing_ok=True)
    if not result.is_whole:
        raise StoreBroken(f"The store was copied to {path} as it is, but it is not whole: {result.findings[0].text}")
    return result.head


def _copy(log: EventLog, path: Path) -> None:
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as target:
            log.connection.backup(target)
            target.execute("PRAGMA journal_mode=DELETE").fetchone()  # one file, without a write-ahead log beside it
    except sqlite3.Error as error:
        raise explain(error, path) from error
