"""Copies that the broker holds and the record does not know: told by their labels, and taken into the record again.

They come from a lost log, from another store whose copies were adopted, or are orders that arrived later than anybody
could wait for. The label says whose copy it is; the leader's books say what has become of its source. What they cannot
say (the exact target, a carried residue) begins anew with what is held. Pure; the actor records what is found here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.shares import opened_since, unclaimed
from cmam.domain.belief.view import AccountView
from cmam.domain.events import CopyRebuilt, Goal, Terms
from cmam.domain.market.listed import named_in_row
from cmam.domain.profiles.choices import HumanLevels, LevelsMode, PartialRounding
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.profiles.policy import Policy
from cmam.domain.repair.strays import Stray, is_awaited, is_claimed, strays
from cmam.domain.repair.sync import of_position
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import LinkId, OrderId, PositionId, SourceKey, SymbolId, from_base36
from cmam.domain.values.naming import links_of, read_label
from cmam.domain.values.quantities import Distance, Price, Quote, Side, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.trades import Order, Position
from cmam.domain.wanted.levels import merged
from cmam.domain.wanted.resting import levels_as_distances

QuoteOf = Callable[[SymbolId], Quote | None]
Name = TypeVar("Name", bound=str)


# --- taken into the record --------------------------------------------------------------------------------------------


def rebuilt(
    leader: AccountView, view: AccountView, settings: LinkSettings, others: Collection[LinkId], quote_of: QuoteOf
) -> tuple[CopyRebuilt, ...]:
    """The copies of this link that the broker shows and the record lacks, each as the fact that brings it back."""
    found: dict[SourceKey, CopyRebuilt] = {}
    for stray, volume in _opened_since(leader, view, settings):
        source = SourceKey(stray.mark.source)
        key = view.key_of((settings.link, source))
        if is_claimed(stray.mark, view, settings, others) and view.copy(key) is None and not is_awaited(view, key):
            found[source] = _fact(leader, view, settings, stray, source, volume, quote_of)
    for stray in strays(view):
        if not is_claimed(stray.mark, view, settings, others):
            continue
        if stray.position is not None and view.is_netted() and opened_since(view, stray.position.symbol):
            continue
        for source, volume in _shares(leader, view, stray).items():
            key = (settings.link, source)
            if is_awaited(view, view.key_of(key)) or not _is_certain(leader, source):
                continue
            if view.is_netted() and key in view.finished:
                continue  # what is left of a net that we were part of may be anybody's
            known = found.get(source)
            if known is not None and stray.order is not None:
                found[source] = replace(known, order=stray.order.order, goal=_resting(known.goal, stray.order))
            elif known is None:
                found[source] = _fact(leader, view, settings, stray, source, volume, quote_of)
    return (*found.values(), *_ended(leader, view, settings, others, set(found)))


def _fact(
    leader: AccountView,
    view: AccountView,
    settings: LinkSettings,
    stray: Stray,
    source: SourceKey,
    volume: Volume,
    quote_of: QuoteOf,
) -> CopyRebuilt:
    thing = stray.position or stray.order
    assert thing is not None, f"expected a position or an order, found neither under {stray.label}"
    leader_position, leader_order, is_filled = _source(leader, source)
    theirs = leader.positions.get(leader_position) if leader_position is not None else None
    change = of_position(leader, theirs, quote_of) if theirs is not None else None
    former = view.finished.get((settings.link, source))
    price = _first_price(view, stray, source)
    name, digits = _leader_symbol(leader, view, settings, theirs, leader_order, thing.symbol)
    return CopyRebuilt(
        link=settings.link,
        profile=settings.profile,
        source=source,
        store=stray.mark.store,
        label=stray.label,
        leader=settings.leader,
        leader_position=leader_position,
        leader_order=leader_order,
        leader_symbol=name,
        leader_digits=digits,
        leader_filled=is_filled,
        symbol=thing.symbol,
        side=thing.side,
        goal=_goal(leader, view, settings.policy.for_symbol(name), stray, change, former, volume, price, leader_order),
        position=stray.position.position if stray.position is not None else None,
        order=stray.order.order if stray.order is not None else None,
        volume=volume,
        open_price=price,
        opened_us=(stray.position.opened_ms if stray.position is not None else 0) * 1_000,
        share=view.is_netted(),
        settings_version=settings.version,
        change=change,
        reason=former.reason if former is not None and former.position is not None else None,
    )


def _source(leader: AccountView, source: SourceKey) -> tuple[PositionId | None, OrderId | None, bool]:
    """What a source is at the leader: its position, its order, and whether the order has filled."""
    number = from_base36(source[1:])
    if source.startswith("p"):
        return PositionId(number), leader.origins.get(PositionId(number)), False
    order = OrderId(number)
    if order in leader.orders:
        return None, order, False
    position = next((held for held, origin in leader.origins.items() if origin == order), None)
    return position, order, position is not None


def _is_certain(leader: AccountView, source: SourceKey) -> bool:
    """Whether the leader's books tell what has become of a source: an order that is gone may have filled long ago."""
    _, order, is_filled = _source(leader, source)
    if source.startswith("p") or is_filled or order in leader.orders:
        return True
    return all(held in leader.origins for held in leader.positions)


