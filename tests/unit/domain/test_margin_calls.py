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


NOW_US = 5_000_000_000


def _over(level: int | None, silent_us: int, level_then: int | None = 9_990) -> bool:
    """Whether a call of 100 % is over at a level, so long after it was told at another."""
    call = margin_calls.Call(NOW_US - silent_us, level_then)
    return list(margin_calls.over(VIEW, level, {KIND: call}, NOW_US)) == [KIND]


@pytest.mark.parametrize(
    ("level", "is_over"), [(None, False), (9_999, False), (10_001, False), (11_000, False), (11_001, True)]
)
def test_a_margin_call_is_over_clearly_above_its_threshold(level: int | None, is_over: bool) -> None:
    """While no level is known, nobody can tell that it is; a little above it, the next tick may be below."""
    assert _over(level, 60_000_000) is is_over


@pytest.mark.parametrize(("level", "is_over"), [(13_000, False), (14_300, False), (14_301, True)])
def test_the_brokers_word_counts_where_cmam_reckons_more(level: int, is_over: bool) -> None:
    """Told at 130 % as cmam reckoned it then: what rises above that is above the broker's threshold, too."""
    assert _over(level, 60_000_000, 13_000) is is_over


@pytest.mark.parametrize(("level", "is_over"), [(None, True), (9_999, False), (10_000, False), (10_001, True)])
def test_a_margin_call_is_over_after_a_silence(level: int | None, is_over: bool) -> None:
    """A broker may not tell what positions bind; where cmam itself reckons no more than that, silence says nothing."""
    assert _over(level, margin_calls.SILENT_US, 13_000) is is_over


def test_nothing_held_is_called_for_nothing() -> None:
    """Whatever the level is."""
    calls = {KIND: margin_calls.Call(NOW_US)}
    assert list(margin_calls.over(replace(VIEW, positions={}), None, calls, NOW_US)) == [KIND]


def test_a_level_that_contradicts_the_broker_is_told_as_such() -> None:
    """Neither is left out: who reads it has the broker's terminal beside."""
    assert "It is at 99.90 % as cmam reckons it. If it falls" in margin_calls.in_words(10_000, 9_990)
    assert "It is at 130.00 % as cmam reckons it; the broker's word counts. If it falls" in margin_calls.in_words(
        10_000, 13_000
    )
