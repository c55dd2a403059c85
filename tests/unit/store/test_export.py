"""What leaves the store: whole or not at all, and verifiable without it."""

from __future__ import annotations

import csv
import json
import os
import stat
from pathlib import Path

import pytest

from cmam.store.auditing.audit import KEYS, Audit
from cmam.store.auditing.export import export_table
from cmam.store.errors import StoreUnavailable

from .world import a_day


def test_tables_leave_as_csv_and_as_json_lines(tmp_path: Path) -> None:
    """The same lines either way; the ending of the name decides."""
    audit = Audit.of(a_day().log)
    lines = list(audit.copies())
    assert export_table(audit.copies(), tmp_path / "copies.csv", KEYS["copies"]) == len(lines)
    assert export_table(audit.copies(), tmp_path / "copies.jsonl", KEYS["copies"]) == len(lines)
    assert [json.loads(line) for line in (tmp_path / "copies.jsonl").read_text().splitlines()] == lines
    with (tmp_path / "copies.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["volume"] == "50000.00"
    assert list(rows[0]) == list(lines[0])


@pytest.mark.parametrize("what", KEYS)
def test_every_list_has_the_columns_that_its_header_names(what: str) -> None:
    """The header stands over nothing too, so it is known before the first line, and each line keeps to it."""
    lines = list(getattr(Audit.of(a_day().log), what)())
    assert lines or what == "notes"
    assert all(list(line) == list(KEYS[what]) for line in lines)


def test_a_file_that_cannot_be_written_is_said_so_and_leaves_nothing(tmp_path: Path) -> None:
    """Neither a half file under the name nor a temporary one beside it."""
    audit = Audit.of(a_day().log)
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        export_table(audit.copies(), tmp_path / "missing" / "copies.csv", KEYS["copies"])

    def failing() -> object:
        yield {"a": 1}
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        export_table(failing(), tmp_path / "half.csv", ("a",))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_only_a_file_is_ever_replaced(tmp_path: Path) -> None:
    """Root could put a file in the place of /dev/null: what is no file is refused and stays."""
    pipe, folder = tmp_path / "pipe.csv", tmp_path / "folder.csv"
    os.mkfifo(pipe)
    folder.mkdir()
    for place in (pipe, folder):
        with pytest.raises(StoreUnavailable, match="which is a folder or a device"):
            export_table([], place, ())
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert folder.is_dir()
    assert len(list(tmp_path.iterdir())) == 2
