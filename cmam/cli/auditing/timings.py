"""`cmam audit timings`: how long each stage of the copies took, as figures and as histograms, and how late a burst is.

A person sees every stage over all followers and the slowest followers; programs get all of them, with their buckets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.auditing.audit_options import NUMBERS, OF_ACCOUNTS, as_csv, asked, emit, named, opened
from cmam.cli.face.rows import console, print_rows
from cmam.cli.face.talk import counted, say
from cmam.cli.face.verbs import Verb, face
from cmam.clock import MILLISECOND_US, SECOND_US

if TYPE_CHECKING:
    from cmam.store.auditing.histogram import Bucket

FOLLOWERS_SHOWN = 20
"""A table for eyes has so many followers, the slowest first; `--account` shows any one, `--json` and `--csv` all."""
FINE_LINES_MAX = 12
"""A histogram of more lines than this is drawn with two buckets in one."""
WIDTH_MAX, LABEL_WIDTH, COUNT_WIDTH, MARKS_WIDTH = 78, 15, 6, 14
BLOCKS = " ▏▎▍▌▋▊▉█"
PERCENTILES = ("p50", "p90", "p99", "max")
STAGES = {
    "report_to_decided": "from the leader's report to the follower's decision",
    "decided_to_committed": "from the decision to its record on disk",
    "committed_to_written": "from the record through the request budget to the socket",
    "report_to_socket": "the three together: from the leader's report to the socket",
    "written_to_answered": "from the socket to the broker's answer",
}
CSV_KEYS = (
    "stage", "account", "count", "p50_ms", "p90_ms", "p99_ms", "max_ms", "histogram",
    "part", "p50", "p90", "p99", "max",
)  # fmt: skip
"""The columns of `--csv`, for stages and slippage alike; what a line does not have is empty."""


@click.command(cls=Verb)
@click.option("--account", metavar="ID", help="Only this follower.")
@click.option("--since", metavar="TIME", help="From this moment on, or yesterday, today.")
@as_csv
def timings(account: str | None, since: str | None, csv: bool) -> None:
    """How long each stage took, with histograms; how late a burst would be; slippage.

    Also how much worse than its leader each follower was filled. --json and --csv have every follower, and each
    histogram as a list of buckets: `count` spans lasted `from_ms` or longer and less than `below_ms`.
    """
    from cmam.store.auditing.timings import slippage
    from cmam.store.auditing.timings import timings as spans

    filters = asked({"account": account, "since": since})
    with opened() as past:
        lines = spans(past, account=filters.account, since_us=filters.since_us)
        slipped = slippage(past, account=filters.account, since_us=filters.since_us)
    forecasts = [] if account or csv else _forecasts()
    if csv:
        every = [*lines, *({"stage": "slippage_pips", **line} for line in slipped)]
        emit(({key: line.get(key) for key in CSV_KEYS} for line in every), CSV_KEYS, as_csv=True)
        return
    if face().as_json:
        emit([*lines, *({"stage": "slippage_pips", **line} for line in slipped), *forecasts], CSV_KEYS, as_csv=False)
        return
    _show(lines, slipped)
    for line in forecasts:
        console().print(f"An open of {line['profile']}, the budget {line['budget']}: {line['text']}.")


def _show(lines: Sequence[Mapping[str, Any]], slipped: Sequence[Mapping[str, Any]]) -> None:
    """What a person reads: all together, drawn, then who is slow, then what it cost."""
    followers_there = 0
    if not lines:
        say("Nothing was measured yet.")
    else:
        first = lines[0]["account"]
        whole = [line for line in lines if line["account"] == first]
        columns = [("stage", "stage"), ("count", "count"), *((f"{name}_ms", f"{name} ms") for name in PERCENTILES)]
        print_rows(whole, columns, empty="", numbers=NUMBERS)
        for line in whole:
            _draw(line)
        followers = by_follower(line for line in lines if line["account"] != first)
        if len(followers) > 1:
            followers_there = _table(followers, "report_to_socket, and the broker's answer, in ms; the slowest first")
    if slipped:
        title = "slippage in pips, negative is better than the leader; the worst first"
        followers_there = max(followers_there, _table(slippage_by_follower(slipped), title))
    if followers_there > FOLLOWERS_SHOWN:
        there = counted(followers_there, "follower")
        say(f"{FOLLOWERS_SHOWN} of {there}; --account ID shows any one, --json and --csv all.")


def _table(rows: Sequence[Mapping[str, Any]], title: str) -> int:
    """Print the first of these rows; answers how many there are."""
    out = console()
    out.print(title, style="bold")
    numbers = frozenset(rows[0]) - OF_ACCOUNTS
    print_rows(named(rows[:FOLLOWERS_SHOWN]), list(rows[0]), empty="", numbers=numbers, spare=("p90", "max"))
    return len(rows)


def by_follower(lines: Iterator[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line per follower with what its leader and its broker see of it, the slowest first."""
    rows: dict[Any, dict[str, Any]] = {}
    for line in lines:
        row = rows.setdefault(line["account"], {"account": line["account"], "count": 0, **dict.fromkeys(PERCENTILES)})
        if line["stage"] == "report_to_socket":
            row |= {"count": line["count"], **{name: line[f"{name}_ms"] for name in PERCENTILES}}
        elif line["stage"] == "written_to_answered":
            row["answer_p50"], row["answer_p99"] = line["p50_ms"], line["p99_ms"]
    keys = ("account", "count", *PERCENTILES, "answer_p50", "answer_p99")
    found = [{key: row.get(key) for key in keys} for row in rows.values()]
    return sorted(found, key=lambda row: -float(row["p99"] or 0))


