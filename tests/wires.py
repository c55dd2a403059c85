"""The virtual network between the system's connections and the sandbox's pure core: real frames, in virtual time.

Bytes keep their order in each direction; how long they take, and who is cut off, the scheduler and the tests say.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cmam.actors import messages as m
from cmam.actors.lines.delivery import Delivery
from cmam.actors.lines.reader import Dialled, Leaders
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoMessage
from cmam.openapi.errors import CannotConnect, ConnectStep
from cmam.openapi.framing import Deframer, frame
from cmam.openapi.quotes import QuoteBoard
from cmam.sandbox.service.broker import Broker
from cmam.sandbox.service.delivery import Close, Send

if TYPE_CHECKING:
    from tests.stepped import Stepper

NETWORK_US = 200
"""One way through the virtual network."""
SPOT_EVENT = 2131


class Line:
    """One connection: bytes on their way in both directions, in order."""

    def __init__(self, network: Network, number: int, name: str, generation: int, delivery: Delivery) -> None:
        self.network = network
        self.number = number
        self.name = name
        self.generation = generation
        self.delivery = delivery
        self.to_broker: deque[tuple[int, bytes]] = deque()
        self.to_client: deque[tuple[int, bytes]] = deque()
        self.spots: deque[tuple[int, bytes]] = deque()
        self.at_broker = Deframer()
        self.at_client = Deframer()
        self.is_open, self.is_cut = True, False
        self.closing = False

    def send(self, data: bytes) -> None:
        """The connection actor's side of the port."""
        if not self.is_open:
            raise OSError("the line was cut")
        self.to_broker.append((self.network.arrival("to_broker", self.to_broker), data))

    def receive(self) -> bytes:
        raise AssertionError("nobody reads blocking here")

    def close(self, *, at_once: bool = False) -> None:
        self.is_open, self.is_cut = False, at_once


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

    def arrival(self, way: str, queue: deque[tuple[int, bytes]], late_us: int = 0) -> int:
        """When bytes that leave now arrive: never before those that left before them."""
        moment = self.now() + NETWORK_US + late_us + self._stepper.lag(way)
        return max(moment, queue[-1][0]) if queue else moment

    def reader(self, name: str, _endpoint: object, board: QuoteBoard, leaders: Leaders) -> Any:
        """The port that dials for a connection's actor."""
        network = self

        class Reader:
            def start(self, generation: int) -> None:
                network.dial(name, generation, board, leaders)

        return Reader()

    def dial(self, name: str, generation: int, board: QuoteBoard, leaders: Leaders) -> None:
        directory = self._stepper.directory
        if not self.is_reachable:
            error = CannotConnect(ConnectStep.PORT, "the network is down.", "Wait.")
            directory.tell(name, m.Lost(generation, str(error), error.is_permanent, error.is_nobody_there))
            return
        delivery = Delivery(generation, name, leaders(), board, self._stepper.clock_of_process, directory)
        line = Line(self, next(self._numbers), name, generation, delivery)
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
        line.delivery.deliver(line.at_client.receive_data(data), stepper.clock.monotonic())
        if line.closing and not line.to_client:
            self.cut(line)

    def collect(self) -> bool:
        """Put what the broker says on its lines; False where it has nothing to say."""
        assert self.broker is not None
        said = self.broker.take_output()
        for output in said:
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
            queue.append((self.arrival("to_client", queue, late_us), frame(envelope.SerializeToString())))
        return bool(said)

    def tick(self) -> None:
        """Time has moved: let the broker act on it."""
        assert self.broker is not None
        deadline = self.broker.next_deadline()
        if deadline is not None and deadline <= self.now():
            self.broker.on_time(self.now())
        self.collect()

    def pass_ticks(self, end: int) -> None:
        """Let the broker act before a moment, until it says something or something arrives: most of its ticks meet
        nobody who listens, and each would be a round of the scheduler in which nobody has anything to do."""
        assert self.broker is not None
        clock = self._stepper.clock
        for line in self.lines.values():
            if not line.is_open:
                return
            for queue in (line.to_broker, line.to_client, line.spots):
                if queue:
                    end = min(end, queue[0][0])
        while (deadline := self.broker.next_deadline()) is not None and self.now() < deadline < end:
            clock.advance_to(deadline)
            self.broker.on_time(deadline)
            if self.collect():
                return

    def next_moment(self) -> int | None:
        """When something arrives or the broker acts next."""
        queues = [queue for line in self.lines.values() for queue in (line.to_broker, line.to_client, line.spots)]
        moments = [queue[0][0] for queue in queues if queue]
        assert self.broker is not None
        deadline = self.broker.next_deadline()
        if deadline is not None:
            moments.append(deadline)
        return min(moments, default=None)
