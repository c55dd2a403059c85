"""What a record of an account changes in the tables that the audit reads: rows, whole or as far as they changed.

Pure: from what was believed before and after a record to rows. It decides nothing; where a copy stands is what the
domain's fold says. Order ids and the like are the broker's numbers, volumes and prices decimal text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from cmam.domain.belief.view import resolve
from cmam.domain.events import (
    AlertHealed,
    AlertRaised,
    AttemptDecided,
    ChangeDecided,
    ClosesSeen,
    CopiesReleased,
    CopyAdopted,
    CopyRebuilt,
    CopyTouched,
    CopyWoken,
    Event,
    ExecutionSeen,
    FindingsMade,
    FlattenRequested,
    GuardDayBegan,
    GuardInitialNamed,
    GuardRearmed,
    GuardTripped,
    Inputs,
    IntentRecorded,
    IntentSent,
    IntentSettled,
    Reconciled,
    StopOutSeen,
    SymbolConfirmed,
)
from cmam.domain.folds.account import AccountView, Copy, CopyKey, CopyState, Intent, IntentState
from cmam.domain.folds.afterwards import of_position
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import AccountId, LinkId, OrderId, SourceKey, SymbolId
from cmam.domain.values.quantities import Price, Quote, Volume, decimal_text
from cmam.domain.values.reasons import Reason
from cmam.domain.values.trades import Order
from cmam.store.folding.fold import AccountStep
from cmam.store.projection import schema
from cmam.store.records.envelope import event_builtins
from cmam.store.text import iso, money, price, units_text

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
    StopOutSeen,
    SymbolConfirmed,
)
"""Facts that are listed as they are."""

Row = dict[str, Any]
Change = tuple[str, Row]
"""A table, and a row with its key and all that is to be set."""

LIFE = "/"
"""What stands between the name of a copy and the number of its last request, where it was opened once more since."""
UNKNOWN = "unknown"
"""The state of a copy whose opening request has no answer: neither yes nor no is proven."""


def copy_id(store: str, link: LinkId, source: SourceKey) -> str:
    """The name of a copy: the label of its orders at the broker."""
    return f"cm1.{store}.{link}.{source}"


def record_id(account: AccountId | int, version: int) -> str:
    """The name of a decision, or of what caused it: the account and the version in its stream."""
    return f"{account}.{version}"


def changes_of_account(step: AccountStep, store: str) -> Iterator[Change]:
    """What a record of an account's stream changes; the rows of its copies are `copy_row`'s."""
    record, before, after = step.record, step.before, step.after
    match record.event:
        case ChangeDecided():
            yield schema.DECISIONS, _decision(step, record.event, store)
            yield from _begun(step, record.event, store)
        case CopyWoken():
            yield from _woken(step, record.event, store)
        case AttemptDecided():
            yield schema.ATTEMPTS, _attempt(step, record.event, store)
        case IntentRecorded():
            yield schema.ORDERS, _order(step, record.event, store)
        case IntentSent():
            yield schema.ORDERS, _sent(step, record.event)
        case IntentSettled():
            yield schema.ORDERS, _settled(step, record.event)
        case AlertRaised():
            yield schema.ALERTS, _alert(step, record.event)
        case ClosesSeen():
            yield from _told_afterwards(step, record.event, store)
        case event if isinstance(event, NOTED):
            yield schema.NOTES, _note(step, event, store)
    for intent in after.intents.values():
        known = before.intents.get(intent.intent)
        if known is not None and known is not intent and not isinstance(record.event, IntentRecorded):
            yield schema.ORDERS, _moved(step, known, intent)
    if _shown_of(before) != _shown_of(after) or before.version == 0:
        yield schema.ACCOUNTS, {"account": int(after.account), "position": record.position, **_account_of(after)}


def copy_row(step: AccountStep, key: CopyKey, store: str) -> Row:
    """All that is shown of a copy after a record that touched it."""
    copy = step.after.copy(key)
    assert copy is not None, f"expected a copy that is known, found none of {key}"
    return _copy(step, copy, store)


def former_lives(step: AccountStep, store: str) -> Iterator[tuple[str, Row]]:
    """Copies that a record begins anew, under the names they have: their rows until then, each with the name of its
    own that it bears from now on, which ends with the number of its last request."""
    for key, copy in step.after.copies.items() if step.after.copies is not step.before.copies else ():
        before = step.before.copies.get(key)
        if copy is before or copy.position is not None or (before is not None and before.position is None):
            continue
        ended = step.after.finished.get(key) or step.before.finished.get(key)
        if ended is not None and ended.position is not None:
            row = _copy(step, ended, store)
            yield row["copy_id"], row | {"copy_id": f"{row['copy_id']}{LIFE}{ended.last_seq}"}


def _told_afterwards(step: AccountStep, event: ClosesSeen, store: str) -> Iterator[Change]:
    """What is told of a copy that has begun anew since stands in the row of what it was before."""
    for copy in of_position(step.after, event.position):
        if copy.state.is_end and copy.key in step.after.copies:
            row = _copy(step, copy, store)
            yield schema.COPIES, row | {"copy_id": f"{row['copy_id']}{LIFE}{copy.last_seq}"}


def healed_by(step: AccountStep) -> AlertHealed | None:
    """The alert that a record heals: rows of the past, which only the tables know."""
    return step.record.event if isinstance(step.record.event, AlertHealed) else None


# --- decisions ----------------------------------------------------------------------------------------------------


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


def _begun(step: AccountStep, event: ChangeDecided, store: str) -> Iterator[Change]:
    """What a new copy was decided at: both markets, and what the leader wrote on the trade."""
    key = resolve(step.after, event.link, event.change)
    copy = step.after.copies.get(key)
    if copy is None or key in step.before.copies:
        return
    theirs = event.inputs.leader_quote or event.change.quote
    row: Row = {"label": event.change.label or None, "comment": event.change.comment or None}
    if event.change.kind is not ChangeKind.ORDER_PLACED:  # what an order fills at was decided by its price, not by us
        row |= _markets(step, copy, event.inputs, theirs)
    yield schema.COPIES, {"copy_id": copy_id(store, *key), **row}


def _woken(step: AccountStep, event: CopyWoken, store: str) -> Iterator[Change]:
    """The markets at which an open that waited was looked at again: the last look is the one that opened it."""
    copy = step.after.copies.get((event.link, event.source))
    if copy is None or copy.position is not None or copy.goal.terms is not None:
        return
    theirs = event.inputs.leader_quote or (copy.change.quote if copy.change is not None else None)
    yield schema.COPIES, {"copy_id": copy_id(store, *copy.key), **_markets(step, copy, event.inputs, theirs)}


def _markets(step: AccountStep, copy: Copy, inputs: Inputs, theirs: Quote | None) -> Row:
    """The follower's quote at the decision, the leader's at its change; nothing where there was none."""
    spec = step.after.specs.get(copy.symbol)
    mine = inputs.quotes.get(spec.name) if spec is not None else None
    # What the leader's fill is held against is its own market of that moment, where the change told it.
    at_change = copy.change.quote if copy.change is not None and copy.change.quote is not None else theirs
    digits = copy.leader_digits
    return {
        "decided_bid": price(mine.bid, digits) if mine is not None else None,
        "decided_ask": price(mine.ask, digits) if mine is not None else None,
        "leader_bid": price(at_change.bid, digits) if at_change is not None else None,
        "leader_ask": price(at_change.ask, digits) if at_change is not None else None,
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


# --- orders -------------------------------------------------------------------------------------------------------


def _order(step: AccountStep, event: IntentRecorded, store: str) -> Row:
    record, command = step.record, event.command
    cause = record.cause
    return {
        "intent": event.intent,
        "attempt": event.attempt,
        "account": int(step.after.account),
        "link": event.link,
        "copy_id": copy_id(store, *step.after.key_of((event.link, event.source))),
        "cause": record_id(step.after.account, cause[1]) if cause is not None else None,
        "kind": command.kind.value,
        "symbol": _symbol_name(step.after, int(command.symbol)),
        "side": command.side.value,
        "volume": units_text(command.volume),
        "filled": units_text(0),
        "follower_position": command.position,
        "follower_order": command.order,
        "state": IntentState.RECORDED.value,
        "outcome": None,
        "reason": None,
        "recorded_at": iso(record.at_us),
        "sent_at": None,
        "unknown_since": None,
        "unknown_why": None,
        "asked_from": None,
        "settled_at": None,
        "settled_us": None,
        "at_us": record.at_us,
        "position": record.position,
    }


def _sent(step: AccountStep, event: IntentSent) -> Row:
    return {
        "intent": event.intent,
        "sent_at": iso(step.record.at_us),
        "sent_us": step.record.at_us,
        "is_from_report": int(event.decided_us > 0),
        "decided_us": event.decided_us,
        "committed_us": event.committed_us,
        "written_us": event.written_us,
        "position": step.record.position,
    }


def _moved(step: AccountStep, before: Intent, after: Intent) -> Row:
    row: Row = {
        "intent": after.intent,
        "state": after.state.value,
        "position": step.record.position,
    }
    if after.order is not None:
        row["follower_order"] = int(after.order)
    if after.state is IntentState.UNKNOWN and before.state is not IntentState.UNKNOWN:
        row["unknown_since"], row["unknown_why"] = iso(step.record.at_us), after.why
        row["asked_from"] = iso(after.ask_us) if after.ask_us else None
    if before.state is IntentState.SENT and after.state is IntentState.ACCEPTED:
        row["answered_us"] = max(0, step.record.at_us - before.moved_us)
    return row


def _settled(step: AccountStep, event: IntentSettled) -> Row:
    row: Row = {
        "intent": event.intent,
        "state": "settled",
        "outcome": event.outcome.value,
        "reason": event.reason or None,
        "settled_at": iso(step.record.at_us),
        "settled_us": step.record.at_us,
        "position": step.record.position,
    }
    intent = step.before.intents.get(event.intent)
    copy = step.before.copy(intent.key) if intent is not None else None
    if intent is not None and intent.state is IntentState.SENT:
        row["answered_us"] = max(0, step.record.at_us - intent.moved_us)
    if copy is not None and copy.position is not None:
        row["follower_position"] = int(copy.position)
    return row


def fills(step: AccountStep, store: str) -> Iterator[tuple[str, Volume, OrderId | None]]:
    """What requests have filled by now, and their orders. A resting order's was confirmed, and forgotten, long before
    its price came; what became of one in a gap is told by the broker's list of past orders."""
    known = step.before.intents
    for name, intent in step.after.intents.items():
        if intent.filled > 0 and intent is not known.get(name):
            yield name, intent.filled, intent.order
    match step.record.event:
        case ExecutionSeen(order=Order() as order):
            told: tuple[Order, ...] = (order,)
        case Reconciled(orders=resting, past_orders=past):
            told = (*resting, *past)
        case ClosesSeen(orders=past):
            told = past
        case _:
            return
    for order in told:
        if order.client_order_id.startswith(f"cm1.{store}."):
            yield order.client_order_id, order.executed_volume, order.order


