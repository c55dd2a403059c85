"""A batch made ready for the file: each record checked to be the next of its stream, encoded, and chained.

It reads and writes no file: what it makes is what the file shall hold, and where the chains stand once it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from cmam.store.errors import RecordRefused, VersionConflict
from cmam.store.logfile.chain import Head
from cmam.store.records.envelope import GENESIS, Pending, encode, record_hash

NO_HEAD = Head(0, GENESIS)
"""Where a stream stands that has not begun."""


class Prepared(msgspec.Struct, frozen=True):
    """`values` are those of all rows, one after the other: stream, version, topic and state of each."""

    values: list[object]
    hashes: list[bytes]
    heads: dict[str, Head]


def prepare(batch: Iterable[Pending], heads: Mapping[str, Head], code: str) -> Prepared:
    """Encode and chain a batch; raises VersionConflict or RecordRefused for the first record that cannot be written."""
    values: list[object] = []
    hashes: list[bytes] = []
    ends: dict[str, tuple[int, str]] = {}  # of each stream, the version after its last and that one's hash
    for pending in batch:
        stream, version = pending.stream, pending.version
        end = ends.get(stream)
        if end is None:
            head = heads.get(stream, NO_HEAD)
            end = head.version + 1, head.hash
        expected, prev = end
        if version != expected:
            raise VersionConflict(stream, version, f"expected version {expected}, the one after the last.")
        topic = pending.event.TOPIC
        try:
            state = encode(pending, code, prev)
        except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
            raise RecordRefused(stream, version, f"{topic} cannot be written as JSON.") from error
        link = record_hash(stream, version, topic, state)
        values += (stream, version, topic, state.decode())
        hashes.append(link)
        ends[stream] = version + 1, link.hex()
    return Prepared(values, hashes, {stream: Head(after - 1, link) for stream, (after, link) in ends.items()})
