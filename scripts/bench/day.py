"""Measure a day of work: many leaders, many followers, change after change; the first part of it against the last.

What is compared is the memory of the trading process, the latency of a copy, and what the store grows by for a change.
The short day is two leaders with ten followers each; `--long` is the whole one: 10 leaders, 200 followers, 20,000
changes, which takes hours at 50 requests a second.

    python scripts/bench/day.py [--long] [--changes N] [--quick] [--json FILE]
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import stage
from common import Finding, arguments, ms, quantile, report

from cmam import office
from cmam.actors.runtime import Latch
from cmam.clock import SECOND_US
from cmam.config.home import Home
from cmam.domain.events import IntentSent
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.trader import Trader
from cmam.store.log import EventLog

PACE = 40
"""Orders a second, below the limit, so that no order waits for it."""


@dataclass(frozen=True)
class Day:
    """How much of a day it is."""

    leaders: int
    followers: int
    changes: int

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
    """What was seen after a part of the day: resident memory in KiB, the log's position, changes so far."""

    memory: int
    position: int
    changes: int


def follow(home: Home, ready: dict[str, Any], day: Day) -> None:
    """One profile for each leader, its own followers in it."""
    stage.configure(home, ready, day.leaders + day.followers - 1, "full", profile=False)
    for leader in range(day.leaders):
        request = {
            "command": "profile.create",
            "name": f"day {leader}",
            "leader": str(stage.LEADER + leader),
            "followers": [str(ctid) for ctid in day.followers_of(leader)],
            "settings": {"volume.mode": "multiplier", "volume.amount": "0.5"},
        }
        office.carry_out(home, request, command="bench")


def look(child: Any, home: Home, changes: int) -> Look:
    """Resident memory as the kernel counts it, and how far the log is."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    memory = int(status.split("VmRSS:")[1].split()[0])
    with closing(EventLog.read_only(home.root)) as log:
        return Look(memory, log.position(), changes)


def trade(traders: list[Trader], day: Day) -> Iterator[int]:
    """Leaders in turn, each opening and closing; yields after each change."""
    held = [0] * len(traders)
    gap_us = int(day.share / PACE * SECOND_US)
    moment = stage.CLOCK.monotonic()
    for number in range(day.changes):
        moment = type(moment)(moment + gap_us)
        who = number % len(traders)
        traders[who].wait_until(moment)
        if held[who]:
            traders[who].close_position(held[who], stage.VOLUME)
            held[who] = 0
        else:
            order = oa.ProtoOANewOrderReq(
                symbolId=stage.SYMBOL, orderType=model.MARKET, tradeSide=model.BUY, volume=stage.VOLUME
            )
            held[who] = traders[who].order(order)[-1].position.positionId
        yield number + 1


def live(folder: Path, day: Day) -> tuple[list[Look], list[list[int]], int]:
    """The day: looks at its beginning and after each tenth; of each tenth the spans from report to socket, in us; and
    the bytes of all records since its beginning."""
    home = Home(folder / "home")
    with stage.sandbox(folder, day.leaders + day.followers - 1) as ready:
        follow(home, ready, day)
        accounts = {account["ctid"]: account for account in ready["accounts"]}
        with stage.copier(folder, home) as child:
            traders = [Trader(ready, accounts[stage.LEADER + leader]) for leader in range(day.leaders)]
            looks, tenth = [look(child, home, 0)], max(1, day.changes // 10)
            for done in trade(traders, day):
                if done % tenth == 0:
                    looks.append(look(child, home, done))
            Latch().wait(2.0)
            for trader in traders:
                trader.close()
    return looks, *_recorded(home, looks[0].position)


def _recorded(home: Home, first: int) -> tuple[list[list[int]], int]:
    with closing(EventLog.read_only(home.root)) as log:
        records = list(log.read_all(first))
    spans = [record.event.written_us for record in records if isinstance(record.event, IntentSent)]
    tenth = max(1, len(spans) // 10)
    parts = [spans[start : start + tenth] for start in range(0, len(spans) - tenth + 1, tenth)]
    return parts, sum(len(record.state) for record in records)


def measured(folder: Path, day: Day) -> list[Finding]:
    """The last part of the day against its first, the very first tenth left out: it warms up."""
    looks, spans, size = live(folder, day)
    early, late = looks[2], looks[-1]
    copies = day.changes * day.share
    what = f"{day.leaders} leaders, {day.followers} followers, {day.changes:,} changes ({copies:,} copies)"
    return [
        Finding(
            f"{what}: resident memory at the end",
            f"{late.memory / 1024:.0f} MiB",
            f"after two tenths {early.memory / 1024:.0f} MiB",
            (late.memory / early.memory,),
            "flat: ≤ 1.2 ×",
            1.2,
        ),
        Finding(
            "p50 of a copy in the last tenth",
            ms(statistics.median(spans[-1])),
            f"in the second {ms(statistics.median(spans[1]))}",
            (statistics.median(spans[-1]) / statistics.median(spans[1]),),
            "flat: ≤ 1.2 ×",
            1.2,
        ),
        Finding(
            "p99 of a copy in the last tenth",
            ms(quantile(spans[-1], 0.99)),
            f"in the second {ms(quantile(spans[1], 0.99))}",
            (quantile(spans[-1], 0.99) / quantile(spans[1], 0.99),),
        ),
        Finding(
            "recorded, a leader's change", f"{size / day.changes:,.0f} bytes", f"{size / copies:,.0f} bytes a copy"
        ),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--long", action="store_true", help="the whole day")
    parser.add_argument("--changes", type=int, help="so many changes instead")
    given = parser.parse_args()
    day = Day(10, 200, 20_000) if given.long else Day(2, 20, 60 if given.quick else 400)
    day = Day(day.leaders, day.followers, given.changes or day.changes)
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-"))
    try:
        report("A day of work", measured(folder, day), given.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
