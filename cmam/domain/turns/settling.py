"""What a fact says of requests that have no outcome yet: the events that close their books, and end copies that came
to nothing. An unknown outcome is settled by what the broker tells, or by what a look at it shows or proves to be absent
(`settling_by_looks.py`); never by time alone."""

from __future__ import annotations

from collections.abc import Iterator

from cmam.domain.belief.belonging import intent_of
from cmam.domain.belief.copies import Intent, IntentState
from cmam.domain.belief.proofs import ENDED_ORDER, ends_short
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, ExecutionSeen, IntentDropped, IntentSettled, Outcome, Reconciled, RequestRefused
from cmam.domain.turns.opens_again import LINE_LOST, RETRY_OPEN_US, end_of_open, is_open, is_open_instead
from cmam.domain.turns.settling_by_looks import by_look
from cmam.domain.turns.shown_closes import has_closed, is_among_others, with_close
from cmam.domain.values.codes import CORRECTABLE, TEMPORARY
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.closes import CLOSES_ARE_TOLD
from cmam.domain.values.rules.levels import LEVELS_ARE_SHOWN
from cmam.domain.values.rules.nets import FILLS_BY_DEALS
from cmam.domain.values.rules.opens import PARTS_TOLD_FILLED, REJECTED_AS_REFUSED
from cmam.domain.values.rules.sight import HISTORY_IS_AHEAD, OPENS_HAVE_NUMBERS, OWN_SHOWN_BEFORE
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus, OrderType

SETTLE_US = 10_000_000
"""How long an order may be in flight at the broker: absence proves nothing before that."""

NOTHING_TO_AMEND = "nothing to amend"


def settlements(view: AccountView, fact: Event, now_us: int) -> Iterator[Event]:
    """What follows from a fact for the requests that wait for their outcome."""
    match fact:
        case ExecutionSeen():
            intent = intent_of(view, fact) if view.intents else None
            if intent is not None:
                yield from _by_execution(view, intent, fact, now_us)
            elif view.intents:
                yield from _by_reduction(view, fact)
                yield from _by_levels(view, fact)
        case RequestRefused():
            intent = view.intents.get(fact.intent)
            if intent is not None:
                yield from _by_refusal(view, intent, fact, now_us)
        case IntentDropped():
            intent = view.intents.get(fact.intent)
            if intent is not None:
                yield from _by_drop(view, intent, fact, now_us)
        case Reconciled():
            told = view
            for intent in view.intents.values():
                if intent.state is IntentState.UNKNOWN:
                    for event in by_look(told, intent, fact, now_us):
                        # What the net shows of one close it does not show of the next.
                        told = with_close(told, intent, event)
                        yield event
        case _:
            return


def _by_drop(view: AccountView, intent: Intent, fact: IntentDropped, now_us: int) -> Iterator[Event]:
    """What never left: an open that only the line kept back passes the gates again while it is young enough."""
    copy = view.copies.get(intent.key)
    is_gone = fact.reason == "withdrawn" or copy is None or not copy.is_wanted
    may_wait = is_open(copy, intent)
    is_in_time = now_us + RETRY_OPEN_US <= intent.not_after_us
    if may_wait and not is_gone and is_in_time and fact.reason.startswith(LINE_LOST):
        delay = RETRY_OPEN_US
        yield IntentSettled(intent=fact.intent, outcome=Outcome.DROPPED, reason=fact.reason, retry_in_us=delay)
        return
    yield IntentSettled(intent=fact.intent, outcome=Outcome.DROPPED, reason=fact.reason)
    yield from end_of_open(view, intent, Reason.SOURCE_GONE if is_gone else Reason.EXPIRED)


