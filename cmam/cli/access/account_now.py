"""What a broker says of an account right now, as rows to show.

One connection of its own, opened and closed for the question. It knows nothing of what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cmam.cli.face.talk import say

if TYPE_CHECKING:
    from cmam.config.settings import Settings
    from cmam.credentials.vault import Vault
    from cmam.domain.operating.registry import KnownAccount
    from cmam.domain.values.trades import Deal
    from cmam.openapi.portfolio import Flow, Worth

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
        digits = opened.money_digits
        worth = enquiry.worth(known.account, opened.margin_type, digits)
        now_ms = SystemClock().now() // 1_000
        deals = enquiry.deals(known.account, now_ms) if with_history else ()
        flows = enquiry.flows(known.account, now_ms, digits) if with_history else ()
        held = {one.symbol for one in worth.positions} | {one.symbol for one in worth.orders}
        places = enquiry.digits(known.account, held | {one.symbol for one in deals}, worth.names)
    equity = opened.balance + worth.profit
    return {
        "balance": decimal_text(opened.balance, digits),
        "equity": decimal_text(equity, digits),
        "margin": decimal_text(worth.margin, digits),
        "free_margin": decimal_text(equity - worth.margin, digits),
        "currency": opened.currency,
        "access": opened.access_rights,
        "leverage": f"1:{opened.leverage_cents / 100:g}",
        "limited_risk": opened.limited_risk,
        "positions": len(worth.positions),
        "pendings": len(worth.orders),
        "open_positions": _positions(worth, places),
        "pending_orders": _orders(worth, places),
        **(_history(worth, places, deals, flows, digits) if with_history else {}),
    }


def _positions(worth: Worth, places: Mapping[int, int]) -> list[dict[str, Any]]:
    from cmam.domain.values.quantities import decimal_text, units_text

    return [
        {
            "position": found.position,
            "symbol": worth.names.get(int(found.symbol), str(found.symbol)),
            "side": found.side.value,
            "volume": units_text(found.volume),
            "price": _price(found.price, found.symbol, places),
            "stop": _price(found.stop, found.symbol, places),
            "target": _price(found.target, found.symbol, places),
            "profit": decimal_text(worth.profits.get(int(found.position), 0), worth.money_digits),
        }
        for found in worth.positions
    ]


def _orders(worth: Worth, places: Mapping[int, int]) -> list[dict[str, Any]]:
    from cmam.domain.values.quantities import units_text

    return [
        {
            "order": found.order,
            "symbol": worth.names.get(int(found.symbol), str(found.symbol)),
            "side": found.side.value,
            "type": found.type.value,
            "volume": units_text(found.volume),
            "price": _price(
                found.limit_price if found.limit_price is not None else found.stop_price, found.symbol, places
            ),
            "stop": _price(found.stop, found.symbol, places),
            "target": _price(found.target, found.symbol, places),
        }
        for found in worth.orders
    ]


def _price(value: int | None, symbol: int, places: Mapping[int, int]) -> str | None:
    """A price with as many digits as its symbol has."""
    from cmam.store.text import DIGITS, price

    return price(value, places.get(symbol, DIGITS))


def _history(
    worth: Worth, places: Mapping[int, int], deals: Iterable[Deal], flows: Iterable[Flow], digits: int
) -> dict[str, Any]:
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
                "price": _price(deal.price, deal.symbol, places),
            }
            for deal in deals
        ],
        "cash_flow": [
            {
                "at": iso_ms(flow.at_ms),
                "amount": decimal_text(flow.delta, digits),
                "balance": decimal_text(flow.balance, digits),
                "note": flow.note,
            }
            for flow in flows
        ],
    }
