"""What an event leaves out, and what comes behind a history that has told it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmam.domain.events import CopyTouched
from cmam.domain.folds import booking_shares
from cmam.domain.turns import settling, settling_by_looks
from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.store.past.replay import verify
from tests.stranger.books import BUY, LIMIT
from tests.stranger.floor import TOLD_ACCEPTED, TOLD_FILLED
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, a_pair, signed

VOLUME = 1_200_000


def _left_at_rest() -> int:
    """What rests at a follower after its leader has cancelled, where the acceptance told no order."""
    world, terminal = a_pair(Habits())
    say = world.broker.floor._say

    def say_less(account: int, message: Any, name: str) -> None:
        if account == FOLLOWER and getattr(message, "executionType", 0) == TOLD_ACCEPTED:
            message.ClearField("order")
        say(account, message, name)

    world.broker.floor._say = say_less
    terminal.rest(LIMIT, "EURUSD", BUY, VOLUME, world.broker.market.bids["EURUSD"] - 2_000)
    world.run(70)
    assert len(world.broker.floor.books[FOLLOWER].orders) == 1
    terminal.cancel(next(iter(terminal.book.orders)))
    world.run(10)
    found = len(world.broker.floor.books[FOLLOWER].orders)
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return found


def test_an_order_whose_acceptance_does_not_name_it_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema lets an execution be told without its order: it was confirmed, and nobody knew its number."""
    assert _left_at_rest() == 0
    monkeypatch.setattr(settling, "OPENS_HAVE_NUMBERS", 99)
    assert _left_at_rest() == 1


def _held_after_a_close() -> list[int]:
    """What a follower holds after its leader has closed, where the fill of its order told neither deal nor position."""
    world, terminal = a_pair(Habits())
    say = world.broker.floor._say

    def say_less(account: int, message: Any, name: str) -> None:
        if account == FOLLOWER and getattr(message, "executionType", 0) == TOLD_FILLED:
            message.ClearField("deal")
            message.ClearField("position")
        say(account, message, name)

    world.broker.floor._say = say_less
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(30)
    (held,) = terminal.book.positions.values()
    terminal.close(held)
    world.run(30)
    found = world.held(FOLLOWER)
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return found


def test_an_open_whose_fill_tells_no_position_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was confirmed, and its leader's close had nothing to close."""
    assert _held_after_a_close() == []
    monkeypatch.setattr(settling, "OPENS_HAVE_NUMBERS", 99)
    assert _held_after_a_close() == [VOLUME]


def _held_after_a_cut(*, netted: bool = False, stamps_move: bool = True) -> tuple[list[int], int]:
    """What a follower holds, and how often it was touched, whose open filled in parts around a cut: the snapshot shows
    the first, the history read after it all of them, and the events of the others come last."""
    world, terminal = a_pair(Habits(stamps_move=stamps_move), follower=("North", netted))
    broker = world.broker
    usual = broker.habits
    terminal.trade("EURUSD", BUY, VOLUME)
    broker.floor.habits = replace(usual, fill_us=1_000_000)
    world.run(0.14)
    broker.floor.habits = usual
    (held,) = terminal.book.positions.values()
    terminal.trade("EURUSD", BUY, VOLUME, positionId=held.number)
    world.run(0.2)
    broker.floor.habits = replace(usual, parts=3, part_us=2_000_000)
    world.lines.cut_all()
    answer = broker._answer

    def answer_late(line: Any, message: Any, name: str) -> None:
        late_us = 4_000_000 if isinstance(message, wire.ProtoOAReconcileRes) else 0
        broker._later(late_us, lambda: answer(line, message, name))

    broker._answer = answer_late
    world.run(60)
    held_there = [signed(one) for one in broker.floor.books[FOLLOWER].positions.values()]
    found = held_there, len(world.events(FOLLOWER, CopyTouched))
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return found


def test_parts_of_an_open_that_a_history_has_told_first_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the leader had added meanwhile is added still: the parts passed for a person's, and nothing was."""
    assert _held_after_a_cut() == ([2 * VOLUME], 0)
    for room in (settling, settling_by_looks):
        monkeypatch.setattr(room, "HISTORY_IS_AHEAD", 99)
    assert _held_after_a_cut() == ([VOLUME], 2)


def test_parts_of_a_share_that_a_history_has_told_first_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The net of the snapshot lacked them: that was booked as a person's close, and what came then was nobody's."""
    assert _held_after_a_cut(netted=True) == ([2 * VOLUME], 0)
    monkeypatch.setattr(settling_by_looks, "NETS_ARE_BEHIND", 99)
    assert _held_after_a_cut(netted=True)[1]
    monkeypatch.setattr(settling_by_looks, "NETS_ARE_BEHIND", 11)
    monkeypatch.setattr(booking_shares, "NETS_ARE_BEHIND", 99)
    assert _held_after_a_cut(netted=True)[1]


def test_a_net_is_behind_an_order_whose_time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order showed the time of its opening, so that the net counted as younger than all that it had filled."""
    assert _held_after_a_cut(netted=True, stamps_move=False) == ([2 * VOLUME], 0)
    monkeypatch.setattr(settling_by_looks, "ORDERS_STAND_STILL", 99)
    assert _held_after_a_cut(netted=True, stamps_move=False)[1]
