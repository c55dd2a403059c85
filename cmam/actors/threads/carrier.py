"""A carrier: one thread that runs the turns of many actors, what is on the way to the broker first.

All connections, their limiters and their accounts share one: a change passes between them without another thread
having to wake up, and a burst of copies is one thread's work instead of many threads' quarrel over the interpreter.
Between two actors messages keep their order within a lane; those of one sender to one receiver that depend on each
other are in the same lane. Whoever is at one thing for long is left to its thread, and a relief carries the others on.
Who is outside and patient is rung for once nothing that goes before the rest waits here, and for what presses sooner.
It knows no actor: whose turns it runs, and in which lane, is handed to it.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

import pykka

from cmam import processor

Envelopes = deque[Any]

_here = threading.local()
"""Which carrier this thread is, and in which of its watches."""

EXPRESS = 1
"""The lane of what an actor finds pressing, whatever its kind: as long as nothing for it waits that came before."""

PATIENCE_S = 0.01
"""So long somebody patient waits at most while more is to be decided: what 45 followers decide on a change."""

LONG_S = 0.25
"""So long in one turn (a socket that takes no bytes, a reconcile of thousands), and the next message for anybody has
the others carried on without whoever is at it. A turn takes about a thousandth of this."""


class Slip:
    """A place in a lane: whose turn it is there, without saying for which message; that is the first that waits.

    An actor has one slip for each lane, which stands in the lane as often as messages wait. So a message is taken by
    whoever gets it out of `waiting`, once and by one only, and its slip is then a turn without a message.
    """

    __slots__ = ("actor", "lane", "waiting")

    def __init__(self, actor: Any, lane: deque[Slip]) -> None:
        self.actor = actor
        self.lane = lane
        self.waiting: Envelopes = deque()


class Carrier:
    """Actors that share a thread. `lanes` says which kinds of messages go first: 0, 1, 2, then all others."""

    def __init__(
        self, name: str, lanes: Mapping[type, int], long_s: float = LONG_S, patience_s: float = PATIENCE_S
    ) -> None:
        self.turns = 0
        """How many it has begun for anybody: what is looked at to see that it goes on."""
        self._name = name
        self._lane_of = lanes
        self._long_s = long_s
        self._patience_s = patience_s
        self._lanes: tuple[deque[Slip], ...] = (deque(), deque(), deque(), deque())
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        self._carried = 0
        self._has_thread = False
        self._watch = 0
        self._at: Any = None
        self._since = 0.0
        self._lane = self._lanes[-1]
        self._owed: deque[SimpleQueue[None]] = deque()
        self._owed_since = 0.0
        self._is_owed_soon = False
        self._parked: dict[Any, list[Slip]] = {}

    def adopt(self, actor: Any) -> None:
        """Run an actor's turns from now on; the thread begins with the first actor and ends with the last."""
        actor._actor_loop_setup()
        with self._lock:
            self._carried += 1
            if not self._has_thread:
                self._has_thread = True
                self._relieve()

    def slips(self, actor: Any) -> tuple[Slip, ...]:
        """An actor's place in each lane."""
        return tuple(Slip(actor, lane) for lane in self._lanes)

    def lane_of(self, kind: type) -> int:
        """The lane of a kind of message."""
        return self._lane_of.get(kind, 3)

    def post(self, slips: tuple[Slip, ...], envelope: Any) -> None:
        """Have an actor take a message in a turn of its own. From any thread."""
        message = envelope.message
        lane = self.lane_of(type(message))
        slip = slips[lane]
        is_behind = lane <= EXPRESS or any(before.waiting for before in slips[EXPRESS + 1 : lane + 1])
        if not is_behind and slip.actor.is_pressing(message):
            slip = slips[EXPRESS]
        slip.waiting.append(envelope)  # before its turn is: a turn that finds nothing means that it was taken back
        slip.lane.append(slip)
        self._bell.put(None)
        at = self._at
        if at is not None and monotonic() - self._since > self._long_s:
            self.make_way(at)

    def make_way(self, actor: Any) -> None:
        """If this actor's turn is the one that lasts, leave it to its thread and carry the others on in another."""
        with self._lock:
            if self._at is not actor:
                return
            self._watch += 1  # from here on the old thread begins no turn; what it is at now, it is at alone
            self._parked[actor] = []
            try:
                self._relieve()
            except RuntimeError:  # the machine has no thread to give: they wait for each other, as they did
                self._watch -= 1
                del self._parked[actor]
                return
            self._at = None  # once is enough: whoever makes way again would forget what was parked

    def is_at(self, actor: Any) -> bool:
        """Whether it runs a turn of this actor, or is about to. From any thread; who is left to a thread is not it."""
        return self._at is actor

    def ring_later(self, bell: SimpleQueue[None], *, is_pressing: bool) -> None:
        """Ring for somebody outside once nothing waits here that goes before the rest. From a turn of this carrier.

        What presses and comes of a turn that pressed is rung for once no more of its kind waits.
        """
        if _here.watch != self._watch:  # relieved: who carries the others on does not look at what this turn does
            bell.put(None)
            return
        if not self._owed:
            self._owed_since = monotonic()
        if is_pressing and self._lane is self._lanes[EXPRESS]:
            self._is_owed_soon = True
        self._owed.append(bell)

    def _ring(self) -> None:
        """Ring for all who are owed it. By whoever carries, and by whoever was relieved as its last turn ends."""
        self._is_owed_soon = False
        while True:
            try:
                bell = self._owed.popleft()
            except IndexError:
                return
            bell.put(None)

    def _relieve(self) -> None:
        thread = threading.Thread(target=self._run, args=(self._watch,), name=f"carrier {self._name}", daemon=True)
        thread.start()

    def _run(self, watch: int) -> None:
        """Runs in the carrier's thread, until it is relieved."""
        processor.ask_for_short_turns()
        first, second, third, last = self._lanes
        ring = self._bell.get
        owed = self._owed
        _here.carrier, _here.watch = self, watch
        self._ring()  # for those for whom the one before has not yet
        while True:
            if owed:
                waits = first or second or (third and not self._is_owed_soon)
                if not waits or monotonic() - self._owed_since > self._patience_s:
                    self._ring()
            ring()
            slip = self._unparked() if self._parked else (first or second or third or last).popleft()
            if slip is None:
                continue
            actor = slip.actor
            if actor.actor_stopped.is_set():
                continue
            self.turns += 1
            self._lane = slip.lane
            self._since = monotonic()
            self._at = actor
            if self._watch != watch and self._is_relieved(watch):
                slip.lane.appendleft(slip)
                self._bell.put(None)
                self._hand_over(actor)
                return
            try:
                envelope = slip.waiting.popleft()
            except IndexError:
                pass
            else:
                _turn(actor, envelope)
            is_stopped = actor.actor_stopped.is_set()  # looked at while nobody else runs its turns
            with self._lock:
                is_relieved = self._watch != watch
                if not is_relieved:
                    self._at = None
            if is_relieved:
                self._ring()
                self._hand_over(actor)
                if is_stopped:
                    self._let_go(is_ending=False)
                return
            if is_stopped and self._let_go(is_ending=True):
                self._ring()
                return

    def _is_relieved(self, watch: int) -> bool:
        """Whether another carries on: what looked like it may have been taken back, since there was no thread."""
        with self._lock:
            return self._watch != watch

    def _unparked(self) -> Slip | None:
        """The next slip; one of somebody who is left to another thread is parked until that is free."""
        first, second, third, last = self._lanes
        with self._lock:
            slip = (first or second or third or last).popleft()
            parked = self._parked.get(slip.actor)
            if parked is None:
                return slip
            parked.append(slip)
            return None

    def _hand_over(self, actor: Any) -> None:
        """Relieved: the actor that held this thread is carried on like the others, its messages in their order."""
        with self._lock:
            for slip in reversed(self._parked.pop(actor, [])):
                slip.lane.appendleft(slip)
                self._bell.put(None)

    def _let_go(self, *, is_ending: bool) -> bool:
        """One actor less; whether the thread that asks ends here: with the last actor, if it is not relieved anyway."""
        with self._lock:
            self._carried -= 1
            if self._carried or not is_ending:
                return False
            self._has_thread = False
            return True


