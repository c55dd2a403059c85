"""When a margin call is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.turns import margin_calls
from cmam.domain.values.ids import PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.trades import Position, PositionStatus
from tests.factories import a_view

HELD = Position(
    position=PositionId(7), symbol=SymbolId(1), side=Side.BUY, volume=Volume(100_000), status=PositionStatus.OPEN
)


KIND = f"{margin_calls.KIND}10000"
VIEW = replace(a_view(), alerts={KIND: "called", "token": "dead"}, positions={HELD.position: HELD})


@pytest.mark.parametrize(("level", "is_over"), [(None, False), (9_999, False), (10_000, False), (10_001, True)])
def test_a_margin_call_is_over_above_its_threshold(level: int | None, is_over: bool) -> None:
    """While no level is known, nobody can tell that it is."""
    assert list(margin_calls.over(VIEW, level, {KIND: 60_000_000})) == ([KIND] if is_over else [])


@pytest.mark.parametrize(("level", "is_over"), [(None, True), (9_999, False)])
def test_a_margin_call_that_nobody_can_reckon_is_over_after_a_silence(level: int | None, is_over: bool) -> None:
    """A broker may not tell what positions bind; where it does, silence says nothing."""
    assert list(margin_calls.over(VIEW, level, {KIND: margin_calls.SILENT_US})) == ([KIND] if is_over else [])


def test_nothing_held_is_called_for_nothing() -> None:
    """Whatever the level is."""
    assert list(margin_calls.over(replace(VIEW, positions={}), None, {KIND: 0})) == [KIND]
