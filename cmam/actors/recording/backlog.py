"""What waits for the store, in its order: with a store that takes nothing for long, packed, and without late opens.

Each leader's change leaves some 8 KB of facts as objects, which a store that is back in an hour finds in memory. Behind
the part that is tried next they are kept as compressed records instead, a tenth of that, to the last of them. An open
whose time is over while its record waits can never leave: its account hears so at once, not when the store is back, and
need not carry it along.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from cmam.actors import messages as m
from cmam.domain.values.replacing import replace
from cmam.store.records.envelope import Pending
from cmam.store.records.packing import packed, unpacked

BATCH_MAX = 500
"""So many appends at most are one transaction. After a time without a store more may wait; tried all together each time
they would take the processor from the closes that leave meanwhile."""
LATE = "expired"
"""What is said of an open that waited until it was too old, as the limiter says it."""

Then = tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """The facts of some appends, packed; `then` has, by the number of the last fact of each, what is told after it."""

    content: bytes
    count: int
    then: dict[int, Then]


class Backlog:
    """The appends that are not on disk yet. Used by the recorder alone; `facts` is read from other threads too."""

    def __init__(self) -> None:
        self._next: list[m.Append] = []
        self._blocks: deque[_Block | list[m.Append]] = deque()
        self._last: list[m.Append] = []

    def __len__(self) -> int:
        return len(self._next) + BATCH_MAX * len(self._blocks) + len(self._last)

    @property
    def facts(self) -> int:
        """How many facts wait. Read from other threads."""
        blocks = tuple(self._blocks)
        loose = chain(self._next, self._last, *(block for block in blocks if isinstance(block, list)))
        return sum(block.count for block in blocks if isinstance(block, _Block)) + sum(len(a.facts) for a in loose)

    def add(self, append: m.Append) -> None:
        """Let an append wait behind all others."""
        is_next = len(self._next) < BATCH_MAX and not self._blocks and not self._last
        (self._next if is_next else self._last).append(append)

    def part(self) -> list[m.Append]:
        """What is to be written next, as one transaction; nothing where nothing waits."""
        if not self._next and self._blocks:
            self._next = _opened(self._blocks[0])
            self._blocks.popleft()
        elif not self._next:
            self._next, self._last = self._last[:BATCH_MAX], self._last[BATCH_MAX:]
        return list(self._next)

    def written(self, part: Sequence[m.Append]) -> None:
        """The part that was to be written next is on disk."""
        del self._next[: len(part)]

    def of(self, stream: str) -> Iterator[m.Append]:
        """What waits of one stream; a fact that was packed is an append of its own."""
        return (append for append in self._all() if append.stream == stream)

    def forget(self, stream: str) -> None:
        """Keep nothing of one stream."""
        left = [append for append in self._all() if append.stream != stream]
        had_blocks = bool(self._blocks)
        self._blocks.clear()
        self._next, self._last = left[:BATCH_MAX], left[BATCH_MAX:]
        if had_blocks:
            self.pack()

    def _all(self) -> Iterator[m.Append]:
        return chain(self._next, *map(_opened, self._blocks), self._last)

    # --- a store that takes nothing for long --------------------------------------------------------------------------

    def give_back(self, now_us: int) -> Iterator[m.Submit]:
        """The requests that are too late by now, taken out: whatever becomes of their records, they never leave."""
        for block in self._blocks:
            if isinstance(block, _Block):
                for number, then in tuple(block.then.items()):
                    block.then[number], late = _in_time(then, now_us)
                    yield from late
        for loose in (self._next, *(block for block in self._blocks if isinstance(block, list)), self._last):
            for number, append in enumerate(loose):
                if append.then:
                    then, late = _in_time(append.then, now_us)
                    loose[number] = replace(append, then=then)
                    yield from late

    def pack(self) -> None:
        """Keep whole parts of what is not written next as their bytes."""
        while len(self._last) >= BATCH_MAX:
            self._blocks.append(_packed(self._last[:BATCH_MAX]))
            self._last = self._last[BATCH_MAX:]


def pending_of(appends: Sequence[m.Append]) -> list[Pending]:
    """The records of appends as the log takes them."""
    return [
        Pending(
            stream=append.stream,
            version=append.version + offset,
            at_us=append.at_us,
            event=fact.event,
            cause=fact.cause,
            settings=append.settings,
        )
        for append in appends
        for offset, fact in enumerate(append.facts)
    ]


def _packed(appends: list[m.Append]) -> _Block | list[m.Append]:
    """Appends as bytes; as they are where bytes would not give the very same records again."""
    batch: list[Pending] = []
    then: dict[int, Then] = {}
    for append in appends:
        batch += pending_of((append,))
        if append.then:
            then[len(batch) - 1] = append.then
    content = packed(batch)
    return appends if content is None else _Block(content, len(batch), then)


def _opened(block: _Block | list[m.Append]) -> list[m.Append]:
    if isinstance(block, list):
        return block
    return [
        m.Append(p.stream, p.version, p.at_us, (m.Fact(p.event, p.cause),), p.settings, block.then.get(number, ()))
        for number, p in enumerate(unpacked(block.content))
    ]


def _in_time(then: Then, now_us: int) -> tuple[Then, list[m.Submit]]:
    """What is still to be told, and the requests that are too late for it."""
    late = [
        found for _, found in then if isinstance(found, m.Submit) and found.not_after_us and now_us > found.not_after_us
    ]
    return (tuple(told for told in then if told[1] not in late), late) if late else (then, late)
