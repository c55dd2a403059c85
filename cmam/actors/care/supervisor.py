"""Watches the actors: who fails is rebuilt from its record, who is stuck is found, said and replaced, one by one.

An account's truth is its stream, so a fresh actor that folds it is as good as the old one; what was in its inbox is
told again by its leader and found again by a reconcile, and a person's orders are handed on. It is tried again for as
long as it takes: one account's trouble never ends the others'. The operator, a limiter and a connection hold order that
nobody else knows: after their failure nothing is guessed, the process ends, and the next start settles all by the log.

Health is proof of progress: turns that are counted, not threads that exist.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cmam.actors import messages as m
from cmam.actors.care.poison import TRIES_MAX, content_of, name_of
from cmam.actors.status import StatusBoard
from cmam.actors.threads.runtime import Directory, Watched
from cmam.actors.threads.timer import Timer
from cmam.clock import MILLISECOND_US, SECOND_US, Clock
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ActorRestarted, ActorStuck, Health
from cmam.domain.folds.account import evolve
from cmam.domain.values.ids import AccountId

log = logging.getLogger(__name__)

BACK_OFF_FIRST_US = 50 * MILLISECOND_US
BACK_OFF_LAST_US = 60 * SECOND_US
WINDOW_US = 120 * SECOND_US
"""Failures further apart than this are not the same trouble: the pause begins at its shortest again."""
LOUD = 5
"""So many failures in a row, and `status` shows an alert until the account has been well for a while."""
LOOK_US = SECOND_US
LATE_US = 2 * SECOND_US
"""A look that comes later than this counts as this much: a machine that slept stalled everybody alike."""
STUCK_US = 5 * SECOND_US
"""So long without progress, though there is something to do, and it is said."""
REPLACE_US = 15 * SECOND_US
"""So long, and an account is replaced."""
FATAL_US = 30 * SECOND_US
"""So long, and the process ends where nobody can be put in the place of who is stuck."""
PATIENT = (m.RECORDER, m.KEEPER)
"""Those who wait for a disk or a server: they are never given up, what they hold waits with them."""


@dataclass(frozen=True, slots=True)
class Rebuild:
    """To the supervisor's own ear: the pause before a restart is over."""

    name: str


@dataclass(frozen=True, slots=True)
class Look:
    """To the supervisor's own ear: see who makes progress."""


FOLDED_AT_ONCE = 2_000
"""So many events of an account that starts again are folded in one turn: its log may have hundreds of thousands, and
what a person orders of others waits behind the turn, as does every look."""


@dataclass(frozen=True, slots=True)
class Folding:
    """To the supervisor's own ear: go on with an account that is to start again, from so many of its events on."""

    read: m.StreamRead
    view: AccountView
    done: int


@dataclass(slots=True)
class _Trouble:
    """What an account has gone through lately."""

    failed_us: list[int] = field(default_factory=list)
    tries: dict[str, int] = field(default_factory=dict)
    aside: dict[str, m.SetAside] = field(default_factory=dict)
    left: list[m.Record] = field(default_factory=list)
    is_down: bool = False


@dataclass(slots=True)
class _Progress:
    """What was seen of an actor at the last look: for how long it has waited, and for how long nothing has moved."""

    actor: Watched
    turns: int = 0
    progress: tuple[int, int] = (0, 0)
    waits_us: int = 0
    stalled_us: int = 0
    is_said: bool = False


StartAccount = Callable[[AccountView, Mapping[str, m.SetAside], int], None]
"""Starts an account's actor at a view, with the messages it must not take and the number of its life."""


