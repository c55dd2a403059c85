"""The real process against the real sandbox over TLS: killed, ended and ended again in the middle of trading."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cmam import office
from cmam.cli.main import run
from cmam.config.home import Home
from cmam.domain.events import LogRestored
from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.sandbox.serving.options import ReadyInfo
from cmam.sandbox.serving.server import run_in_thread
from cmam.sandbox.trader.trader import Trader
from cmam.store.logfile.log import EventLog
from cmam.store.past.replay import verify
from tests.scenario.guide import child, options, ready_file
from tests.waiting import PATIENCE_S, until

LOT = 10_000_000
OPENS = 14
SOON = {"CMAM_SETTLE_S": "2"}


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadyInfo]:
    """A sandbox that takes its time for a fill."""
    with run_in_thread(options(tmp_path_factory.mktemp("sandbox"), fill_delay_ms="40")) as info:
        yield info


@pytest.fixture
def home(tmp_path: Path, ready: ReadyInfo, settled: Path) -> Path:
    """A home with a profile, ready to start."""
    shutil.copytree(settled, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory, ready: ReadyInfo) -> Path:
    """A home that each test gets a copy of."""
    folder = tmp_path_factory.mktemp("settled")
    file = str(ready_file(ready, folder))
    one, two = (str(account.ctid) for account in ready.accounts[:2])
    way = ["--host", ready.host, "--port", str(ready.port), "--ca-file", str(ready.ca_file)]
    for words in (
        ["api", "configure", *way, "--oauth-url", ready.oauth_url, "--secret-file", file],
        ["account", "add", "--token-file", file],
        ["profile", "create", "main", "--leader", one, "--follower", two, "--set", "max_age=600"],
    ):
        assert run(["--home", str(folder / "home"), *words]) == 0
    return folder / "home"


@pytest.fixture
def leader(ready: ReadyInfo) -> Iterator[Trader]:
    """A terminal on the leader's account; what it opened is closed at the end."""
    with _terminal(ready, 0) as trader:
        yield trader


@pytest.fixture
def follower(ready: ReadyInfo) -> Iterator[Trader]:
    """A terminal on the follower's account: what is really there."""
    with _terminal(ready, 1) as trader:
        yield trader


@contextmanager
def _terminal(ready: ReadyInfo, number: int) -> Iterator[Trader]:
    document = ready.as_document()
    with Trader(document, document["accounts"][number]) as trader:
        yield trader
        for position in trader.reconcile().position:
            trader.close_position(position.positionId, position.tradeData.volume)


def _copied(home: Path, follower: Trader, count: int) -> None:
    """Wait until so many copies stand at the follower; where they never do, say what the log knows."""
    try:
        until(lambda: len(_labels(follower)) == count, f"{count} copies")
    except AssertionError:
        log = "\n".join(str(found.event) for found in EventLog.read_only(home).read_all())
        raise AssertionError(f"{len(_labels(follower))} copies {_labels(follower)}\n{log}") from None


def _started(home: Path) -> subprocess.Popen[str]:
    process = child(home, "start", "--plain", **SOON)

    def is_ready() -> bool:
        assert process.poll() is None, process.communicate()
        document = office.ask_running(Home(home), {"command": "status"})
        accounts = document["accounts"] if document else []
        return bool(accounts) and all(found["health"] == "reconciled" for found in accounts)

    until(is_ready, "every account is reconciled")
    return process


def _labels(trader: Trader) -> list[str]:
    return [position.tradeData.label for position in trader.reconcile().position]


def _buy(trader: Trader) -> None:
    order = wire.ProtoOANewOrderReq(symbolId=1, orderType="MARKET", tradeSide="BUY", volume=LOT // 10)
    trader.order(order)


@contextmanager
def _burst(trader: Trader) -> Iterator[None]:
    """Trade beside the caller."""
    thread = threading.Thread(target=lambda: [_buy(trader) for _ in range(OPENS)])
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize("after", [1, 8])
def test_killed_in_the_middle_of_a_burst_it_ends_with_one_copy_of_each(
    home: Path, leader: Trader, follower: Trader, after: int
) -> None:
    """kill -9 after the n-th copy and a new start: every position of the leader has exactly one copy."""
    process = _started(home)
    try:
        with _burst(leader):
            until(lambda: len(_labels(follower)) >= after, f"{after} copies")
            process.kill()
            process.communicate()
            process = _started(home)
        _copied(home, follower, OPENS)
        for position in leader.reconcile().position:
            leader.close_position(position.positionId, position.tradeData.volume)
        until(lambda: not _labels(follower), "all are closed")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
    finally:
        process.kill()
        process.communicate()
    log = EventLog.read_only(home)
    assert verify(log.read_all()).is_identical


def test_a_signal_in_the_middle_of_a_burst_drains_and_ends_in_order(
    home: Path, leader: Trader, follower: Trader
) -> None:
    """SIGTERM ends with 0; what was recorded was sent, and the next start copies the rest, each once."""
    process = _started(home)
    with _burst(leader):
        until(lambda: len(_labels(follower)) >= 2, "two copies")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
    process = _started(home)
    try:
        _copied(home, follower, OPENS)
        labels = _labels(follower)
        assert len(set(labels)) == OPENS
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
    assert verify(EventLog.read_only(home).read_all()).is_identical


def test_a_second_signal_exits_at_once_and_a_second_start_names_the_first(home: Path) -> None:
    """While one process holds the home another exits with 4 and names it; of two signals the second takes the end.

    Both wait while the process is stopped, so that both are there before the end could begin; Python looks at the lower
    number first.
    """
    process = _started(home)
    second = child(home, "start", "--plain")
    _, err = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 4
    assert str(process.pid) in err
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + signal.SIGTERM


def test_an_older_log_that_was_copied_back_by_hand_is_told_as_restored(home: Path) -> None:
    """A command has written since, so the home knows how far its log had come; the start says so, and goes on."""
    process = _started(home)
    process.terminate()
    process.communicate(timeout=PATIENCE_S)
    shutil.copyfile(home / "events.db", home / "mine")
    assert run(["--home", str(home), "profile", "set", "main", "max_age=500"]) == 0
    assert run(["--home", str(home), "profile", "set", "main", "max_age=400"]) == 0
    (home / "mine").replace(home / "events.db")
    process = _started(home)
    process.terminate()
    _, said = process.communicate(timeout=PATIENCE_S)
    assert "when this home was last in use" in said
    with closing(EventLog.read_only(home)) as log:
        assert [one for one in log.read_all() if isinstance(one.event, LogRestored)]
        assert verify(log.read_all()).is_identical
