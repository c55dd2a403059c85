"""What a snapshot of an account tells that is not known without it, and which reports around it are still news.

Reports go on while a snapshot is on its way, and a history may be read behind it: what it shows already, and what is
told in its turn, must not be told twice. What it leaves out is `absences.py`'s. Pure; the actor asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cmam.domain.belief.restless import restless
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, ExecutionSeen
from cmam.domain.turns import absences
from cmam.domain.values.ids import DealId, PositionId, SymbolId
from cmam.domain.values.trades import Deal, Order, Position

Heard = tuple[Event, bool]
"""What was reported while answers were awaited, and whether the snapshot had come before it."""


def differs(view: AccountView, positions: Iterable[Position], orders: Iterable[Order]) -> bool:
    """Whether a snapshot says anything that is not believed already, or is to be heard for what it does not say; what
    positions cost and bind is told apart."""
    shown = {position.position: position for position in positions if position.volume > 0}
    resting = {order.order: order for order in orders if order.is_resting}
    if any(copy.refused_part or copy.doubt for copy in restless(view.copies)):
        return True  # it says what is left of a part that was refused, and of what a refusal called gone
    if absences.is_any(view) or shown.keys() != view.positions.keys() or resting.keys() != view.orders.keys():
        return True
    return any(_terms(position) != _terms(view.positions[key]) for key, position in shown.items()) or any(
        order.terms != view.orders[key].terms for key, order in resting.items()
    )


def costs_otherwise(view: AccountView, positions: Iterable[Position]) -> bool:
    """Whether positions cost or bind something else than is believed, where a snapshot `differs` in nothing else.
    Equity rests on swap and commission, free margin on what is bound, and that moves with an account's leverage without
    a trade (wire.md#margin-that-changes)."""
    shown = {position.position: position for position in positions if position.volume > 0}
    return any(_costs(known) != _costs(shown[key]) for key, known in view.positions.items())


def symbols_of(positions: Iterable[Position], orders: Iterable[Order]) -> set[SymbolId]:
    """The symbols of what a snapshot shows."""
    return {position.symbol for position in positions} | {order.symbol for order in orders}


def news(heard: Iterable[Heard], positions: Iterable[Position]) -> tuple[Event, ...]:
    """Of what was reported before a snapshot came, what it does not show already; all that came later is news.

    A position that came and went before the snapshot is no news: told one by one, its open would be copied.
    """
    heard, shown = tuple(heard), _by_id(positions)
    last = {
        fact.position.position: fact.position
        for fact, is_later in heard
        if not is_later and isinstance(fact, ExecutionSeen) and fact.position is not None
    }
    return tuple(fact for fact, is_later in heard if is_later or _is_news(fact, shown, last))


def untold(heard: Iterable[Heard], positions: Iterable[Position]) -> set[DealId]:
    """The deals that a snapshot does not show and that are told in their turn: a history which was read behind it
    is not to tell them first, as if the snapshot had them."""
    positions = tuple(positions)
    shown = _by_id(positions)
    told = ((fact, fact.deal) for fact in news(heard, positions) if isinstance(fact, ExecutionSeen))
    return {deal.deal for fact, deal in told if deal is not None and not _is_shown(fact, deal, shown)}


def _by_id(positions: Iterable[Position]) -> dict[PositionId, Position]:
    return {position.position: position for position in positions}


def _is_news(fact: Event, shown: Mapping[PositionId, Position], last: Mapping[PositionId, Position]) -> bool:
    if not isinstance(fact, ExecutionSeen) or fact.position is None:
        return True
    known = shown.get(fact.position.position)
    if known is not None:
        return bool(fact.position.updated_ms >= known.updated_ms)
    return last[fact.position.position].volume > 0


def _is_shown(fact: ExecutionSeen, deal: Deal, shown: Mapping[PositionId, Position]) -> bool:
    """Whether a snapshot shows already what a deal left, as far as the times of its position tell that."""
    known = shown.get(deal.position)
    if known is None:
        return deal.close is not None
    left_ms = fact.position.updated_ms if fact.position is not None else deal.executed_ms
    return 0 < left_ms <= known.updated_ms


def _terms(position: Position) -> tuple[object, ...]:
    return (position.volume, position.side, *position.protection)


def _costs(position: Position) -> tuple[int, int, int]:
    return (position.swap, position.commission, position.used_margin)
