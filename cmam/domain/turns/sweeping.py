"""What is no copy and is to end: what the flatten of a whole account has left, and what stands besides copies."""

from __future__ import annotations

from cmam.domain.belief.copies import CopyKey
from cmam.domain.events import (
    CopyOverdue,
    Event,
    ExecutionSeen,
    FlattenRequested,
    GuardTripped,
    Health,
    HealthChanged,
    IntentRecorded,
    QuotesSampled,
    Reconciled,
)
from cmam.domain.profiles.choices import Scope
from cmam.domain.turns.making import TurnInTheMaking
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import SWEEPS, OrderId, PositionId, SourceKey, base36, from_base36
from cmam.domain.values.naming import intent_id
from cmam.domain.values.quantities import Volume
from cmam.domain.values.rules.closes import SWEEPS_WAIT
from cmam.domain.wanted.needs import close_command

SWEEPING = (FlattenRequested, GuardTripped, Reconciled, HealthChanged, QuotesSampled)
"""Facts after which what an account-wide flatten has left is asked for again, besides the moment of each by itself."""


def end_what_is_no_copy(turn: TurnInTheMaking, fact: Event) -> None:
    """Ask for the end of what is no copy and shall not be, where a fact is a reason to."""
    if not turn.view.flatten_account and not turn.view.surplus:
        return
    only = fact.source if isinstance(fact, CopyOverdue) and fact.source[0] in SWEEPS else None
    waiting: frozenset[SourceKey] = frozenset()
    if isinstance(fact, (QuotesSampled, ExecutionSeen)) and turn.view.rules >= SWEEPS_WAIT:
        waiting = frozenset(source for source, vain in turn.view.in_vain.items() if vain.at_us)
    if turn.view.flatten_account and (isinstance(fact, SWEEPING) or only is not None):
        _sweep(turn, only, waiting)
    if turn.view.surplus and (isinstance(fact, (ExecutionSeen, *SWEEPING)) or only is not None):
        _take_back(turn, only, waiting)


def _sweep(turn: TurnInTheMaking, only: SourceKey | None, waiting: frozenset[SourceKey]) -> None:
    """Close what the account holds besides its copies, and cancel what rests there; or `only` one of it."""
    if turn.view.health is not Health.RECONCILED:
        return
    link = min((link for (link, _), latch in turn.view.latches.items() if latch.scope == Scope.ACCOUNT), default=None)
    if link is None:
        return
    attached = {copy.position for copy in turn.view.copies.values()}
    resting = {copy.order for copy in turn.view.copies.values()}
    for position in tuple(turn.view.positions.values()):
        key = (link, SourceKey("x" + base36(position.position)))
        if position.position not in attached and _may_ask(turn, key, only, waiting):
            _ask(turn, key, close_command(position))
    for order in tuple(turn.view.orders.values()):
        key = (link, SourceKey("y" + base36(order.order)))
        if order.order not in resting and _may_ask(turn, key, only, waiting):
            cancel = Command(kind=CommandKind.CANCEL, symbol=order.symbol, side=order.side, order=order.order)
            _ask(turn, key, cancel)


def _take_back(turn: TurnInTheMaking, only: SourceKey | None, waiting: frozenset[SourceKey]) -> None:
    """Close or cancel what stands besides a copy, since a request was refused and done all the same."""
    if turn.view.health is not Health.RECONCILED:
        return
    for source, link in tuple(turn.view.surplus.items()):
        key, number = (link, source), from_base36(source[1:])
        position, order = turn.view.positions.get(PositionId(number)), turn.view.orders.get(OrderId(number))
        if not _may_ask(turn, key, only, waiting):
            continue
        if source.startswith("x") and position is not None:
            _ask(turn, key, close_command(position))
        elif source.startswith("y") and order is not None:
            cancel = Command(kind=CommandKind.CANCEL, symbol=order.symbol, side=order.side, order=order.order)
            _ask(turn, key, cancel)


def _may_ask(turn: TurnInTheMaking, key: CopyKey, only: SourceKey | None, waiting: frozenset[SourceKey]) -> bool:
    """Whether it is time for this one: it is meant, has no moment of its own, and no request of it is under way."""
    source = key[1]
    return only in (None, source) and source not in waiting and not turn.view.intents_of(key)


def _ask(turn: TurnInTheMaking, key: CopyKey, command: Command) -> None:
    """Each try has the moment in its number, since no copy counts them."""
    held = turn.view.positions.get(command.position) if command.position is not None else None
    seq = turn.view.version
    turn.add(
        IntentRecorded(
            intent=intent_id(turn.store, *key, seq),
            link=key[0],
            source=key[1],
            seq=seq,
            command=command,
            volume_before=held.volume if held is not None else Volume(0),
        )
    )
