"""All that is believed of one account, as one immutable value. How it changes is told by `account.evolve`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cmam.domain.copies import Copy, CopyKey, Cursor, Intent
from cmam.domain.events import (
    AssetName,
    Health,
)
from cmam.domain.ids import (
    AccountId,
    AssetId,
    DealId,
    IntentId,
    LinkId,
    OrderId,
    PositionId,
    SymbolId,
)
from cmam.domain.symbols import SymbolName, SymbolSpec
from cmam.domain.trades import Order, Position, Trader


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """Everything believed of one account."""

    account: AccountId
    version: int = 0
    at_us: int = 0
    trader: Trader | None = None
    currency: str = ""
    is_live: bool = False
    health: Health = Health.DOWN
    health_reason: str = ""
    symbol_digest: str = ""
    names: Mapping[str, SymbolName] = field(default_factory=dict)
    assets: Mapping[AssetId, AssetName] = field(default_factory=dict)
    specs: Mapping[SymbolId, SymbolSpec] = field(default_factory=dict)
    positions: Mapping[PositionId, Position] = field(default_factory=dict)
    orders: Mapping[OrderId, Order] = field(default_factory=dict)
    origins: Mapping[PositionId, OrderId] = field(default_factory=dict)
    closed: Mapping[PositionId, int] = field(default_factory=dict)
    deals: tuple[DealId, ...] = ()
    balance: int = 0
    balance_version: int = 0
    cursors: Mapping[LinkId, Cursor] = field(default_factory=dict)
    copies: Mapping[CopyKey, Copy] = field(default_factory=dict)
    finished: Mapping[CopyKey, Copy] = field(default_factory=dict)
    by_position: Mapping[PositionId, CopyKey] = field(default_factory=dict)
    intents: Mapping[IntentId, Intent] = field(default_factory=dict)
    alerts: Mapping[str, str] = field(default_factory=dict)
    level_changes: int = 0

    @property
    def money_digits(self) -> int:
        return self.trader.money_digits if self.trader else 2

    def copy(self, key: CopyKey) -> Copy | None:
        """The copy of a source, live or finished."""
        return self.copies.get(key) or self.finished.get(key)

    def intents_of(self, key: CopyKey) -> tuple[Intent, ...]:
        """The unsettled requests of one copy."""
        return tuple(intent for intent in self.intents.values() if intent.key == key)


def put(view: AccountView, copy: Copy) -> AccountView:
    """The view with this copy in its place."""
    return replace(view, copies={**view.copies, copy.key: copy})
