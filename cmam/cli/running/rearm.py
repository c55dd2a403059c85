"""`cmam rearm` and `cmam profile rearm`: open again on purpose what a guard, a stop-out or a flatten has closed."""

from __future__ import annotations

from typing import Any

import click

from cmam.cli.face.talk import is_interactive, print_json, say
from cmam.cli.face.verbs import Verb, carry_out, face
from cmam.cli.running.target import one_target


@click.command(cls=Verb)
@click.argument("profile", required=False)
@click.option("--account", metavar="ID", help="One follower.")
@click.option("--all", "everything", is_flag=True, help="Every profile.")
@click.option("--guard", metavar="NAME", default="", help="Only this guard's latch, such as daily_loss or flatten.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rearm(profile: str | None, account: str | None, everything: bool, guard: str, yes: bool) -> None:
    """Let links open again after a guard, a stop-out or a flatten; refused while its cause holds or copies close."""
    _open_again(one_target(profile, account, everything), guard, yes=yes)


@click.command("rearm", cls=Verb)
@click.argument("name")
@click.option("--guard", metavar="NAME", default="", help="Only this guard's latch, such as daily_loss or flatten.")
@click.option("--follower", metavar="ID", help="Only this follower's link.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rearm_profile(name: str, guard: str, follower: str | None, yes: bool) -> None:
    """The same as `cmam rearm NAME`, for one follower if wanted."""
    _open_again({"profile": name, "account": follower}, guard, yes=yes)


def _open_again(target: dict[str, Any], guard: str, *, yes: bool) -> None:
    """Ask, open the latches of a target, and say how many links that were: both `rearm` commands are this."""
    if is_interactive() and not yes:
        click.confirm("Let these links open again?", abort=True, err=True)
    answer = carry_out({"command": "rearm", **target, "guard": guard})
    if face().as_json:
        print_json(answer)
    if links := answer["rearmed"]:
        of = "" if answer["guard"] == "all" else f" as far as {answer['guard']} goes"
        say(f"{links} link{'s' if links != 1 else ''} may open again{of}.")
    else:
        say("No link was locked; nothing was changed.")
