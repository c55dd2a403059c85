"""What happened to a recorded copy by itself or by somebody's hand, as it would have happened to the one that is apart.

A level is reached here only if the copy here has the same one; a close by hand, a stop-out or a swap touches the same
share of it. What our own requests led to in the record is not looked at: those here are answered by the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from cmam.domain.belief.copies import CopyKey
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, ExecutionSeen, TrailingStopMoved
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import Volume, floor_fraction
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus, OrderType, Position
from cmam.store.what_if.book import Book

ENDED = (ExecutionKind.ORDER_CANCELLED, ExecutionKind.ORDER_EXPIRED)


def outside(book: Book, before: AccountView, fact: Event, key: CopyKey | None, at_us: int) -> Iterator[Event]:
    """The facts that stand here for a recorded one about a copy that is apart."""
    copy = book.view.copies.get(key) if key is not None else None
    if copy is None:
        return
    held = book.view.positions.get(copy.position) if copy.position is not None else None
    order = book.view.orders.get(copy.order) if copy.order is not None else None
    if isinstance(fact, TrailingStopMoved) and held is not None and held.trailing:
        yield replace(fact, position=held.position)
    if not isinstance(fact, ExecutionSeen):
        return
    if fact.order is not None and fact.order.type.is_pending and order is not None:
        yield from _of_order(book, fact, fact.order, order, at_us)
    elif held is not None and not _is_ours(fact):
        yield from _of_position(book, before, fact, held, at_us)


def _is_ours(fact: ExecutionSeen) -> bool:
    """Whether a request of ours led to it, by the name that it carries."""
    names = (fact.client_msg_id, fact.order.client_order_id if fact.order is not None else "")
    return any(read_label(name.rpartition(".")[0]) is not None for name in names if name)


def _of_order(book: Book, fact: ExecutionSeen, then: Order, order: Order, at_us: int) -> Iterator[Event]:
    is_same = (then.limit_price, then.stop_price) == (order.limit_price, order.stop_price)
    if fact.deal is not None and fact.deal.is_execution and fact.deal.price is not None:
        if is_same:
            yield from book.model.order_filled(book.view, order, fact.deal.price, at_us)
    elif fact.kind in ENDED and not _is_ours(replace(fact, order=None)):
        status = OrderStatus.EXPIRED if fact.kind is ExecutionKind.ORDER_EXPIRED else OrderStatus.CANCELLED
        yield book.model.order_ended(replace(order, status=status, updated_ms=at_us // 1_000), fact.kind)


def _of_position(book: Book, before: AccountView, fact: ExecutionSeen, held: Position, at_us: int) -> Iterator[Event]:
    deal, seen = fact.deal, fact.position
    traded = deal if deal is not None else seen
    known = before.positions.get(traded.position) if traded is not None else None
    if known is None or known.volume <= 0:
        return
    if deal is not None and deal.close is not None and deal.price is not None:
        kind = fact.order.type if fact.order is not None else OrderType.MARKET
        is_stop_out = fact.order is not None and fact.order.stop_out
        if kind is OrderType.PROTECTION and not is_stop_out and not _is_same_level(known, held, deal.price):
            return
        part = Fraction(held.volume * deal.close.closed_volume, known.volume)
        spec = book.view.specs.get(held.symbol)
        volume = spec.floor_volume(floor_fraction(part)) if spec is not None else Volume(floor_fraction(part))
        volume = held.volume if deal.close.closed_volume >= known.volume else volume
        if volume > 0:
            yield book.model.closed(
                book.view, held, volume, deal.price, None, at_us, kind=kind, stop_out=is_stop_out, told=deal
            )
    elif fact.kind is ExecutionKind.SWAP and seen is not None:
        swap = round(Fraction(seen.swap * held.volume, known.volume))
        yield replace(fact, position=replace(held, swap=swap, updated_ms=max(held.updated_ms, seen.updated_ms)))
    elif deal is None and seen is not None and (seen.stop, seen.target) != (known.stop, known.target):
        yield book.model.protected(
            replace(held, stop=seen.stop, target=seen.target, updated_ms=max(held.updated_ms, at_us // 1_000))
        )


def _is_same_level(known: Position, held: Position, price: int) -> bool:
    """Whether the level that was reached then stands here too."""
    levels = [(abs(level - price), name) for name in ("stop", "target") if (level := getattr(known, name)) is not None]
    if not levels:
        return False
    name = min(levels)[1]
    return bool(getattr(known, name) == getattr(held, name))
