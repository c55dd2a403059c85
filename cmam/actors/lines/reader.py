"""The reader of one connection: a thread that dials, cuts bytes into frames, and has them delivered.

It ends with the connection and says why. What becomes of a frame is told by `delivery.py`, how far it may be ahead of
those who take them by `pace.py`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from cmam import processor
from cmam.actors import messages as m
from cmam.actors.lines.delivery import Delivery
from cmam.actors.lines.pace import Pace
from cmam.actors.threads.runtime import Directory, Latch
from cmam.clock import Clock
from cmam.openapi.errors import CannotConnect, RemoteError
from cmam.openapi.framing import Deframer, FrameTooLong
from cmam.openapi.quotes import QuoteBoard

log = logging.getLogger(__name__)


class Wire(Protocol):
    """A connection's bytes."""

    def receive(self) -> bytes:
        """Wait for bytes; empty at the end."""
        ...

    def send(self, data: bytes) -> None:
        """Write all; raises OSError."""
        ...

    def close(self, *, at_once: bool = False) -> None:
        """End it, from any thread; `at_once` takes back what the other side does not have yet."""
        ...


@dataclass(frozen=True, slots=True)
class Dialled:
    """To the connection: here is the wire of this generation."""

    generation: int
    wire: Wire


Dial = Callable[[], Wire]
Leaders = Callable[[], Set[int]]
"""The accounts that somebody follows at this moment."""


class ThreadReader:
    """Starts a thread for each generation of a connection. Those who lead as it begins are its leaders to its end."""

    def __init__(
        self,
        dial: Dial,
        board: QuoteBoard,
        clock: Clock,
        directory: Directory,
        name: str,
        leaders: Leaders,
        wait: Callable[[Latch, float], bool] = Latch.wait,
    ) -> None:
        self._dial = dial
        self._board = board
        self._clock = clock
        self._directory = directory
        self._name = name
        self._leaders = leaders
        self._wait = wait

    def start(self, generation: int) -> None:
        """Dial, and read until the end."""
        try:
            threading.Thread(
                target=self._run, args=(generation,), name=f"reader {self._name} {generation}", daemon=True
            ).start()
        except RuntimeError as error:  # the machine has no thread to give: tried again, as all that fails at dialling
            self._directory.tell(self._name, m.Lost(generation, f"dialling failed: {error}"))

    def _run(self, generation: int) -> None:
        """Runs in the reader's thread."""
        processor.ask_for_short_turns()
        try:
            wire = self._dial()
        except CannotConnect as error:
            self._directory.tell(self._name, _lost(generation, error))
            return
        except Exception as error:  # a reader that ends without a word would leave its line down for ever
            log.exception("! %s cannot be dialled", self._name)
            self._directory.tell(self._name, m.Lost(generation, f"dialling failed: {type(error).__name__}: {error}"))
            return
        self._directory.tell(self._name, Dialled(generation, wire))
        why = self._read(generation, wire)
        wire.close()
        self._directory.tell(self._name, m.Lost(generation, why))

    def _read(self, generation: int, wire: Wire) -> str:
        deframer = Deframer()
        delivery = Delivery(generation, self._name, self._leaders(), self._board, self._clock, self._directory)
        hear = partial(self._board.hear, self._name)
        pace = Pace(generation, self._name, self._clock, self._directory, hear, self._wait)
        try:
            while data := wire.receive():
                received_us = self._clock.monotonic()
                pace.told(delivery.deliver(deframer.receive_data(data), received_us))
        except (RemoteError, FrameTooLong) as error:
            return f"the server broke the protocol: {error}"
        except Exception as error:
            log.exception("! %s cannot be read on", self._name)
            return f"the reader failed: {type(error).__name__}: {error}"
        half = "" if deframer.is_between_frames else " in the middle of a frame"
        return f"the server closed the connection{half}"


def _lost(generation: int, error: CannotConnect) -> m.Lost:
    return m.Lost(generation, str(error), error.is_permanent, error.is_nobody_there)
