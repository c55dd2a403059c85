"""Whose orders are that a history or a snapshot tells without the name that their sender gave them.

The schema lets a server leave `clientOrderId` out, and nothing says that it comes back as it was sent. Then an order is
known by its number, where an event has told that, or it is the one that has the label and all that an open request
asked for, and is not older. Else it would count as absent, and be sent once more.
"""

from __future__ import annotations

from collections.abc import Iterable

from cmam.domain.belief.copies import Intent
from cmam.domain.belief.view import AccountView
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId
from cmam.domain.values.naming import read_label
from cmam.domain.values.replacing import replace
from cmam.domain.values.trades import Order

NAMED = (CommandKind.OPEN, CommandKind.ADD, CommandKind.PLACE)
"""What is sent with a name: a request for a close has none to give."""

COARSE_MS = 1_000
"""How coarsely a server may count its time."""

CLOCKS_MS = 120_000
"""How far a server's clock may be behind ours where a look-alike is looked for: one too many costs an open that is not
sent again, one too few an open that is there twice."""


def named(view: AccountView, orders: Iterable[Order], offset_ms: int) -> tuple[Order, ...]:
    """The same orders, and those without a name of ours with that of the open request they are of, each request's at
    most one.

    `offset_ms` is how far ahead of ours the server's clock is.
    """
    told = tuple(orders)
    nameless = [order for order in told if not order.closing and not _has_name(order)]
    if not nameless:
        return told
    has_name = {order.client_order_id for order in told}
    asked = [i for i in view.intents.values() if i.command.kind in NAMED and i.intent not in has_name]
    found: dict[OrderId, str] = {}
    for intent in sorted(asked, key=lambda intent: (intent.order is None, intent.recorded_us, intent.seq)):
        mine = [one for one in nameless if one.order not in found and _is_of(intent, one, offset_ms)]
        if mine:
            found[min(mine, key=lambda order: (order.opened_ms, order.order)).order] = intent.intent
    return tuple(
        replace(order, client_order_id=found[order.order]) if order.order in found else order for order in told
    )


def is_like_another(view: AccountView, intent: Intent) -> bool:
    """Whether a position or a resting order stands there that is nobody's by its label, no copy's by its number, came
    no earlier than a request and is all that was asked for by it: its own, if its broker keeps no names."""
    command, since_ms = intent.command, intent.recorded_us // 1_000 - CLOCKS_MS
    copies = view.copies.values()
    if command.kind is CommandKind.OPEN:
        asked = (command.symbol, command.side, command.volume)
        return any(
            (held.symbol, held.side, held.volume) == asked
            and (held.opened_ms or held.updated_ms or since_ms) >= since_ms
            and read_label(held.label) is None
            and not any(copy.position == held.position for copy in copies)
            for held in view.positions.values()
        )
    return command.kind is CommandKind.PLACE and any(
        _terms(order) == (command.symbol, command.side, command.order_type, command.volume)
        and (order.opened_ms or order.updated_ms or since_ms) >= since_ms
        and read_label(order.label) is None
        and not any(copy.order == order.order for copy in copies)
        for order in view.orders.values()
    )


def _has_name(order: Order) -> bool:
    """Whether an order has a name as we give them: beside a label of ours it is that label and more."""
    if read_label(order.client_order_id) is None:
        return False
    return read_label(order.label) is None or order.client_order_id.startswith(f"{order.label}.")


def _is_of(intent: Intent, order: Order, offset_ms: int) -> bool:
    if intent.order is not None:
        return order.order == intent.order
    command, at_ms = intent.command, order.opened_ms or order.updated_ms
    is_after = at_ms > intent.after_ms or (at_ms == intent.after_ms and at_ms % COARSE_MS == 0)
    is_late = is_after and at_ms >= intent.recorded_us // 1_000 + offset_ms - COARSE_MS
    is_labelled = read_label(order.label) is not None and order.label == command.label
    return (
        is_labelled and is_late and _terms(order) == (command.symbol, command.side, command.order_type, command.volume)
    )


def _terms(order: Order) -> tuple[object, ...]:
    return order.symbol, order.side, order.type, order.volume
