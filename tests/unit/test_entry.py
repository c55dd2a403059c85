"""The first moment of a command: what a Ctrl-C does before there is anything that could be interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
