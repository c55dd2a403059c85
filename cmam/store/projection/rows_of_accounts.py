"""What a record of an account changes in the tables that the audit reads: rows, whole or as far as they changed.

Pure: from what was believed before and after a record to rows. Order ids and the like are the broker's numbers, volumes
and prices decimal text. Orders and copies have files of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from cmam.domain.belief.view import AccountView, never_asked, resolve
from cmam.domain.events import (
    AlertHealed,
    AlertRaised,
    AttemptDecided,
    ChangeDecided,
    ClosesSeen,
    CopiesReleased,
    CopyAdopted,
    CopyFinished,
    CopyRebuilt,
    CopyTouched,
    CopyWoken,
    Event,
    FindingsMade,
    FlattenRequested,
    GuardDayBegan,
    GuardInitialNamed,
    GuardRearmed,
    GuardTripped,
    IntentRecorded,
    IntentSent,
    IntentSettled,
    LogRestored,
    RequestRefused,
    StopOutSeen,
    SymbolConfirmed,
)
from cmam.domain.values.ids import LinkId, SourceKey
from cmam.domain.values.quantities import units_text
from cmam.domain.values.reasons import Verdict
from cmam.store.folding.fold import AccountStep
from cmam.store.projection import rows_of_copies, rows_of_orders, schema
from cmam.store.projection.rows import Change, Row, copy_id, record_id
from cmam.store.records.envelope import event_builtins
from cmam.store.text import iso, money

NOTED = (
    CopiesReleased,
    CopyAdopted,
    CopyRebuilt,
    CopyTouched,
    FindingsMade,
    FlattenRequested,
    GuardDayBegan,
    GuardInitialNamed,
    GuardRearmed,
    GuardTripped,
    LogRestored,
    StopOutSeen,
    SymbolConfirmed,
)
"""Facts that are listed as they are."""

Answer = tuple[str, str | None, str, str, int, str, str | None]
"""A verdict, its reason, its volume; of which change, follower and link, and what was waited for, None for any."""


def changes_of_account(step: AccountStep, store: str) -> Iterator[Change]:
    """What a record of an account's stream changes; whole rows of its copies are `rows_of_copies.copy_row`'s."""
    record, before, after = step.record, step.before, step.after
    match record.event:
        case ChangeDecided():
            yield schema.DECISIONS, _decision(step, record.event, store)
            yield from rows_of_copies.begun(step, record.event, store)
        case CopyWoken():
            yield from rows_of_copies.woken(step, record.event, store)
        case AttemptDecided():
            yield schema.ATTEMPTS, _attempt(step, record.event, store)
        case IntentRecorded():
            yield schema.ORDERS, rows_of_orders.recorded(step, record.event, store)
        case IntentSent():
            yield schema.ORDERS, rows_of_orders.sent(step, record.event)
        case IntentSettled():
            yield schema.ORDERS, rows_of_orders.settled(step, record.event)
        case RequestRefused():
            if (late := rows_of_orders.refused(step, record.event)) is not None:
                yield schema.ORDERS, late
        case AlertRaised():
            yield schema.ALERTS, _alert(step, record.event)
        case ClosesSeen():
            yield from rows_of_copies.told_afterwards(step, record.event, store)
        case event if isinstance(event, NOTED):
            yield schema.NOTES, _note(step, event, store)
    for intent in after.intents.values():
        known = before.intents.get(intent.intent)
        if known is not None and known is not intent and not isinstance(record.event, IntentRecorded):
            yield schema.ORDERS, rows_of_orders.moved(step, known, intent)
    if _shown_of(before) != _shown_of(after) or before.version == 0:
        yield schema.ACCOUNTS, {"account": int(after.account), "position": record.position, **_account_of(after)}


def answered_by(step: AccountStep) -> Answer | None:
    """What a decision that let an open or an add wait comes to: how much was asked for, or that nothing was copied, and
    why; only the tables know it.

    What was asked for, refused and then given up was copied, and its end is its copy's. What ends while it waits, as
    where its leader closes, had nothing to copy any more.
    """
    event, follower = step.record.event, int(step.after.account)
    if isinstance(event, CopyFinished):
        copy = step.before.copies.get((event.link, event.source))
        if copy is None or copy.change is None or not never_asked(step.before, copy):
            return None
        verdict, reason, volume = Verdict.NONE.value, event.reason.value, units_text(0)
        return verdict, reason, volume, copy.change.key, follower, event.link, None
    if not isinstance(event, AttemptDecided) or not event.wait.is_unasked:
        return None
    because = event.reason.value if event.reason is not None else None
    volume = units_text(event.volume)
    return event.verdict.value, because, volume, event.change, follower, event.link, event.wait.value


def healed_by(step: AccountStep) -> AlertHealed | None:
    """The alert that a record heals: rows of the past, which only the tables know."""
    return step.record.event if isinstance(step.record.event, AlertHealed) else None


def _decision(step: AccountStep, event: ChangeDecided, store: str) -> Row:
    record, change = step.record, event.change
    return {
        "decision_id": record_id(step.after.account, record.version),
        "at": iso(record.at_us),
        "profile_id": event.profile,
        "link": event.link,
        "leader": int(change.leader),
        "follower": int(step.after.account),
        "cause": record_id(change.leader, event.cause_version),
        "change": change.key,
        "kind": change.kind.value,
        "source": change.source,
        "copy_id": copy_id(store, *resolve(step.after, event.link, change)),
        "leader_position": change.position,
        "leader_order": change.order or change.origin,
        "symbol": change.symbol.name,
        "side": (event.side or change.side).value,
        "label": change.label or None,
        "comment": change.comment or None,
        "verdict": event.verdict.value,
        "reason": event.reason.value if event.reason is not None else None,
        "volume": units_text(event.volume),
        "wait": event.wait.value if event.wait is not None else None,
        "settings_version": event.settings_version,
        "late": int(change.late),
        "at_us": record.at_us,
        "position": record.position,
    }


def _attempt(step: AccountStep, event: AttemptDecided, store: str) -> Row:
    record = step.record
    return {
        "attempt_id": record_id(step.after.account, record.version),
        "at": iso(record.at_us),
        "follower": int(step.after.account),
        "link": event.link,
        "copy_id": copy_id(store, *step.after.key_of((event.link, event.source))),
        "change": event.change,
        "wait": event.wait.value,
        "verdict": event.verdict.value,
        "reason": event.reason.value if event.reason is not None else None,
        "volume": units_text(event.volume),
        "settings_version": event.settings_version,
        "at_us": record.at_us,
        "position": record.position,
    }


def _note(step: AccountStep, event: Event, store: str) -> Row:
    """A latch, a stop-out, a person's hand: whatever explains a copy but is no decision about it."""
    link: LinkId | None = getattr(event, "link", None)
    source: SourceKey | None = getattr(event, "source", None)
    key = step.after.key_of((link, source)) if link is not None and source is not None else None
    return {
        "position": step.record.position,
        "at": iso(step.record.at_us),
        "account": int(step.after.account),
        "link": link,
        "copy_id": copy_id(store, *key) if key is not None else None,
        "what": event.TOPIC.removeprefix("account."),
        "data": json.dumps(event_builtins(event), ensure_ascii=False),
        "money_digits": step.after.money_digits,
        "user": getattr(event, "user", "") or None,
        "at_us": step.record.at_us,
    }


def _shown_of(view: AccountView) -> tuple[object, ...]:
    """What the row of an account is made of: cheaper to compare than to write."""
    is_known = view.trader is not None
    held = len(view.positions), len(view.copies)
    return view.health, view.health_reason, view.balance, view.currency, is_known, *held


def _account_of(view: AccountView) -> Row:
    return {
        "health": view.health.value,
        "health_reason": view.health_reason or None,
        "balance": money(view.balance, view.money_digits) if view.trader is not None else None,
        "positions": len(view.positions),
        "copies": len(view.copies),
        **_told_of(view),
    }


def _told_of(view: AccountView) -> Row:
    """What its broker said the account is; until then it is what the consent told."""
    if view.trader is None:
        return {}
    found: Row = {"account_type": view.trader.account_type.value}
    return found | {"currency": view.currency} if view.currency else found


def _alert(step: AccountStep, event: AlertRaised) -> Row:
    return {
        "position": step.record.position,
        "at": iso(step.record.at_us),
        "account": int(step.after.account),
        "kind": event.kind,
        "text": event.text,
        "healed_at": None,
        "at_us": step.record.at_us,
    }
