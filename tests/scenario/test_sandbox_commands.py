"""The commands of `cmam sandbox`: the server as a process, and a second terminal that trades, breaks and counts."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from cmam.cli.sandbox.sandbox import CONNECTIONS_MAX, sandbox
from cmam.sandbox.serving.options import ReadyInfo, SandboxOptions
from cmam.sandbox.serving.server import run_in_thread
from cmam.sandbox.trader import player
from tests.waiting import PATIENCE_S

STOP_S_MAX = PATIENCE_S
RUN = "from cmam.cli.sandbox.sandbox import sandbox; sandbox(prog_name='cmam sandbox')"
FREE_PORTS = ("--port", "0", "--json-port", "0", "--oauth-port", "0")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of the running sandbox."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def ready(home: Path) -> Iterator[ReadyInfo]:
    """A running sandbox that fills at once."""
    with run_in_thread(
        SandboxOptions(home=home, port=0, json_port=0, oauth_port=0, switches=(("fill_delay_ms", "0"),))
    ) as info:
        yield info


@pytest.fixture
def cmam(ready: ReadyInfo, home: Path) -> Any:
    """Run a command of `cmam sandbox` against the running one; gives its result."""

    def run(*arguments: str, expected: int = 0) -> Result:
        result = CliRunner().invoke(sandbox, [*arguments, "--home", str(home)], prog_name="cmam sandbox")
        assert result.exit_code == expected, f"{arguments}: {result.output}\n{result.exception!r}"
        return result

    return run


def _as_from_a_poor_shell() -> None:
    """Undo what `nohup` did to us: it would have the server outlive its terminal. And have a poor shell's limits."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the server as a process."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN, "--home", str(home), *FREE_PORTS, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=_as_from_a_poor_shell,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_server_runs_until_a_signal_and_ends_with_0(tmp_path: Path, number: signal.Signals) -> None:
    """It prints the ready document once everything listens, ends with 0, and takes its files back."""
    ready_file = tmp_path / "ready.json"
    process = start(tmp_path / "home", "--ready-file", str(ready_file), "--json")
    assert process.stdout is not None
    document = json.loads(process.stdout.readline())
    assert document == json.loads(ready_file.read_text())
    process.send_signal(number)
    _, errors = process.communicate(timeout=STOP_S_MAX)
    assert process.returncode == 0, errors
    assert errors == ""
    assert not ready_file.exists()
    assert not (tmp_path / "home" / "sandbox" / "ready.json").exists()


def test_the_screen_names_what_a_client_needs_and_no_secret(tmp_path: Path) -> None:
    """Ports, certificate and client id are shown; the secret and the tokens are where only their owner reads."""
    process = start(tmp_path)
    assert process.stderr is not None
    assert "Ctrl-C" in process.stderr.readline()
    document = json.loads((tmp_path / "sandbox" / "ready.json").read_text())
    process.terminate()
    shown, _ = process.communicate(timeout=STOP_S_MAX)
    for needed in (str(document["port"]), str(document["json_port"]), document["client_id"], document["oauth_url"]):
        assert needed in shown
    assert str(document["accounts"][0]["ctid"]) in shown
    assert document["client_secret"] not in shown
    assert document["accounts"][0]["access_token"] not in shown


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--port", "70000"), "70000"),
        (("--port", "x"), "x"),
        (("--bind", "elsewhere.example"), "expected an IP address"),
        (("--speed", "0"), "speed"),
        (("--speed", "nan"), "not in the range"),
        (("--speed", "1e-300"), "not in the range"),
        (("trade", "play", "setup.cfg", "--speed", "nan"), "not in the range"),
        (("--seed", "-1"), "seed"),
        (("--world", "/nowhere.toml"), "/nowhere.toml"),
        (("--ticks", "/nowhere.csv"), "/nowhere.csv"),
        (("--set", "fill_delay_ms"), "NAME=VALUE"),
        (("--set", "nope=1"), "expected a switch"),
        (("--port", "5999", "--json-port", "5999"), "different ports"),
        (("--faults", "/nowhere"), "/nowhere"),
        (("trade", "buy", "EURUSD"), "LOTS"),
        (("trade", "buy", "EURUSD", "many"), "expected a number for LOTS"),
        (("trade", "buy", "EURUSD", "-1"), "such option"),
        (("trade", "limit", "buy", "EURUSD", "0.1", "0"), "more than 0"),
        (("trade", "stop-limit", "buy", "EURUSD", "0.1", "2"), "slippage"),
        (("trade", "buy", "EURUSD", "0.1", "--trailing"), "stop loss"),
        (("fault", "reject", "code"), "NAME=VALUE"),
        (("nope",), "nope"),
    ],
)
def test_bad_values_are_named_and_end_with_2(cmam: Any, arguments: tuple[str, ...], expected: str) -> None:
    """Usage errors say which value is meant and what is expected."""
    result = (
        cmam(*arguments, expected=2) if arguments[0] in ("trade", "fault") else CliRunner().invoke(sandbox, arguments)
    )
    assert result.exit_code == 2
    assert expected in result.output
    assert "Traceback" not in result.output


