"""What all benchmarks share: what a finding is, how it is shown, and how rounds become one ratio with its spread.

A finding is one row: what was measured, beside what, and the ratio of the two by round. Absolute figures belong to the
machine, ratios travel.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """One row of the table. `ratios` are ours to the other's, one a round; `limit` is the most, or least, allowed: for
    the median of them, or for each."""

    what: str
    ours: str
    beside: str
    ratios: tuple[float, ...] = ()
    goal: str = ""
    limit: float | None = None
    is_least: bool = False
    is_each: bool = False

    @property
    def verdict(self) -> str:
        """Whether the goal was reached, by the median of the rounds, or by the worst of them."""
        if self.limit is None or not self.ratios:
            return ""
        worst = min(self.ratios) if self.is_least else max(self.ratios)
        counted = worst if self.is_each else statistics.median(self.ratios)
        return "reached" if (counted >= self.limit if self.is_least else counted <= self.limit) else "missed"

    @property
    def spread(self) -> str:
        """Median of the rounds, least and most."""
        if not self.ratios:
            return ""
        middle, least, most = statistics.median(self.ratios), min(self.ratios), max(self.ratios)
        return f"{middle:.2f} ({least:.2f} to {most:.2f})"


def skipped(what: str, why: str) -> Finding:
    """A row that this machine cannot measure, and why."""
    return Finding(what, "SKIPPED", why)


def quantile(values: Sequence[float], q: float) -> float:
    """The value below which that part of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))]


def ms(us: float) -> str:
    """Microseconds as milliseconds with the digits that mean something."""
    return f"{us / 1_000:.2f} ms" if us < 10_000 else f"{us / 1_000:.0f} ms"


def machine() -> str:
    """What it was measured on."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"


def arguments(about: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: to see that it runs, not to quote")
    return parser


def table(findings: Sequence[Finding]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | ours | beside | ratio: median (least to most) | goal | |", "|---|---|---|---|---|---|"]
    for one in findings:
        lines.append(f"| {one.what} | {one.ours} | {one.beside} | {one.spread} | {one.goal} | {one.verdict} |")
    return "\n".join(lines)


def report(name: str, findings: Sequence[Finding], file: Path | None) -> None:
    """Print the table, and write it as JSON where that was asked for."""
    print(f"{name}: {machine()}\n\n{table(findings)}", flush=True)
    if file is not None:
        rows = [{**asdict(one), "spread": one.spread, "verdict": one.verdict} for one in findings]
        file.write_text(json.dumps({"name": name, "machine": machine(), "rows": rows}, indent=1) + "\n")
