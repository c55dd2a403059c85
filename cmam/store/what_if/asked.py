"""What is asked of a what-if: which settings of which links are to be other ones, all of them checked at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cmam.domain.operating.registry import KnownAccount, Registry
from cmam.domain.profiles.link import LinkSettings, ProfileView
from cmam.domain.profiles.policy import check_settings, policy_of
from cmam.domain.values.ids import LinkId


class AskedInvalid(Exception):
    """What was asked cannot be; each fault is one sentence."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


@dataclass(slots=True)
class Asked:
    """Other settings: by link, those to be set beside the recorded ones, or in their place."""

    besides: dict[LinkId, dict[str, str]] = field(default_factory=dict)
    instead: dict[LinkId, dict[str, str]] = field(default_factory=dict)
    _known: dict[tuple[LinkId, tuple[tuple[str, str], ...]], LinkSettings] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        registry: Registry,
        settings: Mapping[str, str],
        *,
        profile: str = "",
        follower: str = "",
        documents: Iterable[Mapping[str, Any]] = (),
    ) -> Asked:
        """Understand what is asked, for what the log knows; raises AskedInvalid with every fault.

        `settings` go to all links, or to those of `profile` and `follower`; `documents` are profiles of a file, whose
        settings take the place of all recorded ones.
        """
        asked, faults = cls(), []
        profiles = [found for found in registry.profiles.values() if found.links]
        if not profiles:
            raise AskedInvalid(["this log has no profile: there is nothing to run again."])
        for document in documents:
            faults += asked._take_document(registry, profiles, document)
        if settings or not faults:
            faults += asked._take_settings(registry, profiles, settings, profile, follower)
        if faults:
            raise AskedInvalid(faults)
        return asked

    def _take_settings(
        self, registry: Registry, profiles: list[ProfileView], settings: Mapping[str, str], profile: str, follower: str
    ) -> list[str]:
        faults: list[str] = []
        chosen = [found for found in profiles if not profile or found.name.casefold() == profile.casefold()]
        if not chosen:
            known = ", ".join(sorted(found.name for found in profiles))
            return [f"--profile: this log has no profile {profile}; there are: {known}."]
        links = [
            (found, link)
            for found in chosen
            for link in found.links.values()
            if not follower or follower in _names(registry.accounts.get(link.follower), int(link.follower))
        ]
        if not links:
            return [f"--follower: this log has no follower {follower} (ctid, alias or broker:login)."]
        for found, link in links:
            held = self.instead.get(link.link, {**found.settings, **link.settings})
            of_old = {str(bad) for bad in check_settings(held)}  # stored may be what is not allowed any more
            faults += [
                f"{bad.name}: expected {bad.allowed}, found {bad.value!r}."
                for bad in check_settings({**held, **settings})
                if bad.name in settings or str(bad) not in of_old
            ]
            self.besides[link.link] = dict(settings)
        return list(dict.fromkeys(faults))

    def _take_document(self, registry: Registry, profiles: list[ProfileView], document: Mapping[str, Any]) -> list[str]:
        name = str(document["name"])
        found = next((one for one in profiles if one.name.casefold() == name.casefold()), None)
        if found is None:
            known = ", ".join(sorted(one.name for one in profiles))
            return [f"profile {name!r}: this log has no profile of that name; there are: {known}."]
        faults: list[str] = []
        for entry in document["followers"]:
            account = str(entry["account"])
            link = next(
                (
                    one
                    for one in found.links.values()
                    if account in _names(registry.accounts.get(one.follower), int(one.follower))
                ),
                None,
            )
            where = f"profile {name!r}, follower {account}"
            if link is None:
                faults.append(f"{where}: it does not follow in this profile of the log.")
                continue
            merged = {**document["settings"], **entry["settings"]}
            faults += [
                f"{where}, {bad.name}: expected {bad.allowed}, found {bad.value!r}." for bad in check_settings(merged)
            ]
            self.instead[link.link] = merged
        return faults

    def change(self, link: LinkSettings) -> LinkSettings:
        """The link's settings as they are asked to be."""
        besides, instead = self.besides.get(link.link), self.instead.get(link.link)
        if not besides and instead is None:
            return link
        merged = {**(link.settings if instead is None else instead), **(besides or {})}
        key = (link.link, tuple(sorted(merged.items())))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = replace(link, settings=dict(sorted(merged.items())), policy=policy_of(merged))
        if known.policy == link.policy:
            return link
        return replace(link, settings=known.settings, policy=known.policy)


def _names(account: KnownAccount | None, ctid: int) -> tuple[str, ...]:
    if account is None:
        return (str(ctid),)
    return (str(ctid), account.alias, str(account.login), f"{account.broker}:{account.login}")
