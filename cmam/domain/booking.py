"""Joins what the broker reports to the requests and copies it belongs to."""

from __future__ import annotations

from dataclasses import replace

from cmam.domain.commands import CommandKind
from cmam.domain.copies import Copy, CopyState, Intent, IntentState
from cmam.domain.events import (
    ExecutionSeen,
    Reconciled,
)
from cmam.domain.ids import (
    IntentId,
    PositionId,
)
from cmam.domain.quantities import Distance, Price, Volume
from cmam.domain.trades import Deal, Order, OrderStatus
from cmam.domain.view import AccountView, put


def match_intent(view: AccountView, event: ExecutionSeen, is_new_deal: bool, at_us: int) -> AccountView:
    """Note on a request what an execution says of it: accepted, its order, how much is filled."""
    intent = intent_of(view, event)
    if intent is None:
        return view
    filled = intent.filled
    if event.deal is not None and is_new_deal and not event.is_server_event:
        filled = Volume(filled + event.deal.filled_volume)
    if event.order is not None and event.order.client_order_id == intent.intent:
        filled = Volume(max(filled, event.order.executed_volume))
    order = intent.order or (event.order.order if event.order is not None and not event.is_server_event else None)
    seen = replace(intent, state=IntentState.ACCEPTED, moved_us=at_us, filled=filled, order=order)
    return replace(view, intents={**view.intents, intent.intent: seen})


def intent_of(view: AccountView, event: ExecutionSeen) -> Intent | None:
    """The request of ours that an execution event belongs to: by the order's client id, else by the message's."""
    if event.order is not None and event.order.client_order_id:
        intent = view.intents.get(IntentId(event.order.client_order_id))
        if intent is not None:
            return intent
    return view.intents.get(IntentId(event.client_msg_id)) if event.client_msg_id else None


def match_copy(view: AccountView, event: ExecutionSeen, is_new_deal: bool, at_us: int) -> AccountView:
    """Note on a copy what an execution says of its position."""
    intent = intent_of(view, event)
    deal = event.deal if is_new_deal else None
    if intent is not None and intent.command.kind in (CommandKind.OPEN, CommandKind.PLACE):
        view = _open_copy(view, intent, event, deal, at_us)
    position = deal.position if deal is not None else (event.position.position if event.position else None)
    key = view.by_position.get(position) if position is not None else None
    copy = view.copies.get(key) if key is not None else None
    if copy is None or position is None:
        return view
    held = view.positions.get(position)
    if event.order is not None and event.order.closing and event.is_server_event:
        copy = replace(copy, awaits_protection=False)
    if deal is not None and deal.close is not None:
        copy = replace(copy, close_price=deal.price)
    return put(view, replace(copy, volume=held.volume if held else Volume(0)))


def _open_copy(view: AccountView, intent: Intent, event: ExecutionSeen, deal: Deal | None, at_us: int) -> AccountView:
    copy = view.copies.get(intent.key)
    if copy is None:
        return view
    if event.order is not None and intent.command.kind is CommandKind.PLACE and event.order.is_resting:
        return put(view, replace(copy, state=CopyState.RESTING, order=event.order.order))
    if deal is None:
        return view
    return _attach(view, copy, deal.position, deal.price, at_us)


def _attach(view: AccountView, copy: Copy, position: PositionId, price: Price | None, at_us: int) -> AccountView:
    """Join a copy to the position that its order opened; the first fill fixes its shift for life."""
    held = view.positions.get(position)
    volume = held.volume if held is not None else Volume(0)
    first = copy.open_price if copy.open_price is not None else price
    goal = copy.goal
    if goal.shift is None and goal.leader_price is not None and first is not None:
        goal = replace(goal, shift=Distance(first - goal.leader_price))
    copy = replace(
        copy,
        state=copy.state if copy.state is CopyState.CLOSING else CopyState.OPEN,
        position=position,
        volume=volume,
        opened_volume=Volume(max(copy.opened_volume, volume)),
        open_price=first,
        opened_us=copy.opened_us or at_us,
        goal=goal,
    )
    view = replace(view, by_position={**view.by_position, position: copy.key})
    return put(view, copy)


def adopt_unknown(view: AccountView, event: Reconciled, at_us: int) -> AccountView:
    """Join what the broker holds to open requests of ours whose answer never came."""
    orders = {order.client_order_id: order for order in (*event.past_orders, *event.orders) if order.client_order_id}
    for intent in view.intents.values():
        if intent.command.kind not in (CommandKind.OPEN, CommandKind.PLACE):
            continue
        copy = view.copies.get(intent.key)
        if copy is None or copy.position is not None:
            continue
        order = orders.get(intent.intent)
        label = intent.command.label
        held = next((position for position in event.positions if label and position.label == label), None)
        position = order.position if order is not None and order.executed_volume > 0 else None
        if held is not None:
            position = held.position
        if position is not None:
            price = held.price if held is not None else (order.execution_price if order is not None else None)
            view = _attach(view, copy, position, price, at_us)
        elif order is not None and order.is_resting:
            view = put(view, replace(copy, state=CopyState.RESTING, order=order.order))
    return view


def refresh_copies(view: AccountView, deals: tuple[Deal, ...]) -> AccountView:
    """Set every copy to what the broker holds of it."""
    closes = {
        deal.position: deal for deal in sorted(deals, key=lambda deal: deal.executed_ms) if deal.close is not None
    }
    for copy in list(view.copies.values()):
        if copy.position is None:
            continue
        held = view.positions.get(copy.position)
        close = closes.get(copy.position)
        copy = replace(
            copy,
            volume=held.volume if held is not None else Volume(0),
            close_price=close.price if close is not None else copy.close_price,
            awaits_protection=False,
        )
        view = put(view, copy)
    return view


def order_is_final(order: Order) -> bool:
    """Whether nothing more can come of an order."""
    return order.status is not OrderStatus.ACCEPTED
