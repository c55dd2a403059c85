"""What a record changes in the table of orders: requests from their record to what became of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from cmam.domain.belief.copies import Intent, IntentState
from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    ClosesSeen,
    ExecutionSeen,
    IntentRecorded,
    IntentSent,
    IntentSettled,
    Reconciled,
    RequestRefused,
)
from cmam.domain.folds.intents import POSITION_GONE
from cmam.domain.turns.timing import NO_ANSWER
from cmam.domain.values.ids import OrderId, SymbolId
from cmam.domain.values.quantities import Volume, units_text
from cmam.domain.values.trades import Order
from cmam.store.folding.fold import AccountStep
from cmam.store.projection.rows import Row, copy_id, record_id
from cmam.store.text import iso


def recorded(step: AccountStep, event: IntentRecorded, store: str) -> Row:
    """The row of a request with its record."""
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


def sent(step: AccountStep, event: IntentSent) -> Row:
    """When a request left, and how long each stage before took; what left before its record has no time of that."""
    return {
        "intent": event.intent,
        "sent_at": iso(step.record.at_us),
        "sent_us": step.record.at_us,
        "is_from_report": int(event.decided_us > 0),
        "decided_us": event.decided_us,
        "committed_us": event.committed_us if event.committed_us >= event.decided_us else None,
        "written_us": event.written_us,
        "position": step.record.position,
    }


def moved(step: AccountStep, before: Intent, after: Intent) -> Row:
    """What a request has come to, accepted or of unknown outcome."""
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
    elif after.state is IntentState.ACCEPTED and isinstance(step.record.event, ExecutionSeen):
        row |= _heard(step, before)
    return row


def refused(step: AccountStep, event: RequestRefused) -> Row | None:
    """When a request was refused that was waited for in vain before."""
    intent = step.before.intents.get(event.intent)
    row = _heard(step, intent) if intent is not None else {}
    return {"intent": event.intent, **row, "position": step.record.position} if row else None


def _heard(step: AccountStep, intent: Intent) -> Row:
    """When an answer came that was no longer waited for; after a cut what is heard of a request is no answer to it."""
    is_late = intent.state is IntentState.UNKNOWN and intent.why == NO_ANSWER
    return {"heard_us": step.record.at_us} if is_late else {}


def settled(step: AccountStep, event: IntentSettled) -> Row:
    """How a request ended, and when it was answered."""
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
    if intent is not None and intent.state is IntentState.SENT and event.reason != POSITION_GONE:
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
