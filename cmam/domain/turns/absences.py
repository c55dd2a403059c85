"""What a snapshot leaves out though it is known to be open: gone, or only not shown?

On the strength of an absence a leader's position counts as closed, a follower's copy as finished, an order of either
as cancelled. A replica that lags behind, or an answer that is not whole, looks just the same: so an absence counts
where something else says so too, or where it is still one after the settling time. Pure; the actor asks, and records
what is doubted with the snapshot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.restless import restless
from cmam.domain.belief.view import AccountView
from cmam.domain.folds.intents import gone_codes
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId, PositionId
from cmam.domain.values.trades import Deal, Order, OrderStatus, Position

FOLLOWER_US = 3_000_000
"""How long after a snapshot that left out a follower's position a second one is believed. No money moves by that, and
the account opens nothing until then; an absence on a leader's account closes the copies of all who follow him."""

_OF_POSITION = (CommandKind.CLOSE.value, CommandKind.AMEND_PROTECTION.value)
_OF_ORDER = (CommandKind.CANCEL.value, CommandKind.AMEND_ORDER.value)

Lives = Mapping[PositionId, Collection[Deal]]
"""All deals of a position, from the one that opened it on."""


def span_us(settle_us: int, *, leads: bool) -> int:
    """How long a position or an order has to be missing where nothing else says that it is gone."""
    return settle_us if leads else min(settle_us, FOLLOWER_US)


def doubted(
    view: AccountView, shown: Iterable[Position], deals: Collection[Deal], lives: Lives, now_us: int, span_us: int
) -> tuple[PositionId, ...]:
    """The positions that are known to be open, that a snapshot leaves out, and of which nothing else says that they are
    gone. `deals` are those of a gap; `now_us` is when the snapshot was asked for."""
    held = {position.position: position for position in shown}
    missing = [view.positions[key] for key in sorted(view.positions.keys() - held.keys())]
    nets = {position.symbol for position in held.values() if position.volume > 0} if view.is_netted() else set()
    return tuple(
        one.position
        for one in missing
        if one.symbol not in nets
        and not _has_lasted(view.doubted.get(one.position), now_us, span_us)
        and not _is_closing(view, one)
        and not _is_refused(view, one)
        and not _is_told(view, one, deals, lives.get(one.position, ()))
    )


def doubted_orders(
    view: AccountView,
    positions: Iterable[Position],
    resting: Iterable[Order],
    deals: Collection[Deal],
    past: Iterable[Order],
    now_us: int,
    span_us: int,
    *,
    is_asked: bool,
) -> tuple[OrderId, ...]:
    """The orders that are known to rest, that a snapshot leaves out, and of which nothing else says that they have
    ended: neither what is told of orders of the `past` or the `deals` of a gap, nor a position that stands under an
    order's number and stood under none, nor that a cancel was refused as of one that is not there. How
    long it has been missing counts where it was asked for by its number (`is_asked`) and nobody knows that it rests."""
    shown = {order.order for order in resting if order.is_resting}
    told = {order.order: order.status is OrderStatus.ACCEPTED for order in past}
    ended = {order for order, rests in told.items() if not rests}
    fresh = {held.position for held in positions if held.volume > 0} - view.positions.keys()
    return tuple(
        key
        for key in sorted(view.orders.keys() - shown - ended)
        if (told.get(key) or not is_asked or not _has_lasted(view.doubted_orders.get(key), now_us, span_us))
        and not (view.orders[key].position in fresh or _is_filled(view, view.orders[key], deals))
        and not _is_unknown(view, key)
    )


def is_any(view: AccountView) -> bool:
    """Whether anything that an account has is doubted."""
    return bool(view.doubted or view.doubted_orders)


def moments(view: AccountView) -> tuple[int, ...]:
    """Since when each is doubted, in us."""
    return (*view.doubted.values(), *view.doubted_orders.values())


def closing_deals(view: AccountView, lives: Lives) -> tuple[Deal, ...]:
    """Of positions whose lives are over, the deals that closed what was last known of them."""
    found: list[Deal] = []
    for key in sorted(lives):
        held, left = view.positions.get(key), 0
        if held is None or not _is_over(held, lives[key]):
            continue
        left = int(held.volume)
        for deal in sorted(lives[key], key=lambda deal: (deal.executed_ms, deal.deal), reverse=True):
            if deal.is_execution and deal.side is not held.side and left > 0 and deal.deal not in view.deals:
                found.append(deal)
                left -= deal.filled_volume
    return tuple(found)


def in_words(view: AccountView) -> str:
    """What is doubted, for a person; empty where nothing is."""
    if not is_any(view):
        return ""
    names = [str(position) for position in sorted(view.doubted)]
    names += [f"order {order}" for order in sorted(view.doubted_orders)]
    return (
        f"The broker no longer shows {', '.join(names)}, and nothing says that it was closed or cancelled: it counts "
        "as open until a second look after the settling time."
    )


def _has_lasted(since_us: int | None, now_us: int, span_us: int) -> bool:
    """Whether it has been missing for so long that no replica can lag behind as far."""
    return since_us is not None and now_us - since_us >= span_us


def _is_filled(view: AccountView, order: Order, deals: Iterable[Deal]) -> bool:
    """Whether deals of a gap have filled all that was left of an order."""
    fresh = {deal.deal: deal for deal in deals if deal.order == order.order and deal.deal not in view.deals}
    filled = sum(deal.filled_volume for deal in fresh.values() if deal.is_execution)
    return filled > 0 and order.executed_volume + filled >= order.volume


def _is_unknown(view: AccountView, order: OrderId) -> bool:
    """Whether the broker has refused to cancel or to amend it, as with one that is not there."""
    return any(copy.order == order and _says_gone(view, copy, _OF_ORDER) for copy in restless(view.copies))


def _is_closing(view: AccountView, held: Position) -> bool:
    """Whether a close of ours is under way that would leave nothing."""
    return any(
        intent.command.kind is CommandKind.CLOSE
        and intent.command.position == held.position
        and (intent.command.whole or intent.command.volume >= held.volume)
        for intent in view.intents.values()
    )


def _says_gone(view: AccountView, copy: Copy, kinds: tuple[str, ...]) -> bool:
    """Whether a request of one of these kinds was refused as of something that is not there."""
    kind, _, code = copy.trouble.partition(": ")
    return kind in kinds and code in gone_codes(view.rules)


def _is_refused(view: AccountView, held: Position) -> bool:
    """Whether the broker has refused to close or to protect it, as with one that is not there. What it says of an
    order tells nothing of the position that a part of it has filled into."""
    return any(
        copy.position == held.position and _says_gone(view, copy, _OF_POSITION) for copy in restless(view.copies)
    )


def _is_told(view: AccountView, held: Position, deals: Collection[Deal], life: Collection[Deal]) -> bool:
    """Whether deals have closed it: those of the gap all that was known of it, or those of its whole life all."""
    fresh = [deal for deal in deals if deal.position == held.position and deal.deal not in view.deals]
    return held.volume + _moved(held, fresh) <= 0 or _is_over(held, life)


def _is_over(held: Position, life: Collection[Deal]) -> bool:
    return any(deal.side is not held.side for deal in life) and _moved(held, life) <= 0


def _moved(held: Position, deals: Iterable[Deal]) -> int:
    """By how much deals have moved a position, on its side as positive."""
    found = {deal.deal: deal for deal in deals if deal.is_execution}
    return sum(deal.filled_volume if deal.side is held.side else -deal.filled_volume for deal in found.values())
