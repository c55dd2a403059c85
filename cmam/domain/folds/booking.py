"""Joins executions that the broker reports to the requests and copies they belong to."""

from __future__ import annotations

from cmam.domain.belief import refused
from cmam.domain.belief.asked import with_intent
from cmam.domain.belief.copies import Copy, CopyKey, CopyState, Intent, IntentState
from cmam.domain.belief.holdings import SETTLED_US, fills_on
from cmam.domain.belief.shares import closed_by, losses, moved, net_held, net_of_ledger
from cmam.domain.belief.view import AccountView, put
from cmam.domain.events import ExecutionSeen, Wait
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import IntentId, OrderId, PositionId
from cmam.domain.values.quantities import Distance, Price, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import copied, replace
from cmam.domain.values.rules.levels import OWN_LEVELS
from cmam.domain.values.rules.nets import (
    FILLS_BY_DEALS,
    NETS_ARE_BEHIND,
    ORDERS_LEVELS_OF_NETS,
    REST_COUNTED_ONCE,
    SHARES_ARE_PRICED,
    TURNED_NETS,
    TURNED_UNDER_CLOSE,
)
from cmam.domain.values.rules.opens import ADDS_FOLLOW_CLOSES
from cmam.domain.values.rules.resting import FILLED_WHOLE, GROWN_WHILE_RESTING
from cmam.domain.values.rules.sight import (
    CLOSES_BY_TERMS,
    DEALS_COUNT,
    ENDS_ARE_PRICED,
    ENDS_TELL_PARTS,
    FILLS_ARE_SHOWN,
)
from cmam.domain.values.trades import Deal, ExecutionKind, Order, OrderStatus, OrderType
from cmam.domain.wanted import targets

PROTECTION_US = 2_000_000
"""How long the broker may take to set the levels of an opening request before they are asked for again."""

# --- requests -----------------------------------------------------------------------------------------------------


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


def match_intent(
    view: AccountView, intent: Intent, event: ExecutionSeen, is_new_deal: bool, at_us: int
) -> tuple[AccountView, Intent]:
    """Note on a request what an execution says of it: accepted, its order, how much is filled."""
    filled, executed = intent.filled, Volume(0)
    if event.order is not None and event.order.client_order_id == intent.intent:
        executed = event.order.executed_volume
    is_shown = executed > 0 and view.rules >= FILLS_ARE_SHOWN and not view.is_netted()
    is_by_deals = view.rules >= FILLS_BY_DEALS and (event.deal is not None or _is_ordered_by_share(view, intent))
    # A snapshot may have shown what this deal of a hedged copy filled; of a share only deals tell.
    if event.deal is not None and is_new_deal and not event.is_server_event and not is_shown:
        filled = Volume(filled + event.deal.filled_volume)
    if is_shown or not is_by_deals:
        filled = Volume(max(filled, executed))
    order = intent.order or (event.order.order if event.order is not None and not event.is_server_event else None)
    seen = replace(intent, state=IntentState.ACCEPTED, moved_us=at_us, filled=filled, order=order)
    return replace(view, intents=with_intent(view.intents, seen)), seen


def _is_ordered_by_share(view: AccountView, intent: Intent) -> bool:
    """Whether this is an order of a share: what it counts ahead of its deals is booked to nobody yet."""
    copy = view.copies.get(intent.key)
    return copy is not None and copy.share and intent.command.kind is not CommandKind.CLOSE


def is_told_ahead(view: AccountView, intent: Intent, event: ExecutionSeen) -> bool:
    """Whether a history has told a deal of a share's order under way before its event came: by the order, which tells
    no deals, so that the deal itself is new."""
    deal, order = event.deal, event.order
    if deal is None or view.rules < NETS_ARE_BEHIND or not _is_ordered_by_share(view, intent):
        return False
    filled = intent.filled + deal.filled_volume
    if filled > intent.command.volume:
        return True
    executed = order.executed_volume if order is not None and order.client_order_id == intent.intent else 0
    symbol, sign = intent.command.symbol, deal.side.sign
    return filled > executed > 0 and (net_held(view, symbol) - net_of_ledger(view, symbol)) * sign <= 0


