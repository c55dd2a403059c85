"""Measure a start: from the command to every account reconciled, with few and with very many records in the store.

A short run on the sandbox makes a real store; `past.py` gives it days of trade before that, with the views and
snapshots of a projector. Both stores are started by turns on the same sandbox. Then the long one without its views, as
after a new version or a deleted file: everything is folded from the first record.

    python scripts/bench/start.py [--events 1000000] [--rounds 5] [--quick] [--json FILE]
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import stage
from common import Finding, arguments, ms, report
from past import grown

from cmam import office
from cmam.clock import SECOND_US
from cmam.config.home import Home
from cmam.sandbox.trader.trader import Trader
from cmam.store.projection.views_file import VIEWS_NAME, discard_views

FEW = 1_000
LOOK_S = 0.005
"""How often a restart is looked at, in seconds: it takes little more than half a second."""


@dataclass
class Starts:
    """What was seen of the starts of one store: us until it was ready, and KiB of memory then."""

    took_us: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def once(self, folder: Path, home: Home) -> None:
        """Start and stop it."""
        begun = time.perf_counter()
        with stage.copier(folder, home) as child:
            self.took_us.append((time.perf_counter() - begun) * 1e6)
            self.memory.append(memory_of(child))


def memory_of(child: subprocess.Popen[bytes]) -> float:
    """Resident memory of a process in KiB, as the kernel counts it."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    return float(status.split("VmRSS:")[1].split()[0])


def a_short_life(folder: Path, ready: dict[str, Any]) -> Home:
    """A store with a few copies in it."""
    home = Home(Path(tempfile.mkdtemp(prefix="life-", dir=folder)))
    stage.configure(home, ready, 2, "full")
    with stage.copier(folder, home), Trader(ready, stage.leader_of(ready)) as trader:
        stage.trade(trader, 6, 0.3)
    return home


def restart_us(folder: Path, home: Home) -> tuple[float, float]:
    """From the command to all accounts reconciled right after a SIGKILL, and half way: to the first answer; in us."""
    with stage.started(folder, ["--home", str(home.root), "start", "--plain"]) as doomed:
        stage.wait_for(lambda: stage.is_reconciled(home), doomed, folder)
        doomed.kill()
        doomed.wait()
    begun = time.perf_counter()
    with stage.started(folder, ["--home", str(home.root), "start", "--plain"]) as child:
        stage.wait_for(lambda: office.ask_running(home, {"command": "status"}) is not None, child, folder, LOOK_S)
        answered = time.perf_counter()
        stage.wait_for(lambda: stage.is_reconciled(home), child, folder, LOOK_S)
        return (time.perf_counter() - begun) * 1e6, (answered - begun) * 1e6


def measured(folder: Path, events: int, rounds: int) -> list[Finding]:
    """Both stores by turns; then the long one without views."""
    few, many, bare = Starts(), Starts(), Starts()
    with stage.sandbox(folder, 2) as ready:
        life = a_short_life(folder, ready)
        begun = time.perf_counter()
        short, long = grown(folder, life, FEW), grown(folder, life, events)
        print(f"{events:,} events recorded and projected in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        restart_us(folder, short)  # a first start compiles
        restarts = [restart_us(folder, short) for _ in range(max(5, rounds))]
        for _ in range(rounds):
            few.once(folder, short)
            many.once(folder, long)
        for _ in range(min(2, rounds)):
            discard_views(long.root / VIEWS_NAME)
            bare.once(folder, long)
    took = statistics.median(few.took_us)
    return [
        Finding(
            f"SIGKILL, start to ready, {FEW:,} events",
            ms(statistics.median(whole for whole, _ in restarts)),
            f"to the first answer: {ms(statistics.median(half for _, half in restarts))}",
            tuple(whole / SECOND_US for whole, _ in restarts),
            "≤ 1 s",
            1.0,
        ),
        Finding(
            f"start to ready with {events:,} events",
            ms(statistics.median(many.took_us)),
            f"{FEW:,} events: {ms(took)}",
            tuple(a / b for a, b in zip(many.took_us, few.took_us, strict=True)),
            "≤ 2 ×",
            2.0,
        ),
        Finding(
            "resident memory then",
            f"{statistics.median(many.memory) / 1024:.0f} MiB",
            f"{statistics.median(few.memory) / 1024:.0f} MiB",
            tuple(a / b for a, b in zip(many.memory, few.memory, strict=True)),
        ),
        Finding(
            "the same with its views deleted",
            ms(statistics.median(bare.took_us)),
            f"{FEW:,} events: {ms(took)}",
            tuple(a / took for a in bare.took_us),
        ),
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cmam-bench-"))
    try:
        events, rounds = (20_000, 2) if given.quick else (given.events, given.rounds)
        report("A start", measured(folder, events, rounds), given.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
