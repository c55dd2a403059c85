"""What a restart of the server keeps, as JSON can carry it: the books of every account, ids, prices, tokens.

Sessions, subscriptions, faults and the walk's own chance are not kept; orders that were being executed are executed
after the restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from cmam.sandbox.books.authority import Grants
from cmam.sandbox.books.ledger import (
    GTD,
    Account,
    CashFlow,
    Deal,
    MarginCall,
    Order,
    Position,
)
from cmam.sandbox.trading import execution, triggers
from cmam.sandbox.trading.floor import Floor

FORMAT = 1
R_ = TypeVar("R_", Order, Position, Deal, CashFlow, MarginCall)
_PLAIN = (
    "balance",
    "balance_version",
    "bonus",
    "access",
    "deposits",
    "last_closing_us",
    "last_balance_us",
    "leverage_cents",
)


def write(floor: Floor, grants: Grants) -> dict[str, object]:
    """Write everything down."""
    return {
        "format": FORMAT,
        "at_us": floor.now_us,
        "ids": {name: dict(venue.next_id) for name, venue in floor.venues.items()},
        "prices": {name: [stream.bid, stream.ask] for name, stream in floor.market.streams.items()},
        "accounts": {str(ctid): _account(account) for ctid, account in floor.accounts.items()},
        "tokens": grants.state(),
    }


def _account(account: Account) -> dict[str, object]:
    written: dict[str, object] = {name: getattr(account, name) for name in _PLAIN}
    written["orders"] = [_row(order) for order in account.orders.values()]
    written["past_orders"] = [_row(order) for order in account.past_orders.values()]
    written["positions"] = [_row(position) for position in account.positions.values()]
    written["deals"] = [_row(deal) for deal in account.deals.values()]
    written["cash"] = [_row(flow) for flow in account.cash]
    written["margin_calls"] = [_row(call) for call in account.margin_calls]
    written["offsets"] = [list(offset) for offset in account.offsets]
    return written


def _row(record: Order | Position | Deal | CashFlow | MarginCall) -> dict[str, object]:
    row = {field.name: getattr(record, field.name) for field in fields(record)}
    if isinstance(record, Position):
        row["lots"] = [list(lot) for lot in record.lots]
    return row


def _rows(kind: type[R_], rows: Any) -> list[R_]:
    known = {field.name for field in fields(kind)}
    return [kind(**{name: value for name, value in row.items() if name in known}) for row in rows]


def read(floor: Floor, grants: Grants, state: Mapping[str, Any]) -> None:
    """Read it back and set in motion again what was under way."""
    assert state["format"] == FORMAT, f"expected a state of format {FORMAT}, found {state['format']!r}"
    accounts = {int(ctid): written for ctid, written in state["accounts"].items()}
    assert accounts.keys() == floor.accounts.keys(), "expected the accounts of this world, found others"
    assert state["ids"].keys() == floor.venues.keys(), "expected the brokers of this world, found others"
    for name, numbers in state["ids"].items():
        floor.venues[name].next_id.update(numbers)
    for name, (bid, ask) in state["prices"].items():
        if name in floor.market.streams and not floor.market.streams[name].feed.cross:
            for stream in floor.market.move(name, bid, ask):
                for venue in floor.venues.values():
                    venue.take(stream, floor.now_us)
    for ctid, written in accounts.items():
        _read_account(floor, floor.accounts[ctid], written)
    grants.load_state(state["tokens"])
    for account in floor.accounts.values():
        _resume(floor, account)


def _read_account(floor: Floor, account: Account, written: Mapping[str, Any]) -> None:
    for name in _PLAIN:
        setattr(account, name, written[name])
    account.orders = {order.order_id: order for order in _rows(Order, written["orders"])}
    account.past_orders = {order.order_id: order for order in _rows(Order, written["past_orders"])}
    account.positions = {position.position_id: position for position in _rows(Position, written["positions"])}
    account.deals = {deal.deal_id: deal for deal in _rows(Deal, written["deals"])}
    account.cash = _rows(CashFlow, written["cash"])
    account.margin_calls = _rows(MarginCall, written["margin_calls"])
    account.offsets = [list(offset) for offset in written["offsets"]]
    symbols = floor.venue_of(account).symbols
    numbers = {order.symbol_id for order in account.orders.values()}
    numbers |= {position.symbol_id for position in account.positions.values()}
    assert numbers <= symbols.keys(), f"expected symbols of this world, found {sorted(numbers - symbols.keys())}"


def _resume(floor: Floor, account: Account) -> None:
    watchers = floor.venue_of(account).watchers
    for order in list(account.orders.values()):
        order.msg_id = None  # Whoever asked is gone: what comes now has no request.
        if order.is_under_way:
            execution.schedule(floor, account, order)
            continue
        watchers[order.symbol_id][order.order_id] = account, order
        if order.tif == GTD and order.expires_ms is not None:
            triggers.set_expiry(floor, account, order)
