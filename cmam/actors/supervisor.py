"""Watches the actors: an account that fails is rebuilt from its record, anything else ends the system loudly.

An account's truth is its stream, so a fresh actor that folds it is as good as the old one; what was in its inbox
is told again by its leader and found again by a reconcile. The recorder, the operator and the limiter hold order that
nobody else knows: after their failure nothing is guessed, the process ends, and the next start settles all by the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pykka

from cmam.actors import messages as m
from cmam.actors.runtime import Directory
from cmam.actors.timer import Timer
from cmam.clock import MILLISECOND_US, SECOND_US, Clock
from cmam.domain.account import AccountView, evolve
from cmam.domain.events import ActorRestarted
from cmam.domain.ids import AccountId

log = logging.getLogger(__name__)

BACK_OFF_FIRST_US = 50 * MILLISECOND_US
RESTARTS_MAX = 5
RESTARTS_WINDOW_US = 60 * SECOND_US


@dataclass(frozen=True, slots=True)
class Rebuild:
    """To the supervisor's own ear: the pause before a restart is over."""

    name: str


class SupervisorActor(pykka.Actor):
    """Restarts accounts, and says when the system cannot go on."""

    def __init__(
        self,
        clock: Clock,
        timer: Timer,
        directory: Directory,
        start_account: Callable[[AccountView], None],
        on_stopped: Callable[[str], None],
        on_fatal: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._clock = clock
        self._timer = timer
        self._directory = directory
        self._start_account = start_account
        self._on_stopped = on_stopped
        self._on_fatal = on_fatal
        self._failures: dict[str, list[int]] = {}

    def on_receive(self, message: Any) -> None:
        match message:
            case m.Failed():
                self._failed(message)
            case Rebuild():
                self._directory.tell(m.RECORDER, m.Read(message.name, m.SUPERVISOR))
            case m.StreamRead():
                self._rebuild(message)
            case m.StreamRefused():
                self._on_fatal(message.why)
            case m.Stopped():
                self._on_stopped(message.name)
            case _:
                raise AssertionError(f"the supervisor cannot take {message!r}")

    def _failed(self, message: m.Failed) -> None:
        now = self._clock.monotonic()
        recent = [moment for moment in self._failures.get(message.name, []) if now - moment < RESTARTS_WINDOW_US]
        self._failures[message.name] = [*recent, now]
        log.error("! %s failed: %s", message.name, message.error)
        if not message.name.startswith("account:"):
            self._on_fatal(f"{message.name} failed: {message.error}")
            return
        if len(recent) >= RESTARTS_MAX:
            self._directory.forget(message.name)
            self._on_fatal(f"{message.name} failed {RESTARTS_MAX + 1} times within a minute: {message.error}")
            return
        self._directory.tell(m.OPERATOR, ActorRestarted(name=message.name, error=message.error))
        self._timer.after(BACK_OFF_FIRST_US << len(recent), m.SUPERVISOR, Rebuild(message.name))

    def _rebuild(self, message: m.StreamRead) -> None:
        """Fold what is stored and what waits, and let a fresh actor go on from there."""
        view = AccountView(account=AccountId(int(message.stream.removeprefix("account:"))))
        for event, at_us in message.records:
            view = evolve(view, event, at_us)
        log.warning("= %s starts again at version %d", message.stream, view.version)
        self._start_account(view)
