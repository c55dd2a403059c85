"""What leaves the store as a file: tables as CSV or JSON lines, the log as an evidence pack, the whole as a backup.

A file appears under its name only once it is whole. An evidence pack holds the records themselves with all that verify
needs, so that whoever gets it needs neither the store nor cmam's word; streams may be left out of it, and then only
their hashes stand there.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import msgspec

from cmam.store.audit import Line, verify_log
from cmam.store.chain import LogHead, parse_log_head
from cmam.store.database import explain
from cmam.store.envelope import Raw
from cmam.store.errors import StoreBroken, StoreUnavailable
from cmam.store.files import new_file
from cmam.store.log import EventLog
from cmam.store.verify import Fault, Finding, Verified, Verifier

PACK_FORMAT = "cmam evidence 1"


# --- tables -------------------------------------------------------------------------------------------------------


def write_json_lines(lines: Iterable[Line], file: IO[str]) -> int:
    """One JSON object per line; answers how many."""
    count = 0
    for line in lines:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        count += 1
    return count


def write_csv(lines: Iterable[Line], file: IO[str]) -> int:
    """A header and a row per line; what is nested stands as JSON in its cell. Answers how many rows."""
    writer: csv.DictWriter[str] | None = None
    count = 0
    for line in lines:
        count += 1
        if writer is None:
            writer = csv.DictWriter(file, list(line))
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in line.items()})
    return count


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def export_table(lines: Iterable[Line], path: Path) -> int:
    """Write lines as CSV, or as JSON lines, by the ending of the file's name."""
    write: Callable[[Iterable[Line], IO[str]], int] = write_csv if path.suffix.lower() == ".csv" else write_json_lines
    with new_file(path) as fresh, fresh.open("w", encoding="utf-8", newline="") as file:
        return write(lines, file)


# --- evidence packs -----------------------------------------------------------------------------------------------


def export_pack(log: EventLog, path: Path, streams: frozenset[str] | None = None) -> LogHead:
    """Write the log, or only some of its streams, as a pack that verifies by itself; answers the head it stands for."""
    head = log.log_head()
    with new_file(path) as fresh, fresh.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps({"format": PACK_FORMAT, "head": str(head)}) + "\n")
        for raw in log.raw():
            if raw.position > head.position:
                break
            is_open = streams is None or raw.stream in streams
            line = _open_line(raw) if is_open else {"position": raw.position, "hash": raw.hash}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return head


def _open_line(raw: Raw) -> Line:
    return {
        "position": raw.position,
        "stream": raw.stream,
        "version": raw.version,
        "topic": raw.topic,
        "state": raw.state.decode(),
    }


class _PackLine(msgspec.Struct):
    """A record, or where it was left out its hash."""

    position: int
    stream: str = ""
    version: int = 0
    topic: str = ""
    state: str | None = None
    hash: str = ""


def verify_pack(path: Path, head: LogHead | None = None) -> Verified:
    """Check a pack by itself, and against a head that was kept elsewhere; raises StoreBroken for what is no pack.

    Without such a head it is only shown that the pack agrees with the head in its own first line.
    """
    with path.open("rb") as file:
        claimed = _pack_head(file.readline(), path)
        verifier = Verifier(head or claimed)
        for number, line in enumerate(file, 2):
            try:
                found = msgspec.json.decode(line, type=_PackLine)
                if found.state is None:
                    verifier.pass_redacted(found.position, bytes.fromhex(found.hash))
                else:
                    verifier.check(Raw(found.position, found.stream, found.version, found.topic, found.state.encode()))
            except (msgspec.MsgspecError, ValueError) as error:
                raise StoreBroken(f"Line {number} of {path} is no record of an evidence pack ({error}).") from error
    result = verifier.finish()
    if result.head.position > claimed.position or (head is None and result.head != claimed and result.is_whole):
        text = f"The pack says it holds {claimed.position} records; it holds {result.head.position}."
        result.findings.append(Finding(Fault.HEAD, "", 0, result.head.position, text))
    return result


def _pack_head(line: bytes, path: Path) -> LogHead:
    try:
        first = json.loads(line)
        if first["format"] != PACK_FORMAT:
            raise ValueError(first["format"])
        return parse_log_head(first["head"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreBroken(f"{path} is not an evidence pack: expected {PACK_FORMAT!r} in its first line.") from error


# --- backups ------------------------------------------------------------------------------------------------------


def backup(home: Path, path: Path) -> LogHead:
    """Copy the store while it is written; the copy is whole, verified, and holds all that was committed when it began.

    Answers its head, to be kept apart from it. Secrets, settings of the way to the API and views are not part of it.
    """
    if path.is_dir():
        raise StoreUnavailable(f"Expected a file to write the backup to, found the folder {path}.")
    with new_file(path) as fresh:
        with closing(EventLog.read_only(home)) as log:
            _copy(log, fresh)
        with closing(EventLog.read_file(fresh)) as copied:
            result = verify_log(copied)
        for part in ("-wal", "-shm"):
            fresh.with_name(fresh.name + part).unlink(missing_ok=True)
    if not result.is_whole:
        raise StoreBroken(f"The store was copied to {path} as it is, but it is not whole: {result.findings[0].text}")
    return result.head


def _copy(log: EventLog, path: Path) -> None:
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as target:
            log.connection.backup(target)
            target.execute("PRAGMA journal_mode=DELETE").fetchone()  # one file, without a write-ahead log beside it
    except sqlite3.Error as error:
        raise explain(error, path) from error
