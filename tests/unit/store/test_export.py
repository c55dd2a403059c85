"""What leaves the store: whole or not at all, and verifiable without it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from cmam.store.audit import Audit
from cmam.store.errors import StoreBroken, StoreUnavailable
from cmam.store.export import backup, export_table
from cmam.store.log import EventLog

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
