"""Measure copies beside a flood of quotes: 2,000 ticks a second of hundreds of symbols on the copier's own connection.

Quiet and flood take turns, each with a sandbox and a copier of its own, so that what else the machine does falls on
both alike; a round is one of each. How many ticks really arrive is counted by a subscriber of its own.

    python scripts/bench/spots.py [--ticks 2000] [--symbols 300] [--rounds 6] [--quick] [--json FILE]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import stage
from common import Finding, arguments, ms, quantile, report

from cmam.config.home import Home
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.sandbox.trader.trader import Trader

QUIET_MS = 8_000  # below the age at which a quote no longer counts
FEEDS_MAX = 500
BUILT_IN = 13
TRADES = 100
WARM = 10


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


def copies(folder: Path, symbols: int, ticks: int, trades: int) -> tuple[list[int], tuple[int, int]]:
    """Report to socket of one follower's orders in us, and the ticks a second and symbols beside them."""
    folder.mkdir()
    interval_ms = max(1, round((symbols + BUILT_IN) * 1_000 / ticks)) if ticks else QUIET_MS
    with stage.sandbox(folder, 1, ("--set", f"tick_interval_ms={interval_ms}"), symbols=symbols) as ready:
        beside = heard(ready, 2.0)
        home = Home(folder / "home")
        stage.configure(home, ready, 1, "full")
        with stage.copier(folder, home), Trader(ready, stage.leader_of(ready)) as trader:
            stage.trade(trader, WARM, 0.1)
            stage.trade(trader, trades, 0.1)
        spans = [us for burst in stage.sent(home, 1)[WARM:] for us in burst]
    return spans, beside


def measured(folder: Path, symbols: int, ticks: int, rounds: int, trades: int) -> list[Finding]:
    """The flood beside the quiet."""
    found: dict[bool, list[list[int]]] = {True: [], False: []}
    heard_of = {True: (0, 0), False: (0, 0)}
    for number in range(rounds):
        for is_flood in (number % 2 == 0, number % 2 == 1):  # neither is always the first
            part = folder / f"{number}-{'flood' if is_flood else 'quiet'}"
            spans, heard_of[is_flood] = copies(part, symbols, ticks if is_flood else 0, trades)
            found[is_flood].append(spans)
    many, count = heard_of[True]
    few, _ = heard_of[False]
    rows = []
    for what, q in (("p99", 0.99), ("p90", 0.9), ("p50", 0.5)):
        pooled = {kind: quantile([us for spans in found[kind] for us in spans], q) for kind in found}
        goal = ("≤ 1.5 ×", 1.5) if what == "p99" else ("", None)
        rows.append(
            Finding(
                f"{what} of {rounds * trades} copies beside {many:,} ticks/s of {count} symbols",
                ms(pooled[True]),
                f"{few:,} ticks/s: {ms(pooled[False])}",
                tuple(quantile(a, q) / quantile(b, q) for a, b in zip(found[True], found[False], strict=True)),
                *goal,
            )
        )
        rows.append(Finding(f"{what}: all rounds as one", "", "", (pooled[True] / pooled[False],), *goal))
    return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--ticks", type=int, default=2_000, help="ticks a second")
    parser.add_argument("--symbols", type=int, default=300, help="symbols beside the built-in ones")
    parser.add_argument("--rounds", type=int, help="rounds of quiet and flood")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-"))
    try:
        rounds, trades = (1, 20) if given.quick else (6, TRADES)
        found = measured(folder, given.symbols, given.ticks, given.rounds or rounds, trades)
        report("A flood of quotes", found, given.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
