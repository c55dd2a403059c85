"""Accounts of limited risk, where each order needs a guaranteed stop of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import AttemptDecided
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules import LIMITED_IN_ONE, RULES
from cmam.domain.values.symbols import SymbolSpec
from tests.factories import LOT, Pair, a_spec, a_view, price


def _limited(rules: int = RULES, spec: SymbolSpec | None = None, **settings: str) -> Pair:
    """A pair whose follower is of limited risk."""
    named = {key.replace("__", "."): value for key, value in settings.items()}
    view = a_view((spec,), limited_risk=True) if spec is not None else a_view(limited_risk=True)
    return Pair(named, view=replace(view, rules=rules))


@pytest.mark.parametrize("rules", [RULES, LIMITED_IN_ONE - 1])
def test_what_one_order_may_not_have_is_cut_off(rules: int) -> None:
    """Half a lot is the most of one order: no other part can be added, so that the copy is half of the leader's from
    its decision on. The rest was a skip of its own, a moment later."""
    pair = _limited(rules, a_spec(max_volume=Volume(LOT // 2)), volume__rounding="skip,split")
    decided = pair.opens(stop=price("1.09"))
    pair.answer()
    pair.passes(2_000_000)
    assert (len(pair.commands), pair.copy.volume) == (1, LOT // 2)
    assert [step.name for step in decided.working if step.name in ("capped", "split")][-1] == (
        "capped" if rules == RULES else "split"
    )
    skipped = [event.reason for event, _ in pair.said if isinstance(event, AttemptDecided)]
    assert skipped == ([] if rules == RULES else [Reason.STOP_REQUIRED])
    pair.reduces(LOT, LOT // 2)
    pair.answer()
    assert pair.copy.volume == LOT // 4


@pytest.mark.parametrize("rules", [RULES, LIMITED_IN_ONE - 1])
def test_what_is_cut_off_counts_in_no_cap(rules: int) -> None:
    """0.6 lots are the most in the symbol, and 0.5 are opened: that is no skip for the lot that was never to be."""
    pair = _limited(rules, a_spec(max_volume=Volume(LOT // 2)), volume__rounding="skip,split", max_lots_symbol="0.6")
    decided = pair.opens(stop=price("1.09"))
    assert decided.reason is (None if rules == RULES else Reason.MAX_LOTS)
