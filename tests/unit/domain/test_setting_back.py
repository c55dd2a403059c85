"""A process that starts with an earlier clock than the last one had: spans stay spans."""

from __future__ import annotations

import pytest

from cmam.domain.events import AlertHealed, GuardDayBegan, GuardTripped, PositionResult, ResultsSeen, RulesBegan
from cmam.domain.folds.account import evolve
from cmam.domain.market.equity import told_equity
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.guards import RESULTS_OF_ONE_CLOCK
from cmam.domain.values.rules.newest import RULES
from tests.factories import LINK, Pair, lookup_due

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


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


def test_a_pause_after_rejections_lasts_no_longer_than_it_was_to() -> None:
    """Ten minutes of no opens are ten minutes, whatever the clock says at the next start."""
    pair = Pair()
    until_us = pair.now_us + HOUR_US // 6
    pair.fact(GuardTripped(link=LINK, guard="rejections", reaction="open_only_off", until_us=until_us))
    pair.now_us -= 5 * HOUR_US
    pair.fact(AlertHealed(kind="test"))
    pair.passes(HOUR_US // 6 - 1)
    assert pair.view.latches
    pair.passes(1)
    assert not pair.view.latches


def test_a_lock_of_a_day_that_was_far_ahead_ends_with_the_day_in_its_place() -> None:
    """Tripped with the clock two hundred days ahead; today begins once it is right, and the lock ends with today."""
    pair = Pair()
    today_us, ahead_us = pair.now_us, pair.now_us + 200 * DAY_US
    pair.now_us = ahead_us
    pair.fact(GuardTripped(link=LINK, guard="daily_loss", reaction="close_only", until_us=ahead_us + HOUR_US))
    pair.fact(GuardTripped(link=LINK, guard="min_equity", reaction="close_only"))
    pair.now_us = today_us
    began = GuardDayBegan(
        link=LINK, began_us=today_us, next_us=today_us + DAY_US, balance=1, equity=1, anchor=1, initial=1, peak=None
    )
    pair.fact(began)
    pair.passes(DAY_US - 1)
    assert {guard for _, guard in pair.view.latches} == {"daily_loss", "min_equity"}
    pair.passes(1)
    assert {guard for _, guard in pair.view.latches} == {"min_equity"}


@pytest.mark.parametrize(("rules", "is_known"), [(RULES, False), (RESULTS_OF_ONE_CLOCK - 1, True)])
def test_results_of_an_earlier_life_are_not_those_of_now(rules: int, *, is_known: bool) -> None:
    """The broker's results were told an hour from now, by the clock of this life: nothing is known of what is held."""
    pair = Pair()
    pair.fact(RulesBegan(rules=rules))
    pair.opens()
    pair.answer()
    (held,) = pair.held
    pair.fact(ResultsSeen(results=(PositionResult(position=held, net=-5_000),)))
    assert told_equity(pair.view, pair.now_us, 10_000) is not None
    pair.now_us -= HOUR_US
    pair.fact(AlertHealed(kind="test"))
    assert (told_equity(pair.view, pair.now_us, 10_000) is not None) is is_known
