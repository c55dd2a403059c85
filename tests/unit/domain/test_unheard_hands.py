"""What a person does to a copy stands, though nothing told of it when it was done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import ExecutionSeen, IntentOverdue
from cmam.domain.values.quantities import Volume
from cmam.domain.values.rules.levels import SHOWN_BY_OURS
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.sight import TAKEN_SINCE_READ
from tests.factories import LOT, Pair, a_view, price


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
