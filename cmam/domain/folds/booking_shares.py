"""What an execution makes of the shares of a net: booked by the deals of their own orders, and priced by what was dealt
against them.
"""

from __future__ import annotations

from cmam.domain.belief import refused
from cmam.domain.belief.belonging import is_fill_of, key_of_order
from cmam.domain.belief.copies import Copy, Intent
from cmam.domain.belief.holdings import SETTLED_US
from cmam.domain.belief.proofs import ENDED_ORDER
from cmam.domain.belief.shares import closed_by, losses, moved, net_held, net_of_ledger
from cmam.domain.belief.view import AccountView, put
from cmam.domain.events import ExecutionSeen
from cmam.domain.folds.joining import PROTECTION_US, attach, joined
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.nets import (
    LAST_PARTS_OF_RESTS,
    NETS_ARE_BEHIND,
    ORDERS_LEVELS_OF_NETS,
    REST_COUNTED_ONCE,
    SHARES_ARE_PRICED,
    TURNED_NETS,
    TURNED_UNDER_CLOSE,
)
from cmam.domain.values.rules.resting import ENDED_IN_PART
from cmam.domain.values.rules.sight import ENDS_TELL_PARTS
from cmam.domain.values.trades import Deal, Order, OrderStatus


def book_share(
    view: AccountView, copy: Copy, event: ExecutionSeen, intent: Intent | None, deal: Deal | None, at_us: int
) -> AccountView:
    """What an execution says of a share; where its order carries a stop to the net, all shares of that await it."""
    booked = _booked(view, copy, event, intent, deal, at_us)
    if deal is not None and intent is not None and _is_given_up_with_stop(copy, intent):
        return _awaiting_levels_of_net(booked, copy, at_us)
    return booked


def with_last_part(view: AccountView, order: Order) -> AccountView:
    """What a share has of its resting order at the end of that, where more was executed than was known of it: its last
    part comes with that end alone. Of one that has nothing yet that is known by its opening.
    """
    known, key = view.orders.get(order.order), key_of_order(view, order.order)
    copy = view.copies[key] if key is not None else None
    is_over = order.status in ENDED_ORDER and view.rules >= LAST_PARTS_OF_RESTS
    if known is None or copy is None or copy.position is None or not copy.share or not is_over:
        return view
    beyond = (net_held(view, copy.symbol) - net_of_ledger(view, copy.symbol)) * copy.side.sign
    volume = Volume(copy.volume + max(0, min(order.executed_volume - known.executed_volume, beyond)))
    return put(view, replace(copy, volume=volume, opened_volume=Volume(max(copy.opened_volume, volume))))


def note_on_others(
    view: AccountView, copy: Copy, event: ExecutionSeen, intent: Intent | None, deal: Deal | None, at_us: int
) -> AccountView:
    """What an execution of a share says of the other shares of its net: what some have lost by it, and at which price,
    or the levels that all have now."""
    if deal is not None:
        is_nobodys = intent is None and view.rules >= SHARES_ARE_PRICED
        return _losers_priced(view, copy, deal) if is_nobodys else view
    is_brokers = event.is_server_event and view.rules >= ORDERS_LEVELS_OF_NETS
    return _shares_with_theirs(view, copy, at_us) if is_brokers else view


def _booked(
    view: AccountView, copy: Copy, event: ExecutionSeen, intent: Intent | None, deal: Deal | None, at_us: int
) -> AccountView:
    """On a netted account a copy is a part of the net: it grows and shrinks by the deals of its own orders.

    A resting order fills long after the request that placed it was settled: then it is known by its own id.
    """
    kind = intent.command.kind if intent is not None else None
    is_fill = is_fill_of(copy, event)
    if deal is None and intent is not None and kind is CommandKind.CLOSE and event.deal is None:
        return _by_end(view, copy, intent, event.order)
    if deal is None or (kind is None and not is_fill):
        return view
    if intent is None and view.rules >= REST_COUNTED_ONCE and _is_counted(view, copy, deal, at_us):
        return view
    if (is_fill or kind in (CommandKind.OPEN, CommandKind.PLACE)) and copy.position is None:
        view = attach(view, replace(copy, volume=Volume(0)), deal.position, deal.price, at_us)
        copy = view.copies[copy.key]
    if intent is not None and kind is CommandKind.CLOSE and deal.side is not copy.side:
        view, volume = _closed(view, copy, intent, deal)
    else:
        signed = deal.filled_volume if deal.side is copy.side else -deal.filled_volume
        volume = Volume(max(0, copy.volume + signed))
    is_flat = not any(position.symbol == copy.symbol for position in view.positions.values())
    may_flatten = copy.goal.net_cap > 0 or view.rules < TURNED_UNDER_CLOSE
    if kind is CommandKind.CLOSE and deal.side is copy.side and is_flat and may_flatten:
        return _flattened(view, copy)
    for share in tuple(view.copies.values()):
        is_left_behind = share.share and share.position is not None and share.position not in view.positions
        if is_left_behind and share.symbol == copy.symbol and share.key != copy.key:
            view = put(view, moved(view, share, deal.position))
    if copy.position not in view.positions:
        copy = moved(view, copy, deal.position)
    if view.rules >= TURNED_NETS and deal.position in view.positions and deal.position not in view.by_position:
        view = replace(view, by_position={**view.by_position, deal.position: copy.key})
    return put(view, replace(copy, volume=volume, opened_volume=Volume(max(copy.opened_volume, volume))))


