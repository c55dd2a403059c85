"""What others did to our copies: people, levels and stop-outs, told by comparing a copy before and after a fact.

A change that none of our requests explains is somebody else's. It is recorded, respected and never undone.
"""

from __future__ import annotations

from collections.abc import Iterator

from cmam.domain.belief.belonging import copy_asked, copy_of
from cmam.domain.belief.copies import Copy, Intent, IntentState
from cmam.domain.belief.proofs import is_proof
from cmam.domain.belief.shares import MOVING, is_untold, losses
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ClosesSeen, CopyTouched, Event, ExecutionSeen, Reconciled, StopOutSeen
from cmam.domain.folds.afterwards import closed_by_deals, of_position, stop_outs
from cmam.domain.folds.unseen import missing
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId, SymbolId
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import Price, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.guards import STOP_OUTS_ANYHOW, STOP_OUTS_BY_FLAG, STOP_OUTS_BY_ORDERS, STOP_OUTS_LATCH
from cmam.domain.values.rules.levels import (
    CARRIED_LEVELS,
    MOVED_SINCE,
    OWN_LEVELS,
    PARTS_MOVE_LEVELS,
    PEOPLE_MOVE_TRAILING,
    PEOPLE_TRAIL,
    SHOWN_BY_OURS,
)
from cmam.domain.values.rules.nets import (
    LEVELS_OF_ONE_SIDE,
    LOSSES_ARE_TOLD,
    NETS_ARE_PINNED,
    NETS_IN_DOUBT,
    OUR_CLOSES_SHOW_STOPS,
    RESTS_ARE_SHOWN,
    UNSENT_HIDE_NOTHING,
)
from cmam.domain.values.rules.resting import ENDED_IN_PART, ORDERS_TOUCHED, PARTS_REST
from cmam.domain.values.rules.sight import OWN_REQUESTS, TAKEN_BEFORE_SEEN, TAKEN_SINCE_READ
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus, OrderType, Position
from cmam.domain.wanted.levels import tighter, wanted_levels
from cmam.domain.wanted.resting import as_shown, shows

NEAR_TICKS = 10
"""A level this near to the one that our order carried is the broker's own: it counts from an average price."""


def touches(before: AccountView, after: AccountView, fact: Event, asked: Intent | None) -> Iterator[Event]:
    """The events that say what somebody else did to copies in this fact; `asked` is the request that it belongs to."""
    match fact:
        case ExecutionSeen():
            is_netted = after.is_netted()
            if is_netted and before.rules >= STOP_OUTS_LATCH:
                yield from _stop_outs_of_nets(before, after, fact)
            if before.copies:
                key = copy_of(after, fact) or copy_asked(before, asked, fact)
                was, now = (before.copies.get(key), after.copies.get(key)) if key is not None else (None, None)
                if was is not None and now is not None:
                    yield from _by_execution(before, after, was, now, asked, fact)
            if not is_netted and before.rules >= STOP_OUTS_ANYHOW:
                yield from _stop_outs_told_before(before, after, fact)
            is_shown = is_netted and asked is not None and asked.command.kind is CommandKind.CLOSE
            is_shown = is_shown and before.rules >= OUR_CLOSES_SHOW_STOPS
            if is_shown or (fact.deal is None and not fact.is_server_event and asked is None):
                yield from _levels_of_nets(before, after, asked)
        case Reconciled():
            for key, now in after.copies.items():
                was = before.copies.get(key)
                if was is not None and before.rules >= STOP_OUTS_LATCH and _is_stopped_out(before, was, fact):
                    yield StopOutSeen(link=now.link, source=now.source)
                if was is not None:
                    yield from _by_reconcile(before, after, was, now, fact)
            yield from _levels_of_nets(before, after)
        case ClosesSeen():
            yield from stop_outs(before, fact)
        case _:
            return


