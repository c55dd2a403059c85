"""The stage of the benchmarks: a sandbox, a copier and a leader's terminal, each a process of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cmam import office
from cmam.actors.threads.runtime import Latch
from cmam.clock import SECOND_US, SystemClock
from cmam.config.home import Home
from cmam.config.secret import Secret
from cmam.config.settings_file import edit_settings
from cmam.config.token_file import read_tokens
from cmam.consent import keep, look, pair_of
from cmam.credentials.vault import Application, with_application
from cmam.domain.events import IntentSent
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.trader import control_client
from cmam.sandbox.trader.trader import Trader
from cmam.store.logfile.log import EventLog

CLOCK = SystemClock()
LEADER = 45_000_000
SYMBOL = 1  # EURUSD of the built-in world's first broker
VOLUME = 10_000_000
READY_S = 120
WORLD = Path(office.__file__).parent / "sandbox" / "worlds" / "default.toml"
BUDGET_S = 1.1
"""A burst of 45 orders spends a second's budget: the next trade waits until it is whole again."""


@contextlib.contextmanager
def sandbox(
    folder: Path, followers: int, more: Sequence[str] = (), world: str = "", *, symbols: int = 0
) -> Iterator[dict[str, Any]]:
    """A sandbox with one leader and so many followers at its first broker; `world` adds to its description.

    `symbols` of the broker's are made up beside the built-in ones, each with a feed of its own.
    """
    accounts = "".join(
        f'\n[[accounts]]\nctid = {LEADER + n}\nlogin = {8_000_000 + n}\nbroker = "Alpha Markets"\nowner = "maria"\n'
        f'currency = "USD"\nbalance = "1000000.00"\n'
        for n in range(followers + 1)
    )
    file = folder / "world.toml"
    file.write_text(_with_symbols(WORLD.read_text(), symbols) + accounts + world)
    home = folder / "broker"
    ready_file = home / "ready.json"
    options = ["--port", "0", "--json-port", "0", "--oauth-port", "0", "--world", str(file)]
    options += ["--ready-file", str(ready_file), "--set", "trading_limits=off", "--set", "fill_delay_ms=40"]
    with started(folder, ["--home", str(home), "sandbox", *options, *more]) as child:
        wait_for(ready_file.exists, child, folder)
        yield {**control_client.read_ready_file(ready_file, home), "folder": str(home)}


def _with_symbols(world: str, count: int) -> str:
    """The description of a world with more feeds, and with symbols of them at its first broker."""
    names = [f"IDX{n:03d}" for n in range(count)]
    feeds = "".join(
        f'{name} = {{ base = "{name}", quote = "USD", price = "{1_000 + n}.0", spread = "0.6", step = "0.3",'
        ' interval_ms = 600, digits = 1, pip = 0, kind = "index" }\n'
        for n, name in enumerate(names)
    )
    symbols = "".join(f'    {{ feed = "{name}", id = {1_001 + n} }},\n' for n, name in enumerate(names))
    kinds, first = "[kinds.forex]\n", '    { feed = "EURUSD", id = 1 },\n'
    assert kinds in world, "expected the built-in world's kinds after its feeds"
    assert first in world, "expected EURUSD as the first symbol of the first broker"
    return world.replace(kinds, f"{feeds}\n{kinds}", 1).replace(first, first + symbols, 1)


@contextlib.contextmanager
def started(folder: Path, arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of our commands until the end of the block."""
    with (folder / "said.log").open("ab") as said:
        child = subprocess.Popen([sys.executable, "-m", "cmam", *arguments], stdout=said, stderr=said)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()


def wait_for(is_so: Callable[[], bool], child: subprocess.Popen[bytes], folder: Path, look_s: float = 0.02) -> None:
    """Wait until something holds; gives up with what the process said."""
    deadline, pause = CLOCK.monotonic() + READY_S * SECOND_US, Latch()
    while not is_so():
        if child.poll() is not None or CLOCK.monotonic() > deadline:
            raise SystemExit(f"a process did not come up:\n{(folder / 'said.log').read_text()[-2_000:]}")
        pause.wait(look_s)


def configure(home: Home, ready: dict[str, Any], followers: int, durability: str, *, profile: bool = True) -> None:
    """What `api configure`, `account add` and `profile create` do."""
    home.prepare()
    host, port = ready["host"], ready["port"]
    changes = {"demo_host": host, "demo_port": port, "live_host": host, "live_port": port}
    settings = edit_settings(home, {**changes, "ca_file": ready["ca_file"], "durability": durability})
    store = office.secrets_of(home, settings.secrets)
    application = Application(ready["client_id"], Secret(ready["client_secret"]))
    vault = store.update(lambda vault: with_application(vault, application))
    given = read_tokens(Path(ready["folder"]) / "ready.json")[0]
    seen = look(settings.api, vault.application, pair_of(given, now=CLOCK.now()))
    cast = [LEADER + n for n in range(followers + 1)]
    keep(home, store, seen.only(set(cast)), command="bench")
    if not profile:
        return
    request = {
        "command": "profile.create",
        "name": "bench",
        "leader": str(LEADER),
        "followers": [str(ctid) for ctid in cast[1:]],
        "settings": {"volume.mode": "multiplier", "volume.amount": "0.5"},
    }
    office.carry_out(home, request, command="bench")


def is_reconciled(home: Home) -> bool:
    """Whether every account of a running copier is reconciled."""
    document = office.ask_running(home, {"command": "status"})
    accounts = document["accounts"] if document else []
    return bool(accounts) and all(account["health"] == "reconciled" for account in accounts)


@contextlib.contextmanager
def copier(folder: Path, home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """A copier that is ready to trade."""
    with started(folder, ["--home", str(home.root), "start", "--plain"]) as child:
        wait_for(lambda: is_reconciled(home), child, folder)
        yield child


def leader_of(ready: dict[str, Any]) -> dict[str, Any]:
    """The leader's account as the ready document has it."""
    found: dict[str, Any] = next(account for account in ready["accounts"] if account["ctid"] == LEADER)
    return found


def trade(
    trader: Trader,
    trades: int,
    gap_s: float,
    *,
    only_opens: bool = False,
    after_each: Callable[[], object] = lambda: None,
) -> None:
    """Open and close in turn, one change each `gap_s`; without a gap, one as soon as the one before it has filled."""
    position = 0
    moment: int = CLOCK.monotonic()
    for number in range(trades):
        moment += int(gap_s * SECOND_US)
        trader.wait_until(moment)
        if number % 2 == 0 or only_opens:
            order = oa.ProtoOANewOrderReq(symbolId=SYMBOL, orderType=model.MARKET, tradeSide=model.BUY, volume=VOLUME)
            position = trader.order(order)[-1].position.positionId
        else:
            trader.close_position(position, VOLUME)
        after_each()


def gap_of(followers: int) -> float:
    """How long to wait between trades, so that the budget of the connection never holds an order up."""
    return max(0.15, BUDGET_S * followers / 45)


def sent(home: Home, followers: int) -> list[list[int]]:
    """Report to socket of each order in us, by the leader's trade: each follower answers each trade with one."""
    log = EventLog.read_only(home.root)
    try:
        per_follower = [
            [r.event.written_us for r in log.read_stream(f"account:{LEADER + n}") if isinstance(r.event, IntentSent)]
            for n in range(1, followers + 1)
        ]
    finally:
        log.close()
    return [list(burst) for burst in zip(*per_follower, strict=True)]
