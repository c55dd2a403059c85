"""`cmam salvage`: the way on where the end of the log is damaged and no backup is at hand."""

from __future__ import annotations

from pathlib import Path

import click

from cmam.cli.face.talk import print_json, say
from cmam.cli.face.verbs import Verb, face, spare_homes

FILE_NAME = "events.db"
LEFT_OUT = ".left-out.jsonl"


@click.command(cls=Verb)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Put FILE in the place of the damaged store, which is kept beside it.")
def salvage(file: Path, replace: bool) -> None:
    """Copy everything before the first bad record of a damaged log to FILE; the damaged one stays as it is.

    What comes after it is kept as text beside FILE, for people. A cmam that starts on FILE asks the brokers what became
    of the rest: copies are known by their labels. With --replace the exchange is done as well; no cmam may run then.
    """
    from cmam.store.upkeep.salvage import put_in_place
    from cmam.store.upkeep.salvage import salvage as copy_good

    spare_homes(file)
    home = face().home.root
    found = copy_good(home, file)
    kept = put_in_place(home, file) if replace else None
    document = {
        "records": found.records,
        "left_out": found.left_out,
        "bad": found.bad,
        "forgotten": dict(found.forgotten),
        "file": str(home / FILE_NAME if kept else file),
        "damaged": str(kept or home / FILE_NAME),
    }
    if face().as_json:
        print_json(document)
    more = f"; {found.left_out} after it are kept as text in {file.name}{LEFT_OUT}" if found.left_out else ""
    if found.bad:
        say(f"The first bad record: {found.bad}")
        say(f"{found.records} records before it are good and copied{more}.")
        if found.forgotten:
            what = ", ".join(f"{words} ({count})" for words, count in found.forgotten.items())
            say(f"Among the latter, and told by no broker: {what}. None of it holds in what was copied.")
            say("Look at `cmam profile list` and `cmam profile show` before `cmam start`, and say it again.")
    else:
        say(f"Every record is good, and copied to {file}: nothing had to be salvaged.")
    if kept is not None:
        say(f"They are the event store now; the damaged one is {kept}. `cmam start` asks the brokers for the rest.")
    elif found.bad:
        say(f"To go on with them, do the same with another name and --replace; {FILE_NAME} is kept then as well.")
