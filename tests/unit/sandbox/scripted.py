"""A scripted broker and a server around it, for tests of what carries the messages."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trustme

from cmam.clock import SystemClock
from cmam.openapi.framing import Deframer, frame
from cmam.sandbox.service.delivery import Close, Send
from cmam.sandbox.wire import envelopes
from cmam.sandbox.wire.certificates import server_context
from cmam.sandbox.wire.driver import Driver
from cmam.sandbox.wire.envelopes import Envelope
from cmam.sandbox.wire.line_faults import LineFaults
from cmam.sandbox.wire.transport import ClientConnection
from tests.waiting import PATIENCE_S

ANSWER_S = PATIENCE_S


class ScriptedBroker:
    """Answers each message by a function of the test, and remembers what it was told."""

    def __init__(self, answer: Callable[[int, Envelope], list[Send | Close]] | None = None) -> None:
        self.answer = answer or (lambda number, m: [Send(number, m.payload_type + 1, m.payload, m.client_msg_id)])
        self.output: list[Send | Close] = []
        self.received: list[Envelope] = []
        self.garbage: list[str] = []
        self.too_long = 0
        self.connected: list[int] = []
        self.gone: list[int] = []
        self.deadline: int | None = None
        self.woken = asyncio.Event()
        self.left = asyncio.Event()

    def connect(self, connection: int, now_us: int, *, environment: str | None = None) -> None:
        self.connected.append(connection)

    def receive(
        self, connection: int, payload_type: int, payload: bytes, client_msg_id: str | None, now_us: int
    ) -> None:
        message = Envelope(payload_type, payload, client_msg_id)
        self.received.append(message)
        self.output += self.answer(connection, message)

    def receive_garbage(self, connection: int, what: str, now_us: int, *, is_too_long: bool = False) -> None:
        self.garbage.append(what)
        self.too_long += is_too_long
        self.output += [Send(connection, 2142, b"", None), Close(connection, what)]

    def disconnect(self, connection: int, now_us: int) -> None:
        self.gone.append(connection)
        self.left.set()

    def on_time(self, now_us: int) -> None:
        if self.deadline is not None and now_us >= self.deadline:
            self.deadline = None
            self.woken.set()

    def next_deadline(self) -> int | None:
        return self.deadline

    def take_output(self) -> list[Send | Close]:
        output, self.output = self.output, []
        return output


@asynccontextmanager
async def serving(
    broker: Any, *, is_json: bool = False, raw_json: bool = True, faults: LineFaults | None = None
) -> AsyncIterator[tuple[int, ssl.SSLContext, Driver]]:
    """Serve one port with a scripted broker; gives the port, a client's TLS side and the driver."""
    authority = trustme.CA()
    client = ssl.create_default_context()
    authority.configure_trust(client)
    driver = Driver(broker, SystemClock(), asyncio.get_running_loop())
    server = await asyncio.get_running_loop().create_server(
        lambda: ClientConnection(driver, is_json=is_json, raw_json=raw_json, faults=faults),
        "127.0.0.1",
        0,
        ssl=server_context(authority, "127.0.0.1", SystemClock().now()),
    )
    try:
        yield server.sockets[0].getsockname()[1], client, driver
    finally:
        server.close()
        driver.stop()


async def read_messages(reader: asyncio.StreamReader, count: int) -> list[Envelope]:
    """Read that many frames."""
    deframer = Deframer()
    found: list[Envelope] = []
    while len(found) < count:
        data = await asyncio.wait_for(reader.read(65_536), ANSWER_S)
        assert data, "the server closed early"
        found += [envelopes.decode(body) for body in deframer.receive_data(data)]
    return found


def framed(payload_type: int, payload: bytes = b"", client_msg_id: str | None = None) -> bytes:
    """Write one frame as a client does."""
    return frame(envelopes.encode(payload_type, payload, client_msg_id))


def run(story: Callable[[], Any]) -> None:
    """Run one story in a loop of its own, for a limited time."""
    asyncio.run(asyncio.wait_for(story(), 2 * ANSWER_S))
