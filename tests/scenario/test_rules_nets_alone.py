"""A net belongs to each of its shares for as long as one stands: its levels, and what becomes of it at the broker."""

from __future__ import annotations

from cmam.domain.events import CopyFinished
from cmam.domain.values.reasons import Reason
from cmam.store.past.replay import verify
from tests.rulebook import BUY, SELL, UNIT, Case, Rulebook

HALF = {"volume.basis": "units", "volume.amount": "0.5"}


def _book() -> Rulebook:
    book = Rulebook([Case("net", "Same", HALF, kind="netted")])
    book.begin()
    return book


def _end(book: Rulebook) -> None:
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_a_share_that_is_alone_again_has_its_own_levels_again() -> None:
    """The first is alone, then a second with a stop farther away joins it, then that is closed."""
    book = _book()
    book.person.buy(20_000 * UNIT, relativeStopLoss=500, relativeTakeProfit=900)
    book.go(3)
    own = book.levels("net")
    first = book.person.holds(book.leader)[0].position
    book.person.amend(first, stop=1.0801, target=1.0941)
    book.go(3)
    alone = book.levels("net")
    assert alone != own
    second = book.person.buy(20_000 * UNIT, relativeStopLoss=1_500)
    book.go(3)
    book.person.amend(second, stop=1.0691)
    book.go(3)
    assert [(round(stop, 4), target) for _, stop, target, _ in book.levels("net")] == [(1.0691, 0.0)]
    book.person.close(second, 20_000 * UNIT)
    book.go(3)
    assert [level[:3] for level in book.levels("net")] == [level[:3] for level in alone]
    _end(book)


def test_a_net_that_turns_has_no_target_while_both_sides_are_in_it() -> None:
    """Half of 20,000 against half of 40,000 leaves 10,000 sold, whose order carried a target to the broker."""
    book = _book()
    book.person.buy(20_000 * UNIT, relativeTakeProfit=2_000)
    book.go(3)
    book.person.buy(40_000 * UNIT, side=SELL, relativeTakeProfit=2_200)
    book.go(3)
    assert [level[:3] for level in book.levels("net")] == [(SELL, 0.0, 0.0)]
    _end(book)


def test_what_a_person_closes_of_a_turned_net_ends_its_shares() -> None:
    """A net that has turned is another position at the broker."""
    book = _book()
    book.person.buy(20_000 * UNIT)
    book.go(3)
    book.person.buy(60_000 * UNIT, side=SELL)
    book.go(3)
    _close_by_hand(book)
    _end(book)


def test_what_a_person_closes_of_a_net_whose_first_share_is_over_ends_the_others() -> None:
    """The share under whose name the net was booked first is closed by its leader."""
    book = _book()
    first = book.person.buy(20_000 * UNIT)
    book.go(3)
    book.person.buy(20_000 * UNIT, side=BUY)
    book.go(3)
    book.person.close(first, 20_000 * UNIT)
    book.go(3)
    _close_by_hand(book)
    _end(book)


def test_shares_too_small_to_be_closed_by_themselves_are_closed_together() -> None:
    """Odd closes no less than 2,100, in steps of 700: twice 4,900 become twice 1,400, and both are closed."""
    book = Rulebook([Case("net", "Odd", {"volume.basis": "units"}, kind="netted")])
    book.begin()
    first, second = (book.person.buy(5_000 * UNIT) for _ in range(2))
    book.go(3)
    book.person.close(first, 4_000 * UNIT)
    book.person.close(second, 4_000 * UNIT)
    book.go(3)
    assert book.volumes("net") == [2 * 1_400 * UNIT]
    book.person.close(first, 1_000 * UNIT)
    book.person.close(second, 1_000 * UNIT)
    book.go(70)
    assert book.volumes("net") == []
    _end(book)


def _live(book: Rulebook) -> set[str]:
    """The sources of what is copied onto the net now."""
    view = book.view(book.ids["net"])
    assert view is not None
    return {copy.source for copy in view.copies.values()}


def _close_by_hand(book: Rulebook) -> None:
    account = book.ids["net"]
    (held,) = book.held("net")
    before = len(book.events(account, CopyFinished))
    live = _live(book)
    book.person.close(held.position, held.volume, account=account)
    book.go(3)
    ended = book.events(account, CopyFinished)[before:]
    assert {event.source for event in ended} == live
    assert {event.reason for event in ended} <= {Reason.CLOSED_BY_HUMAN}
    assert not _live(book)
