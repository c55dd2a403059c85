"""What a fact says of requests that have no outcome yet: the events that close their books, and end copies that came
to nothing. An unknown outcome is settled by what the broker shows, or by proof of absence; never by time alone."""

from __future__ import annotations

from collections.abc import Iterator

from cmam.domain.belief import proofs
from cmam.domain.belief.belonging import intent_of
from cmam.domain.belief.copies import Copy, Intent, IntentState
from cmam.domain.belief.nameless import has_grown, like_another
from cmam.domain.belief.proofs import ENDED_ORDER, ends_short, short_close
from cmam.domain.belief.shares import MOVING, is_untold, shows_less, told_by_net
from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    CopyFinished,
    Event,
    ExecutionSeen,
    IntentDropped,
    IntentRecorded,
    IntentSettled,
    Outcome,
    Reconciled,
    RequestRefused,
)
from cmam.domain.values.codes import CORRECTABLE, TEMPORARY
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.closes import CLOSES_ARE_TOLD
from cmam.domain.values.rules.levels import LEVELS_ARE_SHOWN
from cmam.domain.values.rules.nets import CLOSES_BY_NUMBER, FILLS_BY_DEALS, NETS_ARE_BEHIND, ORDERS_STAND_STILL
from cmam.domain.values.rules.opens import PARTS_TOLD_FILLED, REJECTED_AS_REFUSED
from cmam.domain.values.rules.resting import FILLS_GO_ON
from cmam.domain.values.rules.sight import (
    GROWTH_IS_NO_ABSENCE,
    HISTORY_IS_AHEAD,
    LOOKALIKES_COUNT,
    OPENS_HAVE_NUMBERS,
    PARTS_FILL_ON,
)
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus, OrderType
from cmam.domain.wanted.resting import shows

SETTLE_US = 10_000_000
"""How long an order may be in flight at the broker: absence proves nothing before that."""

ATTEMPTS_MAX = 2
"""How often one open may be sent: again only after proof that the first never arrived."""

RETRY_OPEN_US = 1_000_000
"""How long a temporarily refused open waits before it passes the gates again."""

LINE_LOST = "the connection "
"""What the reason begins with when an open did not leave because there was no line."""

LIKE_ANOTHER = "something just like it, without a name of ours, has come since: it may be this, and is not sent again"
"""Why an open that counts as absent is given up, where its broker may not keep names."""

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
                    for event in _by_reconcile(told, intent, fact, now_us):
                        # What the net shows of one close it does not show of the next.
                        told = _with_close(told, intent, event)
                        yield event
        case _:
            return


def _by_drop(view: AccountView, intent: Intent, fact: IntentDropped, now_us: int) -> Iterator[Event]:
    """What never left: an open that only the line kept back passes the gates again while it is young enough."""
    copy = view.copies.get(intent.key)
    is_gone = fact.reason == "withdrawn" or copy is None or not copy.is_wanted
    is_open = _is_open(copy, intent)
    is_in_time = now_us + RETRY_OPEN_US <= intent.not_after_us
    if is_open and not is_gone and is_in_time and fact.reason.startswith(LINE_LOST):
        delay = RETRY_OPEN_US
        yield IntentSettled(intent=fact.intent, outcome=Outcome.DROPPED, reason=fact.reason, retry_in_us=delay)
        return
    yield IntentSettled(intent=fact.intent, outcome=Outcome.DROPPED, reason=fact.reason)
    yield from _end_of_open(view, intent, Reason.SOURCE_GONE if is_gone else Reason.EXPIRED)


def _is_open(copy: Copy | None, intent: Intent) -> bool:
    """Whether a request adds risk and may wait: what a netted share gives up is sent as an order, but it is a close."""
    kind = intent.command.kind
    is_add = kind is CommandKind.ADD and (copy is None or intent.command.side is copy.side)
    return is_add or kind in (CommandKind.OPEN, CommandKind.PLACE)


def _by_refusal(view: AccountView, intent: Intent, fact: RequestRefused, now_us: int) -> Iterator[Event]:
    kind = intent.command.kind
    if kind is CommandKind.AMEND_PROTECTION and NOTHING_TO_AMEND in fact.description.casefold():
        yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason="nothing to amend")
        return
    delay = fact.retry_after_s * 1_000_000
    if not _is_open(view.copies.get(intent.key), intent):
        yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=fact.error_code, retry_in_us=delay)
        return
    copy = view.copies.get(intent.key)
    may_retry = fact.is_temporary or (fact.error_code in CORRECTABLE and copy is not None and copy.refusals == 0)
    may_retry = may_retry or _is_open_instead(view, copy, intent)
    delay = max(delay, RETRY_OPEN_US)
    if may_retry and copy is not None and copy.is_wanted and now_us + delay <= intent.not_after_us:
        yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=fact.error_code, retry_in_us=delay)
        return
    yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=fact.error_code)
    yield from _end_of_open(view, intent, Reason.REFUSED)


