"""Markets that shut for a follower while his leader goes on."""

from __future__ import annotations

import pytest

from cmam.domain.deciding import attempts
from cmam.domain.events import AlertHealed, AlertRaised, CopyFinished
from tests.stranger.books import BUY, SELL
from tests.stranger.day import Day
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, a_pair, signed

VOLUME = 1_200_000


def _of_both_sides() -> tuple[list[int], int]:
    """A leader holds both sides of a symbol, both stops trail, and he moves one while his netted follower's market is
    shut: what the follower holds then, and how many copies have ended."""
    world, terminal = a_pair(Habits(), follower=("North", True))
    terminal.trade("EURUSD", BUY, VOLUME, relativeStopLoss=800, trailingStopLoss=True)
    terminal.trade("EURUSD", SELL, 3 * VOLUME, relativeStopLoss=800, trailingStopLoss=True)
    world.run(10)
    follower = world.broker.floor.books[FOLLOWER]
    short = next(held for held in terminal.book.positions.values() if held.side == SELL)
    follower.shut = "EURUSD"
    terminal.protect(short, short.sl + 100, 0, trailing=True)
    world.run(5)
    follower.shut = ""
    world.run(60)
    found = [signed(held) for held in follower.positions.values()], len(world.events(FOLLOWER, CopyFinished))
    world.stepper.kill()
    return found


def test_levels_of_a_net_that_are_refused_close_no_share_of_the_other_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """The smaller side's share was closed as if its stop had been passed: more was sold than the leader had."""
    assert _of_both_sides() == ([-2 * VOLUME], 0)
    monkeypatch.setattr(attempts, "REFUSED_FOR_ONE_SIDE", 99)
    assert _of_both_sides() == ([-3 * VOLUME], 1)


def test_an_alert_goes_when_what_was_refused_is_not_asked_for_any_more() -> None:
    """The leader closed a part while the follower's market was shut, and added as much: nothing is to be closed any
    more, but the broker's refusal was told on for as long as nothing else was asked of the copy."""
    world, terminal = a_pair(Habits())
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(5)
    follower = world.broker.floor.books[FOLLOWER]
    (held,) = terminal.book.positions.values()
    follower.shut = "EURUSD"
    terminal.close(held, VOLUME // 2)
    terminal.trade("EURUSD", BUY, VOLUME // 2, positionId=held.number)
    world.run(5)
    assert len(world.events(FOLLOWER, AlertRaised)) == 1
    follower.shut = ""
    world.run(60)
    assert [signed(one) for one in follower.positions.values()] == [VOLUME]
    assert len(world.events(FOLLOWER, AlertHealed)) == 1
    world.stepper.kill()


def test_a_day_on_which_markets_shut_and_positions_are_rolled() -> None:
    """All that was refused is done once it may be."""
    day = Day(5, is_wide=True).run(3)
    assert min(day.counts["shut"], day.counts["roll"]) > 0
    assert day.wrong == []
