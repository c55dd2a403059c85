"""The three shapes of a client's stream, whatever its bytes were chunked into."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from cmam.openapi.framing import FRAME_BYTES_MAX, Deframer, frame
from cmam.sandbox.wire import channels, envelopes
from cmam.sandbox.wire.channels import Incoming, LifeSign, Malformed, TooLong
from cmam.sandbox.wire.envelopes import Envelope

MESSAGES = [Envelope(2100, b"\x12\x01x", "id-1"), Envelope(51, b"", None), Envelope(2102, b"", "")]


def as_frames(messages: list[Envelope]) -> bytes:
    """Write messages as a raw client does."""
    return b"".join(frame(envelopes.encode(m.payload_type, m.payload, m.client_msg_id)) for m in messages)


def fed(channel: channels.Channel, data: bytes, size: int) -> list[Incoming]:
    """Feed `data` in chunks of `size`; gives what came out."""
    return [found for i in range(0, len(data), size) for found in channel.receive_data(data[i : i + size])]


class Client:
    """A WebSocket client that keeps rules, joined to a channel without a socket."""

    def __init__(self, channel: channels.WebSocketChannel) -> None:
        self.channel = channel
        self.protocol = ClientProtocol(parse_uri("wss://localhost/"))
        self.protocol.send_request(self.protocol.connect())
        assert self.exchange() == []

    def exchange(self) -> list[Incoming]:
        incoming: list[Incoming] = []
        for data in self.protocol.data_to_send():
            incoming += self.channel.receive_data(data)
        self.receive(self.channel.data_to_send())
        return incoming

    def receive(self, data: bytes) -> list[Frame]:
        if data:
            self.protocol.receive_data(data)
        return [event for event in self.protocol.events_received() if isinstance(event, Frame)]


@given(st.integers(1, 40))
def test_frames_are_read_whatever_the_chunks(size: int) -> None:
    """TCP may split and merge frames at will."""
    assert fed(channels.FrameChannel(), as_frames(MESSAGES), size) == MESSAGES


@given(st.integers(1, 40))
def test_lines_are_read_whatever_the_chunks(size: int) -> None:
    """One JSON object a line, blank lines ignored."""
    data = b'{"payloadType":51}\n\r\n{"payloadType":2100,"clientMsgId":"a"}\r\n'
    assert fed(channels.LineChannel(), data, size) == [Envelope(51, b"", None), Envelope(2100, b"", "a")]


def test_the_first_bytes_tell_the_shape() -> None:
    """`GET ` opens a WebSocket; anything else is the port's raw form; a prefix of it is not decided yet."""
    assert isinstance(channels.choose(b"GET /", is_json=False), channels.WebSocketChannel)
    assert isinstance(channels.choose(b"\x00\x00\x00\x02", is_json=False), channels.FrameChannel)
    assert isinstance(channels.choose(b"{", is_json=True), channels.LineChannel)
    assert channels.choose(b"GE", is_json=True) is None


def test_undecodable_bodies_are_malformed_and_the_stream_goes_on() -> None:
    """A frame that is no ProtoMessage does not spoil the next one."""
    found = fed(channels.FrameChannel(), frame(b"\xff\xff") + frame(b"") + as_frames(MESSAGES[:1]), 64)
    assert [type(item) for item in found] == [Malformed, Malformed, Envelope]


def test_nothing_is_read_after_a_frame_that_is_too_long() -> None:
    """A length above the cap is answered once, and everything after it is ignored."""
    channel = channels.FrameChannel()
    data = (FRAME_BYTES_MAX + 1).to_bytes(4, "big") + as_frames(MESSAGES)
    assert [type(item) for item in fed(channel, data, 1024)] == [TooLong]
    assert list(channel.receive_data(as_frames(MESSAGES))) == []
    assert channel.is_over