# --- copies -------------------------------------------------------------------------------------------------------


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
        return _ended_at(view, deal)
    order = event.order
    was_held = copy.position is not None
    if copy.share:
        view = _book_share(view, copy, event, intent, deal, at_us)
        if deal is not None and intent is not None and _is_given_up_with_stop(copy, intent):
            view = _awaiting_levels_of_net(view, copy, at_us)
        copy = view.copies[copy.key]
    known = copy
    if order is not None and order.type.is_pending and not order.closing:
        copy = _with_order(view, copy, intent, order, event.kind)
    is_opening = (intent is not None and intent.command.kind is CommandKind.OPEN) or _is_fill_of(copy, event)
    if copy.position is None and is_opening and not copy.share:
        opened = _opened(event, deal, knows_deals=view.rules >= DEALS_COUNT)
        if opened is not None:
            view, copy = _joined(view, copy, *opened, at_us)
            copy = _with_filled(view, copy, event)
    elif copy.share and copy.position is not None:
        copy = _with_filled(view, copy, event)
    if copy.position is not None and copy.position == position_of(event):
        if order is not None and order.closing and event.is_server_event:
            copy = replace(copy, awaits_protection=False)
        if deal is not None and _is_close_of(view, copy, deal):
            copy = replace(copy, close_price=deal.price)
        copy = as_held(view, copy)
        if view.rules >= OWN_LEVELS and deal is None and event.is_server_event and at_us <= copy.levels_until_us:
            copy = _with_theirs(copy)
        is_fill = is_opening and deal is not None and deal.close is None
        if is_fill and view.rules >= OWN_LEVELS:
            copy = _awaiting_levels(copy, event, at_us, is_first=not was_held)
    view = view if copy is known else put(view, copy)
    if copy.share and deal is not None and intent is None and view.rules >= SHARES_ARE_PRICED:
        view = _losers_priced(view, copy, deal)
    if copy.share and deal is None and event.is_server_event and view.rules >= ORDERS_LEVELS_OF_NETS:
        view = _shares_with_theirs(view, copy, at_us)
    return view


def _is_close_of(view: AccountView, copy: Copy, deal: Deal) -> bool:
    """Whether a deal has closed something of a copy. What it was to a net says nothing of a share: an open against the
    net closes a part of that, and a close of what was against it opens."""
    if copy.share and view.rules >= SHARES_ARE_PRICED:
        return deal.side is not copy.side
    return deal.close is not None


def _losers_priced(view: AccountView, copy: Copy, deal: Deal) -> AccountView:
    """The shares that lose by a deal that none of them asked for, with its price."""
    for share, _ in tuple(losses(view, copy.symbol)):
        if share.side is not deal.side and share.close_price != deal.price:
            view = put(view, replace(view.copies[share.key], close_price=deal.price))
    return view


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
    opened = _opened(event, deal, knows_deals=True)
    if opened is None:
        return refused.at_work(view, copy, order, at_us)
    position, price = opened
    if copy.share:
        return view if deal is None else _share_of_refused(view, copy, deal, at_us)
    if copy.position == position:
        return None
    if refused.is_its_own(view, copy, order, position):
        view, copy = _joined(view, refused.found(copy), position, price, at_us)
        return put(view, _awaiting_levels(copy, event, at_us, is_first=True))
    return refused.with_surplus(view, copy, refused.position_surplus(position))


def _share_of_refused(view: AccountView, copy: Copy, deal: Deal, at_us: int) -> AccountView:
    """A share takes whatever fills: what is too much is given up as ever, and all of it where the share was over."""
    if copy.key not in view.copies:
        copy = refused.revived(copy)
    if copy.position is None:
        view, copy = _joined(view, replace(refused.found(copy), volume=Volume(0)), deal.position, deal.price, at_us)
    signed = deal.filled_volume if deal.side is copy.side else -deal.filled_volume
    volume = Volume(max(0, copy.volume + signed))
    return put(view, replace(copy, volume=volume, opened_volume=Volume(max(copy.opened_volume, volume))))


def _opened(event: ExecutionSeen, deal: Deal | None, *, knows_deals: bool) -> tuple[PositionId, Price | None] | None:
    """The position that an opening order filled into, and at which price.

    An event may come without its deal, or behind a reconcile whose deals are younger than its snapshot: it tells all
    the same what the order has become.
    """
    if deal is not None:
        return None if deal.close is not None else (deal.position, deal.price)
    order, position = event.order, event.position
    is_filled = order is not None and order.status is OrderStatus.FILLED and not order.closing
    if not is_filled or position is None or position.volume <= 0:
        return None
    if event.deal is not None and (not knows_deals or event.deal.close is not None):
        return None
    return position.position, order.execution_price if order is not None else None


def as_held(view: AccountView, copy: Copy) -> Copy:
    """The copy with what its position shows now."""
    held = view.positions.get(copy.position) if copy.position is not None else None
    if held is None:
        return copy if copy.share else replace(copy, volume=Volume(0))
    volume = copy.volume if copy.share else held.volume
    if copy.volume == volume <= copy.opened_volume and (copy.seen_stop, copy.seen_target) == (held.stop, held.target):
        return copy
    return replace(
        copy,
        volume=volume,
        opened_volume=Volume(max(copy.opened_volume, volume)),
        seen_stop=held.stop,
        seen_target=held.target,
    )


