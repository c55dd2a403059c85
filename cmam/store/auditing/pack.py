"""Evidence packs: what a slice of the log says and the proof that it stands in the log, in one file without the store.

Lines of JSON: a header; every record of the log in its order, open where it belongs to the slice, else only its hash
(many to a line); the lists that the slice makes, for reading; and last a digest over all of it, perhaps signed. The
records are the evidence: `pack_check.py` holds them against the chain by themselves.

With references in place of account ids the texts are not what was hashed, so each open record carries its hash; the key
that belongs to the pack turns the references back, and then every text is held against its hash again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from cmam.config.files import open_to_read
from cmam.domain.events import Checkpointed, StoreCreated, SymbolSpecSeen, TraderSeen
from cmam.domain.operating.registry import APP, PROFILE_PREFIX
from cmam.store.auditing.audit import Audit
from cmam.store.auditing.filters import NO_FILTERS, Filters
from cmam.store.folding.fold import ACCOUNT_PREFIX, AccountStep, Fold, account_of
from cmam.store.logfile.chain import LogHead
from cmam.store.logfile.files import new_file
from cmam.store.projection.rows import LIFE, copy_id
from cmam.store.projection.rows_of_accounts import NOTED
from cmam.store.projection.rows_of_copies import touched_copies
from cmam.store.proof.signing import Passphrase, sign
from cmam.store.records.envelope import Raw

PACK_FORMAT = "cmam evidence 2"
HASHES_A_LINE = 500
KEY_FORMAT = "cmam evidence key 1"
LISTS = ("copies", "decisions", "orders", "settings")
"""What is written beside the records, for people and programs without cmam."""

Line = dict[str, Any]


@dataclass(slots=True)
class Slice:
    """What of the log is open: whole streams, single records, and copies by their names. None of it is all of it."""

    streams: set[str] = field(default_factory=set)
    records: set[tuple[str, int]] = field(default_factory=set)
    copies: set[str] = field(default_factory=set)
    accounts: set[int] = field(default_factory=set)
    profiles: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Exported:
    """What a pack holds, and what to keep of it elsewhere."""

    head: LogHead
    records: int
    open: int
    digest: str
    copies: int
    decisions: int


def slice_of(audit: Audit, filters: Filters) -> Slice | None:
    """What filters select, with all that these decisions rested on; None where there are no filters."""
    if filters == NO_FILTERS:
        return None
    found = Slice(streams={APP})
    profiles = {row["name"]: row["profile_id"] for row in audit.query("SELECT name, profile_id FROM profiles")}
    lines = [*audit.copies(filters), *audit.decisions(filters)]
    wanted = {_name_of(line) for line in lines}
    found.profiles = {line["profile"] for line in lines}
    for name in found.profiles:
        if name in profiles:
            found.streams.add(PROFILE_PREFIX + profiles[name])
    for one in wanted:
        found.copies.add(one)
        for line in audit.decisions(Filters(copy_id=one)):
            for name in (line["decision_id"], line["cause"]):
                account, version = name.split(".")
                found.records.add((ACCOUNT_PREFIX + account, int(version)))
                found.accounts.add(int(account))
    return found


class _Chooser:
    """Says of each record, in the order of the log, whether it is open."""

    def __init__(self, audit: Audit, chosen: Slice | None) -> None:
        self._audit = audit
        self._chosen = chosen
        self._fold = Fold()

    def is_open(self, raw: Raw) -> bool:
        chosen = self._chosen
        if chosen is None:
            return True
        if raw.stream == APP:
            try:
                event = self._audit.log.decode(raw).event
            except ValueError:
                return True
            if isinstance(event, StoreCreated):
                self._fold.take(self._audit.log.decode(raw))
            return isinstance(event, StoreCreated | Checkpointed)
        if raw.stream in chosen.streams or (raw.stream, raw.version) in chosen.records:
            self._touches(raw)
            return True
        return self._touches(raw)

    def _touches(self, raw: Raw) -> bool:
        """Whether a record of an account concerned says something of a copy concerned, or of what it rested on."""
        chosen, account = self._chosen, account_of(raw.stream)
        if chosen is None or account is None or int(account) not in chosen.accounts:
            return False
        step = self._fold.take(self._audit.log.decode(raw))
        if not isinstance(step, AccountStep):
            return False
        if isinstance(step.record.event, (SymbolSpecSeen, TraderSeen, *NOTED)):
            return True
        store = self._fold.registry.store
        return any(copy_id(store, *key) in chosen.copies for key in touched_copies(step.before, step.after))


def export_pack(
    audit: Audit,
    path: Path,
    filters: Filters = NO_FILTERS,
    *,
    salt: bytes | None = None,
    key: Path | None = None,
    passphrase: Passphrase | None = None,
) -> Exported:
    """Write a pack of what the filters select; with `key`, its digest is signed.

    With a fresh `salt`, ids become references, and a key file beside the pack tells its owner which is which.
    """
    with audit.at_rest():
        return _export(audit, path, filters, salt, key, passphrase)


def _export(
    audit: Audit, path: Path, filters: Filters, salt: bytes | None, key: Path | None, passphrase: Passphrase | None
) -> Exported:
    chosen = slice_of(audit, filters)
    references = References.fresh(audit, salt) if salt is not None else None
    head = audit.log.log_head()
    with new_file(path) as fresh, fresh.open("w", encoding="utf-8", newline="\n") as file:
        writer = _Writer(file)
        given = {name: value for name, value in asdict(filters).items() if value is not None}
        shown = references.hide(json.dumps(given)) if references is not None else json.dumps(given)
        writer.write(
            {"format": PACK_FORMAT, "head": str(head), "anonymous": salt is not None, "filters": json.loads(shown)}
        )
        opened = _write_records(audit, writer, head, _Chooser(audit, chosen), references)
        counts = _write_lists(audit, writer, filters, chosen, references)
        digest = writer.digest()
        last: Line = {"digest": digest}
        if key is not None:
            last["signature"] = sign(digest.encode(), key, passphrase)
        writer.write(last)
    if references is not None:
        references.keep(key_path(path))
    return Exported(head, head.position, opened, digest, counts["copies"], counts["decisions"])


class _Writer:
    """Lines of JSON, and a digest over all of them so far."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, line: Line) -> None:
        self.text(json.dumps(line, ensure_ascii=False, separators=(",", ":")))

    def text(self, line: str) -> None:
        self._hash.update(line.encode() + b"\n")
        self._file.write(line + "\n")

    def digest(self) -> str:
        return self._hash.hexdigest()


