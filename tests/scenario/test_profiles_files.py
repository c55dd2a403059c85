"""Profiles from files, at a terminal that is none: apply and export, tables of symbols, settings set and unset."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmam import office
from cmam.cli.main import run
from cmam.config.home import Home
from cmam.domain.values.ids import AccountId
from tests.scenario.guide import Person

ACCOUNTS = [
    {"account": 11, "login": 1, "broker": "alpha", "currency": "USD", "grant": "g"},
    {"account": 22, "login": 2, "broker": "beta", "currency": "EUR", "grant": "g"},
    {"account": 33, "login": 3, "broker": "gamma", "currency": "EUR", "grant": "g"},
    {"account": 44, "login": 4, "broker": "delta", "currency": "EUR", "grant": "g", "can_trade": False},
]

FILE = """
[[profile]]
name = "main"
leader = 11
[profile.settings]
volume.amount = 0.5
[[profile.follower]]
account = 22
[[profile.follower]]
account = "gamma:3"
[profile.follower.settings]
volume.amount = 2
reverse = true

[[profile]]
name = "second"
leader = 22
state = "paused"
[[profile.follower]]
account = 33
"""


@pytest.fixture
def person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Person:
    """Somebody with accounts and no profile."""
    home = Home(tmp_path / "home")
    office.carry_out(home, {"command": "account.add", "accounts": ACCOUNTS}, command="test")
    return Person(home.root, capsys)


def _file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "profiles.toml"
    path.write_text(text)
    return str(path)


def test_apply_shows_the_difference_and_changes_nothing_unasked(person: Person, tmp_path: Path) -> None:
    """Without a terminal and without --yes the difference is printed, the exit code is 1, and nothing is stored."""
    said = person.types("profile", "apply", _file(tmp_path, FILE))
    assert said.code == 1
    assert "+ create main" in said.out
    assert "+ volume.amount of gamma:3 = 2" in said.out
    assert office.read_registry(Home(person.home)).live_profiles() == ()


def test_apply_creates_changes_and_keeps(person: Person, tmp_path: Path) -> None:
    """Applied once it is so, applied twice nothing is different, and a change touches only what it names."""
    file = _file(tmp_path, FILE)
    assert person.types("profile", "apply", file, "--yes").code == 0
    again = person.types("profile", "apply", file)
    assert (again.code, again.out.split()) == (0, ["=", "keep", "main", "=", "keep", "second"])
    before = office.read_registry(Home(person.home))
    _file(tmp_path, FILE.replace("volume.amount = 2", "volume.amount = 3").replace("= 0.5", "= 0.50"))
    changed = person.types("profile", "apply", file, "--yes", "--json")
    assert [(line["profile"], line["action"]) for line in changed.lines] == [("main", "change"), ("second", "keep")]
    assert changed.lines[0]["changes"] == [
        {"field": "volume.amount", "follower": "gamma:3", "before": "2", "after": "3"}
    ]
    after = office.read_registry(Home(person.home))
    versions = [[profile.version for profile in found.live_profiles()] for found in (before, after)]
    assert versions[1] == [versions[0][0] + 1, versions[0][1]]
    _file(tmp_path, FILE.replace("[[profile.follower]]\naccount = 22\n", "", 1).replace('"paused"', '"running"'))
    assert person.types("profile", "apply", file, "--yes").code == 0
    main, second = office.read_registry(Home(person.home)).live_profiles()
    assert [link.follower for link in main.links.values()] == [33]
    assert second.state.value == "running"


def test_what_is_exported_is_kept_when_applied(person: Person, tmp_path: Path) -> None:
    """`export` gives the profiles that are named, or all, so that `apply` finds nothing different."""
    assert person.types("profile", "apply", _file(tmp_path, FILE), "--yes").code == 0
    everything = person.types("profile", "export").out
    assert person.types("profile", "export", "second").out in everything
    kept = person.types("profile", "apply", _file(tmp_path, everything))
    assert (kept.code, kept.out) == (0, "= keep main\n= keep second\n")


def test_every_fault_of_a_file_is_told_and_nothing_is_taken(person: Person, tmp_path: Path) -> None:
    """Unknown accounts, bad values, loops and a follower that may not trade: all named at once where they can be."""
    text = """
    [[profile]]
    name = "good"
    leader = 11
    [[profile.follower]]
    account = 22
    [[profile]]
    name = "bad"
    leader = "nobody"
    [profile.settings]
    volume.amount = -1
    max_agee = "3s"
    [[profile.follower]]
    account = 99
    [profile.follower.settings]
    side = "up"
    """
    said = person.types("profile", "apply", _file(tmp_path, text), "--yes")
    assert said.code == 2
    for part in (
        "no account 'nobody'",
        "volume.amount: expected",
        "such as max_age",
        "no account '99'",
        "side: expected",
    ):
        assert part in said.err
    loop = FILE + '\n[[profile]]\nname = "third"\nleader = 33\n[[profile.follower]]\naccount = 11\n'
    said = person.types("profile", "apply", _file(tmp_path, loop), "--yes")
    assert said.code == 2
    assert "loop" in said.err
    reader = FILE.replace("account = 22", "account = 44", 1)
    said = person.types("profile", "apply", _file(tmp_path, reader), "--yes")
    assert said.code == 2
    assert "covered reading only" in said.err
    assert office.read_registry(Home(person.home)).live_profiles() == ()


def test_settings_are_set_and_unset_whole_or_not_at_all(person: Person, tmp_path: Path) -> None:
    """Several --set and --unset are one change; with one fault among them nothing is changed, and all are named."""
    assert person.types("profile", "apply", _file(tmp_path, FILE), "--yes").code == 0
    said = person.types("profile", "set", "main", "--set", "max_age=20s", "--set", "max_spread=3", "--unset", "reverse")
    assert said.code == 0, said.err
    links = office.read_registry(Home(person.home)).live_profiles()[0].links.values()
    assert {link.follower: dict(link.settings) for link in links} == {
        22: {"max_age": "20s", "max_spread": "3"},
        33: {"max_age": "20s", "max_spread": "3", "volume.amount": "2"},
    }
    refused = person.types("profile", "set", "main", "max_age=soon", "--set", "side=up", "--unset", "nothing")
    assert refused.code == 2
    for part in ("max_age: expected", "side: expected", "nothing: expected a setting"):
        assert part in refused.err
    one = person.types("profile", "set", "main", "--unset", "volume.amount", "--follower", "33")
    assert one.code == 0
    (_, second) = office.read_registry(Home(person.home)).live_profiles()[0].links.values()
    assert second.follower == AccountId(33)
    assert "volume.amount" not in second.settings  # what the profile says for all holds again


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("leader_symbol,bogus\nEURUSD,1\n", ("line 1, header", "bogus")),
        ("", ("line 1, header",)),
        ("leader_symbol,copy_sl\nEURUSD,maybe\nEURUSD,on\nGBPUSD\n", ("line 2, copy_sl", "line 3, leader", "line 4")),
        ("leader_symbol;min_volume;max_volume\nEURUSD;2;1\n", ("line 2, max_volume",)),
        ("leader_symbol,max_slippage\nEURUSD,1.5\n", ("line 2, max_slippage", "whole points")),
        ("leader_symbol,volume_mode\nEURUSD,guess\n", ("line 2, volume_mode", "multiplier")),
    ],
)
def test_a_table_with_a_fault_is_not_taken(person: Person, tmp_path: Path, table: str, parts: tuple[str, ...]) -> None:
    """Each fault is named with its line and what is allowed; the table that was loaded before stays."""
    assert person.types("profile", "create", "main", "--leader", "11", "--follower", "22").code == 0
    path = tmp_path / "symbols.csv"
    path.write_text("leader_symbol,volume_amount\nEURUSD,0.5\n")
    assert person.types("profile", "symbols", "main", "load", str(path)).code == 0
    before = office.read_registry(Home(person.home)).live_profiles()
    path.write_text(table)
    said = person.types("profile", "symbols", "main", "load", str(path))
    assert said.code == 2
    for part in parts:
        assert part in said.err
    assert office.read_registry(Home(person.home)).live_profiles() == before


def test_a_table_from_a_spreadsheet_is_one_row_a_symbol(person: Person, tmp_path: Path) -> None:
    """Semicolons, decimal commas, a byte order mark and CRLF load as what they mean, and are exported so."""
    assert person.types("profile", "create", "main", "--leader", "11", "--follower", "22").code == 0
    path = tmp_path / "symbols.csv"
    path.write_bytes("\ufeffleader_symbol;follower_symbol;volume_amount\r\nEURUSD;EURUSD.x;0,25\r\n".encode())
    said = person.types("profile", "symbols", "main", "load", str(path), "--json")
    assert said.lines == [{"profile": "main", "rows": 1, "links": 1}]
    assert "names were not all checked" in said.err  # there is no broker to ask here
    assert "EURUSD,EURUSD.x,,,,0.25,,," in person.types("profile", "export").out


def test_one_follower_is_added_and_taken_out(person: Person, tmp_path: Path) -> None:
    """The difference is shown, `--dry-run` does no more than that, and what others have alike is where it begins."""
    made = ("profile", "create", "main", "--leader", "11", "--follower", "22", "--set", "volume.amount=0.1")
    assert person.types(*made).code == 0
    shown = person.types("profile", "follower", "add", "main", "gamma:3", "--dry-run")
    assert (shown.code, shown.out) == (
        0,
        "~ change main\n    + follower gamma:3\n    + volume.amount of gamma:3 = 0.1\n",
    )
    assert len(office.read_registry(Home(person.home)).live_profiles()[0].links) == 1
    added = person.types("profile", "follower", "add", "main", "33", "--set", "reverse=on", "--json")
    assert added.code == 0, added.err
    (line,) = added.lines
    assert (line["profile"], line["follower"], line["follower_name"]) == ("main", 33, "gamma:3")
    assert "gamma:3 follows in main; `cmam profile check main --follower gamma:3`" in added.err
    links = office.read_registry(Home(person.home)).live_profiles()[0].links.values()
    assert {link.follower: dict(link.settings) for link in links} == {
        22: {"volume.amount": "0.1"},
        33: {"reverse": "on", "volume.amount": "0.1"},
    }
    out = person.types("profile", "follower", "remove", "main", "22", "--close", "--json")
    assert out.err == "beta:2 is taken out of main; its history stays.\n"
    assert (out.code, [(line["follower"], line["copies"], line["live"]) for line in out.lines]) == (
        0,
        [(22, "close", [])],
    )
    refused = person.types("profile", "follower", "remove", "main", "33", "--close")
    assert (refused.code, refused.out) == (1, "")


def test_an_end_without_copies_speaks_of_none(person: Person) -> None:
    """`--close` where nothing is open does not say that copies are closing."""
    assert person.types("profile", "create", "main", "--leader", "11", "--follower", "22").code == 0
    said = person.types("profile", "disable", "main", "--close", "--yes")
    assert (said.code, said.err) == (0, "main is disabled.\n")
    said = person.types("profile", "delete", "main", "--close", "--yes")
    assert (said.code, said.err) == (0, "main is deleted; its history stays.\n")


@pytest.mark.parametrize(
    "verb", ["apply", "export", "check", "adopt", "rearm", "disable", "delete", "follower", "symbols", "set"]
)
def test_help_is_everywhere(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    """Each verb says what it does."""
    assert run(["profile", verb, "-h"]) == 0
    assert f"Usage: cmam profile {verb}" in capsys.readouterr().out