def _is_fill_of(copy: Copy, event: ExecutionSeen) -> bool:
    return event.order is not None and copy.order is not None and event.order.order == copy.order


def _awaiting_levels(copy: Copy, event: ExecutionSeen, at_us: int, *, is_first: bool) -> Copy:
    """A copy whose order has just filled: the broker sets the levels it carried in an event of its own.

    It does so after each part that fills, for they count from the average of all.
    """
    carried = [source for source in (event.order, copy.goal.terms) if source is not None]
    is_carrying = any(source.relative_stop is not None or source.relative_target is not None for source in carried)
    if not is_carrying or (is_first and (copy.seen_stop is not None or copy.seen_target is not None)):
        return copy
    return replace(copy, awaits_protection=is_first or copy.awaits_protection, levels_until_us=at_us + PROTECTION_US)


def _is_given_up_with_stop(copy: Copy, intent: Intent) -> bool:
    """Whether an order by which a share gives up what it holds carries a stop, which becomes that of the net."""
    command = intent.command
    return command.kind is CommandKind.ADD and command.side is not copy.side and command.relative_stop is not None


def _awaiting_levels_of_net(view: AccountView, copy: Copy, at_us: int) -> AccountView:
    """All shares of a net of which the broker sets the levels that an order of one of them carried: that one ends."""
    for share in tuple(view.copies.values()):
        if share.share and share.symbol == copy.symbol:
            view = put(view, replace(share, levels_until_us=at_us + PROTECTION_US))
    return view


def _with_theirs(copy: Copy) -> Copy:
    """A copy on which the broker has set what an order carried: where that is not what we applied, ours comes again."""
    ours = copy.applied
    is_same = ours is None or (copy.seen_stop, copy.seen_target) == (ours.stop, ours.target)
    return copy if is_same else replace(copy, applied=None)


def _shares_with_theirs(view: AccountView, copy: Copy, at_us: int) -> AccountView:
    """The shares of a net on which the broker has set what the order of one of them carried."""
    held = view.positions.get(copy.position) if copy.position is not None else None
    shares = [share for share in view.copies.values() if share.share and share.position == copy.position]
    if held is None or not any(at_us <= share.levels_until_us for share in shares):
        return view
    for share in shares:
        ours = share.applied
        if ours is not None and (held.stop, held.target) != (ours.stop, ours.target):
            view = put(view, replace(share, applied=None))
    return view


def _with_filled(view: AccountView, copy: Copy, event: ExecutionSeen) -> Copy:
    """A copy whose resting order has filled to the end: nothing is left to be cancelled, and what its leader has added
    since his own filled is asked for."""
    if event.order is None or event.order.status is not OrderStatus.FILLED or not _is_fill_of(copy, event):
        return copy
    if fills_on(view, event.order):
        return copy
    has_grown = view.rules >= GROWN_WHILE_RESTING and copy.goal.terms is not None and copy.target > copy.goal.whole
    is_all = copy.wait is Wait.CANCEL and not has_grown
    return replace(copy, ended_order=True, wait=None if is_all else copy.wait)


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


def _book_share(
    view: AccountView, copy: Copy, event: ExecutionSeen, intent: Intent | None, deal: Deal | None, at_us: int
) -> AccountView:
    """On a netted account a copy is a part of the net: it grows and shrinks by the deals of its own orders.

    A resting order fills long after the request that placed it was settled: then it is known by its own id.
    """
    kind = intent.command.kind if intent is not None else None
    is_fill = _is_fill_of(copy, event)
    if deal is None and intent is not None and kind is CommandKind.CLOSE and event.deal is None:
        return _by_end(view, copy, intent, event.order)
    if deal is None or (kind is None and not is_fill):
        return view
    if intent is None and view.rules >= REST_COUNTED_ONCE and _is_counted(view, copy, deal, at_us):
        return view
    if (is_fill or kind in (CommandKind.OPEN, CommandKind.PLACE)) and copy.position is None:
        view = attach(view, replace(copy, volume=Volume(0)), deal.position, deal.price, at_us)
        copy = view.copies[copy.key]
    if intent is not None and kind is CommandKind.CLOSE and deal.side is not copy.side:
        view, volume = _closed(view, copy, intent, deal)
    else:
        signed = deal.filled_volume if deal.side is copy.side else -deal.filled_volume
        volume = Volume(max(0, copy.volume + signed))
    is_flat = not any(position.symbol == copy.symbol for position in view.positions.values())
    may_flatten = copy.goal.net_cap > 0 or view.rules < TURNED_UNDER_CLOSE
    if kind is CommandKind.CLOSE and deal.side is copy.side and is_flat and may_flatten:
        return _flattened(view, copy)
    for share in tuple(view.copies.values()):
        is_left_behind = share.share and share.position is not None and share.position not in view.positions
        if is_left_behind and share.symbol == copy.symbol and share.key != copy.key:
            view = put(view, moved(view, share, deal.position))
    if copy.position not in view.positions:
        copy = moved(view, copy, deal.position)
    if view.rules >= TURNED_NETS and deal.position in view.positions and deal.position not in view.by_position:
        view = replace(view, by_position={**view.by_position, deal.position: copy.key})
    return put(view, replace(copy, volume=volume, opened_volume=Volume(max(copy.opened_volume, volume))))


