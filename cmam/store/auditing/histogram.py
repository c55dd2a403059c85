"""How durations spread: buckets that grow by the same factor, six to each power of ten, and always the same ones.

The bounds are fixed, so that the histograms of two days, two followers or two machines can be laid over each other and
added up. Knows no stage and no screen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

STEPS: Final = (10, 15, 20, 30, 50, 70)
"""The lower bounds within one power of ten, in tenths of it. Two neighbours together are the steps 1, 2, 5."""
POWERS: Final = range(7)
BOUNDS_US: Final = (*(step * 10**power for power in POWERS for step in STEPS), 10 ** (len(POWERS) + 1))
"""From 10 us to 100 s; what is shorter or longer than that has a bucket at either end."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many spans lasted at least `from_us` and less than `below_us`, which is None for the one without an end."""

    from_us: int
    below_us: int | None
    count: int


def histogram(spans_us: Iterable[int]) -> list[Bucket]:
    """Count spans by bucket, from the first to the last bucket that holds any; those between may be empty."""
    counts = Counter(bisect_right(BOUNDS_US, span) for span in spans_us)
    if not counts:
        return []
    return [_bucket(place, counts[place]) for place in range(min(counts), max(counts) + 1)]


def coarser(buckets: Sequence[Bucket]) -> list[Bucket]:
    """The same with two buckets in one, by the steps 1, 2, 5: half as many lines for spans far apart."""
    joined: dict[int, int] = {}
    for bucket in buckets:
        place = bisect_right(BOUNDS_US, bucket.from_us) if bucket.from_us else 0
        pair = place if place in (0, len(BOUNDS_US)) else place - (place - 1) % 2
        joined[pair] = joined.get(pair, 0) + bucket.count
    return [_bucket(place, count, places=2) for place, count in joined.items()]


def _bucket(place: int, count: int, *, places: int = 1) -> Bucket:
    """The bucket between two bounds, by the place of the upper one."""
    if place == 0:
        return Bucket(0, BOUNDS_US[0], count)
    if place == len(BOUNDS_US):
        return Bucket(BOUNDS_US[-1], None, count)
    return Bucket(BOUNDS_US[place - 1], BOUNDS_US[place - 1 + places], count)
