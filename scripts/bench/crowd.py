"""Measure bursts that are larger than a connection's budget, and copiers with very many accounts.

    python scripts/bench/crowd.py [--quick] [--json FILE] [--only line|lines] [--followers N] [--connections N]

`line`: one leader, 500 followers, one connection: when the last order leaves, beside fifty a second and the guard
that the limiter has on this line; then with closes of another profile's only follower in the middle of it: when the
last order leaves, and how long each close waited; whether the broker refused or ever saw a 51st in a second. `lines`:
5,000 followers over 100 connections in one process, with the store and with a log in memory: when the last order
leaves, how long the start takes, and what an account costs in memory. Sandbox and copier are processes of their own;
the copier runs in this script's `--be-the-copier`, so that its log can be in memory.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import stage
from common import Finding, arguments, ms, quantile, report

from cmam import office
from cmam.actors.messages import limiter_name
from cmam.actors.threads.runtime import Latch
from cmam.bootstrap import threads
from cmam.clock import SECOND_US
from cmam.config.home import Home
from cmam.config.secret import Secret
from cmam.config.settings_file import edit_settings, load_settings
from cmam.config.token_file import read_tokens
from cmam.consent import pair_of
from cmam.credentials.vault import Application, with_application, with_grant
from cmam.domain.events import Health, IntentRecorded, IntentSent
from cmam.domain.operating.asking import FOLLOWERS_MAX
from cmam.domain.values.commands import CommandKind
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.trader import control_client
from cmam.sandbox.trader.trader import Trader
from cmam.store.logfile.lock import StoreLock
from cmam.store.logfile.log import EventLog
from cmam.system import System

BROKER = "Alpha Markets"
LIMIT = 50
LEND_US = 20_000
"""A lone close waits as long at most for a slot, and the guard."""
QUIET_S = 30
"""So long without an order after the first ones means that no more will come."""
CLOSES = 6
"""So many positions of the other profile are closed while the crowd opens."""


def configure(home: Home, ready: dict[str, Any], followers: int, connections: int) -> None:
    """Have a leader with so many followers, and after them a leader with one, each a profile of its own."""
    home.prepare()
    host, port = ready["host"], ready["port"]
    changes: dict[str, Any] = {"demo_host": host, "demo_port": port, "live_host": host, "live_port": port}
    settings = edit_settings(home, {**changes, "ca_file": ready["ca_file"], "connections": connections})
    cast = [stage.LEADER + n for n in range(followers + 3)]
    one = home.root / "one.json"  # the tokens of all are alike, and thousands of accounts are more than a file may have
    one.write_text(json.dumps(leader_of(ready, stage.LEADER)))
    pair = pair_of(read_tokens(one)[0], now=stage.CLOCK.now())
    application = Application(ready["client_id"], Secret(ready["client_secret"]))
    store = office.secrets_of(home, settings.secrets)
    store.update(lambda vault: with_grant(with_application(vault, application), pair, cast)[0])
    added = [
        {"account": ctid, "login": 8_000_000 + n, "broker": BROKER, "can_trade": True} for n, ctid in enumerate(cast)
    ]
    office.carry_out(home, {"command": "account.add", "accounts": added}, command="bench")
    crowd = [cast[1:-2][start : start + FOLLOWERS_MAX] for start in range(0, followers, FOLLOWERS_MAX)]
    profiles = [(f"crowd-{n}", cast[0], part) for n, part in enumerate(crowd)]
    for name, leader, following in (*profiles, ("lone", cast[-2], cast[-1:])):
        request = {
            "command": "profile.create",
            "name": name,
            "leader": str(leader),
            "followers": [str(ctid) for ctid in following],
            "settings": {"volume.mode": "multiplier", "volume.amount": "0.5", "max_age": "2m", "input_max_age": "2m"},
        }
        office.carry_out(home, request, command="bench")


# --- the copier, a process of its own ---------------------------------------------------------------------------------


def be_the_copier(root: Path, *, keeps: bool) -> None:
    """Run all actors until a line comes in; say when they are ready, and what was sent in the end."""
    home = Home(root)
    settings = load_settings(home, {})
    begun = stage.CLOCK.monotonic()
    with StoreLock(home.root).acquire(since="", command="bench"):
        on_disk = EventLog.open(home.root, durability=settings.durability)
        log = on_disk
        if not keeps:
            log = EventLog.in_memory()
            on_disk.connection.backup(log.connection)
            log.refresh()
        system = System(settings, log, office.secrets_of(home, settings.secrets), threads(settings, stage.CLOCK))
        before = resident()
        system.start()
        pause = Latch()
        while not all(view.health is Health.RECONCILED for view in system.status().views().values()):
            pause.wait(0.05)
        spent = stage.CLOCK.monotonic() - begun
        print(json.dumps({"start_us": spent, "bytes": resident() - before, "before": before}), flush=True)
        sys.stdin.readline()
        while any(view.intents for view in system.status().views().values()):
            pause.wait(0.1)
        pause.wait(0.5)
        found = {str(ctid): sent_of(log, ctid) for ctid in system.status().views()}
        print(json.dumps({"sent": found, "bytes": resident() - before, "guard_us": guard_us(system)}), flush=True)
        system.stop()


def guard_us(system: System) -> float:
    """What the limiter of the first connection takes for its guard, as `status` shows it."""
    return float(system.status().read(limiter_name("demo-1"))["guard_ms"]) * 1_000


def resident() -> int:
    """The memory that this process holds, in bytes."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1_024
    return 0


