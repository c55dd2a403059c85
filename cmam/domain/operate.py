"""What an operator's command does: from what is known to the events that follow, or a refusal in one sentence.

Pure. The holder of the store runs it, whether it is the running system or a command that took the lock for a moment.
A request is the parsed JSON of the control channel; names of accounts and profiles are resolved here, so that both ways
understand the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cmam.domain.account import AccountView
from cmam.domain.events import (
    AccountAdded,
    AccountAliased,
    AccountPaused,
    AccountRemoved,
    AccountTagged,
    ApiConfigured,
    Event,
    FlattenRequested,
    GuardRearmed,
    LinkAdded,
    LinkSettingsChanged,
    ProfileCreated,
    ProfileDeleted,
    ProfileState,
    ProfileStateChanged,
    SymbolConfirmed,
)
from cmam.domain.ids import AccountId, LinkId, ProfileId
from cmam.domain.link import ProfileView
from cmam.domain.policy import check_settings
from cmam.domain.registry import ACCOUNT_PREFIX, APP, PROFILE_PREFIX, KnownAccount, Registry

REFUSED, USAGE = 1, 2
"""Exit codes: the state forbids it; the request makes no sense."""

FOLLOWERS_MAX = 1_000
NAME_CHARACTERS_MAX = 60


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


def operate(context: Context, request: Request) -> Outcome:
    """Carry out one command; raises Refusal."""
    name = str(request.get("command", ""))
    command = COMMANDS.get(name)
    if command is None:
        raise Refusal(f"expected one of the commands {', '.join(sorted(COMMANDS))}; found {name!r}", USAGE)
    return command(context, request)


# --- names --------------------------------------------------------------------------------------------------------


def find_account(registry: Registry, name: str) -> KnownAccount:
    """The one account that a ctid, an alias or `broker:login` names; raises Refusal for none or several."""
    wanted = name.strip().lower()
    found = [
        account
        for account in registry.accounts.values()
        if wanted in (str(account.account), account.alias.lower(), f"{account.broker}:{account.login}".lower())
        and wanted
    ]
    if len(found) == 1:
        return found[0]
    if found:
        who = ", ".join(f"{account.account} ({account.broker}:{account.login})" for account in found)
        raise Refusal(f"expected a name of one account; {name!r} fits {who}. Use the ctid.", USAGE)
    if not registry.accounts:
        raise Refusal(f"expected an account, found {name!r}, but none was added yet: see `cmam account add -h`.", USAGE)
    known = ", ".join(account.shown for account in registry.accounts.values())
    raise Refusal(f"expected an account (ctid, alias or broker:login), found {name!r}; known are {known}.", USAGE)


def find_profile(registry: Registry, name: str) -> ProfileView:
    """The profile of a name or id, letters of either case; raises Refusal."""
    for profile in registry.live_profiles():
        if name.lower() in (profile.name.lower(), profile.profile):
            return profile
    known = ", ".join(profile.name for profile in registry.live_profiles()) or "none yet"
    raise Refusal(f"expected the name of a profile, found {name!r}; there are: {known}.", USAGE)


# --- profiles -----------------------------------------------------------------------------------------------------


def _create_profile(context: Context, request: Request) -> Outcome:
    registry = context.registry
    name = str(request.get("name", "")).strip()
    _check_new_name(registry, name)
    leader = find_account(registry, str(request.get("leader", "")))
    followers = [find_account(registry, str(follower)) for follower in request.get("followers", ())]
    _check_followers(leader, followers)
    _check_loops(registry, leader.account, [follower.account for follower in followers])
    settings = _settings(request)
    profile = ProfileId(context.new_id())
    stream = PROFILE_PREFIX + profile
    since = context.heads.get(leader.account, 0)
    events: list[tuple[str, Event]] = [
        (stream, ProfileCreated(profile=profile, name=name, leader=leader.account)),
        *(
            (stream, LinkAdded(link=LinkId(context.new_id()), follower=f.account, settings=settings, since=since))
            for f in followers
        ),
    ]
    return Outcome(tuple(events), {"profile": name, "id": profile, "links": len(followers)})


def _check_new_name(registry: Registry, name: str) -> None:
    if not name or len(name) > NAME_CHARACTERS_MAX:
        raise Refusal(f"expected a name of 1 to {NAME_CHARACTERS_MAX} characters, found {name!r}", USAGE)
    if name.lower() in (profile.name.lower() for profile in registry.live_profiles()):
        raise Refusal(f"expected a new name, found {name!r}, which is taken; see `cmam profile list`.")


def _check_followers(leader: KnownAccount, followers: Sequence[KnownAccount]) -> None:
    if not followers:
        raise Refusal("expected at least one --follower, found none", USAGE)
    if len(followers) > FOLLOWERS_MAX:
        raise Refusal(f"expected at most {FOLLOWERS_MAX} followers, found {len(followers)}", USAGE)
    seen: set[AccountId] = set()
    for follower in followers:
        if follower.account == leader.account:
            raise Refusal(f"expected a follower other than the leader, found {leader.shown} as both")
        if follower.account in seen:
            raise Refusal(f"expected each follower once, found {follower.shown} twice", USAGE)
        if not follower.can_trade:
            raise Refusal(
                f"expected a follower that may trade, found {follower.shown}, whose consent covers reading only. "
                "Add it again with trading allowed: `cmam account add`."
            )
        seen.add(follower.account)


def _check_loops(registry: Registry, leader: AccountId, followers: Sequence[AccountId]) -> None:
    """Refuse a profile that would close a circle over all profiles, naming the circle."""
    follows: dict[AccountId, set[AccountId]] = {}
    for profile in registry.live_profiles():
        for link in profile.links.values():
            if profile.leader is not None:
                follows.setdefault(profile.leader, set()).add(link.follower)
    follows.setdefault(leader, set()).update(followers)
    path = _circle(follows, leader, (leader,))
    if path is not None:
        names = " → ".join(
            registry.accounts[account].shown if account in registry.accounts else str(account) for account in path
        )
        raise Refusal(f"expected profiles without a loop, found {names}: a trade would copy itself for ever")


def _circle(
    follows: Mapping[AccountId, set[AccountId]], at: AccountId, path: tuple[AccountId, ...]
) -> tuple[AccountId, ...] | None:
    for follower in sorted(follows.get(at, ())):
        if follower == path[0]:
            return (*path, follower)
        if follower not in path:
            found = _circle(follows, follower, (*path, follower))
            if found is not None:
                return found
    return None


def _settings(request: Request) -> dict[str, str]:
    settings = {str(name): str(value) for name, value in dict(request.get("settings", {})).items()}
    faults = check_settings(settings)
    if faults:
        raise Refusal("; ".join(str(fault) for fault in faults), USAGE)
    return dict(sorted(settings.items()))


def _set_profile(context: Context, request: Request) -> Outcome:
    """Change settings of all links of a profile, or of the one of `follower`; what is not named keeps its value."""
    profile = find_profile(context.registry, str(request.get("profile", "")))
    changed = _settings(request)
    follower = request.get("follower")
    only = find_account(context.registry, str(follower)).account if follower else None
    events: list[tuple[str, Event]] = []
    for link in profile.links.values():
        if only is not None and link.follower != only:
            continue
        settings = {**link.settings, **changed}
        faults = check_settings(settings)
        if faults:
            raise Refusal("; ".join(str(fault) for fault in faults), USAGE)
        event = LinkSettingsChanged(link=link.link, settings=dict(sorted(settings.items())))
        events.append((PROFILE_PREFIX + profile.profile, event))
    return Outcome(tuple(events), {"profile": profile.name, "links": len(events)})


def _move_profile(state: ProfileState) -> Command:
    def command(context: Context, request: Request) -> Outcome:
        profile = find_profile(context.registry, str(request.get("profile", "")))
        return Outcome(_moved(context, profile, state), {"profile": profile.name, "state": state.value})

    return command


def _moved(context: Context, profile: ProfileView, state: ProfileState) -> tuple[tuple[str, Event], ...]:
    if profile.state is state:
        return ()
    since = context.heads.get(profile.leader, 0) if profile.leader is not None else 0
    event = ProfileStateChanged(state=state, since=since, user=context.user)
    return ((PROFILE_PREFIX + profile.profile, event),)


def _delete_profile(context: Context, request: Request) -> Outcome:
    profile = find_profile(context.registry, str(request.get("profile", "")))
    event = ProfileDeleted(user=context.user)
    return Outcome(((PROFILE_PREFIX + profile.profile, event),), {"profile": profile.name, "deleted": True})


def _switch(*, paused: bool) -> Command:
    """Pause or resume a profile, an account, or everything."""

    def command(context: Context, request: Request) -> Outcome:
        state = ProfileState.PAUSED if paused else ProfileState.RUNNING
        if request.get("account"):
            account = find_account(context.registry, str(request["account"]))
            changed = account.paused != paused
            event = AccountPaused(account=account.account, paused=paused, reason="operator", user=context.user)
            return Outcome(((APP, event),) if changed else (), {"account": account.shown, "paused": paused})
        if request.get("all"):
            profiles = [p for p in context.registry.live_profiles() if p.state is not ProfileState.STOPPED]
        elif request.get("profile"):
            profiles = [find_profile(context.registry, str(request["profile"]))]
        else:
            raise Refusal("expected a profile, --account ID or --all, found none of them", USAGE)
        events = tuple(event for profile in profiles for event in _moved(context, profile, state))
        return Outcome(events, {"profiles": [profile.name for profile in profiles], "paused": paused})

    return command


# --- emergencies --------------------------------------------------------------------------------------------------


def _targets(context: Context, request: Request) -> dict[AccountId, tuple[LinkId, ...]]:
    """The followers that a command is for, each with the links that are meant; raises Refusal without a target."""
    profiles = context.registry.live_profiles()
    only: AccountId | None = None
    if request.get("account"):
        only = find_account(context.registry, str(request["account"])).account
    elif request.get("profile"):
        profiles = (find_profile(context.registry, str(request["profile"])),)
    elif not request.get("all"):
        raise Refusal("expected a profile, --account ID or --all, found none of them", USAGE)
    found: dict[AccountId, list[LinkId]] = {}
    for profile in profiles:
        for link in profile.links.values():
            if only is None or link.follower == only:
                found.setdefault(link.follower, []).append(link.link)
    return {account: tuple(sorted(links)) for account, links in sorted(found.items())}


def _flatten(context: Context, request: Request) -> Outcome:
    """Latch and close every copy of the target; with `whole` also what is nobody's copy on an account."""
    targets = _targets(context, request)
    is_whole = bool(request.get("whole"))
    if is_whole and not request.get("account"):
        raise Refusal("expected --account ID with the whole account, found no single account", USAGE)
    events = tuple(
        (f"{ACCOUNT_PREFIX}{account}", FlattenRequested(links=links, whole_account=is_whole, user=context.user))
        for account, links in targets.items()
    )
    if not events:
        raise Refusal("expected a target with followers, found none: there is nothing to flatten")
    return Outcome(events, {"flattening": [int(account) for account in targets]})


