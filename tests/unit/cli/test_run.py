"""What `cmam start` does around the running system: secrets masked in log lines, and what a signal asks for."""

from __future__ import annotations

import errno
import io
import itertools
import json
import logging
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console, ConsoleDimensions
from rich.live import Live
from rich.text import Text

from cmam.actors.operating.ending import Ended, LeftOpen, under_way
from cmam.actors.threads.runtime import Latch
from cmam.cli.face.rows import console
from cmam.cli.face.talk import is_screen
from cmam.cli.face.verbs import Face
from cmam.cli.main import run
from cmam.cli.running import run as running
from cmam.cli.running.run import SAME_REQUEST_US, _file_handler, _Masked, _Stamped, ender, left_lines
from cmam.cli.showing.copy_lines import clock_time
from cmam.clock import ManualClock
from cmam.config.home import Home
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import AccountId, LinkId
from cmam.domain.values.quantities import Volume

TOKEN = "an-access-token-of-somebody"


@pytest.mark.parametrize(
    ("text", "args", "shown"),
    [
        (f"sent {TOKEN}", (), "sent ••••"),
        ("sent %s twice: %s", (TOKEN, TOKEN), "sent •••• twice: ••••"),
        ("%r of %d", ({"token": TOKEN}, 7), "{'token': '••••'} of 7"),
        ("short words stay: %s", ("ab",), "short words stay: ab"),
        ("100% of nothing", (), "100% of nothing"),
        ("%s is gone", ("EUR\x1b]0;x\x07USD",), "EUR�]0;x�USD is gone"),
        ("%s is gone", ("EUR\n12:00:00.000 = up again",), "EUR\n  12:00:00.000 = up again is gone"),
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


def test_every_line_gets_into_the_log_file_whatever_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a locale that lacks a sign the line with it was lost, and so was one with half a sign in it."""
    monkeypatch.setattr(io, "text_encoding", lambda named, *_: named or "latin-1")  # of a locale without UTF-8
    handler = _file_handler(tmp_path / "start.log")
    lost: list[logging.LogRecord] = []
    monkeypatch.setattr(handler, "handleError", lost.append)
    for text in ("● Zürich", "half \ud800"):
        handler.emit(logging.LogRecord("cmam", logging.INFO, "", 0, text, (), None))
    handler.close()
    assert not lost
    assert (tmp_path / "start.log").read_text("utf-8") == "● Zürich\nhalf \\ud800\n"


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
    assert "there are no API credentials yet" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["settings.toml"]


def test_a_slip_in_the_settings_hides_no_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What trades goes by what it read at its start: to see it, nobody needs the file that is just being edited."""
    tmp_path.chmod(0o700)
    (tmp_path / "settings.toml").write_text('live_port = "abc\n')
    assert run(["--home", str(tmp_path), "status", "--json"]) == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert warning.startswith(f"The next start is refused, since its settings are not valid. {tmp_path}/settings.toml")
    assert run(["--home", str(tmp_path), "start"]) == 2


def test_a_watch_that_cannot_draw_prints_what_has_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Into a pipe, or on a dumb terminal, it showed nothing until its end."""
    states = iter([(True, 3), (True, 3), (True, 4), (False, 0)])

    def document(_: Face) -> dict[str, object]:
        is_running, behind = next(states)
        return {"running": is_running, "holder": None, "views_behind": behind, "accounts": [], "profiles": []}

    monkeypatch.setattr(running, "document_of_home", document)
    monkeypatch.setattr(running, "WATCH_S", 0.0)
    monkeypatch.setattr(running, "give_way", lambda: None)
    monkeypatch.setattr(running, "REST", 0)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    running._watch(Face(home=Home(Path()), as_json=False, debug=False))
    said = capsys.readouterr()
    assert [line.rpartition("  ")[2] for line in said.out.splitlines() if line][:2] == [
        "views 3 behind",
        "views 4 behind",
    ]
    assert said.err == "cmam has ended; `cmam status` shows what was stored last.\n"


@pytest.mark.parametrize(("term", "is_drawn"), [("xterm", True), ("", True), ("dumb", False)])
def test_on_a_dumb_terminal_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch, term: str, is_drawn: bool) -> None:
    """A start showed nothing at all there: its screen cannot be drawn, and its lines went to a file. Its tables are as
    wide as it is."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", "44")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert is_screen() == is_drawn
    assert console().width == 44


def test_a_screen_rests_longer_than_it_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at a thousand accounts takes half a second: one after the other they had a processor to themselves."""
    rests: list[float | None] = []
    used = itertools.chain([0.0, 0.01, 0.01, 0.51], itertools.repeat(0.51))
    states = iter([True, True, False])

    def document(_: Face) -> dict[str, object]:
        return {"running": next(states), "holder": None}

    monkeypatch.setattr(running, "document_of_home", document)
    monkeypatch.setattr(running, "_used_s", lambda: next(used))
    monkeypatch.setattr(running, "give_way", lambda: None)
    monkeypatch.setattr(Latch, "wait", lambda _, timeout_s=None: rests.append(timeout_s))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    running._watch(Face(home=Home(Path()), as_json=False, debug=False))
    assert rests == [running.WATCH_S, 0.5 * running.REST]


def test_a_window_of_another_size_is_drawn_anew_while_the_screen_rests() -> None:
    """After a look that took long the screen stood cut off, without its headline, for seconds: until the next one."""
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=80, height=24)
    warnings = ["Less than 256 MiB are left on the disk of this home: make room."]
    document = {"running": True, "views_behind": 0, "accounts": [], "profiles": [], "warnings": warnings}

    class Narrower(Latch):
        """Its window gets another size during the first wait."""

        def wait(self, timeout_s: float | None = None) -> bool:
            """Wait for nobody."""
            terminal.size = ConsoleDimensions(30, 6)
            return False

    with Live(console=terminal, screen=True, auto_refresh=False) as live:
        before = out.tell()
        running._rest(Narrower(), 2 * running.RESIZE_S, live, document, ())
        drawn = out.getvalue()[before:].replace("\x1b[H", "")
    assert drawn.count("cmam is running") == 1, "not drawn, or drawn although nothing had changed since"
    assert max(map(len, Text.from_ansi(drawn).plain.splitlines())) <= 30


def test_what_is_under_way_at_the_end_is_not_passed_over() -> None:
    """A trade in the last moment ended with a word that nothing is left open, and was open at the broker."""
    assert left_lines(Ended(), {}) == ["Nothing of ours is left open."]
    view = SimpleNamespace(intents={1: SimpleNamespace(command=SimpleNamespace(kind=CommandKind.OPEN))})
    assert under_way(cast("Any", SimpleNamespace(views=lambda: {AccountId(1): view}))) == ("open",)
    asked, nothing = left_lines(Ended(under_way=("open", "open", "amend_protection")), {})
    assert asked.startswith("Under way: 3 requests (2 open, 1 amend protection) that no broker has answered yet.")
    assert nothing == "Nothing else of ours is left open."
    evil = LeftOpen(AccountId(7), "EUR\x1b[31m\nUSD", "buy", Volume(100_000), 5, 0, has_stop=True)
    assert left_lines(Ended(left=(evil,)), {7: "alpha"})[1] == "  alpha: buy 1000 EUR\ufffd[31m\ufffdUSD, position 5"


def test_what_was_left_to_a_person_is_not_said_to_be_managed_again() -> None:
    """A copy of a deleted profile stood among those that the next start manages: nobody would have closed it."""
    managed = LeftOpen(AccountId(7), "EURUSD", "buy", Volume(100_000), 5, 0, has_stop=True, link=LinkId("on"))
    alone = replace(managed, position=6, link=LinkId("off"))
    ending = replace(alone, position=7, is_ending=True)
    (said, line) = left_lines(Ended(left=(alone,)), {7: "alpha"}, {"on"})
    assert "managed again" not in said
    assert line == "  alpha: buy 1000 EURUSD, position 6  not managed"
    (said, *shown) = left_lines(Ended(left=(managed, alone, ending)), {7: "alpha"}, {"on"})
    assert "1 copy of profiles that are off or deleted must be closed at the broker. The others are managed" in said
    assert [line.endswith("not managed") for line in shown] == [False, True, False]
    assert "They are managed again" in left_lines(Ended(left=(managed, ending)), {7: "alpha"}, {"on"})[0]


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
