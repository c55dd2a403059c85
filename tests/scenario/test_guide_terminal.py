"""The guide at a real terminal: what is asked, that Enter keeps, and that a secret is not shown while it is typed."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cmam.sandbox.serving.options import ReadyInfo
from cmam.sandbox.serving.server import run_in_thread
from tests.scenario.guide import Person, options, ready_file
from tests.waiting import PATIENCE_S


def _hears_ctrl_c() -> None:
    """A shell that runs tests in the background lets its children ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A command that believes somebody sits in front of it."""

    def __init__(self, home: Path, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CMAM_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cmam", "--home", str(home), *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "TERM": "xterm", "COLUMNS": "120", "BROWSER": "true"},
            start_new_session=True,
            preexec_fn=_hears_ctrl_c,
        )
        os.close(theirs)
        self._ours = ours
        self.seen = ""
        self._read_up_to = 0

    def until(self, text: str) -> None:
        """Wait until the command says this, after what was waited for before."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.seen.find(text, self._read_up_to)) < 0:
            assert time.monotonic() < deadline, f"{text!r} was never said:\n{self.seen}"
            if select.select([self._ours], [], [], 1.0)[0]:
                try:
                    self.seen += os.read(self._ours, 4_096).decode(errors="replace")
                except OSError:  # the other side is gone
                    raise AssertionError(f"it ended before it said {text!r}:\n{self.seen}") from None
        self._read_up_to = found + len(text)

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._ours, f"{text}\n".encode())

    def interrupt(self) -> None:
        """Press Ctrl-C, and again where nothing comes of it: between the prompt and the wait for a key it is not seen
        until the next key."""
        self._process.send_signal(signal.SIGINT)
        while not select.select([self._ours], [], [], 10.0)[0] and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Read what is left, and give the exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if select.select([self._ours], [], [], 0.1)[0]:
                    self.seen += os.read(self._ours, 4_096).decode(errors="replace")
                elif self._process.poll() is not None:
                    break
            except OSError:
                break
        return self._process.wait(PATIENCE_S)

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)


@contextmanager
def _at_terminal(home: Path, *arguments: str) -> Iterator[Terminal]:
    terminal = Terminal(home, *arguments)
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadyInfo]:
    """A sandbox."""
    with run_in_thread(options(tmp_path_factory.mktemp("sandbox"))) as info:
        yield info


def test_settings_that_are_named_leave_the_credentials_to_be_asked_for(ready: ReadyInfo, tmp_path: Path) -> None:
    """Who names a host at a terminal is asked for what is missing; once it is there, options are changed unasked."""
    home, place = tmp_path / "home", ("--host", ready.host, "--port", str(ready.port), "--ca-file", str(ready.ca_file))
    with _at_terminal(home, "api", "configure", *place) as terminal:
        terminal.until("Client id: ")
        terminal.type(ready.client_id)
        terminal.until("Secret: ")
        terminal.type(ready.client_secret)
        assert terminal.end() == 0
        assert "The API is ready" in terminal.seen
        assert ready.client_secret not in terminal.seen
    with _at_terminal(home, "api", "configure", "--max-requests", "40") as terminal:
        assert terminal.end() == 0
        assert "Client id" not in terminal.seen


def test_a_question_that_is_left_is_spoken_of_on_a_line_of_its_own(tmp_path: Path) -> None:
    """Ctrl-C at a question leaves the cursor behind it, with `^C` at most: what is said begins on the next line."""
    with _at_terminal(tmp_path / "home", "api", "configure") as terminal:
        terminal.until("Client id: ")
        terminal.interrupt()
        assert terminal.end() == 1
        assert "\r\nInterrupted; nothing more was done.\r\n" in terminal.seen


def test_everything_is_asked_and_the_secret_is_not_shown(ready: ReadyInfo, tmp_path: Path) -> None:
    """Id, hidden secret, and the advanced options with their present values; a wrong value is asked for again."""
    home = tmp_path / "home"
    with _at_terminal(home, "api", "configure") as terminal:
        terminal.until("Client id: ")
        terminal.type(ready.client_id)
        terminal.until("Secret: ")
        terminal.type(ready.client_secret)
        terminal.until("Change advanced options? [y/N]: ")
        terminal.type("y")
        answers = {
            "live_host": ready.host,
            "live_port": str(ready.port),
            "demo_host": ready.host,
            "demo_port": str(ready.port),
            "ca_file": str(ready.ca_file),
            "oauth_url": ready.oauth_url,
            "redirect_uri": "",
            "max_requests": "51",
        }
        for name, value in answers.items():
            terminal.until(f"{name} [")
            terminal.type(value)
        terminal.until("allowed is a whole number from 1 to 50")
        terminal.until("max_requests [50]: ")
        terminal.type("30")
        terminal.until("connections [1]: ")
        terminal.type("")
        terminal.until("secrets [file]: ")
        terminal.type("")
        assert terminal.end() == 0
        assert "The API is ready" in terminal.seen
        assert ready.client_secret not in terminal.seen


