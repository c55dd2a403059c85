"""Measure a start: from the command to every account reconciled, with few and with very many records in the store.

A short run on the sandbox makes a real store; its accounts' records are then appended again and again, as a long life
would, and projected as a projector beside it would have done. Both stores are started by turns on the same sandbox.

    python scripts/bench/start.py [--events 1000000] [--quick] [--json FILE]
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import stage
from common import Finding, arguments, ms, report

from cmam.config.home import Home
from cmam.sandbox.trader import Trader
from cmam.store.log import EventLog, Pending
from cmam.store.projector import project_to_head

FEW = 1_000
BATCH = 1_000


def a_short_life(folder: Path, ready: dict[str, Any]) -> Home:
    """A store with a few copies in it."""
    home = Home(Path(tempfile.mkdtemp(prefix="life-", dir=folder)))
    stage.configure(home, ready, 2, "full")
    with stage.copier(folder, home), Trader(ready, stage.leader_of(ready)) as trader:
        stage.trade(trader, 6, 0.3)
    return home


def grown(folder: Path, life: Home, events: int) -> Home:
    """A copy of a store whose accounts have gone on like that until it has so many records; projected to its head."""
    home = Home(folder / f"life-of-{events}")
    passing = shutil.ignore_patterns("*.lock", "lock", "control*", "run", "views.db*")
    shutil.copytree(life.root, home.root, ignore=passing)
    log = EventLog.open(home.root, durability="none")
    records = [record for record in log.read_all() if record.stream.startswith("account:")]
    versions = {stream: head.version for stream, head in log.heads().items()}
    missing = events - log.position()
    batch: list[Pending] = []
    while missing > 0:
        for record in records[:missing]:
            versions[record.stream] += 1
            batch.append(Pending(record.stream, versions[record.stream], record.at_us, record.event))
        missing -= len(records)
        if len(batch) >= BATCH or missing <= 0:
            log.append(batch)
            batch = []
    log.close()
    project_to_head(home.root)
    return home


def start_us(folder: Path, home: Home) -> float:
    """From the command to all accounts reconciled, in us."""
    begun = time.perf_counter()
    with stage.copier(folder, home):
        return (time.perf_counter() - begun) * 1e6


def measured(folder: Path, events: int, rounds: int) -> list[Finding]:
    """Both stores by turns."""
    with stage.sandbox(folder, 2) as ready:
        life = a_short_life(folder, ready)
        few, many = grown(folder, life, FEW), grown(folder, life, events)
        found: dict[str, list[float]] = {"few": [], "many": []}
        for _ in range(rounds):
            found["few"].append(start_us(folder, few))
            found["many"].append(start_us(folder, many))
    return [
        Finding(
            f"start to ready with {events:,} events",
            ms(statistics.median(found["many"])),
            f"{FEW:,} events: {ms(statistics.median(found['few']))}",
            tuple(a / b for a, b in zip(found["many"], found["few"], strict=True)),
            "≤ 2 ×",
            2.0,
        )
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-"))
    try:
        events, rounds = (20_000, 2) if given.quick else (given.events, 5)
        report("A start", measured(folder, events, rounds), given.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
