"""How long things took: percentiles of each stage from the leader's report to the broker's answer, per account.

The spans were measured with a clock that never jumps and stand in the record; here they are only counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from cmam.store.audit import Audit, Line

STAGES: Mapping[str, str] = {
    "report_to_decided": "decided_us",
    "decided_to_committed": "committed_us - decided_us",
    "committed_to_written": "written_us - committed_us",
    "report_to_socket": "written_us",
    "written_to_answered": "answered_us",
}
"""Each stage, and where its span stands. The first four only exist where a leader's report led to the request."""

ALL = "all"


def timings(audit: Audit, *, account: int | None = None, since_us: int | None = None) -> list[Line]:
    """One line per stage, over all followers first, then per follower: how many, and percentiles in milliseconds."""
    accounts = [row[0] for row in audit.views.execute("SELECT DISTINCT account FROM orders ORDER BY account")]
    wanted = [account] if account is not None else accounts
    lines = [] if account is not None else [_line(audit, stage, None, since_us) for stage in STAGES]
    lines += [_line(audit, stage, one, since_us) for one in wanted for stage in STAGES]
    return [line for line in lines if line["count"]]


PARTS: Mapping[str, str] = {
    "all": "pips",
    "delay": "delay_pips",
    "spread": "spread_pips",
    "broker": "broker_pips",
}
"""The whole of the slippage and its causes, which add up; `totals.py` says what each is."""


def slippage(audit: Audit, *, account: int | None = None, since_us: int | None = None) -> list[Line]:
    """How much worse than its leader each follower was filled, in its own pips, and why: count and percentiles."""
    sql = (
        "SELECT s.follower, s.pips, s.delay_pips, s.spread_pips, s.broker_pips"
        " FROM copies AS c JOIN slippage AS s ON s.copy_id = c.copy_id"
        " WHERE (?1 IS NULL OR c.follower = ?1) AND (?2 IS NULL OR c.decided_us >= ?2)"
    )
    found: dict[tuple[int, str], list[Fraction]] = {}
    for row in audit.query(sql, [account, since_us]):
        for part, column in PARTS.items():
            if row[column] is not None:
                found.setdefault((row["follower"], part), []).append(Fraction(str(row[column])))
    order = list(PARTS)
    return [
        {"account": follower, "part": part, "count": len(values)}
        | {name: _decimal(value, 1) for name, value in _percentiles(sorted(values)).items()}
        for (follower, part), values in sorted(found.items(), key=lambda item: (item[0][0], order.index(item[0][1])))
    ]


def _line(audit: Audit, stage: str, account: int | None, since_us: int | None) -> Line:
    span = STAGES[stage]
    only = "answered_us IS NOT NULL" if stage == "written_to_answered" else "is_from_report = 1"
    rows = audit.views.execute(
        f"SELECT {span} FROM orders WHERE {only} AND (?1 IS NULL OR account = ?1) AND (?2 IS NULL OR at_us >= ?2)",
        [account, since_us],
    ).fetchall()
    spans = sorted(Fraction(row[0], 1_000) for row in rows)
    line: Line = {"stage": stage, "account": account if account is not None else ALL, "count": len(spans)}
    return line | {f"{name}_ms": _decimal(value, 3) for name, value in _percentiles(spans).items()}


def _percentiles(values: Sequence[Fraction]) -> dict[str, Fraction]:
    """The nearest-rank percentiles of sorted values: each is a value that really occurred."""
    if not values:
        return {}
    ranks = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    return {name: values[max(0, -(-len(values) * rank // 100) - 1)] for name, rank in ranks.items()}


def _decimal(value: Fraction, digits: int) -> str:
    return f"{float(value):.{digits}f}"
