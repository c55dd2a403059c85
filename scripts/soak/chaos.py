"""Run many chaos seeds on all processors and add up what happened: `python scripts/soak/chaos.py --seeds 0-1999`.

`--holds`: people move stops and targets instead of closing, so that many copies stand at the end. `--rules`: links have
policies of all kinds, which people change while it runs. `--odd`: worlds, instruments, habits and refusals of another
kind (`tests/chaos/oddities.py`). They go together.

Each seed is a whole system turn by turn in virtual time (`tests/chaos/run.py`); a failing one is named with the law
that it broke, and is replayed by `CHAOS_SEED=n`.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.chaos.run import COUNTED, Figures, run_seed

SAYS_EVERY = 100
"""Seeds between two lines of how far it is."""


def attempt(seed: int, *, holds: bool = False, rules: bool = False, odd: bool = False) -> tuple[int, Figures, str]:
    """One seed: its figures, or the law that it broke. What breaks any other way is a failure too, not the end."""
    try:
        return seed, run_seed(seed, lambda _: None, holds=holds, rules=rules, odd=odd), ""
    except AssertionError as error:
        return seed, Figures(), f"{error}"[:300] or "a law without words; run it by itself"
    except Exception as error:  # noqa: BLE001 - one seed that breaks the run itself must not hide the others
        return seed, Figures(), f"{type(error).__name__}: {error}"[:300]


def main() -> None:
    """Run the seeds, print the sums, exit with 1 where a law was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-1999", help="first and last, as in 0-1999")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--holds", action="store_true", help="people move levels instead of closing")
    parser.add_argument("--rules", action="store_true", help="links have policies of all kinds")
    parser.add_argument("--odd", action="store_true", help="odd worlds, instruments, habits and refusals")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    sums, failed, began = Figures(), 0, time.monotonic()
    with ProcessPoolExecutor(options.jobs) as workers:
        for done, (seed, figures, broken) in enumerate(
            workers.map(functools.partial(attempt, holds=options.holds, rules=options.rules, odd=options.odd), seeds), 1
        ):
            sums.add(figures)
            if broken:
                failed += 1
                print(f"seed {seed}: {broken}", flush=True)
            if done % SAYS_EVERY == 0:
                print(
                    f"{done} seeds, {sums.turns} turns, {time.monotonic() - began:.0f} s, {failed} failed", flush=True
                )
    print(f"{len(seeds)} seeds, {sums.turns} turns, {time.monotonic() - began:.0f} s, {failed} failed")
    for name in COUNTED:
        print(f"{name}: {dict(sorted(getattr(sums, name).items()))}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
