"""What a follower makes up when it starts: what its leader holds, closed and protected while nobody told it.

Pure functions over the two views of one moment. The changes they give carry `synced`: they have no place in the
leader's stream, move no cursor and are met as any other, the opens by all gates with the limits of `sync_*`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Health
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.profiles.policy import Policy
from cmam.domain.turns.differences import fills_into_net, order_change
from cmam.domain.turns.leader import lots_were, money_of, symbol_of
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.ids import ChangeKey, LinkId, PositionId, SymbolId, order_source, position_source
from cmam.domain.values.quantities import Quote, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.opens import ORIGINS_HAVE_TYPES
from cmam.domain.values.rules.resting import ORDERS_ARE_TOLD
from cmam.domain.values.trades import Order, OrderType, Position

QuoteOf = Callable[[SymbolId], Quote | None]


def at_start(
    leader: AccountView,
    view: AccountView,
    settings: LinkSettings,
    quote_of: QuoteOf,
    *,
    others: Collection[LinkId] = (),
) -> tuple[Change, ...]:
    """The changes a link has to make up, closes first. Both accounts must be reconciled, else nothing is known.

    The follower has met all of the leader's changes: so a smaller volume is a reduction it was not told of. `others`
    are its other links: what is left of any that is over is not opened beside it. `quote_of` is the leader's.
    """
    if leader.health is not Health.RECONCILED or view.health is not Health.RECONCILED:
        return ()
    found: list[Change] = []
    if settings.policy.sync_closed:
        found.extend(_closes(leader, view, settings, quote_of))
        found.extend(_levels(leader, view, settings, quote_of))
        found.extend(_terms(leader, view, settings, quote_of))
    if settings.policy.sync_open:
        found.extend(_opens(leader, view, settings, quote_of, {settings.link, *others}))
    return tuple(found)


def _closes(leader: AccountView, view: AccountView, settings: LinkSettings, quote_of: QuoteOf) -> Iterator[Change]:
    for copy in view.copies.values():
        if copy.link != settings.link or not copy.is_wanted:
            continue
        held = leader.positions.get(copy.leader_position) if copy.leader_position is not None else None
        is_pending = copy.source.startswith("o") and not copy.leader_filled
        order = leader.orders.get(copy.leader_order) if copy.leader_order is not None else None
        if is_pending and order is not None and fills_into_net(leader, order):
            gone = _of_copy(leader, copy, ChangeKind.ORDER_CANCELLED, copy.goal.leader_volume, Volume(0))
            yield replace(gone, into_net=True)
            continue
        if is_pending and held is not None:
            if order is None or (order.executed_volume and copy.position is not None):
                yield from _filled(leader, view, copy, held, order, quote_of)
            continue
        if held is not None and copy.change is not None and held.side is not copy.change.side:
            if copy.wait is None:
                yield _of_copy(leader, copy, ChangeKind.CLOSED, copy.goal.leader_volume, Volume(0))
            continue
        if held is not None:
            if 0 < held.volume < copy.leader_had:
                yield _of_copy(leader, copy, ChangeKind.REDUCED, copy.leader_had, held.volume)
            continue
        if is_pending and order is not None:
            continue  # one that has opened a position may rest on in part when that is closed
        kind = ChangeKind.ORDER_CANCELLED if is_pending else ChangeKind.CLOSED
        yield _of_copy(leader, copy, kind, copy.goal.leader_volume, Volume(0))


def _levels(leader: AccountView, view: AccountView, settings: LinkSettings, quote_of: QuoteOf) -> Iterator[Change]:
    """The stops and targets that the leader moved while the link was off: as it began again, nobody told of them."""
    for copy in view.copies.values():
        held = leader.positions.get(copy.leader_position) if copy.leader_position is not None else None
        if copy.link != settings.link or not copy.is_wanted or not copy.goal.has_levels or held is None:
            continue
        if copy.told_levels in (None, (held.stop, held.target)):
            continue
        has_turned = copy.change is not None and held.side is not copy.change.side
        if has_turned or (held.trailing and copy.goal.trailing):
            continue
        key = ChangeKey(f"sync:{position_source(held.position)}:levels:{leader.version}")
        moved = of_position(leader, held, quote_of)
        moved = replace(moved, key=key, kind=ChangeKind.PROTECTED, volume=Volume(0), before=held.volume)
        moved = replace(moved, restored=True) if copy.restored is not None else moved
        yield moved


def _terms(leader: AccountView, view: AccountView, settings: LinkSettings, quote_of: QuoteOf) -> Iterator[Change]:
    """The orders that the leader amended while the link was off."""
    for copy in view.copies.values() if view.rules >= ORDERS_ARE_TOLD else ():
        order = leader.orders.get(copy.leader_order) if copy.leader_order is not None else None
        placed = copy.change
        if copy.link != settings.link or not copy.is_wanted or order is None or placed is None:
            continue
        if placed.kind is not ChangeKind.ORDER_PLACED or copy.leader_filled or fills_into_net(leader, order):
            continue
        change = order_change(leader, order, ChangeKind.ORDER_AMENDED, f"sync:{leader.version}", quote_of, late=True)
        if _terms_of(change) != _terms_of(copy.told_order or placed):
            yield replace(change, synced=True)


def _terms_of(change: Change) -> tuple[object, ...]:
    """What an amendment of an order can change."""
    levels = (change.stop, change.target, change.relative_stop, change.relative_target, change.trailing)
    prices = (change.limit_price, change.stop_price, change.slippage_points, change.trigger, change.guaranteed)
    return (change.volume, change.expires_ms, *levels, *prices)


def _filled(
    leader: AccountView, view: AccountView, copy: Copy, held: Position, order: Order | None, quote_of: QuoteOf
) -> Iterator[Change]:
    """The fill of an order whose copy has not met it: its position is there, and it rests no more; or it rests on in
    part, and its copy is ahead of it.

    It is told as it went: all that has filled, which is the whole where nothing rests, and then what he has closed of
    it. Where that position has a copy of its own already, or is a net that another order has opened, the order's would
    be a second one, and is cancelled.
    """
    has_turned = copy.change is not None and held.side is not copy.change.side
    into_net = leader.is_netted() and leader.origins.get(held.position) != copy.leader_order
    if has_turned or into_net or (copy.link, position_source(held.position)) in view.copies:
        gone = _of_copy(leader, copy, ChangeKind.ORDER_CANCELLED, copy.goal.leader_volume, Volume(0))
        yield replace(gone, into_net=into_net)
        return
    whole = order.executed_volume if order is not None else copy.goal.leader_whole
    filled = max(held.volume, whole)
    opened = of_position(leader, held, quote_of)
    key = ChangeKey(f"sync:{copy.source}:{held.volume}")
    yield replace(opened, key=key, origin=copy.leader_order, volume=filled, after=filled)
    if held.volume < filled:
        yield _of_copy(leader, copy, ChangeKind.REDUCED, filled, held.volume)


def _of_copy(leader: AccountView, copy: Copy, kind: ChangeKind, before: Volume, after: Volume) -> Change:
    position = copy.leader_position
    source = copy.source if position is None or kind is ChangeKind.ORDER_CANCELLED else position_source(position)
    known = next((entry.symbol for entry in leader.names.values() if entry.name == copy.leader_symbol), SymbolId(0))
    return Change(
        key=ChangeKey(f"sync:{source}:{after}"),
        kind=kind,
        source=source,
        leader=leader.account,
        at_ms=leader.at_us // 1_000,
        symbol=symbol_of(leader, known),
        side=copy.side,
        position=position,
        order=copy.leader_order,
        origin=copy.leader_order if copy.source.startswith("o") else None,
        before=before,
        after=after,
        volume=Volume(before - after),
        late=True,
        synced=True,
        money=money_of(leader),
        restored=copy.restored is not None,  # another life may have made up for it, as its link began there
    )


def _opens(
    leader: AccountView, view: AccountView, settings: LinkSettings, quote_of: QuoteOf, links: Collection[LinkId]
) -> Iterator[Change]:
    """What the leader holds and this link never copied; a finished copy never counts as missing again.

    Nor does what a link that is over has left here: opened once more it would be held twice.
    """
    copies = (*view.copies.values(), *(copy for copy in view.finished.values() if not copy.was_never_out))
    known = {copy.leader_position for copy in copies if copy.link == settings.link}
    for number in sorted(leader.positions):
        position = leader.positions[number]
        key = (settings.link, position_source(number))
        there = view.copy(key)
        if number in known or is_left(view, leader, number, links) or (there is not None and not there.was_never_out):
            continue
        origin = leader.origins.get(number)
        if origin is not None and view.copy((settings.link, order_source(origin))) is not None:
            continue
        yield of_position(leader, position, quote_of)


def is_left(view: AccountView, leader: AccountView, position: PositionId, links: Collection[LinkId]) -> bool:
    """Whether a leader's position, or the order that opened it, has a live copy of a link that is none of these."""
    origin = leader.origins.get(position)
    left = (copy for copy in view.copies.values() if copy.link not in links and copy.leader == leader.account)
    return any(copy.leader_position == position or origin in {copy.leader_order} - {None} for copy in left)


