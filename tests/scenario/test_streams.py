"""Where commands read and print: streams that are closed, full or left early, as scripts and schedulers have them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a long record."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copy(Path(__file__).parents[2] / "events.db.sample", folder / "events.db")
    return folder


def _shell(home: Path, line: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell, in which `cmam` is this checkout's with that home."""
    command = f"{shlex.quote(sys.executable)} -m cmam --home {shlex.quote(str(home))}"
    found = {name: value for name, value in os.environ.items() if not name.startswith("CMAM_")}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f'cmam() {{ {command} "$@"; }}; {line}'],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=found,
    )


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("cmam status >&-", 0, ""),
        ("cmam audit copies --json >&-", 0, ""),
        ("cmam audit nonsense 2>&-", 2, ""),
        ("cmam status <&- >&- 2>&-", 0, ""),
        ("cmam replay | head -n 1", 0, ""),
        ("cmam audit decisions | true", 0, ""),
        ("cmam audit copies --csv | true", 0, ""),
        ("cmam audit copies --last 0 2>&1 >/dev/null | true", 2, ""),
        ("cmam audit copies > /dev/full", 1, "No space left on device"),
        ("cmam audit copies --json > /dev/full", 1, "No space left on device"),
        ("cmam audit verify > /dev/full", 1, "No space left on device"),
    ],
)
def test_a_stream_that_is_closed_or_full_ends_a_command_as_it_should(
    home: Path, line: str, code: int, says: str
) -> None:
    """Nobody who listens is no error, a reader who has gone is none either, a full disk is one in a sentence."""
    said = _shell(home, line)
    assert said.returncode == code, said
    assert says in said.stderr
    for word in ("Traceback", "Exception ignored", "should not have"):
        assert word not in said.stderr
