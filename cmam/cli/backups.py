"""`cmam backup` and `restore`: the log copied while it is written, and put back, both checked against the chains."""

from __future__ import annotations

from pathlib import Path

import click

from cmam.cli.common import Verb, face, print_json, say


@click.command(cls=Verb)
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the log to FILE, while running or not; it is checked against its chains before it gets its name."""
    from cmam.store.export import backup as copy

    head = copy(face().home.root, file)
    if face().as_json:
        print_json({"file": str(file), "head": str(head)})
        return
    say(f"{file} is a whole copy; its head is {head}.")
