"""`cmam profile apply` and `export`: profiles as a TOML file, the difference shown before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from cmam.cli.face.exits import Exit, fail
from cmam.cli.face.talk import counted, is_interactive, print_json, say, say_remarks, show
from cmam.cli.face.verbs import Verb, carry_out, face
from cmam.cli.profiles.profile_end import close_or_leave

VALUE_SHOWN_MAX = 60


@click.command(cls=Verb)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), metavar="FILE.toml")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show the difference.")
@click.option("--leave", "leaves", is_flag=True, help="Copies of followers that are taken out stay as they are.")
@click.option("--close", "closes", is_flag=True, help="Copies of followers that are taken out are closed.")
@click.option("--keep-pendings", is_flag=True, help="Their copied orders that rest stay too.")
@close_or_leave
def apply(file: Path, yes: bool, dry_run: bool, copies: str | None, keep_pendings: bool) -> None:
    """Make profiles as a file says: create, change or keep each; profiles it does not name stay as they are.

    The difference is shown first. All of the file is taken or nothing of it. Without a terminal and without --yes only
    the difference is printed, and the exit code is 1 where there is one. docs/profiles.md explains the file.
    """
    from cmam.config.profile_file import ProfileFileInvalid, read_profile_file

    try:
        profiles = read_profile_file(file)
    except ProfileFileInvalid as invalid:
        fail(f"Nothing of {file} was taken:\n{invalid}", Exit.USAGE)
    request = {"command": "profile.apply", "profiles": profiles}
    shown = carry_out({**request, "dry_run": True})
    _show(shown["profiles"])
    if not shown["different"]:
        say("Nothing is different.")
        return
    if dry_run:
        return
    if not yes:
        if not is_interactive() or str(file) == "-":
            fail("Nothing was changed: there is nobody to ask. Add --yes to apply this difference.")
        click.confirm("Apply this?", abort=True, err=True)
    choice = {"copies": copies or "", "keep_pendings": keep_pendings, "expect": shown["digest"]}
    carry_out({**request, **choice})
    say("Applied; it takes effect from the next decision and touches no open copy.")


def _show(profiles: Iterable[Mapping[str, Any]]) -> None:
    """The difference as data: JSON lines, or lines that begin with what happens."""
    for profile in profiles:
        if face().as_json:
            print_json(profile)
        else:
            show_difference(profile)


def show_difference(profile: Mapping[str, Any]) -> None:
    """What is different in one profile, in lines that begin with what happens, and what is most likely not meant."""
    word = {"create": "+ create", "change": "~ change", "keep": "= keep"}[profile["action"]]
    show(f"{word} {profile['profile']}")
    for line in _lines(profile["changes"]):
        show(f"    {line}")
    say_remarks(profile)


def _lines(changes: Iterable[Mapping[str, str]]) -> Iterator[str]:
    for change in changes:
        before, after = _short(change["before"]), _short(change["after"])
        if change["field"] == "follower":
            yield f"+ follower {after}" if after else f"- follower {before}"
            continue
        of = f" of {change['follower']}" if change["follower"] else ""
        if not before:
            yield f"+ {change['field']}{of} = {after}"
        elif not after:
            yield f"- {change['field']}{of} (was {before})"
        else:
            yield f"~ {change['field']}{of}: {before} → {after}"


def _short(value: str) -> str:
    lines = value.splitlines()
    if len(lines) > 1:
        return f"a table of {counted(len(lines) - 1, 'row')}"
    return value if len(value) <= VALUE_SHOWN_MAX else value[: VALUE_SHOWN_MAX - 1] + "…"


@click.command(cls=Verb)
@click.argument("names", nargs=-1, metavar="[NAME]…")
def export(names: tuple[str, ...]) -> None:
    """Print profiles as TOML, all unless some are named; `profile apply` takes it back as it is."""
    from cmam import office
    from cmam.config.profile_file import write_profile_file
    from cmam.domain.operating.asking import find_profile

    registry = office.read_registry(face().home)
    found = [find_profile(registry, name) for name in names] or list(registry.live_profiles())
    if not found:
        say("There is no profile yet: see `cmam profile create -h`.")
        return
    shown = {account.account: account.shown for account in registry.accounts.values()}
    documents = [
        {
            "name": profile.name,
            "leader": str(profile.leader),
            "leader_shown": shown.get(profile.leader) if profile.leader is not None else None,
            "state": profile.state.value,
            "settings": dict(profile.settings),
            "followers": [
                {
                    "account": str(link.follower),
                    "shown": shown.get(link.follower),
                    "settings": dict(link.settings),
                }
                for link in profile.links.values()
            ],
        }
        for profile in found
    ]
    if face().as_json:
        for document in documents:
            print_json(document)
        return
    click.echo(write_profile_file(documents), nl=False)
