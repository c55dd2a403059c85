"""Brokers with thousands of symbols: what is traded has quotes, wherever it stands in the list."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from cmam.actors.asking.listing import QUOTED_MAX
from cmam.domain.events import ChangeDecided, Wait
from cmam.sandbox.switches import Switches
from cmam.store.past.replay import verify
from tests.person import EURUSD
from tests.whole import ALPHA_TOO, SAME_BROKER, Whole
from tests.worlds import FIRST, long_list

LOT = 10_000


def _late(
    place: int = QUOTED_MAX + 40,
    settings: Mapping[str, str] | None = None,
    fill_delay_ms: int = 130,
    followers: tuple[int, ...] = (SAME_BROKER,),
) -> tuple[Whole, int]:
    """A run on a list that is too long to subscribe whole, and a symbol of it by its place."""
    switches = Switches(history_days=0, fill_delay_ms=fill_delay_ms)
    world = long_list(QUOTED_MAX + 50)
    return Whole(seed=1, followers=followers, world=world, settings=settings, switches=switches), FIRST + place


@pytest.mark.parametrize("place", [3, QUOTED_MAX + 40])
def test_a_symbol_is_copied_wherever_it_stands_in_the_list(place: int) -> None:
    """Of a long list, what is traded is subscribed as it is needed, and copied as soon as its quotes are there."""
    whole, symbol = _late(place)
    whole.start_ready()
    whole.run(4)
    whole.person.buy(LOT, symbol=symbol)
    whole.run(1)
    assert [held.symbol for held in whole.person.holds(SAME_BROKER)] == [symbol]
    assert verify(whole.log.read_all()).is_identical


def test_an_open_that_is_told_with_its_fill_waits_for_its_quotes() -> None:
    """Where no acceptance comes before the fill, nothing could be asked for earlier: all copies wait for the quotes."""
    followers = (SAME_BROKER, ALPHA_TOO)
    whole, symbol = _late(fill_delay_ms=0, followers=followers)
    whole.start_ready()
    whole.run(4)
    whole.person.buy(LOT, symbol=symbol)
    whole.run(0.5)
    for follower in followers:
        assert [held.symbol for held in whole.person.holds(follower)] == [symbol]
        assert [e.wait for e in whole.events(follower, ChangeDecided)] == [Wait.QUOTES]
    assert verify(whole.log.read_all()).is_identical


def test_what_was_needed_once_is_subscribed_again_on_a_new_line() -> None:
    """After a cut line the next open in a late symbol is decided at once."""
    whole, symbol = _late()
    whole.start_ready()
    whole.person.buy(LOT, symbol=symbol)
    whole.run(1)
    whole.stepper.network.cut_all()
    whole.run(20)
    whole.person.buy(LOT, symbol=symbol)
    whole.run(1)
    assert len(whole.person.holds(SAME_BROKER)) == 2
    assert [e.wait for e in whole.events(SAME_BROKER, ChangeDecided)] == [None, None]


def test_what_the_leader_holds_as_a_link_begins_has_quotes() -> None:
    """`sync_open` copies a position in a late symbol."""
    whole, symbol = _late(settings={"sync_open": "on"})
    whole.person.buy(LOT, symbol=symbol)
    whole.start_ready()
    whole.run(4)
    assert [held.symbol for held in whole.person.holds(SAME_BROKER)] == [symbol]


def test_equity_is_known_beside_a_position_in_a_late_symbol() -> None:
    """A guard that rests on equity does not stop opens for want of a quote that nobody asked for."""
    whole, symbol = _late(settings={"min_equity": "1000"})
    whole.person.buy(LOT, account=SAME_BROKER, symbol=symbol)
    whole.start_ready()
    whole.run(4)
    whole.person.buy(10_000_000)
    whole.run(1)
    assert EURUSD in [held.symbol for held in whole.person.holds(SAME_BROKER)]


def test_what_a_conversion_needs_is_asked_for_too() -> None:
    """The way from the zloty to the account's euro stands far down the list: the first open waits for it, no other."""
    whole, wig20 = _late(QUOTED_MAX + 51)
    whole.start_ready()
    whole.run(4)
    for _ in range(2):
        whole.person.buy(LOT, symbol=wig20)
        whole.run(0.5)
    assert [held.symbol for held in whole.person.holds(SAME_BROKER)] == [wig20, wig20]
    assert [e.wait for e in whole.events(SAME_BROKER, ChangeDecided)] == [Wait.QUOTES, None]
