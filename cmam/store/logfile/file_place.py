"""Where the file of an open log lies: whether it is still the one under its name, and written anew where it is not.

A file that was moved or deleted under its writer takes records that nobody finds. It knows no row of the log.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from cmam.config.files import sync_folder


class FilePlace:
    """The place of one open file.

    A writer keeps the file open beside SQLite: that tells one that was deleted from one that was moved. It lets go
    after the connection, since closing any of a process's handles lets go of all its locks on the file.
    """

    def __init__(self, path: Path, *, is_held: bool) -> None:
        self._path = path
        self._name = str(path)
        self._inode = path.stat().st_ino
        self._handle = os.open(path, os.O_RDONLY) if is_held else None

    def is_kept(self) -> bool:
        """Whether the file that is open is the one under its name."""
        try:
            return os.stat(self._name).st_ino == self._inode
        except OSError:
            return False

    def is_deleted(self) -> bool:
        """Whether it has no name any more, and no other has taken it."""
        return self._handle is not None and os.fstat(self._handle).st_nlink == 0 and not self._path.exists()

    def let_go(self) -> None:
        """Close what was kept open."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def write_anew(connection: sqlite3.Connection, path: Path) -> None:
    """Write a file that somebody deleted again, from what is still open of it; raises OSError and sqlite3.Error."""
    fresh = path.with_name(f"{path.name}.new-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with closing(sqlite3.connect(fresh, isolation_level=None)) as target:
        connection.backup(target)
    fresh.rename(path)
    sync_folder(path.parent)
