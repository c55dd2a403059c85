"""What leaves the store: whole or not at all, and verifiable without it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cmam.store.audit import Audit
from cmam.store.chain import parse_log_head
from cmam.store.errors import StoreBroken, StoreUnavailable
from cmam.store.export import backup, export_pack, export_table, verify_pack
from cmam.store.log import EventLog
from cmam.store.verify import Fault

from .facts import facts
from .world import a_day


def test_tables_leave_as_csv_and_as_json_lines(tmp_path: Path) -> None:
    """The same lines either way; the ending of the name decides."""
    audit = Audit.of(a_day().log)
    lines = list(audit.copies())
    assert export_table(audit.copies(), tmp_path / "copies.csv") == len(lines)
    assert export_table(audit.copies(), tmp_path / "copies.jsonl") == len(lines)
    assert [json.loads(line) for line in (tmp_path / "copies.jsonl").read_text().splitlines()] == lines
    with (tmp_path / "copies.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["volume"] == "50000.00"
    assert list(rows[0]) == list(lines[0])


def test_a_file_that_cannot_be_written_is_said_so_and_leaves_nothing(tmp_path: Path) -> None:
    """Neither a half file under the name nor a temporary one beside it."""
    audit = Audit.of(a_day().log)
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        export_table(audit.copies(), tmp_path / "missing" / "copies.csv")

    def failing() -> object:
        yield {"a": 1}
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        export_table(failing(), tmp_path / "half.csv")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_pack_verifies_without_the_store(tmp_path: Path) -> None:
    """The records, their chains and the head they stand for, in one file of JSON lines."""
    log = a_day().log
    head = export_pack(log, tmp_path / "pack.jsonl")
    assert head == log.log_head()
    result = verify_pack(tmp_path / "pack.jsonl", parse_log_head(str(head)))
    assert result.is_whole
    assert result.records == log.position()


def test_a_pack_of_some_streams_shows_the_others_as_hashes_only(tmp_path: Path) -> None:
    """What is left out stays private, and its place in the log is still proven."""
    log = a_day().log
    kept = str(log.log_head())
    export_pack(log, tmp_path / "pack.jsonl", streams=frozenset({"account:2001"}))
    text = (tmp_path / "pack.jsonl").read_text()
    assert "account:2002" not in text
    result = verify_pack(tmp_path / "pack.jsonl", parse_log_head(kept))
    assert result.is_whole
    assert result.records == log.position()


@pytest.mark.parametrize("ruin", ["change", "drop", "cut", "redact", "head"])
def test_a_changed_pack_is_found(tmp_path: Path, ruin: str) -> None:
    """Any change to a record, a hash, the order or the end shows, even without a head kept elsewhere."""
    path = tmp_path / "pack.jsonl"
    export_pack(a_day().log, path)
    lines = path.read_text().splitlines(keepends=True)
    match ruin:
        case "change":
            lines[30] = lines[30].replace("EURUSD", "EURUSX").replace("1577836800", "1577836801")
        case "drop":
            del lines[30]
        case "cut":
            del lines[-3:]
        case "redact":
            lines[30] = json.dumps({"position": 30, "hash": "00" * 32}) + "\n"
        case "head":
            lines[0] = lines[0].replace('"75:', '"74:')
    path.write_text("".join(lines))
    assert not verify_pack(path).is_whole


@pytest.mark.parametrize(
    "content", ["", "hello\n", '{"format": "other"}\n', '{"format":"cmam evidence 1","head":"x"}\n']
)
def test_what_is_no_pack_is_said_so(tmp_path: Path, content: str) -> None:
    """A wrong file is not a broken log."""
    (tmp_path / "pack").write_text(content)
    with pytest.raises(StoreBroken, match="not an evidence pack"):
        verify_pack(tmp_path / "pack")


def test_a_pack_with_a_line_of_garbage_is_named(tmp_path: Path) -> None:
    """The line is named; nothing is guessed."""
    export_pack(a_day().log, tmp_path / "pack")
    with (tmp_path / "pack").open("a") as file:
        file.write("{garbage\n")
    with pytest.raises(StoreBroken, match="Line 77"):
        verify_pack(tmp_path / "pack")


def test_a_backup_taken_while_the_store_is_written_is_whole(tmp_path: Path) -> None:
    """It holds all that was committed when it began, verifies, opens as a store, and is one file."""
    home = tmp_path / "home"
    log = EventLog.open(home)
    log.append(facts(700))
    head = backup(home, tmp_path / "copy.db")
    log.append(facts(5, after=700))
    assert head.position == 700
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "home"]
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    copied = EventLog.read_file(tmp_path / "copy.db")
    assert copied.position() == 700
    copied.close()
    log.close()
    (tmp_path / "again").mkdir()
    (tmp_path / "copy.db").rename(tmp_path / "again" / "events.db")
    restored = EventLog.open(tmp_path / "again")
    assert restored.append(facts(1, after=700)) == 701
    restored.close()


def test_a_backup_of_a_broken_store_says_that_it_is_broken(tmp_path: Path) -> None:
    """Nobody keeps a bad copy believing it to be good."""
    home = tmp_path / "home"
    log = EventLog.open(home)
    log.append(facts(10))
    log.connection.execute("UPDATE stored_events SET state = replace(state, 'note', 'Note') WHERE rowid = 4")
    log.close()
    with pytest.raises(StoreBroken, match="Record 4 of account:1"):
        backup(home, tmp_path / "copy.db")


def test_a_damaged_pack_names_the_fault(tmp_path: Path) -> None:
    """As verify on the store would."""
    path = tmp_path / "pack"
    export_pack(a_day().log, path)
    text = path.read_text()
    path.write_text(text.replace('\\"volume.amount\\":\\"0.5\\"', '\\"volume.amount\\":\\"0.6\\"', 1))
    result = verify_pack(path)
    assert result.findings[0].fault is Fault.CHANGED
    assert result.findings[0].stream == "profile:pr0f1l"
