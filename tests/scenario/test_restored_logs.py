"""A log that is older than what it led to: what its own later life has opened is not opened once more."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cmam.domain.events import CopyTouched
from cmam.domain.guarding.latches import TWIN
from cmam.store.past.replay import verify
from cmam.store.upkeep.known_end import note_restore
from tests.person import LEADER, Held
from tests.rulebook import SELL
from tests.whole import NETTED, SAME_BROKER, FaultyLog, Whole

LOT = 10_000_000
AWAY_S = 600


def _backup(home: Path) -> FaultyLog:
    """What `cmam backup` would keep of a home's log by now."""
    (home / "backup").mkdir()
    with (
        closing(sqlite3.connect(home / "events.db")) as source,
        closing(sqlite3.connect(home / "backup" / "events.db")) as target,
    ):
        source.backup(target)
    return FaultyLog.open(home / "backup")


def _started(home: Path, *, leader: int = LEADER, follower: int = SAME_BROKER, max_age: str = "30s") -> Whole:
    settings = {"max_age": max_age}
    whole = Whole(seed=1, leader=leader, followers=(follower,), settings=settings, log=FaultyLog.open(home))
    whole.start_ready()
    return whole


def _goes_on_from(backup: FaultyLog, whole: Whole, *, away_s: float = 0) -> None:
    """The process is gone, the log is the backup's, and cmam starts again on it."""
    whole.kill()
    if away_s:
        whole.run(away_s)
    whole.log = backup
    whole.start_ready()
    whole.run(20)


def _held(whole: Whole, account: int = SAME_BROKER) -> Held:
    (found,) = whole.person.holds(account)
    return found


def test_what_was_added_after_the_backup_is_not_added_twice(tmp_path: Path) -> None:
    """Also where the leader's add is young enough to be copied still."""
    whole = _started(tmp_path, leader=NETTED, max_age="600s")
    whole.person.buy(2 * LOT, account=NETTED, symbol=7001)
    whole.run(5)
    backup = _backup(tmp_path)
    whole.person.buy(LOT, account=NETTED, symbol=7001)
    whole.run(5)
    _goes_on_from(backup, whole)
    assert _held(whole).volume == 3 * LOT
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert "has a number that this log never gave" in view.alerts[TWIN]
    assert whole.command({"command": "rearm", "profile": "whole", "guard": TWIN})["ok"]
    whole.person.buy(LOT, account=NETTED, symbol=7001)
    whole.run(5)
    assert _held(whole).volume == 4 * LOT
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("max_age", ["30s", "600s"])
def test_what_was_opened_into_a_net_after_the_backup_is_not_opened_twice(tmp_path: Path, max_age: str) -> None:
    """A net bears the label of its first order alone: the order history tells of what this log never asked for."""
    whole = _started(tmp_path, follower=NETTED, max_age=max_age)
    whole.person.buy(LOT)
    whole.run(5)
    backup = _backup(tmp_path)
    whole.person.buy(LOT // 2)
    whole.run(5)
    assert _held(whole, NETTED).volume == LOT + LOT // 2
    _goes_on_from(backup, whole)
    assert _held(whole, NETTED).volume == LOT + LOT // 2
    view = whole.view(NETTED)
    assert view is not None
    assert "that this log never made" in view.alerts[TWIN]
    whole.person.buy(LOT // 5)
    whole.run(5)
    assert _held(whole, NETTED).volume == LOT + LOT // 2
    for position in whole.person.holds(LEADER):
        whole.person.close(position.position, position.volume)
        whole.run(5)
    assert whole.person.holds(NETTED) == []
    assert verify(whole.log.read_all()).is_identical


def test_what_has_made_a_net_flat_after_the_backup_is_not_opened_twice(tmp_path: Path) -> None:
    """Nothing stands there that could tell: the order history is asked all the same."""
    whole = _started(tmp_path, follower=NETTED, max_age="600s")
    whole.person.buy(LOT)
    whole.run(5)
    backup = _backup(tmp_path)
    whole.person.buy(LOT, side=SELL)
    whole.run(5)
    assert whole.person.holds(NETTED) == []
    note_restore(backup, backup.position(), whole.stepper.clock.now())
    _goes_on_from(backup, whole)
    assert whole.person.holds(NETTED) == []
    view = whole.view(NETTED)
    assert view is not None
    assert "that this log never made" in view.alerts[TWIN]
    assert verify(whole.log.read_all()).is_identical


def test_what_was_opened_and_closed_by_hand_after_the_backup_is_not_opened_twice(tmp_path: Path) -> None:
    """The leader holds it still, and it is young enough to be copied."""
    whole = _started(tmp_path, max_age="600s")
    backup = _backup(tmp_path)
    whole.person.buy(LOT)
    whole.run(5)
    copy = _held(whole)
    whole.person.close(copy.position, copy.volume, account=SAME_BROKER)
    whole.run(5)
    note_restore(backup, backup.position(), whole.stepper.clock.now())
    _goes_on_from(backup, whole)
    assert whole.person.holds(SAME_BROKER) == []
    assert verify(whole.log.read_all()).is_identical


def test_what_a_person_has_added_to_a_net_is_no_sign_of_another_cmam(tmp_path: Path) -> None:
    """His order bears no name of ours: what the leader opens meanwhile is copied."""
    whole = _started(tmp_path, follower=NETTED, max_age="600s")
    whole.person.buy(LOT)
    whole.run(5)
    whole.kill()
    whole.person.buy(LOT // 5, account=NETTED, symbol=7001)
    whole.person.buy(LOT // 2)
    whole.run(5)
    whole.start_ready()
    whole.run(20)
    assert _held(whole, NETTED).volume == LOT + LOT // 5 + LOT // 2
    view = whole.view(NETTED)
    assert view is not None
    assert TWIN not in view.alerts


def _leader_halves(whole: Whole) -> None:
    whole.person.close(_held(whole, LEADER).position, 2 * LOT)


def _person_halves(whole: Whole) -> None:
    whole.person.close(_held(whole).position, 2 * LOT, account=SAME_BROKER)


@pytest.mark.parametrize(("first", "second"), [(_leader_halves, _person_halves), (_person_halves, _leader_halves)])
def test_what_a_person_closed_while_cmam_was_down_is_his_own(
    first: Callable[[Whole], None], second: Callable[[Whole], None], tmp_path: Path
) -> None:
    """Whoever came first, the leader's half is a half of what is there, and nothing is topped up."""
    whole = _started(tmp_path)
    whole.person.buy(4 * LOT)
    whole.run(5)
    whole.kill()
    for one in (first, second):
        one(whole)
        whole.run(AWAY_S)
    whole.start_ready()
    whole.run(20)
    assert _held(whole).volume == LOT
    assert [touched.what for touched in whole.events(SAME_BROKER, CopyTouched)] == ["volume"]
    assert verify(whole.log.read_all()).is_identical
