"""What runs beside a start: one that dies is named and started again, and nothing of what is copied is left out."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cmam.cli.face.talk import say_place
from cmam.cli.running.beside import UNTOLD, Beside, Teller, start_screen
from cmam.clock import SECOND_US, ManualClock
from cmam.store.logfile.database import FILE_NAME
from cmam.store.projection.attendant import PAUSE_US
from tests.waiting import PATIENCE_S


class Child:
    """A process that nobody has started, with the end of the pipe that it says its place on."""

    made: list[Child]

    def __init__(self, command: list[str], **named: Any) -> None:
        self.command = command
        self.stdin = io.BytesIO()
        self.returncode: int | None = None
        self.signals: list[int] = []
        self.is_quick = False
        self.pipe = os.dup(*found) if (found := named.get("pass_fds", ())) else None
        self.made.append(self)

    def poll(self) -> int | None:
        return self.returncode

    def terminate(self) -> None:
        self.signals.append(signal.SIGTERM)

    def kill(self) -> None:
        self.signals.append(signal.SIGKILL)

    def wait(self, timeout_s: float | None = None) -> int:
        if signal.SIGKILL in self.signals:
            return -signal.SIGKILL
        if timeout_s is not None and not self.is_quick:
            raise subprocess.TimeoutExpired(self.command, timeout_s)
        return 0


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Child]:
    """Every process that would have been started."""
    monkeypatch.setattr(Child, "made", [], raising=False)
    monkeypatch.setattr(subprocess, "Popen", Child)
    return Child.made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a store in its place."""
    (tmp_path / FILE_NAME).touch()
    return tmp_path


def test_who_tells_of_copies_is_started_again_behind_what_has_been_told(
    home: Path, made: list[Child], caplog: pytest.LogCaptureFixture
) -> None:
    """One that was killed left a start silent to its end; nothing is left out between two, and nothing told twice."""
    clock = ManualClock()
    beside = Beside(home, clock, 7, is_live=False)
    beside.tend()
    (first,) = made
    assert first.command[-6:-1] == ["audit", "watch", "--from", "7", "--place"]
    assert first.pipe is not None
    for place in range(8, 3_000):
        say_place(first.pipe, place)
    beside.tend()
    say_place(first.pipe, 3_000)
    os.close(first.pipe)
    first.returncode = -9
    clock.advance(PAUSE_US)
    beside.tend()
    assert made[1].command[-4:-1] == ["--from", "3000", "--place"]
    beside.end()
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "= what tells of copies here ended with -9"
    ]


def test_a_teller_that_nobody_hears_tells_on(made: list[Child]) -> None:
    """A start that stands still, or is gone, holds up no line of what it has copied."""
    teller = Teller(0)
    teller.start(Path())
    (child,) = made
    assert child.pipe is not None
    for place in range(1, 1 << 20, 64):
        say_place(child.pipe, place)  # more than a pipe holds
    teller.forget()
    say_place(child.pipe, 1)
    os.close(child.pipe)


def test_a_screen_that_was_killed_at_the_end_leaves_the_terminal_as_it_was(
    home: Path, made: list[Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines of before and the cursor were gone with it: in vain one typed on a screen that nobody drew."""
    terminal, ours = os.openpty()
    name = os.ttyname(ours)
    monkeypatch.setattr(os, "ttyname", lambda _: name)
    beside = Beside(home, ManualClock(), 7, is_live=True)
    beside.tend()
    made[0].returncode = -9
    beside.tend()
    beside.end()
    os.write(ours, b".")
    shown = b""
    while not shown.endswith(b"."):  # a terminal gives what it has so far
        shown += os.read(terminal, 100)
    assert shown == b"\x1b[?1049l\x1b[?25h."
    os.close(terminal)
    os.close(ours)


def test_what_could_not_be_told_at_the_end_is_said_to_be_elsewhere(home: Path, made: list[Child]) -> None:
    """On a busy machine, or after a burst, who tells of copies needs longer than the end waits, unsaid."""
    for is_quick, said in ((False, UNTOLD), (True, "")):
        beside = Beside(home, ManualClock(), 7, is_live=False)
        beside.tend()
        made[-1].is_quick = is_quick
        assert beside.end() == said
    dead = Beside(home, ManualClock(), 7, is_live=False)
    dead.tend()
    made[-1].returncode = 1
    dead.tend()
    assert dead.end() == UNTOLD
    screen = Beside(home, ManualClock(), 7, is_live=True)
    screen.tend()
    assert screen.end() == ""


@pytest.mark.parametrize(("looks", "said"), [(1, ""), (2, UNTOLD)])
def test_the_end_waits_on_while_who_tells_gets_on(
    home: Path, made: list[Child], monkeypatch: pytest.MonkeyPatch, looks: int, said: str
) -> None:
    """On a loaded machine it was ended in the middle of a line's work; one that gets on has a second span, no third."""
    beside = Beside(home, ManualClock(), 7, is_live=False)
    beside.tend()
    left = [looks]

    def wait(child: Child, timeout_s: float | None = None) -> int:
        if signal.SIGKILL in child.signals or not left[0]:
            return -signal.SIGKILL if child.signals else 0
        left[0] -= 1
        assert child.pipe is not None
        say_place(child.pipe, 10 - left[0])
        raise subprocess.TimeoutExpired(child.command, timeout_s or 0)

    monkeypatch.setattr(Child, "wait", wait)
    assert beside.end() == said


def test_a_screen_that_dies_is_drawn_again(home: Path, made: list[Child], caplog: pytest.LogCaptureFixture) -> None:
    """What it showed last stood there for ever, and said that all was well."""
    clock = ManualClock()
    beside = Beside(home, clock, 7, is_live=True)
    beside.tend()
    made[0].returncode = -9
    clock.advance(PAUSE_US + SECOND_US)
    beside.tend()
    assert [one.command[-2:] for one in made] == [["status", "--watch"]] * 2
    assert "= the live screen ended with -9" in caplog.text
    beside.end()
    assert made[1].signals == [signal.SIGTERM, signal.SIGKILL]  # on a terminal that is stopped it cannot draw its end


def test_a_screen_that_is_put_away_comes_again_at_once(home: Path, made: list[Child]) -> None:
    """A start that is stopped with Ctrl-Z leaves its terminal to the shell, and draws again as soon as it goes on."""
    beside = Beside(home, ManualClock(), 7, is_live=True)
    beside.tend()
    made[0].is_quick = True
    beside.put_away()
    assert made[0].signals == [signal.SIGTERM]
    beside.tend()
    assert len(made) == 2
    made[1].is_quick = True
    beside.end()


def test_a_ctrl_c_waits_until_the_live_screen_can_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen inherits what is held back; one that met a Ctrl-C while it was being loaded showed a stack."""
    held: list[set[signal.Signals | int]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: held.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    start_screen(tmp_path)
    assert [signal.SIGINT in one for one in held] == [True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_who_tells_of_copies_outlives_the_signals_that_end_a_start(tmp_path: Path) -> None:
    """It ends with its standard input, once it has told what was copied to the last: a Ctrl-C reaches both."""
    starter = Teller(7)
    teller = starter.start(tmp_path)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        teller.send_signal(number)
        assert number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert teller.wait(PATIENCE_S) == 1  # by its own word: there is no store in this folder
    assert teller.stdin is not None
    teller.stdin.close()
    starter.forget()


def test_a_start_goes_on_without_who_tells_of_copies(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No process can be made: that is said, and nothing else depends on it."""

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    beside = Beside(home, ManualClock(), 7, is_live=False)
    beside.tend()
    beside.end()
    assert "= what tells of copies here cannot be started" in caplog.text
