"""Opens that come back unsent, or in parts: what the leader has done meanwhile counts, and an open is sized once."""

from __future__ import annotations

import pytest

from cmam.domain.values.ids import OrderId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason, Verdict
from tests.factories import LOT, Pair, price

OPENING = {"origin": OrderId(400), "is_opening": True}


def test_what_the_leader_did_to_an_open_that_never_left_is_in_the_next_one() -> None:
    """He closed half and set a stop while the open stood in a line that was then cut: half goes out, with the stop."""
    pair = Pair()
    pair.opens()
    pair.reduces(LOT, LOT // 2)
    pair.protects(stop="1.09")
    pair.drop("the connection was lost")
    pair.passes(1_000_000)
    again = pair.commands[-1]
    assert len(pair.sent) == 2
    assert (again.volume, pair.copy.goal.leader_stop) == (LOT // 2, price("1.09"))
    assert again.relative_stop is not None


def test_what_the_leader_did_to_a_refused_open_is_in_the_next_one() -> None:
    """He added while the broker refused: all of it is opened once it no longer does."""
    pair = Pair()
    pair.opens()
    pair.grows(LOT, 2 * LOT)
    pair.refuse("MARKET_CLOSED", temporary=True)
    pair.passes(1_000_000)
    assert pair.commands[-1].volume == 2 * LOT
    pair.answer()
    pair.passes(1_000_000)
    assert (pair.copy.volume, len(pair.sent)) == (2 * LOT, 2)


def test_an_open_that_fills_in_parts_is_rounded_once() -> None:
    """Half of 5,000 units is 2,000, and of 10,000 in two parts it is 5,000: not twice 2,000."""
    pair = Pair({"volume.amount": "0.5"})
    pair.opens(500_000)
    pair.answer()
    assert pair.copy.volume == 200_000
    pair.grows(500_000, 1_000_000, **OPENING)
    pair.answer()
    assert pair.copy.volume == 500_000


@pytest.mark.parametrize("mode", [{"volume.mode": "fixed", "volume.amount": "0.1"}])
def test_a_fixed_size_is_opened_once_however_many_parts_the_leaders_order_fills_in(mode: dict[str, str]) -> None:
    """0.1 lots for each open: the second half of the leader's order adds nothing, a later growth of his does."""
    pair = Pair(mode)
    pair.opens(LOT // 2)
    pair.answer()
    decided = pair.grows(LOT // 2, LOT, **OPENING)
    assert (decided.verdict, decided.reason) == (Verdict.NONE, Reason.COVERED)
    assert (len(pair.sent), pair.copy.volume) == (1, 1_000_000)
    pair.grows(LOT, 2 * LOT)
    pair.answer()
    assert pair.copy.volume == 2_000_000


def test_an_open_in_parts_whose_first_size_was_another_grows_in_proportion() -> None:
    """Somebody has halved the copy before the rest of the leader's order filled: the rest comes in proportion."""
    pair = Pair()
    pair.opens(LOT // 2)
    pair.answer()
    (position,) = pair.held
    pair.hears(pair.close(position, Volume(LOT // 4)))
    pair.grows(LOT // 2, LOT, **OPENING)
    pair.answer()
    assert pair.copy.volume == LOT // 2
