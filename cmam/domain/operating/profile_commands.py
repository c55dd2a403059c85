"""Commands about profiles: create, change, switch, stop and delete, and what becomes of the copies then.

Pure, like `operate.py`, which lists them. A profile or link that ends while copies are live asks what becomes of them:
nothing is left or closed silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    CopiesReleased,
    CopyAdopted,
    Event,
    Health,
    LinkAdded,
    LinkSettingsChanged,
    ProfileCreated,
    ProfileDeleted,
    ProfileSettingsChanged,
    ProfileState,
    ProfileStateChanged,
)
from cmam.domain.operating.asking import (
    A_NAME,
    FOLLOWERS_MAX,
    USAGE,
    Command,
    Context,
    Outcome,
    Refusal,
    Request,
    find_account,
    find_profile,
    is_name,
)
from cmam.domain.operating.registry import ACCOUNT_PREFIX, PROFILE_PREFIX, KnownAccount, Registry
from cmam.domain.profiles.link import Link, ProfileView
from cmam.domain.profiles.policy import BY_NAME, BadSetting, check_each, check_settings
from cmam.domain.profiles.remarks import remarks
from cmam.domain.values.ids import AccountId, LinkId, ProfileId
from cmam.domain.values.naming import new_link, read_label
from cmam.domain.values.trades import AccessRights, AccountType

Events = tuple[tuple[str, Event], ...]

LEAVE, CLOSE = "leave", "close"
"""What becomes of live copies when their profile or link ends."""


# --- create -------------------------------------------------------------------------------------------------------


def create_profile(context: Context, request: Request) -> Outcome:
    """Create a profile, enabled at once."""
    registry = context.registry
    name = str(request.get("name", "")).strip()
    check_new_name(registry, name)
    leader = find_account(registry, str(request.get("leader", "")))
    followers = [find_account(registry, str(follower)) for follower in request.get("followers", ())]
    check_leader(context, leader)
    check_followers(leader, followers)
    check_rights(context, followers)
    check_loops(registry, {leader.account: {follower.account for follower in followers}})
    settings = _settings(request)
    profile = ProfileId(context.new_id())
    stream = PROFILE_PREFIX + profile
    since = context.heads.get(leader.account, 0)
    taken = registry.link_ids()
    names = [(one.account, new_link(leader.account, one.account, taken)) for one in followers]
    events: list[tuple[str, Event]] = [
        (stream, ProfileCreated(profile=profile, name=name, leader=leader.account)),
        *(
            (stream, LinkAdded(link=link, follower=follower, settings=settings, since=since))
            for follower, link in names
        ),
    ]
    told = sorted(remarks({}, settings, leaders_symbols(context, leader.account)))
    told += doubled(registry, leader, followers)
    return Outcome(tuple(events), {"profile": name, "id": profile, "links": len(followers), "remarks": told})


def check_new_name(registry: Registry, name: str) -> None:
    """Refuse a name that is none, or taken."""
    if not is_name(name):
        raise Refusal(f"expected a name of {A_NAME}; found {name!r}", USAGE)
    if name.lower() in (profile.name.lower() for profile in registry.live_profiles()):
        raise Refusal(f"the name {name!r} is taken; `cmam profile list` shows all.")


def check_followers(leader: KnownAccount, followers: Sequence[KnownAccount]) -> None:
    """Refuse followers that are none, too many, twice, or the leader itself."""
    if not followers:
        raise Refusal("a profile needs at least one follower", USAGE)
    if len(followers) > FOLLOWERS_MAX:
        raise Refusal(f"expected at most {FOLLOWERS_MAX} followers, found {len(followers)}", USAGE)
    seen: set[AccountId] = set()
    for follower in followers:
        if follower.account == leader.account:
            raise Refusal(f"{leader.shown} leads here, and cannot follow itself")
        if follower.account in seen:
            raise Refusal(f"{follower.shown} is named twice as a follower", USAGE)
        seen.add(follower.account)


def _is_for_betting(context: Context, account: KnownAccount) -> bool:
    view = context.views.get(account.account)
    trader = view.trader if view is not None else None
    return AccountType.SPREAD_BETTING in (account.account_type, trader.account_type if trader is not None else None)


def check_leader(context: Context, leader: KnownAccount) -> None:
    """Refuse as the leader of a new profile an account whose volumes are stakes: no copy could be sized by them."""
    if _is_for_betting(context, leader):
        raise Refusal(f"{leader.shown} cannot lead: only hedged and netted accounts can, and it is for spread betting")


def check_rights(context: Context, followers: Iterable[KnownAccount]) -> None:
    """Refuse accounts as new followers whose consent is for reading only, that their broker lets open nothing, as far
    as is known, or whose kind we do not copy to. One that follows already and loses its rights is only managed."""
    for follower in followers:
        if not follower.can_trade:
            raise Refusal(
                f"{follower.shown} cannot follow: when it was added, its consent covered reading only, or its broker "
                "let it open nothing (`cmam account show` names its access). Add it again once both allow trading: "
                "`cmam account add`."
            )
        view = context.views.get(follower.account)
        trader = view.trader if view is not None else None
        if _is_for_betting(context, follower):
            raise Refusal(
                f"{follower.shown} cannot follow: only hedged and netted accounts can, and it is for spread betting"
            )
        if trader is not None and trader.access is not AccessRights.FULL_ACCESS:
            raise Refusal(f"{follower.shown} cannot follow: its broker has set it to {trader.access.value}")


def check_loops(
    registry: Registry,
    wanted: Mapping[AccountId, set[AccountId]],
    *,
    without: Iterable[ProfileId] = (),
) -> None:
    """Refuse what would close a circle over all profiles, naming the circle. `without` are those that `wanted`
    stands for."""
    follows: dict[AccountId, set[AccountId]] = {}
    passed_over = set(without)
    for profile in registry.live_profiles():
        for link in profile.links.values():
            if profile.leader is not None and profile.profile not in passed_over:
                follows.setdefault(profile.leader, set()).add(link.follower)
    for leader, followers in wanted.items():
        follows.setdefault(leader, set()).update(followers)
    for leader in sorted(wanted):
        path = _circle(follows, leader, (leader,))
        if path is not None:
            names = " → ".join(
                registry.accounts[account].shown if account in registry.accounts else str(account) for account in path
            )
            raise Refusal(f"a trade would go round in a loop and copy itself for ever: {names}")


def _circle(
    follows: Mapping[AccountId, set[AccountId]], at: AccountId, path: tuple[AccountId, ...]
) -> tuple[AccountId, ...] | None:
    """The way back to where `path` began; every account is looked at once, so wide graphs cost nothing."""
    waiting, seen = [path], {at}
    while waiting:
        path = waiting.pop()
        for follower in sorted(follows.get(path[-1], ())):
            if follower == path[0]:
                return (*path, follower)
            if follower not in seen:
                seen.add(follower)
                waiting.append((*path, follower))
    return None


def doubled(registry: Registry, leader: KnownAccount, followers: Iterable[KnownAccount]) -> Iterator[str]:
    """Which followers have their trades from this leader already, in another profile: allowed, as the two may part
    them by symbols or labels, and most likely not meant where they do not."""
    for follower in followers:
        others = sorted(
            profile.name
            for profile in registry.live_profiles()
            if profile.leader == leader.account
            for link in profile.links.values()
            if link.follower == follower.account
        )
        if others:
            yield (
                f"{follower.shown} follows {leader.shown} in {', '.join(others)} as well: "
                "a trade that both take is copied twice."
            )


# --- settings -----------------------------------------------------------------------------------------------------


def _settings(request: Request) -> dict[str, str]:
    settings = {str(name): str(value) for name, value in dict(request.get("settings", {})).items()}
    _refuse(check_settings(settings))
    return dict(sorted(settings.items()))


def _refuse(faults: Iterable[BadSetting | str]) -> None:
    """All faults at once, one a line; none is nothing."""
    found = list(dict.fromkeys(str(fault) for fault in faults))
    if found:
        raise Refusal("\n".join(found), USAGE)


def set_profile(context: Context, request: Request) -> Outcome:
    """Change settings of all links of a profile, or of the one of `follower`; what is not named keeps its value.

    `unset` are settings that go back to what the profile says for all, or to their default.
    """
    profile = find_profile(context.registry, str(request.get("profile", "")))
    given = {str(name): str(value) for name, value in dict(request.get("settings", {})).items()}
    dropped = {str(name) for name in request.get("unset", ())}
    faults: list[BadSetting | str] = []
    faults += check_each(given)
    faults += [fault for fault in check_each(dict.fromkeys(dropped, "")) if fault.name not in BY_NAME]
    faults += [f"{name}: either set it or unset it, not both" for name in sorted(dropped & given.keys())]
    _refuse(faults)
    follower = request.get("follower")
    only = find_account(context.registry, str(follower)).account if follower else None
    links = [link for link in profile.links.values() if only in (None, link.follower)]
    if not links:
        raise Refusal(f"{follower!r} does not follow in {profile.name}; `cmam profile show` lists who does.", USAGE)
    shared = profile.settings
    if only is None:
        shared = {name: value for name, value in shared.items() if name not in dropped}
    stream = PROFILE_PREFIX + profile.profile
    events: list[tuple[str, Event]] = []
    if shared != profile.settings:
        events.append((stream, ProfileSettingsChanged(settings=dict(sorted(shared.items())))))
    told: set[str] = set()
    known = leaders_symbols(context, profile.leader)
    for link in links:
        kept = {name: value for name, value in link.settings.items() if name not in dropped}
        settings = {**kept, **given}
        faults += check_settings({**shared, **settings})
        told.update(remarks({**profile.settings, **link.settings}, {**shared, **settings}, known))
        if settings != link.settings:
            changed = LinkSettingsChanged(link=link.link, settings=dict(sorted(settings.items())))
            events.append((stream, changed))
    _refuse(faults)
    answer = {"profile": profile.name, "links": len(links), "changed": len(events), "remarks": sorted(told)}
    return Outcome(tuple(events), answer)


def leaders_symbols(context: Context, leader: AccountId | None) -> frozenset[str]:
    """The symbols that the leader's broker has, as far as anybody has looked."""
    view = context.views.get(leader) if leader is not None else None
    return frozenset(view.names) if view is not None else frozenset()


