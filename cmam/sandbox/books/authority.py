"""Who may do what: applications (wire.md#applications), consents, codes, access and refresh tokens (wire.md#consents,
wire.md#tokens). Pure; time comes in.

A consent makes a grant: one user, one application, the ticked accounts, a scope, and at any time one pair of tokens.
Where the evidence is divided (what a new consent or a refresh ends) a switch decides. The broker that owns this learns
by `on_dead` that an access token has ended, and tells the sessions that used it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from typing import TypeVar

from cmam.sandbox import units
from cmam.sandbox.switches import Switches
from cmam.sandbox.world import Application, World

T_ = TypeVar("T_")
SCOPES = {"accounts": 0, "trading": 1}
"""Names in the consent address and numbers on the wire (SCOPE_VIEW, SCOPE_TRADE)."""
CODES_MAX = 10_000
GRANTS_MAX = 10_000
"""Limits on what an endless row of consents may keep; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a token, a code or an application is not accepted: the wire's error code and a description."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Grant:
    """One consent and its present tokens."""

    client_id: str
    user: str
    accounts: tuple[int, ...]
    scope: int
    access_token: str
    refresh_token: str
    expires_us: int


@dataclass(frozen=True, slots=True)
class Code:
    """An authorisation code, good once and for a minute."""

    client_id: str
    redirect_uri: str
    user: str
    accounts: tuple[int, ...]
    scope: int
    expires_us: int


INVALID = Refusal("CH_ACCESS_TOKEN_INVALID", "Invalid access token")
EXPIRED = Refusal("CH_ACCESS_TOKEN_INVALID", "Access token expired")
REVOKED = "Access token revoked"


