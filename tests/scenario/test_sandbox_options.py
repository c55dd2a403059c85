"""How a sandbox is started, what it keeps, and what it survives: restarts, states, bindings, faults, bad files."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from cmam.clock import SECOND_US, ManualClock, MonotonicUs, SystemClock
from cmam.sandbox.serving.options import SandboxError, SetUpFault
from cmam.sandbox.serving.server import SandboxServer, run_in_thread
from cmam.sandbox.trader import control_client
from cmam.sandbox.trader.steps import Step, decimal, perform
from cmam.sandbox.trader.trader import NoOutcome, Trader, TradeRefused
from tests.scenario.sandbox_clients import ANSWER_S, JsonClient, options
from tests.waiting import PATIENCE_S, until
from tests.worlds import BUILT_IN


@pytest.mark.parametrize(
    ("field", "content", "expected"),
    [
        ("world_file", "[[brokers]]\n", "expected"),
        ("world_file", "not toml", "expected a world in TOML"),
        ("ticks", "time,symbol,bid\n", "expected the columns"),
        ("ticks", "time,symbol,bid,ask\n2020-01-01T00:00:00,NOPE,1,2\n", "NOPE"),
        ("state_file", "[]", "expected the state of a sandbox"),
        ("faults_file", "# none yet\n", "expected at least one fault"),
        ("switches", (("fill_delay_ms", "soon"),), "expected a whole number"),
        ("switches", (("nope", "1"),), "expected a switch"),
    ],
)
def test_what_cannot_be_played_is_refused_before_anything_listens(
    tmp_path: Path, field: str, content: Any, expected: str
) -> None:
    """A broken world, tick file, state or switch is one sentence, and nothing is written."""
    value: Any = content
    if isinstance(content, str):
        file = tmp_path / "file"
        file.write_text(content)
        value = (file,) if field == "ticks" else file
    with pytest.raises(SetUpFault, match=expected):
        SandboxServer(options(tmp_path / "home", **{field: value}))
    assert not (tmp_path / "home").exists()


def test_a_state_that_is_not_there_or_no_file_is_said_and_none_is_made(tmp_path: Path) -> None:
    """A link to a disk that is not mounted would be a new world beside the old one; a pipe would be waited for."""
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(tmp_path / "far" / "state")
    os.mkfifo(pipe)
    for state, expected in ((link, "is its disk mounted"), (pipe, "something else than a file")):
        with pytest.raises(SetUpFault, match=expected):
            SandboxServer(options(tmp_path / "home", state_file=state))
    assert sorted(tmp_path.iterdir()) == [link, pipe]


def test_a_file_that_an_editor_on_windows_saved_is_read(tmp_path: Path) -> None:
    """The byte order mark is no part of a world or of a list of faults, as it is none of ticks."""
    for field, content in (
        ("world_file", BUILT_IN.read_text(encoding="utf-8")),
        ("faults_file", "10 reject code=NO_QUOTES\n"),
    ):
        file = tmp_path / field
        file.write_text(content, encoding="utf-8-sig")
        SandboxServer(options(tmp_path / "home", **{field: file}))


def test_an_empty_world_is_told_what_it_lacks(tmp_path: Path) -> None:
    """The file is named once, and there is no empty place behind it."""
    file = tmp_path / "world.toml"
    file.write_text("")
    with pytest.raises(SetUpFault, match=r"world\.toml: expected a list of tables for 'users'"):
        SandboxServer(options(tmp_path / "home", world_file=file))


@pytest.mark.parametrize(
    ("field", "expected"),
    [("world_file", "expected a list of tables"), ("faults_file", "at least one fault"), ("ticks", "the columns")],
)
def test_a_pipe_without_a_writer_is_empty_and_a_device_is_no_file(tmp_path: Path, field: str, expected: str) -> None:
    """It was waited for without a word, and zeros without end were read for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, said in ((pipe, expected), (Path("/dev/zero"), "this is a device, and no file")):
        value: Any = (path,) if field == "ticks" else path
        with pytest.raises(SetUpFault, match=said):
            SandboxServer(options(tmp_path / "home", **{field: value}))