def _is_open_instead(view: AccountView, copy: Copy | None, intent: Intent) -> bool:
    """Whether an order that does not rest has been filled at the leader's: then his fill is an open like any other."""
    is_fill = copy is not None and copy.leader_filled and copy.is_wanted and copy.position is None
    return is_fill and intent.command.kind is CommandKind.PLACE and view.rules >= FILLS_GO_ON


def _end_of_open(view: AccountView, intent: Intent, reason: Reason) -> Iterator[Event]:
    copy = view.copies.get(intent.key)
    is_open = intent.command.kind in (CommandKind.OPEN, CommandKind.PLACE)
    if is_open and copy is not None and copy.position is None:
        ending = copy.ending if copy.ending is not None and reason is Reason.EXPIRED else reason
        yield CopyFinished(link=copy.link, source=copy.source, reason=ending)


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
        is_instead = _is_open_instead(view, view.copies.get(intent.key), intent)
        delay = RETRY_OPEN_US if is_instead else 0
        yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=code, retry_in_us=delay)
        if not is_instead:
            yield from _end_of_open(view, intent, Reason.SLIPPAGE if is_range else Reason.REFUSED)


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
    if _has_more_deals(view, intent, fact) or _fills_on(view, intent, order):
        return
    if is_filled or intent.filled >= intent.command.volume or (is_ended and intent.filled > 0):
        if not _is_untraced(view, intent):
            yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
    elif is_ended:
        yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=fact.error_code or fact.kind.value)
        is_range = intent.command.order_type is OrderType.MARKET_RANGE
        yield from _end_of_open(view, intent, Reason.SLIPPAGE if is_range else Reason.REFUSED)


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
        if not _is_among_others(view, intent) and has_closed(view, intent):
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


def _has_levels(view: AccountView, intent: Intent) -> bool:
    """Whether a position shows what an amendment of it asked for, or is gone. A stop that trails may have gone on: that
    moves no time of its position, and the amendment did."""
    command = intent.command
    held = view.positions.get(command.position) if command.position is not None else None
    if held is None or (held.stop, held.target) == (command.stop, command.target):
        return True
    if not (command.trailing and held.trailing) or held.stop is None or command.stop is None:
        return False
    is_on = (held.stop - command.stop) * held.side.sign > 0 and held.target == command.target
    return is_on and held.updated_ms > intent.after_ms > 0 and view.rules >= LEVELS_ARE_SHOWN


def _is_closed_by(view: AccountView, intent: Intent, fact: ExecutionSeen) -> bool:
    """Whether an execution of a close's own is its end. Its deals tell, for its position may have grown meanwhile.

    Only a fill that came without its deal is told by the net, where no other request may have moved it.
    """
    copy = view.copies.get(intent.key)
    if view.rules >= CLOSES_ARE_TOLD and intent.filled >= intent.command.volume > 0:
        return True
    if copy is None or not copy.share or intent.filled >= intent.command.volume:
        return has_closed(view, intent)
    is_bare = fact.kind is ExecutionKind.ORDER_FILLED and fact.deal is None
    return is_bare and not _is_among_others(view, intent) and has_closed(view, intent)


def has_closed(view: AccountView, intent: Intent) -> bool:
    """Whether the position's volume shows that a close has happened; of a share the ledger tells what it should be."""
    copy = view.copies.get(intent.key)
    if copy is not None and copy.share:
        left = max(0, intent.command.volume - intent.filled)
        return left == 0 or shows_less(view, copy.symbol, copy.side, left)
    position = intent.command.position
    held = view.positions.get(position) if position is not None else None
    return held is None or held.volume <= intent.volume_before - intent.command.volume


def _is_among_others(view: AccountView, intent: Intent) -> bool:
    """Whether a share's close shares its net with other requests of unknown outcome: then the net tells nothing."""
    copy = view.copies.get(intent.key)
    return copy is not None and copy.share and is_untold(view, copy.symbol, besides=intent.intent)