# --- states -------------------------------------------------------------------------------------------------------


def move_profile(state: ProfileState) -> Command:
    """Enable or stop a profile; one that stops says what becomes of its copies."""

    def command(context: Context, request: Request) -> Outcome:
        profile = find_profile(context.registry, str(request.get("profile", "")))
        ended = moved(context, profile, state)
        released: Events = ()
        if state is ProfileState.STOPPED:
            released = release(context, request, profile, profile.links.values())
        return Outcome((*ended, *released), {"profile": profile.name, "state": state.value})

    return command


def moved(context: Context, profile: ProfileView, state: ProfileState) -> Events:
    """The event of a profile's new state, nothing where it is the old one."""
    if profile.state is state:
        return ()
    since = context.heads.get(profile.leader, 0) if profile.leader is not None else 0
    event = ProfileStateChanged(state=state, since=since, user=context.user)
    return ((PROFILE_PREFIX + profile.profile, event),)


def delete_profile(context: Context, request: Request) -> Outcome:
    """Delete a profile; what becomes of its copies is said with it."""
    profile = find_profile(context.registry, str(request.get("profile", "")))
    released = release(context, request, profile, profile.links.values())
    event = ProfileDeleted(user=context.user)
    return Outcome(((PROFILE_PREFIX + profile.profile, event), *released), {"profile": profile.name, "deleted": True})


