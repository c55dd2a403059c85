"""What `cmam start` does around the running system: secrets masked in log lines, and what a signal asks for."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cmam.actors.threads.runtime import Latch
from cmam.cli.face.verbs import Face
from cmam.cli.main import run
from cmam.cli.running.run import (
    SAME_REQUEST_US,
    _end_all,
    _file_handler,
    _Masked,
    _Stamped,
    _start_screen,
    _start_teller,
    ender,
)
from cmam.cli.showing.copy_lines import clock_time
from cmam.clock import ManualClock
from cmam.config.home import Home

TOKEN = "an-access-token-of-somebody"


@pytest.mark.parametrize(
    ("text", "args", "shown"),
    [
        (f"sent {TOKEN}", (), "sent ••••"),
        ("sent %s twice: %s", (TOKEN, TOKEN), "sent •••• twice: ••••"),
        ("%r of %d", ({"token": TOKEN}, 7), "{'token': '••••'} of 7"),
        ("short words stay: %s", ("ab",), "short words stay: ab"),
        ("100% of nothing", (), "100% of nothing"),
    ],
)
def test_a_secret_leaves_a_log_line_as_a_mask(text: str, args: tuple[object, ...], shown: str) -> None:
    """Wherever it stands, in the text or in what is put into it; a secret of a few letters would mask half of all."""
    record = logging.LogRecord("cmam", logging.INFO, "", 0, text, args, None)
    assert _Masked((TOKEN, "ab")).filter(record)
    assert record.getMessage() == shown


@pytest.mark.parametrize(
    ("first", "second", "after_us", "left"),
    [
        (signal.SIGINT, signal.SIGINT, SAME_REQUEST_US, [130]),
        (signal.SIGTERM, signal.SIGINT, 0, [130]),
        (signal.SIGINT, signal.SIGINT, SAME_REQUEST_US - 1, []),
        (signal.SIGTERM, signal.SIGTERM, 0, []),
        (signal.SIGHUP, signal.SIGHUP, SAME_REQUEST_US, []),
        (signal.SIGHUP, signal.SIGTERM, SAME_REQUEST_US, [143]),
    ],
)
def test_a_second_signal_leaves_at_once_unless_it_is_the_echo_of_the_first(
    first: int, second: int, after_us: int, left: list[int]
) -> None:
    """The first asks for an end in order; a wrapper that hands it on twice, or a closed terminal, does not cut it."""
    stop, clock, codes = Latch(), ManualClock(), list[int]()
    handle = ender(stop, clock, codes.append)
    handle(first, None)
    assert stop.is_open
    assert codes == []
    clock.advance(after_us)
    handle(second, None)
    assert codes == left


def test_a_ctrl_c_waits_until_the_live_screen_can_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen inherits what is held back; one that met a Ctrl-C while it was being loaded showed a stack."""
    held: list[set[signal.Signals | int]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: held.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    _start_screen(Face(home=Home(tmp_path), as_json=False, debug=False))
    assert [signal.SIGINT in one for one in held] == [True]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_who_tells_of_copies_outlives_the_signals_that_end_a_start(tmp_path: Path) -> None:
    """It ends with its standard input, once it has told what was copied to the last: a Ctrl-C reaches both."""
    teller = _start_teller(Face(home=Home(tmp_path), as_json=False, debug=False), 7)
    assert teller is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        teller.send_signal(number)
        assert number not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert isinstance(teller.args, list)
    assert teller.args[-4:] == ["audit", "watch", "--from", "7"]
    assert teller.wait(60) == 1  # by its own word: there is no store in this folder
    beside: list[subprocess.Popen[bytes] | None] = [teller, None]
    _end_all(beside)
    assert not beside


def test_a_start_goes_on_without_who_tells_of_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No process can be made: that is said, and nothing else depends on it."""

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert _start_teller(Face(home=Home(tmp_path), as_json=False, debug=False), 7) is None
    assert "what is copied is not told here" in caplog.text


def test_a_full_disk_without_a_log_file_keeps_no_live_start_from_copying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is made with the first line that there is room for; any other trouble with it is said at once."""

    def refuse(number: int) -> None:
        def opened(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "open", opened)

    refuse(errno.ENOSPC)
    handler = _file_handler(tmp_path / "start.log")
    assert not list(tmp_path.iterdir())
    handler.handle(logging.LogRecord("cmam", logging.INFO, "", 0, "there is room", None, None))
    handler.close()
    assert (tmp_path / "start.log").read_text() == "there is room\n"
    refuse(errno.EACCES)
    with pytest.raises(PermissionError):
        _file_handler(tmp_path / "start.log")


@pytest.mark.parametrize("command", [("start", "--plain"), ("start", "--live"), ("restore", "nowhere.db")])
def test_in_a_mistyped_home_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """A store that nobody uses would be taken for a home from then on."""
    home = tmp_path / "typo" / "deep"
    assert run(["--home", str(home), *command]) == 1
    said = capsys.readouterr().err.lower()
    assert f"there is no cmam in {home}" in said or "there is no backup" in said
    assert not home.parent.exists()


def test_a_home_that_lacks_only_its_credentials_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no mistyped one; no log is begun in it either."""
    (tmp_path / "settings.toml").write_text("settle_s = 20\n")
    assert run(["--home", str(tmp_path), "start", "--plain"]) == 1
    assert "expected API credentials, found none" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["settings.toml"]


@pytest.mark.parametrize(("has_day", "shown"), [(False, "12:00:00.250Z up"), (True, "2026-03-01T12:00:00.250Z up")])
def test_a_log_line_has_its_time_in_utc(monkeypatch: pytest.MonkeyPatch, has_day: bool, shown: str) -> None:
    """As every list has it, wherever the machine stands; in a file that is read later with its day."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        record = logging.makeLogRecord({"msg": "up", "created": 1_772_366_400.25})
        assert _Stamped(has_day=has_day).format(record) == shown
        assert clock_time(1_772_366_400_250_000) == "12:00:00.250Z"
    finally:
        monkeypatch.undo()
        time.tzset()
