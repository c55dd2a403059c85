"""Orders whose names their broker does not keep: neither the label nor `clientOrderId` comes back as it was sent."""

from __future__ import annotations

import pytest

from cmam.domain.belief.nameless import ALIKE
from cmam.domain.events import AlertHealed, AlertRaised, IntentSettled
from cmam.domain.turns import settling_by_looks
from cmam.store.past.replay import verify
from tests.stranger.books import BUY, LIMIT
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, Terminal, World, a_pair

VOLUME = 1_200_000


def _world(spelling: str) -> tuple[World, Terminal]:
    habits = Habits(labels=spelling, order_names=spelling, fill_us=300_000)
    return a_pair(habits)


def _after_a_cut(world: World) -> list[str]:
    """Cut the lines once the follower's order has reached the broker; why it was settled as it was."""
    book = world.broker.floor.books[FOLLOWER]
    while not book.orders:
        world.run(0.000_1)
    world.lines.cut_all()
    world.run(60)
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return [one.reason for one in world.events(FOLLOWER, IntentSettled)]


def test_what_may_be_ours_is_told_by_its_number_until_it_is_gone() -> None:
    """It was nobody's from then on, also when its leader closed, and nothing but the reason of an outcome said so."""
    world, terminal = _world("dropped")
    terminal.trade("EURUSD", BUY, VOLUME)
    book = world.broker.floor.books[FOLLOWER]
    while not book.orders:
        world.run(0.000_1)
    world.lines.cut_all()
    world.run(60)
    (held,) = book.positions.values()
    (told,) = [one for one in world.events(FOLLOWER, AlertRaised) if one.kind.startswith(ALIKE)]
    assert told.kind == f"{ALIKE}position {held.number}"
    assert f"Position {held.number} is just what cmam has asked for" in told.text
    assert told.kind not in [one.kind for one in world.events(FOLLOWER, AlertHealed)]
    Terminal(world, FOLLOWER).close(held)
    world.run(70)
    assert told.kind in [one.kind for one in world.events(FOLLOWER, AlertHealed)]
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()


@pytest.mark.parametrize("spelling", ["capitals", "dropped"])
def test_an_open_whose_names_are_lost_is_not_sent_again(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counted as absent, though all that it had asked for stood there, and was opened once more."""
    for rules, times in ((14, 1), (99, 2)):
        monkeypatch.setattr(settling_by_looks, "LOOKALIKES_COUNT", rules)
        world, terminal = _world(spelling)
        terminal.trade("EURUSD", BUY, VOLUME)
        told = _after_a_cut(world)
        assert world.held(FOLLOWER) == [VOLUME] * times
        assert (settling_by_looks.LIKE_ANOTHER in told) is (times == 1)


@pytest.mark.parametrize("spelling", ["capitals", "dropped"])
def test_an_order_whose_names_are_lost_is_not_placed_again(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It rested twice."""
    for rules, times in ((14, 1), (99, 2)):
        monkeypatch.setattr(settling_by_looks, "LOOKALIKES_COUNT", rules)
        world, terminal = _world(spelling)
        terminal.rest(LIMIT, "EURUSD", BUY, VOLUME, world.broker.market.bids["EURUSD"] - 2_000)
        told = _after_a_cut(world)
        assert len(world.broker.floor.books[FOLLOWER].orders) == times
        assert (settling_by_looks.LIKE_ANOTHER in told) is (times == 1)
