"""Measure the request budget against its floor: one queue and a window of moments, without lanes or fairness.

    python scripts/bench/budget.py [--rounds 7] [--json]

Time is virtual, so only the work is measured: a lone request that may leave at once (submit, take, when to wake), and a
backlog of 10,000 requests of 200 accounts let out second by second. Floor and ours are paired round by round; the ratio
is the median over the rounds, with its smallest and largest. Ratios travel, microseconds do not.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import deque
from collections.abc import Callable
from typing import Any

from cmam.clock import SECOND_US, SystemClock
from cmam.openapi import catalogue
from cmam.openapi.budget import Budget, Item, lane_of

CLOCK = SystemClock()
LIMIT = 50
LONE = 5_000
BACKLOG = 10_000
ACCOUNTS = 200
KINDS = (catalogue.NEW_ORDER, catalogue.NEW_ORDER, catalogue.AMEND_PROTECTION, catalogue.CLOSE_POSITION)


class Floor:
    """The least that keeps the limit: first come, first served, in any second at most `LIMIT`."""

    def __init__(self) -> None:
        self._waiting: deque[Item] = deque()
        self._sent: deque[int] = deque()

    def submit(self, item: Item) -> None:
        self._waiting.append(item)

    def take(self, now_us: int) -> list[Item]:
        sent, leaving = self._sent, []
        while sent and sent[0] <= now_us - SECOND_US:
            sent.popleft()
        while self._waiting and len(sent) < LIMIT:
            sent.append(now_us)
            leaving.append(self._waiting.popleft())
        return leaving

    def next_wake(self, now_us: int) -> int | None:
        if not self._waiting:
            return None
        return self._sent[0] + SECOND_US if len(self._sent) >= LIMIT else now_us


def item(number: int) -> Item:
    """A request of one of many accounts, of one of the kinds that move money."""
    kind = KINDS[number % len(KINDS)]
    return Item(name=f"cm1.a1b2c.d3e4f5.p1.{number}", lane=lane_of(kind), payload_type=kind, account=number % ACCOUNTS)


def lone(budget: Budget | Floor, items: list[Item]) -> None:
    """One request every 25 ms of virtual time: the limit is never reached."""
    now = 0
    for one in items[:LONE]:
        now += 25_000
        budget.submit(one)
        budget.take(now)
        budget.next_wake(now)


def backlog(budget: Budget | Floor, items: list[Item]) -> None:
    """Everything at once, and then from wake to wake until nothing waits."""
    now = 0
    for one in items:
        budget.submit(one)
    while (wake := budget.next_wake(now)) is not None:
        now = max(now, wake)
        budget.take(now)


def cost_us(work: Callable[[Budget | Floor, list[Item]], None], budget: Budget | Floor, items: list[Item]) -> float:
    """Microseconds of one request."""
    started = CLOCK.monotonic()
    work(budget, items)
    return (CLOCK.monotonic() - started) / (LONE if work is lone else len(items))


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--json", action="store_true")
    chosen = arguments.parse_args()
    items = [item(number) for number in range(BACKLOG)]
    found: dict[str, list[tuple[float, float]]] = {"a lone request": [], f"a backlog of {BACKLOG:,}": []}
    for _ in range(chosen.rounds):
        for name, work in zip(found, (lone, backlog), strict=True):
            found[name].append((cost_us(work, Floor(), items), cost_us(work, Budget(LIMIT), items)))
    if not chosen.json:
        print(f"us a request, median of {chosen.rounds} rounds")
        print(f"{'':24} {'floor':>8} {'ours':>8} {'ratio':>6}  spread")
    for name, rounds in found.items():
        ratios = [ours / floor for floor, ours in rounds]
        line: dict[str, Any] = {
            "name": name,
            "floor_us": round(statistics.median(floor for floor, _ in rounds), 3),
            "ours_us": round(statistics.median(ours for _, ours in rounds), 3),
            "ratio": round(statistics.median(ratios), 2),
            "least": round(min(ratios), 2),
            "most": round(max(ratios), 2),
        }
        if chosen.json:
            print(json.dumps(line))
        else:
            print("{name:24} {floor_us:8.2f} {ours_us:8.2f} {ratio:6.2f}  {least:.2f}-{most:.2f}".format(**line))


if __name__ == "__main__":
    main()
