"""The one timer, on its thread."""

from __future__ import annotations

import pytest

from cmam.actors.threads.runtime import Directory
from cmam.actors.threads.timer import ThreadTimer
from cmam.clock import ManualClock
from tests.shortages import no_threads


def test_a_timer_that_found_no_thread_can_be_stopped() -> None:
    """A start that fails so ends in order, and says what was missing instead of what it could not wait for."""
    timer = ThreadTimer(ManualClock(), Directory())
    with no_threads(), pytest.raises(RuntimeError, match="can't start new thread"):
        timer.start()
    timer.stop()
