"""What an open or an add has filled while the line was lost is counted once; what people took of it then, they took."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cmam.domain.events import CopyTouched
from cmam.store.auditing.audit import Audit
from cmam.store.past.replay import verify
from tests.chaos.book_checks import told_as_booked
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000
OPEN = "2106"


def _adding(*, kills: bool) -> tuple[Whole, int]:
    """A copy of a lot, and an add of another whose answer is lost; the add is filled, and nobody looks yet."""
    whole = Whole(seed=4, followers=(SAME_BROKER,))
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(5)
    whole.broker.set_fault("cut-after", {"count": "1", "type": OPEN, "account": str(SAME_BROKER)})
    whole.person.buy(LOT, positionId=position)
    (held,) = whole.broker.floor.accounts[SAME_BROKER].open_positions()
    whole.stepper.run_until(lambda: held.volume == 2 * LOT, 5_000_000)
    if kills:
        whole.kill()
    return whole, held.position_id


@pytest.mark.parametrize("kills", [False, True])
@pytest.mark.parametrize("taken", [0, LOT // 2, 3 * LOT // 2])
def test_what_a_person_takes_beside_an_add_that_filled_unseen_is_not_bought_again(taken: int, *, kills: bool) -> None:
    """He closes a part of what has just been added: the rest stays as he left it, and the part has its price."""
    whole, position = _adding(kills=kills)
    if taken:
        whole.person.close(position, taken, account=SAME_BROKER)
        whole.stepper.run(300_000)
    if kills:
        whole.start()
    whole.run(100)
    (held,) = whole.person.holds(SAME_BROKER)
    (line,) = Audit.of(whole.log).copies()
    adds = [order for order in Audit.of(whole.log).orders() if order["kind"] == "add"]
    assert held.volume == 2 * LOT - taken
    assert [Decimal(add["filled"]) for add in adds] == [LOT // 100]
    assert Decimal(line["held"]) == held.volume // 100
    touched = [event for event in whole.events(SAME_BROKER, CopyTouched) if event.what == "volume"]
    assert bool(touched) == bool(taken)
    told_as_booked(whole)
    assert verify(whole.log.read_all()).is_identical


def test_an_open_that_filled_on_unseen_is_told_whole() -> None:
    """Half of it is seen to fill, then the line falls: the request has filled all, as its copy has."""
    whole = Whole(seed=4, followers=(SAME_BROKER,))
    whole.start_ready()
    whole.broker.set_fault("partial-fill", {"account": str(SAME_BROKER), "rest": "fill", "count": "1"})
    whole.person.buy(LOT)
    books = whole.broker.floor.accounts[SAME_BROKER]
    whole.stepper.run_until(lambda: any(0 < held.volume < LOT for held in books.open_positions()), 5_000_000)
    whole.stepper.run(2_000)
    whole.stepper.network.cut_all()
    whole.run(60)
    (order,) = (order for order in Audit.of(whole.log).orders() if order["kind"] == "open")
    assert (order["outcome"], Decimal(order["filled"])) == ("confirmed", LOT // 100)
    told_as_booked(whole)
