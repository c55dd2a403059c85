"""The requests of an account without an outcome, and what is asked of them all the time, kept beside them.

A store that takes nothing lets hundreds of opens wait for their record, and nothing of what a turn asks may take longer
by that: which requests are of one copy, which have left so that time makes something of them, what volumes may still be
added. Of a plain mapping the same is worked out each time, which a test holds against what is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cmam.domain.belief.copies import CopyKey, Intent, IntentState
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import IntentId, SymbolId
from cmam.domain.values.replacing import copied, without

ADDING = (CommandKind.OPEN, CommandKind.ADD)
"""What adds volume as long as it has no outcome; an order that is placed does so until it rests."""


class Intents(dict[IntentId, Intent]):
    """Open requests in the order in which they were recorded, never changed once made.

    `of_copies` has those of each copy, `gone` those that have left or may have, `placing` the orders that are placed,
    and `adding` for each symbol how many opens and adds there are and what volume they still lack.
    """

    of_copies: Mapping[CopyKey, tuple[Intent, ...]] = {}
    gone: Mapping[IntentId, Intent] = {}
    placing: Mapping[IntentId, Intent] = {}
    adding: Mapping[SymbolId, tuple[int, int]] = {}


def of_copy(intents: Mapping[IntentId, Intent], key: CopyKey) -> tuple[Intent, ...]:
    """The open requests of one copy."""
    if isinstance(intents, Intents):
        return intents.of_copies.get(key, ())
    return tuple(intent for intent in intents.values() if intent.key == key)


def gone(intents: Mapping[IntentId, Intent]) -> Iterable[Intent]:
    """The requests that have left, or of which nobody knows; in the order in which they came to be so."""
    return _indexed(intents).gone.values()


def placing(intents: Mapping[IntentId, Intent]) -> Iterable[Intent]:
    """The pending orders that are being placed."""
    return _indexed(intents).placing.values()


def adding(intents: Mapping[IntentId, Intent]) -> Iterable[tuple[SymbolId, int]]:
    """What the opens and adds under way may still add, a volume for each symbol."""
    return [(symbol, volume) for symbol, (_, volume) in _indexed(intents).adding.items()]


def with_intent(intents: Mapping[IntentId, Intent], intent: Intent) -> Intents:
    """These requests with one in its place."""
    fresh = _copied(intents)
    name, key = intent.intent, intent.key
    known = fresh.get(name)
    if known is not None and known.key != key:  # which no log of ours has
        _leave(fresh, known)
    fresh[name] = intent
    of_copies = copied(fresh.of_copies)
    others = of_copies.get(key, ())
    if any(other is known for other in others):
        of_copies[key] = tuple([intent if other is known else other for other in others])
    else:
        of_copies[key] = (*others, intent)
    fresh.of_copies = of_copies
    if intent.state is not IntentState.RECORDED:
        fresh.gone = {**fresh.gone, name: intent}
    elif name in fresh.gone:
        fresh.gone = without(fresh.gone, name)
    if intent.command.kind is CommandKind.PLACE:
        fresh.placing = {**fresh.placing, name: intent}
    elif name in fresh.placing:
        fresh.placing = without(fresh.placing, name)
    _count(fresh, known, intent)
    return fresh


def without_intent(intents: Mapping[IntentId, Intent], name: IntentId) -> Intents:
    """These requests without one."""
    fresh = _copied(intents)
    known = fresh.pop(name, None)
    if known is None:
        return fresh
    _leave(fresh, known)
    if name in fresh.gone:
        fresh.gone = without(fresh.gone, name)
    if name in fresh.placing:
        fresh.placing = without(fresh.placing, name)
    _count(fresh, known, None)
    return fresh


def _leave(fresh: Intents, known: Intent) -> None:
    """Take a request from its copy."""
    of_copies = copied(fresh.of_copies)
    others = tuple([other for other in of_copies.pop(known.key) if other is not known])
    if others:
        of_copies[known.key] = others
    fresh.of_copies = of_copies


def _count(fresh: Intents, before: Intent | None, after: Intent | None) -> None:
    """Count what a request may still add, instead of what it could before; a symbol of which none is left goes."""
    was, now = _added(before), _added(after)
    if was == now:
        return
    others = copied(fresh.adding)
    for sign, found in ((-1, was), (1, now)):
        if found is not None:
            symbol, volume = found
            count, lacking = others.get(symbol, (0, 0))
            others[symbol] = (count + sign, lacking + sign * volume)
            if not others[symbol][0]:
                del others[symbol]
    fresh.adding = others


def _added(intent: Intent | None) -> tuple[SymbolId, int] | None:
    """What a request that opens or adds may still add."""
    if intent is None or intent.command.kind not in ADDING:
        return None
    return intent.command.symbol, _lacking(intent)


def _lacking(intent: Intent) -> int:
    """What a request may still add."""
    return max(0, intent.command.volume - intent.filled)


def _indexed(intents: Mapping[IntentId, Intent]) -> Intents:
    return intents if isinstance(intents, Intents) else _copied(intents)


def _copied(intents: Mapping[IntentId, Intent]) -> Intents:
    if isinstance(intents, Intents):
        fresh = Intents(intents)
        fresh.of_copies, fresh.gone = intents.of_copies, intents.gone
        fresh.placing, fresh.adding = intents.placing, intents.adding
        return fresh
    fresh = Intents()
    for intent in intents.values():
        fresh = with_intent(fresh, intent)
    return fresh
