"""Time, handed down: the only module that reads the clock.

Everything else takes `now` as an argument or a `Clock` as a port: replay reads no clock, and tests move their own.
"""

from __future__ import annotations

import time
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


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> Micros:
        return Micros(time.time_ns() // 1_000)

    def monotonic(self) -> MonotonicUs:
        return MonotonicUs(time.monotonic_ns() // 1_000)


class ManualClock:
    """A clock that a test or a simulation moves by hand; both readings advance together."""

    def __init__(self, start: int = 1_577_836_800_000_000) -> None:
        self._now = start
        self._start = start

    def now(self) -> Micros:
        return Micros(self._now)

    def monotonic(self) -> MonotonicUs:
        return MonotonicUs(self._now - self._start)

    def advance(self, span_us: int) -> None:
        """Move on by `span_us` microseconds, never backwards."""
        assert span_us >= 0, f"expected a span of at least 0 us, found {span_us}"
        self._now += span_us

    def advance_to(self, moment_us: int) -> None:
        """Move on to `moment_us` unless that is already past."""
        self._now = max(self._now, moment_us)
