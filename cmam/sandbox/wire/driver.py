"""Drives the pure broker from an event loop: hands messages in, carries its output out, wakes it when it wants.

Knows connections by number and through the `Line` port only; no socket, no TLS, no protocol. Everything here runs in
the loop's own thread.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Protocol

from cmam.clock import Clock
from cmam.sandbox.service.broker import Broker
from cmam.sandbox.service.delivery import Close, Send
from cmam.sandbox.wire.channels import Incoming, LifeSign, Malformed, TooLong

_LOG = logging.getLogger("cmam.sandbox")
SLEEP_S_MAX = 1.0
"""Longest sleep between two looks at the clock: the wall clock may be set while we wait."""
SLEEP_S_MIN = 0.0005
"""Shortest sleep: a deadline that stays in the past must not become a busy loop."""
BEHIND_S = 5.0
"""A broker that has not yet done what was due so long ago is told of: a speed that is too much for this machine, or a
sleep of it."""
HEARTBEAT = 51
PASSING = frozenset({HEARTBEAT, 2131})
"""What says nothing of the books: heartbeats and spots."""


class Line(Protocol):
    """One client as the driver sees it."""

    def queue(self, payload_type: int, payload: bytes, client_msg_id: str | None) -> None:
        """Take one message to send; nothing leaves before `flush`."""
        ...

    def flush(self) -> None:
        """Send what is queued."""
        ...

    def finish(self) -> None:
        """Send what is queued, say goodbye, close."""
        ...

    def finish_within(self, payload_type: int, payload: bytes, client_msg_id: str | None) -> None:
        """Send what is queued and half of this message, then close: a fault."""
        ...

    def abort(self) -> None:
        """Cut the line without a word; what is queued is lost."""
        ...


class Driver:
    """The broker's hands: one for a server."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        before_saying: Callable[[], None] | None = None,
    ) -> None:
        self.broker = broker
        self._before_saying = before_saying
        self._clock = clock
        self._loop = loop
        self._lines: dict[int, Line] = {}
        self._numbers = itertools.count(1)
        self._last_us = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_pumping = False
        self._is_stopped = False
        self._is_behind = False

    def now(self) -> int:
        """Say what time it is in microseconds UTC; never earlier than the last answer."""
        self._last_us = max(self._last_us, self._clock.now())
        return self._last_us

    @property
    def connections(self) -> int:
        """Count the lines that are open."""
        return len(self._lines)

    def opened(self, line: Line, environment: str | None = None) -> int:
        """Take a new client, of the live, the demo or any environment; gives its number."""
        number = next(self._numbers)
        self._lines[number] = line
        self.broker.connect(number, self.now(), environment=environment)
        self.pump()
        return number

    def received(self, number: int, incoming: Incoming) -> None:
        """Hand one message of a client to the broker; `pump` carries the answers."""
        now = self.now()
        match incoming:
            case Malformed(what) | TooLong(what):
                self.broker.receive_garbage(number, what, now, is_too_long=isinstance(incoming, TooLong))
            case LifeSign():
                self.broker.receive(number, HEARTBEAT, b"", None, now)
            case _:
                self.broker.receive(number, incoming.payload_type, incoming.payload, incoming.client_msg_id, now)

    def closed(self, number: int) -> None:
        """Forget a client that is gone."""
        if self._lines.pop(number, None) is not None:
            self.broker.disconnect(number, self.now())
            self.pump()

    def pump(self) -> None:
        """Carry out everything the broker has to say, then set the alarm for its next deadline."""
        if self._is_pumping or self._is_stopped:
            return
        self._is_pumping = True
        try:
            while output := self.broker.take_output():
                if self._before_saying is not None and any(_tells(item) for item in output):
                    self._before_saying()
                self._deliver(output)
        finally:
            self._is_pumping = False
        self._set_alarm()

    def replace_broker(self, broker: Broker) -> None:
        """Go on with another broker, as after a restart; cuts every line, which the old one never hears of."""
        self.cut_all()
        self.broker = broker
        self.pump()

    def stop(self) -> None:
        """Let go of the broker and the alarm; cut every line that is still open."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.cut_all()

    def cut_all(self) -> None:
        """Cut every line without a word; the broker hears nothing of it."""
        lines = list(self._lines.values())
        self._lines.clear()
        for line in lines:
            line.abort()

    def _deliver(self, output: list[Send | Close]) -> None:
        touched: dict[int, Line] = {}
        for item in output:
            line = self._lines.get(item.connection)
            if line is None:
                continue
            match item:
                case Send():
                    line.queue(item.payload_type, item.payload, item.client_msg_id)
                    touched[item.connection] = line
                case Close():
                    _end(line, item)
                    touched.pop(item.connection, None)
        for line in touched.values():
            line.flush()

    def _set_alarm(self) -> None:
        deadline = self.broker.next_deadline()
        if deadline is None:
            return
        seconds = (deadline - self.now()) / 1_000_000
        if seconds < -BEHIND_S and not self._is_behind:
            _LOG.warning(
                "! the market is %.0f s behind the clock: too fast for this machine, or the machine slept", -seconds
            )
        self._is_behind = seconds < (-1 if self._is_behind else -BEHIND_S)
        self._sleep(min(max(seconds, SLEEP_S_MIN), SLEEP_S_MAX))

    def _sleep(self, seconds: float) -> None:
        """Wake after so long, or at the alarm that is set already if that is sooner: an early look costs little."""
        due = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        try:
            self.broker.on_time(self.now())
        except Exception:  # noqa: BLE001  # a fault of ours must neither stop the market for good nor spin
            _LOG.exception("! the broker failed on its own time; it is asked again in %s s", SLEEP_S_MAX)
            self._sleep(SLEEP_S_MAX)
            return
        self.pump()


def _tells(item: Send | Close) -> bool:
    """Whether something is said that the books may have to back."""
    return isinstance(item, Send) and item.payload_type not in PASSING


def _end(line: Line, close: Close) -> None:
    """End a line as the broker wants it: politely, or as a fault wants it."""
    if close.half_of is not None:
        line.finish_within(close.half_of.payload_type, close.half_of.payload, close.half_of.client_msg_id)
    elif close.flush:
        line.finish()
    else:
        line.abort()