def test_a_sandbox_that_still_reads_its_files_ends_at_a_ctrl_c(tmp_path: Path) -> None:
    """Millions of ticks take their time, and a pipe may give nothing more: until it listens nothing has to be kept."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writes = os.open(pipe, os.O_RDWR)
    try:
        command = [sys.executable, "-m", "cmam", "--home", str(tmp_path / "home"), "sandbox", "--world", str(pipe)]
        with subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(
                signal.SIGINT, signal.SIG_DFL
            ),  # ignored where the tests run behind a shell
        ) as child:
            try:
                os.write(writes, b"# a world")
                until(lambda: fcntl.ioctl(writes, termios.FIONREAD, bytes(4)) == bytes(4), "it reads")
                child.send_signal(signal.SIGINT)
                _, said = child.communicate(timeout=PATIENCE_S)
            finally:
                child.kill()
    finally:
        os.close(writes)
    assert (child.returncode, said) == (1, "Interrupted; nothing more was done.\n")


def buy(lots: str) -> Step:
    """Give the step that buys EURUSD at the market."""
    return Step(action="buy", symbol="EURUSD", lots=decimal(lots, "lots"))


def test_a_restart_cuts_everybody_and_keeps_accounts_tokens_and_positions(tmp_path: Path) -> None:
    """The fault is a real restart: the port is gone for its time, then the same tokens and positions are there."""
    with run_in_thread(options(tmp_path)) as info:
        document = info.as_document()
        with Trader(document, document["accounts"][0]) as trader:
            perform(trader, buy("0.10"), {})
            control_client.ask(document, "POST", "faults", {"name": "restart", "arguments": {"down_s": "0"}})
            with pytest.raises(NoOutcome, match=r"closed|broke"):
                trader.wait_until(2**62)
        again = reconnected(document)
        assert [position.tradeData.volume for position in again.reconcile().position] == [1_000_000]
        again.close()
        with JsonClient(info) as client:
            client.log_in(info)


class Ticking(ManualClock):
    """Moved by hand, and by every look: whoever waits for a moment reaches it."""

    def monotonic(self) -> MonotonicUs:
        self.advance(1)
        return super().monotonic()


def test_a_trader_who_was_silent_too_long_connects_anew(tmp_path: Path) -> None:
    """Thrown out for its silence, it knows by its own clock: neither a request nor a wait uses the connection again."""
    theirs, ours = ManualClock(SystemClock().now()), Ticking()
    with run_in_thread(options(tmp_path, switches=(("fill_delay_ms", "0"),)), clock=theirs) as info:
        document = info.as_document()

        def are_out() -> bool:
            found = control_client.ask(document, "GET", "stats")["connections"]
            return [each["close_reason"] for each in found] == ["idle", "idle"]

        account = document["accounts"][0]
        with Trader(document, account, ours) as trader, Trader(document, account, ours) as other:
            for clock in (theirs, ours):
                clock.advance(31 * SECOND_US)
            until(are_out, "the sandbox has thrown both out")
            perform(trader, buy("0.10"), {})
            other.wait_until(ours.monotonic() + SECOND_US // 1_000)
            assert len(other.reconcile().position) == 1


def reconnected(document: dict[str, Any]) -> Trader:
    """Connect a trader as soon as the server listens again."""
    deadline = time.monotonic() + 2 * ANSWER_S
    while True:
        try:
            return Trader(document, document["accounts"][0])
        except (control_client.NotRunning, NoOutcome):
            assert time.monotonic() < deadline, "the sandbox did not come back"


def test_a_state_file_keeps_a_sandbox_across_processes(tmp_path: Path) -> None:
    """A second server with the same state file goes on where the first stopped; another world's state is refused."""
    kept = tmp_path / "state.json"
    with run_in_thread(options(tmp_path, state_file=kept)) as info:
        document = info.as_document()
        with Trader(document, document["accounts"][0]) as trader:
            perform(trader, buy("0.10"), {})
    assert kept.stat().st_mode & 0o777 == 0o600
    with run_in_thread(options(tmp_path, state_file=kept)) as info:
        assert info.accounts[0].access_token == document["accounts"][0]["access_token"]
        again = info.as_document()
        with Trader(again, again["accounts"][0]) as trader:
            assert [position.tradeData.volume for position in trader.reconcile().position] == [1_000_000]
    kept.write_text('{"format": 1}')
    with pytest.raises(SetUpFault, match="of this very world"), run_in_thread(options(tmp_path, state_file=kept)):
        pass


