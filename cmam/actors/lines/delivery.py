"""What becomes of one line's frames as they come: to whom each is told, and what is told ahead of all.

Spots go to the quote board and no further; every other envelope is told to the connection's actor, in the order of the
wire, those of accounts that lead in a lane of their own. That answers came is told ahead of what they say, since it
frees slots of the budget. It must not know what a message means to an account.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Set

from cmam.actors import messages as m
from cmam.actors.threads.runtime import Directory
from cmam.clock import Clock
from cmam.openapi import catalogue
from cmam.openapi.envelope import Envelope, decode, peek_account, seems_spot
from cmam.openapi.errors import RemoteError
from cmam.openapi.quotes import QuoteBoard
from cmam.openapi.refusals import is_block

log = logging.getLogger(__name__)

EACH = 8 * 1024
"""What a message weighs beside its bytes: what it costs to be taken, in the bytes that cost as much to keep."""


class Delivery:
    """Delivers what arrives on one line, from its first frame to its last. Of the reader's thread alone."""

    def __init__(
        self, generation: int, name: str, leaders: Set[int], board: QuoteBoard, clock: Clock, directory: Directory
    ) -> None:
        self._generation = generation
        self._name = name
        self._leaders = leaders
        self._board = board
        self._clock = clock
        self._directory = directory
        self._blocks = 0
        self._has_unreadable_spot = False

    def deliver(self, bodies: Iterable[bytes], received_us: int) -> int:
        """Hand on the bodies of frames that came together at a moment; raises RemoteError where one is none.

        Answers what those weigh that somebody has yet to take.
        """
        answers: list[tuple[str, int]] = []
        before, weight = self._blocks, 0
        for body in bodies:
            envelope = decode(body)
            self._board.hear(self._name, received_us)
            if seems_spot(body) and envelope.payload_type == catalogue.SPOT:
                self._take_spot(envelope)
                continue
            weight += EACH + len(body)
            self._blocks += is_block(envelope)
            if peek_account(envelope) in self._leaders:  # it is read soon enough by itself
                self._directory.tell(self._name, m.LeaderArrived(self._generation, envelope, received_us))
                continue
            self._directory.tell(self._name, m.Arrived(self._generation, envelope, received_us))
            if self._blocks == before and _is_answer(envelope):
                answers.append((envelope.client_msg_id, envelope.payload_type))
        if answers:
            self._directory.tell(self._name, m.AnswersSeen(self._generation, tuple(answers), received_us, before))
        return weight

    def _take_spot(self, envelope: Envelope) -> None:
        """Let the board take a quote. One that nobody can read counts as none: it must not cost all accounts the line,
        over which their closes leave."""
        try:
            self._board.receive(envelope, self._clock.now())
        except RemoteError as error:
            level = logging.DEBUG if self._has_unreadable_spot else logging.ERROR
            self._has_unreadable_spot = True
            log.log(level, "! %s carries quotes that cmam cannot read; they count as none: %s", self._name, error)


def _is_answer(envelope: Envelope) -> bool:
    """Whether it may free a slot ahead of what it says; what a refusal forbids is to be known before that."""
    return bool(envelope.client_msg_id) and envelope.payload_type not in catalogue.ERROR_CARRIERS
