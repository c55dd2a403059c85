"""`cmam replay --to FILE`: the tables of the audit made anew, for people who bring their own SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cmam.cli.face.rows import console
from cmam.cli.face.talk import print_json, say
from cmam.cli.face.verbs import face, spare_homes, spare_others

if TYPE_CHECKING:
    from cmam.store.logfile.log import EventLog


def rebuild_views(log: EventLog, target: Path, position: int | None, at_us: int | None) -> None:
    """Make the views up to a position or a moment, all of them where neither is given."""
    from cmam.store.logfile.lock import StoreLock
    from cmam.store.projection.projector import LOCK_NAME
    from cmam.store.projection.rebuild import metadata_path, position_at, rebuild
    from cmam.store.projection.views_file import VIEWS_NAME, is_of_views

    home = face().home.root
    is_own = target.resolve() == (home / VIEWS_NAME).resolve()
    if not is_own:
        spare_homes(target)
        spare_others(target, lambda: is_of_views(target), "older views")
    until = position_at(log, at_us) if at_us is not None else position
    head = log.position()
    with ExitStack() as held, _bar(min(until, head) if until is not None else head) as advance:
        if is_own:  # a projector that lives would go on in the old file
            held.enter_context(StoreLock(home, name=LOCK_NAME).acquire(since="", command="cmam replay --to"))
        reached = rebuild(log, target, until=until, progress=advance)
    if face().as_json:
        print_json({"file": str(target), "metadata": str(metadata_path(target)), "position": reached})
        return
    say(f"{target} holds the views up to position {reached}; docs/queries.md asks them the usual questions.")
    say(f"For Datasette: datasette {target} --metadata {metadata_path(target)}")


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr where that is a terminal; answers what to tell the position reached to."""
    from rich.progress import Progress

    out = console(error=True)
    with Progress(console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("projecting", total=total)
        yield lambda position: progress.update(task, completed=position)