def _turn(actor: Any, envelope: Any) -> None:
    """One turn, with what Pykka's own loop does after an exception. Only Pykka's own `stop` wants a reply."""
    try:
        actor._handle_receive(envelope.message)
        if envelope.reply_to is not None:
            envelope.reply_to.set(None)
    except Exception:  # noqa: BLE001 - as Pykka has it
        actor._handle_failure(*sys.exc_info())
        try:
            actor.on_failure(*sys.exc_info())
        except Exception:  # noqa: BLE001 - as Pykka has it
            actor._handle_failure(*sys.exc_info())


class CarriedInbox:
    """The inbox of an actor that is carried: whatever is put there takes its place in the carrier's lanes."""

    def __init__(self, carrier: Carrier, actor: Any) -> None:
        self._carrier = carrier
        self._actor = actor
        self._slips = carrier.slips(actor)
        self._waiting = tuple(slip.waiting for slip in self._slips)

    def put(self, envelope: Any) -> None:
        self._carrier.post(self._slips, envelope)

    def get(self) -> Any:
        raise AssertionError("the carrier takes messages, nobody else")

    def get_nowait(self) -> Any:
        """Take the next message before the carrier comes to it; raises Empty where none waits. From any thread."""
        for waiting in self._waiting:
            try:
                return waiting.popleft()
            except IndexError:
                continue
        raise Empty

    def empty(self) -> bool:
        """Whether nothing waits for this actor. From any thread; it asks nobody else, however many are carried."""
        return not any(self._waiting)

    def is_at_rest(self) -> bool:
        """Whether nothing waits for this actor, nor was taken for it just now. From any thread."""
        return not any(self._waiting) and not self._carrier.is_at(self._actor)  # this order: none falls between

    def waits_before(self, kind: type) -> bool:
        """Whether a message waits in the lane of this kind, or in one before it."""
        return any(self._waiting[: self._carrier.lane_of(kind) + 1])

    @property
    def turns_of_all(self) -> int:
        """How many turns its thread has begun for anybody. From any thread."""
        return self._carrier.turns

    def make_way(self) -> None:
        """Let the others of the thread go on, if this actor is what holds it."""
        self._carrier.make_way(self._actor)


