"""What a snapshot makes of requests and copies: joined to what came of them unseen, set to what the broker holds."""

from __future__ import annotations

from collections.abc import Mapping

from cmam.domain.belief import refused
from cmam.domain.belief.asked import with_intent
from cmam.domain.belief.copies import Copy, CopyState, Intent
from cmam.domain.belief.proofs import short_close, tells_past
from cmam.domain.belief.shares import closed_by, rejoined
from cmam.domain.belief.view import AccountView, put
from cmam.domain.events import Reconciled
from cmam.domain.folds.intents import gone_codes
from cmam.domain.folds.joining import as_held, attach
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import Volume
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.closes import CALLED_GONE_WAITS
from cmam.domain.values.rules.nets import RESTS_FILL_UNSEEN, SHARES_ARE_PRICED
from cmam.domain.values.rules.sight import OPENS_ARE_AHEAD
from cmam.domain.values.trades import Deal, Order, OrderStatus, Position, PositionStatus

_OF_ORDER = (CommandKind.CANCEL.value, CommandKind.AMEND_ORDER.value)


def adopt_unknown(view: AccountView, event: Reconciled, known: Mapping[OrderId, Order], at_us: int) -> AccountView:
    """Join what the broker holds to open requests and resting orders of ours of which we missed what came of them.
    `known` are the orders that were known to rest before."""
    by_client = {order.client_order_id: order for order in (*event.past_orders, *event.orders) if order.client_order_id}
    by_id = {order.order: order for order in (*event.past_orders, *event.orders)}
    for there in by_id.values():
        copy = refused.refused_of(view, there)
        if copy is not None and copy.key in view.copies and not copy.share:
            view = _adopt_refused(view, copy, there, at_us)
    view = _adopt_requested(view, event, by_client, at_us)
    for copy in tuple(view.copies.values()):
        order = by_id.get(copy.order) if copy.order is not None else None
        if copy.order is not None and copy.position is None:
            view = _adopt(view, copy, order, event, at_us)
        elif order is not None and copy.share and event.quiet and view.rules >= RESTS_FILL_UNSEEN:
            view = _adopt_rest(view, copy, order, known.get(order.order))
        view = _with_end_of_order(view, view.copies[copy.key], order, event)
    return view


def _adopt_requested(view: AccountView, event: Reconciled, by_client: Mapping[str, Order], at_us: int) -> AccountView:
    """Join open requests to what has come of them, by the orders that carry their ids."""
    for intent in view.intents.values():
        copy = view.copies.get(intent.key)
        if intent.command.kind in (CommandKind.OPEN, CommandKind.PLACE) and copy is not None and copy.position is None:
            order = by_client.get(intent.intent)
            if _is_look_behind(view, copy, intent, order, event, at_us):
                continue
            view = _adopt(view, copy, order, event, at_us)
            if order is not None and copy.share and view.rules >= RESTS_FILL_UNSEEN:
                view = _with_filled_up(view, intent, order)
        elif copy is not None and copy.share and _is_of_share(view, intent):
            view = _adopt_add(view, copy, intent, by_client.get(intent.intent))
        elif (short := short_close(view, intent, event)) is not None:
            view = _adopt_short_close(view, intent, short)
    return view


def _with_end_of_order(view: AccountView, copy: Copy, order: Order | None, event: Reconciled) -> AccountView:
    """An order that rests no more has ended where a history or the copy's position tells so; else it is doubted."""
    if copy.order is None or copy.order in view.orders or copy.ended_order:
        return view
    is_known = order is not None and order.status is not OrderStatus.ACCEPTED
    if is_known or tells_past(event, view.rules) or copy.position is not None:
        return put(view, replace(copy, ended_order=True))
    return put(view, replace(copy, doubt=True))


def _is_look_behind(
    view: AccountView, copy: Copy, intent: Intent, order: Order | None, event: Reconciled, at_us: int
) -> bool:
    """Whether an open has filled by a history that is younger than the snapshot before it, which does not show what it
    opened yet: that is not gone. It is where something tells that it was closed, or where a later look proves it.
    A net that is not there may be one that came and went: of a share it counts where the snapshot shows it unfilled."""
    if order is None or order.executed_volume <= 0 or view.rules < OPENS_ARE_AHEAD:
        return False
    if intent.command.kind is not CommandKind.OPEN or order.position in view.positions:
        return False
    if copy.share and not any(
        _is_unfilled(position) for position in event.positions if order.position == position.position
    ):
        return False
    is_proof = tells_past(event, view.rules) and at_us - intent.moved_us >= event.settle_us
    is_told = any(deal.position == order.position and deal.close is not None for deal in event.deals)
    return not (is_proof or is_told or order.position in view.closed)


def _is_unfilled(position: Position) -> bool:
    return position.status is PositionStatus.CREATED and position.volume == 0


def _adopt_refused(view: AccountView, copy: Copy, order: Order, at_us: int) -> AccountView:
    """What was refused and done all the same while nobody looked, by its order: as where its execution is told."""
    if order.is_resting:
        return view if copy.order == order.order else refused.at_rest(view, copy, order)
    position = order.position
    if position is None or order.executed_volume <= 0 or position in view.by_position or position not in view.positions:
        return view
    if refused.is_its_own(view, copy, order, position):
        return attach(view, refused.found(copy), position, order.execution_price or None, at_us)
    return refused.with_surplus(view, copy, refused.position_surplus(position))


