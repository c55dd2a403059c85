"""Everything summed up: decisions, copies, requests, how well they were filled, drift, results.

*Fill rate*: of the opens and adds that came to an end, and of the pending orders that were refused or filled, the part
of the asked volume that was filled, averaged over requests. *Slippage* is the copy's entry against its leader's, in the
follower's pips, positive for worse: *delay* is how far the middle of the market had moved when we decided, *spread* the
follower's half spread against what the leader paid of his, *broker* the fill against the quote we decided at, and
*other* what copies without such a quote bring: those of resting orders fill at a price of their own. The four add up to
the average. *Drift* is how far live copies are off their exact target, above or below, as a step or a minimum allows no
better. *Result* is what closes moved the follower's balance by, gross profit, swap, commission and the fee for
converting it together, by the moment at which the broker executed them: of a copy of which a part is closed, that part.
Each currency is summed up alone. *Untold* are closed copies of hedged accounts of which no close was ever told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from cmam.store.auditing.audit import Audit, Line
from cmam.store.auditing.filters import NO_FILTERS, Conditions, Filters, of_closes, of_copies, of_decisions
from cmam.store.projection.sql_views import CLOSED_BY
from cmam.store.text import money

GROUPINGS: Mapping[str, tuple[str, ...]] = {
    "follower": ("profile", "follower"),
    "profile": ("profile",),
    "symbol": ("symbol",),
    "day": ("day",),
    "month": ("month",),
    "all": (),
}
"""By what can be summed; days and months are those of UTC."""

_COLUMN = {
    "profile": "p.name",
    "follower": "t.follower",
    "symbol": "t.symbol",
    "day": "substr({moment}, 1, 10)",
    "month": "substr({moment}, 1, 7)",
}
_JOIN = "LEFT JOIN profiles AS p ON p.profile_id = t.profile_id"
COPY_COUNTS: Mapping[str, str] = {
    "open": "= 'open'",
    "on_the_way": "IN ('waiting', 'opening', 'resting', 'closing')",
    "closed": "= 'closed'",
    "refused": "= 'refused'",
    "expired": "IN ('expired', 'cancelled')",
    "unknown": "= 'unknown'",
}
"""What copies are counted by: every state is in one of them."""
_MEANT_TO_FILL = (
    "(o.kind IN ('open', 'add') AND o.outcome IS NOT NULL"
    " AND NOT (o.outcome = 'confirmed' AND CAST(o.filled AS REAL) = 0)"
    " OR o.kind = 'place' AND (o.outcome <> 'confirmed' OR CAST(o.filled AS REAL) > 0))"
)
"""Requests whose fill says how well a broker fills: an order that rests, or was taken back before its price came, says
nothing of that, nor does an add of which only its position has told that it was filled."""
_CAUSES = ("delay_pips", "spread_pips", "broker_pips")
_PARTS = ("pips", *_CAUSES, "other_pips")
_MONEY = ("gross", "swap", "commission", "conversion_fee")
_RESULT = ("currency", "closes", "net", *_MONEY)
"""What a line has of its result, where all of it is of one currency."""
_CURRENCY = "coalesce(nullif(a.currency, ''), 'of account ' || t.follower)"
"""The currency of an account that never told its own is that of no other."""

Key = tuple[Any, ...]


def totals(audit: Audit, filters: Filters = NO_FILTERS, *, by: Sequence[str] = ("follower",)) -> Iterator[Line]:
    """One line for each group that has anything, in the order of their names; `by` several things at once."""
    keys = names_of(by)
    groups: dict[Key, Line] = {}
    for part in (_decisions, _skips, _copies, _drift, _requests, _slippage, _results, _untold):
        for key, found in part(audit, filters, keys):
            line = groups.setdefault(key, dict(zip(keys, key, strict=True)) | _nothing())
            skips = line["skips"] | found.pop("skips", {})
            line |= found
            line["skips"] = skips
            groups[key] = line
    for key in sorted(groups, key=lambda key: tuple(str(part) for part in key)):
        yield groups[key]


def names_of(by: Sequence[str]) -> tuple[str, ...]:
    """What tells the lines apart, each once."""
    return tuple(dict.fromkeys(name for one in by for name in GROUPINGS[one]))


def keys_of(by: Sequence[str]) -> tuple[str, ...]:
    """What a line has, in order."""
    return (*names_of(by), *_nothing())


def _nothing() -> Line:
    numbers = ("decisions", "copied", "skipped", "nothing_to_do", "copies", *COPY_COUNTS)
    more = ("requests", "confirmed", "requests_refused", "requests_unknown")
    slipped = {f"slippage_{part}": None for part in _PARTS}
    return {
        **dict.fromkeys((*numbers, *more), 0),
        "fill_rate": None,
        **slipped,
        "drifting": 0,
        "drift": "0",
        "leader_volume": None,
        "volume": None,
        "skips": {},
        **dict.fromkeys(_RESULT),
        "closes": 0,
        "closed_untold": 0,
        "results": {},
    }


def _grouped(
    audit: Audit, keys: tuple[str, ...], what: str, table: str, conditions: Conditions, moment: str, join: str = _JOIN
) -> Iterator[tuple[Key, Line]]:
    columns = [f"{_COLUMN[key].format(moment=moment)} AS key_{key}" for key in keys]
    group = f"GROUP BY {', '.join(f'key_{key}' for key in keys)}" if keys else ""
    sql = f"SELECT {', '.join((*columns, what))} FROM {table} AS t {join} {conditions.where} {group}"
    for row in audit.query(sql, conditions.values):
        key = tuple(row.pop(f"key_{name}") for name in keys)
        yield key, row


def _decisions(audit: Audit, filters: Filters, keys: tuple[str, ...]) -> Iterator[tuple[Key, Line]]:
    what = (
        "count(*) AS decisions, total(t.verdict = 'copy') AS copied, total(t.verdict = 'skip') AS skipped,"
        " total(t.verdict = 'none') AS nothing_to_do"
    )
    for key, row in _grouped(audit, keys, what, "decisions", of_decisions(filters), "t.at"):
        yield key, {name: int(value) for name, value in row.items()}


def _skips(audit: Audit, filters: Filters, keys: tuple[str, ...]) -> Iterator[tuple[Key, Line]]:
    """How often for each reason."""
    columns = [f"{_COLUMN[key].format(moment='t.at')} AS key_{key}" for key in keys]
    conditions = of_decisions(filters)
    conditions.add("t.verdict = ?", "skip")
    names = ", ".join((*(f"key_{key}" for key in keys), "t.reason"))
    sql = (
        f"SELECT {', '.join((*columns, 't.reason AS why, count(*) AS times'))} FROM decisions AS t {_JOIN}"
        f" {conditions.where} GROUP BY {names} ORDER BY times DESC, why"
    )
    found: dict[Key, dict[str, int]] = {}
    for row in audit.query(sql, conditions.values):
        found.setdefault(tuple(row[f"key_{name}"] for name in keys), {})[row["why"]] = row["times"]
    for key, skips in found.items():
        yield key, {"skips": skips}


def _copies(audit: Audit, filters: Filters, keys: tuple[str, ...]) -> Iterator[tuple[Key, Line]]:
    states = ", ".join(f"total(t.state {condition}) AS {name}" for name, condition in COPY_COUNTS.items())
    what = (
        f"count(*) AS copies, {states}, total(CAST(t.leader_volume AS REAL)) AS leader_volume,"
        " total(CAST(t.volume AS REAL)) AS volume"
    )
    is_one_symbol = "symbol" in keys or filters.symbol is not None
    for key, row in _grouped(audit, keys, what, "copies", of_copies(filters), "t.decided_at"):
        volumes = {name: f"{row.pop(name):.2f}" for name in ("leader_volume", "volume")}
        counts: Line = {name: int(value) for name, value in row.items()}
        yield key, counts | (volumes if is_one_symbol else {})  # units of different things add up to nothing


def _drift(audit: Audit, filters: Filters, keys: tuple[str, ...]) -> Iterator[tuple[Key, Line]]:
    """Exact, since targets may be fractions; only live copies can be off, and these are few."""
    conditions = of_copies(filters)
    conditions.add("t.drift <> ? AND t.state IN ('open', 'closing')", "0.00")
    columns = [f"{_COLUMN[key].format(moment='t.decided_at')} AS key_{key}" for key in keys]
    sql = f"SELECT {', '.join((*columns, 't.drift'))} FROM copies AS t {_JOIN} {conditions.where}"
    found: dict[Key, list[Fraction]] = {}
    for row in audit.query(sql, conditions.values):
        found.setdefault(tuple(row[f"key_{name}"] for name in keys), []).append(Fraction(row["drift"]))
    for key, drifts in found.items():
        yield key, {"drifting": len(drifts), "drift": _decimal(sum(map(abs, drifts), Fraction(0)))}


def _requests(audit: Audit, filters: Filters, keys: tuple[str, ...]) -> Iterator[tuple[Key, Line]]:
    """The requests of the copies that are meant, by the copy's names."""
    what = (
        "count(o.intent) AS requests, total(o.outcome = 'confirmed') AS confirmed,"
        " total(o.outcome = 'refused') AS requests_refused, total(o.state = 'unknown') AS requests_unknown,"
        f" avg(CASE WHEN {_MEANT_TO_FILL} AND CAST(o.volume AS REAL) > 0"
        " THEN min(1.0, CAST(o.filled AS REAL) / CAST(o.volume AS REAL)) END) AS fill_rate"
    )
    join = f"{_JOIN} JOIN orders AS o ON o.copy_id = t.copy_id"
    for key, row in _grouped(audit, keys, what, "copies", of_copies(filters), "t.decided_at", join):
        rate = row.pop("fill_rate")
        counts: Line = {name: int(value) for name, value in row.items()}
        yield key, counts | {"fill_rate": None if rate is None else f"{rate:.4f}"}


