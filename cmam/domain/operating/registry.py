"""What the operator knows: the accounts, the profiles, and the name of the store. Folded from `app` and `profile:*`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cmam.domain.events import (
    AccountAdded,
    AccountAliased,
    AccountPaused,
    AccountRemoved,
    AccountTagged,
    ApiConfigured,
    Event,
    ProfileState,
    StoreCreated,
)
from cmam.domain.profiles.link import LinkSettings, ProfileView, evolve_profile, link_settings
from cmam.domain.values.ids import AccountId, LinkId, ProfileId, StoreId

APP = "app"
PROFILE_PREFIX = "profile:"
ACCOUNT_PREFIX = "account:"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAccount:
    """An account as its owner added it. `grant` is the fingerprint of the consent that opens it."""

    account: AccountId
    login: int = 0
    broker: str = ""
    is_live: bool = False
    can_trade: bool = True
    grant: str = ""
    currency: str = ""
    account_type: str = ""
    alias: str = ""
    tags: tuple[str, ...] = ()
    paused: bool = False
    paused_reason: str = ""

    @property
    def shown(self) -> str:
        """The name a person knows it by."""
        return self.alias or f"{self.broker}:{self.login}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Everything that a command of the operator may rest on."""

    store: StoreId = StoreId("")  # noqa: RUF009 - a NewType of str is immutable
    accounts: Mapping[AccountId, KnownAccount] = field(default_factory=dict)
    removed: Mapping[AccountId, KnownAccount] = field(default_factory=dict)
    """As they were known last: their history stays, and is asked for by the same names."""
    profiles: Mapping[ProfileId, ProfileView] = field(default_factory=dict)
    api: Mapping[str, str] = field(default_factory=dict)
    application: str = ""
    is_again: bool = False

    @property
    def paused_accounts(self) -> frozenset[AccountId]:
        return frozenset(account.account for account in self.accounts.values() if account.paused)

    def live_profiles(self) -> tuple[ProfileView, ...]:
        """The profiles that were not deleted, by name."""
        return tuple(sorted((p for p in self.profiles.values() if not p.deleted), key=lambda p: p.name.lower()))

    def managed_links(self) -> frozenset[LinkId]:
        """The links whose copies a start manages: those of profiles that are neither disabled nor deleted."""
        on = (profile for profile in self.live_profiles() if profile.state is not ProfileState.STOPPED)
        return frozenset(link for profile in on for link in profile.links)

    def link_ids(self) -> frozenset[LinkId]:
        """Every link there ever was, those of deleted profiles too: none of these names is given again."""
        return frozenset(link for profile in self.profiles.values() for link in (*profile.links, *profile.former))

    def links(self) -> tuple[LinkSettings, ...]:
        """All links that take part now."""
        return tuple(
            link
            for profile in self.live_profiles()
            for link in link_settings(profile, self.store, paused_accounts=self.paused_accounts)
        )


def evolve_registry(registry: Registry, stream: str, event: Event) -> Registry:
    """Fold one event of `app` or of a profile's stream; other streams change nothing."""
    if stream == APP:
        return _evolve_app(registry, event)
    if stream.startswith(PROFILE_PREFIX):
        profile = ProfileId(stream.removeprefix(PROFILE_PREFIX))
        view = registry.profiles.get(profile) or ProfileView(profile=profile)
        return replace(registry, profiles={**registry.profiles, profile: evolve_profile(view, event)})
    return registry


def _evolve_app(registry: Registry, event: Event) -> Registry:
    match event:
        case StoreCreated():
            return replace(registry, store=StoreId(event.store), is_again=event.again)
        case ApiConfigured():
            return replace(registry, api=event.settings, application=event.application)
        case AccountAdded():
            known = registry.accounts.get(event.account) or KnownAccount(account=event.account)
            known = replace(
                known,
                login=event.login,
                broker=event.broker,
                is_live=event.is_live,
                can_trade=event.can_trade,
                grant=event.grant,
                currency=event.currency or known.currency,
                account_type=event.account_type or known.account_type,
            )
            return _put(replace(registry, removed=_without(registry.removed, event.account)), known)
        case AccountAliased():
            return _change(registry, event.account, alias=event.alias)
        case AccountTagged():
            return _change(registry, event.account, tags=event.tags)
        case AccountPaused():
            return _change(registry, event.account, paused=event.paused, paused_reason=event.reason)
        case AccountRemoved():
            known = registry.accounts.get(event.account) or KnownAccount(account=event.account)
            removed = {**registry.removed, event.account: known}
            return replace(registry, accounts=_without(registry.accounts, event.account), removed=removed)
        case _:
            return registry


def _without(accounts: Mapping[AccountId, KnownAccount], gone: AccountId) -> Mapping[AccountId, KnownAccount]:
    return {account: known for account, known in accounts.items() if account != gone}


def _put(registry: Registry, known: KnownAccount) -> Registry:
    return replace(registry, accounts={**registry.accounts, known.account: known})


def _change(registry: Registry, account: AccountId, **fields: object) -> Registry:
    known = registry.accounts.get(account)
    return registry if known is None else _put(registry, replace(known, **fields))  # type: ignore[arg-type]  # by name, each of its own type
