"""What one connection has let out: requests into frames, one write for all that leaves together, and who asked what.

Knows the wire of one line at a time. What cannot be written counts as sent: nobody knows how far it came. Must not know
when something may leave, which the limiter says, nor what an answer means.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from cmam.actors import messages as m
from cmam.actors.lines.reader import Wire
from cmam.actors.lines.reports import unsent
from cmam.clock import Clock
from cmam.domain.events import RequestRefused
from cmam.openapi import catalogue, requests
from cmam.openapi.envelope import encode
from cmam.openapi.errors import LocalError
from cmam.openapi.session import Session

log = logging.getLogger(__name__)

LOST = "the connection was lost"

Tell = Callable[[str, object], object]


class Outbox:
    """The requests of one connection on their way out, and the questions that await an answer."""

    def __init__(self, clock: Clock, tell: Tell) -> None:
        self._clock = clock
        self._tell = tell
        self._asked: dict[str, m.Ask] = {}

    def begin(self) -> None:
        """A new line: nothing that was asked on the old one will be answered."""
        self._asked.clear()

    def answered(self, name: str) -> m.Ask | None:
        """The question of that name, which is answered with this, one way or the other; None where nobody asked."""
        return self._asked.pop(name, None)

    def forget(self, account: int) -> None:
        """What an account has asked it will ask anew, under the same names: what was answered before is older."""
        reply_to = m.account_name(account)
        self._asked = {name: asked for name, asked in self._asked.items() if asked.reply_to != reply_to}

    def write(self, what: tuple[Any, ...], session: Session, wire: Wire) -> str:
        """Write everything in one go; answers why it failed, or nothing."""
        frames: list[bytes] = []
        left: list[Any] = []
        now = self._clock.monotonic()
        for one in what:
            try:
                message, client_msg_id, name, account = self._message_of(one, session)
                frames.append(encode(message, client_msg_id))
            except LocalError as error:
                session.skipped()
                self._refuse(one, str(error))
                continue
            session.sent(client_msg_id, name, account, catalogue.type_of(message), now)
            left.append(one)
        failure = ""
        try:
            wire.send(b"".join(frames))
        except OSError as error:
            failure = f"writing failed: {error}"
        written_us = self._clock.monotonic()
        for one in left:
            if isinstance(one, m.Submit):
                written = m.Written(one.intent, one.received_us, one.decided_us, one.committed_us, written_us)
                self._tell(m.account_name(one.account), written)
        return failure

    def give_back(self, what: tuple[Any, ...]) -> None:
        """The connection went away between the limiter and here: nothing was written, and everybody may know."""
        for one in what:
            if (told := unsent(one, LOST)) is not None:
                self._tell(*told)

    def _message_of(self, what: Any, session: Session) -> tuple[Any, str, str, int]:
        match what:
            case m.Submit():
                message = requests.request(what.account, what.intent, what.command)
                return message, what.intent, what.intent, what.account
            case m.Ask():
                client_msg_id = session.next_id()
                self._asked[client_msg_id] = what
                return what.message, client_msg_id, client_msg_id, what.account
            case m.Urge():
                is_heartbeat = catalogue.type_of(what.message) == catalogue.HEARTBEAT
                client_msg_id = "" if is_heartbeat else session.next_id()
                return what.message, client_msg_id, client_msg_id, what.account
        raise AssertionError(f"nothing to write in {what!r}")

    def _refuse(self, what: Any, why: str) -> None:
        log.error("! %s", why)
        if isinstance(what, m.Submit):
            refused = RequestRefused(intent=what.intent, error_code="LOCAL", description=why)
            self._tell(m.account_name(what.account), m.Reported(refused))
        elif (told := unsent(what, why)) is not None:  # else whoever asked would wait for ever
            self._asked = {name: asked for name, asked in self._asked.items() if asked is not what}
            self._tell(*told)
