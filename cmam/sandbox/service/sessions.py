"""One client connection as the broker sees it: what it has authorised, when it was last heard, what it may ask."""

from __future__ import annotations

from dataclasses import dataclass, field

from cmam.sandbox.books.authority import Grant
from cmam.sandbox.service.limits import Limiter
from cmam.sandbox.service.stats import Figures


@dataclass(slots=True)
class Session:
    """A connection; nothing of it survives the connection (wire.md#sessions-that-end)."""

    connection: int
    environment: str | None
    opened_us: int
    heard_us: int
    said_us: int
    limiter: Limiter
    figures: Figures
    client_id: str | None = None
    accounts: dict[int, Grant] = field(default_factory=dict)
    """Authorised accounts: ctid to the grant as it was then, whose scope holds as long as the session does."""
    is_closing: bool = False
    is_troubled: bool = False
    """Whether a fault has left something behind here: the fields below."""
    muted: set[str | None] = field(default_factory=set)
    halves_next: bool = False
    ends_after: str | None = None
    held_until: dict[int | None, int] = field(default_factory=dict)
    """When the last held message leaves, per account that may be overtaken (None: all of them)."""
    historical: int = 0
    """Historical requests, for the slower quota."""

    def serves(self, is_live: bool) -> bool:
        """Say whether accounts of that environment can be reached on this connection."""
        return self.environment is None or (self.environment == "live") == is_live
