"""What an account's followers are told after a gap: what a snapshot shows that was not known, along the way on which it
came about as far as deals tell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate

from cmam.domain.belief.view import AccountView
from cmam.domain.events import Reconciled
from cmam.domain.turns.differences import into_nets, kind_of, of_levels, of_order, of_volume, order_change
from cmam.domain.turns.leader import QuoteOf
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.ids import ChangeKey, OrderId, PositionId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.resting import FILLED_AND_GONE
from cmam.domain.values.rules.sight import GROWTH_OF_ADDS, OLD_AS_BEGUN, OPENED_BY_PATH, RESTORES_ARE_KNOWN
from cmam.domain.values.trades import Deal, Order, OrderStatus, OrderType


def of_reconcile(before: AccountView, after: AccountView, event: Reconciled, quote_of: QuoteOf) -> Iterator[Change]:
    """Closes and cancels first: what lowers risk is told before what raises it.

    The first snapshot of all tells nothing: what an account held before we knew it is no change (`sync_open`).
    """
    if not before.has_reconciled:
        return
    orders = {order.order: order for order in event.past_orders}
    last: dict[PositionId, Deal] = {}
    for deal in sorted(event.deals, key=lambda deal: (deal.executed_ms, deal.deal)):
        if deal.is_execution:
            last[deal.position] = deal
    is_restored = before.restored_us and before.rules >= RESTORES_ARE_KNOWN  # copies may have come along that way
    yield from into_nets(before, after, quote_of, late=True)
    paths = _paths(before, event.deals)
    taken = _taken_by_nets(before, after, paths)
    for filled in sorted(taken):
        known, what = orders.get(filled, before.orders[filled]), f"into_net:{after.version}"
        change = order_change(after, known, ChangeKind.ORDER_CANCELLED, what, quote_of, late=True)
        yield replace(change, into_net=True)
    touched = sorted(
        {*before.positions, *after.positions},
        key=lambda key: (key in after.positions, key not in before.positions, key),
    )
    for position in touched:
        newest = last.get(position)
        deal_of_gap = newest if newest is not None and newest.deal not in before.deals else None
        path = paths.get(position, ())
        added = _added(before, after, position, path)
        deal_of_gap = added or deal_of_gap
        if after.rules >= OLD_AS_BEGUN and _has_begun(before, after, position):
            deal_of_gap = _beginning(before, after, position, path)
        order = orders.get(deal_of_gap.order) if deal_of_gap is not None else None
        if added is not None and order is None:
            order = before.orders.get(added.order)
        at_ms = deal_of_gap.executed_ms if deal_of_gap is not None else 0
        found = tuple(of_volume(before, after, position, deal_of_gap, order, at_ms, quote_of, late=True))
        told = found if is_restored else _by_path(before, position, event.deals, found)
        yield from _opened_by_path(before, after, path, orders, tuple(told))
        yield from of_levels(before, after, position, 0, quote_of, late=True)
    for gone in sorted(set(before.orders) - set(after.orders) - taken):
        yield from _of_lost_order(before, after, gone, orders.get(gone), quote_of)
    for order_id in sorted(after.orders):
        yield from of_order(before, after, after.orders[order_id], None, quote_of, late=True)


def _added(before: AccountView, after: AccountView, position: PositionId, path: tuple[Deal, ...]) -> Deal | None:
    """The last deal of a gap that added to a position which has grown in it, whatever was closed of that since."""
    was, now = before.positions.get(position), after.positions.get(position)
    if was is None or now is None or was.side is not now.side or now.volume <= was.volume:
        return None
    added = (deal for deal in reversed(path) if deal.side is was.side)
    return next(added, None) if after.rules >= GROWTH_OF_ADDS else None


def _has_begun(before: AccountView, after: AccountView, position: PositionId) -> bool:
    """Whether a position was opened in a gap, or has turned in it."""
    was, now = before.positions.get(position), after.positions.get(position)
    return now is not None and (was is None or was.side is not now.side)


def _beginning(before: AccountView, after: AccountView, position: PositionId, path: tuple[Deal, ...]) -> Deal | None:
    """The deal of a gap that opened a position or turned it, whatever was added to that or closed of it since."""
    was, now = before.positions.get(position), after.positions[position]
    volume, found = (int(was.volume) * was.side.sign if was is not None else 0), None
    for deal in path:
        former, volume = volume, volume + int(deal.filled_volume) * deal.side.sign
        if former * now.side.sign <= 0 < volume * now.side.sign:
            found = deal
    return found


def _by_path(
    before: AccountView, position: PositionId, deals: tuple[Deal, ...], found: tuple[Change, ...]
) -> Iterator[Change]:
    """The way a volume took through the gap: what it fell to on the way is told before what it grew to.

    A fraction is exact only along that way: 100 to 50 to 150 is a half and then an add, not an add alone.
    """
    was = before.positions.get(position)
    if was is None or not found or found[0].kind in (ChangeKind.CLOSED, ChangeKind.REVERSED):
        yield from found
        return
    volume, lowest, at = int(was.volume), int(was.volume), None
    for deal in sorted(deals, key=lambda deal: (deal.executed_ms, deal.deal)):
        if deal.position != position or not deal.is_execution or deal.deal in before.deals:
            continue
        volume += deal.filled_volume if deal.side is was.side else -deal.filled_volume
        if 0 < volume < lowest:
            lowest, at = volume, deal
    change = found[0]
    if at is None or lowest >= change.after or volume != change.after:
        yield from found
        return
    yield replace(
        change,
        key=ChangeKey(f"deal:{at.deal}"),
        kind=ChangeKind.REDUCED,
        volume=Volume(was.volume - lowest),
        after=Volume(lowest),
        price=at.price,
        at_ms=at.executed_ms,
        is_opening=False,
    )
    grew = Volume(change.after - lowest)
    yield replace(change, kind=ChangeKind.GREW, before=Volume(lowest), volume=grew, is_opening=False)


def _paths(before: AccountView, deals: tuple[Deal, ...]) -> dict[PositionId, tuple[Deal, ...]]:
    """The deals of a gap, position by position, in their order."""
    found: dict[PositionId, tuple[Deal, ...]] = {}
    for deal in sorted(deals, key=lambda deal: (deal.executed_ms, deal.deal)):
        if deal.is_execution and deal.deal not in before.deals:
            found[deal.position] = (*found.get(deal.position, ()), deal)
    return found


def _taken_by_nets(
    before: AccountView, after: AccountView, paths: Mapping[PositionId, tuple[Deal, ...]]
) -> set[OrderId]:
    """Orders that rested before a gap, and have filled into a position that another one had opened in it."""
    if not after.is_netted() or after.rules < OPENED_BY_PATH:
        return set()
    return {
        deal.order
        for position, path in paths.items()
        for deal in path
        if position in after.positions and after.origins.get(position) not in (None, deal.order)
        if deal.order in before.orders and deal.order not in after.orders
    }


def _opened_by_path(
    before: AccountView,
    after: AccountView,
    path: tuple[Deal, ...],
    orders: Mapping[OrderId, Order],
    found: tuple[Change, ...],
) -> Iterator[Change]:
    """What was opened in a gap is told of the order that opened it; where that had rested, its copies may have filled
    too, and what other orders did to the position follows step by step."""
    opened = found[0] if found else None
    is_told = opened is None or opened.kind is not ChangeKind.OPENED or not path or after.rules < OPENED_BY_PATH
    if is_told or opened is None or opened.position is None or after.origins.get(opened.position) != path[0].order:
        yield from found
        return
    first = path[0]
    known = {**before.orders, **orders}
    if first.order in known:
        opened = _of_order_that(opened, first, known)
    volumes = list(accumulate(deal.filled_volume if deal.side is opened.side else -deal.filled_volume for deal in path))
    own = next((index for index, deal in enumerate(path) if deal.order != first.order), len(path))
    is_known = min(volumes) > 0 and volumes[-1] == opened.after
    if first.order not in before.orders or own == len(path) or not is_known:
        yield opened
        return
    whole, lowest = volumes[own - 1], min(volumes[own - 1 :])
    yield _step(opened, first, 0, whole, known)
    if lowest < whole:
        yield _step(opened, path[volumes.index(lowest, own - 1)], whole, lowest, known)
    if lowest < opened.after:
        added = next(deal for deal in reversed(path) if deal.side is opened.side)
        yield _step(opened, added, lowest, opened.after, known)


def _of_order_that(change: Change, deal: Deal, orders: Mapping[OrderId, Order]) -> Change:
    """A change told of the order of one of its deals; of one that nobody knows as of an order at the market."""
    order = orders.get(deal.order)
    kind, volume = (order.type, order.volume) if order is not None else (OrderType.MARKET, Volume(0))
    return replace(change, origin=deal.order, origin_type=kind, origin_volume=volume)


def _step(opened: Change, deal: Deal, old: int, new: int, orders: Mapping[OrderId, Order]) -> Change:
    """One step of the way on which a position came to what it is, told of the order that took it."""
    return replace(
        _of_order_that(opened, deal, orders),
        key=ChangeKey(f"deal:{deal.deal}"),
        kind=kind_of(old, new, has_turned=False),
        volume=Volume(abs(new - old)),
        before=Volume(old),
        after=Volume(new),
        price=deal.price,
        at_ms=deal.executed_ms,
        is_opening=not old,
    )


def _of_lost_order(
    before: AccountView, after: AccountView, gone: OrderId, end: Order | None, quote_of: QuoteOf
) -> Iterator[Change]:
    """A pending that vanished while nobody looked: its end as the history has it, else a cancel unless it filled.

    What it filled may be closed again: then nothing else would end what rests of its copies.
    """
    known = end or before.orders[gone]
    was_filled = end is not None and end.status is OrderStatus.FILLED
    is_held = known.position is not None and known.position in after.positions
    if (was_filled and (is_held or after.rules < FILLED_AND_GONE)) or (end is None and is_held):
        return
    has_expired = end is not None and end.status is OrderStatus.EXPIRED
    kind = ChangeKind.ORDER_EXPIRED if has_expired else ChangeKind.ORDER_CANCELLED
    yield order_change(after, known, kind, "expired" if has_expired else "cancelled", quote_of, late=True)
