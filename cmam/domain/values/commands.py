"""What an account can be asked to do at its broker: one flat shape, read by kind.

Only the fields of a command's kind are set; `openapi/translate.py` turns it into a request. Levels follow the wire:
distances in an opening request, absolute prices in an amendment, where both always stand: an omitted one is deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cmam.domain.values.ids import OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Distance, Price, Side, Volume
from cmam.domain.values.replacing import quickly_made
from cmam.domain.values.trades import OrderType, TimeInForce, TriggerMethod


class CommandKind(StrEnum):
    """OPEN and ADD raise exposure; the others lower it, protect it or rest."""

    OPEN = "open"
    ADD = "add"
    CLOSE = "close"
    AMEND_PROTECTION = "amend_protection"
    PLACE = "place"
    AMEND_ORDER = "amend_order"
    CANCEL = "cancel"

    @property
    def adds_risk(self) -> bool:
        """Whether the broker may hold more afterwards than before."""
        return self in (CommandKind.OPEN, CommandKind.ADD, CommandKind.PLACE)


@quickly_made
@dataclass(frozen=True, kw_only=True)  # no slots: see replacing.py
class Command:
    """One thing to ask of the broker.

    `volume` is what to open, add, place or close; `whole` marks a close of all that the position has. `position` is set
    for ADD, CLOSE and AMEND_PROTECTION, `order` for AMEND_ORDER and CANCEL. `base_price` and `slippage_points` belong
    to market range, `slippage_points` also to stop limit. `netted` marks the ADD of a share: it moves the net of its
    symbol either way, and names no position.
    """

    kind: CommandKind
    symbol: SymbolId
    side: Side
    volume: Volume = Volume(0)
    whole: bool = False
    position: PositionId | None = None
    order: OrderId | None = None
    order_type: OrderType = OrderType.MARKET
    limit_price: Price | None = None
    stop_price: Price | None = None
    stop: Price | None = None
    target: Price | None = None
    relative_stop: Distance | None = None
    relative_target: Distance | None = None
    trailing: bool = False
    guaranteed: bool = False
    trigger: TriggerMethod = TriggerMethod.TRADE
    time_in_force: TimeInForce | None = None
    expires_ms: int | None = None
    base_price: Price | None = None
    slippage_points: int | None = None
    label: str = ""
    comment: str = ""
    netted: bool = False