def _leader_symbol(
    leader: AccountView,
    view: AccountView,
    settings: LinkSettings,
    theirs: Position | None,
    order: OrderId | None,
    symbol: SymbolId,
) -> tuple[str, int]:
    """The leader's name of the symbol and its digits; where the source is gone, the name it would have by the table."""
    rests = leader.orders.get(order) if order is not None else None
    traded = theirs.symbol if theirs is not None else (rests.symbol if rests is not None else None)
    entry = next((name for name in leader.names.values() if name.symbol == traded), None)
    if entry is None:
        mine = next((name.name for name in view.names.values() if name.symbol == symbol), "")
        rows = settings.policy.symbols_table
        row = next((row for row in rows if named_in_row(view, row.follower_symbol) == mine), None)
        entry = leader.names.get(row.leader_symbol if row is not None else mine)
        if entry is None:
            return mine, 5
    spec = leader.specs.get(entry.symbol)
    return entry.name, spec.digits if spec is not None else 5


def _first_price(view: AccountView, stray: Stray, source: SourceKey) -> Price | None:
    """The price of a copy's first fill where its orders are known, else what the position has come to."""
    if stray.position is None:
        return None
    fills = [order for order in _fills(view, stray.position.position) if _source_of(order) == source]
    first = min(fills, key=lambda order: (order.opened_ms, order.order), default=None)
    return first.execution_price if first is not None and first.execution_price else stray.position.price


def _fills(view: AccountView, position: PositionId) -> Iterator[Order]:
    """The orders that built a position up, as far as they were asked for."""
    return (o for o in view.past_orders if o.position == position and o.executed_volume > 0 and not o.closing)


def _action_of(order: Order) -> str:
    """Which action for its source an order is a part of: the number in its name, without that of the part."""
    return order.client_order_id.rsplit(".", 1)[-1].partition("-")[0]


def _source_of(order: Order) -> SourceKey | None:
    mark = read_label(order.client_order_id)
    return SourceKey(mark.source) if mark is not None else None


def _goal(
    leader: AccountView,
    view: AccountView,
    policy: Policy,
    stray: Stray,
    change: Change | None,
    former: Copy | None,
    volume: Volume,
    price: Price | None,
    leader_order: OrderId | None,
) -> Goal:
    """What it shall be: what it is, with the leader's levels of now; nothing where it came after its copy had ended."""
    thing = stray.position or stray.order
    assert thing is not None, f"expected a position or an order, found neither under {stray.label}"
    spec = view.specs.get(thing.symbol)
    target = Fraction(volume)
    leader_volume = change.after if change is not None else Volume(0)
    if former is not None and former.position is not None:
        target = Fraction(0)
    elif change is not None and former is None:
        target = _reduced(
            leader, view, stray, change, volume, max(spec.step, spec.min_volume) if spec is not None else 0
        )
    elif former is not None and change is not None and former.leader_opened > change.after:
        target = target * Fraction(change.after, former.leader_opened)
    goal = Goal(
        target_numerator=target.numerator,
        target_denominator=target.denominator,
        leader_volume=leader_volume,
        whole=volume,
        leader_whole=leader_volume,
        grace_us=policy.pending_grace_ms * 1_000,
        ahead_us=policy.pending_ahead_ms * 1_000,
        round_up=policy.partial_rounding is PartialRounding.UP,
        pins=policy.human_levels is HumanLevels.PIN,
        guaranteed=stray.position.guaranteed if stray.position is not None else False,
        net_cap=policy.net_cap(spec.lot_size if spec is not None else 0),
    )
    rests = leader.orders.get(leader_order) if leader_order is not None else None
    if rests is not None:
        goal = replace(goal, leader_volume=rests.volume, leader_whole=rests.volume)
    if change is not None and spec is not None:
        goal = merged(goal, change, spec, policy, thing.side, view.rules)
        goal = replace(goal, is_exact=False, leader_price=change.price)
        if policy.levels is LevelsMode.PRICE:
            goal = replace(goal, shift=Distance(0))
        elif price is not None and change.price is not None:
            goal = replace(goal, shift=Distance(price - change.price))
    return _resting(goal, stray.order) if stray.order is not None else goal


def _reduced(
    leader: AccountView, view: AccountView, stray: Stray, change: Change, volume: Volume, least: int
) -> Fraction:
    """What a copy should have come to while nobody looked: its first volume, all parts of its open together, as a
    fraction of the leader's, of what he holds now. How it was rounded is lost with the log: less than two steps are no
    difference, and nothing grows."""
    held = Fraction(volume)
    if stray.position is None or change.position is None or not least:
        return held
    fills = list(_fills(view, stray.position.position))
    mine = [order for order in fills if _source_of(order) == stray.mark.source]
    theirs = leader.first_volumes.get(change.position, Volume(0))
    if not mine or not theirs or len(mine) != len(fills) or view.is_netted():
        return held  # somebody else has added to it, or how large it was at first is not known
    first = _action_of(min(mine, key=lambda order: (order.opened_ms, order.order)))
    whole = sum(order.executed_volume for order in mine if _action_of(order) == first)
    wanted = Fraction(whole * change.after, theirs)
    return wanted if held - wanted >= 2 * least else held


