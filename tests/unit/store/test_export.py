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


@pytest.mark.parametrize(
    ("written", "cell"),
    [
        ('=HYPERLINK("http://x.example","look")', '\'=HYPERLINK("http://x.example","look")'),
        ("+cmd|' /c calc'!A1", "'+cmd|' /c calc'!A1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("-2+3", "'-2+3"),
        ("\t=1+1", "'\t=1+1"),
        ("-12.50", "-12.50"),
        ("-3", "-3"),
        ("-250/3", "-250/3"),
        ("-1/3+2", "'-1/3+2"),
        ("+1", "+1"),
        ("a,b\n=1", "a,b\n=1"),
        ("Gold, täglich", "Gold, täglich"),
    ],
)
def test_what_anybody_may_write_is_no_formula_in_a_spreadsheet(tmp_path: Path, written: str, cell: str) -> None:
    """A label of the leader's, whoever that is: shown as text, numbers (a drift
    may be a fraction) as numbers, and as it was in JSON lines."""
    export_table([{"label": written}], tmp_path / "x.csv", ("label",))
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        assert [row["label"] for row in csv.DictReader(file)] == [cell]
    export_table([{"label": written}], tmp_path / "x.jsonl", ("label",))
    assert json.loads((tmp_path / "x.jsonl").read_text(encoding="utf-8")) == {"label": written}


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
        export_table(failing(), tmp_path / "half.csv", ("a",))
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