class Grants:
    """All codes and grants of a sandbox."""

    def __init__(self, world: World, switches: Switches, *, seed: int, now_us: int) -> None:
        self._world = world
        self._switches = switches
        self._seed = seed
        self._count = 0
        self._codes: dict[str, Code] = {}
        self._by_access: dict[str, Grant] = {}
        self._by_refresh: dict[str, str] = {}
        self._expired: dict[str, None] = {}
        self.on_dead: Callable[[Grant, str], None] = lambda _grant, _reason: None
        self.on_issued: Callable[[Grant], None] = lambda _grant: None
        self.states = {application.client_id: application.state for application in world.applications}
        self._grant_initially(now_us)

    def _grant_initially(self, now_us: int) -> None:
        """Grant each user's accounts to the first active application, so that a sandbox can be used at once."""
        active = next((a for a in self._world.applications if a.state == "Active"), self._world.applications[0])
        for user in self._world.users:
            own = [account for account in self._world.accounts if account.owner == user.name]
            if not own:
                continue
            named = next((account for account in own if account.access_token), None)
            self._issue(
                active.client_id,
                user.name,
                tuple(account.ctid for account in own),
                SCOPES["trading"],
                now_us,
                access=named.access_token if named else None,
                refresh=named.refresh_token if named else None,
            )

    # Applications.

    def application(self, client_id: str) -> Application | None:
        """Find an application, with its present state."""
        for application in self._world.applications:
            if application.client_id == client_id:
                return replace(application, state=self.states[client_id])
        return None

    def check_application(self, client_id: str, client_secret: str) -> Refusal | None:
        """Say why an application may not authorise, if so."""
        application = self.application(client_id)
        is_known = application is not None and hmac.compare_digest(
            application.client_secret.encode(), client_secret.encode("utf-8", "replace")
        )
        if application is None or not is_known:
            return Refusal("CH_CLIENT_AUTH_FAILURE", "clientId or clientSecret is incorrect")
        if application.state != "Active":
            return Refusal("CH_CLIENT_AUTH_FAILURE", "OA client is not in active state")
        return None

    # The OAuth flow.

    def authorise(
        self, *, user: str, accounts: tuple[int, ...], client_id: str, redirect_uri: str, scope: str, now_us: int
    ) -> str:
        """Take a user's consent; gives the code that the application exchanges for tokens."""
        code = self._secret("code")
        expires = now_us + self._switches.code_s * units.SECOND_US
        self._codes[code] = Code(client_id, redirect_uri, user, accounts, SCOPES[scope], expires)
        while len(self._codes) > CODES_MAX:
            del self._codes[next(iter(self._codes))]
        self._end_earlier(client_id, user, accounts)
        return code

    def _end_earlier(self, client_id: str, user: str, accounts: tuple[int, ...]) -> None:
        for grant in list(self._by_access.values()):
            if (grant.client_id, grant.user) != (client_id, user):
                continue
            if self._switches.consent_kills_earlier:
                self._end(grant, REVOKED)
            elif self._switches.consent_drops_unticked:
                self._take_out(grant, {ctid for ctid in grant.accounts if ctid not in accounts})

    def exchange(
        self, *, client_id: str, client_secret: str, code: str, redirect_uri: str, now_us: int
    ) -> Grant | Refusal:
        """Exchange a code for the first pair of tokens; works once, within its minute, for whom it was made."""
        refusal = self.check_application(client_id, client_secret)
        if refusal is not None:
            return refusal
        found = self._codes.get(code)
        if found is None or found.client_id != client_id:
            return Refusal("ACCESS_DENIED", "Access denied. Make sure the credentials are valid.")
        del self._codes[code]
        if now_us >= found.expires_us:
            return Refusal("ACCESS_DENIED", "Access denied. The authorization code has expired.")
        if redirect_uri != found.redirect_uri:
            return Refusal("ACCESS_DENIED", "Access denied. redirect_uri is not the one the code was made for.")
        return self._issue(found.client_id, found.user, found.accounts, found.scope, now_us)

    def refresh(
        self, refresh_token: str, now_us: int, *, client_id: str | None = None, client_secret: str = ""
    ) -> Grant | Refusal:
        """Exchange a refresh token for a new pair; the old one is dead at once. The socket brings no credentials."""
        if client_id is not None:
            refusal = self.check_application(client_id, client_secret)
            if refusal is not None:
                return refusal
        access_token = self._by_refresh.get(refresh_token)
        grant = self._by_access.get(access_token) if access_token is not None else None
        if grant is None or (client_id is not None and grant.client_id != client_id):
            return INVALID
        del self._by_refresh[refresh_token]
        fresh = self._issue(grant.client_id, grant.user, grant.accounts, grant.scope, now_us)
        if not self._switches.refresh_keeps_access_token:
            self._end(grant, "Access token was refreshed")
        return fresh

    # Access tokens.

    def check(self, access_token: str, now_us: int) -> Grant | Refusal:
        """Find the grant of an access token, or say why it counts no longer."""
        grant = self._by_access.get(access_token)
        if grant is None:
            return EXPIRED if access_token in self._expired else INVALID
        return EXPIRED if now_us >= grant.expires_us else grant

    def expire(self, access_token: str) -> Grant | None:
        """End an access token because its time is over; its refresh token stays good."""
        grant = self._by_access.get(access_token)
        if grant is not None:
            self._by_access[access_token] = replace(grant, expires_us=0)
            self.on_dead(grant, "Access token expired")
        return grant

    def invalidate(self, ctid: int) -> int:
        """End every grant that covers an account; gives how many."""
        doomed = [grant for grant in self._by_access.values() if ctid in grant.accounts]
        for grant in doomed:
            self._end(grant, REVOKED)
        return len(doomed)

    def uncover(self, ctid: int) -> int:
        """Take an account out of every grant that covers it, which goes on for the others; gives how many."""
        covering = [grant for grant in self._by_access.values() if ctid in grant.accounts]
        for grant in covering:
            self._take_out(grant, {ctid})
        return len(covering)

    def _take_out(self, grant: Grant, lost: Set[int]) -> None:
        kept = tuple(ctid for ctid in grant.accounts if ctid not in lost)
        self._by_access[grant.access_token] = replace(grant, accounts=kept)
        if lost:
            self.on_dead(replace(grant, accounts=tuple(sorted(lost))), REVOKED)

    def grants(self) -> list[Grant]:
        """List the grants that live, oldest first."""
        return list(self._by_access.values())

    def tokens_of(self, ctid: int) -> Grant | None:
        """Find the newest grant that covers an account."""
        return next((grant for grant in reversed(self._by_access.values()) if ctid in grant.accounts), None)

    def _end(self, grant: Grant, reason: str) -> None:
        self._by_access.pop(grant.access_token, None)
        self._by_refresh.pop(grant.refresh_token, None)
        self._expired[grant.access_token] = None
        while len(self._expired) > GRANTS_MAX:
            del self._expired[next(iter(self._expired))]
        self.on_dead(grant, reason)

    def _issue(
        self,
        client_id: str,
        user: str,
        accounts: tuple[int, ...],
        scope: int,
        now_us: int,
        *,
        access: str | None = None,
        refresh: str | None = None,
    ) -> Grant:
        grant = Grant(
            client_id=client_id,
            user=user,
            accounts=accounts,
            scope=scope,
            access_token=access or self._secret("access"),
            refresh_token=refresh or self._secret("refresh"),
            expires_us=now_us + self._switches.access_token_s * units.SECOND_US,
        )
        self._by_access[grant.access_token] = grant
        self._by_refresh[grant.refresh_token] = grant.access_token
        while len(self._by_access) > GRANTS_MAX:
            oldest = self._by_access.pop(next(iter(self._by_access)))
            self._by_refresh.pop(oldest.refresh_token, None)
        self.on_issued(grant)
        return grant

    def _secret(self, kind: str) -> str:
        """Make the next secret text; from the seed, so that a run can be repeated: a sandbox guards nothing."""
        self._count += 1
        return hashlib.sha256(f"{self._seed}:{kind}:{self._count}".encode()).hexdigest()[:44]

    # A restart keeps all of it.

    def state(self) -> dict[str, object]:
        """Write everything down."""
        return {
            "count": self._count,
            "states": dict(self.states),
            "grants": [
                [g.client_id, g.user, list(g.accounts), g.scope, g.access_token, g.refresh_token, g.expires_us]
                for g in self._by_access.values()
            ],
            "refresh": dict(self._by_refresh),
            "expired": list(self._expired),
        }

    def load_state(self, state: dict[str, object]) -> None:
        """Read it back; codes, which live a minute, are not kept."""
        self._count = _typed(state["count"], int)
        self.states = dict(_typed(state["states"], dict))
        self._by_access = {}
        for client_id, user, accounts, scope, access, refresh, expires_us in _typed(state["grants"], list):
            self._by_access[access] = Grant(client_id, user, tuple(accounts), scope, access, refresh, expires_us)
        self._by_refresh = dict(_typed(state["refresh"], dict))
        self._expired = dict.fromkeys(_typed(state["expired"], list))
        self._codes = {}


def _typed(value: object, kind: type[T_]) -> T_:
    assert isinstance(value, kind), f"expected {kind.__name__} in a saved state, found {type(value).__name__}"
    return value
