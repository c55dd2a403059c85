"""How long things took: percentiles of each stage from the leader's report to the broker's answer, per account.

The spans to the socket were measured with a clock that never jumps and stand in the record; here they are only
counted. The one to the answer is from the record that a request has left to the one of its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TypeVar

from cmam.store.auditing.audit import Audit, Line
from cmam.store.auditing.histogram import histogram
from cmam.store.projection.sql_views import ANSWER_SPAN, FROM_LEADER

ANSWERED = "written_to_answered"
STAGES: Mapping[str, str] = {
    "report_to_decided": "decided_us",
    "decided_to_committed": "committed_us - decided_us",
    "committed_to_written": "written_us - committed_us",
    "report_to_socket": "written_us",
    ANSWERED: ANSWER_SPAN.format("orders"),
}
"""Each stage, and where its span stands. The first four only exist where a leader's report led to the request; a close
that left before its record, as the store was slow, has no second and no third."""


ALL = "all"
Number = TypeVar("Number", int, Fraction)


def timings(audit: Audit, *, account: int | None = None, since_us: int | None = None) -> list[Line]:
    """One line per stage, over all followers first, then per follower: how many, percentiles, and a histogram.

    Percentiles and the bounds of the buckets are in milliseconds; a bucket holds what lasted `from_ms` or longer and
    less than `below_ms`, which is null in the one without an end.
    """
    columns = ", ".join(
        span if stage == ANSWERED else f"CASE WHEN {FROM_LEADER.format('orders')} THEN {span} END"
        for stage, span in STAGES.items()
    )
    rows = audit.views.execute(
        f"SELECT account, {columns} FROM orders"
        " WHERE (?1 IS NULL OR account = ?1) AND (?2 IS NULL OR at_us >= ?2) ORDER BY account",
        [account, since_us],
    )
    found: dict[int | str, list[list[int]]] = {} if account is not None else {ALL: [[] for _ in STAGES]}
    for one, *spans in rows:
        own = found.setdefault(one, [[] for _ in STAGES])
        for place, span in enumerate(spans):
            if span is not None:
                own[place].append(span)
    if account is None:
        found[ALL] = [
            [span for name, own in found.items() if name != ALL for span in own[n]] for n in range(len(STAGES))
        ]
    return [
        _line(stage, one, spans)
        for one, stages in found.items()
        for stage, spans in zip(STAGES, stages, strict=True)
        if spans
    ]


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


def _line(stage: str, account: int | str, spans_us: Iterable[int]) -> Line:
    spans = sorted(spans_us)
    percentiles = {f"{name}_ms": _ms(value, 3) for name, value in _percentiles(spans).items()}
    buckets = [
        {
            "from_ms": _ms(bucket.from_us, 2),
            "below_ms": None if bucket.below_us is None else _ms(bucket.below_us, 2),
            "count": bucket.count,
        }
        for bucket in histogram(spans)
    ]
    return {"stage": stage, "account": account, "count": len(spans), **percentiles, "histogram": buckets}


def _ms(span_us: int, digits: int) -> str:
    return _decimal(Fraction(span_us, 1_000), digits)


def _percentiles(values: Sequence[Number]) -> dict[str, Number]:
    """The nearest-rank percentiles of sorted values: each is a value that really occurred."""
    if not values:
        return {}
    ranks = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    return {name: values[max(0, -(-len(values) * rank // 100) - 1)] for name, rank in ranks.items()}


def _decimal(value: Fraction, digits: int) -> str:
    return f"{round(float(value), digits) + 0:.{digits}f}"  # what is almost nothing has no sign
