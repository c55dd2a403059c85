"""Runs drawn days of nets that lose volume to others while orders are under way.

    python scripts/soak/nets.py --seeds 0-199
    python scripts/soak/nets.py --seeds 0-199 --panics      whose leaders close everything at once
    python scripts/soak/nets.py --seeds 0-199 --mixed       two unlike profiles in each net; goes with --panics
    python scripts/soak/nets.py --seeds 0-199 --restored    whose log is put back to a backup; goes with --mixed

Exit code 1 where a day went wrong. A day takes about a second.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.stranger.nets import run_drawn
from tests.stranger.panics import run_panic
from tests.stranger.restored_nets import run_restored


def main() -> int:
    """Run the days that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-49", help="a range, both ends included")
    parser.add_argument("--panics", action="store_true", help="leaders close everything at once")
    parser.add_argument("--mixed", action="store_true", help="two unlike profiles copy into each net")
    parser.add_argument("--restored", action="store_true", help="the log is put back to a backup")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    run = run_panic if options.panics else run_restored if options.restored else run_drawn
    bad: list[int] = []
    for seed in range(int(first), int(last or first) + 1):
        try:
            run(seed, is_mixed=options.mixed)
        except Exception as error:  # noqa: BLE001 - whatever ends a day is what is looked for
            bad.append(seed)
            print(f"{seed}: {type(error).__name__}: {error}"[:600], flush=True)
    print(f"wrong: {bad}" if bad else "nothing differs")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
