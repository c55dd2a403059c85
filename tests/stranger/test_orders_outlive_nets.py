"""Nets that are gone while an order of one of their shares is under way."""

from __future__ import annotations

import pytest

from cmam.domain.events import AlertRaised, CopyFinished
from cmam.domain.turns import ends, turn
from cmam.domain.values.reasons import Reason
from cmam.store.past.replay import verify
from tests.stranger.books import BUY, SELL
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, World, a_pair

VOLUME = 1_200_000


def _stop_out_all(world: World) -> None:
    book = world.broker.floor.books[FOLLOWER]
    (net,) = book.positions.values()
    world.broker.on_time(world.lines.now())
    world.broker.floor.stop_out(book, net, net.volume)
    world.lines.collect()


def _of_an_add(*, is_cut: bool = False) -> tuple[list[int], list[Reason], int]:
    """The leader adds while the broker takes the net: what is held after that, why copies ended, and alerts."""
    world, terminal = a_pair(Habits(), follower=("North", True))
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(5)
    (held,) = terminal.book.positions.values()
    terminal.trade("EURUSD", BUY, 2 * VOLUME, positionId=held.number)
    world.run(0.05)
    _stop_out_all(world)
    if is_cut:
        world.run(0.15)
        world.lines.cut_all()
    world.run(60)
    found = _told(world)
    world.stepper.kill()
    return found


def _of_what_is_given_up() -> tuple[list[int], list[Reason], int]:
    """The leader closes the smaller side while the broker takes the net of both, and the other side then."""
    world, terminal = a_pair(Habits(), follower=("North", True))
    terminal.trade("EURUSD", BUY, VOLUME)
    terminal.trade("EURUSD", SELL, 2 * VOLUME)
    world.run(5)
    long, short = sorted(terminal.book.positions.values(), key=lambda held: held.volume)
    terminal.close(long)
    world.run(0.05)
    _stop_out_all(world)
    world.run(60)
    terminal.close(short)
    world.run(60)
    found = _told(world)
    world.stepper.kill()
    return found


def _told(world: World) -> tuple[list[int], list[Reason], int]:
    assert verify(world.log.read_all()).is_identical
    held = world.held(FOLLOWER)
    reasons = [one.reason for one in world.events(FOLLOWER, CopyFinished)]
    return held, reasons, sum(one.kind == "findings" for one in world.events(FOLLOWER, AlertRaised))


def test_an_add_that_fills_once_its_net_is_gone_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was settled with the net, and what it opened was nobody's."""
    assert _of_an_add() == ([], [Reason.CLOSED_BY_STOP_OUT], 0)
    monkeypatch.setattr(ends, "ADDS_OUTLIVE_NETS", 99)
    held, _, alerts = _of_an_add()
    assert (held, alerts) == ([2 * VOLUME], 1)


def test_an_add_that_fills_out_of_sight_once_its_net_is_gone_is_closed() -> None:
    """The line is cut between the two."""
    assert _of_an_add(is_cut=True) == ([], [Reason.CLOSED_BY_STOP_OUT], 0)


def test_what_is_given_up_into_a_net_that_is_gone_is_the_other_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """The larger share has lost as much as the net had, and gets it back by the order of the smaller one."""
    held, reasons, alerts = _of_what_is_given_up()
    assert (held, len(reasons), alerts) == ([], 2, 0)
    monkeypatch.setattr(ends, "ADDS_OUTLIVE_NETS", 99)
    monkeypatch.setattr(turn, "ADDS_OUTLIVE_NETS", 99)
    held, _, alerts = _of_what_is_given_up()
    assert (len(held), alerts) == (1, 1)
