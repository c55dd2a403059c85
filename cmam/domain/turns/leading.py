"""What an account's followers are told: its changes, derived from what the broker reported of it.

Pure and repeatable: the same facts give the same changes with the same keys, whether they came as events or were found
by a reconcile, so that no change is told twice under two names. Volumes are compared before and after the fold; events
that changed nothing tell nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, ExecutionSeen, Reconciled, TrailingStopMoved
from cmam.domain.market.conversion import Rates
from cmam.domain.market.equity import equity, equity_symbols, free_margin
from cmam.domain.values.changes import Change, ChangeKind, LeaderMoney, LeaderSymbol
from cmam.domain.values.ids import ChangeKey, OrderId, PositionId, SymbolId, order_source, position_source
from cmam.domain.values.quantities import Quote, Volume, floor_fraction
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules import (
    FILLED_AND_GONE,
    GROWTH_OF_ADDS,
    OPENED_BY_PATH,
    OPENED_WHEN_OPENED,
    ORDER_ORIGINS,
    ORDERS_INTO_NETS,
    PROTECTION_OPENS_NOTHING,
)
from cmam.domain.values.trades import Deal, ExecutionKind, Order, OrderStatus, OrderType, Position

QUOTE_AGE_MS = 10_000
"""Quotes of a leader's positions that lie farther apart than this are not of one moment."""

QuoteOf = Callable[[SymbolId], Quote | None]


def no_quotes(_symbol: SymbolId) -> Quote | None:
    """The quotes of a time that is past."""
    return None


def changes(before: AccountView, after: AccountView, event: Event, quote_of: QuoteOf = no_quotes) -> tuple[Change, ...]:
    """Say what the fold of `event` from `before` to `after` means to followers of this account."""
    match event:
        case ExecutionSeen():
            return tuple(_of_execution(before, after, event, quote_of))
        case TrailingStopMoved():
            moved = _of_levels(before, after, event.position, event.updated_ms, quote_of, late=False)
            return tuple(replace(change, trailed=True) for change in moved)
        case Reconciled():
            return tuple(_of_reconcile(before, after, event, quote_of))
        case _:
            return ()


# --- one execution ------------------------------------------------------------------------------------------------


def _of_execution(before: AccountView, after: AccountView, event: ExecutionSeen, quote_of: QuoteOf) -> Iterator[Change]:
    position = _position_of(event)
    deal = event.deal if event.deal is not None and event.deal.is_execution else None
    at_ms = deal.executed_ms if deal is not None else _order_time(event.order)
    yield from _into_nets(before, after, quote_of, late=False)
    if position is not None:
        if deal is not None or event.order is not None:  # else a correction: nothing to trade
            yield from _of_volume(before, after, position, deal, event.order, at_ms, quote_of, late=False)
        yield from _of_levels(before, after, position, at_ms, quote_of, late=False)
    if event.order is not None:
        yield from _of_order(before, after, event.order, event.kind, quote_of, late=False)


def _position_of(event: ExecutionSeen) -> PositionId | None:
    if event.position is not None:
        return event.position.position
    return event.deal.position if event.deal is not None else None


def _order_time(order: Order | None) -> int:
    return order.updated_ms if order is not None else 0


def _of_volume(
    before: AccountView,
    after: AccountView,
    position: PositionId,
    deal: Deal | None,
    order: Order | None,
    at_ms: int,
    quote_of: QuoteOf,
    *,
    late: bool,
) -> Iterator[Change]:
    was, now = before.positions.get(position), after.positions.get(position)
    old, new = (was.volume if was else Volume(0)), (now.volume if now else Volume(0))
    has_turned = was is not None and now is not None and was.side is not now.side
    if old == new and not has_turned:
        return
    known = now or was
    assert known is not None
    kind = _kind(old, new, has_turned=has_turned)
    key = ChangeKey(f"deal:{deal.deal}") if deal is not None else ChangeKey(f"net:{position}:{new}:{after.version}")
    origin = deal.order if deal is not None else after.origins.get(position)
    if (
        order is not None
        and order.type is OrderType.PROTECTION
        and (new > old or has_turned)
        and after.rules >= PROTECTION_OPENS_NOTHING
    ):
        order = None  # it was told with the position, whose fill was not
    if deal is None and order is None and old < new and origin is not None and after.rules >= ORDER_ORIGINS:
        order = before.orders.get(origin)
    opening = order if order is not None and not order.closing and kind is not ChangeKind.CLOSED else None
    first = after.origins.get(position)
    is_opening = kind is ChangeKind.OPENED or (kind is ChangeKind.GREW and first is not None and origin == first)
    yield Change(
        key=key,
        kind=kind,
        source=position_source(position),
        leader=after.account,
        at_ms=at_ms or _known_ms(after, known, kind),
        symbol=symbol_of(after, known.symbol),
        side=known.side,
        position=position,
        origin=origin,
        origin_type=order.type if order is not None else OrderType.MARKET,
        volume=Volume(abs(new - old) if not has_turned else new),
        before=old,
        after=new,
        price=deal.price if deal is not None else known.price,
        stop=known.stop or (opening.stop if opening is not None else None),
        target=known.target or (opening.target if opening is not None else None),
        relative_stop=opening.relative_stop if opening is not None else None,
        relative_target=opening.relative_target if opening is not None else None,
        trailing=known.trailing or (opening.trailing if opening is not None else False),
        guaranteed=known.guaranteed or (opening.guaranteed if opening is not None else False),
        trigger=known.trigger,
        slippage_points=order.slippage_points if order is not None else None,
        label=known.label or (opening.label if opening is not None else ""),
        comment=known.comment or (opening.comment if opening is not None else ""),
        stop_out=order.stop_out if order is not None else False,
        late=late,
        origin_volume=order.volume if order is not None else Volume(0),
        is_opening=is_opening,
        money=money_of(after, quote_of),
        quote=quote_of(known.symbol),
    )


