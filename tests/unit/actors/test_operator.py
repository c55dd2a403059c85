"""What people ask of a running cmam: whatever is odd about it, what copies goes on."""

from __future__ import annotations

import pytest

from tests.whole import Whole

HALF = "\udcff"
"""What Python makes of a byte that is no text, as in a user's name in another encoding."""


@pytest.mark.parametrize(
    "request_",
    [
        {"command": "pause", "profile": "whole", "user": HALF},
        {"command": "api.configure", "settings": {"demo_host": HALF}},
        {"command": "account.tag", "accounts": 5, "add": ["a"]},
        {"command": "account.refresh", "accounts": ["every"]},
        {"command": "profile.apply", "profiles": [None]},
    ],
    ids=lambda request_: request_["command"],
)
def test_a_command_that_cmam_fails_on_changes_nothing_and_ends_nothing(request_: dict[str, object]) -> None:
    """Whoever asked hears so; the next command is carried out, and what was refused stands nowhere."""
    whole = Whole()
    whole.start_ready()
    before = whole.log.head("app"), [whole.log.head(name) for name in whole.log.streams() if name.startswith("profile")]
    answer = whole.command(request_)
    assert answer["ok"] is False
    assert "changed nothing" in answer["error"]
    whole.run(1)
    assert whole.system is not None
    assert whole.system.why_failed == ""
    after = whole.log.head("app"), [whole.log.head(name) for name in whole.log.streams() if name.startswith("profile")]
    assert after == before
    assert whole.command({"command": "pause", "profile": "whole"})["ok"] is True


def test_a_status_that_cannot_be_made_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sees what copies, and it copies."""
    whole = Whole()
    whole.start_ready()
    assert whole.system is not None
    monkeypatch.setattr(whole.system.status(), "_forecasts", None)
    assert whole.command({"command": "status"})["ok"] is False
    monkeypatch.undo()
    assert whole.command({"command": "status"})["ok"] is True
