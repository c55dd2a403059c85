"""Tables that break no word: wrapped between words, or, where that does not fit side by side, a card for each row.
Windows that cut nothing without a sign.

Must not know what the tables are about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

BETWEEN = 2
"""So many characters stand between two columns, and one at each end of a line."""

LINE_WIDE = 40
"""A column that is as wide as this need not be wider for a list to count as whole: what is longer wraps."""

HEADING_PART = 3
"""On a card the headings have at most one part in so many of the line."""


class Measured(NamedTuple):
    """How wide a column is: at the least, so that no word is broken, and with every line whole."""

    least: int
    whole: int


def fitting(columns: Sequence[Measured], room: int) -> list[int] | None:
    """Widths within a room, none less than its longest word; None where those do not fit side by side.

    Narrow columns stay whole as far as it goes, and the wide ones have what is left.
    """
    widths = [column.least for column in columns]
    if sum(widths) > room:
        return None
    for place, column in sorted(enumerate(columns), key=lambda one: one[1].whole):
        widths[place] += min(column.whole - column.least, room - sum(widths))
    return widths


class LegibleTable(Table):
    """A table in the house's style. Columns that are cut at the end of the line (`no_wrap`) stay as they are given."""

    def __init__(self, title: str | None = None) -> None:
        super().__init__(
            title=title,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 1, 0, 0),
        )

    def fits(self, width: int, *, is_wrapped: bool = True) -> bool:
        """Whether it is legible within a width; without wrapping, whether each line is whole that is not long."""
        columns = [measured(column) for column in self.columns]
        needed = (one.least if is_wrapped else max(one.least, min(one.whole, LINE_WIDE)) for one in columns)
        return sum(needed) <= self._room(width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose the widths for the width that there is."""
        if any(column.no_wrap for column in self.columns):
            return super().__rich_console__(console, options)
        widths = fitting([measured(column) for column in self.columns], self._room(options.max_width))
        if widths is None:
            return iter((self.cards(options.max_width),))
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width
        return super().__rich_console__(console, options)

    def cards(self, width: int) -> RenderableType:
        """Each row as lines of heading and value, with an empty line behind it; long headings leave room for values."""
        parts: list[RenderableType] = [Text(str(self.title), style="bold")] if self.title else []
        heading = min(max(cell_len(str(column.header)) for column in self.columns), width // HEADING_PART)
        rows = zip(*(column.cells for column in self.columns), strict=True)
        for row in rows:
            card = Table.grid(padding=(0, BETWEEN, 0, 0))
            card.add_column(style="dim", width=heading)
            card.add_column(overflow="fold")
            for column, cell in zip(self.columns, row, strict=True):
                card.add_row(str(column.header), cell)
            parts += [card, ""]
        return Group(*parts)

    def _room(self, width: int) -> int:
        return width - BETWEEN * (len(self.columns) - 1) - 2


class Window:
    """What fits into a window's height, with some lines left for what stands below; the last line says what does not.

    For screens that are drawn again in one place: what is printed below each other scrolls instead.
    """

    def __init__(self, what: RenderableType, below: int = 0) -> None:
        self.what = what
        self.below = below

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it, and count what is left over."""
        room = max(1, (options.height or console.height) - self.below)
        lines = console.render_lines(self.what, options.update(height=None), pad=False)
        shown = lines if len(lines) <= room else lines[: room - 1]
        for line in shown:
            yield from line
            yield Segment.line()
        if len(shown) < len(lines):
            more = f"… {len(lines) - len(shown)} more lines in a higher window"
            yield Text(more, style="dim", no_wrap=True, overflow="ellipsis")


def measured(column: Column) -> Measured:
    """Look at the heading and every cell of a column. A figure and its currency stay in one line."""
    header, cells = str(column.header), [str(cell) for cell in column.cells]
    lines = [line for cell in cells for line in cell.split("\n")]
    words = lines if column.justify == "right" else [word for line in lines for word in line.split()]
    least = max(map(cell_len, (*header.split(), *words)), default=0)
    return Measured(least, max(map(cell_len, (*header.split("\n"), *lines))))
