"""The names under which actors are told something, and the code of what never left."""

from __future__ import annotations

from cmam.domain.values.ids import AccountId

NOT_SENT = "NOT_SENT"
"""The code of a question that the limiter gave back."""
TIMEOUT = "TIMEOUT"
"""The code of a question that the broker did not answer in time."""

KEEPER = "keeper"
RECORDER = "recorder"
OPERATOR = "operator"


def account_name(account: AccountId | int) -> str:
    """The name of an account's actor, and of its stream."""
    return f"account:{account}"


def connection_name(connection: str) -> str:
    """The name of a connection's actor, and of its stream."""
    return f"connection:{connection}"


def limiter_name(connection: str) -> str:
    """The name of a connection's rate limiter."""
    return f"limiter:{connection}"
