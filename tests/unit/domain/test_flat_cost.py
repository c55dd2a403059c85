"""What a turn costs does not grow with what the account holds: counted in calls, which no busy machine changes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest

from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.attempts import next_wake
from cmam.domain.deciding.inputs import gather
from cmam.domain.turns.timing import due, next_due
from cmam.domain.turns.turn import decide_change, withdrawn
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import PositionId, SourceKey
from cmam.domain.values.quantities import Volume
from cmam.domain.values.trades import AccountType
from cmam.domain.wanted.unasked import unasked
from tests.factories import LOT, Pair, a_leader_symbol, a_spec, a_view, lookup_due, price

FEW, MANY = 3, 300


def holding(count: int, **more: object) -> Pair:
    """A follower with so many open copies at rest."""
    pair = Pair({"margin_reserve": "off", "volume.basis": "units"})
    for number in range(count):
        source, position = SourceKey(f"p{number}"), PositionId(10_000 + number)
        pair.opens(LOT, source=source, position=position, **more)
        pair.answer()
    assert len(pair.view.copies) == count
    return pair


def calls(what: Callable[[], Any]) -> int:
    """How many Python functions are called on the way; none of them by what other tests have left to be collected."""
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event == "call"

    former = sys.getprofile()
    gc.disable()
    sys.setprofile(note)
    try:
        what()
    finally:
        sys.setprofile(former)
        gc.enable()
    return count


@pytest.fixture(scope="module")
def few() -> Pair:
    """A handful."""
    return holding(FEW)


@pytest.fixture(scope="module")
def many() -> Pair:
    """A hundred times as many."""
    return holding(MANY)


def times(view: AccountView, now_us: int) -> None:
    """All that is asked about time after each message."""
    due(view, now_us)
    next_due(view)
    next_wake(view, now_us, lambda _: False)
    lookup_due(view)


def test_asking_about_time_costs_the_same_with_a_hundred_times_the_copies(few: Pair, many: Pair) -> None:
    """Copies at rest are not looked at, however many there are."""
    assert calls(lambda: times(few.view, few.now_us)) == calls(lambda: times(many.view, many.now_us))


def test_a_close_costs_the_same_with_a_hundred_times_the_copies(few: Pair, many: Pair) -> None:
    """Deciding that a copy closes, and asking for it, looks at that copy alone."""

    def close(pair: Pair) -> Callable[[], Any]:
        source, position = SourceKey("p1"), PositionId(10_001)
        what = {"source": source, "position": position, "before": Volume(LOT), "after": Volume(0)}
        return lambda: pair.tell(pair.change(ChangeKind.CLOSED, volume=Volume(LOT), **what))

    assert calls(close(few)) == calls(close(many))


def waiting(count: int) -> Pair:
    """A follower whose store takes nothing: three copies that it holds, and so many opens that wait to be recorded."""
    off = {"margin_reserve": "off", "sanity.max_leverage": "off"}
    pair = Pair({"volume.mode": "equity_ratio", "volume.basis": "units", **off})
    for number in range(3 + count):
        pair.opens(LOT, source=SourceKey(f"p{number}"), position=PositionId(10_000 + number), stop=price("1.08"))
        if number < 3:
            pair.answer()
    assert len(pair.view.intents) == count
    return pair


def test_a_turn_costs_the_same_with_ten_times_the_opens_that_wait_for_a_dead_store() -> None:
    """Neither an open, nor a close, nor what is asked about time looks at each request that waits for its record."""

    def turn(count: int, kind: ChangeKind, source: str) -> int:
        pair = waiting(count)
        volumes = {"volume": Volume(LOT), "before": Volume(LOT), "after": Volume(0)}
        what = {} if kind is ChangeKind.OPENED else volumes
        change = pair.change(kind, source=SourceKey(source), position=PositionId(10_001), **what)

        def decided() -> None:
            known = gather(pair.view, change, pair.link, pair.quote, leader=pair.view)
            turn = decide_change(pair.view, pair.link, change, (10**6, 0), known, pair.now_us)
            assert turn.derived
            times(turn.view, pair.now_us)
            withdrawn(turn.view)

        decided()
        return calls(decided)

    for kind, source in ((ChangeKind.OPENED, "p9999"), (ChangeKind.CLOSED, "p1"), (ChangeKind.CLOSED, "p4")):
        assert turn(10 * FEW, kind, source) == turn(MANY, kind, source)


OPENS = {"volume.mode": "equity_ratio", "volume.basis": "units", "sanity.max_leverage": "100000"}
"""What lets an open through beside hundreds, and looks at all that is held to do so."""


def opens(held: Pair, **settings: str) -> Callable[[], Any]:
    """One more open beside what is held, decided once before."""
    pair = Pair(OPENS | settings)
    pair.view, pair.now_us = held.view, held.now_us
    first = pair.change(source=SourceKey("p9998"), position=PositionId(99_998))
    change = pair.change(source=SourceKey("p9999"), position=PositionId(99_999))

    def decided(change: Any = change) -> None:
        known = gather(pair.view, change, pair.link, pair.quote, leader=pair.view)
        assert decide_change(pair.view, pair.link, change, (10**6, 0), known, pair.now_us).intents

    decided(first)
    return decided


def test_an_open_costs_the_same_with_five_times_the_positions() -> None:
    """Equity, margin, exposure, caps and other copiers' labels rest on all positions, and look at none of them again:
    neither where positions are in the account's own currency, nor where their results are converted."""
    yen = {"symbol": a_leader_symbol(a_spec("USDJPY", 3, digits=3, pip_position=2)), "price": price("150")}
    caps = {"max_lots_open": "10000", "max_positions": "10000"}
    for more in ({}, yen):
        few, most = (opens(holding(count * FEW, **more), **caps) for count in (10, 50))
        assert calls(few) == calls(most)


