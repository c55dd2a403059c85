"""A clock that was set while cmam ran is told, until it is caught up with or a new start takes it."""

from __future__ import annotations

import pytest

from cmam.actors.care.set_clock import FAR_US, LOOK_US, SetClockWatch, in_words
from cmam.clock import SECOND_US, SystemClock

MINUTE_US = 60 * SECOND_US


class Machine(SystemClock):
    """A machine whose wall clock is set, and what `status` shows of it."""

    def __init__(self) -> None:
        self.steady_us = 5 * MINUTE_US
        self.off_us = 1_700_000_000 * SECOND_US
        super().__init__(lambda: self.steady_us + self.off_us, lambda: self.steady_us)
        self.shown: dict[str, str] = {}
        self.watch = SetClockWatch(self)

    def monotonic(self) -> int:
        return self.steady_us

    def passes(self, span_us: int) -> str:
        """Time passes, with a look at the end of each ten seconds; answers what is shown then."""
        for _ in range(span_us // LOOK_US):
            self.steady_us += LOOK_US
            self.watch.look(self.shown.__setitem__)
        return self.shown.get("clock", "")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_clock_that_was_set_is_told_until_it_is_caught_up_with(sign: int, caplog: pytest.LogCaptureFixture) -> None:
    """By eight hours, as where a machine wakes up: for the better part of three days, with a line at either end."""
    machine = Machine()
    assert machine.passes(MINUTE_US) == ""
    machine.off_us += sign * 8 * 60 * MINUTE_US
    text = machine.passes(MINUTE_US)
    assert f"was set {'forward' if sign > 0 else 'back'} while cmam ran" in text
    assert "7 h 59 min apart, and meet in 3 days" in text
    assert "start it again" in text
    assert machine.passes(78 * 60 * MINUTE_US) != ""
    assert machine.passes(2 * 60 * MINUTE_US) == ""
    assert [record.getMessage()[:2] for record in caplog.records] == ["! ", "= "]


def test_a_clock_that_is_kept_right_is_no_matter() -> None:
    """Seconds, as after a sleep or a leap second, are made up for before anybody could do anything."""
    machine = Machine()
    for jump in (-SECOND_US, 30 * SECOND_US, FAR_US // 2):
        machine.off_us += jump
        assert machine.passes(10 * MINUTE_US) == ""


def test_spans_are_said_as_people_say_them() -> None:
    """A machine that began in 1970, and one that is minutes off."""
    assert "20454 days apart, and meet in 204540 days" in in_words(20_454 * 24 * 60 * MINUTE_US)
    assert " 6 min apart, and meet in 1 h 0 min" in in_words(6 * MINUTE_US)
