"""A stop-out that nobody saw, before a server that does not tell the orders of a position, or its deals."""

from __future__ import annotations

import pytest

from cmam.actors.asking.life import Life
from cmam.domain.events import StopOutSeen
from cmam.store.past.replay import verify
from tests.stranger.books import BUY
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, a_pair, signed

VOLUME = 2_400_000


def _held(cannot_tell: str, *, netted: bool, part: int) -> tuple[int, list[int]]:
    """How often a stop-out was seen that took so much while the line was cut, and what the follower holds whose leader
    opens anew half a minute later."""
    habits = Habits(answer_us=4_000_000, cannot_tell=cannot_tell)
    world, terminal = a_pair(habits, follower=("South", netted))
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(10)
    book = world.broker.floor.books[FOLLOWER]
    (copy,) = book.positions.values()
    world.lines.cut_all()
    world.broker.floor.stop_out(book, copy, part)
    world.lines.collect()
    world.run(60)
    terminal.trade("EURUSD", BUY, VOLUME // 2)
    world.run(10)
    found = len(world.events(FOLLOWER, StopOutSeen)), [signed(one) for one in book.positions.values()]
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return found


@pytest.mark.parametrize("cannot_tell", ["OrderListByPositionIdReq", "DealListByPositionIdReq"])
@pytest.mark.parametrize(("netted", "part"), [(False, VOLUME), (True, VOLUME // 2)])
def test_an_unseen_stop_out_is_asked_for_by_the_numbers_of_orders(
    cannot_tell: str, netted: bool, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only one of the two questions has an answer: orders tell who it was, and deals what it took, each by the other's
    numbers. Without that nothing was locked, and the account went on opening without margin."""
    left = [VOLUME - part] if part < VOLUME else []
    assert _held(cannot_tell, netted=netted, part=part) == (1, left)
    monkeypatch.setattr(Life, "by_number", None)
    assert _held(cannot_tell, netted=netted, part=part)[0] == 0
