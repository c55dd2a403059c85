"""`cmam profile`: who follows whom, and how."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.face.rows import print_rows
from cmam.cli.face.talk import print_json, say, say_remarks
from cmam.cli.face.verbs import Noun, carry_out, face, key_values
from cmam.cli.profiles.profile_check import check
from cmam.cli.profiles.profile_end import adopt, delete, disable
from cmam.cli.profiles.profile_file import apply, export
from cmam.cli.profiles.profile_follower import SET, follower
from cmam.cli.profiles.profile_symbols import symbols
from cmam.cli.running.rearm import rearm_profile

if TYPE_CHECKING:
    from cmam.domain.operating.registry import Registry
    from cmam.domain.profiles.link import ProfileView


@click.group(cls=Noun)
def profile() -> None:
    """Say who follows whom, and how: a leader, its followers, and the policy of each link."""


for verb in (adopt, apply, check, delete, disable, export, follower, rearm_profile, symbols):
    profile.add_command(verb)


def _registry() -> Registry:
    from cmam import office

    return office.read_registry(face().home)


@profile.command()
@click.argument("name")
@click.option("--leader", metavar="ID", help="The account whose trades are copied.")
@click.option("--follower", "followers", multiple=True, metavar="ID", help="An account that copies; may be repeated.")
@click.option("--master", metavar="ID", hidden=True)
@click.option("--slave", "slaves", multiple=True, metavar="ID", hidden=True)
@SET
def create(
    name: str,
    leader: str | None,
    followers: tuple[str, ...],
    master: str | None,
    slaves: tuple[str, ...],
    settings: Mapping[str, str],
) -> None:
    """Create a profile, enabled at once: one leader, one or more followers, one policy to begin with."""
    from cmam import office

    wanted = leader or master
    if leader is not None and master is not None:
        raise click.UsageError("say --leader or --master, not both: a profile has one leader.")
    if wanted is None:
        raise click.UsageError("say who leads: --leader ID.")
    if not followers + slaves:
        raise click.UsageError("say who follows: at least one --follower ID.")
    answer = carry_out(
        {
            "command": "profile.create",
            "name": name,
            "leader": wanted,
            "followers": list(followers + slaves),
            "settings": dict(settings),
        }
    )
    if face().as_json:
        print_json(answer)
    links = answer.get("links", len(followers + slaves))
    say(f"{name} is created and enabled, with {links} follower{'s' if links != 1 else ''}.")
    say_remarks(answer)
    check = f"`cmam profile check {shlex.quote(name)}` shows what would be copied"
    running = office.ask_running(face().home, {"command": "status"})
    copied = {profile["profile"] for profile in running["profiles"] if _is_taken_up(profile)} if running else set()
    say(f"Its leader is copied from now on; {check}." if name in copied else f"Next: {check}; `cmam start` copies.")


def _is_taken_up(profile: Mapping[str, Any]) -> bool:
    """Whether the running system follows its leader: one that was started for other profiles does not."""
    return any(link["standing"] == "running" for link in profile["links"])


def document_of(profile: ProfileView, registry: Registry) -> dict[str, Any]:
    """A profile with its links, by the names people gave."""
    return {
        "profile": profile.name,
        "id": str(profile.profile),
        "state": profile.state.value,
        "leader": int(profile.leader) if profile.leader is not None else None,
        "leader_name": _shown(registry, profile.leader),
        "settings_version": profile.version,
        "settings": dict(profile.settings),
        "links": [
            {
                "link": str(link.link),
                "follower": int(link.follower),
                "follower_name": _shown(registry, link.follower),
                "settings": dict(link.settings),
            }
            for link in profile.links.values()
        ],
    }


def _shown(registry: Registry, account: Any) -> str:
    known = registry.accounts.get(account)
    return known.shown if known is not None else str(account)


@profile.command("list")
def list_() -> None:
    """List the profiles."""
    registry = _registry()
    rows = [document_of(found, registry) for found in registry.live_profiles()]
    for row in rows:
        row["followers"] = [link["follower_name"] for link in row["links"]]
    print_rows(
        rows,
        ["profile", "state", ("leader_name", "leader"), "followers", ("settings_version", "version")],
        empty="There is no profile yet: see `cmam profile create -h`.",
        numbers=frozenset({"settings_version"}),
    )


@profile.command()
@click.argument("name")
@click.option("--all", "everything", is_flag=True, help="Every setting, defaults too.")
def show(name: str, everything: bool) -> None:
    """Show a profile: its links, and what differs from the defaults."""
    from cmam.domain.operating.asking import find_profile
    from cmam.domain.profiles.setting_table import SETTINGS

    registry = _registry()
    found = find_profile(registry, name)
    document = document_of(found, registry)
    if face().as_json:
        if everything:
            for link in document["links"]:
                merged = {**found.settings, **link["settings"]}
                link["settings"] = {setting.name: merged.get(setting.name, setting.default) for setting in SETTINGS}
        print_json(document)
        return
    say(f"{found.name} is {found.state.value}; {document['leader_name']} leads.")
    rows = []
    for link in document["links"]:
        merged = {**found.settings, **link["settings"]}
        shown = {s.name: merged.get(s.name, s.default) for s in SETTINGS} if everything else merged
        rows.append({"follower": link["follower_name"], "settings": "\n".join(f"{k} = {v}" for k, v in shown.items())})
    print_rows(rows, ["follower", "settings"], empty="It has no link.")


@profile.command("set")
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[NAME=VALUE]…", callback=key_values)
@click.option("--follower", metavar="ID", help="Only this follower's link.")
@SET
@click.option(
    "--unset",
    "unset",
    multiple=True,
    metavar="NAME",
    help="Back to its default (or the profile's own); may be repeated.",
)
def set_(
    name: str, pairs: Mapping[str, str], follower: str | None, settings: Mapping[str, str], unset: tuple[str, ...]
) -> None:
    """Change settings of all links of a profile, or of one; what is not named keeps its value.

    All of it is taken or nothing. It takes effect from the next decision and touches no open copy.
    """
    if twice := pairs.keys() & settings.keys():
        raise click.UsageError(f"expected each name once, found {min(twice)} twice.")
    wanted = {**pairs, **settings}
    if not wanted and not unset:
        raise click.UsageError("say what to change: NAME=VALUE, or --unset NAME.")
    request = {"command": "profile.set", "profile": name, "follower": follower, "settings": wanted}
    answer = carry_out({**request, "unset": list(unset)})
    if face().as_json:
        print_json(answer)
    links = answer["links"]
    what = "Changed" if answer["changed"] else "Nothing is different"
    say(f"{what} on {links} link{'s' if links != 1 else ''} of {answer['profile']}.")
    say_remarks(answer)


@profile.command()
@click.argument("name")
def enable(name: str) -> None:
    """Switch a profile on: what the leader closed or protected meanwhile is followed, what he opened is not."""
    answer = carry_out({"command": "profile.enable", "profile": name})
    if face().as_json:
        print_json(answer)
    say(f"{name} is enabled.")
