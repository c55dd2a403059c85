"""What an account has heard a moment ago: of a snapshot that was on its way then nobody can say which of the two is
newer."""

from __future__ import annotations

from typing import Any

from cmam.actors.accounts.desk import Desk
from cmam.actors.accounts.heard_clock import HeardClock
from cmam.domain.belief.holdings import with_trailed
from cmam.domain.belief.parts import may_be_done
from cmam.domain.events import Event, ExecutionSeen, RequestRefused, TrailingStopMoved
from cmam.domain.values.ids import PositionId

QUIET_US = 700_000
"""A snapshot counts only if no execution came within this time of the question."""
RESTLESS_MAX = 8


class JustHeard:
    """When something was executed or refused last, which stops have trailed, and when a snapshot was asked for."""

    def __init__(self, desk: Desk) -> None:
        """Nothing has been heard."""
        self._desk = desk
        self.clock = HeardClock()
        self.asked_us = 0
        """When a snapshot was asked for last, by the clock that only runs."""
        self._executed_us = 0
        self._restless_answers = 0
        self._trailed: dict[PositionId, tuple[int, TrailingStopMoved]] = {}

    def executed(self, fact: Event) -> None:
        """Note that something was executed just now, or may be though it was refused, or that a stop has trailed."""
        if isinstance(fact, ExecutionSeen):
            self._executed_us = self._desk.ports.clock.monotonic()
            self.clock.hear(fact, self._desk.ports.clock.now())
        elif isinstance(fact, RequestRefused) and self._may_be_done(fact):
            self._executed_us = self._desk.ports.clock.monotonic()
        elif isinstance(fact, TrailingStopMoved):
            self._trailed[fact.position] = (self._desk.ports.clock.monotonic(), fact)

    def _may_be_done(self, fact: RequestRefused) -> bool:
        """Whether a part may be closed though that was refused; no other refusal makes a look wait."""
        view = self._desk.view
        intent = view.intents.get(fact.intent)
        return intent is not None and may_be_done(view, view.copies.get(intent.key), intent, fact.error_code)

    def asked(self) -> None:
        """Note that a snapshot is asked for now; older stops than it may miss are forgotten."""
        self.asked_us = self._desk.ports.clock.monotonic()
        since_us = self.asked_us - QUIET_US
        self._trailed = {one: (at, to) for one, (at, to) in self._trailed.items() if at > since_us}

    @property
    def is_quiet(self) -> bool:
        """Whether a snapshot that is asked for now is newer than all that was executed."""
        return self._executed_us < self._desk.ports.clock.monotonic() - QUIET_US

    @property
    def was_quiet(self) -> bool:
        """Whether the snapshot that was asked for is newer than all that was executed."""
        return self._executed_us < self.asked_us - QUIET_US

    def quiet_from_us(self) -> int:
        """From when on the first look of a start, or of a line, shows the last deal on record, the last execution that
        was heard and where stops have trailed to, which an account has told up to when it was last in sight, also where
        it shows what stood a moment ago; a deal of a clock that was set back since is none.
        """
        clock, view = self._desk.ports.clock, self._desk.view
        last_us = max(view.dealt_us, view.in_sight_us if view.trailed_from else 0)
        left_us = last_us + QUIET_US - clock.now()
        heard_us = self._executed_us + QUIET_US if self._executed_us else 0
        return max(heard_us, clock.monotonic() + left_us if 0 < left_us <= QUIET_US else 0)

    def asks_again(self) -> bool:
        """Whether an execution came so close to a snapshot that it is asked for again: a few times, for at the worst a
        quieter moment is as good as any."""
        if self.was_quiet or self._restless_answers >= RESTLESS_MAX:
            self._restless_answers = 0
            return False
        self._restless_answers += 1
        return True

    def with_trailed(self, snapshot: Any) -> Any:
        """A snapshot with the stops that have trailed while it was on its way, or so shortly before that it may be
        older: no time of the position tells which of the two is newer (wire.md#stops-that-trail), but a stop that
        trails only tightens."""
        if not self._trailed:
            return snapshot
        positions, orders = snapshot
        moved = {position: fact for position, (_, fact) in self._trailed.items()}
        return tuple(with_trailed(position, moved.get(position.position)) for position in positions), orders
