"""Who watches the watcher: the process's own thread sees that the supervisor looks, and that the timer lets it.

The supervisor looks once a second, reminded by the timer. Where it looks no more, one of the two is dead or stuck, and
so is everything that hangs on reminders: back-offs, heartbeats, guards. Nobody can replace them, so the process ends
with a sentence, and whatever started it starts it again. It also says when all of cmam stood still.
"""

from __future__ import annotations

import logging

from cmam.actors.care.supervisor import SupervisorActor
from cmam.actors.threads.runtime import SUPERVISOR, Directory
from cmam.clock import SECOND_US, Clock

log = logging.getLogger(__name__)

SPAN_MAX_US = SECOND_US
"""What one look counts at most: a machine that slept stopped the watcher as well."""
BLIND_US = 30 * SECOND_US
"""So long without a look of the supervisor's, and the process ends."""

STILL_US = 10 * SECOND_US
"""So long between two calls, and nothing of cmam ran: it is said, since lines are lost and opens too old after it."""


class Vigil:
    """Looks at the supervisor whenever it is called, several times a second. Holds no thread of its own."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._last_us = clock.monotonic()
        self._looks = -1
        self._stalled_us = 0

    def look(self) -> str:
        """Why the system cannot go on, or nothing."""
        now = self._clock.monotonic()
        span_us, self._last_us = now - self._last_us, now
        if span_us >= STILL_US:
            what = "this machine slept, had stopped it, or had no time for it"
            log.warning("= cmam stood still for %d s: %s; it looks up what it has missed", span_us // SECOND_US, what)
        span_us = min(span_us, SPAN_MAX_US)
        supervisor = self._directory.actor(SUPERVISOR)
        if not isinstance(supervisor, SupervisorActor):
            return ""
        if supervisor.actor_stopped.is_set():
            return "the supervisor has failed: nobody would be started again"
        if supervisor.looks != self._looks:
            self._looks, self._stalled_us = supervisor.looks, 0
            return ""
        self._stalled_us += span_us
        if self._stalled_us < BLIND_US:
            return ""
        return f"the supervisor has not looked for {self._stalled_us // SECOND_US} s: it or the timer is stuck"
