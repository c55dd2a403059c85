"""The door for other terminals: opened once there is room for its key, and again where somebody has taken it away."""

from __future__ import annotations

import errno
import json
import logging
import os
import resource
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cmam.actors.operating.control import (
    AGAIN_US,
    LOOK_US,
    ControlListener,
    Door,
    NobodyListens,
    _dial,
    send_command,
)
from cmam.clock import ManualClock
from cmam.config.home import Home
from tests.shortages import no_threads
from tests.waiting import until


class Listener(ControlListener):
    """One whose disk fails as it is told to."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), Path("/nowhere/key"), lambda *_: None)
        self.error: OSError | None = None
        self.started = self.tried = 0

    def start(self) -> None:
        self.tried += 1
        if self.error is not None:
            raise self.error
        self.started += 1


@pytest.mark.parametrize("kind", ["open", "link"])
def test_a_folder_that_others_may_have_made_gets_no_key(tmp_path: Path, kind: str) -> None:
    """Where anybody may make folders, one may stand under our name before us: open to its maker's eyes, or a link that
    leads elsewhere. Who reads the key gives commands, so nothing is put there."""
    folder, behind = tmp_path / "ours", tmp_path / "behind"
    behind.mkdir(mode=0o700)
    if kind == "link":
        folder.symlink_to(behind)
    else:
        folder.mkdir()
        folder.chmod(0o750)
    listener = ControlListener(folder / "socket", folder / "key", lambda *_: None)
    with pytest.raises(PermissionError, match="is not private"):
        listener.start()
    assert (list(folder.iterdir()), list(behind.iterdir())) == ([], [])


def test_a_full_disk_keeps_other_terminals_out_and_nothing_else() -> None:
    """It is an alert until there is room, tried now and then, and opened once."""
    listener, clock, alarms = Listener(), ManualClock(), dict[str, str]()
    listener.error = OSError(errno.ENOSPC, "No space left on device")
    door = Door(listener, clock, alarms.__setitem__)
    door.tend()
    door.tend()
    assert listener.tried == 1
    assert "No space left" in alarms["control"]
    clock.advance(AGAIN_US)
    listener.error = None
    door.tend()
    door.tend()
    assert (listener.tried, listener.started) == (2, 1)
    assert alarms == {"control": ""}


def test_what_copies_by_now_is_ended_by_no_trouble_of_the_door() -> None:
    """Once it has waited for room, whatever else keeps it shut is an alert too: copying goes on without it."""
    listener, clock, alarms = Listener(), ManualClock(), dict[str, str]()
    listener.error = OSError(errno.ENOSPC, "No space left on device")
    door = Door(listener, clock, alarms.__setitem__)
    door.tend()
    listener.error = OSError(errno.ENOENT, "No such file or directory")
    clock.advance(AGAIN_US)
    door.tend()
    assert "No such file" in alarms["control"]


def test_any_other_trouble_ends_the_start() -> None:
    """A socket that cannot be made will not be there later either."""
    listener = Listener()
    listener.error = OSError(errno.EACCES, "Permission denied")
    with pytest.raises(PermissionError):
        Door(listener, ManualClock(), lambda *_: None).tend()


def _take_socket(home: Home) -> None:
    home.control_socket.unlink()


def _take_key(home: Home) -> None:
    home.control_key.unlink()


def _break_key(home: Home) -> None:
    home.control_key.write_bytes(b"half a key")


def _take_folder(home: Home) -> None:
    shutil.rmtree(home.control_socket.parent)


@pytest.mark.parametrize("take", [_take_socket, _take_key, _break_key, _take_folder])
def test_what_somebody_has_taken_away_is_made_anew(take: Callable[[Home], None], tmp_path: Path) -> None:
    """Who tidies a home up must not leave a running cmam without `pause` and `flatten` until its next start."""
    home, clock = Home(tmp_path), ManualClock()
    home.control_socket.parent.mkdir(mode=0o700, exist_ok=True)

    def answered() -> dict[str, Any]:
        return send_command(home.control_socket, home.control_key, {"command": "status"})

    listener = ControlListener(home.control_socket, home.control_key, lambda request, answer: answer(request))
    door = Door(listener, clock, lambda *_: None)
    door.tend()
    try:
        assert answered() == {"command": "status"}
        take(home)
        with pytest.raises(NobodyListens):
            answered()
        clock.advance(LOOK_US)
        door.tend()
        assert answered() == {"command": "status"}
    finally:
        listener.stop()
    assert not home.control_socket.exists()
    assert not home.control_key.exists()


def test_a_home_that_is_gone_is_an_alert_and_tried_again(tmp_path: Path) -> None:
    """Copying goes on without its door until the folder is back."""
    home, clock, alarms = Home(tmp_path / "home"), ManualClock(), dict[str, str]()
    home.prepare()
    home.control_socket.parent.mkdir(mode=0o700, exist_ok=True)
    listener = ControlListener(home.control_socket, home.control_key, lambda request, answer: answer(request))
    door = Door(listener, clock, alarms.__setitem__)
    door.tend()
    home.root.rename(tmp_path / "away")
    clock.advance(LOOK_US)
    door.tend()
    assert "No such file" in alarms["control"]
    (tmp_path / "away").rename(home.root)
    clock.advance(AGAIN_US)
    door.tend()
    try:
        assert alarms["control"] == ""
        assert send_command(home.control_socket, home.control_key, {"a": 1}) == {"a": 1}
    finally:
        listener.stop()


@contextmanager
def _open_door(folder: Path) -> Iterator[tuple[Home, Door, dict[str, str]]]:
    """A door that is open, and its alerts."""
    home, alarms = Home(folder), dict[str, str]()
    home.control_socket.parent.mkdir(mode=0o700, exist_ok=True)
    listener = ControlListener(home.control_socket, home.control_key, lambda request, answer: answer(request))
    door = Door(listener, ManualClock(), alarms.__setitem__)
    door.tend()
    try:
        yield home, door, alarms
    finally:
        listener.stop()


def _is_answered(home: Home) -> bool:
    try:
        return send_command(home.control_socket, home.control_key, {"a": 1}) == {"a": 1}
    except NobodyListens:
        return False


def test_an_answer_is_read_however_long_it_is(tmp_path: Path) -> None:
    """As the state of thousands of accounts in trouble: it would be said that no cmam runs."""
    home = Home(tmp_path)
    home.prepare()
    said = {"ok": True, "alerts": ["It is out of sight."] * 300_000}
    listener = ControlListener(home.control_socket, home.control_key, lambda _, answer: answer(said))
    listener.start()
    assert send_command(home.control_socket, home.control_key, {"command": "status"}) == said
    listener.stop()


def test_a_request_that_is_none_is_cut_off(tmp_path: Path) -> None:
    """Only what can be a command is handed on."""
    with _open_door(tmp_path) as (home, _, _):
        with _dial(home.control_socket, home.control_key.read_bytes()) as connection:
            connection.send_bytes(json.dumps(["pause"]).encode())
            with pytest.raises(EOFError):
                connection.recv_bytes()
        assert _is_answered(home)


def test_while_no_file_can_be_opened_it_is_tried_now_and_then(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A client that cannot be let in waits in the row, and each look fails at once: 80,000 in a second were said."""
    with _open_door(tmp_path) as (home, _, _), socket.socket(socket.AF_UNIX) as client:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        caplog.set_level(logging.WARNING)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            client.connect(os.fspath(home.control_socket))
            until(lambda: "turned away" in caplog.text, "it cannot be let in")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert _is_answered(home)
        said = [record for record in caplog.records if "turned away" in record.message]
    assert len(said) <= 2


def test_an_end_goes_on_whatever_became_of_the_door(tmp_path: Path) -> None:
    """A file in the place of its folder ended the end before the last checkpoint was written."""
    with _open_door(tmp_path) as (home, _, _):
        shutil.rmtree(home.control_socket.parent)
        home.control_socket.parent.write_bytes(b"")
    assert not home.control_key.exists()


def test_who_comes_while_there_is_no_thread_is_turned_away_and_the_next_is_let_in(tmp_path: Path) -> None:
    """The listener itself goes on."""
    with _open_door(tmp_path) as (home, _, _):
        with no_threads():
            assert not _is_answered(home)
        assert _is_answered(home)


def test_a_door_that_finds_no_thread_ends_nothing(tmp_path: Path) -> None:
    """It was taken away, and there is no thread to make it anew with: an alert, until there is."""
    with _open_door(tmp_path) as (home, door, alarms):
        clock = door._clock
        assert isinstance(clock, ManualClock)
        home.control_socket.unlink()
        clock.advance(LOOK_US)
        with no_threads():
            door.tend()
        assert "can't start new thread" in alarms["control"]
        clock.advance(AGAIN_US)
        door.tend()
        assert alarms["control"] == ""
        assert _is_answered(home)
