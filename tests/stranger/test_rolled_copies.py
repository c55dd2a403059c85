"""A follower's broker closes a copy and opens it anew under another number, without the label of the copy."""

from __future__ import annotations

import pytest

from cmam.domain.belief.nameless import ALIKE
from cmam.domain.events import AlertHealed, AlertRaised
from cmam.store.past.replay import verify
from tests.stranger.books import BUY
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, Terminal, World, a_pair

VOLUME = 1_200_000


def _alikes(world: World, kind: type[AlertRaised] | type[AlertHealed]) -> list[str]:
    return [one.kind for one in world.events(FOLLOWER, kind) if one.kind.startswith(ALIKE)]


@pytest.mark.parametrize("how", ["orders", "at once"])
def test_a_copy_that_its_broker_opens_anew_is_told_until_it_is_gone(how: str) -> None:
    """It stayed open after its leader's close, and nobody said so. What a person opens later is his and not told."""
    world, terminal = a_pair(Habits(rolls=how))
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(5)
    book, hand = world.broker.floor.books[FOLLOWER], Terminal(world, FOLLOWER)
    world.broker.floor.roll(book, next(iter(book.positions.values())))
    world.lines.collect()
    world.run(5)
    (held,) = book.positions.values()
    assert _alikes(world, AlertRaised) == [f"{ALIKE}position {held.number}"]
    hand.trade("EURUSD", BUY, VOLUME)
    hand.close(held)
    world.run(70)
    assert len(_alikes(world, AlertRaised)) == 1
    assert _alikes(world, AlertHealed) == _alikes(world, AlertRaised)
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
