"""Clients on real TLS sockets, before a scripted broker: what a line carries, and what it may cost."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from cmam.clock import SystemClock
from cmam.openapi.framing import FRAME_BYTES_MAX, Deframer, frame
from cmam.sandbox import driver as driver_module
from cmam.sandbox import envelopes, transport
from cmam.sandbox.broker import Close, Send
from cmam.sandbox.certificates import server_context
from cmam.sandbox.driver import Driver
from cmam.sandbox.envelopes import Envelope
from cmam.sandbox.line_faults import LineFaults
from cmam.sandbox.transport import ClientConnection

ANSWER_S = 10.0


class ScriptedBroker:
    """Answers each message by a function of the test, and remembers what it was told."""

    def __init__(self, answer: Callable[[int, Envelope], list[Send | Close]] | None = None) -> None:
        self.answer = answer or (lambda number, m: [Send(number, m.payload_type + 1, m.payload, m.client_msg_id)])
        self.output: list[Send | Close] = []
        self.received: list[Envelope] = []
        self.garbage: list[str] = []
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

    def receive_garbage(self, connection: int, what: str, now_us: int) -> None:
        self.garbage.append(what)
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
        ssl=server_context(authority, "127.0.0.1"),
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
    asyncio.run(asyncio.wait_for(story(), 60))


def test_frames_go_both_ways_also_byte_by_byte() -> None:
    """Requests arrive whole, whatever they were cut into, and answers keep their order and ids."""

    async def story() -> None:
        async with serving(ScriptedBroker()) as (port, tls, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            for byte in framed(2100, b"\x12\x01x", "one"):
                writer.write(bytes([byte]))
                await writer.drain()
            writer.write(framed(2102, b"", "two") + framed(2104, b"", None))
            answers = await read_messages(reader, 3)
            assert answers == [
                Envelope(2101, b"\x12\x01x", "one"),
                Envelope(2103, b"", "two"),
                Envelope(2105, b"", None),
            ]
            writer.close()

    run(story)


def test_both_ports_speak_websocket() -> None:
    """The same port carries frames and WebSocket; on the JSON port messages are text."""

    async def story() -> None:
        async with serving(ScriptedBroker()) as (port, tls, _), connect(f"wss://localhost:{port}/", ssl=tls) as socket_:
            await socket_.send(envelopes.encode(2100, b"", "a"))
            answer = await asyncio.wait_for(socket_.recv(), ANSWER_S)
            assert isinstance(answer, bytes)
            assert envelopes.decode(answer) == Envelope(2101, b"", "a")
        json_port = serving(ScriptedBroker(), is_json=True)
        async with json_port as (port, tls, _), connect(f"wss://localhost:{port}/", ssl=tls) as socket_:
            await socket_.send('{"payloadType":2100,"clientMsgId":"a"}')
            assert await asyncio.wait_for(socket_.recv(), ANSWER_S) == '{"payloadType":2101,"clientMsgId":"a"}'

    run(story)


@pytest.mark.parametrize("raw_json", [True, False])
def test_json_lines_are_a_switch(raw_json: bool) -> None:
    """Raw JSON is answered line by line, or the line is closed where the switch is off."""

    async def story() -> None:
        async with serving(ScriptedBroker(), is_json=True, raw_json=raw_json) as (port, tls, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(b'{"payloadType":2100}\n')
            answer = await asyncio.wait_for(reader.readline(), ANSWER_S)
            assert answer == (b'{"payloadType":2101}\n' if raw_json else b"")
            writer.close()

    run(story)


def test_malformed_json_is_answered_and_the_websocket_closed_with_bye() -> None:
    """The answer reaches the client before the close, whose code and reason are the recorded ones."""

    async def story() -> None:
        broker = ScriptedBroker()
        async with serving(broker, is_json=True) as (port, tls, _):  # one line would hide the story
            async with connect(f"wss://localhost:{port}/", ssl=tls) as socket_:
                await socket_.send('{"a":}')
                assert await asyncio.wait_for(socket_.recv(), ANSWER_S) == '{"payloadType":2142}'
                with pytest.raises(ConnectionClosed):
                    await asyncio.wait_for(socket_.recv(), ANSWER_S)
                assert (socket_.close_code, socket_.close_reason) == (1000, "Bye")
            assert broker.garbage == ["Malformed JSON message at 1:6"]

    run(story)


def test_a_frame_above_the_cap_is_reported_once_and_the_line_closed() -> None:
    """What follows a length that cannot be true is never read."""

    async def story() -> None:
        broker = ScriptedBroker()
        async with serving(broker) as (port, tls, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write((FRAME_BYTES_MAX + 1).to_bytes(4, "big") + framed(2100) * 3)
            (answer,) = await read_messages(reader, 1)
            assert answer.payload_type == 2142
            assert await asyncio.wait_for(reader.read(), ANSWER_S) == b""
            assert len(broker.garbage) == 1
            assert broker.received == []
            writer.close()

    run(story)


def test_a_closed_line_is_flushed_whole_frames_only() -> None:
    """Everything sent before a close arrives, and the stream ends between two frames."""
    body = b"\x12\x82\x20" + b"x" * 4098

    async def story() -> None:
        def answer(number: int, _: Envelope) -> list[Send | Close]:
            return [*(Send(number, 2101, body, None) for _ in range(500)), Close(number, "enough")]

        async with serving(ScriptedBroker(answer)) as (port, tls, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(framed(2100))
            data = await asyncio.wait_for(reader.read(), ANSWER_S)
            deframer = Deframer()
            assert len(list(deframer.receive_data(data))) == 500
            assert deframer.is_between_frames
            writer.close()

    run(story)


def test_a_reader_that_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that nobody takes are bounded: first we stop reading the requests, then the line is cut."""
    monkeypatch.setattr(transport, "UNREAD_BYTES_MAX", 1024 * 1024)
    body = b"\x12\x80\x80\x04" + b"x" * 65_536

    class Streaming(ScriptedBroker):
        """Sends events to whoever once spoke, as fast as it is woken."""

        def on_time(self, now_us: int) -> None:
            self.output += [Send(1, 2131, body, None) for _ in range(10)] if self.received else []

        def next_deadline(self) -> int | None:
            return 1

    async def story() -> None:
        broker = Streaming()
        async with serving(broker) as (port, tls, driver):
            raw = socket.create_connection(("127.0.0.1", port))
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
            _, writer = await asyncio.open_connection(sock=raw, ssl=tls, server_hostname="localhost", limit=1024)
            writer.write(framed(2100))
            await asyncio.wait_for(broker.left.wait(), ANSWER_S)
            assert driver.connections == 0
            writer.transport.abort()

    run(story)


