"""`profile apply`: what a document of profiles makes different from what there is, and the events of it.

Pure. Profiles that the document does not name stay as they are. Every fault is found at once, and a document with one
fault changes nothing. A difference is computed before anybody is asked, and again when it is carried out: what was
shown is what happens, or nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cmam.domain.events import (
    Event,
    LinkAdded,
    LinkRemoved,
    LinkSettingsChanged,
    ProfileCreated,
    ProfileRenamed,
    ProfileSettingsChanged,
    ProfileState,
)
from cmam.domain.operating.asking import A_NAME, USAGE, Context, Outcome, Refusal, Request, find_account, is_name
from cmam.domain.operating.netting import check_nets
from cmam.domain.operating.profile_commands import (
    LEAVE,
    Events,
    check_followers,
    check_leader,
    check_loops,
    check_rights,
    doubled,
    leaders_symbols,
    moved,
    release,
)
from cmam.domain.operating.registry import PROFILE_PREFIX, KnownAccount
from cmam.domain.profiles.link import Link, ProfileView
from cmam.domain.profiles.policy import BY_NAME, check_each, check_settings
from cmam.domain.profiles.remarks import remarks
from cmam.domain.values.ids import AccountId, LinkId, ProfileId
from cmam.domain.values.naming import new_link

CREATE, CHANGE, KEEP = "create", "change", "keep"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that would be different: a setting, a follower, a state. `follower` is empty for the whole profile."""

    field: str
    before: str = ""
    after: str = ""
    follower: str = ""


@dataclass(slots=True)
class Wanted:
    """One profile of the document, its names understood."""

    name: str
    leader: KnownAccount
    state: ProfileState | None
    settings: dict[str, str]
    followers: dict[AccountId, tuple[KnownAccount, dict[str, str]]]
    existing: ProfileView | None
    differences: list[Difference] = field(default_factory=list)
    gone: list[Link] = field(default_factory=list)

    @property
    def action(self) -> str:
        """Whether it is created, changed or kept."""
        if self.existing is None:
            return CREATE
        return CHANGE if self.differences else KEEP


def apply_profiles(context: Context, request: Request) -> Outcome:
    """Make the profiles of a document so; with `dry_run` only say what is different."""
    faults: list[str] = []
    wanted = _understood(context, request, faults)
    if not faults:
        faults += _impossible(context, wanted)
    if faults:
        raise Refusal("\n".join(dict.fromkeys(faults)), USAGE)
    for one in wanted:
        one.differences = list(_differences(context, one))
    profiles = [_document(context, one) for one in wanted]
    digest = hashlib.sha256(repr(profiles).encode()).hexdigest()[:16]
    answer = {"profiles": profiles, "different": any(one.action != KEEP for one in wanted), "digest": digest}
    if request.get("dry_run"):
        left, fresh = {**request, "copies": LEAVE}, set(context.registry.link_ids())
        check_nets(context, [event for one in wanted for event in _events(context, left, one, fresh)])
        return Outcome((), answer)
    if request.get("expect") not in (None, digest):
        raise Refusal("the profiles have changed since they were shown: look again.")
    taken = set(context.registry.link_ids())
    return Outcome(tuple(event for one in wanted for event in _events(context, request, one, taken)), answer)


# --- understanding ----------------------------------------------------------------------------------------------------


def _understood(context: Context, request: Request, faults: list[str]) -> list[Wanted]:
    found: list[Wanted] = []
    names: set[str] = set()
    for entry in request.get("profiles", ()):
        name = str(entry.get("name", "")).strip()
        where = f"profile {name!r}"
        if name.lower() in names:
            faults.append(f"{where}: the file has it twice")
        names.add(name.lower())
        one = _profile(context, entry, name, where, faults)
        if one is not None:
            found.append(one)
    return found


