"""Amendments of stops that trail, of which nobody says whose they were, or whose answer is lost."""

from __future__ import annotations

import pytest

from cmam.domain.events import IntentRecorded
from cmam.domain.turns import settling, settling_by_looks
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.rules.levels import LEVELS_ARE_SHOWN
from cmam.store.past.replay import verify
from tests.stranger.books import BUY
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, a_pair

VOLUME = 1_000_000
NEVER = LEVELS_ARE_SHOWN + 99


def _loosened(habits: Habits) -> tuple[int, int]:
    """How far a follower's stop lies from his leader's, and how often levels were asked for, half a minute after one
    whose stop trails has set it farther off; the market runs on all the time."""
    world, terminal = a_pair(habits)
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(5)
    (theirs,) = terminal.book.positions.values()
    for away in (500, 900):
        terminal.protect(theirs, world.broker.market.bids["EURUSD"] - away, 0, trailing=True)
        for _ in range(26):
            world.run(1)
            world.broker.on_time(world.lines.now())
            world.broker.move("EURUSD", world.broker.market.bids["EURUSD"] + 5)
            world.lines.collect()
    (copy,) = world.broker.floor.books[FOLLOWER].positions.values()
    asked = [one for one in world.events(FOLLOWER, IntentRecorded) if one.command.kind is CommandKind.AMEND_PROTECTION]
    assert copy.trailing
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return abs(theirs.sl - copy.sl), len(asked)


@pytest.mark.parametrize("stamps", [True, False])
def test_an_amendment_that_nobody_names_is_told_by_its_levels(stamps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was looked up when the stop had trailed on, counted as absent, and was asked for again: the stop went back to
    where it had begun, time and again, and lay farther off than the leader's for good."""
    habits = Habits(names="orders", stamps=stamps)
    assert _loosened(habits) == (0, 2)
    for room in (settling, settling_by_looks):
        monkeypatch.setattr(room, "LEVELS_ARE_SHOWN", NEVER)
    off, asked = _loosened(habits)
    assert off > 0
    assert asked > 2


def test_an_amendment_whose_event_was_lost_is_found_by_a_stop_that_trails_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look shows it by the position's time, which trailing does not move."""
    monkeypatch.setattr(settling, "_by_levels", lambda _view, _fact: ())
    assert _loosened(Habits(names="orders")) == (0, 2)
