"""Guards in the running system: equity falls, copies are closed, nothing opens, and a person re-arms."""

from __future__ import annotations

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