def _with_close(view: AccountView, intent: Intent, event: Event) -> AccountView:
    """The view after a share's close was told by the net."""
    copy = view.copies.get(intent.key)
    if copy is None or not copy.share or intent.command.kind is not CommandKind.CLOSE:
        return view
    if not isinstance(event, IntentSettled) or event.outcome is not Outcome.CONFIRMED:
        return view
    return told_by_net(view, copy, intent)


def _is_in_history(view: AccountView, intent: Intent, fact: Reconciled) -> bool:
    """Whether the broker's history has the order that a share's close became: a request for a close carries no name.

    It is the one whose number an event has told, where that has closed all that was asked for; else the one that closed
    as much of the same position after all that we knew of it; no other close of ours may be under way there.
    """
    copy, command = view.copies.get(intent.key), intent.command
    if copy is not None and copy.share and intent.order is not None and view.rules >= CLOSES_BY_NUMBER:
        of_it = (order.executed_volume for order in fact.past_orders if order.order == intent.order)
        if any(executed >= command.volume for executed in of_it):
            return True
    return (
        copy is not None
        and copy.share
        and any(
            order.closing
            and order.type is OrderType.MARKET
            and order.position == command.position
            and order.executed_volume == command.volume - intent.filled
            and order.opened_ms > intent.after_ms
            for order in fact.past_orders
        )
    )


def _is_hidden(view: AccountView, intent: Intent, fact: Reconciled, now_us: int) -> bool:
    """Whether others of unknown outcome hide a share's close, and this look does not tell of all of them either."""
    if not _is_among_others(view, intent):
        return False
    others = [
        other
        for other in view.intents.values()
        if other.intent != intent.intent
        and other.state is IntentState.UNKNOWN
        and other.command.symbol == intent.command.symbol
        and other.command.kind in MOVING
    ]
    is_past_told = proofs.tells_past(fact, view.rules)
    return not (is_past_told and all(now_us - other.moved_us >= fact.settle_us for other in others))


# --- a reconcile --------------------------------------------------------------------------------------------------


def _by_reconcile(view: AccountView, intent: Intent, fact: Reconciled, now_us: int) -> Iterator[Event]:
    """What the broker holds settles an unknown outcome; absence counts where it is proof."""
    copy = view.copies.get(intent.key)
    is_proof = proofs.is_proof(view, intent, fact, now_us)
    match intent.command.kind:
        case CommandKind.OPEN | CommandKind.PLACE:
            yield from _open_by_reconcile(view, copy, intent, fact, now_us, is_proof=is_proof)
        case CommandKind.ADD:
            order = _past_order(intent, fact)
            if not is_proof and _is_net_behind(view, copy, order):
                return
            if order is not None and order.status is not OrderStatus.ACCEPTED:
                is_done = order.executed_volume > 0
                yield IntentSettled(
                    intent=intent.intent,
                    outcome=Outcome.CONFIRMED if is_done else Outcome.REFUSED,
                    reason="found at the broker" if is_done else order.status.value,
                )
            elif is_proof and order is None and view.rules >= GROWTH_IS_NO_ABSENCE and has_grown(view, copy, intent):
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason="its position has grown")
            elif is_proof and order is None:
                yield IntentSettled(intent=intent.intent, outcome=Outcome.ABSENT)
        case CommandKind.CLOSE:
            if (short := short_close(view, intent, fact)) is not None:
                yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=f"order_{short.status.value}")
            elif _is_in_history(view, intent, fact):
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason="found at the broker")
            elif _is_hidden(view, intent, fact, now_us):
                return
            elif not (_is_among_others(view, intent) and is_proof) and has_closed(view, intent):
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
            elif is_proof:
                yield IntentSettled(intent=intent.intent, outcome=Outcome.ABSENT)
        case CommandKind.AMEND_PROTECTION:
            if _has_levels(view, intent):
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
            elif is_proof:
                yield IntentSettled(intent=intent.intent, outcome=Outcome.ABSENT)
        case CommandKind.CANCEL:
            if intent.command.order not in view.orders:
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
            elif is_proof:
                yield IntentSettled(intent=intent.intent, outcome=Outcome.ABSENT)
        case CommandKind.AMEND_ORDER:
            order = view.orders.get(intent.command.order) if intent.command.order is not None else None
            terms = copy.goal.terms if copy is not None else None
            if order is None or terms is None or shows(order, terms, view.rules):
                yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
            elif is_proof:
                yield IntentSettled(intent=intent.intent, outcome=Outcome.ABSENT)


