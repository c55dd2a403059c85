"""Actors turn by turn: a seeded scheduler in the place of threads, a heap in the place of the timer, virtual time.

One seed picks among non-empty inboxes, due timers and deliverable bytes, so a whole-system run is one number. What is
run are the real actors, the real log, and the sandbox's pure core at the other end of real frames.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import pykka

from cmam.actors import messages as m
from cmam.actors.reader import Dialled, deliver
from cmam.actors.runtime import Directory
from cmam.clock import ManualClock
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoMessage
from cmam.openapi.errors import CannotConnect, ConnectStep
from cmam.openapi.framing import Deframer, frame
from cmam.openapi.quotes import QuoteBoard
from cmam.sandbox.broker import Broker, Close, Send

NETWORK_US = 200
"""One way through the virtual network."""
SPOT_EVENT = 2131


class SteppedInbox:
    """An inbox that the scheduler looks into."""

    def __init__(self) -> None:
        self.waiting: deque[Any] = deque()

    def put(self, envelope: Any) -> None:
        self.waiting.append(envelope)

    def get(self) -> Any:
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
        raise AssertionError("actors never ask")

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

    def __init__(self, seed: int, *, record_turns: bool = False) -> None:
        self.random = random.Random(seed)
        self.clock = ManualClock()
        self.directory = FusedDirectory()
        self.network = Network(self)
        self.doomed: dict[str, tuple[int, int]] = {}
        self._actors: list[pykka.Actor] = []
        self._heap: list[tuple[int, int, str, object]] = []
        self._numbers = itertools.count()
        self.failures: list[BaseException] = []

    # --- what the system is given ---------------------------------------------------------------------------------

    def start(self, actor: Any = None, /, *args: Any) -> Any:
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
        self.directory = FusedDirectory()
        self.network.cut_all()

    # --- turns ----------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """One turn of whoever may; False when nobody may before time moves."""
        ready = [actor for actor in self._actors if not actor.actor_stopped.is_set() and actor.actor_inbox.waiting]
        lines = self.network.deliverable()
        choices = len(ready) + len(lines)
        if self._heap and self._heap[0][0] <= self.clock.monotonic():
            choices += 1
        if not choices:
            return False
        pick = self.random.randrange(choices)
        if pick < len(ready):
            self._turn(ready[pick])
        elif pick < len(ready) + len(lines):
            lines[pick - len(ready)]()
        else:
            _, _, name, message = heapq.heappop(self._heap)
            self.directory.tell(name, message)
        return True

    def doom(self, name: str, turns: int, tells: int) -> None:
        """Let an actor die in its turn after so many, before its message to others after so many."""
        self.doomed[name] = (turns, tells)

    def _light_fuse(self, actor: pykka.Actor) -> None:
        name = getattr(actor, "_name", "")
        if name not in self.doomed:
            return
        turns, tells = self.doomed.pop(name)
        if turns:
            self.doomed[name] = (turns - 1, tells)
        else:
            self.directory.fuse = tells

    def _turn(self, actor: pykka.Actor) -> None:
        envelope = actor.actor_inbox.get()
        self._light_fuse(actor)
        try:
            actor._handle_receive(envelope.message)
            if self.directory.fuse is not None:
                raise InjectedFault("died at the end of its turn")
        except Exception as error:  # noqa: BLE001 - what Pykka's own loop does
            self.directory.fuse = None
            if not isinstance(error, InjectedFault):
                self.failures.append(error)
            pykka.ActorRegistry.unregister(actor.actor_ref)
            actor.actor_stopped.set()
            actor.on_failure(type(error), error, error.__traceback__)

    def run(self, span_us: int) -> None:
        """Let everything happen that happens within this span of virtual time."""
        end = self.clock.now() + span_us
        while True:
            while self.step():
                pass
            moments = [self.network.next_moment()]
            if self._heap:
                moments.append(self._heap[0][0] - self.clock.monotonic() + self.clock.now())
            known = [moment for moment in moments if moment is not None]
            nearest = min(known, default=None)
            if nearest is None or nearest > end:
                self.clock.advance_to(end)
                self.network.tick()
                if not self.step():
                    return
                continue
            self.clock.advance_to(max(nearest, self.clock.now() + 1))
            self.network.tick()

    def run_until(self, done: Callable[[], bool], span_us: int) -> None:
        """Let time pass until something holds; AssertionError when it does not within the span."""
        end = self.clock.now() + span_us
        while not done():
            assert self.clock.now() < end, "expected it to happen in time"
            self.run(50_000)


class Line:
    """One connection: bytes on their way in both directions, in order."""

    def __init__(self, network: Network, number: int, name: str, generation: int, board: QuoteBoard) -> None:
        self.network = network
        self.number = number
        self.name = name
        self.generation = generation
        self.board = board
        self.to_broker: deque[tuple[int, bytes]] = deque()
        self.to_client: deque[tuple[int, bytes]] = deque()
        self.spots: deque[tuple[int, bytes]] = deque()
        self.at_broker = Deframer()
        self.at_client = Deframer()
        self.is_open = True
        self.closing = False

    def send(self, data: bytes) -> None:
        """The connection actor's side of the port."""
        if not self.is_open:
            raise OSError("the line was cut")
        self.to_broker.append((self.network.now() + NETWORK_US, data))

    def receive(self) -> bytes:
        raise AssertionError("nobody reads blocking here")

    def close(self) -> None:
        self.is_open = False


