"""What of two sides of an account is compared, and what a market does to the side that is modelled."""

from __future__ import annotations

from dataclasses import replace

from cmam.domain.belief.copies import CopyKey
from cmam.domain.events import ChangeDecided, Event, IntentRecorded
from cmam.domain.profiles.policy import Policy
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus
from cmam.store.what_if.book import Book

GUARDS = ("min_equity", "take_equity", "daily_", "trailing_drawdown", "total_loss", "guard_", "max_rej", "rejection_")


def key_of(event: Event) -> CopyKey | None:
    """The copy that a derived event is about."""
    if isinstance(event, ChangeDecided):
        return (event.link, event.change.source)
    link, source = getattr(event, "link", None), getattr(event, "source", None)
    return (link, source) if link is not None and source is not None else None


def guards_of(policy: Policy) -> tuple[object, ...]:
    """All that a policy says of guards."""
    return tuple(getattr(policy, name) for name in policy.__dataclass_fields__ if name.startswith(GUARDS))


def differs(book: Book, key: CopyKey, recorded: tuple[Event, ...], other: tuple[Event, ...]) -> bool:
    """Whether a copy, or what it asks for, is not what it was."""
    real, view = book.real, book.view
    if real.copies.get(key) != view.copies.get(key) or real.finished.get(key) != view.finished.get(key):
        return True
    return _asked_for(recorded, key) != _asked_for(other, key)


def _asked_for(events: tuple[Event, ...], key: CopyKey) -> list[Event]:
    return [event for event in events if isinstance(event, IntentRecorded) and (event.link, event.source) == key]


def _is_priced_alike(order: Order, resting: Order | None) -> bool:
    """Whether the recorded order rests at the same price: then the record says when that was reached."""
    return resting is not None and (order.limit_price, order.stop_price) == (resting.limit_price, resting.stop_price)


def reached(book: Book, at_us: int) -> list[Event]:
    """The levels and resting orders of what is apart that the market has reached, or whose time is over."""
    found: list[Event] = []
    for key, copy in book.view.copies.items():
        if key not in book.apart:
            continue
        held = book.view.positions.get(copy.position) if copy.position is not None else None
        order = book.view.orders.get(copy.order) if copy.order is not None else None
        then = book.real.copies.get(key)
        known = book.real.positions.get(then.position) if then is not None and then.position is not None else None
        resting = book.real.orders.get(then.order) if then is not None and then.order is not None else None
        level = book.model.reached(book.view, held, known) if held is not None else None
        if held is not None and level is not None:
            found.append(book.model.level_hit(book.view, held, level, at_us))
        elif order is not None and order.expires_ms and at_us // 1_000 >= order.expires_ms:
            ended = replace(order, status=OrderStatus.EXPIRED, updated_ms=at_us // 1_000)
            found.append(book.model.order_ended(ended, ExecutionKind.ORDER_EXPIRED))
        elif order is not None and not _is_priced_alike(order, resting):
            price = book.model.triggered(book.view, order)
            if price is not None:
                found.extend(book.model.order_filled(book.view, order, price, at_us))
    return found