def reopening(leader: AccountView, copy: Copy, policy: Policy, at_ms: int, quote_of: QuoteOf) -> Change | None:
    """What opens a source once more whose copy a person or a level has just closed, where the leader still holds it.

    It is as young as that close: `at_ms` is now, by the clock of the leader's broker.
    """
    held = leader.positions.get(copy.leader_position) if copy.leader_position is not None else None
    by_others = copy.reason in (Reason.CLOSED_BY_HUMAN, Reason.CLOSED_BY_LEVEL) and copy.position is not None
    may = policy.reopen and by_others and not (copy.reopened or copy.stopped_out or copy.source_closed)
    if held is None or not may or leader.health is not Health.RECONCILED:
        return None
    change = of_position(leader, held, quote_of)
    return replace(change, key=ChangeKey(f"reopen:{copy.source}"), at_ms=at_ms, reopens=True)


def of_position(leader: AccountView, position: Position, quote_of: QuoteOf) -> Change:
    """The open of a position that a leader holds, as nobody told it."""
    kind = leader.origin_types.get(position.position, OrderType.MARKET)
    return Change(
        key=ChangeKey(f"sync:{position_source(position.position)}:{position.volume}"),
        kind=ChangeKind.OPENED,
        source=position_source(position.position),
        leader=leader.account,
        at_ms=position.opened_ms,
        symbol=symbol_of(leader, position.symbol),
        side=position.side,
        position=position.position,
        origin=leader.origins.get(position.position),
        origin_type=kind if leader.rules >= ORIGINS_HAVE_TYPES else OrderType.MARKET,
        volume=position.volume,
        after=position.volume,
        price=position.price,
        stop=position.stop,
        target=position.target,
        trailing=position.trailing,
        guaranteed=position.guaranteed,
        trigger=position.trigger,
        label=position.label,
        comment=position.comment,
        late=True,
        synced=True,
        money=money_of(leader, quote_of),
        quote=quote_of(position.symbol),
        lots_were=lots_were(leader, position.symbol),
    )