def sharing(count: int) -> Pair:
    """A netted follower with so many open shares of one net, each with its stop."""
    settings = {"margin_reserve": "off", "volume.basis": "units"}
    pair = Pair(settings, view=a_view(kind=AccountType.NETTED))
    for number in range(count):
        pair.opens(LOT, source=SourceKey(f"p{number}"), position=PositionId(10_000 + number), stop=price("1.08"))
        pair.answer()
    assert len(pair.view.copies) == count
    assert len(pair.held) == 1
    return pair


def test_an_open_costs_the_same_with_five_times_the_shares_of_its_net() -> None:
    """Whose a symbol of a netted account is, is asked of all copies at once."""
    assert calls(opens(sharing(10 * FEW))) == calls(opens(sharing(50 * FEW)))


def test_what_moves_one_share_of_a_net_costs_each_other_share_as_much_however_many_there_are() -> None:
    """What concerns the whole net is worked out once a turn: not once for each share that is looked at."""

    def ends(pair: Pair, number: int) -> None:
        source, position = SourceKey(f"p{number}"), PositionId(10_000 + number)
        what = {"source": source, "position": position, "before": Volume(LOT), "after": Volume(0)}
        pair.tell(pair.change(ChangeKind.CLOSED, volume=Volume(LOT), **what))

    def turns(count: int) -> dict[str, int]:
        pair = sharing(count)
        more = {"source": SourceKey("p9999"), "position": PositionId(99_999), "stop": price("1.07")}
        found = {"open": calls(lambda: pair.opens(LOT, **more)), "fill": calls(pair.answer)}
        found["first close"] = calls(lambda: ends(pair, 0))
        for number in range(1, count - 1):
            ends(pair, number)
        found["last close"] = calls(lambda: ends(pair, count - 1))
        found["filled close"] = calls(lambda: pair.answer(most=1))
        found["look"] = calls(lambda: unasked(pair.view, pair.now_us))
        return found

    few, more, most = turns(10), turns(20), turns(40)
    for kind, count in most.items():
        assert count - more[kind] <= 2.2 * (more[kind] - few[kind]), kind  # what grows with the square gives 4
