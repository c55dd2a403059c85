"""Which request and which copy of ours an execution belongs to, by what it names and by what we know."""

from __future__ import annotations

from cmam.domain.belief.copies import Copy, CopyKey, Intent, IntentState
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import IntentId, OrderId, PositionId
from cmam.domain.values.rules.sight import CLOSES_BY_TERMS
from cmam.domain.values.trades import ExecutionKind, OrderType


def intent_of(view: AccountView, event: ExecutionSeen) -> Intent | None:
    """The request of ours that an execution event belongs to: by the order's client id, else by the message's.

    A refused cancel speaks of the cancel, whoever sent it, and never of the request that made the order.
    """
    if event.kind is ExecutionKind.ORDER_CANCEL_REJECTED:
        refused = view.intents.get(IntentId(event.client_msg_id)) if event.client_msg_id else None
        return refused if refused is not None and refused.command.kind is CommandKind.CANCEL else None
    if event.order is not None and event.order.client_order_id:
        intent = view.intents.get(IntentId(event.order.client_order_id))
        if intent is not None:
            return intent
    if event.client_msg_id:
        return view.intents.get(IntentId(event.client_msg_id))
    return _close_by_terms(view, event) if view.intents and view.rules >= CLOSES_BY_TERMS else None


def _close_by_terms(view: AccountView, event: ExecutionSeen) -> Intent | None:
    """The close of ours that an order is of which nobody says who has asked for it: a request for a close gives it no
    name. It closes as much of the same position; whose number an event has told is known by that. What is told again is
    of a close before, which may have taken as much."""
    order = event.order
    if order is None or event.is_server_event or not order.closing or order.type is not OrderType.MARKET:
        return None
    told_ms = order.opened_ms or order.updated_ms
    is_told_before = event.deal is not None and event.deal.deal in view.deals
    found = None
    for intent in view.intents.values():
        command = intent.command
        if command.kind is not CommandKind.CLOSE or command.position != order.position:
            continue
        if intent.order == order.order:
            return intent
        is_free = found is None and intent.order is None and intent.state is not IntentState.RECORDED
        is_its_side = command.side is order.side or view.is_netted()  # a net may have turned since it was asked
        is_alike = is_its_side and command.volume == order.volume and not order.stop_out
        is_later = not told_ms or told_ms >= intent.after_ms
        if is_free and is_alike and is_later and not is_told_before:
            found = intent
    return found


def key_of_order(view: AccountView, order: OrderId | None) -> CopyKey | None:
    """The copy whose pending order this is."""
    if order is None:
        return None
    return next((key for key, copy in view.copies.items() if copy.order == order), None)


def copy_of(view: AccountView, event: ExecutionSeen) -> CopyKey | None:
    """The copy that an execution concerns: by its request, its resting order, or its position.

    The order comes before the position, which on a netted account is that of other shares too.
    """
    return copy_asked(view, intent_of(view, event) if view.intents else None, event)


def copy_asked(view: AccountView, intent: Intent | None, event: ExecutionSeen) -> CopyKey | None:
    """The same, of an execution whose request is known."""
    if not view.copies and not view.by_position:
        return None
    asked = intent.key if intent is not None else None
    if asked in view.copies:
        return asked
    if event.order is not None and event.order.type.is_pending:
        key = key_of_order(view, event.order.order)
        if key is not None:
            return key
    position = position_of(event)
    return view.by_position.get(position) if position is not None else None


def position_of(event: ExecutionSeen) -> PositionId | None:
    """The position that an execution is about."""
    if event.deal is not None:
        return event.deal.position
    return event.position.position if event.position is not None else None


def is_fill_of(copy: Copy, event: ExecutionSeen) -> bool:
    """Whether an execution is of the order of this copy that rests or has rested."""
    return event.order is not None and copy.order is not None and event.order.order == copy.order