def _rearm(context: Context, request: Request) -> Outcome:
    """Open latches again: all of the target's links, or one guard of them; refused while copies are still closing."""
    guard = str(request.get("guard", ""))
    events: list[tuple[str, Event]] = []
    for account, links in _targets(context, request).items():
        view = context.views.get(account)
        copies = view.copies.values() if view is not None else ()
        busy = [copy for copy in copies if copy.link in links and copy.target <= 0]
        if busy:
            raise Refusal(
                f"expected nothing left to close on account {account}, found {len(busy)} copies still closing"
            )
        held = [why for link in links if (why := context.still_holds(account, link, guard))]
        if held:
            raise Refusal(f"expected conditions that no longer hold on account {account}, found {'; '.join(held)}")
        stream = f"{ACCOUNT_PREFIX}{account}"
        events.extend((stream, GuardRearmed(link=link, guard=guard, user=context.user)) for link in links)
    return Outcome(tuple(events), {"rearmed": len(events), "guard": guard or "all"})


def _confirm_symbol(context: Context, request: Request) -> Outcome:
    """Let a symbol be traded again whose lot size, digits or step the broker has changed."""
    account = find_account(context.registry, str(request.get("account", "")))
    name = str(request.get("symbol", ""))
    view = context.views.get(account.account)
    entry = view.names.get(name) if view is not None else None
    if entry is None:
        raise Refusal(f"expected a symbol of {account.shown}, found {name!r}", USAGE)
    event = SymbolConfirmed(symbol=entry.symbol, user=context.user)
    return Outcome(((f"{ACCOUNT_PREFIX}{account.account}", event),), {"account": account.shown, "symbol": name})


