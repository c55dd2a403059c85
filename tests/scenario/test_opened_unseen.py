"""Orders that open while nobody looks, and what others do to the position there: each is told of the order it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cmam.domain.events import ChangeDecided
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.rulebook import LEAD, NETTED_LEAD, UNIT, Case, Rulebook

HALF = {"volume.basis": "units", "volume.amount": "0.5"}
BOTH = (LEAD, NETTED_LEAD)
NETTED = (NETTED_LEAD,)
Act = Callable[[Rulebook, int], object]


def _buys(units: int) -> Act:
    return lambda book, leader: book.person.buy(units * UNIT, account=leader, **_there(book, leader))


def _sells(units: int) -> Act:
    def sell(book: Rulebook, leader: int) -> None:
        (held,) = book.person.holds(leader)
        book.person.close(held.position, units * UNIT, account=leader)

    return sell


def _falls(book: Rulebook, _leader: int) -> None:
    book.price("EURUSD", "1.08100")


def _there(book: Rulebook, leader: int) -> dict[str, int]:
    """A hedged leader adds to the one position that he has, if any."""
    held = book.person.holds(leader)
    return {"positionId": held[0].position} if held and leader == LEAD else {}


@pytest.mark.parametrize(
    ("leader", "orders", "acts", "expected"),
    [
        *((leader, (20_000,), (_falls, _sells(10_000)), 5_000) for leader in BOTH),
        *((leader, (20_000,), (_falls, _buys(10_000)), 15_000) for leader in BOTH),
        *((leader, (20_000,), (_falls, _buys(10_000), _sells(15_000)), 8_000) for leader in BOTH),
        *((leader, (20_000, 40_000), (_falls,), 30_000) for leader in NETTED),
        *((leader, (20_000, 40_000), (_falls, _sells(10_000)), 25_000) for leader in NETTED),
        *((leader, (20_000, 40_000), (_buys(10_000), _falls), 35_000) for leader in NETTED),
        *((leader, (20_000, 40_000), (_falls, _sells(60_000), _buys(10_000)), 5_000) for leader in NETTED),
    ],
)
@pytest.mark.parametrize("gap", ["killed", "cut"])
def test_what_a_gap_has_opened_is_copied_once(
    gap: str, leader: int, orders: tuple[int, ...], acts: tuple[Act, ...], expected: int
) -> None:
    """Limits rest on both sides and fill there, too. Of 15,000 that are left a half is 7,500, and 8,000 are held, for a
    step is 1,000. By rules of number 7 a second copy stood beside for a minute, or the right one was closed and opened
    again, or what one of the orders had filled was missing for good."""
    cases = [Case(kind, "Same", HALF, kind=kind, leader=leader) for kind in ("hedged", "netted")]
    book = Rulebook(cases)
    book.begin()
    for number, units in enumerate(orders):
        book.person.place(model.LIMIT, units * UNIT, price=1.08303 - number / 1_000, account=leader)
    book.go(2)
    if gap == "killed":
        book.kill()
    else:
        book.stepper.network.cut_all()
    for act in acts:
        act(book, leader)
    if gap == "killed":
        book.start()
    for seconds in (6, 70):
        book.go(seconds)
        assert [book.volumes(case.name) for case in cases] == [[expected * UNIT]] * 2
    for held in book.person.holds(leader):
        book.person.close(held.position, held.volume, account=leader)
    book.go(3)
    assert [book.held(case.name) for case in cases] == [[], []]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_what_filled_with_the_leaders_order_is_kept_as_it_is_however_long_nobody_looked() -> None:
    """He closes a half of what his limit has filled. Two minutes later no open would pass `max_age`, and none is asked:
    the half of each copy goes, in seconds. It was taken for ahead of his order, and held whole for a minute."""
    cases = [Case(kind, "Same", HALF, kind=kind) for kind in ("hedged", "netted")]
    book = Rulebook(cases)
    book.begin()
    book.person.place(model.LIMIT, 20_000 * UNIT, price=1.08303)
    book.go(2)
    book.kill()
    _falls(book, LEAD)
    _sells(10_000)(book, LEAD)
    book.go(120)
    before = [book.held(case.name)[0].position for case in cases]
    book.start()
    book.go(6)
    assert [book.volumes(case.name) for case in cases] == [[5_000 * UNIT]] * 2
    assert [book.held(case.name)[0].position for case in cases] == before
    told = [event.change.kind.value for event in book.events(book.ids["hedged"], ChangeDecided)]
    assert told == ["order_placed", "opened", "reduced"]
    assert verify(book.log.read_all()).is_identical


@pytest.mark.parametrize("gap", ["none", "killed", "cut"])
@pytest.mark.parametrize("leader", BOTH, ids=["hedged", "netted"])
def test_what_was_added_to_it_there_is_told_of_the_order_that_added(leader: int, gap: str) -> None:
    """Limits alone are copied: 20,000 fill by one, and what he adds at the market is left out, seen or not."""
    limits = {**HALF, "order_types": "limit"}
    cases = [Case(kind, "Same", limits, kind=kind, leader=leader) for kind in ("hedged", "netted")]
    book = Rulebook(cases)
    book.begin()
    book.person.place(model.LIMIT, 20_000 * UNIT, price=1.08303, account=leader)
    book.go(2)
    if gap == "killed":
        book.kill()
    elif gap == "cut":
        book.stepper.network.cut_all()
    _falls(book, leader)
    _buys(10_000)(book, leader)
    if gap == "killed":
        book.start()
    for seconds in (6, 30):
        book.go(seconds)
        assert [book.volumes(case.name) for case in cases] == [[10_000 * UNIT]] * 2
    assert verify(book.log.read_all()).is_identical


@pytest.mark.parametrize("gap", ["killed", "cut"])
def test_growth_of_a_gap_is_told_of_the_order_that_added(gap: str) -> None:
    """Limits alone are copied. A second one fills while nobody looks, and he closes 5,000 at the market after it: of
    35,000 a half is 17,500. The growth was told of that close, and left out as one of the market."""
    limits = {**HALF, "order_types": "limit"}
    cases = [Case(kind, "Same", limits, kind=kind, leader=NETTED_LEAD) for kind in ("hedged", "netted")]
    book = Rulebook(cases)
    book.begin()
    for price in (1.08303, 1.08003):
        book.person.place(model.LIMIT, 20_000 * UNIT, price=price, account=NETTED_LEAD)
    book.go(2)
    _falls(book, NETTED_LEAD)
    book.go(5)
    assert [book.volumes(case.name) for case in cases] == [[10_000 * UNIT]] * 2
    book.kill() if gap == "killed" else book.stepper.network.cut_all()
    book.price("EURUSD", "1.07900")
    _sells(5_000)(book, NETTED_LEAD)
    if gap == "killed":
        book.start()
    book.go(6)
    assert [book.volumes(case.name) for case in cases] == [[17_000 * UNIT]] * 2
    assert verify(book.log.read_all()).is_identical
