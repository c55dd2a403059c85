"""Checking an evidence pack by itself: digest, signature, every open record against the chain, the first bad first.

Every line of the log has its place in one rolling hash, open or not, and every open record names the hash of the one
before it in its stream. So an open record that was changed, put in or moved shows, and so does a hash that was
exchanged. What was left out of the slice is proven to be there, not to be what it was. Whoever made the pack could have
made the whole log anew: against that only a head or a digest that was kept elsewhere helps, or a signature.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from cmam.config.files import open_to_read
from cmam.domain.events import Checkpointed
from cmam.store.auditing.pack import PACK_FORMAT, References
from cmam.store.errors import StoreBroken, StoreUnavailable
from cmam.store.logfile.chain import LOG, NO_ORDER, LogHead, parse_log_head, roll
from cmam.store.proof.signing import Signed, check
from cmam.store.proof.verify import FINDINGS_MAX, LOOK_BACK, Fault, Finding, Verified, Verifier
from cmam.store.records.envelope import GENESIS, Decoding, Raw, record_hash


@dataclass(slots=True)
class PackVerified(Verified):
    """What the check of a pack saw, besides what verify says of any log."""

    open: int = 0
    hidden: int = 0
    lines: int = 0
    anonymous: bool = False
    texts_checked: bool = True
    digest: str = ""
    signer: str = ""
    filters: dict[str, object] = field(default_factory=dict)


class _Header(msgspec.Struct):
    format: str
    head: str
    anonymous: bool = False
    filters: dict[str, object] = {}


class _Line(msgspec.Struct):
    """A record, some hashes of records left out, a line of a list, or the digest."""

    position: int = 0
    stream: str = ""
    version: int = 0
    topic: str = ""
    state: str | None = None
    hash: str = ""
    hashes: list[str] | None = None
    of: str = msgspec.field(default="", name="list")
    line: msgspec.Raw = msgspec.Raw(b"")
    digest: str = ""
    signature: str = ""


def verify_pack(
    path: Path,
    head: LogHead | None = None,
    *,
    digest: str | None = None,
    signer: Path | None = None,
    key: Path | None = None,
) -> PackVerified:
    """Check a pack; raises StoreBroken for what is none.

    `head` and `digest` are what was kept elsewhere, `signer` a public key, `key` the file that turns references back.
    """
    try:
        with open_to_read(path) as file:
            lines = iter(file)
            first = next(lines, b"")
            header, claimed = _header(first, path)
            references = _references(key) if key is not None else None
            checker = _Checker(head or claimed, header, references)
            return _run(lines, first, checker, path, claimed, digest, signer)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be read: {error.strerror or error}.") from error


def _run(
    lines: Iterator[bytes],
    first: bytes,
    checker: _Checker,
    path: Path,
    claimed: LogHead,
    digest: str | None,
    signer: Path | None,
) -> PackVerified:
    rolling = hashlib.sha256(first)
    end: _Line | None = None
    for number, text in enumerate(lines, 2):
        try:
            found = msgspec.json.decode(text, type=_Line)
            if end is not None:
                raise ValueError("it comes after the digest")
            if found.digest:
                end = found
                continue
            rolling.update(text)
            checker.take(found)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise StoreBroken(f"Line {number} of {path} is no line of an evidence pack ({error}).") from error
    result = checker.finish(claimed)
    result.digest = rolling.hexdigest()
    _check_digest(result, end, digest)
    _check_signature(result, end, signer)
    return result


def _header(line: bytes, path: Path) -> tuple[_Header, LogHead]:
    try:
        header = msgspec.json.decode(line, type=_Header)
        if header.format != PACK_FORMAT:
            raise ValueError(header.format)
        return header, parse_log_head(header.head)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise StoreBroken(f"{path} is not an evidence pack: expected {PACK_FORMAT!r} in its first line.") from error


def _references(key: Path) -> References:
    try:
        return References.read(key)
    except (OSError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise StoreUnavailable(f"{key} is no key of an evidence pack ({error}).") from error


def _check_digest(result: PackVerified, end: _Line | None, kept: str | None) -> None:
    if end is None:
        result.findings.append(Finding(Fault.CUT_OFF, "", 0, result.head.position, "The pack ends without its digest."))
    elif end.digest != result.digest:
        text = "The pack's own digest is another one: something in it was changed after it was written."
        result.findings.append(Finding(Fault.CHANGED, "", 0, result.head.position, text))
    if kept is not None and kept.strip().lower() != result.digest:
        text = f"The digest that was kept is another one; this pack's is {result.digest}."
        result.findings.append(Finding(Fault.HEAD, "", 0, result.head.position, text))


def _check_signature(result: PackVerified, end: _Line | None, signer: Path | None) -> None:
    signature = end.signature if end is not None else ""
    signed: Signed | None = check(result.digest.encode(), signature, signer) if signature else None
    result.signer = signed.fingerprint if signed is not None else ""
    if signed is None and (signature or signer is not None):
        text = "The pack's signature does not fit it." if signature else "The pack is not signed."
        if signer is not None and signature:
            text = f"The pack is not signed by the key of {signer}, or was changed after it was."
        result.findings.append(Finding(Fault.HEAD, "", 0, result.head.position, text))


class _Checker:
    """Walks through the records of a pack."""

    def __init__(self, expected: LogHead, header: _Header, references: References | None) -> None:
        self._header = header
        self._references = references
        self._has_texts = not header.anonymous or references is not None
        self._decoding = Decoding()
        self._verifier = Verifier(expected)
        self._is_full = True
        self._expected = expected
        self._order = NO_ORDER
        self._orders: deque[tuple[int, bytes]] = deque(maxlen=LOOK_BACK)
        self._seen: set[str] = {GENESIS}
        self._last: dict[str, tuple[int, str]] = {}
        self._result = PackVerified(anonymous=header.anonymous, texts_checked=self._has_texts, filters=header.filters)

    def take(self, found: _Line) -> None:
        """Check the next line."""
        if found.of:
            self._result.lines += 1
            return
        if found.hashes is not None:
            for offset, one in enumerate(found.hashes):
                self._hidden(found.position + offset, one)
            return
        if found.state is None:
            raise ValueError("it is neither a record nor hashes of some")
        self._open(found, found.state)

    def finish(self, claimed: LogHead) -> PackVerified:
        """Say what was seen. Of a whole log the findings are verify's own, which knows every stream to its end."""
        result, position = self._result, self._result.head.position
        if self._is_full:
            whole = self._verifier.finish()
            result.findings, result.more_findings = whole.findings, whole.more_findings
            result.covered, result.checkpoints, result.streams = whole.covered, whole.checkpoints, whole.streams
        else:
            result.streams = len(self._last)
            if self._expected.position > position:
                text = (
                    f"The head speaks of {self._expected.position} records, the pack holds {position}: it was cut off."
                )
                self._find(Fault.CUT_OFF, "", 0, position, text)
        if result.is_whole and result.head.position != claimed.position:
            text = f"The pack says it holds {claimed.position} records; it holds {position}."
            self._find(Fault.HEAD, "", 0, position, text)
        result.findings.sort(key=lambda finding: finding.position)
        return result

    # --- records ------------------------------------------------------------------------------------------------------

    def _hidden(self, position: int, one: str) -> None:
        link = bytes.fromhex(one)
        if len(link) != len(NO_ORDER):
            raise ValueError("a hash has another length")
        self._is_full = False
        self._result.hidden += 1
        self._pass(position, one, link)

    def _open(self, found: _Line, text: str) -> None:
        stream = found.stream
        if self._references is not None and self._header.anonymous:
            stream, text = self._references.show(stream), self._references.show(text)
        state = text.encode()
        made = record_hash(stream, found.version, found.topic, state).hex()
        if self._has_texts and found.hash and found.hash != made:
            self._find(Fault.CHANGED, stream, found.version, found.position, "its text is not what was hashed.")
        one = made if self._has_texts else found.hash
        self._result.open += 1
        raw = Raw(found.position, stream, found.version, found.topic, state)
        if self._has_texts:
            self._verifier.check(raw)
        else:
            self._is_full = False  # hashes alone cannot be made again from texts with references
        self._check_links(raw)
        self._last[stream] = (found.version, one)
        self._pass(found.position, one, bytes.fromhex(one))

    def _check_links(self, raw: Raw) -> None:
        try:
            record = self._decoding.read(raw)
        except ValueError as error:
            self._find(Fault.DAMAGED, raw.stream, raw.version, raw.position, f"{error}.")
            return
        version, last = self._last.get(raw.stream, (0, GENESIS))
        is_next = raw.version == version + 1
        if raw.version <= version:
            self._find(Fault.REORDERED, raw.stream, raw.version, raw.position, f"version {version} came before it.")
        elif (
            (is_next and record.prev != last)
            or record.prev not in self._seen
            or (raw.version > 1) is (record.prev == GENESIS)
        ):
            text = (
                "what it names as the record before it does not stand there: it, or that one, is not what was written."
            )
            self._find(Fault.CHANGED, raw.stream, raw.version, raw.position, text)
        if isinstance(record.event, Checkpointed):
            self._check_checkpoint(raw, record.event)

    def _check_checkpoint(self, raw: Raw, event: Checkpointed) -> None:
        self._result.checkpoints += 1
        self._result.covered = raw.position
        heads = dict(event.heads)
        try:
            claimed = parse_log_head(heads.pop(LOG, ""))
        except ValueError:
            return
        known = dict(self._orders) | ({0: NO_ORDER})
        if known.get(claimed.position, claimed.digest) != claimed.digest:
            text = (
                f"the log up to position {claimed.position} is not the one this checkpoint counted: before it a record "
                "was changed, moved, put in or taken out, or a hash was exchanged."
            )
            self._find(Fault.REORDERED, raw.stream, raw.version, raw.position, text)
        for stream, head in heads.items():
            version, last = self._last.get(stream, (0, ""))
            number, _, one = head.partition(":")
            if number == str(version) and one != last:
                self._find(Fault.CHANGED, stream, version, raw.position, "a checkpoint knows another.")

    def _pass(self, position: int, one: str, link: bytes) -> None:
        result = self._result
        expected = result.head.position + 1
        if position != expected:
            text = f"expected position {expected} of the log, found {position}: something was taken out or put in."
            self._find(Fault.MISSING, "", 0, position, text)
        self._order = roll(self._order, link)
        self._orders.append((position, self._order))
        self._seen.add(one)
        result.records += 1
        result.head = LogHead(position, self._order)
        if self._expected.position == position and self._expected.digest != self._order:
            text = f"The log up to position {position} is not the one whose head is claimed or was kept."
            self._find(Fault.HEAD, "", 0, position, text)

    def _find(self, fault: Fault, stream: str, version: int, position: int, text: str) -> None:
        where = f"Record {version} of {stream} (position {position}): " if stream else ""
        if len(self._result.findings) < FINDINGS_MAX:
            self._result.findings.append(Finding(fault, stream, version, position, where + text))
        else:
            self._result.more_findings += 1