# --- accounts -----------------------------------------------------------------------------------------------------


def _add_accounts(context: Context, request: Request) -> Outcome:
    """Take the accounts of a consent; one that is known already is brought up to date."""
    events: list[tuple[str, Event]] = []
    for entry in request.get("accounts", ()):
        event = AccountAdded(
            account=AccountId(int(entry["account"])),
            login=int(entry.get("login", 0)),
            broker=str(entry.get("broker", "")),
            is_live=bool(entry.get("is_live", False)),
            can_trade=bool(entry.get("can_trade", True)),
            grant=str(entry.get("grant", "")),
            currency=str(entry.get("currency", "")),
            account_type=str(entry.get("account_type", "")),
        )
        events.append((APP, event))
        known = context.registry.accounts.get(event.account)
        if known is not None and known.paused and known.paused_reason == "authorise":
            resumed = AccountPaused(account=event.account, paused=False, reason="authorised", user=context.user)
            events.append((APP, resumed))
    return Outcome(tuple(events), {"accounts": [int(entry["account"]) for entry in request.get("accounts", ())]})


def _alias_account(context: Context, request: Request) -> Outcome:
    account = find_account(context.registry, str(request.get("account", "")))
    alias = str(request.get("alias", "")).strip()
    if alias.isdigit() or ":" in alias or len(alias) > NAME_CHARACTERS_MAX:
        raise Refusal(f"expected an alias without colon that is no number, found {alias!r}", USAGE)
    for other in context.registry.accounts.values():
        if alias and other.account != account.account and other.alias.lower() == alias.lower():
            raise Refusal(f"expected a new alias, found {alias!r}, which account {other.account} has")
    event = AccountAliased(account=account.account, alias=alias)
    return Outcome(((APP, event),), {"account": int(account.account), "alias": alias})


