"""Positions as snapshots tell them: what a late one may not undo, and what only a new deal can tell apart."""

from __future__ import annotations

from dataclasses import replace

from cmam.domain.account import AccountView, evolve
from cmam.domain.events import ExecutionSeen
from cmam.domain.ids import AccountId, DealId, OrderId, PositionId, SymbolId
from cmam.domain.quantities import Side, Volume
from cmam.domain.trades import Deal, ExecutionKind, Position, PositionStatus

POSITION = Position(
    position=PositionId(9), symbol=SymbolId(1), side=Side.BUY, volume=Volume(100_000), updated_ms=5_000, opened_ms=5_000
)


def _filled(position: Position, deal: int) -> ExecutionSeen:
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


def test_a_netted_position_emptied_and_filled_within_one_millisecond_is_held() -> None:
    """The second fill brings the same position back, though the broker's clock did not move."""
    empty = replace(POSITION, volume=Volume(0), status=PositionStatus.CLOSED)
    view = AccountView(account=AccountId(1))
    for number, position in enumerate((POSITION, empty, POSITION)):
        view = evolve(view, _filled(position, number + 1), 1)
    assert view.positions[POSITION.position].volume == 100_000


def test_a_second_delivery_of_a_fill_does_not_raise_a_closed_position() -> None:
    """An event that arrives twice, the second time after the close, changes nothing."""
    empty = replace(POSITION, volume=Volume(0), status=PositionStatus.CLOSED)
    view = AccountView(account=AccountId(1))
    for event in (_filled(POSITION, 1), _filled(empty, 2), _filled(POSITION, 1)):
        view = evolve(view, event, 1)
    assert view.positions == {}
