"""Measure copies beside a flood of quotes: 2,000 ticks a second on the copier's own connection, and hardly any.

The sandbox's walking feeds are set to tick so often; how many really arrive is counted by a subscriber of its own.

    python scripts/bench/spots.py [--ticks 2000] [--quick] [--json FILE]
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import stage
from common import Finding, arguments, ms, quantile, report

from cmam.config.home import Home
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.sandbox.trader import Trader

QUIET_MS = 2_000
FEEDS_MAX = 500
TRADES = 100


def all_symbols(trader: Trader) -> list[int]:
    """What the copier subscribes too: every symbol of the broker."""
    return sorted(trader._names)[:FEEDS_MAX]


def heard(ready: dict[str, Any], seconds: float) -> tuple[int, int]:
    """How many ticks a second a subscriber of all symbols hears, and of how many symbols."""
    with Trader(ready, stage.leader_of(ready)) as trader:
        symbols = all_symbols(trader)
        trader._call(oa.ProtoOASubscribeSpotsReq(ctidTraderAccountId=stage.LEADER, symbolId=symbols))
        end, count = stage.CLOCK.monotonic() + int(seconds * 1e6), 0
        while stage.CLOCK.monotonic() < end:
            count += sum(envelope.payload_type == 2131 for envelope in trader._received(0.1))
    return int(count / seconds), len(symbols)


def copies(folder: Path, interval_ms: int, rounds: int, trades: int) -> tuple[list[list[int]], int, int]:
    """Report to socket of one follower's orders by round, in us, and the ticks a second and symbols beside them."""
    found = []
    with stage.sandbox(folder, 1, ("--set", f"tick_interval_ms={interval_ms}")) as ready:
        ticks, symbols = heard(ready, 2.0)
        for _ in range(rounds):
            home = Home(Path(tempfile.mkdtemp(prefix="home-", dir=folder)))
            stage.configure(home, ready, 1, "full")
            with stage.copier(folder, home), Trader(ready, stage.leader_of(ready)) as trader:
                stage.trade(trader, 2, 0.3)
                stage.trade(trader, trades, 0.1)
            found.append([us for burst in stage.sent(home, 1)[2:] for us in burst])
    return found, ticks, symbols


def measured(folder: Path, ticks: int, rounds: int, trades: int) -> list[Finding]:
    """The flood beside the quiet."""
    quiet, few, symbols = copies(folder, QUIET_MS, rounds, trades)
    flood, many, _ = copies(folder, max(1, round(symbols * 1_000 / ticks)), rounds, trades)
    return [
        Finding(
            f"{what} of a copy beside {many:,} ticks/s of {symbols} symbols",
            ms(statistics.median(quantile(one, q) for one in flood)),
            f"{few:,} ticks/s: {ms(statistics.median(quantile(one, q) for one in quiet))}",
            tuple(quantile(a, q) / quantile(b, q) for a, b in zip(flood, quiet, strict=True)),
            "≤ 1.5 ×" if q == 0.99 else "",
            1.5 if q == 0.99 else None,
        )
        for what, q in (("p99", 0.99), ("p50", 0.5))
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--ticks", type=int, default=2_000, help="ticks a second")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-"))
    try:
        rounds, trades = (1, 20) if given.quick else (3, TRADES)
        report("A flood of quotes", measured(folder, given.ticks, rounds, trades), given.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
