"""Measure the audit on a long log: projecting it, asking the views, verifying, exporting; beside bare reading.

The log is made by the domain's own functions: one leader, two followers, opens with stops, partial and full closes,
every fifth trade too small for one follower. Making it takes longest; `--folder` keeps it for the next run.

    python scripts/bench/audit.py [--events 1000000] [--folder DIR] [--quick] [--json FILE]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common import Finding, arguments, report

from cmam.store.auditing.audit import KEYS, Audit
from cmam.store.auditing.explain import explain
from cmam.store.auditing.export import export_table
from cmam.store.auditing.filters import Filters
from cmam.store.auditing.timings import slippage, timings
from cmam.store.auditing.totals import totals
from cmam.store.logfile.log import EventLog
from cmam.store.projection.projector import project_to_head
from cmam.store.projection.views_file import VIEWS_NAME
from cmam.store.proof.verify import verify
from cmam.store.records.envelope import Pending
from cmam.store.text import parse_time
from tests.unit.store.world import LEADER, World

QUICK_EVENTS = 20_000
CHECKPOINT_EVENTS = 1_000
STORIES = 40
"""So many skips and so many copies are explained, spread over the log: how far the nearest kept view is, differs."""


def make_log(folder: Path, events: int) -> None:
    """Write a log of so many records: days of trade, one after the other."""
    log = EventLog.open(folder, durability="none")
    world = World(log=_Batched(log)).set_up()  # type: ignore[arg-type]  # it stands in for a log
    number = 0
    while log.position() < events:
        number += 1
        world.tick(20_000_000)
        volume = 100_000 if number % 5 == 0 else 10_000_000 + (number % 7) * 1_000_000
        position = world.leader_opens(volume)
        world.leader_moves_stop(position, "1.09000")
        if number % 3:
            world.leader_closes(position, volume // 2 // 100_000 * 100_000 or volume)
        if number % 50 and position in world.views[LEADER].positions:
            world.leader_closes(position)
        if number % 40 == 0:
            world.write_checkpoint()
        if log.is_tidy_due():  # as a recorder asks: a million records would leave gigabytes of write-ahead log
            log.tidy()
    world.write_checkpoint()
    log.close()


class _Batched:
    """The log of the world as it is: nothing is changed, but asking for heads costs nothing."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def append(self, batch: Iterable[Pending]) -> int:
        return self._log.append(list(batch))


def _whole_story(audit: Audit, named: str) -> None:
    list(explain(audit, named))


def timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def asked(name: str, spans_ms: list[float]) -> Finding:
    """What a question takes: the median, and the longest of the runs."""
    return Finding(name, f"{statistics.median(spans_ms):,.1f} ms (largest {max(spans_ms):,.1f})", "")


def measure(folder: Path, runs: int) -> list[Finding]:
    """All figures of one log."""
    with closing(EventLog.read_only(folder)) as log:
        events = log.position()
        bare = timed(lambda: sum(1 for _ in log.raw()))
        whole = timed(lambda: verify(log.raw()))
    (folder / VIEWS_NAME).unlink(missing_ok=True)
    projection = timed(lambda: project_to_head(folder))
    sizes = [(folder / name).stat().st_size / 1e6 for name in ("events.db", VIEWS_NAME)]
    floor = f"reading every row: {events / bare:,.0f} records/s"
    rows = [
        Finding(f"a log of {events:,} records", f"{sizes[0]:,.0f} MB", f"its views: {sizes[1]:,.0f} MB"),
        Finding("verify", f"{events / whole:,.0f} records/s", floor, (bare / whole,)),
        Finding(
            f"projection, {projection:,.1f} s", f"{events / projection:,.0f} records/s", floor, (bare / projection,)
        ),
    ]
    with Audit.open(folder) as audit:
        copies = list(audit.copies(Filters(last=2_000)))
        middle = copies[len(copies) // 2]
        skips = spread([line["decision_id"] for line in audit.decisions(Filters(verdict="skip"))])
        stories = spread([line["copy_id"] for line in audit.copies()])
        day = middle["decided_at"]
        questions: dict[str, Callable[[], object]] = {
            "open the views, all of it projected": lambda: Audit.open(folder).close(),
            "copies, the newest 200": lambda: list(audit.copies(Filters(last=200))),
            "copies of one follower in one hour": lambda: list(
                audit.copies(Filters(account=2001, since_us=_hour(day), until_us=_hour(day) + 3_600_000_000))
            ),
            "decisions skipped for one reason, the newest 200": lambda: list(
                audit.decisions(Filters(reason="below_minimum", last=200))
            ),
            "decisions by text": lambda: list(audit.decisions(Filters(text="below minimum", last=200))),
            "orders, the newest 200": lambda: list(audit.orders(Filters(last=200))),
            "orders of one copy": lambda: list(audit.orders(Filters(copy_id=middle["copy_id"]))),
            "totals per follower": lambda: list(totals(audit)),
            "totals per day": lambda: list(totals(audit, by=("day",))),
            "timings": lambda: timings(audit),
            "slippage": lambda: slippage(audit),
            "every copy as CSV": lambda: export_table(audit.copies(), folder / "copies.csv", KEYS["copies"]),
        }
        for name, question in questions.items():
            found = [timed(question) * 1_000 for _ in range(runs)]
            rows.append(asked(name, found))
        for name, named in {"explain a skip": skips, "explain a copy": stories}.items():
            found = [timed(partial(_whole_story, audit, one)) * 1_000 for one in named]
            rows.append(asked(f"{name}, {len(named)} of all over the log", found))
    return rows


def spread(names: Sequence[str]) -> Sequence[str]:
    """A few of many names, from the first to the last."""
    return names[:: max(1, len(names) // STORIES)]


def _hour(moment: str) -> int:
    return parse_time(moment) // 3_600_000_000 * 3_600_000_000


def main() -> None:
    """Make the log where there is none, measure, print."""
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the log is made and kept")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    events, runs = (QUICK_EVENTS, 2) if given.quick else (given.events, given.runs)
    with tempfile.TemporaryDirectory(prefix="cmam-audit-") as temporary:
        folder: Path = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "events.db").exists():
            print(f"making {events} records …", file=sys.stderr)
            make_log(folder, events)
        report("The audit", measure(folder, runs), given.json)


if __name__ == "__main__":
    main()
