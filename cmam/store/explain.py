"""Why something was copied, skipped or sized so: the whole story of one decision, copy or request, from the record.

The rule and its arithmetic stand in the decision as they were computed then; nothing is computed again here. Ages say
how old each input was at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cmam.domain.changes import Change
from cmam.domain.events import AttemptDecided, ChangeDecided, Inputs, Step
from cmam.domain.ids import ProfileId
from cmam.domain.policy import SETTINGS
from cmam.domain.quantities import Quote
from cmam.domain.reasons import REASONS
from cmam.domain.registry import PROFILE_PREFIX, Registry, evolve_registry
from cmam.store.audit import Audit, Filters, Line
from cmam.store.envelope import Recorded, event_builtins
from cmam.store.text import iso, iso_ms, money, price, units_text


def explain(audit: Audit, name: str) -> Iterator[Line]:
    """The story of everything that a name stands for, oldest first; nothing where the name means nothing.

    A name is a decision (`2001.6`), a copy (`cm1.…`), a request (`cm1.….1`), a leader's change (`deal:17`), or the
    number of a position at either end.
    """
    name = name.strip()
    registries = _Registries(audit)
    for decision in _decisions_of(audit, name):
        account, version = decision["decision_id"].split(".")
        record = audit.log.record(f"account:{account}", int(version))
        if record is not None and isinstance(record.event, ChangeDecided):
            yield _story(audit, registries, decision, record, record.event)


def _decisions_of(audit: Audit, name: str) -> Iterator[dict[str, Any]]:
    number = int(name) if name.isdecimal() and len(name) < 20 else -1
    sql = (
        "SELECT * FROM decisions WHERE decision_id = ?1 OR change = ?1 OR copy_id = ?1"
        " OR copy_id IN (SELECT copy_id FROM orders WHERE intent = ?1)"
        " OR copy_id IN (SELECT copy_id FROM copies WHERE leader_position = ?2 OR follower_position = ?2)"
        " OR copy_id IN (SELECT copy_id FROM orders WHERE follower_order = ?2)"
        " ORDER BY position"
    )
    cursor = audit.views.execute(sql, [name, number])
    names = [column[0] for column in cursor.description]
    for row in cursor.fetchall():
        yield dict(zip(names, row, strict=True))


def _story(
    audit: Audit, registries: _Registries, decision: Mapping[str, Any], record: Recorded, event: ChangeDecided
) -> Line:
    copy = next(audit.copies(Filters(copy_id=decision["copy_id"])), None)
    leader = audit.log.record(f"account:{event.change.leader}", event.cause_version)
    row = REASONS.get(event.reason) if event.reason is not None else None
    return {
        "decision_id": decision["decision_id"],
        "at": iso(record.at_us),
        "profile": registries.profile_name(event.profile),
        "leader": int(event.change.leader),
        "follower": decision["follower"],
        "verdict": event.verdict.value,
        "reason": event.reason.value if event.reason is not None else None,
        "rule": row.when if row is not None else None,
        "rests_on": row.inputs if row is not None else None,
        "let_through_by": row.cure if row is not None else None,
        "volume": units_text(event.volume),
        "change": _change(event.change),
        "working": _working(event.working),
        "inputs": _inputs(event.inputs, event.change.symbol.digits, record.at_us),
        "settings": {"version": event.settings_version, **registries.settings(event)},
        "cause": _cause(leader, event, record.at_us),
        "attempts": _attempts(audit, event, decision),
        "notes": list(audit.notes(Filters(copy_id=decision["copy_id"]))),
        "orders": list(audit.orders(Filters(cause=decision["decision_id"]))),
        "copy": copy,
        "code": record.code,
    }


def _attempts(audit: Audit, event: ChangeDecided, decision: Mapping[str, Any]) -> list[Line]:
    """Each later look at what this decision let wait, with its own arithmetic."""
    found = []
    for line in audit.attempts(Filters(copy_id=decision["copy_id"])):
        account, version = line["attempt_id"].split(".")
        record = audit.log.record(f"account:{account}", int(version))
        if record is not None and isinstance(record.event, AttemptDecided) and record.event.change == event.change.key:
            found.append(line | {"working": _working(record.event.working)})
    return found


def _working(steps: tuple[Step, ...]) -> list[Line]:
    return [{"name": step.name, "value": step.value, "note": step.note} for step in steps]


def _change(change: Change) -> Line:
    """The leader's change, without what it did not say."""
    digits = change.symbol.digits
    return {
        "change": change.key,
        "kind": change.kind.value,
        "at": iso_ms(change.at_ms),
        "symbol": change.symbol.name,
        "side": change.side.value,
        "position": change.position,
        "order": change.order or change.origin,
        "order_type": change.origin_type.value,
        "volume": units_text(change.volume),
        "before": units_text(change.before),
        "after": units_text(change.after),
        "price": price(change.price, digits),
        "stop": price(change.stop, digits),
        "target": price(change.target, digits),
        "trailing": change.trailing,
        "label": change.label or None,
        "late": change.late,
        "balance": money(change.money.balance, change.money.money_digits) if change.money is not None else None,
        "currency": change.money.currency if change.money is not None else None,
    }


def _inputs(inputs: Inputs, digits: int, at_us: int) -> Line:
    """The inputs with their ages; quotes as prices."""
    plain = event_builtins(inputs)
    plain["quotes"] = {name: _quote(quote, digits, at_us) for name, quote in inputs.quotes.items()}
    if inputs.leader_quote is not None:
        plain["leader_quote"] = _quote(inputs.leader_quote, digits, at_us)
    return dict(plain)


def _quote(quote: Quote, digits: int, at_us: int) -> Line:
    return {
        "bid": price(quote.bid, digits),
        "ask": price(quote.ask, digits),
        "server_at": iso_ms(quote.server_ms),
        "age_ms": (at_us - quote.seen_us) // 1_000,
    }


def _cause(leader: Recorded | None, event: ChangeDecided, at_us: int) -> Line:
    """The record of the leader that told the change, and how long each step took."""
    seen_us = leader.at_us if leader is not None else None
    return {
        "record": f"{event.change.leader}.{event.cause_version}",
        "index": event.cause_index,
        "topic": leader.topic if leader is not None else None,
        "position": leader.position if leader is not None else None,
        "seen_at": iso(seen_us),
        "broker_to_seen_ms": (seen_us // 1_000 - event.change.at_ms) if seen_us is not None else None,
        "seen_to_decided_us": at_us - seen_us if seen_us is not None else None,
    }


class _Registries:
    """Profiles as they were at each of their versions."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._names = dict(audit.views.execute("SELECT profile_id, name FROM profiles").fetchall())

    def profile_name(self, profile: ProfileId) -> str:
        return str(self._names.get(profile, profile))

    def settings(self, event: ChangeDecided) -> Line:
        """The link's whole policy at the version that was decided by, defaults included."""
        stream = PROFILE_PREFIX + event.profile
        registry = Registry()
        for record in self._audit.log.read_stream(stream):
            if record.version > event.settings_version:
                break
            registry = evolve_registry(registry, stream, record.event)
        profile = registry.profiles.get(event.profile)
        link = profile.links.get(event.link) if profile is not None else None
        own = {**profile.settings, **link.settings} if profile is not None and link is not None else {}
        return {setting.name: own.get(setting.name, setting.default) for setting in SETTINGS}
