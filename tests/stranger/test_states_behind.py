"""A snapshot that shows what stood a moment ago, asked for right after a crash or a cut line."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.actors.accounts import just_heard
from cmam.actors.accounts.just_heard import JustHeard
from cmam.domain.events import CopyTouched
from cmam.domain.folds import account
from cmam.store.past.replay import verify
from tests.stranger.books import BUY, SELL
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, a_pair, signed

VOLUME = 2_400_000


def _held(behind_us: int, part: int, *, netted: bool = False, cut: bool = False) -> tuple[list[int], int]:
    """What a follower holds, and what was bought and sold in all, of a leader who bought once and closed a part or
    all, where right then the process dies or the line is cut, and a snapshot shows what stood so long ago."""
    habits = Habits(states_behind_us=behind_us, stamps=False)
    world, terminal = a_pair(habits, follower=("North", netted))
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(5)
    (held,) = terminal.book.positions.values()
    terminal.close(held, part)
    world.run(0.3)
    if cut:
        world.lines.cut_all()
    else:
        world.kill()
        world.start()
    world.run(180)
    book = world.broker.floor.books[FOLLOWER]
    found = [signed(one) for one in book.positions.values()]
    traded = sum(deal.volume for deal in book.deals if deal.side in (BUY, SELL))
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return found, traded


@pytest.mark.parametrize("netted", [False, True])
def test_a_start_right_after_a_trade_waits_for_a_snapshot_that_shows_it(
    netted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first snapshot counts as the newest word: one of a moment before told the leader's close as taken back."""
    assert _held(400_000, VOLUME // 2, netted=netted) == ([VOLUME // 2], VOLUME + VOLUME // 2)
    monkeypatch.setattr(just_heard, "QUIET_US", 0)
    assert _held(400_000, VOLUME // 2, netted=netted)[1] > VOLUME + VOLUME // 2


@pytest.mark.parametrize("cut", [False, True])
def test_what_was_told_closed_is_not_bought_back(cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far behind a snapshot is: the number of a hedged position that is closed lives no more."""
    assert _held(2_500_000, VOLUME, cut=cut) == ([], 2 * VOLUME)
    monkeypatch.setattr(account, "without_told_closed", lambda _view, event: event)
    assert _held(2_500_000, VOLUME, cut=cut)[1] > 2 * VOLUME


def _held_after_a_swap() -> list[int]:
    """What a follower holds whose leader opened right before a start, so that its snapshot does not show that, and was
    charged a swap on it before the next look."""
    world, terminal = a_pair(Habits(states_behind_us=400_000, fill_us=0))
    world.kill()
    terminal.trade("EURUSD", BUY, VOLUME)
    world.start()
    world.run(1)
    world.broker.floor.charge(terminal.book, 12)
    world.lines.collect()
    world.run(120)
    found = world.held(FOLLOWER)
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return found


def test_a_swap_on_what_was_opened_unseen_does_not_hide_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was held from then on, and no look found anything to tell: nobody copied it, and nobody was told."""
    assert _held_after_a_swap() == [VOLUME]
    monkeypatch.setattr(account, "is_charged_unseen", lambda _view, _event, **_: False)
    assert _held_after_a_swap() == []


def _target_after_a_cut() -> tuple[bool, list[Any]]:
    """Whether a copy has its target whose line was cut right after that was told, and what counts as touched."""
    world, terminal = a_pair(Habits(states_behind_us=600_000, stamps=False, fill_us=0))
    book = world.broker.floor.books[FOLLOWER]
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(5)
    (held,), (copy,) = terminal.book.positions.values(), book.positions.values()
    terminal.protect(held, 0, held.price + 1_000)
    while not copy.tp:
        world.run(0.001)
    world.lines.cut_all()
    world.run(120)
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return copy.tp > 0, world.events(FOLLOWER, CopyTouched)


def test_what_was_told_as_the_line_was_cut_is_not_taken_back_by_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that had just been told, and is not in what stood a moment ago, counted as taken away by a person."""
    assert _target_after_a_cut() == (True, [])
    monkeypatch.setattr(JustHeard, "executed", lambda _self, _fact: None)
    assert _target_after_a_cut()[1]
