"""Opens that come back unsent, or in parts: what the leader has done meanwhile counts, and an open is sized once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import ExecutionSeen
from cmam.domain.values.ids import DealId, OrderId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.opens import PARTS_TOLD_FILLED
from cmam.domain.values.rules.sight import REFUSED_FOLLOW
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus
from tests.factories import LOT, Pair, a_view, price

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


def _told_filled(pair: Pair, part: int) -> tuple[ExecutionSeen, Order]:
    """The broker fills so much of an open, and tells the part as the whole is told; gives it, and its order."""
    intent = pair.waiting[0]
    pair.send()
    pair.lose()
    accepted, filled = pair.events_of(intent, part=part)
    assert isinstance(filled, ExecutionSeen)
    assert filled.order is not None
    order = replace(filled.order, status=OrderStatus.FILLED)
    told = replace(filled, kind=ExecutionKind.ORDER_FILLED, order=order)
    pair.hears([accepted, told])
    return told, order


@pytest.mark.parametrize(("rules", "asked"), [(RULES, ["open"]), (PARTS_TOLD_FILLED - 1, ["open", "add"])])
def test_a_part_that_is_told_as_filled_may_fill_on(rules: int, asked: list[str]) -> None:
    """An older page has parts told so. What was missing was asked for, and came twice."""
    pair = Pair()
    pair.view = replace(pair.view, rules=rules)
    pair.opens()
    told, order = _told_filled(pair, LOT // 2)
    pair.passes(100_000)
    assert [command.kind.value for command in pair.commands] == asked
    assert told.position is not None
    assert told.deal is not None
    whole = replace(told.position, volume=Volume(LOT), updated_ms=pair.now_us // 1_000)
    deal = replace(told.deal, deal=DealId(told.deal.deal + 1))
    pair.held[whole.position] = whole
    pair.fact(replace(told, position=whole, deal=deal, order=replace(order, executed_volume=Volume(LOT))))
    pair.answer()
    assert [command.kind.value for command in pair.commands] == (asked if rules == RULES else [*asked, "close"])
    assert (pair.copy.volume, pair.view.intents) == (LOT, {})


def test_a_part_that_is_told_as_filled_and_is_all_is_looked_up() -> None:
    """Nothing more comes of it: the history says so, and what it has filled is the copy."""
    pair = Pair()
    pair.opens()
    _, order = _told_filled(pair, LOT // 2)
    pair.passes(60_000_000)
    assert [intent.why for intent in pair.view.intents.values()] == ["no answer"]
    pair.fact(pair.reconciled(looked_up=True, past_orders=(order,)))
    assert (pair.copy.volume, pair.view.intents, len(pair.sent)) == (LOT // 2, {}, 1)


@pytest.mark.parametrize(("rules", "held"), [(RULES, LOT // 2), (REFUSED_FOLLOW - 1, LOT)])
def test_what_was_closed_of_a_refused_open_is_closed_where_it_was_done_all_the_same(rules: int, held: int) -> None:
    """The leader closes half between the refusal and its next try, and then what was refused is told done."""
    pair = Pair(view=replace(a_view(), rules=rules))
    pair.opens()
    told = pair.events_of(pair.waiting[0])
    pair.refuse("CONCURRENT_MODIFICATION", temporary=True)
    pair.reduces(LOT, LOT // 2)
    pair.hears(told)
    pair.answer()
    assert [position.volume for position in pair.held.values()] == [held]
    assert pair.copy.volume == held
