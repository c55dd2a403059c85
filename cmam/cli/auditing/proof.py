"""`cmam audit verify`, `head` and `export`: the record held against its chains, and evidence of it taken elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.auditing.audit_options import asked, copy_states, filtered, opened, order_states
from cmam.cli.face.exits import Exit, fail
from cmam.cli.face.talk import in_a_line, is_interactive, print_json, say, show
from cmam.cli.face.verbs import Verb, face, spare_homes, spare_others

if TYPE_CHECKING:
    from cmam.store.logfile.chain import LogHead
    from cmam.store.proof.verify import Verified

A_FILE = click.Path(path_type=Path, dir_okay=False)
NOT_SEEN = (
    "Not seen by this: a tail cut off together with its last checkpoint, or a log written anew as a whole. Against "
    "that, keep `cmam audit head FILE --sign KEY` elsewhere and give it to `audit verify --head FILE`."
)
LISTS_NOT_SEEN = (
    "A head vouches for the records. The lists beside them are for reading: compare the digest or the signer for these."
)


@click.command(cls=Verb)
@click.option("--head", metavar="HEAD|FILE", help="A head kept before, or its file: finds a cut-off tail too.")
@click.option("--signer", type=A_FILE, metavar="KEY.pub", help="The public key that must have signed head or pack.")
@click.option("--pack", type=A_FILE, metavar="FILE", help="An evidence pack instead of this home's store.")
@click.option("--digest", metavar="HEX", help="The pack's digest, kept before.")
@click.option("--key", type=A_FILE, metavar="FILE", help="The key to a pack with references: checks its texts too.")
def verify(head: str | None, signer: Path | None, pack: Path | None, digest: str | None, key: Path | None) -> None:
    """Check the chains of hashes: every change, drop, insertion and swap is found. Exit code 1 if one is broken."""
    expected, signed_by = _expected(head, signer if pack is None else None)
    if pack is None and (digest or key):
        raise click.UsageError("--digest and --key need --pack.")
    if signer is not None and pack is None and head is None:
        raise click.UsageError("--signer needs --head FILE or --pack FILE.")
    if pack is not None:
        _verify_pack(pack, expected, digest, signer, key)
        return
    from cmam.store.auditing.audit import verify_log
    from cmam.store.logfile.log import EventLog

    log = EventLog.read_only(face().home.root)
    try:
        result = verify_log(log, expected)
    finally:
        log.close()
    _tell(result, {"signer": signed_by}, is_anchored=expected is not None)


def _expected(head: str | None, signer: Path | None) -> tuple[LogHead | None, str | None]:
    """The head that was kept: as text, or in a file with, perhaps, a signature beside it."""
    if head is None:
        return None, None
    from cmam.store.logfile.chain import parse_log_head
    from cmam.store.proof.heads import read_head

    if re.fullmatch(r"\s*\d+:[0-9a-fA-F]*\s*", head) or not Path(head).is_file():
        if signer is not None:
            raise click.UsageError("--signer needs --head FILE: a head that was typed carries no signature.")
        try:
            return parse_log_head(head), None
        except ValueError as error:
            raise click.UsageError(f"{error}, nor is it a file.") from None
    return read_head(Path(head), signer)


def _verify_pack(pack: Path, head: LogHead | None, digest: str | None, signer: Path | None, key: Path | None) -> None:
    from cmam.store.auditing.pack_check import verify_pack

    result = verify_pack(pack, head, digest=digest, signer=signer, key=key)
    more = {
        "open": result.open,
        "hidden": result.hidden,
        "digest": result.digest,
        "signer": result.signer or None,
        "anonymous": result.anonymous,
        "texts_checked": result.texts_checked,
        "filters": result.filters,
        "lists_anchored": digest is not None or signer is not None,
    }
    _tell(result, more, is_anchored=head is not None or digest is not None or signer is not None)


def _tell(result: Verified, more: dict[str, Any], *, is_anchored: bool) -> None:
    document = {
        "whole": result.is_whole,
        "records": result.records,
        "streams": result.streams,
        "checkpoints": result.checkpoints,
        "covered": result.covered,
        "head": str(result.head),
        **more,
        "anchored": is_anchored,
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
        _say(document)
    if not result.is_whole:
        raise click.exceptions.Exit(Exit.REFUSED)


def _say(document: dict[str, Any]) -> None:
    word = "whole" if document["whole"] else "BROKEN"
    click.echo(f"{word}: {document['records']} records in {document['streams']} streams")
    click.echo(f"head {document['head']}")
    for finding in document["findings"]:
        show(in_a_line(f"{finding['fault']} at position {finding['position']}: {finding['text']}"))
    if "digest" in document:
        click.echo(f"digest {document['digest']}")
        click.echo(f"{document['open']} records are open, {document['hidden']} are proven by their hashes only")
        if not document["texts_checked"]:
            say("Account ids are references: their owner's key (--key) holds the texts against their hashes too.")
    if document.get("signer"):
        click.echo(f"signed by {document['signer']}")
    if document["whole"] and document["anchored"] and not document.get("lists_anchored", True):
        say(LISTS_NOT_SEEN)
    elif document["whole"] and not document["anchored"]:
        say(
            "Not seen by this: a pack made anew as a whole. Against that, compare the digest, the head or the signer."
            if "digest" in document
            else NOT_SEEN
        )


@click.command(cls=Verb)
@click.argument("file", type=A_FILE, required=False)
@click.option("--sign", "key", type=A_FILE, metavar="KEY", help="Sign it with this Ed25519 key, into FILE.sig.")
def head(file: Path | None, key: Path | None) -> None:
    """Print the whole log in one line, to be kept elsewhere, or write it to FILE, perhaps signed."""
    from cmam.store.logfile.log import EventLog
    from cmam.store.proof.heads import write_head

    if key is not None and file is None:
        raise click.UsageError("--sign needs FILE: the signature is written beside it, in FILE.sig.")
    if file is not None:
        _spare(file, key)
        spare_others(file, lambda: _is_older_head(file), "an older head")
    log = EventLog.read_only(face().home.root)
    try:
        found = log.log_head()
    finally:
        log.close()
    signer = write_head(file, found, key, _passphrase) if file is not None else None
    if face().as_json:
        print_json({"head": str(found), "file": str(file) if file is not None else None, "signer": signer})
        return
    click.echo(str(found))
    if signer is not None:
        say(f"{file}.sig is its signature by {signer}: ssh-keygen -Y verify -n cmam checks it without cmam.")


def _spare(file: Path, key: Path | None) -> None:
    spare_homes(file)
    if key is not None and file.resolve() == key.resolve():
        raise click.UsageError(f"{file} is the key: name another file to write to.")


def _is_older_head(file: Path) -> bool:
    """Whether a file is empty or holds a head, as one that a script writes every night; a store is refused later."""
    from cmam.store.logfile.database import is_store
    from cmam.store.proof.heads import HEAD_BYTES_MAX

    if is_store(file):
        return True
    with file.open("rb") as stands:
        return re.fullmatch(rb"(\d+:[0-9a-f]*\s*)?", stands.read(HEAD_BYTES_MAX + 1)) is not None


def _spare_others(file: Path, keys: Sequence[str], *, is_anonymous: bool) -> None:
    """What a script of every night has written may be written anew; a file of anything else is not touched."""
    from cmam.store.auditing.export import is_older_table
    from cmam.store.auditing.pack import is_older_pack, key_path

    if file.suffix != ".pack":
        spare_others(file, lambda: is_older_table(file, keys), "an older export of the same list")
        return
    spare_others(file, lambda: is_older_pack(file), "an older pack")
    if is_anonymous:
        beside = key_path(file)
        spare_others(beside, lambda: is_older_pack(beside), "the key to an older pack")


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _passphrase() -> bytes:
    if not is_interactive():
        fail("The key has a passphrase, and there is nobody to ask for it: use a key without one, or a terminal.")
    return str(click.prompt("Passphrase of the key", hide_input=True, err=True)).encode()


LACKS = {
    "accounts": ("text", "last", "state", "verdict"),
    "settings": ("state", "verdict"),
    "results": ("verdict",),
}
"""What a list has nothing of: to leave it out unsaid would give away more than was asked for."""


def _refuse_what_it_lacks(what: str, given: dict[str, Any]) -> None:
    found = [f"--{name}" for name in LACKS.get(what, ()) if given[name] is not None]
    if found:
        raise click.UsageError(f"{what} cannot be filtered by {' and '.join(found)}.")


@click.command(cls=Verb)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--what",
    type=click.Choice(["copies", "decisions", "orders", "results", "accounts", "settings"]),
    default="copies",
    show_default=True,
    help="Which list; an evidence pack has the records themselves.",
)
@click.option("--anonymous", is_flag=True, help="In a pack: references in place of account ids; FILE.key has them.")
@click.option("--sign", "key", type=A_FILE, metavar="KEY", help="In a pack: sign its digest with this Ed25519 key.")
@filtered(state="open, closed, refused, unknown …", verdict=True, csv="Write a list as CSV, whatever FILE ends with.")
def export(file: Path, what: str, anonymous: bool, key: Path | None, **given: Any) -> None:
    """Write a list as .csv or .jsonl, or an evidence pack as .pack, which `audit verify --pack` checks by itself."""
    from cmam.store.auditing.audit import KEYS
    from cmam.store.auditing.export import export_table

    if file.suffix != ".pack" and (anonymous or key is not None):
        raise click.UsageError(f"--anonymous and --sign need a file that ends in .pack, found {file.name!r}.")
    if file.suffix != ".pack" and not re.fullmatch(r"\.(csv|json|jsonl)", file.suffix):
        raise click.UsageError(f"expected a file ending in .csv, .jsonl, .json or .pack, found {file.name!r}.")
    _spare(file, key)
    _spare_others(file, KEYS[what], is_anonymous=anonymous)
    listed = what if file.suffix != ".pack" else "copies"
    _refuse_what_it_lacks(listed, given)
    as_format = ".csv" if given["csv"] else file.suffix
    states = order_states() if listed == "orders" else copy_states()
    filters = asked(given, reasons=listed != "orders", states=states)
    with opened() as past:
        if file.suffix == ".pack":
            from cmam import office
            from cmam.store.auditing.pack import export_pack, key_path

            salt = office.new_salt() if anonymous else None
            made = export_pack(past, file, filters, salt=salt, key=key, passphrase=_passphrase)
            counted = f"{_count(made.copies, 'copy', 'copies')} and {_count(made.decisions, 'decision', 'decisions')}"
            say(
                f"{file} has {counted}: {made.open} of {made.records} records are open, all are proven. "
                "Keep its digest elsewhere:"
            )
            click.echo(made.digest)
            if anonymous:
                say(f"{key_path(file)} tells which reference is whom: it is yours, not part of the evidence.")
            return
        count = export_table(getattr(past, what)(filters), file, KEYS[what], as_csv=as_format == ".csv")
    say(f"{file} has {count} line{'s' if count != 1 else ''}.")
