"""Why something was copied, skipped or sized so: the whole story of one decision, copy or request, from the record.

The rule and its arithmetic stand in the decision as they were computed then. What would have let a skip through is
found by deciding it again with one input or setting altered (`domain/trials/cures.py`), on the view as it was at that
moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from cmam.domain.deciding.decision import Decision
from cmam.domain.events import AttemptDecided, ChangeDecided, Inputs, Step
from cmam.domain.profiles.setting_table import SETTINGS
from cmam.domain.trials.cases import Case
from cmam.domain.trials.cures import Cure, cures
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import Quote, units_text
from cmam.domain.values.reasons import REASONS, Reason, Verdict
from cmam.store.auditing.arithmetic import expression
from cmam.store.auditing.audit import Audit, Line
from cmam.store.auditing.filters import NAME, Filters
from cmam.store.auditing.timeline import timeline
from cmam.store.folding.snapshot import kept_view
from cmam.store.past.reliving import Past
from cmam.store.projection.rows import LIFE
from cmam.store.records.envelope import Recorded, event_builtins
from cmam.store.text import iso, iso_ms, money, price

NUMBER_MAX = 2**63 - 1
"""The API's numbers are of 64 bits, and so are SQLite's."""
NUMBER_DIGITS_MAX = len(str(NUMBER_MAX))


def explain(audit: Audit, name: str) -> Iterator[Line]:
    """The story of everything that a name stands for, oldest first; nothing where the name means nothing.

    A name is a decision (`2001.6`), a copy (`cm1.…`), a request (`cm1.….1`), a leader's change (`deal:17`), or the
    number of a position or order at either end.
    """
    found = []
    for decision in _decisions_of(audit, name.strip().partition(LIFE)[0]):
        account, version = decision["decision_id"].split(".")
        record = audit.log.record(f"account:{account}", int(version))
        if record is not None and isinstance(record.event, ChangeDecided):
            found.append((decision, record, record.event))
    past = Past(audit.log, partial(kept_view, audit.views))
    for decision, record, event in found:
        yield _story(audit, past, decision, record, event)


def _decisions_of(audit: Audit, name: str) -> Iterator[dict[str, Any]]:
    is_number = name.isdecimal() and len(name) <= NUMBER_DIGITS_MAX and int(name) <= NUMBER_MAX
    number = int(name) if is_number else -1
    sql = (
        "SELECT * FROM decisions WHERE decision_id = ?1 OR change = ?1 OR copy_id = ?1"
        " OR copy_id IN (SELECT copy_id FROM orders WHERE intent = ?1)"
        " OR copy_id IN (SELECT copy_id FROM attempts WHERE attempt_id = ?1)"
        " OR copy_id IN (SELECT copy_id FROM copies WHERE leader_position = ?2)"
        f" OR copy_id IN (SELECT {NAME.format('copy_id')} FROM copies WHERE follower_position = ?2)"
        " OR copy_id IN (SELECT copy_id FROM copies WHERE leader_order = ?2)"
        " OR copy_id IN (SELECT copy_id FROM orders WHERE follower_order = ?2)"
        " OR leader_position = ?2 OR leader_order = ?2"
        " ORDER BY position"
    )
    cursor = audit.views.execute(sql, [name, number])
    names = [column[0] for column in cursor.description]
    for row in cursor.fetchall():
        yield dict(zip(names, row, strict=True))


def _story(audit: Audit, past: Past, decision: Mapping[str, Any], record: Recorded, event: ChangeDecided) -> Line:
    copy = next(audit.copies(Filters(copy_id=decision["copy_id"])), None)
    leader = audit.log.record(f"account:{event.change.leader}", event.cause_version)
    row = REASONS.get(event.reason) if event.reason is not None else None
    settings = past.settings(event.profile, event.link, event.settings_version)
    case = past.case_of(record, event)
    attempts = _attempts(audit, past, event, decision)
    line = {
        "decision_id": decision["decision_id"],
        "at": iso(record.at_us),
        "profile": past.profile_name(event.profile),
        "leader": int(event.change.leader),
        "follower": decision["follower"],
        "verdict": event.verdict.value,
        "reason": event.reason.value if event.reason is not None else None,
        "rule": row.when if row is not None else None,
        "rests_on": row.inputs if row is not None else None,
        **_let_through(case, event.verdict, event.reason, row.cure if row is not None else None, _made(event)),
        "volume": units_text(event.volume),
        "change": _change(event.change),
        "working": _working(event.working),
        "arithmetic": expression(event.working, units_text(event.volume), _lot(case, event.symbol)),
        "inputs": _inputs(event.inputs, event.change.symbol.digits, record.at_us),
        "settings": {"version": event.settings_version, **_whole(settings)},
        "cause": _cause(leader, event, record.at_us),
        "attempts": attempts,
        "notes": list(audit.notes(Filters(copy_id=decision["copy_id"]))),
        "orders": _orders(audit, decision, attempts),
        "copy": copy,
        "code": record.code,
    }
    line["set_by"] = past.set_by(event.profile, event.link, event.settings_version, _concerned(line, settings))
    line["timeline"] = timeline(audit, line, record, decision["copy_id"])
    return line


def _lot(case: Case | None, symbol: SymbolId | None) -> str | None:
    spec = case.view.specs.get(symbol) if case is not None and symbol is not None else None
    return units_text(spec.lot_size) if spec is not None else None


def _made(event: ChangeDecided) -> tuple[Any, ...]:
    return (event.verdict, event.reason, event.volume, event.goal)


# --- what would have let it through ---------------------------------------------------------------------------------


def _let_through(
    case: Case | None, verdict: Verdict, reason: Reason | None, advice: str | None, made: tuple[Any, ...]
) -> Line:
    """Cures found by deciding again, and the same as a sentence; `reproduced`: today's code decides alike."""
    decision = case.run() if case is not None else None
    found = cures(case) if case is not None and verdict is not Verdict.COPY else ()
    sentence = "; or ".join(map(_sentence, found)) if found else (advice if reason is not None else None)
    return {
        "let_through_by": sentence,
        "cures": [_cure(cure) for cure in found],
        "advice": advice,
        "reproduced": _is_same(decision, made),
    }


