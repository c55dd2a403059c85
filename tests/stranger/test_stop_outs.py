"""Stop-outs of followers, in an order of events that nobody has recorded (FACTS §4.4 P)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import StopOutSeen
from cmam.domain.turns import touching
from tests.stranger.books import BUY
from tests.stranger.habits import Habits
from tests.stranger.world import Terminal, World

LEADER, FOLLOWER = 501, 502
VOLUME = 1_000_000


def _stopped_out(share: int) -> tuple[int, int]:
    """Let the broker take a share of a copy, the protective order's end or change first; how often that was seen, and
    how many positions the follower holds once the leader has opened another."""
    world = World(1, replace(Habits(), cancel_precedes=True), {LEADER: ("North", False), FOLLOWER: ("South", False)})
    world.profile("of", LEADER, {FOLLOWER: "1"})
    terminal = Terminal(world, LEADER)
    world.start()
    world.run(5)
    terminal.trade("EURUSD", BUY, VOLUME, relativeStopLoss=900)
    world.run(10)
    book = world.broker.floor.books[FOLLOWER]
    (copy,) = book.positions.values()
    world.broker.floor.stop_out(book, copy, VOLUME // share)
    world.lines.collect()
    world.run(10)
    terminal.trade("XAUUSD", BUY, 1_200)
    world.run(10)
    seen = len(world.events(FOLLOWER, StopOutSeen))
    world.stepper.kill()
    return seen, len(book.positions)


def test_a_stop_out_locks_also_where_its_fill_is_told_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole and in part: what the leader opens next is not opened."""
    assert _stopped_out(1) == (1, 0)
    assert _stopped_out(2) == (1, 1)
    monkeypatch.setattr(touching, "STOP_OUTS_ANYHOW", 99)
    assert _stopped_out(1) == (0, 1)
