"""The profiles on their way through a what-if: as they were recorded, and with the settings that are asked for."""

from __future__ import annotations

from collections.abc import Iterable

from cmam.domain.events import ChangeDecided, Event
from cmam.domain.operating.registry import PROFILE_PREFIX, Registry, evolve_registry
from cmam.domain.profiles.link import LinkSettings, ProfileView, link_settings
from cmam.domain.values.ids import AccountId, LinkId, ProfileId
from cmam.store.what_if.asked import Asked
from cmam.store.what_if.compare import guards_of


class Profiles:
    """Every version of every profile until now."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.registry = Registry()
        self.links: tuple[LinkSettings, ...] = ()
        """The links of now, with the settings that are asked for."""
        self._history: dict[str, list[ProfileView]] = {}

    def take(self, stream: str, events: Iterable[Event]) -> None:
        """Take records that are no account's."""
        for event in events:
            self.registry = evolve_registry(self.registry, stream, event)
            if stream.startswith(PROFILE_PREFIX):
                profile = self.registry.profiles[ProfileId(stream.removeprefix(PROFILE_PREFIX))]
                self._history.setdefault(stream, []).append(profile)
        self.links = tuple(self.asked.change(link) for link in self.registry.links())

    def links_of(self, account: AccountId) -> dict[LinkId, LinkSettings]:
        """The links in which an account follows."""
        return {link.link: link for link in self.links if link.follower == account}

    def has_other_guards(self, account: AccountId) -> bool:
        """Whether a follower's guards are asked to be other ones than recorded."""
        return any(
            guards_of(link.policy) != guards_of(self.asked.change(link).policy)
            for link in self.registry.links()
            if link.follower == account
        )

    def settings_then(self, event: ChangeDecided) -> LinkSettings | None:
        """The recorded settings that a decision was made by; None where the log does not have them."""
        history = self._history.get(PROFILE_PREFIX + event.profile, [])
        if not 0 < event.settings_version <= len(history):
            return None
        links = link_settings(history[event.settings_version - 1], self.registry.store, paused_accounts=frozenset())
        return next((link for link in links if link.link == event.link), None)
