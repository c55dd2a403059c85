"""Measure the whole copy path: a leader's fill arrives at our socket, the followers' orders leave it.

The sandbox is one process on loopback TLS, `cmam start` another, the leader's terminal a third. A leader opens and
closes a position again and again; 1, 10 and 45 followers copy it, with the store's fsync before each send and without.
Beside them, on the same sandbox, the floor: a bare client that answers the same event with the same number of orders,
with no store, no decision, no limiter and no other thread. Report to socket is read from the IntentSent events that the
copier records: from the moment the reader's thread got the bytes to the moment the kernel had the order's bytes.

Absolute figures belong to the machine; the ratio to the floor and its spread over the rounds are what to compare.

    python scripts/bench/copy_path.py [--followers 1 10 45] [--trades 8] [--rounds 3] [--json] [--keep DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmam import office
from cmam.actors.runtime import Latch
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
from cmam.openapi.envelope import decode, encode
from cmam.openapi.framing import Deframer
from cmam.sandbox import control_client
from cmam.sandbox.trader import Trader
from cmam.store.log import EventLog

CLOCK = SystemClock()
LEADER = 45_000_000
SYMBOL = 1  # EURUSD of the built-in world's first broker
VOLUME = 10_000_000
READY_S = 60
WORLD = Path(office.__file__).parent / "sandbox" / "worlds" / "default.toml"
WARM = 2
"""Changes before the first that counts: one open and one close."""
BUDGET_S = 1.1
"""A burst of 45 orders spends a second's budget: the next trade waits until it is whole again."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Report to socket of one set-up, in us: of all orders, and of the last of each burst; by round."""

    name: str
    followers: int
    rounds: tuple[tuple[int, ...], ...]
    lasts: tuple[tuple[int, ...], ...]
    busiest_second: int = 0

    def p50(self) -> int:
        return _quantile([x for one in self.rounds for x in one], 0.5)


def _quantile(values: list[int], q: float) -> int:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]


# --- processes ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def sandbox(folder: Path, followers: int) -> Iterator[dict[str, Any]]:
    """A sandbox with one leader and so many followers at its first broker."""
    accounts = "".join(
        f'\n[[accounts]]\nctid = {LEADER + n}\nlogin = {8_000_000 + n}\nbroker = "Alpha Markets"\nowner = "maria"\n'
        f'currency = "USD"\nbalance = "1000000.00"\n'
        for n in range(followers + 1)
    )
    world = folder / "world.toml"
    world.write_text(WORLD.read_text() + accounts)
    home = folder / "broker"
    ready_file = home / "ready.json"
    ports = ["--port", "0", "--json-port", "0", "--oauth-port", "0"]
    more = [
        "--world",
        str(world),
        "--ready-file",
        str(ready_file),
        "--set",
        "trading_limits=off",
        "--set",
        "fill_delay_ms=40",
    ]
    with started(folder, ["--home", str(home), "sandbox", *ports, *more]) as child:
        wait_for(ready_file.exists, child, folder)
        yield control_client.read_ready_file(ready_file, home)


