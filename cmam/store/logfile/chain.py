"""The chains: what makes a change to the log show, and the checkpoints that make a missing end show.

Each record holds in `prev` the hash of the one before it in its stream, and a checkpoint holds the heads of all
streams together with one hash over all records in the order of the log. So a record that was changed, dropped, put in,
swapped or moved is found, and so is a missing end of what a surviving checkpoint covers. Cutting off the last
checkpoint with all that follows, or writing the whole log anew, shows only against a head that was exported before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from cmam.domain.events import Checkpointed, Event
from cmam.store.records.envelope import Recorded

CHECKPOINT_EVENTS = 1_000
"""At most so many records stand between two checkpoints."""
CHECKPOINT_US = 60_000_000
"""While anything is recorded at all, at most a minute lies between two checkpoints."""
LOG = "log"
"""The name under which a checkpoint holds the hash over the whole log; no stream is called so."""

NO_ORDER = bytes(32)
"""The hash over a log without records."""


class Head(msgspec.Struct, frozen=True):
    """Where a stream stands: its last version and that record's hash."""

    version: int
    hash: str

    def __str__(self) -> str:
        return f"{self.version}:{self.hash}"


class LogHead(msgspec.Struct, frozen=True):
    """Where the log stands: its last position, and the hash over every record up to there, in order."""

    position: int
    digest: bytes

    def __str__(self) -> str:
        return f"{self.position}:{self.digest.hex()}"


HEAD_SHOWN_MAX = 100
"""So much is repeated of what is no head; one has up to 84 characters."""


def parse_log_head(text: str) -> LogHead:
    """Read an exported head, `<position>:<64 hex digits>`; raises ValueError in a sentence."""
    position, _, digest = text.strip().partition(":")
    try:
        found = LogHead(int(position), bytes.fromhex(digest))
    except ValueError:
        found = LogHead(-1, b"")
    if found.position < 0 or len(found.digest) != len(NO_ORDER):
        shown = text if len(text) <= HEAD_SHOWN_MAX else f"{text[:HEAD_SHOWN_MAX]}…"  # somebody named another file
        raise ValueError(f"expected a head such as 1234:<64 hex digits>, found {shown!r}")
    return found


def roll(order: bytes, *links: bytes) -> bytes:
    """Take the hashes of the records that follow into the hash over the whole log."""
    sha256 = hashlib.sha256
    for link in links:
        order = sha256(order + link).digest()
    return order


# --- checkpoints --------------------------------------------------------------------------------------------------


def checkpoint(heads: Mapping[str, Head], log_head: LogHead) -> Checkpointed:
    """The fact that says where all chains stand now."""
    found = {stream: str(head) for stream, head in heads.items()} | {LOG: str(log_head)}
    return Checkpointed(position=log_head.position, heads=dict(sorted(found.items())))


def latest_checkpoint(newest_first: Iterable[Recorded]) -> LogHead | None:
    """The head of the log that the newest checkpoint speaks of."""
    for record in newest_first:
        match record.event:
            case Checkpointed(heads=heads) if LOG in heads:
                return parse_log_head(heads[LOG])
    return None


@dataclass(slots=True)
class Checkpointer:
    """Says when the next checkpoint is due: after so many records, or so long after the first one since the last."""

    events_max: int = CHECKPOINT_EVENTS
    span_us: int = CHECKPOINT_US
    _events: int = 0
    _since_us: int | None = None

    def appended(self, events: Iterable[Event], now_us: int) -> bool:
        """Take notice of what was just written; whether a checkpoint is among it, which begins the count anew."""
        count, has_checkpoint = self._events, False
        for event in events:
            count += 1
            if isinstance(event, Checkpointed):
                count, has_checkpoint = 0, True
        if has_checkpoint or self._since_us is None:
            self._since_us = now_us if count else None
        self._events = count
        return has_checkpoint

    def is_due(self, now_us: int) -> bool:
        """Whether a checkpoint should be written now."""
        if self._since_us is None:
            return False
        return self._events >= self.events_max or now_us - self._since_us >= self.span_us
