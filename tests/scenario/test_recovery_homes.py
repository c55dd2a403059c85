"""Real homes, real processes, one sandbox: a log deleted under a copier, and a second machine on the same accounts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cmam.sandbox.serving.options import ReadyInfo
from cmam.sandbox.serving.server import run_in_thread
from tests.scenario.guide import Person, options, ready_file
from tests.scenario.profile_home import LEADER, SAME_BROKER, Market, running, settle
from tests.waiting import until


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[ReadyInfo]:
    """A sandbox that fills at once and has no past."""
    with run_in_thread(options(tmp_path / "sandbox", fill_delay_ms="0", history_days="0")) as info:
        yield info


def _person(folder: Path, ready: ReadyInfo, capsys: pytest.CaptureFixture[str]) -> Person:
    folder.mkdir(exist_ok=True)
    person = Person(settle(ready, folder), capsys)
    _profile(person)
    return person


def _profile(person: Person) -> None:
    made = person.types("profile", "create", "main", "--leader", str(LEADER), "--follower", str(SAME_BROKER))
    assert made.code == 0, made.err


def _lots(market: Market, account: int = SAME_BROKER) -> list[str]:
    positions, _ = market.holds(account)
    return sorted(str(position.volume // 10_000_000) for position in positions)


def _number(market: Market, account: int) -> str:
    ((position,), _) = market.holds(account)
    return str(position.position)


def _check(person: Person) -> dict[str, Any]:
    said = person.types("profile", "check", "main", "--json")
    assert said.code == 0, said.err
    (link,) = json.loads(said.out)["links"]
    return link


def test_events_db_deleted_under_a_killed_copier(
    tmp_path: Path, ready: ReadyInfo, capsys: pytest.CaptureFixture[str]
) -> None:
    """Set up again as before: the check plans it, the start does it, and once done there is nothing left to plan."""
    person = _person(tmp_path, ready, capsys)
    market = Market(ready, person.home)
    with running(person) as process:
        market.trades(LEADER, "buy", symbol="EURUSD", lots="1")
        first = _number(market, LEADER)
        market.trades(LEADER, "buy", symbol="EURUSD", lots="2")
        until(lambda: _lots(market) == ["1", "2"], "both are copied")
        process.kill()
    market.trades(LEADER, "close", ref=first)
    (person.home / "events.db").unlink()
    assert person.types("account", "add", "--token-file", str(ready_file(ready, tmp_path))).code == 0
    _profile(person)
    before = _check(person)
    assert {one["finding"] for one in before["findings"]} == {"unrecorded"}
    assert any(one["repair"].startswith("close 100000.00 units") for one in before["repairs"]), before["repairs"]
    with running(person):
        until(lambda: _lots(market) == ["2"], "what the leader closed is closed")
        market.trades(LEADER, "buy", symbol="EURUSD", lots="3")
        until(lambda: _lots(market) == ["2", "3"], "the next is copied")
        until(lambda: not _check(person)["repairs"], "nothing is left to repair")
    noted = person.types("audit", "notes", "--json").lines
    assert [line["what"] for line in noted].count("copy_rebuilt") == 2
    assert "rebuilt" in person.types("audit", "notes", "--last", "3").out
    said = person.types("audit", "copies", "--json")
    assert sorted(line["state"] for line in said.lines) == ["closed", "open", "open"]
    assert person.types("replay", "--verify").code == 0


def test_two_homes_on_the_same_accounts(tmp_path: Path, ready: ReadyInfo, capsys: pytest.CaptureFixture[str]) -> None:
    """The second finds the first before its first open, says so, and takes over when told to; each copies once."""
    old = _person(tmp_path / "old", ready, capsys)
    market = Market(ready, old.home)
    with running(old):
        market.trades(LEADER, "buy", symbol="EURUSD", lots="1")
        held = _number(market, LEADER)
        until(lambda: _lots(market) == ["1"], "the first copies")
        new = _person(tmp_path / "new", ready, capsys)
        assert {one["finding"] for one in _check(new)["findings"]} == {"foreign"}
        with running(new):
            market.trades(LEADER, "buy", symbol="EURUSD", lots="2")
            until(lambda: _lots(market) == ["1", "2"], "the first copies on")
            skipped = until(lambda: new.types("audit", "decisions", "--json").lines, "the second has decided")
            assert [line["reason"] for line in skipped] == ["other_copier"]
            status = json.loads(new.types("status", "--json").out)
            (alert,) = [one for one in status["alerts"] if one["kind"] == "findings"]
            assert "is a copy of the store" in alert["text"]
            assert "profile adopt" in alert["text"]
            (noted,) = [one for one in new.types("audit", "notes", "--json").lines if one["what"] == "findings_made"]
            assert [one["kind"] for one in noted["data"]["findings"]] == ["foreign"]
    with running(new):
        assert new.types("profile", "adopt", "main", "--yes").code == 0
        market.trades(LEADER, "close", ref=held)
        until(lambda: _lots(market) == ["2"], "what was adopted closes with its leader")
        market.trades(LEADER, "buy", symbol="EURUSD", lots="3")
        until(lambda: _lots(market) == ["2", "3"], "and what comes is copied")
    assert new.types("replay", "--verify").code == 0
