"""What every command of the operator is made of: a request, what it may rest on, and an outcome or a refusal.

Pure. Names of accounts and profiles are resolved here, so that the running system and a command that holds the lock
understand the same names. Must not know any command.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event
from cmam.domain.operating.registry import KnownAccount, Registry
from cmam.domain.profiles.link import ProfileView
from cmam.domain.values.ids import AccountId, LinkId

REFUSED, USAGE = 1, 2
"""Exit codes: the state forbids it; the request makes no sense."""

FOLLOWERS_MAX = 1_000
NAME_CHARACTERS_MAX = 60
A_NAME = f"1 to {NAME_CHARACTERS_MAX} printable characters, the first of them no hyphen"
"""What `is_name` takes, as a refusal says it."""
NAMES_SHOWN, NEAR_SHOWN = 8, 5
"""So many names are told to who typed one that is none; of more only those most like it."""


@dataclass(eq=False)  # not frozen: Python writes the traceback into an exception on its way
class Refusal(Exception):
    """Why a command was not carried out: one sentence, and the exit code it ends with."""

    text: str
    code: int = REFUSED

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Outcome:
    """The events that a command leads to, each with its stream, and what to tell the operator."""

    events: tuple[tuple[str, Event], ...]
    answer: dict[str, Any]


def signed(outcome: Outcome, user: str) -> Outcome:
    """The same with whoever asked for it in every event that has a place for a name."""
    events = tuple(
        (stream, replace(event, user=user) if getattr(event, "user", None) == "" else event)  # type: ignore[call-arg]  # asked just before
        for stream, event in outcome.events
    )
    return Outcome(events, outcome.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a command may rest on besides its words.

    `heads` are the versions of account streams, for new links; `views` are there while the system runs, and so is
    `still_holds`, which names the guard's condition that forbids to re-arm a link at this moment, if any.
    """

    registry: Registry
    user: str
    new_id: Callable[[], str]
    heads: Mapping[AccountId, int]
    views: Mapping[AccountId, AccountView] = field(default_factory=dict)
    still_holds: Callable[[AccountId, LinkId, str], str] = lambda _account, _link, _guard: ""


Request = Mapping[str, Any]
Command = Callable[[Context, Request], Outcome]


# --- names --------------------------------------------------------------------------------------------------------


def is_name(name: str) -> bool:
    """Whether a profile or an account can be called so from now on: a name that begins with a hyphen would be taken for
    an option wherever it is typed, but whoever has one keeps it."""
    return 0 < len(name) <= NAME_CHARACTERS_MAX and name.isprintable() and not name.startswith("-")


def find_account(registry: Registry, name: str) -> KnownAccount:
    """The one account that a ctid, an alias or `broker:login` names; raises Refusal for none or several."""
    found = _only(registry.accounts, name)
    if found is not None:
        return found
    if not registry.accounts:
        raise Refusal(f"there is no account {name!r}: none was added yet, see `cmam account add -h`.", USAGE)
    known = _nearest(name, [account.shown for account in registry.accounts.values()], "cmam account list")
    raise Refusal(f"there is no account {name!r} (ctid, alias or broker:login); there are: {known}.", USAGE)


def _nearest(name: str, known: Sequence[str], command: str) -> str:
    """The names there are; of many those most like the one that was typed, and which command has them all."""
    if len(known) <= NAMES_SHOWN:
        return ", ".join(known)
    lowered = {shown.lower(): shown for shown in known}
    near = difflib.get_close_matches(name.strip().lower(), lowered, n=NEAR_SHOWN, cutoff=0)
    shown = ", ".join(lowered[one] for one in near)
    return f"{shown} and {len(known) - len(near)} more (`{command}`)"


def find_in_history(registry: Registry, name: str) -> KnownAccount:
    """As `find_account`; where no account has that name, the one that had it when it was removed."""
    found = _only(registry.accounts, name) or _only(registry.removed, name)
    return find_account(registry, name) if found is None else found


def _only(accounts: Mapping[AccountId, KnownAccount], name: str) -> KnownAccount | None:
    wanted = name.strip().lower()
    found = [
        account
        for account in accounts.values()
        if wanted in (str(account.account), account.alias.lower(), f"{account.broker}:{account.login}".lower())
        and wanted
    ]
    if len(found) > 1:
        who = ", ".join(f"{account.account} ({account.broker}:{account.login})" for account in found)
        raise Refusal(f"{name!r} fits more than one account: {who}. Use the ctid.", USAGE)
    return found[0] if found else None


def find_profile(registry: Registry, name: str) -> ProfileView:
    """The profile of a name or id, letters of either case; raises Refusal."""
    for profile in registry.live_profiles():
        if name.lower() in (profile.name.lower(), profile.profile):
            return profile
    names = [profile.name for profile in registry.live_profiles()]
    known = _nearest(name, names, "cmam profile list") or "none yet"
    raise Refusal(f"there is no profile {name!r}; there are: {known}.", USAGE)
