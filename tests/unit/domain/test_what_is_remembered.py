"""What an account remembers of what is over has an end, the oldest first; an alert names no more than it can."""

from __future__ import annotations

from cmam.domain.belief import limits
from cmam.domain.belief.holdings import CLOSED_REMEMBERED, drop_position
from cmam.domain.belief.orders import ENDED_REMEMBERED, take_order
from cmam.domain.events.broker import SymbolSpecSeen
from cmam.domain.folds.account import evolve
from cmam.domain.folds.endings import FINISHED_REMEMBERED, forget
from cmam.domain.values.ids import OrderId, PositionId, SourceKey, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.replacing import replace
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus, OrderType
from tests.factories import LINK, LOT, T0_US, Pair, a_spec, a_view


def test_so_many_finished_copies_are_remembered_and_their_other_names_with_them() -> None:
    """The oldest goes whose leader has closed too, for nothing more can come of it; one whose leader has not stays."""
    pair = Pair()
    pair.opens()
    pair.answer()
    pair.closes()
    pair.answer()
    (known,) = pair.view.finished.values()
    assert known.source_closed
    keys = [(LINK, SourceKey(f"o{number}")) for number in range(FINISHED_REMEMBERED + 1)]
    finished = {key: replace(known, source=key[1], source_closed=key is not keys[0]) for key in keys}
    others = {(LINK, SourceKey("p1")): keys[0], (LINK, SourceKey("p2")): keys[1], (LINK, SourceKey("p3")): keys[2]}
    view = forget(replace(pair.view, finished=finished, chains=others))
    assert tuple(view.finished) == (keys[0], *keys[2:])
    assert tuple(view.chains.values()) == (keys[0], keys[2])
    assert forget(view) is view


def test_so_many_closed_positions_are_remembered() -> None:
    """Against late snapshots of them: the last ones are, the first is not."""
    view = a_view()
    for number in range(1, CLOSED_REMEMBERED + 2):
        view = drop_position(view, PositionId(number), number)
    assert tuple(view.closed) == tuple(range(2, CLOSED_REMEMBERED + 2))


def test_so_many_ended_orders_are_remembered() -> None:
    """Against late words of them, by their last moment."""
    view = a_view()
    for number in range(1, ENDED_REMEMBERED + 2):
        order = Order(order=OrderId(number), symbol=SymbolId(1), side=Side.BUY, type=OrderType.LIMIT,
                      volume=Volume(LOT), status=OrderStatus.CANCELLED, updated_ms=number)  # fmt: skip
        view = take_order(view, order, ExecutionKind.ORDER_CANCELLED)
    assert dict(view.ended) == {number: number for number in range(2, ENDED_REMEMBERED + 2)}


def test_of_many_symbols_that_have_changed_an_alert_names_some_and_how_many_more() -> None:
    """A broker that changes all at once: what stops, the first of them by name, and the command for one, of each."""
    specs = tuple(a_spec(f"{base}USD", number) for number, base in enumerate("ABCDEFG", 1))
    view = a_view(specs)
    for spec in specs:
        view = evolve(view, SymbolSpecSeen(spec=replace(spec, lot_size=spec.lot_size * 2)), T0_US)
    said = limits.symbols_in_words(view, follows=True, leads=False)
    assert said == (
        "The broker has changed lot size, digits or step of AUSD, BUSD, CUSD, DUSD, EUSD and 2 more: nothing opens in "
        f"what has changed until `cmam account confirm-symbol {view.account} AUSD` and so on for each of them."
    )
    assert limits.symbols_in_words(view, follows=False, leads=False) == ""
    assert limits.symbols_in_words(view, follows=False, leads=True).startswith("The broker has changed the lot size of")
