"""How often an account is woken while a copy waits for its price, whatever else it takes meanwhile."""

from __future__ import annotations

import pytest

from cmam.actors import messages as m
from cmam.domain.deciding.attempts import POLL_US
from cmam.domain.events import Wait
from cmam.domain.values.ids import AccountId
from tests import stepped
from tests.stranger.habits import Habits
from tests.stranger.world import Terminal, World

LEADER, FOLLOWER = 501, 502


def test_a_copy_that_waits_for_its_price_wakes_its_account_no_more_often_by_what_else_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever an account took in the millisecond between a moment and its wake began a row of wakes of its own, beside
    those there were: the longer one of its copies waited, the more of its time went into them."""
    monkeypatch.setattr(stepped, "WAKES_MAX", 2 * 1_000_000 // POLL_US)
    world = World(3, Habits(), {LEADER: ("North", False), FOLLOWER: ("South", False)})
    world.profile("p", LEADER, {FOLLOWER: "1"}, wait_for_better="500", max_age="3600")
    terminal = Terminal(world, LEADER)
    world.start()
    world.run(5)
    terminal.trade("EURUSD", 1, 1_000_000)
    for _ in range(3_000):
        world.run(0.000_9)
        world.stepper.directory.tell(m.account_name(AccountId(FOLLOWER)), m.Wake("sight"))
    view = world.view(FOLLOWER)
    assert view is not None
    assert [copy.wait for copy in view.copies.values()] == [Wait.BETTER]
    world.stepper.kill()
