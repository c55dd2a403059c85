"""What a broker tells afterwards of a position that had gone unseen, and whom it concerns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import CopyState
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ClosesSeen
from cmam.domain.folds.account import evolve
from cmam.domain.folds.afterwards import stop_outs
from cmam.domain.values.ids import DealId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.trades import CloseDetail, Deal, Order, OrderStatus, OrderType
from tests.factories import LOT, T0_US, Pair, price

NET = PositionId(9)


def _deal(number: int, *, closes: bool = True) -> Deal:
    detail = CloseDetail(entry_price=price("1.1"), gross=0, swap=0, commission=0, balance=0, closed_volume=Volume(LOT))
    return Deal(
        deal=DealId(number),
        order=OrderId(number),
        position=NET,
        symbol=SymbolId(1),
        side=Side.SELL if closes else Side.BUY,
        volume=Volume(LOT),
        filled_volume=Volume(LOT),
        price=price("1.2"),
        executed_ms=number,
        close=detail if closes else None,
    )


def _stop_out(number: int) -> Order:
    return Order(
        order=OrderId(number),
        symbol=SymbolId(1),
        side=Side.SELL,
        volume=Volume(LOT),
        type=OrderType.MARKET,
        status=OrderStatus.FILLED,
        closing=True,
        stop_out=True,
    )


def _gone() -> AccountView:
    """A share that has gone with its net, nobody knows how."""
    pair = Pair()
    pair.opens()
    copy = replace(pair.copy, state=CopyState.CLOSED, share=True, unpriced=Volume(LOT), position=NET)
    return replace(pair.view, copies={}, finished={copy.key: copy}, unpriced=(NET,))


@pytest.mark.parametrize(("at", "locks"), [(2, False), (5, True)])
def test_a_stop_out_of_before_a_net_was_added_to_last_is_of_former_shares(at: int, locks: bool) -> None:
    """One net, a month ago stopped out in part: that was told then, and is not what ended the share of now."""
    told = (_deal(1, closes=False), _deal(2), _deal(3, closes=False), _deal(5))
    assert bool(list(stop_outs(_gone(), ClosesSeen(position=NET, deals=told, orders=(_stop_out(at),))))) is locks


def test_a_long_history_of_a_net_leaves_room_for_the_newest_deals_of_others() -> None:
    """What comes after a gap is known by the numbers of the newest 64 deals."""
    mine = tuple(DealId(number) for number in range(1_000, 1_064))
    before = replace(_gone(), deals=mine)
    told = ClosesSeen(position=NET, deals=tuple(_deal(number) for number in range(1, 200)))
    after = evolve(before, told, T0_US)
    assert after.deals == (*mine[32:], *(DealId(number) for number in range(168, 200)))
    assert not after.unpriced
