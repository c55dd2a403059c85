"""What was heard so close to a snapshot that it may be missing in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from cmam.actors.accounts.just_heard import QUIET_US, RESTLESS_MAX, JustHeard
from cmam.domain.events import ExecutionSeen
from cmam.domain.values.trades import ExecutionKind

FILLED = ExecutionSeen(kind=ExecutionKind.ORDER_FILLED)


@dataclass
class _Clock:
    """Time that passes when a test says so."""

    at_us: int = 10_000_000

    def monotonic(self) -> int:
        """Microseconds that only grow."""
        return self.at_us

    def now(self) -> int:
        """The same by the wall."""
        return self.at_us


@dataclass
class _Account:
    """An account of whose desk only the clock and the view are asked."""

    clock: _Clock = field(default_factory=_Clock)

    def heard(self) -> JustHeard:
        """What it has heard: nothing yet."""
        desk: Any = SimpleNamespace(ports=SimpleNamespace(clock=self.clock), view=SimpleNamespace(dealt_us=0))
        return JustHeard(desk)


def test_a_snapshot_counts_that_was_asked_for_in_quiet() -> None:
    """What was executed longer ago than a snapshot may be behind is in it."""
    account = _Account()
    heard = account.heard()
    heard.executed(FILLED)
    account.clock.at_us += QUIET_US
    heard.asked()
    assert not heard.was_quiet
    account.clock.at_us += 1
    heard.asked()
    assert heard.is_quiet
    assert heard.was_quiet
    assert not heard.asks_again()


def test_a_snapshot_of_before_an_execution_is_asked_for_again_and_not_for_ever() -> None:
    """What came just before the question or while it was on its way may be missing in it: what a leader had closed was
    opened once more. Where something is executed all the time, one moment is as good as any."""
    account = _Account()
    heard = account.heard()
    for _ in range(2):
        for _ in range(RESTLESS_MAX):
            heard.asked()
            account.clock.at_us += 1
            heard.executed(FILLED)
            assert heard.asks_again()
        heard.asked()
        heard.executed(FILLED)
        assert not heard.asks_again()
    assert not heard.was_quiet


def test_quiet_before_one_answer_is_no_patience_with_the_next() -> None:
    """A snapshot that counted begins the tries anew."""
    account = _Account()
    heard = account.heard()
    heard.executed(FILLED)
    heard.asked()
    assert heard.asks_again()
    account.clock.at_us += QUIET_US + 1
    heard.asked()
    assert not heard.asks_again()
    heard.executed(FILLED)
    assert [heard.asks_again() for _ in range(RESTLESS_MAX + 1)] == [True] * RESTLESS_MAX + [False]
