"""A disk that is full while a file of the log is made: a sentence, nothing half made, and it goes on where there is
room."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from eventsourcing.persistence import PersistenceError

from cmam.store.errors import StoreUnavailable
from cmam.store.logfile import database
from cmam.store.logfile.log import EventLog
from cmam.store.upkeep import keeping
from cmam.store.upkeep.keeping import archive

from .facts import T0, facts

MADE_AT_EACH_SIZE = """
import resource, sys
from pathlib import Path
from cmam.store.errors import StoreUnavailable
from cmam.store.logfile.log import EventLog
homes = [(Path(sys.argv[1]) / str(size), size) for size in range(0, 40_960, 4_096)]
for home, size in homes:
    home.mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        EventLog.open(home).close()
    except StoreUnavailable:
        pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for home, _ in homes:
    EventLog.open(home).close()
"""


def test_a_log_that_cannot_be_made_is_a_sentence_and_is_made_later(tmp_path: Path) -> None:
    """Wherever in its making the files may grow no more, also where the library around SQLite tells of it."""
    command = [sys.executable, "-c", MADE_AT_EACH_SIZE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_new_log_needs_nothing_beside_its_file_before_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite says nothing where it cannot fold a write-ahead log back as it closes, and a file that is given its name
    then is cut off."""
    make = database._make_tables

    def looked_at(connection: sqlite3.Connection) -> None:
        make(connection)
        (fresh,) = tmp_path.glob(f"{database.FILE_NAME}.new-*")
        shutil.copy(fresh, tmp_path / "alone")

    monkeypatch.setattr(database, "_make_tables", looked_at)
    EventLog.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "alone")) as alone:
        assert alone.execute(f"SELECT count(*) FROM {database.TABLE}").fetchone() == (0,)


def _too_short(path: Path) -> None:
    """As where the file that was to be begun is found to be too short."""
    path.touch()
    raise StoreUnavailable(f"The event store {path} did not take this: the disk is full.")


def _refused(path: Path) -> None:
    """As the library tells what SQLite has told it."""
    path.touch()
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise PersistenceError(full) from full


@pytest.mark.parametrize("fault", [_too_short, _refused])
def test_what_cannot_be_archived_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Path], None]
) -> None:
    """One sentence, which says that nothing was archived; nothing is left of the new file, and a second try does it."""
    with closing(EventLog.open(tmp_path)) as log:
        log.append(facts(3))
    with monkeypatch.context() as full:
        full.setattr(keeping, "_begin_next", lambda _log, path, _now_us: fault(path))
        with pytest.raises(StoreUnavailable, match=r"the disk is full.*Nothing was archived"):
            archive(tmp_path, T0)
    assert not list(tmp_path.glob("*.next*"))
    assert archive(tmp_path, T0).first == 1
