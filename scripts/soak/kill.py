"""Kill real processes for a long time: `python scripts/soak/kill.py --kills 1000 --seed 1`.

A leader trades without a pause while the copier, the broker or both are ended by SIGKILL, at random moments and at each
named gap of a copy (`doomed.py`). After every few kills things come to rest, and the chaos checkers read the log and
the broker's books. `--late` above `--settle` shows the limit: an order that is longer under way than the settling time
counts as absent, and may be sent twice.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from doomed import GAPS
from outside import Outside
from processes import Stage

from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.options import SandboxError
from cmam.sandbox.trader import Trader
from tests.chaos import checks

LEADER, FOLLOWERS = 41_000_001, (41_000_002, 41_000_005)
LOT = 10_000_000
REST_S = 60.0
SUBSCRIBES = "2127"
NEVER_READY = "the copier was never ready"
REACH_S = 15.0
"""How long a gap may take to come before the copier is killed wherever it is."""


class Leader(threading.Thread):
    """Somebody who trades on the leader's account until told to stop, through every outage."""

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        super().__init__(daemon=True)
        self._stage, self._chance = stage, chance
        self._is_over, self._may_trade = threading.Event(), threading.Event()
        self._is_idle = threading.Event()
        self.trades: Counter[str] = Counter()

    def run(self) -> None:
        while not self._is_over.is_set():
            self._is_idle.set()
            self._may_trade.wait()
            self._is_idle.clear()
            try:
                account = next(a for a in self._stage.ready["accounts"] if a["ctid"] == LEADER)
                with Trader(self._stage.ready, account) as trader:
                    while self._may_trade.is_set():
                        self.trades[self._trade(trader)] += 1
                        self._is_over.wait(self._chance.choice((0.0, 0.0, 0.05, 0.2)))
            except (SandboxError, OSError, StopIteration):
                self._is_over.wait(0.1)

    def go(self) -> None:
        """Trade."""
        self._may_trade.set()

    def pause(self) -> None:
        """Finish what is begun, then wait."""
        self._may_trade.clear()
        self._is_idle.wait(15)

    def stop(self) -> None:
        """No more of it."""
        self._is_over.set()
        self._may_trade.set()

    def _trade(self, trader: Trader) -> str:
        chance, report = self._chance, trader.reconcile()
        held, rests = list(report.position), list(report.order)
        what = chance.choice(("open", "open", "part", "close", "move", "place", "cancel"))
        if what == "open" and len(held) < 12:
            return self._open(trader)
        if what == "place" and len(rests) < 6:
            price = round(0.9 + chance.randrange(100) / 10_000, 4)
            trader.order(
                wire.ProtoOANewOrderReq(
                    symbolId=1, orderType=model.LIMIT, tradeSide=model.BUY, volume=LOT // 10, limitPrice=price
                )
            )
            return "place"
        if what == "cancel" and rests:
            trader.cancel(chance.choice(rests).orderId)
            return "cancel"
        if not held:
            return self._open(trader)
        chosen = chance.choice(held)
        if what == "part" and chosen.tradeData.volume > 200_000:
            trader.close_position(chosen.positionId, 100_000)
            return "part"
        if what == "move":
            sign = -1 if chosen.tradeData.tradeSide == model.BUY else 1
            stop = round(chosen.price + sign * chance.randrange(300, 900) / 10_000, 4)
            request = wire.ProtoOAAmendPositionSLTPReq(positionId=chosen.positionId, stopLoss=stop)
            trader.amend_position(request)
            return "move"
        trader.close_position(chosen.positionId, chosen.tradeData.volume)
        return "close"

    def _open(self, trader: Trader) -> str:
        symbol = self._chance.choice((1, 2))
        side = self._chance.choice((model.BUY, model.SELL))
        volume = self._chance.randrange(1, 5) * 100_000
        trader.order(wire.ProtoOANewOrderReq(symbolId=symbol, orderType=model.MARKET, tradeSide=side, volume=volume))
        return "open"


def kill_once(stage: Stage, chance: random.Random, gaps: Counter[str]) -> str:
    """Kill something once, and start again what died; answers what it was."""
    victim = chance.choice(("gap", "gap", "gap", "copier", "copier", "broker", "both"))
    if victim == "gap":
        gap = min(GAPS, key=lambda name: (gaps[name], chance.random()))
        stage.kill_copier()
        stage.start_copier(gap, chance.randrange(1, 6))
        assert stage.copier is not None
        deadline = time.monotonic() + REACH_S
        while stage.copier.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        is_reached = stage.copier.poll() is not None
        stage.kill_copier()
        stage.start_copier()
        gaps[gap] += is_reached
        return f"gap {gap}" if is_reached else "copier"
    time.sleep(chance.random() * 2.0)
    if victim in ("copier", "both"):
        stage.kill_copier()
    if victim in ("broker", "both"):
        stage.kill_broker()
        stage.start_broker()
    if victim in ("copier", "both"):
        stage.start_copier()
    return victim