def slippage_by_follower(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line per follower: the percentiles of the whole, and the median of each cause; the worst first."""
    rows: dict[int, dict[str, Any]] = {}
    for line in lines:
        row = rows.setdefault(line["account"], {})
        if line["part"] == "all":
            row |= {"account": line["account"], "count": line["count"], **{name: line[name] for name in PERCENTILES}}
        else:
            row[f"{line['part']}_p50"] = line["p50"]
    keys = ("account", "count", *PERCENTILES, "delay_p50", "spread_p50", "broker_p50")
    found = [{key: row.get(key) for key in keys} for row in rows.values()]
    return sorted(found, key=lambda row: -float(row["p99"] or 0))


# --- histograms -----------------------------------------------------------------------------------------------------


def _draw(line: Mapping[str, Any]) -> None:
    from rich.text import Text

    out = console()
    out.print(Text.assemble((str(line["stage"]), "bold"), (f"  {STAGES[line['stage']]}", "dim")))
    for label, bar, count, marks in drawn(line, min(out.width, WIDTH_MAX)):
        out.print(Text.assemble(f"  {label}  ", (bar, "cyan"), f"  {count}", (marks, "dim")))
    out.print()


def drawn(line: Mapping[str, Any], width: int) -> list[tuple[str, str, str, str]]:
    """The lines of a histogram: which spans, a bar, how many, and which percentiles lie there.

    The columns stand at the same places whatever they hold, so that histograms one below the other can be compared.
    """
    from cmam.store.auditing.histogram import Bucket, coarser

    buckets = [Bucket(_us(one["from_ms"]) or 0, _us(one["below_ms"]), one["count"]) for one in line["histogram"]]
    if len(buckets) > FINE_LINES_MAX:
        buckets = coarser(buckets)
    most = max(bucket.count for bucket in buckets)
    room = max(8, width - LABEL_WIDTH - COUNT_WIDTH - MARKS_WIDTH - 6)
    return [
        (
            _label(bucket).rjust(LABEL_WIDTH),
            _bar(bucket.count, most, room),
            str(bucket.count).rjust(COUNT_WIDTH),
            _marks(line, bucket),
        )
        for bucket in buckets
    ]


def _us(milliseconds: str | None) -> int | None:
    return None if milliseconds is None else round(float(milliseconds) * 1_000)


def _label(bucket: Bucket) -> str:
    if bucket.below_us is None:
        return f"{bucket.from_us // SECOND_US} s or longer"
    unit, name = (SECOND_US, "s ") if bucket.below_us >= SECOND_US else (MILLISECOND_US, "ms")
    below = f"{bucket.below_us / unit:>4g} {name}"
    return f"{bucket.from_us / unit:g} – {below}" if bucket.from_us else f"below {below}"


def _bar(count: int, most: int, room: int) -> str:
    """A bar in eighths of a character; whatever is not nothing is seen."""
    eighths = max(1, count * room * 8 // most) if count else 0
    bar = BLOCKS[8] * (eighths // 8) + BLOCKS[eighths % 8].strip()
    return bar.ljust(room)


def _marks(line: Mapping[str, Any], bucket: Bucket) -> str:
    """The percentiles that lie in a bucket."""
    found = []
    for name in PERCENTILES[:-1]:
        span = _us(line[f"{name}_ms"]) or 0
        if bucket.from_us <= max(span, 0) and (bucket.below_us is None or span < bucket.below_us):
            found.append(name)
    return f" ◂ {' '.join(found)}" if found else ""


# --- the forecast ---------------------------------------------------------------------------------------------------


def _forecasts() -> list[dict[str, Any]]:
    """How late the last follower of each profile would be: as the budgets are now, or unused where nothing runs."""
    from cmam import office

    home = face().home
    running = office.ask_running(home, {"command": "status"})
    if running is not None:
        found = {entry["profile"]: entry["forecast"] for entry in running["profiles"] if entry.get("forecast")}
    else:
        found = office.idle_forecasts(home)
    budget = "as it is now" if running is not None else "unused"
    return [{"stage": "forecast", "profile": name, "budget": budget, **entry} for name, entry in found.items()]
