"""One client connection as the broker sees it: what it has authorised, when it was last heard, what it may still ask."""

from __future__ import annotations

from dataclasses import dataclass, field

from cmam.sandbox.limits import Limiter
from cmam.sandbox.stats import Figures


@dataclass(slots=True)
class Session:
    """A connection; nothing of it survives the connection (FACTS 2.4)."""

    connection: int
    environment: str | None
    opened_us: int
    heard_us: int
    said_us: int
    limiter: Limiter
    figures: Figures
    client_id: str | None = None
    accounts: dict[int, str] = field(default_factory=dict)
    """Authorised accounts: ctid to access token."""
    is_closing: bool = False

    def serves(self, is_live: bool) -> bool:
        """Say whether accounts of that environment can be reached on this connection."""
        return self.environment is None or (self.environment == "live") == is_live
