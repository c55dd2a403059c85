"""Orders that a server has refused and does all the same: folds.

An open that was refused for now is tried again, and both would stand. What is done of the first is the copy, where the
copy has nothing yet and asks for nothing at the moment; else it is one too many, and is taken back at once.
"""

from __future__ import annotations

from cmam.domain.copies import Copy, CopyState
from cmam.domain.events import ExecutionSeen, Wait
from cmam.domain.ids import IntentId, LinkId, OrderId, PositionId, SourceKey, base36, from_base36
from cmam.domain.naming import read_label
from cmam.domain.replacing import replace
from cmam.domain.rules import REFUSED_YET_DONE
from cmam.domain.trades import Order, OrderStatus
from cmam.domain.view import AccountView, put

AT_WORK_US = 10_000_000
"""How long an open that was refused is not tried again while its order is at work all the same."""


ALERT = "surplus"
"""The kind of the alert about what is taken back."""


def refused_of(view: AccountView, event: ExecutionSeen) -> Copy | None:
    """The copy of which an order was refused that an execution tells of, by the order's name."""
    order = event.order
    if order is None or order.closing or not order.client_order_id or view.rules < REFUSED_YET_DONE:
        return None
    name = IntentId(order.client_order_id)
    mark = read_label(name) if name not in view.intents else None
    copy = view.copies.get(view.key_of((LinkId(mark.link), SourceKey(mark.source)))) if mark is not None else None
    return copy if copy is not None and name in copy.refused else None


def is_free(view: AccountView, copy: Copy) -> bool:
    """Whether a copy has nothing yet, and no request of it is under way that would give it anything."""
    is_asked = any(intent.command.kind.adds_risk for intent in view.intents_of(copy.key))
    return copy.position is None and (copy.order is None or copy.ended_order) and not is_asked


def found(copy: Copy) -> Copy:
    """A copy that need not be asked for again: what was refused is there."""
    return replace(copy, wait=None, wait_until_us=0, retry_at_us=0)


def at_rest(view: AccountView, copy: Copy, order: Order) -> AccountView:
    """A refused pending order rests all the same."""
    if not is_free(view, copy):
        return with_surplus(view, copy, SourceKey(f"y{base36(order.order)}"))
    return put(view, replace(found(copy), state=CopyState.RESTING, order=order.order, ended_order=False))


def at_work(view: AccountView, copy: Copy, order: Order, at_us: int) -> AccountView:
    """A refused order is accepted, or has ended: what it comes to is waited for before the next try."""
    if copy.wait is not Wait.RETRY or not is_free(view, copy):
        return view
    is_working = order.status in (OrderStatus.ACCEPTED, OrderStatus.FILLED)
    return put(view, replace(copy, retry_at_us=at_us + AT_WORK_US if is_working else at_us))


def with_surplus(view: AccountView, copy: Copy, source: SourceKey) -> AccountView:
    """The view with something that stands besides a copy."""
    return view if source in view.surplus else replace(view, surplus={**view.surplus, source: copy.link})


def without_gone(view: AccountView) -> AccountView:
    """The view without surplus that has been taken back."""
    left = {source: link for source, link in view.surplus.items() if _is_there(view, source)}
    return view if len(left) == len(view.surplus) else replace(view, surplus=left)


def _is_there(view: AccountView, source: SourceKey) -> bool:
    number = from_base36(source[1:])
    return PositionId(number) in view.positions if source.startswith("x") else OrderId(number) in view.orders


def in_words(view: AccountView) -> str:
    """What is taken back, for a person; empty where nothing is."""
    if not view.surplus:
        return ""
    kinds = {"x": "position", "y": "order"}
    names = ", ".join(f"{kinds[source[0]]} {from_base36(source[1:])}" for source in sorted(view.surplus))
    return f"The broker has done what it had refused, and the next try too: {names} is one too many, and is taken back."
