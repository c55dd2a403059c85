"""What the orders of a later life have made of the shares of a net, where the log was restored from a backup.

A net shows one volume for all of its shares, so a look at it tells no share's. The history of the gap tells the orders
of ours that this log never gave, each by the name of its share: what they have bought and sold is booked before what
the net lacks then is divided among all. Only what was closed off the net itself bears no name. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from cmam.domain.belief.restored import is_anothers
from cmam.domain.belief.view import AccountView
from cmam.domain.events import CopyTouched, Reconciled
from cmam.domain.values.ids import LinkId, SourceKey, StoreId
from cmam.domain.values.naming import read_label
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.nets import ANOTHER_LIFES_ORDERS


def booked(before: AccountView, view: AccountView, fact: Reconciled, store: StoreId) -> Iterator[CopyTouched]:
    """What each share of an account has become by orders that the restored log does not know; `before` is the account
    before its first look after the restore, `view` as it is then."""
    if not before.restored_us or view.rules < ANOTHER_LIFES_ORDERS or not view.is_netted():
        return
    moved: dict[tuple[LinkId, SourceKey], int] = {}
    for order in {order.order: order for order in (*fact.past_orders, *fact.orders)}.values():
        mark = read_label(order.client_order_id)
        if mark is None or mark.store != store or not order.executed_volume:
            continue
        copy = view.copies.get(view.key_of((LinkId(mark.link), SourceKey(mark.source))))
        if copy is not None and copy.share and is_anothers(copy, order.client_order_id):
            moved[copy.key] = moved.get(copy.key, 0) + order.executed_volume * order.side.sign * copy.side.sign
    for key, volume in moved.items():
        copy = view.copies[key]
        after = max(0, copy.volume + volume)
        if copy.position is not None and after != copy.volume:
            link, source = key
            was = int(copy.volume)
            yield CopyTouched(link=link, source=source, what="volume", before=was, after=after, reason=Reason.LOG_LOST)
