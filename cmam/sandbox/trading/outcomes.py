"""How an order ends without being wholly executed: cancelled, expired, rejected (wire.md#resting-orders)."""

from __future__ import annotations

from cmam.sandbox.books.ledger import CLOSED, REJECTED, Account, Order
from cmam.sandbox.trading.floor import ORDER_REJECTED, Floor


def withdraw(
    floor: Floor,
    account: Account,
    order: Order,
    status: int,
    kind: int,
    msg_id: str | None,
    *,
    is_server: bool = False,
    error_code: str | None = None,
) -> None:
    """End an order; a position that it was to open, and never did, is shown as closed one last time."""
    order.status = status
    order.updated_us = order.closed_us = floor.now_us
    floor.venue_of(account).watchers[order.symbol_id].pop(order.order_id, None)
    account.archive(order, floor.switches.history_rows_max)
    position = account.positions.get(order.position_id)
    if position is not None and order.is_closing:
        position.closing = max(0, position.closing - (order.volume - order.executed))
    if position is not None and not position.volume:
        account.positions.pop(position.position_id)
        position.status = CLOSED
        position.updated_us = position.closed_us = floor.now_us
    floor.execution(
        account, kind, order=order, position=position, msg_id=msg_id, is_server=is_server, error_code=error_code
    )


def reject(floor: Floor, account: Account, order: Order, code: str, *, is_server: bool = False) -> None:
    """End an accepted order that the liquidity side, or the account's own money, refuses."""
    withdraw(floor, account, order, REJECTED, ORDER_REJECTED, order.msg_id, is_server=is_server, error_code=code)
