"""The market: for each feed a stream of bid and ask, from a seed or from recorded ticks, in the order of time.

Repeatable to the byte: a feed draws from its own generator and its ticks fall at moments that depend on the start, the
seed and the speed only, never on when somebody looked. Knows feeds; brokers, digits and markups are the venue's.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cmam.sandbox import units
from cmam.sandbox.markets.recorded import RecordedTick, Recording, TickFileError
from cmam.sandbox.world import Feed

PULL_SHIFT = 12
"""How weakly a walk is drawn back to its start: 1/4096 of the distance a tick."""


@dataclass(slots=True)
class Stream:
    """One feed as it stands."""

    feed: Feed
    chance: random.Random
    bid: int
    ask: int
    anchor: int
    """Bid that the walk is drawn to: the feed's start, or the last recorded tick."""
    recorded: Iterator[RecordedTick]
    origin_us: int
    """The moment of the recording, in its own time, that falls at the start."""
    following: RecordedTick | None


class Market:
    """All feeds, merged in time."""

    def __init__(
        self,
        feeds: Sequence[Feed],
        *,
        seed: int,
        start_us: int,
        ticks: Mapping[str, Recording] | None = None,
        speed: float = 1.0,
        interval_ms: int = 0,
    ) -> None:
        """Start all feeds at `start_us`; feeds named in `ticks` play those first and walk on from the last one.

        Of feeds that were recorded at the same time the earliest tick falls at the start, and the others stand until
        theirs; feeds of different days begin together.
        Raises TickFileError for ticks of a symbol that is no feed of this world.
        """
        self._start_us = start_us
        self._speed = speed if speed > 0 else 1.0
        self._interval_ms = interval_ms
        self.streams: dict[str, Stream] = {}
        self._due: list[tuple[int, str]] = []
        self._crosses: dict[str, list[Feed]] = {feed.name: [] for feed in feeds}
        recorded = ticks or {}
        origins = _origins(recorded)
        walking = {feed.name for feed in feeds if not feed.cross}
        for name in recorded:
            if name not in walking:
                raise TickFileError(
                    f"ticks: expected symbols among the feeds {', '.join(sorted(walking))}; found {name!r}"
                )
        for feed in feeds:
            if not feed.cross:
                self._start(feed, seed, iter(recorded.get(feed.name, ())), origins.get(feed.name, 0))
        for feed in feeds:
            if feed.cross:
                bid, ask = self._crossed(feed)
                self.streams[feed.name] = Stream(feed, random.Random(0), bid, ask, bid, iter(()), 0, None)
                for part in feed.cross[1:]:
                    self._crosses[part].append(feed)
        heapq.heapify(self._due)

    def _start(self, feed: Feed, seed: int, ticks: Iterator[RecordedTick], origin_us: int) -> None:
        chance = random.Random(f"{seed}:{feed.name}")
        first = next(ticks, None)
        bid, ask = (first.bid, first.ask) if first else (feed.price, feed.price + feed.spread)
        stream = Stream(feed, chance, bid, ask, bid, ticks, origin_us, next(ticks, None))
        self.streams[feed.name] = stream
        self._due.append((self._next_moment(stream, self._start_us), feed.name))

    def next_us(self) -> int:
        """Say when the next tick falls; far in the future without any feed that moves."""
        return self._due[0][0] if self._due else 2**62

    def pop(self) -> tuple[int, list[Stream]]:
        """Play the next tick; gives its moment and every feed whose quote it moved, crosses included."""
        moment, name = self._due[0]
        stream = self.streams[name]
        tick = stream.following
        if tick is not None:
            stream.bid, stream.ask = tick.bid, tick.ask
            stream.anchor = tick.bid
            stream.following = next(stream.recorded, None)
        else:
            self._walk(stream)
        heapq.heapreplace(self._due, (self._next_moment(stream, moment), name))
        return moment, self._with_crosses(stream)

    def move(self, name: str, bid: int, ask: int) -> list[Stream]:
        """Put a feed somewhere else; it walks on from there. Gives every feed whose quote that moved."""
        stream = self.streams[name]
        stream.bid, stream.ask, stream.anchor = bid, ask, bid
        return self._with_crosses(stream)

    def _with_crosses(self, stream: Stream) -> list[Stream]:
        moved = [stream]
        for feed in self._crosses[stream.feed.name]:
            cross = self.streams[feed.name]
            cross.bid, cross.ask = self._crossed(feed)
            moved.append(cross)
        return moved

    def _next_moment(self, stream: Stream, moment: int) -> int:
        tick = stream.following
        if tick is not None:
            # Feeds deliver a few ticks late: they keep their place in the file and never turn time back.
            return max(moment, self._start_us + int((tick.at_us - stream.origin_us) / self._speed))
        interval_us = (self._interval_ms or stream.feed.interval_ms) * units.MILLISECOND_US
        share = 512 + stream.chance.getrandbits(10)
        return moment + max(1, int(interval_us * share / 1024 / self._speed))

    def _walk(self, stream: Stream) -> None:
        """Move by a few steps, either way, weakly drawn to the start; now and then the spread breathes."""
        feed, bits = stream.feed, stream.chance.getrandbits(12)
        draw = (bits & 15) + (bits >> 4 & 15) - 15
        bid = stream.bid + draw * feed.step // 5 - (stream.bid - stream.anchor >> PULL_SHIFT)
        stream.bid = max(bid, feed.step + feed.spread + 1)
        wide = bits >> 8
        stream.ask = stream.bid + feed.spread + (feed.spread * (wide - 11) // 4 if wide > 11 else 0)

    def _crossed(self, feed: Feed) -> tuple[int, int]:
        assert feed.cross is not None
        how, first, second = feed.cross
        one, two = self.streams[first], self.streams[second]
        if how == "mul":
            return one.bid * two.bid // units.PRICE, -(-one.ask * two.ask // units.PRICE)
        return one.bid * units.PRICE // two.ask, -(-one.ask * units.PRICE // two.bid)


def _origins(recorded: Mapping[str, Recording]) -> dict[str, int]:
    """Say of each recording which moment of it falls at the start: the first of all that overlap with it, or follow
    from one that does."""
    origins: dict[str, int] = {}
    begins = ends = -(2**63)
    for first, last, name in sorted((one.at_us[0], one.at_us[-1], name) for name, one in recorded.items()):
        if first > ends:
            begins = first
        origins[name] = begins
        ends = max(ends, last)
    return origins
