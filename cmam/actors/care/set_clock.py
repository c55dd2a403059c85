"""That the machine's clock was set by more than is made up for soon: said, since only a new start takes it at once.

A machine that boots without a clock of its own is set once it finds the network, one that was asleep as a whole when it
wakes. Time goes on here as it did (`clock.py`), so that hours and days are wrong by as much, and nobody would know.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from cmam.clock import SECOND_US, SLEW_PARTS, Clock

log = logging.getLogger(__name__)

FAR_US = 300 * SECOND_US
"""Five minutes are made up for within the hour, and nothing that is set in hours or days rests on less."""
NEAR_US = FAR_US // 2
LOOK_US = 10 * SECOND_US


class SetClockWatch:
    """Looks whenever it is called, several times a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._look_us = 0
        self._is_far = False

    def look(self, alarm: Callable[[str, str], None]) -> None:
        """Have it shown while the wall clock is far from the time that is worked by."""
        now = self._clock.monotonic()
        if now < self._look_us:
            return
        self._look_us = now + LOOK_US
        behind, was_far = self._clock.behind(), self._is_far
        self._is_far = abs(behind) > (NEAR_US if was_far else FAR_US)
        text = in_words(behind) if self._is_far else ""
        alarm("clock", text)
        if text and not was_far:
            log.warning("! %s", text)
        elif was_far and not text:
            log.warning("= cmam has caught up with the machine's clock")


def in_words(behind_us: int) -> str:
    """What has happened, what is wrong for how long, and what to do."""
    minutes = abs(behind_us) // (60 * SECOND_US)
    way = "forward" if behind_us > 0 else "back"
    return (
        f"The machine's clock was set {way} while cmam ran: it and cmam are {_span(minutes)} apart, and meet in "
        f"{_span(minutes * SLEW_PARTS)}. Until then trading hours, days of guards and recorded times are wrong by as "
        "much. Stop cmam and start it again: it then takes the clock as it is."
    )


def _span(minutes: int) -> str:
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days > 1:
        return f"{days} days"
    hours += 24 * days
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
