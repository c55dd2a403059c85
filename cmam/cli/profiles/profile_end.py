"""Ends of profiles, and what goes on beside another copier's: disable, delete, adopt. Nothing is left open silently."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from cmam.cli.face.exits import Exit, fail
from cmam.cli.face.talk import counted, is_interactive, print_json, say
from cmam.cli.face.verbs import Verb, carry_out, face
from cmam.cli.running.target import live_rows


def close_or_leave(command: Callable[..., Any]) -> Callable[..., Any]:
    """Hand the flags `closes` and `leaves` on as one word, `copies`; both are refused."""

    @wraps(command)
    def chosen(*, closes: bool, leaves: bool, **others: Any) -> Any:
        if closes and leaves:
            raise click.UsageError("say --close or --leave, not both.")
        return command(copies="close" if closes else "leave" if leaves else None, **others)

    return chosen


def ending_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What becomes of live copies: the options of everything that ends a profile."""
    chosen = close_or_leave(command)
    for option in (
        click.option("--yes", is_flag=True, help="Do not ask; without --close, copies are left."),
        click.option(
            "--keep-pendings", is_flag=True, help="Copied orders that rest stay too, instead of being cancelled."
        ),
        click.option("--close", "closes", is_flag=True, help="Close its live copies."),
        click.option(
            "--leave",
            "leaves",
            is_flag=True,
            help="Leave its live copies open at the broker, where nobody manages them.",
        ),
    ):
        chosen = option(chosen)
    return chosen


@click.command(cls=Verb)
@click.argument("name")
@ending_options
def disable(name: str, copies: str | None, keep_pendings: bool, yes: bool) -> None:
    """Switch a profile off, and close its live copies or leave them to you; `cmam pause` goes on managing them."""
    is_closing = _end("profile.disable", name, copies, keep_pendings, yes)
    say(f"{name} is disabled{closing(is_closing)}")


@click.command(cls=Verb)
@click.argument("name")
@ending_options
def delete(name: str, copies: str | None, keep_pendings: bool, yes: bool) -> None:
    """Delete a profile, and close its live copies or leave them to you; its history stays."""
    is_closing = _end("profile.delete", name, copies, keep_pendings, yes)
    say(f"{name} is deleted; its history stays{closing(is_closing)}")


def closing(is_closing: bool) -> str:
    """The end of a sentence about what has ended: that copies close, where there are any, and when."""
    if not is_closing:
        return "."
    from cmam import office

    is_running = office.ask_running(face().home, {"command": "status"}) is not None
    when = "are closing; `cmam status` shows what is left" if is_running else "close at the next `cmam start`"
    return f"; its copies {when}."


def _end(command: str, name: str, copies: str | None, keep_pendings: bool, yes: bool) -> bool:
    """End a profile, and tell whether live copies are closed with it."""
    live = live_rows({"profile": name})
    copies = what_becomes(name, live, copies, yes)
    if is_interactive() and not yes:
        click.confirm(f"{command.removeprefix('profile.').capitalize()} {name}?", abort=True, err=True)
    request = {"command": command, "profile": name, "copies": copies or "", "keep_pendings": keep_pendings}
    answer = carry_out(request)
    if face().as_json:
        print_json({**answer, "copies": copies or "none", "live": live})
    return copies == "close" and bool(live)


def what_becomes(owner: str, live: list[dict[str, Any]], copies: str | None, yes: bool) -> str | None:
    """List the live copies of what ends, and have it said whether they are left or closed; None where there are none
    and nothing was said. A script that says nothing is refused."""
    if not live:
        return copies
    _list(owner, live)
    if copies is not None:
        return copies
    if yes:
        return "leave"
    if not is_interactive():
        fail(
            f"Nothing was changed: {owner} has {counted(len(live), 'live copy')}. "
            "Say --close, or --leave (open at the broker, where nobody manages it).",
            Exit.USAGE,
        )
    return str(click.prompt("leave or close them?", type=click.Choice(["leave", "close"]), err=True))


def _list(name: str, live: list[dict[str, Any]]) -> None:
    """Say what is live, and loudly what has no stop at the broker."""
    say(f"{name} has {counted(len(live), 'live copy')}:")
    for copy in live:
        what = f"{copy['side']} {str(copy['volume']).removesuffix('.00')} {copy['symbol']}"
        where = f"position {copy['position']}" if copy["position"] else f"order {copy['order'] or 'on its way'}"
        stop = "" if copy["stop"] or not copy["position"] else "  NO STOP at the broker"
        say(f"  {copy['follower_name']}: {what}, {where}{stop}")


# --- again ------------------------------------------------------------------------------------------------------------


@click.command(cls=Verb)
@click.argument("name")
@click.option("--follower", metavar="ID", help="Only this follower's link.")
@click.option(
    "--store", metavar="NAME", default="", help="Only what this store has left; its name stands in each label."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def adopt(name: str, follower: str | None, store: str, yes: bool) -> None:
    """Take over the copies of the same leader that another copier has left, and let opens go on.

    They close, shrink and move with their leader from then on; what he closed meanwhile is closed. Stop the other
    copier for good first: two that run copy every trade twice.
    """
    if is_interactive() and not yes:
        click.confirm(f"Is every other copier of {name}'s followers stopped for good?", abort=True, err=True)
    answer = carry_out({"command": "profile.adopt", "profile": name, "follower": follower, "store": store})
    if face().as_json:
        print_json(answer)
    say(f"{answer['profile']} takes over what {', '.join(answer['stores'])} has left: it follows the leader again.")
