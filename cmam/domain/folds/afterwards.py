"""What went of copies without a deal that told its price, and what the broker says of it when it is asked afterwards.

After a gap a copy may be smaller, or gone, and nothing more is known: a close of ours whose answer was lost, a position
that a second look proved to be gone while its history found no room, an order that filled unseen and was closed in
part. What is held is right then; at which price it ended, what that came to and whether the broker had stopped it out
is not. Such positions are noted, asked about in the last lane when there is room, and told right from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cmam.domain.belief.copies import Copy, CopyKey, Intent, IntentState, LostClose, Missed
from cmam.domain.belief.particulars import take_balance
from cmam.domain.belief.shares import MOVING, closed_by
from cmam.domain.belief.view import AccountView, put
from cmam.domain.events import ClosesSeen, Reconciled, StopOutSeen
from cmam.domain.values.ids import DealId, IntentId, LinkId, OrderId, PositionId, SourceKey
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import copied, replace
from cmam.domain.values.rules.guards import STOP_OUTS_BY_FLAG, STOP_OUTS_BY_ORDERS
from cmam.domain.values.rules.nets import LOST_AS_BOOKED, REDUCED_UNSEEN, TAKEN_BESIDE_ORDERS, TURNED_UNSEEN
from cmam.domain.values.rules.sight import ENDS_ARE_PRICED, TOLD_AFTERWARDS
from cmam.domain.values.trades import Deal, Order, OrderStatus, OrderType, Position

MOST = 256
"""So many positions are noted at once; of those before them nobody asks any more."""
ANY = Volume(0)
"""How much others took where nobody can say yet: as much as its shares turn out to have lost."""
REMEMBERED = 32
"""So many of its deals are known by their numbers from then on, of the 64 of an account: a net may have hundreds."""


def note_unpriced(
    view: AccountView, event: Reconciled, copies: Mapping[CopyKey, Copy], deals: Sequence[DealId]
) -> AccountView:
    """Note the positions of which a snapshot shows less than before, and its deals do not tell why; `copies` and
    `deals` are those known before it."""
    if view.rules < TOLD_AFTERWARDS:
        return view
    found = [
        copy
        for key, copy in view.copies.items()
        if copy.position is not None
        and _had(copy, copies.get(key), event) - _has(view, copy) > closed_by_deals(view, event, copy.position, deals)
    ]
    for copy in found:
        if copy.share:
            view = put(view, replace(copy, unpriced=Volume(_had(copy, copies.get(copy.key), event))))
    return with_unpriced(view, [copy.position for copy in found if copy.position is not None]) if found else view


def note_losses(
    view: AccountView,
    event: Reconciled,
    copies: Mapping[CopyKey, Copy],
    held: Mapping[PositionId, Position],
    deals: Sequence[DealId],
    intents: Mapping[IntentId, Intent],
) -> AccountView:
    """Note the nets with shares that stand and of which a snapshot shows less than before, where its deals do not tell
    why; `copies`, `held`, `deals` and `intents` are those known before it. What became of each share is booked by the
    ledger."""
    if view.rules < STOP_OUTS_BY_ORDERS or not view.is_netted():
        return view
    shared = {copy.position for copy in view.copies.values() if copy.share}
    found = [
        key
        for key, was in held.items()
        if key in shared
        and (now := view.positions.get(key)) is not None
        and now.side is was.side
        and was.volume - now.volume > closed_by_deals(view, event, key, deals)
    ]
    missed = [_missed(key, held[key], view.positions[key]) for key in found] if view.rules >= LOST_AS_BOOKED else []
    if view.rules >= TAKEN_BESIDE_ORDERS and (hidden := _moved_beside_orders(view, held)):
        missed = [*(one for one in missed if one.position not in {other.position for other in hidden}), *hidden]
    if view.rules >= TURNED_UNSEEN:
        turned = _turned_unseen(view, event, copies, held, deals)
        found += [*(one.position for one in turned), *_come_and_gone(view, event, held)]
        missed += turned
    if view.rules >= REDUCED_UNSEEN:
        found += _reduced_unseen(view, event, deals, intents)
    if missed:
        view = replace(view, missed=(*view.missed, *missed)[-MOST:])
    return with_unpriced(view, found) if found else view


def _come_and_gone(view: AccountView, event: Reconciled, held: Mapping[PositionId, Position]) -> list[PositionId]:
    """The nets that nobody ever saw: orders of ours under way opened them, and others or ours closed them again."""
    return [
        order.position
        for order in event.past_orders
        if order.client_order_id in view.intents
        and order.executed_volume > 0
        and order.position is not None
        and order.position not in view.positions
        and order.position not in held
    ]


def _reduced_unseen(
    view: AccountView, event: Reconciled, deals: Sequence[DealId], intents: Mapping[IntentId, Intent]
) -> list[PositionId]:
    """The nets that stand and that an order of ours under way has reduced: it is of the other side, and has filled more
    than deals have told."""
    found = []
    for order in event.past_orders:
        intent = intents.get(IntentId(order.client_order_id))
        net = view.positions.get(order.position) if order.position is not None else None
        if intent is not None and net is not None and order.side is not net.side:
            new = sum(one.filled_volume for one in event.deals if one.order == order.order and one.deal not in deals)
            if order.executed_volume > intent.filled + new:
                found.append(net.position)
    return found


def _missed(key: PositionId, was: Position, now: Position) -> Missed:
    return Missed(key, Volume(was.volume - now.volume), was.updated_ms, now.updated_ms)


def _moved_beside_orders(view: AccountView, held: Mapping[PositionId, Position]) -> list[Missed]:
    """The nets that have moved since they were last shown, while orders of ours were under way of which nobody knows
    yet what they have filled: what others took of them, if they did, is known once these are told."""
    unknown = (intent for intent in view.intents.values() if intent.state is IntentState.UNKNOWN)
    symbols = {intent.command.symbol for intent in unknown if intent.command.kind in MOVING}
    found = []
    for key, now in view.positions.items():
        was = held.get(key)
        since_ms = was.updated_ms if was is not None else 0
        is_moved = was is None or not now.updated_ms or now.updated_ms > since_ms
        if now.symbol in symbols and is_moved and (was is None or was.side is now.side):
            found.append(Missed(key, ANY, since_ms, now.updated_ms))
    return found


def _turned_unseen(
    view: AccountView,
    event: Reconciled,
    copies: Mapping[CopyKey, Copy],
    held: Mapping[PositionId, Position],
    deals: Sequence[DealId],
) -> list[Missed]:
    """The nets that are gone, or of the other side, while shares of them stand: all that they had was closed, by an
    order of ours or by others; of theirs each share has lost in proportion to what it had."""
    shared = {was.position for key, was in copies.items() if was.share and key in view.copies}
    found = []
    for key, was in held.items():
        now = view.positions.get(key) if key in shared else was
        is_over = now is None or now.side is not was.side
        if is_over and was.volume > closed_by_deals(view, event, key, deals):
            shares = [one for one in copies.values() if one.share and one.position == key and one.side is was.side]
            parts = tuple((one.key, one.volume) for one in shares if one.volume)
            found.append(Missed(key, was.volume, was.updated_ms, 0, parts))
    return found


def with_loss(view: AccountView, share: Copy, lost: int) -> AccountView:
    """Note what a share has lost by what others took of its net, where that is still to be told."""
    for at, missed in enumerate(view.missed):
        is_open = missed.volume == ANY or sum(volume for _, volume in missed.parts) < missed.volume
        if missed.position == share.position and is_open:
            fuller = replace(missed, parts=(*missed.parts, (share.key, Volume(lost))))
            view = replace(view, missed=(*view.missed[:at], fuller, *view.missed[at + 1 :]))
            return with_unpriced(view, [missed.position]) if missed.volume == ANY else view
    return view


def lost_by(view: AccountView, deal: Deal) -> tuple[tuple[CopyKey, Volume], ...]:
    """What each share has lost by a deal of somebody else's that had gone unseen, as it was booked then; nothing where
    that is not known."""
    for missed in view.missed:
        is_before = not missed.until_ms or deal.executed_ms <= missed.until_ms
        if missed.position == deal.position and missed.since_ms <= deal.executed_ms and is_before:
            return missed.parts
    return ()


def closed_by_deals(view: AccountView, event: Reconciled, position: PositionId, deals: Sequence[DealId]) -> int:
    """How much of a position the deals of a snapshot have closed that were not known before it, and of whose orders it
    is known whose they are."""
    closes = [deal for deal in event.deals if deal.position == position and deal.close is not None]
    if view.rules >= STOP_OUTS_BY_ORDERS:
        told = {order.order for order in event.past_orders} | {intent.order for intent in view.intents.values()}
        closes = [deal for deal in closes if deal.order in told]
    return sum(deal.filled_volume for deal in closes if deal.is_execution and deal.deal not in deals)


def noted(view: AccountView, copy: Copy) -> AccountView:
    """Note the position of a copy that is gone with an open or an add of which nobody knows what it has filled."""
    if view.rules < TOLD_AFTERWARDS or copy.position is None or copy.share:
        return view
    return with_unpriced(view, [copy.position])


def with_unpriced(view: AccountView, positions: Iterable[PositionId]) -> AccountView:
    """Note positions to be asked about when there is room."""
    return replace(view, unpriced=tuple(dict.fromkeys((*view.unpriced, *positions)))[-MOST:])


def with_lost_close(view: AccountView, intent: Intent) -> AccountView:
    """Note a close of a share of which only the net has told, and ask what it came to."""
    position, copy = intent.command.position, view.copies[intent.key]
    if position is None or view.rules < ENDS_ARE_PRICED:
        return view
    taken = closed_by(view, copy, intent.command.volume - intent.filled, 0)
    parts = tuple((share.key, volume) for share, volume in taken if volume)
    lost = LostClose(parts, position, intent.command.volume, intent.after_ms, intent.order)
    return with_unpriced(replace(view, lost_closes=(*view.lost_closes, lost)[-MOST:]), [position])


def of_lost_closes(view: AccountView, event: ClosesSeen) -> dict[OrderId, LostClose]:
    """The orders that closes of shares became whose answers were lost. A request for a close bears no name: where its
    acceptance was not told, it is the order that closed as much after all that was known, and was told by nobody
    before."""
    fresh = {deal.order for deal in _closes(event) if deal.deal not in view.deals}
    orders = sorted(
        (order for order in event.orders if order.order in fresh), key=lambda one: (one.opened_ms, one.order)
    )
    lost_here = [lost for lost in view.lost_closes if lost.position == event.position]
    found = {lost.order: lost for lost in lost_here if lost.order is not None and lost.order in fresh}
    for lost in lost_here:
        of_it = (
            order.order
            for order in orders
            if order.order not in found
            and order.closing
            and order.type is OrderType.MARKET
            and order.executed_volume == lost.volume
            and order.opened_ms >= lost.after_ms
        )
        order = next(of_it, None) if lost.order is None else None
        if order is not None:
            found[order] = lost
    return found


def _had(copy: Copy, before: Copy | None, event: Reconciled) -> int:
    """What a copy held before: as it was known, or what the orders had filled that came to light with it."""
    if before is not None and before.position == copy.position:
        return before.volume
    if copy.share:
        return 0
    orders = {order.order: order for order in (*event.past_orders, *event.orders) if order.position == copy.position}
    return sum(order.executed_volume for order in orders.values() if not order.closing)


def _has(view: AccountView, copy: Copy) -> int:
    """What it holds now; of a share nothing only where its net is gone."""
    return copy.volume if not copy.share or copy.position in view.positions else 0


def take_closes(view: AccountView, event: ClosesSeen, _at_us: int) -> AccountView:
    """Take what closed a position: the balance, and of its copies the price and the word of their end."""
    closes = _closes(event)
    lost = of_lost_closes(view, event)
    fresh = [deal for deal in closes if deal.deal not in view.deals]
    losers = {deal.deal: [key for key, _ in lost_by(view, deal)] for deal in fresh if deal.order not in lost}
    for deal in fresh:
        view = take_balance(view, deal)
    numbers = tuple(deal.deal for deal in fresh[-REMEMBERED:])
    view = replace(view, deals=(*view.deals, *numbers)[-2 * REMEMBERED :])
    view = replace(view, unpriced=tuple(one for one in view.unpriced if one != event.position))
    if view.lost_closes:
        view = replace(view, lost_closes=tuple(one for one in view.lost_closes if one.position != event.position))
    if view.missed:
        view = replace(view, missed=tuple(one for one in view.missed if one.position != event.position))
    if not closes:
        return view
    last, most = closes[-1], _most(event)
    order = next((order for order in event.orders if order.order == last.order), None)
    for copy in untold(view, event.position):
        told = replace(copy, close_price=last.price, unpriced=Volume(0))
        if not copy.share:
            told = replace(told, opened_volume=Volume(max(copy.opened_volume, most)))
        if copy.state.is_end:
            told = replace(told, reason=_reason(copy, order))
            finished = copied(view.finished)
            finished[copy.key] = told
            view = replace(view, finished=finished)
        else:
            view = put(view, told)
    for deal in closes:
        for key, _ in lost[deal.order].parts if deal.order in lost else ():
            view = _priced(view, key, deal)
        for key in losers.get(deal.deal, ()):
            view = _with_its_end(view, key, deal, event)
    return view


def _with_its_end(view: AccountView, key: CopyKey, deal: Deal, event: ClosesSeen) -> AccountView:
    """The share of which somebody else's deal took all that it had, with the price and the word of its end."""
    ended = view.finished.get(key)
    if ended is None or ended.close_price is not None or ended.reason is not Reason.CLOSED_BY_HUMAN:
        return view
    order = next((order for order in event.orders if order.order == deal.order), None)
    finished = copied(view.finished)
    finished[key] = replace(ended, close_price=deal.price, reason=_reason(ended, order))
    return replace(view, finished=finished)


