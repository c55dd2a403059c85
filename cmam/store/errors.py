"""What can go wrong with a store, as one tree.

    StoreError
    ├── StoreUnavailable    disk full, I/O error, locked by another: nothing was written, try the same batch again
    │   └── ViewsDamaged    views.db cannot be read any more: it is thrown away and made anew from the log
    ├── StoreBroken         not a store, damaged, or written by a newer cmam: a person must act
    │   ├── StoreMissing    there is none in this folder
    │   ├── StoreDamaged    less of it is there than was written, or something else
    │   └── StoreNewer      a newer cmam has written there what this one does not know
    ├── StoreHeld           another process owns this store (`lock.py`)
    └── RecordRefused       one record of a batch cannot be written, and never will be: its stream must stop
        └── VersionConflict     that version of the stream holds other bytes: somebody else writes it too

Every message says what was expected, what was found and what to do. None of them holds the content of an event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cmam

if TYPE_CHECKING:
    from pathlib import Path


class StoreError(Exception):
    """Anything a store refuses or cannot do."""


class StoreUnavailable(StoreError):
    """The disk or the file did not take the batch. Nothing of it was written; the same batch may be tried again."""


class ViewsDamaged(StoreUnavailable):
    """The views cannot be read or written any more. Nothing is lost: they are made anew from the log."""


class StoreBroken(StoreError):
    """The file is no store of ours, or can no longer be read as one."""


class StoreMissing(StoreBroken):
    """There is no store in this folder."""


class StoreDamaged(StoreBroken):
    """The file is cut off or spoilt: what was `found`, and a way on that fits the log of a home, but no backup."""

    def __init__(self, found: str, way: str) -> None:
        self.found = found
        super().__init__(f"{found}. {way}")


class StoreNewer(StoreBroken):
    """A newer cmam wrote there: what it `used` is told beside what this one `knows`, and which one it was if known.

    Two copies of cmam may call themselves by one version and differ all the same, as two checkouts do.
    """

    def __init__(self, path: Path | None, used: str, knows: str, code: str = "") -> None:
        who = f"A newer cmam than this one ({cmam.__version__}) wrote"
        which, start = "", "Install the version that ran here last"
        if code == cmam.__version__:
            which = f" Both call themselves {code}."
            start = "Start the copy of cmam that ran here last"
        elif code:
            which, start = f" It is version {code}.", f"Install version {code}"
        super().__init__(
            f"{who} {path or 'this store'}: {used}, and this one knows {knows}.{which} {start}, or restore a backup "
            "from before it."
        )


class StoreHeld(StoreError):
    """Another process holds the store."""

    def __init__(self, pid: int | None, since: str, command: str, folder: str, *, is_silent: bool = False) -> None:
        self.pid = pid
        self.since = since
        self.command = command
        self.folder = folder
        who = f"process {pid} ({command}, since {since})" if pid is not None else "a process that has not said its name"
        way = (
            "It does not answer commands: it starts, ends or hangs. Nothing was done. Ask again; `cmam flatten "
            "--direct` closes past one that hangs."
            if is_silent
            else "Only one may run there. Look at it with `cmam status`, steer it with `cmam pause`, `resume` and "
            "`flatten`, or stop it first. For another home, name its folder with --home."
        )
        super().__init__(f"cmam runs in {folder} already: {who}. {way}")

    def silent(self) -> StoreHeld:
        """The same of a holder that was asked before, and did not answer."""
        return StoreHeld(self.pid, self.since, self.command, self.folder, is_silent=True)


class RecordRefused(StoreError):
    """One record of a batch can never be written; nothing of the batch was. `stream` and `version` name it."""

    def __init__(self, stream: str, version: int, why: str) -> None:
        self.stream = stream
        self.version = version
        super().__init__(f"Record {version} of {stream} was refused: {why}")


class VersionConflict(RecordRefused):
    """That version is taken by something else, or does not follow the last one."""