def _by_execution(
    before: AccountView, after: AccountView, was: Copy, now: Copy, asked: Intent | None, fact: ExecutionSeen
) -> Iterator[Event]:
    order = fact.order
    if order is not None and order.stop_out and now.volume < was.volume:
        yield StopOutSeen(link=now.link, source=now.source)
    if asked is not None:
        has_moved = now.seen_stop not in (None, was.seen_stop) or now.seen_target not in (None, was.seen_target)
        is_theirs = was.awaits_protection or after.at_us <= was.levels_until_us
        if has_moved and was.position is not None and not was.share and not is_theirs and before.rules >= SHOWN_BY_OURS:
            yield from (found for found in _levels(before, after, was, now) if _is_elses(after, now, found))
        return
    if not fact.is_server_event:
        yield from _of_order(before, after, was, now)
    if was.position is None and (now.position is None or before.rules < ENDED_IN_PART):
        return
    if order is not None and order.status is OrderStatus.CANCELLED and not fact.is_server_event:
        yield from _of_rest(before, was, now, order)
    if was.position is None or now.share:
        return
    is_own_order = order is not None and order.order in (was.order, now.order)
    is_level = order is not None and order.type is OrderType.PROTECTION and fact.deal is not None
    is_correction = fact.deal is None and order is None  # a split: no trade, so nothing of it is traded back
    has_moved = (fact.deal is not None or is_correction) and 0 < now.volume != was.volume
    if has_moved and not is_own_order and not is_level and not _explained(before, was, now):
        yield CopyTouched(link=now.link, source=now.source, what="volume", before=was.volume, after=now.volume)
    is_brokers_own = before.rules >= OWN_LEVELS and _is_brokers_own(fact, was, after.at_us)
    if fact.deal is None and not was.awaits_protection and not is_brokers_own:
        yield from _levels(before, after, was, now, is_asked=not fact.is_server_event)


def _stop_outs_of_nets(before: AccountView, after: AccountView, fact: ExecutionSeen) -> Iterator[StopOutSeen]:
    """The broker took some of a net for want of margin: that is the end of adds to all shares on its side."""
    held = before.positions.get(fact.deal.position) if fact.deal is not None else None
    if held is None or fact.order is None or not fact.order.stop_out:
        return
    left = after.positions.get(held.position)
    if left is not None and left.side is held.side and left.volume >= held.volume:
        return  # told before
    for share in before.copies.values():
        if share.share and share.position == held.position and share.side is held.side and share.volume > 0:
            yield StopOutSeen(link=share.link, source=share.source)


def _stop_outs_told_before(before: AccountView, after: AccountView, fact: ExecutionSeen) -> Iterator[StopOutSeen]:
    """A stop-out whose deal is new, and of which something else had told already what it left of the position."""
    deal, order = fact.deal, fact.order
    if deal is None or order is None or not order.stop_out or deal.deal in before.deals:
        return
    if deal.close is None and before.rules < STOP_OUTS_BY_FLAG:
        return
    for was in of_position(before, deal.position):
        now = after.copies.get(was.key)
        is_told = now is not None and now.volume < was.volume  # by this very event
        if not is_told and not was.stopped_out and was.reason is not Reason.CLOSED_BY_STOP_OUT:
            yield StopOutSeen(link=was.link, source=was.source)


def _is_stopped_out(before: AccountView, was: Copy, fact: Reconciled) -> bool:
    """Whether the broker took some or all of a copy out of sight for want of margin."""
    held = before.positions.get(was.position) if was.position is not None else None
    if held is None or held.side is not was.side or not was.volume:
        return False
    stopped = {order.order for order in fact.past_orders if order.stop_out}
    is_told = any(
        deal.position == held.position and deal.order in stopped and deal.deal not in before.deals
        for deal in fact.deals
    )
    return is_told or (before.rules >= STOP_OUTS_BY_ORDERS and not was.stopped_out and _is_taken(before, held, fact))


def _is_taken(before: AccountView, held: Position, fact: Reconciled) -> bool:
    """Whether a snapshot shows less of a position than the deals beside it tell, and a stop-out closed some of it."""
    left = sum(now.volume for now in fact.positions if now.position == held.position and now.side is held.side)
    if held.volume - left <= closed_by_deals(before, fact, held.position, before.deals):
        return False
    orders = (order for order in fact.past_orders if order.position == held.position)
    return any(order.stop_out and order.executed_volume for order in orders)


