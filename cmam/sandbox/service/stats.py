"""What each connection asked and how fast, so that a client's manners can be proven. Counts all that was received."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from cmam.sandbox import units

HEARTBEAT = 51
CLOSED_KEPT = 200
"""Closed connections whose figures are kept; older ones are only part of the totals."""


@dataclass(slots=True)
class Busiest:
    """The most that arrived in any one second."""

    most: int = 0
    at_us: int = 0
    _moments: deque[int] = field(default_factory=deque)

    def add(self, now_us: int) -> None:
        """Count one arrival."""
        moments = self._moments
        moments.append(now_us)
        while moments[0] <= now_us - units.SECOND_US:
            moments.popleft()
        if len(moments) > self.most:
            self.most = len(moments)
            self.at_us = now_us


@dataclass(slots=True)
class Figures:
    """The counters of one connection."""

    connection: int
    opened_us: int
    closed_us: int | None = None
    close_reason: str = ""
    client_id: str | None = None
    messages: int = 0
    heartbeats: int = 0
    garbage: int = 0
    sent: int = 0
    by_type: dict[int, int] = field(default_factory=dict)
    refused_by_type: dict[int, int] = field(default_factory=dict)
    rate_refusals: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    with_heartbeats: Busiest = field(default_factory=Busiest)
    without_heartbeats: Busiest = field(default_factory=Busiest)

    def received(self, payload_type: int, now_us: int) -> None:
        """Count one message."""
        self.messages += 1
        self.by_type[payload_type] = self.by_type.get(payload_type, 0) + 1
        self.with_heartbeats.add(now_us)
        if payload_type == HEARTBEAT:
            self.heartbeats += 1
        else:
            self.without_heartbeats.add(now_us)

    def refused(self, payload_type: int, code: str, *, by_rate: bool) -> None:
        """Count one refusal."""
        self.errors[code] = self.errors.get(code, 0) + 1
        if by_rate:
            self.rate_refusals += 1
            self.refused_by_type[payload_type] = self.refused_by_type.get(payload_type, 0) + 1

    def report(self) -> dict[str, object]:
        """Give the counters as JSON can carry them."""
        return {
            "connection": self.connection,
            "client_id": self.client_id,
            "opened_us": self.opened_us,
            "closed_us": self.closed_us,
            "close_reason": self.close_reason,
            "messages": self.messages,
            "requests": self.messages - self.heartbeats,
            "heartbeats": self.heartbeats,
            "garbage": self.garbage,
            "sent": self.sent,
            "requests_by_type": {str(kind): count for kind, count in sorted(self.by_type.items())},
            "busiest_second": self.without_heartbeats.most,
            "busiest_second_at_us": self.without_heartbeats.at_us,
            "busiest_second_with_heartbeats": self.with_heartbeats.most,
            "rate_refusals": self.rate_refusals,
            "rate_refusals_by_type": {str(kind): count for kind, count in sorted(self.refused_by_type.items())},
            "errors": dict(sorted(self.errors.items())),
        }


class Stats:
    """The counters of all connections."""

    def __init__(self) -> None:
        self._open: dict[int, Figures] = {}
        self._closed: deque[Figures] = deque(maxlen=CLOSED_KEPT)
        self.connections = 0
        self.messages = 0
        self.sent = 0
        self.rate_refusals = 0
        self._busiest_closed = (0, 0)
        self.internal_errors = 0
        self.last_internal_error = ""

    def opened(self, connection: int, now_us: int) -> Figures:
        """Start counting a connection."""
        figures = self._open[connection] = Figures(connection, now_us)
        self.connections += 1
        return figures

    def closed(self, connection: int, now_us: int) -> None:
        """Stop counting a connection and keep its figures for a while."""
        figures = self._open.pop(connection, None)
        if figures is not None:
            figures.closed_us = now_us
            self._closed.append(figures)
            most, most_with = self._busiest_closed
            self._busiest_closed = (
                max(most, figures.without_heartbeats.most),
                max(most_with, figures.with_heartbeats.most),
            )

    def report(self) -> dict[str, object]:
        """Give all counters as JSON can carry them."""
        listed = [*self._closed, *self._open.values()]
        most, most_with = self._busiest_closed
        return {
            "connections_total": self.connections,
            "connections_open": len(self._open),
            "messages_total": self.messages,
            "sent_total": self.sent,
            "rate_refusals_total": self.rate_refusals,
            "busiest_second": max([most, *(figures.without_heartbeats.most for figures in listed)]),
            "busiest_second_with_heartbeats": max([most_with, *(figures.with_heartbeats.most for figures in listed)]),
            "internal_errors": self.internal_errors,
            "last_internal_error": self.last_internal_error,
            "connections": [figures.report() for figures in listed],
        }
