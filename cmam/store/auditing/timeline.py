"""The story of one decision in the order of time: from the leader's fill to what became of the follower's request.

Moments of the log are our clock's, moments of brokers are theirs; each line says whose. Spans inside the copy path were
measured by a clock that never jumps, and are told beside the line that they end at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cmam.domain.events import RequestRefused
from cmam.domain.values.quantities import Volume, units_text
from cmam.store.auditing.audit import Audit, Line
from cmam.store.projection.sql_views import ANSWER_SPAN
from cmam.store.records.envelope import Recorded
from cmam.store.text import iso, parse_time, price


def timeline(audit: Audit, story: Mapping[str, Any], record: Recorded, copy_id: str) -> list[Line]:
    """What happened, oldest first: `at`, ms since the leader's change by our clock, whose clock, and what."""
    late = story["cause"]["seen_to_decided_us"]
    origin = record.at_us - late if late is not None else record.at_us
    events = [*_leader(story, origin), *_decided(story, record)]
    for attempt in story["attempts"]:
        reason = f": {attempt['reason']}" if attempt["reason"] else ""
        (row,) = audit.query("SELECT at_us FROM attempts WHERE attempt_id = ?", [attempt["attempt_id"]])
        events.append((row["at_us"], "ours", f"looked again, {attempt['verdict']}{reason}"))
    for order in story["orders"]:
        spans = _spans(audit, order["intent"])
        said = _said(audit, spans["position"]) if order["outcome"] == "refused" else ""
        events += _request(order, spans, said)
    sql = "SELECT at_us, what, user, data FROM notes WHERE copy_id = ? ORDER BY position"
    given_up = _waits(story)
    for note in audit.query(sql, [copy_id]):
        by = f" by {note['user']}" if note["user"] else ""
        told = ""
        if note["what"] == "copy_touched":
            data = json.loads(note["data"])
            told = f": {in_hand(data)}"
            if given_up and data["what"] == "volume" and note["at_us"] >= record.at_us:
                told, given_up = f"{told}; what this waited to add is given up", False
        events.append((note["at_us"], "ours", note["what"].replace("_", " ") + by + told))
    if story["copy"] is not None:
        events += _copy(audit, story["copy"])
    rows = sorted(events, key=lambda event: event[0])  # stable: causes were put before effects
    return [
        {"at": iso(at_us), "after_ms": _ms(at_us - origin), "clock": clock, "what": what} for at_us, clock, what in rows
    ]


def in_hand(touched: Mapping[str, Any]) -> str:
    """What somebody else made of a copy, from what to what, as people write it."""
    what, before, after = touched["what"], int(touched["before"]), int(touched["after"])
    if what == "trailing":
        return f"trailing {'on' if after else 'off'}"
    if what in ("stop", "target"):
        return f"{what} {price(before) if before else 'none'} to {price(after) if after else 'none'}"
    old, new = (units_text(Volume(volume)).removesuffix(".00") for volume in (before, after))
    return f"{what} {old} to {new}"


def _waits(story: Mapping[str, Any]) -> bool:
    """Whether growth was decided that nothing was ever sent for: a person's hand on the volume ends such a wait."""
    is_settled = story["orders"] or any(attempt["verdict"] != "copy" for attempt in story["attempts"])
    return story["verdict"] == "copy" and story["change"]["kind"] == "grew" and not is_settled


def _ms(span_us: int) -> str:
    sign = "-" if span_us < 0 else ""
    return f"{sign}{abs(span_us) // 1_000}.{abs(span_us) % 1_000:03d}"


def in_words(change: Mapping[str, Any]) -> str:
    """A leader's change as its broker told it: a position moves by its volume, and is protected as a whole."""
    if change["kind"] == "protected":
        trails = ", trailing" if change["trailing"] else ""
        levels = f"stop {change['stop'] or 'none'}{trails}, target {change['target'] or 'none'}"
        return f"protected {change['side']} {change['symbol']}, {levels}"
    at = f" at {change['price']}" if change["price"] else ""
    return f"{change['kind'].replace('_', ' ')} {change['side']} {change['volume']} {change['symbol']}{at}"


