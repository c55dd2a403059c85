"""What changes: orders, positions, deals and the money of an account. Plain records that survive a restart.

Flat on purpose: every field is an int, str, bool, None or a list of such, so that a restart of the server keeps it all.
What happens to these records is decided elsewhere (`orders.py`, `fills.py`, `protection.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cmam.sandbox.world import Account as AccountSpec

MARKET, LIMIT, STOP, STOP_LOSS_TAKE_PROFIT, MARKET_RANGE, STOP_LIMIT = 1, 2, 3, 4, 5, 6
ACCEPTED, FILLED, REJECTED, EXPIRED, CANCELLED = 1, 2, 3, 4, 5
GTD, GTC, IOC, FOK, MOO = 1, 2, 3, 4, 5
BUY, SELL = 1, 2
OPEN, CLOSED, CREATED = 1, 2, 3
TRADE, OPPOSITE, DOUBLE_TRADE, DOUBLE_OPPOSITE = 1, 2, 3, 4
DEAL_FILLED, DEAL_PARTIALLY_FILLED, DEAL_REJECTED = 2, 3, 4

IMMEDIATE = frozenset({MARKET, MARKET_RANGE})
"""Orders that execute at once; their acceptance and their fill are a moment apart."""


@dataclass(slots=True)
class Order:
    """An order; of a STOP_LOSS_TAKE_PROFIT `stop_price` and `limit_price` are the two legs of a protection."""

    order_id: int
    position_id: int
    symbol_id: int
    kind: int
    side: int
    volume: int
    created_us: int
    updated_us: int
    status: int = ACCEPTED
    tif: int = GTC
    executed: int = 0
    cost: int = 0
    """Sum of volume times price over the fills."""
    limit_price: int | None = None
    stop_price: int | None = None
    expires_ms: int | None = None
    base_slippage: int | None = None
    slippage_points: int | None = None
    relative_sl: int | None = None
    """Distance in 1/100000 of price."""
    relative_tp: int | None = None
    trailing: bool = False
    guaranteed: bool = False
    trigger: int = TRADE
    client_order_id: str = ""
    label: str | None = None
    comment: str | None = None
    is_closing: bool = False
    shown_sl: int | None = None
    """Of an order that closes a position: the position's levels at that time, which lists show."""
    shown_tp: int | None = None
    is_stop_out: bool = False
    is_triggered: bool = False
    """A stop-limit whose stop was reached rests as a limit order."""
    hits: int = 0
    """Consecutive ticks beyond the trigger, for the DOUBLE methods."""
    closed_us: int | None = None
    is_under_way: bool = False
    """Accepted and being executed, rather than resting."""
    msg_id: str | None = None
    """clientMsgId of the request, while it is being executed."""


@dataclass(slots=True)
class Position:
    """A position, from the order that may open it (CREATED, volume 0) until it is closed."""

    position_id: int
    symbol_id: int
    side: int
    volume: int = 0
    status: int = CREATED
    price: int = 0
    sl: int | None = None
    tp: int | None = None
    trailing: bool = False
    trail_distance: int = 0
    guaranteed: bool = False
    trigger: int = TRADE
    label: str | None = None
    comment: str | None = None
    commission: int = 0
    """Opening share, negative."""
    swap: int = 0
    margin_rate: int = 0
    used_margin: int = 0
    opened_us: int | None = None
    updated_us: int = 0
    closed_us: int | None = None
    protective_id: int | None = None
    closing: int = 0
    """Volume of accepted closing orders that are not filled yet."""
    lots: list[list[int]] = field(default_factory=list)
    """Open parts as [dealId, volume], oldest first, for DealOffsetList."""


@dataclass(slots=True)
class Deal:
    """One execution; the fields from `entry_price` on are those of a closing deal."""

    deal_id: int
    order_id: int
    position_id: int
    symbol_id: int
    side: int
    volume: int
    filled: int
    price: int
    created_us: int
    executed_us: int
    status: int = DEAL_FILLED
    margin_rate: int = 0
    commission: int = 0
    base_to_usd: int = 0
    is_closing: bool = False
    entry_price: int = 0
    gross: int = 0
    swap: int = 0
    total_commission: int = 0
    fee: int = 0
    balance: int = 0
    balance_version: int = 0
    quote_to_deposit: int = 0

    @property
    def net(self) -> int:
        """What this deal did to the balance."""
        return self.gross + self.swap + self.total_commission + self.fee if self.is_closing else 0


@dataclass(slots=True)
class CashFlow:
    """A change of the balance that is not a trade."""

    history_id: int
    operation: int
    delta: int
    balance: int
    balance_version: int
    at_us: int
    equity: int
    note: str = ""


@dataclass(slots=True)
class MarginCall:
    """A threshold of the margin level in percent, and when it last rang."""

    kind: int
    threshold: float
    updated_us: int
    triggered_us: int = 0


@dataclass(slots=True)
class Account:
    """One account's books."""

    spec: AccountSpec
    balance: int
    balance_version: int
    bonus: int
    access: int
    deposits: int
    """Sum of everything paid in and out, the starting balance included."""
    orders: dict[int, Order] = field(default_factory=dict)
    """Live ones, protective orders included."""
    positions: dict[int, Position] = field(default_factory=dict)
    """Open ones, and the CREATED ones of live orders."""
    past_orders: dict[int, Order] = field(default_factory=dict)
    deals: dict[int, Deal] = field(default_factory=dict)
    cash: list[CashFlow] = field(default_factory=list)
    offsets: list[list[int]] = field(default_factory=list)
    """Pairs of opening and closing deals: [opening id, closing id, volume]."""
    margin_calls: list[MarginCall] = field(default_factory=list)
    last_closing_us: int = 0
    last_balance_us: int = 0
    leverage_cents: int = 0
    listeners: dict[int, None] = field(default_factory=dict)
    """Connections that have this account open, in the order in which they came."""

    def position_of(self, order: Order) -> Position:
        """Find the position that an order opened or is to open; one that closed before its order ended begins anew."""
        position = self.positions.get(order.position_id)
        if position is None:
            position = Position(
                order.position_id, order.symbol_id, order.side, label=order.label, comment=order.comment
            )
            self.positions[order.position_id] = position
        return position

    def open_positions(self) -> Iterator[Position]:
        """Give the positions that hold volume."""
        return (position for position in self.positions.values() if position.volume)

    def book(self, delta: int, at_us: int) -> None:
        """Change the balance, once, by one version."""
        self.balance += delta
        self.balance_version += 1
        self.last_balance_us = at_us

    def order(self, order_id: int) -> Order | None:
        """Find an order, live or past."""
        return self.orders.get(order_id) or self.past_orders.get(order_id)

    def archive(self, order: Order, rows_max: int) -> None:
        """Move a finished order to the past."""
        self.orders.pop(order.order_id, None)
        order.msg_id = None
        self.past_orders[order.order_id] = order
        trim(self.past_orders, rows_max)


def trim(rows: dict[int, Order] | dict[int, Deal], rows_max: int) -> None:
    """Forget the oldest rows above `rows_max`."""
    while len(rows) > rows_max:
        del rows[next(iter(rows))]
