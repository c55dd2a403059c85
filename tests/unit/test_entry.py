"""The first moment of a command: what a Ctrl-C does before there is anything that could be interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

EARLY = """
import os, signal, sys

class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Impatient())
"""
"""A Ctrl-C at the moment when the command line's library is looked for; what is looked for is found all the same."""


@pytest.mark.parametrize(
    ("handler", "code", "said", "on_stdout"),
    [
        (signal.default_int_handler, 1, "Interrupted; nothing was done.\n", ""),
        (signal.SIG_IGN, 0, "", "cmam "),
    ],
    ids=["heeded", "ignored"],
)
def test_a_ctrl_c_while_a_command_is_being_read_is_a_sentence(
    tmp_path: Path, handler: signal.Handlers, code: int, said: str, on_stdout: str
) -> None:
    """It was a traceback of imports; where the signal is ignored, as behind `&` in a script, it stays so."""
    (tmp_path / "sitecustomize.py").write_text(EARLY)
    roots = os.pathsep.join((str(tmp_path), *filter(None, sys.path)))
    done = subprocess.run(
        [sys.executable, "-m", "cmam", "--version"],
        env={**os.environ, "PYTHONPATH": roots},
        preexec_fn=lambda: signal.signal(signal.SIGINT, handler),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, said)
    assert done.stdout.startswith(on_stdout)
    assert bool(done.stdout) == bool(on_stdout)


def test_talk_that_nowhere_takes_changes_no_exit_code() -> None:
    """Python tried it once more at its end, and ended with 120: a script could not tell usage from trouble."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-m", "cmam", "nothing"], stderr=full, check=False)
    assert done.returncode == 2


def test_a_folder_that_was_deleted_is_named_as_what_is_missing(tmp_path: Path) -> None:
    """Any path without a beginning is looked for there; the machine says no more than that something is missing."""
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", f'rmdir "{gone}" && exec "{sys.executable}" -m cmam --home here status'],
        cwd=gone,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *filter(None, sys.path)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "cmam: The folder that this was typed in is gone: go to another one, with `cd`.\n"
