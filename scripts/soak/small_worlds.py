"""Go through all orders of all small worlds: `python scripts/soak/small_worlds.py --faults 2 --cuts`.

Each world (`tests/small/worlds.py`) is a few things that a leader does, and each way through it is one order in which
what is sent, done, told and asked may follow one another, with so many faults on it. What comes out wrong is printed
with all that led to it. `--only WORD` goes through those worlds alone whose name has it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.small.explorer import explore
from tests.small.hands import Hand
from tests.small.world import Setting
from tests.small.worlds import HEDGED, NETTED, PROFILES, RESTING, RESTING_BESIDE, hedged, netted, resting

HAND_WORLDS = ("open", "open, part", "open, add", "open, stop, stop")
NET_HAND_WORLDS = (
    "two",
    "two, one closes",
    "two sides, one closes",
    "open, part",
    "open, add, part",
    "open, stop, stop",
)


def worlds(faults: int, *, cuts: bool) -> Iterator[tuple[str, Setting]]:
    """All worlds, each by its name."""
    for name in HEDGED:
        yield f"hedged: {name}", hedged(name, faults=faults, cuts=cuts)
    for name in NETTED:
        yield f"netted: {name}", netted(name, faults=faults, cuts=cuts)
        if not name.startswith("two"):
            yield f"two profiles: {name}", netted(name, faults=faults, amounts=PROFILES, cuts=cuts)
    for name in RESTING:
        for part in (1, 2):
            yield f"resting: {name}, filled by 1/{part}", resting(name, faults=faults, fills=(part,), cuts=cuts)
    for name in (*RESTING, *RESTING_BESIDE):
        for part in (1, 2):
            setting = resting(name, faults=faults, netted=True, fills=(part,), cuts=cuts)
            yield f"netted resting: {name}, filled by 1/{part}", setting
    for name in NET_HAND_WORLDS:
        for hand in Hand:
            yield f"a person {hand.value} of a net: {name}", netted(name, faults=faults, hands=(hand,), cuts=cuts)
            if not name.startswith("two"):
                more = netted(name, faults=faults, amounts=PROFILES, hands=(hand,), cuts=cuts)
                yield f"a person {hand.value} of a net of two profiles: {name}", more
    for name in HAND_WORLDS:
        for hand in Hand:
            yield f"a person {hand.value}: {name}", hedged(name, faults=faults, hands=(hand,), lies=(), cuts=cuts)
        yield f"cut anywhere: {name}", hedged(name, faults=faults, anywhere=True, cuts=cuts)


def main() -> int:
    """Go through them one after the other; exit code 1 where one came out wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--faults", type=int, default=1)
    parser.add_argument("--cuts", action="store_true", help="the line may be cut, and the process end")
    parser.add_argument("--most", type=int, default=0, help="so many moments of each world at most")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    is_wrong = False
    for name, setting in worlds(options.faults, cuts=options.cuts):
        if options.only not in name:
            continue
        found = explore(setting, most=options.most)
        is_cut_short = 0 < options.most <= found.moments
        print(f"{name}: {found.moments} moments, {found.ends} ends{', not all' if is_cut_short else ''}", flush=True)
        for text, story in found.wrong:
            is_wrong = True
            print("\n".join((f"  WRONG {text}", *(f"    {line}" for line in story))), flush=True)
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main())
