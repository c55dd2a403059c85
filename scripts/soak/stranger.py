"""Runs drawn days before the broker of tests/stranger, and says of each that went wrong under which habits it did.

    python scripts/soak/stranger.py --seeds 0-199            brokers with drawn habits, lines cut, processes killed
    python scripts/soak/stranger.py --seeds 0-199 --plain    the broker as it was seen on the wire
    python scripts/soak/stranger.py --seeds 0-199 --wide     markets shut, positions are rolled, accounts held to closes
    python scripts/soak/stranger.py --seeds 0-199 --noisy    events lack optional fields, and have enums of no schema
    python scripts/soak/stranger.py --seeds 0-199 --calm     nothing is cut and nobody is killed
    python scripts/soak/stranger.py --seeds 17 --shrink      says of a day that went wrong which habits it takes

Exit code 1 where a day went wrong. A day takes about a second; to shrink one takes a day more for each of its habits.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.stranger.day import Day
from tests.stranger.habits import Habits, unusual


def run(
    seed: int, habits: Habits | None, *, is_calm: bool, is_old: bool, is_wide: bool = False, is_noisy: bool = False
) -> Day:
    """Run one day; what it raised counts as wrong."""
    day = Day(seed, habits, has_gaps=not is_calm, is_old=is_old, is_wide=is_wide, is_noisy=is_noisy)
    try:
        day.run()
    except Exception as error:  # noqa: BLE001 - whatever ends a day is what is looked for
        day.wrong.append(f"{day}\n  raised {type(error).__name__}: {error}")
    return day


def without_needless(day: Day, *, is_calm: bool, is_old: bool, is_noisy: bool = False) -> Day:
    """The same day with every habit gone that it does not take to go wrong."""
    for name in unusual(day.habits):
        plainer = replace(day.habits, **{name: getattr(Habits(), name)})
        tried = run(day.seed, plainer, is_calm=is_calm, is_old=is_old, is_wide=day.is_wide, is_noisy=is_noisy)
        day = tried if tried.wrong else day
    return day


def main() -> int:
    """Run the days that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-49", help="a range, both ends included")
    parser.add_argument("--plain", action="store_true", help="with the habits that were seen on the wire")
    parser.add_argument("--old", action="store_true", help="with the habits and acts of the first days only")
    parser.add_argument("--wide", action="store_true", help="with markets that shut, and positions that are rolled")
    parser.add_argument("--noisy", action="store_true", help="with events that lack what the schema calls optional")
    parser.add_argument("--calm", action="store_true", help="without cuts and kills")
    parser.add_argument("--shrink", action="store_true", help="run days that went wrong again, with fewer habits")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    counts: Counter[str] = Counter()
    bad: list[int] = []
    for seed in range(int(first), int(last or first) + 1):
        day = run(
            seed,
            Habits() if options.plain else None,
            is_calm=options.calm,
            is_old=options.old,
            is_wide=options.wide,
            is_noisy=options.noisy,
        )
        counts += day.counts
        if day.wrong:
            bad.append(seed)
            if options.shrink:
                day = without_needless(day, is_calm=options.calm, is_old=options.old, is_noisy=options.noisy)
            print(day.wrong[0], flush=True)
    print(", ".join(f"{name} {count}" for name, count in counts.most_common()))
    print(f"wrong: {bad}" if bad else "nothing differs")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
