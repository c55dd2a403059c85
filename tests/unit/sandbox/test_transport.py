"""Clients on real TLS sockets, before a scripted broker: what a line carries, and what it may cost."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from cmam.openapi.framing import FRAME_BYTES_MAX, Deframer
from cmam.sandbox.service.delivery import Close, Send
from cmam.sandbox.wire import envelopes, transport
from cmam.sandbox.wire.envelopes import Envelope
from tests.unit.sandbox.scripted import ANSWER_S, ScriptedBroker, framed, read_messages, run, serving


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
            assert broker.too_long == 0

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
            assert (len(broker.garbage), broker.too_long) == (1, 1)
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
