"""A leader's change: what happened to one of its positions or orders, as every follower is told.

It carries all that a follower needs to know of its leader (the symbol there, the money, the quote), so that a decision
can be recomputed from the follower's own record alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cmam.domain.values.ids import AccountId, ChangeKey, OrderId, PositionId, SourceKey
from cmam.domain.values.quantities import Distance, Price, Quote, Side, Volume
from cmam.domain.values.replacing import quickly_made
from cmam.domain.values.trades import OrderType, TimeInForce, TriggerMethod


class ChangeKind(StrEnum):
    """What a leader did, or what happened to it."""

    OPENED = "opened"
    GREW = "grew"
    REDUCED = "reduced"
    CLOSED = "closed"
    REVERSED = "reversed"
    PROTECTED = "protected"
    ORDER_PLACED = "order_placed"
    ORDER_AMENDED = "order_amended"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_EXPIRED = "order_expired"

    @property
    def adds_risk(self) -> bool:
        """Whether following it may raise a follower's exposure."""
        return self in (ChangeKind.OPENED, ChangeKind.GREW, ChangeKind.ORDER_PLACED, ChangeKind.REVERSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderSymbol:
    """The traded symbol as the leader's broker has it."""

    name: str
    digits: int
    pip_position: int
    lot_size: Volume
    base: str = ""
    quote: str = ""
    measurement_units: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderMoney:
    """The leader's money when it happened, in minor units of its deposit currency; None where it is not known."""

    currency: str
    money_digits: int
    balance: int
    equity: int | None = None
    free_margin: int | None = None


@quickly_made
@dataclass(frozen=True, kw_only=True)  # no slots: see replacing.py
class Change:
    """One change of a leader. Volumes are the leader's; `before` and `after` are those of the position.

    `price` is the fill's. `origin` is the order that filled, `origin_type` its type, `origin_volume` all of its volume;
    `is_opening` says that it is the order which opened the position, `into_net` of an order that rests that what it
    fills is a change of a position which is there: its account is netted and holds the symbol, or it names one. `late`
    marks what a reconcile found instead of an event, `trailed` a stop that the broker moved, `synced` a position held
    before copying began, `reopens` one whose copy somebody else has just closed. `lots_were` is the symbol's lot before
    his broker made it another, until somebody confirms that; 0 where nothing waits for that. `at_ms` is the broker's
    time of it. `restored` marks what the first look after a restore of the log found, which copies may have answered
    before that.
    """

    key: ChangeKey
    kind: ChangeKind
    source: SourceKey
    leader: AccountId
    at_ms: int
    symbol: LeaderSymbol
    side: Side
    position: PositionId | None = None
    order: OrderId | None = None
    origin: OrderId | None = None
    origin_type: OrderType = OrderType.MARKET
    volume: Volume = Volume(0)
    before: Volume = Volume(0)
    after: Volume = Volume(0)
    price: Price | None = None
    stop: Price | None = None
    target: Price | None = None
    relative_stop: Distance | None = None
    relative_target: Distance | None = None
    trailing: bool = False
    guaranteed: bool = False
    trigger: TriggerMethod = TriggerMethod.TRADE
    limit_price: Price | None = None
    stop_price: Price | None = None
    slippage_points: int | None = None
    time_in_force: TimeInForce | None = None
    expires_ms: int | None = None
    label: str = ""
    comment: str = ""
    stop_out: bool = False
    late: bool = False
    origin_volume: Volume = Volume(0)
    is_opening: bool = False
    trailed: bool = False
    synced: bool = False
    reopens: bool = False
    money: LeaderMoney | None = None
    quote: Quote | None = None
    into_net: bool = False
    lots_were: Volume = Volume(0)
    restored: bool = False
