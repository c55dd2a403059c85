"""Keeps the tokens fresh: refreshes each well before its end, and hands a new one on only once it is durable.

The token endpoint is asked from this actor's own thread, which nobody waits for. What it knows is read by reference at
the moment of sending; no message ever carries a secret.
"""

from __future__ import annotations

import logging
from typing import Any

from cmam.actors import messages as m
from cmam.actors.runtime import Directory, Watched
from cmam.actors.timer import Timer
from cmam.clock import SECOND_US, Clock
from cmam.config.secret import Secret
from cmam.credentials import rotation
from cmam.credentials.rotation import ConsentNeeded, Postponed, Provider, Rotated
from cmam.credentials.secrets_file import SecretsRefused, SecretStore
from cmam.credentials.vault import Vault

log = logging.getLogger(__name__)

LOOK_US = 60 * SECOND_US


class Keys:
    """The secrets in memory, replaced whole by their keeper and read by reference."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault

    def application(self) -> tuple[str, Secret]:
        """Client id and secret; there is one, or nothing would have started."""
        application = self.vault.application
        assert application is not None, "expected an application in the secrets"
        return application.client_id, application.client_secret

    def token(self, account: int) -> Secret | None:
        """The access token that opens an account, if any does."""
        grant = self.vault.grant_of(account)
        return grant.pair.access if grant is not None else None


class KeeperActor(Watched):
    """The only one who changes tokens while the system runs."""

    def __init__(
        self, keys: Keys, secrets: SecretStore, provider: Provider, clock: Clock, timer: Timer, directory: Directory
    ) -> None:
        super().__init__()
        self._name = m.KEEPER
        self._keys = keys
        self._secrets = secrets
        self._provider = provider
        self._clock = clock
        self._timer = timer
        self._directory = directory
        self._tried_us: dict[str, int] = {}

    def on_receive(self, message: Any) -> None:
        match message:
            case m.Begin() | m.Wake():
                for grant in rotation.due(self._keys.vault, now=self._clock.now()):
                    self._rotate(grant.id)
                self._timer.after(LOOK_US, self._name, m.Wake("look"))
            case m.Reload():
                self._reload()
            case m.Refresh():
                message.answer(self._refresh(message.accounts))
            case m.TokenDead():
                dead = self._keys.vault.grant_of(message.account)
                if dead is not None:
                    self._rotate(dead.id)
            case m.Stop():
                self._directory.tell(m.SUPERVISOR, m.Stopped(self._name))
            case _:
                raise AssertionError(f"the keeper cannot take {message!r}")

    def _reload(self) -> None:
        before = self._keys.vault
        try:
            self._keys.vault = self._secrets.load()
        except SecretsRefused as error:
            log.error("! %s", error)
            return
        known = {account: before.grant_of(account) for grant in before.usable_grants for account in grant.accounts}
        fresh = [
            account
            for grant in self._keys.vault.usable_grants
            for account in grant.accounts
            if (old := known.get(account)) is None or old.pair.access != grant.pair.access
        ]
        self._hand_on(fresh)

    def _refresh(self, accounts: tuple[int, ...]) -> dict[str, Any]:
        """What a person asked for is done now, however lately it was tried."""
        refreshed: list[int] = []
        failures: list[dict[str, Any]] = []
        for grant in self._keys.vault.usable_grants:
            if not set(grant.accounts) & set(accounts):
                continue
            self._tried_us.pop(grant.id, None)
            why = self._rotate(grant.id)
            if why:
                failures.append({"accounts": list(grant.accounts), "why": why})
            else:
                refreshed += grant.accounts
        return {"ok": True, "refreshed": refreshed, "failures": failures}

    def _rotate(self, name: str) -> str:
        """Refresh one grant, at most once a minute; answers why it was not, or nothing."""
        now = self._clock.now()
        if now - self._tried_us.get(name, 0) < rotation.RETRY_US_MIN:
            return "it was tried less than a minute ago"
        self._tried_us[name] = now
        try:
            result = rotation.rotate(self._secrets, self._provider, name, now=now)
            self._keys.vault = self._secrets.load()
        except SecretsRefused as error:
            log.error("! %s", error)
            return str(error)
        accounts = list(result.grant.accounts)
        match result:
            case Rotated():
                log.info("= the token of %d accounts was refreshed", len(accounts))
                self._hand_on(accounts)
                return ""
            case Postponed():
                log.warning("! a token could not be refreshed yet: %s", result.why)
                return f"not refreshed now: {result.why}"
            case ConsentNeeded():
                text = f"The consent has ended. {result.why}"
                for account in accounts:
                    self._directory.tell(m.account_name(account), m.Alert("token", text))
                return f"a new consent is needed: {result.why}"

    def _hand_on(self, accounts: list[int]) -> None:
        for account in accounts:
            self._directory.tell(m.account_name(account), m.Alert("token"))
        for name in self._directory.names():
            if accounts and name.startswith("connection:"):
                self._directory.tell(name, m.TokensChanged(tuple(accounts)))
