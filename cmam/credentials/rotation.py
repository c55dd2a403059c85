"""Refreshing tokens so that no crash and no refusal takes anybody by surprise.

The order is what matters: note that the refresh token is about to be spent, spend it, make the new pair durable, and
only then hand it out. Must not know who uses the tokens, nor when this is called.

| a crash after | next start finds | and does |
|---|---|---|
| the note | the old pair, `refreshing` | tries the old access token, then the refresh token once more |
| the provider's answer | the same: the new pair was never seen by us | the same; if both are dead, asks for consent |
| the new pair is durable | the new pair | uses it |

Only the second row can lose a pair, and no client can prevent it. Nothing rests on what the note says: that it could be
written shows, before anything is spent, that the place takes what comes. A pair that its
place does not take is spent all the same: it is handed back, to be used and saved as soon as that can be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from cmam.credentials.oauth import OAuthRefused, OAuthUnreachable
from cmam.credentials.secrets_file import SecretsRefused, SecretStore
from cmam.credentials.vault import Application, Grant, TokenPair, Vault, not_refreshed, refreshed, refreshing

RETRY_US_MIN = 60_000_000
"""Shortest pause between two tries to refresh one grant."""


class Provider(Protocol):
    """Who changes a refresh token into the next pair."""

    def refresh(self, application: Application, pair: TokenPair, *, now: int) -> TokenPair:
        """Spend the refresh token of `pair`; raises OAuthRefused or OAuthUnreachable."""
        ...


@dataclass(frozen=True, slots=True)
class Rotated:
    """The new pair is durable; its accounts may be authorised with it."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class Unsaved:
    """The new pair is known to this process alone, since its place took nothing; the old one is spent. See `save`."""

    grant: Grant
    why: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """Nothing was spent, or nobody knows: the old pair stays, and is tried again later."""

    grant: Grant
    why: str


@dataclass(frozen=True, slots=True)
class ConsentNeeded:
    """The provider refused the refresh token for good: only a person can open these accounts again."""

    grant: Grant
    why: str


def due(vault: Vault, *, now: int) -> tuple[Grant, ...]:
    """The grants to refresh by now, the most urgent first; `now` in us UTC."""
    ripe = [grant for grant in vault.usable_grants if grant.may_refresh and grant.pair.refresh_at <= now]
    return tuple(sorted(ripe, key=lambda grant: grant.pair.refresh_at))


Outcome = Rotated | Unsaved | Postponed | ConsentNeeded


def rotate(store: SecretStore, provider: Provider, name: str, *, now: int) -> Outcome | None:
    """Refresh one grant; None where its accounts were removed. Blocks for as long as the provider takes.

    Raises SecretsRefused where nothing can be read or written before anything is spent.

    A grant that somebody else has refreshed meanwhile is returned as it is: two processes with one pair would otherwise
    spend the same refresh token, and the second would lose both.
    """
    before = store.load()
    application, known = before.application, before.grant(name)
    if application is None or known is None:
        return None
    if not known.may_refresh:
        return ConsentNeeded(known, "it came without a refresh token")
    store.update(lambda vault: refreshing(vault, name))
    try:
        pair = provider.refresh(application, known.pair, now=now)
    except OAuthRefused as refused:
        vault = store.update(lambda vault: not_refreshed(vault, name))
        present = vault.grant(name) or known
        if present.pair != known.pair:
            return Rotated(present)
        is_final = refused.code in ("CH_ACCESS_TOKEN_INVALID", "ACCESS_DENIED", "INVALID_GRANT", "invalid_grant")
        return ConsentNeeded(present, str(refused)) if is_final else Postponed(present, str(refused))
    except OAuthUnreachable as unreachable:
        if not unreachable.was_sent:
            store.update(lambda vault: not_refreshed(vault, name))
        return Postponed(store.load().grant(name) or known, str(unreachable))
    try:
        grant = save(store, name, pair)
    except SecretsRefused as refused:
        return Unsaved(replace(known, pair=pair), str(refused))
    return Rotated(grant) if grant is not None else None


def save(store: SecretStore, name: str, pair: TokenPair) -> Grant | None:
    """Make a new pair durable; None where its accounts were removed. Raises SecretsRefused."""
    return store.update(lambda vault: refreshed(vault, name, pair)).grant(name)
