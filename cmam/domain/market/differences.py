"""By how much one broker usually quotes a symbol above another: compared at moments at which both quotes stood.

The two newest quotes are not of one moment. Of a market that has jumped one broker tells before the other, and for that
long the jump looks like a difference between them.
"""

from __future__ import annotations

from collections.abc import Sequence

from cmam.domain.values.quantities import Distance, Quote

MOMENT_US = 1_000_000
"""How far the moments are apart that are compared: whole seconds of our clock, for all symbols the same."""
MOMENTS = 15
"""How many of them. What one broker tells later than the other is outvoted for half as many seconds."""
MOMENTS_MIN = 3
"""Fewer say nothing of what is usual: a feed has only just begun."""


def mid_difference(mine: Quote, theirs: Quote) -> Distance:
    """By how much the middle of one quote lies above that of another."""
    return Distance(((mine.bid + mine.ask) - (theirs.bid + theirs.ask)) // 2)


def is_wide(distance: int, mine: Quote, theirs: Quote) -> bool:
    """Whether a distance is more than both spreads."""
    return abs(distance) > max(mine.ask - mine.bid, theirs.ask - theirs.bid)


def usual_difference(mine: Sequence[Quote], theirs: Sequence[Quote], now_us: int) -> Distance | None:
    """The median of the differences at the last whole seconds, of quotes newest first; None where it is not known."""
    found: list[int] = []
    one = other = 0
    first = now_us // MOMENT_US * MOMENT_US
    for moment in range(first, first - MOMENTS * MOMENT_US, -MOMENT_US):
        while one < len(mine) and mine[one].seen_us >= moment:
            one += 1
        while other < len(theirs) and theirs[other].seen_us >= moment:
            other += 1
        if one == len(mine) or other == len(theirs):
            break
        found.append(mid_difference(mine[one], theirs[other]))
    return Distance(sorted(found)[len(found) // 2]) if len(found) >= MOMENTS_MIN else None
