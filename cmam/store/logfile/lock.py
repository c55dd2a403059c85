"""The lock on a store's folder: at most one process may write, and whoever is refused learns who holds it.

The lock is the operating system's on `HOME/lock` and ends with its process, however that dies. The file is never
deleted: two processes would then hold locks on two files of one name. Who holds it stands beside it, in
`HOME/lock.json`. It does not read the clock.
"""

from __future__ import annotations

import errno
import os
import warnings
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from filelock import FileLock, SoftFileLock, Timeout

from cmam.config.files import refusal
from cmam.store.errors import StoreHeld, StoreUnavailable

LOCK_NAME = "lock"
FULL = (errno.ENOSPC, errno.EDQUOT)
"""What a full disk says, or a quota."""
LOCKLESS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
"""What a file system says that has no locks, as some shares and some of a user's own."""
PATIENCE_S = 0.5
"""How long to try: a `status` that only looks holds the lock for a moment."""


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock: `since` is ISO 8601 UTC, `command` what was typed, without secrets."""

    pid: int
    since: str
    command: str


class StoreLock:
    """One lock of one folder, held from `acquire` to `release` or the end of the process."""

    def __init__(self, home: Path, *, name: str = LOCK_NAME) -> None:
        self._home = home
        self._path = home / name
        self._holder_path = home / f"{name}.json"
        self._lock = FileLock(self._path, mode=0o600, thread_local=False)

    def acquire(
        self, *, since: str, command: str, patience_s: float = PATIENCE_S, may_be_nameless: bool = False
    ) -> Self:
        """Take the lock, or raise StoreHeld with the name of the holder; StoreUnavailable where no lock can be made.

        On a full disk nobody holds it who could not write down who he is, but for one who `may_be_nameless`.
        """
        try:
            self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
            _take(self._lock, patience_s)
        except Timeout as error:
            raise self._held() from error
        except OSError as error:
            if error.errno in LOCKLESS:
                raise StoreUnavailable(
                    f"The folder {self._home} cannot be locked: its file system has no locks, so that two cmam could "
                    "trade there at once. Choose one on a disk of this machine with --home."
                ) from error
            raise StoreUnavailable(
                f"The folder {self._home} cannot be locked: {refusal(error, self._path)}. Choose one that you may "
                "write with --home."
            ) from error
        self._write_holder(Holder(os.getpid(), since, command), may_be_nameless)
        return self

    def release(self) -> None:
        """Let go; harmless where it is not held."""
        if self._lock.is_locked:
            with suppress(OSError):
                self._holder_path.unlink(missing_ok=True)
            self._lock.release(force=True)

    def holder(self) -> Holder | None:
        """Who holds the lock now; None if nobody does. It looks by taking the lock for a moment."""
        if not self._path.exists():
            return None
        probe = FileLock(self._path, mode=0o600, thread_local=False, is_singleton=False)
        try:
            _take(probe, 0)
            probe.release()
            return None
        except Timeout:
            return self._read_holder() or Holder(0, "", "")
        except OSError:
            return None  # a folder we may not write, or that has no locks: nobody can hold one there as we are

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _held(self) -> StoreHeld:
        found = self._read_holder()
        if found is None:
            return StoreHeld(None, "", "", str(self._home))
        return StoreHeld(found.pid, found.since, found.command, str(self._home))

    def _write_holder(self, holder: Holder, may_lack: bool) -> None:
        fresh = self._holder_path.with_name(f"{self._holder_path.name}.{holder.pid}")
        try:
            fresh.unlink(missing_ok=True)  # of a process of our number that was killed here
            os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            fresh.write_bytes(msgspec.json.encode(holder))
            fresh.replace(self._holder_path)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            if may_lack and error.errno in FULL:
                with suppress(OSError):
                    self._holder_path.unlink(missing_ok=True)  # it names one that has gone
                return
            self._lock.release(force=True)
            raise StoreUnavailable(f"{self._holder_path} cannot be written: {error.strerror or error}.") from error

    def _read_holder(self) -> Holder | None:
        try:
            return msgspec.json.decode(self._holder_path.read_bytes(), type=Holder)
        except (OSError, msgspec.MsgspecError):
            return None


def _take(lock: FileLock, patience_s: float) -> None:
    """Take a lock of the operating system's, and no other: raises Timeout, or OSError where there is none.

    Where a file system has none, the library would take a file that is there for a lock: a process that is killed
    leaves such a one behind.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lock.acquire(timeout=patience_s, poll_interval=0.02)
    except (Timeout, NotImplementedError) as error:
        if isinstance(error, NotImplementedError) or isinstance(lock, SoftFileLock):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from error
        raise
    if isinstance(lock, SoftFileLock):
        lock.release(force=True)
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