def _symbol_name(view: AccountView, symbol: int) -> str:
    spec = view.specs.get(SymbolId(symbol))
    return spec.name if spec is not None else f"#{symbol}"


# --- copies -------------------------------------------------------------------------------------------------------


def touched_copies(before: AccountView, after: AccountView) -> tuple[CopyKey, ...]:
    """The copies of which anything that is shown may have changed."""
    keys: set[CopyKey] = set()
    if before.copies is not after.copies:
        keys |= {key for key, copy in after.copies.items() if copy is not before.copies.get(key)}
        keys |= before.copies.keys() - after.copies.keys()
    if before.intents is not after.intents:
        was, now = before.intents, after.intents
        keys |= {intent.key for name, intent in now.items() if intent is not was.get(name)}
        keys |= {intent.key for name, intent in was.items() if name not in now}
    if before.unpriced is not after.unpriced:
        for position in set(before.unpriced) - set(after.unpriced):
            keys |= {copy.key for copy in of_position(after, position)}
    return tuple(sorted(keys))


def _state(view: AccountView, copy: Copy) -> str:
    """Where a copy stands; one that ended before it had anything was not closed, whoever ended it."""
    if copy.state is CopyState.CLOSED and copy.position is None and copy.reason is not Reason.LOG_LOST:
        return CopyState.CANCELLED.value
    is_unknown = copy.state is CopyState.OPENING and any(
        intent.state is IntentState.UNKNOWN for intent in view.intents_of(copy.key)
    )
    return UNKNOWN if is_unknown else copy.state.value


