"""Resting orders of which a broker tells things in another order than they happened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief import orders
from cmam.domain.events import ChangeDecided, CopyFinished
from cmam.domain.folds import booking
from cmam.domain.turns import ends
from cmam.domain.values.reasons import Reason
from tests.stranger.books import BUY, LIMIT, SELL, STOP
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, a_pair

VOLUME = 1_000_000


def _cancelled_at_once(habits: Habits) -> tuple[int, int]:
    """A leader cancels his order a tenth of a second after it was taken: what rests of it at his follower ten seconds
    later, and how often changes of it were decided."""
    world, terminal = a_pair(habits, follower=("South", False))
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
    monkeypatch.setattr(orders, "ENDS_STAY", 99)
    assert _cancelled_at_once(habits) == (1, 1)


def test_what_becomes_of_an_order_is_decided_once_though_all_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its acceptance comes once more when it has ended, and then its end."""
    habits = replace(Habits(), again_us=700_000)
    assert _cancelled_at_once(habits) == (0, 2)
    monkeypatch.setattr(orders, "ENDS_STAY", 99)
    assert _cancelled_at_once(habits) == (0, 4)


def _grown_at_once(follower: tuple[str, bool]) -> list[int]:
    """One jump of the market fills two orders of a netted leader: what his follower holds half a minute later."""
    world, terminal = a_pair(Habits(), leader=("North", True), follower=follower)
    bid = world.broker.market.bids["EURUSD"]
    terminal.rest(STOP, "EURUSD", SELL, 2 * VOLUME, bid - 2_000)
    terminal.rest(STOP, "EURUSD", SELL, VOLUME, bid - 1_900)
    world.run(10)
    world.broker.on_time(world.lines.now())
    world.broker.move("EURUSD", bid - 2_300)
    world.lines.collect()
    world.run(30)
    found = world.held(FOLLOWER)
    world.stepper.kill()
    return found


@pytest.mark.parametrize("follower", [("South", False), ("South", True)])
def test_what_is_added_before_the_copy_of_an_order_fills_is_added_then(
    follower: tuple[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second order grows his net before the copy of the first is known to have filled: it was never asked for."""
    assert _grown_at_once(follower) == [-3 * VOLUME]
    monkeypatch.setattr(booking, "GROWN_WHILE_RESTING", 99)
    assert _grown_at_once(follower) == [-2 * VOLUME]


@pytest.mark.parametrize(("is_cut", "reason"), [(False, Reason.CLOSED_BY_LEADER), (True, Reason.EXPIRED)])
def test_an_order_that_expires_is_no_persons_doing(is_cut: bool, reason: Reason) -> None:
    """Its leader's expires in the same moment, and is told first; or both do while the line is cut."""
    world, terminal = a_pair(Habits(), follower=("South", False))
    price, hour_ms = world.broker.market.bids["EURUSD"] - 2_000, world.broker.now_ms() + 10_000
    terminal.rest(LIMIT, "EURUSD", BUY, VOLUME, price, timeInForce=1, expirationTimestamp=hour_ms)
    world.run(9.9)
    assert len(world.broker.floor.books[FOLLOWER].orders) == 1
    if is_cut:
        world.lines.cut_all()
    world.run(60)
    assert not world.broker.floor.books[FOLLOWER].orders
    assert [one.reason for one in world.events(FOLLOWER, CopyFinished)] == [reason]
    world.stepper.kill()


def _filled_after_its_hour() -> tuple[list[int], Reason]:
    """The line is cut, the leader takes the hour from his order, his follower's expires by the old one, and his fills:
    what the follower holds then, and why the copy of the order had ended."""
    world, terminal = a_pair(Habits(), follower=("South", False))
    price, hour_ms = world.broker.market.bids["EURUSD"] - 2_000, world.broker.now_ms() + 6_420
    terminal.rest(LIMIT, "EURUSD", BUY, VOLUME, price, timeInForce=1, expirationTimestamp=hour_ms)
    world.run(6.3)
    (order,) = terminal.book.orders
    terminal.amend(order, volume=VOLUME, limitPrice=price / 100_000)
    world.lines.cut_all()
    world.run(30)
    (ended,) = world.events(FOLLOWER, CopyFinished)
    world.broker.on_time(world.lines.now())
    world.broker.move("EURUSD", price - 100)
    world.lines.collect()
    world.run(30)
    found = world.held(FOLLOWER)
    world.stepper.kill()
    return found, ended.reason


def test_what_an_order_fills_whose_copy_has_expired_before_it_was_amended_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its copy counted as closed by a person's hand, and nothing was opened."""
    assert _filled_after_its_hour() == ([VOLUME], Reason.EXPIRED)
    monkeypatch.setattr(ends, "RESTS_EXPIRED", 99)
    assert _filled_after_its_hour() == ([], Reason.CLOSED_BY_HUMAN)
