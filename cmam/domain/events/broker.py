"""What the broker said of an account, asked or not.

These are inputs: what they lead to is derived from them, and stands in other rooms. They know nothing of links, copies
and what anybody wants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from cmam.domain.events.values import Event
from cmam.domain.values.ids import AssetId, IntentId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Price, Quote, Volume
from cmam.domain.values.symbols import SymbolName, SymbolSpec
from cmam.domain.values.trades import BalanceChange, Deal, ExecutionKind, Order, Position, Trader


class Health(StrEnum):
    """How far an account's session has come; only RECONCILED is ready for trade."""

    DOWN = "down"
    AUTHORISED = "authorised"
    SUBSCRIBED = "subscribed"
    RECONCILED = "reconciled"
    TOKEN_DEAD = "token_dead"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChanged(Event):
    """An account's session came a step further, or fell back; `silent_us` is for how long its line had been too silent
    to tell anything when it was given up."""

    TOPIC: ClassVar[str] = "account.health_changed"
    health: Health
    reason: str = ""
    silent_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TraderSeen(Event):
    """The broker said what the account is and holds."""

    TOPIC: ClassVar[str] = "account.trader_seen"
    trader: Trader
    currency: str = ""
    is_live: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetName:
    """A currency or other asset of a broker, by name."""

    asset: AssetId
    name: str
    digits: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolListSeen(Event):
    """The broker listed its symbols and assets; recorded when the list differs from the last one."""

    TOPIC: ClassVar[str] = "account.symbol_list_seen"
    digest: str
    symbols: tuple[SymbolName, ...]
    assets: tuple[AssetName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSpecSeen(Event):
    """The broker said what a symbol allows; recorded when it differs from what was known."""

    TOPIC: ClassVar[str] = "account.symbol_spec_seen"
    spec: SymbolSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSeen(Event):
    """The broker reported what happened to an order, a position or the balance."""

    TOPIC: ClassVar[str] = "account.execution_seen"
    kind: ExecutionKind
    order: Order | None = None
    position: Position | None = None
    deal: Deal | None = None
    balance: BalanceChange | None = None
    client_msg_id: str = ""
    is_server_event: bool = False
    error_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused(Event):
    """The broker refused a request of ours before it became an order."""

    TOPIC: ClassVar[str] = "account.request_refused"
    intent: IntentId
    error_code: str
    description: str = ""
    retry_after_s: int = 0
    is_temporary: bool = False
    order: OrderId | None = None
    position: PositionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailingStopMoved(Event):
    """The broker moved a trailing stop; no execution event comes with it."""

    TOPIC: ClassVar[str] = "account.trailing_stop_moved"
    position: PositionId
    order: OrderId
    stop: Price
    updated_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled(Event):
    """All that the broker holds for the account at one moment, with what happened in the gap before it.

    `deals` and `past_orders` are those of the gap. `looked_up` is set when this was asked so late that it proves what
    became of requests: of those that a snapshot shows, and where the order history was asked too, of all others by the
    absence of their orders in it. `covers_from_ms` is how far back that history reaches in the broker's time, and 0
    without one; `settle_us` how long before this a request must have moved last for its absence to prove anything: as
    long as an order may be under way, and as the look itself was. `quiet` says that nothing happened around the
    question, so that this is newer than all that is known, whatever its times say: a broker's clock may step.
    `doubted` are positions known to be open, and `doubted_orders` orders known to rest, that
    it leaves out and that still count: nothing else says yet that they are gone.
    """

    TOPIC: ClassVar[str] = "account.reconciled"
    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    deals: tuple[Deal, ...] = ()
    past_orders: tuple[Order, ...] = ()
    looked_up: bool = False
    covers_from_ms: int = 0
    settle_us: int = 10_000_000
    quiet: bool = False
    doubted: tuple[PositionId, ...] = ()
    doubted_orders: tuple[OrderId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosesSeen(Event):
    """The broker told, asked afterwards, all deals and orders of a copy's position of which something had gone without
    a deal that told its price. Both are empty where it knows nothing of it any more."""

    TOPIC: ClassVar[str] = "account.closes_seen"
    position: PositionId
    deals: tuple[Deal, ...] = ()
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverageTier:
    """Up to how much exposure, in US cents, which leverage holds: 100 means 1:100."""

    limit_cents: int
    leverage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverageSeen(Event):
    """The broker told the tiers of a dynamic leverage, lowest exposure first; none where it does not know it."""

    TOPIC: ClassVar[str] = "account.leverage_seen"
    leverage: int
    tiers: tuple[LeverageTier, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedMargin:
    """The margin that a volume would bind on either side, in minor units of the account."""

    volume: Volume
    buy: int
    sell: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginSeen(Event):
    """The broker reckoned which margin some volumes of a symbol would bind, smallest first."""

    TOPIC: ClassVar[str] = "account.margin_seen"
    symbol: SymbolId
    margins: tuple[ExpectedMargin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionResult:
    """What a position would realise now by its broker's own reckoning, in minor units of the account."""

    position: PositionId
    net: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsSeen(Event):
    """The broker reckoned all floating results: asked where quotes are missing and a guard, or an open, must
    know equity."""

    TOPIC: ClassVar[str] = "account.results_seen"
    results: tuple[PositionResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayHistorySeen(Event):
    """All deals and movements of money since a guard's day began: its beginning was missed and is rebuilt from them.

    `offset_ms` is the broker's clock minus ours.
    """

    TOPIC: ClassVar[str] = "account.day_history_seen"
    began_us: int
    deals: tuple[Deal, ...]
    money: tuple[BalanceChange, ...]
    offset_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotesSampled(Event):
    """The quotes of the symbols in which copies are open, recorded every ten seconds for replay and what-if."""

    TOPIC: ClassVar[str] = "account.quotes_sampled"
    quotes: Mapping[str, Quote]