def test_enter_keeps_every_value(ready: ReadyInfo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The way back into the configuration has all values kept: Enter at each question changes nothing."""
    person = Person(tmp_path / "home", capsys)
    person.configures(ready, "--secret-file", str(ready_file(ready, tmp_path)))
    before = person.types("api", "show", "--json").out
    with _at_terminal(person.home, "api", "configure") as terminal:
        terminal.until(f"Client id [{ready.client_id}]: ")
        terminal.type("")
        terminal.until("Secret (Enter keeps it): ")
        terminal.type("")
        terminal.until("Change advanced options? [y/N]: ")
        terminal.type("")
        assert terminal.end() == 0
    assert person.types("api", "show", "--json").out == before


def test_another_application_is_asked_about_first(
    ready: ReadyInfo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before accounts are locked out they are named, and no is the answer that Enter gives. Blanks are no secret: the
    earlier application's was kept for them, under the new id."""
    person = Person(tmp_path / "home", capsys)
    file = str(ready_file(ready, tmp_path))
    person.configures(ready, "--secret-file", file)
    person.types("account", "add", "--token-file", file)
    before = person.types("api", "show", "--json").out
    with _at_terminal(person.home, "api", "configure") as terminal:
        terminal.until("Client id [")
        terminal.type("1003_another")
        terminal.until("Secret: ")
        terminal.type("  ")
        terminal.until("Error: expected one word without blanks")
        terminal.until("Secret: ")
        terminal.type("another-secret")
        terminal.until("Change advanced options?")
        terminal.type("")
        terminal.until("must be authorised again")
        terminal.until("Change the application? [y/N]: ")
        terminal.type("")
        assert terminal.end() == 1
        assert "Nothing was changed." in terminal.seen
    assert person.types("api", "show", "--json").out == before


def test_a_pasted_address_ends_the_wait_for_the_browser(
    ready: ReadyInfo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the redirect is awaited, an address can be pasted; its minute is said beside the question."""
    import socket

    from tests.scenario.guide import consents

    person = Person(tmp_path / "home", capsys)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        redirect = f"http://127.0.0.1:{probe.getsockname()[1]}/callback"
    person.configures(ready, "--secret-file", str(ready_file(ready, tmp_path)), "--redirect-uri", redirect)
    with _at_terminal(person.home, "account", "add", "--no-browser") as terminal:
        terminal.until("The code in it lives one minute and works once.")
        address = next(line.strip() for line in terminal.seen.splitlines() if "/apps/auth?" in line)
        terminal.type(consents(address, ready.ca_file))
        terminal.until("Store these accounts? [Y/n]: ")
        assert person.types("account", "list", "--json").out == "", "nothing is stored before it was shown"
        terminal.type("")
        assert terminal.end() == 0
    assert person.types("account", "list", "--json").lines


def test_status_watch_draws_a_screen_and_ends(
    ready: ReadyInfo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The live view draws on a terminal and Ctrl-C ends it with 0."""
    person = Person(tmp_path / "home", capsys)
    person.configures(ready, "--secret-file", str(ready_file(ready, tmp_path)))
    with _at_terminal(person.home, "status", "--watch") as terminal:
        terminal.until("cmam is not running")
        os.killpg(terminal._process.pid, 2)
        assert terminal.end() == 0


def test_start_on_a_terminal_draws_its_screen_in_a_child(
    ready: ReadyInfo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal `start` shows a live screen, its log goes to a private file, and Ctrl-C ends both in order.

    A `status --watch` elsewhere ends too, and leaves a word in the place of its screen. Ctrl-Z says what it means on
    the terminal's own screen, before it stops (here no shell is there that could let it go on, and it does so at once).
    """
    person = Person(tmp_path / "home", capsys)
    file = str(ready_file(ready, tmp_path))
    person.configures(ready, "--secret-file", file)
    person.types("account", "add", "--token-file", file)
    with _at_terminal(person.home, "start") as terminal, _at_terminal(person.home, "status", "--watch") as other:
        terminal.until(f"{len(ready.accounts)} of {len(ready.accounts)} accounts ready")
        other.until(f"{len(ready.accounts)} of {len(ready.accounts)} accounts ready")
        os.kill(terminal._process.pid, signal.SIGTSTP)
        terminal.until("\x1b[?1049l")
        terminal.until("Stopped by Ctrl-Z: nothing is copied or closed")
        terminal.until(f"{len(ready.accounts)} of {len(ready.accounts)} accounts ready")
        os.kill(terminal._process.pid, 2)  # a kill reaches the screen only by its parent
        assert terminal.end() == 0
        assert "Ended in order." in terminal.seen
        assert terminal.seen.rindex("\x1b[?1049l") < terminal.seen.index("Nothing of ours is left open.")
        assert other.end() == 0
        assert "cmam has ended; `cmam status` shows what was stored last." in other.seen
    log = person.home / "start.log"
    assert "connection:demo-1 is up" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
