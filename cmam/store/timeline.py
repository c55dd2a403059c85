"""The story of one decision in the order of time: from the leader's fill to what became of the follower's request.

Moments of the log are our clock's, moments of brokers are theirs; each line says whose. Spans inside the copy path were
measured by a clock that never jumps, and are told beside the line that they end at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cmam.store.audit import Audit, Line
from cmam.store.envelope import Recorded
from cmam.store.text import iso, parse_time


def timeline(audit: Audit, story: Mapping[str, Any], record: Recorded) -> list[Line]:
    """What happened, oldest first: `at`, ms since the leader's change by our clock, whose clock, and what."""
    late = story["cause"]["seen_to_decided_us"]
    origin = record.at_us - late if late is not None else record.at_us
    events = [*_leader(story, origin), *_decided(story, record)]
    for order in story["orders"]:
        events += _request(order, _spans(audit, order["intent"]))
    for attempt in story["attempts"]:
        reason = f": {attempt['reason']}" if attempt["reason"] else ""
        events.append((parse_time(attempt["at"]), "ours", f"looked again, {attempt['verdict']}{reason}"))
    for note in story["notes"]:
        by = f" by {note['user']}" if note["user"] else ""
        events.append((parse_time(note["at"]), "ours", note["what"].replace("_", " ") + by))
    events += _copy(story["copy"])
    rows = sorted(events, key=lambda event: event[0])  # stable: causes were put before effects
    return [
        {"at": iso(at_us), "after_ms": _ms(at_us - origin), "clock": clock, "what": what} for at_us, clock, what in rows
    ]


def _ms(span_us: int) -> str:
    sign = "-" if span_us < 0 else ""
    return f"{sign}{abs(span_us) // 1_000}.{abs(span_us) % 1_000:03d}"


def _leader(story: Mapping[str, Any], seen_us: int) -> Iterator[tuple[int, str, str]]:
    change, cause = story["change"], story["cause"]
    told = f"the leader's broker: {change['kind']} {change['side']} {change['volume']} {change['symbol']}"
    if change["price"]:
        told += f" at {change['price']}"
    if change["at"]:
        yield parse_time(change["at"]), "broker", told
    if cause["seen_at"]:
        yield seen_us, "ours", f"seen by us, record {cause['record']}"


def _decided(story: Mapping[str, Any], record: Recorded) -> Iterator[tuple[int, str, str]]:
    reason = f": {story['reason']}" if story["reason"] else ""
    yield record.at_us, "ours", f"decided, {story['verdict']}{reason}"


def _spans(audit: Audit, intent: str) -> Mapping[str, Any]:
    cursor = audit.views.execute(
        "SELECT at_us, is_from_report, decided_us, committed_us, written_us, sent_us, answered_us FROM orders"
        " WHERE intent = ?",
        [intent],
    )
    names = [column[0] for column in cursor.description]
    row = cursor.fetchone()
    return dict(zip(names, row, strict=True)) if row is not None else {}


def _request(order: Mapping[str, Any], spans: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    volume = f" {order['volume']}" if order["kind"] in ("open", "add", "close", "place") else ""
    yield (
        spans.get("at_us") or parse_time(order["recorded_at"]),
        "ours",
        f"request {order['intent']}: {order['kind']}{volume}",
    )
    if order["sent_at"]:
        how = ""
        if spans.get("is_from_report"):
            durable = _ms(spans["committed_us"] - spans["decided_us"])
            written = _ms(spans["written_us"] - spans["committed_us"])
            how = f": durable {durable} ms after the decision, on the socket {written} ms later"
        yield spans.get("sent_us") or parse_time(order["sent_at"]), "ours", f"sent{how}"
        if spans.get("answered_us") is not None and spans.get("sent_us"):
            yield (
                spans["sent_us"] + spans["answered_us"],
                "ours",
                f"accepted by the broker, {_ms(spans['answered_us'])} ms after it was sent",
            )
    if order["settled_at"]:
        why = f" ({order['reason']})" if order["reason"] else ""
        filled = f", {order['filled']} filled" if order["kind"] in ("open", "add", "close") else ""
        yield parse_time(order["settled_at"]), "ours", f"{order['outcome']}{why}{filled}"


def _copy(copy: Mapping[str, Any] | None) -> Iterator[tuple[int, str, str]]:
    if copy is None:
        return
    if copy["opened_at"]:
        yield parse_time(copy["opened_at"]), "ours", f"the copy is open, {copy['volume']} at {copy['open_price']}"
    if copy["closed_at"]:
        reason = f": {copy['reason']}" if copy["reason"] else ""
        yield parse_time(copy["closed_at"]), "ours", f"the copy is {copy['state']}{reason}"
