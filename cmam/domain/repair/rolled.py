"""What a broker opens anew in the moment in which it closes a copy, as for a dividend or a split: nobody's, and told.

It may carry no label of ours, and is no copy: whoever has it open holds it by himself from then on.
"""

from __future__ import annotations

from dataclasses import dataclass

from cmam.domain.belief.copies import CopyKey
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, ExecutionSeen
from cmam.domain.values.ids import PositionId, SymbolId
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason


@dataclass(frozen=True, slots=True)
class Taken:
    """A hedged copy that somebody else has closed whole: what it held, and when its broker says that this was."""

    key: CopyKey
    symbol: SymbolId
    side: Side
    volume: Volume
    at_ms: int


def taken(before: AccountView, view: AccountView, fact: Event) -> Taken | None:
    """The copy that an execution, folded by now, has ended by another's hand."""
    if not isinstance(fact, ExecutionSeen) or fact.deal is None or view.is_netted():
        return None
    deal = fact.deal
    held, key = before.positions.get(deal.position), before.by_position.get(deal.position)
    ended = view.finished.get(key) if key is not None and key not in view.copies else None
    if held is None or key is None or ended is None or ended.reason is not Reason.CLOSED_BY_HUMAN:
        return None
    return Taken(key, held.symbol, held.side, held.volume, deal.executed_ms)


def anew(view: AccountView, last: Taken, fact: Event) -> PositionId | None:
    """The position that an execution has opened in the same moment as that copy was closed, and just like it."""
    if not isinstance(fact, ExecutionSeen) or fact.deal is None or fact.position is None or not last.at_ms:
        return None
    held = view.positions.get(fact.deal.position)
    if held is None or held.position in view.by_position or read_label(held.label) is not None:
        return None
    is_alike = (held.symbol, held.side, held.volume) == (last.symbol, last.side, last.volume)
    return held.position if is_alike and fact.deal.executed_ms == last.at_ms else None


def in_words(position: PositionId, last: Taken) -> str:
    """What to tell a person of it, and what he can do."""
    return (
        f"The broker has closed the copy of {last.key[1]} and opened position {position} in the same moment, just like "
        "it and without its label: cmam lets it alone, also when the leader closes. Close it yourself, when you like."
    )
