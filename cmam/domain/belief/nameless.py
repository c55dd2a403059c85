"""Whose orders are that are told without the name that their sender gave them, or with a part of it.

The schema lets a server leave `clientOrderId` out, and nothing says that it comes back as it was sent. Then an order is
known by its number, where an event has told that, or it is the one that has the label and all that an open request
asked for, and is not older; of the first request of its label none is. Else it would count as absent, and be sent once
more; and what fills on a net would be somebody's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from cmam.domain.belief.copies import Copy, Intent, IntentState
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId, SourceKey
from cmam.domain.values.naming import read_label
from cmam.domain.values.replacing import replace
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus

NAMED = (CommandKind.OPEN, CommandKind.ADD, CommandKind.PLACE)
"""What is sent with a name: a request for a close has none to give."""

ALIKE = "alike "
"""What the kinds of alerts begin with about what stands there and may be what a request has opened."""

NO_NAMES: Mapping[OrderId, str] = MappingProxyType({})
"""Where no order has been told with its name."""

COARSE_MS = 1_000
"""How coarsely a server may count its time."""

CLOCKS_MS = 120_000
"""How far a server's clock may be behind ours where a look-alike is looked for: one too many costs an open that is not
sent again, one too few an open that is there twice."""


def named(
    view: AccountView, orders: Iterable[Order], offset_ms: int, names: Mapping[OrderId, str] = NO_NAMES
) -> tuple[Order, ...]:
    """The same orders, and those without a name of ours with that of the open request they are of, each request's at
    most one; `names` are those under which orders have been told before.

    `offset_ms` is how far ahead of ours the server's clock is.
    """
    return _named(view.intents.values(), tuple(orders), offset_ms, names)


def _named(
    intents: Iterable[Intent],
    told: tuple[Order, ...],
    offset_ms: int,
    names: Mapping[OrderId, str],
    *,
    is_news: bool = False,
) -> tuple[Order, ...]:
    if names:
        told = tuple(_known(order, names) for order in told)
    nameless = [order for order in told if not order.closing and not _has_name(order)]
    if not nameless:
        return told
    has_name = {order.client_order_id for order in told}
    asked = [i for i in intents if i.command.kind in NAMED and i.intent not in has_name]
    found: dict[OrderId, str] = {}
    for intent in sorted(asked, key=lambda intent: (intent.order is None, intent.recorded_us, intent.seq)):
        mine = [one for one in nameless if one.order not in found and _is_of(intent, one, offset_ms, is_news=is_news)]
        if mine:
            found[min(mine, key=lambda order: (order.opened_ms, order.order)).order] = intent.intent
    return tuple(
        replace(order, client_order_id=found[order.order]) if order.order in found else order for order in told
    )


def _known(order: Order, names: Mapping[OrderId, str]) -> Order:
    """An order with the name under which it has been told before."""
    name = names.get(order.order, "")
    return replace(order, client_order_id=name) if name and not order.closing and not _has_name(order) else order


def lacks_name(view: AccountView, fact: ExecutionSeen) -> bool:
    """Whether an execution may be of a request that is under way, and nothing in it says of which.

    One whose deal is known is told again, and that an order was accepted that has filled is told late: these are of a
    request before, which may have asked for as much.
    """
    order = fact.order
    if order is None or fact.client_msg_id or not view.intents or order.client_order_id in view.intents:
        return False
    is_told_again = fact.deal is not None and fact.deal.deal in view.deals
    is_late = fact.kind is ExecutionKind.ORDER_ACCEPTED and order.executed_volume > 0
    return not (order.closing or is_told_again or is_late or _has_name(order))


def told_by_name(
    view: AccountView, fact: ExecutionSeen, offset_ms: int, names: Mapping[OrderId, str] = NO_NAMES
) -> ExecutionSeen:
    """The same execution, its order with the name of the open request that it is of, if any, or of the one before under
    whose name it has been told (`names`).

    What has not left has no order yet. A deal that nobody has told before is news, also in the millisecond that its
    position was told last.
    """
    told = fact.order
    if told is None:
        return fact
    asked = [intent for intent in view.intents.values() if intent.state is not IntentState.RECORDED]
    (order,) = _named(asked, (told,), offset_ms, names, is_news=fact.deal is not None)
    return fact if order is told else replace(fact, order=order)


def like_another(view: AccountView, intent: Intent) -> str:
    """Which position or resting order stands there that is nobody's by its label, no copy's by its number, came no
    earlier than a request and is all that was asked for by it: its own, if its broker keeps no names. "" if none."""
    command, since_ms = intent.command, intent.recorded_us // 1_000 - CLOCKS_MS
    copies = view.copies.values()
    if command.kind is CommandKind.OPEN:
        asked = (command.symbol, command.side, command.volume)
        for held in view.positions.values():
            if (
                (held.symbol, held.side, held.volume) == asked
                and (held.opened_ms or held.updated_ms or since_ms) >= since_ms
                and read_label(held.label) is None
                and not any(copy.position == held.position for copy in copies)
            ):
                return f"position {held.position}"
    if command.kind is CommandKind.PLACE:
        for order in view.orders.values():
            if (
                _terms(order) == (command.symbol, command.side, command.order_type, command.volume)
                and (order.opened_ms or order.updated_ms or since_ms) >= since_ms
                and read_label(order.label) is None
                and not any(copy.order == order.order for copy in copies)
            ):
                return f"order {order.order}"
    return ""


def has_grown(view: AccountView, copy: Copy | None, intent: Intent) -> bool:
    """Whether the position of a copy of its own holds all that an add has asked for on top of what it held before, and
    nothing else of ours may have made it grow: then its order is not absent, whatever it is told under."""
    command = intent.command
    held = view.positions.get(command.position) if command.position is not None else None
    return (
        copy is not None
        and not copy.share
        and held is not None
        and held.side is command.side
        and held.volume >= intent.volume_before + command.volume
        and not any(
            other.command.position == command.position and other.command.kind is CommandKind.ADD
            for other in view.intents.values()
            if other.intent != intent.intent
        )
    )


def alike_in_words(name: str, source: SourceKey) -> str:
    """What to tell a person of it, and what he can do."""
    return (
        f"{name[0].upper()}{name[1:]} is just what cmam has asked for as the copy of {source}, and does not carry its "
        "label, so that cmam cannot know it for its own: it opens no other, and lets this one alone, also when the "
        "leader closes. Whoever has not opened it himself has to close or cancel it himself."
    )


def is_alike_gone(view: AccountView, alert: str) -> bool:
    """Whether what an alert of that kind speaks of is no longer there."""
    kind, _, number = alert.removeprefix(ALIKE).partition(" ")
    known: Collection[int] = view.positions if kind == "position" else view.orders
    return not number.isdigit() or int(number) not in known


def _has_name(order: Order) -> bool:
    """Whether an order has a name as we give them: beside a label of ours it is that label and more."""
    if read_label(order.client_order_id) is None:
        return False
    return read_label(order.label) is None or order.client_order_id.startswith(f"{order.label}.")


def _is_of(intent: Intent, order: Order, offset_ms: int, *, is_news: bool) -> bool:
    if intent.order is not None:
        return order.order == intent.order
    command, at_ms = intent.command, order.opened_ms or order.updated_ms
    has_filled = order.status is not OrderStatus.ACCEPTED or order.executed_volume > 0
    may_be_new = is_news or at_ms % COARSE_MS == 0 or not has_filled
    is_after = at_ms > intent.after_ms or (may_be_new and at_ms == intent.after_ms)
    is_late = is_after and at_ms >= intent.recorded_us // 1_000 + offset_ms - COARSE_MS
    is_late = is_late or (_is_first(intent) and (intent.attempt == 1 or order.executed_volume > 0))
    is_labelled = read_label(order.label) is not None and order.label == command.label
    return (
        is_labelled and is_late and _terms(order) == (command.symbol, command.side, command.order_type, command.volume)
    )


def _is_first(intent: Intent) -> bool:
    """Whether nothing of ours had its label before: then no order under that label is older than it, whatever the
    clocks say. How far they are apart is not known of a server whose quotes carry no time.

    Tried again, it may be older if it came to nothing.
    """
    return intent.seq == 1 and intent.command.kind in (CommandKind.OPEN, CommandKind.PLACE)


def _terms(order: Order) -> tuple[object, ...]:
    return order.symbol, order.side, order.type, order.volume
