"""What an operator's command does: from what is known to the events that follow, or a refusal in one sentence.

Pure. The holder of the store runs it, whether it is the running system or a command that took the lock for a moment.
A request is the parsed JSON of the control channel; names of accounts and profiles are resolved here, so that both ways
understand the same names.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from shlex import quote

from cmam.domain.belief.limits import changed_symbols
from cmam.domain.belief.restless import ending as ending_copies
from cmam.domain.belief.view import AccountView
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
    Health,
    ProfileState,
    SymbolConfirmed,
)
from cmam.domain.guarding.latches import DAY, NOBODY
from cmam.domain.operating.applying import apply_profiles
from cmam.domain.operating.asking import (
    A_NAME,
    USAGE,
    Command,
    Context,
    Outcome,
    Refusal,
    Request,
    find_account,
    find_profile,
    is_name,
    signed,
)
from cmam.domain.operating.follower_commands import add_follower, remove_follower
from cmam.domain.operating.netting import check_nets
from cmam.domain.operating.profile_commands import (
    adopt,
    create_profile,
    delete_profile,
    move_profile,
    moved,
    set_profile,
)
from cmam.domain.operating.registry import ACCOUNT_PREFIX, APP
from cmam.domain.profiles.link import ProfileView
from cmam.domain.values.ids import AccountId, LinkId

HOLDING_SHOWN = 3
"""So many accounts are named on which a condition holds; more are counted."""

SYMBOLS_SHOWN = 5
"""So many symbols are named to who typed one that the account has not."""


def operate(context: Context, request: Request) -> Outcome:
    """Carry out one command; raises Refusal."""
    name = str(request.get("command", ""))
    command = COMMANDS.get(name)
    if command is None:
        raise Refusal(f"expected one of the commands {', '.join(sorted(COMMANDS))}; found {name!r}", USAGE)
    outcome = command(context, request)
    check_nets(context, outcome.events)
    return signed(outcome, context.user)


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
            profiles = [_switchable(context, str(request["profile"]))]
        else:
            raise Refusal("say which: a profile, --account ID or --all", USAGE)
        events = tuple(event for profile in profiles for event in moved(context, profile, state))
        return Outcome(events, {"profiles": [profile.name for profile in profiles], "paused": paused})

    return command


def _switchable(context: Context, name: str) -> ProfileView:
    """A profile that is running or paused. One that is disabled would be taken up again by either: what was left to a
    person would follow its leader once more, closes of meanwhile first."""
    profile = find_profile(context.registry, name)
    if profile.state is ProfileState.STOPPED:
        raise Refusal(
            f"{profile.name} is disabled and sends nothing: `cmam profile enable {quote(profile.name)}` switches it on "
            "again, and manages the copies again that were left"
        )
    return profile


# --- emergencies --------------------------------------------------------------------------------------------------


def _targets(context: Context, request: Request) -> dict[AccountId, tuple[LinkId, ...]]:
    """The followers that a command is for, each with the links that are meant; raises Refusal without a target."""
    profiles = context.registry.live_profiles()
    only: AccountId | None = None
    if request.get("account"):
        only = find_account(context.registry, str(request["account"])).account
    if request.get("profile"):
        profiles = (find_profile(context.registry, str(request["profile"])),)
    if not (request.get("account") or request.get("profile") or request.get("all")):
        raise Refusal("say which: a profile, --account ID or --all", USAGE)
    found: dict[AccountId, set[LinkId]] = {}
    for profile in profiles:
        for link in profile.links.values():
            if only is None or link.follower == only:
                found.setdefault(link.follower, set()).add(link.link)
    if not request.get("profile"):
        # Copies outlive the links and profiles that were deleted over them.
        for account, view in context.views.items():
            left = {copy.link for copy in view.copies.values()}
            if left and only in (None, account):
                found.setdefault(account, set()).update(left)
    if only is not None and request.get("whole"):
        found.setdefault(only, set())
    return {account: tuple(sorted(links)) for account, links in sorted(found.items())}


def _flatten(context: Context, request: Request) -> Outcome:
    """Latch and close every copy of the target; with `whole` also what is nobody's copy on an account."""
    targets = _targets(context, request)
    is_whole = bool(request.get("whole"))
    if is_whole and not request.get("account"):
        raise Refusal("--whole needs one account: say --account ID", USAGE)
    events = tuple(
        (f"{ACCOUNT_PREFIX}{account}", FlattenRequested(links=links, whole_account=is_whole, user=context.user))
        for account, links in targets.items()
    )
    if not events:
        raise Refusal("no follower is meant by this: there is nothing to flatten")
    return Outcome(events, {"flattening": [int(account) for account in targets]})


