"""What a person does to a copy stands, though nothing told of it when it was done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import CopyTouched, ExecutionSeen, IntentOverdue
from cmam.domain.values.ids import DealId
from cmam.domain.values.quantities import Price, Volume
from cmam.domain.values.rules.levels import SHOWN_BY_OURS
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.sight import TAKEN_SINCE_READ
from cmam.domain.values.trades import ExecutionKind, OrderStatus, Position
from tests.factories import LOT, Pair, a_view, price


def parts(fill: ExecutionSeen, first: Position, second: Position) -> list[ExecutionSeen]:
    """The fill of a whole lot as two of half a lot each, with what its position is after either."""
    assert fill.deal is not None
    assert fill.order is not None
    half, ones = Volume(LOT // 2), replace(fill.deal, filled_volume=Volume(LOT // 2))
    begun = replace(fill.order, status=OrderStatus.ACCEPTED, executed_volume=half)
    kind = ExecutionKind.ORDER_PARTIAL_FILL
    return [
        replace(fill, kind=kind, order=begun, deal=replace(ones, deal=DealId(91)), position=first),
        replace(fill, deal=replace(ones, deal=DealId(92)), position=second),
    ]


def at(rules: int) -> Pair:
    """A follower by these rules."""
    return Pair(view=replace(a_view(), rules=rules))


@pytest.mark.parametrize(("rules", "stop"), [(SHOWN_BY_OURS - 1, None), (RULES, price("1.097"))])
def test_a_stop_that_our_own_add_shows_first_is_a_persons(rules: int, stop: int | None) -> None:
    """The event about it was lost; the fill of an add shows it, and it was amended away as none of the leader's."""
    pair = at(rules)
    pair.opens(LOT // 2)
    pair.answer()
    (held,) = pair.held.values()
    pair.held[held.position] = replace(held, stop=price("1.097"))
    pair.passes(1_000_000)
    pair.grows(LOT // 2, LOT)
    pair.answer()
    assert [held.stop for held in pair.held.values()] == [stop]


@pytest.mark.parametrize(("rules", "left"), [(TAKEN_SINCE_READ - 1, LOT), (RULES, LOT // 2)])
def test_what_a_person_closes_while_an_open_is_looked_for_is_not_opened_again(rules: int, left: int) -> None:
    """Its answer was lost. The history has the order as filled whole; half of it is closed before the snapshot."""
    pair = at(rules)
    pair.opens()
    (asked,) = pair.lose()
    *_, fill = (event for event in pair.events_of(asked) if isinstance(event, ExecutionSeen))
    assert fill.order is not None
    pair.passes(10_000_000)
    pair.fact(IntentOverdue(intent=asked.intent, why="no answer", ask_us=pair.now_us + 10_000_000))
    pair.passes(10_000_000)
    (held,) = pair.held.values()
    pair.close(held.position, Volume(LOT // 2), name="a person's")
    pair.fact(replace(pair.reconciled(looked_up=True, past_orders=(fill.order,)), quiet=True))
    pair.passes(1_000_000)
    pair.answer()
    assert sum(position.volume for position in pair.held.values()) == left


def test_what_a_lagging_snapshot_lacks_of_an_open_under_way_was_closed_by_nobody() -> None:
    """A look for something else reads that an open of a moment ago has filled whole; its snapshot is of between its two
    deals. The rest was taken for closed by a person, and was closed as it came."""
    pair = Pair()
    pair.opens()
    pair.send()
    (asked,) = pair.lose()
    *_, fill = (event for event in pair.events_of(asked) if isinstance(event, ExecutionSeen))
    assert fill.order is not None
    (held,) = pair.held.values()
    half = replace(held, volume=Volume(LOT // 2))
    pair.passes(200_000)
    look = replace(pair.reconciled(looked_up=True, past_orders=(fill.order,)), quiet=True)
    pair.fact(replace(look, positions=(half,)))
    pair.hears([*parts(fill, half, held)])
    pair.passes(60_000_000)
    pair.answer()
    assert [held.volume for held in pair.held.values()] == [LOT]


def test_the_brokers_stop_by_an_average_that_our_own_close_shows_first_is_no_persons() -> None:
    """An open fills at two prices; the broker counts its stop from their average, and the answer to a close shows that
    before its own event does. It was pinned as a person's, five pips beside the leader's."""
    pair = Pair()
    pair.opens(stop=price("1.095"))
    (asked,) = pair.lose()
    accepted, fill, *_ = (event for event in pair.events_of(asked) if isinstance(event, ExecutionSeen))
    (held,) = pair.held.values()
    assert held.stop is not None
    first, second = parts(fill, replace(held, volume=Volume(LOT // 2), stop=None), held)
    pair.hears([accepted, first])
    begun = replace(held, volume=Volume(LOT // 2))
    pair.hears([pair.protective(ExecutionKind.ORDER_ACCEPTED, begun, is_server=True), second])
    pair.held[held.position] = replace(held, stop=Price(held.stop + 50_000))
    pair.passes(100_000)
    pair.reduces(LOT, LOT // 2)
    pair.answer()
    assert not [event for event, _ in pair.said if isinstance(event, CopyTouched)]
    assert pair.copy.pinned_stop is None
