"""Measure the request budget: what one order costs in it, however many accounts wait.

    python scripts/bench/budget.py [--runs 5]

Each figure is the median of the runs in us for one item, from its submission to its leaving, with `take` and
`next_wake` asked after every step as the limiter does. The floor is a deque that lets everything through.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable

from cmam.openapi import catalogue
from cmam.openapi.budget import Budget, Item, Lane

ITEMS = 10_000
LIMIT = 50
KINDS = (
    (Lane.CLOSE, catalogue.CLOSE_POSITION),
    (Lane.PROTECT, catalogue.AMEND_PROTECTION),
    (Lane.OPEN, catalogue.NEW_ORDER),
    (Lane.QUERY, catalogue.TRADER),
)


def items(accounts: int) -> list[Item]:
    """Items of all lanes, spread over so many accounts."""
    return [
        Item(name=f"i{n}", lane=lane, payload_type=kind, account=n % accounts)
        for n in range(ITEMS)
        for lane, kind in [KINDS[n % len(KINDS)]]
    ]


def let_go(budget: Budget, now: int) -> None:
    """Let go what may leave, on a line that carries it and answers in no time."""
    leaving, _ = budget.take(now)
    if leaving:
        budget.wrote(now, len(leaving))
        budget.proved(sys.maxsize, now)


def backlog(waiting: list[Item]) -> float:
    """All items are there before the first leaves: how long one takes to get out from among the others."""
    budget, now = Budget(LIMIT), 0
    begun = time.perf_counter()
    for item in waiting:
        budget.submit(item)
    while (wake := budget.next_wake(now)) is not None:
        now = max(now, wake)
        let_go(budget, now)
    return time.perf_counter() - begun


def stream(waiting: list[Item]) -> float:
    """One item after another, each let go at once: what every order of a calm day costs."""
    budget, now = Budget(LIMIT), 0
    begun = time.perf_counter()
    for item in waiting:
        now += 40_000
        budget.submit(item)
        let_go(budget, now)
        budget.next_wake(now)
    return time.perf_counter() - begun


def blocked(waiting: list[Item]) -> float:
    """Opens of all accounts are blocked while closes pass: a blocked kind must cost the others nothing."""
    budget, now = Budget(LIMIT), 0
    budget.block(catalogue.NEW_ORDER, 3_600_000_000, now)
    for item in waiting:
        if item.lane is Lane.OPEN:
            budget.submit(item)
    others = [item for item in waiting if item.lane is not Lane.OPEN]
    begun = time.perf_counter()
    for item in others:
        now += 40_000
        budget.submit(item)
        let_go(budget, now)
        budget.next_wake(now)
    return (time.perf_counter() - begun) * len(waiting) / len(others)


def floor(waiting: list[Item]) -> float:
    """A queue that lets everything through."""
    queue: deque[Item] = deque()
    begun = time.perf_counter()
    for item in waiting:
        queue.append(item)
        queue.popleft()
    return time.perf_counter() - begun


def measure(what: Callable[[list[Item]], float], accounts: int, runs: int) -> tuple[float, float, float]:
    """Median, least and most of some runs, in us an item."""
    found = [what(items(accounts)) / ITEMS * 1e6 for _ in range(runs)]
    return statistics.median(found), min(found), max(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    base, _, _ = measure(floor, 1, runs)
    print(f"floor: {base:.3f} us an item\n")
    print("| accounts | what | us an item, median (least to most) | to the floor |")
    print("|---|---|---|---|")
    for accounts in (1, 45, 1_000, 5_000):
        for what in (stream, backlog, blocked):
            median, least, most = measure(what, accounts, runs)
            print(f"| {accounts} | {what.__name__} | {median:.1f} ({least:.1f} to {most:.1f}) | {median / base:.0f} |")


if __name__ == "__main__":
    main()
