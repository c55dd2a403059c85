"""A second whole system beside the first on one broker, under one seeded scheduler: another process, or machine."""

from __future__ import annotations

from typing import Any

from cmam.actors.threads.runtime import Directory
from cmam.system import Machinery, System
from tests.whole import FaultyLog, Whole

SECOND_OWNER = "second/"


class Aside(Directory):
    """The names of the second owner's actors, kept apart from the first one's in the scheduler's directory."""

    def __init__(self, whole: Whole) -> None:
        super().__init__()
        self._shared = whole.stepper.directory

    def register(self, name: str, ref: Any) -> None:
        super().register(name, ref)
        self._shared.register(SECOND_OWNER + name, ref)


class AsideTimer:
    """Reminders of the second owner."""

    def __init__(self, whole: Whole) -> None:
        self._whole = whole

    def start(self) -> None:
        """The scheduler keeps time already."""

    def stop(self) -> None:
        """Keep no more time."""

    def after(self, span_us: int, name: str, message: object) -> None:
        self._whole.stepper.after(span_us, SECOND_OWNER + name, message)


def second(whole: Whole, log: FaultyLog) -> System:
    """Another system with the same secrets: on the same store, as if the lock had been bypassed, or on a copy."""
    stepper = whole.stepper
    machinery = Machinery(
        stepper.clock,
        Aside(whole),
        stepper,
        AsideTimer(whole),
        lambda name, *wanted: stepper.network.reader(SECOND_OWNER + name, *wanted),
        stepper.random.random,
        lambda _: whole.provider,
        wait=stepper.wait,
    )
    system = System(whole.settings, log, whole.secrets, machinery)
    system.start()
    return system
