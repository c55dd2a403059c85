"""A symbol table as a person's spreadsheet saved it: bytes to text and the sign between its cells.

Takes what spreadsheets write: a byte order mark, any line ending, commas, semicolons or tabs, a `sep=` line, decimal
commas where cells are not separated by commas, an apostrophe before what is no formula. Must not know what a cell
means; `domain/profiles/table.py` does.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from cmam.config.files import open_to_read
from cmam.domain.profiles.table import COLUMNS

FILE_BYTES_MAX = 2_000_000
"""Far more than a row for every symbol that any broker lists."""

DELIMITERS = (",", ";", "\t")
_SEPARATOR_LINE = re.compile(r"\s*sep=(.)\s*", re.IGNORECASE)
_FORMULA = re.compile(r'(^|,)("?)(?=[=+\-@])', re.MULTILINE)
_AS_TEXT = re.compile(r"""(^|[,;\t])("?)'(?=[=+\-@])""", re.MULTILINE)
_DECIMAL_COMMA = re.compile(r'(?<![^;\t])("?)(-?\d+),(\d+)("?)(?![^;\t])')


class SymbolsFileUnreadable(Exception):
    """A file that is no text of a table: what was expected, what was found, what to do."""


@dataclass(frozen=True, slots=True)
class TableText:
    """The text of a table, line for line as in the file, and the sign between its cells."""

    text: str
    delimiter: str


def for_spreadsheets(text: str) -> str:
    """A table as it is given away: a symbol's name that a spreadsheet would carry out has the apostrophe before it by
    which a cell is text there, and which reading takes off again."""
    return _FORMULA.sub(r"\1\2'", text)


def read_symbols_file(path: Path) -> TableText:
    """Read a file, or stdin where the path is `-`; raises SymbolsFileUnreadable."""
    try:
        data = sys.stdin.buffer.read(FILE_BYTES_MAX + 1) if str(path) == "-" else _bytes_of(path)
    except OSError as error:
        raise SymbolsFileUnreadable(f"Expected a readable CSV file, found {path}: {error.strerror or error}.") from None
    if len(data) > FILE_BYTES_MAX:
        raise SymbolsFileUnreadable(f"Expected at most {FILE_BYTES_MAX} bytes in {path}, found more.")
    return text_of(data, str(path))


def _bytes_of(path: Path) -> bytes:
    with open_to_read(path) as file:
        return file.read(FILE_BYTES_MAX + 1)


def text_of(data: bytes, name: str) -> TableText:
    """Understand the bytes of a table; raises SymbolsFileUnreadable for what is not text."""
    text = _decoded(data, name).replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    found = _SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    if found is not None:
        lines[0] = ""  # kept as a line, so that the lines of faults are those of the file
    delimiter = found.group(1) if found is not None else _delimiter_of(lines)
    text = _AS_TEXT.sub(r"\1\2", "\n".join(lines))
    if delimiter != ",":
        text = "\n".join(_DECIMAL_COMMA.sub(r"\1\2.\3\4", line) for line in text.split("\n"))
    return TableText(text, delimiter)


def _decoded(data: bytes, name: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SymbolsFileUnreadable(
            f"Expected text in UTF-8 in {name}, found something else in line {line}; "
            "save it from the spreadsheet as CSV UTF-8."
        ) from None


def _delimiter_of(lines: list[str]) -> str:
    """The sign that makes the most of the header's names known; a comma where none does."""
    header = next((line for line in lines if line.strip() and not line.lstrip().startswith("# ")), "")

    def known(delimiter: str) -> int:
        return sum(cell.strip().strip('"') in COLUMNS for cell in header.split(delimiter))

    return max(DELIMITERS, key=known)
