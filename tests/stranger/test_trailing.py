"""Stops that trail while a snapshot is on its way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmam.actors.accounts import just_heard
from cmam.domain.events import CopyTouched, TrailingStopMoved
from tests.stranger.books import BUY
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, a_pair

VOLUME = 1_000_000
TICK = 1


@pytest.mark.parametrize("late", [{"answer_us": 1_500_000}, {"states_behind_us": 400_000}])
def test_a_snapshot_that_a_trailing_stop_has_overtaken_is_nobodys_hand(late: dict[str, Any]) -> None:
    """Answers take up to a second and a half or show what stood a while ago, and the market runs: what the snapshot
    shows of a stop is older than what was told of it, and no time of the position says so (wire.md#stops-that-trail).
    It was taken for a person's stop."""
    habits = replace(Habits(), **late)
    world, terminal = a_pair(habits, follower=("South", False))
    terminal.trade("EURUSD", BUY, VOLUME, relativeStopLoss=600, trailingStopLoss=True)
    for _ in range(600):
        world.run(0.25)
        world.broker.on_time(world.lines.now())
        world.broker.move("EURUSD", world.broker.market.bids["EURUSD"] + TICK)
        world.lines.collect()
    (theirs,) = terminal.book.positions.values()
    (copy,) = world.broker.floor.books[FOLLOWER].positions.values()
    assert copy.trailing
    assert abs(copy.sl - theirs.sl) <= 5 * TICK
    assert world.events(FOLLOWER, CopyTouched) == []
    world.stepper.kill()


def _touched_after_a_start(monkeypatch: pytest.MonkeyPatch, quiet_us: int) -> list[CopyTouched]:
    """What counts as touched where the process dies right after a stop has trailed, and begins anew before a server
    whose snapshots are a moment behind."""
    monkeypatch.setattr(just_heard, "QUIET_US", quiet_us)
    world, terminal = a_pair(Habits(states_behind_us=400_000))
    terminal.trade("EURUSD", BUY, VOLUME, relativeStopLoss=600, trailingStopLoss=True)
    world.run(5)
    while not world.events(FOLLOWER, TrailingStopMoved):
        world.broker.on_time(world.lines.now())
        world.broker.move("EURUSD", world.broker.market.bids["EURUSD"] + TICK)
        world.run(0.1)
    world.kill()
    world.start()
    world.run(30)
    touched: list[CopyTouched] = world.events(FOLLOWER, CopyTouched)
    world.stepper.kill()
    return touched


def test_a_start_right_after_a_stop_has_trailed_waits_for_a_snapshot_that_shows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the process had heard is forgotten; its record tells how long ago that was, and the stop was a person's."""
    assert _touched_after_a_start(monkeypatch, just_heard.QUIET_US) == []
    assert [touch.what for touch in _touched_after_a_start(monkeypatch, 0)] == ["stop"]
