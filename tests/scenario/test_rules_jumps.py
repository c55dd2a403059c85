"""What a follower holds after a jump of the market that its broker tells some milliseconds after the leader's."""

from __future__ import annotations

from decimal import Decimal

from cmam.domain.events import ChangeDecided
from cmam.openapi._pb.OpenApiModelMessages_pb2 import STOP
from cmam.store.past.replay import verify
from tests.rulebook import SELL, UNIT, Case, Rulebook

UNITS = {"volume.basis": "units"}
RANGED = {**UNITS, "order_types": "market", "copy_on_fill": "on", "max_slippage": "5"}


def test_a_range_at_a_jump_is_copied_by_those_who_hear_of_it_later() -> None:
    """The leader's stop fills at a jump of 45 points. The last of five followers decided by one quote of before and one
    of now: the range lay a jump beside the market, the broker cancelled it, and nothing was held."""
    between = [Case(f"p{number}", "Same", UNITS) for number in range(3)]
    book = Rulebook([Case("first", "Same", RANGED), *between, Case("last", "Same", RANGED)])
    book.begin()
    book.price("EURUSD", "1.08390")
    book.go(4)
    book.person.place(STOP, 25_000 * UNIT, side=SELL, price=1.0835, relativeStopLoss=700, relativeTakeProfit=700)
    book.go(2.4)
    book.bids["EURUSD"] = Decimal("1.08345")
    book._move("EURUSD", book.bids["EURUSD"])
    book.go(5)
    assert [book.volumes(name) for name in ("first", "last")] == [[25_000 * UNIT]] * 2
    opened = [
        event for event in book.events(book.ids["last"], ChangeDecided) if event.goal is not None and event.volume
    ]
    assert [list(event.inputs.usual) for event in opened] == [["EURUSD"]]
    assert verify(book.log.read_all()).is_identical
