"""Keeps a projector running beside the trading, or another process that reads the log: started, started again where it
died, and ended with its parent.

Copying needs none of them: whatever ails one is told in one line when it begins and one when it is over, and tried
again after pauses that grow. It must not know what they do, nor import it: the trading process starts without that.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cmam.clock import SECOND_US, Clock
from cmam.store.logfile.database import FILE_NAME

log = logging.getLogger(__name__)

PAUSE_US = 10 * SECOND_US
"""How soon after one start the next may follow; twice as long after each process that did not last."""
PAUSE_MAX_US = 300 * SECOND_US
LASTED_US = 60 * SECOND_US
"""A process that lives so long is well. One that finds no store, or waits for another's lock, ends sooner."""

Start = Callable[[Path, bool], "subprocess.Popen[bytes]"]
Stop = Callable[["subprocess.Popen[bytes]", float], object]


def start(home: Path, is_quiet: bool = False) -> subprocess.Popen[bytes]:
    """Start a projector as a child, which says nothing where it is to be quiet; raises OSError.

    Its standard input is ours to hold: it drains and exits when that is closed.
    """
    command = [sys.executable, "-m", "cmam.store.projection.projector", "--home", str(home)]
    talk = subprocess.DEVNULL if is_quiet else None
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=talk,
        process_group=0,  # Ctrl-C is for us, from the first moment: until it could ignore one it would end with a stack
    )


def stop(child: subprocess.Popen[bytes], timeout_s: float = 3.0) -> int:
    """Let a process drain and exit, at most so long; then end it: what it has not projected is projected later."""
    assert child.stdin is not None
    child.stdin.close()
    try:
        return child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


class Attendant:
    """One process after the other, for the store of a folder. `start` may raise OSError; `name` stands in log lines."""

    def __init__(
        self, home: Path, clock: Clock, start: Start = start, stop: Stop = stop, name: str = "the projector"
    ) -> None:
        self._home = home
        self._clock = clock
        self._start = start
        self._stop = stop
        self._name = name
        self._child: subprocess.Popen[bytes] | None = None
        self._started_us = 0
        self._again_us = 0
        self._failures = 0
        self._said = ""

    def tend(self) -> None:
        """Start one where none runs and its time has come; to be called several times a second."""
        now = self._clock.monotonic()
        if self._child is not None:
            if self._child.poll() is None:
                self._see_well(now)
                return
            self._bury(self._child, now)
        if not os.path.exists(self._home / FILE_NAME):
            self._again_us = min(self._again_us, self._started_us + PAUSE_US)  # at once when it is back
        elif now >= self._again_us:
            self._begin(now)

    def end(self, timeout_s: float) -> bool:
        """Let it drain and exit, at most so long; what a projector leaves is projected by whoever looks. Whether one
        was there, and came to its end in order."""
        child, self._child = self._child, None
        return child is not None and self._stop(child, timeout_s) == 0

    def _begin(self, now: int) -> None:
        """A second one in a row that may fail for the same reason says nothing of its own."""
        self._started_us = now
        try:
            self._child = self._start(self._home, self._failures > 0)
        except OSError as error:
            self._fail(f"cannot be started ({error.strerror or error})", now)

    def _see_well(self, now: int) -> None:
        if self._said and now - self._started_us >= LASTED_US:
            log.warning("= %s runs again", self._name)
            self._said, self._failures = "", 0

    def _bury(self, child: subprocess.Popen[bytes], now: int) -> None:
        self._child = None
        if child.stdin is not None:
            child.stdin.close()
        if now - self._started_us >= LASTED_US:
            self._failures, self._again_us = 0, now
            self._say(f"ended with {child.returncode}")
        else:
            self._fail(f"ended with {child.returncode}", now)

    def _fail(self, how: str, now: int) -> None:
        pause = min(PAUSE_US << min(self._failures, 10), PAUSE_MAX_US)
        self._failures += 1
        self._again_us = max(now, self._started_us + pause)
        self._say(how)

    def _say(self, how: str) -> None:
        """Once, and again only where it goes wrong in another way."""
        if how == self._said:
            return
        self._said = how
        if os.path.exists(self._home / FILE_NAME):
            then = "it is started again, ever more rarely while it does not last"
        else:
            then = f"{FILE_NAME} is not in its place, and it is started again once that is back"
        log.warning("= %s %s: copying goes on; %s", self._name, how, then)