def _priced(view: AccountView, key: CopyKey, deal: Deal) -> AccountView:
    """The share that a deal has closed, or a part of it, with its price."""
    live = view.copies.get(key)
    if live is not None:
        return put(view, replace(live, close_price=deal.price))
    if key not in view.finished:
        return view
    finished = copied(view.finished)
    finished[key] = replace(finished[key], close_price=deal.price)
    return replace(view, finished=finished)


def of_position(view: AccountView, position: PositionId) -> Iterator[Copy]:
    """The copies that have or had a position, live and finished."""
    for copies in (tuple(view.copies.values()), tuple(view.finished.values())):
        yield from (copy for copy in copies if copy.position == position)


def untold(view: AccountView, position: PositionId) -> Iterator[Copy]:
    """The copies of which something went with the last of a position. A net has had other shares before, whose ends are
    told by their own deals."""
    yield from (copy for copy in of_position(view, position) if copy.unpriced or not copy.share)


def stop_outs(before: AccountView, event: ClosesSeen) -> Iterator[StopOutSeen]:
    """The broker took some of a position for want of margin, and nobody knew: that locks as if it had been seen."""
    stopped = {order.order for order in event.orders if order.stop_out}
    is_new = before.rules >= STOP_OUTS_BY_ORDERS  # a deal that is known may have been told without its order
    closes = _in_order(event.deals) if before.rules >= STOP_OUTS_BY_FLAG else _closes(event)
    taken = [deal for deal in closes if deal.order in stopped and (is_new or deal.deal not in before.deals)]
    for copy in had_part(before, event.position) if taken else ():
        is_known = copy.stopped_out or copy.reason is Reason.CLOSED_BY_STOP_OUT
        if not is_known and any(is_of(before, copy, deal, event) for deal in taken):
            yield StopOutSeen(link=copy.link, source=copy.source)


