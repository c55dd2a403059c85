"""How far a reader may be ahead of those who take what it tells: then it reads no further until they have caught up.

What is not read stays with the server, whose writes then wait: nothing is dropped, and no flood grows in memory. Every
row of messages is followed by a mark that goes last of all on the carrier: once it is taken, all that was told before
it is through, and so is what others told meanwhile. So a line that brings more than can be worked off, be it what
leaders do, holds up the others for no longer than its rows take. Of a reader's thread alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cmam.actors.threads.runtime import Directory, Latch
from cmam.clock import MILLISECOND_US, SECOND_US, Clock

ROW = 512 * 1024
"""What a row weighs: some sixty messages, or one of half a megabyte."""
ROWS = 2
"""So many rows are always told ahead: what a burst of copies brings, of which the limiter is to hear at once."""
ROWS_MAX = 16
"""So many at most, however quickly they came."""
LATE_US = 50 * MILLISECOND_US
"""How long a row may take before more than `ROWS` are too many: they are worked off more slowly than they come."""
FLOOD_US = 5 * SECOND_US
"""Over so long it is looked at whether a line brings more than is worked off: its reader waits for half of it."""
LOOK_S = 1.0
"""How often a reader that waits looks whether there is still somebody to wait for."""


@dataclass(frozen=True, slots=True)
class Passed:
    """To the connection: what its reader told before this is through; open the latch.

    `held_us` is how long the reader has waited for that on this line so far.
    """

    generation: int
    latch: Latch
    held_us: int


class Flood:
    """Whether a line brings more than is worked off, as its connection hears of it."""

    def __init__(self) -> None:
        self.is_on = False
        self.held_us = 0
        """How long the reader has waited on this line so far."""
        self._before_us = 0
        self._since_us = 0

    def begin(self, now_us: int) -> None:
        """A line is new; what is on stays on until it is looked at."""
        self.held_us = self._before_us = 0
        self._since_us = now_us

    def has_turned(self, now_us: int) -> bool:
        """Whether it has begun or ended since the last look."""
        span_us = now_us - self._since_us
        if span_us < FLOOD_US:
            return False
        was_on, self.is_on = self.is_on, self.held_us - self._before_us > span_us // 2
        self._since_us, self._before_us = now_us, self.held_us
        return self.is_on != was_on


class Pace:
    """Lets one line's reader read on, or wait."""

    def __init__(
        self,
        generation: int,
        name: str,
        clock: Clock,
        directory: Directory,
        hear: Callable[[int], None],
        wait: Callable[[Latch, float], bool] = Latch.wait,
    ) -> None:
        self._generation = generation
        self._name = name
        self._clock = clock
        self._directory = directory
        self._hear = hear
        self._wait = wait
        self._weight = 0
        self._rows: deque[tuple[Latch, int]] = deque()
        self._held_us = 0

    def told(self, weight: int) -> None:
        """Take what was just told into account; comes back once the reader may read on."""
        self._weight += weight
        if self._weight < ROW:
            return
        self._weight = 0
        now: int = self._clock.monotonic()
        latch = Latch()
        if self._directory.tell(self._name, Passed(self._generation, latch, self._held_us)):
            self._rows.append((latch, now))
        while self._is_too_far(now):
            now = self._hold(now)

    def _is_too_far(self, now: int) -> bool:
        rows = self._rows
        while rows and rows[0][0].is_open:
            rows.popleft()
        return len(rows) > ROWS_MAX or (len(rows) > ROWS and now - rows[0][1] >= LATE_US)

    def _hold(self, since: int) -> int:
        """Wait until the oldest row is through; answers when that was.

        It is us who do not listen meanwhile, so the server counts as heard.
        """
        latch = self._rows[0][0]
        while not self._wait(latch, LOOK_S):
            self._hear(self._clock.monotonic())
            ref = self._directory.ref(self._name)
            if ref is None or ref.actor_stopped.is_set():
                self._rows.clear()
                break
        now = self._clock.monotonic()
        self._hear(now)
        self._held_us += now - since
        return now
