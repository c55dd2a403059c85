"""What an execution makes of the request and of the copy that it belongs to (`belief/belonging`)."""

from __future__ import annotations

from cmam.domain.belief import refused
from cmam.domain.belief.asked import with_intent
from cmam.domain.belief.belonging import copy_asked, is_fill_of, position_of
from cmam.domain.belief.copies import Copy, CopyState, Intent, IntentState
from cmam.domain.belief.orders import fills_on
from cmam.domain.belief.proofs import ENDED_ORDER
from cmam.domain.belief.view import AccountView, put
from cmam.domain.events import ExecutionSeen, Wait
from cmam.domain.folds.booking_shares import (
    book_share,
    is_close_of,
    is_ordered_by_share,
    note_on_others,
    share_of_refused,
)
from cmam.domain.folds.joining import PROTECTION_US, as_held, joined
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import PositionId
from cmam.domain.values.quantities import Price, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import copied, replace
from cmam.domain.values.rules.levels import OWN_LEVELS
from cmam.domain.values.rules.nets import FILLS_BY_DEALS
from cmam.domain.values.rules.resting import AHEAD_AS_OPENED, ENDED_IN_PART, GROWN_WHILE_RESTING
from cmam.domain.values.rules.sight import DEALS_COUNT, ENDS_ARE_PRICED, FILLS_ARE_SHOWN, PARTS_WITHOUT_DEALS
from cmam.domain.values.trades import Deal, ExecutionKind, Order, OrderStatus


def match_intent(
    view: AccountView, intent: Intent, event: ExecutionSeen, is_new_deal: bool, at_us: int
) -> tuple[AccountView, Intent]:
    """Note on a request what an execution says of it: accepted, its order, how much is filled."""
    filled, executed = intent.filled, Volume(0)
    if event.order is not None and event.order.client_order_id == intent.intent:
        executed = event.order.executed_volume
    is_shown = executed > 0 and view.rules >= FILLS_ARE_SHOWN and not view.is_netted()
    is_by_deals = view.rules >= FILLS_BY_DEALS and (event.deal is not None or is_ordered_by_share(view, intent))
    # A snapshot may have shown what this deal of a hedged copy filled; of a share only deals tell.
    if event.deal is not None and is_new_deal and not event.is_server_event and not is_shown:
        filled = Volume(filled + event.deal.filled_volume)
    if is_shown or not is_by_deals:
        filled = Volume(max(filled, executed))
    order = intent.order or (event.order.order if event.order is not None and not event.is_server_event else None)
    seen = replace(intent, state=IntentState.ACCEPTED, moved_us=at_us, filled=filled, order=order)
    return replace(view, intents=with_intent(view.intents, seen)), seen


def match_copy(
    view: AccountView, intent: Intent | None, event: ExecutionSeen, is_new_deal: bool, at_us: int
) -> AccountView:
    """Note on a copy what an execution, of that request if any, says of its order and its position."""
    deal = event.deal if is_new_deal else None
    of_refused = refused.refused_of(view, event.order)
    if of_refused is not None and (taken := _take_refused(view, of_refused, event, deal, at_us)) is not None:
        return taken
    key = copy_asked(view, intent, event)
    copy = view.copies.get(key) if key is not None else None
    if copy is None:
        return _ended_at(_with_rest_filled(view, event, deal) if view.surplus or view.intents else view, deal)
    order = event.order
    was_held = copy.position is not None
    if copy.share:
        view = book_share(view, copy, event, intent, deal, at_us)
        copy = view.copies[copy.key]
    known = copy
    if order is not None and order.type.is_pending and not order.closing:
        copy = _with_order(view, copy, intent, order, event.kind)
    is_opening = (intent is not None and intent.command.kind is CommandKind.OPEN) or is_fill_of(copy, event)
    if copy.position is None and is_opening and (not copy.share or _ends_untold(order, view.rules)):
        opened = _opened(event, deal, view.rules, knows_deals=view.rules >= DEALS_COUNT)
        if opened is not None:
            copy = replace(copy, volume=order.executed_volume) if copy.share and order is not None else copy
            view, copy = joined(view, copy, *opened, at_us)
            copy = _with_filled(view, copy, event)
    elif copy.share and copy.position is not None:
        copy = _with_filled(view, copy, event)
    if copy.position is not None and copy.position == position_of(event):
        if order is not None and order.closing and event.is_server_event:
            copy = replace(copy, awaits_protection=False)
        if deal is not None and is_close_of(view, copy, deal):
            copy = replace(copy, close_price=deal.price)
        copy = as_held(view, copy)
        if view.rules >= OWN_LEVELS and deal is None and event.is_server_event and at_us <= copy.levels_until_us:
            copy = _with_theirs(copy)
        is_fill = is_opening and deal is not None and deal.close is None
        if is_fill and view.rules >= OWN_LEVELS:
            copy = _awaiting_levels(copy, event, at_us, is_first=not was_held)
    view = view if copy is known else put(view, copy)
    return note_on_others(view, copy, event, intent, deal, at_us) if copy.share else view


def _with_rest_filled(view: AccountView, event: ExecutionSeen, deal: Deal | None) -> AccountView:
    """What rests of a copy that is over has filled before it was cancelled: its position is taken back."""
    link = refused.rest_of(view, event.order)
    opened = _opened(event, deal, view.rules) if link is not None else None
    if link is None or opened is None or opened[0] in view.by_position:
        return view
    return replace(view, surplus={**view.surplus, refused.position_surplus(opened[0]): link})


