"""Kill real processes for a long time: `python scripts/soak/kill.py --kills 1000 --seed 1`.

A leader trades without a pause while the copier, the broker or both are ended by SIGKILL: while the copier starts,
while it copies, and at each named gap of a copy (`doomed.py`). What is under way when its sender dies arrives `--stray`
seconds later. After every few kills things come to rest, and the chaos checkers read the log and the broker's books.

`--late` shows the limit instead (`limit.py`): what arrives after the settling time counts as absent, and is sent twice.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import limit
from rounds import prepared

KILLS, KILLS_LATE = 1_000, 12


def soak(options: argparse.Namespace, folder: Path) -> int:
    """Run it all; answers how many violations there were."""
    began = time.monotonic()
    run = prepared(options, folder)
    violations: list[str] = []
    try:
        run.stage.start_copier()
        run.leader.start()
        while run.total() < options.kills:
            run.leader.go()
            for _ in range(min(options.round, options.kills - run.total())):
                run.kill_once()
            found = [problem for problem in run.come_to_rest() if problem not in violations]
            violations += found
            print(
                f"{run.total():5d} kills, {time.monotonic() - began:6.0f} s, {run.leader.trades.total()} trades, "
                f"violations {len(violations)}",
                *found,
                flush=True,
            )
        violations += run.judged_at_the_end()
        executed, busiest = run.executed(), run.busiest()
    finally:
        run.leader.stop()
        run.stage.end()
    run.wait(lambda: not run.stage.left_running())  # a projector comes up to the end of the log first
    violations += [f"still running: {line}" for line in run.stage.left_running()]
    print(
        f"seed {options.seed}, settle {options.settle} s, lag {options.lag} s, stray {options.stray} s "
        f"({run.stage.line.strays} pieces strayed): {run.total()} kills in {time.monotonic() - began:.0f} s"
    )
    print(f"kills: {dict(sorted(run.kills.items()))}")
    print(f"gaps: {dict(sorted(run.gaps.items()))}; not reached: {dict(sorted(run.missed.items()))}")
    print(f"leader: {dict(sorted(run.leader.trades.items()))}; orders executed on followers: {executed}")
    print(f"longest rest {run.longest_rest_s:.1f} s; busiest second as the brokers counted: {busiest}")
    print(f"violations: {len(violations)}", *violations, sep="\n  ")
    return len(violations)


def main() -> None:
    """Read the options, run, and exit with 1 where a law was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, help=f"how many; {KILLS}, or {KILLS_LATE} with --late")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--settle", type=int, default=1, help="the copier's settling time, in seconds")
    parser.add_argument("--lag", type=float, default=0.1, help="how long a request is under way, in seconds")
    parser.add_argument(
        "--stray", type=float, default=0.8, help="how much longer it is where its sender has died, in seconds"
    )
    parser.add_argument("--late", action="store_true", help="show what arrives after the settling time")
    parser.add_argument("--fill-ms", type=int, default=40, help="how long the broker takes for a fill")
    parser.add_argument("--round", type=int, default=10, help="kills between two looks at the laws")
    parser.add_argument("--keep", type=Path, help="a folder to work in and to leave as it is at the end")
    options = parser.parse_args()
    options.kills = options.kills or (KILLS_LATE if options.late else KILLS)
    folder = options.keep or Path(tempfile.mkdtemp(prefix="cmam-kill-"))
    try:
        violations = limit.shown(options, folder) if options.late else soak(options, folder)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
