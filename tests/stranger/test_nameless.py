"""Orders whose name is not told in histories and snapshots, or not as it was sent: `clientOrderId` is optional."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from cmam.actors.accounts import order_names
from cmam.actors.accounts.heard_clock import HeardClock
from cmam.actors.asking import preparation
from cmam.domain.turns import settling_by_looks
from cmam.domain.values.trades import Order
from cmam.store.past.replay import verify
from tests.stranger.books import BUY, LIMIT, SELL
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, SECOND, Terminal, World, a_pair

VOLUME = 1_200_000
UNTOLD = Habits(names="requests", fill_us=300_000)
CUT = Habits(order_names="cut", fill_us=300_000)
CAPITALS = Habits(order_names="capitals", fill_us=300_000)
ALL = pytest.mark.parametrize("habits", [UNTOLD, CUT, CAPITALS], ids=["untold", "cut", "capitals"])


def _unnamed(_view: Any, orders: Iterable[Order], *_more: Any) -> tuple[Order, ...]:
    return tuple(orders)


def _cut_as_it_leaves(world: World) -> None:
    """The follower's order has reached the broker, and nothing of it has come back."""
    book = world.broker.floor.books[FOLLOWER]
    known = set(book.orders)
    while not set(book.orders) - known:
        world.run(0.000_1)
    world.lines.cut_all()
    world.run(60)


def _held(world: World) -> list[int]:
    """What the follower holds in the end, of a past that is decided again as it was."""
    found = world.held(FOLLOWER)
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return found


def _held_after_an_open(habits: Habits) -> list[int]:
    """What a netted follower holds that was cut off in the middle of an open."""
    world, terminal = a_pair(habits, follower=("North", True))
    terminal.trade("EURUSD", BUY, VOLUME)
    _cut_as_it_leaves(world)
    return _held(world)


def _rests_after_a_place(habits: Habits) -> int:
    """How often the order of a follower rests that was cut off as it was placed."""
    world, terminal = a_pair(habits)
    terminal.rest(LIMIT, "EURUSD", BUY, VOLUME, world.broker.market.bids["EURUSD"] - 2_000)
    _cut_as_it_leaves(world)
    found = len(world.broker.floor.books[FOLLOWER].orders)
    assert verify(world.log.read_all()).is_identical
    world.stepper.kill()
    return found


def _adds_twice(world: World, terminal: Terminal) -> None:
    """A follower's copy has grown once, and is cut off as it grows by as much again."""
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(5)
    (held,) = terminal.book.positions.values()
    terminal.trade("EURUSD", BUY, VOLUME, positionId=held.number)
    world.run(5)
    terminal.trade("EURUSD", BUY, VOLUME, positionId=held.number)
    _cut_as_it_leaves(world)


def _held_after_two_adds(habits: Habits) -> list[int]:
    """What a follower holds that has grown once and was cut off as it grew by as much again."""
    world, terminal = a_pair(habits)
    _adds_twice(world, terminal)
    return _held(world)


def _held_after_two_adds_and_a_part(habits: Habits) -> list[int]:
    """What a net holds whose share has grown so, and whose leader has then closed two thirds."""
    world, terminal = a_pair(habits, follower=("North", True))
    _adds_twice(world, terminal)
    (held,) = terminal.book.positions.values()
    terminal.close(held, 2 * VOLUME)
    world.run(30)
    return _held(world)


def _held_after_opens_of_both_sides() -> list[int]:
    """What a net holds once shares of both sides have come, of which events tell a part of their names alone."""
    world, terminal = a_pair(replace(CUT, names="orders"), follower=("North", True))
    terminal.trade("EURUSD", BUY, 3 * VOLUME)
    world.run(5)
    terminal.trade("EURUSD", SELL, VOLUME)
    world.run(60)
    return _held(world)


def _held_after_an_add_of_one_second() -> list[int]:
    """What a follower holds whose stop was set in the second, by a clock that counts no finer, in which it grew."""
    world, terminal = a_pair(replace(UNTOLD, coarse_ms=1_000, fill_us=100_000))
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(5)
    (held,) = terminal.book.positions.values()
    world.run(1 - world.lines.now() % SECOND / SECOND)
    terminal.protect(held, world.broker.market.bids["EURUSD"] - 2_000, 0)
    world.run(0.3)
    terminal.trade("EURUSD", BUY, VOLUME, positionId=held.number)
    _cut_as_it_leaves(world)
    return _held(world)


