"""Time, handed down: the only module that reads the clock.

Everything else takes `now` as an argument or a `Clock` as a port: replay reads no clock, and tests move their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NewType, Protocol

Micros = NewType("Micros", int)
"""A moment: microseconds since 1970-01-01 UTC."""

MonotonicUs = NewType("MonotonicUs", int)
"""A reading of a clock that never jumps, in microseconds since an arbitrary start; for spans only."""

SECOND_US = 1_000_000
MILLISECOND_US = 1_000


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> Micros:
        """Say what time it is, for the record."""
        ...

    def monotonic(self) -> MonotonicUs:
        """Read the clock that spans are measured with."""
        ...

    def behind(self) -> int:
        """How far the machine's wall clock is ahead of `now`, in microseconds; negative where it is behind it."""
        ...


SLEW_PARTS = 10
"""A wall clock that was set is followed by at most a tenth of the time that passes: a span by `now` is never more wrong
than that, and an order that must have settled before it counts as absent is given nine tenths of its time at least."""


def _wall_us() -> int:
    return time.time_ns() // 1_000


def _steady_us() -> int:
    """A clock that nobody sets; where there is one that also counts while the machine sleeps, that one."""
    return time.clock_gettime_ns(_STEADY) // 1_000


_STEADY: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The machine's own clocks. The wall clock may be set at any moment; `now` goes on, and makes up for it slowly."""

    def __init__(self, wall: Callable[[], int] = _wall_us, steady: Callable[[], int] = _steady_us) -> None:
        self._wall = wall
        self._steady = steady
        at = steady()
        self._kept = (wall() - at, at)  # replaced whole: any thread may read the time

    def now(self) -> Micros:
        offset, at = self._kept
        steady = self._steady()
        behind = self._wall() - steady - offset
        most = max(0, steady - at) // SLEW_PARTS
        offset += max(-most, min(most, behind))
        self._kept = (offset, steady)
        return Micros(steady + offset)

    def monotonic(self) -> MonotonicUs:
        """The clock of `now`, so that a sleep of the machine is a span: what is on its way gets older in it."""
        return MonotonicUs(self._steady())

    def behind(self) -> int:
        return self._wall() - self.now()


class ManualClock:
    """A clock that a test or a simulation moves by hand; both readings advance together."""

    def __init__(self, start: int = 1_577_836_800_000_000) -> None:
        self._now = start
        self._start = start

    def now(self) -> Micros:
        return Micros(self._now)

    def monotonic(self) -> MonotonicUs:
        return MonotonicUs(self._now - self._start)

    def behind(self) -> int:
        return 0

    def advance(self, span_us: int) -> None:
        """Move on by `span_us` microseconds, never backwards."""
        assert span_us >= 0, f"expected a span of at least 0 us, found {span_us}"
        self._now += span_us

    def advance_to(self, moment_us: int) -> None:
        """Move on to `moment_us` unless that is already past."""
        self._now = max(self._now, moment_us)
