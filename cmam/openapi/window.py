"""How many requests have left in the last second, and when the next one may.

A sliding window, because a bucket of 50 filled at 50 a second lets 99 through in one. It is longer than a second by a
guard: what leaves here evenly arrives at the server with the line's variation, and the server's count is the one that
matters. Knows no request and no clock: moments in monotonic us come in as arguments and never go back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Final

from cmam.clock import MILLISECOND_US, SECOND_US

GUARD_US_MIN: Final = 5 * MILLISECOND_US
GUARD_US_MAX: Final = 50 * MILLISECOND_US
SAMPLES_MAX: Final = 1_000
"""As many round trips as a p99.9 needs, and no more: the line of an hour ago says little."""
SAMPLES_MIN: Final = 20
"""Before so many round trips nothing is known of the line, and the guard stays at its most."""
_SORT_EVERY: Final = 25


class Guard:
    """How much longer than a second the window is: p99.9 of the variation of round trips, within its bounds."""

    def __init__(self) -> None:
        self._samples: deque[int] = deque(maxlen=SAMPLES_MAX)
        self._since_sorted = 0
        self.us = GUARD_US_MAX

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


@dataclass(slots=True)
class Slot:
    """One request that has left. `at_us` moves later when the write turns out to have come after the decision."""

    at_us: int


class Window:
    """At most `limit` requests in any second, as the far end of a line counts that varies by less than the guard."""

    def __init__(self, limit: int, guard: Guard) -> None:
        self.limit = limit
        self._guard = guard
        self._slots: deque[Slot] = deque()

    @property
    def span_us(self) -> int:
        """How long a slot stays taken."""
        return SECOND_US + self._guard.us

    def use(self, now_us: int) -> Slot:
        """Count one request that leaves now; the caller has looked that there is room."""
        slot = Slot(now_us)
        self._slots.append(slot)
        return slot

    def used(self, now_us: int) -> int:
        """How many slots are taken now."""
        gone = now_us - self.span_us
        slots = self._slots
        while slots and slots[0].at_us <= gone:
            slots.popleft()
        return len(slots)

    def room_at(self, room: int, now_us: int, *, keep: int = 0) -> int:
        """When the last of `room` requests may leave that use all slots but `keep`, each as soon as it may.

        `now_us` when all of them may leave now.
        """
        used, limit = self.used(now_us), self.limit - keep
        nth = used - limit + room  # of the slots, in the order in which they are free again, from 1
        if nth <= 0:
            return now_us
        rounds, place = divmod(nth - 1, max(used, limit))
        taken_us = now_us if place >= used else max(slot.at_us for slot in islice(self._slots, place + 1))
        return taken_us + self.span_us * (rounds + 1)