def _kind(old: int, new: int, *, has_turned: bool) -> ChangeKind:
    if has_turned:
        return ChangeKind.REVERSED
    if old == 0:
        return ChangeKind.OPENED
    if new == 0:
        return ChangeKind.CLOSED
    return ChangeKind.GREW if new > old else ChangeKind.REDUCED


# --- levels -------------------------------------------------------------------------------------------------------


def _of_levels(
    before: AccountView, after: AccountView, position: PositionId, at_ms: int, quote_of: QuoteOf, *, late: bool
) -> Iterator[Change]:
    was, now = before.positions.get(position), after.positions.get(position)
    if was is None or now is None or was.side is not now.side or was.protection == now.protection:
        return
    yield Change(
        key=ChangeKey(f"prot:{position}:{_digest(now.protection)}:{after.version}"),
        kind=ChangeKind.PROTECTED,
        source=position_source(position),
        leader=after.account,
        at_ms=at_ms or now.updated_ms,
        symbol=symbol_of(after, now.symbol),
        side=now.side,
        position=position,
        before=now.volume,
        after=now.volume,
        price=now.price,
        stop=now.stop,
        target=now.target,
        trailing=now.trailing,
        guaranteed=now.guaranteed,
        trigger=now.trigger,
        label=now.label,
        comment=now.comment,
        late=late,
        money=money_of(after, quote_of),
        quote=quote_of(now.symbol),
    )


def _digest(terms: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(terms).encode()).hexdigest()[:10]


# --- pending orders -----------------------------------------------------------------------------------------------


def _of_order(
    before: AccountView, after: AccountView, order: Order, kind: ExecutionKind | None, quote_of: QuoteOf, *, late: bool
) -> Iterator[Change]:
    was, now = before.orders.get(order.order), after.orders.get(order.order)
    if was is None and now is not None:
        yield _order_change(after, now, ChangeKind.ORDER_PLACED, "placed", quote_of, late=late)
    elif was is not None and now is not None and was.terms != now.terms:
        what = f"amended:{_digest(now.terms)}"
        yield _order_change(after, now, ChangeKind.ORDER_AMENDED, what, quote_of, late=late)
    elif was is not None and now is None and order.status is not OrderStatus.FILLED:
        has_expired = order.status is OrderStatus.EXPIRED or kind is ExecutionKind.ORDER_EXPIRED
        ended = ChangeKind.ORDER_EXPIRED if has_expired else ChangeKind.ORDER_CANCELLED
        yield _order_change(after, order, ended, "expired" if has_expired else "cancelled", quote_of, late=late)


def fills_into_net(view: AccountView, order: Order) -> bool:
    """Whether what an order fills changes a position that is there, and opens none."""
    if not view.is_netted() or view.rules < ORDERS_INTO_NETS:
        return False
    held = [position.position for position in view.positions.values() if position.symbol == order.symbol]
    return any(view.origins.get(position) != order.order for position in held)


def _into_nets(before: AccountView, after: AccountView, quote_of: QuoteOf, *, late: bool) -> Iterator[Change]:
    """Orders that have rested, and would have opened the position that another one opens now: no copy of them rests."""
    for order_id in sorted(after.orders.keys() & before.orders.keys()) if after.is_netted() else ():
        order = after.orders[order_id]
        if fills_into_net(after, order) and not fills_into_net(before, order):
            yield _order_change(
                after, order, ChangeKind.ORDER_CANCELLED, f"into_net:{after.version}", quote_of, late=late
            )


def _known_ms(view: AccountView, known: Position, kind: ChangeKind) -> int:
    """When a change took place of which no deal tells: of what has opened, its opening."""
    if kind is ChangeKind.OPENED and known.opened_ms and view.rules >= OPENED_WHEN_OPENED:
        return known.opened_ms
    return known.updated_ms


