"""One client on a TLS socket: bytes to the channel, messages to the driver, and limits on what a client may cost.

Reading stops while the client does not take its answers; a client that owes us more than `UNREAD_BYTES_MAX` is cut off,
so that neither a slow nor a dead reader can fill the memory. Knows no message and nothing of trading.
"""

from __future__ import annotations

import asyncio
from typing import cast

from cmam.sandbox import channels
from cmam.sandbox.channels import Channel, Incoming, TooLong
from cmam.sandbox.driver import Driver

UNREAD_BYTES_MAX = 16 * 1024 * 1024
"""Most bytes that wait for one client: above the largest single answer, far below what hurts."""
WRITE_HIGH_WATER = 256 * 1024
"""Above this we stop reading the client's requests until it has taken our answers."""
GOODBYE_S = 3.0
"""Longest wait for the last bytes and the closing handshake before the line is cut."""


class ClientConnection(asyncio.Protocol):
    """One socket, from the end of the TLS handshake to its loss."""

    def __init__(self, driver: Driver, *, is_json: bool, raw_json: bool = True) -> None:
        self._driver = driver
        self._is_json = is_json
        self._raw_json = raw_json
        self._transport: asyncio.Transport | None = None
        self._number: int | None = None
        self._first = b""
        self._channel: Channel | None = None
        self._outgoing: list[bytes] = []
        self._is_finishing = False
        self._goodbye: asyncio.TimerHandle | None = None

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self._number = self._driver.opened(self)

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

    def eof_received(self) -> bool:
        return False  # nobody half-closes TLS: what is queued is flushed, then the socket closes

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio names it
        self._transport = None
        self._is_finishing = True
        self._outgoing.clear()
        if self._goodbye is not None:
            self._goodbye.cancel()
            self._goodbye = None
        if self._number is not None:
            number, self._number = self._number, None
            self._driver.closed(number)

    def pause_writing(self) -> None:
        if self._transport is not None and not self._is_finishing:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

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
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self._transport.abort()

    def _close_soon(self) -> None:
        """Close once what is written has left, but wait no longer than `GOODBYE_S` for that."""
        self._is_finishing = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
        self._set_goodbye()

    def _set_goodbye(self) -> None:
        if self._goodbye is None and self._transport is not None:
            self._goodbye = asyncio.get_running_loop().call_later(GOODBYE_S, self.abort)
