"""Orders that a server has refused and does all the same: folds.

An open that was refused for now is tried again, and both would stand. What is done of the first is the copy, where the
copy has nothing yet and asks for nothing at the moment; else it is one too many, and is taken back at once. So is what
was asked for by an earlier copy of the same source, which may have been of the other side. What is taken back becomes
nobody's copy any more.
"""

from __future__ import annotations

from cmam.domain.belief.copies import Copy, CopyKey, CopyState
from cmam.domain.belief.view import AccountView, put
from cmam.domain.events import Wait
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import SWEEPS, IntentId, LinkId, OrderId, PositionId, SourceKey, base36, from_base36
from cmam.domain.values.naming import read_label
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.opens import REJECTED_AS_REFUSED
from cmam.domain.values.rules.resting import RESTS_OUTLIVE_COPIES
from cmam.domain.values.rules.sight import REFUSED_YET_DONE
from cmam.domain.values.trades import Order, OrderStatus

AT_WORK_US = 10_000_000
"""How long an open that was refused is not tried again while its order is at work all the same."""
SOON_US = 1_000_000
"""What is tried again within this is waited for, whatever is told of the end of its order."""


ALERT = "surplus"
"""The kind of the alert about what is taken back."""


def refused_of(view: AccountView, order: Order | None) -> Copy | None:
    """The copy of which an order was refused that there is all the same, by its name; an ended copy only where nothing
    has come in its place."""
    if order is None or order.closing or not order.client_order_id or view.rules < REFUSED_YET_DONE:
        return None
    name = IntentId(order.client_order_id)
    mark = read_label(name) if name not in view.intents else None
    key = view.key_of((LinkId(mark.link), SourceKey(mark.source))) if mark is not None else None
    if key is None or not was_refused(view, key, name):
        return None
    return view.copies.get(key) or view.finished.get(key)


def was_refused(view: AccountView, key: CopyKey, name: str) -> bool:
    """Whether a request of that name was refused for now, of a copy or of the one before it."""
    found = (copies[key] for copies in (view.copies, view.finished) if key in copies)
    return any(name in copy.refused for copy in found)


def is_surplus(view: AccountView, position: PositionId) -> bool:
    """Whether a position is being taken back."""
    return bool(view.surplus) and position_surplus(position) in view.surplus


def position_surplus(position: PositionId) -> SourceKey:
    """The name under which a position is taken back."""
    return SourceKey(f"x{base36(position)}")


def order_surplus(order: OrderId) -> SourceKey:
    """The name under which an order is taken back."""
    return SourceKey(f"y{base36(order)}")


def is_free(view: AccountView, copy: Copy) -> bool:
    """Whether a copy has nothing yet, and no request of it is under way that would give it anything."""
    is_asked = any(intent.command.kind.adds_risk for intent in view.intents_of(copy.key))
    return copy.position is None and (copy.order is None or copy.ended_order) and not is_asked


def is_its_own(view: AccountView, copy: Copy, order: Order, position: PositionId) -> bool:
    """Whether what has come of a refused order is the copy: it has nothing else, and nothing is taken back."""
    return order.client_order_id in copy.refused and is_free(view, copy) and not is_surplus(view, position)


def revived(copy: Copy) -> Copy:
    """A share that was over and of which something has filled all the same: nothing of it shall be."""
    return replace(
        copy,
        state=CopyState.OPEN,
        goal=replace(copy.goal, target_numerator=0, target_denominator=1, terms=None),
        ending=Reason.CLOSED_BY_LEADER if copy.source_closed else copy.reason,
        reason=None,
        closed_us=0,
        position=None,
        open_price=None,
        opened_us=0,
        refusals=0,
        retry_at_us=0,
        close_refusals=0,
        close_at_us=0,
        trouble="",
        doubt=False,
    )


def found(copy: Copy) -> Copy:
    """A copy that need not be asked for again: what was refused is there."""
    return replace(copy, wait=None, wait_until_us=0, retry_at_us=0)


def at_rest(view: AccountView, copy: Copy, order: Order) -> AccountView:
    """A refused pending order rests all the same."""
    source = order_surplus(order.order)
    if source in view.surplus or order.client_order_id not in copy.refused or not is_free(view, copy):
        return with_surplus(view, copy, source)
    return put(view, replace(found(copy), state=CopyState.RESTING, order=order.order, ended_order=False))


def at_work(view: AccountView, copy: Copy, order: Order, at_us: int) -> AccountView:
    """A refused order is accepted, or has ended: what it comes to is waited for before the next try."""
    if copy.wait is not Wait.RETRY or order.client_order_id not in copy.refused or not is_free(view, copy):
        return view
    is_working = order.status in (OrderStatus.ACCEPTED, OrderStatus.FILLED)
    is_soon = copy.retry_at_us <= at_us + SOON_US and view.rules >= REJECTED_AS_REFUSED
    if is_soon and not is_working:
        return view  # a rejection that is told twice is no reason to hurry
    return put(view, replace(copy, retry_at_us=at_us + AT_WORK_US if is_working else at_us))


def with_surplus(view: AccountView, copy: Copy, source: SourceKey) -> AccountView:
    """The view with something that stands besides a copy."""
    return view if source in view.surplus else replace(view, surplus={**view.surplus, source: copy.link})


def rest_of(view: AccountView, order: Order | None) -> LinkId | None:
    """The link of a copy that is over and whose order rests on, though it is being cancelled; None for any other."""
    if order is None or order.closing or view.is_netted() or view.rules < RESTS_OUTLIVE_COPIES:
        return None
    for intent in view.intents.values():
        if intent.command.kind is CommandKind.CANCEL and intent.command.order == order.order:
            return intent.link if intent.key not in view.copies and intent.source[0] not in SWEEPS else None
    return view.surplus.get(order_surplus(order.order))


def without_gone(view: AccountView) -> AccountView:
    """The view without surplus that has been taken back, and without what was to end in vain and may stay by now."""
    left = {source: link for source, link in view.surplus.items() if is_there(view, source)}
    view = view if len(left) == len(view.surplus) else replace(view, surplus=left)
    vain = {source: known for source, known in view.in_vain.items() if is_to_end(view, source)}
    return view if len(vain) == len(view.in_vain) else replace(view, in_vain=vain)


def is_there(view: AccountView, source: SourceKey) -> bool:
    """Whether the position or the order is known by which what is no copy is named."""
    number = from_base36(source[1:])
    return PositionId(number) in view.positions if source.startswith("x") else OrderId(number) in view.orders


def is_doubted(view: AccountView, source: SourceKey) -> bool:
    """Whether what is no copy may be gone already: a snapshot has left it out."""
    number = from_base36(source[1:])
    return PositionId(number) in view.doubted if source.startswith("x") else OrderId(number) in view.doubted_orders


def is_to_end(view: AccountView, source: SourceKey) -> bool:
    """Whether what is no copy is there, and still has to go."""
    return is_there(view, source) and (view.flatten_account or source in view.surplus)


def in_words(view: AccountView) -> str:
    """What is taken back, for a person; empty where nothing is."""
    if not view.surplus:
        return ""
    kinds = {"x": "position", "y": "order"}
    names = ", ".join(f"{kinds[source[0]]} {from_base36(source[1:])}" for source in sorted(view.surplus))
    if view.rules >= RESTS_OUTLIVE_COPIES:
        return (
            f"Of no copy: {names}. The broker did what it had refused, and the second try too, or a cancel came to "
            "nothing. cmam takes it back."
        )
    return f"The broker did what it had refused, and the second try too: {names} is one too many. cmam takes it back."
