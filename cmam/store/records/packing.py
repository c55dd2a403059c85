"""Facts that wait long for the disk, as few bytes: the records that they will be, together and compressed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from cmam.store.records.envelope import Decoding, Pending, Raw, encode

_Row = tuple[str, int, str, bytes]
"""Stream, version, topic and state."""
_TO_BYTES = msgspec.msgpack.Encoder()
_FROM_BYTES = msgspec.msgpack.Decoder(list[_Row])
_DECODING = Decoding()


def packed(batch: Sequence[Pending]) -> bytes | None:
    """The bytes of facts, in their order; None where reading them would not give the very same records again."""
    try:
        rows = [_row(pending) for pending in batch]
        if [_row(_pending(row)) for row in rows] != rows:
            return None
    except (TypeError, ValueError):
        return None  # what no event may hold: the store will say so
    return zlib.compress(_TO_BYTES.encode(rows), 1)


def unpacked(content: bytes) -> list[Pending]:
    """The facts that were packed."""
    return [_pending(row) for row in _FROM_BYTES.decode(zlib.decompress(content))]


def _row(pending: Pending) -> _Row:
    return (pending.stream, pending.version, pending.event.TOPIC, encode(pending, "", ""))


def _pending(row: _Row) -> Pending:
    found = _DECODING.read(Raw(0, *row))
    return Pending(found.stream, found.version, found.at_us, found.event, found.cause, found.settings)
