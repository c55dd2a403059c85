"""Measure the way of a copy: the leader's fill arrives at our socket, the followers' orders leave it.

The sandbox is one process on loopback TLS, `cmam start` another, the leader's terminal a third. Beside it stand F, a
blocking client on the same sandbox that answers the same event with the same orders and does nothing else, and C, one
insert of the records of one such trade by sqlite3 alone, with fsync. From report to socket is read from the IntentSent
events that the copier records: from the moment the reader's thread got the bytes until the kernel had the order's.

    python scripts/bench/copy_path.py [--followers 1 45] [--rounds 5] [--quick] [--json FILE]
"""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import stage
from common import Finding, arguments, ms, quantile, report
from observer import Observer

from cmam.actors.threads.runtime import Latch
from cmam.config.home import Home
from cmam.domain.events import ChangeDecided, ExecutionSeen, IntentRecorded
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.envelope import decode, encode
from cmam.openapi.framing import Deframer
from cmam.sandbox.trader import control_client
from cmam.sandbox.trader.trader import Trader
from cmam.store.logfile import database
from cmam.store.logfile.log import EventLog

WARM = 2
"""Changes before the first that counts: one open and one close."""
ROUND = 40
"""Trades of a round with one follower: a p99 of fewer than a hundred would be the slowest of all."""
IN_A_ROW = 40
"""Back to back: as many changes as a second's budget lets through without a pause."""
MORE_US = 200
"""What a copier that decides and records may take, back to back, besides one insert and what the bare client takes."""
Rounds = list[list[list[int]]]
"""By round, by trade: from report to socket of each follower's order, in us."""
Row = tuple[str, int, str, bytes]
"""A record as it lies in the log's table."""


@dataclass(frozen=True)
class Case:
    """How many follow, how many trades a round, and how long the leader pauses between them.

    Without a pause he opens as soon as his own order has filled, or, `in_turn`, as soon as its first copy has.
    """

    followers: int
    trades: int
    gap_s: float
    rounds: int
    in_turn: bool = False

    def play(self, ready: dict[str, Any]) -> None:
        """Warm up, then trade round by round; a budget that a round has spent is whole again before the next."""
        observer = Observer(ready) if self.in_turn else None
        with Trader(ready, stage.leader_of(ready)) as trader:
            stage.trade(trader, WARM, max(self.gap_s, 0.3))
            for _ in range(self.rounds):
                Latch().wait(stage.BUDGET_S)
                if observer is not None:
                    observer.begin()
                after_each = observer.wait_for_copy if observer is not None else Latch
                stage.trade(trader, self.trades, self.gap_s, only_opens=not self.gap_s, after_each=after_each)
            Latch().wait(stage.BUDGET_S)
        if observer is not None:
            observer.stop()

    def by_round(self, bursts: list[list[int]]) -> Rounds:
        """What was measured without the first, round by round."""
        counted = bursts[WARM:]
        assert len(counted) == self.trades * self.rounds, f"expected {self.trades * self.rounds}, found {len(counted)}"
        return [counted[n * self.trades : (n + 1) * self.trades] for n in range(self.rounds)]


# --- the copier -----------------------------------------------------------------------------------------------------


def ours(folder: Path, ready: dict[str, Any], case: Case, durability: str) -> tuple[Rounds, Path]:
    """Measure cmam; answers the folder of its log too."""
    home = Home(Path(tempfile.mkdtemp(prefix=f"home-{case.followers}-{durability}-", dir=folder)))
    stage.configure(home, ready, case.followers, durability)
    with stage.copier(folder, home):
        case.play(ready)
    return case.by_round(stage.sent(home, case.followers)), home.root


# --- C: one insert of the same records --------------------------------------------------------------------------------


def last_batch(home: Path, followers: int) -> list[Row]:
    """What one transaction of the last trade holds: the leader's fact, and each follower's decision and request."""
    log = EventLog.read_only(home)
    try:
        rows = [(row.stream, row.version, row.topic, row.state) for row in log.raw()]
    finally:
        log.close()
    decided = [place for place, row in enumerate(rows) if row[2] in (ChangeDecided.TOPIC, IntentRecorded.TOPIC)]
    counted, leader = decided[-2 * followers :], f"account:{stage.LEADER}"
    told = next(row for row in reversed(rows[: counted[0]]) if (row[0], row[2]) == (leader, ExecutionSeen.TOPIC))
    return [told, *(rows[place] for place in counted)]


