"""Lists that leave the store as a file: CSV or JSON lines, whole or not at all. Evidence packs are `pack.py`'s."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from cmam.store.auditing.audit import Line
from cmam.store.logfile.files import new_file

FIRST_MAX = 100_000
"""A line of ours is never so long."""


# --- tables -------------------------------------------------------------------------------------------------------


def write_json_lines(lines: Iterable[Line], file: IO[str]) -> int:
    """One JSON object per line; answers how many."""
    count = 0
    for line in lines:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        count += 1
    return count


def write_csv(lines: Iterable[Line], file: IO[str], keys: Sequence[str]) -> int:
    """A header, also over nothing, and a row per line; what is nested is JSON in its cell. Answers how many rows."""
    writer = csv.DictWriter(file, keys)
    writer.writeheader()
    count = 0
    for line in lines:
        count += 1
        writer.writerow({name: _cell(value) for name, value in line.items()})
    return count


_FORMULA = re.compile(r"[=+\-@\t\r]")
"""What a spreadsheet takes for the beginning of a formula."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+|/\d+)?")
"""Also a fraction, as which an exact target or drift may stand."""


def _cell(value: Any) -> Any:
    """A value as a cell. Labels, comments and names are anybody's: one that a spreadsheet would carry out has the
    apostrophe before it by which a cell is text there. JSON lines have each as it is."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    is_formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value


def is_older_table(path: Path, keys: Sequence[str]) -> bool:
    """Whether a file is an export of the same list, of which a later one may take the place; one of nothing is empty.

    Versions add columns: those of an older file are some of ours.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            first = file.readline(FIRST_MAX)
        found = json.loads(first) if first.startswith("{") else next(csv.reader([first.rstrip()]), [])
    except (OSError, ValueError, csv.Error):
        return False
    return not first or (bool(found) and set(found) <= set(keys))


def export_table(lines: Iterable[Line], path: Path, keys: Sequence[str], *, as_csv: bool | None = None) -> int:
    """Write lines as CSV, or as JSON lines, by the ending of the file's name where nothing else is said."""
    is_csv = path.suffix.lower() == ".csv" if as_csv is None else as_csv
    with new_file(path) as fresh, fresh.open("w", encoding="utf-8", newline="") as file:
        return write_csv(lines, file, keys) if is_csv else write_json_lines(lines, file)
