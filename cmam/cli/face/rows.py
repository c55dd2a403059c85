"""How a command shows a list: JSON lines, a table that fits the screen, or a card for each row."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.face.talk import UNSHOWN, is_dumb, legible, print_json, say

if TYPE_CHECKING:
    from cmam.cli.face.tables import LegibleTable


def print_rows(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str | tuple[str, str]],
    *,
    empty: str,
    title: str | None = None,
    numbers: frozenset[str] = frozenset(),
    spare: Sequence[str] = (),
    brief: Mapping[str, str] | None = None,
) -> None:
    """A list: JSON lines with every key, or a table of `columns` (key, or key and heading) that fits the screen.

    On a narrow screen values have their `brief` form, `spare` columns go, those that hold nothing and then the first,
    and whatever still fits stays; lines wrap between words. Where not even the words of what is left fit side by side,
    each row is a card with all columns.
    """
    if click.get_current_context().meta.get("cmam.json"):
        for row in rows:
            print_json(row)
        return
    found = list(rows)
    if not found:
        say(empty)
        return
    pairs = [(column, column.replace("_", " ")) if isinstance(column, str) else column for column in columns]
    out = console()
    every = _filled(pairs, found, numbers, title)
    missing: list[str] = []
    table = every
    if not every.fits(out.width, is_wrapped=False):
        found = [_briefly(row, brief) for row in found] if brief else found
        kept = [pair for pair in pairs if pair[0] not in spare]
        table = _filled(kept, found, numbers, title)
        for key in reversed(spare):  # what matters most is asked first
            if not _holds_something(key, found):
                continue
            wider = [pair for pair in pairs if pair in kept or pair[0] == key]
            tried = _filled(wider, found, numbers, title)
            if tried.fits(out.width, is_wrapped=False):
                kept, table = wider, tried
            else:
                missing += [heading for name, heading in pairs if name == key]
    if not table.fits(out.width):
        out.print(every.cards(out.width))
        return
    out.print(table)
    if missing:
        say(f"Not shown on a screen this narrow: {', '.join(reversed(missing))}. A wider one or --json has them.")


def _briefly(row: Mapping[str, Any], brief: Mapping[str, str]) -> dict[str, Any]:
    return {key: brief.get(value, value) if isinstance(value, str) else value for key, value in row.items()}


def _holds_something(key: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(row.get(key) not in NOTHING for row in rows)


def _filled(
    pairs: Sequence[tuple[str, str]], rows: Sequence[Mapping[str, Any]], numbers: frozenset[str], title: str | None
) -> LegibleTable:
    table = new_table(title)
    moments = {key for key, _ in pairs if _has_moments_only(row.get(key) for row in rows)}
    whole = {key for key, _ in pairs if _has_whole_numbers_only(row.get(key) for row in rows)}
    for key, heading in pairs:
        if key in moments:
            heading += " (UTC)"
        table.add_column(heading, justify="right" if key in numbers else "left", overflow="fold")
    for row in rows:
        cells = (_cell(row.get(key), zone="" if key in moments else " UTC", is_whole=key in whole) for key, _ in pairs)
        table.add_row(*cells)
    return table


def _has_moments_only(values: Iterable[Any]) -> bool:
    """Whether a column holds times and nothing else, so that its heading can say where they hold."""
    there = [str(value) for value in values if value not in (None, "")]
    return bool(there) and all(map(MOMENT.fullmatch, there))


def _has_whole_numbers_only(values: Iterable[Any]) -> bool:
    """Whether no figure of a column has cents, so that none has to show them: points stand below each other."""
    return not any((found := FIGURE.fullmatch(str(value))) and found[1] not in (None, ".00") for value in values)


MOMENT = re.compile(r"\d{4}-(\d\d-\d\d)T(\d\d:\d\d:\d\d\.\d{3})Z")


FIGURE = re.compile(r"-?\d+(\.\d+)?")
NOTHING: tuple[Any, ...] = (None, "", [], ())
"""What a cell shows as a dash."""


def _cell(value: Any, *, zone: str, is_whole: bool) -> Any:
    from rich.text import Text

    if value in NOTHING:
        return Text("–", style="dim")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    text = legible(str(value))
    if found := MOMENT.fullmatch(text):
        text = f"{found[1]} {found[2]}{zone}"
    elif is_whole and text.endswith(".00"):
        text = text.removesuffix(".00")
    return Text(text, style=STYLES.get(text, ""))


STYLES = {
    "open": "green",
    "copy": "green",
    "running": "green",
    "reconciled": "green",
    "up": "green",
    "skip": "yellow",
    "paused": "yellow",
    "locked": "red",
    "flattened": "yellow",
    "subscribed": "yellow",
    "authorised": "yellow",
    "unknown": "bold red",
    "refused": "red",
    "down": "red",
    "token_dead": "red",
    "closed": "dim",
    "none": "dim",
    "stopped": "dim",
}
"""Colours carry nothing that the word does not say."""


def new_table(title: str | None = None) -> LegibleTable:
    """An empty table in the house's style."""
    from cmam.cli.face.tables import LegibleTable

    return LegibleTable(title)


def console(*, error: bool = False) -> Any:
    """A console on stdout (or stderr) that colours terminals only, and lets a pipe have whole lines."""
    from rich.console import Console
    from rich.segment import Segment

    class Plain(Console):
        """Of a reader who has gone the command hears as from any other print; rich would exit by itself, with 1. And
        whatever is drawn, what others wrote in it makes the terminal do nothing."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

        def render(self, renderable: Any, options: Any = None) -> Iterable[Segment]:
            for one in super().render(renderable, options):
                is_safe = one.control or not UNSHOWN.search(one.text)
                yield one if is_safe else Segment(legible(one.text), one.style)

    stream = sys.stderr if error else sys.stdout
    is_screen = stream.isatty()
    width: int | None = None if is_screen else 240
    height: int | None = None
    if is_screen and is_dumb():
        width, height = shutil.get_terminal_size()  # rich takes 80 for granted there
    return Plain(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        width=width,
        height=height,
        no_color=True if not is_screen else None,
        force_terminal=None if is_screen else False,
    )
