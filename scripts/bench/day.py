"""Measure a day of work: many leaders, many followers, change after change; the first part of it against the last.

What is compared is what the trading process takes of memory and of the processor, the latency of a copy, and what the
store grows by. The short day is two leaders with ten followers each; `--long` is the whole one: 10 leaders, 200
followers, 20,000 changes, over ten connections, since one alone would need hours for it at 50 requests a second.
Leaders are paced so that neither budget nor processor is the limit.

    python scripts/bench/day.py [--long] [--changes N] [--connections N] [--rate N] [--quick] [--json FILE]
"""

from __future__ import annotations

import bisect
import os
import shutil
import statistics
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import stage
from common import Finding, arguments, ms, quantile, report

from cmam import office
from cmam.actors.threads.runtime import Latch
from cmam.clock import SECOND_US
from cmam.config.home import Home
from cmam.config.settings_file import edit_settings
from cmam.domain.events import IntentSent
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.trader.trader import Trader
from cmam.store.logfile.database import FILE_NAME
from cmam.store.logfile.log import EventLog
from cmam.store.projection.views_file import views_position

PACE = 20
"""Copies a second and connection, below the limit, so that no order waits for it."""
OPEN = 5
"""So many positions a leader holds before it closes the oldest of them for each that it opens."""
TICK_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Day:
    """How much of a day it is; `rate` is in copies a second."""

    leaders: int
    followers: int
    changes: int
    connections: int = 1
    rate: int = PACE

    @property
    def share(self) -> int:
        """Followers of each leader."""
        return self.followers // self.leaders

    def followers_of(self, leader: int) -> list[int]:
        """The accounts that follow the n-th leader; leaders come first in the row of accounts."""
        first = stage.LEADER + self.leaders + leader * self.share
        return list(range(first, first + self.share))


@dataclass(frozen=True)
class Look:
    """What was seen after a part of the day: resident memory in KiB, seconds of processor, the log's position, how many
    records the views are behind, bytes of log and write-ahead log, seconds since the beginning."""

    memory: int
    processor: float
    position: int
    behind: int
    size: int
    wal: int
    at_s: float


@dataclass
class Part:
    """A tenth of the day as the log has it: spans from report to socket in us, their stages, bytes of records."""

    spans: list[int] = field(default_factory=list)
    stages: list[tuple[int, int, int]] = field(default_factory=list)
    size: int = 0

    @property
    def stage_text(self) -> str:
        """The median of each part of the way in ms: to the decision, to its commit, to the socket."""
        return ", ".join(f"{statistics.median(part) / 1_000:.1f}" for part in zip(*self.stages, strict=True)) + " ms"


def follow(home: Home, ready: dict[str, Any], day: Day) -> None:
    """One profile for each leader, its own followers in it."""
    stage.configure(home, ready, day.leaders + day.followers - 1, "full", profile=False)
    edit_settings(home, {"connections": day.connections})
    for leader in range(day.leaders):
        request = {
            "command": "profile.create",
            "name": f"day {leader}",
            "leader": str(stage.LEADER + leader),
            "followers": [str(ctid) for ctid in day.followers_of(leader)],
            "settings": {"volume.mode": "multiplier", "volume.amount": "0.5"},
        }
        office.carry_out(home, request, command="bench")


