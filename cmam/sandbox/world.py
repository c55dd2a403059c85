"""The world a sandbox plays: feeds, brokers with their symbols, users, accounts, applications. Immutable, read once.

Only descriptions live here; balances, quotes and orders that change are the ledger's and the venue's. Reading the TOML
is `world_file.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

HEDGED, NETTED, SPREAD_BETTING = 0, 1, 2


class AccessRights(IntEnum):
    """What an account may do; numbers as on the wire."""

    FULL_ACCESS = 0
    CLOSE_ONLY = 1
    NO_TRADING = 2
    NO_LOGIN = 3


class TradingMode(IntEnum):
    """What a symbol allows; numbers as on the wire."""

    ENABLED = 0
    DISABLED_WITHOUT_PENDINGS_EXECUTION = 1
    DISABLED_WITH_PENDINGS_EXECUTION = 2
    CLOSE_ONLY_MODE = 3


class CommissionType(IntEnum):
    """How a commission is counted; numbers as on the wire."""

    USD_PER_MILLION_USD = 1
    USD_PER_LOT = 2
    PERCENTAGE_OF_VALUE = 3
    QUOTE_CCY_PER_LOT = 4


class SwapType(IntEnum):
    """How a swap is counted; numbers as on the wire."""

    PIPS = 0
    PERCENTAGE = 1
    POINTS = 2


@dataclass(frozen=True, slots=True)
class Feed:
    """Where prices of one instrument come from, for all brokers: a walk of its own, or two other feeds crossed."""

    name: str
    base: str
    quote: str
    price: int
    """Bid at the start, unless ticks of a file say otherwise."""
    spread: int
    step: int
    """Typical move from tick to tick."""
    interval_ms: int
    digits: int
    pip: int
    kind: str
    cross: tuple[str, str, str] | None = None
    """("mul" or "div", first feed, second feed)."""


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day, or a part of it, without trading."""

    id: int
    name: str
    zone: str
    day: int
    """Days since 1970-01-01."""
    is_recurring: bool
    start_s: int | None = None
    end_s: int | None = None


@dataclass(frozen=True, slots=True)
class Symbol:
    """What a broker lets be traded under one id. Volumes in 1/100 unit; field by field what ProtoOASymbol says."""

    id: int
    name: str
    feed: str
    base: str
    quote: str
    description: str
    category: int
    digits: int
    pip: int
    lot_size: int
    min_volume: int
    max_volume: int
    step_volume: int
    max_exposure: int
    spread_markup: int
    """Added to the feed's ask, in points of this symbol."""
    commission_type: CommissionType
    commission_rate: int
    """preciseTradingCommissionRate: 1/10^8 of the type's unit (1/10^5 percent for PERCENTAGE_OF_VALUE)."""
    min_commission: int
    min_commission_asset: str
    min_commission_in_quote: bool
    conversion_fee_rate: int
    """1/10000 of the gross profit, where the quote asset is not the deposit asset."""
    swap_type: SwapType
    swap_long: Decimal
    swap_short: Decimal
    swap_triple_day: int
    """1 Monday to 7 Sunday; 0 never."""
    swap_time_min: int
    """Minutes after midnight UTC."""
    swap_period_h: int
    swap_at_weekends: bool
    schedule: tuple[tuple[int, int], ...]
    """Seconds from Sunday 00:00 in `zone`; end excluded."""
    zone: str
    holidays: tuple[Holiday, ...]
    mode: TradingMode
    enabled: bool
    archived: bool
    short_selling: bool
    guaranteed: bool
    guaranteed_charge: int
    sl_distance: int
    tp_distance: int
    gsl_distance: int
    distance_in_percent: bool
    """Distances in points, or in 1/100 percent of the price."""
    leverage_id: int
    units: str
    depth: tuple[int, ...]
    """Volumes of the levels of the book, best first; empty: nothing but the best quote, of unlimited size."""
    sorting: int


@dataclass(frozen=True, slots=True)
class Asset:
    """A currency or a thing, by the broker's id."""

    id: int
    name: str
    digits: int


@dataclass(frozen=True, slots=True)
class Category:
    """A group of symbols inside an asset class."""

    id: int
    class_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker's server: its own ids, symbols and assets."""

    name: str
    short: str
    symbols: tuple[Symbol, ...]
    assets: tuple[Asset, ...]
    classes: tuple[tuple[int, str], ...]
    categories: tuple[Category, ...]
    leverages: tuple[tuple[int, tuple[tuple[int, int], ...]], ...]
    """Dynamic leverage: (id, ((volume limit in USD cents, leverage), ...))."""
    first_id: int
    """Where ids of orders, positions and deals start; brokers may well reuse each other's."""

    def asset(self, name: str) -> Asset:
        """Find an asset by name; the world's reader made sure that it exists."""
        return next(asset for asset in self.assets if asset.name == name)


@dataclass(frozen=True, slots=True)
class Account:
    """One trading account as it starts."""

    ctid: int
    login: int
    broker: str
    owner: str
    currency: str
    kind: int
    balance: int
    """In minor units of `money_digits`."""
    money_digits: int
    live: bool
    leverage_cents: int
    max_leverage: int
    access: AccessRights
    swap_free: bool
    margin_type: int
    """0 MAX, 1 SUM, 2 NET."""
    stop_out_percent: int
    stop_out_strategy: int
    """0 most margin first, 1 most losing first."""
    fair_stop_out: bool
    """Whole positions at a stop-out, rather than parts."""
    limited_risk: bool
    bonus: int
    max_positions: int
    registered_ms: int
    access_token: str | None
    refresh_token: str | None


@dataclass(frozen=True, slots=True)
class User:
    """A cTrader ID, the owner of accounts at any number of brokers."""

    name: str
    id: int


@dataclass(frozen=True, slots=True)
class Application:
    """An Open API application; only Active ones may authorise."""

    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...]
    state: str
    name: str = "cmam"


@dataclass(frozen=True, slots=True)
class World:
    """Everything a sandbox starts with."""

    feeds: tuple[Feed, ...]
    brokers: tuple[Broker, ...]
    users: tuple[User, ...]
    accounts: tuple[Account, ...]
    applications: tuple[Application, ...]

    def broker(self, name: str) -> Broker:
        """Find a broker by name; the world's reader made sure that it exists."""
        return next(broker for broker in self.brokers if broker.name == name)
