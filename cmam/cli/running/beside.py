"""What a person looks at while `start` runs, in a process of its own beside the trading: the live screen, or who tells
what becomes of copies, a line each.

It costs the trading nothing, and copying goes on without it. One that dies is named and started again, and who tells
goes on where the last one has come to.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cmam.cli.face.talk import ENDS_WITH_STDIN, PLACE_BYTES
from cmam.clock import Clock
from cmam.store.projection.attendant import Attendant

END_S = 2.0
END_MOVING_S = 4.0
"""How long the end waits for who tells and still gets on: a Ctrl-C is answered within five seconds."""
UNTOLD = (
    "What became of copies at the end was not all told here, since time ran out: `cmam audit copies` and `cmam audit "
    "decisions` have it."
)
GIVEN_BACK = b"\x1b[?1049l\x1b[?25h"
"""The normal screen with its lines, and a cursor."""


class Beside:
    """One of them, for the whole of a run: the screen, or who tells of what stands behind a position of the log."""

    def __init__(self, home: Path, clock: Clock, position: int, *, is_live: bool) -> None:
        self._teller = None if is_live else Teller(position)
        self._screen = Screen()
        if self._teller is None:
            self._attendant = Attendant(home, clock, self._screen.start, stop_screen, "the live screen")
        else:
            self._attendant = Attendant(home, clock, self._teller.start, self._teller.stop, "what tells of copies here")

    def tend(self) -> None:
        """Start it where none runs and its time has come; to be called several times a second."""
        if self._teller is not None:
            self._teller.hear()
        self._attendant.tend()

    def put_away(self) -> None:
        """Give the terminal back where we are to be stopped: the screen comes again once that is over. What tells of
        copies stops and goes on with us."""
        if self._teller is None:
            self._attendant.end(END_S)
            self._screen.forget()

    def end(self) -> str:
        """End it; on a terminal that was stopped it cannot draw, on a full pipe not tell, to its end. What is to be
        said of that, if anything."""
        has_told = self._attendant.end(END_S)
        self._screen.forget()
        if self._teller is None:
            return ""
        self._teller.forget()
        return "" if has_told else UNTOLD


def start_screen(home: Path, is_quiet: bool = False) -> subprocess.Popen[bytes]:
    """Start the live screen; raises OSError.

    Of the terminal's signals it has to hear those that make it larger; a Ctrl-C waits until it can end. A Ctrl-Z is for
    us, who end it then: one that was stopped first could not give the terminal back.
    """
    command = [sys.executable, "-m", "cmam", "--home", str(home), "status", "--watch"]
    with _held_back({signal.SIGINT, signal.SIGTSTP}):
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL if is_quiet else None)


def stop_screen(child: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Let the screen give the terminal back, at most so long."""
    child.terminate()
    try:
        child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


class Screen:
    """Starts one live screen after the other."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, home: Path, is_quiet: bool = False) -> subprocess.Popen[bytes]:
        """As `start_screen`."""
        self._child = start_screen(home, is_quiet)
        return self._child

    def forget(self) -> None:
        """Take the terminal back from a screen that was killed: it has left it without its lines and a cursor."""
        code = (self._child.returncode if self._child is not None else None) or 0
        if code < 0 and code != -signal.SIGTERM:  # one that our own request met so early had drawn nothing yet
            give_back()


def give_back() -> None:
    """Say to our terminal what a screen says at its end; on one that is stopped that would wait for ever, and is not
    said."""
    with suppress(OSError):
        terminal = os.open(os.ttyname(sys.stdout.fileno()), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            os.write(terminal, GIVEN_BACK)
        finally:
            os.close(terminal)


class Teller:
    """Starts one teller after the other, each behind what the one before it has told."""

    def __init__(self, position: int) -> None:
        self._position = position
        self._heard: int | None = None

    def start(self, home: Path, is_quiet: bool = False) -> subprocess.Popen[bytes]:
        """Start `cmam audit watch` as a child that writes where the log lines go; raises OSError.

        It ends with its standard input, after it has told all.
        """
        self.hear()
        self.forget()
        self._heard, says = os.pipe()
        for one in (self._heard, says):
            os.set_blocking(one, False)
        from_here = ["--from", str(self._position), "--place", str(says)]
        command = [sys.executable, "-m", "cmam", "--home", str(home), "audit", "watch", *from_here]
        try:
            with _held_back({signal.SIGINT, signal.SIGTERM, signal.SIGHUP}):  # they are for us, and our end is its end
                return subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=sys.stderr,
                    stderr=subprocess.DEVNULL if is_quiet else None,
                    env={**os.environ, ENDS_WITH_STDIN: "1"},
                    pass_fds=(says,),
                )
        finally:
            os.close(says)

    def stop(self, child: subprocess.Popen[bytes], timeout_s: float) -> int:
        """Let it tell the rest: so long, and once more as long while it gets on; then end it."""
        assert child.stdin is not None
        child.stdin.close()
        waited_s = 0.0
        while True:
            before = self._position
            try:
                return child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.hear()
            waited_s += timeout_s
            if self._position == before or waited_s >= END_MOVING_S:
                child.kill()
                return child.wait()

    def hear(self) -> None:
        """Take in how far the teller has come."""
        if self._heard is None:
            return
        with suppress(OSError):  # nothing new
            while places := os.read(self._heard, 512 * PLACE_BYTES):
                self._position = int.from_bytes(places[-PLACE_BYTES:])

    def forget(self) -> None:
        """Let go of the pipe of a teller that has ended."""
        if self._heard is not None:
            os.close(self._heard)
            self._heard = None


@contextmanager
def _held_back(signals: set[signal.Signals]) -> Iterator[None]:
    """What is started here inherits what is held back."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
