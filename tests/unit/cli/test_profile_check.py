"""What `profile check` says besides its tables."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cmam.cli.profiles.profile_check import not_asked, pairs_table, sunk_guard


def test_a_reason_that_many_accounts_share_is_said_once() -> None:
    """With the line down fifty followers would be fifty times the same sentence before anything else."""
    down = "The line is down."
    assert list(not_asked([(f"fol-{number}", down) for number in range(50)])) == [
        f"fol-0, fol-1, fol-2 and 47 more are shown as the log knows them: {down}"
    ]
    assert list(not_asked([("lead", "Its token is refused."), ("a", down), ("b", down)])) == [
        "lead is shown as the log knows it: Its token is refused.",
        f"a, b are shown as the log knows them: {down}",
    ]
    assert not list(not_asked([]))


def test_a_guard_that_sank_is_told_with_what_it_counts_from() -> None:
    """And with the setting that names another."""
    one = {"guard": "total_loss", "initial": "-8000.00", "holds_at": "-8500.00"}
    assert sunk_guard(one) == (
        "guard total_loss holds at no equity above -8500.00, so it guards nothing: it counts from an initial balance "
        "of -8000.00, from which all that was taken out is subtracted. `guard.initial` names another."
    )


@pytest.mark.parametrize(
    ("width", "worths"), [(80, ["99995.85", "100013.19"]), (120, ["99995.85 | 100013.19"]), (30, ["99995.85"])]
)
def test_symbols_stand_in_a_table_on_a_terminal_of_eighty_columns(width: int, worths: list[str]) -> None:
    """What one lot is worth to both made thirteen symbols a hundred lines there: one stands above the other, unless
    there is no room for that either."""
    spec = {"lot_size": "100000.00", "digits": 5, "step": "1000.00", "min": "1000.00", "pip_worth": "9.2160"}
    pair = {
        "symbol": "EURUSD",
        "follower_symbol": "EURUSD",
        "how": "exact",
        "remarks": [],
        "leader": {**spec, "lot_worth": "99995.8500"},
        "follower": {**spec, "lot_worth": "100013.1900"},
    }
    report = {"follower_name": "Alpha Markets:9000002", "currency": "EUR", "symbols": [pair]}
    out = Console(file=io.StringIO(), width=width)
    out.print(pairs_table({"profile": "main", "leader_name": "Alpha Markets:9000001"}, report, width))
    assert isinstance(out.file, io.StringIO)
    drawn = out.file.getvalue().splitlines()
    lines = [line for line in drawn if any(worth in line for worth in worths)]
    assert len(lines) == len(worths)
    assert all(line.startswith(" EURUSD") for line in lines[:1]) == (width > 30)
