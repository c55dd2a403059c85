"""What was traded while nothing ran, decided at a start whose first quotes come late."""

from __future__ import annotations

import pytest

from cmam.domain.events import AttemptDecided, ChangeDecided, Wait
from cmam.domain.values.reasons import Reason
from cmam.store.past.replay import verify
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000


def _missed_an_open(seed: int, late_us: int) -> Whole:
    whole = Whole(seed=seed)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    whole.kill()
    whole.person.buy(2 * LOT, relativeStopLoss=4_000)
    whole.run(1)
    whole.stepper.network.spots_late_us = late_us
    whole.start_ready()
    return whole


@pytest.mark.parametrize("seed", range(5))
def test_an_open_waits_for_the_first_quotes_of_a_feed(seed: int) -> None:
    """What the leader opened while cmam was down is copied although the quotes come a second after the reconcile."""
    whole = _missed_an_open(seed, 1_000_000)
    whole.run(4)
    assert len(whole.person.holds(SAME_BROKER)) == 2
    waited = [event for event in whole.events(SAME_BROKER, ChangeDecided) if event.wait is Wait.QUOTES]
    assert len(waited) == 1
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_an_open_whose_quotes_never_come_is_a_skip_that_says_so() -> None:
    """After three seconds without a quote the open ends as stale_input, and nothing is sent."""
    whole = _missed_an_open(1, 3_600_000_000)
    whole.run(8)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    [ended] = [event for event in whole.events(SAME_BROKER, AttemptDecided) if event.wait is Wait.QUOTES]
    assert ended.reason is Reason.STALE_INPUT
    assert verify(whole.log.read_all()).is_identical


def test_a_close_does_not_wait_for_the_quotes_that_an_open_waits_for() -> None:
    """While one source's open waits for quotes, another source's close goes out at once."""
    whole = Whole(seed=4)
    whole.start_ready()
    first = whole.person.buy(LOT)
    whole.run(2)
    whole.kill()
    whole.person.buy(2 * LOT)
    whole.person.close(first, LOT)
    whole.run(1)
    whole.stepper.network.spots_late_us = 2_000_000
    whole.start_ready()
    whole.run(0.2)
    assert whole.person.holds(SAME_BROKER) == []
    whole.run(3)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [2 * LOT]
