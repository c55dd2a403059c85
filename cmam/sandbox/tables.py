"""The sign between the cells of a person's CSV: spreadsheets of half the world write semicolons and decimal commas."""

from __future__ import annotations

from collections.abc import Collection

DELIMITERS = (",", ";", "\t")


def delimiter_of(header: str, columns: Collection[str]) -> str:
    """The sign that makes the most of a header's names known; a comma where none does."""

    def known(delimiter: str) -> int:
        return sum(cell.strip().strip('"').lower() in columns for cell in header.split(delimiter))

    return max(DELIMITERS, key=known)