@pytest.mark.parametrize("more", [{"repeats": True, "stamps": False}, {"accepted": "after"}], ids=["again", "behind"])
def test_what_is_told_late_of_one_part_is_not_of_the_next(more: dict[str, Any]) -> None:
    """That the first half had filled, told again or behind it without names, counted as the second half: that was
    bought once more, or its own fill was nobody's and was sold again."""
    nameless = Habits(parts=2, names="orders", order_names="dropped")
    world, terminal = a_pair(replace(nameless, **more))
    terminal.trade("EURUSD", BUY, 2 * VOLUME)
    world.run(60)
    assert _held(world) == [2 * VOLUME]


def test_an_add_of_the_second_of_what_is_known_is_not_taken_back() -> None:
    """It counted as older than what was known of its position, so as absent, and was closed again."""
    assert _held_after_an_add_of_one_second() == [2 * VOLUME]


@ALL
def test_an_open_without_its_name_is_not_sent_once_more(habits: Habits, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its order, with its label and all that it asked for, counted as absent, and the net was twice what it should."""
    assert _held_after_an_open(habits) == [VOLUME]
    monkeypatch.setattr(preparation, "named", _unnamed)
    assert _held_after_an_open(habits) == [2 * VOLUME]


def test_an_open_is_known_by_events_that_tell_a_part_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What became of it was not known before it was looked up, and what its net held counted as somebody's."""
    assert _held_after_opens_of_both_sides() == [2 * VOLUME]
    monkeypatch.setattr(order_names, "lacks_name", lambda _view, _fact: False)
    assert _held_after_opens_of_both_sides() == [3 * VOLUME]


@ALL
def test_an_order_that_rests_without_its_name_is_not_placed_once_more(
    habits: Habits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rested twice."""
    assert _rests_after_a_place(habits) == 1
    monkeypatch.setattr(preparation, "named", _unnamed)
    assert _rests_after_a_place(habits) == 2


@ALL
def test_an_add_without_its_name_is_not_taken_back(habits: Habits, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counted as absent, and what it had added as too much. The add of before is told without a name too."""
    assert _held_after_two_adds(habits) == [3 * VOLUME]
    monkeypatch.setattr(settling_by_looks, "GROWTH_IS_NO_ABSENCE", 99)
    assert _held_after_two_adds(habits) == [3 * VOLUME]
    monkeypatch.setattr(preparation, "named", _unnamed)
    assert _held_after_two_adds(habits) == [2 * VOLUME]


@ALL
def test_an_open_is_known_by_its_label_on_a_server_whose_clock_nobody_knows(habits: Habits) -> None:
    """Where quotes carry no time nobody knows how far its clock is behind ours: by 4 s, and it was bought twice."""
    behind = replace(habits, skew_ms=-4_000, spot_times=False)
    assert _held_after_an_open(behind) == [VOLUME]
    assert _rests_after_a_place(behind) == 1


@pytest.mark.parametrize(
    "habits",
    [replace(CUT, skew_ms=-4_000, spot_times=False), replace(CUT, skew_ms=-4_000, spot_times=False, stamps=False)],
    ids=["stamps", "no stamps"],
)
def test_an_add_that_its_position_shows_is_not_taken_back(habits: Habits, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that nobody knows its order was older than it, so it counted as absent, and was closed again."""
    monkeypatch.setattr(HeardClock, "offset_ms", 0)
    for rules, times in ((16, 3), (99, 2)):
        monkeypatch.setattr(settling_by_looks, "GROWTH_IS_NO_ABSENCE", rules)
        assert _held_after_two_adds(habits) == [times * VOLUME]


@pytest.mark.parametrize("stamps", [True, False])
def test_an_add_of_a_share_is_known_by_a_clock_that_executions_tell(
    stamps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that nobody knows its order was older than it: it counted as absent, and what it had filled as added
    by somebody, of which nothing was closed with the leader's part."""
    habits = replace(CUT, skew_ms=-4_000, spot_times=False, stamps=stamps)
    assert _held_after_two_adds_and_a_part(habits) == [VOLUME]
    monkeypatch.setattr(HeardClock, "offset_ms", 0)
    assert _held_after_two_adds_and_a_part(habits) == [VOLUME * 5 // 3]
