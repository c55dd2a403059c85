"""What a look at the broker proves of requests of unknown outcome: each has its own proof."""

from __future__ import annotations

from typing import NamedTuple

from cmam.domain.belief.asked import gone
from cmam.domain.belief.copies import Copy, Intent, IntentState
from cmam.domain.belief.restless import restless
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Reconciled
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.rules.nets import CLOSES_END_SHORT
from cmam.domain.values.rules.sight import PROOFS_ARE_APART
from cmam.domain.values.trades import Order, OrderStatus, OrderType

ENDED_ORDER = (OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED)


class Due(NamedTuple):
    """When each kind of look is due, in us, or None where nothing asks for it: a snapshot for requests that it shows,
    the orders of the past for all others and for orders that a snapshot left out, a snapshot for what a copy holds."""

    readback: int | None = None
    history: int | None = None
    refresh: int | None = None


NEVER = Due()


def tells_past(fact: Reconciled, rules: int) -> bool:
    """Whether a look has asked for the orders of the past too, so that an order's absence in it proves something."""
    return fact.looked_up and (fact.covers_from_ms != 0 or rules < PROOFS_ARE_APART)


def is_proof(view: AccountView, intent: Intent, fact: Reconciled, now_us: int) -> bool:
    """Whether what a look does not show of a request has not been done: what a snapshot shows after the settling time,
    and of all others the orders of the past."""
    is_told = fact.looked_up and (tells_past(fact, view.rules) or is_shown(view, intent))
    return is_told and now_us - intent.moved_us >= fact.settle_us


def is_shown(view: AccountView, intent: Intent) -> bool:
    """Whether a snapshot shows what became of a request: of closes and levels of hedged copies the position alone
    tells, which nothing else of ours moves and no history names, and of an order that rests the order itself."""
    command = intent.command
    if command.kind in (CommandKind.CANCEL, CommandKind.AMEND_ORDER) and view.rules >= PROOFS_ARE_APART:
        return command.order in view.orders and command.order not in view.doubted_orders
    copy = view.copies.get(intent.key)
    is_share = view.trader is None or view.is_netted() or (copy is not None and copy.share)
    return command.kind in (CommandKind.CLOSE, CommandKind.AMEND_PROTECTION) and not is_share


def looks_due(view: AccountView, settle_us: int) -> Due:
    """When the broker should be asked what became of what is unknown or in doubt."""
    if not view.intents and not view.copies:
        return NEVER
    readback, history, refresh = NEVER
    for intent in gone(view.intents):
        if intent.state is IntentState.UNKNOWN:
            moment = intent.moved_us + settle_us
            if is_shown(view, intent):
                readback = _first(readback, moment)
            else:
                history = _first(history, moment)
    for copy in restless(view.copies):
        if copy.refused_part and copy.is_wanted:
            refresh = _first(refresh, copy.close_at_us or view.at_us)
        if copy.doubt:
            if _is_of_order(copy):
                history = _first(history, view.at_us)
            else:
                refresh = _first(refresh, view.at_us)
    return Due(readback, history, refresh)


def _first(known: int | None, moment: int) -> int:
    return moment if known is None else min(known, moment)


def _is_of_order(copy: Copy) -> bool:
    """Whether what is doubted of a copy is told by orders of the past alone; of a position that is gone a snapshot says
    enough."""
    return copy.share or (copy.order is not None and not copy.ended_order)


# --- closes that end with less than was asked for ---------------------------------------------------------------------


def ends_short(view: AccountView, intent: Intent, order: Order) -> bool:
    """Whether the order that a close became is at its end though it has not closed all: what was not there any more has
    died with it, or its broker has made it as small as what there was. All that it closed is booked by then."""
    is_smaller = intent.filled >= order.executed_volume and view.rules >= CLOSES_END_SHORT
    return order.status in ENDED_ORDER or (is_smaller and _is_made_smaller(intent, order))


def short_close(view: AccountView, intent: Intent, fact: Reconciled) -> Order | None:
    """The order that a share's close of unknown outcome became, where the broker's history has it at its end with less
    than was asked for. A request for a close carries no name: where no event has told the number of its order, it is
    one of as much and of the same position, later than all that we knew of that, and no other request's."""
    copy, command = view.copies.get(intent.key), intent.command
    is_close = command.kind is CommandKind.CLOSE and intent.state is IntentState.UNKNOWN
    if copy is None or not copy.share or not is_close or view.rules < CLOSES_END_SHORT:
        return None
    numbers = {other.order for other in view.intents.values()}
    for order in fact.past_orders:
        is_market = order.closing and order.type is OrderType.MARKET and order.position == command.position
        is_like = is_market and order.volume == command.volume and order.opened_ms > intent.after_ms
        is_it = order.order == intent.order if intent.order is not None else is_like and order.order not in numbers
        is_over = order.status in ENDED_ORDER or _is_made_smaller(intent, order)
        if is_it and is_over and order.executed_volume < command.volume:
            return order
    return None


def _is_made_smaller(intent: Intent, order: Order) -> bool:
    is_whole = order.status is OrderStatus.FILLED and order.executed_volume == order.volume
    return is_whole and order.volume < intent.command.volume
