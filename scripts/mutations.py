"""Break each invariant on purpose, in a copy of the tree, and name the test that sees it.

`python scripts/mutations.py [--jobs N] [--only WORD …] [--trust]`. Each mutation (`scripts/mutants`) names the tests
that should see it; they pass on the tree as it is, or nothing is said. One that none sees ends the run with 1.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutants import Mutation, lost, recording, risk, twice, wire

ROOT = Path(__file__).resolve().parents[1]
GROUPS: Mapping[str, Sequence[Mutation]] = {
    "1 record, then send; the store; one writer": recording.MUTATIONS,
    "2 never twice": twice.MUTATIONS,
    "3 never lost; findings; supervision": lost.MUTATIONS,
    "4, 5 closes and guards": risk.MUTATIONS,
    "6, 7, 8 the limit, replay, secrets": wire.MUTATIONS,
}
TREE = (
    "cmam",
    "tests",
    "scripts",
    "proto",
    "docs",
    "setup.cfg",
    "pyproject.toml",
    "ruff.toml",
    "README.md",
    "CHANGELOG.md",
    "Makefile",
)
SEEDS = "0-15"
PATIENCE_S = 600


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a mutation: the first test that failed, or why there is none."""

    test: str
    why: str = ""


class Workshop:
    """A copy of the tree in which one mutation at a time is tried."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._moment = 1_000_000_000
        for name in TREE:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns(".clients", "__pycache__"))
            elif source.exists():
                shutil.copy(source, folder / name)

    def try_one(self, mutation: Mutation) -> Seen:
        """Break it, run its tests, mend it."""
        file = self.folder / mutation.file
        text = file.read_text()
        if text.count(mutation.old) != 1:
            return Seen("", f"its place stands {text.count(mutation.old)} times in {mutation.file}")
        broken = text.replace(mutation.old, mutation.new)
        try:
            compile(broken, mutation.file, "exec")
        except SyntaxError as error:
            return Seen("", f"it cannot be compiled: {error}")
        try:
            self._write(file, broken)
            return self.run(mutation.tests)
        finally:
            self._write(file, text)

    def _write(self, file: Path, text: str) -> None:
        """Every write has a time of its own: bytecode that was made of another one is not taken for it."""
        self._moment += 1
        file.write_text(text)
        os.utime(file, (self._moment, self._moment))

    def run(self, tests: Sequence[str]) -> Seen:
        """Run tests until one fails."""
        words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=line", *tests]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CMAM_")}
        environment |= {"PYTHONPATH": str(self.folder), "CHAOS_SEEDS": SEEDS}
        try:
            done = subprocess.run(
                words, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
            )
        except subprocess.TimeoutExpired:
            return Seen("", f"its tests had not ended after {PATIENCE_S} s")
        # A file that cannot be collected has no test in its name, and has seen nothing.
        found = re.search(r"^(?:FAILED|ERROR) (\S+?::.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
        if found is not None:
            return Seen(found.group(1))
        return Seen("", "" if done.returncode == 0 else f"pytest could not run its tests: {done.stdout[-300:]}")


def tried(chosen: Sequence[Mutation], jobs: int, *, trust: bool) -> Iterator[Seen]:
    """Try all, some at a time, and answer in their order; without `trust` the tests must pass on the tree as it is."""
    with tempfile.TemporaryDirectory(prefix="cmam-mutants-") as folder:
        shops: queue.SimpleQueue[Workshop] = queue.SimpleQueue()
        for number in range(jobs):
            (Path(folder) / str(number)).mkdir()
            shops.put(Workshop(Path(folder) / str(number)))

        def one(mutation: Mutation) -> Seen:
            shop = shops.get()
            try:
                return shop.try_one(mutation)
            finally:
                shops.put(shop)

        shop = shops.get()
        healthy = Seen("") if trust else shop.run(sorted({test for mutation in chosen for test in mutation.tests}))
        shops.put(shop)
        if healthy.test or healthy.why:
            raise SystemExit(f"expected the tests to pass on the tree as it is; found {healthy.test or healthy.why}")
        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(one, chosen)


def main() -> None:
    """Print the table; exit with 1 where a mutation lives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="so many at a time")
    parser.add_argument("--only", action="append", default=[], help="those whose words contain this; may be repeated")
    parser.add_argument("--trust", action="store_true", help="take it for granted that the tests pass unbroken")
    asked = parser.parse_args()
    named = [(group, mutation) for group, mutations in GROUPS.items() for mutation in mutations]
    chosen = [
        (group, mutation)
        for group, mutation in named
        if not asked.only or any(word in mutation.breaks for word in asked.only)
    ]
    print("| invariant | broken on purpose | seen by |", "|---|---|---|", sep="\n")
    alive = 0
    seen_by = tried([mutation for _, mutation in chosen], max(1, asked.jobs), trust=asked.trust)
    for (group, mutation), seen in zip(chosen, seen_by, strict=True):
        alive += not seen.test
        shown = f"`{seen.test}`" if seen.test else f"NOBODY {seen.why}".strip()
        print(f"| {group} | {mutation.breaks} | {shown} |", flush=True)
    print(f"{len(chosen)} mutations, {alive} that no test sees", file=sys.stderr)
    sys.exit(1 if alive else 0)


if __name__ == "__main__":
    main()
