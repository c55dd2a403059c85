"""The older parts of a log: files that `archive` put aside, each ending where the next begins. They are only read.

A log whose first record is not the first of all has older parts in the folder `archive` beside it, named by the first
and last position in them. Nothing is ever deleted; without its older parts a log is not read at all.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from cmam.store.errors import StoreBroken
from cmam.store.logfile.database import TABLE, explain

ARCHIVE = "archive"
"""The folder of older parts, beside the log."""

PART_NAME = re.compile(r"events-(\d+)-(\d+)\.db", re.ASCII)
"""What older parts are called."""


def part_name(first: int, last: int) -> str:
    """The name of an older part by its positions."""
    return f"events-{first}-{last}.db"


def first_position(connection: sqlite3.Connection, path: Path) -> int:
    """The position of a file's first record; 0 where it has none."""
    try:
        (found,) = connection.execute(f"SELECT min(rowid) FROM {TABLE}").fetchone()
    except sqlite3.Error as error:
        raise explain(error, path) from error
    return int(found or 0)


def older_parts(connection: sqlite3.Connection, path: Path, archive: Path | None = None) -> list[Path]:
    """The files that come before one, oldest first; raises StoreBroken where one of them is not there."""
    first = first_position(connection, path)
    if first <= 1:
        return []
    folder = archive if archive is not None else path.parent / ARCHIVE
    by_end: dict[int, tuple[int, Path]] = {}
    for one in sorted(folder.glob("events-*.db")):
        named = PART_NAME.fullmatch(one.name)
        if named is not None:
            by_end[int(named[2])] = (int(named[1]), one)
    found: list[Path] = []
    while first > 1:
        if first - 1 not in by_end:
            raise StoreBroken(
                f"The event store {path} begins at record {first}: expected its older part "
                f"{folder / f'events-…-{first - 1}.db'}, found none. Put it back: nothing can be replayed without it."
            )
        first, one = by_end[first - 1]
        found.append(one)
    return found[::-1]
