"""Links that come and go while the leader trades: each change meets one decision of each link that was enabled."""

from __future__ import annotations

import pytest

from cmam.domain.events import ChangeDecided, ExecutionSeen
from tests.whole import LEADER, SAME_BROKER, Whole

LOT = 10_000_000


@pytest.mark.parametrize("seed", range(12))
def test_a_link_enabled_in_the_middle_of_a_burst_misses_nothing(seed: int) -> None:
    """What the leader does while a joining follower is told the past is told as well, each change once."""
    whole = Whole(seed=seed)
    whole.start_ready()
    whole.command({"command": "profile.disable", "profile": "whole"})
    whole.run(1)
    for _ in range(3):
        whole.person.buy(LOT)
    whole.run(0.1301)
    whole.stepper.clock.advance_to(whole.stepper.clock.now() + 100)
    whole.stepper.network.tick()
    assert whole.system is not None
    whole.system.handle({"command": "profile.enable", "profile": "whole"}, lambda _: None)
    whole.run(5)
    (link,) = whole.folded().registry.links()
    fills = [
        recorded.version
        for recorded in whole.log.read_stream(f"account:{LEADER}")
        if isinstance(recorded.event, ExecutionSeen) and recorded.event.deal is not None
    ]
    decided = [e for e in whole.events(SAME_BROKER, ChangeDecided) if e.change.kind == "opened"]
    assert [e.cause_version for e in decided] == [version for version in fills if version > link.since]
    assert len(whole.person.holds(SAME_BROKER)) == len(decided)
