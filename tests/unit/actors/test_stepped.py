"""The scheduler that runs the actors of tests turn by turn: what it does not let pass."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.actors.threads.runtime import Watched
from cmam.sandbox.service.broker import Broker
from cmam.sandbox.serving.world_file import default_world
from tests.stepped import WAKES_MAX, Stepper


class _Restless(Watched):
    """Has itself reminded of the same again and again, after so long."""

    def __init__(self, stepper: Stepper, span_us: int) -> None:
        super().__init__()
        self._name, self._directory = "restless", stepper.directory
        self._stepper = stepper
        self._span_us = span_us

    def on_receive(self, message: Any) -> None:
        self._stepper.after(self._span_us, self._name, message)


def _run(span_us: int) -> Stepper:
    """Three seconds of an actor that is reminded after each such span."""
    stepper = Stepper(seed=1)
    stepper.network.broker = Broker(default_world(), now_us=stepper.clock.now())
    stepper.directory.register("restless", stepper.start(_Restless, stepper, span_us))
    stepper.directory.tell("restless", "again")
    stepper.run(3_000_000)
    return stepper


def test_who_is_woken_for_nothing_without_end_is_named() -> None:
    """A thousand times a second for hours of virtual time: it looked like a test that never ends."""
    with pytest.raises(
        AssertionError, match="restless was reminded 501 times within a second, the last time by 'again'"
    ):
        _run(1_000)


def test_who_is_woken_often_is_let_alone() -> None:
    """As often as that, second after second, is allowed."""
    assert _run(1_000_000 // WAKES_MAX).turns > 2 * WAKES_MAX
