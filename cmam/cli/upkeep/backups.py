"""`cmam backup`, `restore` and `archive`: the log copied while it is written, put back, and put aside and continued."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from cmam.cli.face.talk import print_json, say
from cmam.cli.face.verbs import Verb, face, spare_homes


@click.command(cls=Verb)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Write over FILE also if it is a backup of another log, or damaged.")
def backup(file: Path, replace: bool) -> None:
    """Copy the log to FILE, while running or not; it is checked against its chains before it gets its name.

    An older backup of the same log gives way to it; any other file is refused.
    """
    from cmam.store.logfile.database import is_store
    from cmam.store.upkeep.keeping import backup as copy

    spare_homes(file)
    is_over_another = is_store(file)
    head = copy(face().home.root, file, replace=replace)
    if face().as_json:
        print_json({"file": str(file), "head": str(head)})
        return
    instead = ", in the place of an older backup" if is_over_another else ""
    say(f"{file} is a whole copy{instead}; its head is {head}.")


@click.command(cls=Verb)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--replace", is_flag=True, help="Move the log that is there aside; it is kept.")
def restore(file: Path, replace: bool) -> None:
    """Put a backup back in place of the log, while nothing runs; it is checked against its chains first."""
    from cmam.clock import SystemClock
    from cmam.store.upkeep.keeping import expect_backup
    from cmam.store.upkeep.keeping import restore as put_back

    home = face().home
    expect_backup(file)
    home.prepare()
    with _held("cmam restore"):
        done = put_back(home.root, file, SystemClock().now(), replace=replace)
    if face().as_json:
        aside = str(done.replaced) if done.replaced is not None else None
        print_json({"file": str(file), "head": str(done.head), "replaced": aside})
        return
    say(f"{home.events} holds the {done.head.position} records of {file}; its head is {done.head}.")
    if done.replaced is not None:
        say(f"What stood there is {done.replaced}.")
    say("What happened since the backup is found at the next start: copies by their labels at the brokers.")


@click.command(cls=Verb)
def archive() -> None:
    """Put the log aside and begin a new file that continues its chains, while nothing runs. Nothing is deleted.

    Replay, audit and verify go on over both. The older part lies in the folder `archive` of the home and must stay.
    """
    from cmam.clock import SystemClock
    from cmam.store.logfile.log import EventLog
    from cmam.store.upkeep.keeping import archive as put_aside

    EventLog.read_only(face().home.root).close()  # where there is none, none is made to be put aside
    with _held("cmam archive"):
        done = put_aside(face().home.root, SystemClock().now())
    if face().as_json:
        print_json({"part": str(done.part), "first": done.first, "last": done.last, "head": str(done.head)})
        return
    say(f"{done.part} holds records {done.first} to {done.last}; a new file goes on from there.")
    say("Copy it once to where your backups lie: it never changes again, and the log is not read without it.")


@contextmanager
def _held(command: str) -> Iterator[None]:
    """Hold the lock on the home: whoever runs must have stopped."""
    from cmam.clock import SystemClock
    from cmam.store.logfile.lock import StoreLock
    from cmam.store.text import iso

    since = iso(SystemClock().now()) or ""
    with StoreLock(face().home.root).acquire(since=since, command=command):
        yield