def _is_same(decision: Decision | None, made: tuple[Any, ...]) -> bool:
    if decision is None:
        return False
    return (decision.verdict, decision.reason, decision.volume, decision.goal) == made


def _sentence(cure: Cure) -> str:
    """The alterations in words; which volume that gives stands beside them."""
    return f"{cure} → {units_text(cure.volume)} units" if cure.volume else str(cure)


def _cure(cure: Cure) -> Line:
    return {
        "alterations": [
            {"what": one.what, "was": one.was, "needs": one.needs, "is_setting": one.is_setting}
            for one in cure.alterations
        ],
        "volume": units_text(cure.volume),
        "waits": cure.waits,
    }


# --- settings -------------------------------------------------------------------------------------------------------


_NAME = re.compile(r"`([a-z][a-z_.]*)")


def _whole(settings: Mapping[str, str]) -> dict[str, str]:
    """The link's whole policy, defaults included."""
    return {setting.name: settings.get(setting.name, setting.default) for setting in SETTINGS}


def _concerned(line: Line, settings: Mapping[str, str]) -> list[str]:
    """The settings that a decision rests on: its reason's, its cures', of a size the volume's, and whatever was set."""
    named = set(_NAME.findall(line["rests_on"] or ""))
    named |= {one["what"] for cure in line["cures"] for one in cure["alterations"]}
    if any(step["name"] == "raw" for step in line["working"]):
        named |= {"volume.mode", "volume.amount", "volume.basis", "volume.rounding"}
    return [setting.name for setting in SETTINGS if setting.name in named or setting.name in settings]


# --- later looks ----------------------------------------------------------------------------------------------------


def _attempts(audit: Audit, past: Past, event: ChangeDecided, decision: Mapping[str, Any]) -> list[Line]:
    """Each later look at what this decision let wait, with its own arithmetic and what would have let it through."""
    found = []
    for line in audit.attempts(Filters(copy_id=decision["copy_id"])):
        account, version = line["attempt_id"].split(".")
        record = audit.log.record(f"account:{account}", int(version))
        if record is None or not isinstance(record.event, AttemptDecided) or record.event.change != event.change.key:
            continue
        one = record.event
        row = REASONS.get(one.reason) if one.reason is not None else None
        made = (one.verdict, one.reason, one.volume, one.goal)
        case = past.case_of_attempt(record)
        lot = _lot(case, case.waiting.symbol if case is not None and case.waiting is not None else None)
        found.append(
            line
            | {"working": _working(one.working), "arithmetic": expression(one.working, units_text(one.volume), lot)}
            | _let_through(case, one.verdict, one.reason, row.cure if row else None, made)
        )
    return found


def _orders(audit: Audit, decision: Mapping[str, Any], attempts: Sequence[Line]) -> list[Line]:
    """The requests that a decision led to at once, then those of each later look, which what woke the copy led to."""
    found = list(audit.orders(Filters(cause=decision["decision_id"])))
    for attempt in attempts:
        account, version = attempt["attempt_id"].split(".")
        record = audit.log.record(f"account:{account}", int(version))
        if record is not None and record.cause is not None:
            woken = Filters(cause=f"{account}.{record.cause[1]}", copy_id=decision["copy_id"])
            found += audit.orders(woken)
    return found


# --- plain forms ----------------------------------------------------------------------------------------------------


def _working(steps: Iterable[Step]) -> list[Line]:
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
        "comment": change.comment or None,
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
    plain["usual"] = {name: price(usual, digits) for name, usual in inputs.usual.items()}
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
