"""What differs between two views of a position or an order, as the change that followers are told.

Pure and repeatable: volumes and levels are compared before and after a fold, and what changed nothing tells nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from cmam.domain.belief.view import AccountView
from cmam.domain.turns.leader import QuoteOf, lots_were, money_of, symbol_of
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.ids import ChangeKey, PositionId, order_source, position_source
from cmam.domain.values.quantities import Volume
from cmam.domain.values.rules.nets import ORDERS_INTO_NETS
from cmam.domain.values.rules.resting import ORDERS_WITH_POSITIONS, PARTS_ARE_OPENS, RESTS_ALONE
from cmam.domain.values.rules.sight import OPENED_WHEN_OPENED, ORDER_ORIGINS, PROTECTION_OPENS_NOTHING
from cmam.domain.values.trades import Deal, ExecutionKind, Order, OrderStatus, OrderType, Position


def of_volume(
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
    """Whether a position was opened, turned, closed, or is larger or smaller than it was; `order` and `deal` did it."""
    was, now = before.positions.get(position), after.positions.get(position)
    old, new = (was.volume if was else Volume(0)), (now.volume if now else Volume(0))
    has_turned = was is not None and now is not None and was.side is not now.side
    if old == new and not has_turned:
        return
    known = now or was
    assert known is not None
    kind = kind_of(old, new, has_turned=has_turned)
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
        lots_were=lots_were(after, known.symbol),
    )


def kind_of(old: int, new: int, *, has_turned: bool) -> ChangeKind:
    """What a position went through that had one volume and has another."""
    if has_turned:
        return ChangeKind.REVERSED
    if old == 0:
        return ChangeKind.OPENED
    if new == 0:
        return ChangeKind.CLOSED
    return ChangeKind.GREW if new > old else ChangeKind.REDUCED


def of_levels(
    before: AccountView, after: AccountView, position: PositionId, at_ms: int, quote_of: QuoteOf, *, late: bool
) -> Iterator[Change]:
    """Whether the levels of a position that was there are others now."""
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


def of_order(
    before: AccountView, after: AccountView, order: Order, kind: ExecutionKind | None, quote_of: QuoteOf, *, late: bool
) -> Iterator[Change]:
    """Whether an order rests, rests otherwise, or no longer without having filled; `kind` is what its event said."""
    was, now = before.orders.get(order.order), after.orders.get(order.order)
    if was is None and now is not None:
        yield order_change(after, now, ChangeKind.ORDER_PLACED, "placed", quote_of, late=late)
    elif was is not None and now is not None and was.terms != now.terms:
        what = f"amended:{_digest(now.terms)}"
        yield order_change(after, now, ChangeKind.ORDER_AMENDED, what, quote_of, late=late)
    elif was is not None and now is None and order.status is not OrderStatus.FILLED:
        has_expired = order.status is OrderStatus.EXPIRED or kind is ExecutionKind.ORDER_EXPIRED
        ended = ChangeKind.ORDER_EXPIRED if has_expired else ChangeKind.ORDER_CANCELLED
        yield order_change(after, order, ended, "expired" if has_expired else "cancelled", quote_of, late=late)


def _left_of(view: AccountView, order: Order) -> Volume:
    """What an order may still open as it is told of first: of what it has filled unseen nothing is held any more."""
    is_over = order.position is not None and order.position not in view.positions and view.rules >= RESTS_ALONE
    return Volume(max(0, order.volume - order.executed_volume)) if is_over else order.volume


def fills_into_net(view: AccountView, order: Order) -> bool:
    """Whether what an order fills changes a position that is there, and opens none: on a net, or as it was asked for
    with the number of a position that it has not opened."""
    if not view.is_netted():
        return view.rules >= ORDERS_WITH_POSITIONS and order.position in view.positions and not _is_own(view, order)
    if view.rules < ORDERS_INTO_NETS:
        return False
    held = [position.position for position in view.positions.values() if position.symbol == order.symbol]
    return any(view.origins.get(position) != order.order for position in held)


def _fills_on(view: AccountView, order: Order) -> bool:
    """Whether an order of which nobody has told before has filled in part: its position is told as one that it has
    opened, and what it fills next belongs to that open."""
    return order.executed_volume > 0 and order.position in view.positions and view.rules >= PARTS_ARE_OPENS


def _is_own(view: AccountView, order: Order) -> bool:
    """Whether an order has opened its position itself, by a part; of what was there before us nobody knows more."""
    assert order.position is not None
    origin = view.origins.get(order.position)
    return order.executed_volume > 0 if origin is None else origin == order.order


def into_nets(before: AccountView, after: AccountView, quote_of: QuoteOf, *, late: bool) -> Iterator[Change]:
    """Orders that have rested, and would have opened the position that another one opens now: no copy of them rests."""
    for order_id in sorted(after.orders.keys() & before.orders.keys()) if after.is_netted() else ():
        order = after.orders[order_id]
        if fills_into_net(after, order) and not fills_into_net(before, order):
            yield order_change(
                after, order, ChangeKind.ORDER_CANCELLED, f"into_net:{after.version}", quote_of, late=late
            )


def _known_ms(view: AccountView, known: Position, kind: ChangeKind) -> int:
    """When a change took place of which no deal tells: of what has opened, its opening."""
    if kind is ChangeKind.OPENED and known.opened_ms and view.rules >= OPENED_WHEN_OPENED:
        return known.opened_ms
    return known.updated_ms


def order_change(
    view: AccountView, order: Order, kind: ChangeKind, what: str, quote_of: QuoteOf, *, late: bool
) -> Change:
    """A change of an order; `what` makes its key one of its own."""
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
        volume=_left_of(view, order) if kind is ChangeKind.ORDER_PLACED else order.volume,
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
        lots_were=lots_were(view, order.symbol),
        into_net=is_there
        and (fills_into_net(view, order) or (kind is ChangeKind.ORDER_PLACED and _fills_on(view, order))),
    )
