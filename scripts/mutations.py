"""Break each invariant on purpose, in a copy of the tree, and name the test that sees it.

Prints the table of docs/testing.md. A mutation that no test sees ends the run with 1.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NET = ("tests/unit/actors", "tests/unit/domain", "tests/unit/openapi", "tests/unit/store", "tests/chaos")
SEEDS = "0-15"
PATIENCE_S = 300


@dataclass(frozen=True, slots=True)
class Mutation:
    """One way to break the code: what it is, and one piece of one file replaced."""

    breaks: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = NET


CHAOS = ("tests/chaos/test_trading_chaos.py",)
MUTATIONS = (
    Mutation(
        "send before commit",
        "cmam/actors/recorder.py",
        "            try:\n                self._log.append([pending",
        "            try:\n"
        "                self._hand_on(list(self._waiting))\n"
        "                self._log.append([pending",
    ),
    Mutation(
        "absence counts before the settling time",
        "cmam/domain/settling.py",
        "is_proof = fact.looked_up and now_us - intent.moved_us >= fact.settle_us",
        "is_proof = True",
    ),
    Mutation(
        "a change may be decided twice",
        "cmam/domain/turn.py",
        "if cursor is not None and not cursor.is_before(*cause) and not change.synced:",
        "if cursor is None and not change.synced and not change.kind:",
    ),
    Mutation(
        "a cursor is forgotten",
        "cmam/domain/intents.py",
        "cursors={**view.cursors, event.link: cursor}",
        "cursors={**view.cursors}",
    ),
    Mutation(
        "a deal that came twice is booked twice",
        "cmam/domain/account.py",
        "event.deal.is_execution and event.deal.deal not in view.deals",
        "event.deal.is_execution",
    ),
    Mutation(
        "a pause blocks a close",
        "cmam/domain/decide.py",
        "        case ChangeKind.CLOSED:\n            return decide_closed(view, live)",
        "        case ChangeKind.CLOSED:\n"
        "            return NO_COPY if inputs.standing.value == 'paused' else decide_closed(view, live)",
        ("tests/unit/domain", "tests/scenario/test_commands.py", "tests/chaos"),
    ),
    Mutation(
        "closes wait behind opens",
        "cmam/actors/desk.py",
        "CommandKind.CLOSE: Lane.CLOSE",
        "CommandKind.CLOSE: Lane.OPEN",
        ("tests/unit/actors", "tests/scenario/test_bursts.py", "tests/chaos"),
    ),
    Mutation(
        "a slot is free after half a second",
        "cmam/openapi/window.py",
        "return SECOND_US + max(self._guard.us, self._guard.round_trip_us + DRIFT_US)",
        "return SECOND_US // 2",
        ("tests/unit/openapi",),
    ),
    Mutation(
        "the chain hash is no hash",
        "cmam/store/log.py",
        "link = record_hash(pending.stream, pending.version, topic, state)",
        "link = bytes(32)",
        ("tests/unit/store",),
    ),
    Mutation(
        "a derivation reads the clock",
        "cmam/domain/turn.py",
        "    after = evolve(view, fact, now_us)",
        "    import time\n\n    now_us += time.time_ns() % 997\n    after = evolve(view, fact, now_us)",
        CHAOS,
    ),
)


def seen_by(mutation: Mutation) -> str:
    """The first test that fails with it; empty where none does."""
    with tempfile.TemporaryDirectory(prefix="cmam-mutant-") as folder:
        tree = Path(folder)
        for name in ("cmam", "tests", "scripts", "proto", "docs", "setup.cfg", "pyproject.toml"):
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, tree / name)
        file = tree / mutation.file
        text = file.read_text()
        if text.count(mutation.old) != 1:
            raise SystemExit(f"expected the place of {mutation.breaks!r} once in {mutation.file}")
        file.write_text(text.replace(mutation.old, mutation.new))
        words = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=no", *mutation.tests]
        environment = {**os.environ, "PYTHONPATH": folder, "CHAOS_SEEDS": SEEDS}
        done = subprocess.run(words, cwd=tree, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return found.group(1) if found is not None else ""


def main() -> None:
    """Print the table; exit with 1 where a mutation lives."""
    alive = 0
    print("| broken on purpose | seen by |\n|---|---|")
    for mutation in MUTATIONS:
        test = seen_by(mutation)
        alive += not test
        print(f"| {mutation.breaks} | {f'`{test}`' if test else 'NOBODY'} |", flush=True)
    sys.exit(1 if alive else 0)


if __name__ == "__main__":
    main()
