"""Holding a log against its chains: what was changed, dropped, put in, swapped, moved or cut off, the first first.

It takes rows in the order of the log, from a store or from an evidence pack, and trusts nothing but their hashes and,
if one was kept, an exported head. One pass, little memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from cmam.domain.events import Checkpointed
from cmam.store.logfile.chain import LOG, NO_ORDER, LogHead, parse_log_head, roll
from cmam.store.records.envelope import GENESIS, Decoding, Raw, record_hash

FINDINGS_MAX = 100
"""More than these are counted, not listed: the first one is what matters."""
LOOK_BACK = 10_000
"""So many records may have been written between the counting of a checkpoint and its own place in the log."""


class Fault(StrEnum):
    """What verify can find."""

    DAMAGED = "damaged"
    CHANGED = "changed"
    MISSING = "missing"
    FOREIGN = "foreign"
    REORDERED = "reordered"
    CUT_OFF = "cut_off"
    HEAD = "head"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written; `position` is its place in the log, or the last one seen."""

    fault: Fault
    stream: str
    version: int
    position: int
    text: str


@dataclass(slots=True)
class Verified:
    """What a verification saw. `covered` is the last position that a checkpoint speaks for."""

    records: int = 0
    streams: int = 0
    checkpoints: int = 0
    covered: int = 0
    head: LogHead = field(default_factory=lambda: LogHead(0, NO_ORDER))
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class _Place:
    """A record that has passed, without its content."""

    stream: str
    version: int
    topic: str
    position: int
    hash: str
    order: bytes


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A record that does not follow the one before it: which of the two was changed, the next one tells."""

    before: _Place | None
    record: _Place


@dataclass(slots=True)
class _Dispute:
    """A checkpoint that knows another record than the one that stands there: what follows each tells who is right."""

    record: _Place
    checkpoint: _Place
    follows_record: bool = False
    follows_checkpoint: bool = False

    def hear(self, place: _Place, prev: str) -> None:
        """Take notice of the next record of either stream."""
        for side in (self.record, self.checkpoint):
            if (place.stream, place.version) == (side.stream, side.version + 1) and prev == side.hash:
                self.follows_record |= side is self.record
                self.follows_checkpoint |= side is self.checkpoint


class Verifier:
    """Walks through a log in its order and holds every record against its chain, every checkpoint against all."""

    def __init__(self, expected: LogHead | None = None) -> None:
        self._decoding = Decoding()
        self._expected = expected
        self._last: dict[str, _Place] = {}
        self._began: dict[str, int] = {}
        self._doubts: dict[str, _Doubt] = {}
        self._disputes: list[_Dispute] = []
        self._bad: set[tuple[str, int]] = set()
        self._recent: dict[int, _Place] = {}
        self._order = NO_ORDER  # as checkpoints count it: set right again after one that disagrees
        self._found_since_checkpoint = False
        self._result = Verified()

    def resume(self, checkpoint: Checkpointed) -> int:
        """Take a checkpoint's word for everything before it; answers the position after which to go on."""
        heads = dict(checkpoint.heads)
        head = parse_log_head(heads.pop(LOG))
        for stream, text in heads.items():
            version, _, link = text.partition(":")
            self._last[stream] = _Place(stream, int(version), "", head.position, link, head.digest)
            self._began[stream] = 0
        self._order = head.digest
        self._result.head = head
        return head.position

    def run(self, rows: Iterable[Raw]) -> Verified:
        """Check all rows."""
        for raw in rows:
            self.check(raw)
        return self.finish()

    def check(self, raw: Raw) -> None:
        """Check the next row."""
        link = record_hash(raw.stream, raw.version, raw.topic, raw.state)
        place = _Place(raw.stream, raw.version, raw.topic, raw.position, link.hex(), roll(self._order, link))
        self._check_position(place)
        try:
            record = self._decoding.read(raw)
        except ValueError as error:
            self._bad.add((raw.stream, raw.version))
            self._find(Fault.DAMAGED, place, f"{error}.")
        else:
            self._check_chain(place, record.prev)
            if isinstance(record.event, Checkpointed):
                self._check_checkpoint(place, record.event)
                place = _Place(raw.stream, raw.version, raw.topic, raw.position, link.hex(), roll(self._order, link))
        self._pass(place, link)

    def finish(self) -> Verified:
        """Say what was seen, once all rows have passed."""
        for doubt in list(self._doubts.values()):
            self._settle(doubt, follows=None)
        for dispute in self._disputes:
            self._judge(dispute)
        result, expected = self._result, self._expected
        if expected is not None and expected.position > result.head.position:
            text = (
                f"The head that was kept speaks of {expected.position} records, the log has {result.head.position}: "
                "its end was cut off."
            )
            self._add(Finding(Fault.CUT_OFF, "", 0, result.head.position, text))
        result.streams = len(self._last)
        result.findings.sort(key=lambda finding: finding.position)
        return result

    def _check_position(self, place: _Place) -> None:
        expected = self._result.head.position + 1
        if place.position > expected:
            gone = (
                f"position {expected}"
                if place.position == expected + 1
                else f"positions {expected} to {place.position - 1}"
            )
            self._find(Fault.MISSING, place, f"before it, {gone} of the log is missing; nothing is ever deleted.")

    def _check_chain(self, place: _Place, prev: str) -> None:
        last = self._last.get(place.stream)
        version, expected = (last.version, last.hash) if last is not None else (0, GENESIS)
        for dispute in self._disputes:
            dispute.hear(place, prev)
        doubt = self._doubts.pop(place.stream, None)
        follows = prev == expected
        if place.version > version + 1:
            gap = (
                f"version {version + 1}"
                if place.version == version + 2
                else f"versions {version + 1} to {place.version - 1}"
            )
            self._find(Fault.MISSING, place, f"before it, {gap} of its stream is missing.")
        elif place.version <= version:
            self._find(Fault.REORDERED, place, f"its stream had already come to version {version}.")
        elif not follows and (place.stream, version) not in self._bad and doubt is None:
            self._doubts[place.stream] = _Doubt(last, place)
            self._found_since_checkpoint = True
        if doubt is not None:
            self._settle(doubt, follows=follows)

    def _settle(self, doubt: _Doubt, *, follows: bool | None) -> None:
        """Name the changed one of two: the later, if what comes after it does not know it either."""
        self._doubts.pop(doubt.record.stream, None)
        before, record = doubt.before, doubt.record
        if before is None or follows is False:
            changed, why = record, "what stands before and after it knows another."
        elif follows:
            changed, why = before, f"version {record.version} knows another."
        else:
            changed, why = before, f"it and version {record.version}, the last one, do not fit together."
        self._bad.add((changed.stream, changed.version))
        self._add(_finding(Fault.CHANGED, changed, f"it is not what was written here: {why}"))

    def _check_checkpoint(self, place: _Place, event: Checkpointed) -> None:
        self._result.checkpoints += 1
        self._result.covered = place.position
        heads = dict(event.heads)
        order = heads.pop(LOG, "")
        for stream, text in heads.items():
            self._check_head(place, stream, text)
        for stream in sorted(self._began.keys() - heads.keys()):
            if self._began[stream] <= event.position:
                self._find(Fault.FOREIGN, place, f"before this checkpoint stands {stream}, a stream it does not know.")
        self._check_order(place, order)
        self._found_since_checkpoint = False

    def _check_head(self, place: _Place, stream: str, text: str) -> None:
        number, _, digest = text.partition(":")
        version = int(number) if number.isdecimal() else 0
        last = self._last.get(stream)
        seen = last.version if last is not None else 0
        if last is None or seen < version:
            self._find(
                Fault.CUT_OFF,
                place,
                f"this checkpoint knows {stream} up to version {version}, found version {seen}: its end was cut off.",
            )
        elif seen == version and stream in self._doubts:
            doubt, knows = self._doubts[stream], last.hash == digest
            # Where the doubtful record is this checkpoint, what it knows is the one before it: then that one is bad.
            self._settle(doubt, follows=knows if doubt.record.version == version else not knows)
        elif seen == version and last.hash != digest and (stream, version) not in self._bad:
            if len(self._disputes) < FINDINGS_MAX:
                self._disputes.append(_Dispute(last, place))
            self._found_since_checkpoint = True

    def _judge(self, dispute: _Dispute) -> None:
        """Name the record, unless it is the checkpoint that was changed: that shows in the checkpoint's own chain."""
        record, checkpoint = dispute.record, dispute.checkpoint
        if {(record.stream, record.version), (checkpoint.stream, checkpoint.version)} & self._bad:
            return
        is_checkpoints = dispute.follows_record and not dispute.follows_checkpoint
        changed = checkpoint if is_checkpoints else record
        self._bad.add((changed.stream, changed.version))
        why = f"it knows another version {record.version} of {record.stream}, which the one after that knows as it is"
        text = why if is_checkpoints else "a checkpoint knows another"
        self._add(_finding(Fault.CHANGED, changed, f"it is not what was written here: {text}."))

    def _check_order(self, place: _Place, claimed: str) -> None:
        try:
            head = parse_log_head(claimed)
        except ValueError:
            return
        at = self._recent.get(head.position)
        order = NO_ORDER if head.position == 0 else (at.order if at is not None else head.digest)
        if order == head.digest:
            return
        if not self._found_since_checkpoint:
            text = (
                f"the log up to position {head.position} is not the one this checkpoint counted: since the checkpoint "
                "before it, records were changed, moved, put in or taken out."
            )
            self._find(Fault.REORDERED, place, text)
        self._count_from(head)

    def _count_from(self, head: LogHead) -> None:
        """Take the checkpoint's word for what lies before it, so that what follows is judged by itself."""
        self._order = head.digest
        for position in range(head.position + 1, self._result.head.position + 1):
            known = self._recent.get(position)
            if known is not None:
                self._order = roll(self._order, bytes.fromhex(known.hash))

    def _pass(self, place: _Place, link: bytes) -> None:
        result = self._result
        result.records += 1
        self._order = place.order
        self._recent[place.position] = place
        self._recent.pop(place.position - LOOK_BACK, None)
        if place.stream:
            self._began.setdefault(place.stream, place.position)
            last = self._last.get(place.stream)
            if last is None or place.version > last.version:
                self._last[place.stream] = place
        result.head = LogHead(place.position, roll(result.head.digest, link))
        expected = self._expected
        if expected is not None and expected.position == place.position and expected.digest != result.head.digest:
            text = f"The log up to position {place.position} is not the one whose head was kept."
            self._add(Finding(Fault.HEAD, "", 0, place.position, text))

    def _find(self, fault: Fault, place: _Place, text: str) -> None:
        self._found_since_checkpoint = True
        self._add(_finding(fault, place, text))

    def _add(self, finding: Finding) -> None:
        if len(self._result.findings) < FINDINGS_MAX:
            self._result.findings.append(finding)
        else:
            self._result.more_findings += 1


def _finding(fault: Fault, place: _Place, text: str) -> Finding:
    where = f"Record {place.version} of {place.stream} ({place.topic}, position {place.position}): "
    return Finding(fault, place.stream, place.version, place.position, where + text)


def verify(rows: Iterable[Raw], expected: LogHead | None = None) -> Verified:
    """Check a whole log, given as its rows in their order, against its chains and, if one was kept, a head."""
    return Verifier(expected).run(rows)
