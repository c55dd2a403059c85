"""Positions as the broker's snapshots and deals tell them.

The newest snapshot by the broker's own time wins; one of a position that is known to be closed does not raise it again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cmam.domain.belief.copies import Intent
from cmam.domain.belief.held import with_position, without_position
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen, Reconciled, TrailingStopMoved
from cmam.domain.values.ids import DealId, OrderId, PositionId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.replacing import copied, replace, without
from cmam.domain.values.rules.levels import LOOSENED_AT_ONCE, TRAILED_BEFORE, TRAILED_ON, TRAILS_ONE_WAY
from cmam.domain.values.rules.nets import DEALS_TAKE_NETS, WHAT_TRAILS
from cmam.domain.values.rules.sight import (
    ACCEPTED_ALONE,
    ACCEPTED_BEFORE,
    ACCEPTED_SHOW_AHEAD,
    BARE_WORDS_TRADE_NOTHING,
    CLOSED_STAYS,
    DEALS_OPEN,
    ENDS_OPEN_NOTHING,
    PARTS_IN_ANY_ORDER,
    PARTS_OF_HISTORIES,
    SHOWN_AHEAD,
    SHOWN_BEFORE,
    STANDS_AGAIN,
    SWAPS_LOOSEN_NOTHING,
    SWAPS_MOVE_NOTHING,
    SWAPS_TRADE_NOTHING,
    UNTIMED_AGAIN,
    UNTIMED_HOLDS,
    UNTIMED_SHOW_AHEAD,
)
from cmam.domain.values.trades import (
    AccountType,
    Deal,
    ExecutionKind,
    Order,
    OrderType,
    Position,
    PositionStatus,
)

CLOSED_REMEMBERED = 512
"""How many closed positions are remembered against late snapshots of them; far more than may be in flight."""

_EXECUTES_NOTHING = (ExecutionKind.ORDER_ACCEPTED, ExecutionKind.OTHER)
"""What is no end of a position by its word alone."""

_FILLS = (ExecutionKind.ORDER_FILLED, ExecutionKind.ORDER_PARTIAL_FILL)

_ENDS = (ExecutionKind.ORDER_CANCELLED, ExecutionKind.ORDER_EXPIRED, ExecutionKind.ORDER_REJECTED)
"""How orders end without having executed anything by that."""

UNTOLD_REMEMBERED = 64
"""How many positions are remembered that moved more than their deals have told."""

CLOSED_US = 60_000_000
"""How long no snapshot opens again what an event has told closed: a history that is asked for behind it may keep it
from being recorded for long. What stands after that is believed, whatever was told of it."""

SETTLED_US = 10_000_000
"""How long after a reconcile events may still come that its snapshot holds already."""

WHOLE_SECOND_MS = 1_000
"""A time of a whole second is of a clock that counts no finer, more often than not."""


def take_position(
    view: AccountView, seen: Position, *, is_new_deal: bool = False, is_newest: bool = False, is_asked: bool = False
) -> AccountView:
    """Take the newest snapshot of a position; volume 0 means it is gone, whatever its status says.

    A netted position may be emptied and filled again within one millisecond: then a new deal tells the two apart. With
    `is_newest` times are not asked: a broker's clock that steps back would make all it says old for ever.
    What answers an amendment of ours (`is_asked`) has set the stop where it shows it.
    """
    known = view.positions.get(seen.position)
    if is_newest:
        known = None if known is None else replace(known, updated_ms=min(known.updated_ms, seen.updated_ms))
        view = replace(view, closed=without(view.closed, seen.position)) if seen.position in view.closed else view
    closed_ms = view.closed.get(seen.position, 0)
    may_be_old = not is_new_deal and not (view.rules >= STANDS_AGAIN and known is not None and _is_alike(known, seen))
    if seen.updated_ms and (seen.updated_ms < closed_ms or (seen.updated_ms == closed_ms and may_be_old)):
        return view
    if known is not None and seen.updated_ms and seen.updated_ms < known.updated_ms:
        return view
    if known is not None and view.rules >= LOOSENED_AT_ONCE:
        view, seen = _with_way(view, known, seen, is_newest=is_newest or is_asked)
    elif known is not None and not is_newest and view.rules >= TRAILED_ON:
        seen = _trailed_on(known, seen)
    if seen.volume > 0 and seen.status in (PositionStatus.OPEN, PositionStatus.ERROR):
        return replace(view, positions=with_position(view.positions, seen))
    if known is None:
        return view
    return drop_position(view, seen.position, max(seen.updated_ms, seen.closed_ms, known.updated_ms))


def _trailed_on(known: Position, seen: Position) -> Position:
    """A snapshot of the moment of what is known, with the stop as far as it has trailed since: that moves no time, and
    a trailing stop goes back only by an amendment, which does."""
    is_of_one_moment = seen.updated_ms == known.updated_ms and seen.side is known.side
    if not is_of_one_moment or not (known.trailing and seen.trailing) or known.stop is None or seen.stop is None:
        return seen
    is_tighter = (known.stop - seen.stop) * known.side.sign > 0
    return replace(seen, stop=known.stop) if is_tighter else seen


def _with_way(view: AccountView, known: Position, seen: Position, *, is_newest: bool) -> tuple[AccountView, Position]:
    """The view with the way that a stop has trailed, and a snapshot that lies on that way with the stop at its end.

    A looser stop that is not on it was set in that moment, unless a snapshot has just shown where the stop is: what
    was told before that may come behind it. Of a broker that tells no times what comes last is believed.
    """
    number = seen.position
    begin = view.trailed_from.get(number)
    is_of_one_moment = 0 < seen.updated_ms == known.updated_ms and seen.side is known.side
    is_one_way = is_of_one_moment and known.trailing and seen.trailing
    if not is_one_way or is_newest or known.stop is None or seen.stop is None:
        return _without_way(view, number), seen
    ahead = (seen.stop - known.stop) * known.side.sign
    if ahead >= 0:
        if ahead and begin is None:
            view = replace(view, trailed_from={**view.trailed_from, number: known.stop})
        return view, seen
    is_behind = begin is not None and (seen.stop - begin) * known.side.sign >= 0
    is_held_back = view.at_us - view.reconciled_us < SETTLED_US
    if is_behind or is_held_back:
        return view, replace(seen, stop=known.stop)
    return _without_way(view, number), seen


def _without_way(view: AccountView, position: PositionId) -> AccountView:
    if position not in view.trailed_from:
        return view
    return replace(view, trailed_from=without(view.trailed_from, position))


def _is_alike(known: Position, seen: Position) -> bool:
    """Whether two snapshots of a position tell the same of what is held, so that none is of before the other."""
    return (known.side, known.volume) == (seen.side, seen.volume)


def is_told_again(view: AccountView, event: ExecutionSeen) -> bool:
    """Whether an event shows a position as it was earlier, though its time does not say so.

    Before its order filled it is created, with nothing in it (wire.md#before-the-fill), and carries no time, or that of
    its order, which is the fill's where both were of one millisecond; one that was closed can look the same, but beside
    the deal or the order that closed it, and an acceptance closes nothing. What a deal left that is known is no newer
    than what is known of the same millisecond, unless it leads on from there: a history may tell deals ahead of their
    events. Of a broker that tells no times it is no newer at all, unless a look has just told it ahead of its event and
    it leads on from what that has shown; nor is what the acceptance of an order shows.
    """
    order, seen, deal = event.order, event.position, event.deal
    if seen is None:
        return False
    known = view.positions.get(seen.position)
    is_same = known is not None and 0 < seen.updated_ms == known.updated_ms
    if deal is not None:
        is_untimed = not seen.updated_ms and view.rules >= UNTIMED_AGAIN
        leads_on = _signed(seen) == _signed(known) + int(deal.filled_volume) * deal.side.sign
        is_news = leads_on and view.rules >= PARTS_OF_HISTORIES
        if is_untimed:
            is_recent = view.at_us - view.reconciled_us < SETTLED_US and seen.position not in view.closed
            is_ahead = deal.deal in view.told_ahead or view.rules < UNTIMED_HOLDS
            is_same, is_news = True, is_news and is_recent and is_ahead
        return is_same and deal.is_execution and deal.deal in view.deals and not is_news
    is_before = not seen.updated_ms or (is_same and not seen.opened_ms and view.rules >= ACCEPTED_BEFORE)
    is_new = seen.status is PositionStatus.CREATED and seen.volume == 0 and is_before
    if order is None:
        return is_new and event.kind in _EXECUTES_NOTHING and view.rules >= ACCEPTED_ALONE
    if known is None and seen.position in view.closed:
        is_end = event.kind in _ENDS and not seen.updated_ms and view.rules >= ENDS_OPEN_NOTHING
        if is_end or _protects_untimed(view, event):
            return True
    is_acceptance = event.kind is ExecutionKind.ORDER_ACCEPTED and order.type is not OrderType.PROTECTION
    if is_acceptance and seen.volume and not (seen.updated_ms or order.executed_volume):
        return view.rules >= UNTIMED_AGAIN and (known is not None or seen.position in view.closed)
    return is_new and order.executed_volume == 0 and not order.closing and order.type is not OrderType.PROTECTION


def _protects_untimed(view: AccountView, event: ExecutionSeen) -> bool:
    """Whether an event is about a protective order alone, which has executed nothing, and its position's time says not
    that it is news: it has none, or that of what is known."""
    order, seen = event.order, event.position
    if order is None or seen is None or order.type is not OrderType.PROTECTION or order.executed_volume:
        return False
    known = view.positions.get(seen.position)
    is_untimed = not seen.updated_ms or (known is not None and seen.updated_ms == known.updated_ms)
    return is_untimed and event.deal is None and view.rules >= UNTIMED_HOLDS


def _is_of_before(view: AccountView, event: ExecutionSeen, known: Position) -> bool:
    """Whether a bare word, of no schema or of no order and no fill, shows another volume than is known, and neither a
    deal nor a time says that this is news."""
    seen = event.position
    if seen is None or event.deal is not None or seen.updated_ms not in (0, known.updated_ms):
        return False
    return not _is_alike(known, seen) and view.rules >= BARE_WORDS_TRADE_NOTHING


def as_told(view: AccountView, event: ExecutionSeen, seen: Position) -> Position:
    """The position of an event without a new deal, as it counts: where a protective order tells it without a time that
    says so, it may be of before, so that its levels count, and of what is held only what nothing else has told; a bare
    word that is so counts not at all. Of a swap that is told so its swap counts alone, as of one that shows a trade
    which nothing has told: that is the next look's. No swap takes a trailing stop back. A net is taken away by a deal,
    not by the end of what protected it."""
    known = view.positions.get(seen.position)
    if known is not None and _ends_with_its_net(view, event, seen):
        return known
    if known is not None and event.kind is ExecutionKind.SWAP and view.rules >= SWAPS_MOVE_NOTHING:
        is_alone = seen.updated_ms in (0, known.updated_ms) or _is_traded_unseen(view, known, seen)
        if is_alone:
            return replace(known, swap=seen.swap)
        is_later = seen.updated_ms > known.updated_ms and view.rules >= SWAPS_LOOSEN_NOTHING
        return _trailed_on(replace(known, updated_ms=seen.updated_ms), seen) if is_later else seen
    is_bare = event.kind is ExecutionKind.OTHER or (event.order is None and event.kind not in _FILLS)
    if is_bare and known is not None and _is_of_before(view, event, known):
        return known
    if known is None or not _protects_untimed(view, event):
        return seen
    return replace(seen, side=known.side, volume=known.volume, status=known.status)


def _is_traded_unseen(view: AccountView, known: Position, seen: Position) -> bool:
    """Whether what a charge shows of a position that is no copy's has been traded, and not been told yet."""
    is_later = seen.updated_ms > known.updated_ms and seen.volume > 0
    is_traded = is_later and not _is_alike(known, seen) and seen.position not in view.by_position
    return is_traded and view.rules >= SWAPS_TRADE_NOTHING


def _ends_with_its_net(view: AccountView, event: ExecutionSeen, seen: Position) -> bool:
    """Whether an event tells the end of a protective order alone, whose net is gone by a deal that is yet to be told:
    it may be an order of a share's."""
    order = event.order
    if order is None or order.type is not OrderType.PROTECTION or event.kind not in _ENDS or seen.volume:
        return False
    return not order.executed_volume and event.deal is None and view.is_netted() and view.rules >= DEALS_TAKE_NETS


def take_dealt(
    view: AccountView, seen: Position, deal: Deal, at_us: int, *, is_ours: bool, is_shown: bool = False
) -> AccountView:
    """Take a position as the event of a new deal shows it, and note what its deals have not told yet.

    What is older than what is known has come late, and is in it already: then more was shown before than deals had
    told. Where nothing is untold and the deal leads straight from what is known to what is shown, the broker's clock
    was set back, and the deal counts. Right after a reconcile nobody can tell the two apart, except of a request of
    ours (`is_ours`): had the snapshot shown what it did, it would have been settled; where it has, and the request is
    known to have filled all that the event tells (`is_shown`), it is in it. Parts of one moment may be told in any
    order: one that shows less than is known, on the way of what its deals have not told yet, is of before. What a deal
    has opened is held, also where the position beside it is still empty.
    """
    known = view.positions.get(seen.position)
    held, shown = _signed(known), _signed(seen)
    moved = int(deal.filled_volume) * deal.side.sign
    untold = view.untold.get(seen.position, 0)
    last_ms = known.updated_ms if known is not None else view.closed.get(seen.position, 0)
    if known is None and not shown and _is_opened_by(view, seen, deal):
        return book_deal(view, deal)
    is_same = seen.updated_ms in (0, last_ms)
    if is_same and shown == held:  # a snapshot, or the event of another deal, has shown it before
        return _note_untold(view, seen.position, untold - moved) if untold else view
    is_late = 0 < seen.updated_ms < last_ms or (is_same and untold == moved)
    if is_same and untold and view.rules >= PARTS_IN_ANY_ORDER:
        is_behind = untold * moved > 0 and abs(moved) <= abs(untold) and (held - shown) * moved > 0
        is_late = is_behind or (untold == moved and shown != held + moved)
    if not is_late:
        view = _note_untold(view, seen.position, untold + shown - held - moved)
        return take_position(view, seen, is_new_deal=True)
    if untold:
        return _note_untold(view, seen.position, untold - moved)
    is_straight = shown == held + moved and not is_shown and (is_ours or at_us - view.reconciled_us >= SETTLED_US)
    return take_position(view, seen, is_new_deal=True, is_newest=True) if is_straight else view


def note_ahead(view: AccountView, event: ExecutionSeen, former: Mapping[PositionId, Position]) -> AccountView:
    """Note by how much the event of an order that has executed nothing, be it protective or just accepted, shows a
    position moved: by a deal that has yet to be told."""
    order, seen = event.order, event.position
    if seen is None or order is None or event.deal is not None:
        return view
    if order.type is not OrderType.PROTECTION and view.rules < ACCEPTED_SHOW_AHEAD:
        return view
    moved = _signed(view.positions.get(seen.position)) - _signed(former.get(seen.position))
    if not moved or order.executed_volume or view.rules < SHOWN_AHEAD:
        return view
    return _note_untold(view, seen.position, view.untold.get(seen.position, 0) + moved)


def note_shown(
    view: AccountView, event: Reconciled, former: Mapping[PositionId, Position], deals: Collection[DealId]
) -> AccountView:
    """Note by how much a look shows what is no copy's, and tells no time, moved since it was one of the `former`: but
    for what its own history tells, by deals whose events may be on their way."""
    moved: dict[PositionId, int] = {}
    for seen in event.positions:
        if not seen.updated_ms and seen.position not in view.by_position:
            moved[seen.position] = _signed(view.positions.get(seen.position)) - _signed(former.get(seen.position))
    for deal in event.deals if moved else ():
        if deal.position in moved and deal.is_execution and deal.deal not in deals:
            moved[deal.position] -= int(deal.filled_volume) * deal.side.sign
    return replace(view, untold={one: by for one, by in moved.items() if by}) if moved else view


def _is_shown_ahead(view: AccountView, known: Position, deal: Deal) -> bool:
    """Whether what a deal has moved was shown before it, by a position that is no older, or by one that tells no time
    in a look of a moment ago."""
    untold, moved = view.untold.get(deal.position, 0), int(deal.filled_volume) * deal.side.sign
    is_in_it = untold * moved > 0 and abs(moved) <= abs(untold)
    is_recent = view.rules >= UNTIMED_SHOW_AHEAD and view.at_us - view.reconciled_us < SETTLED_US
    is_no_older = deal.executed_ms <= known.updated_ms or (not known.updated_ms and is_recent)
    return is_in_it and is_no_older and view.rules >= SHOWN_AHEAD


def _is_opened_by(view: AccountView, seen: Position, deal: Deal) -> bool:
    """Whether a deal has opened a position that its event shows empty, as it was before."""
    is_before = seen.status in (PositionStatus.CREATED, PositionStatus.OPEN) and seen.position not in view.closed
    return is_before and deal.close is None and deal.side is seen.side and view.rules >= DEALS_OPEN


def _signed(position: Position | None) -> int:
    """A volume with its side's sign."""
    return 0 if position is None else int(position.volume) * position.side.sign


def _note_untold(view: AccountView, position: PositionId, untold: int) -> AccountView:
    if untold == view.untold.get(position, 0):
        return view
    if not untold:
        return replace(view, untold=without(view.untold, position))
    others = copied(view.untold)
    others[position] = untold
    while len(others) > UNTOLD_REMEMBERED:
        others.pop(next(iter(others)))
    return replace(view, untold=others)


def drop_position(view: AccountView, position: PositionId, at_ms: int) -> AccountView:
    """Forget a position, and remember that it is gone."""
    closed = copied(view.closed)
    closed[position] = at_ms
    while len(closed) > CLOSED_REMEMBERED:
        closed.pop(next(iter(closed)))
    if position in view.doubted:
        view = replace(view, doubted=without(view.doubted, position))
    view = _without_way(view, position)
    return replace(
        view,
        positions=without_position(view.positions, position),
        origins=without(view.origins, position),
        origin_types=without(view.origin_types, position),
        closed=closed,
    )


def note_told_closed(view: AccountView, event: ExecutionSeen, former: Mapping[PositionId, Position]) -> AccountView:
    """Remember for a while that an event has told a hedged position closed, which was one of the `former`."""
    told = event.position or event.deal
    if told is None or told.position in view.positions or told.position not in former:
        return view
    if view.rules < CLOSED_STAYS or view.trader is None or view.trader.account_type is not AccountType.HEDGED:
        return view
    recent = {one: since_us for one, since_us in view.told_closed.items() if view.at_us - since_us < CLOSED_US}
    return replace(view, told_closed={**recent, told.position: view.at_us})


def without_told_closed(view: AccountView, event: Reconciled) -> Reconciled:
    """A snapshot without what was told closed a moment ago, and what it shows of before."""
    recent = {
        one
        for one, since_us in view.told_closed.items()
        if view.at_us - since_us < CLOSED_US and one not in view.positions
    }
    if not any(shown.position in recent for shown in event.positions):
        return event
    return replace(event, positions=tuple(shown for shown in event.positions if shown.position not in recent))


def with_origin(view: AccountView, position: PositionId, order: OrderId, known: Order | None) -> AccountView:
    """Note which order has opened a position, and of which type it was where that is known and not the market's."""
    view = replace(view, origins={**view.origins, position: order})
    if known is None or known.type in (OrderType.MARKET, OrderType.PROTECTION):
        return view
    return replace(view, origin_types={**view.origin_types, position: known.type})


def _is_shown(view: AccountView, deal: Deal, intent: Intent | None) -> bool:
    """Whether the last look, which was a moment ago, has shown what a deal left: it is not younger than what was shown.

    What was asked for since that look is not in it, whatever its time says. Of the very second of a clock that counts
    no finer nobody knows: that is booked.
    """
    shown_ms = view.shown_ms.get(deal.position, 0)
    if not deal.executed_ms or deal.executed_ms > shown_ms or view.rules < SHOWN_BEFORE:
        return False
    is_since = intent is not None and intent.recorded_us > view.reconciled_us
    if is_since or view.at_us - view.reconciled_us >= SETTLED_US:
        return False
    return deal.executed_ms < shown_ms or shown_ms % WHOLE_SECOND_MS != 0


def book_deal(view: AccountView, deal: Deal, intent: Intent | None = None) -> AccountView:
    """Book a deal whose event came without the position, and the request of ours that it belongs to, if it does."""
    known = view.positions.get(deal.position)
    if known is not None and view.shown_ms and _is_shown(view, deal, intent):
        return view
    if known is not None and view.untold and _is_shown_ahead(view, known, deal):
        moved = int(deal.filled_volume) * deal.side.sign
        return _note_untold(view, deal.position, view.untold[deal.position] - moved)
    if known is None:
        if deal.close is not None or deal.position in view.closed:
            return view
        fresh = Position(
            position=deal.position,
            symbol=deal.symbol,
            side=deal.side,
            volume=deal.filled_volume,
            price=deal.price,
            opened_ms=deal.executed_ms,
            updated_ms=deal.executed_ms,
        )
        return replace(view, positions=with_position(view.positions, fresh))
    signed = deal.filled_volume if deal.side is known.side else -deal.filled_volume
    left = known.volume + signed
    if left <= 0:
        return drop_position(view, deal.position, deal.executed_ms)
    changed = replace(known, volume=Volume(left), updated_ms=max(known.updated_ms, deal.executed_ms))
    return replace(view, positions=with_position(view.positions, changed))


def trail_stop(view: AccountView, event: TrailingStopMoved) -> AccountView:
    """Move the stop of a position to where the broker trailed it, unless the position was changed after that."""
    known = view.positions.get(event.position)
    if known is None or (0 < event.updated_ms < known.updated_ms and view.rules >= TRAILED_BEFORE):
        return view
    if view.rules >= WHAT_TRAILS and not (known.trailing and known.stop is not None):
        return view  # of what it was before it turned, or of a stop that has been taken away since
    is_looser = known.stop is not None and (event.stop - known.stop) * known.side.sign < 0
    if is_looser and view.rules >= TRAILS_ONE_WAY:
        return view  # told late, or on from a stop that somebody has set unheard: the next look tells which
    if known.stop is not None and event.position not in view.trailed_from:
        view = replace(view, trailed_from={**view.trailed_from, event.position: known.stop})
    return replace(view, positions=with_position(view.positions, replace(known, stop=event.stop)))


def with_trailed(shown: Position, moved: TrailingStopMoved | None) -> Position:
    """A position of a snapshot that a word of its trailing stop has overtaken; a stop set since then stays."""
    if moved is None or not shown.trailing or shown.stop is None or moved.updated_ms < shown.updated_ms:
        return shown
    is_tighter = (moved.stop - shown.stop) * shown.side.sign > 0
    return replace(shown, stop=moved.stop) if is_tighter else shown
