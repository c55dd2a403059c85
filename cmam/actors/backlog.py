"""What waits for the store, in its order: with a store that takes nothing for long, packed, and without late opens.

Each leader's change leaves some 8 KB of facts as objects, which a store that is back in an hour finds in memory. Behind
the part that is tried next they are kept as the bytes of their records instead, a sixth of that, to the last of them.
An open whose time is over while its record waits can never leave: its account hears so at once, not when the store is
back, and need not carry it along.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from cmam.actors import messages as m
from cmam.domain.replacing import replace
from cmam.store.envelope import Decoding, Pending, Raw, encode

BATCH_MAX = 500
"""So many appends at most are one transaction. After a time without a store more may wait; tried all together each time
they would take the processor from the closes that leave meanwhile."""
LATE = "expired"
"""What is said of an open that waited until it was too old, as the limiter says it."""


@dataclass(frozen=True, slots=True)
class _Packed:
    """An append, its facts as compressed records: of each its topic, and how long its state is."""

    append: m.Append
    topics: tuple[tuple[str, int], ...]
    content: bytes


class Backlog:
    """The appends that are not on disk yet. Used by the recorder alone; its sizes are read from other threads."""

    def __init__(self) -> None:
        self._waiting: list[m.Append | _Packed] = []
        self._decoding = Decoding()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def facts(self) -> int:
        """How many facts wait. Read from other threads."""
        return sum(len(entry.topics if isinstance(entry, _Packed) else entry.facts) for entry in tuple(self._waiting))

    def add(self, append: m.Append) -> None:
        """Let an append wait behind all others."""
        self._waiting.append(append)

    def part(self) -> list[m.Append]:
        """What is to be written next, as one transaction."""
        return [self._whole(entry) for entry in self._waiting[:BATCH_MAX]]

    def written(self, part: list[m.Append]) -> None:
        """The part that was to be written next is on disk."""
        del self._waiting[: len(part)]

    def of(self, stream: str) -> Iterator[m.Append]:
        """What waits of one stream."""
        for entry in self._waiting:
            if _append_of(entry).stream == stream:
                yield self._whole(entry)

    def forget(self, stream: str) -> None:
        """Keep nothing of one stream."""
        self._waiting = [entry for entry in self._waiting if _append_of(entry).stream != stream]

    # --- a store that takes nothing for long --------------------------------------------------------------------------

    def give_back(self, now_us: int) -> Iterator[m.Submit]:
        """The requests that are too late by now, taken out: whatever becomes of their records, they never leave."""
        for number, entry in enumerate(self._waiting):
            append = _append_of(entry)
            late = [found for _, found in append.then if isinstance(found, m.Submit) and _is_late(found, now_us)]
            if late:
                then = tuple(told for told in append.then if not any(told[1] is submit for submit in late))
                rest = replace(append, then=then)
                self._waiting[number] = replace(entry, append=rest) if isinstance(entry, _Packed) else rest
                yield from late

    def pack(self) -> None:
        """Keep what is not written next as its bytes."""
        for number in range(BATCH_MAX, len(self._waiting)):
            entry = self._waiting[number]
            if isinstance(entry, m.Append):
                self._waiting[number] = self._packed(entry)

    def _packed(self, append: m.Append) -> m.Append | _Packed:
        """An append as its bytes; as it is where these would not give the very same records again."""
        try:
            states = [encode(pending, "", "") for pending in pending_of(append)]
            packed = _Packed(
                replace(append, facts=()),
                tuple((fact.event.TOPIC, len(state)) for fact, state in zip(append.facts, states, strict=True)),
                zlib.compress(b"".join(states), 1),
            )
            again = [encode(pending, "", "") for pending in pending_of(self._whole(packed))]
        except (TypeError, ValueError):
            return append  # what no event may hold: the store will say so
        return packed if again == states else append

    def _whole(self, entry: m.Append | _Packed) -> m.Append:
        if isinstance(entry, m.Append):
            return entry
        append, content, place = entry.append, zlib.decompress(entry.content), 0
        facts = []
        for number, (topic, size) in enumerate(entry.topics):
            state = content[place : place + size]
            found = self._decoding.read(Raw(0, append.stream, append.version + number, topic, state))
            facts.append(m.Fact(found.event, found.cause))
            place += size
        return replace(append, facts=tuple(facts))


def pending_of(append: m.Append) -> list[Pending]:
    """The records of an append as the log takes them."""
    return [
        Pending(
            stream=append.stream,
            version=append.version + offset,
            at_us=append.at_us,
            event=fact.event,
            cause=fact.cause,
            settings=append.settings,
        )
        for offset, fact in enumerate(append.facts)
    ]


def _append_of(entry: m.Append | _Packed) -> m.Append:
    return entry.append if isinstance(entry, _Packed) else entry


def _is_late(submit: m.Submit, now_us: int) -> bool:
    return bool(submit.not_after_us) and now_us > submit.not_after_us
