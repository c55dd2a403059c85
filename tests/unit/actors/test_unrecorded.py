"""The close of a netted share that will not wait for its record: never more than the net still has of it."""

from __future__ import annotations

import pytest

from cmam.actors import messages as m
from cmam.actors.accounts.unrecorded import SHARE, Spent, Unrecorded
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.trades import AccountType, Position
from cmam.openapi.lanes import Lane
from tests.factories import FOLLOWER, LOT, Pair, a_view


def _closing() -> tuple[Pair, Unrecorded, m.Submit]:
    """A share of two lots whose whole close has waited for the store for a second."""
    pair = Pair(view=a_view(kind=AccountType.NETTED))
    pair.opens(2 * LOT)
    pair.answer()
    pair.passes(1_000_000)
    pair.closes(2 * LOT)
    (recorded,) = pair.waiting
    assert recorded.command.kind is CommandKind.CLOSE
    submit = m.Submit(FOLLOWER, recorded.command, recorded.intent, Lane.CLOSE)
    unrecorded = Unrecorded(FOLLOWER, Spent())
    assert unrecorded.watch(pair.view, recorded, submit)
    return pair, unrecorded, submit


def _net(submit: m.Submit, volume: int, side: Side = Side.BUY) -> Position:
    assert submit.command.position is not None
    return Position(position=submit.command.position, symbol=SymbolId(1), side=side, volume=Volume(volume))


@pytest.mark.parametrize(("held", "closed"), [(3 * LOT, 2 * LOT), (2 * LOT, 2 * LOT), (LOT, LOT)])
def test_a_share_is_closed_by_no_more_than_is_held(held: int, closed: int) -> None:
    """The net may have grown or fallen since: the share goes, and never what is not there."""
    pair, unrecorded, submit = _closing()
    question = unrecorded.overdue(submit.intent, pair.view)
    assert question == f"{SHARE}{submit.intent}"
    found = unrecorded.position_read(str(question), [_net(submit, held)], pair.view)
    assert found is not None
    assert found.command.volume == closed


@pytest.mark.parametrize("net", ["turned", "flat", "another"])
def test_a_net_that_is_no_longer_ours_is_left_alone(net: str) -> None:
    """Turned to the other side, gone, or a position of another number: nothing leaves."""
    pair, unrecorded, submit = _closing()
    positions = {
        "turned": [_net(submit, LOT, Side.SELL)],
        "flat": [],
        "another": [Position(position=PositionId(1), symbol=SymbolId(1), side=Side.BUY, volume=Volume(LOT))],
    }[net]
    assert unrecorded.position_read(f"{SHARE}{submit.intent}", positions, pair.view) is None
