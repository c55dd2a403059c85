"""Run every benchmark, one after the other: `make bench`. Each prints its table; their rows are kept as JSON.

python scripts/bench/all.py [--quick] [--only NAME …] [--folder DIR]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
FIRST = ("copy_path", "peers", "store", "replay", "spots", "crowd", "start", "day")
"""The order of docs/performance.md: what a copy takes before what the rest takes, the long ones late."""


def names() -> list[str]:
    """Every benchmark there is, in the order in which they run: what can be run here, but for this."""
    runnable = (file for file in HERE.glob("*.py") if "__main__" in file.read_text(encoding="utf-8"))
    found = {file.stem for file in runnable} - {Path(__file__).stem}
    return [*FIRST, *sorted(found.difference(FIRST))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that it runs, not to quote")
    parser.add_argument("--only", nargs="+", choices=names(), default=names(), metavar="NAME")
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="where the rows go")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in given.only:
        command = [sys.executable, str(HERE / f"{name}.py"), "--json", str(given.folder / f"{name}.json")]
        command += ["--quick"] if given.quick else []
        print(f"\n--- {name}\n", flush=True)
        begun = time.monotonic()
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
        print(f"\n{name} took {time.monotonic() - begun:.0f} s", flush=True)
    print(f"\nThe rows are in {given.folder}/." + (f" Failed: {', '.join(failed)}." if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