def _is_brokers_own(fact: ExecutionSeen, was: Copy, at_us: int) -> bool:
    """Whether the broker sets the levels that an order carried: the first of a position, however late, and for a
    while after each fill, since they count from the average price.

    What a person's request does comes without the mark of the server (wire.md#whose-an-event-is).
    """
    is_bare = was.seen_stop is None and was.seen_target is None
    is_first = fact.kind is ExecutionKind.ORDER_ACCEPTED and is_bare
    return fact.is_server_event and (is_first or at_us <= was.levels_until_us)


_PLACING = (CommandKind.PLACE, CommandKind.AMEND_ORDER, CommandKind.CANCEL)


def _of_order(before: AccountView, after: AccountView, was: Copy, now: Copy) -> Iterator[CopyTouched]:
    """Somebody amended a copied order that rests: it is his order's terms that are kept from then on."""
    old = before.orders.get(was.order) if was.order is not None else None
    new = after.orders.get(now.order) if now.order is not None else None
    terms = now.goal.terms
    if before.rules < ORDERS_TOUCHED or old is None or new is None or terms is None or old.order != new.order:
        return
    is_asked = any(intent.command.kind in _PLACING for intent in before.intents_of(was.key))
    rules = before.rules
    if not is_asked and not shows(new, terms, rules) and as_shown(old, terms, rules) != as_shown(new, terms, rules):
        yield CopyTouched(link=now.link, source=now.source, what="order", before=old.volume, after=new.volume)


def _of_rest(before: AccountView, was: Copy, now: Copy, order: Order) -> Iterator[CopyTouched]:
    """Somebody cancelled what was left of a copied order that had filled in part: that much of it is not made up."""
    is_end = was.order == order.order and now.ended_order and not was.ended_order
    is_ours = was.goal.terms is None or was.grace_over or was.leader_filled or was.replacing
    is_ours = is_ours or any(intent.command.kind is CommandKind.CANCEL for intent in before.intents_of(was.key))
    rest = order.volume - order.executed_volume
    if before.rules >= PARTS_REST and is_end and not is_ours and rest > 0:
        whole = now.volume + rest
        yield CopyTouched(link=now.link, source=now.source, what="volume", before=whole, after=now.volume)


_ADDING = (CommandKind.ADD, CommandKind.OPEN, CommandKind.PLACE)


def _reach(before: AccountView, was: Copy) -> tuple[int, int]:
    """From where to where requests of ours whose outcome is unknown, and closes that were refused and may have been
    done all the same, can have moved a volume, all together."""
    asked = [intent.command for intent in before.intents_of(was.key)]
    least = was.volume - sum(command.volume for command in asked if command.kind is CommandKind.CLOSE)
    least -= was.refused_part
    return least, was.volume + sum(command.volume for command in asked if command.kind in _ADDING)


def _ours_of(before: AccountView, was: Copy, now: Copy) -> int:
    """The volume from which somebody else has moved it to what it is: what is ours of the way comes first."""
    least, most = _reach(before, was)
    return was.volume if before.rules < OWN_REQUESTS else max(0, least) if now.volume < was.volume else most


def _explained(before: AccountView, was: Copy, now: Copy) -> bool:
    """Whether requests of ours whose outcome is unknown can have moved the volume so."""
    if before.rules >= OWN_REQUESTS:
        least, most = _reach(before, was)
        return least <= now.volume <= most
    moved = now.volume - was.volume
    for intent in before.intents_of(was.key):
        kind, volume = intent.command.kind, intent.command.volume
        if kind is CommandKind.CLOSE and -volume <= moved < 0:
            return True
        if kind in _ADDING and 0 < moved <= volume:
            return True
    return False


