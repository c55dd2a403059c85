"""How far a long reading of the log has come: one line on stderr at a terminal, and nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cmam.cli.face.rows import console

if TYPE_CHECKING:
    from cmam.store.records.envelope import Recorded

LONG = 20_000
"""A log of fewer records than this is read before anybody wonders."""
EVERY = 1_000
"""Between two looks at the line lie so many records: drawing it costs more than reading one."""


def followed(records: Iterable[Recorded], total: int, what: str) -> Iterator[Recorded]:
    """The same records, with a bar that says how many of `total` have been read."""
    with counted(total, what) as advance:
        for count, record in enumerate(records):
            if not count % EVERY:
                advance(record.position)
            yield record


@contextmanager
def counted(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """A bar for the block; answers what to tell how many of `total` records have been read."""
    if total < LONG or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(error=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda read: bar.update(task, completed=read)
