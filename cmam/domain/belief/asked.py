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

ADDING = (CommandKind.OPEN, CommandKind.ADD)
"""What adds volume as long as it has no outcome; an order that is placed does so until it rests."""


class Index:
    """What is asked of open requests all the time: `of_copies` has those of each copy, `gone` those that have left or
    may have, `placing` the orders that are placed, and `adding` for each symbol how many opens and adds there are and
    what volume they still lack. Never changed once somebody may ask it.
    """

    __slots__ = ("adding", "gone", "of_copies", "placing")

    def __init__(self) -> None:
        self.of_copies: dict[CopyKey, tuple[Intent, ...]] = {}
        self.gone: dict[IntentId, Intent] = {}
        self.placing: dict[IntentId, Intent] = {}
        self.adding: dict[SymbolId, tuple[int, int]] = {}

    def copied(self) -> Index:
        """One of one's own."""
        fresh = Index()
        fresh.of_copies, fresh.gone = self.of_copies.copy(), self.gone.copy()
        fresh.placing, fresh.adding = self.placing.copy(), self.adding.copy()
        return fresh

    def take(self, before: Intent | None, after: Intent | None) -> None:
        """Put a request in the place of what it was; it may come, or go."""
        known = None if before is None else self._taken_out(before, after)
        if after is not None and known is None:
            self.of_copies[after.key] = (*self.of_copies.get(after.key, ()), after)
        _keep(self.gone, before, after, is_kept=after is not None and after.state is not IntentState.RECORDED)
        _keep(self.placing, before, after, is_kept=after is not None and after.command.kind is CommandKind.PLACE)
        self._count(_added(known), _added(after))

    def _taken_out(self, before: Intent, after: Intent | None) -> Intent | None:
        """The request of this name as it is known, for which another stands now, or none."""
        key = before.key
        others = self.of_copies.get(key)
        known = next((other for other in others if other.intent == before.intent), None) if others else None
        if others is None or known is None:
            return None
        if after is not None:
            self.of_copies[key] = tuple([after if other is known else other for other in others])
        elif len(others) > 1:
            self.of_copies[key] = tuple([other for other in others if other is not known])
        else:
            del self.of_copies[key]
        return known

    def _count(self, was: tuple[SymbolId, int] | None, now: tuple[SymbolId, int] | None) -> None:
        """Count what a request may still add, instead of what it could before; a symbol of which none is left goes."""
        if was == now:
            return
        for sign, found in ((-1, was), (1, now)):
            if found is not None:
                symbol, volume = found
                count, lacking = self.adding.get(symbol, (0, 0))
                self.adding[symbol] = (count + sign, lacking + sign * volume)
                if not self.adding[symbol][0]:
                    del self.adding[symbol]


Later = tuple["Later | None", Intent | None, Intent | None]
"""A change that an index does not know yet: those before it, what a request was, and what it is."""

LATER_MAX = 64
"""After so many changes the index takes them all at once, whether or not anybody asks it."""


FEW = 8
"""So many requests are looked through faster than they are indexed, one by one and all at once."""


class Intents(dict[IntentId, Intent]):
    """Open requests in the order in which they were recorded, never changed once made.

    `known` is what they were indexed as, with the changes since and how many these are: whoever asks brings it up to
    date, once for each change and not at each. One value, so that a reader in another thread sees all of it or nothing.
    Where they are few, or nobody has asked since they were, there is none.
    """

    known: tuple[Index, Later | None, int] | None = None

    def index(self) -> Index:
        """Their index, brought up to date."""
        index, later, _ = self.known or _first_index(self)
        if later is not None:
            index, changes = index.copied(), []
            while later is not None:
                later, before, after = later
                changes.append((before, after))
            for before, after in reversed(changes):
                if after is None or after.intent in self:  # what has come and gone since leaves nothing
                    index.take(before, after)
        self.known = (index, None, 0)
        return index


def _first_index(intents: Intents) -> tuple[Index, None, int]:
    index = Index()
    for intent in intents.values():
        index.take(None, intent)
    return index, None, 0


def of_copy(intents: Mapping[IntentId, Intent], key: CopyKey) -> tuple[Intent, ...]:
    """The open requests of one copy, in the order in which they were recorded."""
    if isinstance(intents, Intents) and len(intents) > FEW:
        return intents.index().of_copies.get(key, ())
    if not intents:
        return ()
    link, source = key
    return tuple([intent for intent in intents.values() if intent.source == source and intent.link == link])


def gone(intents: Mapping[IntentId, Intent]) -> Iterable[Intent]:
    """The requests that have left, or of which nobody knows."""
    if len(intents) > FEW:
        return _indexed(intents).gone.values()
    return [intent for intent in intents.values() if intent.state is not IntentState.RECORDED] if intents else ()


def placing(intents: Mapping[IntentId, Intent]) -> Iterable[Intent]:
    """The pending orders that are being placed."""
    if len(intents) > FEW:
        return _indexed(intents).placing.values()
    return [intent for intent in intents.values() if intent.command.kind is CommandKind.PLACE] if intents else ()


def adding(intents: Mapping[IntentId, Intent]) -> Iterable[tuple[SymbolId, int]]:
    """What the opens and adds under way may still add, by symbol."""
    if len(intents) > FEW:
        return [(symbol, volume) for symbol, (_, volume) in _indexed(intents).adding.items()]
    if not intents:
        return ()
    return [(one.command.symbol, _lacking(one)) for one in intents.values() if one.command.kind in ADDING]


def with_intent(intents: Mapping[IntentId, Intent], intent: Intent) -> Intents:
    """These requests with one in its place."""
    fresh = _copied(intents)
    known = fresh.get(intent.intent)
    fresh[intent.intent] = intent
    _changed(fresh, known, intent)
    return fresh


def without_intent(intents: Mapping[IntentId, Intent], name: IntentId) -> Intents:
    """These requests without one."""
    fresh = _copied(intents)
    if name in fresh:
        _changed(fresh, fresh.pop(name), None)
    return fresh


def _changed(fresh: Intents, before: Intent | None, after: Intent | None) -> None:
    """Note a change for the index, where there is one."""
    if fresh.known is None:
        return
    if before is not None and after is not None and before.key != after.key:  # which no log of ours has
        _changed(fresh, before, None)
        before = None
    index, later, count = fresh.known
    fresh.known = (index, (later, before, after), count + 1)
    if count >= LATER_MAX:
        fresh.index()


def _keep(kept: dict[IntentId, Intent], before: Intent | None, after: Intent | None, *, is_kept: bool) -> None:
    """Keep a request among others in its place, or no longer."""
    if is_kept:
        assert after is not None
        kept[after.intent] = after
    elif before is not None:
        kept.pop(before.intent, None)


def _added(intent: Intent | None) -> tuple[SymbolId, int] | None:
    """What a request that opens or adds may still add."""
    if intent is None or intent.command.kind not in ADDING:
        return None
    return intent.command.symbol, _lacking(intent)


def _lacking(intent: Intent) -> int:
    """What a request may still add."""
    return max(0, intent.command.volume - intent.filled)


def _indexed(intents: Mapping[IntentId, Intent]) -> Index:
    return (intents if isinstance(intents, Intents) else _copied(intents)).index()


def _copied(intents: Mapping[IntentId, Intent]) -> Intents:
    fresh = Intents(intents)
    if isinstance(intents, Intents) and len(intents) > FEW:
        fresh.known = intents.known
    return fresh