def _rearm(context: Context, request: Request) -> Outcome:
    """Open latches again: all of the target's links, or one guard of them; refused while copies are still closing.

    An account's latches are also those of links that are gone: nobody else could open them.
    """
    guard = str(request.get("guard", ""))
    events: list[tuple[str, Event]] = []
    closed: set[str] = set()
    opened = 0
    holding: dict[AccountId, str] = {}
    targets = _targets(context, {**request, "whole": True})
    for account, links in targets.items():
        view = context.views.get(account)
        if view is not None and not request.get("profile"):
            links = tuple(sorted({*links, *(latch.link for latch in view.latches.values())}))
        copies = view.copies.values() if view is not None else ()
        busy = [copy for copy in copies if copy.link in links and not copy.is_wanted]
        if busy:
            what = "a copy is" if len(busy) == 1 else f"{len(busy)} copies are"
            raise Refusal(f"{what} still closing on {_shown(context, account)}: re-arm it once nothing is")
        held = [why for link in links if (why := context.still_holds(account, link, guard))]
        if held:
            holding[account] = "; ".join(held)
        stream = f"{ACCOUNT_PREFIX}{account}"
        if view is not None:
            closed |= {latch.guard for link in links for latch in view.latched(link)}
            if view.flatten_account and not links:
                links = (NOBODY,)  # a log that has no latch for it
            if guard == DAY:
                links = tuple(link for link in links if (day := view.days.get(link)) is not None and day.anchor is None)
            opened += sum(_is_shut(view, link, guard) for link in links)
        events.extend((stream, GuardRearmed(link=link, guard=guard, user=context.user)) for link in links)
    if holding:
        raise Refusal(_still_holds(context, holding, len(targets)))
    if guard == DAY and not events:
        raise Refusal("the beginning of this day is known, and counts until the reset: it cannot begin anew")
    if guard and guard != DAY and guard not in closed:
        raise Refusal(f"nothing is locked by {guard!r}; what has locked: {', '.join(sorted(closed)) or 'nothing'}")
    if not events:
        raise Refusal("no follower is meant by this: there is nothing to re-arm", USAGE)
    return Outcome(tuple(events), {"rearmed": opened, "guard": guard or "all"})


def _is_shut(view: AccountView | None, link: LinkId, guard: str) -> bool:
    """Whether a latch of a link is closed, or that of one guard; a day, or a flatten without a latch, counts as one."""
    latches = view.latched(link) if view is not None else ()
    return link == NOBODY or guard == DAY or any(guard in ("", latch.guard) for latch in latches)


def _still_holds(context: Context, holding: Mapping[AccountId, str], targets: int) -> str:
    """On which accounts a condition holds, and how those without one are re-armed: as it is none was."""
    rest = "; nothing was re-armed: give the other accounts one by one" if targets > len(holding) else ""
    told = [f"{why} on {_shown(context, account)}" for account, why in list(holding.items())[:HOLDING_SHOWN]]
    more = f" and on {len(holding) - HOLDING_SHOWN} more" if len(holding) > HOLDING_SHOWN else ""
    return f"what locked it still holds: {', '.join(told)}{more}{rest}"


def _shown(context: Context, account: AccountId) -> str:
    """What a person calls an account; its number where it was removed."""
    known = context.registry.accounts.get(account)
    return known.shown if known is not None else f"account {account}"


