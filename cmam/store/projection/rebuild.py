"""The views made anew into a file of their own, up to any record: for SQLite tools, and to see the tables of a moment.

One file without a write-ahead log beside it, and a metadata file that Datasette reads. Nothing in it is precious.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

from cmam.store.errors import StoreUnavailable
from cmam.store.logfile.database import explain
from cmam.store.logfile.files import new_file
from cmam.store.logfile.log import EventLog
from cmam.store.projection.projector import Projector
from cmam.store.projection.sql_views import datasette_metadata
from cmam.store.projection.views_file import open_views

METADATA_SUFFIX = "-metadata.json"

Progress = Callable[[int], None]


def rebuild(log: EventLog, path: Path, *, until: int | None = None, progress: Progress = lambda _: None) -> int:
    """Make the views of a log up to a position into a new file; answers the position reached."""
    if path.is_dir():
        raise StoreUnavailable(f"Expected a file to write the views to, found the folder {path}.")
    with new_file(path) as fresh:
        views = open_views(log, fresh)
        try:
            projector = Projector(log, views)
            while projector.project_page(until):
                progress(projector.position)
            views.execute("PRAGMA journal_mode=DELETE").fetchone()
        except sqlite3.Error as error:
            raise explain(error, path) from error
        finally:
            views.close()
        for part in ("-wal", "-shm"):  # also what an older file of that name left: SQLite would take it for ours
            fresh.with_name(fresh.name + part).unlink(missing_ok=True)
            path.with_name(path.name + part).unlink(missing_ok=True)
    beside = metadata_path(path)
    with new_file(beside) as fresh:
        fresh.write_text(json.dumps(datasette_metadata(path.stem), indent=2) + "\n", encoding="utf-8")
    return projector.position


def metadata_path(path: Path) -> Path:
    """Where the metadata of a file of views lies."""
    return path.with_name(path.stem + METADATA_SUFFIX)


def position_at(log: EventLog, at_us: int) -> int:
    """The last position before the first record that is later than a moment."""
    found = 0
    for raw in log.raw():
        if log.moment_of(raw) > at_us:
            break
        found = raw.position
    return found
