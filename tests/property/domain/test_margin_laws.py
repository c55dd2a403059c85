"""What a volume binds: ways of saying the same that must come to the same."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExpectedMargin, LeverageSeen, LeverageTier
from cmam.domain.folds.account import evolve
from cmam.domain.market.conversion import Rates
from cmam.domain.market.margins import expected_margin
from cmam.domain.values.ids import PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.replacing import replace
from cmam.domain.values.trades import Position
from tests.factories import T0_US, a_quote, a_spec, a_view

TIERED = 9
TIERS = st.lists(st.tuples(st.integers(1, 60_000_000), st.sampled_from([1, 33, 100, 500])), min_size=1, max_size=4)
VOLUMES = st.sampled_from([1_000, 100_000, 150_000, 5_000_000, 10_000_000, 30_000_000])
TOLD = st.lists(
    st.builds(
        ExpectedMargin,
        volume=VOLUMES.map(Volume),
        buy=st.integers(0, 2_000_000),
        sell=st.integers(0, 2_000_000),
    ),
    max_size=3,
    unique_by=lambda told: told.volume,
).map(lambda told: tuple(sorted(told, key=lambda one: one.volume)))


@given(
    volume=VOLUMES | st.integers(-200_000, 40_000_000),
    told=TOLD,
    leverage_cents=st.sampled_from([100, 3_000, 50_000]),
    ask=st.sampled_from(["1.10001", "0.73", "7"]),
)
def test_a_leverage_that_is_no_less_than_the_accounts_own_at_any_size_is_none(
    volume: int, told: tuple[ExpectedMargin, ...], leverage_cents: int, ask: str
) -> None:
    """One tier without an end, at 1:1,000,000, binds what no tier at all does, whatever the broker told of volumes:
    the way by tiers, as many times ours as the broker's is, and the shorter one without them agree to the last digit.
    """
    tier = LeverageTier(limit_cents=1, leverage=1_000_000)

    def found(spec_leverage: int) -> Fraction | None:
        spec = a_spec(leverage_id=spec_leverage)
        view: AccountView = a_view((spec,), leverage_cents=leverage_cents)
        view = evolve(view, LeverageSeen(leverage=TIERED, tiers=(tier,)), T0_US)
        view = replace(view, margins={SymbolId(1): told})
        return expected_margin(Rates(view, {"EURUSD": a_quote("0.5", ask)}, T0_US, 10_000), spec, volume)

    assert found(0) == found(TIERED)


@given(held=st.just(0) | VOLUMES, volume=VOLUMES, tiers=TIERS, leverage_cents=st.sampled_from([3_000, 50_000]))
def test_a_volume_binds_in_each_tier_what_of_its_worth_lies_there(
    held: int, volume: int, tiers: list[tuple[int, int]], leverage_cents: int
) -> None:
    """At 1.1 USD, on top of what is held: each tier from the end of the one before to its own, the last without end."""
    tiers = sorted(tiers)
    spec, bound, begin = a_spec(leverage_id=TIERED), Fraction(0), Fraction(0)
    low, high = (Fraction(11 * volume, 10) for volume in (held, held + volume))
    for limit, leverage in tiers:
        end = high if (limit, leverage) == tiers[-1] else Fraction(limit)
        within = max(min(end, high) - max(begin, low), Fraction(0))
        bound += within / min(leverage, Fraction(leverage_cents, 100)) / 100
        begin = end
    view: AccountView = a_view((spec,), leverage_cents=leverage_cents)
    seen = tuple(LeverageTier(limit_cents=limit, leverage=leverage) for limit, leverage in tiers)
    view = evolve(view, LeverageSeen(leverage=TIERED, tiers=seen), T0_US)
    if held:
        number = PositionId(1)
        position = Position(position=number, symbol=SymbolId(1), side=Side.BUY, volume=Volume(held))
        view = replace(view, positions={number: position})
    assert expected_margin(Rates(view, {"EURUSD": a_quote("1.1", "1.1")}, T0_US, 10_000), spec, volume) == bound
