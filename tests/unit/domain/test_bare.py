"""Fills that tell their deal and order and no position, behind a look that has shown what they left."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import Event, ExecutionSeen
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.sight import OWN_SHOWN_BEFORE
from tests.factories import LOT, SECOND_US, Pair


def _opened(rules: int, volume: int = LOT) -> Pair:
    """So much bought a minute ago, at a broker that tells no times of positions."""
    pair = Pair()
    pair.view = replace(pair.view, rules=rules)
    pair.opens(volume)
    pair.answer()
    pair.passes(60 * SECOND_US)
    return pair


def _fills(pair: Pair) -> list[Event]:
    """What is told of the last request: its fill, without the position."""
    found: list[Event] = []
    for event in pair.events_of(pair.waiting[-1]):
        assert isinstance(event, ExecutionSeen)
        if event.deal is not None:
            found.append(replace(event, position=None))
    return found


def _looks(pair: Pair) -> None:
    """A look without times, and without a history."""
    for number, held in pair.held.items():
        pair.held[number] = replace(held, updated_ms=0)
    pair.fact(replace(pair.reconciled(), quiet=True, deals=()))


@pytest.mark.parametrize(("rules", "held"), [(RULES, 2 * LOT), (OWN_SHOWN_BEFORE - 1, 3 * LOT)])
def test_an_add_that_a_look_without_times_has_shown_is_not_booked_again(rules: int, held: int) -> None:
    """It counted as larger than it was, was cut back to what it should be, and stayed smaller than that."""
    pair = _opened(rules)
    (number,) = pair.held
    pair.grows(LOT, 2 * LOT)
    events = _fills(pair)
    _looks(pair)
    assert pair.view.positions[number].volume == 2 * LOT
    for event in events:
        pair.fact(event)
    assert pair.view.positions[number].volume == held


def test_an_add_that_no_look_has_shown_is_booked() -> None:
    """The look was before it had filled."""
    pair = _opened(RULES)
    (number,) = pair.held
    pair.grows(LOT, 2 * LOT)
    _looks(pair)
    for event in _fills(pair):
        pair.fact(event)
    assert pair.view.positions[number].volume == 2 * LOT


def _told(pair: Pair) -> list[Event]:
    """All that is told of the last request, its acceptance first; nothing of it tells the position."""
    found: list[Event] = []
    for event in pair.events_of(pair.waiting[-1]):
        assert isinstance(event, ExecutionSeen)
        found.append(replace(event, position=None))
    return found


@pytest.mark.parametrize(("rules", "held"), [(RULES, 2 * LOT), (OWN_SHOWN_BEFORE - 1, 3 * LOT)])
def test_an_acceptance_behind_the_look_does_not_end_an_add_before_its_fill(rules: int, held: int) -> None:
    """The look had told how much of it had filled: with that its request was closed, and the fill was nobody's."""
    pair = _opened(rules)
    (number,) = pair.held
    pair.grows(LOT, 2 * LOT)
    accepted, filled = _told(pair)
    _looks(pair)
    pair.fact(accepted)
    pair.fact(filled)
    assert pair.view.positions[number].volume == held
    assert not pair.view.intents


@pytest.mark.parametrize(("rules", "held"), [(RULES, 2 * LOT), (OWN_SHOWN_BEFORE - 1, LOT)])
def test_a_close_of_a_part_that_a_look_without_times_has_shown_is_not_booked_again(rules: int, held: int) -> None:
    """It counted as smaller than it was, and as touched by hand."""
    pair = _opened(rules, 3 * LOT)
    (number,) = pair.held
    pair.reduces(3 * LOT, 2 * LOT)
    accepted, filled = _told(pair)
    _looks(pair)
    assert pair.view.positions[number].volume == 2 * LOT
    pair.fact(accepted)
    pair.fact(filled)
    assert pair.view.positions[number].volume == held
    assert not pair.view.intents


def test_a_close_of_a_part_that_no_look_has_shown_is_booked() -> None:
    """The look was before it had filled."""
    pair = _opened(RULES, 3 * LOT)
    (number,) = pair.held
    pair.reduces(3 * LOT, 2 * LOT)
    _looks(pair)
    for event in _told(pair):
        pair.fact(event)
    assert pair.view.positions[number].volume == 2 * LOT
    assert not pair.view.intents
