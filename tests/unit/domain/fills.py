"""A position and the event that tells one as a deal has left it, for tests of what is held."""

from __future__ import annotations

from cmam.domain.events import ExecutionSeen
from cmam.domain.values.ids import DealId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.trades import Deal, ExecutionKind, Position

POSITION = Position(
    position=PositionId(9), symbol=SymbolId(1), side=Side.BUY, volume=Volume(100_000), updated_ms=5_000, opened_ms=5_000
)


def filled(position: Position, deal: int) -> ExecutionSeen:
    """The fill of an order of 1,000 units that has the number of its deal."""
    executed = Deal(
        deal=DealId(deal),
        order=OrderId(deal),
        position=position.position,
        symbol=position.symbol,
        side=position.side,
        volume=Volume(100_000),
        filled_volume=Volume(100_000),
        executed_ms=position.updated_ms,
    )
    return ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, position=position, deal=executed)
