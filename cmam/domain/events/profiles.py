"""Profiles and their links: who follows whom, under which settings.

They know nothing of what is held or traded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from cmam.domain.events.values import Event
from cmam.domain.values.ids import AccountId, LinkId, ProfileId


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileCreated(Event):
    """A profile was created: one leader, and links to follow."""

    TOPIC: ClassVar[str] = "profile.created"
    profile: ProfileId
    name: str
    leader: AccountId
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAdded(Event):
    """A follower was joined to the profile's leader. `since` is the leader's stream version at which it begins."""

    TOPIC: ClassVar[str] = "profile.link_added"
    link: LinkId
    follower: AccountId
    settings: Mapping[str, str] = field(default_factory=dict)
    since: int = 0
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettingsChanged(Event):
    """A link's policy was changed: the settings that differ from their defaults, all of them, by name."""

    TOPIC: ClassVar[str] = "profile.link_settings_changed"
    link: LinkId
    settings: Mapping[str, str]
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRemoved(Event):
    """A follower was taken out of the profile; its copies stay as they are."""

    TOPIC: ClassVar[str] = "profile.link_removed"
    link: LinkId
    user: str = ""


class ProfileState(StrEnum):
    """What the operator wants of a profile."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileStateChanged(Event):
    """The operator resumed, paused or stopped a profile. `since` maps each leader to the version copying begins at."""

    TOPIC: ClassVar[str] = "profile.state_changed"
    state: ProfileState
    since: int = 0
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSettingsChanged(Event):
    """Settings of the whole profile were changed: those that differ from their defaults, all of them, by name."""

    TOPIC: ClassVar[str] = "profile.settings_changed"
    settings: Mapping[str, str]
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRenamed(Event):
    """A profile got another name."""

    TOPIC: ClassVar[str] = "profile.renamed"
    name: str
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileDeleted(Event):
    """A profile was deleted; its history stays."""

    TOPIC: ClassVar[str] = "profile.deleted"
    user: str = ""