def _confirm_symbol(context: Context, request: Request) -> Outcome:
    """Let a symbol be traded again whose lot size, digits or step the broker has changed."""
    account = find_account(context.registry, str(request.get("account", "")))
    name = str(request.get("symbol", ""))
    view = context.views.get(account.account)
    entry = view.names.get(name) if view is not None else None
    if entry is None:
        raise Refusal(f"{account.shown} has no symbol {name!r}{_meant(view, name)}", USAGE)
    event = SymbolConfirmed(symbol=entry.symbol, user=context.user)
    return Outcome(((f"{ACCOUNT_PREFIX}{account.account}", event),), {"account": account.shown, "symbol": name})


def _meant(view: AccountView | None, name: str) -> str:
    """What was most likely meant by a name that is none here, as the other broker's name of a symbol is: what waits to
    be confirmed, or else what is called nearly so."""
    if view is None:
        return ""
    if waiting := changed_symbols(view):
        return f"; changed there and not confirmed: {', '.join(waiting[:SYMBOLS_SHOWN])}"
    upper = {known.upper(): known for known in view.names}
    near = [upper[one] for one in difflib.get_close_matches(name.upper(), upper, n=SYMBOLS_SHOWN)]
    return f"; like it there: {', '.join(near)}" if near else ""


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
    if alias and (alias.isdigit() or ":" in alias or not is_name(alias)):  # none takes it away
        raise Refusal(f"expected an alias of {A_NAME}, without colon and no number; found {alias!r}", USAGE)
    for other in context.registry.accounts.values():
        if alias and other.account != account.account and other.alias.lower() == alias.lower():
            raise Refusal(f"the alias {alias!r} is taken: account {other.account} has it")
    event = AccountAliased(account=account.account, alias=alias)
    return Outcome(((APP, event),), {"account": int(account.account), "alias": alias})


def _tag_accounts(context: Context, request: Request) -> Outcome:
    """Add and take away tags of several accounts at once; `changed` counts those that had others before."""
    add = {str(tag).strip() for tag in request.get("add", ())} - {""}
    drop = {str(tag).strip() for tag in request.get("remove", ())}
    for tag in sorted(add):
        if not is_name(tag) or "," in tag:  # a list shows the tags of an account with commas between them
            raise Refusal(f"expected a tag of {A_NAME}, without comma: `--add` once for each; found {tag!r}", USAGE)
    events: list[tuple[str, Event]] = []
    named = 0
    for name in request.get("accounts", ()):
        account = find_account(context.registry, str(name))
        tags = tuple(sorted((set(account.tags) | add) - drop))
        named += 1
        if tags != tuple(account.tags):
            events.append((APP, AccountTagged(account=account.account, tags=tags)))
    answer = {"accounts": named, "changed": len(events), "added": sorted(add), "removed": sorted(drop)}
    return Outcome(tuple(events), answer)


def _remove_account(context: Context, request: Request) -> Outcome:
    """Forget an account that nothing uses; refused while something is being closed there, as long as that can be: an
    account that its broker no longer has could never be forgotten otherwise."""
    account = find_account(context.registry, str(request.get("account", "")))
    for profile in context.registry.live_profiles():
        is_used = profile.leader == account.account or any(
            link.follower == account.account for link in profile.links.values()
        )
        if is_used:
            if profile.leader == account.account:
                raise Refusal(f"{account.shown} leads the profile {profile.name!r}: delete the profile first")
            raise Refusal(f"{account.shown} follows in the profile {profile.name!r}: take it out there first")
    view = context.views.get(account.account)
    is_seen = view is not None and view.health is Health.RECONCILED
    ending = [*ending_copies(view.copies), *view.in_vain] if view is not None else []
    if ending and is_seen:
        raise Refusal(
            f"{len(ending)} still to be closed on {account.shown}: once the account is removed nobody would ask for it "
            "again"
        )
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
    "profile.adopt": adopt,
    "profile.apply": apply_profiles,
    "profile.create": create_profile,
    "profile.delete": delete_profile,
    "profile.disable": move_profile(ProfileState.STOPPED),
    "profile.enable": move_profile(ProfileState.RUNNING),
    "profile.follower.add": add_follower,
    "profile.follower.remove": remove_follower,
    "profile.set": set_profile,
    "rearm": _rearm,
    "resume": _switch(paused=False),
    "symbol.confirm": _confirm_symbol,
}
