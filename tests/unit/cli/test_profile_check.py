"""What `profile check` says besides its tables."""

from __future__ import annotations

from cmam.cli.profiles.profile_check import not_asked, sunk_guard


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
