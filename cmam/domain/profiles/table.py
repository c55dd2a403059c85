"""The table of a link's symbols: CSV text to rows, and back. Pure text; who reads the file is not known here.

Every fault is found at once, each with its line; a table with one fault is not taken at all. An empty cell inherits.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cmam.domain.profiles.reading import POINTS_MAX, or_off, points, positive, switch

COLUMNS = (
    "leader_symbol",
    "follower_symbol",
    "copy_sl",
    "copy_tp",
    "volume_mode",
    "volume_amount",
    "min_volume",
    "max_volume",
    "max_slippage",
)

ROWS_MAX = 5_000
"""More symbols than any broker lists."""
CELL_CHARACTERS_MAX = 64
NAME_ALLOWED = f"a symbol's name of at most {CELL_CHARACTERS_MAX} printable characters"

ROW_MODES = (
    "multiplier",
    "fixed",
    "balance_ratio",
    "equity_ratio",
    "free_margin_ratio",
    "notional_multiplier",
    "fixed_leverage",
    "risk_percent",
    "formula",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRow:
    """What a link does differently for one of the leader's symbols; None inherits. Volumes are in lots."""

    leader_symbol: str
    follower_symbol: str = ""
    copy_sl: bool | None = None
    copy_tp: bool | None = None
    volume_mode: str | None = None
    volume_amount: Fraction | None = None
    min_volume: Fraction | None = None
    max_volume: Fraction | None = None
    max_slippage: int | None = None
    has_slippage: bool = False


@dataclass(frozen=True, slots=True)
class RowFault:
    """A cell that cannot be: its line in the file, its column, what was found and what is allowed."""

    line: int
    column: str
    value: str
    allowed: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}: expected {self.allowed}, found {self.value!r}"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a table, or its faults; never some of both."""

    rows: tuple[SymbolRow, ...] = ()
    faults: tuple[RowFault, ...] = ()


def _mode(text: str) -> str:
    if text not in ROW_MODES:
        raise ValueError(text)
    return text


_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "copy_sl": (switch, "on or off"),
    "copy_tp": (switch, "on or off"),
    "volume_mode": (_mode, f"one of {', '.join(ROW_MODES)}"),
    "volume_amount": (positive, "a finite number above 0"),
    "min_volume": (positive, "lots above 0"),
    "max_volume": (positive, "lots above 0"),
    "max_slippage": (or_off(points), f"whole points above 0 and at most {POINTS_MAX}, or off"),
}


def read_table(text: str, *, delimiter: str = ",") -> Table:
    """Read a table; all of it, or all of its faults. A line that begins with a hash and a space is a remark."""
    lines, faults = _lines(text.removeprefix("\ufeff"), delimiter)
    if not lines:
        return Table(faults=(*faults, RowFault(1, "header", "", "the header " + ",".join(COLUMNS))))
    header_line, header = lines[0]
    of_header = tuple(_header_faults(header_line, header))
    if of_header:
        return Table(faults=(*faults, *of_header))
    if len(lines) - 1 > ROWS_MAX:
        return Table(faults=(RowFault(lines[ROWS_MAX + 1][0], "row", str(len(lines) - 1), f"at most {ROWS_MAX} rows"),))
    rows: list[SymbolRow] = []
    seen: dict[str, int] = {}
    for line, cells in lines[1:]:
        if len(cells) != len(header):
            faults.append(RowFault(line, "row", f"{len(cells)} cells", f"{len(header)} cells"))
            continue
        row, wrong = _row(line, dict(zip(header, cells, strict=True)))
        faults.extend(wrong)
        before = seen.setdefault(row.leader_symbol.upper(), line)
        if row.leader_symbol and before != line:
            faults.append(RowFault(line, "leader_symbol", row.leader_symbol, f"each symbol once; line {before} has it"))
        rows.append(row)
    return Table(faults=tuple(sorted(faults, key=lambda fault: fault.line))) if faults else Table(rows=tuple(rows))


def _lines(text: str, delimiter: str) -> tuple[list[tuple[int, list[str]]], list[RowFault]]:
    """The cells of each line that says something, with its number; and the lines that are no CSV."""
    reader = csv.reader(io.StringIO(text), strict=True, delimiter=delimiter)
    lines: list[tuple[int, list[str]]] = []
    faults: list[RowFault] = []
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return lines, faults
        except csv.Error as error:
            faults.append(RowFault(reader.line_num, "row", str(error), "a line of CSV"))
            continue
        if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("# "):
            lines.append((reader.line_num, [cell.strip() for cell in cells]))


def _header_faults(line: int, header: list[str]) -> Iterable[RowFault]:
    for name in header:
        if name not in COLUMNS:
            yield RowFault(line, "header", name, f"columns from {', '.join(COLUMNS)}")
    for name in sorted({name for name in header if header.count(name) > 1}):
        yield RowFault(line, "header", name, "each column once")
    if "leader_symbol" not in header:
        yield RowFault(line, "header", ",".join(header), "a column leader_symbol")


def _row(line: int, cells: dict[str, str]) -> tuple[SymbolRow, list[RowFault]]:
    faults: list[RowFault] = []
    for column in ("leader_symbol", "follower_symbol"):
        value = cells.get(column, "")
        if len(value) > CELL_CHARACTERS_MAX or not value.isprintable():
            faults.append(RowFault(line, column, value[:40], NAME_ALLOWED))
    if not cells["leader_symbol"]:
        faults.append(RowFault(line, "leader_symbol", "", "the leader's symbol"))
    values: dict[str, Any] = {}
    for column, (read, allowed) in _READERS.items():
        value = cells.get(column, "")
        if not value:
            continue
        if len(value) > CELL_CHARACTERS_MAX:
            faults.append(RowFault(line, column, value[:40], allowed))
            continue
        try:
            values[column] = read(value)
        except (ValueError, KeyError, ZeroDivisionError):
            faults.append(RowFault(line, column, value[:40], allowed))
    low, high = values.get("min_volume"), values.get("max_volume")
    if low is not None and high is not None and low > high:
        faults.append(RowFault(line, "max_volume", cells["max_volume"], "no less than min_volume"))
    row = SymbolRow(
        leader_symbol=cells["leader_symbol"],
        follower_symbol=cells.get("follower_symbol", ""),
        has_slippage="max_slippage" in values,
        **values,
    )
    return row, faults


def _fraction(value: Fraction | None) -> str:
    if value is None:
        return ""
    text = f"{value.numerator * 10**12 // value.denominator:013d}"
    return f"{text[:-12]}.{text[-12:]}".rstrip("0").rstrip(".")


def write_table(rows: Iterable[SymbolRow]) -> str:
    """Write rows as a table that reads back as the same rows."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        slippage = "off" if row.max_slippage is None else str(row.max_slippage)
        writer.writerow(
            (
                row.leader_symbol,
                row.follower_symbol,
                "" if row.copy_sl is None else ("on" if row.copy_sl else "off"),
                "" if row.copy_tp is None else ("on" if row.copy_tp else "off"),
                row.volume_mode or "",
                _fraction(row.volume_amount),
                _fraction(row.min_volume),
                _fraction(row.max_volume),
                slippage if row.has_slippage else "",
            )
        )
    return sink.getvalue()
