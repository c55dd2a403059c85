"""What leaves the broker, in order: messages and closes, and the faults that befall them on their way.

Without faults a message is appended and that is all. Knows sessions and payload bytes; not what is in them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from cmam.sandbox import units
from cmam.sandbox.faults import Faults
from cmam.sandbox.service.sessions import Session
from cmam.sandbox.service.stats import Stats
from cmam.sandbox.trading.floor import EXECUTION_EVENT, Floor


@dataclass(frozen=True, slots=True)
class Send:
    """One message for one connection: type, serialised inner message, and the id it answers to."""

    connection: int
    payload_type: int
    payload: bytes
    client_msg_id: str | None


@dataclass(frozen=True, slots=True)
class Close:
    """The end of one connection: what was sent before is flushed, then it closes on a frame boundary.

    Faults want it otherwise: with `half_of` half of that frame goes out after the rest and then the line is cut;
    without `flush` it is cut as it is, and what is still unsent is lost.
    """

    connection: int
    reason: str
    flush: bool = True
    half_of: Send | None = None


class Delivery:
    """The broker's outgoing side."""

    def __init__(self, floor: Floor, faults: Faults, stats: Stats, end: Callable[[Session, str], None]) -> None:
        self._floor = floor
        self._faults = faults
        self._stats = stats
        self._end = end
        self._output: list[Send | Close] = []

    def take(self) -> list[Send | Close]:
        """Give what is to leave, and forget it."""
        output, self._output = self._output, []
        return output

    def send(
        self, session: Session, payload_type: int, payload: bytes, msg_id: str | None, ctid: int | None = None
    ) -> None:
        """Send one message; `ctid` is the account that an event is about."""
        if session.is_closing:
            return
        item = Send(session.connection, payload_type, payload, msg_id)
        if self._faults.is_any or session.is_troubled:
            self._send_troubled(session, item, ctid)
        else:
            self._put(session, item)

    def _put(self, session: Session, item: Send) -> None:
        session.said_us = self._floor.now_us
        session.figures.sent += 1
        self._stats.sent += 1
        self._output.append(item)

    def close(self, session: Session, reason: str, *, flush: bool = True, half_of: Send | None = None) -> None:
        """End a connection from our side."""
        if not flush:
            self._output = [item for item in self._output if item.connection != session.connection]
        self._end(session, reason)
        self._output.append(Close(session.connection, reason, flush, half_of))

    def withhold(self, session: Session, msg_id: str | None) -> None:
        """Send nothing more to that connection that carries this id."""
        session.is_troubled = True
        session.muted.add(msg_id)

    # With faults.

    def _send_troubled(self, session: Session, item: Send, ctid: int | None) -> None:
        if item.client_msg_id in session.muted:
            return
        if session.halves_next:
            self.close(session, "fault: half a frame", half_of=item)
            return
        self._hold(session, item, ctid)
        is_copied = item.payload_type == EXECUTION_EVENT and self._strikes("duplicate", session, ctid)
        if is_copied:
            self._hold(session, item, ctid)
        if session.ends_after is not None and session.ends_after == item.client_msg_id:
            self.close(session, "fault: cut in the middle of an order")

    def _strikes(self, name: str, session: Session, ctid: int | None) -> bool:
        return self._faults.strikes(name, account=ctid, connection=session.connection) is not None

    def _hold(self, session: Session, item: Send, ctid: int | None) -> None:
        """Send now or later; what is behind something held waits for it, except where accounts may overtake."""
        now = self._floor.now_us
        wait_us = 0
        late = self._faults.strikes("delay", account=ctid, connection=session.connection)
        if late is not None:
            wait_us = late.number("ms") * units.MILLISECOND_US
        mixed = self._faults.present("reorder")
        if mixed is not None and ctid is not None and self._strikes("reorder", session, ctid):
            wait_us += self._faults.draw(mixed.number("ms")) * units.MILLISECOND_US
        queue = ctid if mixed is not None else None
        release = max(now + wait_us, session.held_until.get(queue, 0))
        if release <= now:
            self._put(session, item)
            return
        session.is_troubled = True
        session.held_until[queue] = release
        self._floor.at(release, partial(self._release, session, item))

    def _release(self, session: Session, item: Send) -> None:
        if not session.is_closing:
            self._put(session, item)
