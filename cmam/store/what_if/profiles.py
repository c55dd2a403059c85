"""The profiles on their way through a what-if: as they were recorded, and with the settings that are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

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
        self._others: frozenset[AccountId] = frozenset()
        self._then: dict[tuple[ProfileId, int, LinkId], LinkSettings | None] = {}

    def take(self, stream: str, events: Iterable[Event]) -> None:
        """Take records that are no account's."""
        before = self.registry
        for event in events:
            self.registry = evolve_registry(self.registry, stream, event)
            if stream.startswith(PROFILE_PREFIX):
                profile = self.registry.profiles[ProfileId(stream.removeprefix(PROFILE_PREFIX))]
                self._history.setdefault(stream, []).append(profile)
        if self.registry is before:  # what connections tell changes nothing here, and understanding settings takes long
            return
        recorded = self.registry.links()
        self.links = tuple(self.asked.change(link) for link in recorded)
        self._others = frozenset(
            link.follower
            for link, other in zip(recorded, self.links, strict=True)
            if guards_of(link.policy) != guards_of(other.policy)
        )

    def links_of(self, account: AccountId) -> dict[LinkId, LinkSettings]:
        """The links in which an account follows."""
        return {link.link: link for link in self.links if link.follower == account}

    def has_other_guards(self, account: AccountId) -> bool:
        """Whether a follower's guards are asked to be other ones than recorded."""
        return account in self._others

    def settings_then(self, event: ChangeDecided) -> LinkSettings | None:
        """The recorded settings that a decision was made by; None where the log does not have them."""
        key = (event.profile, event.settings_version, event.link)
        if key not in self._then:
            if not 0 < event.settings_version <= len(self._history.get(PROFILE_PREFIX + event.profile, [])):
                return None  # it may be there later
            self._then[key] = self._understood(*key)
        return self._then[key]

    def _understood(self, profile: ProfileId, version: int, link: LinkId) -> LinkSettings | None:
        """One link of one version: understanding those of all other followers as well took most of a what-if."""
        view = self._history[PROFILE_PREFIX + profile][version - 1]
        alone = replace(view, links={name: one for name, one in view.links.items() if name == link})
        return next(iter(link_settings(alone, self.registry.store, paused_accounts=frozenset())), None)