def look(child: Any, home: Home) -> Look:
    """Memory and processor as the kernel counts them, and how far log and views are."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    memory = int(status.split("VmRSS:")[1].split()[0])
    times = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    file = home.root / FILE_NAME
    wal = file.with_name(f"{file.name}-wal")
    with closing(EventLog.read_only(home.root)) as log:
        position = log.position()
    return Look(
        memory,
        (int(times[11]) + int(times[12])) / TICK_S,
        position,
        position - (views_position(home.root) or 0),
        file.stat().st_size,
        wal.stat().st_size if wal.exists() else 0,
        stage.CLOCK.monotonic() / SECOND_US,
    )


def trade(traders: list[Trader], day: Day) -> Iterator[int]:
    """Leaders in turn, each opening, and closing its oldest once it holds enough; yields after each change."""
    held: list[deque[int]] = [deque() for _ in traders]
    gap_us = int(day.share / day.rate * SECOND_US)
    moment = stage.CLOCK.monotonic()
    for number in range(day.changes):
        moment = type(moment)(max(moment + gap_us, stage.CLOCK.monotonic()))  # what came late is not made up for
        who = number % len(traders)
        traders[who].wait_until(moment)
        if len(held[who]) == OPEN:
            traders[who].close_position(held[who].popleft(), stage.VOLUME)
        else:
            order = oa.ProtoOANewOrderReq(
                symbolId=stage.SYMBOL, orderType=model.MARKET, tradeSide=model.BUY, volume=stage.VOLUME
            )
            held[who].append(traders[who].order(order)[-1].position.positionId)
        yield number + 1


def live(folder: Path, day: Day) -> tuple[list[Look], list[Part]]:
    """The day: looks at its beginning and after each tenth, and each tenth of its records."""
    home = Home(folder / "home")
    with stage.sandbox(folder, day.leaders + day.followers - 1) as ready:
        follow(home, ready, day)
        accounts = {account["ctid"]: account for account in ready["accounts"]}
        with stage.copier(folder, home) as child:
            traders = [Trader(ready, accounts[stage.LEADER + leader]) for leader in range(day.leaders)]
            looks, tenth = [look(child, home)], max(1, day.changes // 10)
            for done in trade(traders, day):
                if done % tenth == 0:
                    looks.append(look(child, home))
                    print(done, looks[-1], file=sys.stderr, flush=True)
            Latch().wait(2.0)
            for trader in traders:
                trader.close()
    return looks, _parts(home, [seen.position for seen in looks])


def _parts(home: Home, borders: list[int]) -> list[Part]:
    """The records between the looks, one after the other: a day of them is more than memory holds."""
    parts = [Part() for _ in borders[1:]]
    with closing(EventLog.read_only(home.root)) as log:
        for raw in log.raw(borders[0]):
            part = parts[min(len(parts), bisect.bisect_left(borders, raw.position)) - 1]
            part.size += len(raw.state)
            if raw.topic == IntentSent.TOPIC:
                event = log.decode(raw).event
                assert isinstance(event, IntentSent)
                if event.written_us:
                    part.spans.append(event.written_us)
                    ends = (event.decided_us, event.committed_us, event.written_us)
                    part.stages.append((ends[0], ends[1] - ends[0], ends[2] - ends[1]))
    return parts


def measured(folder: Path, day: Day) -> list[Finding]:
    """The last part of the day against its second: in the first tenth it warms up and opens what it holds."""
    looks, parts = live(folder, day)
    early, late = looks[2], looks[-1]
    first, last = parts[1], parts[-1]
    copies = sum(len(part.spans) for part in parts)
    spent = [
        (b.processor - a.processor) * 1e6 / len(p.spans) for a, b, p in zip(looks[:-1], looks[1:], parts, strict=True)
    ]
    size = sum(part.size for part in parts)
    span_s = late.at_s - looks[0].at_s
    what = f"{day.leaders} leaders, {day.followers} followers, {day.changes:,} changes, {day.connections} connections"
    flat = "flat: ≤ 1.2 ×"

    def compared(name: str, now: float, then: float, unit: Callable[[float], str], limit: float | None) -> Finding:
        goal = flat if limit is not None else ""
        return Finding(name, unit(now), f"in the second {unit(then)}", (now / then,), goal, limit)

    return [
        Finding(what, f"{copies:,} copies in {span_s / 60:.0f} min", f"{copies / span_s:.0f} a second"),
        compared(
            "resident memory at the end of the last tenth",
            late.memory / 1024,
            early.memory / 1024,
            lambda mib: f"{mib:.0f} MiB",
            1.2,
        ),
        compared("p50 of a copy in it", statistics.median(last.spans), statistics.median(first.spans), ms, 1.2),
        compared("p99 of a copy in it", quantile(last.spans, 0.99), quantile(first.spans, 0.99), ms, None),
        compared("processor time a copy in it, all threads", spent[-1], spent[1], ms, 1.2),
        Finding(
            "to the decision, to its commit, to the socket: p50", last.stage_text, f"in the second {first.stage_text}"
        ),
        Finding(
            "p50 and p99 of each tenth",
            ", ".join(f"{statistics.median(part.spans) / 1000:.1f}" for part in parts) + " ms",
            ", ".join(f"{quantile(part.spans, 0.99) / 1000:.0f}" for part in parts) + " ms",
        ),
        Finding(
            "views behind the log, most of all looks",
            f"{max(seen.behind for seen in looks):,} records",
            f"at the end {late.behind:,}",
        ),
        Finding(
            "recorded, a leader's change", f"{size / day.changes:,.0f} bytes", f"{size / copies:,.0f} bytes a copy"
        ),
        Finding(
            "log file at the end",
            f"{late.size / 1e6:,.0f} MB",
            f"write-ahead log at most {max(seen.wal for seen in looks) / 1e6:.0f} MB",
        ),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--long", action="store_true", help="the whole day")
    parser.add_argument("--changes", type=int, help="so many changes instead")
    parser.add_argument("--connections", type=int, help="over so many connections the accounts are spread")
    parser.add_argument("--rate", type=int, help=f"copies a second; {PACE} for each connection if not given")
    given = parser.parse_args()
    leaders, followers, changes = (10, 200, 20_000) if given.long else (2, 20, 60 if given.quick else 400)
    connections = given.connections or (10 if given.long else 1)
    day = Day(leaders, followers, given.changes or changes, connections, given.rate or connections * PACE)
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-"))
    try:
        report("A day of work", measured(folder, day), given.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
