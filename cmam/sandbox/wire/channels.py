"""One client's byte stream as messages, in each of the three shapes it may have. Sans-IO: bytes in, messages out.

    frames      4-byte length and ProtoMessage         port 5035
    lines       one JSON object a line                 port 5036 (the delimiter is not documented, hence the switch)
    WebSocket   one message a WebSocket message        both ports, binary or text after the port

The first four bytes after TLS tell which: `GET ` is a WebSocket's, and as a length it would be far above the frame cap.
Knows no socket, no broker and no message by name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, SEND_EOF
from websockets.server import ServerProtocol

from cmam.openapi.framing import FRAME_BYTES_MAX, Deframer, FrameTooLong, frame
from cmam.sandbox.wire import envelopes, json_codec
from cmam.sandbox.wire.envelopes import Envelope, Garbage

WEBSOCKET_PREFIX = b"GET "
LINE_BYTES_MAX = FRAME_BYTES_MAX
WS_NORMAL_CLOSURE = 1000
WS_GOING_AWAY_TEXT = "Bye"
"""What the real server was seen to say with code 1000 when it closes an idle WebSocket."""

_SILENT = logging.getLogger("cmam.sandbox.websocket")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


@dataclass(frozen=True, slots=True)
class Malformed:
    """Input that is no message, and why."""

    what: str


@dataclass(frozen=True, slots=True)
class TooLong:
    """Input above the cap; nothing after it can be read."""

    what: str


@dataclass(frozen=True, slots=True)
class LifeSign:
    """A WebSocket ping or pong: no message, but the client lives."""


Incoming = Envelope | Malformed | TooLong | LifeSign


class Channel(Protocol):
    """The shape of one client's stream."""

    is_over: bool
    """Whether the stream has ended by its own means: nothing more is read, what is owed is sent, then it closes."""

    def receive_data(self, data: bytes) -> Iterator[Incoming]:
        """Take bytes as they came and yield what they complete."""
        ...

    def send(self, payload_type: int, payload: bytes, client_msg_id: str | None) -> bytes:
        """Write one message; nothing if the stream cannot carry one now."""
        ...

    def close(self) -> bytes:
        """Say goodbye, where the shape has a way to say it."""
        ...

    def data_to_send(self) -> bytes:
        """Give the bytes that the shape itself owes: handshake, pongs, the answer to a close."""
        ...


class FrameChannel:
    """Length-prefixed protobuf."""

    def __init__(self) -> None:
        self._deframer = Deframer()
        self.is_over = False

    def receive_data(self, data: bytes) -> Iterator[Incoming]:
        if self.is_over:
            return
        try:
            for body in self._deframer.receive_data(data):
                try:
                    yield envelopes.decode(body)
                except Garbage as garbage:
                    yield Malformed(str(garbage))
        except FrameTooLong as error:
            self.is_over = True
            self._deframer = Deframer()
            yield TooLong(str(error))

    def send(self, payload_type: int, payload: bytes, client_msg_id: str | None) -> bytes:
        try:
            return frame(envelopes.encode(payload_type, payload, client_msg_id))
        except FrameTooLong:  # an id may fill a frame of its own, but what is said counts, also to the other sessions
            return frame(envelopes.encode(payload_type, payload, None))

    def close(self) -> bytes:
        return b""

    def data_to_send(self) -> bytes:
        return b""


class LineChannel:
    """Newline-delimited JSON."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self.is_over = False

    def receive_data(self, data: bytes) -> Iterator[Incoming]:
        if self.is_over:
            return
        self._buffer += data
        while (end := self._buffer.find(b"\n", self._scanned)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._scanned = 0
            if line.strip():
                yield _decoded_json(line)
        self._scanned = len(self._buffer)
        if len(self._buffer) > LINE_BYTES_MAX:
            self.is_over = True
            self._buffer.clear()
            yield TooLong(f"expected a line of at most {LINE_BYTES_MAX} bytes; closing the connection")

    def send(self, payload_type: int, payload: bytes, client_msg_id: str | None) -> bytes:
        return json_codec.encode(payload_type, payload, client_msg_id).encode() + b"\n"

    def close(self) -> bytes:
        return b""

    def data_to_send(self) -> bytes:
        return b""


class WebSocketChannel:
    """A WebSocket that carries protobuf as binary messages, or JSON as text ones."""

    def __init__(self, *, is_json: bool) -> None:
        self._is_json = is_json
        self._protocol = ServerProtocol(max_size=FRAME_BYTES_MAX, logger=_SILENT)
        self._fragments = bytearray()
        self._fragments_are_text = False
        self.is_over = False

    def receive_data(self, data: bytes) -> Iterator[Incoming]:
        if self.is_over:
            return
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._protocol.send_response(self._protocol.accept(event))
            elif isinstance(event, Frame):
                yield from self._receive_frame(event)

    def _receive_frame(self, event: Frame) -> Iterator[Incoming]:
        if event.opcode in (Opcode.PING, Opcode.PONG):
            yield LifeSign()
            return
        if event.opcode is Opcode.CLOSE:
            return
        if event.opcode is not Opcode.CONT:
            self._fragments_are_text = event.opcode is Opcode.TEXT
        self._fragments += event.data
        if event.fin:
            message = bytes(self._fragments)
            self._fragments.clear()
            yield self._decoded(message)

    def _decoded(self, message: bytes) -> Incoming:
        if self._is_json:
            return _decoded_json(message)
        if self._fragments_are_text:
            return Malformed("Malformed message: expected a binary WebSocket message, found a text one")
        try:
            return envelopes.decode(message)
        except Garbage as garbage:
            return Malformed(str(garbage))

    def send(self, payload_type: int, payload: bytes, client_msg_id: str | None) -> bytes:
        if self._protocol.state is not OPEN:
            return b""
        if self._is_json:
            self._protocol.send_text(json_codec.encode(payload_type, payload, client_msg_id).encode())
        else:
            self._protocol.send_binary(envelopes.encode(payload_type, payload, client_msg_id))
        return self.data_to_send()

    def close(self) -> bytes:
        if self._protocol.state is OPEN:
            self._protocol.send_close(WS_NORMAL_CLOSURE, WS_GOING_AWAY_TEXT)
        return self.data_to_send()

    def data_to_send(self) -> bytes:
        written = self._protocol.data_to_send()
        if SEND_EOF in written:  # both closes are exchanged, the handshake failed, or the client broke the rules
            self.is_over = True
        return b"".join(written)


def _decoded_json(message: bytes) -> Incoming:
    try:
        return json_codec.decode(message)
    except Garbage as garbage:
        return Malformed(str(garbage))


def choose(first_bytes: bytes, *, is_json: bool) -> Channel | None:
    """Say which shape a stream that begins so has; None while it could still be either."""
    if first_bytes.startswith(WEBSOCKET_PREFIX):
        return WebSocketChannel(is_json=is_json)
    if WEBSOCKET_PREFIX.startswith(first_bytes):
        return None
    return LineChannel() if is_json else FrameChannel()
