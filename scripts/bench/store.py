"""Measure the log against its floors: the same table through sqlite3 alone, and through eventsourcing's recorder alone.

Events are an execution, the decision to copy an open, which is the largest that the copy path writes, an alert, the
smallest, and what live trading leaves: executions, decisions and intents of many accounts. Absolute figures belong to
the machine; the ratios and their spread (smallest to largest of the runs) are what to compare.

    python scripts/bench/store.py [--runs 5] [--events 20000] [--folder DIR] [--sizes 100] [--durability full] [--quick]
        [--json FILE]
"""

from __future__ import annotations

import argparse
import gc
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from eventsourcing.persistence import StoredEvent

sys.path.insert(0, str(Path(__file__).parent))

import facts
from common import Finding, arguments, report

from cmam.store.folding.fold import fold_log
from cmam.store.logfile import database
from cmam.store.logfile.database import Durability
from cmam.store.logfile.log import EventLog
from cmam.store.proof.verify import verify
from cmam.store.records.envelope import GENESIS, Decoding, Pending, encode

_Batch = TypeVar("_Batch")


def batches(pendings: list[Pending], size: int) -> list[list[Pending]]:
    return [pendings[start : start + size] for start in range(0, len(pendings), size)]


def log_rate(folder: Path, durability: str, work: list[list[Pending]]) -> float:
    log = EventLog.open(folder, durability=durability)
    began = time.perf_counter()
    for batch in work:
        log.append(batch)
    rate = sum(map(len, work)) / (time.perf_counter() - began)
    log.close()
    return rate


def recorder_rate(folder: Path, durability: str, work: list[list[StoredEvent]]) -> float:
    recorder = database.open_for_writing(folder / database.FILE_NAME, Durability(durability))
    began = time.perf_counter()
    for batch in work:
        recorder.insert_events(batch)
    rate = sum(map(len, work)) / (time.perf_counter() - began)
    recorder.datastore.close()
    return rate


def sqlite_rate(folder: Path, durability: str, work: list[list[tuple[str, int, str, str]]]) -> float:
    database.open_for_writing(folder / database.FILE_NAME, Durability(durability)).datastore.close()
    connection = sqlite3.connect(folder / database.FILE_NAME, isolation_level=None)
    connection.execute(f"PRAGMA synchronous={Durability(durability).synchronous}")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    began = time.perf_counter()
    for batch in work:
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO stored_events VALUES (?,?,?,?)", batch)
        connection.execute("COMMIT")
    rate = sum(map(len, work)) / (time.perf_counter() - began)
    connection.close()
    return rate


def in_fresh_folder(base: Path | None, run: Callable[[Path, str, list[_Batch]], float], *rest: Any) -> float:
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-", dir=base))
    try:
        return run(folder, *rest)
    finally:
        shutil.rmtree(folder)


def finding(
    what: str, ours: list[float], beside: str, floor: list[float], goal: str = "", least: float | None = None
) -> Finding:
    """Events a second beside those of the floor."""
    ratios = tuple(mine / other for mine, other in zip(ours, floor, strict=True))
    shown, base = (f"{statistics.median(rates):,.0f} events/s" for rates in (ours, floor))
    return Finding(what, shown, f"{beside}: {base}", ratios, goal, least, is_least=True)


KINDS: dict[str, Callable[[int], list[Pending]]] = {
    "execution": lambda count: facts.alone(facts.execution, count),
    "decision": lambda count: facts.alone(facts.decision, count),
    "alert": lambda count: facts.alone(facts.alert, count),
    "live": facts.live,
}
"""What is written: one kind in one stream each, and all together as trades leave it, of seventeen accounts."""


def appends(options: argparse.Namespace) -> list[Finding]:
    """What is written, encoding and chain included, beside sqlite3 and the library's recorder with ready rows."""
    found = []
    for name, made in KINDS.items():
        pendings = made(options.events)
        ready = [(p.stream, p.version, p.event.TOPIC, encode(p, "0.1.0", GENESIS)) for p in pendings]
        gc.collect()
        gc.freeze()  # the facts lie ready: looking at them again and again is no part of recording them
        for durability in options.durability:
            for size in options.sizes:
                events = options.events if size > 1 else options.events // 5
                work, rows = batches(pendings[:events], size), ready[:events]
                stored = [[StoredEvent(*row) for row in rows[first : first + size]] for first in range(0, events, size)]
                plain = [
                    [(*row[:3], row[3].decode()) for row in rows[first : first + size]]
                    for first in range(0, events, size)
                ]
                floor, middle, ours = [], [], []
                for _ in range(options.runs):  # by turns, so that a busy moment hits all three
                    floor.append(in_fresh_folder(options.folder, sqlite_rate, durability, plain))
                    middle.append(in_fresh_folder(options.folder, recorder_rate, durability, stored))
                    ours.append(in_fresh_folder(options.folder, log_rate, durability, work))
                what = f"recorded, {name}, {durability}, batches of {size}"
                is_goal = size == 100 and durability == "full"
                goal, least = ("≥ 0.5 ×", 0.5) if is_goal else ("", None)
                found.append(finding(what, ours, "sqlite3 alone", floor, goal, least))
                found.append(finding(f"the library's recorder alone: {what}", middle, "sqlite3 alone", floor))
    return found


def rate_of(events: int, run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return events / (time.perf_counter() - began)


def reads(options: argparse.Namespace) -> list[Finding]:
    """What is read, beside a bare cursor."""
    found = []
    for name in ("alert", "decision"):
        folder = Path(tempfile.mkdtemp(prefix="cmam-bench-", dir=options.folder))
        writer = EventLog.open(folder, durability="none")
        for batch in batches(KINDS[name](options.events), 500):
            writer.append(batch)
        writer.close()
        found += read_one(options, name, folder)
        shutil.rmtree(folder)
    return found


def read_one(options: argparse.Namespace, name: str, folder: Path) -> list[Finding]:
    """One log, read in all the ways there are."""
    log, decoding = EventLog.read_only(folder), Decoding()
    kinds: dict[str, Callable[[], object]] = {
        "cursor": lambda: log.connection.execute("SELECT rowid, * FROM stored_events").fetchall(),
        "rows": lambda: list(log.raw()),
        "records": lambda: [decoding.read(raw) for raw in log.raw()],
        "fold": lambda: fold_log(log),
        "verify": lambda: verify(log.raw()),
    }
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(options.runs):
        for kind, run in kinds.items():
            rates[kind].append(rate_of(options.events, run))
    log.close()
    size = (folder / database.FILE_NAME).stat().st_size / options.events
    rows = [finding(f"read as {kind}, {name}", rates[kind], "cursor", rates["cursor"]) for kind in list(kinds)[1:]]
    return [*rows, Finding(f"file, {name}", f"{size:.0f} bytes an event", "")]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, default=None, help="where to write; the disk there is what is measured")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 100], help="records in a batch")
    parser.add_argument("--durability", nargs="+", default=["full", "normal"], choices=list(Durability))
    options = parser.parse_args()
    if options.quick:
        options.runs, options.events = 3, 5_000
    report(f"The log (SQLite {sqlite3.sqlite_version})", [*appends(options), *reads(options)], options.json)


if __name__ == "__main__":
    main()
