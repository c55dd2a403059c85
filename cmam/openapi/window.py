"""How many requests the server may have read in the last second, and when the next one may leave.

A sliding window, because a bucket of 50 filled at 50 a second lets 99 through in one. The server counts a frame when it
reads it, which nobody sees from here; but an answer proves that the frame was read before, and so was all that was
written before it, since the server reads in order. A slot is free again a second and a margin after that proof, so
whatever the line does, a frame written then is read more than a second later than the one whose slot it takes. What the
line usually does, its round trips and their variation, is only for forecasts: how long a slot will be taken.

Knows no request and no clock: moments in monotonic us come in as arguments.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Final

from cmam.clock import MILLISECOND_US, SECOND_US

GUARD_US_MIN: Final = 5 * MILLISECOND_US
GUARD_US_MAX: Final = 50 * MILLISECOND_US
MARGIN_US: Final = 5 * MILLISECOND_US
"""What lies between the second after an answer and the next frame. A second of the server's clock may be a thousandth
longer than one of ours, far more than clocks err; the rest is for who counts beside the server, a little later."""
UNPROVEN_US: Final = 10 * SECOND_US
"""How long a frame may go unread once it was written, as closes take it, what protects, and what closes wait for: a
server that answers nothing must keep none of that from leaving. Heartbeats are not answered: nobody waits longer for
them."""
STALLED_US: Final = 60 * SECOND_US
"""The same as opens and questions take it, of what is to be answered: a line that stood still for some seconds brings
all of it at once, and what followed it meanwhile would be refused. Who says nothing for so long is taken for gone."""
SAMPLES_MAX: Final = 1_000
"""As many round trips as a p99.9 needs, and no more: the line of an hour ago says little."""
SAMPLES_MIN: Final = 20
"""Before so many round trips nothing is known of the line, and the guard stays at its most."""
_SORT_EVERY: Final = 25


class Guard:
    """How much longer than a second forecasts take the window to be: p99.9 of the variation of round trips, bounded."""

    def __init__(self) -> None:
        self._samples: deque[int] = deque(maxlen=SAMPLES_MAX)
        self._since_sorted = 0
        self.us = GUARD_US_MAX
        self.round_trip_us = 0
        """A usual round trip."""

    def saw(self, round_trip_us: int) -> None:
        """Take one round trip into account."""
        self._samples.append(round_trip_us)
        self._since_sorted += 1
        if len(self._samples) < SAMPLES_MIN or (len(self._samples) > SAMPLES_MIN and self._since_sorted < _SORT_EVERY):
            return
        self._since_sorted = 0
        ordered = sorted(self._samples)
        high = ordered[-1 - len(ordered) // SAMPLES_MAX]  # p99.9: the highest of up to 999, the second of 1,000
        self.us = min(max(high - ordered[0], GUARD_US_MIN), GUARD_US_MAX)
        self.round_trip_us = ordered[len(ordered) // 2]


@dataclass(slots=True)
class Slot:
    """One frame that was let go: when it was written, and by when the server had read it, each once known.

    `is_answered` says whether the server answers its kind at all.
    """

    taken_us: int
    written_us: int | None = None
    read_us: int | None = None
    is_answered: bool = True


class Flight:
    """The frames under way, in the order in which they are written: what the server may not have read yet."""

    def __init__(self) -> None:
        self._unwritten: deque[Slot] = deque()
        self._unread: deque[tuple[int, Slot]] = deque()
        self._number = 0

    def take(self, now_us: int, *, is_answered: bool = True) -> Slot:
        """One more frame was let go."""
        slot = Slot(now_us, is_answered=is_answered)
        self._unwritten.append(slot)
        return slot

    def wrote(self, count: int, at_us: int) -> int:
        """The oldest `count` frames that were not written yet are now; answers how many there were."""
        found = min(count, len(self._unwritten))
        for _ in range(found):
            slot = self._unwritten.popleft()
            slot.written_us = max(slot.taken_us, at_us)
            self._number += 1
            self._unread.append((self._number, slot))
        return found

    def read(self, number: int, at_us: int) -> None:
        """The server had read the first `number` frames of this line by then."""
        while self._unread and self._unread[0][0] <= number:
            self._unread.popleft()[1].read_us = at_us

    def end(self, now_us: int) -> None:
        """The line is gone: nothing more of it will be read, and the next one is counted from its own beginning."""
        for slot in (*self._unwritten, *(slot for _, slot in self._unread)):
            slot.written_us = slot.taken_us if slot.written_us is None else slot.written_us
            slot.read_us = now_us
        self._unwritten.clear()
        self._unread.clear()
        self._number = 0


class Window:
    """At most `limit` frames in any second as the server reads them."""

    def __init__(self, limit: int, guard: Guard) -> None:
        self.limit = limit
        self._guard = guard
        self._slots: deque[Slot] = deque()

    @property
    def span_us(self) -> int:
        """How long a slot is usually taken."""
        return SECOND_US + max(self._guard.us, self._guard.round_trip_us + MARGIN_US)

    def use(self, slot: Slot) -> None:
        """Count one frame that leaves now; the caller has looked that there is room."""
        self._slots.append(slot)

    def used(self, now_us: int) -> int:
        """How many slots are taken now."""
        slots = self._slots
        while slots and self._free_us(slots[0], now_us) <= now_us:
            slots.popleft()
        return len(slots)

    def room_at(self, now_us: int, *, keep: int = 0, waits_out: bool = True) -> int:
        """When the next frame may leave that leaves `keep` slots free, at the latest; `now_us` when it may leave now.

        A slot that nothing has proven yet counts as free at its bound, so the moment comes closer with each answer:
        without `waits_out`, at the shorter bound.
        """
        used = self.used(now_us)
        nth = used - (self.limit - keep) + 1  # of the slots, in the order in which they are free again, from 1
        if nth <= 0:
            return now_us
        assert nth <= used, "expected no more than the slots that are taken"
        return max(self._free_us(slot, now_us, waits_out=waits_out) for slot in islice(self._slots, nth))

    def expected(self, now_us: int) -> list[int]:
        """When each slot that is taken is free again if the line answers as it usually does, in order."""
        self.used(now_us)
        moments: list[int] = []
        last, span_us = now_us, self.span_us
        for slot in self._slots:
            if slot.read_us is not None:
                moment = self._free_us(slot, now_us)
            else:
                moment = (slot.taken_us if slot.written_us is None else slot.written_us) + span_us
            last = max(last, moment)
            moments.append(last)
        return moments

    def _free_us(self, slot: Slot, now_us: int, *, waits_out: bool = True) -> int:
        """When a slot is free again, by what is known of it now."""
        bound_us = STALLED_US if waits_out and slot.is_answered else UNPROVEN_US
        if slot.written_us is None:
            return now_us + bound_us + SECOND_US
        read_us = slot.written_us + bound_us if slot.read_us is None else slot.read_us
        return read_us + SECOND_US + MARGIN_US
