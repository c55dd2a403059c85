"""`cmam profile follower`: one account more among a profile's followers, or one less; the difference is shown first."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import click

from cmam.cli.face.talk import is_interactive, print_json, say
from cmam.cli.face.verbs import Noun, carry_out, face, key_values
from cmam.cli.profiles.profile_end import closing, ending_options, what_becomes
from cmam.cli.profiles.profile_file import show_difference
from cmam.cli.running.target import live_rows

SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    callback=key_values,
    help="A setting of the policy, e.g. volume.amount=0.5; may be repeated. docs/settings.md lists them.",
)


@click.group(cls=Noun)
def follower() -> None:
    """Add a follower to a profile, or take one out; the others stay as they are."""


@follower.command()
@click.argument("name", metavar="PROFILE")
@click.argument("id_", metavar="ID")
@SET
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show the difference.")
def add(name: str, id_: str, settings: Mapping[str, str], yes: bool, dry_run: bool) -> None:
    """Add an account to the followers of a profile: it copies what the leader opens from now on.

    It begins with the settings that all other followers have alike, and with those of --set. The difference is shown
    first. What the leader has open already is not copied, unless sync_open is set.
    """
    request = {"command": "profile.follower.add", "profile": name, "follower": id_, "settings": dict(settings)}
    shown = carry_out({**request, "dry_run": True})
    _show(shown)
    if dry_run:
        return
    if is_interactive() and not yes:
        click.confirm(f"Add {shown['follower_name']} to {shown['profile']}?", abort=True, err=True)
    carry_out({**request, "expect": shown["digest"]})
    check = f"cmam profile check {shlex.quote(shown['profile'])} --follower {shlex.quote(shown['follower_name'])}"
    say(f"{shown['follower_name']} follows in {shown['profile']}; `{check}` shows what would be copied.")


@follower.command()
@click.argument("name", metavar="PROFILE")
@click.argument("id_", metavar="ID")
@ending_options
@click.option("--dry-run", is_flag=True, help="Only show the difference.")
def remove(name: str, id_: str, copies: str | None, keep_pendings: bool, yes: bool, dry_run: bool) -> None:
    """Take a follower out of a profile, and close its live copies or leave them to you; its history stays."""
    request = {"command": "profile.follower.remove", "profile": name, "follower": id_}
    shown = carry_out({**request, "dry_run": True})
    if not face().as_json:
        show_difference(shown)
    profile, account = shown["profile"], shown["follower_name"]
    live = live_rows({"profile": profile, "account": str(shown["follower"])})
    if not dry_run:
        copies = what_becomes(account, live, copies, yes)
        if is_interactive() and not yes:
            click.confirm(f"Take {account} out of {profile}?", abort=True, err=True)
        choice = {"copies": copies or "", "keep_pendings": keep_pendings, "expect": shown["digest"]}
        carry_out({**request, **choice})
    if face().as_json:
        print_json({**_document(shown), "copies": copies or "none", "live": live})
    if not dry_run:
        say(f"{account} is taken out of {profile}; its history stays{closing(copies == 'close' and bool(live))}")


def _show(shown: Mapping[str, Any]) -> None:
    if face().as_json:
        print_json(_document(shown))
    else:
        show_difference(shown)


def _document(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name != "digest"}
