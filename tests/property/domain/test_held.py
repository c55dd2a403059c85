"""What is kept of all positions is what looking at each of them would tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cmam.domain.belief.held import (
    FEW,
    LATER_MAX,
    Positions,
    foreign_labels,
    with_position,
    without_position,
)
from cmam.domain.belief.view import AccountView
from cmam.domain.market.conversion import Rates
from cmam.domain.market.equity import equity, exposure, free_margin, used_margin
from cmam.domain.market.margins import expected_margin
from cmam.domain.values.ids import PositionId, SymbolId
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.replacing import replace
from cmam.domain.values.trades import MarginType, Position
from tests.factories import T0_US, a_quote, a_view, price

NUMBERS = [PositionId(number) for number in range(1, 3 * FEW)]
MARKS = ["", "by hand", "cm1.store.000001.p7", "cm1.other.000001.p7", "cm1.other.000001.o8", "cm1.third.000001.p7"]
EURUSD, USDJPY = SymbolId(1), SymbolId(3)
QUOTES = {"EURUSD": a_quote("1.10", "1.11"), "USDJPY": a_quote("150.0", "150.2")}


@st.composite
def positions(draw: st.DrawFn) -> Position:
    """A position of few numbers, symbols and prices, some of them at the quotes' own, so that they meet."""
    name, symbol, least, most = draw(
        st.sampled_from([("EURUSD", EURUSD, "1.08", "1.13"), ("USDJPY", USDJPY, "149.0", "151.0")])
    )
    near = [QUOTES[name].bid, QUOTES[name].ask]
    return Position(
        position=draw(st.sampled_from(NUMBERS)),
        symbol=symbol,
        side=draw(st.sampled_from(Side)),
        volume=Volume(draw(st.sampled_from([100_000, 250_000, 10_000_000]))),
        price=Price(draw(st.integers(price(least), price(most)) | st.sampled_from(near))),
        swap=draw(st.integers(-50, 50)),
        commission=draw(st.integers(-50, 0)),
        used_margin=draw(st.integers(0, 5_000)),
        label=draw(st.sampled_from(MARKS)),
    )


def told(view: AccountView) -> dict[str, Any]:
    """All that is asked of all positions at once."""
    rates = Rates(view, QUOTES, T0_US, 10_000)
    netting = view.trader and replace(view, trader=replace(view.trader, margin_type=MarginType.MAX))
    assert netting
    return {
        "equity": equity(rates),
        "free": free_margin(rates),
        "exposure": exposure(rates),
        "used": used_margin(view),
        "used by the larger side": used_margin(netting),
        "margin": [expected_margin(rates, view.specs[symbol], 100_000) for symbol in (EURUSD, USDJPY)],
        "foreign": list(foreign_labels(view.positions, {"store"})),
        "foreign of two": list(foreign_labels(view.positions, {"store", "third"})),
    }


@given(
    begin=st.lists(positions(), min_size=FEW, max_size=3 * FEW, unique_by=lambda held: held.position),
    steps=st.lists(positions() | st.sampled_from(NUMBERS), max_size=40),
    asks_at=st.sets(st.integers(0, 39)),
    odd=st.booleans(),
)
def test_what_is_kept_is_what_all_would_tell(
    begin: list[Position], steps: list[Position | PositionId], asks_at: set[int], odd: bool
) -> None:
    """Opened, grown, closed and labelled anew in any order, asked after each or after many, a price not known or not:
    each answer is the one that a plain mapping gives, and who has the positions of before has them still."""
    view, kept, plain = a_view(), Positions(), dict[PositionId, Position]()
    first: list[Position | PositionId] = [*begin]
    if odd:
        first.append(replace(begin[0], price=None))
    for number, step in enumerate([*first, *steps], start=-len(first)):
        before, was = kept, dict(kept)
        kept, plain = changed(kept, plain, step)
        assert before == was
        assert list(kept.items()) == list(plain.items())
        assert kept.known is None or kept.known[2] <= LATER_MAX
        if number in asks_at or number + 1 in (0, len(steps)):
            assert told(replace(view, positions=kept)) == told(replace(view, positions=plain))
            assert told(replace(view, positions=before)) == told(replace(view, positions=was))


def changed(
    kept: Positions, plain: Mapping[PositionId, Position], step: Position | PositionId
) -> tuple[Positions, dict[PositionId, Position]]:
    """Both after a step: a position that comes or is another, or the number of one that goes."""
    if isinstance(step, Position):
        return with_position(kept, step), {**plain, step.position: step}
    fresh = without_position(kept, step)
    assert isinstance(fresh, Positions)
    return fresh, {number: held for number, held in plain.items() if number != step}


def test_what_nobody_asks_for_long_leaves_a_short_list_of_changes() -> None:
    """Hundreds of positions that move, asked about once, are taken together before the list of changes grows long."""
    kept = Positions()
    for number in NUMBERS:
        kept = with_position(kept, Position(position=number, symbol=SymbolId(1), side=Side.BUY, volume=Volume(100)))
    assert kept.index().piles[SymbolId(1), Side.BUY].volume == 100 * len(NUMBERS)
    for more in range(5 * LATER_MAX):
        moved = replace(kept[NUMBERS[more % len(NUMBERS)]], volume=Volume(200))
        kept = with_position(kept, moved)
        assert kept.known is not None
        assert kept.known[2] <= LATER_MAX
    assert kept.index().piles[SymbolId(1), Side.BUY].volume == 200 * len(NUMBERS)
