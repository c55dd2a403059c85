"""Measure when a crowd's copies are closed whose leader has closed while the line was cut.

    python scripts/bench/after_cut.py [--quick] [--json FILE]

The whole system runs in virtual time, so nothing counts but what it asks, in which order, and the broker's fifty a
second. The floor is what a copier needs at least, sent at fifty a second: each account is authorised and looked at, and
each follower's close. Its line is up again as soon as ours is.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common import Finding, arguments, report

from cmam.sandbox.switches import Switches
from tests.whole import LEADER, Whole
from tests.worlds import crowded

SECOND_US = 1_000_000
LOT = 10_000_000
LIMIT = 50
LONG_US = 600 * SECOND_US


def held(whole: Whole) -> int:
    """How many followers hold a copy."""
    books = (whole.broker.floor.accounts[follower].positions.values() for follower in whole.followers)
    return sum(any(position.volume for position in book) for book in books)


def closed_after(followers: int, seed: int) -> tuple[float, float, float]:
    """When the first and the last copy are closed, and when the line was up again, in s after the leader's close."""
    numbers = tuple(range(42_000_000, 42_000_000 + followers))
    whole = Whole(seed, followers=numbers, world=crowded(numbers), switches=Switches(history_days=0))
    whole.start()
    whole.stepper.run_until(whole.is_ready, LONG_US)
    whole.person.buy(LOT)
    whole.stepper.run_until(lambda: held(whole) == followers, LONG_US)
    whole.run(5)
    (source,) = whole.person.holds(LEADER)
    whole.stepper.network.cut_all()
    whole.person.close(source.position, LOT)
    lines, began = whole.stepper.network.lines, whole.stepper.clock.now()

    def when(what: str) -> float:
        tests = {"up": lambda: bool(lines), "first": lambda: held(whole) < followers, "last": lambda: not held(whole)}
        whole.stepper.run_until(tests[what], LONG_US)
        return float(whole.stepper.clock.now() - began) / SECOND_US

    up, first, last = when("up"), when("first"), when("last")
    assert whole.stats()[-1]["busiest_second"] <= LIMIT
    return first, last, up


def measured(crowds: tuple[int, ...], runs: int) -> list[Finding]:
    """Each crowd beside the fewest requests that would do."""
    rows = []
    for followers in crowds:
        found = [closed_after(followers, seed) for seed in range(runs)]
        least = (2 * (followers + 1) + followers) / LIMIT
        firsts, lasts = [first for first, _, _ in found], [last for _, last, _ in found]
        rows.append(
            Finding(
                f"{followers} followers on one connection: the last copy closed, after a cut",
                f"{min(lasts):.1f} to {max(lasts):.1f} s; the first {min(firsts):.1f} to {max(firsts):.1f} s",
                f"the fewest requests: {least:.1f} s after the line is up",
                tuple(last / (up + least) for _, last, up in found),
            )
        )
    return rows


def main() -> None:
    given = arguments(__doc__).parse_args()
    logging.disable(logging.CRITICAL)
    crowds, runs = ((20,), 1) if given.quick else ((20, 100, 500), 3)
    report("After a cut", measured(crowds, runs), given.json)


if __name__ == "__main__":
    main()
