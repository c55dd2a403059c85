"""Nets of which the end of their protective order is told before the deal that took them away."""

from __future__ import annotations

import pytest

from cmam.domain.belief import holdings
from cmam.domain.events import CopyFinished
from cmam.domain.values.reasons import Reason
from cmam.store.past.replay import verify
from tests.stranger.books import BUY, LIMIT, SELL
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, Terminal, World, a_pair

VOLUME = 1_200_000


def _world(turns: str) -> tuple[World, Terminal]:
    """A netted follower of whom a net stands, with a stop."""
    habits = Habits(turns=turns, cancel_precedes_nets=True)
    world, terminal = a_pair(habits, follower=("North", True))
    terminal.trade("EURUSD", BUY, VOLUME, relativeStopLoss=8_000)
    world.run(5)
    return world, terminal


def _found(world: World) -> tuple[list[int], list[Reason]]:
    """What the follower holds a minute later, and why copies ended."""
    world.run(60)
    assert verify(world.log.read_all()).is_identical
    held = world.held(FOLLOWER)
    reasons = [one.reason for one in world.events(FOLLOWER, CopyFinished)]
    world.stepper.kill()
    return held, reasons


def _of_an_order(turns: str, *, rests: bool) -> tuple[list[int], list[Reason]]:
    """The leader sells three times what he has bought, at once or by an order that rests, and then buys no more."""
    world, terminal = _world(turns)
    bid = world.broker.market.bids["EURUSD"]
    if not rests:
        terminal.trade("EURUSD", SELL, 3 * VOLUME)
        return _found(world)
    terminal.rest(LIMIT, "EURUSD", SELL, 3 * VOLUME, bid + 500)
    world.run(5)
    world.broker.on_time(world.lines.now())
    world.broker.move("EURUSD", bid + 600)
    world.lines.collect()
    return _found(world)


@pytest.mark.parametrize("rests", [False, True])
@pytest.mark.parametrize("turns", ["new", "same", "one"])
def test_the_shares_of_a_net_that_turns_go_on(turns: str, rests: bool) -> None:
    """Each of them counted as closed by a person, and what the net had turned into was nobody's."""
    assert _of_an_order(turns, rests=rests) == ([-2 * VOLUME], [])


def test_what_a_resting_order_turned_a_net_into_was_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was: both copies are at their end, and the leader's other position has none."""
    monkeypatch.setattr(holdings, "DEALS_TAKE_NETS", 99)
    held, reasons = _of_an_order("new", rests=True)
    assert (held, set(reasons)) == ([], {Reason.CLOSED_BY_HUMAN})


def test_a_net_that_a_person_closes_is_his() -> None:
    """The deal tells it, right behind."""
    world, _ = _world("new")
    hand = Terminal(world, FOLLOWER)
    hand.close(next(iter(hand.book.positions.values())))
    assert _found(world) == ([], [Reason.CLOSED_BY_HUMAN])
