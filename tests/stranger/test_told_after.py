"""Fills of a net's shares that a history has told before their events come."""

from __future__ import annotations

from dataclasses import replace

from cmam.domain.events import AlertRaised, CopyTouched, GuardTripped
from cmam.store.past.replay import verify
from tests.stranger.books import BUY, STOP
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, a_pair

VOLUME = 1_200_000
AGAIN = replace(Habits(), again_us=700_000)


def test_what_a_resting_order_of_a_share_has_filled_out_of_sight_is_booked_once() -> None:
    """The line is cut, the orders fill, and the fill is told once more when all is read: it was booked twice, and a
    third of what was held was sold as if a person had closed as much."""
    world, terminal = a_pair(AGAIN, follower=("North", True))
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(5)
    tick = terminal.symbol("EURUSD").tick
    price = (world.broker.market.bids["EURUSD"] + 2_000 * tick) // tick * tick
    terminal.rest(STOP, "EURUSD", BUY, VOLUME, price)
    world.run(5)
    world.lines.cut_all()
    world.broker.on_time(world.lines.now())
    world.broker.move("EURUSD", price + 300 * tick)
    world.lines.collect()
    world.run(30)
    assert world.held(FOLLOWER) == [2 * VOLUME]
    assert world.events(FOLLOWER, CopyTouched) == []
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()


def test_a_fill_that_a_history_has_told_is_not_of_a_second_machine() -> None:
    """The line is cut between an order and its fill; the fill is told once more after the history has settled it."""
    world, terminal = a_pair(replace(AGAIN, again_us=3_000_000), follower=("North", True))
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(0.24)
    world.lines.cut_all()
    world.run(30)
    assert world.held(FOLLOWER) == [VOLUME]
    assert world.events(FOLLOWER, GuardTripped) == []
    assert world.events(FOLLOWER, AlertRaised) == []
    world.stepper.kill()
