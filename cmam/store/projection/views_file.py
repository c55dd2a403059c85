"""The file of the views: opened, or made anew where it is missing, damaged, of another log or of other code.

It can always be made again from the log, so nothing here is precious but the rule that its rows and its position in the
log change in one transaction (`projector.py`).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

from sqlite_utils import Database

import cmam.domain
from cmam.store.errors import StoreUnavailable
from cmam.store.logfile.database import connect_to_read, explain
from cmam.store.logfile.log import EventLog
from cmam.store.projection import schema
from cmam.store.records.envelope import GENESIS

VIEWS_NAME = "views.db"

POSITION, HASH, SHAPE = "position", "hash", "shape"
"""Names in the table `meta`: the last record projected, its hash, and a digest of the code that did it."""


def open_views(log: EventLog, path: Path | None) -> Database:
    """Open the views of a log, made anew where they do not fit log and code; without a path, in memory."""
    if path is None:
        return _fresh(sqlite3.connect(":memory:", check_same_thread=False))
    found = find_views(log, path)
    if found is not None:
        return found
    try:
        discard_views(path)
        return _fresh(_connect(path))
    except OSError as error:
        raise StoreUnavailable(f"The views {path} cannot be made: {error.strerror or error}.") from error
    except sqlite3.Error as error:
        raise explain(error, path, is_log=False) from error


def discard_views(path: Path) -> None:
    """Throw views away that cannot be used; whoever opens them next makes them anew."""
    for part in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        part.unlink(missing_ok=True)


def find_views(log: EventLog, path: Path) -> Database | None:
    """Open the views that are there, if they were made by this code from this log; touches nothing otherwise."""
    found = _existing(path)
    if found is None or _fits(log, found):
        return found
    found.close()
    return None


def look_at_views(log: EventLog, path: Path) -> Database | None:
    """The views that are there for reading alone, if they were made by this code from this log; None otherwise."""
    if not path.exists():
        return None
    try:
        found = Database(connect_to_read(path), execute_plugins=False)
    except (sqlite3.Error, OSError):
        return None
    if _fits(log, found):
        return found
    found.close()
    return None


def is_of_views(path: Path) -> bool:
    """Whether a file holds views, of whatever log and code, or nothing at all."""
    try:
        if path.stat().st_size == 0:
            return True
        found = Database(connect_to_read(path), execute_plugins=False)
    except (sqlite3.Error, OSError):
        return False
    try:
        return meta(found, SHAPE) is not None
    except sqlite3.Error:
        return False
    finally:
        found.close()


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite would let others read it
    connection = sqlite3.connect(path, timeout=5, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL").fetchone()
    connection.execute("PRAGMA synchronous=NORMAL")  # after a power cut they are a little behind, or made anew
    return connection


def _existing(path: Path) -> Database | None:
    if not path.exists():
        return None
    try:
        return Database(_connect(path), execute_plugins=False)
    except (sqlite3.Error, OSError):
        return None


def _fresh(connection: sqlite3.Connection) -> Database:
    views = Database(connection, execute_plugins=False)
    with views.atomic():
        schema.make_tables(views)
        views.table(schema.META).insert_all(
            [
                {"name": POSITION, "value": "0"},
                {"name": HASH, "value": GENESIS},
                {"name": SHAPE, "value": shape()},
            ]
        )
    return views


def _fits(log: EventLog, views: Database) -> bool:
    """Whether these views were made by this code from this log, as far as they go."""
    try:
        if meta(views, SHAPE) != shape():
            return False
        position = int(meta(views, POSITION) or 0)
        if position == 0:
            return True
        page = log.page_of_raw(position - 1, 1)
        return bool(page) and page[0].position == position and page[0].hash == meta(views, HASH)
    except (sqlite3.Error, ValueError):
        return False


def meta(views: Database, name: str) -> str | None:
    """What the views say of themselves under one of the names above."""
    found = views.execute("SELECT value FROM meta WHERE name = ?", [name]).fetchone()
    return None if found is None else str(found[0])


def shape() -> str:
    """A digest of the code that fills the views: other folds or other tables make other views."""
    digest = hashlib.sha256()
    domain = Path(cmam.domain.__file__ or "").parent
    store = Path(__file__).parent.parent
    rooms = (domain, *(store / room for room in ("records", "folding", "projection")))
    for path in (store / "text.py", *(path for room in rooms for path in sorted(room.rglob("*.py")))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def views_position(home: Path) -> int | None:
    """How far the views of a folder go, without touching them; None where there are none."""
    path = home / VIEWS_NAME
    if not path.exists():
        return None
    try:
        connection = connect_to_read(path)
        try:
            found = connection.execute("SELECT value FROM meta WHERE name = ?", [POSITION]).fetchone()
        finally:
            connection.close()
    except sqlite3.Error:
        return None
    return int(found[0]) if found else None
