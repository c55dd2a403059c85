"""`cmam audit timings` as a person and as a spreadsheet see it."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cmam.cli.auditing.timings import COUNT_WIDTH, LABEL_WIDTH, MARKS_WIDTH, by_follower, drawn, slippage_by_follower
from cmam.cli.main import run
from cmam.store.auditing.histogram import histogram
from cmam.store.logfile.log import EventLog
from tests.unit.store.world import FIRST, World

Timings = Callable[..., str]


@pytest.fixture
def timings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Timings:
    """The command, on the home of a small day."""
    log = EventLog.open(tmp_path, code="0.1.0")
    world = World(log=log).set_up()
    world.leader_closes(world.leader_opens(10_000_000, stop="1.09500"))
    world.write_checkpoint()
    log.close()

    def said(*words: str) -> str:
        capsys.readouterr()
        assert run(["--home", str(tmp_path), "audit", "timings", *words]) == 0
        return capsys.readouterr().out

    return said


def a_line(spans_us: list[int], **percentiles: str) -> dict[str, Any]:
    """A line as `store.timings` makes it."""
    buckets = [
        {
            "from_ms": str(one.from_us / 1_000),
            "below_ms": one.below_us and str(one.below_us / 1_000),
            "count": one.count,
        }
        for one in histogram(spans_us)
    ]
    return {
        "stage": "report_to_socket",
        "histogram": buckets,
        **dict.fromkeys(("p50_ms", "p90_ms", "p99_ms"), "0"),
    } | percentiles


def test_bars_are_as_long_as_their_counts_are_large() -> None:
    """The largest fills its room, half of it half the room, none nothing, and the least that is something is seen."""
    lines = drawn(a_line([1_000] * 800 + [1_500] * 400 + [3_000]), 78)
    assert [" ".join(label.split()) for label, *_ in lines] == ["1 – 1.5 ms", "1.5 – 2 ms", "2 – 3 ms", "3 – 5 ms"]
    room = 78 - LABEL_WIDTH - COUNT_WIDTH - MARKS_WIDTH - 6
    bars = [bar.rstrip() for _, bar, *_ in lines]
    assert (bars[0], bars[2], bars[3]) == ("█" * room, "", "▏")
    assert bars[1] == "█" * (room // 2) + "▌" * (room % 2)
    assert [count.strip() for _, _, count, _ in lines] == ["800", "400", "0", "1"]


@pytest.mark.parametrize("longest_us", [1_100, 10**5, 10**7, 10**8 + 1])
def test_a_histogram_fits_eighty_columns(longest_us: int) -> None:
    """Whatever it holds: its lines are all of one width, at most thirteen or coarser, and count everything."""
    spans = [5, *(1_000 * step for step in range(1, 300)), longest_us]
    lines = drawn(a_line(spans, p50_ms="1.200", p90_ms="1.201", p99_ms="1.202"), 78)
    assert {len(label) + len(bar) + len(count) for label, bar, count, _ in lines} == {78 - MARKS_WIDTH - 6}
    assert max(len(marks) for *_, marks in lines) <= MARKS_WIDTH
    assert sum(int(count) for *_, count, _ in lines) == len(spans)
    assert len(lines) <= 24


def test_percentiles_stand_where_they_lie() -> None:
    """Each is marked once, in the bucket that holds it."""
    lines = drawn(a_line([1_000, 2_500, 2_600, 9_000], p50_ms="2.500", p90_ms="9.000", p99_ms="9.000"), 78)
    assert {label.split()[0]: marks for label, _, _, marks in lines if marks} == {"2": " ◂ p50", "7": " ◂ p90 p99"}


def test_a_person_sees_stages_bars_and_forecast(timings: Timings) -> None:
    """Each stage has its line and its histogram, and what is ahead is said in words, all of it on stdout."""
    said = timings()
    for stage in ("report_to_decided", "decided_to_committed", "report_to_socket", "written_to_answered"):
        assert said.count(stage) >= 2, said
    assert "█ " in said
    assert "An open of Main, the budget unused: 2 followers at once." in said
    assert max(map(len, said.splitlines())) <= 78


def test_csv_has_one_header_for_stages_and_slippage(timings: Timings) -> None:
    """Every row has the columns of the header; a histogram is JSON in its cell, and its counts add up to the row's."""
    rows = list(csv.DictReader(io.StringIO(timings("--csv"))))
    assert Counter(row["stage"] == "slippage_pips" for row in rows)[True] == 4
    for row in rows:
        assert None not in row
        if row["stage"] != "slippage_pips":
            assert sum(bucket["count"] for bucket in json.loads(row["histogram"])) == int(row["count"])
    assert rows[0]["account"] == "all"
    one = csv.DictReader(io.StringIO(timings("--csv", "--account", str(FIRST))))
    assert {row["account"] for row in one} == {str(FIRST)}


def test_json_has_every_follower_with_its_buckets(timings: Timings) -> None:
    """Scripts get bounds and counts as data, and the forecast as a line of its own."""
    lines = [json.loads(line) for line in timings("--json").splitlines()]
    (whole,) = [line for line in lines if line["stage"] == "report_to_socket" and line["account"] == "all"]
    assert whole["histogram"] == [{"from_ms": "1.00", "below_ms": "1.50", "count": whole["count"]}]
    assert [line["text"] for line in lines if line["stage"] == "forecast"] == ["2 followers at once"]


def test_followers_are_ranked_by_what_they_waited() -> None:
    """One line each, the slowest and the worst filled first; what was never measured is empty."""
    spans = dict.fromkeys(("p50_ms", "p90_ms", "max_ms"), "1.000")
    lines = [
        {"account": 1, "stage": "report_to_socket", "count": 3, "p99_ms": "2.000", **spans},
        {"account": 2, "stage": "report_to_socket", "count": 4, "p99_ms": "10.000", **spans},
        {"account": 3, "stage": "written_to_answered", "count": 5, "p99_ms": "7.000", **spans},
    ]
    found = by_follower(iter(lines))
    assert [(row["account"], row["count"], row["p99"], row["answer_p99"]) for row in found] == [
        (2, 4, "10.000", None),
        (1, 3, "2.000", None),
        (3, 0, None, "7.000"),
    ]
    pips = [
        {"account": account, "part": part, "count": 1, "p50": p50, "p90": p50, "p99": p50, "max": p50}
        for account, part, p50 in ((1, "all", "0.1"), (1, "delay", "0.1"), (2, "all", "0.5"))
    ]
    worst = slippage_by_follower(pips)
    assert [(row["account"], row["p50"], row["delay_p50"]) for row in worst] == [(2, "0.5", None), (1, "0.1", "0.1")]
