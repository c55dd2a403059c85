"""What `replay` shows of latches at one moment."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cmam.cli.replaying.moment_screen import moment_screen

LATCH = {"guard": "daily_loss", "reaction": "flatten", "until": None, "value": "13.00", "limit": "10.00"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "desk: latch daily_loss (flatten), 13.00 against 10.00"),
        ({"guard": "flatten", "value": "0", "limit": "0"}, "desk: latch flatten (flatten)"),
        ({"until": "2026-03-02"}, "desk: latch daily_loss (flatten) until 2026-03-02, 13.00 against 10.00"),
    ],
)
def test_a_latch_shows_the_figures_it_has(change: dict[str, str], said: str) -> None:
    """A flatten has none: it stood there as "0 at 0"."""
    account = {"ctid": 1, "alias": "desk", "health": "down", "latches": [{**LATCH, **change}]}
    out = Console(width=100, file=io.StringIO(), record=True, no_color=True)
    out.print(moment_screen({"accounts": [account]}, "then"))
    assert said in [line.rstrip() for line in out.export_text().splitlines()]