# --- what becomes of copies -----------------------------------------------------------------------------------------


def live_copies(view: AccountView | None, links: Iterable[LinkId]) -> tuple[Copy, ...]:
    """The copies of these links that the broker holds, rest there or may yet come to be."""
    wanted = frozenset(links)
    return tuple(copy for copy in view.copies.values() if copy.link in wanted) if view is not None else ()


def release(context: Context, request: Request, profile: ProfileView, links: Iterable[Link]) -> Events:
    """Let go of the live copies of links that end, as the request says; raises Refusal where it says nothing.

    An account that is at work may be about to open: it is told also where no copy is live yet, and then what nobody was
    asked about is closed.
    """
    is_on, name = profile.state is not ProfileState.STOPPED, profile.name
    how = str(request.get("copies") or "")
    if how not in ("", LEAVE, CLOSE):
        raise Refusal(f"expected {LEAVE} or {CLOSE} for the copies, found {how!r}", USAGE)
    touched: dict[AccountId, list[LinkId]] = {}
    count = 0
    for link in links:
        view = context.views.get(link.follower)
        live = len(live_copies(view, (link.link,)))
        count += live
        if live or (is_on and view is not None and view.health is Health.RECONCILED):
            touched.setdefault(link.follower, []).append(link.link)
    if count and not how:
        of = "1 copy" if count == 1 else f"{count} copies"
        raise Refusal(f"{of} of {name} {'is' if count == 1 else 'are'} live: say --close or --leave", USAGE)
    keep = bool(request.get("keep_pendings"))
    return tuple(
        (
            f"{ACCOUNT_PREFIX}{account}",
            CopiesReleased(links=tuple(sorted(of)), close=how != LEAVE, keep_pendings=keep, user=context.user),
        )
        for account, of in sorted(touched.items())
    )


def adopt(context: Context, request: Request) -> Outcome:
    """Let the links of a profile open beside what another store has left on their accounts."""
    profile = find_profile(context.registry, str(request.get("profile", "")))
    follower = request.get("follower")
    only = find_account(context.registry, str(follower)).account if follower else None
    wanted = str(request.get("store") or "")
    events: list[tuple[str, Event]] = []
    stores: set[str] = set()
    for link in profile.links.values():
        view = context.views.get(link.follower)
        if view is None or only not in (None, link.follower):
            continue
        for store in foreign_stores(view, link.link, str(context.registry.store)):
            if wanted in ("", store):
                stores.add(store)
                event = CopyAdopted(link=link.link, store=store, user=context.user)
                events.append((f"{ACCOUNT_PREFIX}{link.follower}", event))
    if not events:
        which = f"of the store {wanted!r}" if wanted else "of another store"
        raise Refusal(f"nothing to adopt: no follower of {profile.name} has a live copy {which}.")
    return Outcome(tuple(events), {"profile": profile.name, "stores": sorted(stores), "adopted": len(events)})


def foreign_stores(view: AccountView, link: LinkId, own: str) -> tuple[str, ...]:
    """The other stores whose live copies an account shows, less those that a link has adopted already."""
    labels = [position.label for position in view.positions.values()]
    labels += [order.label for order in view.orders.values()]
    marks = (read_label(label) for label in labels)
    known = {own, *view.adopted.get(link, ())}
    return tuple(sorted({mark.store for mark in marks if mark is not None and mark.store not in known}))
