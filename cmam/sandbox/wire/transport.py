"""One client on a TLS socket: bytes to the channel, messages to the driver, and limits on what a client may cost.

Reading stops while the client does not take its answers; a client that owes us more than `UNREAD_BYTES_MAX` is cut off,
so that neither a slow nor a dead reader can fill the memory. Knows no message and nothing of trading.
"""

from __future__ import annotations

import asyncio
from typing import cast

from cmam.sandbox.wire import channels
from cmam.sandbox.wire.channels import Channel, Incoming, TooLong
from cmam.sandbox.wire.driver import Driver
from cmam.sandbox.wire.line_faults import LineFaults

UNREAD_BYTES_MAX = 16 * 1024 * 1024
"""Most bytes that wait for one client: above the largest single answer, far below what hurts."""
WRITE_HIGH_WATER = 256 * 1024
"""Above this we stop reading the client's requests until it has taken our answers."""
GOODBYE_S = 3.0
"""Longest wait for the last bytes and the closing handshake before the line is cut."""


class ClientConnection(asyncio.Protocol):
    """One socket, from the end of the TLS handshake to its loss."""

    def __init__(
        self,
        driver: Driver,
        *,
        is_json: bool,
        raw_json: bool = True,
        environment: str | None = None,
        faults: LineFaults | None = None,
    ) -> None:
        self._driver = driver
        self._environment = environment
        self._faults = faults if faults is not None else LineFaults()
        self._is_json = is_json
        self._raw_json = raw_json
        self._transport: asyncio.Transport | None = None
        self._number: int | None = None
        self._first = b""
        self._channel: Channel | None = None
        self._outgoing: list[bytes] = []
        self._is_finishing = False
        self._goodbye: asyncio.TimerHandle | None = None
        self._is_write_paused = False
        self._throttle: asyncio.TimerHandle | None = None
        self._trickle = bytearray()
        self._trickling: asyncio.TimerHandle | None = None

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self._number = self._driver.opened(self, self._environment)

    def data_received(self, data: bytes) -> None:
        channel = self._channel or self._choose(data)
        if channel is None or self._number is None or (self._is_finishing and not self._is_closing_handshake(channel)):
            return
        data = self._first + data if self._first else data
        self._first = b""
        for incoming in channel.receive_data(data):
            if self._is_finishing:
                break
            self._receive(incoming)
        self._write(channel.data_to_send())
        self._driver.pump()
        if channel.is_over:
            self._close_soon()
        elif self._faults.bytes_per_s and self._throttle is None:
            self._read_slowly(len(data) / self._faults.bytes_per_s)

    def eof_received(self) -> bool:
        return False  # nobody half-closes TLS: what is queued is flushed, then the socket closes

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio names it
        self._transport = None
        self._is_finishing = True
        self._outgoing.clear()
        for timer in (self._goodbye, self._throttle, self._trickling):
            if timer is not None:
                timer.cancel()
        self._goodbye = None
        if self._number is not None:
            number, self._number = self._number, None
            self._driver.closed(number)

    def pause_writing(self) -> None:
        self._is_write_paused = True
        if self._transport is not None and not self._is_finishing:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_write_paused = False
        self._read_on()

    # Called by the driver.

    def queue(self, payload_type: int, payload: bytes, client_msg_id: str | None) -> None:
        if self._is_finishing:
            return
        if self._channel is None:  # nothing was read yet, so nobody knows in which shape to say it
            return
        self._outgoing.append(self._channel.send(payload_type, payload, client_msg_id))

    def flush(self) -> None:
        if self._outgoing:
            data = b"".join(self._outgoing)
            self._outgoing.clear()
            self._write(data)

    def finish(self) -> None:
        if self._is_finishing:
            return
        self.flush()
        if self._channel is not None:
            self._write(self._channel.close())
        self._is_finishing = True
        if self._channel is None or not self._is_closing_handshake(self._channel):
            self._close_soon()
        else:
            self._set_goodbye()

    def finish_within(self, payload_type: int, payload: bytes, client_msg_id: str | None) -> None:
        if self._channel is not None and not self._is_finishing:
            data = self._channel.send(payload_type, payload, client_msg_id)
            self._outgoing.append(data[: len(data) // 2])
            self.flush()
        self._close_soon()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Inside.

    def _choose(self, data: bytes) -> Channel | None:
        channel = channels.choose(self._first + data, is_json=self._is_json)
        if channel is None:
            self._first += data
            return None
        if isinstance(channel, channels.LineChannel) and not self._raw_json:
            self._is_finishing = True
            self._close_soon()
            return None
        self._channel = channel
        return channel

    @staticmethod
    def _is_closing_handshake(channel: Channel) -> bool:
        return isinstance(channel, channels.WebSocketChannel) and not channel.is_over

    def _receive(self, incoming: Incoming) -> None:
        assert self._number is not None
        self._driver.received(self._number, incoming)
        if isinstance(incoming, TooLong):
            self._driver.pump()

    def _write(self, data: bytes) -> None:
        if not data or self._transport is None or self._transport.is_closing():
            return
        if self._faults.trickle_bytes or self._trickle:
            self._trickle += data
            if self._trickling is None:
                self._write_piece()
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self._transport.abort()

    def _write_piece(self) -> None:
        """Let one piece of what waits leave, and the next one later; everything at once when the fault is off."""
        self._trickling = None
        size = self._faults.trickle_bytes or len(self._trickle)
        piece = bytes(self._trickle[:size])
        del self._trickle[:size]
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(piece)
        if len(self._trickle) > UNREAD_BYTES_MAX:
            self._transport.abort()
        elif self._trickle:
            self._trickling = asyncio.get_running_loop().call_later(self._faults.trickle_s, self._write_piece)

    def _read_slowly(self, seconds: float) -> None:
        assert self._transport is not None
        self._transport.pause_reading()
        self._throttle = asyncio.get_running_loop().call_later(seconds, self._end_throttle)

    def _end_throttle(self) -> None:
        self._throttle = None
        self._read_on()

    def _read_on(self) -> None:
        if self._transport is not None and self._throttle is None and not self._is_write_paused:
            self._transport.resume_reading()

    def _close_soon(self) -> None:
        """Close once what is written has left, but wait no longer than `GOODBYE_S` for that."""
        self._is_finishing = True
        if self._trickle and self._transport is not None:
            self._transport.write(bytes(self._trickle))
            self._trickle.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
        self._set_goodbye()

    def _set_goodbye(self) -> None:
        if self._goodbye is None and self._transport is not None:
            self._goodbye = asyncio.get_running_loop().call_later(GOODBYE_S, self.abort)