@contextlib.contextmanager
def started(folder: Path, arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run one of our commands until the end of the block."""
    with (folder / "said.log").open("ab") as said:
        child = subprocess.Popen([sys.executable, "-m", "cmam", *arguments], stdout=said, stderr=said)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()


def wait_for(is_so: Any, child: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait until something holds; gives up with what the process said."""
    deadline, pause = CLOCK.monotonic() + READY_S * SECOND_US, Latch()
    while not is_so():
        if child.poll() is not None or CLOCK.monotonic() > deadline:
            raise SystemExit(f"a process did not come up:\n{(folder / 'said.log').read_text()[-2_000:]}")
        pause.wait(0.02)


def configure(home: Home, ready: dict[str, Any], followers: int, durability: str) -> None:
    """What `api configure`, `account add` and `profile create` do."""
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


# --- trades ---------------------------------------------------------------------------------------------------------


def trade(trader: Trader, trades: int, gap_s: float) -> None:
    """Open and close in turn, one change each `gap_s`."""
    position = 0
    moment = int(CLOCK.monotonic())
    for number in range(trades):
        moment += int(gap_s * SECOND_US)
        trader.wait_until(moment)
        if number % 2 == 0:
            order = oa.ProtoOANewOrderReq(symbolId=SYMBOL, orderType=model.MARKET, tradeSide=model.BUY, volume=VOLUME)
            position = trader.order(order)[-1].position.positionId
        else:
            trader.close_position(position, VOLUME)


def gap_of(followers: int) -> float:
    """How long to wait between trades, so that the budget of the connection never holds an order up."""
    return max(0.15, BUDGET_S * followers / 45)


# --- the copier -----------------------------------------------------------------------------------------------------


def copier(folder: Path, ready: dict[str, Any], followers: int, durability: str, trades: int, rounds: int) -> Figures:
    """Measure cmam."""
    root = folder / f"home-{followers}-{durability}"
    home = Home(root)
    home.prepare()
    configure(home, ready, followers, durability)
    before = {entry["connection"] for entry in control_client.ask(ready, "GET", "stats")["connections"]}
    leader = next(account for account in ready["accounts"] if account["ctid"] == LEADER)
    with started(folder, ["--home", str(root), "start", "--plain"]) as child:
        wait_for(lambda: is_reconciled(home), child, folder)
        with Trader(ready, leader) as trader:
            trade(trader, WARM, max(gap_of(followers), 0.3))  # what is imported and cached at the first copy
            for _ in range(rounds):
                trade(trader, trades, gap_of(followers))
        Latch().wait(BUDGET_S)
        stats = control_client.ask(ready, "GET", "stats")
    sent = _sent(root, followers)[WARM:]
    per = [sent[number * trades : (number + 1) * trades] for number in range(rounds)]
    assert sum(map(len, per)) == rounds * trades, f"expected {rounds * trades} bursts, found {len(sent)}"
    ours = [entry for entry in stats["connections"] if entry["connection"] not in before]
    return Figures(
        f"cmam, durability {durability}",
        followers,
        tuple(tuple(us for burst in one for us in burst) for one in per),
        tuple(tuple(max(burst) for burst in one) for one in per),
        max((entry["busiest_second_with_heartbeats"] for entry in ours), default=0),
    )


def _sent(root: Path, followers: int) -> list[list[int]]:
    """Report to socket of each order, by the leader's trade: each follower answers each trade with one."""
    log = EventLog.read_only(root)
    try:
        per_follower = [
            [r.event.written_us for r in log.read_stream(f"account:{LEADER + n}") if isinstance(r.event, IntentSent)]
            for n in range(1, followers + 1)
        ]
    finally:
        log.close()
    return [list(burst) for burst in zip(*per_follower, strict=True)]


# --- the floor ------------------------------------------------------------------------------------------------------


def floor(ready: dict[str, Any], followers: int, trades: int, rounds: int) -> Figures:
    """Measure the bare client, in a process of its own."""
    document = {**{key: ready[key] for key in ("host", "port", "ca_file", "client_id", "client_secret")}}
    tokens = {
        ctid: control_client.ask(ready, "POST", "tokens", {"ctid": ctid})["access_token"]
        for ctid in range(LEADER, LEADER + followers + 1)
    }
    document |= {"tokens": tokens, "bursts": WARM + trades * rounds}
    leader = next(account for account in ready["accounts"] if account["ctid"] == LEADER)
    child = subprocess.Popen(
        [sys.executable, __file__, "--be-the-floor"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(document) + "\n")
    child.stdin.flush()
    child.stdout.readline()  # it is ready
    with Trader(ready, leader) as trader:
        trade(trader, WARM, max(gap_of(followers), 0.3))
        for _ in range(rounds):
            trade(trader, trades, gap_of(followers))
    bursts = json.loads(child.stdout.readline())[WARM:]
    child.wait()
    per = [bursts[number * trades : (number + 1) * trades] for number in range(rounds)]
    return Figures(
        "floor",
        followers,
        tuple(tuple(us for burst in one for us in burst) for one in per),
        tuple(tuple(max(burst) for burst in one) for one in per),
    )


def be_the_floor() -> None:
    """A blocking client: a fill of the leader is answered with an order for each follower, or with their closes."""
    document = json.loads(sys.stdin.readline())
    raw = socket.create_connection((document["host"], document["port"]))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line = ssl.create_default_context(cafile=document["ca_file"]).wrap_socket(raw, server_hostname=document["host"])
    tokens = {int(ctid): token for ctid, token in document["tokens"].items()}
    deframer, followers = Deframer(), [ctid for ctid in tokens if ctid != LEADER]

    def ask(message: Any) -> None:
        line.sendall(encode(message, "floor"))
        while not list(deframer.receive_data(line.recv(65_536))):
            pass

    ask(oa.ProtoOAApplicationAuthReq(clientId=document["client_id"], clientSecret=document["client_secret"]))
    for number, (ctid, token) in enumerate(tokens.items()):
        if number == len(tokens) // 2:
            Latch().wait(BUDGET_S)
        ask(oa.ProtoOAAccountAuthReq(ctidTraderAccountId=ctid, accessToken=token))
    print("ready", flush=True)
    bursts: list[list[int]] = []
    held: dict[int, int] = {}
    while len(bursts) < document["bursts"]:
        data = line.recv(65_536)
        received_us = CLOCK.monotonic()
        for body in deframer.receive_data(data):
            envelope = decode(body)
            if envelope.payload_type != 2126:
                continue
            event = oa.ProtoOAExecutionEvent.FromString(envelope.payload)
            if event.executionType != model.ORDER_FILLED:
                continue
            if event.ctidTraderAccountId != LEADER:
                held[event.ctidTraderAccountId] = event.position.positionId
                continue
            burst = []
            for follower in followers:
                request: Any
                if event.order.closingOrder:
                    request = oa.ProtoOAClosePositionReq(
                        ctidTraderAccountId=follower, positionId=held[follower], volume=VOLUME // 2
                    )
                else:
                    request = oa.ProtoOANewOrderReq(
                        ctidTraderAccountId=follower,
                        symbolId=SYMBOL,
                        orderType=model.MARKET,
                        tradeSide=event.order.tradeData.tradeSide,
                        volume=VOLUME // 2,
                        clientOrderId=f"floor-{len(bursts)}",
                    )
                line.sendall(encode(request, f"floor-{len(bursts)}"))
                burst.append(CLOCK.monotonic() - received_us)
            bursts.append(burst)
    print(json.dumps(bursts), flush=True)
    line.close()


# --- the page -------------------------------------------------------------------------------------------------------


def show(found: list[Figures]) -> None:
    """One row a set-up; ratios are of medians by round, least to most."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    print(f"{machine}; orders a set-up: {sum(map(len, found[0].rounds))} x followers\n")
    print("| followers | what | p50 ms | p99 ms | last of a burst p50 ms | to the floor | busiest second |")
    print("|---|---|---|---|---|---|---|")
    for one in found:
        base = next(other for other in found if other.followers == one.followers and other.name == "floor")
        everything = [us for part in one.rounds for us in part]
        lasts = [us for part in one.lasts for us in part]
        ratio = "1"
        if one is not base:
            ratios = [
                statistics.median(mine) / statistics.median(bare)
                for mine, bare in zip(one.lasts, base.lasts, strict=True)
            ]
            ratio = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
        print(
            f"| {one.followers} | {one.name} | {one.p50() / 1_000:.2f} | {_quantile(everything, 0.99) / 1_000:.2f} "
            f"| {_quantile(lasts, 0.5) / 1_000:.2f} | {ratio} | {one.busiest_second or ''} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--followers", type=int, nargs="+", default=[1, 10, 45])
    parser.add_argument("--durability", nargs="+", default=["full", "none"])
    parser.add_argument("--trades", type=int, default=0, help="changes a round; 0: fewer for more followers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    parser.add_argument("--be-the-floor", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.be_the_floor:
        be_the_floor()
        return
    folder = Path(given.keep or tempfile.mkdtemp(prefix="cmam-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Figures] = []
    try:
        with sandbox(folder, max(given.followers)) as ready:
            ready["folder"] = str(folder / "broker")
            for followers in given.followers:
                trades = given.trades or (8 if followers < 5 else 4 if followers < 30 else 2)
                found.append(floor(ready, followers, trades, given.rounds))
                for durability in given.durability:
                    found.append(copier(folder, ready, followers, durability, trades, given.rounds))
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if given.json:
        print(json.dumps([{"name": f.name, "followers": f.followers, "rounds": f.rounds} for f in found]))
    else:
        show(found)


if __name__ == "__main__":
    main()