def _past_order(intent: Intent, fact: Reconciled) -> Order | None:
    orders = (*fact.past_orders, *fact.orders)
    return next((order for order in orders if order.client_order_id == intent.intent), None)


def _may_fill_on(view: AccountView, copy: Copy, intent: Intent, fact: Reconciled, *, is_proof: bool) -> bool:
    """Whether a market order has filled in part as far as is known, and may be at the rest of it right now; or has
    been, after the snapshot and before its history was read."""
    order = _past_order(intent, fact)
    is_ahead = order is not None and order.executed_volume > copy.volume and view.rules >= HISTORY_IS_AHEAD
    is_over = is_proof if order is None or is_ahead else order.status is not OrderStatus.ACCEPTED
    is_short = copy.position is not None and copy.volume < intent.command.volume
    return intent.command.kind is CommandKind.OPEN and is_short and not is_over


def _is_net_behind(view: AccountView, copy: Copy | None, order: Order | None) -> bool:
    """Whether a net lacks what the order of a share has filled, by a history that is younger than the snapshot before
    it: what is told of it yet is the share's own. Where somebody has taken it, the net is as young as the order."""
    if copy is None or not copy.share or order is None or view.rules < NETS_ARE_BEHIND:
        return False
    stamps = [position.updated_ms for position in view.positions.values() if position.symbol == copy.symbol]
    says_nothing = view.rules >= ORDERS_STAND_STILL and order.updated_ms <= order.opened_ms
    is_older = says_nothing or not stamps or any(stamp <= order.updated_ms for stamp in stamps)
    return order.executed_volume > 0 and is_older and shows_less(view, copy.symbol, copy.side, 1)


def _open_by_reconcile(
    view: AccountView, copy: Copy | None, intent: Intent, fact: Reconciled, now_us: int, *, is_proof: bool
) -> Iterator[Event]:
    is_careful = view.rules >= PARTS_FILL_ON
    if is_careful and copy is not None and _may_fill_on(view, copy, intent, fact, is_proof=is_proof):
        return
    if not is_proof and _is_net_behind(view, copy, _past_order(intent, fact)):
        return
    if copy is not None and (copy.position is not None or (copy.order is not None and not copy.ended_order)):
        yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason="found at the broker")
        return
    order = _past_order(intent, fact)
    if order is not None and order.status in ENDED_ORDER and order.executed_volume == 0:
        is_instead = _is_open_instead(view, copy, intent)
        delay = RETRY_OPEN_US if is_instead else 0
        yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=order.status.value, retry_in_us=delay)
        if copy is not None and not is_instead:
            yield CopyFinished(link=copy.link, source=copy.source, reason=Reason.REFUSED)
        return
    if order is not None and order.status is OrderStatus.FILLED and is_proof:
        # It filled, and what it opened is gone again.
        yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason="it filled and was closed")
        if copy is not None:
            yield CopyFinished(link=copy.link, source=copy.source, reason=copy.ending or Reason.CLOSED_BY_HUMAN)
        return
    if not is_proof or order is not None:
        return
    is_there = view.rules >= LOOKALIKES_COUNT and like_another(view, intent) != ""
    may_repeat = (
        copy is not None
        and not is_there
        and intent.attempt < ATTEMPTS_MAX
        and now_us <= intent.not_after_us
        and copy.is_wanted
        and not copy.leader_filled
    )
    is_fill = copy is not None and now_us <= copy.not_after_us and _is_open_instead(view, copy, intent)
    if (is_fill and not is_there) or (may_repeat and copy is not None and copy.goal.priced):
        yield IntentSettled(intent=intent.intent, outcome=Outcome.ABSENT, retry_in_us=1)
        return
    reason = LIKE_ANOTHER if is_there else ""
    yield IntentSettled(intent=intent.intent, outcome=Outcome.ABSENT, reason=reason)
    if copy is None:
        return
    if may_repeat:
        yield IntentRecorded(
            intent=intent.intent,
            link=intent.link,
            source=intent.source,
            seq=intent.seq,
            command=intent.command,
            attempt=intent.attempt + 1,
            not_after_us=intent.not_after_us,
        )
    else:
        ending = Reason.SOURCE_GONE if not copy.is_wanted else Reason.EXPIRED
        yield CopyFinished(link=copy.link, source=copy.source, reason=copy.ending or ending)
