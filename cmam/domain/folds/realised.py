"""What closes of copies have realised: the deals that a fact tells, each with the copy that it belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cmam.domain.belief.belonging import copy_of, intent_of
from cmam.domain.belief.copies import CopyKey, Intent, LostClose
from cmam.domain.belief.shares import closed_by
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ClosesSeen, Event, ExecutionSeen, Reconciled
from cmam.domain.folds.afterwards import had_part, is_of, lost_by, of_lost_closes, of_position
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import LinkId, OrderId, PositionId, SourceKey
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.nets import TURNED_UNSEEN
from cmam.domain.values.trades import Deal


def realised(before: AccountView, after: AccountView, fact: Event) -> Iterator[tuple[CopyKey, Deal]]:
    """The deals of a fact that realised something, and of which copies; of what comes off several shares of a net, each
    share's part. What is told afterwards has all of a position, also what was told before anybody knew whose it was:
    the same deal may be told again, and counts once."""
    match fact:
        case ExecutionSeen() if fact.deal is not None and fact.deal.close is not None:
            if fact.deal.is_execution and fact.deal.deal not in before.deals:
                yield from _executed(before, after, fact, fact.deal)
        case Reconciled():
            for deal in _once(fact.deals):
                if deal.deal not in before.deals:
                    yield from _in_a_gap(before, after, fact, deal)
        case ClosesSeen():
            lost = of_lost_closes(before, fact)
            for deal in _once(fact.deals):
                yield from _told_afterwards(before, fact, deal, lost)
        case _:
            return


def _once(deals: Iterable[Deal]) -> Iterable[Deal]:
    """Those that close something, each once however often its history tells it."""
    return {deal.deal: deal for deal in deals if deal.close is not None and deal.is_execution}.values()


def _executed(
    before: AccountView, after: AccountView, fact: ExecutionSeen, deal: Deal
) -> Iterator[tuple[CopyKey, Deal]]:
    intent = intent_of(before, fact)
    name = fact.order.client_order_id if fact.order is not None else ""
    asked = intent.key if intent is not None else _asked_by(before, deal, fact.client_msg_id, name)
    key = asked or copy_of(before, fact) or copy_of(after, fact) or _known_since(after, deal.position)
    if key is None:
        return
    is_own = asked is not None or (fact.order is not None and fact.order.type.is_pending)
    yield from _by_request(before, intent, key, deal) if is_own else _by_shares(before, after, key, deal)


def _in_a_gap(before: AccountView, after: AccountView, fact: Reconciled, deal: Deal) -> Iterator[tuple[CopyKey, Deal]]:
    asked = _asked_by(before, deal, *(order.client_order_id for order in fact.past_orders if order.order == deal.order))
    key = asked or before.by_position.get(deal.position) or _known_since(after, deal.position)
    if key is not None:
        yield from _by_request(before, None, key, deal) if asked is not None else _by_shares(before, after, key, deal)


def _told_afterwards(
    before: AccountView, fact: ClosesSeen, deal: Deal, lost: Mapping[OrderId, LostClose]
) -> Iterator[tuple[CopyKey, Deal]]:
    """Of a net a history tells also what was taken of it before its shares of now were there: that is not theirs."""
    # The order that has turned a net is of the position that it opened: the look that showed that has told it.
    told = (*fact.orders, *before.past_orders) if before.rules >= TURNED_UNSEEN else fact.orders
    asked = _asked_by(before, deal, *(order.client_order_id for order in told if order.order == deal.order))
    alone = (copy.key for copy in of_position(before, fact.position) if not copy.share)
    parts = lost[deal.order].parts if asked is None and deal.order in lost else ()
    if not parts and asked is None and deal.deal not in before.deals:
        parts = lost_by(before, deal)
    if parts:
        yield from _divided(parts, deal)
        return
    if (key := asked or next(alone, None)) is not None:
        yield key, deal
        return
    shares = [copy for copy in had_part(before, fact.position) if is_of(before, copy, deal, fact)]
    had = [(copy.key, copy.unpriced or copy.volume or copy.opened_volume) for copy in shares]
    yield from _divided([(key, volume) for key, volume in had if volume], deal)


def _asked_by(view: AccountView, deal: Deal, *names: str) -> CopyKey | None:
    """The copy whose request made a deal: by its order, else by the names that are told with it, which stay known where
    the request was settled by what had been told before its fill."""
    for intent in view.intents.values():
        if intent.order == deal.order:
            return intent.key
    for mark in filter(None, map(read_label, names)):
        key = (LinkId(mark.link), SourceKey(mark.source))
        if view.copy(key) is not None:
            return key
    return None


def _known_since(after: AccountView, position: PositionId) -> CopyKey | None:
    """The copy of a position that a snapshot joined to it, or that had ended; of a net only who has a share in it. What
    was released is a person's since."""
    known = after.by_position.get(position)
    ended = (copy for copy in of_position(after, position) if not copy.share and copy.reason is not Reason.RELEASED)
    return known or next((copy.key for copy in ended), None)


def _by_request(before: AccountView, intent: Intent | None, key: CopyKey, deal: Deal) -> Iterator[tuple[CopyKey, Deal]]:
    """What a request has closed is that of its copy; of shares that it closes together, each share's part."""
    intent = intent or next((one for one in before.intents.values() if one.order == deal.order), None)
    copy = before.copies.get(key)
    is_of_share = intent is not None and copy is not None and copy.share and deal.side is not copy.side
    if intent is None or copy is None or not is_of_share or intent.command.kind is not CommandKind.CLOSE:
        yield key, deal
        return
    left = max(0, intent.command.volume - intent.filled - deal.filled_volume)
    taken = closed_by(before, copy, deal.filled_volume, left)
    yield from _divided([(share.key, volume) for share, volume in taken if volume] or [(key, Volume(1))], deal)


def _by_shares(before: AccountView, after: AccountView, key: CopyKey, deal: Deal) -> Iterator[tuple[CopyKey, Deal]]:
    """What no share asked for comes off all shares on the side of their net in proportion (`shares.losses`), and what a
    look had shown before as it was booked then; of what is no net it is that of `key`."""
    is_late = bool(before.missed) and _volume(before, deal.position) == _volume(after, deal.position)
    if is_late and (parts := lost_by(before, deal)):
        yield from _divided(parts, deal)
        return
    shares = [
        (copy.key, copy.volume)
        for copy in before.copies.values()
        if copy.share and copy.position == deal.position and copy.side is not deal.side and copy.volume > 0
    ]
    yield from _divided(shares or [(key, Volume(1))], deal)


def _volume(view: AccountView, position: PositionId) -> int:
    held = view.positions.get(position)
    return 0 if held is None else held.volume


def _divided(shares: Sequence[tuple[CopyKey, Volume]], deal: Deal) -> Iterator[tuple[CopyKey, Deal]]:
    """A deal in proportion to what each had: to the last minor unit, the parts are the whole."""
    close, whole, until = deal.close, sum(volume for _, volume in shares), 0
    assert close is not None, f"expected a deal that closes, found {deal.deal}"
    for key, volume in shares:
        since, until = until, until + volume

        def part(amount: int, since: int = since, until: int = until) -> int:
            return amount * until // whole - amount * since // whole

        of_share = replace(
            close,
            gross=part(close.gross),
            swap=part(close.swap),
            commission=part(close.commission),
            conversion_fee=part(close.conversion_fee),
            closed_volume=Volume(part(close.closed_volume)),
        )
        yield key, replace(deal, filled_volume=Volume(part(deal.filled_volume)), close=of_share)
