"""Fuzz the sandbox's pure core for a long time: `python scripts/fuzz_sandbox.py --frames 1000000 --seed 1`.

Exits 1 with the traceback or the growth of memory if the broker falls; prints one line a round otherwise.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.property.sandbox.fuzzing import main

ROUND = 100_000
GROWTH_KIB_MAX = 8 * 1024
"""Most that traced memory may grow in the second half of a round; the books are capped, so they fill in the first."""


def run() -> int:
    """Fuzz in rounds, each with a seed and a broker of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    done, seed = 0, arguments.seed
    while done < arguments.frames:
        frames = min(ROUND, arguments.frames - done)
        print(f"seed {seed}: {frames} frames", end=" ", flush=True)
        outcome = main(frames, seed)
        growth = outcome.kib_at_end - outcome.kib_after_half
        print(
            f"answers {outcome.answers}, deals kept {outcome.deals}, memory {outcome.kib_at_end} KiB ({growth:+} KiB)"
        )
        if growth > GROWTH_KIB_MAX:
            print(f"expected memory to stay flat, found {growth} KiB more in the second half", file=sys.stderr)
            return 1
        done, seed = done + frames, seed + 1
    return 0


if __name__ == "__main__":
    sys.exit(run())
