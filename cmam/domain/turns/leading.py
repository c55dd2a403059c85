"""What an account's followers are told: its changes, derived from what the broker reported of it.

Pure and repeatable: the same facts give the same changes with the same keys, whether they came as events or were found
by a reconcile, so that no change is told twice under two names. Volumes are compared before and after the fold; events
that changed nothing tell nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from cmam.domain.belief.bare import OF_ORDERS
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, ExecutionSeen, Health, Reconciled, TrailingStopMoved
from cmam.domain.turns.differences import (
    into_nets,
    of_levels,
    of_order,
    of_volume,
)
from cmam.domain.turns.gaps import of_reconcile
from cmam.domain.turns.leader import QuoteOf, no_quotes
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.ids import PositionId
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.resting import AMENDED_AS_HEARD
from cmam.domain.values.rules.sight import (
    GAPS_TO_COME,
    NO_OLDER_THAN_GAPS,
    RESTORES_ARE_KNOWN,
    TRADED_UNTOLD,
    UNTIMED_ARE_NEW,
)
from cmam.domain.values.trades import Order


def changes(before: AccountView, after: AccountView, event: Event, quote_of: QuoteOf = no_quotes) -> tuple[Change, ...]:
    """Say what the fold of `event` from `before` to `after` means to followers of this account."""
    match event:
        case ExecutionSeen():
            return tuple(_timed(change, before, after) for change in _of_execution(before, after, event, quote_of))
        case TrailingStopMoved():
            moved = of_levels(before, after, event.position, event.updated_ms, quote_of, late=False)
            return tuple(replace(change, trailed=True) for change in moved)
        case Reconciled():
            found = tuple(_of_gap(change, before, after) for change in of_reconcile(before, after, event, quote_of))
            is_restored = before.restored_us and before.rules >= RESTORES_ARE_KNOWN
            return tuple(replace(change, restored=True) for change in found) if is_restored else found
        case _:
            return ()


def _of_execution(before: AccountView, after: AccountView, event: ExecutionSeen, quote_of: QuoteOf) -> Iterator[Change]:
    position = _position_of(event)
    deal = event.deal if event.deal is not None and event.deal.is_execution else None
    at_ms = deal.executed_ms if deal is not None else _order_time(event.order)
    yield from into_nets(before, after, quote_of, late=False)
    if position is not None:
        if deal is not None or event.order is not None or _is_traded(before, after, event, position):
            yield from of_volume(before, after, position, deal, event.order, at_ms, quote_of, late=False)
        yield from of_levels(before, after, position, at_ms, quote_of, late=False)
    if event.order is not None:
        yield from of_order(before, after, event.order, event.kind, quote_of, late=False)


def _timed(change: Change, before: AccountView, after: AccountView) -> Change:
    """The change with a time: every field that tells one is optional on orders and positions, and an event without any
    is as old as its hearing. So is an amendment whose order tells the time that it had before."""
    has_time = change.at_ms > 0 and not _is_stamped_before(change, before)
    if has_time or after.rules < UNTIMED_ARE_NEW:
        return change
    return replace(change, at_ms=after.at_us // 1_000)


def _is_stamped_before(change: Change, before: AccountView) -> bool:
    if change.kind is not ChangeKind.ORDER_AMENDED or change.order is None or before.rules < AMENDED_AS_HEARD:
        return False
    known = before.orders.get(change.order)
    return known is not None and change.at_ms <= (known.updated_ms or known.opened_ms)


def _of_gap(change: Change, before: AccountView, after: AccountView) -> Change:
    """The change with a time: where nothing tells one, nobody can say more than that it came after the account was last
    in sight, or after the look before this one where no event has told it; by a clock set back since, not even that."""
    if change.at_ms or after.rules < NO_OLDER_THAN_GAPS:
        return change
    since_us = before.reconciled_us if before.health is Health.RECONCILED else before.in_sight_us
    if since_us > after.at_us and after.rules >= GAPS_TO_COME:
        return change
    return replace(change, at_ms=since_us // 1_000)


def _is_traded(before: AccountView, after: AccountView, event: ExecutionSeen, position: PositionId) -> bool:
    """Whether an event that tells neither deal nor order is of a trade, and no correction of a volume, as of a split:
    it is of what happens to orders, or the position has gone, which no correction does."""
    is_gone = position in before.positions and position not in after.positions
    return after.rules >= TRADED_UNTOLD and (is_gone or event.kind in OF_ORDERS)


def _position_of(event: ExecutionSeen) -> PositionId | None:
    if event.position is not None:
        return event.position.position
    return event.deal.position if event.deal is not None else None


def _order_time(order: Order | None) -> int:
    return order.updated_ms if order is not None else 0