def _levels(
    before: AccountView, after: AccountView, was: Copy, now: Copy, *, is_asked: bool = False
) -> Iterator[CopyTouched]:
    """A level that moved, or that trails or trails no more, without a request of ours or the broker trailing it.

    `is_asked` says that somebody's request is being told of: where a stop trails is told otherwise
    (wire.md#stops-that-trail).
    """
    kinds = {intent.command.kind for intent in before.intents_of(was.key)}
    position = after.positions.get(now.position) if now.position is not None else None
    if position is None or kinds & {CommandKind.AMEND_PROTECTION, CommandKind.OPEN, CommandKind.PLACE}:
        return
    ours = was.applied if before.rules >= OWN_LEVELS else None  # ours comes to light late where a clock was set back
    is_our_stop = ours is not None and now.seen_stop == ours.stop
    is_our_target = ours is not None and now.seen_target == ours.target
    held = before.positions.get(position.position)
    is_new = before.rules >= PEOPLE_TRAIL and held is not None and held.trailing is not position.trailing
    if is_new and (ours is None or ours.trailing is not position.trailing):
        after_it = int(position.trailing)
        yield CopyTouched(link=now.link, source=now.source, what="trailing", before=1 - after_it, after=after_it)
    old, is_trailed = was.seen_stop, position.trailing
    if before.rules >= PEOPLE_MOVE_TRAILING and held is not None:
        old = held.stop if held.trailing else old
        is_looser = tighter(now.side, old, now.seen_stop) != now.seen_stop
        is_trailed = is_trailed and held.trailing and not is_asked and not is_looser
    if old != now.seen_stop and not is_trailed and not is_our_stop:
        yield CopyTouched(link=now.link, source=now.source, what="stop", before=old or 0, after=now.seen_stop or 0)
    if was.seen_target != now.seen_target and not is_our_target:
        yield CopyTouched(
            link=now.link, source=now.source, what="target", before=was.seen_target or 0, after=now.seen_target or 0
        )


def _by_reconcile(before: AccountView, after: AccountView, was: Copy, now: Copy, fact: Reconciled) -> Iterator[Event]:
    ended = [order for order in fact.past_orders if order.order == was.order and order.status is OrderStatus.CANCELLED]
    is_found = was.position is None and now.position is not None
    taken: tuple[Event, ...] = ()
    if is_found and not now.share and before.rules >= TAKEN_BEFORE_SEEN:
        taken = tuple(_taken_before_seen(before, after.at_us, now, fact))
    if was.position is not None or (is_found and before.rules >= ENDED_IN_PART):
        filled = next((told.before for told in taken if isinstance(told, CopyTouched)), now.volume)
        for order in ended:
            yield from _of_rest(before, was, replace(now, volume=Volume(filled)), order)
    yield from _of_order(before, after, was, now)
    yield from taken
    if was.position is None or was.position != now.position or now.share or now.position not in after.positions:
        return
    stopped = {order.order for order in fact.past_orders if order.stop_out}
    if before.rules < STOP_OUTS_LATCH and any(
        deal.position == now.position and deal.order in stopped for deal in fact.deals
    ):
        yield StopOutSeen(link=now.link, source=now.source)
    is_filling = now.order is not None and (now.order in after.orders or was.order in before.orders)
    if now.volume != was.volume and not is_filling and not _explained(before, was, now):
        yield CopyTouched(
            link=now.link, source=now.source, what="volume", before=_ours_of(before, was, now), after=now.volume
        )
    elif fact.quiet:
        yield from _taken_beside_fills(before, was, now, fact)
    has_filled = is_filling and now.volume > was.volume and before.rules >= PARTS_MOVE_LEVELS
    for touched in _levels(before, after, was, now):
        may_be_carried = was.awaits_protection or has_filled
        if not may_be_carried or (before.rules >= OWN_LEVELS and _is_elses(after, now, touched)):
            yield touched


def _taken_beside_fills(before: AccountView, was: Copy, now: Copy, fact: Reconciled) -> Iterator[CopyTouched]:
    """Of what its opens and adds had filled out of sight its position lacks a part that others have closed since we
    last knew of it; as much as it is short of its target by that."""
    intents = before.intents_of(now.key)
    since_ms = min((intent.after_ms for intent in intents), default=0)
    told = {order.order: order for order in (*fact.past_orders, *fact.orders) if order.position == now.position}
    closed = sum(order.executed_volume for order in told.values() if order.closing and order.updated_ms > since_ms)
    taken = min(missing(before, was, now, fact), closed, int(now.target) - now.volume)
    if taken > 0:
        whole = Volume(now.volume + taken)
        yield CopyTouched(link=now.link, source=now.source, what="volume", before=whole, after=now.volume)


