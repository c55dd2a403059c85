"""How a running system comes to its end: no new opens, what is committed leaves, and all of it within a fixed time.

Who stops comes before who serves it: accounts, limiters, connections, keeper and operator, the recorder last. Nobody is
waited for beyond his share of the time; what stays open at the brokers is said, since it stays there without us.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from cmam.actors import messages as m
from cmam.actors.recording.recorder import RecorderActor
from cmam.actors.status import StatusBoard
from cmam.actors.threads.runtime import Directory, Latch
from cmam.clock import MILLISECOND_US, SECOND_US, Clock
from cmam.domain.belief.copies import IntentState
from cmam.domain.belief.view import AccountView
from cmam.domain.events import SystemStopped
from cmam.domain.values.ids import AccountId, LinkId
from cmam.domain.values.quantities import Volume

log = logging.getLogger(__name__)

END_US = 3 * SECOND_US
"""How long the whole end of the actors may take; the process promises five seconds."""
GROUP_US = SECOND_US
"""How long one group of actors may take of it."""
SERVANTS_US = 500 * MILLISECOND_US
"""How much of it is kept for connections, operator and recorder, whatever the drain takes."""
RECORDER_US = 900 * MILLISECOND_US
"""What the recorder gets at the least."""
LOOK_US = 20 * MILLISECOND_US


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """A copy that stays at its broker; `position` and `order` are 0 where there is none. `is_ending`: it is to be
    closed, whatever becomes of its link."""

    account: AccountId
    symbol: str
    side: str
    volume: Volume
    position: int
    order: int
    has_stop: bool
    link: LinkId | None = None
    is_ending: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """What is to be said at the end. `under_way`: the kinds of the requests that have no outcome yet. `is_stuck`: the
    recorder did not come back, and the log is still in its hands."""

    left: tuple[LeftOpen, ...] = ()
    under_way: tuple[str, ...] = ()
    unrecorded: int = 0
    is_stuck: bool = False


class Ending:
    """One orderly end."""

    def __init__(
        self, directory: Directory, status: StatusBoard, clock: Clock, wait: Callable[[Latch, float], bool]
    ) -> None:
        self._directory = directory
        self._status = status
        self._clock = clock
        self._wait = wait
        self._stopped: dict[str, Latch] = {}
        self._ends_us = 0

    def note_stopped(self, name: str) -> None:
        """An actor has come to its end. Told in the supervisor's thread."""
        latch = self._stopped.get(name)
        if latch is not None:
            latch.open()

    def run(self, reason: str) -> Ended:
        """Bring all actors to their end; answers what is to be said of it."""
        self._ends_us = self._clock.monotonic() + END_US
        names = self._directory.names()
        limiters = [name for name in names if name.startswith("limiter:")]
        self._stop_all([name for name in names if name.startswith("account:")])
        self._stop_all(limiters)
        self._drain(limiters)
        self._stop_all([name for name in names if name.startswith("connection:")])
        left = left_open(self._status)
        bare = sum(not one.has_stop for one in left if one.position)
        self._directory.tell(m.OPERATOR, SystemStopped(reason=reason, left_open=len(left), without_stop=bare))
        self._stop_all([m.KEEPER, m.OPERATOR])
        self._flush()
        is_stuck = not self._stop_all([m.RECORDER], at_least_us=RECORDER_US)
        recorder = self._recorder()
        return Ended(left, under_way(self._status), recorder.unrecorded if recorder is not None else 0, is_stuck)

    def _recorder(self) -> RecorderActor | None:
        actor = self._directory.actor(m.RECORDER)
        return actor if isinstance(actor, RecorderActor) else None

    def _is_busy(self, name: str) -> bool:
        actor = self._directory.actor(name)
        return actor is not None and not actor.is_idle and not actor.actor_stopped.is_set()

    def _left_us(self) -> int:
        return max(0, self._ends_us - self._clock.monotonic())

    def _stop_all(self, names: list[str], *, at_least_us: int = LOOK_US) -> bool:
        """Stop a group, and wait for all of it together; whether everybody came to his end."""
        for name in names:
            self._stopped[name] = Latch()
            if not self._directory.tell(name, m.Stop()):
                self._stopped[name].open()
        ends_us = self._clock.monotonic() + max(at_least_us, min(GROUP_US, self._left_us()))
        late = [name for name in names if not self._waited(name, ends_us)]
        for name in late:
            log.warning("! %s did not come to its end in time", name)
        return not late

    def _waited(self, name: str, ends_us: int) -> bool:
        return self._wait(self._stopped[name], max(0, ends_us - self._clock.monotonic()) / SECOND_US)

    def _drain(self, limiters: list[str]) -> None:
        """Let what is committed leave, as far as the time allows; the rest is settled by the next start."""
        patience = Latch()
        way = (m.RECORDER, *limiters)  # the way of a request: whoever is at rest has handed on what those before had
        while self._left_us() > SERVANTS_US:
            is_busy = any(self._is_busy(name) for name in way)
            waits = any(self._status.read(name).get("waiting") for name in limiters)
            if not is_busy and not (waits and self._has_unsent()):
                return
            self._wait(patience, LOOK_US / SECOND_US)
        log.warning("! not everything that was committed has left; the next start settles it")

    def _has_unsent(self) -> bool:
        """Whether a request is recorded and has not left; for questions nobody waits any more."""
        views = self._status.views().values()
        return any(intent.state is IntentState.RECORDED for view in views for intent in view.intents.values())

    def _flush(self) -> None:
        """Let a store that takes nothing be tried again for as long as there is time."""
        recorder, patience = self._recorder(), Latch()
        while recorder is not None and not (recorder.is_idle and not recorder.unrecorded):
            if not self._left_us():
                return
            if recorder.is_idle:
                self._directory.tell(m.RECORDER, m.Flush())
            self._wait(patience, LOOK_US / SECOND_US)


def left_open(status: StatusBoard) -> tuple[LeftOpen, ...]:
    """The copies that are at their brokers by what was believed last, with those that no stop protects there."""
    return tuple(one for _, view in sorted(status.views().items()) for one in _left_of(view))


def under_way(status: StatusBoard) -> tuple[str, ...]:
    """The kinds of the requests that have no outcome by what was believed last: a broker may have done them."""
    views = (view for _, view in sorted(status.views().items()))
    return tuple(intent.command.kind.value for view in views for intent in view.intents.values())


def _left_of(view: AccountView) -> list[LeftOpen]:
    found = []
    for copy in view.copies.values():
        position = view.positions.get(copy.position) if copy.position is not None else None
        order = view.orders.get(copy.order) if copy.order is not None else None
        if position is None and order is None:
            continue
        found.append(
            LeftOpen(
                account=view.account,
                symbol=copy.leader_symbol,
                side=copy.side.value,
                volume=copy.volume if position is not None else order.volume if order is not None else Volume(0),
                position=position.position if position is not None else 0,
                order=order.order if position is None and order is not None else 0,
                has_stop=position is None or position.stop is not None,
                link=copy.link,
                is_ending=not copy.is_wanted,
            )
        )
    return found
