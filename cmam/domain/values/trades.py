"""Orders, positions and deals as a broker reported them: snapshots, not beliefs.

Times in ms are the broker's. Fields that the broker left out are None, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cmam.domain.values.ids import AccountId, DealId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Distance, Price, Side, Volume


class OrderType(StrEnum):
    """What kind of order it is; `PROTECTION` is the broker's own, one per protected position."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    PROTECTION = "protection"
    MARKET_RANGE = "market_range"
    STOP_LIMIT = "stop_limit"

    @property
    def is_pending(self) -> bool:
        """Whether such an order rests until the market reaches it."""
        return self in _PENDING


_PENDING = (OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)


class OrderStatus(StrEnum):
    """How far an order has come; all but ACCEPTED are final."""

    ACCEPTED = "accepted"
    FILLED = "filled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class PositionStatus(StrEnum):
    """`CREATED` also shows on a position which a full close has just emptied (wire.md#closes)."""

    OPEN = "open"
    CLOSED = "closed"
    CREATED = "created"
    ERROR = "error"


class TimeInForce(StrEnum):
    """How long an order lives."""

    GTD = "gtd"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    MARKET_ON_OPEN = "market_on_open"


class TriggerMethod(StrEnum):
    """Which side of the quote triggers a stop, and after how many ticks."""

    TRADE = "trade"
    OPPOSITE = "opposite"
    DOUBLE_TRADE = "double_trade"
    DOUBLE_OPPOSITE = "double_opposite"


class DealStatus(StrEnum):
    """Whether a deal moved volume."""

    FILLED = "filled"
    PARTIALLY_FILLED = "partially_filled"
    REJECTED = "rejected"
    INTERNALLY_REJECTED = "internally_rejected"
    ERROR = "error"
    MISSED = "missed"


class ExecutionKind(StrEnum):
    """Why the broker sent an execution event. Volume is booked from deals, never from this word."""

    ORDER_ACCEPTED = "order_accepted"
    ORDER_FILLED = "order_filled"
    ORDER_REPLACED = "order_replaced"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_EXPIRED = "order_expired"
    ORDER_REJECTED = "order_rejected"
    ORDER_CANCEL_REJECTED = "order_cancel_rejected"
    ORDER_PARTIAL_FILL = "order_partial_fill"
    SWAP = "swap"
    DEPOSIT_WITHDRAW = "deposit_withdraw"
    BONUS_DEPOSIT_WITHDRAW = "bonus_deposit_withdraw"
    OTHER = "other"


class AccountType(StrEnum):
    """Whether positions of one symbol stand side by side or net out."""

    HEDGED = "hedged"
    NETTED = "netted"
    SPREAD_BETTING = "spread_betting"


class MarginType(StrEnum):
    """How much of the margin of positions an account uses: that of both sides of a symbol, of the larger one, or of
    their difference."""

    SUM = "sum"
    MAX = "max"
    NET = "net"


