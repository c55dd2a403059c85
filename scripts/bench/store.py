"""Measure the log against its floors: the same table through sqlite3 alone, and through eventsourcing's recorder alone.

Events are the decision to copy an open, the largest that the copy path writes, and an alert, the smallest. Absolute
figures belong to the machine; the ratios and their spread (smallest to largest of the runs) are what to compare.

    python scripts/bench/store.py [--runs 5] [--events 20000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from eventsourcing.persistence import StoredEvent

from cmam.domain.changes import Change, ChangeKind, LeaderMoney, LeaderSymbol
from cmam.domain.events import AlertRaised, ChangeDecided, Event, Goal, Inputs, Step
from cmam.domain.ids import AccountId, ChangeKey, LinkId, OrderId, PositionId, ProfileId, SourceKey, SymbolId
from cmam.domain.quantities import Price, Quote, Side, Volume
from cmam.domain.reasons import Verdict
from cmam.store import database
from cmam.store.database import Durability
from cmam.store.envelope import GENESIS, Decoding, Pending, encode
from cmam.store.fold import fold
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


def shown(rates: Iterable[float], floor: Iterable[float]) -> str:
    found, ratios = list(rates), [rate / other for rate, other in zip(rates, floor, strict=True)]
    middle = statistics.median(found)
    return f"{middle:>11,.0f}   {statistics.median(ratios):5.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def appends(options: argparse.Namespace) -> None:
    print("appends: events/s, and the ratio to sqlite3 alone with its spread")
    print(f"{'event':7}{'durability':12}{'batch':>6}{'sqlite3':>13}{'recorder':>29}{'EventLog':>29}")
    for name, event in (("alert", SMALL), ("decide", LARGE)):
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
                print(
                    f"{name:7}{durability:12}{size:>6}{statistics.median(floor):>13,.0f}"
                    f"{shown(middle, floor):>29}{shown(ours, floor):>29}"
                )


def rate_of(events: int, run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return events / (time.perf_counter() - began)


def reads(options: argparse.Namespace) -> None:
    print("\nreads: events/s, and the ratio to a bare cursor with its spread")
    for name, event in (("alert", SMALL), ("decide", LARGE)):
        folder = Path(tempfile.mkdtemp(prefix="cmam-bench-", dir=options.folder))
        writer = EventLog.open(folder, durability="none")
        for batch in batches(event, options.events, 500):
            writer.append(batch)
        writer.close()
        read_one(options, name, folder)
        shutil.rmtree(folder)


def read_one(options: argparse.Namespace, name: str, folder: Path) -> None:
    log, decoding = EventLog.read_only(folder), Decoding()
    kinds: dict[str, Callable[[], object]] = {
        "cursor": lambda: log.connection.execute("SELECT rowid, * FROM stored_events").fetchall(),
        "rows": lambda: list(log.raw()),
        "records": lambda: [decoding.read(raw) for raw in log.raw()],
        "fold": lambda: fold(log.read_all()),
        "verify": lambda: verify(log.raw()),
    }
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(options.runs):
        for kind, run in kinds.items():
            rates[kind].append(rate_of(options.events, run))
    for kind in kinds:
        print(f"{name:7}{kind:10}{shown(rates[kind], rates['cursor']):>29}")
    log.close()
    size = (folder / database.FILE_NAME).stat().st_size / options.events
    print(f"{name:7}{size:.0f} bytes of file per event")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, default=None, help="where to write; the disk there is what is measured")
    options = parser.parse_args()
    print(f"SQLite {sqlite3.sqlite_version}, {options.runs} runs of {options.events:,} events")
    appends(options)
    reads(options)


if __name__ == "__main__":
    main()
