"""The projector's attendant: one runs, and what ails it is told when it begins and when it is over."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cmam.clock import SECOND_US, ManualClock
from cmam.domain.events import SystemStarted, SystemStopped
from cmam.store.logfile.database import FILE_NAME
from cmam.store.logfile.log import EventLog
from cmam.store.projection.attendant import PAUSE_MAX_US, PAUSE_US, Attendant, stop
from cmam.store.projection.attendant import start as begin
from cmam.store.projection.projector import project_to_head
from cmam.store.projection.views_file import views_position
from cmam.store.records.envelope import Pending
from tests.waiting import PATIENCE_S, until

MINUTE = 60
AGAIN = "it is started again, ever more rarely while it does not last"
AWAY = "events.db is not in its place, and it is started again once that is back"


class Sick:
    """Projectors that live as long as they are told: so many s, for ever if None; an error is one that cannot start."""

    def __init__(self, home: Path, *lives: float | OSError | None) -> None:
        self.clock = ManualClock()
        self.lives = list(lives)
        self.started_s: list[float] = []
        self.quiet: list[bool] = []
        self.attendant = Attendant(home, self.clock, self._start)

    def _start(self, _: Path, is_quiet: bool) -> Any:
        life = self.lives.pop(0) if self.lives else None
        self.started_s.append(self.clock.monotonic() / SECOND_US)
        self.quiet.append(is_quiet)
        if isinstance(life, OSError):
            raise life
        return Process(self.clock, None if life is None else self.clock.monotonic() + int(life * SECOND_US))

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds * 5)):
            self.attendant.tend()
            self.clock.advance(SECOND_US // 5)


class Process:
    stdin = None
    returncode: int | None = None

    def __init__(self, clock: ManualClock, dies_us: int | None) -> None:
        self._clock = clock
        self._dies_us = dies_us

    def poll(self) -> int | None:
        if self._dies_us is not None and self._clock.monotonic() >= self._dies_us:
            self.returncode = 1
        return self.returncode


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a store in its place."""
    (tmp_path / FILE_NAME).touch()
    return tmp_path


def test_a_projector_that_does_not_last_is_started_at_growing_pauses_and_told_once(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two lines for an hour of failures, one as it begins and one when it is over; what is tried in vain is silent."""
    sick = Sick(home, 600, *[1.0] * 14)
    sick.run(600 + 3_600)
    starts = sick.started_s
    pauses = [round(after - before) for before, after in itertools.pairwise(starts[1:])]
    assert pauses == [10, 20, 40, 80, 160, *[PAUSE_MAX_US // SECOND_US] * (len(pauses) - 5)]
    assert sick.quiet == [False, False, *[True] * (len(starts) - 2)]
    sick.run(3_600)
    assert [record.getMessage() for record in caplog.records] == [
        f"= the projector ended with 1: copying goes on; {AGAIN}",
        "= the projector runs again",
    ]


def test_while_the_store_is_away_nothing_is_started_and_once_it_is_back_at_once(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that was moved away for an hour costs no process and no line a try; a later trouble is told anew."""
    sick = Sick(home, 600, None, None)
    sick.run(599)
    os.rename(home / FILE_NAME, home / "elsewhere")
    sick.run(3_600)
    assert len(sick.started_s) == 1
    os.rename(home / "elsewhere", home / FILE_NAME)
    back_s = sick.clock.monotonic() / SECOND_US
    sick.run(2 * MINUTE)
    assert len(sick.started_s) == 2
    assert sick.started_s[1] - back_s < 1
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"= the projector ended with 1: copying goes on; {AWAY}",
        "= the projector runs again",
    ]


def test_a_store_that_comes_back_after_many_failures_is_not_waited_for(home: Path) -> None:
    """The long pause is for what stays wrong: a store that was away and is back has changed something."""
    sick = Sick(home, *[1.0] * 20)
    sick.run(1_000)
    os.rename(home / FILE_NAME, home / "elsewhere")
    sick.run(11)
    os.rename(home / "elsewhere", home / FILE_NAME)
    count = len(sick.started_s)
    sick.run(1)
    assert len(sick.started_s) == count + 1


def test_a_machine_that_can_start_no_process_ends_nothing(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Too many processes is the projector's trouble, not the copier's: it is told, and tried again."""
    sick = Sick(home, OSError(errno.EAGAIN, "Resource temporarily unavailable"), None)
    sick.run(PAUSE_US / SECOND_US + 1)
    assert len(sick.started_s) == 2
    assert [record.getMessage() for record in caplog.records] == [
        f"= the projector cannot be started (Resource temporarily unavailable): copying goes on; {AGAIN}"
    ]


def test_the_one_projector_takes_up_what_was_written_after_the_store_came_back(tmp_path: Path) -> None:
    """With real processes: it ends where the store is moved away, and the next one projects to the head."""
    with closing(EventLog.open(tmp_path)) as log:
        log.append([Pending("app", 1, 1, SystemStarted(version="1", pid=1)), Pending("app", 2, 2, SystemStopped())])
    clock = ManualClock()
    children: list[subprocess.Popen[bytes]] = []

    def start(home: Path, is_quiet: bool) -> subprocess.Popen[bytes]:
        children.append(begin(home, is_quiet))
        return children[-1]

    attendant = Attendant(tmp_path, clock, start)
    attendant.tend()
    try:
        assert project_to_head(tmp_path) == 0
        os.rename(tmp_path / FILE_NAME, tmp_path / "elsewhere")
        assert children[0].wait(PATIENCE_S) == 1
        clock.advance(PAUSE_US)
        attendant.tend()
        assert len(children) == 1
        os.rename(tmp_path / "elsewhere", tmp_path / FILE_NAME)
        attendant.tend()
        assert len(children) == 2
    finally:
        attendant.end(60)
    assert children[1].returncode == 0
    with closing(EventLog.read_only(tmp_path)) as log:
        assert views_position(tmp_path) == log.position()


def test_a_signal_to_the_whole_service_ends_the_projector_with_its_parent_and_not_before(tmp_path: Path) -> None:
    """A service manager sends its signal to every process of a service at once; what the end writes is still shown."""
    with closing(EventLog.open(tmp_path)) as log:
        log.append([Pending("app", 1, 1, SystemStarted(version="1", pid=1))])
        child = begin(tmp_path)
        try:
            until(lambda: views_position(tmp_path) == log.position(), "the projector follows")
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                child.send_signal(number)
            log.append([Pending("app", 2, 2, SystemStopped())])
            until(lambda: child.poll() is not None or views_position(tmp_path) == log.position(), "it goes on")
            assert child.poll() is None
        finally:
            assert stop(child, 60) == 0


def test_the_trading_process_starts_without_the_projectors_code() -> None:
    """What only the child needs is loaded by the child: a start is mostly Python loading code."""
    asks = "import sys, cmam.bootstrap; print([name for name in sys.modules if name.startswith('cmam.store.')])"
    loaded = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True).stdout
    assert "'cmam.store.projection.attendant'" in loaded
    assert "'cmam.store.projection.projector'" not in loaded
