"""`profile follower add` and `remove`: one follower of a profile, with the checks and the effects of `profile apply`.

Pure. Each is a document of the profile as it would be, which `apply_profiles` takes or refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from shlex import quote
from typing import Any

from cmam.domain.operating.applying import apply_profiles
from cmam.domain.operating.asking import USAGE, Context, Outcome, Refusal, Request, find_account, find_profile
from cmam.domain.operating.profile_commands import check_followers, check_rights
from cmam.domain.operating.registry import KnownAccount
from cmam.domain.profiles.link import Link, ProfileView
from cmam.domain.profiles.policy import BY_NAME, check_each
from cmam.domain.values.ids import AccountId

OF_ONE_BROKER = ("symbols.table", "volume.lots_confirmed")
"""What is said of the follower's own symbols: of another broker's it would be said unseen."""


def add_follower(context: Context, request: Request) -> Outcome:
    """Add an account to the followers of a profile; with `dry_run` only say what would be different.

    It begins with every setting that the followers have alike: who adds one means the profile's policy, not defaults.
    """
    profile, account = _named(context, request)
    given = {str(name): str(value) for name, value in dict(request.get("settings", {})).items()}
    if faults := check_each(given):
        raise Refusal("\n".join(map(str, faults)), USAGE)
    links = list(profile.links.values())
    if any(link.follower == account.account for link in links):
        raise Refusal(
            f"{account.shown} follows in {profile.name} already: "
            f"`cmam profile set {quote(profile.name)} --follower {quote(account.shown)}` changes its settings."
        )
    check_followers(_leader(context, profile), [account])
    check_rights(context, [account])
    taken_over = {name: value for name, value in _alike(context, links, account).items() if name not in given}
    settings = {**taken_over, **given}
    outcome = _applied(context, request, profile, {**_followers(links), account.account: settings})
    told = list(_others_have(context, profile, links, settings, account))
    told += _in_another_currency(context, links, taken_over, account)
    return _answered(outcome, account, told)


def remove_follower(context: Context, request: Request) -> Outcome:
    """Take an account out of the followers of a profile; with `dry_run` only say what would be different."""
    profile, account = _named(context, request)
    links = list(profile.links.values())
    left = [link for link in links if link.follower != account.account]
    if len(left) == len(links):
        shown = ", ".join(_shown(context, link.follower) for link in links)
        raise Refusal(f"{account.shown} does not follow in {profile.name}; who does: {shown}.", USAGE)
    if not left:
        raise Refusal(
            f"{account.shown} is the last follower of {profile.name}, and a profile needs one: "
            f"`cmam profile disable {quote(profile.name)}` switches it off, "
            f"`cmam profile delete {quote(profile.name)}` ends it."
        )
    return _answered(_applied(context, request, profile, _followers(left)), account, ())


def _named(context: Context, request: Request) -> tuple[ProfileView, KnownAccount]:
    """The profile and the account that are meant; who names them in the other order is told the right one."""
    profile, account = str(request.get("profile", "")), str(request.get("follower", ""))
    try:
        return find_profile(context.registry, profile), find_account(context.registry, account)
    except Refusal:
        if _is_turned(context, profile, account):
            text = f"the profile comes first, then the account: {quote(account)} {quote(profile)}"
            raise Refusal(text, USAGE) from None
        raise


def _is_turned(context: Context, profile: str, account: str) -> bool:
    """Whether each is the other: what stands for the profile is an account, and the account is a profile."""
    with suppress(Refusal):
        find_account(context.registry, profile)
        find_profile(context.registry, account)
        return True
    return False


def _applied(
    context: Context, request: Request, profile: ProfileView, followers: Mapping[AccountId, Mapping[str, str]]
) -> Outcome:
    document = {
        "name": profile.name,
        "leader": str(profile.leader),
        "settings": dict(profile.settings),
        "followers": [{"account": str(one), "settings": dict(settings)} for one, settings in followers.items()],
    }
    return apply_profiles(context, {**request, "profiles": [document]})


def _answered(outcome: Outcome, account: KnownAccount, told: Iterable[str]) -> Outcome:
    (found,) = outcome.answer["profiles"]
    answer: dict[str, Any] = {
        **found,
        "follower": int(account.account),
        "follower_name": account.shown,
        "remarks": [*found["remarks"], *told],
        "digest": outcome.answer["digest"],
    }
    return Outcome(outcome.events, answer)


def _followers(links: Iterable[Link]) -> dict[AccountId, Mapping[str, str]]:
    return {link.follower: link.settings for link in links}


def _leader(context: Context, profile: ProfileView) -> KnownAccount:
    assert profile.leader is not None
    return find_account(context.registry, str(profile.leader))


def _shown(context: Context, account: AccountId) -> str:
    known = context.registry.accounts.get(account)
    return known.shown if known is not None else str(account)


# --- what a new follower begins with ----------------------------------------------------------------------------------


def _alike(context: Context, links: list[Link], account: KnownAccount) -> dict[str, str]:
    """The settings of their own that all followers have alike; of symbols only where all are of the same broker."""
    others = [known for link in links if (known := context.registry.accounts.get(link.follower)) is not None]
    is_one_broker = all(known.broker == account.broker for known in others)
    first, *rest = [link.settings for link in links]
    return {
        name: value
        for name, value in first.items()
        if all(settings.get(name) == value for settings in rest) and (is_one_broker or name not in OF_ONE_BROKER)
    }


def _others_have(
    context: Context, profile: ProfileView, links: list[Link], settings: Mapping[str, str], account: KnownAccount
) -> Iterator[str]:
    """What others have set for themselves and this one has not, with the value that holds for it instead."""
    for name in sorted({name for link in links for name in link.settings} - settings.keys()):
        if name in OF_ONE_BROKER:
            who = ", ".join(_shown(context, link.follower) for link in links if name in link.settings)
            yield f"{name} of {who} is not taken over: {account.shown} may have other symbols."
            continue
        values = dict.fromkeys(link.settings[name] for link in links if name in link.settings)
        own = profile.settings.get(name, BY_NAME[name].default if name in BY_NAME else "")
        yield f"{name} is {own} for {account.shown}; other followers have {', '.join(values)}."


def _in_another_currency(
    context: Context, links: list[Link], alike: Mapping[str, str], account: KnownAccount
) -> Iterator[str]:
    """That an amount of money which is taken over is another sum in the currency of this account."""
    others = {known.currency for link in links if (known := context.registry.accounts.get(link.follower)) is not None}
    others -= {account.currency, ""}
    if account.currency and others:
        for name in sorted(alike):
            if BY_NAME[name].allowed.startswith("money") and alike[name][-1:].isdigit():
                where = f"{account.currency} for {account.shown}, and in {', '.join(sorted(others))} for others"
                yield f"{name}={alike[name]} is taken over as it is: it is in {where}."
