"""Measure cmam beside ten-line copiers on other people's clients: without a store, a decision, a limiter or a record.

All on the same sandbox, seen from outside by one observer on a connection of its own: from the leader's fill to the
acceptance of the follower's order, as the broker tells both. What the sandbox itself takes is in every figure. Clients
that this machine cannot set up are SKIPPED with the reason (`tests/conformance/set_up_clients.py` sets them up).

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
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import stage
from common import Finding, arguments, ms, report, skipped

from cmam.actors.runtime import Latch
from cmam.config.home import Home
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox import control_client
from cmam.sandbox.trader import Trader

HERE = Path(__file__).parent
FOLLOWER = stage.LEADER + 1
PAUSE_S = 0.3


class Observer:
    """A connection that sees the leader's fills and what the broker says to the follower's orders."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.gaps: list[int] = []
        self._filled_us = 0
        self._stops = threading.Event()
        self._line = Trader(ready, stage.leader_of(ready))
        token = control_client.ask(ready, "POST", "tokens", {"ctid": FOLLOWER})["access_token"]
        self._line._call(oa.ProtoOAAccountAuthReq(ctidTraderAccountId=FOLLOWER, accessToken=token))
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stops.is_set():
            for envelope in self._line._received(0.2):
                now = stage.CLOCK.monotonic()
                if envelope.payload_type == 2126:
                    self._see(oa.ProtoOAExecutionEvent.FromString(envelope.payload), now)

    def _see(self, event: oa.ProtoOAExecutionEvent, now: int) -> None:
        if event.ctidTraderAccountId == stage.LEADER and event.executionType == model.ORDER_FILLED:
            self._filled_us = now
        elif event.ctidTraderAccountId == FOLLOWER and event.executionType == model.ORDER_ACCEPTED and self._filled_us:
            self.gaps.append(now - self._filled_us)
            self._filled_us = 0

    def stop(self) -> None:
        """Look no more."""
        self._stops.set()
        self._thread.join()
        self._line.close()


def measured(ready: dict[str, Any], trades: int, pause_s: float) -> list[int]:
    """From the leader's fill to the follower's acceptance, in us, of so many changes; the first two warm up."""
    observer = Observer(ready)
    with Trader(ready, stage.leader_of(ready)) as trader:
        stage.trade(trader, 2, 2.5)
        Latch().wait(1.5)
        observer.gaps.clear()
        stage.trade(trader, trades, pause_s)
        Latch().wait(2.0)
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


PEERS = (
    ("the leanest wire layer, blocking", None, "bare.py", ""),
    ("official Python SDK as shipped", "python-sdk", "python_sdk.py", ""),
    ("official Python SDK, its queue bypassed", "python-sdk", "python_sdk.py", "bypass"),
    ("asyncio client from PyPI", "asyncio-client", "asyncio_client.py", ""),
    ("Node client", "node-layer", "node_layer.js", ""),
)


def of_peer(ready: dict[str, Any], folder: Path, client: str | None, script: str, more: str, trades: int) -> list[int]:
    """What a peer's copier takes; raises LookupError where it cannot be had or does not copy."""
    command, home = ([sys.executable], None) if client is None else set_up(client)
    with peer([*command, str(HERE / "copiers" / script), *([more] if more else [])], ready, folder, home):
        gaps = measured(ready, trades, 1.3 if client == "python-sdk" and not more else PAUSE_S)
    if len(gaps) < trades // 2:
        raise LookupError(f"it copied {len(gaps)} of {trades} changes")
    return gaps


def of_cmam(ready: dict[str, Any], folder: Path, durability: str, trades: int) -> list[int]:
    """What cmam takes, seen from the same place."""
    home = Home(Path(tempfile.mkdtemp(prefix=f"home-{durability}-", dir=folder)))
    stage.configure(home, ready, 1, durability)
    with stage.copier(folder, home):
        return measured(ready, trades, PAUSE_S)


def rows(folder: Path, trades: int, rounds: int) -> list[Finding]:
    """Everybody in turn, round by round, so that a busy moment hits all."""
    ours: dict[str, list[list[int]]] = {"full": [], "none": []}
    theirs: dict[str, list[list[int]]] = {}
    missing: dict[str, str] = {}
    with stage.sandbox(folder, 1) as ready:
        for _ in range(rounds):
            for durability, found in ours.items():
                found.append(of_cmam(ready, folder, durability, trades))
            for name, client, script, more in PEERS:
                if name in missing:
                    continue
                try:
                    theirs.setdefault(name, []).append(of_peer(ready, folder, client, script, more, trades))
                except LookupError as reason:
                    missing[name] = str(reason)
    return [row for durability in ours for row in _beside(durability, ours[durability], theirs, missing)]


def _beside(
    durability: str, ours: list[list[int]], theirs: dict[str, list[list[int]]], missing: dict[str, str]
) -> Iterator[Finding]:
    what = "fsync" if durability == "full" else "no fsync"
    for name, _, _, _ in PEERS:
        row = f"fill to acceptance, {what}, beside: {name}"
        if name in missing:
            yield skipped(row, missing[name])
            continue
        ratios = tuple(statistics.median(a) / statistics.median(b) for a, b in zip(ours, theirs[name], strict=True))
        must = durability == "none" or name not in (PEERS[0][0], PEERS[2][0])
        yield Finding(
            row,
            ms(statistics.median(x for one in ours for x in one)),
            ms(statistics.median(x for one in theirs[name] for x in one)),
            ratios,
            "ahead" if must else "",
            1.0 if must else None,
        )


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--trades", type=int, default=20, help="changes a round")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-"))
    try:
        found = rows(folder, 6 if given.quick else given.trades, 1 if given.quick else 3)
        report("Beside other people's clients", found, given.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