def test_a_shells_limit_of_open_files_is_none_of_the_servers(tmp_path: Path) -> None:
    """Some systems begin a process with 256, which a few hundred clients would use up; it takes what it may have."""
    process = start(tmp_path, "--json")
    assert process.stdout is not None
    try:
        process.stdout.readline()
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        assert soft >= min(hard, CONNECTIONS_MAX)
    finally:
        process.terminate()
        process.communicate(timeout=STOP_S_MAX)


def test_that_ticks_are_being_read_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Millions of rows take their time, and a program that says nothing for a minute looks as if it hung."""
    monkeypatch.setattr("cmam.cli.sandbox.sandbox.TICKS_UNSAID_BYTES", 0)
    file = tmp_path / "ticks.csv"
    file.write_text("time,symbol,bid\n" * 2**16)
    result = CliRunner().invoke(sandbox, ["--home", str(tmp_path), "--ticks", str(file)], prog_name="cmam sandbox")
    assert result.exit_code == 2
    assert result.output.startswith("Reading 1 MiB of ticks …\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("trade",),
        ("fault",),
        ("stats",),
        *(
            ("trade", name)
            for name in ("buy", "sell", "limit", "stop", "stop-limit", "close", "amend", "cancel", "list", "play")
        ),
    ],
)
def test_every_command_explains_itself(arguments: tuple[str, ...]) -> None:
    """`-h` works everywhere and needs no running sandbox."""
    result = CliRunner().invoke(sandbox, [*arguments, "-h"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_without_a_running_sandbox_the_commands_say_so(tmp_path: Path) -> None:
    """One sentence with what to do, and the exit code of an API that cannot be reached; a file that is no ready file
    was named wrong."""
    for arguments in (("stats",), ("fault", "list"), ("trade", "list"), ("trade", "buy", "EURUSD", "1")):
        result = CliRunner().invoke(sandbox, [*arguments, "--home", str(tmp_path)])
        assert result.exit_code == 3
        assert "no sandbox runs" in result.output
        assert "cmam sandbox" in result.output
        result = CliRunner().invoke(sandbox, [*arguments, "--ready-file", __file__])
        assert result.exit_code == 2
        assert "expected the ready file of a sandbox" in result.output


def test_a_person_trades_from_the_second_terminal(cmam: Any) -> None:
    """Buy with a stop, see it, amend it, close a part, close the rest; the outcomes are lines that name ids."""
    bought = cmam("trade", "buy", "EURUSD", "0.50", "--sl", "0.5", "--label", "by hand").output
    position = bought.strip().split("position ")[1].split(",")[0]
    listed = cmam("trade", "list").output
    assert position in listed
    assert "by hand" in listed
    assert "0.50000" in listed
    cmam("trade", "amend", position, "--tp", "9")
    state = json.loads(cmam("trade", "list", "--json").stdout)
    (shown,) = [one for one in state["position"] if str(one["positionId"]) == position]
    assert shown["takeProfit"] == 9.0
    assert "stopLoss" not in shown
    assert "closed 0.2 EURUSD" in cmam("trade", "close", position, "0.20").output
    assert "closed 0.3 EURUSD" in cmam("trade", "close", position).output
    assert "expected the id of an open position" in cmam("trade", "close", position, expected=1).output
    assert position not in cmam("trade", "list").output


def test_pending_orders_are_placed_amended_and_cancelled(cmam: Any, ready: ReadyInfo) -> None:
    """All three kinds, on another account by its login, without losing what an amend does not name of the prices."""
    login = str(ready.accounts[2].login)
    for arguments in (
        ("limit", "buy", "EURUSD.b", "0.1", "0.5"),
        ("stop", "sell", "EURUSD.b", "0.1", "0.5"),
        ("stop-limit", "buy", "EURUSD.b", "0.1", "5", "--slippage", "10"),
    ):
        placed = json.loads(cmam("trade", *arguments, "--account", login, "--json").output)
        order = str(placed["events"][-1]["order"]["orderId"])
        cmam("trade", "amend", order, "--lots", "0.2", "--account", login)
        state = json.loads(cmam("trade", "list", "--account", login, "--json").stdout)
        (shown,) = [one for one in state["order"] if str(one["orderId"]) == order]
        assert shown["tradeData"]["volume"] == placed["events"][-1]["order"]["tradeData"]["volume"] * 2
        assert shown.get("limitPrice", shown.get("stopPrice")) in (0.5, 5.0)
        assert "cancelled" in cmam("trade", "cancel", order, "--account", login).output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("buy", "NOPE", "0.1"), "expected a symbol of Alpha Markets"),
        (("buy", "EURUSD", "0.015"), "multiple of 0.01 lots"),
        (("buy", "EURUSD", "0.1", "--account", "1"), "expected one of the accounts"),
        (("cancel", "1"), "expected the id of an open position or a pending order"),
        (("limit", "buy", "EURUSD", "0.1", "0.5", "--sl", "5"), "TRADING_BAD_STOPS"),
    ],
)
def test_refusals_are_one_sentence_and_end_with_1(cmam: Any, arguments: tuple[str, ...], expected: str) -> None:
    """What the broker or the symbol does not allow is said in its own words."""
    assert expected in cmam("trade", *arguments, expected=1).output


CSV = """at,action,ref,account,symbol,side,lots,price,sl,tp
0,buy,first,,EURUSD,,0.50,,,
,limit,second,,EURUSD,buy,0.10,0.5,,
0.05,amend,first,,,,,,0.5,
0.05,sell,third,{other},EURUSD.b,,0.10,,,
,close,first,,,,0.20,,,
,cancel,second,,,,,,,
0.1,close,first,,,,,,,
,close,third,{other},,,,,,
"""


def test_a_csv_is_played_row_by_row(cmam: Any, ready: ReadyInfo, tmp_path: Path) -> None:
    """Rows run in order at their moments, on two accounts, and refer to each other by name."""
    file = tmp_path / "trades.csv"
    file.write_text(CSV.format(other=ready.accounts[2].ctid))
    lines = [json.loads(line) for line in cmam("trade", "play", str(file), "--json").stdout.splitlines()]
    assert [(line["line"], line["ok"]) for line in lines] == [(number, True) for number in range(2, 10)]
    assert "closed 0.3 EURUSD" in lines[6]["done"]
    for account in (ready.accounts[0], ready.accounts[2]):
        state = json.loads(cmam("trade", "list", "--account", str(account.ctid), "--json").stdout)
        assert not state.get("position")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("0,hold,,,EURUSD,,1,,,", "line 3: expected one of buy"),
        ("0,buy,,,EURUSD,,,,,", "line 3: buy needs a value for lots"),
        ("0,buy,,,EURUSD,,1,2,,", "line 3: buy takes no price"),
        ("0,buy,,,EURUSD,,x,,,", "line 3: expected a number for lots"),
        ("0,buy,first,,EURUSD,,1,,,", "second time"),
        ("0,buy,7,,EURUSD,,1,,,", "numbers are ids"),
        ("0,close,nobody,,,,,,,", "line 3: expected a ref that a row above gave"),
        ("0,limit,,,EURUSD,up,1,1,,", "line 3: expected buy or sell as side"),
        ("-1,buy,,,EURUSD,,1,,,", "line 3: expected seconds of at least 0"),
        ("0,buy,,,EURUSD,,1,,,,,,,,", "line 3: more fields than columns"),
        ("0,buy,,,NOPE,,1,,,", "line 3: expected a symbol of Alpha Markets"),
        ("0,buy,,,EURUSD,,0.001,,,", "line 3: expected a multiple of 0.01 lots"),
        ("0,buy,,9,EURUSD,,1,,,", "line 3: expected one of the accounts"),
        ("0,close,first,,,,0.001,,,", "line 3: expected a multiple of 0.01 lots"),
    ],
)
def test_a_csv_with_a_fault_names_its_line_and_plays_nothing(
    cmam: Any, tmp_path: Path, row: str, expected: str
) -> None:
    """Every row is checked before the first is done: the good one above the fault is not played."""
    file = tmp_path / "trades.csv"
    file.write_text(f"at,action,ref,account,symbol,side,lots,price,sl,tp\n0,buy,first,,EURUSD,,0.50,,,\n{row}\n")
    result = cmam("trade", "play", str(file), expected=2)
    assert expected in result.output
    assert "nothing was played" in result.output
    assert not json.loads(cmam("trade", "list", "--json").stdout).get("position")


def test_all_faults_of_a_csv_are_named_together() -> None:
    """Somebody with ten faults in a file learns of all ten at once."""
    with pytest.raises(player.BadFile) as refused:
        player.read("action,symbol,lots\nhold,EURUSD,1\nbuy,EURUSD,\nbuy,EURUSD,1\nsell,,1\n")
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == ["line 2", "line 3", "line 5"]


@given(
    st.text(max_size=60)
    | st.lists(
        st.lists(st.sampled_from(["", "buy", "close", "a", "1", "1e999999999", "-1", "²", "NaN", '"', "yes"]))
    ).map(lambda rows: "\n".join(["action,ref,symbol,lots,at,slippage,trailing,sl", *map(",".join, rows)]))
)
def test_any_text_is_rows_or_a_sentence_with_lines(text: str) -> None:
    """Whatever a file holds, it is read or refused; nothing else is raised, and nothing takes long."""
    try:
        rows = player.read(text)
    except player.BadFile as refused:
        assert all(line.startswith("line ") for line in str(refused).splitlines()), refused  # noqa: PT017
    else:
        assert rows


@pytest.mark.parametrize(
    "text", ["", "at,what\n", "action\n", 'action\n"', "\x00", "action,action\nbuy,sell\n", "action,lots\nbuy,1e99\n"]
)
def test_a_file_that_is_no_such_csv_is_refused(text: str) -> None:
    """Empty files, other columns and broken quotes have a sentence with a line too."""
    with pytest.raises(player.BadFile, match=r"line 1|line 2"):
        player.read(text)


def test_a_broken_row_is_named_by_its_own_line() -> None:
    """And not by that of the row before, which is as it should be."""
    with pytest.raises(player.BadFile, match=r"^line 3: "):
        player.read('action,ref\nclose,1\n"close"d,2\nclose,3\n')


def test_a_refused_row_is_told_and_the_rest_is_played(cmam: Any, tmp_path: Path) -> None:
    """What the broker refuses at the moment does not stop the play, and the exit code tells."""
    file = tmp_path / "trades.csv"
    file.write_text("action,ref,symbol,lots,sl\nbuy,a,EURUSD,0.1,5\nbuy,b,EURUSD,0.1,\n")
    result = cmam("trade", "play", str(file), expected=1)
    assert "which is open without levels: refused with TRADING_BAD_STOPS" in result.output
    assert "line 3: bought 0.1 EURUSD" in result.output
    assert "1 of 2 rows were refused" in result.output
    for position in json.loads(cmam("trade", "list", "--json").stdout)["position"]:
        cmam("trade", "close", str(position["positionId"]))


def test_what_fills_in_part_is_told_as_far_as_it_went(cmam: Any) -> None:
    """Half of a purchase and half of its close are held and gone, and get their levels; the rest was cancelled."""
    cmam("fault", "partial-fill", "fraction=0.5")
    bought = cmam("trade", "buy", "EURUSD", "0.50", "--sl", "0.5").stdout.strip()
    assert bought.startswith("bought 0.25 EURUSD at")
    assert bought.endswith(", and the rest was cancelled, levels set")
    (position,) = json.loads(cmam("trade", "list", "--json").stdout)["position"]
    closed = cmam("trade", "close", str(position["positionId"])).stdout.strip()
    assert closed.startswith("closed 0.12 EURUSD at")
    assert closed.endswith(", and the rest was cancelled")
    cmam("fault", "partial-fill", "--off")
    assert "closed 0.13" in cmam("trade", "close", str(position["positionId"])).stdout


def test_faults_are_switched_and_listed(cmam: Any) -> None:
    """A fault works until it is off; the list says which are on."""
    assert "on" in cmam("fault", "reject", "code=NO_QUOTES").output
    assert "NO_QUOTES" in cmam("trade", "buy", "EURUSD", "0.1", expected=1).output
    (shown,) = [
        json.loads(line) for line in cmam("fault", "list", "--json").output.splitlines() if '"on": true' in line
    ]
    assert shown["name"] == "reject"
    assert "code=NO_QUOTES" in cmam("fault", "list").output
    cmam("fault", "reject", "--off")
    assert not [line for line in cmam("fault", "list", "--json").output.splitlines() if '"on": true' in line]
    assert "found 'nope': `cmam sandbox fault list` shows all" in cmam("fault", "nope", expected=1).output


def test_stats_count_what_the_traders_sent(cmam: Any) -> None:
    """The counters are there for people and for programs, and add up."""
    cmam("trade", "list")
    found = json.loads(cmam("stats", "--json").output)
    assert found["messages_total"] == sum(one["messages"] for one in found["connections"])
    assert found["internal_errors"] == 0
    last = found["connections"][-1]
    assert last["requests_by_type"]["2124"] == 1
    assert 0 < last["busiest_second"] <= last["requests"]
    assert "requests" in cmam("stats").output


def test_faults_of_a_file_happen_at_their_time(tmp_path: Path) -> None:
    """A schedule of faults is read before anything listens, and comes into force by itself."""
    schedule = tmp_path / "faults.txt"
    schedule.write_text("# a bad day\n0 reject code=NO_QUOTES\n0 delay ms=1 count=5\n0 delay --off\n")
    options = SandboxOptions(home=tmp_path, port=0, json_port=0, oauth_port=0, faults_file=schedule)
    with run_in_thread(options):
        result = CliRunner().invoke(sandbox, ["trade", "buy", "EURUSD", "0.1", "--home", str(tmp_path)])
        assert "NO_QUOTES" in result.output
        listed = CliRunner().invoke(sandbox, ["fault", "list", "--json", "--home", str(tmp_path)]).output
        assert [json.loads(line)["name"] for line in listed.splitlines() if '"on": true' in line] == ["reject"]
    for bad in ("soon reject", "0 nope", "0 reject color=red", "0", "0 trickle bytes=x"):
        schedule.write_text(f"0 reject\n{bad}\n")
        refused = CliRunner().invoke(sandbox, ["--home", str(tmp_path), "--faults", str(schedule), *FREE_PORTS])
        assert refused.exit_code == 2, bad
        assert "line 2" in refused.output, refused.output


def test_a_long_file_keeps_below_the_servers_limit(cmam: Any, tmp_path: Path) -> None:
    """A hundred rows at once are paced, so that none of them meets the refusal of the fifty-first request."""
    file = tmp_path / "trades.csv"
    rows = "".join(f"limit,r{number},EURUSD,buy,0.01,0.5\ncancel,r{number},,,,\n" for number in range(50))
    file.write_text("action,ref,symbol,side,lots,price\n" + rows)
    lines = [json.loads(line) for line in cmam("trade", "play", str(file), "--json").stdout.splitlines()]
    assert [line["ok"] for line in lines] == [True] * 100
    found = json.loads(cmam("stats", "--json").output)["connections"][-1]
    assert found["busiest_second"] <= 50
    assert found["rate_refusals"] == 0