def had_part(before: AccountView, position: PositionId) -> Iterator[Copy]:
    """The copies of which something may have gone unseen: of a net that stands all its shares, also those that have
    ended since the line was lost."""
    yield from untold(before, position)
    if before.rules >= STOP_OUTS_BY_ORDERS:
        shares = (copy for copy in of_position(before, position) if copy.share and not copy.unpriced)
        yield from (copy for copy in shares if not copy.state.is_end or copy.closed_us >= before.in_sight_us)


def is_of(before: AccountView, copy: Copy, taken: Deal, event: ClosesSeen) -> bool:
    """Whether a copy had a part in what a deal has taken: what was taken of a net before it was one of its shares, or
    off the other side, it had none in."""
    if not copy.share:
        return True
    opened = [deal for deal in event.deals if deal.is_execution and deal.close is None]
    last_ms = max((deal.executed_ms for deal in opened), default=0)
    if before.rules < STOP_OUTS_BY_ORDERS:
        return taken.executed_ms >= last_ms
    own = {order.order for order in event.orders if _is_asked_by(before, copy, order)}
    return taken.side is not copy.side and taken.executed_ms >= min(
        (deal.executed_ms for deal in opened if deal.order in own), default=last_ms
    )


def _is_asked_by(view: AccountView, copy: Copy, order: Order) -> bool:
    """Whether an order was sent for a copy."""
    mark = read_label(order.client_order_id)
    return mark is not None and view.key_of((LinkId(mark.link), SourceKey(mark.source))) == copy.key


def _closes(event: ClosesSeen) -> tuple[Deal, ...]:
    """What closed the position, the oldest first."""
    return _in_order(deal for deal in event.deals if deal.close is not None)


def _in_order(deals: Iterable[Deal]) -> tuple[Deal, ...]:
    return tuple(sorted((d for d in deals if d.is_execution), key=lambda deal: (deal.executed_ms, deal.deal)))


def _most(event: ClosesSeen) -> int:
    """The most that a hedged position ever held."""
    held = most = 0
    for deal in _in_order(event.deals):
        held += deal.filled_volume if deal.close is None else -deal.filled_volume
        most = max(most, held)
    return most


def _reason(copy: Copy, order: Order | None) -> Reason | None:
    """Why a copy ended, now that the order of its last close is known."""
    if order is None or order.status is OrderStatus.CANCELLED:
        return copy.reason
    if order.stop_out:
        return Reason.CLOSED_BY_STOP_OUT
    return Reason.CLOSED_BY_LEVEL if order.type is OrderType.PROTECTION else copy.reason
