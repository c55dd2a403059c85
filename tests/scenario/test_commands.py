"""The commands around a running copier: start, a second start, status, pause, audit, replay, the end, and the demo."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cmam import office
from cmam.cli.demo.demo import tell
from cmam.cli.main import run
from cmam.config.home import Home
from cmam.credentials.oauth import OAuthClient
from cmam.sandbox.serving.options import ReadyInfo
from cmam.sandbox.serving.server import run_in_thread
from cmam.sandbox.trader import steps
from cmam.sandbox.trader.trader import Trader
from tests.scenario.guide import Person, child, options, ready_file
from tests.scenario.profile_home import running
from tests.waiting import PATIENCE_S, until


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadyInfo]:
    """A sandbox that fills at once."""
    with run_in_thread(options(tmp_path_factory.mktemp("sandbox"), fill_delay_ms="0")) as info:
        yield info


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory, ready: ReadyInfo) -> Path:
    """A home with a profile of two accounts of one broker, ready to start; each test gets a copy of it."""
    return _settled(tmp_path_factory.mktemp("settled"), ready)


def _settled(folder: Path, ready: ReadyInfo) -> Path:
    file = str(ready_file(ready, folder))
    one, two = (str(account.ctid) for account in ready.accounts[:2])
    way = ["--host", ready.host, "--port", str(ready.port), "--ca-file", str(ready.ca_file)]
    for words in (
        ["api", "configure", *way, "--oauth-url", ready.oauth_url, "--secret-file", file],
        ["account", "add", "--token-file", file],
        ["profile", "create", "main", "--master", one, "--slave", two, "--set", "volume.amount=0.5"],
    ):
        assert run(["--home", str(folder / "home"), *words]) == 0
    return folder / "home"


@pytest.fixture
def person(tmp_path: Path, capsys: pytest.CaptureFixture[str], settled: Path) -> Person:
    """Somebody with a profile, ready to start."""
    shutil.copytree(settled, tmp_path / "home")
    return Person(tmp_path / "home", capsys)


def test_a_trade_is_copied_and_can_be_read_in_every_way(person: Person, ready: ReadyInfo, tmp_path: Path) -> None:
    """Started, paused, resumed and ended by commands; the copy is in every list, explained, replayed and verified."""
    with running(person) as process:
        with Trader(ready.as_document(), ready.as_document()["accounts"][0]) as trader:
            steps.perform(
                trader, steps.Step(action="buy", ref="a", symbol="EURUSD", lots=steps.decimal("1", "lots")), refs := {}
            )
            until(lambda: _copies(person, "open"), "the copy is open")
            assert person.types("pause", "main").code == 0
            shown = person.types("status", "--json").lines[0]
            assert shown["running"] is True
            assert shown["profiles"][0]["state"] == "paused"
            assert isinstance(shown["views_behind"], int)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["at"])
            steps.perform(trader, steps.Step(action="close", ref="a"), refs)
            (copy,) = until(lambda: _copies(person, "closed"), "a paused profile still closes")
            steps.perform(trader, steps.Step(action="buy", symbol="EURUSD", lots=steps.decimal("1", "lots")), {})
            skip = until(lambda: _decisions(person, "skip"), "a paused profile opens nothing")[0]
        assert skip["reason"] == "paused"
        assert person.types("resume", "--all").code == 0
        second = child(person.home, "start", "--plain")
        _, err = second.communicate(timeout=PATIENCE_S)
        assert second.returncode == 4
        assert f"process {process.pid}" in err
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
        assert "Ended in order." in err
    assert copy["leader_volume"] == "100000.00"
    assert copy["volume"] == "50000.00"
    assert copy["leader_position"]
    assert copy["follower_position"]
    assert person.types("status", "--json").lines[0]["running"] is False
    _expect_told(person)
    assert person.types("replay", "--verify", "--json").lines[0]["identical"] is True
    assert person.types("audit", "verify", "--json").lines[0]["whole"] is True
    story = person.types("audit", "explain", str(copy["follower_position"]))
    assert story.code == 0
    assert "what would have let it through" not in story.out
    assert "request cm1." in story.out
    assert person.types("audit", "explain", "nothing-like-it").code == 1
    for verb in ("copies", "decisions", "orders", "accounts", "settings", "timings"):
        said = person.types("audit", verb)
        assert said.code == 0, said.err
        assert said.out
    assert person.types("audit", "copies", "--symbol", "GBPUSD", "--json").out == ""
    assert person.types("replay").code == 0
    assert person.types("replay", "--state").code == 0
    same = person.types("replay", "--what-if", "volume.amount=0.5", "--json").lines[0]
    assert (same["equal"], same["model"]["fills"]) == (True, 0)
    doubled = person.types("replay", "--what-if", "volume.amount=1", "--profile", "MAIN", "--json").lines[0]
    (other,) = [row for row in doubled["differences"] if row["what_if"]["verdict"] == "copy"]
    assert (other["recorded"]["volume"], other["what_if"]["volume"]) == ("50000.00", "100000.00")
    assert "100000" in person.types("replay", "--what-if", "volume.amount=1").out
    pack = tmp_path / "evidence.pack"
    assert person.types("audit", "export", str(pack)).code == 0
    assert person.types("audit", "verify", "--pack", str(pack)).code == 0
    table = tmp_path / "copies.csv"
    assert person.types("audit", "export", str(table)).code == 0
    assert table.read_text().splitlines()[0].startswith("copy_id,profile,leader,follower,")


def test_a_running_cmam_that_is_slow_to_answer_is_not_taken_for_none(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has taken is not done again beside it, and the tokens that it trades with are not spent."""
    ask, deaf = office.ask_running, {"status", "account.refresh"}
    with running(person):
        monkeypatch.setattr(office, "ask_running", lambda *it: None if it[1]["command"] in deaf else ask(*it))
        said = person.types("flatten", "main", "--yes")
        assert said.code == 0, said.err
        assert "1 follower is closing" in said.err
        said = person.types("account", "refresh")
        assert said.code == 4
        assert "It does not answer commands" in said.err
        monkeypatch.undo()


