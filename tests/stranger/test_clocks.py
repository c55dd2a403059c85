"""A broker whose clock is ahead of ours, as one is where nobody keeps our own right."""

from __future__ import annotations

from dataclasses import replace

from tests.stranger.books import BUY
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, a_pair, signed

VOLUME = 1_000_000


def test_what_a_leader_adds_while_cmam_is_off_is_found_before_a_clock_was_measured() -> None:
    """After a start no quote has told yet how far the broker's clock is ahead; the deals of the last ninety seconds are
    asked for all the same. Without them nobody knew when he added, and the add was too old."""
    habits = replace(Habits(), skew_ms=90_000, stamps=False)
    world, terminal = a_pair(habits, follower=("South", False), max_age="60")
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(20)
    world.stop()
    (held,) = terminal.book.positions.values()
    terminal.trade("EURUSD", BUY, VOLUME, positionId=held.number)
    world.run(2)
    world.start()
    world.run(20)
    follower = world.broker.floor.books[FOLLOWER]
    assert [signed(one) for one in follower.positions.values()] == [2 * VOLUME]
    world.stepper.kill()
