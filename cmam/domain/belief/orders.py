"""Pending orders as the broker's events tell them: what rests, and what has ended, whatever is told late of it."""

from __future__ import annotations

from cmam.domain.belief.view import AccountView
from cmam.domain.values.replacing import copied, replace, without
from cmam.domain.values.rules.resting import RESTS_TOLD_FILLED
from cmam.domain.values.rules.sight import ACCEPTED_ONCE, ENDS_STAY
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus

ENDED_REMEMBERED = 256
"""How many pending orders that have ended are remembered against late words of them."""


def fills_on(view: AccountView, order: Order) -> bool:
    """Whether an order that rests has filled in part and is told as filled: it has ended where all of its volume has
    executed (wire.md#fills-in-parts)."""
    if order.status is not OrderStatus.FILLED or order.order not in view.orders or order.closing:
        return False
    return 0 < order.executed_volume < order.volume and order.type.is_pending and view.rules >= RESTS_TOLD_FILLED


def take_order(view: AccountView, order: Order, kind: ExecutionKind) -> AccountView:
    """Keep an order that rests; forget one that has ended."""
    if kind is ExecutionKind.ORDER_CANCEL_REJECTED:
        return view
    known = view.orders.get(order.order)
    if known is not None and order.updated_ms and order.updated_ms < known.updated_ms:
        return view
    is_first_word = kind is ExecutionKind.ORDER_ACCEPTED  # amended it is told as replaced (wire.md#amended-orders)
    if known is not None and is_first_word and order.updated_ms <= known.updated_ms and view.rules >= ACCEPTED_ONCE:
        return view
    if known is not None and fills_on(view, order):
        return replace(view, orders={**view.orders, order.order: replace(order, status=OrderStatus.ACCEPTED)})
    if order.is_resting:
        if view.rules >= ENDS_STAY and order.updated_ms <= view.ended.get(order.order, -1):
            return view
        return replace(view, orders={**view.orders, order.order: order})
    view = _note_end(view, order) if order.type.is_pending else view
    if known is None:
        return view
    return replace(view, orders=without(view.orders, order.order))


def _note_end(view: AccountView, order: Order) -> AccountView:
    ended = copied(view.ended)
    ended[order.order] = max(order.updated_ms, ended.get(order.order, 0))
    while len(ended) > ENDED_REMEMBERED:
        ended.pop(next(iter(ended)))
    return replace(view, ended=ended)