def sent_of(log: EventLog, account: int) -> list[tuple[str, int, int, str]]:
    """Every request of an account: kind, report to socket and the wait for the limiter in us, and its source."""
    kinds: dict[str, CommandKind] = {}
    found = []
    for record in log.read_stream(f"account:{account}"):
        if isinstance(record.event, IntentRecorded):
            kinds[record.event.intent] = record.event.command.kind
        elif isinstance(record.event, IntentSent):
            event = record.event
            source = str(event.intent).split(".")[3]
            found.append((kinds[event.intent].value, event.written_us, event.written_us - event.committed_us, source))
    return found


class Copier:
    """The process that runs the actors, from the outside."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self.ready = self._heard()

    def _heard(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit("the copier ended before it was asked to")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> dict[str, Any]:
        """Ask it to end, for what was sent."""
        assert self._child.stdin is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        return self._heard()


@contextlib.contextmanager
def copier(root: Path, *, keeps: bool = True) -> Iterator[Copier]:
    """A copier that is ready to trade."""
    command = [sys.executable, __file__, "--be-the-copier", str(root), *([] if keeps else ["--in-memory"])]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield Copier(child)
    finally:
        if child.stdin is not None:
            child.stdin.close()
        child.wait()


# --- trades -----------------------------------------------------------------------------------------------------------


def leader_of(ready: dict[str, Any], ctid: int) -> dict[str, Any]:
    """An account as the ready document has it."""
    found: dict[str, Any] = next(account for account in ready["accounts"] if account["ctid"] == ctid)
    return found


def buy(trader: Trader, volume: int = stage.VOLUME) -> int:
    """Open a position; answers its number."""
    order = oa.ProtoOANewOrderReq(symbolId=stage.SYMBOL, orderType=model.MARKET, tradeSide=model.BUY, volume=volume)
    return int(trader.order(order)[-1].position.positionId)


def orders_at(ready: dict[str, Any]) -> int:
    """How many orders the broker has seen."""
    figures = control_client.ask(ready, "GET", "stats")["connections"]
    return sum(entry["requests_by_type"].get("2106", 0) for entry in figures)


def wait_for_orders(ready: dict[str, Any], count: int, *lines: Trader) -> None:
    """Wait until the broker has seen so many orders, or sees no more: on a starved machine some are too late."""
    seen, since = 0, stage.CLOCK.monotonic()
    while (found := orders_at(ready)) < count:
        if found > seen:
            seen, since = found, stage.CLOCK.monotonic()
        elif stage.CLOCK.monotonic() - since > QUIET_S * SECOND_US:
            print(f"of {count} orders {found} came to the broker; the others were skipped", file=sys.stderr)
            break
        rest(lines, 0.1)
    rest(lines, 1.5)  # what was written last is recorded


def rest(lines: Sequence[Trader], seconds: float) -> None:
    """Let so much time pass, and these lines be heard of: a broker closes one that has been silent for long."""
    begun = stage.CLOCK.monotonic()
    for place, line in enumerate(lines, 1):
        line.wait_until(begun + int(seconds * SECOND_US) * place // len(lines))


def bursts_of(found: dict[str, Any], followers: int) -> list[list[int]]:
    """Report to socket of the opens of each burst but the first, in us, by the position that they copy."""
    bursts: dict[str, list[int]] = {}
    for number in range(1, followers + 1):
        for kind, us, _, source in found["sent"][str(stage.LEADER + number)]:
            if kind == "open":
                bursts.setdefault(source, []).append(us)
    return list(bursts.values())[1:]


def closes_of(found: dict[str, Any], followers: int) -> list[int]:
    """Report to socket of the closes of the only follower of the other profile, in us."""
    return [us for kind, us, _, _ in found["sent"][str(stage.LEADER + followers + 2)] if kind == "close"]


# --- one line ---------------------------------------------------------------------------------------------------------


def one_line(folder: Path, followers: int, rounds: int) -> list[Finding]:
    """Bursts of opens for all followers on one connection, then as many with closes of another profile in them."""
    home = Home(folder / "home")
    closes = min(CLOSES, followers // 50)
    with stage.sandbox(folder, followers + 2) as ready:
        configure(home, ready, followers, 1)
        before = {entry["connection"] for entry in control_client.ask(ready, "GET", "stats")["connections"]}
        with copier(home.root) as running:
            crowd, lone = (leader_of(ready, stage.LEADER + n) for n in (0, followers + 1))
            with Trader(ready, crowd) as trader, Trader(ready, lone) as other:
                buy(trader)  # what is imported and cached at the first copy
                wait_for_orders(ready, followers + 1, trader, other)
                for among in (0,) * rounds + (closes,) * rounds:
                    held = [buy(other) for _ in range(among)]
                    rest((trader, other), 2.2)
                    expected = orders_at(ready) + followers + 1
                    buy(trader)
                    moment: int = stage.CLOCK.monotonic()
                    for position in held:
                        moment += 1_300_000
                        other.wait_until(moment)
                        other.close_position(position, stage.VOLUME)
                    wait_for_orders(ready, expected, trader, other)
            stats = control_client.ask(ready, "GET", "stats")
            found = running.end()
    lasts = [max(burst) for burst in bursts_of(found, followers)]
    waits = [wait for kind, _, wait, _ in found["sent"][str(stage.LEADER + followers + 2)] if kind == "close"]
    guard = found["guard_us"]
    ideal, bound = followers / LIMIT * (SECOND_US + guard), LEND_US + guard
    shared = (followers + closes) / LIMIT * (SECOND_US + guard)
    ours = [entry for entry in stats["connections"] if entry["connection"] not in before]
    copying = max(ours, key=lambda entry: entry["messages"])
    return [
        Finding(
            f"{followers} followers on one connection, the last order of a burst",
            ms(statistics.median(lasts[:rounds])),
            f"{followers} / {LIMIT} x (1 s + a guard of {ms(guard)}): {ms(ideal)}",
            tuple(last / ideal for last in lasts[:rounds]),
            "at most 1",
            1.0,
        ),
        Finding(
            f"the same, with {closes} closes of another profile in the middle of it",
            ms(statistics.median(lasts[rounds:])),
            f"{followers + closes} / {LIMIT} x (1 s + the same guard): {ms(shared)}",
            tuple(last / shared for last in lasts[rounds:]),
            "at most 1",
            1.0,
        ),
        Finding(
            "the same: refusals, and the busiest second as the broker counts all frames",
            f"{copying['rate_refusals']}, {copying['busiest_second_with_heartbeats']}",
            f"0, {LIMIT}",
            (copying["busiest_second_with_heartbeats"] / LIMIT,),
            "at most 1",
            1.0 if not copying["rate_refusals"] else 0.0,
        ),
        Finding(
            f"the same: a lone close in the middle of it, from its record to the socket, p50 and most of {len(waits)}",
            f"{ms(quantile(waits, 0.5))}, {ms(max(waits))}",
            f"20 ms + guard: {ms(bound)}",
            tuple(wait / bound for wait in waits),
            "each at most 1",
            1.0,
            is_each=True,
        ),
    ]


# --- many lines -------------------------------------------------------------------------------------------------------


def many_lines(folder: Path, followers: int, connections: int, rounds: int) -> list[Finding]:
    """The same crowd over many connections, with the store and with a log in memory."""
    slow = ["--set", "tick_interval_ms=5000"]
    runs: dict[bool, tuple[list[list[int]], dict[str, Any], dict[str, Any]]] = {}
    for keeps in (True, False):
        part = folder / ("store" if keeps else "memory")
        part.mkdir()
        home = Home(part / "home")
        with stage.sandbox(part, followers + 2, slow) as ready:
            configure(home, ready, followers, connections)
            crowd, lone = (leader_of(ready, stage.LEADER + n) for n in (0, followers + 1))
            with (
                copier(home.root, keeps=keeps) as running,
                Trader(ready, crowd) as trader,
                Trader(ready, lone) as other,
            ):
                held = [buy(other) for _ in range(rounds * CLOSES)]  # a copy is closed once its fill is known
                wait_for_orders(ready, 2 * len(held), trader, other)
                buy(trader)  # what is imported and cached at the first copy
                wait_for_orders(ready, 2 * len(held) + followers + 1, trader, other)
                for _ in range(rounds):
                    rest((trader, other), 2.2)
                    expected = orders_at(ready) + followers + 1
                    buy(trader)
                    moment: int = stage.CLOCK.monotonic()
                    for position in (held.pop() for _ in range(CLOSES)):
                        moment += 500_000
                        other.wait_until(moment)
                        other.close_position(position, stage.VOLUME)
                    wait_for_orders(ready, expected, trader, other)
                stats = control_client.ask(ready, "GET", "stats")
                found = running.end()
        runs[keeps] = bursts_of(found, followers), running.ready, {**found, **stats}
    bursts, start, end = runs[True]
    bare, bare_start, _ = runs[False]
    every = [us for burst in bursts for us in burst]
    closes, bare_closes = (closes_of(found, followers) for _, _, found in (runs[True], runs[False]))
    accounts = followers + 3
    return [
        Finding(
            f"{followers} followers over {connections} connections, the last order of a burst",
            ms(statistics.median(max(burst) for burst in bursts)),
            f"a log in memory: {ms(statistics.median(max(burst) for burst in bare))}",
            tuple(max(burst) / max(other) for burst, other in zip(bursts, bare, strict=True)),
            "at most 1.5",
            1.5,
        ),
        Finding(
            "the same: each order, p50 and p99",
            f"{ms(quantile(every, 0.5))}, {ms(quantile(every, 0.99))}",
            f"{ms(quantile([us for burst in bare for us in burst], 0.5))} and "
            f"{ms(quantile([us for burst in bare for us in burst], 0.99))}",
        ),
        Finding(
            f"the same: a lone close in the middle of it, from the report to the socket, p50 and most of {len(closes)}",
            f"{ms(quantile(closes, 0.5))}, {ms(max(closes))}",
            f"{ms(quantile(bare_closes, 0.5))}, {ms(max(bare_closes))}",
        ),
        Finding(
            "the same: start to all accounts reconciled",
            ms(start["start_us"]),
            ms(bare_start["start_us"]),
            (start["start_us"] / bare_start["start_us"],),
        ),
        Finding(
            "the same: memory for an account, when ready and after the bursts",
            f"{start['bytes'] / accounts / 1_024:.0f} KiB, {end['bytes'] / accounts / 1_024:.0f} KiB",
            "",
        ),
        Finding(
            "the same: refusals, and the busiest second of any connection as the broker counts",
            f"{end['rate_refusals_total']}, {end['busiest_second_with_heartbeats']}",
            f"0, {LIMIT}",
            (end["busiest_second_with_heartbeats"] / LIMIT,),
            "at most 1",
            1.0 if not end["rate_refusals_total"] else 0.0,
        ),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", choices=("line", "lines"))
    parser.add_argument("--followers", type=int)
    parser.add_argument("--connections", type=int)
    parser.add_argument("--be-the-copier", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--in-memory", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.be_the_copier:
        be_the_copier(given.be_the_copier, keeps=not given.in_memory)
        return
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-"))
    found: list[Finding] = []
    try:
        if given.only != "lines":
            (folder / "line").mkdir()
            followers = given.followers or (120 if given.quick else 500)
            found += one_line(folder / "line", followers, 1 if given.quick else 3)
        if given.only != "line":
            (folder / "lines").mkdir()
            followers, connections = (200, 4) if given.quick else (5_000, 100)
            found += many_lines(
                folder / "lines",
                given.followers or followers,
                given.connections or connections,
                1 if given.quick else 3,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report("crowd", found, given.json)


if __name__ == "__main__":
    main()
