"""A hedged position that an event has told closed, before a look of the moment before and what its leader did late."""

from __future__ import annotations

from dataclasses import replace

from cmam.domain.values.reasons import Reason
from tests.factories import LOT, SECOND_US, Pair


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