def _order_change(
    view: AccountView, order: Order, kind: ChangeKind, what: str, quote_of: QuoteOf, *, late: bool
) -> Change:
    is_there = order.order in view.orders
    return Change(
        key=ChangeKey(f"order:{order.order}:{what}"),
        kind=kind,
        source=order_source(order.order),
        leader=view.account,
        at_ms=order.updated_ms or order.opened_ms,
        symbol=symbol_of(view, order.symbol),
        side=order.side,
        position=order.position,
        order=order.order,
        origin=order.order,
        origin_type=order.type,
        volume=order.volume,
        before=order.executed_volume,
        after=order.executed_volume,
        stop=order.stop,
        target=order.target,
        relative_stop=order.relative_stop,
        relative_target=order.relative_target,
        trailing=order.trailing,
        guaranteed=order.guaranteed,
        trigger=order.trigger,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        slippage_points=order.slippage_points,
        time_in_force=order.time_in_force,
        expires_ms=order.expires_ms,
        label=order.label,
        comment=order.comment,
        late=late,
        money=money_of(view, quote_of),
        quote=quote_of(order.symbol),
        into_net=is_there and fills_into_net(view, order),
    )


# --- a reconcile --------------------------------------------------------------------------------------------------


def _of_reconcile(before: AccountView, after: AccountView, event: Reconciled, quote_of: QuoteOf) -> Iterator[Change]:
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
    yield from _into_nets(before, after, quote_of, late=True)
    paths = _paths(before, event.deals)
    taken = _taken_by_nets(before, after, paths)
    for filled in sorted(taken):
        known, what = orders.get(filled, before.orders[filled]), f"into_net:{after.version}"
        change = _order_change(after, known, ChangeKind.ORDER_CANCELLED, what, quote_of, late=True)
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
        order = orders.get(deal_of_gap.order) if deal_of_gap is not None else None
        if added is not None and order is None:
            order = before.orders.get(added.order)
        at_ms = deal_of_gap.executed_ms if deal_of_gap is not None else 0
        found = tuple(_of_volume(before, after, position, deal_of_gap, order, at_ms, quote_of, late=True))
        told = _by_path(before, position, event.deals, found)
        yield from _opened_by_path(before, after, path, orders, tuple(told))
        yield from _of_levels(before, after, position, 0, quote_of, late=True)
    for gone in sorted(set(before.orders) - set(after.orders) - taken):
        yield from _of_lost_order(before, after, gone, orders.get(gone), quote_of)
    for order_id in sorted(after.orders):
        yield from _of_order(before, after, after.orders[order_id], None, quote_of, late=True)


def _added(before: AccountView, after: AccountView, position: PositionId, path: tuple[Deal, ...]) -> Deal | None:
    """The last deal of a gap that added to a position which has grown in it, whatever was closed of that since."""
    was, now = before.positions.get(position), after.positions.get(position)
    if was is None or now is None or was.side is not now.side or now.volume <= was.volume:
        return None
    added = (deal for deal in reversed(path) if deal.side is was.side)
    return next(added, None) if after.rules >= GROWTH_OF_ADDS else None


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
        kind=_kind(old, new, has_turned=False),
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
    yield _order_change(after, known, kind, "expired" if has_expired else "cancelled", quote_of, late=True)


# --- what the leader is ---------------------------------------------------------------------------------------------


def symbol_of(view: AccountView, symbol: SymbolId) -> LeaderSymbol:
    """A symbol as followers are told of it."""
    spec = view.specs.get(symbol)
    if spec is None:
        name = next((entry.name for entry in view.names.values() if entry.symbol == symbol), f"#{symbol}")
        return LeaderSymbol(name=name, digits=5, pip_position=4, lot_size=Volume(0))
    return LeaderSymbol(
        name=spec.name,
        digits=spec.digits,
        pip_position=spec.pip_position,
        lot_size=spec.lot_size,
        base=spec.base_name,
        quote=spec.quote_name,
        measurement_units=spec.measurement_units,
    )


def money_of(view: AccountView, quote_of: QuoteOf = no_quotes) -> LeaderMoney | None:
    """What the leader has; equity and free margin only where every quote they rest on is there."""
    if view.trader is None:
        return None
    whole, free = _worth(view, quote_of)
    return LeaderMoney(
        currency=view.currency, money_digits=view.money_digits, balance=view.balance, equity=whole, free_margin=free
    )


def _worth(view: AccountView, quote_of: QuoteOf) -> tuple[int | None, int | None]:
    if not view.positions:
        return view.balance, view.balance
    quotes: dict[str, Quote] = {}
    for name in equity_symbols(view):
        quote = quote_of(view.names[name].symbol) if name in view.names else None
        if quote is None:
            return None, None
        quotes[name] = quote
    newest = max((quote.seen_us for quote in quotes.values()), default=0)
    rates = Rates(view, quotes, newest, QUOTE_AGE_MS)
    whole, free = equity(rates), free_margin(rates)
    scale = 10**view.money_digits
    return (
        None if whole is None else floor_fraction(whole * scale),
        None if free is None else floor_fraction(free * scale),
    )
