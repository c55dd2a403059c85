"""The clock that is handed down: nobody who sets the machine's clock changes what a span is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cmam.clock import SECOND_US, SystemClock

HOUR_US = 3_600 * SECOND_US


class Machine:
    """A machine whose wall clock is set now and then."""

    def __init__(self) -> None:
        self.steady_us = 5 * HOUR_US
        self.off_us = 1_700_000_000 * SECOND_US
        self.clock = SystemClock(lambda: self.steady_us + self.off_us, lambda: self.steady_us)

    def passes(self, span_us: int) -> int:
        """Let time pass; answers what the clock says passed."""
        before = self.clock.now()
        self.steady_us += span_us
        return self.clock.now() - before


@given(
    st.lists(
        st.tuples(st.integers(-48 * HOUR_US, 48 * HOUR_US), st.integers(0, 20 * SECOND_US)), min_size=1, max_size=20
    )
)
def test_a_span_is_a_span_whatever_the_wall_clock_does(moves: list[tuple[int, int]]) -> None:
    """Set forward or back by days, between any two looks: time goes on, at nine to eleven tenths of its pace."""
    machine = Machine()
    for jump, span in moves:
        machine.off_us += jump
        passed = machine.passes(span)
        assert 9 * span // 10 - 1 <= passed <= 11 * span // 10 + 1


def test_a_clock_that_was_set_is_caught_up_with() -> None:
    """After ten times the difference the clock says what the wall says, and stays with it."""
    machine = Machine()
    machine.off_us -= 30 * SECOND_US
    for _ in range(301):
        machine.passes(SECOND_US)
    assert machine.clock.now() == machine.steady_us + machine.off_us
    machine.passes(HOUR_US)
    assert machine.clock.now() == machine.steady_us + machine.off_us


def test_a_clock_that_is_kept_right_is_followed_at_once() -> None:
    """The small corrections of a time service are within the tenth."""
    machine = Machine()
    for _ in range(20):
        machine.off_us += 400  # 400 us a second
        machine.passes(SECOND_US)
        assert abs(machine.clock.now() - machine.steady_us - machine.off_us) <= 400


def test_hours_of_agreement_give_no_credit_for_a_jump() -> None:
    """What is made up for after a jump counts from the last look, not from the last difference."""
    machine = Machine()
    for _ in range(3_600):
        machine.passes(SECOND_US)
    machine.off_us += HOUR_US
    assert machine.passes(10 * SECOND_US) <= 11 * SECOND_US


def test_a_sleep_of_the_machine_is_a_span() -> None:
    """After an hour asleep an hour has passed by both readings: else a line that is long dead would look alive for a
    minute more, and an open that waited to leave would leave."""
    machine = Machine()
    before = machine.clock.monotonic()
    assert machine.passes(HOUR_US) >= 9 * HOUR_US // 10
    assert machine.clock.monotonic() - before == HOUR_US
