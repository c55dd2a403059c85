"""The stage of `cmam demo`: a broker and a copier as processes of their own, and a trader who trades by a script.

Everything goes the way a person's would: the sandbox's real sockets, `cmam start`, the control channel, the log. What
is started here is ended here, whatever happens. Must not know how it is shown.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import cmam
from cmam import office
from cmam.actors.threads.runtime import Latch
from cmam.cli.face.exits import Exit, Failure
from cmam.cli.face.talk import ENDS_WITH_STDIN
from cmam.clock import SECOND_US, SystemClock
from cmam.config.home import Home
from cmam.config.secret import Secret
from cmam.config.settings import Settings
from cmam.config.settings_file import edit_settings
from cmam.config.token_file import read_tokens
from cmam.consent import keep, look, pair_of
from cmam.credentials.vault import Application, with_application
from cmam.domain.belief.copies import Copy, CopyKey
from cmam.domain.values.ids import AccountId
from cmam.sandbox.trader import control_client, steps
from cmam.sandbox.trader.trader import Trader
from cmam.store.auditing.news import News, news_of
from cmam.store.folding.fold import AccountStep, Fold
from cmam.store.logfile.lock import StoreLock
from cmam.store.logfile.log import EventLog

MARKER = ".cmam-demo"
READY_S = 120.0
"""How long a process may take until it serves; longer than any takes on a machine that is busy. One that dies before is
not waited for."""
QUIET_S = 60.0
"""How long copies may take to be closed after their leader's last close, on such a machine too: seconds, mostly."""
END_S = 30.0
"""How long a process may take to end before it is asked more firmly: what ends in order leaves nothing behind."""
SPEED = 20
"""The market's speed: fast enough that prices move visibly within half a minute."""
PROFILE = "demo"
FOLLOWERS = 3
AMOUNTS = ("0.5", "1", "0.25")
"""volume.amount of each follower: half of the trader's smallest trade is below what the first broker takes."""


@dataclass(frozen=True, slots=True)
class Act:
    """One thing the trader does, `at` seconds after the curtain rises. Levels are distances from the entry, in pips."""

    at: float
    action: str
    ref: str
    symbol: str = ""
    lots: str = ""
    stop: int | None = None
    target: int | None = None


SCRIPT = (
    Act(1.0, "buy", "a", "EURUSD", "1"),
    Act(3.0, "sell", "b", "USDJPY", "0.6"),
    Act(4.5, "amend", "a", stop=40, target=60),
    Act(6.0, "buy", "c", "GBPUSD", "0.01"),
    Act(8.0, "amend", "a", stop=20, target=60),
    Act(9.5, "close", "a", lots="0.4"),
    Act(11.0, "buy", "d", "EURUSD", "0.2"),
    Act(12.5, "amend", "b", stop=50),
    Act(14.0, "close", "b"),
    Act(15.5, "close", "c"),
    Act(17.0, "close", "a", lots="0.2"),
    Act(18.0, "close", "d"),
    Act(19.5, "close", "a"),
)
TABLE = "leader_symbol,follower_symbol\nEURUSD,EURUSD.b\nUSDJPY,USDJPY.b\nGBPUSD,GBPUSD.b\n"
"""The second broker calls them otherwise and counts another lot, so a person has to say that they are the same."""
PIPS = {"EURUSD": Decimal("0.0001"), "USDJPY": Decimal("0.01"), "GBPUSD": Decimal("0.0001")}


@dataclass(slots=True)
class Stage:
    """What is happening, for whoever shows it."""

    home: Home
    settings: Settings
    ready: dict[str, Any]
    folded: Fold = field(default_factory=Fold)
    said: list[str] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    """What became of copies since whoever shows it has taken it."""
    busiest_second: int = 0
    rate_refusals: int = 0
    alerts: tuple[str, ...] = ()

    def copies(self) -> list[tuple[AccountId, CopyKey, Copy]]:
        """Every copy with its account and key, oldest first; those that have ended too."""
        found = [
            (account, key, copy)
            for account, view in self.folded.accounts.items()
            for key, copy in (*view.copies.items(), *view.finished.items())
        ]
        return sorted(found, key=lambda entry: entry[2].decided_us)