class Network:
    """Lines between the system's connections and the broker's core."""

    def __init__(self, stepper: Stepper) -> None:
        self._stepper = stepper
        self.broker: Broker | None = None
        self.lines: dict[int, Line] = {}
        self.others: dict[int, Callable[[Send | Close], None]] = {}
        self.is_reachable = True
        self.spots_late_us = 0
        self._numbers = itertools.count(1)

    def now(self) -> int:
        return self._stepper.clock.now()

    def reader(self, name: str, _endpoint: object, board: QuoteBoard) -> Any:
        """The port that dials for a connection's actor."""
        network = self

        class Reader:
            def start(self, generation: int) -> None:
                network.dial(name, generation, board)

        return Reader()

    def dial(self, name: str, generation: int, board: QuoteBoard) -> None:
        directory = self._stepper.directory
        if not self.is_reachable:
            error = CannotConnect(ConnectStep.PORT, "the network is down.", "Wait.")
            directory.tell(name, m.Lost(generation, str(error)))
            return
        line = Line(self, next(self._numbers), name, generation, board)
        self.lines[line.number] = line
        assert self.broker is not None
        self.broker.connect(line.number, self.now())
        directory.tell(name, Dialled(generation, line))

    def cut_all(self) -> None:
        """Every line is cut: what is under way in either direction is lost."""
        for line in list(self.lines.values()):
            self.cut(line)

    def cut(self, line: Line) -> None:
        self.lines.pop(line.number, None)
        line.is_open = False
        assert self.broker is not None
        self.broker.disconnect(line.number, self.now())
        self._stepper.directory.tell(line.name, m.Lost(line.generation, "the line was cut"))

    def deliverable(self) -> list[Callable[[], None]]:
        """What could arrive now."""
        now = self.now()
        found: list[Callable[[], None]] = []
        for line in list(self.lines.values()):
            if line.to_broker and line.to_broker[0][0] <= now:
                found.append(lambda line=line: self._to_broker(line))
            if line.to_client and line.to_client[0][0] <= now:
                found.append(lambda line=line: self._to_client(line, line.to_client))
            if line.spots and line.spots[0][0] <= now:
                found.append(lambda line=line: self._to_client(line, line.spots))
            if not line.is_open and not line.to_broker:
                found.append(lambda line=line: self.cut(line))
        return found

    def _to_broker(self, line: Line) -> None:
        _, data = line.to_broker.popleft()
        assert self.broker is not None
        for body in line.at_broker.receive_data(data):
            envelope = ProtoMessage.FromString(body)
            msg_id = envelope.clientMsgId if envelope.HasField("clientMsgId") else None
            self.broker.receive(line.number, envelope.payloadType, envelope.payload, msg_id, self.now())
        self.collect()

    def _to_client(self, line: Line, queue: deque[tuple[int, bytes]]) -> None:
        _, data = queue.popleft()
        stepper = self._stepper
        for body in line.at_client.receive_data(data):
            received = stepper.clock.monotonic()
            deliver(body, line.generation, received, line.board, stepper.clock, stepper.directory, line.name)
        if line.closing and not line.to_client:
            self.cut(line)

    def collect(self) -> None:
        """Put what the broker says on its lines."""
        assert self.broker is not None
        for output in self.broker.take_output():
            if output.connection in self.others:
                self.others[output.connection](output)
                continue
            line = self.lines.get(output.connection)
            if line is None:
                continue
            if isinstance(output, Close):
                if output.flush and line.to_client:
                    line.closing = True
                else:
                    self.cut(line)
                continue
            envelope = ProtoMessage(payloadType=output.payload_type, payload=output.payload)
            if output.client_msg_id is not None:
                envelope.clientMsgId = output.client_msg_id
            is_late = self.spots_late_us and output.payload_type == SPOT_EVENT
            queue, late_us = (line.spots, self.spots_late_us) if is_late else (line.to_client, 0)
            queue.append((self.now() + NETWORK_US + late_us, frame(envelope.SerializeToString())))

    def tick(self) -> None:
        """Time has moved: let the broker act on it."""
        assert self.broker is not None
        deadline = self.broker.next_deadline()
        if deadline is not None and deadline <= self.now():
            self.broker.on_time(self.now())
        self.collect()

    def next_moment(self) -> int | None:
        """When something arrives or the broker acts next."""
        queues = [queue for line in self.lines.values() for queue in (line.to_broker, line.to_client, line.spots)]
        moments = [queue[0][0] for queue in queues if queue]
        assert self.broker is not None
        deadline = self.broker.next_deadline()
        if deadline is not None:
            moments.append(deadline)
        return min(moments, default=None)
