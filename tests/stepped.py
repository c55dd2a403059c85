"""Actors turn by turn: a seeded scheduler in the place of threads, a heap in the place of the timer, virtual time.

One seed picks among non-empty inboxes, due timers and deliverable bytes, so a whole-system run is one number. What is
run are the real actors, the real log, and the sandbox's pure core at the other end of real frames.
"""

from __future__ import annotations

import heapq
import itertools
import queue
import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import pykka

from cmam.actors.threads.runtime import Directory, Latch, Retired
from cmam.clock import Clock, ManualClock, Micros, MonotonicUs, SystemClock
from tests.wires import Network

WAKES_MAX = 500
"""So many reminders of one kind may come to one actor within a second. Whoever is woken for nothing, and asks to be
woken for the same at once, would keep a processor busy for ever, and all that is seen of it here is a run without end.
"""
NEVER_US = 2**62


BEGINS_US = 1_577_836_800_000_000
"""When a run begins: midnight in UTC, on the first of January 2020."""


class WallClock:
    """What the machine says the time is: the virtual time, but for the jumps that somebody makes it do."""

    def __init__(self, true: ManualClock) -> None:
        self._true = true
        self.skew_us = 0

    def now(self) -> Micros:
        return Micros(self._true.now() + self.skew_us)

    def monotonic(self) -> MonotonicUs:
        return self._true.monotonic()


class ProcessClock(SystemClock):
    """The real clock of a process, on this machine's readings."""

    def __init__(self, stepper: Stepper) -> None:
        super().__init__(stepper.wall.now, stepper.clock.monotonic)
        self._monotonic = stepper.clock.monotonic

    def monotonic(self) -> MonotonicUs:
        return self._monotonic()


class SteppedInbox:
    """An inbox that the scheduler looks into."""

    def __init__(self) -> None:
        self.waiting: deque[Any] = deque()

    def put(self, envelope: Any) -> None:
        self.waiting.append(envelope)

    def get(self) -> Any:
        return self.waiting.popleft()

    def get_nowait(self) -> Any:
        if not self.waiting:
            raise queue.Empty
        return self.waiting.popleft()

    def empty(self) -> bool:
        return not self.waiting


class SteppedActor(pykka.Actor):
    """The runtime half of an actor that nobody runs but the scheduler."""

    @staticmethod
    def _create_actor_inbox() -> Any:
        return SteppedInbox()

    @staticmethod
    def _create_future() -> Any:
        return pykka.ThreadingFuture()  # for the end of an actor, which nobody waits for; actors never ask

    def _start_actor_loop(self) -> None:
        Stepper.current.adopt(self)


class InjectedFault(Exception):
    """An actor died because a test wanted it to."""


class FusedDirectory(Directory):
    """A directory in which an actor may die of its n-th message to others, in the middle of a turn."""

    def __init__(self) -> None:
        super().__init__()
        self.fuse: int | None = None

    def tell(self, name: str, message: object) -> bool:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise InjectedFault(f"died before it told {name} {type(message).__name__}")
        return super().tell(name, message)


