"""Resting orders of which a broker tells things in another order than they happened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief import holdings
from cmam.domain.events import ChangeDecided
from tests.stranger.books import BUY, LIMIT
from tests.stranger.habits import Habits
from tests.stranger.world import Terminal, World

LEADER, FOLLOWER = 501, 502
VOLUME = 1_000_000


def _cancelled_at_once(habits: Habits) -> tuple[int, int]:
    """A leader cancels his order a tenth of a second after it was taken: what rests of it at his follower ten seconds
    later, and how often changes of it were decided."""
    world = World(1, habits, {LEADER: ("North", False), FOLLOWER: ("South", False)})
    world.profile("of", LEADER, {FOLLOWER: "1"})
    terminal = Terminal(world, LEADER)
    world.start()
    world.run(5)
    terminal.rest(LIMIT, "EURUSD", BUY, VOLUME, world.broker.market.bids["EURUSD"] - 2_000)
    world.run(0.1)
    terminal.cancel(next(iter(terminal.book.orders)))
    world.run(10)
    found = len(world.broker.floor.books[FOLLOWER].orders), len(world.events(FOLLOWER, ChangeDecided))
    world.stepper.kill()
    return found


def test_an_order_whose_acceptance_is_told_behind_its_end_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its copies rested until the next snapshot, and could fill."""
    habits = replace(Habits(), rests_told_us=300_000)
    assert _cancelled_at_once(habits) == (0, 0)
    monkeypatch.setattr(holdings, "ENDS_STAY", 99)
    assert _cancelled_at_once(habits) == (1, 1)


def test_what_becomes_of_an_order_is_decided_once_though_all_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its acceptance comes once more when it has ended, and then its end."""
    habits = replace(Habits(), again_us=700_000)
    assert _cancelled_at_once(habits) == (0, 2)
    monkeypatch.setattr(holdings, "ENDS_STAY", 99)
    assert _cancelled_at_once(habits) == (0, 4)
