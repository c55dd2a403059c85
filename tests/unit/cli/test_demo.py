"""What `cmam demo` says at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmam.cli.demo.demo import tell
from cmam.config.home import Home

SUMMARY = {
    "copies": [],
    "copied": 0,
    "closed": 0,
    "skips": {},
    "skipped": [],
    "report_to_socket": {"p50_ms": "143.730", "p99_ms": "1043.730", "count": 1_000},
    "busiest_second": 29,
    "rate_refusals": 0,
    "replay": "identical",
    "chains": "whole",
    "alerts": [],
}


def test_a_demo_that_went_wrong_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a full disk it ended with "all closed: NO" and no word of the disk."""
    tell(Home(tmp_path), {}, {**SUMMARY, "alerts": ["The disk is full."]})
    assert "\n! The disk is full.\n" in capsys.readouterr().out


def test_no_figure_is_broken_at_80_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a line is longer the terminal breaks it, in the middle of a number."""
    tell(Home(tmp_path), {}, SUMMARY)
    said = capsys.readouterr().out.partition("Look closer")[0].splitlines()
    assert [line for line in said if len(line) > 80 and "ms" in line] == []
