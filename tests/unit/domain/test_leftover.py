"""What a flatten has still to end: copies, and what stands under our labels without being one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.view import AccountView
from cmam.domain.events import Reconciled
from cmam.domain.folds.account import evolve
from cmam.domain.repair.leftover import left, left_by_link
from cmam.domain.values.ids import LinkId, OrderId, PositionId, SourceKey, StoreId, SymbolId
from cmam.domain.values.naming import label_of
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.trades import AccountType, Order, OrderStatus, OrderType, Position
from tests.factories import LINK, LOT, STORE, T0_US, a_view

OTHERS = StoreId("th3m0")


def _label(store: StoreId) -> str:
    return label_of(store, LINK, SourceKey("p1"))


@pytest.fixture
def view() -> AccountView:
    """An account with a position and an order each of ours, of another store, and of nobody's."""
    labels = (_label(STORE), _label(OTHERS), "")
    positions = tuple(
        Position(
            position=PositionId(number),
            symbol=SymbolId(1),
            side=Side.BUY,
            volume=Volume(LOT),
            price=Price(1),
            label=label,
        )
        for number, label in enumerate(labels, 1)
    )
    orders = tuple(
        Order(
            order=OrderId(number),
            symbol=SymbolId(1),
            side=Side.BUY,
            type=OrderType.LIMIT,
            volume=Volume(LOT),
            status=OrderStatus.ACCEPTED,
            label=label,
        )
        for number, label in enumerate(labels, 11)
    )
    return evolve(a_view(), Reconciled(positions=positions, orders=orders), T0_US)


def test_what_carries_our_label_is_left_though_no_record_has_it(view: AccountView) -> None:
    """What is being taken back, or rests of a copy that is over, may fill or stand for ever."""
    found = left(view, STORE)
    assert [(one.position and one.position.position, one.order and one.order.order) for one in found] == [
        (1, None),
        (None, 11),
    ]
    assert left_by_link(view, STORE) == {LINK: 2}


def test_another_stores_is_ours_once_it_is_taken_over(view: AccountView) -> None:
    """And only where it was taken over for that link."""
    assert left_by_link(replace(view, adopted={LinkId("0ther1"): (OTHERS,)}), STORE) == {LINK: 2}
    assert left_by_link(replace(view, adopted={LINK: (OTHERS,)}), STORE) == {LINK: 4}


def test_a_whole_account_is_all_that_stands_there(view: AccountView) -> None:
    """Whoever opened it."""
    assert len(left(view, STORE, whole=True)) == 6


def test_a_label_on_a_net_says_nothing_of_whose_it_is(view: AccountView) -> None:
    """Nor does it where our shares are over and a person's part stands on."""
    assert view.trader is not None
    netted = replace(view, trader=replace(view.trader, account_type=AccountType.NETTED))
    assert left_by_link(netted, STORE) == {LINK: 1}
