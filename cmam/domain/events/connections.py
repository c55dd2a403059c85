"""What became of the connections to the API, and of the budget of requests on them.

Answers to one account stand in its own stream, not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cmam.domain.events.values import Event
from cmam.domain.values.ids import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionUp(Event):
    """The application was authorised on a connection."""

    TOPIC: ClassVar[str] = "connection.up"
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionDown(Event):
    """A connection was lost or could not be made."""

    TOPIC: ClassVar[str] = "connection.down"
    reason: str
    permanent: bool = False
    retry_in_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUnreadable(Event):
    """The server sent bytes that could not be read as what they claim to be; `payload` holds them in base64."""

    TOPIC: ClassVar[str] = "connection.message_unreadable"
    payload_type: int
    account: AccountId
    payload: str
    digest: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsBlocked(Event):
    """The server blocked a kind of request for a while."""

    TOPIC: ClassVar[str] = "connection.requests_blocked"
    payload_type: int
    retry_after_s: int
    error_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterMeasured(Event):
    """What the rate limiter did in the last minute."""

    TOPIC: ClassVar[str] = "connection.limiter_measured"
    sent: int
    busiest_second: int
    dropped: int
    guard_us: int
    queued_max: int = 0
