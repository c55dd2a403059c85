"""Taking in what a consent gave: look first at which accounts its token opens, then keep tokens and accounts.

The order is look, show, keep: nothing is stored before a person or a script could see what came back. Tokens are
durable before the log speaks of their accounts; a crash in between is healed by doing it again. Must not know the
command line.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

from cmam import office
from cmam.checkup import Connect, connector, sentence_and_cure
from cmam.config.home import Home
from cmam.config.secret import Secret
from cmam.config.settings import ApiSettings
from cmam.config.token_file import GivenTokens
from cmam.credentials.secrets_file import SecretStore
from cmam.credentials.vault import Application, Grant, TokenPair, Vault, as_known, unticked, with_grant
from cmam.domain.operating.registry import KnownAccount, Registry
from cmam.domain.profiles.link import ProfileView
from cmam.domain.values.ids import AccountId
from cmam.openapi.enquiry import Consent, Opened, Refused, describe_all
from cmam.openapi.outcomes import Kind


class NothingOpened(Exception):
    """A token that opens no account, or no application to ask with; one sentence with the cure."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A known account that a new consent leaves out, or lets only be read, and the profiles that would miss it."""

    account: KnownAccount
    profiles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a token opens, before anything is kept. `unread` says which accounts could not be described, and why."""

    pair: TokenPair
    consent: Consent
    unread: tuple[str, ...]

    def only(self, accounts: Container[int]) -> Seen:
        """The same consent, as far as some of its accounts go."""
        kept = tuple(account for account in self.consent.accounts if account.account in accounts)
        return replace(self, consent=Consent(self.consent.user, kept))


def pair_of(given: GivenTokens, *, now: int) -> TokenPair:
    """A pair that a script brought, as a consent's; `now` in us UTC."""
    expires_at = given.expires_at
    if expires_at is None and given.expires_in_s is not None:
        expires_at = now + given.expires_in_s * 1_000_000
    return TokenPair(given.access, given.refresh, issued_at=now, expires_at=expires_at)


def look(api: ApiSettings, application: Application | None, pair: TokenPair) -> Seen:
    """Ask the API which accounts a token opens and what they are; raises NothingOpened, Refused or CannotConnect."""
    if application is None:
        raise NothingOpened("No application is configured yet: run `cmam api configure` first.")
    dial = connector(api)
    consent = _ask(dial, api, application, pair.access, is_live=False)
    if not consent.accounts:
        raise NothingOpened(
            "The token is good, but opens no account: tick at least one on the consent page (`cmam account add`)."
        )
    unread: list[str] = []
    described: list[Opened] = []
    for is_live in (False, True):
        here = [account for account in consent.accounts if account.is_live is is_live]
        if here:
            with dial(api.endpoint(is_live=is_live)) as enquiry:
                enquiry.authorise_application(application.client_id, application.client_secret)
                described += describe_all(
                    enquiry,
                    here,
                    pair.access,
                    lambda account, refusal: unread.append(f"{account.account}: {sentence_and_cure(refusal)[0]}"),
                )
    return Seen(pair, Consent(consent.user, tuple(described)), tuple(unread))


def _ask(dial: Connect, api: ApiSettings, application: Application, access: Secret, *, is_live: bool) -> Consent:
    """Either environment lists the accounts of both (wire.md#accounts-of-a-token)."""
    with dial(api.endpoint(is_live=is_live)) as enquiry:
        enquiry.authorise_application(application.client_id, application.client_secret)
        try:
            return enquiry.consent(access)
        except Refused as refused:
            if refused.refusal.rule.kind is not Kind.TOKEN:
                raise
            raise NothingOpened(
                f"The access token is not good ({refused.refusal.description or refused.refusal.code}): it is "
                "mistyped, expired, or was replaced by a refresh. Get new ones: `cmam account add`."
            ) from None


def losses(vault: Vault, registry: Registry, seen: Seen) -> tuple[Loss, ...]:
    """The known accounts of the same cTrader ID that this consent leaves out, with the profiles that use them."""
    gone = unticked(vault, (account.account for account in seen.consent.accounts), user=seen.consent.user)
    return tuple(
        Loss(registry.accounts[AccountId(account)], _profiles_of(registry, AccountId(account)))
        for account in gone
        if AccountId(account) in registry.accounts
    )


def only_read(vault: Vault, registry: Registry, seen: Seen) -> tuple[Loss, ...]:
    """The followers whose tokens a consent for reading would take the place of: nothing of theirs could be closed."""
    access = as_known(vault, seen.pair).access
    found: list[Loss] = []
    for opened in seen.consent.accounts:
        account, grant = AccountId(opened.account), vault.grant_of(opened.account)
        if opened.can_trade or account not in registry.accounts or (grant is not None and grant.pair.access == access):
            continue
        links = (profile for profile in registry.live_profiles() if _follows(profile, account))
        if names := tuple(profile.name for profile in links):
            found.append(Loss(registry.accounts[account], names))
    return tuple(found)


def _follows(profile: ProfileView, account: AccountId) -> bool:
    return any(link.follower == account for link in profile.links.values())


def _profiles_of(registry: Registry, account: AccountId) -> tuple[str, ...]:
    return tuple(
        profile.name for profile in registry.live_profiles() if profile.leader == account or _follows(profile, account)
    )


def keep(home: Home, store: SecretStore, seen: Seen, *, command: str) -> Grant:
    """Keep the tokens, then the accounts; raises SecretsRefused, StoreHeld or a StoreError."""
    kept: list[Grant] = []

    def change(vault: Vault) -> Vault:
        after, grant = with_grant(
            vault, seen.pair, (account.account for account in seen.consent.accounts), user=seen.consent.user
        )
        kept[:] = [grant]
        return after

    store.update(change)
    (grant,) = kept
    entries = [_entry(account, grant) for account in seen.consent.accounts]
    office.carry_out(home, {"command": "account.add", "accounts": entries}, command=command)
    return grant


def _entry(account: Opened, grant: Grant) -> dict[str, object]:
    return {
        "account": account.account,
        "login": account.login,
        "broker": account.broker,
        "is_live": account.is_live,
        "can_trade": account.may_open,
        "grant": grant.id,
        "currency": account.currency,
        "account_type": account.account_type,
    }
