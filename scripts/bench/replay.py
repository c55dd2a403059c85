"""Measure replay: what was derived, derived again and compared, and the fold that rebuilds every account, beside only
selecting and decoding the records, none of which is kept. Short logs by processor time; a long one, which several
processes read together, by the clock on the wall.

python scripts/bench/replay.py [--trades 40] [--runs 9] [--events 200000] [--followers 5] [--quick] [--json FILE]
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import stage
from common import Finding, arguments, report
from past import grown

from cmam.config.home import Home
from cmam.sandbox.trader.trader import Trader
from cmam.store.folding.fold import fold_log
from cmam.store.logfile.log import EventLog
from cmam.store.past.crew import processors
from cmam.store.past.replay import verify
from cmam.store.past.together import Hands, fold_together, verify_together


def recorded(folder: Path, trades: int, followers: int = 5) -> Home:
    """A store in which a leader's trades were copied by some followers."""
    home = Home(folder / "home")
    with stage.sandbox(folder, followers) as ready:
        stage.configure(home, ready, followers, "none")
        with stage.copier(folder, home), Trader(ready, stage.leader_of(ready)) as trader:
            stage.trade(trader, trades, 0.2)
    return home


def rate(events: int, run: Callable[[], object]) -> float:
    """Events a second."""
    begun = time.process_time()
    run()
    return events / (time.process_time() - begun)


def measured(folder: Path, trades: int, runs: int) -> list[Finding]:
    """Replay and fold, each beside the same select and decode."""
    log = EventLog.read_only(recorded(folder, trades).root)
    events = log.position()
    kinds: dict[str, Callable[[], object]] = {
        "decode": lambda: deque(log.read_all(), maxlen=0),
        "fold": lambda: fold_log(log),
        "replay": lambda: verify(log.read_all()),
    }
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind, run in kinds.items():
            rates[kind].append(rate(events, run))
    log.close()
    beside = f"select and decode: {statistics.median(rates['decode']):,.0f} events/s"
    return [
        Finding(
            f"{kind} of {events:,} recorded events",
            f"{statistics.median(rates[kind]):,.0f} events/s",
            beside,
            tuple(a / b for a, b in zip(rates[kind], rates["decode"], strict=True)),
            "≥ 0.8 ×",
            0.8,
            is_least=True,
        )
        for kind in ("replay", "fold")
    ]


def long_measured(folder: Path, events: int, followers: int, runs: int) -> list[Finding]:
    """A long log by one process and by as many as there are processors, by turns with one that only reads."""
    folder.mkdir()
    log = EventLog.read_only(grown(folder, recorded(folder, 6, followers), events, is_past=False).root)
    count, many = processors(), Hands(least=0)
    kinds: dict[str, Callable[[], object]] = {
        "decode": lambda: deque(log.read_all(), maxlen=0),
        "fold, 1 process": lambda: fold_log(log),
        f"fold, {count} processes": lambda: fold_together(log, hands=many),
        "replay, 1 process": lambda: verify(log.read_all()),
        f"replay, {count} processes": lambda: verify_together(log, hands=many),
    }
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind, run in kinds.items():
            begun = time.perf_counter()
            run()
            took[kind].append(time.perf_counter() - begun)
    events = log.position()
    log.close()
    decode = took.pop("decode")
    return [
        Finding(
            f"{kind}, {events:,} events of {followers + 1} accounts, by the clock",
            f"{events / statistics.median(spent):,.0f} events/s (at best {events / min(spent):,.0f})",
            f"select and decode, 1 process: {events / statistics.median(decode):,.0f} events/s",
            tuple(theirs / ours for ours, theirs in zip(spent, decode, strict=True)),
            "≥ 0.8 ×",
            0.8,
            is_least=True,
        )
        for kind, spent in took.items()
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--trades", type=int, default=40)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--followers", type=int, default=5)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-"))
    try:
        trades, runs = (8, 3) if given.quick else (given.trades, given.runs)
        events, rounds = (20_000, 2) if given.quick else (given.events, max(3, runs // 2))
        findings = measured(folder, trades, runs) if trades else []
        findings += long_measured(folder / "long", events, given.followers, rounds)
        report("Replay", findings, given.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
