"""The open positions of an account, and what each open asks of all of them, kept beside them.

What they are worth, what they bind, how much of a symbol is held and which are another store's copies rests on every
position. Five hundred of them must not make an open slower than one does, so what they come to is kept for each symbol
and side, in the order of their prices. Of a plain mapping, and of few, the same is worked out one by one, which a test
holds against what is kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping

from cmam.domain.values.ids import PositionId, SymbolId
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import Quote, Side
from cmam.domain.values.replacing import without
from cmam.domain.values.trades import Position

FEW = 16
"""So many positions are looked through faster than what they come to is kept."""

LATER_MAX = 64
"""After so many changes they are all taken at once, whether or not anybody asks."""


class Pile:
    """What is held of one symbol on one side: sums, and price, volume and their product by price, the lowest first.

    `worth` is the sum of those products; of the `unpriced` no price is known. Never changed once somebody may ask it.
    """

    __slots__ = ("count", "margin", "prices", "unpriced", "volume", "volumes", "worth", "worths")

    def __init__(self) -> None:
        self.count = self.unpriced = self.volume = self.margin = self.worth = 0
        self.prices: list[int] = []
        self.volumes: list[int] = []
        self.worths: list[int] = []

    def copied(self) -> Pile:
        """One of one's own."""
        fresh = Pile()
        fresh.count, fresh.unpriced, fresh.volume = self.count, self.unpriced, self.volume
        fresh.margin, fresh.worth = self.margin, self.worth
        fresh.prices, fresh.volumes, fresh.worths = self.prices.copy(), self.volumes.copy(), self.worths.copy()
        return fresh

    def add(self, position: Position) -> None:
        """One more is held."""
        self.count += 1
        self.volume += position.volume
        self.margin += position.used_margin
        if position.price is None:
            self.unpriced += 1
            return
        place = bisect_right(self.prices, position.price)
        self.worth += position.price * position.volume
        self.prices.insert(place, position.price)
        self.volumes.insert(place, position.volume)
        self.worths.insert(place, position.price * position.volume)

    def drop(self, position: Position) -> None:
        """One that was held is not any more."""
        self.count -= 1
        self.volume -= position.volume
        self.margin -= position.used_margin
        if position.price is None:
            self.unpriced -= 1
            return
        place = self.volumes.index(position.volume, bisect_left(self.prices, position.price))
        self.worth -= position.price * position.volume
        del self.prices[place], self.volumes[place], self.worths[place]

    def gains(self, side: Side, quote: Quote) -> tuple[int | None, int | None]:
        """What those gain together that do not lose at this quote, and what those lose that do; None where none does.

        In price times volume. All of them must have a price.
        """
        if side is Side.BUY:
            place = bisect_right(self.prices, quote.bid)
            volume, worth = sum(self.volumes[:place]), sum(self.worths[:place])
            low, high = quote.bid * volume - worth, quote.bid * (self.volume - volume) - (self.worth - worth)
            return (low if place else None), (high if place < self.count else None)
        place = bisect_left(self.prices, quote.ask)
        volume, worth = sum(self.volumes[:place]), sum(self.worths[:place])
        low, high = worth - quote.ask * volume, (self.worth - worth) - quote.ask * (self.volume - volume)
        return (high if place < self.count else None), (low if place else None)


class Index:
    """What all positions come to: `piles` by symbol and side, swaps and commissions, and copies' labels by store.

    Never changed once somebody may ask it.
    """

    __slots__ = ("booked", "marked", "piles")

    def __init__(self) -> None:
        self.booked = 0
        self.piles: dict[tuple[SymbolId, Side], Pile] = {}
        self.marked: dict[str, dict[PositionId, str]] = {}

    def changed(self, changes: Iterable[tuple[Position | None, Position | None]]) -> Index:
        """Another one after changes, each from what a position was to what it is; it may come, or go."""
        fresh = Index()
        fresh.booked, fresh.piles, fresh.marked = self.booked, self.piles.copy(), self.marked.copy()
        own: set[object] = set()
        for before, after in changes:
            if before is not None:
                fresh.booked -= before.swap + before.commission
                pile = fresh._pile_of(before, own)
                pile.drop(before)
                if not pile.count:
                    del fresh.piles[before.symbol, before.side]
            if after is not None:
                fresh.booked += after.swap + after.commission
                fresh._pile_of(after, own).add(after)
            fresh._mark(before, after, own)
        return fresh

    def _pile_of(self, position: Position, own: set[object]) -> Pile:
        """The pile of a position, which nobody else has."""
        key = (position.symbol, position.side)
        pile = self.piles.get(key)
        if pile is None:
            own.add(key)
            pile = self.piles[key] = Pile()
        elif key not in own:
            own.add(key)
            pile = self.piles[key] = pile.copied()
        return pile

    def _mark(self, before: Position | None, after: Position | None, own: set[object]) -> None:
        """Note whose copy came or went; one that stays has its label still, or there would be no index."""
        if before is not None and after is not None:
            return
        position = after or before
        mark = read_label(position.label) if position is not None and position.label else None
        if position is None or mark is None:
            return
        if mark.store not in own:
            own.add(mark.store)
            self.marked[mark.store] = self.marked.get(mark.store, {}).copy()
        labels = self.marked[mark.store]
        if after is not None:
            labels[position.position] = position.label
            return
        del labels[position.position]
        if not labels:
            own.discard(mark.store)
            del self.marked[mark.store]


