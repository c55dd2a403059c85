"""The virtual lines between the system's connections and this broker: real frames, cut as the broker's habit has it.

Stands in for `tests.wires` under the same scheduler; bytes keep their order in each direction.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cmam.actors import messages as m
from cmam.actors.lines.delivery import Delivery
from cmam.actors.lines.reader import Dialled, Leaders
from cmam.openapi.framing import Deframer
from cmam.openapi.quotes import QuoteBoard
from tests.stranger.broker import Broker

if TYPE_CHECKING:
    from tests.stepped import Stepper

NETWORK_US = 200
"""One way."""


class Line:
    """One connection, as its actor sees it."""

    def __init__(self, lines: Lines, number: int, name: str, generation: int, delivery: Delivery) -> None:
        self._lines = lines
        self.number = number
        self.name = name
        self.generation = generation
        self.delivery = delivery
        self.to_broker: deque[tuple[int, bytes]] = deque()
        self.to_client: deque[tuple[int, bytes]] = deque()
        self.at_broker, self.at_client = Deframer(), Deframer()
        self.is_open, self.is_cut = True, False

    def send(self, data: bytes) -> None:
        """The connection actor's side."""
        if not self.is_open:
            raise OSError("the line was cut")
        self.to_broker.append((self._lines.now() + NETWORK_US, data))

    def receive(self) -> bytes:
        raise AssertionError("nobody reads blocking here")

    def close(self, *, at_once: bool = False) -> None:
        self.is_open, self.is_cut = False, at_once


class Lines:
    """What the scheduler runs in the place of sockets."""

    def __init__(self, stepper: Stepper, broker: Broker) -> None:
        self._stepper = stepper
        self.broker = broker
        self.lines: dict[int, Line] = {}
        self.hears: dict[int, Callable[[bytes], None]] = {}
        self.is_reachable = True
        self._numbers = itertools.count(1)

    def now(self) -> int:
        return self._stepper.clock.now()

    def reader(self, name: str, _endpoint: object, board: QuoteBoard, leaders: Leaders) -> Any:
        """The port that dials for a connection's actor."""
        lines = self

        class Reader:
            def start(self, generation: int) -> None:
                lines.dial(name, generation, board, leaders)

        return Reader()

    def dial(self, name: str, generation: int, board: QuoteBoard, leaders: Leaders) -> None:
        directory = self._stepper.directory
        if not self.is_reachable:
            directory.tell(name, m.Lost(generation, "the network is down", is_nobody_there=True))
            return
        delivery = Delivery(generation, name, leaders(), board, self._stepper.clock_of_process, directory)
        line = Line(self, next(self._numbers), name, generation, delivery)
        self.lines[line.number] = line
        self.broker.connect(line.number, self.now())
        directory.tell(name, Dialled(generation, line))

    def cut_all(self) -> None:
        """Every line is cut: what is under way in either direction is lost."""
        for line in list(self.lines.values()):
            self.cut(line)

    def cut(self, line: Line) -> None:
        self.lines.pop(line.number, None)
        line.is_open = False
        self.broker.disconnect(line.number, self.now())
        self._stepper.directory.tell(line.name, m.Lost(line.generation, "the line was cut"))

    def deliverable(self) -> list[Callable[[], None]]:
        """What could arrive now."""
        now, found = self.now(), list[Callable[[], None]]()
        for line in list(self.lines.values()):
            if line.to_broker and line.to_broker[0][0] <= now:
                found.append(lambda line=line: self._to_broker(line))
            if line.to_client and line.to_client[0][0] <= now:
                found.append(lambda line=line: self._to_client(line))
            if not line.is_open and not line.to_broker:
                found.append(lambda line=line: self.cut(line))
        return found

    def _to_broker(self, line: Line) -> None:
        _, data = line.to_broker.popleft()
        for body in line.at_broker.receive_data(data):
            self.broker.receive(line.number, body, self.now())
        self.collect()

    def _to_client(self, line: Line) -> None:
        _, data = line.to_client.popleft()
        cuts = self.broker.habits.cuts
        while cuts == "lumps" and line.to_client and line.to_client[0][0] <= self.now():
            data += line.to_client.popleft()[1]
        pieces = [data[at : at + 1] for at in range(len(data))] if cuts == "bytes" else [data]
        for piece in pieces:
            line.delivery.deliver(line.at_client.receive_data(piece), self._stepper.clock.monotonic())

    def collect(self) -> None:
        """Put what the broker says on its lines."""
        for number, data in self.broker.take_output():
            if number in self.hears:
                if data is not None:
                    self.hears[number](data)
                continue
            line = self.lines.get(number)
            if line is None:
                continue
            if data is None:
                self.cut(line)
            else:
                line.to_client.append((self.now() + NETWORK_US, data))

    def tick(self) -> None:
        """Time has moved: let the broker act on it."""
        self.broker.on_time(self.now())
        self.collect()

    def pass_ticks(self, end: int) -> None:
        """Each tick of this broker is a round of the scheduler: its day is short, and somebody listens to most."""

    def next_moment(self) -> int | None:
        """When something arrives or the broker acts next."""
        moments = [queue[0][0] for line in self.lines.values() for queue in (line.to_broker, line.to_client) if queue]
        deadline = self.broker.next_deadline()
        return min([*moments, *([deadline] if deadline is not None else [])], default=None)
