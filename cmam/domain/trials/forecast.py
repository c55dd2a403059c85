"""How late the last follower of a burst would be: the budget of a connection looked at from the future.

A connection has so many slots; each is taken for a span once it is used. From when the taken ones are free again
follows when each order of a burst would leave. Knows no clock and no queue: moments in us come in as arguments.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cmam.domain.events import Standing
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.ids import AccountId

AT_ONCE_US = 100_000
"""Orders that leave within so much of each other are one wave: nobody reads a forecast to the millisecond."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the orders of a burst leave: the first wave of them, and the last of all. Times in us from now."""

    count: int
    first_count: int
    first_us: int
    last_us: int

    def __str__(self) -> str:
        """In words: `37 of 40 followers in 0.8 s, the rest by 1.6 s`."""
        followers = "follower" if self.count == 1 else "followers"
        if self.first_count == self.count:
            return f"{self.count} {followers} {_within(self.last_us)}"
        first = f"{self.first_count} of {self.count} {followers} {_within(self.first_us)}"
        return f"{first}, the rest by {self.last_us / 1_000_000:.1f} s"

    def document(self) -> dict[str, object]:
        """As `status` and `audit timings` carry it."""
        return {
            "followers": self.count,
            "first": self.first_count,
            "first_ms": self.first_us // 1_000,
            "last_ms": self.last_us // 1_000,
            "text": str(self),
        }


def _within(span_us: int) -> str:
    return "at once" if span_us < AT_ONCE_US // 2 else f"in {span_us / 1_000_000:.1f} s"


@dataclass(frozen=True, slots=True)
class Room:
    """The budget of one connection as opens find it: `ahead` of them wait already."""

    slots: int
    span_us: int
    free_us: tuple[int, ...] = ()
    ahead: int = 0


def leaving_times(slots: int, free_us: Sequence[int], span_us: int, count: int, now_us: int) -> list[int]:
    """When each of `count` requests leaves: as soon as fewer than `slots` of those before it are still counted.

    `free_us` are the moments, in order, at which what has left before is no longer counted; it may be longer than
    `slots` where one is kept for something else.
    """
    counted = [moment for moment in free_us if moment > now_us]
    heapq.heapify(counted)
    moments: list[int] = []
    moment = now_us
    for _ in range(count):
        while len(counted) >= slots:
            moment = max(moment, heapq.heappop(counted))
        heapq.heappush(counted, moment + span_us)
        moments.append(moment)
    return moments


def forecast(bursts: Iterable[Sequence[int]], now_us: int) -> Forecast | None:
    """Join the leaving times of one burst over all its connections; None when there is nothing to leave.

    The first wave ends at the widest pause between two orders, if there is one that anybody would notice.
    """
    moments = sorted(moment for burst in bursts for moment in burst)
    if not moments:
        return None
    pauses = [later - earlier for earlier, later in pairwise(moments)]
    widest = max(pauses, default=0)
    first = pauses.index(widest) + 1 if widest >= AT_ONCE_US else len(moments)
    return Forecast(len(moments), first, moments[first - 1] - now_us, moments[-1] - now_us)


def by_profile(
    links: Iterable[LinkSettings],
    connection_of: Callable[[AccountId], str],
    room_of: Callable[[str], Room],
    now_us: int,
) -> dict[str, Forecast]:
    """What a burst of one open for each running follower of a profile would meet now, by the profile's name."""
    counts: dict[str, Counter[str]] = {}
    for link in links:
        if link.standing is Standing.RUNNING:
            counts.setdefault(link.profile_name, Counter())[connection_of(link.follower)] += 1
    found: dict[str, Forecast] = {}
    for profile, connections in counts.items():
        bursts = []
        for connection, count in connections.items():
            room = room_of(connection)
            moments = leaving_times(room.slots, room.free_us, room.span_us, room.ahead + count, now_us)
            bursts.append(moments[room.ahead :])
        joined = forecast(bursts, now_us)
        if joined is not None:
            found[profile] = joined
    return found
