"""What a snapshot leaves out: what proves that it is gone, and what rests on it meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import Copy, CopyState
from cmam.domain.belief.restless import with_copy
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen, Goal, PositionResult, Reconciled, ResultsSeen
from cmam.domain.folds.account import evolve
from cmam.domain.market.conversion import Rates
from cmam.domain.market.equity import equity, free_margin, told_equity
from cmam.domain.turns.absences import closing_deals, doubted
from cmam.domain.values.ids import AccountId, DealId, LinkId, OrderId, PositionId, ProfileId, SourceKey, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.trades import AccountType, Deal, ExecutionKind, Position
from tests.factories import T0_US, a_quote, a_view

LOT = Volume(10_000_000)
SETTLE_US = 10_000_000
SEEN_US = T0_US + 1_000_000


def _held(number: int, volume: int = LOT) -> Position:
    return Position(
        position=PositionId(number),
        symbol=SymbolId(1),
        side=Side.BUY,
        volume=Volume(volume),
        price=a_quote("1.08500", "1.08502").ask,
        opened_ms=T0_US // 1_000,
        updated_ms=T0_US // 1_000,
    )


def _deal(number: int, volume: int, side: Side, position: int = 1) -> Deal:
    return Deal(
        deal=DealId(number),
        order=OrderId(number),
        position=PositionId(position),
        symbol=SymbolId(1),
        side=side,
        volume=Volume(volume),
        filled_volume=Volume(volume),
        executed_ms=T0_US // 1_000 + number,
    )


@pytest.fixture
def view() -> AccountView:
    """An account that held two positions when it was last looked at."""
    both = Reconciled(positions=(_held(1), _held(2)), orders=())
    return evolve(a_view(), both, T0_US)


def _doubted(view: AccountView, *shown: Position, now_us: int = SEEN_US, **told: tuple[Deal, ...]) -> tuple[int, ...]:
    lives = {PositionId(1): told["life"]} if "life" in told else {}
    return doubted(view, shown, told.get("deals", ()), lives, now_us, SETTLE_US)


def test_an_absence_alone_is_doubted_until_it_has_lasted_the_settling_time(view: AccountView) -> None:
    """Nothing but a snapshot says so: it counts as open, and as gone once two looks so far apart agree."""
    assert _doubted(view, _held(2)) == (1,)
    seen = evolve(view, Reconciled(positions=(_held(2),), orders=(), doubted=(PositionId(1),)), SEEN_US)
    assert seen.positions.keys() == {1, 2}
    assert seen.doubted == {1: SEEN_US}
    again = evolve(seen, Reconciled(positions=(_held(2),), orders=(), doubted=(PositionId(1),)), SEEN_US + 5_000_000)
    assert again.doubted == {1: SEEN_US}
    assert _doubted(again, _held(2), now_us=SEEN_US + SETTLE_US - 1) == (1,)
    assert _doubted(again, _held(2), now_us=SEEN_US + SETTLE_US) == ()
    gone = evolve(again, Reconciled(positions=(_held(2),), orders=()), SEEN_US + SETTLE_US)
    assert (gone.positions.keys(), gone.doubted) == ({2}, {})


@pytest.mark.parametrize(
    ("told", "is_doubted"),
    [
        ({"deals": (_deal(9, LOT, Side.SELL),)}, False),
        ({"deals": (_deal(9, LOT // 2, Side.SELL),)}, True),
        ({"deals": (_deal(9, LOT, Side.SELL, position=2),)}, True),
        ({"life": (_deal(1, LOT, Side.BUY), _deal(9, LOT, Side.SELL))}, False),
        ({"life": (_deal(1, 2 * LOT, Side.BUY), _deal(8, LOT, Side.SELL))}, True),
        ({"life": ()}, True),
    ],
)
def test_deals_that_closed_all_of_it_are_proof(
    view: AccountView, told: dict[str, tuple[Deal, ...]], is_doubted: bool
) -> None:
    """Those of the gap against what was known of it, those of its whole life against nothing."""
    assert _doubted(view, _held(2), **told) == ((1,) if is_doubted else ())


def test_a_net_that_stands_under_another_number_is_no_longer_where_it_was(view: AccountView) -> None:
    """A symbol has one net: seeing the other is seeing that this one is gone."""
    assert view.trader is not None
    netted = replace(view, trader=replace(view.trader, account_type=AccountType.NETTED))
    assert _doubted(netted, _held(3)) == ()
    assert _doubted(netted) == (1, 2)


def test_what_an_execution_names_is_no_longer_in_doubt(view: AccountView) -> None:
    """It is there, or it is closed."""
    seen = evolve(view, Reconciled(positions=(_held(2),), orders=(), doubted=(PositionId(1),)), SEEN_US)
    shown = evolve(seen, ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, position=_held(1)), SEEN_US + 1)
    assert (shown.positions.keys(), shown.doubted) == ({1, 2}, {})
    closed = ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, position=_held(1, 0), deal=_deal(9, LOT, Side.SELL))
    assert evolve(seen, closed, SEEN_US + 1).doubted == {}


def test_what_an_account_is_worth_is_unknown_meanwhile(view: AccountView) -> None:
    """The loss of what is gone may be in the balance already: counted twice it would trip a guard."""
    quotes = {"EURUSD": a_quote("1.08400", "1.08402")}
    assert equity(Rates(view, quotes, T0_US, 10_000)) is not None
    seen = evolve(view, Reconciled(positions=(_held(2),), orders=(), doubted=(PositionId(1),)), SEEN_US)
    assert equity(Rates(seen, quotes, T0_US, 10_000)) is None
    assert free_margin(Rates(seen, quotes, T0_US, 10_000)) is None


def test_nor_does_the_brokers_own_reckoning_of_before_tell_it_meanwhile(view: AccountView) -> None:
    """It has the loss of what is gone, and so may the balance."""
    results = tuple(PositionResult(position=PositionId(number), net=-100_000) for number in (1, 2))
    view = evolve(view, ResultsSeen(results=results), T0_US)
    assert told_equity(view, T0_US, 10_000) is not None
    seen = evolve(view, Reconciled(positions=(_held(2),), orders=(), doubted=(PositionId(1),)), SEEN_US)
    assert told_equity(seen, SEEN_US, 10_000) is None
    gone = evolve(seen, Reconciled(positions=(_held(2),), orders=()), SEEN_US + 1)
    assert told_equity(gone, SEEN_US, 10_000) is not None


def test_what_was_dealt_in_a_gap_outdates_the_brokers_reckoning_of_before(view: AccountView) -> None:
    """Half of a position is closed out of sight: its loss is in the balance, and would be in the results again."""
    results = tuple(PositionResult(position=PositionId(number), net=-100_000) for number in (1, 2))
    view = evolve(view, ResultsSeen(results=results), T0_US)
    quiet = evolve(view, Reconciled(positions=(_held(1), _held(2)), orders=()), SEEN_US)
    assert told_equity(quiet, SEEN_US, 10_000) is not None
    deals = (_deal(9, LOT // 2, Side.SELL),)
    seen = evolve(view, Reconciled(positions=(_held(1, LOT // 2), _held(2)), orders=(), deals=deals), SEEN_US)
    assert told_equity(seen, SEEN_US, 10_000) is None


@pytest.mark.parametrize(
    ("trouble", "is_gone"),
    [
        ("close: POSITION_NOT_FOUND", True),
        ("amend_protection: POSITION_NOT_OPEN", True),
        ("cancel: ORDER_NOT_FOUND", False),
    ],
)
def test_only_what_was_refused_of_the_position_itself_says_that_it_is_gone(
    view: AccountView, trouble: str, *, is_gone: bool
) -> None:
    """The rest of an order may have filled to its end as it was cancelled."""
    copy = Copy(
        link=LinkId("l1nk"),
        profile=ProfileId("p1"),
        source=SourceKey("p1"),
        state=CopyState.OPEN,
        leader=AccountId(1),
        leader_position=PositionId(7),
        leader_order=None,
        leader_symbol="EURUSD",
        leader_digits=5,
        symbol=SymbolId(1),
        side=Side.BUY,
        goal=Goal(target_numerator=LOT, leader_volume=LOT),
        decided_us=T0_US,
        position=PositionId(1),
        trouble=trouble,
    )
    view = replace(view, copies=with_copy(view.copies, copy))
    assert _doubted(view, _held(2)) == (() if is_gone else (1,))


def test_only_the_deals_that_closed_what_was_known_are_told(view: AccountView) -> None:
    """An older part of its life was told when it came."""
    life = (_deal(1, 3 * LOT, Side.BUY), _deal(5, 2 * LOT, Side.SELL), _deal(9, LOT, Side.SELL))
    assert [deal.deal for deal in closing_deals(view, {PositionId(1): life})] == [9]
    assert closing_deals(view, {PositionId(1): life[:2]}) == ()
