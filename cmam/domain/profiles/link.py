"""Profiles and links as their streams tell them: who follows whom, under which policy, and whether now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cmam.domain.events import (
    Event,
    LinkAdded,
    LinkRemoved,
    LinkSettingsChanged,
    ProfileCreated,
    ProfileDeleted,
    ProfileRenamed,
    ProfileSettingsChanged,
    ProfileState,
    ProfileStateChanged,
    Standing,
)
from cmam.domain.profiles.policy import Policy, policy_of
from cmam.domain.values.ids import AccountId, LinkId, ProfileId, StoreId


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One follower of a profile's leader, with the settings that differ from their defaults."""

    link: LinkId
    follower: AccountId
    settings: Mapping[str, str] = field(default_factory=dict)
    since: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileView:
    """A profile as its stream tells it. `version` is the settings version that decisions name."""

    profile: ProfileId
    name: str = ""
    leader: AccountId | None = None
    state: ProfileState = ProfileState.RUNNING
    links: Mapping[LinkId, Link] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    version: int = 0
    deleted: bool = False
    former: frozenset[LinkId] = frozenset()


def evolve_profile(view: ProfileView, event: Event) -> ProfileView:
    """Fold one event of a profile's stream."""
    view = replace(view, version=view.version + 1)
    match event:
        case ProfileCreated():
            return replace(view, profile=event.profile, name=event.name, leader=event.leader)
        case LinkAdded():
            link = Link(link=event.link, follower=event.follower, settings=event.settings, since=event.since)
            return replace(view, links={**view.links, event.link: link})
        case LinkSettingsChanged():
            known = view.links.get(event.link)
            if known is None:
                return view
            return replace(view, links={**view.links, event.link: replace(known, settings=event.settings)})
        case LinkRemoved():
            kept = {key: link for key, link in view.links.items() if key != event.link}
            return replace(view, links=kept, former=view.former | {event.link})
        case ProfileStateChanged():
            links = view.links
            if view.state is ProfileState.STOPPED and event.state is not ProfileState.STOPPED:
                links = {key: replace(link, since=max(link.since, event.since)) for key, link in links.items()}
            return replace(view, state=event.state, links=links)
        case ProfileSettingsChanged():
            return replace(view, settings=event.settings)
        case ProfileRenamed():
            return replace(view, name=event.name)
        case ProfileDeleted():
            return replace(view, deleted=True)
        case _:
            return view


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """All that a follower's account needs to know of one of its links at one settings version."""

    link: LinkId
    profile: ProfileId
    profile_name: str
    leader: AccountId
    follower: AccountId
    store: StoreId
    policy: Policy
    version: int
    standing: Standing
    since: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)


def link_settings(
    view: ProfileView, store: StoreId, *, paused_accounts: frozenset[AccountId]
) -> tuple[LinkSettings, ...]:
    """The links of a profile that take part now: none of a stopped or deleted one."""
    if view.deleted or view.state is ProfileState.STOPPED or view.leader is None:
        return ()
    merged = {link.link: {**view.settings, **link.settings} for link in view.links.values()}
    return tuple(
        LinkSettings(
            link=link.link,
            profile=view.profile,
            profile_name=view.name,
            leader=view.leader,
            follower=link.follower,
            store=store,
            policy=policy_of(merged[link.link]),
            settings=dict(sorted(merged[link.link].items())),
            version=view.version,
            standing=_standing(view, link, paused_accounts),
            since=link.since,
        )
        for link in view.links.values()
    )


def _standing(view: ProfileView, link: Link, paused_accounts: frozenset[AccountId]) -> Standing:
    is_paused = view.state is ProfileState.PAUSED or link.follower in paused_accounts or view.leader in paused_accounts
    return Standing.PAUSED if is_paused else Standing.RUNNING