def _by_refusal(view: AccountView, intent: Intent, fact: RequestRefused, now_us: int) -> Iterator[Event]:
    kind = intent.command.kind
    if kind is CommandKind.AMEND_PROTECTION and NOTHING_TO_AMEND in fact.description.casefold():
        yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason="nothing to amend")
        return
    delay = fact.retry_after_s * 1_000_000
    if not is_open(view.copies.get(intent.key), intent):
        yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=fact.error_code, retry_in_us=delay)
        return
    copy = view.copies.get(intent.key)
    may_retry = fact.is_temporary or (fact.error_code in CORRECTABLE and copy is not None and copy.refusals == 0)
    may_retry = may_retry or is_open_instead(view, copy, intent)
    delay = max(delay, RETRY_OPEN_US)
    if may_retry and copy is not None and copy.is_wanted and now_us + delay <= intent.not_after_us:
        yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=fact.error_code, retry_in_us=delay)
        return
    yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=fact.error_code)
    yield from end_of_open(view, intent, Reason.REFUSED)


def _by_execution(view: AccountView, intent: Intent, fact: ExecutionSeen, now_us: int) -> Iterator[Event]:
    order = fact.order
    code = fact.error_code or fact.kind.value
    if fact.kind in (ExecutionKind.ORDER_REJECTED, ExecutionKind.ORDER_CANCEL_REJECTED):
        yield from _by_rejection(view, intent, fact, code, now_us)
        return
    match intent.command.kind:
        case CommandKind.OPEN | CommandKind.ADD:
            yield from _open_by_execution(view, intent, fact)
        case CommandKind.CLOSE:
            if _is_closed_by(view, intent, fact):
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
            elif order is not None and order.closing and not fact.is_server_event and ends_short(view, intent, order):
                yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=code)
        case CommandKind.AMEND_PROTECTION:
            if order is None or order.type is OrderType.PROTECTION:
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
        case CommandKind.PLACE | CommandKind.AMEND_ORDER | CommandKind.CANCEL:
            if order is None and _is_untraced(view, intent):
                return
            if order is None or order.type.is_pending:
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)


def _by_rejection(view: AccountView, intent: Intent, fact: ExecutionSeen, code: str, now_us: int) -> Iterator[Event]:
    """What was accepted first and rejected then, as what is refused at once: by its code. Of an order that has filled
    in part only the rest is rejected."""
    is_range = intent.command.order_type is OrderType.MARKET_RANGE
    by_code = fact.kind is ExecutionKind.ORDER_REJECTED and view.rules >= REJECTED_AS_REFUSED
    if by_code and intent.command.kind.adds_risk and intent.filled > 0:
        yield from _open_by_execution(view, intent, fact)
    elif by_code and not is_range:
        refused = RequestRefused(intent=intent.intent, error_code=code, is_temporary=code in TEMPORARY)
        yield from _by_refusal(view, intent, refused, now_us)
    else:
        is_instead = is_open_instead(view, view.copies.get(intent.key), intent)
        delay = RETRY_OPEN_US if is_instead else 0
        yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=code, retry_in_us=delay)
        if not is_instead:
            yield from end_of_open(view, intent, Reason.SLIPPAGE if is_range else Reason.REFUSED)


def _is_untraced(view: AccountView, intent: Intent) -> bool:
    """Whether nobody has told yet which position, or which order that rests, has come of this: a look will, if nothing
    else does. A share is found by its net."""
    copy = view.copies.get(intent.key)
    if copy is None or view.rules < OPENS_HAVE_NUMBERS:
        return False
    if intent.command.kind is CommandKind.OPEN:
        return copy.position is None and not copy.share
    return intent.command.kind is CommandKind.PLACE and copy.order is None


def _open_by_execution(view: AccountView, intent: Intent, fact: ExecutionSeen) -> Iterator[Event]:
    order = fact.order
    is_ended = order is not None and not order.closing and order.status in ENDED_ORDER
    is_filled = order is not None and order.status is OrderStatus.FILLED and not order.closing
    if _has_more_deals(view, intent, fact) or _fills_on(view, intent, order) or _is_accepted_late(view, intent, fact):
        return
    if is_filled or intent.filled >= intent.command.volume or (is_ended and intent.filled > 0):
        if not _is_untraced(view, intent):
            yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
    elif is_ended:
        yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=fact.error_code or fact.kind.value)
        is_range = intent.command.order_type is OrderType.MARKET_RANGE
        yield from end_of_open(view, intent, Reason.SLIPPAGE if is_range else Reason.REFUSED)


