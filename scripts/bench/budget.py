"""Measure the request budget: what one order costs in it, however many accounts wait.

    python scripts/bench/budget.py [--quick] [--json FILE]

Each figure is the median of the runs in us for one item, from its submission to its leaving, with `take` and
`next_wake` asked after every step as the limiter does. The floor is a deque that lets everything through.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from common import Finding, arguments, report

from cmam.openapi import catalogue
from cmam.openapi.budget import Budget
from cmam.openapi.lanes import Item, Lane

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


def us_an_item(what: Callable[[list[Item]], float], accounts: int, runs: int) -> list[float]:
    """What each of some runs took, in us an item."""
    return [what(items(accounts)) / ITEMS * 1e6 for _ in range(runs)]


def measured(crowds: tuple[int, ...], runs: int) -> list[Finding]:
    """Each kind of day with each number of accounts, beside the floor of the same run."""
    rows = []
    for accounts in crowds:
        for what in (stream, backlog, blocked):
            spans, bases = us_an_item(what, accounts, runs), us_an_item(floor, accounts, runs)
            rows.append(
                Finding(
                    f"{what.__name__}, {accounts:,} accounts: an item",
                    f"{statistics.median(spans):.1f} us ({min(spans):.1f} to {max(spans):.1f})",
                    f"a deque: {statistics.median(bases):.3f} us",
                    tuple(span / base for span, base in zip(spans, bases, strict=True)),
                )
            )
    return rows


def main() -> None:
    given = arguments(__doc__).parse_args()
    crowds, runs = ((1, 1_000), 1) if given.quick else ((1, 45, 1_000, 5_000), 5)
    report("The request budget", measured(crowds, runs), given.json)


if __name__ == "__main__":
    main()