class AccessRights(StrEnum):
    """What the broker lets the owner do."""

    FULL_ACCESS = "full_access"
    CLOSE_ONLY = "close_only"
    NO_TRADING = "no_trading"
    NO_LOGIN = "no_login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A position at one moment. Money is in the account's minor units; costs are negative."""

    position: PositionId
    symbol: SymbolId
    side: Side
    volume: Volume
    status: PositionStatus = PositionStatus.OPEN
    price: Price | None = None
    stop: Price | None = None
    target: Price | None = None
    trailing: bool = False
    guaranteed: bool = False
    trigger: TriggerMethod = TriggerMethod.TRADE
    swap: int = 0
    commission: int = 0
    used_margin: int = 0
    label: str = ""
    comment: str = ""
    opened_ms: int = 0
    updated_ms: int = 0
    closed_ms: int = 0

    @property
    def protection(self) -> tuple[object, ...]:
        """All that protects it: what a change of its levels changes."""
        return (self.stop, self.target, self.trailing, self.guaranteed, self.trigger.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order at one moment. `stop` and `target` are attached levels, absolute; the relative ones are distances."""

    order: OrderId
    symbol: SymbolId
    side: Side
    type: OrderType
    volume: Volume
    status: OrderStatus = OrderStatus.ACCEPTED
    executed_volume: Volume = Volume(0)
    execution_price: Price | None = None
    limit_price: Price | None = None
    stop_price: Price | None = None
    stop: Price | None = None
    target: Price | None = None
    relative_stop: Distance | None = None
    relative_target: Distance | None = None
    trailing: bool = False
    guaranteed: bool = False
    trigger: TriggerMethod = TriggerMethod.TRADE
    time_in_force: TimeInForce = TimeInForce.GTC
    expires_ms: int | None = None
    base_slippage_price: Price | None = None
    slippage_points: int | None = None
    position: PositionId | None = None
    client_order_id: str = ""
    label: str = ""
    comment: str = ""
    closing: bool = False
    stop_out: bool = False
    opened_ms: int = 0
    updated_ms: int = 0

    @property
    def is_resting(self) -> bool:
        """Whether it is a pending order, and nobody's protection."""
        return self.type.is_pending and self.status is OrderStatus.ACCEPTED and not self.closing

    @property
    def terms(self) -> tuple[object, ...]:
        """All that its owner can amend."""
        return (
            self.volume,
            self.limit_price,
            self.stop_price,
            self.stop,
            self.target,
            self.relative_stop,
            self.relative_target,
            self.trailing,
            self.guaranteed,
            self.trigger.value,
            self.time_in_force.value,
            self.expires_ms,
            self.slippage_points,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseDetail:
    """What a closing deal realised. `balance` is the account's after it; the conversion rate is the broker's text."""

    entry_price: Price
    gross: int
    swap: int
    commission: int
    balance: int
    closed_volume: Volume
    balance_version: int = 0
    conversion_fee: int = 0
    money_digits: int = 2

    @property
    def net(self) -> int:
        """By how much it moved the account's balance, in minor units."""
        return self.gross + self.swap + self.commission + self.conversion_fee


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """One execution of an order."""

    deal: DealId
    order: OrderId
    position: PositionId
    symbol: SymbolId
    side: Side
    volume: Volume
    filled_volume: Volume
    price: Price | None = None
    status: DealStatus = DealStatus.FILLED
    executed_ms: int = 0
    created_ms: int = 0
    commission: int = 0
    money_digits: int = 2
    close: CloseDetail | None = None

    @property
    def is_execution(self) -> bool:
        """Whether volume really changed hands."""
        return self.filled_volume > 0 and self.status in (DealStatus.FILLED, DealStatus.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trader:
    """What an account is and holds, as TraderRes tells it. `leverage_cents` 10000 means 1:100."""

    account: AccountId
    login: int = 0
    broker: str = ""
    deposit_asset: int = 0
    account_type: AccountType = AccountType.HEDGED
    access: AccessRights = AccessRights.FULL_ACCESS
    balance: int = 0
    balance_version: int = 0
    money_digits: int = 2
    bonus: int = 0
    leverage_cents: int = 0
    max_leverage: int = 0
    limited_risk: bool = False
    swap_free: bool = False
    fair_stop_out: bool = False
    registered_ms: int = 0
    margin_type: MarginType = MarginType.SUM


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChange:
    """A deposit, withdrawal or bonus: money that no trade moved. `delta` is below 0 for what went; the `balance` of a
    bonus is all the bonus there is after it, and it has no version."""

    operation: str
    delta: int
    balance: int
    balance_version: int = 0
    money_digits: int = 2
    changed_ms: int = 0
    bonus: bool = False

    @property
    def is_result(self) -> bool:
        """Whether positions earned or cost it, so that it is a gain or a loss and nobody's deposit or withdrawal."""
        return self.operation in _RESULTS


_RESULTS = frozenset(
    {
        "deposit_dividends",
        "withdraw_dividends",
        "deposit_swap",
        "withdraw_swap",
        "withdraw_rollover",
        "withdraw_gsl_charge",
    }
)
"""The operations that are booked for what is held: by the schema's names, without `BALANCE_`."""
