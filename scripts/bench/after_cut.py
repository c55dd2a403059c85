"""Measure when a crowd closes what its leader has closed while the line was cut, and opens what he opens after it.

    python scripts/bench/after_cut.py [--quick] [--json FILE]

The whole system runs in virtual time, so nothing counts but what it asks, in which order, and the broker's fifty a
second. The floor is what a copier needs at least, sent at fifty a second: the leader and each account that holds a copy
is authorised and looked at, and each copy is closed; or each account is asked what it is worth and what the symbol
allows, and its order is sent. Its line is up again as soon as ours is.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from common import Finding, arguments, report

from cmam.domain.events import Health
from cmam.sandbox.switches import Switches
from tests.person import LEADER
from tests.whole import ALPHA_TOO, Whole
from tests.worlds import crowded

SECOND_US = 1_000_000
LOT = 10_000_000
GBPUSD, SOME = 2, 100_000
LIMIT = 50
IDLE_LEADER = ALPHA_TOO
LONG_US = 600 * SECOND_US


@dataclass(frozen=True)
class Found:
    """When the line was up again and the first copy, half of them, and the last were closed, in s after the close."""

    up: float
    first: float
    middle: float
    last: float


def closed_after(crowd: int, share: int, seed: int) -> Found:
    """Have a leader close during a cut; one in `share` of the crowd holds a copy, the others are there for nothing."""
    numbers = tuple(range(42_000_000, 42_000_000 + crowd))
    holders = numbers[::share]
    others = sorted({*numbers} - {*holders})
    whole = Whole(seed, followers=holders, world=crowded(numbers), switches=Switches(history_days=0))
    if others:
        whole.add_accounts(IDLE_LEADER, *others)
        whole.add_profile("idle", IDLE_LEADER, tuple(others))

    def held() -> int:
        books = (whole.broker.floor.accounts[holder].positions.values() for holder in holders)
        return sum(any(position.volume for position in book) for book in books)

    whole.start()
    whole.stepper.run_until(whole.is_ready, LONG_US)
    whole.person.buy(LOT)
    whole.stepper.run_until(lambda: held() == len(holders), LONG_US)
    whole.run(5)
    (source,) = whole.person.holds(LEADER)
    whole.stepper.network.cut_all()
    whole.person.close(source.position, LOT)
    lines, began = whole.stepper.network.lines, whole.stepper.clock.now()

    def when(is_so: Callable[[], bool]) -> float:
        whole.stepper.run_until(is_so, LONG_US)
        return float(whole.stepper.clock.now() - began) / SECOND_US

    up = when(lambda: bool(lines))
    first = when(lambda: held() < len(holders))
    middle = when(lambda: held() <= len(holders) // 2)
    last = when(lambda: not held())
    assert whole.stats()[-1]["busiest_second"] <= LIMIT
    return Found(up, first, middle, last)


def opened_after(crowd: int, is_known: bool, seed: int) -> Found:
    """Have a leader open as soon as he is back in sight, in what his followers have traded before or in what nobody
    has. Times count from the cut."""
    numbers = tuple(range(42_000_000, 42_000_000 + crowd))
    whole = Whole(seed, followers=numbers, world=crowded(numbers), switches=Switches(history_days=0))

    def held() -> int:
        books = (whole.broker.floor.accounts[number].positions.values() for number in numbers)
        return sum(any(position.volume for position in book) for book in books)

    whole.start()
    whole.stepper.run_until(whole.is_ready, LONG_US)
    if is_known:
        position = whole.person.buy(SOME, symbol=GBPUSD)
        whole.stepper.run_until(lambda: held() == crowd, LONG_US)
        whole.person.close(position, SOME)
        whole.stepper.run_until(lambda: not held(), LONG_US)
    whole.run(30)
    whole.stepper.network.cut_all()
    lines, began = whole.stepper.network.lines, whole.stepper.clock.now()

    def when(is_so: Callable[[], bool]) -> float:
        whole.stepper.run_until(is_so, LONG_US)
        return float(whole.stepper.clock.now() - began) / SECOND_US

    up = when(lambda: bool(lines))
    when(lambda: (view := whole.view(LEADER)) is not None and view.health is Health.RECONCILED)
    whole.person.buy(SOME, symbol=GBPUSD)
    first = when(lambda: held() > 0)
    middle = when(lambda: held() >= crowd // 2)
    last = when(lambda: held() == crowd)
    assert whole.stats()[-1]["busiest_second"] <= LIMIT
    return Found(up, first, middle, last)


def opened(crowds: tuple[int, ...], runs: int) -> list[Finding]:
    """Each crowd beside the fewest requests that would do."""
    rows = []
    for crowd in crowds:
        for is_known in (True, False):
            found = [opened_after(crowd, is_known, seed) for seed in range(runs)]
            least = (2 * (crowd + 1) + 3 * crowd) / LIMIT
            spans = {name: [getattr(one, name) for one in found] for name in ("first", "middle", "last")}
            rows.append(
                Finding(
                    f"{crowd} followers on one connection: the last copy opened, after a cut, in what "
                    + ("all have traded before" if is_known else "nobody has traded before"),
                    ", ".join(f"the {name} {min(span):.1f} to {max(span):.1f} s" for name, span in spans.items()),
                    f"the fewest requests: {least:.1f} s after the line is up",
                    tuple(one.last / (one.up + least) for one in found),
                )
            )
    return rows


def measured(crowds: tuple[tuple[int, int], ...], runs: int) -> list[Finding]:
    """Each crowd beside the fewest requests that would do."""
    rows = []
    for crowd, share in crowds:
        found = [closed_after(crowd, share, seed) for seed in range(runs)]
        holders = len(range(0, crowd, share))
        least = (2 * (holders + 1) + holders) / LIMIT
        spans = {name: [getattr(one, name) for one in found] for name in ("first", "middle", "last")}
        whose = "" if share == 1 else f" of which {holders} hold a copy"
        rows.append(
            Finding(
                f"{crowd} followers on one connection{whose}: the last copy closed, after a cut",
                ", ".join(f"the {name} {min(span):.1f} to {max(span):.1f} s" for name, span in spans.items()),
                f"the fewest requests: {least:.1f} s after the line is up",
                tuple(one.last / (one.up + least) for one in found),
            )
        )
    return rows


def main() -> None:
    given = arguments(__doc__).parse_args()
    logging.disable(logging.CRITICAL)
    crowds, runs = (((20, 1),), 1) if given.quick else (((20, 1), (100, 1), (500, 1), (500, 10)), 3)
    opens = (20,) if given.quick else (20, 100, 200)
    report("After a cut", [*measured(crowds, runs), *opened(opens, runs)], given.json)


if __name__ == "__main__":
    main()
