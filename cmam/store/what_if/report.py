"""What a what-if found, as a document: every trade that came out otherwise, and the sums of each follower."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cmam.domain.operating.registry import Registry
from cmam.domain.values.quantities import decimal_text, units_text
from cmam.store.records.envelope import Recorded
from cmam.store.text import iso
from cmam.store.what_if.answers import Answers
from cmam.store.what_if.asked import Asked
from cmam.store.what_if.book import Book, Curve
from cmam.store.what_if.rows import Row, Told
from cmam.store.what_if.run import Run

MODEL = (
    "Fills of what came out otherwise are a model: at the price and after the time of the recorded fill of the same "
    "request, else at the newest recorded quote (once every 10 s while something is open); levels and resting orders "
    "fill at their own price once a recorded quote shows them reached."
)

MONEY = ("result", "drawdown")
Records = Callable[[], Iterable[Recorded]]


def what_if(records: Records, asked: Asked) -> dict[str, Any]:
    """Run a log again under other settings; `records` is asked twice, and must give the same both times."""
    run = Run(Answers.of(records()), asked)
    run.take_all(records())
    rows = [row for row in run.rows.rows.values() if row.differs]
    return {
        "equal": not rows,
        "from": iso(run.first_us),
        "until": iso(run.now_us),
        "records": run.records,
        "trades": len(run.rows.rows),
        "differences": [_row(run, row) for row in rows],
        "followers": [_follower(run, number) for number in sorted({row.account for row in run.rows.rows.values()})],
        "model": {
            "about": MODEL,
            "fills": run.counted.fills,
            "at_recorded_fills": run.counted.by_record,
            "at_recorded_quotes": run.counted.by_quote,
            "at_leader_prices": run.counted.by_leader,
            "without_a_price": run.counted.unpriced,
        },
    }


def _row(run: Run, row: Row) -> dict[str, Any]:
    change = row.change
    profile = next((one for one in run.registry.profiles.values() if row.link in one.links), None)
    digits = run.books[row.account].real.money_digits
    return {
        "profile": profile.name if profile is not None else "",
        "follower": int(row.account),
        "account": _shown(run.registry, int(row.account)),
        "leader": int(change.leader),
        "leader_position": int(change.position) if change.position is not None else None,
        "leader_order": int(change.order) if change.order is not None else None,
        "symbol": change.symbol.name,
        "side": change.side.value,
        "leader_volume": units_text(change.volume),
        "at": iso(row.at_us),
        "decisions_differ": row.decisions_differ,
        "recorded": _told(row.recorded, digits),
        "what_if": _told(row.other, digits),
        "volume_difference": units_text(row.other.volume - row.recorded.volume),
        "result_difference": _difference(row, digits),
        "modelled": row.is_modelled,
    }


def _told(told: Told, digits: int) -> dict[str, Any]:
    whole = None if told.floating is None else told.result + told.floating
    return {
        "verdict": told.verdict.value if told.verdict is not None else None,
        "reason": told.reason.value if told.reason is not None else None,
        "volume": units_text(told.volume),
        "result": None if whole is None else decimal_text(whole, digits),
        "state": told.state or None,
        "ended": told.ended or None,
    }


def _difference(row: Row, digits: int) -> str | None:
    then, now = row.recorded, row.other
    if then.floating is None or now.floating is None:
        return None
    return decimal_text(now.result + now.floating - then.result - then.floating, digits)


def _shown(registry: Registry, number: int) -> str:
    known = next((one for one in registry.accounts.values() if int(one.account) == number), None)
    return known.shown if known is not None else str(number)


def _follower(run: Run, number: Any) -> dict[str, Any]:
    book: Book = run.books[number]
    rows = [row for row in run.rows.rows.values() if row.account == number]
    recorded = _sums([row.recorded for row in rows], book.curve)
    other = _sums([row.other for row in rows], book.other_curve)
    digits = book.real.money_digits
    return {
        "follower": int(number),
        "account": _shown(run.registry, int(number)),
        "currency": book.real.currency,
        "trades": len(rows),
        "samples": book.curve.samples,
        "recorded": _texts(recorded, digits),
        "what_if": _texts(other, digits),
        "difference": _texts({name: _minus(other[name], recorded[name]) for name in recorded}, digits),
    }


def _minus(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first - second


def _sums(told: list[Told], curve: Curve) -> dict[str, int | None]:
    """What all trades of a follower come to; the result is unknown where that of one that is still open is."""
    worth = [None if one.floating is None else one.result + one.floating for one in told]
    known = [one for one in worth if one is not None]
    return {
        "copied": sum(one.is_copied for one in told),
        "skipped": sum(not one.is_copied for one in told),
        "volume": sum(one.volume for one in told),
        "result": sum(known) if len(known) == len(worth) else None,
        "drawdown": curve.drawdown,
    }


def _texts(sums: Mapping[str, int | None], digits: int) -> dict[str, Any]:
    money = {name: None if sums[name] is None else decimal_text(sums[name] or 0, digits) for name in MONEY}
    return {"copied": sums["copied"], "skipped": sums["skipped"], "volume": units_text(sums["volume"] or 0), **money}
