"""The keys of the replay's screen, and the screen itself on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cmam.cli.replaying.replay_screen import obey, words_of
from cmam.store.logfile.log import EventLog
from cmam.store.past.player import Player
from tests.waiting import PATIENCE_S

MODES = termios.ECHO | termios.ICANON
"""How a shell expects its terminal: lines, and what is typed is seen."""


def test_keys_are_told_from_each_other_in_a_burst() -> None:
    """Arrows, letters and what means nothing, however many arrive at once."""
    assert list(words_of("\x1b[C\x1b[D n\x1b[5~x\x1b[Zq")) == ["forward", "back", "pause", "record", "far_back", "quit"]


def test_each_key_does_what_the_help_says(root: Path) -> None:
    """Stop and go, pace, steps, decisions, both ends."""
    log = EventLog.read_file(root / "events.db.sample")
    player = Player(log.read_all)
    obey(player, "decision")
    assert player.is_paused
    first = player.moment.fold.position
    obey(player, "record")
    assert player.moment.fold.position == first + 1
    obey(player, "faster")
    assert player.speed == 2
    obey(player, "end")
    assert player.is_over
    obey(player, "back")
    assert not player.is_over
    obey(player, "start")
    assert player.moment.fold.position == 0
    obey(player, "pause")
    assert not player.is_paused
    log.close()


@pytest.mark.parametrize("leaving", ["q", "SIGTERM"])
def test_a_terminal_gets_a_screen_that_obeys_and_leaves_it_as_it_was(root: Path, tmp_path: Path, leaving: str) -> None:
    """`replay --speed` draws, End goes to the last record, q leaves with exit code 0 and the terminal restored, and
    whoever ends the process, as `timeout` does, leaves no terminal without echo."""
    with _at_terminal(root, tmp_path, "replay", "--speed", "0.02") as (process, master, slave):
        _until(master, b"space stop/go")
        os.write(master, b"G")
        with closing(EventLog.read_file(tmp_path / "events.db")) as log:
            total = log.position()
        shown = _until(master, f"record {total} of {total}".encode())
        assert b"at the end" in shown or b"at the end" in _until(master, b"at the end")
        if leaving == "q":
            os.write(master, b"q")
        else:
            process.terminate()
        _until_the_end(process, master)
        assert process.returncode == 0
        assert termios.tcgetattr(slave)[3] & MODES == MODES


@pytest.mark.parametrize(
    ("command", "drawn"), [(("replay", "--speed", "0.02"), b"space stop/go"), (("status", "--watch"), b"cmam is not")]
)
def test_a_screen_that_is_stopped_leaves_the_terminal_and_takes_it_again(
    root: Path, tmp_path: Path, command: tuple[str, ...], drawn: bytes
) -> None:
    """After Ctrl-Z the shell stood on the screen, without a cursor; after `fg` no key was heard before Enter."""
    with _at_terminal(root, tmp_path, *command) as (process, master, slave):
        _until(master, drawn)
        taken = termios.tcgetattr(slave)[3]
        process.send_signal(signal.SIGTSTP)
        _until(master, b"\x1b[?25h\x1b[?1049l")
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        assert termios.tcgetattr(slave)[3] & MODES == MODES
        process.send_signal(signal.SIGCONT)
        _until(master, drawn)
        assert termios.tcgetattr(slave)[3] == taken
        process.send_signal(signal.SIGINT)
        _until_the_end(process, master)
        assert process.returncode == 0


@contextmanager
def _at_terminal(root: Path, home: Path, *command: str) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """A command on a terminal of its own, over the sample; its process, and both ends of the terminal."""
    shutil.copy(root / "events.db.sample", home / "events.db")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(root)}
    process = subprocess.Popen(
        [sys.executable, "-m", "cmam", "--home", str(home), *command],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment,
        process_group=0,  # as a shell does: what has no other process of its session above it is never stopped
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )
    try:
        yield process, master, slave
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


def _read(master: int) -> bytes:
    readable, _, _ = select.select([master], [], [], 0.2)
    return os.read(master, 65_536) if readable else b""


def _until(master: int, text: bytes) -> bytes:
    """Read what is drawn until a text has been."""
    found, deadline = b"", time.monotonic() + PATIENCE_S
    while text not in found and time.monotonic() < deadline:
        found += _read(master)
    assert text in found
    return found


def _until_the_end(process: subprocess.Popen[bytes], master: int) -> None:
    """Read what is drawn until the process has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        _read(master)
