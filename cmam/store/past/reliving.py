"""The past as one decision met it: the follower's view just before, the settings of that version, and who set them.

Folded from the log with the domain's own functions. It remembers the last view of each account that it folded, so that
the decisions of one story cost one fold. It must not know the tables of the audit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cmam.domain.belief.view import AccountView, in_the_making, lasting
from cmam.domain.deciding.attempts import settings_of
from cmam.domain.events import AttemptDecided, ChangeDecided, CopyWoken
from cmam.domain.folds.account import advance
from cmam.domain.operating.registry import APP, PROFILE_PREFIX, Registry, evolve_registry
from cmam.domain.profiles.link import LinkSettings, ProfileView, link_settings
from cmam.domain.profiles.policy import BY_NAME
from cmam.domain.trials.cases import Case
from cmam.domain.values.ids import AccountId, LinkId, ProfileId, StoreId
from cmam.store.folding.fold import account_of
from cmam.store.logfile.log import EventLog
from cmam.store.records.envelope import Recorded
from cmam.store.text import iso

Kept = Callable[[str, int], AccountView | None]
"""A view that was kept of a stream, before a version; a cache, or nothing."""


class Past:
    """What was believed and wanted when decisions were made. For one question after the other, oldest first."""

    def __init__(self, log: EventLog, kept: Kept = lambda _stream, _before: None) -> None:
        self._log = log
        self._kept = kept
        self._views: dict[AccountId, AccountView] = {}
        self._profiles: dict[ProfileId, list[tuple[Recorded, ProfileView]]] = {}
        self._store: StoreId | None = None

    # --- accounts -----------------------------------------------------------------------------------------------------

    def view_before(self, account: AccountId, version: int) -> AccountView:
        """The account's view just before a record of its stream."""
        view = self._views.get(account)
        if view is None or view.version >= version:
            view = AccountView(account=account)
        kept = self._kept(f"account:{account}", version)
        if kept is not None and kept.version > view.version:
            view = kept
        if view.version < version - 1:
            making = in_the_making(view)
            for record in self._log.read_stream(f"account:{account}", after=view.version):
                if record.version >= version:
                    break
                advance(making, record.event, record.at_us)
            view = lasting(making)
        self._views[account] = view
        return view

    def case_of(self, record: Recorded, event: ChangeDecided) -> Case | None:
        """A decision as a case that can be run again; None where its link is not to be found."""
        account, link = account_of(record.stream), self.link(event.profile, event.link, event.settings_version)
        if account is None or link is None:
            return None
        view = self.view_before(account, record.version)
        return Case(view=view, change=event.change, link=link, inputs=event.inputs, now_us=record.at_us)

    def case_of_attempt(self, record: Recorded) -> Case | None:
        """A later look at a waiting open as a case; None where what woke it is not to be found."""
        account, event = account_of(record.stream), record.event
        if account is None or not isinstance(event, AttemptDecided) or record.cause is None:
            return None
        woke = self._log.record(*record.cause)
        if woke is None or not isinstance(woke.event, CopyWoken):
            return None
        view = self.view_before(account, record.version)
        copy = view.copies.get((event.link, event.source))
        if copy is None or copy.change is None:
            return None
        return Case(
            view=view,
            change=copy.change,
            link=settings_of(view, copy, woke.event, self.store),
            inputs=woke.event.inputs,
            now_us=record.at_us,
            waiting=copy,
        )

    # --- settings -----------------------------------------------------------------------------------------------------

    @property
    def store(self) -> StoreId:
        """The name of the store."""
        if self._store is None:
            registry = Registry()
            for record in self._log.read_stream(APP):
                registry = evolve_registry(registry, APP, record.event)
                if registry.store:
                    break
            self._store = registry.store
        return self._store

    def profile_name(self, profile: ProfileId) -> str:
        """What the profile is called now."""
        history = self._history(profile)
        return history[-1][1].name if history else str(profile)

    def link(self, profile: ProfileId, link: LinkId, version: int) -> LinkSettings | None:
        """A link's settings as they were at a version of its profile."""
        view = self._profile_at(profile, version)
        if view is None:
            return None
        found = link_settings(view, self.store, paused_accounts=frozenset())
        return next((one for one in found if one.link == link), None)

    def settings(self, profile: ProfileId, link: LinkId, version: int) -> Mapping[str, str]:
        """What was set, profile and link together, at a version."""
        return _wanted(self._profile_at(profile, version), link)

    def set_by(self, profile: ProfileId, link: LinkId, version: int, names: Sequence[str]) -> list[dict[str, Any]]:
        """For each setting its value at a version, and the record that made it so: when, and by whom."""
        found = []
        for name in names:
            default = BY_NAME[name].default
            value, since = default, None
            for record, view in self._history(profile):
                if record.version > version:
                    break
                now = _wanted(view, link).get(name, default)
                if now != value:
                    value, since = now, record
            found.append(
                {
                    "setting": name,
                    "value": value,
                    "default": default,
                    "version": since.version if since is not None else None,
                    "at": iso(since.at_us) if since is not None else None,
                    "user": (getattr(since.event, "user", "") or None) if since is not None else None,
                }
            )
        return found

    def _history(self, profile: ProfileId) -> list[tuple[Recorded, ProfileView]]:
        if profile not in self._profiles:
            stream, registry = PROFILE_PREFIX + profile, Registry()
            found = self._profiles[profile] = []
            for record in self._log.read_stream(stream):
                registry = evolve_registry(registry, stream, record.event)
                if profile in registry.profiles:
                    found.append((record, registry.profiles[profile]))
        return self._profiles[profile]

    def _profile_at(self, profile: ProfileId, version: int) -> ProfileView | None:
        return next((view for record, view in reversed(self._history(profile)) if record.version <= version), None)


def _wanted(profile: ProfileView | None, link: LinkId) -> Mapping[str, str]:
    found = profile.links.get(link) if profile is not None else None
    return {**profile.settings, **found.settings} if profile is not None and found is not None else {}
