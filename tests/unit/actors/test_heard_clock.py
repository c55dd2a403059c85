"""What executions tell of a server's clock, where its quotes tell no time."""

from __future__ import annotations

from cmam.actors.accounts.heard_clock import HEARD_MAX, HeardClock
from cmam.domain.events import ExecutionSeen
from cmam.domain.values.ids import DealId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.trades import Deal, ExecutionKind, Order, OrderType

NOW_US = 1_700_000_000_000_000
NOW_MS = NOW_US // 1_000


def _order(opened_ms: int, updated_ms: int = 0) -> Order:
    return Order(order=OrderId(1), symbol=SymbolId(1), side=Side.BUY, type=OrderType.MARKET, volume=Volume(1),
                 opened_ms=opened_ms, updated_ms=updated_ms)  # fmt: skip


def _deal(executed_ms: int) -> Deal:
    return Deal(deal=DealId(1), order=OrderId(1), position=PositionId(1), symbol=SymbolId(1), side=Side.BUY,
                volume=Volume(1), filled_volume=Volume(1), executed_ms=executed_ms)  # fmt: skip


def _heard(*facts: ExecutionSeen) -> int:
    clock = HeardClock()
    for fact in facts:
        clock.hear(fact, NOW_US)
    return clock.offset_ms


def _accepted(opened_ms: int, updated_ms: int = 0) -> ExecutionSeen:
    return ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=_order(opened_ms, updated_ms))


def test_what_is_told_late_says_nothing_beside_what_is_told_in_time() -> None:
    """The execution that is the least old by the server's clock bounds how far that is behind."""
    assert _heard() == 0
    assert _heard(_accepted(0)) == 0
    assert _heard(_accepted(NOW_MS - 60_000), _accepted(NOW_MS - 4_000), _accepted(NOW_MS - 90_000)) == -4_000
    assert _heard(_accepted(NOW_MS + 4_000)) == 0


def test_what_happened_last_is_what_an_execution_tells() -> None:
    """An order that has rested for a day fills now: its deal says when, or else its last change."""
    day_ms = 86_400_000
    filled = ExecutionSeen(
        kind=ExecutionKind.ORDER_FILLED, order=_order(NOW_MS - day_ms, NOW_MS - 9_000), deal=_deal(NOW_MS - 4_000)
    )
    assert _heard(filled) == -4_000
    assert _heard(_accepted(NOW_MS - day_ms, NOW_MS - 5_000)) == -5_000


def test_a_clock_that_was_set_back_is_learnt_anew() -> None:
    """What was heard long ago bounds nothing any more."""
    told = [_accepted(NOW_MS), *([_accepted(NOW_MS - 9_000)] * HEARD_MAX)]
    assert _heard(*told[:-1]) == 0
    assert _heard(*told) == -9_000
