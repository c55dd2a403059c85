"""Closes before a broker whose events name orders only: a request for a close gives its order no name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmam.domain.belief import belonging, proofs
from cmam.domain.events import CopyTouched
from cmam.domain.values.rules.sight import CLOSES_BY_TERMS
from cmam.store.past.replay import verify
from tests.stranger.books import BUY, SELL
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, Terminal, World, a_pair

VOLUME = 1_200_000
NEVER = CLOSES_BY_TERMS + 99


def _world(*, netted: bool, **habit: Any) -> tuple[World, Terminal]:
    habits = replace(Habits(names="orders", parts=2, part_us=40_000), **habit)
    return a_pair(habits, leader=("South", False), follower=("South", netted), amount="0.5")


def _held_after_two_parts(*, netted: bool) -> list[int]:
    """What a follower holds five seconds after its leader has closed the second quarter of his position."""
    world, terminal = _world(netted=netted)
    terminal.trade("EURUSD", BUY, 2 * VOLUME)
    world.run(5)
    (held,) = terminal.book.positions.values()
    for _ in range(2):
        terminal.close(held, VOLUME // 2)
        world.run(5)
    found = world.held(FOLLOWER)
    world.run(60)
    assert world.held(FOLLOWER) == [VOLUME // 2]
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return found


@pytest.mark.parametrize("netted", [False, True])
def test_a_second_part_does_not_wait_until_the_first_one_is_looked_up(
    netted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A close was unknown until it was asked about, twenty seconds later, and the next one waited for that."""
    assert _held_after_two_parts(netted=netted) == [VOLUME // 2]
    monkeypatch.setattr(belonging, "CLOSES_BY_TERMS", NEVER)
    assert _held_after_two_parts(netted=netted) != [VOLUME // 2]


def _held_after_a_turn() -> list[int]:
    """What a net comes to whose leader closes what he has and opens the other side: the close has executed a part of
    what it was to take, and the net has turned, so that the rest of it is cancelled."""
    world, terminal = _world(netted=True)
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(5)
    (held,) = terminal.book.positions.values()
    terminal.close(held)
    terminal.trade("EURUSD", SELL, 5 * VOLUME)
    world.run(60)
    found = world.held(FOLLOWER)
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return found


def test_a_part_that_a_close_has_taken_before_its_net_turned_is_its_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was nobody's, the close counted as absent, and the share was closed once more, whole. A close that fell short
    is found by the order of its end, too, so that it takes both rules away to see it."""
    assert _held_after_a_turn() == [-5 * VOLUME // 2]
    monkeypatch.setattr(belonging, "CLOSES_BY_TERMS", NEVER)
    monkeypatch.setattr(proofs, "CLOSES_END_SHORT", NEVER)
    assert _held_after_a_turn() != [-5 * VOLUME // 2]


@pytest.mark.parametrize(("part_us", "lots"), [(0, 9), (40_000, 5)])
@pytest.mark.parametrize("turns", ["same", "one"])
def test_a_close_that_met_its_net_turned_under_its_number_is_ours(turns: str, part_us: int, lots: int) -> None:
    """What is closed in parts and opened on the other side at once: the second part reaches a net that is short by
    then, so that the broker buys. That was nobody's, and the short share was taken for smaller, by somebody's hand."""
    world, terminal = _world(netted=True, turns=turns, part_us=part_us)
    terminal.trade("EURUSD", BUY, 3 * VOLUME)
    world.run(5)
    (held,) = terminal.book.positions.values()
    terminal.close(held)
    terminal.trade("EURUSD", SELL, lots * VOLUME)
    world.run(60)
    assert (world.held(FOLLOWER), world.events(FOLLOWER, CopyTouched)) == ([-lots * VOLUME // 2], [])
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
