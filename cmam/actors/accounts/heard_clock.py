"""How far a server's clock is behind ours at most, by when it says that what it tells just now has happened."""

from __future__ import annotations

from collections import deque

from cmam.domain.events import ExecutionSeen

HEARD_MAX = 16
"""Of how many executions: those that are told late, or again, say too much, so that the one that says least counts."""


class HeardClock:
    """What an account has heard of executions. It is asked where quotes tell no time: there nobody knows more."""

    def __init__(self) -> None:
        """Nothing has been heard."""
        self._heard: deque[int] = deque(maxlen=HEARD_MAX)

    def hear(self, fact: ExecutionSeen, now_us: int) -> None:
        """Take an execution that has come at `now_us`."""
        deal, order = fact.deal, fact.order
        at_ms = deal.executed_ms if deal is not None else 0
        if not at_ms and order is not None:
            at_ms = order.updated_ms or order.opened_ms
        if at_ms:
            self._heard.append(at_ms - now_us // 1_000)

    @property
    def offset_ms(self) -> int:
        """The server's clock minus ours, never above 0: of a clock that is ahead what comes tells no bound."""
        return min(0, max(self._heard, default=0))