class SupervisorActor(Watched):
    """Restarts and replaces accounts, and says when the system cannot go on."""

    def __init__(
        self,
        clock: Clock,
        timer: Timer,
        directory: Directory,
        status: StatusBoard,
        start_account: StartAccount,
        on_stopped: Callable[[str], None],
        on_fatal: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._name = m.SUPERVISOR
        self._clock = clock
        self._timer = timer
        self._directory = directory
        self._status = status
        self._start_account = start_account
        self._on_stopped = on_stopped
        self._on_fatal = on_fatal
        self._troubles: dict[str, _Trouble] = {}
        self._progress: dict[str, _Progress] = {}
        self._looked_us = 0
        self._is_behind = False
        self.looks = 0
        """How often it has looked: what the process itself watches."""

    def on_receive(self, message: Any) -> None:
        match message:
            case m.Failed():
                self._failed(message)
            case Rebuild():
                self._directory.tell(m.RECORDER, m.Read(message.name, m.SUPERVISOR, takes_over=True))
            case m.StreamRead():
                account = AccountId(int(message.stream.removeprefix("account:")))
                self._rebuild(Folding(message, AccountView(account=account), 0))
            case Folding():
                self._rebuild(message)
            case m.Begin() | Look():
                self._look()
            case m.Ordered():
                self._hand_on(message.name, message.order)
            case m.StreamRefused():
                self._on_fatal(message.why)
            case m.Stopped():
                self._on_stopped(message.name)
            case _:
                raise AssertionError(f"the supervisor cannot take {message!r}")

    # --- who fails ------------------------------------------------------------------------------------------------

    def _failed(self, message: m.Failed) -> None:
        log.error("! %s failed: %s", message.name, message.error)
        if not message.name.startswith("account:"):
            self._on_fatal(f"{message.name} failed: {message.error}")
            return
        self._status.lose(AccountId(int(message.name.removeprefix("account:"))), Health.DOWN, "cmam starts it again")
        trouble = self._note_failure(message.name)
        trouble.is_down = True
        left = [told for told in (message.message, *message.left) if isinstance(told, m.Record)]
        trouble.left[:0] = [told for told in left if all(told is not known for known in trouble.left)]
        self._weigh(trouble, message)
        self._restart_later(message.name, message.error, trouble)

    def _note_failure(self, name: str) -> _Trouble:
        now = self._clock.monotonic()
        trouble = self._troubles.setdefault(name, _Trouble())
        if trouble.failed_us and now - trouble.failed_us[-1] > WINDOW_US:
            trouble.failed_us.clear()
            trouble.tries.clear()
        trouble.failed_us.append(now)
        return trouble

    def _weigh(self, trouble: _Trouble, message: m.Failed) -> None:
        """Set a message aside on which the account has died often enough."""
        name = name_of(message.message)
        if not name:
            return
        trouble.tries[name] = trouble.tries.get(name, 0) + 1
        if trouble.tries[name] >= TRIES_MAX:
            tries = trouble.tries.pop(name)
            content = content_of(message.message)
            log.error("! %s failed on %s %d times: that message is set aside", name, message.name, tries)
            trouble.aside[name] = m.SetAside(name, content, message.error, tries)

    def _restart_later(self, name: str, why: str, trouble: _Trouble) -> None:
        times = len(trouble.failed_us)
        pause_us = min(BACK_OFF_FIRST_US << min(times - 1, 20), BACK_OFF_LAST_US)
        self._directory.tell(m.OPERATOR, ActorRestarted(name=name, error=why))
        if times >= LOUD:
            text = f"{name} fails again and again ({times} times): {why}. cmam starts it again at least once a minute."
            self._status.alarm(f"failing:{name}", f"{text} Meanwhile only the broker's stops look after its copies.")
        self._timer.after(pause_us, m.SUPERVISOR, Rebuild(name))

    def _rebuild(self, folding: Folding) -> None:
        """Fold what is stored and what waits, a part in each turn, and let a fresh actor go on from there."""
        message, view, done = folding.read, folding.view, folding.done + FOLDED_AT_ONCE
        for event, at_us in message.records[folding.done : done]:
            view = evolve(view, event, at_us)
        if done < len(message.records):
            self._directory.tell(self._name, Folding(message, view, done))
            return
        trouble = self._troubles.setdefault(message.stream, _Trouble())
        log.warning("= %s starts again at version %d", message.stream, view.version)
        self._start_account(view, dict(trouble.aside), message.life)
        left, trouble.left, trouble.is_down = trouble.left, [], False
        for order in left:
            self._hand_on(message.stream, order)

    def _hand_on(self, name: str, order: m.Record) -> None:
        """Tell an account what a person has ordered; one that is down or dies at this moment will be told as it is
        back: what is put into the inbox of an actor that has failed, or was replaced, nobody takes."""
        trouble = self._troubles.get(name)
        if trouble is None or not trouble.is_down:
            self._directory.tell(name, order)
            ref = self._directory.ref(name)
            if ref is None or not ref.actor_stopped.is_set():
                return
            trouble = self._troubles.setdefault(name, _Trouble())
        trouble.left.append(order)

    # --- who is stuck ---------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Count for how long each actor that has something to do has done nothing."""
        now = self._clock.monotonic()
        span_us = min(now - self._looked_us, LATE_US) if self._looked_us else 0
        self._looked_us = now
        waits_us = [0]
        for name in self._directory.names():
            actor = self._directory.actor(name)
            if actor is not None and actor is not self and not actor.is_retired:
                waits_us.append(self._see(name, actor, span_us))
        self._say_backlog(max(waits_us))
        self._calm_down(now)
        self._timer.after(LOOK_US, m.SUPERVISOR, Look())
        self.looks += 1

    def _see(self, name: str, actor: Watched, span_us: int) -> int:
        """Judge one actor; answers for how long it has waited behind others that get on."""
        seen = self._progress.get(name)
        if seen is None or seen.actor is not actor:
            if seen is not None and seen.is_said:
                self._goes_on(name)
            self._progress[name] = _Progress(actor, actor.turns, actor.progress)
            return 0
        progress, is_well = actor.progress, actor.is_idle or actor.actor_stopped.is_set()
        seen.waits_us = 0 if is_well or actor.turns != seen.turns else seen.waits_us + span_us
        seen.turns = actor.turns
        if is_well or progress != seen.progress:
            if seen.is_said:
                self._goes_on(name)
            seen.progress, seen.stalled_us, seen.is_said = progress, 0, False
            return seen.waits_us
        seen.stalled_us += span_us
        actor.make_way()
        if seen.stalled_us >= STUCK_US and not seen.is_said:
            seen.is_said = True
            self._say_stuck(name, actor, seen.stalled_us)
        if name.startswith("account:") and seen.stalled_us >= REPLACE_US:
            self._replace(name, actor, seen.stalled_us)
        elif name not in PATIENT and seen.stalled_us >= FATAL_US:
            self._on_fatal(f"{name} made no progress for {seen.stalled_us // SECOND_US} s, and nobody can replace it")
        return 0

    def _say_backlog(self, longest_us: int) -> None:
        """Say where there is more to do than is done: who waits behind others that get on is not stuck."""
        is_behind = longest_us >= STUCK_US
        if is_behind:
            text = (
                f"This machine has more to do than it can do at once: some has waited for {longest_us // SECOND_US} s. "
                "Closes, stops and leaders go first, the rest follows in turn."
            )
            self._status.alarm("behind", text)
        if is_behind and not self._is_behind:
            log.warning("= %s", text)
        elif self._is_behind and not is_behind:
            log.warning("= nothing waits any more")
            self._status.alarm("behind", "")
        self._is_behind = is_behind

    def _say_stuck(self, name: str, actor: Watched, stalled_us: int) -> None:
        doing = type(actor.doing).__name__ if actor.doing is not None else "nothing, though something waits"
        log.error("! %s makes no progress for %d s: it is at %s", name, stalled_us // SECOND_US, doing)
        self._status.alarm(f"stuck:{name}", _text(name, doing))
        stuck = ActorStuck(name=name, doing=doing, stalled_ms=stalled_us // MILLISECOND_US)
        self._directory.tell(m.OPERATOR, stuck)

    def _goes_on(self, name: str) -> None:
        log.warning("= %s goes on", name)
        self._status.alarm(f"stuck:{name}", "")

    def _replace(self, name: str, actor: Watched, stalled_us: int) -> None:
        """Let an account start again from its record; whatever its old self still does reaches nobody."""
        message, left = actor.culprit, actor.retire()
        error = f"stuck for {stalled_us // SECOND_US} s"
        self._progress.pop(name)
        self._goes_on(name)
        self._failed(m.Failed(name, error, message, left))

    def _calm_down(self, now: int) -> None:
        """Take back the alert of an account that has been well for a while."""
        for name, trouble in self._troubles.items():
            if trouble.failed_us and now - trouble.failed_us[-1] > WINDOW_US:
                trouble.failed_us.clear()
                trouble.tries.clear()
                self._status.alarm(f"failing:{name}", "")


def _text(name: str, doing: str) -> str:
    if name == m.RECORDER:
        return "The event store does not answer. Nothing is opened; whole closes and cancels still leave."
    if name == m.KEEPER:
        return "The token endpoint does not answer. No token is refreshed until it does."
    what = "cmam replaces it" if name.startswith("account:") else "cmam ends, and a new start settles everything"
    return f"{name} makes no progress (at {doing}). If that lasts, {what}."
