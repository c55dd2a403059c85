"""How much room the disk of a store has, and when that is too little: said before it is full, when opens stop.

Looked at beside the trading, by the process's own thread and by commands; nobody who trades waits for it.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

from cmam.clock import SECOND_US, Clock
from cmam.store.logfile.database import FILE_NAME

log = logging.getLogger(__name__)

LEAST = 256 << 20
"""256 MiB: half a million records. Less is left too soon by whatever else fills a disk, at no pace that could be known
before: a log file, a download, a backup."""
PART = 10
"""Of a small disk no more than a tenth: on one of 200 MB the alert would stand for ever, and nobody would read it."""
AHEAD_S = 3_600
"""Or what recording takes in an hour at its present pace, where that is more: a person has to come and make room."""
BESIDE = 2
"""Beside the log its views take a third of it, and its write-ahead log some megabytes: all of it counts as twice."""
WINDOW_US = 600 * SECOND_US
"""Over so long the pace is measured: a burst is no pace, and the log's file grows in steps as it is folded back."""
PACE_LEAST_US = 60 * SECOND_US
LOOK_US = 10 * SECOND_US
TINY = 10 << 20
"""Below 10 MiB a figure has a decimal."""
ENOUGH = 1.25
"""So many times what is too little must be free before the alert goes: else it would come and go with each step."""


def free_and_total(folder: Path) -> tuple[int, int]:
    """The bytes that whoever runs us may still write on a folder's disk, and how many it has; raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def log_bytes(folder: Path) -> int:
    """The bytes of a store's log, as far as it is folded back; 0 where there is none."""
    try:
        return (folder / FILE_NAME).stat().st_size
    except OSError:
        return 0


def little(total: int, hour: int = 0) -> int:
    """Below how many bytes that are free there are too few; `hour` is what an hour of recording takes."""
    return max(min(LEAST, total // PART), hour)


def shortage(folder: Path, hour: int = 0, *, factor: float = 1.0) -> str:
    """That the disk of a store has too little room, in a sentence; empty where it has enough, or cannot be asked."""
    return next(filter(None, (_short_of(disk, hour, factor) for disk in _disks(folder))), "")


def _disks(folder: Path) -> tuple[Path, ...]:
    """The folder itself, where secrets and views are written, and the log's, where that is a link to elsewhere."""
    logs = os.path.dirname(os.path.realpath(folder / FILE_NAME))
    return (folder,) if logs == os.path.realpath(folder) else (folder, Path(logs))


def _short_of(folder: Path, hour: int, factor: float) -> str:
    try:
        free, total = free_and_total(folder)
    except OSError:
        return ""  # a folder that is gone is told by whoever writes there
    if not total:
        return ""  # a file system that knows no size, as a tmpfs without a limit: it says that nothing is free either
    least = little(total, hour)
    if free >= least * factor:
        return ""
    pace = f"an hour of recording at the present pace takes {_mib(hour)}"
    why = pace if hour >= least else f"{_mib(least)} is little"
    return (
        f"The disk of {folder} has {_mib(free)} left; {why}. Make room: once it is full nothing is opened, and only "
        "whole closes and cancels leave."
    )


class RoomWatch:
    """Looks now and then how much room there is while the system records."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        log_bytes: Callable[[Path], int] = log_bytes,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._log_bytes = log_bytes
        self._seen: deque[tuple[int, int]] = deque()
        self._look_us = 0
        self._is_short = False

    def look(self, alarm: Callable[[str, str], None]) -> None:
        """Look, where it is time to, and have it shown while there is little; to be called several times a second."""
        now = self._clock.monotonic()
        if now < self._look_us:
            return
        self._look_us = now + LOOK_US
        was_short = self._is_short
        text = shortage(self._folder, self._hour(now), factor=ENOUGH if was_short else 1.0)
        self._is_short = bool(text)
        alarm("disk", text)
        if text and not was_short:
            log.warning("! %s", text)
        elif was_short and not text:
            log.warning("= the disk has room again")

    def _hour(self, now: int) -> int:
        """What an hour of recording takes at the pace of the last minutes; 0 while that is not known."""
        self._seen.append((now, self._log_bytes(self._folder)))
        while now - self._seen[0][0] > WINDOW_US:
            self._seen.popleft()
        first_us, first = self._seen[0]
        if now - first_us < PACE_LEAST_US:
            return 0
        return max(0, self._seen[-1][1] - first) * BESIDE * AHEAD_S * SECOND_US // (now - first_us)


def _mib(count: int) -> str:
    """A count of bytes; of a tiny disk in smaller units, since all of it would round to nothing."""
    if count < 1 << 20:
        return f"{count >> 10} KiB"
    return f"{count / (1 << 20):,.{int(count < TINY and count % (1 << 20) > 0)}f} MiB"
