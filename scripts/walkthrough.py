"""The console blocks of docs/audit.md, run again: each `$ cmam …` line with what it really prints on one small day.

The day is made by the domain's own functions at fixed moments, so that every id and hash comes out the same. A block
whose output is no longer what is printed makes the page stale, and `make docs` writes it anew.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cmam.cli.main import run
from cmam.domain.events import AccountAliased, LinkSettingsChanged
from cmam.store.logfile.log import EventLog
from tests.unit.store.world import FIRST, LEADER, LINKS, SECOND, World

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "audit.md"
MORNING_US = 1_772_719_200_000_000
"""2026-03-05 14:00 UTC."""

_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def make_home(folder: Path) -> None:
    """The day of the page: a master and two followers, of whom one did not get the trade of 14:32."""
    log = EventLog.open(folder, code="0.1.0")
    world = World(log=log, now=MORNING_US).set_up()
    for account, alias in ((LEADER, "master"), (FIRST, "ann"), (SECOND, "bob")):
        world.write("app", AccountAliased(account=account, alias=alias, user="olga"))
    world.write_profile(LinkSettingsChanged(link=LINKS[SECOND], settings={"volume.amount": "0.7"}, user="olga"))
    world.now = MORNING_US + 607 * 1_000_000
    one = world.leader_opens(20_000_000, stop="1.09500")
    world.now = MORNING_US + 1_927 * 1_000_000  # 14:32:07
    world.leader_opens(10_000_000, stop="1.09500")
    world.now = MORNING_US + 2_400 * 1_000_000
    world.leader_closes(one)
    world.write_checkpoint()
    log.close()
    key = Ed25519PrivateKey.from_private_bytes(b"a key for the page, and no other")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    (folder / "key").write_bytes(key.private_bytes(*form))
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    (folder / "key.pub").write_bytes(public + b"\n")


def page() -> str:
    """The page with every console block as it comes out today."""
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="cmam-page-") as folder, _inside(Path(folder)):
        make_home(Path(folder))
        made = _BLOCK.sub(lambda found: f"```console\n{_run_block(found[1])}```", text)
        return made.replace(f"{Path(folder).resolve()}/", "").replace(f"{folder}/", "")


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder that is also the home."""
    before, home = Path.cwd(), os.environ.get("CMAM_HOME")
    os.environ["CMAM_HOME"] = str(folder)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.pop("CMAM_HOME")
        if home is not None:
            os.environ["CMAM_HOME"] = home


def _run_block(block: str) -> str:
    said = []
    for line in block.splitlines():
        if line.startswith("$ "):
            said.append(line + "\n" + output_of(line[2:]))
    return "".join(said)


def output_of(command: str) -> str:
    """What a command prints, on both streams as on a terminal, its lines without blanks at their ends."""
    words = shlex.split(command)
    assert words[0] == "cmam", command
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = run(words[1:])
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    if code:
        lines.append(f"(exit code {int(code)})")
    return "".join(f"{line}\n" for line in lines if line)