def test_two_that_refresh_at_once_do_not_spend_one_token_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is told who is at work, not that the consent has ended; nothing is lost, and it may ask again."""
    refresh, meanwhile = OAuthClient.refresh, list[subprocess.CompletedProcess[str]]()

    def with_another(*it: Any, **named: Any) -> Any:
        if not meanwhile:
            meanwhile.append(_ended(person, "account", "refresh"))
        return refresh(*it, **named)

    monkeypatch.setattr(OAuthClient, "refresh", with_another)
    with run_in_thread(options(tmp_path / "own")) as own:
        person = Person(_settled(tmp_path, own), capsys)
        said = person.types("account", "refresh")
        assert said.code == 0, said.err
        assert "New tokens for" in said.err
        assert meanwhile[0].returncode == 4, meanwhile[0].stderr
        assert "(cmam account refresh, since" in " ".join(meanwhile[0].stderr.split())
        assert _ended(person, "account", "refresh").returncode == 0


def _ended(person: Person, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own that must come to an end by itself."""
    process = child(person.home, *arguments)
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def _copies(person: Person, state: str) -> list[dict[str, Any]]:
    return [line for line in person.types("audit", "copies", "--json").lines if line["state"] == state]


def _decisions(person: Person, verdict: str) -> list[dict[str, Any]]:
    return [line for line in person.types("audit", "decisions", "--json").lines if line["verdict"] == verdict]


def test_flatten_closes_every_copy_and_latches(person: Person, ready: ReadyInfo, tmp_path: Path) -> None:
    """`flatten --wait` ends once nothing is left; nothing opens until `rearm`. The symbol table is a round trip."""
    with running(person), Trader(ready.as_document(), ready.as_document()["accounts"][0]) as trader:
        buy = steps.Step(action="buy", symbol="EURUSD", lots=steps.decimal("1", "lots"))
        before = len(_copies(person, "open"))
        steps.perform(trader, buy, {})
        until(lambda: len(_copies(person, "open")) == before + 1, "the copy is open")
        said = person.types("flatten", "main", "--yes", "--wait")
        assert said.code == 0, said.err
        assert "Nothing is left." in said.err
        assert not _copies(person, "open")
        skipped = len(_decisions(person, "skip"))
        steps.perform(trader, buy, {})
        until(lambda: len(_decisions(person, "skip")) > skipped, "a flattened link opens nothing")
        assert person.types("rearm", "main").code == 0
        steps.perform(trader, buy, {})
        until(lambda: _copies(person, "open"), "an armed link copies again")
        assert person.types("flatten", "--all", "--yes", "--wait").code == 0
        assert person.types("profile", "delete", "main", "--close", "--yes").code == 0
        pair = [str(account.ctid) for account in ready.accounts[:2]]
        said = person.types("profile", "create", "main", "--leader", pair[0], "--follower", pair[1])
        assert "is copied from now on" in said.err, "who reads of a next step believes that nothing is copied yet"
    table = tmp_path / "symbols.csv"
    assert person.types("profile", "symbols", "main", "sample", str(table)).code == 0
    assert "EURUSD,EURUSD," in table.read_text()
    assert person.types("profile", "symbols", "main", "load", str(table)).code == 0
    table.write_text("leader_symbol,copy_sl\nEURUSD,perhaps\nGBPUSD,never\n")
    said = person.types("profile", "symbols", "main", "load", str(table))
    assert said.code == 2
    assert "perhaps" in said.err
    assert "never" in said.err


