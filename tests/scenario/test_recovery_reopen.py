"""`reopen`: what a person or a level closed is opened once more at once, through all gates, and never again."""

from __future__ import annotations

from cmam.domain.events import ChangeDecided
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.rulebook import UNIT, Case, Rulebook
from tests.whole import NETTED, SAME_BROKER, Whole

LOT = 10_000_000
UNITS = {"volume.basis": "units"}


def _volumes(whole: Whole) -> list[int]:
    return [held.volume for held in whole.person.holds(SAME_BROKER)]


def _close_by_hand(whole: Whole) -> None:
    (held,) = whole.person.holds(SAME_BROKER)
    whole.person.close(held.position, held.volume, account=SAME_BROKER)
    whole.run(3)


def test_once_after_a_person_closed_it_and_not_a_second_time() -> None:
    """However old the leader's position is: the age that counts is that of the close. The new copy is followed."""
    whole = Whole(seed=1, settings={"reopen": "on", "max_age": "5"})
    whole.start_ready()
    source = whole.person.buy(2 * LOT, relativeStopLoss=40_000)
    whole.run(60)
    _close_by_hand(whole)
    assert _volumes(whole) == [2 * LOT]
    whole.person.close(source, LOT)
    whole.run(3)
    assert _volumes(whole) == [LOT]
    _close_by_hand(whole)
    assert _volumes(whole) == []
    reopened = [e for e in whole.events(SAME_BROKER, ChangeDecided) if e.change.reopens]
    assert [e.verdict.value for e in reopened] == ["copy"]
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_the_fill_of_a_copied_order_is_opened_again_and_followed_under_its_own_source() -> None:
    """Its order's copy is over for good; the new one closes with the leader's position."""
    whole = Whole(seed=2, settings={"reopen": "on"})
    whole.start_ready()
    bid = whole.broker.floor.market.streams["EURUSD"].bid / 1e8
    whole.person.place(model.LIMIT, LOT, price=round(bid - 0.01, 4))
    whole.run(3)
    whole.broker.set_fault("price", {"symbol": "EURUSD", "bid": f"{bid - 0.011:.5f}"})
    whole.stepper.network.collect()
    whole.run(5)
    (theirs,) = whole.person.holds(whole.leader)
    assert _volumes(whole) == [LOT]
    _close_by_hand(whole)
    assert _volumes(whole) == [LOT]
    whole.person.close(theirs.position, LOT)
    whole.run(3)
    assert _volumes(whole) == []
    assert verify(whole.log.read_all()).is_identical


def test_a_latch_a_pause_and_a_leader_who_has_closed_keep_it_closed() -> None:
    """A gate that says no uses the one time up, with its reason; without a source there is nothing to open."""
    whole = Whole(seed=3, settings={"reopen": "on"})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(3)
    whole.command({"command": "pause", "profile": "whole"})
    _close_by_hand(whole)
    assert _volumes(whole) == []
    whole.command({"command": "resume", "profile": "whole"})
    whole.run(60)
    assert _volumes(whole) == []
    (decided,) = [e for e in whole.events(SAME_BROKER, ChangeDecided) if e.change.reopens]
    assert decided.reason is not None
    assert decided.reason.value == "paused"
    source = whole.person.buy(2 * LOT)
    whole.run(3)
    whole.person.close(source, 2 * LOT)
    whole.run(3)
    assert _volumes(whole) == []
    assert len([e for e in whole.events(SAME_BROKER, ChangeDecided) if e.change.reopens]) == 1
    assert verify(whole.log.read_all()).is_identical


def test_off_nothing_is_opened_again() -> None:
    """By default a close by hand is the end of it."""
    whole = Whole(seed=4, leader=NETTED, followers=(SAME_BROKER,))
    whole.start_ready()
    whole.person.buy(LOT, account=NETTED, symbol=7001)
    whole.run(3)
    _close_by_hand(whole)
    assert _volumes(whole) == []


def test_what_opens_again_or_late_is_judged_by_the_order_that_opened_the_leaders() -> None:
    """His limit fills, as do a copy of it; a person closes that. Of a link for limits it is opened again, and of a link
    that begins later; of a link for the market neither, as his fill was not."""
    limits, market = {**UNITS, "order_types": "limit"}, {**UNITS, "order_types": "market"}
    cases = [
        Case("again", settings={**limits, "reopen": "on"}),
        Case("late", settings={**limits, "sync_open": "on"}),
        Case("late market", settings={**market, "sync_open": "on"}),
        Case("late on fill", settings={**market, "sync_open": "on", "copy_on_fill": "on"}),
    ]
    book = Rulebook(cases)
    book.begin()
    for case in cases[1:]:
        book.command({"command": "profile.disable", "profile": case.name, "copies": "leave"})
    book.person.place(model.LIMIT, 40_000 * UNIT, price=1.0845)
    book.go(2)
    book.price("EURUSD", "1.08430")
    book.go(4)
    (held,) = book.held("again")
    book.person.close(held.position, held.volume, account=book.ids["again"])
    for case in cases[1:]:
        book.command({"command": "profile.enable", "profile": case.name})
    book.go(4)
    assert {case.name: book.volumes(case.name) for case in cases} == {
        "again": [40_000 * UNIT],
        "late": [40_000 * UNIT],
        "late market": [],
        "late on fill": [40_000 * UNIT],
    }
    assert book.reason("late market") == "order_type_excluded"
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []
