"""Orders that are accepted first and rejected then: as those that are refused at once, by their code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import ExecutionSeen, IntentSettled, Outcome
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.opens import REJECTED_AS_REFUSED
from cmam.domain.values.rules.resting import RESTS_REJECTED
from cmam.domain.values.trades import ExecutionKind, OrderStatus
from tests.factories import LOT, Pair

HALF = LOT // 2
SECOND_US = 1_000_000


def _rejects(pair: Pair, code: str, *, part: int = 0) -> ExecutionSeen:
    """The broker accepts what was asked for, fills so much of it, and rejects the rest; gives the last event."""
    intent, held = pair.waiting[0], dict(pair.held)
    events = [event for event in pair.events_of(intent, part=part or None) if isinstance(event, ExecutionSeen)]
    pair.send()
    pair.lose()
    accepted, filled = events[0], events[1]
    assert accepted.order is not None
    assert filled.order is not None
    pair.fact(accepted)
    if part:
        resting = replace(filled.order, status=OrderStatus.ACCEPTED)
        pair.fact(replace(filled, kind=ExecutionKind.ORDER_PARTIAL_FILL, order=resting))
    else:
        pair.held = held
    left = filled.order if part else accepted.order
    rejected = replace(
        filled if part else accepted,
        kind=ExecutionKind.ORDER_REJECTED,
        order=replace(left, status=OrderStatus.REJECTED),
        deal=None,
        error_code=code,
    )
    pair.fact(rejected)
    return rejected


def _by(rules: int) -> Pair:
    pair = Pair()
    pair.view = replace(pair.view, rules=rules)
    return pair


def _asked(pair: Pair) -> list[str]:
    return [command.kind.value for command in pair.commands]


@pytest.mark.parametrize(("rules", "asked"), [(RULES, ["open", "open"]), (REJECTED_AS_REFUSED - 1, ["open"])])
def test_an_open_that_is_rejected_for_now_is_tried_again_while_it_is_young(rules: int, asked: list[str]) -> None:
    """Its copy was over for good, where the same code beside a refusal is waited out."""
    pair = _by(rules)
    pair.opens()
    _rejects(pair, "NO_QUOTES")
    pair.passes(SECOND_US)
    assert _asked(pair) == asked
    pair.answer()
    assert pair.copy.volume == (LOT if rules == RULES else 0)


@pytest.mark.parametrize("code", ["NOT_ENOUGH_MONEY", "TIMEOUT_ERROR", "NEVER_SEEN", ""])
def test_an_open_that_is_rejected_for_good_is_over(code: str) -> None:
    """And so it is where nobody knows the code, or where there is none."""
    pair = Pair()
    pair.opens()
    _rejects(pair, code)
    pair.passes(SECOND_US)
    assert (_asked(pair), pair.copy.reason) == (["open"], Reason.REFUSED)


def test_an_open_that_is_rejected_for_its_numbers_is_corrected_once() -> None:
    """As one that is refused for them."""
    pair = Pair()
    pair.opens()
    for _ in range(2):
        _rejects(pair, "TRADING_BAD_STOPS")
        pair.passes(SECOND_US)
    assert (_asked(pair), pair.copy.reason) == (["open", "open"], Reason.REFUSED)


def test_an_open_that_is_rejected_for_long_grows_too_old() -> None:
    """It is asked for once a second at most, and no longer than it may be old."""
    pair = Pair()
    pair.opens()
    young_until_us = pair.waiting[0].not_after_us
    while pair.waiting:
        _rejects(pair, "NO_QUOTES")
        pair.passes(SECOND_US)
    assert pair.now_us <= young_until_us + SECOND_US
    assert (pair.copy.reason, len(pair.sent) > 1) == (Reason.REFUSED, True)


def test_a_market_range_that_is_rejected_has_slipped() -> None:
    """Whatever its code: the price is what it was to keep."""
    pair = Pair({"max_slippage": "5"})
    pair.opens()
    _rejects(pair, "NO_QUOTES")
    pair.passes(SECOND_US)
    assert (_asked(pair), pair.copy.reason) == (["open"], Reason.SLIPPAGE)


def test_an_add_that_is_rejected_for_now_is_tried_again() -> None:
    """What a leader has added was missing from the copy for good."""
    pair = Pair()
    pair.opens()
    pair.answer()
    pair.grows(LOT, 2 * LOT)
    _rejects(pair, "MARKET_CLOSED")
    pair.passes(SECOND_US)
    pair.answer()
    assert (_asked(pair), pair.copy.volume) == (["open", "add", "add"], 2 * LOT)


@pytest.mark.parametrize(("rules", "asked"), [(RULES, ["open", "add"]), (REJECTED_AS_REFUSED - 1, ["open"])])
def test_the_rest_of_an_open_that_is_rejected_is_a_remainder(rules: int, asked: list[str]) -> None:
    """Half of it has filled: that is no refused open, and what is missing is asked for as after a cancelled rest."""
    pair = _by(rules)
    pair.opens()
    _rejects(pair, "NO_QUOTES", part=HALF)
    outcomes = [event.outcome for event, _ in pair.said if isinstance(event, IntentSettled)]
    assert outcomes == [Outcome.CONFIRMED if rules == RULES else Outcome.REFUSED]
    assert pair.copy.volume == HALF
    pair.passes(SECOND_US)
    assert _asked(pair) == asked
    assert sum(pair.view.refused_opens.values()) == (0 if rules == RULES else 1)


def test_a_close_that_is_rejected_is_never_given_up() -> None:
    """By whatever code."""
    pair = Pair()
    pair.opens()
    pair.answer()
    pair.closes()
    _rejects(pair, "NEVER_SEEN")
    assert pair.copy.trouble == f"{CommandKind.CLOSE.value}: NEVER_SEEN"
    pair.passes(2 * SECOND_US)
    pair.answer()
    assert (_asked(pair), pair.copy.volume) == (["open", "close", "close"], Volume(0))


def test_a_rejection_that_is_told_twice_hurries_nothing() -> None:
    """A server may tell all twice: the next try waits its second all the same."""
    pair = Pair()
    pair.opens()
    again = _rejects(pair, "NO_QUOTES")
    pair.fact(again)
    pair.passes(SECOND_US // 2)
    assert _asked(pair) == ["open"]
    pair.passes(SECOND_US // 2)
    assert _asked(pair) == ["open", "open"]


@pytest.mark.parametrize("is_unseen", [False, True])
@pytest.mark.parametrize("rules", [RULES, RESTS_REJECTED - 1])
def test_a_copied_order_that_its_broker_rejects_is_nobodys_hand(rules: int, *, is_unseen: bool) -> None:
    """It rested, and is rejected as it would fill, for want of money: the leader's fill is an open like any other, as
    where it was refused at once. It counted as taken away by a person, and the leader's trade was not copied."""
    pair = _by(rules)
    pair.order()
    pair.answer()
    (number,) = pair.resting
    (ended,) = pair.order_ends(number, OrderStatus.REJECTED)
    assert isinstance(ended, ExecutionSeen)
    assert ended.order is not None
    rejected = replace(ended, kind=ExecutionKind.ORDER_REJECTED, error_code="NOT_ENOUGH_MONEY")
    pair.fact(pair.reconciled(past_orders=(ended.order,)) if is_unseen else rejected)
    assert pair.copy.reason is (Reason.REFUSED if rules == RULES else Reason.CLOSED_BY_HUMAN)
    pair.order_fills()
    assert _asked(pair) == (["place", "open"] if rules == RULES else ["place"])


def test_a_copied_order_that_is_taken_away_stays_a_persons_end() -> None:
    """What is cancelled and not rejected is somebody's word as before: his leader's fill is not copied."""
    pair = Pair()
    pair.order()
    pair.answer()
    (number,) = pair.resting
    pair.hears(pair.order_ends(number, OrderStatus.CANCELLED))
    assert pair.copy.reason is Reason.CLOSED_BY_HUMAN
    pair.order_fills()
    assert _asked(pair) == ["place"]