def test_a_line_without_end_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that never ends its line cannot fill the memory."""
    monkeypatch.setattr(channels, "LINE_BYTES_MAX", 100)
    channel = channels.LineChannel()
    assert [type(item) for item in fed(channel, b"x" * 150, 10)] == [TooLong]
    assert channel.is_over


def test_answers_go_out_in_the_shape_that_was_spoken() -> None:
    """A raw client gets a length and an envelope, always with a payload; a line client gets a line."""
    sent = channels.FrameChannel().send(2101, b"", "a")
    (body,) = Deframer().receive_data(sent)
    assert envelopes.decode(body) == Envelope(2101, b"", "a")
    assert b"\x12\x00" in body  # some clients demand the field, empty as it is
    assert channels.LineChannel().send(2101, b"", None) == b'{"payloadType":2101}\n'


def test_an_answer_leaves_out_an_id_that_would_fill_its_frame() -> None:
    """A request may just fit into a frame with its id; the answer is longer, so it goes out without the echo."""
    channel = channels.FrameChannel()
    asked = Envelope(2104, b"", "z" * (FRAME_BYTES_MAX - 13))
    assert fed(channel, as_frames([asked]), FRAME_BYTES_MAX) == [asked]
    (body,) = Deframer().receive_data(channel.send(2105, b"\x12\x0291", asked.client_msg_id))
    assert envelopes.decode(body) == Envelope(2105, b"\x12\x0291", None)


def test_a_websocket_carries_protobuf_as_binary_messages() -> None:
    """One binary message is one ProtoMessage, without a length, both ways."""
    client = Client(channels.WebSocketChannel(is_json=False))
    client.protocol.send_binary(envelopes.encode(2100, b"\x12\x01x", "a"))
    assert client.exchange() == [Envelope(2100, b"\x12\x01x", "a")]
    (answer,) = client.receive(client.channel.send(2101, b"", "a"))
    assert answer.opcode is Opcode.BINARY
    assert envelopes.decode(bytes(answer.data)) == Envelope(2101, b"", "a")


def test_a_websocket_carries_json_as_text_messages_also_in_fragments() -> None:
    """Fragments are joined before they are read."""
    client = Client(channels.WebSocketChannel(is_json=True))
    client.protocol.send_text(b'{"payload', fin=False)
    client.protocol.send_continuation(b'Type":51', fin=False)
    client.protocol.send_continuation(b"}", fin=True)
    assert client.exchange() == [Envelope(51, b"", None)]
    (answer,) = client.receive(client.channel.send(51, b"", None))
    assert (answer.opcode, bytes(answer.data)) == (Opcode.TEXT, b'{"payloadType":51}')


def test_a_ping_is_answered_and_is_a_sign_of_life() -> None:
    """WebSocket pings keep an idle connection open."""
    client = Client(channels.WebSocketChannel(is_json=True))
    client.protocol.send_ping(b"x")
    found = [item for data in client.protocol.data_to_send() for item in client.channel.receive_data(data)]
    assert found == [LifeSign()]
    assert [frame.opcode for frame in client.receive(client.channel.data_to_send())] == [Opcode.PONG]


def test_a_text_message_on_the_protobuf_port_is_malformed() -> None:
    """Text cannot be a ProtoMessage."""
    client = Client(channels.WebSocketChannel(is_json=False))
    client.protocol.send_text(b"{}")
    assert [type(item) for item in client.exchange()] == [Malformed]


def test_closing_says_bye_with_1000_and_sends_nothing_after() -> None:
    """The goodbye is the one that was recorded; messages after it are not sent."""
    client = Client(channels.WebSocketChannel(is_json=True))
    (goodbye,) = client.receive(client.channel.close())
    assert bytes(goodbye.data) == (1000).to_bytes(2, "big") + b"Bye"
    assert client.channel.send(51, b"", None) == b""
    assert not client.channel.is_over
    client.exchange()
    assert client.channel.is_over


def test_a_client_that_closes_is_answered_and_over() -> None:
    """The closing handshake of the client ends the stream."""
    client = Client(channels.WebSocketChannel(is_json=True))
    client.protocol.send_close(1000)
    assert client.exchange() == []
    assert client.channel.is_over


@pytest.mark.parametrize(
    "opening",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET " + b"a" * 20_000,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    ],
)
def test_an_opening_that_is_no_handshake_ends_the_stream(opening: bytes) -> None:
    """A plain HTTP request, or garbage in its place, is refused and everything after it is ignored."""
    channel = channels.WebSocketChannel(is_json=True)
    assert list(channel.receive_data(opening)) == []
    channel.data_to_send()
    assert channel.is_over
    assert list(channel.receive_data(opening)) == []


@given(st.binary(max_size=200), st.integers(1, 60), st.booleans())
def test_no_bytes_whatever_break_a_channel(data: bytes, size: int, is_json: bool) -> None:
    """Garbage of any kind gives values, never an exception."""
    for channel in (
        channels.FrameChannel(),
        channels.LineChannel(),
        Client(channels.WebSocketChannel(is_json=is_json)).channel,
    ):
        for item in fed(channel, data, size):
            assert isinstance(item, (Envelope, Malformed, TooLong, LifeSign))
        channel.data_to_send()
        channel.send(51, b"", None)
        channel.close()