def test_a_client_that_leaves_in_any_way_is_forgotten() -> None:
    """Half a frame, half a handshake, a cut and a polite end all leave nothing behind."""

    async def story() -> None:
        broker = ScriptedBroker()
        async with serving(broker) as (port, tls, driver):
            for opening in (b"", b"G", b"\x00\x00", framed(2100)[:-1], b"GET / HTTP/1.1\r\n", framed(2100)):
                for is_cut in (True, False):
                    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
                    writer.write(opening)
                    await writer.drain()
                    broker.left.clear()
                    if is_cut:
                        writer.transport.abort()
                    else:
                        writer.close()
                    await asyncio.wait_for(broker.left.wait(), ANSWER_S)
            assert driver.connections == 0
            assert sorted(broker.gone) == sorted(broker.connected)

    run(story)


def test_deadlines_wake_the_broker_and_a_past_one_is_no_busy_loop() -> None:
    """The broker is woken at its moment; a deadline that stays in the past costs some wakes, not the processor."""

    async def story() -> None:
        broker = ScriptedBroker()
        async with serving(broker) as (_, _, driver):
            due = broker.deadline = driver.now() + 20_000
            driver.pump()
            await asyncio.wait_for(broker.woken.wait(), ANSWER_S)
            assert driver.now() >= due

            class Stuck(ScriptedBroker):
                wakes = 0

                def on_time(self, now_us: int) -> None:
                    self.wakes += 1
                    if self.wakes == 20:
                        self.woken.set()

                def next_deadline(self) -> int | None:
                    return 1

            stuck = Stuck()
            loop = asyncio.get_running_loop()
            started = loop.time()
            stuck_driver = Driver(stuck, SystemClock(), loop)  # type: ignore[arg-type]
            stuck_driver.pump()
            await asyncio.wait_for(stuck.woken.wait(), ANSWER_S)
            assert loop.time() - started >= 19 * 0.0005
            stuck_driver.stop()

    run(story)