def _closed(view: AccountView, copy: Copy, intent: Intent, deal: Deal) -> tuple[AccountView, Volume]:
    """What is left of a share that a close of its own has taken off the net, booked for those that end with it."""
    own, left = 0, max(0, intent.command.volume - intent.filled)
    for share, volume in closed_by(view, copy, deal.filled_volume, left):
        if share.key == copy.key:
            own = volume
        else:
            view = put(view, replace(share, volume=Volume(share.volume - volume), close_price=deal.price))
    return view, Volume(copy.volume - own)


def _by_end(view: AccountView, copy: Copy, intent: Intent, order: Order | None) -> AccountView:
    """A share whose close is at its end, of which that tells more executed than deals have told: with the rest of an
    order that dies its last part may be told, and by nothing else."""
    is_over = order is not None and order.closing and order.status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
    if order is None or not is_over or view.rules < ENDS_TELL_PARTS:
        return view
    untold = min(order.executed_volume, intent.command.volume) - intent.filled
    for share, volume in closed_by(view, copy, max(0, untold), 0):
        view = put(view, replace(share, volume=Volume(share.volume - volume)))
    return view


def _is_counted(view: AccountView, copy: Copy, deal: Deal, at_us: int) -> bool:
    """Whether a reconcile has booked a deal of a resting order before its event came: histories tell orders, not deals,
    so that the deal itself is new; as does the end of its order. The net as it stands with it is what its shares add up
    to without it."""
    is_told = at_us - view.reconciled_us < SETTLED_US or (copy.ended_order and view.rules >= ENDED_IN_PART)
    if copy.position != deal.position or not is_told:
        return False
    return net_held(view, copy.symbol) == net_of_ledger(view, copy.symbol)


def _flattened(view: AccountView, copy: Copy) -> AccountView:
    """The net was closed to flat because a share's end would have raised it above its cap: all its shares are over."""
    for share in tuple(view.copies.values()):
        if share.share and share.symbol == copy.symbol:
            view = put(view, replace(share, volume=Volume(0), ending=share.ending or Reason.MAX_LOTS))
    return view


def share_of_refused(view: AccountView, copy: Copy, deal: Deal, at_us: int) -> AccountView:
    """A share takes whatever fills: what is too much is given up as ever, and all of it where the share was over."""
    if copy.key not in view.copies:
        copy = refused.revived(copy)
    if copy.position is None:
        view, copy = joined(view, replace(refused.found(copy), volume=Volume(0)), deal.position, deal.price, at_us)
    signed = deal.filled_volume if deal.side is copy.side else -deal.filled_volume
    volume = Volume(max(0, copy.volume + signed))
    return put(view, replace(copy, volume=volume, opened_volume=Volume(max(copy.opened_volume, volume))))


def is_ordered_by_share(view: AccountView, intent: Intent) -> bool:
    """Whether this is an order of a share: what it counts ahead of its deals is booked to nobody yet."""
    copy = view.copies.get(intent.key)
    return copy is not None and copy.share and intent.command.kind is not CommandKind.CLOSE


def is_told_ahead(view: AccountView, intent: Intent, event: ExecutionSeen) -> bool:
    """Whether a history has told a deal of a share's order under way before its event came: by the order, which tells
    no deals, so that the deal itself is new."""
    deal, order = event.deal, event.order
    if deal is None or view.rules < NETS_ARE_BEHIND or not is_ordered_by_share(view, intent):
        return False
    filled = intent.filled + deal.filled_volume
    if filled > intent.command.volume:
        return True
    executed = order.executed_volume if order is not None and order.client_order_id == intent.intent else 0
    symbol, sign = intent.command.symbol, deal.side.sign
    return filled > executed > 0 and (net_held(view, symbol) - net_of_ledger(view, symbol)) * sign <= 0


def _losers_priced(view: AccountView, copy: Copy, deal: Deal) -> AccountView:
    """The shares that lose by a deal that none of them asked for, with its price."""
    for share, _ in tuple(losses(view, copy.symbol)):
        if share.side is not deal.side and share.close_price != deal.price:
            view = put(view, replace(view.copies[share.key], close_price=deal.price))
    return view


def is_close_of(view: AccountView, copy: Copy, deal: Deal) -> bool:
    """Whether a deal has closed something of a copy. What it was to a net says nothing of a share: an open against the
    net closes a part of that, and a close of what was against it opens."""
    if copy.share and view.rules >= SHARES_ARE_PRICED:
        return deal.side is not copy.side
    return deal.close is not None


def _is_given_up_with_stop(copy: Copy, intent: Intent) -> bool:
    """Whether an order by which a share gives up what it holds carries a stop, which becomes that of the net."""
    command = intent.command
    return command.kind is CommandKind.ADD and command.side is not copy.side and command.relative_stop is not None


def _awaiting_levels_of_net(view: AccountView, copy: Copy, at_us: int) -> AccountView:
    """All shares of a net of which the broker sets the levels that an order of one of them carried: that one ends."""
    for share in tuple(view.copies.values()):
        if share.share and share.symbol == copy.symbol:
            view = put(view, replace(share, levels_until_us=at_us + PROTECTION_US))
    return view


def _shares_with_theirs(view: AccountView, copy: Copy, at_us: int) -> AccountView:
    """The shares of a net on which the broker has set what the order of one of them carried."""
    held = view.positions.get(copy.position) if copy.position is not None else None
    shares = [share for share in view.copies.values() if share.share and share.position == copy.position]
    if held is None or not any(at_us <= share.levels_until_us for share in shares):
        return view
    for share in shares:
        ours = share.applied
        if ours is not None and (held.stop, held.target) != (ours.stop, ours.target):
            view = put(view, replace(share, applied=None))
    return view