def _slippage(audit: Audit, filters: Filters, keys: tuple[str, ...]) -> Iterator[tuple[Key, Line]]:
    """Every part is averaged over all copies that have a slippage, so that the parts are the whole."""
    sums = {part: f"total(s.{part})" for part in _CAUSES}
    sums["other_pips"] = f"total(CASE WHEN {' + '.join(f's.{part}' for part in _CAUSES)} IS NULL THEN s.pips END)"
    what = ", ".join(("avg(s.pips) AS pips", *(f"{whole} / count(*) AS {part}" for part, whole in sums.items())))
    join = f"{_JOIN} JOIN slippage AS s ON s.copy_id = t.copy_id"
    for key, row in _grouped(audit, keys, what, "copies", of_copies(filters), "t.decided_at", join):
        yield key, {f"slippage_{name}": _pips(row[name]) for name in _PARTS}


def _results(audit: Audit, filters: Filters, keys: tuple[str, ...]) -> Iterator[tuple[Key, Line]]:
    """What was realised, of each currency, and how much of it by whose closes."""
    parts = [*(_COLUMN[key].format(moment="t.at") for key in keys), _CURRENCY, CLOSED_BY.format("t", "c")]
    names = ", ".join(f"part_{at}" for at in range(len(parts)))
    sums = ", ".join(f"sum(t.{name}) AS {name}" for name in _MONEY)
    sql = (
        f"SELECT {', '.join(f'{part} AS part_{at}' for at, part in enumerate(parts))}, t.money_digits AS digits,"
        f" count(DISTINCT t.follower || ':' || t.deal) AS closes, {sums} FROM closes AS t {_JOIN}"
        " LEFT JOIN accounts AS a ON a.account = t.follower"
        f" LEFT JOIN copies AS c ON c.copy_id = t.copy_id {of_closes(filters).where}"
        f" GROUP BY {names}, digits ORDER BY {names}"
    )
    found: dict[Key, dict[str, list[Line]]] = {}
    for row in audit.query(sql, of_closes(filters).values):
        *key, currency, row["closed_by"] = (row.pop(f"part_{at}") for at in range(len(parts)))
        found.setdefault(tuple(key), {}).setdefault(currency, []).append(row)
    for group, by_currency in found.items():
        results = {currency: _result(rows) for currency, rows in by_currency.items()}
        line: Line = {"results": results, "closes": sum(result["closes"] for result in results.values())}
        if len(results) == 1:
            ((currency, result),) = results.items()
            line |= {"currency": currency} | {name: result[name] for name in ("net", *_MONEY)}
        yield group, line