def test_hundreds_of_clients_at_once_each_get_their_own_answers() -> None:
    """Lines do not mix."""

    async def one(port: int, tls: ssl.SSLContext, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        for turn in range(5):
            writer.write(framed(2100, b"", f"{number}-{turn}"))
        answers = await read_messages(reader, 5)
        assert [answer.client_msg_id for answer in answers] == [f"{number}-{turn}" for turn in range(5)]
        writer.close()

    async def story() -> None:
        broker = ScriptedBroker()
        async with serving(broker) as (port, tls, _):
            await asyncio.gather(*(one(port, tls, number) for number in range(200)))

    run(story)


def test_the_authority_is_kept_and_the_certificate_covers_this_machine(tmp_path: Path) -> None:
    """A second start trusts what the first one handed out; a damaged pair is made anew."""
    from cmam.sandbox.certificates import CA_KEY_FILE, certificate_authority

    first, ca_file = certificate_authority(tmp_path / "home" / "sandbox")
    again, _ = certificate_authority(tmp_path / "home" / "sandbox")
    assert first.cert_pem.bytes() == again.cert_pem.bytes() == ca_file.read_bytes()
    assert ca_file.parent.stat().st_mode & 0o077 == 0
    assert (ca_file.parent / CA_KEY_FILE).stat().st_mode & 0o077 == 0
    (ca_file.parent / CA_KEY_FILE).write_text("damaged")
    renewed, _ = certificate_authority(tmp_path / "home" / "sandbox")
    assert renewed.cert_pem.bytes() != first.cert_pem.bytes()


@pytest.mark.parametrize(("how", "whole", "rest"), [("abort", 0, 0), ("half", 1, 1), ("flush", 1, 0)])
def test_a_close_is_polite_or_cuts_as_a_fault_wants_it(how: str, whole: int, rest: int) -> None:
    """A polite close ends between frames; a fault leaves half a frame, or drops what was queued."""
    second = framed(2103, b"", "b")

    async def story() -> None:
        def answer(number: int, _: Envelope) -> list[Send | Close]:
            half = Send(number, 2103, b"", "b") if how == "half" else None
            return [Send(number, 2101, b"", "a"), Close(number, "", flush=how == "flush", half_of=half)]

        broker = ScriptedBroker(answer)
        async with serving(broker) as (port, tls, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(framed(2100, b"", "a"))
            try:
                data = await asyncio.wait_for(reader.read(), ANSWER_S)
            except (ConnectionResetError, ssl.SSLError):
                data = b""
            bodies = list(Deframer().receive_data(data))
            assert len(bodies) == whole
            assert len(data) - sum(4 + len(body) for body in bodies) == rest * (len(second) // 2)
            await asyncio.wait_for(broker.left.wait(), ANSWER_S)
            writer.close()

    run(story)


def test_trickled_answers_are_the_same_bytes() -> None:
    """Pieces of a few bytes make the same frames in the end."""

    async def story() -> None:
        faults = LineFaults()
        faults.set("trickle", {"bytes": "3", "ms": "0"})
        async with serving(ScriptedBroker(), faults=faults) as (port, tls, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(framed(2100, b"\x12\x01x", "a") + framed(2102, b"", "b"))
            assert await read_messages(reader, 2) == [Envelope(2101, b"\x12\x01x", "a"), Envelope(2103, b"", "b")]
            writer.close()

    run(story)


def test_a_slow_reader_takes_its_time_and_everything_in_the_end() -> None:
    """Requests wait in the client's socket, none is lost."""

    async def story() -> None:
        faults = LineFaults()
        faults.set("slow-reader", {"bytes_per_s": "100000"})
        async with serving(ScriptedBroker(), faults=faults) as (port, tls, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            loop = asyncio.get_running_loop()
            started = loop.time()
            writer.write(framed(2100, b"x" * 10_000, "a"))
            await writer.drain()
            await read_messages(reader, 1)
            writer.write(framed(2102, b"", "b"))
            assert await read_messages(reader, 1) == [Envelope(2103, b"", "b")]
            assert loop.time() - started >= 0.09
            writer.close()

    run(story)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("trickle", {"colour": "red"}),
        ("trickle", {"bytes": "-1"}),
        ("slow-reader", {"bytes_per_s": "0"}),
        ("restart", {"down_s": "x"}),
    ],
)
def test_arguments_of_wire_faults_are_checked_and_nothing_is_switched_on(name: str, arguments: dict[str, str]) -> None:
    """A fault with a wrong argument is refused in one sentence."""
    faults = LineFaults()
    with pytest.raises(ValueError, match=r"expected|takes"):
        faults.set(name, arguments)
    assert faults.on() == {}
    assert (faults.bytes_per_s, faults.trickle_bytes) == (0, 0)


def test_a_broker_that_fails_on_its_own_time_is_asked_again_without_a_storm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the core is logged once a while, and the market goes on when it has passed."""
    monkeypatch.setattr(driver_module, "SLEEP_S_MAX", 0.01)

    class Failing(ScriptedBroker):
        asked = 0

        def on_time(self, now_us: int) -> None:
            self.asked += 1
            if self.asked < 3:
                raise RuntimeError("a fault of the core")
            self.woken.set()

        def next_deadline(self) -> int | None:
            return 1

    async def story() -> None:
        broker = Failing()
        loop = asyncio.get_running_loop()
        driver = Driver(broker, SystemClock(), loop)  # type: ignore[arg-type]
        started = loop.time()
        driver.pump()
        await asyncio.wait_for(broker.woken.wait(), ANSWER_S)
        assert loop.time() - started >= 2 * 0.01
        driver.stop()

    run(story)
