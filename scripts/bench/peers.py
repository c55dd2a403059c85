"""Measure cmam beside ten-line copiers on other people's clients: without a store, a decision, a limiter or a record.

All on the same sandbox, seen from outside by one observer on a connection of its own: from the leader's fill to the
acceptance of the follower's order, as the broker tells both. What the sandbox itself takes is in every figure. Once
with a pause between the leader's changes, once back to back: the next as soon as the copy of the one before has filled.
Clients that this machine cannot set up are SKIPPED with the reason (`tests/conformance/set_up_clients.py`).

    python scripts/bench/peers.py [--trades 20] [--quick] [--json FILE]
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import stage
from common import Finding, arguments, ms, report, skipped
from copy_path import IN_A_ROW, MORE_US, insert_us
from observer import FOLLOWER, Observer

from cmam.actors.threads.runtime import Latch
from cmam.config.home import Home
from cmam.sandbox.trader import control_client
from cmam.sandbox.trader.trader import Trader

HERE = Path(__file__).parent
PAUSE_S = 0.3


def measured(ready: dict[str, Any], trades: int, pause_s: float) -> list[int]:
    """From the leader's fill to the follower's acceptance, in us, of so many changes; the first two warm up.

    Without a pause an open follows as soon as the copy of the one before it has filled; raises LookupError.
    """
    observer = Observer(ready)
    try:
        with Trader(ready, stage.leader_of(ready)) as trader:
            stage.trade(trader, 2, 2.5)
            Latch().wait(1.5)
            observer.begin()
            if pause_s:
                stage.trade(trader, trades, pause_s)
            else:
                stage.trade(trader, trades, 0.0, only_opens=True, after_each=observer.wait_for_copy)
            Latch().wait(2.0)
    finally:
        observer.stop()
    return observer.gaps


def set_up(name: str) -> tuple[list[str], Path]:
    """A client's command and folder; raises LookupError with the reason where it cannot be had."""
    file = HERE.parents[1] / "tests" / "conformance" / "set_up_clients.py"
    spec = importlib.util.spec_from_file_location("set_up_clients", file)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules["set_up_clients"] = module
    spec.loader.exec_module(module)
    client = next(client for client in module.CLIENT_LIST if client.name == name)
    try:
        return module.set_up(client), client.folder
    except module.NotToBeHad as reason:
        raise LookupError(str(reason)) from None


