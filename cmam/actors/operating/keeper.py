"""Keeps the tokens fresh: refreshes each well before its end, and hands a new one on once it is durable.

Where its place takes no new pair, that is used all the same, since the old one is spent, and saved as soon as it can
be. The token endpoint is asked from this actor's own thread, which nobody waits for. What it knows is read by reference
at the moment of sending; no message ever carries a secret.

A refresh ends the sessions of all accounts of its consent. So an account that is refused with a token that was renewed
since it is refused does not ask for another: its consent covers it no longer.
"""

from __future__ import annotations

import logging
from typing import Any

from cmam.actors import messages as m
from cmam.actors.threads.runtime import Directory, Watched
from cmam.actors.threads.timer import Timer
from cmam.clock import SECOND_US, Clock
from cmam.config.secret import Secret
from cmam.credentials import rotation
from cmam.credentials.rotation import ConsentNeeded, Postponed, Provider, Rotated, Unsaved
from cmam.credentials.secrets_file import SecretsRefused, SecretStore
from cmam.credentials.vault import TokenPair, Vault, refreshed

log = logging.getLogger(__name__)

LOOK_US = 60 * SECOND_US
SAVE_US = SECOND_US
"""How often a pair that could not be saved is tried again."""
OVERDUE_US = 3_600 * SECOND_US
"""So long after it was due a token that still cannot be refreshed is an alert, days before its end."""
NOT_COVERED = (
    "The server refuses this account's access token, also the new one: the consent does not cover the account any "
    "more. Run `cmam account add` and tick it on the consent page."
)
NO_SECRETS = (
    "The file or keyring with the secrets is gone, so no token can be refreshed. Put it back, or run "
    "`cmam api configure` and `cmam account add`."
)


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
        self._unsaved: dict[str, TokenPair] = {}
        self._refused: dict[int, Secret] = {}
        self._put_off: dict[str, str] = {}

    def on_receive(self, message: Any) -> None:
        match message:
            case m.Wake(what="save"):
                self._save()
            case m.Begin() | m.Wake():
                for grant in rotation.due(self._keys.vault, now=self._clock.now()):
                    self._rotate(grant.id)
                self._timer.after(LOOK_US, self._name, m.Wake("look"))
            case m.Reload():
                self._reload()
            case m.Refresh():
                message.answer(self._refresh(message.accounts))
            case m.TokenDead():
                self._token_dead(message)
            case m.Stop():
                self._save()
                for name in self._unsaved:
                    log.error("! the new token of consent %s could not be saved: run `cmam account add`", name)
                self._directory.tell(m.SUPERVISOR, m.Stopped(self._name))
            case _:
                raise AssertionError(f"the keeper cannot take {message!r}")

    def _reload(self) -> None:
        before = self._keys.vault
        try:
            self._keys.vault = self._load()
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

    def _token_dead(self, message: m.TokenDead) -> None:
        """Refresh for an account that is refused, unless that was done since and has not helped it."""
        grant = self._keys.vault.grant_of(message.account)
        if grant is None:
            return
        access = grant.pair.access
        if not message.again:
            self._refused[message.account] = access
        if self._refused.setdefault(message.account, access) == access:
            self._rotate(grant.id, is_dead=True)
        elif not self._is_fresh(grant.id):  # else the refusal may be of the token before
            self._directory.tell(m.account_name(message.account), m.Alert("token", NOT_COVERED))

    def _is_fresh(self, name: str) -> bool:
        """Whether a grant was tried so lately that it must not be tried again."""
        return self._clock.now() - self._tried_us.get(name, 0) < rotation.RETRY_US_MIN

    def _rotate(self, name: str, *, is_dead: bool = False) -> str:
        """Refresh one grant, at most once a minute; answers why it was not, or nothing."""
        if self._is_fresh(name):
            if is_dead and name in self._put_off:  # the answer may have been lost that would have renewed it
                self._postponed(name, self._put_off[name], is_dead=True)
            return "it was tried less than a minute ago"
        self._put_off.pop(name, None)
        now = self._tried_us[name] = self._clock.now()
        try:
            if name in self._unsaved:
                self._save_one(name)
            result = rotation.rotate(self._secrets, self._provider, name, now=now)
            if isinstance(result, Unsaved):
                return self._unsafe(result)
            self._keys.vault = self._load()
        except SecretsRefused as error:
            log.error("! %s", error)
            self._postponed(name, str(error), is_dead=is_dead)
            return str(error)
        match result:
            case Rotated():
                self._renewed(list(result.grant.accounts))
                return ""
            case Postponed():
                log.warning("! a token could not be refreshed yet: %s", result.why)
                self._postponed(name, result.why, is_dead=is_dead)
                return f"not refreshed now: {result.why}"
            case ConsentNeeded():
                self._alert(list(result.grant.accounts), f"The consent has ended. {result.why}")
                return f"a new consent is needed: {result.why}"
            case None:
                return "its accounts were removed meanwhile"

    def _renewed(self, accounts: list[int]) -> None:
        log.info("= the token of %d accounts was refreshed", len(accounts))
        self._hand_on(accounts)

    def _postponed(self, name: str, why: str, *, is_dead: bool) -> None:
        """Say on its accounts that a token is not refreshed, once it is dead or long overdue."""
        self._put_off[name] = why
        grant = self._keys.vault.grant(name)
        if grant is not None and (is_dead or self._clock.now() - grant.pair.refresh_at >= OVERDUE_US):
            self._alert(list(grant.accounts), f"This account's token cannot be refreshed; cmam tries again. {why}")

    def _alert(self, accounts: list[int], text: str) -> None:
        for account in accounts:
            self._directory.tell(m.account_name(account), m.Alert("token", text))

    # --- a pair that cannot be saved --------------------------------------------------------------------------------

    def _load(self) -> Vault:
        """The secrets as they are in their place, and the pairs that are not there yet; raises SecretsRefused."""
        vault = self._secrets.load()
        if vault.application is None:
            raise SecretsRefused(NO_SECRETS)
        for name, pair in self._unsaved.items():
            vault = refreshed(vault, name, pair)
        return vault

    def _unsafe(self, result: Unsaved) -> str:
        """Use a pair that could not be saved, say what hangs on it, and try again soon."""
        name, accounts = result.grant.id, list(result.grant.accounts)
        if not self._unsaved:
            self._timer.after(SAVE_US, self._name, m.Wake("save"))
        self._unsaved[name] = result.grant.pair
        self._keys.vault = refreshed(self._keys.vault, name, result.grant.pair)
        self._renewed(accounts)
        what = "This account's new token is in use and cannot be saved. If cmam ends before it is, consent again."
        text = f"{what} {result.why}"
        self._alert(accounts, text)
        return text

    def _save(self) -> None:
        """Save what could not be; what still cannot is tried again."""
        for name in list(self._unsaved):
            try:
                self._save_one(name)
            except SecretsRefused as error:
                log.debug("- %s", error)
        if self._unsaved:
            self._timer.after(SAVE_US, self._name, m.Wake("save"))

    def _save_one(self, name: str) -> None:
        grant = rotation.save(self._secrets, name, self._unsaved[name])
        del self._unsaved[name]
        log.info("= a token that could not be saved is saved now")
        for account in grant.accounts if grant is not None else ():
            self._directory.tell(m.account_name(account), m.Alert("token"))

    def _hand_on(self, accounts: list[int]) -> None:
        for account in accounts:
            self._directory.tell(m.account_name(account), m.Alert("token"))
        for name in self._directory.names():
            if accounts and name.startswith("connection:"):
                self._directory.tell(name, m.TokensChanged(tuple(accounts)))