def _leader(story: Mapping[str, Any], seen_us: int) -> Iterator[tuple[int, str, str]]:
    change, cause = story["change"], story["cause"]
    if change["at"]:
        yield parse_time(change["at"]), "broker", f"the leader's broker: {in_words(change)}"
    if cause["seen_at"]:
        yield seen_us, "ours", f"seen by us, record {cause['record']}"


def _decided(story: Mapping[str, Any], record: Recorded) -> Iterator[tuple[int, str, str]]:
    reason = f": {story['reason']}" if story["reason"] else ""
    yield record.at_us, "ours", f"decided, {story['verdict']}{reason}"


def _spans(audit: Audit, intent: str) -> Mapping[str, Any]:
    """The moments of a request and its spans, to the microsecond: texts end at the millisecond, and tell no order."""
    (row,) = audit.query(
        "SELECT at_us, is_from_report, decided_us, committed_us, written_us, sent_us, settled_us, position,"
        f" {ANSWER_SPAN.format('orders')} AS answered_us FROM orders WHERE intent = ?",
        [intent],
    )
    return row


def _said(audit: Audit, position: int) -> str:
    """The broker's own words, where what settled a request was his refusal."""
    settled = next(iter(audit.log.read(position - 1, limit=1)), None)
    if settled is None or settled.position != position or settled.cause is None:
        return ""
    fact = audit.log.record(*settled.cause)
    return fact.event.description if fact is not None and isinstance(fact.event, RequestRefused) else ""


def _request(order: Mapping[str, Any], spans: Mapping[str, Any], said: str) -> Iterator[tuple[int, str, str]]:
    volume = f" {order['volume']}" if order["kind"] in ("open", "add", "close", "place") else ""
    yield spans["at_us"], "ours", f"request {order['intent']}: {order['kind']}{volume}"
    if spans["sent_us"]:
        how = ""
        if spans["is_from_report"] and spans["committed_us"] is None:
            late = _ms(spans["written_us"] - spans["decided_us"])
            how = f" before its record, since the store was slow: on the socket {late} ms after the decision"
        elif spans["is_from_report"]:
            durable = _ms(spans["committed_us"] - spans["decided_us"])
            written = _ms(spans["written_us"] - spans["committed_us"])
            how = f": durable {durable} ms after the decision, on the socket {written} ms later"
        yield spans["sent_us"], "ours", f"sent{how}"
        if spans["answered_us"] is not None:
            answered_us = spans["sent_us"] + spans["answered_us"]
            is_no = order["outcome"] == "refused" and answered_us == spans["settled_us"]
            answer = "refused" if is_no else "accepted"
            yield answered_us, "ours", f"{answer} by the broker, {_ms(spans['answered_us'])} ms after it was sent"
    if spans["settled_us"]:
        words = f": {said}" if said else ""
        why = f" ({order['reason']}{words})" if order["reason"] else ""
        filled = f", {order['filled']} filled" if order["kind"] in ("open", "add", "close") else ""
        yield spans["settled_us"], "ours", f"{order['outcome']}{why}{filled}"


def _copy(audit: Audit, copy: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    is_of = "copy_id = ?1 OR copy_id BETWEEN ?1 || '/' AND ?1 || '/:'"  # what it was before (`former_lives`)
    sql = f"SELECT * FROM copies WHERE {is_of} ORDER BY decided_us, position"
    lives = list(audit.query(sql, [copy["copy_id"]]))
    for life in lives:
        if life["opened_us"]:
            opened = _opened(audit, life) if len(lives) == 1 else life["volume"]
            more = f", later {life['volume']} at most" if opened != life["volume"] else ""
            yield life["opened_us"], "ours", f"the copy is open, {opened} at {life['open_price']}{more}"
        if life["closed_us"]:
            reason = f": {life['reason']}" if life["reason"] else ""
            yield life["closed_us"], "ours", f"the copy is {life['state']}{reason}"


def _opened(audit: Audit, copy: Mapping[str, Any]) -> str:
    """What its first request opened; all that the copy ever held where that is not known."""
    sql = (
        "SELECT filled FROM orders WHERE copy_id = ? AND kind IN ('open', 'place') AND filled <> '0.00'"
        " ORDER BY at_us, intent LIMIT 1"
    )
    return next((str(row["filled"]) for row in audit.query(sql, [copy["copy_id"]])), str(copy["volume"]))
