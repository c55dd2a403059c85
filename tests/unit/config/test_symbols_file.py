"""Symbol tables as spreadsheets save them: bytes to text, whatever program wrote them."""

from __future__ import annotations

import csv
import os
from fractions import Fraction
from pathlib import Path

import pytest

from cmam.config.symbols_file import FILE_BYTES_MAX, SymbolsFileUnreadable, for_spreadsheets, read_symbols_file, text_of
from cmam.domain.profiles.table import SymbolRow, read_table, write_table

ROWS = (
    SymbolRow(leader_symbol="EURUSD", follower_symbol="EURUSD.b", volume_amount=Fraction(1, 2)),
    SymbolRow(leader_symbol="#US500", max_slippage=None, has_slippage=True),
)
COMMAS = "leader_symbol,follower_symbol,volume_amount,max_slippage\nEURUSD,EURUSD.b,0.5,\n#US500,,,off\n"
SEMICOLONS = "leader_symbol;follower_symbol;volume_amount;max_slippage\nEURUSD;EURUSD.b;0,5;\n#US500;;;off\n"


@pytest.mark.parametrize(
    "data",
    [
        COMMAS.encode(),
        COMMAS.encode("utf-8-sig"),
        COMMAS.replace("\n", "\r\n").encode(),
        COMMAS.replace("\n", "\r").encode(),
        COMMAS.rstrip("\n").encode(),
        COMMAS.encode("utf-16"),
        SEMICOLONS.encode("utf-8-sig"),
        ("sep=;\n" + SEMICOLONS).encode(),
        SEMICOLONS.replace(";", "\t").encode("utf-16"),
        COMMAS.replace("EURUSD,EURUSD.b,0.5", '"EURUSD","EURUSD.b","0.5"').encode(),
        SEMICOLONS.replace("0,5", '"0,5"').encode(),
        ("# a remark\n\n" + COMMAS + "\n,,,\n").encode(),
    ],
)
def test_every_spreadsheet_says_the_same(data: bytes) -> None:
    """Byte order marks, line endings, separators, quotes and decimal commas change nothing of what is read."""
    found = text_of(data, "x")
    table = read_table(found.text, delimiter=found.delimiter)
    assert table.faults == ()
    assert table.rows == ROWS


def test_lines_are_counted_as_in_the_file() -> None:
    """A fault names the line that a person sees in his editor, also below a `sep=` line, blanks and remarks."""
    found = text_of(b"sep=;\r\n\r\n# remark\r\nleader_symbol;copy_sl\r\nEURUSD;perhaps\r\n", "x")
    (fault,) = read_table(found.text, delimiter=found.delimiter).faults
    assert (fault.line, fault.column, fault.value) == (5, "copy_sl", "perhaps")


def test_what_is_no_text_is_named_with_its_line() -> None:
    """Bytes of another encoding are refused with the line and what to do, never guessed."""
    with pytest.raises(SymbolsFileUnreadable, match=r"line 2; save it from the spreadsheet as CSV UTF-8"):
        text_of(b"leader_symbol\n\xe4\xff\n", "x.csv")


def test_a_missing_or_huge_file_is_one_sentence(tmp_path: Path) -> None:
    """A file that is not there, or far too large, ends with what was expected and found."""
    with pytest.raises(SymbolsFileUnreadable, match="No such file"):
        read_symbols_file(tmp_path / "none.csv")
    huge = tmp_path / "huge.csv"
    huge.write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    with pytest.raises(SymbolsFileUnreadable, match="found more"):
        read_symbols_file(huge)


def test_a_pipe_without_a_writer_is_an_empty_table(tmp_path: Path) -> None:
    """Nobody waits for a pipe that was left behind."""
    os.mkfifo(tmp_path / "pipe")
    assert read_symbols_file(tmp_path / "pipe").text == ""


def test_a_symbol_whose_name_is_a_formula_is_text_in_a_spreadsheet_and_itself_again() -> None:
    """Brokers name symbols: one could have a spreadsheet fetch an address, and `@ES` came back as an error's name."""
    rows = tuple(
        SymbolRow(leader_symbol=name, follower_symbol=name, volume_amount=Fraction(1, 2))
        for name in ("@ES", '=HYPERLINK("http://x","EURUSD")', "-X", "+X", "EUR-USD", "O'X", "A,=B")
    )
    given = for_spreadsheets(write_table(rows))
    for cells in csv.reader(given.splitlines()):
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    for data in (given, given.replace("\n", "\r\n")):
        found = text_of(data.encode(), "x")
        assert read_table(found.text, delimiter=found.delimiter).rows == rows
