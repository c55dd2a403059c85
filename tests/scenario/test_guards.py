"""Guards in the running system: equity falls, copies are closed, nothing opens, and a person re-arms."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.domain.events import ChangeDecided, GuardTripped
from cmam.store.past.replay import verify
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000


def test_min_equity_flattens_and_locks_until_rearmed() -> None:
    """Equity below the limit closes the copies; later opens are denied; re-arming is refused while it holds."""
    whole = Whole(seed=3, settings={"min_equity": "24950", "volume.amount": "1"})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    whole.broker.set_fault("withdraw", {"account": str(SAME_BROKER), "amount": "100"})
    whole.run(3)
    assert whole.events(SAME_BROKER, GuardTripped)
    assert whole.person.holds(SAME_BROKER) == []
    whole.person.buy(LOT)
    whole.run(2)
    opened = [event for event in whole.events(SAME_BROKER, ChangeDecided) if event.change.kind == "opened"]
    assert opened[-1].verdict == "skip"
    assert whole.person.holds(SAME_BROKER) == []
    refused = whole.command({"command": "rearm", "profile": "whole"})
    assert not refused["ok"]
    assert verify(whole.log.read_all()).is_identical


def _shown(whole: Whole, account: int) -> tuple[list[str], list[str], list[dict[str, Any]]]:
    """The latches of the account's link, and the alerts of the account and of others, as `status` shows them."""
    status = whole.command({"command": "status"})
    (link,) = [one for profile in status["profiles"] for one in profile["links"] if one["follower"] == account]
    own = [alert["text"] for alert in status["alerts"] if alert["account"] == account]
    return link["latches"], own, [alert for alert in status["alerts"] if alert["account"] != account]


def test_what_locks_a_link_is_shown_until_it_is_opened(caplog: pytest.LogCaptureFixture) -> None:
    """A guard that has tripped is a log line, an alert and a word beside its link; re-armed, all of it is gone."""
    whole = Whole(seed=3, settings={"min_equity": "24950", "volume.amount": "1"})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    assert _shown(whole, SAME_BROKER) == ([], [], [])
    whole.broker.set_fault("withdraw", {"account": str(SAME_BROKER), "amount": "100"})
    whole.run(3)
    latches, (alert,), others = _shown(whole, SAME_BROKER)
    assert (latches, others) == (["min_equity"], [])
    assert alert.startswith("The guard min_equity has tripped, 24")
    assert " against 24950.00 EUR: its copies are closed, and nothing opens until " in alert
    assert alert.endswith(f"until `cmam rearm --account {SAME_BROKER}`.")
    assert [one.getMessage() for one in caplog.records if "tripped" in one.getMessage()] == [
        f"! account:{SAME_BROKER}: {alert}"
    ]
    assert whole.command({"command": "profile.set", "profile": "whole", "settings": {"min_equity": "off"}})["ok"]
    assert whole.command({"command": "rearm", "profile": "whole"})["ok"]
    whole.run(1)
    assert _shown(whole, SAME_BROKER) == ([], [], [])


def test_a_flatten_is_shown_beside_its_links_and_is_no_alert() -> None:
    """Who asked for it knows; who looks later sees why nothing opens."""
    whole = Whole(seed=3, settings={"volume.amount": "1"})
    whole.start_ready()
    assert whole.command({"command": "flatten", "profile": "whole"})["ok"]
    whole.run(2)
    assert _shown(whole, SAME_BROKER) == (["flatten"], [], [])