def insert_us(folder: Path, home: Path, followers: int, runs: int) -> list[float]:
    """How long sqlite3 takes for the records of one trade in one transaction with fsync, in us."""
    batch = last_batch(home, followers)
    file = folder / "inserts.db"
    file.unlink(missing_ok=True)
    bare = sqlite3.connect(file, isolation_level=None)
    bare.execute("PRAGMA journal_mode=WAL")
    bare.execute("PRAGMA synchronous=FULL")
    bare.execute("PRAGMA wal_autocheckpoint=0")
    bare.execute(f"CREATE TABLE {database.TABLE} (a TEXT, b INTEGER, c TEXT, d BLOB, PRIMARY KEY (a, b))")
    found = []
    for run in range(runs):
        moved = [(f"{stream}.{run}", version, topic, state) for stream, version, topic, state in batch]
        begun = time.perf_counter()
        bare.execute("BEGIN IMMEDIATE")
        bare.executemany(f"INSERT INTO {database.TABLE} VALUES (?,?,?,?)", moved)
        bare.execute("COMMIT")
        found.append((time.perf_counter() - begun) * 1e6)
        Latch().wait(0.005)
    bare.close()
    return found


# --- F: the floor ---------------------------------------------------------------------------------------------------


def floor(ready: dict[str, Any], case: Case) -> Rounds:
    """Measure the bare client, in a process of its own."""
    document = {key: ready[key] for key in ("host", "port", "ca_file", "client_id", "client_secret")}
    cast = range(stage.LEADER, stage.LEADER + case.followers + 1)
    tokens = {ctid: control_client.ask(ready, "POST", "tokens", {"ctid": ctid})["access_token"] for ctid in cast}
    document |= {"tokens": tokens, "bursts": WARM + case.trades * case.rounds}
    child = subprocess.Popen(
        [sys.executable, __file__, "--be-the-floor"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(document) + "\n")
    child.stdin.flush()
    child.stdout.readline()  # it is ready
    case.play(ready)
    bursts = json.loads(child.stdout.readline())
    child.wait()
    return case.by_round(bursts)


def be_the_floor() -> None:
    """A blocking client: a fill of the leader is answered with an order for each follower, or with their closes."""
    document = json.loads(sys.stdin.readline())
    raw = socket.create_connection((document["host"], document["port"]))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line = ssl.create_default_context(cafile=document["ca_file"]).wrap_socket(raw, server_hostname=document["host"])
    tokens = {int(ctid): token for ctid, token in document["tokens"].items()}
    deframer, followers = Deframer(), [ctid for ctid in tokens if ctid != stage.LEADER]

    def ask(message: Any) -> None:
        line.sendall(encode(message, "floor"))
        while not list(deframer.receive_data(line.recv(65_536))):
            pass

    ask(oa.ProtoOAApplicationAuthReq(clientId=document["client_id"], clientSecret=document["client_secret"]))
    for number, (ctid, token) in enumerate(tokens.items()):
        if number == len(tokens) // 2:
            Latch().wait(stage.BUDGET_S)
        ask(oa.ProtoOAAccountAuthReq(ctidTraderAccountId=ctid, accessToken=token))
    print("ready", flush=True)
    bursts: list[list[int]] = []
    held: dict[int, int] = {}
    while len(bursts) < document["bursts"]:
        data = line.recv(65_536)
        received_us = stage.CLOCK.monotonic()
        for body in deframer.receive_data(data):
            envelope = decode(body)
            if envelope.payload_type != 2126:
                continue
            event = oa.ProtoOAExecutionEvent.FromString(envelope.payload)
            if event.ctidTraderAccountId != stage.LEADER:
                held[event.ctidTraderAccountId] = event.position.positionId
            elif event.executionType == model.ORDER_FILLED:
                bursts.append(_answer(line, event, followers, held, received_us, f"floor-{len(bursts)}"))
    print(json.dumps(bursts), flush=True)
    line.close()


def _answer(
    line: ssl.SSLSocket, event: Any, followers: list[int], held: dict[int, int], received_us: int, name: str
) -> list[int]:
    burst = []
    for follower in followers:
        request: Any
        if event.order.closingOrder:
            request = oa.ProtoOAClosePositionReq(
                ctidTraderAccountId=follower, positionId=held[follower], volume=stage.VOLUME // 2
            )
        else:
            request = oa.ProtoOANewOrderReq(
                ctidTraderAccountId=follower,
                symbolId=stage.SYMBOL,
                orderType=model.MARKET,
                tradeSide=event.order.tradeData.tradeSide,
                volume=stage.VOLUME // 2,
                clientOrderId=name,
            )
        line.sendall(encode(request, name))
        burst.append(stage.CLOCK.monotonic() - received_us)
    return burst


# --- the rows -------------------------------------------------------------------------------------------------------


def p50(rounds: Rounds) -> list[float]:
    """The median of each round."""
    return [statistics.median(us for burst in one for us in burst) for one in rounds]


def p99(rounds: Rounds) -> float:
    """Over all rounds."""
    return quantile([us for one in rounds for burst in one for us in burst], 0.99)


def lasts(rounds: Rounds) -> list[float]:
    """The median of each round's last orders."""
    return [statistics.median(max(burst) for burst in one) for one in rounds]


def rows_of_one(bare: Rounds, full: Rounds, none: Rounds, insert: list[float]) -> list[Finding]:
    """One follower: against F and C."""
    c50, c99 = statistics.median(insert), quantile(insert, 0.99)
    f50, f99 = statistics.median(p50(bare)), p99(bare)
    most = 3 * f99 + 3 * c99
    return [
        Finding(
            "1 follower, fsync: p50",
            ms(statistics.median(p50(full))),
            f"F {ms(f50)}, C {ms(c50)}",
            tuple(a / (2 * b + c50) for a, b in zip(p50(full), p50(bare), strict=True)),
            "≤ 2 F + C",
            1.0,
        ),
        Finding(
            f"1 follower, fsync: p99 of {sum(map(len, full))} changes",
            ms(p99(full)),
            f"F {ms(f99)}, C {ms(c99)}",
            (p99(full) / most,),
            "≤ 3 F + 3 C",
            1.0,
        ),
        Finding(
            "1 follower, no fsync: p50",
            ms(statistics.median(p50(none))),
            f"F {ms(f50)}",
            tuple(a / b for a, b in zip(p50(none), p50(bare), strict=True)),
        ),
    ]


def rows_of_many(bare: Rounds, full: Rounds, none: Rounds, insert: list[float], followers: int) -> list[Finding]:
    """A burst: the last order against C and as many bare writes."""
    c50 = statistics.median(insert)
    found = []
    for name, rounds in (("fsync", full), ("no fsync", none)):
        cost = c50 if rounds is full else 0.0
        found.append(
            Finding(
                f"{followers} followers, {name}: last order of a burst",
                f"{ms(statistics.median(lasts(rounds)))} (median order {ms(statistics.median(p50(rounds)))})",
                f"{f'C {ms(c50)}, ' if cost else ''}{followers} bare writes {ms(statistics.median(lasts(bare)))}",
                tuple(a / (cost + b) for a, b in zip(lasts(rounds), lasts(bare), strict=True)),
                "≤ 2 × (C + writes)" if cost else "",
                2.0 if cost else None,
            )
        )
    return found


def row_back_to_back(bare: Rounds, full: Rounds, insert: list[float], *, in_turn: bool) -> Finding:
    """No pause in which anything could go to sleep: each open after the copy of the one before, or all at once."""
    c50 = statistics.median(insert)
    return Finding(
        f"1 follower, fsync, {IN_A_ROW} opens "
        + ("back to back, each after the copy of the one before" if in_turn else "as fast as the leader's fill")
        + ": p50",
        ms(statistics.median(p50(full))),
        f"F {ms(statistics.median(p50(bare)))}, C {ms(c50)}",
        tuple(a / (b + c50 + MORE_US) for a, b in zip(p50(full), p50(bare), strict=True)),
        "≤ F + C + 0.2 ms" if in_turn else "",
        1.0 if in_turn else None,
    )


def measured(folder: Path, followers: list[int], rounds: int, trades: int) -> list[Finding]:
    """All rows; with few followers so many trades a round."""
    found: list[Finding] = []
    with stage.sandbox(folder, max(followers)) as ready:
        for count in followers:
            case = Case(count, trades if count < 5 else 2, stage.gap_of(count), rounds)
            bare = floor(ready, case)
            full, home = ours(folder, ready, case, "full")
            none, _ = ours(folder, ready, case, "none")
            insert = insert_us(folder, home, count, 40)
            if count == 1:
                found += rows_of_one(bare, full, none, insert)
            else:
                found += rows_of_many(bare, full, none, insert, count)
    for in_turn in (True, False):
        with stage.sandbox(folder, 1, ("--set", "fill_delay_ms=0")) as ready:
            case = Case(1, IN_A_ROW, 0.0, max(1, rounds // 2), in_turn=in_turn)
            bare = floor(ready, case)
            full, home = ours(folder, ready, case, "full")
            found.append(row_back_to_back(bare, full, insert_us(folder, home, 1, 40), in_turn=in_turn))
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--followers", type=int, nargs="+", default=[1, 45])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--be-the-floor", action="store_true", help="the bare client that everything is held against")
    given = parser.parse_args()
    if given.be_the_floor:
        be_the_floor()
        return
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-"))
    try:
        rounds, trades = (2, 8) if given.quick else (given.rounds, ROUND)
        report("The way of a copy", measured(folder, given.followers, rounds, trades), given.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