def test_live_accounts_have_a_host_of_their_own_where_a_port_is_given(tmp_path: Path) -> None:
    """With --live-port the wrong environment answers CANT_ROUTE_REQUEST, as the two real hosts do."""
    with run_in_thread(options(tmp_path, live_port=0)) as info:
        document = info.as_document()
        live = next(account for account in document["accounts"] if account["live"])
        for account in (live, document["accounts"][0]):
            with Trader(document, account) as trader:
                assert not trader.reconcile().position
        wrong = [
            ({**document, "port": info.live_port}, document["accounts"][0]),
            ({name: value for name, value in document.items() if name != "live_port"}, live),
        ]
        for place, account in wrong:
            with pytest.raises(TradeRefused, match="CANT_ROUTE_REQUEST"):
                Trader(place, account)


def test_wire_and_broker_faults_are_switched_by_name_over_control(tmp_path: Path) -> None:
    """A line cut mid-order leaves a position that a later look finds; trickled answers are whole; all go off."""
    with run_in_thread(options(tmp_path, switches=(("fill_delay_ms", "0"),))) as info:
        document = info.as_document()

        def switch(name: str, **arguments: str) -> None:
            control_client.ask(document, "POST", "faults", {"name": name, "arguments": arguments})

        switch("cut-mid-order", count="1")
        with Trader(document, document["accounts"][0]) as trader, pytest.raises(NoOutcome):
            perform(trader, buy("0.10"), {})
        switch("trickle", bytes="5", ms="0")
        with Trader(document, document["accounts"][0]) as trader:
            assert len(trader.reconcile().position) == 1
            switch("reject", code="NO_QUOTES")
            with pytest.raises(TradeRefused, match="NO_QUOTES"):
                perform(trader, buy("0.10"), {})
        assert set(control_client.ask(document, "GET", "faults")["on"]) >= {"trickle", "reject"}
        control_client.ask(document, "POST", "faults/clear", {"name": "all"})
        assert control_client.ask(document, "GET", "faults")["on"] == {}


@pytest.mark.parametrize("bind", ["localhost", "0.0.0.0", "::1"])
def test_whatever_it_is_bound_to_the_ready_file_leads_there(tmp_path: Path, bind: str) -> None:
    """Names and wildcards are listened on with one port each, and the certificate covers the host that is named."""
    if bind == "::1" and not has_ipv6():
        pytest.skip("no IPv6 on this machine")
    with run_in_thread(options(tmp_path, bind=bind)) as info:
        document = info.as_document()
        with Trader(document, document["accounts"][0]) as trader:
            assert not trader.reconcile().position


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_folders_that_cannot_be_written_are_one_sentence_each(tmp_path: Path) -> None:
    """A file in the way of the certificate folder, of the ready file or of the state is named."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(SandboxError, match="cannot keep a certificate authority"),
        run_in_thread(options(tmp_path / "file" / "home")),
    ):
        pass
    with (
        pytest.raises(SandboxError, match="cannot write the ready file"),
        run_in_thread(options(tmp_path / "a", ready_file=tmp_path / "file" / "ready.json")),
    ):
        pass