Later = tuple["Later | None", Position | None, Position | None]
"""A change that an index does not know yet: those before it, what a position was, and what it is."""


class Positions(dict[PositionId, Position]):
    """Open positions in the order in which they came, never changed once made.

    `known` is what they came to when somebody asked, with the changes since and how many these are: whoever asks brings
    it up to date. One value, so that a reader in another thread sees all of it or nothing.
    """

    known: tuple[Index, Later | None, int] | None = None

    def index(self) -> Index:
        """What they come to, brought up to date."""
        if self.known is None:
            index = Index().changed((None, position) for position in self.values())
        else:
            index, later, _ = self.known
            changes = []
            while later is not None:
                later, before, after = later
                changes.append((before, after))
            if not changes:
                return index
            index = index.changed(reversed(changes))
        self.known = (index, None, 0)
        return index


def with_position(positions: Mapping[PositionId, Position], position: Position) -> Positions:
    """These positions with one in its place."""
    fresh = Positions(positions)
    fresh[position.position] = position
    if isinstance(positions, Positions) and positions.known is not None:
        _note(fresh, positions, positions.get(position.position), position)
    return fresh


def without_position(positions: Mapping[PositionId, Position], number: PositionId) -> Mapping[PositionId, Position]:
    """These positions without one."""
    known = positions.get(number)
    if known is None or not isinstance(positions, Positions):
        return without(positions, number)
    fresh = Positions(positions)
    del fresh[number]
    if positions.known is not None:
        _note(fresh, positions, known, None)
    return fresh


def _note(fresh: Positions, former: Positions, before: Position | None, after: Position | None) -> None:
    """Note a change for the index; who has become few, or has another label, is indexed anew when somebody asks."""
    if former.known is None or len(fresh) <= FEW:
        return
    if before is not None and after is not None and before.label != after.label:
        return
    index, later, count = former.known
    fresh.known = (index, (later, before, after), count + 1)
    if count >= LATER_MAX:
        fresh.index()


def index_of(positions: Mapping[PositionId, Position]) -> Index | None:
    """What many positions come to; None where they are few, and as quickly looked through."""
    return positions.index() if len(positions) > FEW and isinstance(positions, Positions) else None


def volumes(positions: Mapping[PositionId, Position]) -> Collection[tuple[SymbolId, int]]:
    """What is held of each symbol, in parts, whatever its side."""
    index = index_of(positions)
    if index is not None:
        return [(symbol, pile.volume) for (symbol, _), pile in index.piles.items()]
    return [(position.symbol, int(position.volume)) for position in positions.values()]


def margins(positions: Mapping[PositionId, Position]) -> Collection[tuple[SymbolId, Side, int]]:
    """What is bound by each symbol and side, in parts, in minor units."""
    index = index_of(positions)
    if index is not None:
        return [(symbol, side, pile.margin) for (symbol, side), pile in index.piles.items()]
    return [(position.symbol, position.side, position.used_margin) for position in positions.values()]


def foreign_labels(positions: Mapping[PositionId, Position], allowed: Collection[str]) -> Iterator[str]:
    """The labels of copies that other stores than these have made, in the order of the positions."""
    index = index_of(positions)
    labels: Iterable[str] = ()
    if index is None:
        labels = [position.label for position in positions.values()]
    else:
        foreign = index.marked.keys() - set(allowed)
        if len(foreign) == 1:
            yield from index.marked[foreign.pop()].values()
        elif foreign:
            labels = [position.label for position in positions.values()]
    for label in labels:
        mark = read_label(label) if label else None
        if mark is not None and mark.store not in allowed:
            yield label
