"""What a broker says of an account right now, as rows to show.

One connection of its own, opened and closed for the question. It knows nothing of what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cmam.cli.face.talk import say

if TYPE_CHECKING:
    from cmam.config.settings import Settings
    from cmam.credentials.vault import Vault
    from cmam.domain.operating.registry import KnownAccount
    from cmam.openapi.portfolio import Portfolio, Worth

LISTS = {
    "open_positions": ["position", "symbol", "side", "volume", "price", "stop", "target", "profit"],
    "pending_orders": ["order", "symbol", "side", "type", "volume", "price", "stop", "target"],
    "deals": ["at", "deal", "position", "symbol", "side", "volume", "price"],
    "cash_flow": ["at", "amount", "balance", "note"],
}
OF_HISTORY = frozenset({"deals", "cash_flow"})
LIST_NUMBERS = frozenset(
    {"position", "order", "deal", "volume", "price", "stop", "target", "profit", "amount", "balance"}
)


def asked(settings: Settings, vault: Vault, known: KnownAccount, *, with_history: bool) -> Mapping[str, Any]:
    """What the broker says of an account right now."""
    from cmam.clock import SystemClock
    from cmam.domain.values.quantities import decimal_text
    from cmam.openapi.enquiry import Opened
    from cmam.openapi.portfolio import Portfolio
    from cmam.openapi.transport import connect

    grant = vault.grant_of(known.account)
    if grant is None or vault.application is None:
        say("No consent opens this account under the present application: run `cmam account add`.")
        return {}
    endpoint = settings.api.endpoint(is_live=known.is_live)
    with Portfolio(connect(endpoint.host, endpoint.port, settings.api.ca_file), endpoint) as enquiry:
        enquiry.authorise_application(vault.application.client_id, vault.application.client_secret)
        opened = enquiry.describe(Opened(known.account, is_live=known.is_live), grant.pair.access)
        digits, worth = opened.money_digits, enquiry.worth(known.account)
        now_ms = SystemClock().now() // 1_000
        past = _history(enquiry, known, worth, digits, now_ms) if with_history else {}
    equity = opened.balance + worth.profit
    return {
        "balance": decimal_text(opened.balance, digits),
        "equity": decimal_text(equity, digits),
        "margin": decimal_text(worth.margin, digits),
        "free_margin": decimal_text(equity - worth.margin, digits),
        "currency": opened.currency,
        "access": opened.access_rights,
        "leverage": f"1:{opened.leverage_cents / 100:g}",
        "positions": len(worth.positions),
        "pendings": len(worth.orders),
        "open_positions": _positions(worth),
        "pending_orders": _orders(worth),
        **past,
    }


def _positions(worth: Worth) -> list[dict[str, Any]]:
    from cmam.domain.values.quantities import decimal_text, units_text

    return [
        {
            "position": found.position,
            "symbol": worth.names.get(int(found.symbol), str(found.symbol)),
            "side": found.side.value,
            "volume": units_text(found.volume),
            "price": _price(found.price),
            "stop": _price(found.stop),
            "target": _price(found.target),
            "profit": decimal_text(worth.profits.get(int(found.position), 0), worth.money_digits),
        }
        for found in worth.positions
    ]


def _orders(worth: Worth) -> list[dict[str, Any]]:
    from cmam.domain.values.quantities import units_text

    return [
        {
            "order": found.order,
            "symbol": worth.names.get(int(found.symbol), str(found.symbol)),
            "side": found.side.value,
            "type": found.type.value,
            "volume": units_text(found.volume),
            "price": _price(found.limit_price if found.limit_price is not None else found.stop_price),
            "stop": _price(found.stop),
            "target": _price(found.target),
        }
        for found in worth.orders
    ]


def _price(value: int | None) -> str | None:
    from cmam.store.text import price

    return price(value)


def _history(enquiry: Portfolio, known: KnownAccount, worth: Worth, digits: int, now_ms: int) -> dict[str, Any]:
    """The last seven days, as the broker tells them."""
    from cmam.domain.values.quantities import decimal_text, units_text
    from cmam.store.text import iso_ms

    return {
        "deals": [
            {
                "at": iso_ms(deal.executed_ms),
                "deal": deal.deal,
                "position": deal.position,
                "symbol": worth.names.get(int(deal.symbol), str(deal.symbol)),
                "side": deal.side.value,
                "volume": units_text(deal.filled_volume),
                "price": _price(deal.price),
            }
            for deal in enquiry.deals(known.account, now_ms)
        ],
        "cash_flow": [
            {
                "at": iso_ms(flow.at_ms),
                "amount": decimal_text(flow.delta, digits),
                "balance": decimal_text(flow.balance, digits),
                "note": flow.note,
            }
            for flow in enquiry.flows(known.account, now_ms)
        ],
    }