def _is_accepted_late(view: AccountView, intent: Intent, fact: ExecutionSeen) -> bool:
    """Whether an order is told as accepted, on a position of which the last look tells no times: that may have shown
    what it filled. Its fill is still to be told, and only its request tells that it was seen; if it never comes, a
    look settles the request as any other."""
    position, order = intent.command.position, fact.order
    is_bare = fact.kind is ExecutionKind.ORDER_ACCEPTED and fact.deal is None
    if not is_bare or view.rules < OWN_SHOWN_BEFORE:
        return False
    is_before = order is not None and order.status is OrderStatus.ACCEPTED and not order.executed_volume
    return is_before and position is not None and not view.shown_ms.get(position, 1)


def _fills_on(view: AccountView, intent: Intent, order: Order | None) -> bool:
    """Whether an order has filled in part where this is told, though a history has told its end before; the part may
    be told as filled too (wire.md#fills-in-parts)."""
    if order is None or order.closing or view.rules < HISTORY_IS_AHEAD:
        return False
    is_told_filled = order.status is OrderStatus.FILLED and order.executed_volume < order.volume
    may_fill = order.status is OrderStatus.ACCEPTED or (is_told_filled and view.rules >= PARTS_TOLD_FILLED)
    return may_fill and 0 < order.executed_volume < intent.command.volume


def _has_more_deals(view: AccountView, intent: Intent, fact: ExecutionSeen) -> bool:
    """Whether an order of a share has executed more than its deals have told so far.

    A net that turns is two deals, and how far ahead of them the order counts is not known (wire.md#netted-accounts).
    Its deals are all that a share is booked by: what is told once its request is closed would be nobody's, and asked
    for once more.
    """
    copy, order = view.copies.get(intent.key), fact.order
    if copy is None or not copy.share or order is None or view.rules < FILLS_BY_DEALS:
        return False
    return intent.filled < min(order.executed_volume, intent.command.volume)


def _by_reduction(view: AccountView, fact: ExecutionSeen) -> Iterator[Event]:
    """A close whose own event came without its name is told by the position's volume."""
    position = fact.position.position if fact.position is not None else None
    if fact.deal is None or fact.deal.close is None:
        return
    for intent in view.intents.values():
        is_of_position = intent.command.kind is CommandKind.CLOSE and intent.command.position == position
        if not is_of_position or intent.state is not IntentState.UNKNOWN:
            continue
        if not is_among_others(view, intent) and has_closed(view, intent):
            yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason="told by the volume")


def _by_levels(view: AccountView, fact: ExecutionSeen) -> Iterator[Event]:
    """An amendment whose own event came without its name is told by the levels of the position: neither its message nor
    the protective order has another."""
    seen, order = fact.position, fact.order
    is_nameless = not fact.client_msg_id and not fact.is_server_event and view.rules >= LEVELS_ARE_SHOWN
    if seen is None or order is None or order.type is not OrderType.PROTECTION or not is_nameless:
        return
    for intent in view.intents.values():
        command = intent.command
        if command.kind is not CommandKind.AMEND_PROTECTION or command.position != seen.position:
            continue
        is_later = not seen.updated_ms or seen.updated_ms > intent.after_ms
        asked = (command.stop, command.target, command.trailing)
        if is_later and intent.state is not IntentState.RECORDED and asked == (seen.stop, seen.target, seen.trailing):
            yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason="told by the levels")


def _is_closed_by(view: AccountView, intent: Intent, fact: ExecutionSeen) -> bool:
    """Whether an execution of a close's own is its end. Its deals tell, for its position may have grown meanwhile.

    Only a fill that came without its deal is told by the net, where no other request may have moved it.
    """
    copy = view.copies.get(intent.key)
    if _is_accepted_late(view, intent, fact):
        return False
    if view.rules >= CLOSES_ARE_TOLD and intent.filled >= intent.command.volume > 0:
        return True
    if copy is None or not copy.share or intent.filled >= intent.command.volume:
        return has_closed(view, intent)
    is_bare = fact.kind is ExecutionKind.ORDER_FILLED and fact.deal is None
    return is_bare and not is_among_others(view, intent) and has_closed(view, intent)
