"""When an account asks what became of what a snapshot left out: at once, and for a second time once it has been missing
for long enough."""

from __future__ import annotations

from cmam.actors.accounts.desk import Desk
from cmam.actors.asking.preparation import Kind
from cmam.domain.turns import absences


class Doubts:
    """What of the doubted has been asked for, and when."""

    def __init__(self, desk: Desk) -> None:
        """Nothing has been asked for."""
        self._desk = desk
        self._asked_us = 0
        self._second_look_us = 0

    @property
    def is_new(self) -> bool:
        """Whether something is doubted that was not yet when it was last asked for."""
        return any(since_us > self._asked_us for since_us in absences.moments(self._desk.view))

    def due_us(self) -> int | None:
        """Of what is doubted now at once; and a second look once it has been missing for long enough, again and again
        where an order is told to rest that is not shown."""
        doubted = absences.moments(self._desk.view)
        if not doubted or self.is_new:
            return max(doubted, default=None)
        span_us = absences.span_us(self._desk.ports.settle_us, leads=self._desk.leads)
        return max(min(doubted), self._second_look_us) + span_us

    def asked(self, now: int) -> Kind:
        """Note that what is newly doubted is asked for; which look that takes."""
        self._asked_us = now
        return Kind.DOUBTS

    def looked_again(self, now: int) -> Kind:
        """Note that the second look is taken; which it is."""
        self._second_look_us = now
        return Kind.DOUBTS if self._desk.view.doubted_orders else Kind.REFRESH
