"""What a flatten has still to end on an account: the copies on record, and what stands there under our labels besides.

Beside its copies an account may hold what is being taken back, what rests of a copy that is over, or what no record
has. On a net a label does not tell whose a position is. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView
from cmam.domain.values.ids import LinkId, StoreId
from cmam.domain.values.naming import read_label
from cmam.domain.values.trades import Order, Position


@dataclass(frozen=True, slots=True)
class Left:
    """A copy, or a position or a resting order that is none; without a link it is nobody's."""

    link: LinkId | None
    copy: Copy | None = None
    position: Position | None = None
    order: Order | None = None


def left(view: AccountView, store: StoreId, *, whole: bool = False) -> tuple[Left, ...]:
    """All that is ours on an account, as last believed; with `whole` also what is nobody's copy."""
    copies = view.copies.values()
    found = [Left(copy.link, copy=copy) for copy in copies]
    attached = {copy.position for copy in copies}
    for position in view.positions.values():
        link = _link_of(view, position.label, store) if not view.is_netted() else None
        if position.position not in attached and (whole or link is not None):
            found.append(Left(link, position=position))
    resting = {copy.order for copy in copies}
    for order in view.orders.values():
        link = _link_of(view, order.label, store)
        if order.order not in resting and (whole or link is not None):
            found.append(Left(link, order=order))
    return tuple(found)


def left_by_link(view: AccountView, store: StoreId) -> Mapping[str, int]:
    """How much of each link is left."""
    return dict(sorted(Counter(str(one.link) for one in left(view, store)).items()))


def _link_of(view: AccountView, label: str, store: StoreId) -> LinkId | None:
    """The link that a label of ours, or of a store that we have taken over, names."""
    mark = read_label(label)
    if mark is None or mark.store not in (store, *view.adopted.get(LinkId(mark.link), ())):
        return None
    return LinkId(mark.link)
