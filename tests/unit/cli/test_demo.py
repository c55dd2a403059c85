"""What `cmam demo` says at its end."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from cmam.cli.demo.demo import COPIES_SHOWN, _screen, tell
from cmam.config.home import Home
from cmam.domain.belief.copies import CopyState
from cmam.domain.values.quantities import Side

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


@pytest.mark.parametrize(("height", "rows"), [(50, COPIES_SHOWN), (24, 10), (10, 1)])
def test_what_plays_fits_into_the_window(height: int, rows: int) -> None:
    """At 24 lines the table ran out of the window, and ended with a red ellipsis in place of the newest copies."""
    copies = [
        SimpleNamespace(
            leader_digits=5, leader_symbol="EURUSD", side=Side.BUY, leader_opened=100_000, volume=1_000 * number,
            opened_volume=0, state=CopyState.OPEN, open_price=None, position=None,
        )
        for number in range(1, 31)
    ]  # fmt: skip
    account = SimpleNamespace(positions={}, shown="Alpha Markets:9000002")
    folded = SimpleNamespace(accounts={1: account}, registry=SimpleNamespace(accounts={1: account}))
    stage = SimpleNamespace(
        folded=folded, copies=lambda: [(1, None, copy) for copy in copies], said=["a trade " * 20] * 9
    )
    out = io.StringIO()
    Console(file=out, width=80, height=height).print(_screen(cast(Any, stage), height))
    said = out.getvalue().splitlines()
    assert len(said) <= max(height, 15)
    assert sum("9000002" in line for line in said) == rows
    assert f"what the followers hold, the last {rows} of 30:" in said
    assert " 300 " in said[-2]