def _closed(view: AccountView, copy: Copy, intent: Intent, deal: Deal) -> tuple[AccountView, Volume]:
    """What is left of a share that a close of its own has taken off the net, booked for those that end with it."""
    own, left = 0, max(0, intent.command.volume - intent.filled)
    for share, volume in closed_by(view, copy, deal.filled_volume, left):
        if share.key == copy.key:
            own = volume
        else:
            view = put(view, replace(share, volume=Volume(share.volume - volume), close_price=deal.price))
    return view, Volume(copy.volume - own)


def _by_end(view: AccountView, copy: Copy, intent: Intent, order: Order | None) -> AccountView:
    """A share whose close is at its end, of which that tells more executed than deals have told: with the rest of an
    order that dies its last part may be told, and by nothing else."""
    is_over = order is not None and order.closing and order.status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
    if order is None or not is_over or view.rules < ENDS_TELL_PARTS:
        return view
    untold = min(order.executed_volume, intent.command.volume) - intent.filled
    for share, volume in closed_by(view, copy, max(0, untold), 0):
        view = put(view, replace(share, volume=Volume(share.volume - volume)))
    return view


def _is_counted(view: AccountView, copy: Copy, deal: Deal, at_us: int) -> bool:
    """Whether a reconcile has booked a deal of a resting order before its event came: histories tell orders, not deals,
    so that the deal itself is new. The net as it stands with it is what its shares add up to without it."""
    if copy.position != deal.position or at_us - view.reconciled_us >= SETTLED_US:
        return False
    return net_held(view, copy.symbol) == net_of_ledger(view, copy.symbol)


def _flattened(view: AccountView, copy: Copy) -> AccountView:
    """The net was closed to flat because a share's end would have raised it above its cap: all its shares are over."""
    for share in tuple(view.copies.values()):
        if share.share and share.symbol == copy.symbol:
            view = put(view, replace(share, volume=Volume(0), ending=share.ending or Reason.MAX_LOTS))
    return view


def attach(view: AccountView, copy: Copy, position: PositionId, price: Price | None, at_us: int) -> AccountView:
    """Join a copy to the position that its order opened; the first fill fixes its shift for life."""
    return put(*_joined(view, copy, position, price, at_us))


def _joined(
    view: AccountView, copy: Copy, position: PositionId, price: Price | None, at_us: int
) -> tuple[AccountView, Copy]:
    held = view.positions.get(position)
    volume = copy.volume if copy.share else (held.volume if held is not None else Volume(0))
    first = copy.open_price if copy.open_price is not None else price
    goal = copy.goal
    if goal.shift is None and goal.leader_price is not None and first is not None:
        goal = replace(goal, shift=Distance(first - goal.leader_price))
    is_part = view.rules >= ADDS_FOLLOW_CLOSES and goal.terms is not None and goal.leader_volume < goal.leader_whole
    if view.rules >= FILLED_WHOLE:
        is_part = goal.terms is not None and 0 < copy.leader_fills < goal.leader_whole
    is_ahead = copy.key[1].startswith("o") and (not copy.leader_filled or is_part)
    copy = replace(
        copy,
        state=copy.state if copy.state is CopyState.CLOSING else CopyState.OPEN,
        position=position,
        volume=volume,
        opened_volume=Volume(max(copy.opened_volume, volume)),
        open_price=first,
        opened_us=copy.opened_us or at_us,
        goal=goal,
        ahead_since_us=at_us if is_ahead else copy.ahead_since_us,
        seen_stop=held.stop if held is not None else None,
        seen_target=held.target if held is not None else None,
    )
    copy = targets.filled(view, copy)
    if not copy.share or position not in view.by_position:
        view = replace(view, by_position={**view.by_position, position: copy.key})
    return view, copy
