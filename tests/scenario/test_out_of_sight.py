"""A follower whose leader cannot be seen: its copies are named in an alert, held or closed as asked, and it heals."""

from __future__ import annotations

import pytest

from cmam.domain.events import AlertHealed, AlertRaised
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000


@pytest.mark.parametrize(("setting", "left"), [("hold", 1), ("close_after 1m", 0)])
def test_a_blind_leader_is_named_and_its_copies_are_held_or_closed(setting: str, left: int) -> None:
    """With the leader's account refused for two minutes, copies are held by default, closed where that was asked."""
    whole = Whole(seed=4, settings={"leader_blind": setting})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    whole.broker.set_fault("error", {"code": "CH_SERVER_NOT_REACHABLE", "type": "2102", "account": str(LEADER)})
    whole.broker.set_fault("disconnect-account", {"account": str(LEADER)})
    whole.run(120)
    raised = [event for event in whole.events(SAME_BROKER, AlertRaised) if event.kind.startswith("blind")]
    assert raised
    assert "EURUSD" in raised[0].text
    assert len(whole.person.holds(SAME_BROKER)) == left
    whole.broker.clear_fault("all")
    whole.run(120)
    assert [event for event in whole.events(SAME_BROKER, AlertHealed) if event.kind.startswith("blind")]
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []
