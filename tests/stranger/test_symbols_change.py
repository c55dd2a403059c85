"""Symbols that change at the broker in the middle of trading (2120): what stands is looked at once more."""

from __future__ import annotations

import pytest

from cmam.actors.accounts import just_heard
from cmam.domain.events import AlertRaised
from cmam.store.past.replay import verify
from tests.stranger.books import BUY, SELL
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, a_pair, signed

VOLUME = 2_400_000


def _held() -> tuple[list[int], int]:
    """What a follower holds, and has bought in all, of a leader who bought once and closed half, where symbols change
    just then and a snapshot shows what stood a moment ago."""
    world, terminal = a_pair(Habits(states_behind_us=400_000))
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(5)
    (held,) = terminal.book.positions.values()
    terminal.close(held, VOLUME // 2)
    world.run(0.3)
    book = world.broker.floor.books[FOLLOWER]
    assert [signed(one) for one in book.positions.values()] == [VOLUME // 2]
    world.broker.change_symbols()
    world.lines.collect()
    world.run(120)
    bought = sum(deal.volume for deal in book.deals if deal.side == BUY)
    found = [signed(one) for one in book.positions.values()], bought
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return found


def test_a_look_that_changed_symbols_ask_for_takes_back_nothing_that_was_just_traded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A snapshot of a moment ago told the leader's close as taken back: that was bought, and twice of it was held."""
    assert _held() == ([VOLUME // 2], VOLUME)
    monkeypatch.setattr(just_heard, "QUIET_US", 0)
    assert _held()[0] != [VOLUME // 2]


def _alerts_after_a_turn() -> int:
    """How often a person was called to a follower of a netted leader who bought once and turned, where symbols change
    just then."""
    world, terminal = a_pair(Habits(states_behind_us=400_000), leader=("North", True), follower=("North", True))
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(5)
    terminal.trade("EURUSD", SELL, 2 * VOLUME)
    world.run(0.3)
    world.broker.change_symbols()
    world.lines.collect()
    world.run(120)
    book = world.broker.floor.books[FOLLOWER]
    assert [signed(one) for one in book.positions.values()] == [-VOLUME]
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return len(world.events(FOLLOWER, AlertRaised))


def test_a_look_that_changed_symbols_ask_for_knows_a_net_that_has_just_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot of a moment ago showed the net as it was before, and what it had turned to was nobody's."""
    assert _alerts_after_a_turn() == 0
    monkeypatch.setattr(just_heard, "QUIET_US", 0)
    assert _alerts_after_a_turn() > 0