def _untold(audit: Audit, filters: Filters, keys: tuple[str, ...]) -> Iterator[tuple[Key, Line]]:
    """Copies that closed unseen, and of whose end the broker's history told nothing: no result has what they made."""
    conditions = of_copies(replace(filters, since_us=None, until_us=None))
    conditions.add("t.closed_us >= ?", filters.since_us)
    conditions.add("t.closed_us <= ?", filters.until_us)
    conditions.add("t.state = ? AND t.follower_position IS NOT NULL AND a.account_type = 'hedged'", "closed")
    conditions.add("t.reason <> ?", "released")  # its position stands, and is no copy any more
    conditions.add("NOT EXISTS (SELECT 1 FROM closes AS c WHERE c.copy_id = t.copy_id) AND ?", 1)
    join = f"{_JOIN} JOIN accounts AS a ON a.account = t.follower"
    for key, row in _grouped(audit, keys, "count(*) AS closed_untold", "copies", conditions, "t.closed_at", join):
        if row["closed_untold"]:
            yield key, row


def _result(rows: Sequence[Line]) -> Line:
    """Sums of one currency, exact, with as many digits as any of its money has."""
    digits = max(row["digits"] for row in rows)
    summed = dict.fromkeys(_MONEY, 0)
    by: dict[str, int] = {}
    for row in rows:
        scaled = {name: row[name] * 10 ** (digits - row["digits"]) for name in _MONEY}
        for name in _MONEY:
            summed[name] += scaled[name]
        by[row["closed_by"]] = by.get(row["closed_by"], 0) + sum(scaled.values())
    texts = {name: money(value, digits) for name, value in {"net": sum(summed.values()), **summed}.items()}
    closes = sum(row["closes"] for row in rows)
    return {"closes": closes, **texts, "by": {name: money(value, digits) for name, value in by.items()}}


def _pips(value: float | None) -> str | None:
    return None if value is None else f"{round(value, 2) + 0:.2f}"  # what floats leave of nothing has no sign


def _decimal(value: Fraction) -> str:
    return f"{float(value):.2f}"
