"""Error codes of the API that decide what becomes of a request: by their names, which is all that is recorded of them.

What each means to a person, and when its request may go out again, stands at the edge (`openapi/outcomes.py`), from
which this is kept by a test.
"""

from __future__ import annotations

from typing import Final

CORRECTABLE: Final = (
    "TRADING_BAD_VOLUME",
    "TRADING_BAD_STOPS",
    "TRADING_BAD_PRICES",
    "PROTECTION_IS_TOO_CLOSE_TO_MARKET",
)
"""Refusals of an open that fresh numbers may cure: tried once more, through all gates."""

TEMPORARY: Final = frozenset(
    {
        "ACCOUNT_NOT_AUTHORIZED",
        "BLOCKED_PAYLOAD_TYPE",
        "CANT_ROUTE_REQUEST",
        "CH_ACCESS_TOKEN_INVALID",
        "CH_CLIENT_NOT_AUTHENTICATED",
        "CH_SERVER_NOT_REACHABLE",
        "CONCURRENT_MODIFICATION",
        "CONNECTIONS_LIMIT_EXCEEDED",
        "MARKET_CLOSED",
        "NO_QUOTES",
        "OA_AUTH_TOKEN_EXPIRED",
        "PENDING_EXECUTION",
        "POSITION_LOCKED",
        "REQUEST_FREQUENCY_EXCEEDED",
        "SERVER_IS_UNDER_MAINTENANCE",
        "SYMBOL_HAS_HOLIDAY",
        "TRADING_DISABLED",
        "UNABLE_TO_AMEND_ORDER",
        "UNABLE_TO_CANCEL_ORDER",
    }
)
"""Rejections of an order that was accepted before, after which it is tried again while it is young enough: a request
that is refused at once is told with what its code means, an order that is rejected with its code alone."""

UNTOUCHED: Final = frozenset(
    {
        "ACCOUNT_NOT_AUTHORIZED",
        "BLOCKED_PAYLOAD_TYPE",
        "CANT_ROUTE_REQUEST",
        "CHANNEL_IS_BLOCKED",
        "CH_ACCESS_TOKEN_INVALID",
        "CH_CLIENT_NOT_AUTHENTICATED",
        "LOCAL",
        "MARKET_CLOSED",
        "NO_QUOTES",
        "OA_AUTH_TOKEN_EXPIRED",
        "REQUEST_FREQUENCY_EXCEEDED",
        "SERVER_IS_UNDER_MAINTENANCE",
        "SYMBOL_HAS_HOLIDAY",
        "TRADING_DISABLED",
        "TRADING_NOT_ALLOWED",
    }
)
"""Refusals by which nothing was set about: nobody let the request in, or there was no market for it. After them a part
is closed as soon as may be; after any other one what is left of it is read first. `LOCAL` never left."""
