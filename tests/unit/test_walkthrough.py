"""docs/audit.md: the complaint of its title is answered by its own commands, all of which succeed."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
"""What `test_docs.py` holds fresh: each command with what it prints today."""


def test_every_command_of_the_page_succeeds() -> None:
    """None is refused, and none is unknown."""
    assert len(re.findall(r"^\$ cmam ", PAGE, re.MULTILINE)) >= 14
    assert "(exit code" not in PAGE
    assert "should not have" not in PAGE


def test_the_page_answers_its_title() -> None:
    """The skip, its arithmetic, what would have copied it, and who set that, to the version."""
    assert re.search(r"14:32:07\.\d+ +Main +bob +opened +EURUSD +buy +skip +below_minimum", PAGE)
    assert "100000.00 × 1 × 0.7 = 70000 units" in PAGE
    assert "copied if volume.amount=1 (was 0.7) → 100000 units" in PAGE
    assert re.search(r"volume\.amount=0\.7, set 2026-03-05T\S+ by olga \(version 4, decided under 4\)", PAGE)
    assert re.search(r"^whole: \d+ records", PAGE, re.MULTILINE)
    assert "signed by SHA256:" in PAGE
    assert "replay: identical" in PAGE
