"""What others did to a copy counts towards a leader's change that came to light late only where it came after that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Price, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.trades import ExecutionKind
from tests.factories import LOT, SECOND_US, Pair, price


def _halved_by_hand(pair: Pair) -> None:
    """A person closes a half of the copy in sight of cmam."""
    (number,) = pair.held
    for event in pair.close(number, LOT // 2):
        pair.fact(event)
    assert pair.copy.target == LOT // 2


def _moves(pair: Pair) -> None:
    """Something else moves the copy's position: a swap, a trailing stop, an amendment of ours."""
    (held,) = pair.held.values()
    moved = replace(held, stop=held.stop, updated_ms=pair.now_us // 1_000)
    pair.held[held.position] = moved
    pair.fact(pair.protective(ExecutionKind.ORDER_REPLACED, moved, is_server=True))
    assert pair.view.positions[held.position].updated_ms == pair.now_us // 1_000


@pytest.mark.parametrize("moves", [False, True])
def test_what_a_person_closed_long_before_is_his_own_whatever_moves_the_position_since(moves: bool) -> None:
    """The leader's half, in a gap a day later, is a half of what he has left, though the copy's position has changed
    in the meantime. It was left whole: the day-old half of the person's counted as the leader's."""
    pair = Pair()
    pair.opens()
    pair.answer()
    _halved_by_hand(pair)
    pair.passes(86_400 * SECOND_US)
    if moves:
        _moves(pair)
    pair.passes(SECOND_US)
    pair.reduces(LOT, LOT // 2, late=True)
    assert pair.copy.target == LOT // 4
    assert pair.commands[-1].volume == LOT // 4


def test_what_a_person_closed_after_his_leader_counts() -> None:
    """The leader was out of sight as he halved, and the person halves the copy before that comes to light."""
    pair = Pair()
    pair.opens()
    pair.answer()
    pair.passes(60 * SECOND_US)
    halved = pair.now_us // 1_000
    pair.passes(60 * SECOND_US)
    _halved_by_hand(pair)
    pair.reduces(LOT, LOT // 2, late=True, at_ms=halved)
    assert pair.copy.target == LOT // 2
    assert pair.copy.volume == Volume(LOT // 2)
    assert not [command for command in pair.commands if command.position is not None]


def test_a_stop_that_a_person_set_long_before_stays_his_where_the_leaders_comes_to_it_late() -> None:
    """His level is only tightened: a leader who comes to the same and then loosens his own does not loosen it."""
    pair = Pair()
    pair.opens(stop=price("1.05"))
    pair.answer()
    pair.passes(10 * SECOND_US)
    (held,) = pair.held.values()
    shown = pair.view.positions[held.position]
    assert shown.stop is not None
    assert pair.copy.goal.shift is not None
    his = Price(price("1.08") + pair.copy.goal.shift)
    by_hand = replace(shown, stop=his, updated_ms=pair.now_us // 1_000)
    pair.held[held.position] = by_hand
    pair.fact(pair.protective(ExecutionKind.ORDER_REPLACED, by_hand, is_server=False))
    assert pair.copy.pinned_stop == his
    pair.passes(86_400 * SECOND_US)
    _moves(pair)
    pair.protects(stop="1.08", late=True)
    pair.protects(stop="1.02")
    assert not [command for command in pair.commands if command.kind is CommandKind.AMEND_PROTECTION]


def test_what_a_person_has_closed_whole_stays_closed_before_a_late_half_and_a_snapshot_of_before() -> None:
    """He closes all of a copy; the first look after that still shows it, and the leader's half comes to light with
    that: nothing is held, so nothing is closed, and nobody's position is taken for the copy."""
    pair = Pair()
    pair.opens()
    pair.answer()
    before = dict(pair.held)
    (number,) = before
    halved = pair.now_us // 1_000
    pair.passes(SECOND_US)
    for event in pair.close(number, LOT):
        pair.fact(event)
    asked = len(pair.commands)
    pair.held = before
    pair.passes(SECOND_US)
    pair.fact(replace(pair.reconciled(), quiet=True))
    assert pair.view.positions == {}
    decided = pair.reduces(LOT, LOT // 2, late=True, at_ms=halved)
    assert decided.reason is Reason.COPY_FINISHED
    assert (len(pair.commands), pair.view.copies) == (asked, {})