def tick_files() -> tuple[Path, ...]:
    """Recorded ticks where they lie beside the checkout, else a small series of our own."""
    recorded = Path(cmam.__file__).resolve().parents[2] / "shared" / "data" / "ticks"
    found = tuple(sorted(recorded.glob("*.csv"))) if recorded.is_dir() else ()
    return found or (Path(cmam.__file__).resolve().parent / "sandbox" / "ticks" / "demo.csv",)


@contextlib.contextmanager
def raised(home: Home, tell: Callable[[str], None]) -> Iterator[Stage]:
    """Empty the demo's home, start broker and copier, and end both afterwards. Raises Failure, StoreHeld."""
    _empty(home)
    with contextlib.ExitStack() as stack:
        tell("starting a broker on 127.0.0.1 …")
        ready = _start_broker(home, stack)
        tell("adding a leader and three followers …")
        settings = _configure(home, ready)
        tell("starting the copier …")
        stage = Stage(home, settings, ready)
        _start_copier(home, stack)
        yield stage
        figures = control_client.ask(ready, "GET", "stats")
        stage.busiest_second = int(figures["busiest_second"])
        stage.rate_refusals = int(figures["rate_refusals_total"])
    _tidy(home)


def _empty(home: Home) -> None:
    """Empty the folder if it is a demo's; anything else is somebody's."""
    if home.root.exists() and any(home.root.iterdir()):
        if not (home.root / MARKER).exists():
            raise Failure(
                f"Expected {home.root} to be empty or an earlier demo's; found something else. Name another --home."
            )
        with StoreLock(home.root).acquire(since="", command="cmam demo"):
            pass
        shutil.rmtree(home.root)
    home.prepare()
    (home.root / MARKER).touch()


def _tidy(home: Home) -> None:
    """Leave what the audit needs, and nothing of the broker that is gone."""
    shutil.rmtree(home.root / "sandbox", ignore_errors=True)
    with contextlib.suppress(OSError):
        home.runtime.rmdir()


# --- processes ------------------------------------------------------------------------------------------------------


def _start_broker(home: Home, stack: contextlib.ExitStack) -> dict[str, Any]:
    ready_file = home.root / "sandbox" / "ready.json"
    ticks = [part for path in tick_files() for part in ("--ticks", str(path))]
    arguments = ["--port", "0", "--json-port", "0", "--oauth-port", "0", "--speed", str(SPEED), "--seed", "7"]
    child = _start(home, stack, "sandbox", *arguments, "--ready-file", str(ready_file), *ticks)
    _await(child, ready_file.exists, home, "the broker")
    return control_client.read_ready_file(ready_file, home.root)


def _start_copier(home: Home, stack: contextlib.ExitStack) -> None:
    child = _start(home, stack, "start", "--plain")
    _await(child, lambda: _is_ready(home), home, "the copier")


