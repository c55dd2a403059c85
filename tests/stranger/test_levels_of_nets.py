"""Levels of a net of several shares: what an order carries into it, and whose they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.deciding import decide
from cmam.domain.folds import account, booking_shares, decided
from cmam.domain.turns import touching
from tests.stranger.books import BUY, SELL
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, Terminal, a_pair, signed

VOLUME = 1_200_000


def _target_of_two() -> int:
    """The target of a net of two shares half a minute after the order of the second carried one, and the broker was
    late to set it."""
    world, terminal = a_pair(replace(Habits(), protective="late"), follower=("South", True))
    terminal.trade("EURUSD", BUY, VOLUME, relativeStopLoss=800)
    world.run(10)
    terminal.trade("EURUSD", BUY, 2 * VOLUME, relativeTakeProfit=700)
    world.run(30)
    (net,) = world.broker.floor.books[FOLLOWER].positions.values()
    world.stepper.kill()
    return net.tp


def test_the_target_of_one_share_does_not_stay_on_the_net_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """What both want had been asked for before, and confirmed: the broker sets the target behind it."""
    assert _target_of_two() == 0
    monkeypatch.setattr(booking_shares, "ORDERS_LEVELS_OF_NETS", 99)
    assert _target_of_two() > 0


def _after_the_larger_side(*, trailing: bool, by_hand: bool, **settings: str) -> list[tuple[int, int]]:
    """A leader holds both sides of a symbol, and closes the larger one after the stop of his netted follower's net was
    moved by hand, or after he has ended the trailing of the smaller side: what the follower holds then, and its stop.
    """
    world, terminal = a_pair(Habits(), follower=("North", True), **settings)
    hand = Terminal(world, FOLLOWER)
    terminal.trade("EURUSD", BUY, VOLUME, relativeStopLoss=800, trailingStopLoss=trailing)
    terminal.trade("EURUSD", SELL, 3 * VOLUME, relativeStopLoss=800, trailingStopLoss=trailing)
    world.run(10)
    (net,) = hand.book.positions.values()
    long, short = sorted(terminal.book.positions.values(), key=signed, reverse=True)
    if by_hand:
        hand.protect(net, net.sl - 100, 0, trailing=trailing)
        world.run(5)
    if trailing:
        terminal.protect(long, long.sl, 0)
    world.run(5)
    terminal.close(short)
    world.run(60)
    found = [(signed(held), long.sl - held.sl) for held in hand.book.positions.values()]
    world.stepper.kill()
    return found


@pytest.mark.parametrize("trailing", [False, True])
@pytest.mark.parametrize("by_hand", [False, True])
def test_the_stop_of_a_net_is_not_that_of_the_other_side(
    monkeypatch: pytest.MonkeyPatch,
    trailing: bool,
    by_hand: bool,
) -> None:
    """It lies beyond the market for the smaller side's share, which was closed as if its stop had been passed."""
    assert _after_the_larger_side(trailing=trailing, by_hand=by_hand) == [(VOLUME, 0)]
    for place in (decide, decided, touching):
        monkeypatch.setattr(place, "LEVELS_OF_ONE_SIDE", 99)
    was_lost = [] if trailing or by_hand else [(VOLUME, 0)]
    assert _after_the_larger_side(trailing=trailing, by_hand=by_hand) == was_lost


def test_the_fixed_stop_of_a_share_does_not_go_where_the_net_of_the_other_side_has_trailed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would be beyond the entry, on the side where a copy gains."""
    assert [held for held, _ in _after_the_larger_side(trailing=True, by_hand=False, fixed_sl="10")] == [VOLUME]
    monkeypatch.setattr(decide, "LEVELS_OF_ONE_SIDE", 99)
    assert _after_the_larger_side(trailing=True, by_hand=False, fixed_sl="10") == []


def _stop_after_two_turns() -> tuple[list[int], list[bool]]:
    """A leader closes two of three positions at once, in parts, and his follower's net turns twice under its number
    meanwhile: what it is then, and whether it has a stop."""
    habits = replace(Habits(), fill_us=500_000, parts=2, part_us=40_000, turns="one")
    world, terminal = a_pair(habits, follower=("North", True))
    for side, volume in ((SELL, 300_000), (SELL, 500_000), (BUY, 700_000)):
        terminal.trade("EURUSD", side, volume, relativeStopLoss=800)
        world.run(10)
    _, *ending = terminal.book.positions.values()
    for held in ending:
        terminal.close(held)
    world.run(30)
    nets = world.broker.floor.books[FOLLOWER].positions.values()
    found = [signed(held) for held in nets], [bool(held.sl) for held in nets]
    world.stepper.kill()
    return found


def test_a_net_that_has_turned_twice_has_its_stop_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker drops its levels as it turns; that they had been confirmed before says nothing then."""
    assert _stop_after_two_turns() == ([-300_000], [True])
    monkeypatch.setattr(account, "TURNED_IS_BARE", 99)
    assert _stop_after_two_turns() == ([-300_000], [False])
