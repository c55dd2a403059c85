"""What closes of copies have realised: the deals that a fact tells, each with the copy that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from cmam.domain.belief.copies import CopyKey
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ClosesSeen, Event, ExecutionSeen, Reconciled
from cmam.domain.folds.afterwards import of_position, untold
from cmam.domain.folds.booking import copy_of, intent_of
from cmam.domain.values.ids import PositionId
from cmam.domain.values.trades import Deal


def realised(before: AccountView, after: AccountView, fact: Event) -> Iterator[tuple[CopyKey, Deal]]:
    """The deals of a fact that realised something, and of which copies. What is told afterwards has all of a position,
    also what was told before anybody knew whose it was: the same deal may be told again, and counts once."""
    match fact:
        case ExecutionSeen() if fact.deal is not None and fact.deal.close is not None:
            if fact.deal.is_execution and fact.deal.deal not in before.deals:
                intent = intent_of(before, fact)
                key = intent.key if intent is not None else copy_of(before, fact) or copy_of(after, fact)
                if key is not None:
                    yield key, fact.deal
        case Reconciled():
            for deal in fact.deals:
                if deal.close is not None and deal.is_execution and deal.deal not in before.deals:
                    key = before.by_position.get(deal.position) or _known_since(after, deal.position)
                    if key is not None:
                        yield key, deal
        case ClosesSeen():
            owners = chain(untold(before, fact.position), of_position(before, fact.position))
            for owner in islice(owners, 1):
                for deal in fact.deals:
                    if deal.close is not None and deal.is_execution:
                        yield owner.key, deal
        case _:
            return


def _known_since(after: AccountView, position: PositionId) -> CopyKey | None:
    """The copy of a position that a snapshot joined to it, or that had ended; of a net only who has a share in it."""
    known = after.by_position.get(position)
    return known or next((copy.key for copy in of_position(after, position) if not copy.share), None)