def _profile(context: Context, entry: Mapping[str, Any], name: str, where: str, faults: list[str]) -> Wanted | None:
    leader = _account(context, entry.get("leader"), f"{where}, leader", faults)
    shared = _strings(entry.get("settings", {}))
    common = check_each(shared)
    faults += [f"{where}, {fault}" for fault in common]
    followers: dict[AccountId, tuple[KnownAccount, dict[str, str]]] = {}
    for follower in entry.get("followers", ()):
        account = _account(context, follower.get("account"), f"{where}, follower", faults)
        settings = _strings(follower.get("settings", {}))
        here = f"{where}, follower {account.shown if account is not None else follower.get('account')}"
        own = check_each(settings)
        faults += [f"{here}, {fault}" for fault in own]
        if not own and not common:
            faults += [f"{here}, {fault}" for fault in check_settings({**shared, **settings})]
        if account is None:
            continue
        if account.account in followers:
            faults.append(f"{here}: the profile has it twice")
        followers[account.account] = (account, settings)
    existing = next((p for p in context.registry.live_profiles() if p.name.lower() == name.lower()), None)
    if existing is None and not is_name(name):
        faults.append(f"{where}: expected a name of {A_NAME}; found {name!r}")
    if leader is None:
        return None
    if existing is not None and existing.leader != leader.account:
        known = context.registry.accounts.get(existing.leader) if existing.leader is not None else None
        faults.append(
            f"{where}, leader: a profile keeps its leader, which is {known.shown if known else existing.leader}; for "
            f"{leader.shown} delete the profile and create it anew."
        )
    state = ProfileState(entry["state"]) if entry.get("state") else None
    return Wanted(name, leader, state, shared, followers, existing)


def _account(context: Context, value: Any, where: str, faults: list[str]) -> KnownAccount | None:
    try:
        return find_account(context.registry, str(value or ""))
    except Refusal as refusal:
        faults.append(f"{where}: {refusal}")
        return None


def _strings(settings: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in sorted(settings.items())}


def _impossible(context: Context, wanted: Sequence[Wanted]) -> Iterator[str]:
    """What no profile may be, alone or beside the others."""
    for one in wanted:
        try:
            if one.existing is None:
                check_leader(context, one.leader)
            check_followers(one.leader, [account for account, _ in one.followers.values()])
            links = one.existing.links.values() if one.existing is not None else ()
            linked = {link.follower for link in links}
            check_rights(context, [account for number, (account, _) in one.followers.items() if number not in linked])
        except Refusal as refusal:
            yield f"profile {one.name!r}: {refusal}"
    graph: dict[AccountId, set[AccountId]] = {}
    for one in wanted:
        graph.setdefault(one.leader.account, set()).update(one.followers)
    try:
        replaced = [one.existing.profile for one in wanted if one.existing is not None]
        check_loops(context.registry, graph, without=replaced)
    except Refusal as refusal:
        yield str(refusal)


# --- differences ------------------------------------------------------------------------------------------------------


def _differences(context: Context, one: Wanted) -> Iterator[Difference]:
    existing = one.existing
    if existing is None:
        yield Difference("leader", after=one.leader.shown)
        if one.state not in (None, ProfileState.RUNNING):
            yield Difference("state", ProfileState.RUNNING.value, str(one.state))
        yield from _settings_differences({}, one.settings, "")
        for account, settings in one.followers.values():
            yield Difference("follower", after=account.shown, follower=account.shown)
            yield from _settings_differences({}, settings, account.shown)
        return
    if existing.name != one.name:
        yield Difference("name", existing.name, one.name)
    if one.state is not None and one.state is not existing.state:
        yield Difference("state", existing.state.value, one.state.value)
    yield from _settings_differences(existing.settings, one.settings, "")
    links = {link.follower: link for link in existing.links.values()}
    for number, (account, settings) in one.followers.items():
        link = links.get(number)
        if link is None:
            yield Difference("follower", after=account.shown, follower=account.shown)
        yield from _settings_differences(link.settings if link is not None else {}, settings, account.shown)
    one.gone = [link for number, link in links.items() if number not in one.followers]
    for link in one.gone:
        known = context.registry.accounts.get(link.follower)
        shown = known.shown if known is not None else str(link.follower)
        yield Difference("follower", before=shown, follower=shown)


