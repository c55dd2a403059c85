"""What a record of `app`, of a profile or of a connection changes in the audit's tables. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cmam.domain.events import ApiConfigured, ConnectionDown, ConnectionUp, LimiterMeasured, RequestsBlocked
from cmam.domain.operating.registry import KnownAccount, Registry
from cmam.domain.profiles.link import Link, ProfileView
from cmam.domain.values.ids import LinkId, ProfileId
from cmam.store.folding.fold import RegistryStep
from cmam.store.projection import schema
from cmam.store.projection.rows import Change, Row
from cmam.store.text import iso


def changes_of_registry(step: RegistryStep) -> Iterator[Change]:
    """What a record of `app`, of a profile or of a connection changes."""
    for known in step.after.accounts.values():
        if known is not step.before.accounts.get(known.account):
            yield schema.ACCOUNTS, _known_account(step, known)
    for gone in step.after.removed.keys() - step.before.removed.keys():
        yield schema.ACCOUNTS, {"account": int(gone), "removed": 1, "position": step.record.position}
    for profile in step.after.profiles.values():
        if profile is not step.before.profiles.get(profile.profile):
            yield from _profile(step, profile)
    yield from _settings(step)
    yield from _connection(step)


def _known_account(step: RegistryStep, known: KnownAccount) -> Row:
    """What the operator knows; of currency and type only what a consent told, for the broker may have told since."""
    told = {"currency": known.currency, "account_type": known.account_type}
    return {
        "account": int(known.account),
        "login": known.login,
        "broker": known.broker,
        "alias": known.alias or None,
        "tags": ",".join(known.tags) or None,
        **{name: value for name, value in told.items() if value},
        "is_live": int(known.is_live),
        "can_trade": int(known.can_trade),
        "paused": int(known.paused),
        "removed": 0,
        "position": step.record.position,
    }


def _profile(step: RegistryStep, profile: ProfileView) -> Iterator[Change]:
    yield (
        schema.PROFILES,
        {
            "profile_id": profile.profile,
            "name": profile.name,
            "leader": profile.leader,
            "state": profile.state.value,
            "links": len(profile.links),
            "deleted": int(profile.deleted),
            "version": profile.version,
            "position": step.record.position,
        },
    )
    known = step.before.profiles.get(profile.profile)
    was: Mapping[LinkId, Link] = known.links if known is not None else {}
    for link in (*was.values(), *profile.links.values()):
        if was.get(link.link) is not profile.links.get(link.link):
            yield (
                schema.LINKS,
                {
                    "link": link.link,
                    "profile_id": profile.profile,
                    "follower": int(link.follower),
                    "removed": int(link.link not in profile.links),
                    "position": step.record.position,
                },
            )


def _settings(step: RegistryStep) -> Iterator[Change]:
    """One row for each change of what the operator wants, with what differs from before."""
    record, event = step.record, step.record.event
    is_api = isinstance(event, ApiConfigured)
    is_profile = record.stream.startswith("profile:")
    if not is_api and not is_profile:
        return
    profile = ProfileId(record.stream.removeprefix("profile:")) if is_profile else None
    link: LinkId | None = getattr(event, "link", None)
    was, now = _wanted(step.before, profile, link), _wanted(step.after, profile, link)
    follower = _follower(step.after, profile, link) or _follower(step.before, profile, link)
    yield (
        schema.SETTINGS,
        {
            "position": record.position,
            "at": iso(record.at_us),
            "what": event.TOPIC,
            "profile_id": profile,
            "account": follower,
            "link": link,
            "settings": _json(now),
            "changed": _json(
                {name: [was.get(name), now.get(name)] for name in was | now if was.get(name) != now.get(name)}
            ),
            "user": getattr(event, "user", "") or None,
            "version": record.version,
            "at_us": record.at_us,
        },
    )


def _wanted(registry: Registry, profile: ProfileId | None, link: LinkId | None) -> dict[str, str]:
    """What the operator wants of the API, of a profile, or of a link, by name."""
    if profile is None:
        return dict(registry.api)
    view = registry.profiles.get(profile)
    if view is None:
        return {}
    if link is not None:
        return dict(view.links[link].settings) if link in view.links else {}
    own = {"name": view.name, "leader": str(view.leader), "state": "deleted" if view.deleted else view.state.value}
    return {**own, **view.settings}


def _follower(registry: Registry, profile: ProfileId | None, link: LinkId | None) -> int | None:
    view = registry.profiles.get(profile) if profile is not None else None
    found = view.links.get(link) if view is not None and link is not None else None
    return int(found.follower) if found is not None else None


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(sorted(value.items())), ensure_ascii=False)


def _connection(step: RegistryStep) -> Iterator[Change]:
    record, text = step.record, ""
    row: Row = {}
    match record.event:
        case ConnectionUp(host=host, port=port):
            text = f"{host}:{port}"
        case ConnectionDown(reason=reason):
            text = reason
        case RequestsBlocked(payload_type=kind, retry_after_s=delay, error_code=code):
            text = f"{code}: requests of type {kind} for {delay} s"
        case LimiterMeasured(sent=sent, busiest_second=busiest, dropped=dropped):
            text, row = f"{dropped} dropped", {"sent": sent, "busiest_second": busiest}
        case _:
            return
    yield (
        schema.CONNECTIONS,
        {
            "position": record.position,
            "at": iso(record.at_us),
            "connection": record.stream.removeprefix("connection:"),
            "what": record.event.TOPIC,
            "text": text,
            "at_us": record.at_us,
            **row,
        },
    )