def _taken_before_seen(before: AccountView, at_us: int, now: Copy, fact: Reconciled) -> Iterator[Event]:
    """Of what its orders had filled out of sight, a position that has just come to light lacks a part that others have
    closed. Either may have gone on since the snapshot was taken: what both agree in counts. Where the snapshot is the
    newer one, and its orders had ended by then, all that it lacks was closed; it may lag behind the history, so this
    counts after the settling time alone."""
    told = {order.order: order for order in (*fact.past_orders, *fact.orders) if order.position == now.position}
    filled = sum(order.executed_volume for order in told.values() if not order.closing)
    closed = sum(order.executed_volume for order in told.values() if order.closing)
    taken = min(filled - now.volume, closed)
    asked = [intent for intent in before.intents_of(now.key) if intent.command.kind.adds_risk]
    is_settled = asked and all(is_proof(before, intent, fact, at_us) for intent in asked)
    if is_settled and fact.quiet and before.rules >= TAKEN_SINCE_READ:
        is_over = all(order.status is not OrderStatus.ACCEPTED for order in told.values())
        taken = filled - now.volume if is_over else taken
    if taken <= 0:
        return
    if any(order.stop_out and order.executed_volume for order in told.values()):
        yield StopOutSeen(link=now.link, source=now.source)
    if now.volume > 0:
        whole = Volume(now.volume + taken)
        yield CopyTouched(link=now.link, source=now.source, what="volume", before=whole, after=now.volume)


def _is_elses(view: AccountView, copy: Copy, touched: CopyTouched) -> bool:
    """Whether a level that came to light after a cut is another than the one that our order carried to the broker."""
    spec, terms, paid = view.specs.get(copy.symbol), copy.goal.terms, copy.open_price
    if spec is None or paid is None or not touched.after or touched.what == "trailing":
        return False  # one that is missing may not be set yet
    carried = None if terms is None else (terms.relative_stop, terms.relative_target)
    if carried is None and view.rules >= CARRIED_LEVELS:
        carried = copy.carried
    if carried is None and copy.goal.is_exact and copy.applied is None and view.rules >= MOVED_SINCE:
        return False
    if carried is not None:
        distance = carried[0] if touched.what == "stop" else carried[1]
        sign = -copy.side.sign if touched.what == "stop" else copy.side.sign
        ours = None if distance is None else Price(paid + sign * distance)
    else:
        wanted = wanted_levels(spec, copy.side, copy.goal, paid)
        ours = wanted.stop if touched.what == "stop" else wanted.target
    return ours is None or abs(touched.after - ours) > NEAR_TICKS * spec.tick


def _levels_of_nets(before: AccountView, after: AccountView, close: Intent | None = None) -> Iterator[CopyTouched]:
    """A stop or target of a net that somebody moved: it is that of its side's shares, until their leader moves his.

    Told by the position itself, once no request of ours is under way but the close that shows it, and the broker sets
    none that an order carried.
    """
    if before.rules < NETS_ARE_PINNED or not after.is_netted():
        return
    busy = {intent.command.symbol for intent in before.intents.values() if close is None or intent.key != close.key}
    if before.rules >= NETS_IN_DOUBT:
        busy |= {copy.symbol for copy in after.copies.values() if copy.share and after.in_doubt(copy)}
    for number, now in after.positions.items():
        was = before.positions.get(number)
        shares = [share for share in after.copies.values() if share.share and share.position == number]
        if was is None or not shares or now.symbol in busy or was.side is not now.side:
            continue
        if not all(_is_at_rest(before, after, share) for share in shares):
            continue
        if before.rules >= LEVELS_OF_ONE_SIDE:
            shares = [share for share in shares if share.side is now.side]
        ours = [share.applied for share in shares if share.applied is not None]
        moved: list[tuple[str, int | None, int | None]] = []
        if not now.trailing and all(one.stop != now.stop for one in ours):
            moved.append(("stop", was.stop, now.stop))
        if all(one.target != now.target for one in ours):
            moved.append(("target", was.target, now.target))
        if all(one.trailing is not now.trailing for one in ours):
            moved.append(("trailing", int(was.trailing), int(now.trailing)))
        for what, level, to in moved:
            for share in shares if level != to else ():
                yield CopyTouched(link=share.link, source=share.source, what=what, before=level or 0, after=to or 0)


