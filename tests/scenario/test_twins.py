"""Two machines on copies of one home: both give the same names, and only what a log does not know tells them apart."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cmam.domain.events import ChangeDecided, Reconciled
from cmam.domain.guarding.latches import TWIN
from cmam.domain.trials.rehearsal import differences
from cmam.domain.values.reasons import Reason
from cmam.store.past.replay import verify
from cmam.system import System
from tests.factories import a_quote
from tests.second import second
from tests.whole import ALPHA_TOO, NETTED, SAME_BROKER, FaultyLog, Whole

LOT = 10_000_000


def _copied(home: Path, to: Path) -> FaultyLog:
    """The event store of a home as somebody copies it to another machine."""
    to.mkdir()
    with closing(sqlite3.connect(home / "events.db")) as source, closing(sqlite3.connect(to / "events.db")) as target:
        source.backup(target)
    return FaultyLog.open(to)


def _alerts(system: System) -> set[tuple[int, str]]:
    """The accounts that say somebody else uses their store's name."""
    views = [system.status().view(account) for account in (SAME_BROKER, ALPHA_TOO, NETTED)]
    return {(int(view.account), view.alerts[TWIN]) for view in views if view is not None and TWIN in view.alerts}


def _held(whole: Whole, account: int = SAME_BROKER) -> list[int]:
    return sorted(held.volume for held in whole.person.holds(account))


def _pair(tmp_path: Path, seed: int, follower: int = SAME_BROKER) -> tuple[Whole, System]:
    """One machine that copies, and one on a copy of its home, both ready and neither with anything to tell of it."""
    whole = Whole(seed=seed, followers=(follower,), log=FaultyLog.open(tmp_path))
    whole.start_ready()
    whole.run(5)
    other = second(whole, _copied(tmp_path, tmp_path / "copy"))
    whole.run(20)
    return whole, other


def test_a_copied_home_opens_nothing_where_the_first_machine_has_gone_on(tmp_path: Path) -> None:
    """It finds copies under its own name that its log never made, before its first open; the first one copies on."""
    whole = Whole(seed=1, followers=(SAME_BROKER,), log=FaultyLog.open(tmp_path))
    whole.start_ready()
    first = whole.person.buy(LOT)
    whole.run(5)
    log = _copied(tmp_path, tmp_path / "copy")
    whole.person.buy(2 * LOT)
    whole.run(5)
    other = second(whole, log)
    whole.run(20)
    ((account, text),) = _alerts(other)
    assert account == SAME_BROKER
    assert "that this log never made" in text
    assert "`cmam rearm`" in text
    whole.person.buy(3 * LOT)
    whole.run(20)
    assert _held(whole) == [LOT, 2 * LOT, 3 * LOT]
    assert _alerts(whole.system) == set()
    decided = [r.event for r in log.read_stream(f"account:{SAME_BROKER}") if isinstance(r.event, ChangeDecided)]
    assert decided[-1].reason is Reason.GUARD
    whole.person.close(first, LOT)
    whole.run(20)
    assert _held(whole) == [2 * LOT, 3 * LOT]
    assert verify(log.read_all()).is_identical


@pytest.mark.parametrize("behind_ms", [0, 8_000, 180_000])
def test_a_restored_log_opens_nothing_twice_whatever_the_brokers_clock(tmp_path: Path, behind_ms: int) -> None:
    """What it had copied after the backup is found before what the leader opened then is decided anew, also where the
    broker's times all lie before the last record; and `profile check` says the same before the start."""
    settings = {"max_age": "600s"}
    whole = Whole(seed=1, followers=(SAME_BROKER,), settings=settings, log=FaultyLog.open(tmp_path))
    whole.broker.set_fault("clock-skew", {"ms": str(-behind_ms)})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(5)
    backup = _copied(tmp_path, tmp_path / "backup")
    whole.person.buy(2 * LOT)
    whole.run(5)
    assert _held(whole) == [LOT, 2 * LOT]
    whole.kill()
    whole.log = backup
    before = whole.folded()
    past = {account: len(whole.events(account, Reconciled)) for account in whole.accounts}
    whole.start_ready()
    whole.run(60)
    assert _held(whole) == [LOT, 2 * LOT]
    ((account, text),) = _alerts(whole.system)
    assert account == SAME_BROKER
    assert "that this log never made" in text
    books = {account: whole.events(account, Reconciled)[number] for account, number in past.items()}
    (link,) = before.registry.links()
    leader, follower = before.accounts[whole.leader], before.accounts[SAME_BROKER]
    at_us = whole.now_us()
    quotes = {"EURUSD": a_quote("1.09999", "1.10001", at_us=at_us)}
    shown = books[whole.leader], books[SAME_BROKER]
    told = differences(leader, shown[0], follower, shown[1], link, (), quotes, quotes, at_us).repairs
    assert any("that this log never made" in one.finding and "rearm" in one.repair for one in told), told
    assert [one.repair for one in told if one.repair.startswith("open ")] == []
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("follower", [SAME_BROKER, NETTED])
def test_two_machines_that_know_the_same_stop_after_one_trade(tmp_path: Path, seed: int, follower: int) -> None:
    """Nothing tells them apart before they copy the same trade; then both say so, and neither opens another."""
    whole, other = _pair(tmp_path, seed, follower)
    assert _alerts(whole.system) == _alerts(other) == set()
    whole.person.buy(LOT)
    whole.run(5)
    assert sum(_held(whole, follower)) == 2 * LOT
    for number in range(2, 5):
        whole.person.buy(number * LOT)
        whole.run(5)
    assert sum(_held(whole, follower)) == 2 * LOT
    for system in (whole.system, other):
        ((account, text),) = _alerts(system)
        assert account == follower
        assert "stop it first" in text


def test_the_one_that_stays_copies_again_once_it_is_rearmed(tmp_path: Path) -> None:
    """What was doubled is named with its two positions, and both close with the leader's."""
    whole, other = _pair(tmp_path, 7)
    position = whole.person.buy(LOT)
    whole.run(5)
    assert len(_held(whole)) == 2
    other.stop()
    whole.run(70)
    answer: dict[str, Any] = whole.command({"command": "rearm", "profile": "whole", "guard": ""})
    assert answer["ok"], answer
    whole.run(1)
    assert _alerts(whole.system) == set()
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert "second copy of what position" in view.alerts["findings"]
    whole.person.buy(2 * LOT)
    whole.run(5)
    assert _held(whole) == [LOT, LOT, 2 * LOT]
    whole.person.close(position, LOT)
    whole.run(130)
    assert _held(whole) == [2 * LOT]
    assert verify(whole.log.read_all()).is_identical


def test_a_second_copy_closes_with_a_flatten(tmp_path: Path) -> None:
    """Whoever does not want to look for the one that is too many is rid of both by one command."""
    whole, other = _pair(tmp_path, 8)
    whole.person.buy(LOT)
    whole.run(5)
    assert len(_held(whole)) == 2
    other.stop()
    assert whole.command({"command": "flatten", "profile": "whole"})["ok"]
    whole.run(130)
    assert _held(whole) == []
