"""Measure the log against its floors: the same table through sqlite3 alone, and through eventsourcing's recorder alone.

Events are the decision to copy an open, the largest that the copy path writes, and an alert, the smallest. Absolute
figures belong to the machine; the ratios and their spread (smallest to largest of the runs) are what to compare.

    python scripts/bench/store.py [--runs 5] [--events 20000] [--folder DIR] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
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

from common import Finding, arguments, report

from cmam.domain.changes import Change, ChangeKind, LeaderMoney, LeaderSymbol
from cmam.domain.events import AlertRaised, ChangeDecided, Event, Goal, Inputs, Step
from cmam.domain.ids import AccountId, ChangeKey, LinkId, OrderId, PositionId, ProfileId, SourceKey, SymbolId
from cmam.domain.quantities import Price, Quote, Side, Volume
from cmam.domain.reasons import Verdict
from cmam.store import database
from cmam.store.database import Durability
from cmam.store.envelope import GENESIS, Decoding, Pending, encode
from cmam.store.fold import fold_log
from cmam.store.log import EventLog
from cmam.store.verify import verify

SMALL: Event = AlertRaised(kind="session", text="the connection was lost")
LARGE: Event = ChangeDecided(
    link=LinkId("a1b2c3"),
    profile=ProfileId("d4e5f6"),
    change=Change(
        key=ChangeKey("deal:123456789"),
        kind=ChangeKind.OPENED,
        source=SourceKey("p21i3v9"),
        leader=AccountId(40_000_001),
        at_ms=1_577_836_800_000,
        symbol=LeaderSymbol(
            name="EURUSD", digits=5, pip_position=4, lot_size=Volume(10_000_000), base="EUR", quote="USD"
        ),
        side=Side.BUY,
        position=PositionId(123_456_789),
        origin=OrderId(223_456_789),
        volume=Volume(10_000_000),
        after=Volume(10_000_000),
        price=Price(110_000_000),
        money=LeaderMoney(currency="EUR", money_digits=2, balance=1_000_000),
        quote=Quote(Price(110_000_000), Price(110_010_000), 1_577_836_800_000, 1_577_836_800_000_000),
    ),
    cause_version=1_234,
    cause_index=0,
    settings_version=7,
    verdict=Verdict.COPY,
    volume=Volume(5_000_000),
    symbol=SymbolId(1),
    side=Side.BUY,
    goal=Goal(target_numerator=5_000_000, leader_volume=Volume(10_000_000), has_levels=True),
    working=tuple(Step(name="raw", value="50000", note="units, exact") for _ in range(6)),
    inputs=Inputs(quotes={"EURUSD": Quote(Price(110_000_000), Price(110_010_000), 1_577_836_800_000, 1)}),
)

_Batch = TypeVar("_Batch")


def batches(event: Event, events: int, size: int) -> list[list[Pending]]:
    pendings = [Pending("account:40000001", version, version, event) for version in range(1, events + 1)]
    return [pendings[start : start + size] for start in range(0, events, size)]


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


def appends(options: argparse.Namespace) -> list[Finding]:
    """What is written, encoding and chain included, beside sqlite3 and the library's recorder with ready rows."""
    found = []
    for name, event in (("alert", SMALL), ("decision", LARGE)):
        state = encode(Pending("account:40000001", 1, 1, event), "0.1.0", GENESIS)
        for durability in ("full", "normal"):
            for size in (1, 10, 100):
                events = options.events if size > 1 else options.events // 5
                work = batches(event, events, size)
                stored = [[StoredEvent(p.stream, p.version, event.TOPIC, state) for p in batch] for batch in work]
                plain = [[(p.stream, p.version, event.TOPIC, state.decode()) for p in batch] for batch in work]
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
    for name, event in (("alert", SMALL), ("decision", LARGE)):
        folder = Path(tempfile.mkdtemp(prefix="cmam-bench-", dir=options.folder))
        writer = EventLog.open(folder, durability="none")
        for batch in batches(event, options.events, 500):
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
    options = parser.parse_args()
    if options.quick:
        options.runs, options.events = 3, 5_000
    report(f"The log (SQLite {sqlite3.sqlite_version})", [*appends(options), *reads(options)], options.json)


if __name__ == "__main__":
    main()