def _write_records(
    audit: Audit, writer: _Writer, head: LogHead, chooser: _Chooser, references: References | None
) -> int:
    hidden: list[str] = []
    first, opened = 1, 0

    def flush() -> None:
        if hidden:
            writer.write({"position": first, "hashes": list(hidden)})
            hidden.clear()

    for raw in audit.log.raw():
        if raw.position > head.position:
            break
        if not chooser.is_open(raw):
            first = raw.position if not hidden else first
            hidden.append(raw.hash)
            if len(hidden) == HASHES_A_LINE:
                flush()
            continue
        flush()
        opened += 1
        writer.write(_open_line(raw, references))
    flush()
    return opened


def _open_line(raw: Raw, references: References | None) -> Line:
    stream, state = raw.stream, raw.state.decode()
    line: Line = {"position": raw.position, "stream": stream, "version": raw.version, "topic": raw.topic}
    if references is None:
        return line | {"state": state}
    return line | {"stream": references.hide(stream), "state": references.hide(state), "hash": raw.hash}


def _write_lists(
    audit: Audit, writer: _Writer, filters: Filters, chosen: Slice | None, references: References | None
) -> Mapping[str, int]:
    """The lists of the slice: all that concerns its copies, and every change of the settings of its profiles."""
    counts = dict.fromkeys(LISTS, 0)
    settings = Filters(profile=filters.profile)
    for name in LISTS:
        lines: Iterable[Line] = getattr(audit, name)(settings if name == "settings" else NO_FILTERS)
        for line in lines:
            if chosen is not None and not _is_of(line, name, chosen):
                continue
            counts[name] += 1
            text = json.dumps({"list": name, "line": line}, ensure_ascii=False, separators=(",", ":"))
            writer.text(references.hide(text) if references is not None else text)
    return counts


def _is_of(line: Line, name: str, chosen: Slice) -> bool:
    return line["profile"] in chosen.profiles if name == "settings" else _name_of(line) in chosen.copies


def _name_of(line: Line) -> str:
    """The name of a line's copy, whichever of its lives it is about."""
    return str(line["copy_id"]).partition(LIFE)[0]


# --- references in place of ids -------------------------------------------------------------------------------------


def is_older_pack(path: Path) -> bool:
    """Whether a file is a pack, or the key to one, of which a later one may take the place."""
    try:
        with path.open("rb") as file:
            beginning = file.read(100)
    except OSError:
        return False
    return not beginning or re.search(rb'"format": ?"cmam evidence', beginning) is not None


def key_path(path: Path) -> Path:
    """Where the key to a pack's references lies: beside it, for its owner alone."""
    return path.with_name(path.name + ".key")


@dataclass(frozen=True, slots=True)
class References:
    """Numbers of fifteen digits in place of account ids and logins, salted: nobody can try ids until one fits."""

    by_id: Mapping[str, str]

    @classmethod
    def fresh(cls, audit: Audit, salt: bytes) -> References:
        """New references for every account and login there is."""
        known = {str(line["account"]) for line in audit.accounts()} | {str(line["login"]) for line in audit.accounts()}
        known |= {stream.removeprefix(ACCOUNT_PREFIX) for stream in audit.log.heads() if account_of(stream)}
        return cls({one: _reference(salt, one) for one in sorted(known) if one.isdecimal() and one != "0"})

    @classmethod
    def read(cls, path: Path) -> References:
        """The references that a key file tells; raises ValueError where it is none."""
        with open_to_read(path) as file:
            document = json.loads(file.read())
        if not isinstance(document, dict) or document.get("format") != KEY_FORMAT:
            raise ValueError(f"expected {KEY_FORMAT!r}")
        return cls({str(one): str(reference) for reference, one in document["references"].items()})

    def keep(self, path: Path) -> None:
        """Write the key to these references, readable by its owner only."""
        document = {"format": KEY_FORMAT, "references": {reference: one for one, reference in self.by_id.items()}}
        with new_file(path) as fresh:
            fresh.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def hide(self, text: str) -> str:
        """A text with references for ids, wherever these stand as whole numbers."""
        return _replaced(text, self.by_id)

    def show(self, text: str) -> str:
        """A text with ids for references again."""
        return _replaced(text, {reference: one for one, reference in self.by_id.items()})


_NUMBERS = re.compile(r"[0-9a-f]{64}|\d+")
"""Whole numbers; hashes are taken whole first, so that digits inside one are never taken for an id."""


def _reference(salt: bytes, one: str) -> str:
    number = int.from_bytes(hmac.digest(salt, one.encode(), "sha256")[:8], "big")
    return str(9 * 10**14 + number % 10**14)


def _replaced(text: str, names: Mapping[str, str]) -> str:
    if not names:
        return text
    return _NUMBERS.sub(lambda found: names.get(found[0], found[0]), text)
