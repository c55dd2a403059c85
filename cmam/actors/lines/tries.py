"""How long to wait before a line, or an account on it, is asked for again: longer each time, until it has held."""

from __future__ import annotations

from collections.abc import Callable

from cmam.clock import SECOND_US
from cmam.openapi.refusals import BACK_OFF_US_MAX, back_off_us

STEADY_US = 10 * SECOND_US
"""What was open for less long did no good, so the next try waits longer than the one before."""
UNSTEADY_US_MAX = 10 * SECOND_US
"""The longest pause before a line or an account that did open is asked for again, or a line on which nobody was met, as
where this machine's own network is gone: closes may be waiting for it, and it costs no server anything."""
LINE = 0
"""The line itself among the accounts on it, none of which has this number."""


class Tries:
    """The tries of one line and its accounts. Moments are monotonic, in us; `chance` gives the jitter of a pause."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._counts: dict[int, int] = {}
        self._opened_us: dict[int, int] = {}

    def of(self, what: int) -> int:
        """How often the line or an account has been lost since it last held."""
        return self._counts.get(what, 0)

    def opened(self, what: int, now_us: int) -> None:
        """The line or an account is open."""
        self._opened_us[what] = now_us

    def line_lost(self, *, is_nobody_there: bool = False) -> int:
        """The line is gone, and its accounts with it; the pause before the next try."""
        pause_us = self.lost(LINE, is_soon=is_nobody_there)
        self._opened_us.clear()
        return pause_us

    def lost(self, what: int, *, is_soon: bool = False) -> int:
        """The line or an account is gone, or was refused; the pause before the next try."""
        count = self._counts[what] = self.of(what) + 1
        has_opened = self._opened_us.pop(what, None) is not None
        most_us = UNSTEADY_US_MAX if has_opened or is_soon else BACK_OFF_US_MAX
        return back_off_us(count, self._chance(), most_us=most_us)

    def count_anew(self, now_us: int) -> None:
        """Forget the tries for what has been open for a while; what falls as soon as it stands goes on being counted.

        It would else be asked for twice a second, and go on record each time.
        """
        for what in [what for what, opened_us in self._opened_us.items() if now_us - opened_us >= STEADY_US]:
            del self._opened_us[what]
            self._counts.pop(what, None)
