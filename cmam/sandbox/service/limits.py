"""Request limits of a connection (wire.md#requests-a-second): so many a second, fewer for history; per minute on demo
(wire.md#limits-of-demo-accounts).

The shape of the real window is unknown. The default is the strictest reading, "in any one second", so that whoever is
never refused here keeps the limit under every other reading too; a token bucket and a fixed second are switches.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from cmam.sandbox import units
from cmam.sandbox.switches import Switches

HISTORICAL = frozenset({2137, 2145, 2133, 2143, 2175})
"""GetTrendbars, GetTickData, DealList, CashFlowHistoryList, OrderList: the union of what sources name."""
MINUTE_LIMITS = {2106: (500, 60), 2108: (100, 60), 2109: (100, 60), 2110: (1_000, 60), 2111: (2_000, 60)}
"""Trading limits on demo: payload type to (requests a minute, seconds of blocking)."""
PROTECTION_LIMIT = (2110, 5_000, 900, 1_800)
"""Protection amends: at most 5,000 in 15 minutes, else 30 minutes of blocking."""


class Window:
    """Counts acceptances; says whether one more would exceed `limit`."""

    def __init__(self, limit: int, shape: str, span_us: int = units.SECOND_US) -> None:
        self._limit = limit
        self._shape = shape
        self._span_us = span_us
        self._moments: deque[int] = deque()
        self._level = limit * span_us
        self._seen_us = 0

    def accept(self, now_us: int) -> bool:
        """Count one request, unless it would be one too many."""
        if self._shape == "bucket":
            return self._accept_from_bucket(now_us)
        start = now_us - self._span_us if self._shape == "sliding" else now_us // self._span_us * self._span_us - 1
        while self._moments and self._moments[0] <= start:
            self._moments.popleft()
        if len(self._moments) >= self._limit:
            return False
        self._moments.append(now_us)
        return True

    def _accept_from_bucket(self, now_us: int) -> bool:
        full = self._limit * self._span_us
        self._level = min(full, self._level + (now_us - self._seen_us) * self._limit)
        self._seen_us = now_us
        if self._level < self._span_us:
            return False
        self._level -= self._span_us
        return True


@dataclass(slots=True)
class Limiter:
    """The windows of one connection and the payload types that are blocked for a while."""

    switches: Switches
    blocked_until: dict[int, int] = field(default_factory=dict)
    _general: Window = field(init=False)
    _historical: Window = field(init=False)
    _minutes: dict[int, list[tuple[Window, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = self.switches.rate_window
        self._general = Window(self.switches.requests_per_second, shape)
        self._historical = Window(self.switches.historical_per_second, shape)

    def refuse(self, payload_type: int, now_us: int) -> int | None:
        """Count a request; gives None, or the seconds for which its payload type is now blocked."""
        until = self.blocked_until.get(payload_type)
        if until is not None:
            if now_us < until:
                return -(-(until - now_us) // units.SECOND_US)
            del self.blocked_until[payload_type]
        window = self._historical if payload_type in HISTORICAL else self._general
        if not window.accept(now_us):
            return self.block(payload_type, now_us, self.switches.retry_after_s)
        return None

    def refuse_trading(self, payload_type: int, now_us: int) -> int | None:
        """Count a trading request on a demo account; gives None, or the seconds of blocking."""
        if not self.switches.trading_limits or payload_type not in MINUTE_LIMITS:
            return None
        for window, seconds in self._minute_windows(payload_type):
            if not window.accept(now_us):
                return self.block(payload_type, now_us, seconds)
        return None

    def block(self, payload_type: int, now_us: int, seconds: int) -> int:
        """Refuse a payload type for so many seconds; gives them back."""
        self.blocked_until[payload_type] = now_us + seconds * units.SECOND_US
        return seconds

    def _minute_windows(self, payload_type: int) -> list[tuple[Window, int]]:
        if payload_type not in self._minutes:
            limit, seconds = MINUTE_LIMITS[payload_type]
            windows = [(Window(limit, "sliding", 60 * units.SECOND_US), seconds)]
            if payload_type == PROTECTION_LIMIT[0]:
                _, limit, span_s, seconds = PROTECTION_LIMIT
                windows.append((Window(limit, "sliding", span_s * units.SECOND_US), seconds))
            self._minutes[payload_type] = windows
        return self._minutes[payload_type]
