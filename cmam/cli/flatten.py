"""`cmam flatten` and `cmam rearm`: close everything that was copied, keep it closed, and open again on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from cmam.cli.common import Exit, Verb, face, fail, is_interactive, print_json, say

WAIT_S = 60.0
"""How long `--wait` waits until nothing is left."""


def _target(profile: str | None, account: str | None, everything: bool) -> dict[str, Any]:
    """The one target that was named; none is a usage error, since guessing could close the wrong thing."""
    named = [name for name in (profile, account, "all" if everything else None) if name]
    if len(named) != 1:
        raise click.UsageError("expected one of PROFILE, --account ID and --all.")
    return {"profile": profile, "account": account, "all": everything}


def _carry_out(request: Mapping[str, Any]) -> dict[str, Any]:
    from cmam import office

    return office.carry_out(face().home, request, command=click.get_current_context().command_path)


@click.command(cls=Verb)
@click.argument("profile", required=False)
@click.option("--account", metavar="ID", help="The copies of one follower.")
@click.option("--all", "everything", is_flag=True, help="The copies of every profile.")
@click.option("--whole", is_flag=True, help="With --account: everything on it, also what is nobody's copy.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", is_flag=True, help="Wait until nothing is left; exit code 1 if that takes longer than 60 s.")
def flatten(profile: str | None, account: str | None, everything: bool, whole: bool, yes: bool, wait: bool) -> None:
    """Close every copy and cancel every copied order; nothing is opened until `cmam rearm`.

    The latch is on record first and survives a restart. Without a running system it is obeyed at the next start.
    """
    from cmam import office

    target = _target(profile, account, everything)
    if is_interactive() and not yes:
        click.confirm("Close all these copies now, at the market?", abort=True, err=True)
    answer = _carry_out({"command": "flatten", **target, "whole": whole})
    accounts = {int(found) for found in answer["flattening"]}
    if face().as_json:
        print_json(answer)
    is_running = office.ask_running(face().home, {"command": "status"}) is not None
    if not is_running:
        say(f"{len(accounts)} follower(s) are latched; nothing runs, so the closes leave at the next `cmam start`.")
        if wait:
            fail("Nothing runs that could close them.", Exit.REFUSED)
        return
    say(f"{len(accounts)} follower(s) are latched and closing; `cmam status` shows what is left.")
    if wait:
        _wait_until_empty(accounts)


def _wait_until_empty(accounts: set[int]) -> None:
    """Look until none of the accounts holds a copy, or the time is over."""
    from cmam import office
    from cmam.actors.runtime import Latch
    from cmam.clock import SECOND_US, SystemClock

    clock, pause = SystemClock(), Latch()
    deadline = clock.monotonic() + int(WAIT_S * SECOND_US)
    left: list[str] = []
    while clock.monotonic() < deadline:
        document = office.ask_running(face().home, {"command": "status"})
        found = document["accounts"] if document else []
        left = [f"{one['ctid']}: {one['copies']}" for one in found if one["ctid"] in accounts and one.get("copies")]
        if document is not None and not left:
            say("Nothing is left.")
            return
        pause.wait(0.2)
    fail(f"After {WAIT_S:.0f} s there are still copies: {', '.join(left) or 'the running system does not answer'}.")


@click.command(cls=Verb)
@click.argument("profile", required=False)
@click.option("--account", metavar="ID", help="One follower.")
@click.option("--all", "everything", is_flag=True, help="Every profile.")
@click.option("--guard", metavar="NAME", default="", help="Only this guard's latch.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rearm(profile: str | None, account: str | None, everything: bool, guard: str, yes: bool) -> None:
    """Open the latches of guards and of flatten again; refused while something is still closing."""
    target = _target(profile, account, everything)
    if is_interactive() and not yes:
        click.confirm("Let these links open again?", abort=True, err=True)
    answer = _carry_out({"command": "rearm", **target, "guard": guard})
    if face().as_json:
        print_json(answer)
    say(f"{answer['rearmed']} link(s) are armed again.")
