"""How actors come to life: with a thread each, many to a thread, or turn by turn under a scheduler.

Actors are written against `pykka.Actor`; a runtime joins them with what makes them run. The directory holds the names
that outlive an actor: a message to one that is down is a dead letter, never an exception in the sender.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import pykka
import pykka.messages
from pykka._envelope import Envelope

from cmam.actors.threads.carrier import CarriedInbox, Carrier, PatientInbox, carried

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.0005
"""How long a busy thread may keep the interpreter. At Python's default of 5 ms a hop beside one busy thread was
measured at 4 ms; at this one, below 1 ms."""
STACK_BYTES = 512 * 1024
COLLECT = (10_000, 20, 1_000)
"""When garbage in cycles is looked for. Hardly any arises here, and a look at everything stops all threads: 30 to 90 ms
with 46 accounts, three times in half a minute at Python's defaults (measured with `gc.callbacks`)."""
SUPERVISOR = "supervisor"
_STOP = pykka.messages._ActorStop


class Runtime(Protocol):
    """What starts actors."""

    def start(self, actor: Any, /, *args: Any, carrier: str = "") -> pykka.ActorRef[Any]:
        """Bring an actor of this class to life; those of one carrier share a thread."""
        ...


_threaded: dict[type[pykka.Actor], type[pykka.Actor]] = {}


class ThreadRuntime:
    """A thread for each actor, or one for all actors of a carrier. `lanes` is what a carrier's messages go by."""

    def __init__(self, lanes: Mapping[type, int] | None = None) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        threading.stack_size(STACK_BYTES)
        gc.set_threshold(*COLLECT)
        self._lanes = lanes or {}
        self._carriers: dict[str, Carrier] = {}
        self._carried: dict[tuple[str, type[pykka.Actor]], type[pykka.Actor]] = {}

    def start(self, actor: Any, /, *args: Any, carrier: str = "") -> pykka.ActorRef[Any]:
        kind = self._carried_by(actor, carrier) if carrier else _on_its_own(actor)
        ref: pykka.ActorRef[Any] = kind.start(*args)
        return ref

    def _carried_by(self, actor: Any, name: str) -> type[pykka.Actor]:
        if name not in self._carriers:
            self._carriers[name] = Carrier(name, self._lanes)
        if (name, actor) not in self._carried:
            self._carried[name, actor] = carried(actor, self._carriers[name])
        return self._carried[name, actor]


def _on_its_own(actor: Any) -> type[pykka.Actor]:
    """The class of actors of this kind that have a thread of their own."""
    if actor not in _threaded:
        # A daemon's thread: one that is stuck must not keep the process from ending.
        inbox: Any = _patient_inbox if actor.is_patient else staticmethod(SimpleQueue)
        own: dict[str, Any] = {"_create_actor_inbox": inbox, "use_daemon_thread": True}
        _threaded[actor] = type(actor.__name__, (actor, pykka.ThreadingActor), own)
    return _threaded[actor]


def _patient_inbox(actor: Watched) -> PatientInbox:
    return PatientInbox(actor.is_pressing)


class Directory:
    """Names of actors, which stay while the actors behind them come and go."""

    def __init__(self) -> None:
        self._refs: dict[str, pykka.ActorRef[Any]] = {}
        self._actors: dict[str, Watched] = {}

    def attach(self, name: str, actor: Watched) -> None:
        """Let whoever watches see this actor's progress. Runs in the actor's own thread as it begins."""
        self._actors[name] = actor

    def actor(self, name: str) -> Watched | None:
        """The actor behind a name, to look at."""
        return self._actors.get(name)

    def register(self, name: str, ref: pykka.ActorRef[Any]) -> None:
        """Let `name` mean this actor from now on."""
        self._refs[name] = ref

    def forget(self, name: str) -> None:
        """Let `name` mean nobody."""
        self._refs.pop(name, None)

    def ref(self, name: str) -> pykka.ActorRef[Any] | None:
        """The actor behind a name, if there is one."""
        return self._refs.get(name)

    def names(self) -> tuple[str, ...]:
        """All names, in the order of their first registration."""
        return tuple(self._refs)

    def tell(self, name: str, message: object) -> bool:
        """Send without waiting; False says that nobody is there, and the message is gone."""
        ref = self._refs.get(name)
        if ref is None:
            log.debug("- no actor named %s for %s", name, type(message).__name__)
            return False
        if ref.actor_stopped.is_set():
            log.debug("- dead letter to %s: %s", name, type(message).__name__)
            return False
        ref.actor_inbox.put(Envelope(message))  # what Pykka's own `tell` does (pinned below 4.6), a dozen times a copy
        return True


class Retired(Exception):
    """This actor was replaced while it was stuck: it must not say another word."""


class Leash(Directory):
    """A directory for one life of one actor: once cut, whoever holds it can tell nobody anything."""

    def __init__(self, directory: Directory) -> None:
        super().__init__()
        self._directory = directory
        self._is_cut = False

    def cut(self) -> None:
        """Let the holder fail at the next thing it says."""
        self._is_cut = True

    def attach(self, name: str, actor: Watched) -> None:
        self._directory.attach(name, actor)

    def register(self, name: str, ref: pykka.ActorRef[Any]) -> None:
        self._directory.register(name, ref)

    def names(self) -> tuple[str, ...]:
        return self._directory.names()

    def ref(self, name: str) -> pykka.ActorRef[Any] | None:
        return self._directory.ref(name)

    def tell(self, name: str, message: object) -> bool:
        if self._is_cut:
            raise Retired(f"another has taken over; {type(message).__name__} for {name} is not told")
        return self._directory.tell(name, message)