def _is_at_rest(before: AccountView, after: AccountView, share: Copy) -> bool:
    """Whether a share was in its net already, and the broker sets no levels that an order of it carried."""
    was = before.copies.get(share.key)
    is_new = was is None or was.position != share.position or was.awaits_protection
    return not (is_new or share.awaits_protection or after.at_us <= share.levels_until_us)


def touches_of_nets(before: AccountView, view: AccountView, fact: Event) -> Iterator[Event]:
    """What somebody else took off a net that shares have: told by our ledger, once no request of ours is under way, or
    by his deal while orders of shares are that tell theirs themselves."""
    if not view.copies or not isinstance(fact, ExecutionSeen | Reconciled) or not view.is_netted():
        return
    busy = {intent.command.symbol for intent in view.intents.values() if not _has_not_left(before, view, intent)}
    shares = [copy for copy in view.copies.values() if copy.share and copy.position is not None]
    rests = _resting(view, fact)
    busy |= {copy.symbol for copy in view.copies.values() if copy.share and (copy.doubt or _is_filling(copy, rests))}
    for symbol in sorted({copy.symbol for copy in shares}):
        if symbol in busy and not _is_told_by_deal(before, view, fact, symbol):
            continue
        if not any(position.symbol == symbol for position in view.positions.values()):
            continue  # a net that is gone ends all its shares
        for share, left in losses(view, symbol):
            held = int(share.volume)
            yield CopyTouched(link=share.link, source=share.source, what="volume", before=held, after=int(left))


def _has_not_left(before: AccountView, view: AccountView, intent: Intent) -> bool:
    """Whether a request was put on record by this very fact, as where a look shows that an open never arrived."""
    known = before.intents.get(intent.intent)
    is_new = known is None or known.state is not IntentState.RECORDED
    return intent.state is IntentState.RECORDED and is_new and view.rules >= UNSENT_HIDE_NOTHING


def _is_told_by_deal(before: AccountView, view: AccountView, fact: Event, symbol: SymbolId) -> bool:
    """Whether a deal of somebody else's took what a net lacks, though orders of its shares are under way: they tell
    their own deals by their names. A close might have taken it, too, as might what is unknown."""
    deal = fact.deal if isinstance(fact, ExecutionSeen) else None
    if deal is None or deal.symbol != symbol or view.rules < LOSSES_ARE_TOLD or deal.deal in before.deals:
        return False
    order = fact.order if isinstance(fact, ExecutionSeen) else None
    names = (fact.client_msg_id if isinstance(fact, ExecutionSeen) else "", order.client_order_id if order else "")
    if order is None or order.type.is_pending or any(read_label(name) for name in names if name):
        return False
    lost = tuple(losses(view, symbol))
    if not 0 < sum(share.volume - left for share, left in lost) <= deal.filled_volume or is_untold(view, symbol):
        return False
    sides = {share.key: share.side for share, _ in lost}
    moving = [intent for intent in view.intents.values() if intent.command.symbol == symbol]
    return all(
        intent.command.kind in (CommandKind.OPEN, CommandKind.ADD)
        and intent.command.side is sides.get(intent.key, intent.command.side)
        for intent in moving
        if intent.command.kind in MOVING
    )


def _resting(view: AccountView, fact: Event) -> frozenset[OrderId]:
    """The orders of which a look shows beside the positions that they rest, and how much they have filled."""
    if not isinstance(fact, Reconciled) or not fact.quiet or view.rules < RESTS_ARE_SHOWN:
        return frozenset()
    return frozenset(order.order for order in fact.orders if order.is_resting)


def _is_filling(copy: Copy, rests: frozenset[OrderId]) -> bool:
    """Whether a resting order of a copy may have filled without our knowing."""
    return copy.order is not None and not copy.ended_order and copy.order not in rests