def _expect_told(person: Person) -> None:
    """What `start` without a screen has said of the same trade: here all of it, from the first record on."""
    teller = child(person.home, "audit", "watch", "--from", "0", CMAM_ENDS_WITH_STDIN="1")
    out, err = teller.communicate(timeout=PATIENCE_S)
    assert (teller.returncode, err) == (0, "")
    said = [line.split(" ", 1)[1] for line in out.splitlines()]
    assert [line.split()[0] for line in said] == ["copied", "closed", "skipped"]
    assert " from Alpha Markets:9000001: buy 50000 EURUSD at " in said[0]
    assert said[1].endswith(", closed_by_leader")
    assert ": opened buy 100000 EURUSD, paused; cmam audit explain " in said[2]
    options = ("--account", "41000003", "--json")
    teller = child(person.home, "audit", "watch", "--from", "0", *options, CMAM_ENDS_WITH_STDIN="1")
    assert teller.communicate(timeout=PATIENCE_S) == ("", "")
    teller = child(
        person.home, "audit", "watch", "--from", "0", "--profile", "MAIN", "--json", CMAM_ENDS_WITH_STDIN="1"
    )
    out, _ = teller.communicate(timeout=PATIENCE_S)
    assert [json.loads(line)["what"] for line in out.splitlines()] == ["copied", "closed", "skipped"]


def test_a_start_that_fails_half_way_ends(person: Person, tmp_path: Path) -> None:
    """An authority that is gone, or a control socket that cannot be made: one sentence and an end, no process stays."""
    settings = person.home / "settings.toml"
    kept = settings.read_text()
    gone = tmp_path / "gone.pem"
    settings.write_text(re.sub(r"ca_file = .*", f'ca_file = "{gone}"', kept))
    said = _ended(person, "start", "--plain")
    assert (said.returncode, said.stderr.count("\n")) == (3, 1), said.stderr
    assert str(gone) in said.stderr
    settings.write_text(kept)
    socket = Home(person.home).control_socket
    (socket / "in the way").mkdir(parents=True)
    said = _ended(person, "start", "--plain")
    assert said.returncode == 1, said.stderr
    assert "cmam: " in said.stderr