class PatientInbox:
    """The inbox of an actor with a thread of its own, which need not wake while those who tell it are still at it.

    What it is told lies in it at once, in its order; only the bell waits, as long as the carrier that told it has
    decisions to make. Woken in the middle of them it would take the interpreter from them.
    """

    def __init__(self, is_pressing: Callable[[Any], bool]) -> None:
        self._is_pressing = is_pressing
        self._waiting: Envelopes = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._is_out = False

    def put(self, envelope: Any) -> None:
        self._waiting.append(envelope)  # before its bell: a bell without a message means that it was taken back
        carrier = getattr(_here, "carrier", None)
        if carrier is None:
            self._bell.put(None)
        else:
            carrier.ring_later(self._bell, is_pressing=self._is_pressing(envelope.message))

    def get(self) -> Any:
        """Wait for the bell, and take the first message. Whoever asks for the next is through with the one before."""
        while True:
            self._is_out = False
            self._bell.get()
            self._is_out = True  # before it is taken: see `is_at_rest`
            try:
                return self._waiting.popleft()
            except IndexError:
                continue

    def get_nowait(self) -> Any:
        """Take the next message without a bell; raises Empty where none waits."""
        try:
            return self._waiting.popleft()
        except IndexError:
            raise Empty from None

    def empty(self) -> bool:
        """Whether nothing waits. From any thread."""
        return not self._waiting

    def is_at_rest(self) -> bool:
        """Whether nothing waits, and what was taken last is done. From any thread."""
        return not self._waiting and not self._is_out  # this order: none falls between

    def is_rung_for(self) -> bool:
        """Whether the bell has been rung for something that waits. From any thread."""
        return not self._bell.empty()


def carried(actor: type[pykka.Actor], carrier: Carrier) -> type[pykka.Actor]:
    """The class of actors of this kind that this carrier runs."""

    class Carried(actor):  # type: ignore[misc, valid-type]  # mypy knows no base that is a value
        def _create_actor_inbox(self) -> Any:  # Pykka calls it on the instance, which the inbox has to know
            return CarriedInbox(carrier, self)

        @staticmethod
        def _create_future() -> Any:
            return pykka.ThreadingFuture()

        def _start_actor_loop(self) -> None:
            carrier.adopt(self)

    Carried.__name__ = actor.__name__
    return Carried