def _settings_differences(before: Mapping[str, str], after: Mapping[str, str], follower: str) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old != new and not _is_same(name, old, new):
            yield Difference(name, old or "", new or "", follower)


def _is_same(name: str, old: str | None, new: str | None) -> bool:
    """Whether two texts are one value: 0.5 and 0.50."""
    if old is None or new is None or name not in BY_NAME:
        return False
    read = BY_NAME[name].read
    try:
        return bool(read(old) == read(new))
    except (ValueError, KeyError, ZeroDivisionError, OverflowError):
        return False


def _document(context: Context, one: Wanted) -> dict[str, Any]:
    existing, known = one.existing, leaders_symbols(context, one.leader.account)
    links = {link.follower: link.settings for link in existing.links.values()} if existing is not None else {}
    shared = existing.settings if existing is not None else {}
    told = {
        text
        for number, (_, settings) in one.followers.items()
        for text in remarks({**shared, **links[number]} if number in links else {}, {**one.settings, **settings}, known)
    }
    fresh = [account for number, (account, _) in one.followers.items() if number not in links]
    return {
        "profile": one.name,
        "action": one.action,
        "changes": [
            {"field": d.field, "follower": d.follower, "before": d.before, "after": d.after} for d in one.differences
        ],
        "remarks": [
            *sorted(told),
            *doubled(context.registry, one.leader, fresh),
        ],
    }


# --- events -----------------------------------------------------------------------------------------------------------


def _link(one: Wanted, follower: AccountId, settings: Mapping[str, str], since: int, taken: set[LinkId]) -> LinkAdded:
    """A link of a name that none has had, not even one of the same document."""
    link = new_link(one.leader.account, follower, taken)
    taken.add(link)
    return LinkAdded(link=link, follower=follower, settings=settings, since=since)


def _events(context: Context, request: Request, one: Wanted, taken: set[LinkId]) -> Iterator[tuple[str, Event]]:
    if one.action == KEEP:
        return
    existing = one.existing
    since = context.heads.get(one.leader.account, 0)
    if existing is None:
        profile = ProfileId(context.new_id())
        stream = PROFILE_PREFIX + profile
        yield stream, ProfileCreated(profile=profile, name=one.name, leader=one.leader.account)
        if one.settings:
            yield stream, ProfileSettingsChanged(settings=one.settings)
        for number, (_, settings) in one.followers.items():
            yield stream, _link(one, number, settings, since, taken)
        if one.state is not None:
            fresh = ProfileView(profile=profile, name=one.name, leader=one.leader.account)
            yield from moved(context, fresh, one.state)
        return
    stream = PROFILE_PREFIX + existing.profile
    yield from _changes(context, one, existing, stream, since, taken)
    yield from _released(context, request, one, existing)


def _changes(
    context: Context, one: Wanted, existing: ProfileView, stream: str, since: int, taken: set[LinkId]
) -> Iterator[tuple[str, Event]]:
    if existing.name != one.name:
        yield stream, ProfileRenamed(name=one.name)
    touched = {difference.follower for difference in one.differences if difference.field in BY_NAME}
    if "" in touched:
        yield stream, ProfileSettingsChanged(settings=one.settings)
    links = {link.follower: link for link in existing.links.values()}
    for number, (account, settings) in one.followers.items():
        link = links.get(number)
        if link is None:
            yield stream, _link(one, number, settings, since, taken)
        elif account.shown in touched:
            yield stream, LinkSettingsChanged(link=link.link, settings=settings)
    for gone in one.gone:
        yield stream, LinkRemoved(link=gone.link)
    if one.state is not None:
        yield from moved(context, existing, one.state)


def _released(context: Context, request: Request, one: Wanted, existing: ProfileView) -> Events:
    """What becomes of the copies of links that end with this."""
    is_stopping = one.state is ProfileState.STOPPED and existing.state is not ProfileState.STOPPED
    ending = list(existing.links.values()) if is_stopping else one.gone
    return release(context, request, existing, ending)