def test_a_stored_pause_is_obeyed_at_the_next_start(person: Person) -> None:
    """Without a running system a pause is stored; the next start begins with it."""
    assert person.types("pause", "main").code == 0
    with running(person):
        assert person.types("status", "--json").lines[0]["profiles"][0]["state"] == "paused"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("start", "--profile", "nobody"), 2, "no profile 'nobody'"),
        (("profile", "create", "main", "--leader", "41000001", "--follower", "41000002"), 1, "is taken"),
        (("profile", "create", "x", "--leader", "41000001", "--follower", "41000001"), 1, "cannot follow itself"),
        (("profile", "create", "x", "--leader", "41000002", "--follower", "41000001"), 1, "loop"),
        (("profile", "create", "x", "--leader", "nobody", "--follower", "41000001"), 2, "no account 'nobody'"),
        (("profile", "create", "x", "--follower", "41000001"), 2, "--leader"),
        (("profile", "set", "main", "volume.amount=-1"), 2, "volume.amount"),
        (("profile", "set", "main", "volume.amuont=1"), 2, "volume.amount"),
        (("profile", "set", "main"), 2, "NAME=VALUE"),
        (("profile", "show", "nobody"), 2, "no profile 'nobody'"),
        (("pause",), 2, "--all"),
        (("pause", "main", "--all"), 2, "only one"),
        (("flatten",), 2, "say which"),
        (("flatten", "nobody"), 2, "no profile 'nobody'"),
        (("flatten", "main", "--wait"), 2, "Add --yes"),
        (("rearm",), 2, "say which"),
        (("audit", "copies", "--since", "yesterday-ish"), 2, "expected a time"),
        (("audit", "copies", "--account", "nobody"), 2, "no account 'nobody'"),
        (("audit", "verify", "--head", "x"), 2, "expected a head"),
        (("audit", "copies", "--reason", "closd_by_leader"), 2, "one such as closed_by_leader"),
        (("audit", "copies", "--state", "ajar"), 2, "found 'ajar'"),
        (("audit", "orders", "--state", "opened"), 2, "found 'opened'"),
        (("audit", "decisions", "--verdict", "maybe"), 2, "'skip'"),
        (("audit", "decisions", "--text", " "), 2, "at least one word"),
        (("audit", "decisions", "--last", "0"), 2, "--last"),
        (("audit", "totals", "--by", "moon"), 2, "'symbol'"),
        (("audit", "totals", "--by", "all", "--by", "day"), 2, "--by: expected all, or day; found both"),
        (("audit", "copies", "--since", "2026-01-02", "--until", "2026-01-01"), 2, "must be before --until"),
        (("audit", "notes", "--since", "2026-01-02", "--until", "2026-01-01"), 2, "must be before --until"),
        (("audit", "totals", "--since", "2026-01-02", "--until", "2026-01-01"), 2, "must be before --until"),
        (("audit", "settings", "--since", "2026-01-02", "--until", "2026-01-01"), 2, "must be before --until"),
        (("audit", "export", "x.csv", "--since", "2026-01-02", "--until", "2026-01-01"), 2, "must be before --until"),
        (("audit", "verify", "--digest", "00"), 2, "need --pack"),
        (("audit", "verify", "--signer", "x.pub"), 2, "needs --head FILE or"),
        (("audit", "verify", "--head", "1:" + "0" * 64, "--signer", "x.pub"), 2, "no signature"),
        (("audit", "verify", "--pack", "nothing.pack"), 1, "cannot be read"),
        (("audit", "head", "--sign", "key"), 2, "--sign needs FILE"),
        (("audit", "export", "copies.xlsx"), 2, ".csv"),
        (("audit", "export", "copies.csv", "--anonymous"), 2, ".pack"),
        (("audit", "export", "x.pack", "--sign", "nokey"), 1, "cannot be read"),
        (("restore", "nothing.db"), 1, "There is no backup"),
        (("replay", "--to", "/"), 1, "found the folder"),
        (("replay", "--verify", "--state"), 2, "say only one"),
        (("replay", "--verify", "--from", "7"), 2, "--from is only"),
        (("replay", "--from", "noon"), 2, "expected a position of the log, or a time such as"),
        (("replay", "--from", "99999999"), 2, "where the log ends, found 99999999. A moment is written as"),
        (("replay", "--from", "20260131", "--json"), 2, "where the log ends, found 20260131. A moment is written as"),
        (("replay", "--from", "9", "--until", "8"), 2, "--from must be before --until; 9 is after 8."),
        (("replay", "--from", "2026-01-02", "--until", "2026-01-01"), 2, "2026-01-02 is after 2026-01-01."),
        (("replay", "--from", "3", "--until", "2001-01-01"), 2, "position 3 (20"),
        (("replay", "--from", "2101-01-01", "--until", "3"), 2, "2101-01-01 is after position 3 (20"),
        (("replay", "--state", "--until", "0"), 2, "a position from 1 to "),
        (("replay", "--speed", "nan"), 2, "nan is no finite number"),
        (("replay", "--profile", "main"), 2, "--what-if"),
        (("replay", "--what-if", "volume.amount"), 2, "SETTING=VALUE"),
        (("replay", "--what-if", "nothing.toml"), 2, "cannot be read"),
        (("replay", "--what-if", "side=up"), 2, "found 'up'"),
        (("replay", "--what-if", "side=buy", "--profile", "nobody"), 2, "no profile nobody"),
        (("account", "tag", "41000001"), 2, "--add"),
        (("account", "add", "--code", "x", "--token-file", "tokens.json"), 2, "not both"),
        (("nothing",), 2, "No such command"),
        (("status", "--nothing"), 2, "No such option"),
    ],
)
def test_what_cannot_be_done_is_a_sentence_and_a_code(
    person: Person, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    """Each mistake ends with its exit code and names what was expected and found, without a traceback."""
    said = person.types(*arguments)
    assert said.code == code
    assert sentence in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_replay_of_a_span_without_records_says_where_the_log_begins_and_ends(person: Person) -> None:
    """Who has read everything may ask for what came since; a moment after the last record is no mistake either."""
    first, *_, last = person.types("replay", "--json").lines
    extent = f"begins at position 1, {first['at']}, and ends at position {last['position']}, {last['at']}."
    for span in (("--from", str(last["position"] + 1)), ("--from", "2101-01-01"), ("--until", "2001-01-01")):
        said = person.types("replay", *span, "--json")
        assert (said.code, said.out) == (0, "")
        assert extent in said.err
    assert person.types("replay", "--from", str(last["position"]), "--json").lines == [last]


@pytest.mark.parametrize("what", ["--state", "--verify", "--to"])
def test_a_replay_until_behind_the_last_record_takes_all_there_are(person: Person, tmp_path: Path, what: str) -> None:
    """However far behind: what the log has up to there is what it has."""
    place = (str(tmp_path / "views.db"),) if what == "--to" else ()
    for end in ("99999999", "9" * 30):
        assert person.types("replay", what, *place, "--until", end, "--json").code == 0


def test_a_broken_or_missing_store_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A home without a store, and one whose log is something else, are told apart."""
    person = Person(tmp_path / "home", capsys)
    assert person.types("audit", "copies").code == 1
    assert person.types("status", "--json").lines[0]["running"] is False
    assert person.types("start").code == 1
    (person.home).mkdir(exist_ok=True, mode=0o700)
    (person.home / "events.db").write_bytes(b"this is no database" * 100)
    said = person.types("audit", "copies")
    assert said.code == 1
    assert "events.db" in said.err
    assert "should not have" not in said.err


def test_options_stand_before_or_after_the_command(person: Person, capsys: pytest.CaptureFixture[str]) -> None:
    """--home and --json mean the same wherever they stand; -h answers everywhere."""
    before = person.types("--json", "profile", "list").out
    capsys.readouterr()
    assert run(["profile", "list", "--json", "--home", str(person.home)]) == 0
    assert capsys.readouterr().out == before
    assert json.loads(before)["profile"] == "main"
    for words in ([], ["profile"], ["profile", "create"], ["audit", "copies"], ["sandbox", "trade"]):
        assert run([*words, "-h"]) == 0
        assert "Usage: cmam" in capsys.readouterr().out


def test_the_demo_copies_skips_and_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`cmam demo` ends with 0, copies on two brokers, names what it skipped, and leaves no process behind.

    A what-if of its log with the settings that were changes nothing; with others it says what.
    """
    process = child(tmp_path, "demo", "--pace", "0.15", "--json")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert summary["replay"] == "identical"
    assert summary["chains"] == "whole"
    assert summary["copied"] == summary["closed"] >= 4
    assert summary["busiest_second"] <= 50
    assert summary["rate_refusals"] == 0
    assert summary["skips"]
    assert not (tmp_path / "demo" / "sandbox").exists()
    assert office.ask_running(Home(tmp_path).demo, {"command": "status"}) is None
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
    person = Person(tmp_path / "demo", capsys)
    same = person.types("replay", "--what-if", str(_exported(person, tmp_path)), "--json").lines[0]
    assert (same["equal"], same["differences"], same["model"]["fills"]) == (True, [], 0)
    assert not person.types("replay", "--what-if", "side=sell", "--json").lines[0]["equal"]
    _its_words_hold(person, summary, capsys)


def _its_words_hold(person: Person, summary: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """The same summary for people names the accounts, and each command that it says to look with runs."""
    names = {copy["follower"]: f"name of {copy['follower']}" for copy in summary["copies"]}
    tell(Home(person.home), names, summary)
    out = capsys.readouterr().out
    assert all(name in out for name in names.values())
    looks = [line.partition(f"--home {person.home} ")[2] for line in out.partition("Look closer:")[2].splitlines()]
    looks = [look for look in looks if look]
    assert len(looks) == 3
    for look in looks:
        assert person.types(*look.split()).code == 0


def _exported(person: Person, folder: Path) -> Path:
    """The profiles of a home as a file."""
    path = folder / "profiles.toml"
    path.write_text(person.types("profile", "export").out, encoding="utf-8")
    return path


def test_a_demo_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    """Broker and copier hold on to nobody: when the demo is killed they end too, sockets and ready file with them."""
    home = Home(tmp_path).demo
    process = child(tmp_path, "demo", "--json")
    try:
        until(lambda: office.ask_running(home, {"command": "status"}), "the demo's copier runs")
    finally:
        process.kill()
        process.communicate()
    until(
        lambda: not subprocess.run(["pgrep", "-f", str(home.root)], capture_output=True, check=False).stdout,
        "broker, copier and projector are gone",
    )
    assert not home.control_socket.exists()
    assert not (home.root / "sandbox" / "ready.json").exists()


def test_the_demo_does_not_empty_what_is_not_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder called demo with somebody's files in it is refused, not emptied."""
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.txt").write_text("years of work")
    said = Person(tmp_path, capsys).types("demo")
    assert said.code == 1
    assert "Name another --home" in said.err
    assert (tmp_path / "demo" / "thesis.txt").exists()
