"""What a run of tests says of a test that hangs, and of one that fails, while it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S

THREE = """
import threading

def test_that_fails():
    assert "reason" == ""

def test_that_hangs():
    threading.Event().wait()

def test_behind_it():
    pass
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_a_test_that_hangs_is_shown_and_ended(tmp_path: Path, root: Path, workers: int) -> None:
    """Where it hangs is printed; without workers the run ends with it, with them it is named and the rest is run."""
    (tmp_path / "test_three.py").write_text(THREE)
    outer = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.hangs", "-p", "no:cacheprovider", f"-n{workers}"],
        cwd=tmp_path,
        env={**outer, "PYTHONPATH": str(root), "TEST_HANGS_S": "5"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1
    assert "now failed: test_three.py::test_that_fails (call): test_three.py:5: AssertionError" in done.stdout
    assert "in test_that_hangs" in done.stderr
    if workers:
        assert "crashed while running 'test_three.py::test_that_hangs'" in done.stdout
        assert "2 failed, 1 passed" in done.stdout