def _tag_accounts(context: Context, request: Request) -> Outcome:
    """Add and take away tags of several accounts at once."""
    add = {str(tag).strip() for tag in request.get("add", ())} - {""}
    drop = {str(tag).strip() for tag in request.get("remove", ())}
    events: list[tuple[str, Event]] = []
    for name in request.get("accounts", ()):
        account = find_account(context.registry, str(name))
        tags = tuple(sorted((set(account.tags) | add) - drop))
        events.append((APP, AccountTagged(account=account.account, tags=tags)))
    return Outcome(tuple(events), {"accounts": len(events), "added": sorted(add), "removed": sorted(drop)})


def _remove_account(context: Context, request: Request) -> Outcome:
    account = find_account(context.registry, str(request.get("account", "")))
    for profile in context.registry.live_profiles():
        is_used = profile.leader == account.account or any(
            link.follower == account.account for link in profile.links.values()
        )
        if is_used:
            raise Refusal(f"expected an account that no profile uses, found {account.shown} in {profile.name!r}")
    event = AccountRemoved(account=account.account, user=context.user)
    return Outcome(((APP, event),), {"account": int(account.account), "removed": True})


def _pause_accounts(context: Context, request: Request) -> Outcome:
    """Pause accounts for a reason of the system's: all must be authorised again, or a token is dead."""
    reason = str(request.get("reason", ""))
    events: list[tuple[str, Event]] = []
    for name in request.get("accounts", ()):
        account = find_account(context.registry, str(name))
        if not account.paused:
            event = AccountPaused(account=account.account, paused=True, reason=reason, user=context.user)
            events.append((APP, event))
    return Outcome(tuple(events), {"paused": len(events)})


def _configure_api(context: Context, request: Request) -> Outcome:
    settings = {str(name): str(value) for name, value in dict(request.get("settings", {})).items()}
    event = ApiConfigured(
        settings=dict(sorted(settings.items())), application=str(request.get("application", "")), user=context.user
    )
    return Outcome(((APP, event),), {"configured": True})


COMMANDS: Mapping[str, Command] = {
    "account.add": _add_accounts,
    "account.alias": _alias_account,
    "account.pause": _pause_accounts,
    "account.remove": _remove_account,
    "account.tag": _tag_accounts,
    "api.configure": _configure_api,
    "flatten": _flatten,
    "pause": _switch(paused=True),
    "profile.create": _create_profile,
    "profile.delete": _delete_profile,
    "profile.disable": _move_profile(ProfileState.STOPPED),
    "profile.enable": _move_profile(ProfileState.RUNNING),
    "profile.set": _set_profile,
    "rearm": _rearm,
    "resume": _switch(paused=False),
    "symbol.confirm": _confirm_symbol,
}