@dataclass(frozen=True, slots=True)
class Failed:
    """To the supervisor: an actor died of `message`; `left` is what it had not taken yet. They may hold secrets."""

    name: str
    error: str
    message: Any = field(default=None, repr=False)
    left: tuple[Any, ...] = field(default=(), repr=False)


class Watched(pykka.Actor):
    """An actor whose failure reaches the supervisor, and whose progress anybody can see.

    `turns` counts what it has begun, `doing` is what it is at now: written by its own thread, read by the supervisor's.
    """

    _name: str
    _directory: Directory
    turns = 0
    doing: Any = None
    is_patient = False
    """Whether it can wait until a carrier that tells it something has decided what it has to decide."""
    _is_retired = False

    def on_start(self) -> None:
        """Runs in the actor's thread before its first message."""
        self._directory.attach(self._name, self)

    def _handle_receive(self, message: Any) -> Any:
        """A turn between two marks. Of Pykka's own messages only `stop` is ever sent here (pinned below 4.6)."""
        if type(message) is _STOP:
            return super()._handle_receive(message)
        if self._is_retired:
            return None
        self.turns += 1
        self.doing = message
        answer = self.on_receive(message)
        self.doing = None
        return answer

    @property
    def progress(self) -> tuple[int, int]:
        """What changes as long as it gets on: its turns, and of one that waits for its turn those of all before it."""
        inbox = self.actor_inbox
        others = inbox.turns_of_all if self.doing is None and isinstance(inbox, CarriedInbox) else 0
        return self.turns, others

    @property
    def is_idle(self) -> bool:
        """Whether it is at nothing and nothing waits for it; what was taken and is not begun yet is no rest."""
        inbox = self.actor_inbox
        is_at_rest = inbox.is_at_rest() if isinstance(inbox, CarriedInbox | PatientInbox) else inbox.empty()
        return is_at_rest and self.doing is None  # this order: what is begun was taken before

    def waits_before(self, message: Any) -> bool:
        """Whether more waits here that is at least as urgent as this message, where some goes before the rest."""
        inbox = self.actor_inbox
        return inbox.waits_before(type(message)) if isinstance(inbox, CarriedInbox) else not inbox.empty()

    def is_called(self) -> bool:
        """Whether more waits to be taken now: of somebody patient, what the bell has been rung for."""
        inbox = self.actor_inbox
        return inbox.is_rung_for() if isinstance(inbox, PatientInbox) else not inbox.empty()

    def make_way(self) -> None:
        """Let those who share its thread go on without it, while it is at one thing for long. From any thread."""
        if isinstance(self.actor_inbox, CarriedInbox):
            self.actor_inbox.make_way()

    def is_pressing(self, _message: Any) -> bool:
        """Whether a message for this actor goes before what others decide. From any thread, before it is taken.

        Of somebody patient: whether it is to be rung for sooner, where it came of a turn that went before these.
        """
        return False

    @property
    def culprit(self) -> Any:
        """The message to blame if it fails or is stuck now."""
        return self.doing

    @property
    def is_retired(self) -> bool:
        """Whether another has taken over."""
        return self._is_retired

    def retire(self) -> tuple[Any, ...]:
        """Let this actor do nothing more, whenever it wakes; answers what it had not taken. From any thread."""
        self._is_retired = True
        if isinstance(self._directory, Leash):
            self._directory.cut()
        left = waiting(self.actor_inbox)
        self.stop()
        return left

    def on_failure(self, _kind: Any, error: Any, _trace: Any) -> None:
        """Runs in the actor's thread after an exception."""
        if self._is_retired:
            return
        left = waiting(self.actor_inbox)
        failed = Failed(self._name, f"{type(error).__name__}: {error}", self.culprit, left)
        self._directory.tell(SUPERVISOR, failed)


def waiting(inbox: Any) -> tuple[Any, ...]:
    """Take everything out of an inbox that nobody reads any more."""
    found = []
    while True:
        try:
            found.append(inbox.get_nowait().message)
        except Empty:
            return tuple(found)


class Latch:
    """Something that one thread waits for and another, or a signal's handler, lets happen.

    Not an `Event`: its lock is not reentrant, so a handler that sets it in the thread that waits for it may wait for
    itself. Putting into a `SimpleQueue` is safe there.
    """

    def __init__(self) -> None:
        self._is_open = False
        self._opened: SimpleQueue[None] = SimpleQueue()

    def open(self) -> None:
        """Let whoever waits go on."""
        self._is_open = True
        self._opened.put(None)

    @property
    def is_open(self) -> bool:
        return self._is_open

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it opens, at most so long; whether it has."""
        try:
            self._opened.get(timeout=timeout_s)
        except Empty:
            return self._is_open
        self._opened.put(None)  # for whoever else waits
        return True
