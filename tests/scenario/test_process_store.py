"""The real process whose store another program holds, and its end: what is said, what leaves, what comes back."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cmam import office
from cmam.config.home import Home
from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.sandbox.trader.trader import Trader
from cmam.store.logfile.log import EventLog
from cmam.store.past.replay import verify
from cmam.store.proof.verify import verify as verify_chains
from tests.scenario import test_actors_process as processes
from tests.scenario.guide import child
from tests.waiting import until

ready, settled, home, leader, follower = (
    processes.ready,
    processes.settled,
    processes.home,
    processes.leader,
    processes.follower,
)
STOP_POINTS = 3_000


@contextmanager
def _running(home: Path) -> Iterator[subprocess.Popen[str]]:
    process = processes._started(home)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def _held(home: Path) -> Iterator[sqlite3.Connection]:
    """Another program's write lock on the event store."""
    other = sqlite3.connect(home / "events.db", isolation_level=None)
    try:
        _begin(other)
        yield other
    finally:
        other.close()


def _begin(other: sqlite3.Connection) -> None:
    other.execute("PRAGMA busy_timeout=120000")
    other.execute("BEGIN IMMEDIATE")


def _buy(trader: Trader, *, stop: bool = False) -> None:
    order = wire.ProtoOANewOrderReq(symbolId=1, orderType="MARKET", tradeSide="BUY", volume=processes.LOT // 10)
    if stop:
        order.relativeStopLoss = STOP_POINTS
    trader.order(order)


def _status(home: Path) -> dict[str, Any]:
    return office.ask_running(Home(home), {"command": "status"}) or {}


def _alerts(home: Path) -> list[str]:
    return [alert["kind"] for alert in _status(home).get("alerts", ())]


def _open(trader: Trader) -> list[int]:
    return [position.positionId for position in trader.reconcile().position]


def test_a_lock_of_another_program_stops_opens_and_no_close(home: Path, leader: Trader, follower: Trader) -> None:
    """While it lasts a close goes out and an open waits, said in `status`; then all is recorded, without a restart."""
    with _running(home) as process:
        _buy(leader)
        until(lambda: _open(follower), "the first is copied")
        with _held(home):
            (position,) = leader.reconcile().position
            leader.close_position(position.positionId, position.tradeData.volume)
            until(lambda: not _open(follower), "its copy is closed past the store")
            _buy(leader)
            until(lambda: "store" in _alerts(home), "the alert")
            assert _open(follower) == []
        until(lambda: _open(follower), "the second is copied once the store is back")
        until(lambda: _alerts(home) == [], "the alert is over")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=processes.PATIENCE_S)
        assert process.returncode == 0, err
        assert "Left open: 1 position, 1 without a stop at the broker." in err
    assert verify(EventLog.read_only(home).read_all()).is_identical


def test_a_start_that_is_refused_says_nothing_of_what_is_open(home: Path, leader: Trader, follower: Trader) -> None:
    """Where the folder of its control channel is in the way, it has asked no broker: it cannot say that nothing is."""
    with _running(home) as process:
        _buy(leader)
        until(lambda: _open(follower), "it is copied")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=processes.PATIENCE_S)
    folder = Home(home).prepare_runtime()
    shutil.rmtree(folder)
    folder.touch()
    refused = child(home, "start", "--plain")
    _, err = refused.communicate(timeout=processes.PATIENCE_S)
    assert refused.returncode == 1
    assert f"Expected to make {folder}" in err
    assert "left open" not in err.lower()


def test_the_end_says_what_stays_open_and_what_no_stop_protects(home: Path, leader: Trader, follower: Trader) -> None:
    """Each copy by account, side, volume and position, those without a stop first; the record counts them too."""
    with _running(home) as process:
        _buy(leader, stop=True)
        _buy(leader)
        until(lambda: len(_open(follower)) == 2, "both are copied")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=processes.PATIENCE_S)
        assert process.returncode == 0, err
    assert "Left open: 2 positions, 1 without a stop at the broker." in err
    named = [line for line in err.splitlines() if line.startswith("  ") and ": buy 10" in line]
    assert len(named) == 2, err
    assert [("NO STOP" in line) for line in named] == [True, False]
    assert all(any(str(position) in line for line in named) for position in _open(follower))
    stopped = [r.event for r in EventLog.read_only(home).read_stream("app") if r.topic == "app.system_stopped"]
    assert (stopped[-1].left_open, stopped[-1].without_stop) == (2, 1)


@pytest.mark.parametrize("twice", [False, True])
def test_an_end_that_waits_for_the_store_is_short_and_a_second_signal_shorter(
    home: Path, leader: Trader, follower: Trader, twice: bool
) -> None:
    """What could not be recorded is said, with exit code 1; a second signal takes the end at once, with its own code.

    Nothing is lost either way: the next start copies what the store did not take.
    """
    with _running(home) as process, _held(home):
        _buy(leader)
        until(lambda: "store" in _alerts(home), "the store takes nothing")
        process.send_signal(signal.SIGTERM)
        if twice:
            until(lambda: not Home(home).control_socket.exists(), "the end has begun")
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=processes.PATIENCE_S)
        is_cut_short = process.returncode == 128 + signal.SIGINT  # or the end was over before the second signal came
        assert process.returncode == 1 or (twice and is_cut_short), err
        assert is_cut_short or "could not be recorded" in err
    assert _open(follower) == []
    with _running(home):
        until(lambda: _open(follower), "the next start copies it")


def test_who_waits_for_the_end_waits_for_nothing_behind_its_last_word(home: Path, tmp_path: Path) -> None:
    """A process that has ended in order does not take its interpreter apart first: that costs time for nothing."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import atexit\natexit.register(print, 'taken apart')\n")
    path = os.pathsep.join([str(site), *sys.path])
    process = child(home, "start", "--plain", PYTHONPATH=path)
    try:
        until(lambda: _status(home).get("running"), "it runs")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=processes.PATIENCE_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    assert "Ended in order." in err
    assert "taken apart" not in out


def test_stacks_are_printed_on_demand_and_nothing_else_happens(home: Path) -> None:
    """SIGUSR1 names every thread and where it is; the process goes on."""
    with _running(home) as process:
        process.send_signal(signal.SIGUSR1)
        until(lambda: process.poll() is not None or _status(home).get("running"), "it goes on")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=processes.PATIENCE_S)
        assert process.returncode == 0, err
    assert err.count("Thread 0x") > 5
    assert "_actor_loop_running" in err
    assert "cmam/actors/threads/carrier.py" in err


def test_a_store_deleted_in_the_middle_of_trading_is_there_again(home: Path, leader: Trader, follower: Trader) -> None:
    """`rm events.db*` under a running cmam: the next trade is copied, and the new file holds all of the past."""
    with _running(home) as process:
        _buy(leader)
        until(lambda: _open(follower), "the first is copied")
        for path in home.glob("events.db*"):
            path.unlink()
        _buy(leader)
        until(lambda: len(_open(follower)) == 2, "the second is copied")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=processes.PATIENCE_S)
        assert process.returncode == 0, err
    log = EventLog.read_only(home)
    assert verify_chains(log.raw()).is_whole
    assert verify(log.read_all()).is_identical
