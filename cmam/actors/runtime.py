"""How actors come to life: with a thread each, or turn by turn under a scheduler.

Actors are written against `pykka.Actor`; a runtime joins them with what makes them run. The directory holds the names
that outlive an actor: a message to one that is down is a dead letter, never an exception in the sender.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import pykka

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.0005
"""How long a busy thread may keep the interpreter. At Python's default of 5 ms a hop beside one busy thread was
measured at 4 ms; at this one, below 1 ms."""
STACK_BYTES = 512 * 1024
COLLECT = (10_000, 20, 1_000)
"""When garbage in cycles is looked for. Hardly any arises here, and a look at everything stops all threads: 30 to 90 ms
with 46 accounts, three times in half a minute at Python's defaults (measured with `gc.callbacks`)."""
SUPERVISOR = "supervisor"


class Runtime(Protocol):
    """What starts actors."""

    def start(self, actor: Any, /, *args: Any) -> pykka.ActorRef[Any]:
        """Bring an actor of this class to life."""
        ...


_threaded: dict[type[pykka.Actor], type[pykka.Actor]] = {}


class ThreadRuntime:
    """A thread for each actor."""

    def __init__(self) -> None:
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        threading.stack_size(STACK_BYTES)
        gc.set_threshold(*COLLECT)

    def start(self, actor: Any, /, *args: Any) -> pykka.ActorRef[Any]:
        if actor not in _threaded:
            _threaded[actor] = type(actor.__name__, (actor, pykka.ThreadingActor), {})
        return _threaded[actor].start(*args)


class Directory:
    """Names of actors, which stay while the actors behind them come and go."""

    def __init__(self) -> None:
        self._refs: dict[str, pykka.ActorRef[Any]] = {}

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
        try:
            ref.tell(message)
        except pykka.ActorDeadError:
            log.debug("- dead letter to %s: %s", name, type(message).__name__)
            return False
        return True


@dataclass(frozen=True, slots=True)
class Failed:
    """To the supervisor: an actor died."""

    name: str
    error: str


class Watched(pykka.Actor):
    """An actor whose failure reaches the supervisor."""

    _name: str
    _directory: Directory

    def on_failure(self, _kind: Any, error: Any, _trace: Any) -> None:
        """Runs in the actor's thread after an exception."""
        self._directory.tell(SUPERVISOR, Failed(self._name, f"{type(error).__name__}: {error}"))


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
