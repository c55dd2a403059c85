"""Everything secret that one home holds, as a value, and how it changes.

Pure: a change takes a vault and gives the next one. Must not know where vaults are kept, nor what time it is.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from cmam.config.secret import Secret

FINGERPRINT_HEX = 16
"""64 bits of a keyed hash: enough to tell values of one home apart, useless without the key in secrets.json."""
REFRESH_AT_PERCENT = 80
"""A token is refreshed when this part of its life is over: six days before the end of Spotware's thirty."""
LIFE_ASSUMED_US = 28 * 86_400_000_000
"""The life of a token whose end nobody told us; Spotware's live for 2,628,000 s (wire.md#tokens)."""


@dataclass(frozen=True, slots=True)
class Application:
    """What the person registered with Spotware. The id is no secret, but nobody's business either."""

    client_id: str
    client_secret: Secret


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An access token with the refresh token that came with it; times in us UTC, the end None where nobody told."""

    access: Secret
    refresh: Secret
    issued_at: int
    expires_at: int | None = None

    @property
    def refresh_at(self) -> int:
        """When to ask for the next pair, well before the end."""
        end = self.issued_at + LIFE_ASSUMED_US if self.expires_at is None else self.expires_at
        return self.issued_at + (end - self.issued_at) * REFRESH_AT_PERCENT // 100


@dataclass(frozen=True, slots=True)
class Grant:
    """One consent: a pair of tokens and the accounts (ctidTraderAccountId) they open.

    `user` is the cTrader ID that gave it, 0 where unknown. `application` is the fingerprint of the client id it was
    given to: under another application it opens nothing. `refreshing` is set before a refresh token is spent and
    cleared with its answer: a file that takes this takes the new pair, and shows a crash in between.
    """

    id: str
    pair: TokenPair
    accounts: tuple[int, ...]
    application: str
    user: int = 0
    refreshing: bool = False

    @property
    def may_refresh(self) -> bool:
        """Whether there is a refresh token at all; a script may bring an access token only."""
        return bool(self.pair.refresh)


@dataclass(frozen=True, slots=True)
class Vault:
    """The application, the grants, and the key of this home's fingerprints."""

    fingerprint_key: Secret
    application: Application | None = None
    grants: tuple[Grant, ...] = ()

    def fingerprint(self, text: str) -> str:
        """Name a secret without showing it: same text and same home, same name; nothing can be computed back."""
        keyed = hmac.new(bytes.fromhex(self.fingerprint_key.reveal()), text.encode(), hashlib.sha256)
        return keyed.hexdigest()[:FINGERPRINT_HEX]

    @property
    def application_name(self) -> str:
        """The fingerprint of the configured application, empty without one."""
        return self.fingerprint(self.application.client_id) if self.application else ""

    @property
    def usable_grants(self) -> tuple[Grant, ...]:
        """The grants of the present application, those that open something."""
        return tuple(grant for grant in self.grants if grant.application == self.application_name and grant.accounts)

    def grant_of(self, account: int) -> Grant | None:
        """The grant that opens an account under the present application."""
        return next((grant for grant in self.usable_grants if account in grant.accounts), None)

    def grant(self, name: str) -> Grant | None:
        """A grant by its id."""
        return next((grant for grant in self.grants if grant.id == name), None)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret text there is, for tests that look for leaks and for a filter before logs."""
        own = [self.fingerprint_key, *([self.application.client_secret] if self.application else [])]
        return (*own, *(token for grant in self.grants for token in (grant.pair.access, grant.pair.refresh) if token))


def with_application(vault: Vault, application: Application) -> Vault:
    """Use this application from now on. Grants of another stay, unused: going back to it makes them valid again."""
    return replace(vault, application=application)


def locked_out(vault: Vault, client_id: str) -> tuple[int, ...]:
    """The accounts that would have to be authorised again if `client_id` became the application."""
    if vault.application is None or vault.application.client_id == client_id:
        return ()
    name = vault.fingerprint(client_id)
    known = {account for grant in vault.grants if grant.application == name for account in grant.accounts}
    return tuple(sorted({account for grant in vault.usable_grants for account in grant.accounts} - known))


def as_known(vault: Vault, pair: TokenPair) -> TokenPair:
    """What became here of a pair that somebody brings; itself where it is new.

    Brought again, a token is no younger than it was, and keeps its refresh token. One that was refreshed here is spent.
    """
    name = vault.fingerprint(pair.access.reveal())
    known = next((g.pair for g in vault.grants if g.id == name or g.pair.access == pair.access), None)
    if known is None or known.access != pair.access:
        return known or pair
    return replace(known, refresh=pair.refresh or known.refresh, expires_at=known.expires_at or pair.expires_at)


def with_grant(vault: Vault, pair: TokenPair, accounts: Iterable[int], *, user: int = 0) -> tuple[Vault, Grant]:
    """Take in what a consent gave. The newest consent owns its accounts; an older one that opens nothing else goes.

    The same access token again is the same grant: repeating an `account add` changes nothing.
    """
    pair = as_known(vault, pair)
    opened = tuple(sorted(set(accounts)))
    known = next((g for g in vault.grants if g.pair.access == pair.access), None)
    name = known.id if known else vault.fingerprint(pair.access.reveal())
    grant = Grant(name, pair, opened, vault.application_name, user)
    others = (
        replace(other, accounts=tuple(account for account in other.accounts if account not in opened))
        if other.application == grant.application
        else other
        for other in vault.grants
        if other.id != name
    )
    return replace(vault, grants=(*(other for other in others if other.accounts), grant)), grant


def unticked(vault: Vault, accounts: Iterable[int], *, user: int) -> tuple[int, ...]:
    """The known accounts of a cTrader ID that a new consent does not cover: they may lose their access by it."""
    covered = set(accounts)
    known = {account for grant in vault.usable_grants if user and grant.user == user for account in grant.accounts}
    return tuple(sorted(known - covered))


def without_accounts(vault: Vault, accounts: Iterable[int]) -> Vault:
    """Forget accounts, and the tokens that opened nothing else."""
    gone = set(accounts)
    left = (replace(g, accounts=tuple(a for a in g.accounts if a not in gone)) for g in vault.grants)
    return replace(vault, grants=tuple(grant for grant in left if grant.accounts))


def refreshing(vault: Vault, name: str) -> Vault:
    """Note that a grant's refresh token is about to be spent."""
    return _changed(vault, name, lambda grant: replace(grant, refreshing=True))


def refreshed(vault: Vault, name: str, pair: TokenPair) -> Vault:
    """Put the new pair in the place of the old, both tokens at once."""
    return _changed(vault, name, lambda grant: replace(grant, pair=pair, refreshing=False))


def not_refreshed(vault: Vault, name: str) -> Vault:
    """Note that the provider refused or was not reached before it could spend the refresh token."""
    return _changed(vault, name, lambda grant: replace(grant, refreshing=False))


def _changed(vault: Vault, name: str, change: Callable[[Grant], Grant]) -> Vault:
    return replace(vault, grants=tuple(change(grant) if grant.id == name else grant for grant in vault.grants))
