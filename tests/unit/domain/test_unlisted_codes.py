"""Refusals by codes that no list of the API has: of what is gone a look tells, and none is told without its code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import CopyState
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.opens import UNLISTED_CODES
from tests.factories import Pair, lookup_due

GONE = ("ALREADY_CLOSED", "POSITION_NOT_FOUND_OR_NOT_OPENED")


@pytest.mark.parametrize("code", GONE)
@pytest.mark.parametrize("rules", [RULES, UNLISTED_CODES - 1])
def test_a_close_of_what_was_closed_already_has_a_look_taken(code: str, rules: int) -> None:
    """As with POSITION_NOT_FOUND: the look ends the copy. It was asked again and again, and a person was called."""
    pair = Pair()
    pair.view = replace(pair.view, rules=rules)
    pair.opens()
    pair.answer()
    pair.closes()
    pair.refuse(code)
    assert (lookup_due(pair.view) is not None) is (rules == RULES)
    number = pair.copy.position
    assert number is not None
    del pair.held[number]
    pair.fact(pair.reconciled(looked_up=True))
    assert pair.copy.state is CopyState.CLOSED


@pytest.mark.parametrize("code", GONE)
@pytest.mark.parametrize("rules", [RULES, UNLISTED_CODES - 1])
def test_a_cancel_of_what_has_ended_already_has_a_look_taken(code: str, rules: int) -> None:
    """As with ORDER_NOT_FOUND."""
    pair = Pair()
    pair.view = replace(pair.view, rules=rules)
    pair.order()
    pair.answer()
    pair.order_fills()
    pair.passes(3_000_000)
    pair.refuse(code)
    assert (lookup_due(pair.view) is not None) is (rules == RULES)


@pytest.mark.parametrize(("rules", "told"), [(RULES, "an empty code"), (UNLISTED_CODES - 1, "")])
def test_a_refusal_without_a_code_says_so(rules: int, told: str) -> None:
    """The alert read `: ; cmam asks again.`"""
    pair = Pair()
    pair.view = replace(pair.view, rules=rules)
    pair.opens()
    pair.answer()
    pair.closes()
    pair.refuse("")
    pair.passes(1)
    (text,) = pair.view.alerts.values()
    assert text.endswith(f": {told}; cmam asks again.")
