"""`profile check` and the sample table at brokers that differ: what would be copied, told before anything moves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cmam import office
from cmam.config.home import Home
from cmam.sandbox.serving.options import ReadyInfo
from cmam.sandbox.serving.server import run_in_thread
from tests.scenario.guide import Person, options
from tests.scenario.profile_home import LEADER, OTHER_BROKER, SAME_BROKER, Market, running, settle
from tests.waiting import until


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[ReadyInfo]:
    """A sandbox that fills at once and has no past."""
    with run_in_thread(options(tmp_path / "sandbox", fill_delay_ms="0", history_days="0")) as info:
        yield info


@pytest.fixture
def person(tmp_path: Path, ready: ReadyInfo, capsys: pytest.CaptureFixture[str]) -> Person:
    """Somebody with a profile of two followers at two brokers."""
    person = Person(settle(ready, tmp_path), capsys)
    followers = ["--follower", str(SAME_BROKER), "--follower", str(OTHER_BROKER)]
    made = person.types("profile", "create", "main", "--leader", str(LEADER), *followers, "--set", "volume.amount=0.5")
    assert made.code == 0, made.err
    return person


def _check(person: Person, *more: str) -> dict[int, dict[str, Any]]:
    said = person.types("profile", "check", "main", "--json", *more)
    assert said.code == 0, said.err
    return {link["follower"]: link for link in json.loads(said.out)["links"]}


def test_check_tells_mapping_trades_and_repairs_before_anything_moves(person: Person, ready: ReadyInfo) -> None:
    """Symbols stand side by side with their worth, trades are judged with reasons, and nothing is sent or recorded."""
    market = Market(ready, person.home)
    market.trades(LEADER, "buy", symbol="EURUSD", lots="1")
    market.trades(LEADER, "sell", symbol="EURUSD", lots="0.01")
    before = person.types("audit", "verify", "--json").out
    links = _check(person)
    same, other = links[SAME_BROKER], links[OTHER_BROKER]
    (eurusd,) = same["symbols"]
    assert (eurusd["follower_symbol"], eurusd["how"]) == ("EURUSD", "exact")
    assert eurusd["leader"]["lot_size"] == eurusd["follower"]["lot_size"] == "100000.00"
    assert float(eurusd["follower"]["lot_worth"]) == pytest.approx(100_000, rel=0.01)  # euros, as the follower's money
    assert float(eurusd["follower"]["pip_worth"]) == pytest.approx(10 / 1.085, rel=0.05)
    assert [(t["verdict"], t["reason"], t["volume"]) for t in same["trades"]] == [
        ("copy", None, "50000.00"),
        ("skip", "below_minimum", None),
    ]
    assert same["trades"][1]["cure"]
    assert "EURUSD" in other["unmapped"]
    assert "its lot is 10000.00" in other["symbols"][0]["remarks"][0]
    assert {trade["reason"] for trade in other["trades"]} == {"unmapped_symbol"}
    assert person.types("audit", "verify", "--json").out == before
    assert market.holds(SAME_BROKER) == ((), ())
    shown = person.types("profile", "check", "main", "--follower", str(OTHER_BROKER))
    assert "Not copied for want of a symbol: EURUSD" in shown.err
    assert " 100000 " in shown.out
    assert person.types("profile", "set", "main", "--set", "symbols.exclude=XAUUSDD").code == 0
    shown = person.types("profile", "check", "main", "--follower", str(OTHER_BROKER))
    assert "no symbol of the leader's: XAUUSDD (symbols.exclude)" in shown.err


def test_a_sample_loads_back_and_maps_what_it_names(person: Person, ready: ReadyInfo, tmp_path: Path) -> None:
    """The sample is asked of the brokers where nothing ran yet; loaded unchanged it is the table, and rows then map."""
    of = ("--follower", str(OTHER_BROKER))
    table = tmp_path / "symbols.csv"
    assert person.types("profile", "symbols", "main", "sample", str(table), *of).code == 0
    text = table.read_text()
    assert "\nEURUSD,EURUSD.b," in text
    assert person.types("profile", "symbols", "main", "sample", str(table), *of).code == 2  # never overwritten unasked
    assert person.types("profile", "symbols", "main", "load", str(table), *of).code == 0
    assert person.types("profile", "symbols", "main", "sample", "-", *of).out == text
    assert "nothing is different" in person.types("profile", "symbols", "main", "load", str(table), *of).err
    Market(ready, person.home).trades(LEADER, "buy", symbol="EURUSD", lots="1")
    (row,) = [one for one in _check(person, *of)[OTHER_BROKER]["symbols"] if one["symbol"] == "EURUSD"]
    assert (row["follower_symbol"], row["how"]) == ("EURUSD.b", "row")
    assert any("lot sizes differ" in remark for remark in row["remarks"])


def test_symbols_of_a_table_fit_in_upper_and_lower_case(person: Person, tmp_path: Path) -> None:
    """A table whose symbols are typed in another case is loaded, and kept as the brokers write them: `symbols.include`
    takes them in any case, too. What fits in no case is still a fault."""
    path = tmp_path / "table.csv"
    path.write_text("leader_symbol,follower_symbol,volume_amount\neurusd,EURUSD.B,2\nGBPUSD,,\n")
    of = ("--follower", str(OTHER_BROKER))
    assert person.types("profile", "symbols", "main", "load", str(path), *of).code == 0
    said = person.types("profile", "symbols", "main", "sample", "-", *of)
    assert "\nEURUSD,EURUSD.b,,,,2,,,\nGBPUSD,," in said.out
    path.write_text("leader_symbol,follower_symbol\neurus,EURUSD.b\n")
    assert "a symbol of the leader" in person.types("profile", "symbols", "main", "load", str(path), *of).err


@pytest.mark.parametrize("has_run", [False, True])
def test_unknown_symbols_are_named_with_their_line(person: Person, tmp_path: Path, has_run: bool) -> None:
    """A typing error in a symbol is found as the table is loaded, beside every other fault; brokers are asked."""
    if has_run:
        with running(person):
            pass
    path = tmp_path / "symbols.csv"
    path.write_text("leader_symbol,follower_symbol,copy_sl\nEURUSDD,EURUSD.b,on\nGBPUSD,GBPUSD.q,perhaps\n")
    said = person.types("profile", "symbols", "main", "load", str(path), "--follower", str(OTHER_BROKER))
    assert said.code == 2
    for part in ("line 2, leader_symbol", "such as EURUSD", "line 3, follower_symbol", "GBPUSD.b", "line 3, copy_sl"):
        assert part in said.err


def test_check_plans_the_repairs_of_a_gap(person: Person, ready: ReadyInfo) -> None:
    """What happened while nothing ran is told as the next start would treat it: the leader's close is followed."""
    market = Market(ready, person.home)
    with running(person):
        market.trades(LEADER, "buy", symbol="EURUSD", lots="1")
        until(lambda: market.holds(SAME_BROKER)[0], "the copy is held")
        until(lambda: office.read_fold(Home(person.home)).accounts[_id(SAME_BROKER)].by_position, "it is on record")
    ((position,), _) = market.holds(LEADER)
    market.trades(LEADER, "close", ref=str(position.position))
    found = _check(person)[SAME_BROKER]["repairs"]
    assert any(one["repair"].startswith("close 50000.00 units") for one in found), found
    assert len(market.holds(SAME_BROKER)[0]) == 1


def _id(account: int) -> Any:
    from cmam.domain.values.ids import AccountId

    return AccountId(account)


def test_check_without_a_broker_rests_on_the_log(person: Person) -> None:
    """Offline, a profile that never ran ends with 3 and says why; one that ran is shown as the log knows it."""
    said = person.types("profile", "check", "main", "--offline")
    assert said.code == 3
    assert "Nothing is known" in said.err
    with running(person):
        pass
    link = _check(person, "--offline", "--all")[SAME_BROKER]
    assert {one["how"] for one in link["symbols"]} == {"exact"}
    assert link["unmapped"] == []
    said = person.types("profile", "check", "main", "--offline")
    assert said.code == 0
    assert "What has to be repaired is not known: not all brokers could be asked." in said.err
    assert "history could not be read" in said.err
    assert "agree" not in said.err