def _is_of_share(view: AccountView, intent: Intent) -> bool:
    """Whether a request of a share that has a position already is told by its order."""
    kind = intent.command.kind
    return kind is CommandKind.ADD or (kind is CommandKind.OPEN and view.rules >= RESTS_FILL_UNSEEN)


def _with_filled_up(view: AccountView, intent: Intent, order: Order) -> AccountView:
    filled = Volume(max(intent.filled, order.executed_volume))
    return replace(view, intents=with_intent(view.intents, replace(intent, filled=filled)))


def _adopt_rest(view: AccountView, copy: Copy, order: Order, known: Order | None) -> AccountView:
    """Book to a share what its resting order has filled on unseen."""
    untold = order.executed_volume - known.executed_volume if known is not None else 0
    if untold <= 0 or order.side is not copy.side:
        return view
    return put(view, replace(copy, volume=Volume(copy.volume + untold)))


def _adopt_add(view: AccountView, copy: Copy, intent: Intent, order: Order | None) -> AccountView:
    """Book to a share what its order has filled unseen: nothing but the order tells whose part of the net that is."""
    untold = order.executed_volume - intent.filled if order is not None else 0
    if order is None or untold <= 0:
        return view
    signed = untold if intent.command.side is copy.side else -untold
    view = put(view, replace(copy, volume=Volume(max(0, copy.volume + signed))))
    return _with_filled_up(view, intent, order)


def _adopt_short_close(view: AccountView, intent: Intent, order: Order) -> AccountView:
    """Book to a share what its close has closed unseen, where that was less than was asked for."""
    untold = max(0, order.executed_volume - intent.filled)
    for share, volume in closed_by(view, view.copies[intent.key], untold, 0):
        view = put(view, replace(share, volume=Volume(share.volume - volume)))
    known = replace(intent, order=order.order, filled=Volume(intent.filled + untold))
    return replace(view, intents=with_intent(view.intents, known))


def _is_of(copy: Copy, label: str) -> bool:
    mark = read_label(label)
    return mark is not None and (mark.link, mark.source) == copy.key


def _adopt(view: AccountView, copy: Copy, order: Order | None, event: Reconciled, at_us: int) -> AccountView:
    """Join a copy to what its order opened: by the order where it is known, else by the label of the position."""
    held = next(
        (
            position
            for position in event.positions
            if position.volume > 0 and _is_of(copy, position.label) and not refused.is_surplus(view, position.position)
        ),
        None,
    )
    if copy.share:
        held = None
    position = order.position if order is not None and order.executed_volume > 0 else None
    if held is not None:
        position = held.position
    if position is not None:
        price = order.execution_price if order is not None and order.execution_price else None
        if price is None and held is not None:
            price = held.price
        if copy.share and order is not None:
            copy = replace(copy, volume=order.executed_volume)
        if order is not None and order.type.is_pending:
            copy = replace(copy, order=order.order, ended_order=not order.is_resting)
        return attach(view, copy, position, price, at_us)
    if order is not None and order.is_resting:
        return put(view, replace(copy, state=CopyState.RESTING, order=order.order))
    if order is not None and order.type.is_pending and order.status is not OrderStatus.ACCEPTED:
        return put(view, replace(copy, order=order.order, ended_order=True))
    return view


def refresh_copies(view: AccountView, deals: tuple[Deal, ...]) -> AccountView:
    """Set every copy to what the broker holds of it, and let each ask at once for what it still needs."""
    closes = {
        deal.position: deal for deal in sorted(deals, key=lambda deal: deal.executed_ms) if deal.close is not None
    }
    for copy in list(view.copies.values()):
        close = closes.get(copy.position) if copy.position is not None else None
        if close is not None and close.side is copy.side and copy.share and view.rules >= SHARES_ARE_PRICED:
            close = None  # of the shares on its other side
        is_close, is_gone = copy.is_close_refused, _is_called_gone(view, copy)
        copy = replace(
            as_held(view, copy),
            close_price=close.price if close is not None else copy.close_price,
            awaits_protection=False,
            doubt=False if copy.order is None or copy.ended_order or copy.order in view.orders else copy.doubt,
            retry_at_us=copy.retry_at_us if copy.wait is not None or (is_gone and not is_close) else 0,
            close_at_us=copy.close_at_us if is_gone and is_close else 0,
            refused_part=Volume(0),
        )
        view = put(view, copy)
    for symbol in sorted({copy.symbol for copy in view.copies.values() if copy.share}):
        view = rejoined(view, symbol)
    return view


def _is_called_gone(view: AccountView, copy: Copy) -> bool:
    """Whether a request was refused as of something that is gone, which is shown all the same."""
    kind, _, code = copy.trouble.partition(": ")
    is_shown = copy.order in view.orders if kind in _OF_ORDER else copy.position in view.positions
    return code in gone_codes(view.rules) and is_shown and view.rules >= CALLED_GONE_WAITS
