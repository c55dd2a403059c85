"""`cmam audit verify`, `head` and `export`, and `cmam backup`: the record checked, and taken elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from cmam.cli.audit_options import asked, filtered, opened
from cmam.cli.common import Exit, Verb, face, print_json, say


@click.command(cls=Verb)
@click.option("--head", metavar="HEAD", help="A head that was printed before: finds a cut-off tail too.")
@click.option("--pack", type=click.Path(path_type=Path), help="An evidence pack instead of this home's store.")
def verify(head: str | None, pack: Path | None) -> None:
    """Check the chains of hashes: every change, drop, insertion and swap is found. Exit code 1 if one is broken."""
    from cmam.store.audit import verify_log
    from cmam.store.chain import parse_log_head
    from cmam.store.export import verify_pack
    from cmam.store.log import EventLog

    try:
        expected = parse_log_head(head) if head else None
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    if pack is not None:
        result = verify_pack(pack, expected)
    else:
        log = EventLog.read_only(face().home.root)
        try:
            result = verify_log(log, expected)
        finally:
            log.close()
    document = {
        "whole": result.is_whole,
        "records": result.records,
        "streams": result.streams,
        "checkpoints": result.checkpoints,
        "covered": result.covered,
        "head": str(result.head),
        "findings": [
            {
                "fault": finding.fault.value,
                "stream": finding.stream,
                "version": finding.version,
                "position": finding.position,
                "text": finding.text,
            }
            for finding in result.findings
        ],
    }
    if face().as_json:
        print_json(document)
    else:
        click.echo(f"{'whole' if result.is_whole else 'BROKEN'}: {result.records} records in {result.streams} streams")
        click.echo(f"head {document['head']}")
        for finding in result.findings:
            click.echo(f"{finding.fault.value} at position {finding.position}: {finding.text}")
        if result.is_whole:
            say("Keep the head elsewhere: `audit verify --head HEAD` then also finds a tail that was cut off.")
    if not result.is_whole:
        raise click.exceptions.Exit(Exit.REFUSED)


@click.command(cls=Verb)
def head() -> None:
    """Print the whole log in one line, to be kept elsewhere and given to `audit verify --head` later."""
    from cmam.store.log import EventLog

    log = EventLog.read_only(face().home.root)
    try:
        found = str(log.log_head())
    finally:
        log.close()
    if face().as_json:
        print_json({"head": found})
    else:
        click.echo(found)


@click.command(cls=Verb)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--what",
    type=click.Choice(["copies", "decisions", "orders", "accounts", "settings"]),
    default="copies",
    show_default=True,
    help="Which list; an evidence pack has the records themselves.",
)
@filtered()
def export(file: Path, what: str, **given: Any) -> None:
    """Write a list as .csv or .jsonl, or an evidence pack as .pack, which `audit verify --pack` checks by itself."""
    from cmam.store.export import export_pack, export_table

    with opened() as past:
        if file.suffix == ".pack":
            head = export_pack(past.log, file)
            say(f"{file} holds every record; its head is {head}.")
            return
        if not re.fullmatch(r"\.(csv|json|jsonl)", file.suffix):
            raise click.UsageError(f"expected a file ending in .csv, .jsonl, .json or .pack, found {file.name!r}.")
        lines = getattr(past, what)(asked(given))
        count = export_table(lines, file)
    say(f"{file} has {count} line{'s' if count != 1 else ''}.")


@click.command(cls=Verb)
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the log to FILE, while running or not; it is checked against its chains before it gets its name."""
    from cmam.store.export import backup as copy

    head = copy(face().home.root, file)
    say(f"{file} is a whole copy; its head is {head}.")
