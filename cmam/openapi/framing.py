"""Frames of the Open API on a raw TLS socket: four bytes of big-endian length, then that many bytes of envelope.

Sans-IO and shared by the copier and the sandbox. Knows bytes, not messages. The length's
byte order and the cap of 10 MiB are those of the vendor's clients (wire.md#frames).
"""

from __future__ import annotations

from collections.abc import Iterator

HEADER_BYTES = 4
FRAME_BYTES_MAX = 10 * 1024 * 1024
"""Largest body that is accepted or sent. A larger length is taken for garbage, not for a promise."""


class FrameTooLong(Exception):
    """A length above the cap: the other side broke the protocol, or this is not the protocol at all."""

    def __init__(self, length: int) -> None:
        super().__init__(
            f"expected a frame of at most {FRAME_BYTES_MAX} bytes, found a length of {length}; closing the connection"
        )


def frame(body: bytes) -> bytes:
    """Put the length before `body`; raises FrameTooLong above the cap."""
    if len(body) > FRAME_BYTES_MAX:
        raise FrameTooLong(len(body))
    return len(body).to_bytes(HEADER_BYTES, "big") + body


class Deframer:
    """Cuts a stream of bytes, however it was chunked, into frame bodies."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> Iterator[bytes]:
        """Add `data` and yield each body that is now complete; raises FrameTooLong when a length exceeds the cap.

        Bodies of length 0 are yielded as empty bytes: no envelope is empty, so the caller decides what that means.
        """
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= HEADER_BYTES:
                length = int.from_bytes(self._buffer[start : start + HEADER_BYTES], "big")
                if length > FRAME_BYTES_MAX:
                    raise FrameTooLong(length)
                end = start + HEADER_BYTES + length
                if len(self._buffer) < end:
                    break
                body = bytes(self._buffer[start + HEADER_BYTES : end])
                start = end
                yield body
        finally:
            del self._buffer[:start]

    @property
    def is_between_frames(self) -> bool:
        """Whether the stream could end here without losing half a frame."""
        return not self._buffer