def _start(home: Home, stack: contextlib.ExitStack, verb: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start one of our own commands, its talk in a file of the home, and see to its end."""
    log = stack.enter_context((home.root / f"{verb}.log").open("wb"))
    command = [sys.executable, "-m", "cmam", "--home", str(home.root), verb, *arguments]
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # held by us alone: its end is ours, even if nothing is left that could tell
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, ENDS_WITH_STDIN: "1"},
    )
    stack.callback(_end, child)
    return child


def _end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None:
            return
        child.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(END_S)


def _await(child: subprocess.Popen[bytes], is_so: Callable[[], bool], home: Home, what: str) -> None:
    """Wait until a process serves; what it said is in the failure when it does not."""
    clock, pause = SystemClock(), Latch()
    deadline = clock.monotonic() + int(READY_S * SECOND_US)
    while not is_so():
        if child.poll() is not None or clock.monotonic() > deadline:
            verb = "sandbox" if "sandbox" in child.args else "start"  # type: ignore[operator]  # a list of ours
            said = (home.root / f"{verb}.log").read_text(errors="replace").strip().splitlines()
            why = said[-1] if said else "it said nothing"
            raise Failure(f"{what} did not come up: {why}", Exit.UNREACHABLE)
        pause.wait(0.05)


def _is_ready(home: Home) -> bool:
    """Whether every account is reconciled: what the broker holds is known, copying goes on."""
    document = office.ask_running(home, {"command": "status"})
    accounts = document["accounts"] if document else []
    return bool(accounts) and all(account["health"] == "reconciled" for account in accounts)


# --- set-up ---------------------------------------------------------------------------------------------------------


def _configure(home: Home, ready: Mapping[str, Any]) -> Settings:
    """What `api configure`, `account add` and `profile create` do."""
    host, port = ready["host"], ready["port"]
    settings = edit_settings(
        home,
        {
            "live_host": host,
            "demo_host": host,
            "live_port": port,
            "demo_port": port,
            "ca_file": ready["ca_file"],
            "oauth_url": ready["oauth_url"],
        },
    )
    store = office.secrets_of(home, settings.secrets)
    application = Application(ready["client_id"], Secret(ready["client_secret"]))
    vault = store.update(lambda vault: with_application(vault, application))
    given = read_tokens(home.root / "sandbox" / "ready.json")[0]
    seen = look(settings.api, vault.application, pair_of(given, now=SystemClock().now()))
    cast = {account["ctid"] for account in ready["accounts"][: FOLLOWERS + 1]}
    keep(home, store, seen.only(cast), command="cmam demo")
    leader, *followers = (str(account["ctid"]) for account in ready["accounts"][: FOLLOWERS + 1])
    _do(home, {"command": "account.alias", "account": leader, "alias": "leader"})
    for number, follower in enumerate(followers, 1):
        _do(home, {"command": "account.alias", "account": follower, "alias": f"copier-{number}"})
    _do(
        home,
        {
            "command": "profile.create",
            "name": PROFILE,
            "leader": leader,
            "followers": followers,
            "settings": {"volume.mode": "multiplier", "volume.amount": AMOUNTS[0]},
        },
    )
    for follower, amount in zip(followers[1:], AMOUNTS[1:], strict=True):
        one = {"volume.amount": amount, "volume.basis": "units", "symbols.table": TABLE}
        _do(home, {"command": "profile.set", "profile": PROFILE, "follower": follower, "settings": one})
    return settings


def _do(home: Home, request: Mapping[str, Any]) -> None:
    office.carry_out(home, request, command="cmam demo")


# --- the play -------------------------------------------------------------------------------------------------------


def play(stage: Stage, show: Callable[[Stage], None], pace: float = 1.0) -> None:
    """Trade by the script, then wait until every copy is closed; `show` is called a few times a second.

    `pace` is the part of the script's time that it takes: a smaller one is quicker.
    """
    clock, pause = SystemClock(), Latch()
    log = EventLog.read_only(stage.home.root)
    refs: dict[str, steps.Placed] = {}
    entries: dict[str, tuple[Decimal, int, str]] = {}

    def look_on(until_us: int, is_over: Callable[[], bool] = lambda: False) -> None:
        while clock.monotonic() < until_us and not is_over():
            _follow(stage, log)
            show(stage)
            pause.wait(min(0.2, max(0.0, (until_us - clock.monotonic()) / SECOND_US)))
        _follow(stage, log)
        show(stage)

    try:
        with Trader(stage.ready, stage.ready["accounts"][0]) as trader:
            begun = clock.monotonic()
            for act in SCRIPT:
                look_on(begun + int(act.at * pace * SECOND_US))
                done = steps.perform(trader, _step(act, entries), refs)
                stage.said.append(f"{act.at:>5.1f} s  {done.text}")
                if act.action in ("buy", "sell"):
                    price = Decimal(str(done.events[-1]["deal"]["executionPrice"]))
                    entries[act.ref] = (price, 1 if act.action == "buy" else -1, act.symbol)
        deadline = clock.monotonic() + int(QUIET_S * SECOND_US)
        look_on(deadline, lambda: all(copy.state.is_end for _, _, copy in stage.copies()))
        status = office.ask_running(stage.home, {"command": "status"}) or {}
        stage.alerts = tuple(alert["text"] for alert in status.get("alerts", ()))
    finally:
        log.close()


def _step(act: Act, entries: Mapping[str, tuple[Decimal, int, str]]) -> steps.Step:
    stop = target = None
    if act.action == "amend":
        price, sign, symbol = entries[act.ref]
        stop = None if act.stop is None else price - sign * act.stop * PIPS[symbol]
        target = None if act.target is None else price + sign * act.target * PIPS[symbol]
    return steps.Step(
        action=act.action,
        ref=act.ref,
        symbol=act.symbol,
        lots=Decimal(act.lots) if act.lots else None,
        stop_loss=stop,
        take_profit=target,
    )


def _follow(stage: Stage, log: EventLog) -> None:
    for record in log.read_all(stage.folded.position):
        step = stage.folded.take(record)
        if isinstance(step, AccountStep):
            stage.news += news_of(step)