def come_to_rest(stage: Stage, leader: Leader) -> list[str]:
    """Pause the trading, wait for quiet, and hold what is there against the laws; answers what they say."""
    leader.pause()
    deadline, problems = time.monotonic() + REST_S, [NEVER_READY]
    while time.monotonic() < deadline:
        if stage.copier is None or stage.copier.poll() is not None:
            stage.start_copier()
        if stage.is_ready():
            problems = look(stage, checks.at_rest)
            if not problems:
                break
        time.sleep(0.25)
    laws = (checks.nothing_twice, checks.nothing_lost, checks.at_rest, checks.sized, checks.protected, checks.explained)
    stage.count()
    found = [problem for law in laws for problem in look(stage, law)]
    return found + (problems if NEVER_READY in problems else [])


def look(stage: Stage, law: Any) -> list[str]:
    """What one law says now, as sentences."""
    try:
        law(outside(stage))
    except AssertionError as error:
        return [f"{law.__name__}: {error}"[:400]]
    return []


def outside(stage: Stage) -> Outside:
    """What can be read from outside."""
    return Outside(stage.home, stage.state_file, stage.counted, (LEADER, *FOLLOWERS))


def judged_at_the_end(stage: Stage) -> list[str]:
    """The slower laws, once: the chains, the replay, and the rate as the broker counted it."""
    problems = look(stage, checks.replayable)
    busiest = [
        connection["busiest_second_with_heartbeats"]
        for stats in stage.counted
        for connection in stats["connections"]
        if SUBSCRIBES in connection["requests_by_type"]  # ours, and not the leader's terminal
    ]
    print(f"busiest second as the brokers counted: {max(busiest, default=0)}")
    return problems + ([f"polite: {max(busiest)} requests in one second"] if max(busiest, default=0) > 50 else [])


def soak(options: argparse.Namespace, folder: Path) -> int:
    """Run it all; answers how many violations there were."""
    chance = random.Random(options.seed)
    stage = Stage(folder, options.settle, options.late, options.fill_ms)
    names = [str(account) for account in FOLLOWERS]
    create = ["profile", "create", "soak", "--leader", str(LEADER)]
    create += [word for name in names for word in ("--follower", name)]
    stage.set_up([[*create, "--set", "max_age=10m"]])
    leader = Leader(stage, random.Random(f"{options.seed}:leader"))
    kills: Counter[str] = Counter()
    gaps: Counter[str] = Counter()
    violations: list[str] = []
    began = time.monotonic()
    try:
        stage.start_copier()
        leader.start()
        while sum(kills.values()) < options.kills:
            leader.go()
            for _ in range(min(options.round, options.kills - sum(kills.values()))):
                kills[kill_once(stage, chance, gaps)] += 1
            found = come_to_rest(stage, leader)
            violations += found
            done = sum(kills.values())
            took = time.monotonic() - began
            print(f"{done:5d} kills, {took:6.0f} s, violations {len(violations)}", *found, flush=True)
        violations += judged_at_the_end(stage)
        executed = sum(1 for account in FOLLOWERS for order in outside(stage).orders(account) if order.executed)
        violations += [] if executed else ["nothing was copied at all"]
    finally:
        leader.stop()
        stage.end()
    print(f"seed {options.seed}, settle {options.settle} s, late {options.late} s, {time.monotonic() - began:.0f} s")
    print(f"kills: {dict(sorted(kills.items()))}")
    print(f"leader: {dict(sorted(leader.trades.items()))}; orders executed on followers: {executed}")
    print(f"violations: {len(violations)}", *violations, sep="\n  ")
    return len(violations)


def main() -> None:
    """Read the options, run, and exit with 1 where a law was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--settle", type=int, default=1, help="the copier's settling time, in seconds")
    parser.add_argument("--late", type=float, default=0.1, help="how long a request is under way, in seconds")
    parser.add_argument("--fill-ms", type=int, default=40, help="how long the broker takes for a fill")
    parser.add_argument("--round", type=int, default=10, help="kills between two looks at the laws")
    parser.add_argument("--keep", type=Path, help="a folder to work in and to leave as it is at the end")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="cmam-kill-"))
    try:
        violations = soak(options, folder)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