def _copy(step: AccountStep, copy: Copy, store: str) -> Row:
    spec = step.after.specs.get(copy.symbol)
    digits = spec.digits if spec is not None else copy.leader_digits
    return {
        "copy_id": copy_id(store, copy.link, copy.source),
        "profile_id": copy.profile,
        "link": copy.link,
        "source": copy.source,
        "leader": int(copy.leader),
        "follower": int(step.after.account),
        "leader_position": copy.leader_position,
        "follower_position": copy.position,
        "leader_order": copy.leader_order,
        "follower_order": copy.order,
        "symbol": copy.leader_symbol,
        "follower_symbol": spec.name if spec is not None else None,
        "side": copy.side.value,
        "leader_volume": units_text(copy.leader_opened),
        "volume": units_text(copy.opened_volume),
        "held": units_text(copy.volume),
        "target": _exact_units(copy.target),
        "drift": _exact_units(copy.residue),
        "state": _state(step.after, copy),
        "wait": copy.wait.value if copy.wait is not None and not copy.state.is_end else None,
        "decided_at": iso(copy.decided_us),
        "opened_at": iso(copy.opened_us),
        "closed_at": iso(copy.closed_us),
        "leader_price": price(copy.goal.leader_price, copy.leader_digits),
        "open_price": price(copy.open_price, digits),
        "close_price": price(copy.close_price, digits),
        "slippage_pips": _slippage(copy, spec.pip if spec is not None else None),
        "pip": price(Price(spec.pip), copy.leader_digits) if spec is not None else None,
        "reason": copy.reason.value if copy.reason is not None else None,
        "settings_version": copy.settings_version,
        "decided_us": copy.decided_us,
        "opened_us": copy.opened_us or None,
        "closed_us": copy.closed_us or None,
        "position": step.record.position,
    }


def _exact_units(target: Fraction) -> str:
    """A target in units: as a decimal where it is a whole number of hundredths, else as the exact fraction."""
    if target.denominator == 1:
        return units_text(target.numerator)
    units = target / 100
    return f"{units.numerator}/{units.denominator}"


def _slippage(copy: Copy, pip: int | None) -> str | None:
    """How much worse than its leader the copy was filled, in pips of the follower; negative is better.

    By the two fills: the shift of its levels is none with `levels = price`, and of a late open that of its decision.
    """
    if copy.open_price is None or copy.goal.leader_price is None or not pip:
        return None
    tenths = Fraction((copy.open_price - copy.goal.leader_price) * copy.side.sign * 10, pip)
    return decimal_text(round(tenths), 1)


# --- accounts and alerts ------------------------------------------------------------------------------------------


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
