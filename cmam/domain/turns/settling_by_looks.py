"""What a look says of requests whose outcome nobody has told: what the broker shows, or absence where it is proof."""

from __future__ import annotations

from collections.abc import Iterator

from cmam.domain.belief import proofs
from cmam.domain.belief.copies import Copy, Intent, IntentState
from cmam.domain.belief.nameless import has_grown, like_another
from cmam.domain.belief.proofs import ENDED_ORDER, short_close
from cmam.domain.belief.shares import MOVING, shows_less
from cmam.domain.belief.view import AccountView
from cmam.domain.events import CopyFinished, Event, IntentRecorded, IntentSettled, Outcome, Reconciled
from cmam.domain.turns.opens_again import ATTEMPTS_MAX, LIKE_ANOTHER, RETRY_OPEN_US, is_open_instead
from cmam.domain.turns.shown_closes import has_closed, is_among_others
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.levels import LEVELS_ARE_SHOWN
from cmam.domain.values.rules.nets import CLOSES_BY_NUMBER, NETS_ARE_BEHIND, ORDERS_STAND_STILL
from cmam.domain.values.rules.opens import ABSENT_WAS_NOT_CLOSED
from cmam.domain.values.rules.sight import GROWTH_IS_NO_ABSENCE, HISTORY_IS_AHEAD, LOOKALIKES_COUNT, PARTS_FILL_ON
from cmam.domain.values.trades import Order, OrderStatus, OrderType
from cmam.domain.wanted.resting import shows


def by_look(view: AccountView, intent: Intent, fact: Reconciled, now_us: int) -> Iterator[Event]:
    """What the broker holds settles an unknown outcome; absence counts where it is proof."""
    copy = view.copies.get(intent.key)
    is_proof = proofs.is_proof(view, intent, fact, now_us)
    match intent.command.kind:
        case CommandKind.OPEN | CommandKind.PLACE:
            yield from _open_by_look(view, copy, intent, fact, now_us, is_proof=is_proof)
        case CommandKind.ADD:
            yield from _add_by_look(view, copy, intent, fact, is_proof=is_proof)
        case CommandKind.CLOSE:
            yield from _close_by_look(view, intent, fact, now_us, is_proof=is_proof)
        case CommandKind.AMEND_PROTECTION:
            yield from _shown_or_absent(intent, is_shown=_has_levels(view, intent), is_proof=is_proof)
        case CommandKind.CANCEL:
            is_gone = intent.command.order not in view.orders
            yield from _shown_or_absent(intent, is_shown=is_gone, is_proof=is_proof)
        case CommandKind.AMEND_ORDER:
            yield from _shown_or_absent(intent, is_shown=_has_terms(view, copy, intent), is_proof=is_proof)


def _shown_or_absent(intent: Intent, *, is_shown: bool, is_proof: bool) -> Iterator[Event]:
    """A request has happened where its effect is shown, whoever had it; where it is not, it is absent by proof."""
    if is_shown:
        yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED)
    elif is_proof:
        yield IntentSettled(intent=intent.intent, outcome=Outcome.ABSENT)


def _add_by_look(
    view: AccountView, copy: Copy | None, intent: Intent, fact: Reconciled, *, is_proof: bool
) -> Iterator[Event]:
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


def _close_by_look(
    view: AccountView, intent: Intent, fact: Reconciled, now_us: int, *, is_proof: bool
) -> Iterator[Event]:
    if (short := short_close(view, intent, fact)) is not None:
        yield IntentSettled(intent=intent.intent, outcome=Outcome.REFUSED, reason=f"order_{short.status.value}")
    elif _is_in_history(view, intent, fact):
        yield IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason="found at the broker")
    elif not _is_hidden(view, intent, fact, now_us):
        tells = not (is_among_others(view, intent) and is_proof)
        yield from _shown_or_absent(intent, is_shown=tells and has_closed(view, intent), is_proof=is_proof)


def _has_terms(view: AccountView, copy: Copy | None, intent: Intent) -> bool:
    """Whether an order that rests shows what its amendment asked for, or is gone."""
    order = view.orders.get(intent.command.order) if intent.command.order is not None else None
    terms = copy.goal.terms if copy is not None else None
    return order is None or terms is None or shows(order, terms, view.rules)


def _open_by_look(
    view: AccountView, copy: Copy | None, intent: Intent, fact: Reconciled, now_us: int, *, is_proof: bool
) -> Iterator[Event]:
    """What a look tells of an open: found, refused, filled and gone again, or not there."""
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
        is_instead = is_open_instead(view, copy, intent)
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
    yield from _not_found(view, copy, intent, now_us)


def _not_found(view: AccountView, copy: Copy | None, intent: Intent, now_us: int) -> Iterator[Event]:
    """After an open that never came to the broker: it is asked for again while it may be, and given up else."""
    is_there = view.rules >= LOOKALIKES_COUNT and like_another(view, intent) != ""
    may_repeat = (
        copy is not None
        and not is_there
        and intent.attempt < ATTEMPTS_MAX
        and now_us <= intent.not_after_us
        and copy.is_wanted
        and not copy.leader_filled
    )
    is_fill = copy is not None and now_us <= copy.not_after_us and is_open_instead(view, copy, intent)
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
        ending = copy.ending or (Reason.SOURCE_GONE if not copy.is_wanted else Reason.EXPIRED)
        if ending is Reason.CLOSED_BY_LEADER and view.rules >= ABSENT_WAS_NOT_CLOSED:
            ending = Reason.SOURCE_GONE
        yield CopyFinished(link=copy.link, source=copy.source, reason=ending)


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


def _past_order(intent: Intent, fact: Reconciled) -> Order | None:
    orders = (*fact.past_orders, *fact.orders)
    return next((order for order in orders if order.client_order_id == intent.intent), None)


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
    if not is_among_others(view, intent):
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
