"""Levels that an order carries into a net of several shares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.folds import booking
from tests.stranger.books import BUY
from tests.stranger.habits import Habits
from tests.stranger.world import Terminal, World

LEADER, FOLLOWER = 501, 502
VOLUME = 1_200_000


def _target_of_two() -> int:
    """The target of a net of two shares half a minute after the order of the second carried one, and the broker was
    late to set it."""
    world = World(1, replace(Habits(), protective="late"), {LEADER: ("North", False), FOLLOWER: ("South", True)})
    world.profile("of", LEADER, {FOLLOWER: "1"})
    terminal = Terminal(world, LEADER)
    world.start()
    world.run(5)
    terminal.trade("EURUSD", BUY, VOLUME, relativeStopLoss=800)
    world.run(10)
    terminal.trade("EURUSD", BUY, 2 * VOLUME, relativeTakeProfit=700)
    world.run(30)
    (net,) = world.broker.floor.books[FOLLOWER].positions.values()
    world.stepper.kill()
    return net.tp


def test_the_target_of_one_share_does_not_stay_on_the_net_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """What both want had been asked for before, and confirmed: the broker sets the target behind it."""
    assert _target_of_two() == 0
    monkeypatch.setattr(booking, "ORDERS_LEVELS_OF_NETS", 99)
    assert _target_of_two() > 0
