"""The kill soak in small: real processes, a few kills, the same checkers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "soak" / "kill.py"


def test_a_few_kills_of_real_processes_leave_every_law_standing(tmp_path: Path) -> None:
    """Copier and broker are ended by SIGKILL while a leader trades; what is left obeys every law, and was copied."""
    words = [
        sys.executable,
        str(SCRIPT),
        "--kills",
        "3",
        "--round",
        "3",
        "--seed",
        "5",
        "--keep",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "violations: 0" in done.stdout
