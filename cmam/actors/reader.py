"""The reader of one connection: a thread that dials, cuts bytes into frames, and hands them on.

Spots go to the quote board and no further; every other envelope is told to the connection's actor, in the order of the
wire. It ends with the connection and says why.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import Protocol

from cmam.actors import messages as m
from cmam.actors.runtime import Directory
from cmam.clock import Clock
from cmam.openapi import catalogue
from cmam.openapi.envelope import decode, peek_account, seems_spot
from cmam.openapi.errors import CannotConnect, RemoteError
from cmam.openapi.framing import Deframer, FrameTooLong
from cmam.openapi.quotes import QuoteBoard
from cmam.openapi.refusals import is_block

log = logging.getLogger(__name__)


class Wire(Protocol):
    """A connection's bytes."""

    def receive(self) -> bytes:
        """Wait for bytes; empty at the end."""
        ...

    def send(self, data: bytes) -> None:
        """Write all; raises OSError."""
        ...

    def close(self) -> None:
        """End it, from any thread."""
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
        self, dial: Dial, board: QuoteBoard, clock: Clock, directory: Directory, name: str, leaders: Leaders
    ) -> None:
        self._dial = dial
        self._board = board
        self._clock = clock
        self._directory = directory
        self._name = name
        self._leaders = leaders

    def start(self, generation: int) -> None:
        """Dial, and read until the end."""
        threading.Thread(
            target=self._run, args=(generation,), name=f"reader {self._name} {generation}", daemon=True
        ).start()

    def _run(self, generation: int) -> None:
        """Runs in the reader's thread."""
        try:
            wire = self._dial()
        except CannotConnect as error:
            self._directory.tell(self._name, m.Lost(generation, str(error), error.is_permanent))
            return
        self._directory.tell(self._name, Dialled(generation, wire))
        why = self._read(generation, wire)
        wire.close()
        self._directory.tell(self._name, m.Lost(generation, why))

    def _read(self, generation: int, wire: Wire) -> str:
        deframer, leaders, blocks = Deframer(), self._leaders(), 0
        try:
            while data := wire.receive():
                received_us = self._clock.monotonic()
                bodies = deframer.receive_data(data)
                line = (generation, received_us, self._board, self._clock, self._directory, self._name, leaders)
                blocks = deliver(bodies, *line, blocks)
        except (RemoteError, FrameTooLong) as error:
            return f"the server broke the protocol: {error}"
        except Exception as error:
            log.exception("! %s cannot be read on", self._name)
            return f"the reader failed: {type(error).__name__}: {error}"
        half = "" if deframer.is_between_frames else " in the middle of a frame"
        return f"the server closed the connection{half}"


def deliver(
    bodies: Iterable[bytes],
    generation: int,
    received_us: int,
    board: QuoteBoard,
    clock: Clock,
    directory: Directory,
    name: str,
    leaders: Set[int],
    blocks: int = 0,
) -> int:
    """Hand on the bodies of frames that came together; raises RemoteError where one is none.

    `blocks` is how often the server has forbidden a kind of request on this line before; answers how often by now. Of
    answers that came after such a word none is told ahead before the word itself is taken.
    """
    answers: list[tuple[str, int]] = []
    before = blocks
    for body in bodies:
        envelope = decode(body)
        blocks += is_block(envelope)
        board.hear(name, received_us)
        if seems_spot(body) and envelope.payload_type == catalogue.SPOT:
            board.receive(envelope, clock.now())
            continue
        if peek_account(envelope) in leaders:
            directory.tell(name, m.LeaderArrived(generation, envelope, received_us))  # read soon enough by itself
            continue
        directory.tell(name, m.Arrived(generation, envelope, received_us))
        is_answer = envelope.client_msg_id and envelope.payload_type not in catalogue.ERROR_CARRIERS
        if is_answer and blocks == before:
            answers.append((envelope.client_msg_id, envelope.payload_type))
    if answers:
        directory.tell(name, m.AnswersSeen(generation, tuple(answers), received_us, before))
    return blocks
