"""What a look proves of each request of unknown outcome: a snapshot what it shows, and nothing of opens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.proofs import Due, looks_due
from cmam.domain.events import IntentSent, IntentSettled, Outcome, Reconciled, RulesBegan
from cmam.domain.turns.settling import SETTLE_US
from cmam.domain.turns.timing import ANSWER_US
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.rules.newest import RULES
from tests.factories import Pair, price

KINDS = ["close", "levels", "cancel", "amend"]


def _without_past(pair: Pair) -> Reconciled:
    """A look-up that has asked for a snapshot alone."""
    return replace(pair.reconciled(looked_up=True), covers_from_ms=0)


def _lost(pair: Pair) -> None:
    """What waits has left and gets no answer."""
    for lost in pair.lose():
        pair.fact(IntentSent(intent=lost.intent))
    pair.passes(ANSWER_US)


def _asked(kind: str) -> Pair:
    """A copy with a lost request of a kind."""
    pair = Pair({"max_age": "10m"})
    if kind in ("close", "levels"):
        pair.opens(stop=price("1.09"))
        pair.answer()
        pair.answer()
        pair.closes() if kind == "close" else pair.protects("1.08")
    else:
        pair.order()
        pair.answer()
        what = ChangeKind.ORDER_CANCELLED if kind == "cancel" else ChangeKind.ORDER_AMENDED
        pair.order(what, **({} if kind == "cancel" else {"limit_price": price("1.07")}))
    _lost(pair)
    return pair


def _outcomes(pair: Pair) -> list[Outcome]:
    known = {intent.intent: intent.command.kind for intent in pair.sent}
    adds = (CommandKind.OPEN, CommandKind.PLACE)
    return [
        event.outcome
        for event, _ in pair.said
        if isinstance(event, IntentSettled) and event.outcome is Outcome.ABSENT and known[event.intent] not in adds
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_snapshot_shows_it_proves_after_the_settling_time(kind: str) -> None:
    """A close, levels, a cancel, an amendment that did not arrive is shown by what stands as it stood: no history is
    asked for, and a look within the settling time proves nothing."""
    pair = _asked(kind)
    assert looks_due(pair.view, SETTLE_US) == Due(readback=pair.now_us + SETTLE_US)
    pair.fact(_without_past(pair))
    assert _outcomes(pair) == []
    pair.now_us += SETTLE_US
    pair.fact(pair.reconciled())
    assert _outcomes(pair) == []
    pair.fact(_without_past(pair))
    assert _outcomes(pair) == [Outcome.ABSENT]


@pytest.mark.parametrize("kind", ["open", "place"])
@pytest.mark.parametrize("rules", [RULES, 15])
def test_a_snapshot_alone_proves_nothing_of_an_open(kind: str, rules: int) -> None:
    """It may have been filled and closed, or filled and cancelled: orders of the past alone tell. By the rules of
    before a look-up was a proof of everything."""
    pair = Pair({"max_age": "10m"})
    pair.fact(RulesBegan(rules=rules))
    pair.opens() if kind == "open" else pair.order()
    _lost(pair)
    assert looks_due(pair.view, SETTLE_US) == Due(history=pair.now_us + SETTLE_US)
    pair.now_us += SETTLE_US
    pair.fact(_without_past(pair))
    assert (pair.waiting == []) is (rules == RULES)
    pair.fact(pair.reconciled(looked_up=True))
    assert [intent.attempt for intent in pair.waiting] == [2]


def test_an_order_that_rests_does_not_count_as_ended_by_a_snapshot_alone() -> None:
    """A look-up without the orders of the past that leaves out an order says nothing of what became of it."""
    pair = Pair({"max_age": "10m"})
    pair.order()
    pair.answer()
    order = pair.copy.order
    assert order is not None
    pair.now_us += SETTLE_US
    pair.fact(replace(_without_past(pair), orders=()))
    assert pair.copy.doubt
    assert not pair.copy.ended_order
    assert looks_due(pair.view, SETTLE_US).history is not None


def test_a_cancel_of_an_order_that_is_in_doubt_is_no_business_of_a_snapshot() -> None:
    """An order that was left out and still counts as resting tells nothing of its cancel."""
    pair = _asked("cancel")
    (order,) = pair.view.orders
    pair.now_us += SETTLE_US
    pair.fact(replace(_without_past(pair), orders=(), doubted_orders=(order,)))
    assert _outcomes(pair) == []
    due = looks_due(pair.view, SETTLE_US)
    assert (due.readback, due.history is None) == (None, False)
