"""What people ask of a running cmam: whatever is odd about it, what copies goes on."""

from __future__ import annotations

import pytest

from cmam.domain.events import AlertRaised, FlattenRequested
from cmam.store.records.envelope import Pending
from tests.whole import ALPHA_TOO, SAME_BROKER, Whole

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


def test_an_account_whose_place_in_the_log_is_taken_is_named_to_who_flattens() -> None:
    """It takes no command any more, and a flatten of all said that it was done: who asked must close there himself."""
    whole = Whole(followers=(SAME_BROKER, ALPHA_TOO))
    whole.start_ready()
    stream = f"account:{SAME_BROKER}"
    thief = Pending(stream, whole.log.head(stream).version + 1, 1, AlertRaised(kind="thief", text=""))
    whole.log.append([thief])
    assert whole.command({"command": "flatten", "account": str(ALPHA_TOO)}) == {"ok": True, "flattening": [ALPHA_TOO]}
    whole.person.buy(10_000_000)
    whole.run(5)
    (why,) = whole.command({"command": "flatten", "all": True})["unheard"]
    assert f"account {SAME_BROKER} takes no command until cmam is started again" in why
    assert len(whole.events(ALPHA_TOO, FlattenRequested)) == 2
    alone = whole.command({"command": "flatten", "account": str(SAME_BROKER)})
    assert alone["ok"] is False
    assert alone["error"] == why
