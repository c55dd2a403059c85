"""The getting-started page, typed as it stands: three terminals, every command, in its order."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from cmam import office
from cmam.config.home import Home
from tests.waiting import PATIENCE_S, until


def _blocks(root: Path) -> list[list[str]]:
    """The commands of each terminal."""
    text = (root / "docs/getting-started.md").read_text(encoding="utf-8")
    return [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]


def _ports(ready: Path) -> dict[str, str]:
    """The page's ports, each with the one that the broker has been given instead."""
    found = json.loads(ready.read_text(encoding="utf-8"))
    consent = str(urlsplit(found["oauth_url"]).port)
    return {"5035": str(found["port"]), "5036": str(found["json_port"]), "5080": consent}


def _words(command: str) -> list[str]:
    """What a shell makes of the line."""
    program, *rest = shlex.split(command)
    assert program == "cmam"
    return [sys.executable, "-m", "cmam", *rest]


@contextmanager
def _typed(command: str, folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until Ctrl-C, which it gets at the end and answers with 0."""
    process = subprocess.Popen(
        _words(command), cwd=folder, env=environment, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, out
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _alive(process: subprocess.Popen[str]) -> bool:
    assert process.poll() is None, process.communicate()[0]
    return True


def test_every_command_of_the_page_works_as_typed(root: Path, tmp_path: Path) -> None:
    """Somebody who types the page command by command gets a copy, its story, and an identical replay."""
    (broker,), (*set_up, start), trader = _blocks(root)
    ports: dict[str, str] = {}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CMAM_")},
        "CMAM_HOME": str(tmp_path / ".try"),
        "PYTHONPATH": str(root),
        "PYTHONUNBUFFERED": "1",
    }
    home = Home(tmp_path / ".try")
    broker += " --port 0 --json-port 0 --oauth-port 0"
    ready = home.root / "sandbox" / "ready.json"

    def run(command: str) -> str:
        for usual, free in ports.items():
            command = command.replace(usual, free)
        done = subprocess.run(
            _words(command), cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def is_ready() -> bool:
        document = office.ask_running(home, {"command": "status"})
        return document is not None and all(found["health"] == "reconciled" for found in document["accounts"])

    with _typed(broker, tmp_path, environment) as sandbox:
        until(lambda: _alive(sandbox) and ready.exists(), "the sandbox listens")
        ports.update(_ports(ready))
        for command in set_up:
            run(command)
        with _typed(f"{start} --plain", tmp_path, environment) as copier:
            until(lambda: _alive(copier) and is_ready(), "the copier is ready")
            said = {}
            for command in trader:
                if command == "cmam audit copies":
                    until(
                        lambda: _alive(copier) and "500001" in run("cmam audit copies --json"), "the copy is on record"
                    )
                said[command] = run(command)
    assert "50000" in said["cmam audit copies"]
    assert "copy" in said["cmam audit explain 500001"]
    assert "identical" in said["cmam replay --verify"]
