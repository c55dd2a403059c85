"""What is asked of one position when its server refuses some of the questions."""

from __future__ import annotations

from cmam.actors.asking.life import BY_NUMBER_MAX, Life
from cmam.domain.values.ids import DealId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.trades import Deal, Order, OrderType

POSITION = PositionId(9)


def _order(number: int) -> Order:
    return Order(
        order=OrderId(number),
        symbol=SymbolId(1),
        side=Side.SELL,
        type=OrderType.MARKET,
        volume=Volume(100),
        executed_volume=Volume(100),
        position=POSITION,
        updated_ms=number,
    )


def _deal(number: int) -> Deal:
    return Deal(
        deal=DealId(number),
        order=OrderId(number),
        position=POSITION,
        symbol=SymbolId(1),
        side=Side.SELL,
        volume=Volume(100),
        filled_volume=Volume(100),
        executed_ms=number,
    )


def test_orders_whose_list_is_refused_are_asked_for_by_the_numbers_of_the_deals() -> None:
    """The newest first, each once; one that is refused twice is left out."""
    life = Life.of(POSITION)
    life.refuse()
    assert life.order_pages.has_more
    life.refuse()
    assert not life.order_pages.has_more
    life.take((_deal(2), _deal(1)), has_more=False)
    assert life.by_number == 2
    life.take((_order(2), (_deal(2),)), has_more=False)
    assert (life.by_number, life.deals) == (1, (_deal(2), _deal(1)))
    life.refuse()
    life.refuse()
    assert life.is_read
    assert life.orders == (_order(2),)


def test_deals_whose_list_is_refused_are_told_by_their_orders() -> None:
    """Each order that has executed something is asked for."""
    life = Life.of(POSITION)
    life.take((_order(2), _order(1)), has_more=False)
    for _ in range(2):
        life.refuse()
    for number in (2, 1):
        assert life.by_number == number
        life.take((_order(number), (_deal(number),)), has_more=False)
    assert life.is_read
    assert life.deals == (_deal(2), _deal(1))


def test_where_both_lists_are_refused_nothing_is_told() -> None:
    """Then it is asked anew."""
    life = Life.of(POSITION)
    for _ in range(4):
        assert not life.is_in_vain
        life.refuse()
    assert life.is_in_vain


def test_what_was_told_whole_is_asked_for_by_no_number_and_of_many_the_newest_alone() -> None:
    """An order of which its deals were asked for and not told has none; of a long life twenty orders are asked for."""
    life = Life.of(POSITION)
    life.take((_order(2), _order(1)), has_more=False)
    life.take((_deal(2),), has_more=False)
    assert life.is_read
    life = Life.of(POSITION)
    life.refuse()
    life.refuse()
    life.take(tuple(_deal(number) for number in range(40, 0, -1)), has_more=False)
    while (number := life.by_number) is not None:
        life.take((_order(number), ()), has_more=False)
    assert len(life.orders) == BY_NUMBER_MAX
    assert min(order.order for order in life.orders) == 21