def _ended_at(view: AccountView, deal: Deal | None) -> AccountView:
    """The price at which a copy has ended, where the end of its position was told ahead of the deal that made it."""
    if deal is None or deal.close is None or view.rules < ENDS_ARE_PRICED:
        return view
    for copy in tuple(view.finished.values()):
        if copy.position == deal.position and not copy.share and copy.reason is not Reason.RELEASED:
            finished = copied(view.finished)
            finished[copy.key] = replace(copy, close_price=deal.price)
            view = replace(view, finished=finished)
    return view


def _take_refused(
    view: AccountView, copy: Copy, event: ExecutionSeen, deal: Deal | None, at_us: int
) -> AccountView | None:
    """What an execution makes of a copy whose order was refused before; None where that is the copy's own already, or
    where the copy is over: then it is taken in by its label."""
    order = event.order
    assert order is not None
    is_over = copy.key not in view.copies
    if (is_over and not copy.share) or (copy.order == order.order and not is_over):
        return None
    if order.type.is_pending and order.is_resting:
        return refused.at_rest(view, copy, order)
    opened = _opened(event, deal, view.rules)
    if opened is None:
        return refused.at_work(view, copy, order, at_us)
    position, price = opened
    if copy.share:
        return view if deal is None else share_of_refused(view, copy, deal, at_us)
    if copy.position == position:
        return None
    if refused.is_its_own(view, copy, order, position):
        view, copy = joined(view, refused.found(copy), position, price, at_us)
        return put(view, _awaiting_levels(copy, event, at_us, is_first=True))
    return refused.with_surplus(view, copy, refused.position_surplus(position))


def _opened(
    event: ExecutionSeen, deal: Deal | None, rules: int, *, knows_deals: bool = True
) -> tuple[PositionId, Price | None] | None:
    """The position that an opening order filled into, and at which price.

    An event may come without its deal, or behind a reconcile whose deals are younger than its snapshot: it tells all
    the same what the order has become.
    """
    if deal is not None:
        return None if deal.close is not None else (deal.position, deal.price)
    order, position = event.order, event.position
    is_filled = order is not None and order.status is OrderStatus.FILLED and not order.closing
    may_fill_in_part = order is not None and (
        (order.status in ENDED_ORDER and rules >= ENDED_IN_PART)
        or (order.status is OrderStatus.ACCEPTED and rules >= PARTS_WITHOUT_DEALS)
    )
    if order is not None and may_fill_in_part:
        is_filled = order.executed_volume > 0 and not order.closing
    if not is_filled or position is None or position.volume <= 0:
        return None
    if event.deal is not None and (not knows_deals or event.deal.close is not None):
        return None
    price = order.execution_price if order is not None else None
    return position.position, position.price if price is None and rules >= PARTS_WITHOUT_DEALS else price


def _ends_untold(order: Order | None, rules: int) -> bool:
    """Whether an order that rested is at its end: of a share that has nothing yet, no deal told what it has done."""
    is_over = order is not None and order.type.is_pending and order.status in ENDED_ORDER
    return is_over and rules >= ENDED_IN_PART


def _awaiting_levels(copy: Copy, event: ExecutionSeen, at_us: int, *, is_first: bool) -> Copy:
    """A copy whose order has just filled: the broker sets the levels it carried in an event of its own.

    It does so after each part that fills, for they count from the average of all.
    """
    carried = [source for source in (event.order, copy.goal.terms) if source is not None]
    is_carrying = any(source.relative_stop is not None or source.relative_target is not None for source in carried)
    if not is_carrying or (is_first and (copy.seen_stop is not None or copy.seen_target is not None)):
        return copy
    return replace(copy, awaits_protection=is_first or copy.awaits_protection, levels_until_us=at_us + PROTECTION_US)


def _with_theirs(copy: Copy) -> Copy:
    """A copy on which the broker has set what an order carried: where that is not what we applied, ours comes again."""
    ours = copy.applied
    is_same = ours is None or (copy.seen_stop, copy.seen_target) == (ours.stop, ours.target)
    return copy if is_same else replace(copy, applied=None)


def _with_filled(view: AccountView, copy: Copy, event: ExecutionSeen) -> Copy:
    """A copy whose resting order has filled to the end: nothing is left to be cancelled, and what its leader has added
    since his own filled is asked for."""
    if event.order is None or event.order.status is not OrderStatus.FILLED or not is_fill_of(copy, event):
        return copy
    if fills_on(view, event.order):
        return copy
    has_grown = view.rules >= GROWN_WHILE_RESTING and copy.goal.terms is not None
    has_grown = has_grown and copy.target > _whole_of(view, copy, event.order)
    is_all = copy.wait is Wait.CANCEL and not has_grown
    return replace(copy, ended_order=True, wait=None if is_all else copy.wait)


def _whole_of(view: AccountView, copy: Copy, order: Order) -> Volume:
    """All that a copied order was to fill; where its leader has made his larger since a part of that had filled, what
    ours rested with."""
    spec, whole = view.specs.get(copy.symbol), copy.goal.whole
    has_less = spec is not None and spec.floor_volume(whole) > order.volume and view.rules >= AHEAD_AS_OPENED
    return order.volume if has_less else whole


def _with_order(view: AccountView, copy: Copy, intent: Intent | None, order: Order, kind: ExecutionKind) -> Copy:
    """A copy with what its pending order has become."""
    if kind is ExecutionKind.ORDER_CANCEL_REJECTED:
        return copy
    is_ours = copy.order == order.order or (intent is not None and intent.command.kind is CommandKind.PLACE)
    if not is_ours:
        return copy
    if order.is_resting or fills_on(view, order):
        state = CopyState.RESTING if copy.position is None else copy.state
        return replace(copy, state=state, order=order.order)
    if order.status is OrderStatus.FILLED:
        return replace(copy, order=order.order, ended_order=copy.position is not None)
    return replace(copy, order=order.order, ended_order=True)
