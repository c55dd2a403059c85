"""Plays a log: a moment that goes on at a pace, stops, steps, and goes to any other place. Pure, as a tape recorder is.

Time here is the record's. Who plays it says how much of his own time has passed; going back starts at the nearest
moment that was kept on the way and folds on from there.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable, Iterator

from cmam.domain.events import ChangeDecided
from cmam.store.past.moment import Moment
from cmam.store.records.envelope import Recorded

KEEP_EVERY = 2_000
"""Between two moments that are kept lie so many records: going back folds no more than these."""
RECENT = 200
"""So many of the last records are at hand to be shown."""
SPEED_MIN, SPEED_MAX = 1 / 64, 65_536.0
AT_ONCE = 20_000
"""So many records are taken between two looks where the pace is as fast as possible."""

Read = Callable[[int], Iterator[Recorded]]
"""The records after a position, in order; ends where the playing is to end."""


class Player:
    """One log on its way."""

    def __init__(self, read: Read, *, speed: float = 1.0) -> None:
        self.speed = speed
        self.is_paused = False
        self.recent: deque[Recorded] = deque(maxlen=RECENT)
        self._read = read
        self._kept: list[Moment] = [Moment()]
        self._moment = Moment()
        self._records = read(0)
        self._next: Recorded | None = next(self._records, None)
        self._started_us = self._next.at_us if self._next is not None else 0
        self._now_us = float(self._started_us)

    @property
    def moment(self) -> Moment:
        """What is believed now."""
        return self._moment

    @property
    def now_us(self) -> int:
        """The record's time."""
        return int(self._now_us)

    @property
    def is_over(self) -> bool:
        """Whether nothing comes any more."""
        return self._next is None

    # --- going on -----------------------------------------------------------------------------------------------------

    def pass_time(self, span_us: int) -> int:
        """Let the player's own time pass; answers how many records came. At speed 0 they come as fast as they can."""
        if self.is_paused or self._next is None:
            return 0
        if self.speed <= 0:
            return sum(self._take() for _ in range(AT_ONCE))
        self._now_us += span_us * self.speed
        return self._take_until(int(self._now_us))

    def step(self) -> None:
        """The next record, and no more."""
        self._take()

    def to_next_decision(self) -> None:
        """On until a decision has been taken, or the end."""
        while self._take() and not isinstance(self.recent[-1].event, ChangeDecided):
            pass

    def to_end(self) -> None:
        """All that is left."""
        while self._take():
            pass

    def _take_until(self, at_us: int) -> int:
        count = 0
        while (upcoming := self._next) is not None and upcoming.at_us <= at_us:
            count += self._take()
        return count

    def _take(self) -> bool:
        record = self._next
        if record is None:
            return False
        self._moment.take(record)
        self.recent.append(record)
        self._now_us = max(self._now_us, record.at_us)
        self._next = next(self._records, None)
        count = self._moment.fold.position - self._kept[-1].fold.position
        if count >= KEEP_EVERY:
            self._kept.append(self._moment.copy())
        return True

    # --- going elsewhere ----------------------------------------------------------------------------------------------

    def seek(self, at_us: int) -> None:
        """To a moment of the record, forwards or back: all records up to it are taken, none after it."""
        at_us = max(at_us, self._started_us)
        if at_us < self._now_us:
            self._restore(at_us)
        self._now_us = float(at_us)
        self._take_until(at_us)

    def skip(self, span_us: int) -> None:
        """So far forwards, or back where it is negative; not beyond the last record."""
        wanted = self.now_us + span_us
        self.seek(wanted)
        if self.is_over:
            self._now_us = float(self._moment.fold.at_us)

    def to_start(self) -> None:
        """Before the first record."""
        self._go_on_from(Moment())
        self._now_us = float(self._started_us)

    def _restore(self, at_us: int) -> None:
        place = bisect.bisect_right([moment.fold.at_us for moment in self._kept], at_us) - 1
        self._go_on_from(self._kept[max(0, place)].copy())

    def _go_on_from(self, moment: Moment) -> None:
        self._moment = moment
        self._kept = [kept for kept in self._kept if kept.fold.position <= moment.fold.position] or [Moment()]
        self.recent.clear()
        self._records = self._read(moment.fold.position)
        self._next = next(self._records, None)

    # --- how fast -----------------------------------------------------------------------------------------------------

    def faster(self) -> None:
        """Twice the pace."""
        self.speed = min(SPEED_MAX, self.speed * 2)

    def slower(self) -> None:
        """Half the pace."""
        self.speed = max(SPEED_MIN, self.speed / 2)
