"""The end of a share's close of which a part is told by nothing else: its last deal came in no event."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import CopyState
from cmam.domain.events import ExecutionSeen
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.sight import ENDS_TELL_PARTS
from cmam.domain.values.trades import ExecutionKind, OrderStatus, PositionStatus
from tests.factories import LOT
from tests.unit.domain.test_netting import Netted, key, netted


def _after_the_end(rules: int) -> Netted:
    """Long three lots and short two in shares, the net long one; the long is closed, and the broker tells a half of
    that with its deal, and the other as the end of the order, without one: the net is flat."""
    pair = netted()
    pair.view = replace(pair.view, rules=rules)
    for number, volume, side in ((1, 3 * LOT, Side.BUY), (2, 2 * LOT, Side.SELL)):
        pair.opens_at(number, volume, side)
        pair.answer()
        pair.passes(1_000)
    pair.ends(1, 3 * LOT)
    (asked,) = pair.lose()
    assert (asked.command.kind, asked.command.volume) == (CommandKind.CLOSE, LOT)
    (number,) = pair.held
    accepted, filled = pair.close(number, LOT // 2, name=asked.intent)
    assert isinstance(accepted, ExecutionSeen)
    assert isinstance(filled, ExecutionSeen)
    assert accepted.order is not None
    order = replace(accepted.order, volume=Volume(LOT), order=OrderId(7_000))
    part = replace(order, executed_volume=Volume(LOT // 2))
    over = replace(order, executed_volume=Volume(LOT), status=OrderStatus.CANCELLED)
    gone = replace(pair.held.pop(number), volume=Volume(0), status=PositionStatus.CREATED)
    pair.fact(replace(accepted, order=order))
    pair.fact(replace(filled, kind=ExecutionKind.ORDER_PARTIAL_FILL, order=part))
    pair.fact(replace(filled, kind=ExecutionKind.ORDER_CANCELLED, order=over, deal=None, position=gone))
    return pair


@pytest.mark.parametrize(("rules", "left"), [(RULES, 2 * LOT), (ENDS_TELL_PARTS - 1, 0)])
def test_what_the_end_of_a_close_tells_is_its_shares(rules: int, left: int) -> None:
    """The net was short by it, so the share of the other side counted as closed by a person, who was nowhere."""
    other = _after_the_end(rules).copy_of(key(2))
    assert (other.volume if other is not None and other.state is CopyState.OPEN else 0) == left
