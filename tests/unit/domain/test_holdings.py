"""Positions as snapshots tell them: what a late one may not undo, and what only a new deal can tell apart."""

from __future__ import annotations

from dataclasses import replace

from cmam.domain.account import AccountView, evolve
from cmam.domain.changes import ChangeKind
from cmam.domain.events import ExecutionSeen, Reconciled
from cmam.domain.ids import AccountId, DealId, OrderId, PositionId, SymbolId
from cmam.domain.leading import changes
from cmam.domain.quantities import Price, Side, Volume
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


def test_a_quiet_snapshot_is_believed_although_the_brokers_clock_has_stepped_back() -> None:
    """What is asked for while nothing happens is newer than all that is known, whatever time stands on it."""
    shrunk = replace(POSITION, volume=Volume(40_000), updated_ms=POSITION.updated_ms - 4_000)
    view = evolve(AccountView(account=AccountId(1)), _filled(POSITION, 1), 1)
    doubtful = evolve(view, Reconciled(positions=(shrunk,), orders=()), 2)
    assert doubtful.positions[POSITION.position].volume == 100_000
    believed = evolve(view, Reconciled(positions=(shrunk,), orders=(), quiet=True), 2)
    assert believed.positions[POSITION.position].volume == 40_000


def test_a_stop_that_moved_while_the_volume_shrank_is_told_too() -> None:
    """A gap in which the leader closed a part and moved the stop makes two changes, not one."""
    before = evolve(AccountView(account=AccountId(1)), Reconciled(positions=(POSITION,), orders=()), 1)
    found = Reconciled(
        positions=(replace(POSITION, volume=Volume(40_000), stop=Price(99_000_000), updated_ms=6_000),), orders=()
    )
    after = evolve(before, found, 2)
    told = changes(before, after, found)
    assert [change.kind for change in told] == [ChangeKind.REDUCED, ChangeKind.PROTECTED]
    assert told[1].stop == 99_000_000