def _resting(goal: Goal, order: Order) -> Goal:
    """A resting order shall be as it rests until the leader amends his."""
    stop, target = levels_as_distances(order)
    terms = Terms(
        type=order.type,
        volume=order.volume,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        relative_stop=stop,
        relative_target=target,
        trailing=order.trailing,
        guaranteed=order.guaranteed,
        trigger=order.trigger,
        expires_ms=order.expires_ms,
        slippage_points=order.slippage_points,
    )
    return replace(goal, terms=terms, whole=order.volume, target_numerator=order.volume, target_denominator=1)


# --- shares of a net --------------------------------------------------------------------------------------------------


def _shares(leader: AccountView, view: AccountView, stray: Stray) -> Mapping[SourceKey, Volume]:
    """Which sources a thing belongs to, and how much of it is each one's: several only where positions net out."""
    source = SourceKey(stray.mark.source)
    if stray.position is None:
        return {source: Volume(0)}
    position = stray.position
    if not view.is_netted():
        return {source: position.volume}
    opened: dict[SourceKey, int] = {}
    for order in _fills(view, position.position):
        of = _source_of(order)
        if of is not None:
            opened[of] = opened.get(of, 0) + order.executed_volume * order.side.sign * position.side.sign
    opened = {of: volume for of, volume in opened.items() if volume > 0}
    if not opened:
        return {source: position.volume}
    live = {of for of in opened if _is_live(leader, of)}
    return share_out(position.volume, opened, live)


def _is_live(leader: AccountView, source: SourceKey) -> bool:
    position, order, _ = _source(leader, source)
    return position in leader.positions or order in leader.orders


def share_out(net: Volume, opened: Mapping[Name, int], live: Collection[Name]) -> dict[Name, Volume]:
    """Divide what is left of a net among those who built it: closes carry no name, and those are over whose source is.

    What was closed besides comes off the largest of those that live on.
    """
    closed = max(0, sum(opened.values()) - net)
    order = sorted(opened, key=lambda source: (source in live, -opened[source], source))
    found: dict[Name, Volume] = {}
    for source in order:
        taken = min(opened[source], closed)
        closed -= taken
        if opened[source] > taken:
            found[source] = Volume(opened[source] - taken)
    return found


def _opened_since(leader: AccountView, view: AccountView, settings: LinkSettings) -> Iterator[tuple[Stray, Volume]]:
    """What a life that a restored log does not know has opened into nets, each as a thing of its own side, and how much
    is left of it; what is of another leader's may be."""
    for position in view.positions.values() if view.is_netted() else ():
        left, more = dict(opened_since(view, position.symbol)), unclaimed(view, position.symbol)
        if more != sum(left.values()):
            sign = 1 if more > 0 else -1
            same = {label: abs(volume) for label, volume in left.items() if volume * more > 0}
            live = [label for label in same if not _is_over(leader, settings, label)]
            left = {label: volume * sign for label, volume in share_out(Volume(abs(more)), same, live).items()}
        for label, volume in left.items():
            mark, side = read_label(label), Side.BUY if volume > 0 else Side.SELL
            if mark is not None:
                yield Stray(mark, label, position=replace(position, side=side)), Volume(abs(volume))


def _is_over(leader: AccountView, settings: LinkSettings, label: str) -> bool:
    mark = read_label(label)
    return (
        mark is not None
        and mark.link in links_of(settings.leader, settings.follower)
        and not _is_live(leader, SourceKey(mark.source))
    )


# --- what ended before the log was lost -------------------------------------------------------------------------------


def _ended(
    leader: AccountView,
    view: AccountView,
    settings: LinkSettings,
    others: Collection[LinkId],
    live: Collection[SourceKey],
) -> Iterator[CopyRebuilt]:
    """Sources that the leader still holds and whose copy is over: by the order history, never to be opened again."""
    seen: dict[SourceKey, Order] = {}
    for order in view.past_orders:
        mark = read_label(order.client_order_id)
        if mark is None or not is_claimed(mark, view, settings, others):
            continue
        seen.setdefault(SourceKey(mark.source), order)
    for source, order in sorted(seen.items()):
        key = view.key_of((settings.link, source))
        position, leader_order, is_filled = _source(leader, source)
        if source in live or view.copy(key) is not None or is_awaited(view, key) or not _is_live(leader, source):
            continue
        name, digits = _leader_symbol(leader, view, settings, None, leader_order, order.symbol)
        yield CopyRebuilt(
            link=settings.link,
            profile=settings.profile,
            source=source,
            store=settings.store,
            label=order.label or order.client_order_id,
            leader=settings.leader,
            leader_position=position,
            leader_order=leader_order,
            leader_symbol=name,
            leader_digits=digits,
            leader_filled=is_filled,
            symbol=order.symbol,
            side=order.side,
            goal=Goal(target_numerator=0),
            settings_version=settings.version,
            reason=Reason.LOG_LOST,
        )
