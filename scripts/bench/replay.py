"""Measure replay: what was derived, derived again and compared, and the fold that rebuilds every account, beside only
selecting and decoding the records, none of which is kept.

python scripts/bench/replay.py [--trades 40] [--runs 9] [--quick] [--json FILE]
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

from cmam.config.home import Home
from cmam.sandbox.trader import Trader
from cmam.store.fold import fold_log
from cmam.store.log import EventLog
from cmam.store.replay import verify


def recorded(folder: Path, trades: int) -> Home:
    """A store in which a leader's trades were copied by five followers."""
    home = Home(folder / "home")
    with stage.sandbox(folder, 5) as ready:
        stage.configure(home, ready, 5, "none")
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


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--trades", type=int, default=40)
    parser.add_argument("--runs", type=int, default=9)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-"))
    try:
        trades, runs = (8, 3) if given.quick else (given.trades, given.runs)
        report("Replay", measured(folder, trades, runs), given.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