@contextlib.contextmanager
def peer(command: list[str], ready: dict[str, Any], folder: Path, client_folder: Path | None = None) -> Iterator[None]:
    """Run a peer's copier until the end of the block."""
    both = (stage.LEADER, FOLLOWER)
    token = {n: control_client.ask(ready, "POST", "tokens", {"ctid": n})["access_token"] for n in both}
    work = {key: ready[key] for key in ("host", "port", "ca_file", "client_id", "client_secret")}
    work |= {"leader": stage.LEADER, "follower": FOLLOWER, "symbol": stage.SYMBOL, "volume": stage.VOLUME // 2}
    work |= {"leader_token": token[stage.LEADER], "follower_token": token[FOLLOWER]}
    file = folder / "work.json"
    file.write_text(json.dumps(work))
    environment = {
        **os.environ,
        "SSL_CERT_FILE": str(ready["ca_file"]),
        "NODE_EXTRA_CA_CERTS": str(ready["ca_file"]),
        "CLIENT_FOLDER": str(client_folder or ""),
    }
    said = (folder / "peer.log").open("ab")
    child = subprocess.Popen(
        [command[0], *command[1:2], str(file), *command[2:]], env=environment, stdout=subprocess.PIPE, stderr=said
    )
    try:
        assert child.stdout is not None
        if child.stdout.readline().strip() != b"ready":
            raise LookupError(f"it does not run here: {(folder / 'peer.log').read_text()[-160:].strip()!r}")
        yield
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        said.close()


@dataclass(frozen=True)
class Peer:
    """A copier of ten lines: whose client, in which script, and with what further argument."""

    name: str
    client: str | None
    script: str
    more: str = ""


LEANEST = Peer("the leanest wire layer, blocking", None, "bare.py")
AS_SHIPPED = Peer("official Python SDK as shipped", "python-sdk", "python_sdk.py")
BYPASSED = Peer("official Python SDK, its queue bypassed", "python-sdk", "python_sdk.py", "bypass")
ASYNCIO = Peer("asyncio client from PyPI", "asyncio-client", "asyncio_client.py")
NODE = Peer("Node client", "node-layer", "node_layer.js")


@dataclass(frozen=True)
class Pace:
    """How the leader trades: `changes` a round with a pause of `pause_s` between them, or none."""

    what: str
    changes: int
    pause_s: float
    peers: tuple[Peer, ...]
    options: tuple[str, ...] = ()

    def pause_of(self, peer: Peer) -> float:
        """The pause for one peer: what is sent once a second cannot be asked for more."""
        return 1.3 if peer is AS_SHIPPED else self.pause_s


@dataclass
class Seen:
    """What was measured, round by round in us: ours by durability, theirs by name, and who could not be."""

    ours: dict[str, list[list[int]]]
    theirs: dict[str, list[list[int]]]
    missing: dict[str, str]
    insert: list[float]


def of_peer(ready: dict[str, Any], folder: Path, whose: Peer, pace: Pace) -> list[int]:
    """What a peer's copier takes; raises LookupError where it cannot be had or does not copy."""
    command, home = ([sys.executable], None) if whose.client is None else set_up(whose.client)
    script = [str(HERE / "copiers" / whose.script), *([whose.more] if whose.more else [])]
    with peer([*command, *script], ready, folder, home):
        gaps = measured(ready, pace.changes, pace.pause_of(whose))
    if len(gaps) < pace.changes // 2:
        raise LookupError(f"it copied {len(gaps)} of {pace.changes} changes")
    return gaps


def of_cmam(ready: dict[str, Any], folder: Path, durability: str, pace: Pace) -> tuple[list[int], Path]:
    """What cmam takes, seen from the same place; and the folder of its log."""
    home = Home(Path(tempfile.mkdtemp(prefix=f"home-{durability}-", dir=folder)))
    stage.configure(home, ready, 1, durability)
    with stage.copier(folder, home):
        return measured(ready, pace.changes, pace.pause_s), home.root


def rows(folder: Path, pace: Pace, rounds: int) -> list[Finding]:
    """Everybody in turn, round by round, so that a busy moment hits all."""
    seen = Seen({"full": [], "none": []}, {}, {}, [])
    for _ in range(rounds):
        for durability, found in seen.ours.items():
            with stage.sandbox(folder, 1, pace.options) as ready:
                gaps, home = of_cmam(ready, folder, durability, pace)
            found.append(gaps)
            if durability == "full":
                seen.insert += insert_us(folder, home, 1, 40)
        for peer in pace.peers:
            if peer.name in seen.missing:
                continue
            try:
                with stage.sandbox(folder, 1, pace.options) as ready:
                    seen.theirs.setdefault(peer.name, []).append(of_peer(ready, folder, peer, pace))
            except LookupError as reason:
                seen.missing[peer.name] = str(reason)
    return [row for durability in seen.ours for row in _beside(pace, durability, seen)]


def _beside(pace: Pace, durability: str, seen: Seen) -> Iterator[Finding]:
    c_us = statistics.median(seen.insert) if durability == "full" else 0.0
    for peer in pace.peers:
        row = f"{pace.what}, {'fsync' if c_us else 'no fsync'}, beside: {peer.name}"
        if peer.name in seen.missing:
            yield skipped(row, seen.missing[peer.name])
            continue
        both = list(zip(seen.ours[durability], seen.theirs[peer.name], strict=True))
        their = statistics.median(x for _, one in both for x in one)
        beside, more_us, goal = ms(their), 0.0, "ahead"
        if not pace.pause_s and peer is LEANEST:
            more_us = c_us + MORE_US
            goal = "≤ the leanest + C + 0.2 ms" if c_us else "≤ the leanest + 0.2 ms"
            beside = f"{ms(their)}, C {ms(c_us)}" if c_us else ms(their)
        elif not pace.pause_s or (c_us and peer in (LEANEST, BYPASSED)):
            goal = ""
        yield Finding(
            row,
            ms(statistics.median(x for one, _ in both for x in one)),
            beside,
            tuple(statistics.median(a) / (statistics.median(b) + more_us) for a, b in both),
            goal,
            1.0 if goal else None,
        )


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--trades", type=int, default=20, help="changes a round, with a pause between them")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-"))
    trades, rounds = (6, 1) if given.quick else (given.trades, 3)
    paces = (
        Pace("fill to acceptance", trades, PAUSE_S, (LEANEST, AS_SHIPPED, BYPASSED, ASYNCIO, NODE)),
        Pace("back to back", IN_A_ROW, 0.0, (LEANEST, BYPASSED, ASYNCIO, NODE), ("--set", "fill_delay_ms=0")),
    )
    try:
        found = [row for pace in paces for row in rows(folder, pace, rounds)]
        report("Beside other people's clients", found, given.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
