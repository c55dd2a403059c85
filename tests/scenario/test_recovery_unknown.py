"""An unknown outcome is a state that people see: since when, why, when the broker is asked, and what follows."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from cmam.cli.showing.screen import status_screen
from cmam.domain.events import IntentSent
from cmam.store.auditing.audit import Audit
from tests.whole import SAME_BROKER, FaultyLog, Whole

LOT = 10_000_000


def _account(whole: Whole) -> dict[str, object]:
    document = whole.command({"command": "status"})
    return next(one for one in document["accounts"] if one["ctid"] == SAME_BROKER)


def test_a_cut_line_leaves_an_unknown_that_status_and_audit_show_until_it_is_settled(tmp_path: Path) -> None:
    """Sent and cut off: nobody knows, and both say so; after the settling time the broker has told."""
    whole = Whole(seed=1, log=FaultyLog.open(tmp_path, durability="none"))
    whole.start_ready()
    whole.person.buy(LOT)
    whole.stepper.run_until(lambda: bool(whole.events(SAME_BROKER, IntentSent)), 5_000_000)
    whole.stepper.network.is_reachable = False
    whole.stepper.network.cut_all()
    whole.run(3)
    (unknown,) = _account(whole)["unknown"]
    assert unknown["kind"] == "open"
    assert unknown["why"] == "the connection was lost"
    assert unknown["since"] < unknown["asked_from"]
    assert "order history" in unknown["asks"]
    assert "out of sight" in unknown["waits_for"]
    assert "sent once more" in unknown["then"]
    shown = io.StringIO()
    Console(file=shown, width=200).print(status_screen(whole.command({"command": "status"})))
    assert f"unknown since {unknown['since']}" in shown.getvalue()
    with Audit.open(tmp_path) as past:
        (line,) = past.orders()
        assert (line["state"], line["unknown_since"], line["asked_from"]) == (
            "unknown",
            unknown["since"],
            unknown["asked_from"],
        )
        assert [copy["state"] for copy in past.copies()] == ["unknown"]
    whole.stepper.network.is_reachable = True
    whole.run(60)
    assert _account(whole)["unknown"] == []
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