class Stepper:
    """The scheduler, the runtime, the timer and the network of one run."""

    current: Stepper

    def __init__(self, seed: int, *, record_turns: bool = False, begins_us: int = BEGINS_US) -> None:
        self.random = random.Random(seed)
        self.clock = ManualClock(begins_us)
        self.wall = WallClock(self.clock)
        self.clock_of_process: Clock = self.wall
        self.directory = FusedDirectory()
        self.network = Network(self)
        self.doomed: dict[str, tuple[int, int]] = {}
        self.lags: dict[str, int] = {}
        self.turns = 0
        self._rests: dict[str, int] = {}
        self.sticking: set[str] = set()
        self.stuck: dict[str, tuple[Any, Any]] = {}
        self._actors: list[pykka.Actor] = []
        self._heap: list[tuple[int, int, str, object]] = []
        self._reminded: Counter[tuple[str, type, str]] = Counter()
        self._second = 0
        self._numbers = itertools.count()
        self.failures: list[BaseException] = []

    def start_clock(self) -> Clock:
        """The clock of a process that starts now: nobody who sets the wall moves it by more than a tenth."""
        self.clock_of_process = ProcessClock(self)
        return self.clock_of_process

    # --- what the system is given ---------------------------------------------------------------------------------

    def start(self, actor: Any = None, /, *args: Any, carrier: str = "") -> Any:
        """Bring an actor to life; without one, begin to keep time (the timer's part of the port)."""
        if actor is None:
            return None
        Stepper.current = self
        joined = type(actor.__name__, (actor, SteppedActor), {})
        return joined.start(*args)

    def stop(self) -> None:
        """Keep no more time."""

    def after(self, span_us: int, name: str, message: object) -> None:
        heapq.heappush(self._heap, (self.clock.monotonic() + max(0, span_us), next(self._numbers), name, message))

    def adopt(self, actor: pykka.Actor) -> None:
        """Take a new actor into the rounds."""
        actor._actor_loop_setup()
        self._actors.append(actor)

    def kill(self) -> None:
        """A crash: every actor, inbox and reminder is gone, and every connection with them."""
        for actor in self._actors:
            actor.actor_stopped.set()
            pykka.ActorRegistry.unregister(actor.actor_ref)
        self._actors.clear()
        self._heap.clear()
        self.doomed.clear()
        self._rests.clear()
        self.sticking.clear()
        self.stuck.clear()
        self.directory = FusedDirectory()
        self.network.cut_all()

    # --- turns ----------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """One turn of whoever may; False when nobody may before time moves."""
        ready = self._waiting()
        if ready and self._rests:
            now = self.clock.now()
            ready = [actor for actor in ready if self._rests.get(_name(actor), 0) <= now]
        lines = self.network.deliverable()
        choices = len(ready) + len(lines)
        if self._heap and self._heap[0][0] <= self.clock.monotonic():
            choices += 1
        if not choices:
            return False
        self.turns += 1
        pick = self.random.randrange(choices)
        if pick < len(ready):
            self._turn(ready[pick])
        elif pick < len(ready) + len(lines):
            lines[pick - len(ready)]()
        else:
            _, _, name, message = heapq.heappop(self._heap)
            self._count(name, message)
            self.directory.tell(name, message)
        return True

    def _count(self, name: str, message: object) -> None:
        second = self.clock.monotonic() // 1_000_000
        if second != self._second:
            self._second = second
            self._reminded.clear()
        key = (name, type(message), getattr(message, "what", ""))
        self._reminded[key] += 1
        times = self._reminded[key]
        assert times <= WAKES_MAX, f"{name} was reminded {times} times within a second, the last time by {message!r}"

    def _waiting(self) -> list[pykka.Actor]:
        waiting = [actor for actor in self._actors if actor.actor_inbox.waiting and not actor.actor_stopped.is_set()]
        if waiting and self.stuck:
            stuck = [actor for actor, _ in self.stuck.values()]
            return [actor for actor in waiting if actor not in stuck]
        return waiting

    def lag(self, name: str) -> int:
        """How long something comes to no turn, drawn anew each time, in us: a machine that is too busy."""
        longest = self.lags.get(name, 0)
        return self.random.randrange(longest) if longest else 0

    def rest(self, name: str, span_us: int) -> None:
        """Let an actor come to no turn for so long."""
        self._rests[name] = self.clock.now() + span_us

    def doom(self, name: str, turns: int, tells: int) -> None:
        """Let an actor die in its turn after so many, before its message to others after so many."""
        self.doomed[name] = (turns, tells)

    def stick(self, name: str) -> None:
        """Let an actor's next turn not come back: what a call that hangs does to a thread."""
        self.sticking.add(name)

    def unstick(self, name: str) -> None:
        """Let the call that hung come back: the turn goes on where it was."""
        actor, message = self.stuck.pop(name)
        actor.doing = None
        self._turn_of(actor, message, resumed=True)

    def _light_fuse(self, actor: pykka.Actor) -> None:
        name = _name(actor)
        if name not in self.doomed:
            return
        turns, tells = self.doomed.pop(name)
        if turns:
            self.doomed[name] = (turns - 1, tells)
        else:
            self.directory.fuse = tells

    def _turn(self, actor: pykka.Actor) -> None:
        message = actor.actor_inbox.get().message
        name = _name(actor)
        if self.lags:
            self._rests[name] = self.clock.now() + self.lag(name)
        if name in self.sticking:
            self.sticking.discard(name)
            self.stuck[name] = (actor, message)
            actor.doing, actor.turns = message, actor.turns + 1
            return
        self._turn_of(actor, message)

    def _turn_of(self, actor: pykka.Actor, message: Any, *, resumed: bool = False) -> None:
        self._light_fuse(actor)
        try:
            if resumed:
                pykka.Actor._handle_receive(actor, message)
            else:
                actor._handle_receive(message)
            if self.directory.fuse is not None:
                raise InjectedFault("died at the end of its turn")
        except Exception as error:  # noqa: BLE001 - what Pykka's own loop does
            self.directory.fuse = None
            if not isinstance(error, InjectedFault | Retired):
                self.failures.append(error)
            pykka.ActorRegistry.unregister(actor.actor_ref)
            actor.actor_stopped.set()
            actor.on_failure(type(error), error, error.__traceback__)

    def _own_moment(self) -> int:
        """When the next reminder is due."""
        if not self._heap:
            return NEVER_US
        return self._heap[0][0] - self.clock.monotonic() + self.clock.now()

    def next_moment(self) -> int | None:
        """When anybody may do anything next, once nobody may now."""
        moments = [self.network.next_moment()]
        if self._heap:
            moments.append(self._own_moment())
        moments += [self._rests.get(_name(actor), 0) for actor in self._waiting()]
        return min((moment for moment in moments if moment is not None), default=None)

    def run(self, span_us: int) -> None:
        """Let everything happen that happens within this span of virtual time."""
        end = self.clock.now() + span_us
        while True:
            while self.step():
                pass
            nearest = self.next_moment()
            if nearest is None or nearest > end:
                self.clock.advance_to(end)
                self.network.tick()
                if not self.step():
                    return
                continue
            self.clock.advance_to(max(nearest, self.clock.now() + 1))
            self.network.tick()
            if not self._waiting():
                self.network.pass_ticks(min(end, self._own_moment()))

    def wait(self, latch: Latch, span_s: float) -> bool:
        """Go on until a latch opens, at most for so long: what a thread does that waits for it."""
        end = self.clock.now() + int(span_s * 1_000_000)
        while not latch.is_open:
            if self.step():
                continue
            nearest = self.next_moment()
            if nearest is None or nearest > end:
                self.clock.advance_to(max(end, self.clock.now()))
                self.network.tick()
                return latch.is_open
            self.clock.advance_to(max(nearest, self.clock.now() + 1))
            self.network.tick()
        return True

    def run_until(self, done: Callable[[], bool], span_us: int) -> None:
        """Let time pass until something holds; AssertionError when it does not within the span."""
        end = self.clock.now() + span_us
        while not done():
            assert self.clock.now() < end, "expected it to happen in time"
            self.run(50_000)


def _name(actor: pykka.Actor) -> str:
    return getattr(actor, "_name", "")
