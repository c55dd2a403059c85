"""A process that starts with an earlier clock than the last one had: spans stay spans."""

from __future__ import annotations

from cmam.domain.events import AlertHealed
from cmam.domain.folds.account import evolve
from cmam.domain.turns.timing import lookup_due
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.reasons import Reason
from tests.factories import Pair

HOUR_US = 3_600_000_000


def test_what_was_to_be_asked_in_a_second_is_not_asked_in_an_hour() -> None:
    """A refused open waits for its second try; the clock is an hour behind at the next start: still a second."""
    pair = Pair()
    pair.opens()
    pair.refuse("MARKET_CLOSED", temporary=True)
    pair.now_us -= HOUR_US
    pair.fact(AlertHealed(kind="test"))
    assert len(pair.sent) == 1
    pair.passes(1_000_000)
    assert len(pair.sent) == 2


def test_an_unknown_outcome_is_looked_up_when_it_would_have_been() -> None:
    """The settling time of an unknown outcome goes on where it was."""
    pair = Pair({"max_age": "10m"})
    pair.opens()
    pair.send()
    pair.lose()
    pair.passes(10_000_000)
    due = lookup_due(pair.view)
    assert due is not None
    early = evolve(pair.view, AlertHealed(kind="test"), pair.now_us - HOUR_US)
    assert lookup_due(early) == due - HOUR_US


def test_two_threads_that_read_the_clock_in_another_order_move_nothing() -> None:
    """A record some milliseconds older than the one before it is no clock that was set."""
    pair = Pair()
    pair.opens()
    pair.refuse("MARKET_CLOSED", temporary=True)
    after = evolve(pair.view, AlertHealed(kind="test"), pair.now_us - 900_000)
    assert after.copies == pair.view.copies


def test_a_stop_that_the_market_has_passed_closes_a_copy_of_an_earlier_life() -> None:
    """The copy filled at a moment that is yet to come by the clock of this life: its quotes are no older for that."""
    pair = Pair()
    pair.opens()
    pair.answer(at="1.10000")
    pair.now_us -= HOUR_US
    pair.fact(AlertHealed(kind="test"))
    pair.protects(stop="1.0999")
    pair.quotes["EURUSD"] = ("1.09980", "1.09982")
    pair.refuse("TRADING_BAD_STOPS")
    pair.wake()
    assert (pair.commands[-1].kind, pair.commands[-1].whole) == (CommandKind.CLOSE, True)
    pair.answer()
    assert pair.copy.reason is Reason.LEVEL_PASSED
