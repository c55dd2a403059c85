"""Refreshing tokens, with a crash or a refusal at every step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cmam.config.home import Home
from cmam.config.secret import Secret
from cmam.credentials.oauth import OAuthRefused, OAuthUnreachable
from cmam.credentials.rotation import ConsentNeeded, Postponed, Rotated, Unsaved, due, rotate, save
from cmam.credentials.secrets_file import PrivateFile, SecretsRefused, SecretStore
from cmam.credentials.vault import Application, TokenPair, Vault, with_application, with_grant, without_accounts

HOUR_US = 3_600_000_000


class Killed(BaseException):
    """The process ends here."""


class Provider:
    """A token endpoint with single-use refresh tokens."""

    def __init__(self) -> None:
        self.generation = 0
        self.spent: list[str] = []
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    @property
    def living(self) -> str:
        """The refresh token that works now."""
        return f"refresh-{self.generation}"

    def pair(self, now: int) -> TokenPair:
        """The pair of this generation, good for an hour."""
        name = self.generation
        return TokenPair(Secret(f"access-{name}"), Secret(f"refresh-{name}"), now, now + HOUR_US)

    def refresh(self, application: Application, pair: TokenPair, *, now: int) -> TokenPair:
        self.before()
        token = pair.refresh.reveal()
        self.spent.append(token)
        if token != self.living:
            raise OAuthRefused("spent", "CH_ACCESS_TOKEN_INVALID")
        self.generation += 1
        self.after()
        return self.pair(now)


class FailingFile(PrivateFile):
    """A file of secrets whose n-th write never returns."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.writes_left: int | None = None
        self.dies_after = False

    def write(self, content: bytes) -> None:
        if self.writes_left == 0 and not self.dies_after:
            raise Killed
        super().write(content)
        if self.writes_left == 0:
            raise Killed
        if self.writes_left is not None:
            self.writes_left -= 1


@pytest.fixture
def provider() -> Provider:
    """A provider in its first generation."""
    return Provider()


@pytest.fixture
def file(tmp_path: Path) -> FailingFile:
    """A file of secrets in a private folder."""
    home = Home(tmp_path / "home")
    home.prepare()
    return FailingFile(home.secrets)


@pytest.fixture
def store(file: FailingFile, provider: Provider) -> SecretStore:
    """A vault with one grant of the provider's first pair."""
    store = SecretStore(file)
    store.update(lambda vault: with_application(vault, Application("client", Secret("secret"))))
    store.update(lambda vault: with_grant(vault, provider.pair(0), [1, 2])[0])
    return store


def _name(vault: Vault) -> str:
    return vault.grants[0].id


def test_a_day_of_hourly_tokens(store: SecretStore, provider: Provider) -> None:
    """Over a day of virtual time with tokens of an hour, each pair is refreshed before its end and spent once."""
    now = 0
    while now < 24 * HOUR_US:
        pair = store.load().grants[0].pair
        assert pair.refresh_at < (pair.expires_at or 0)
        now = pair.refresh_at
        (grant,) = due(store.load(), now=now)
        result = rotate(store, provider, grant.id, now=now)
        assert isinstance(result, Rotated)
        assert store.load().grants[0] == result.grant
    assert len(provider.spent) == len(set(provider.spent)) == 30


def test_nothing_is_due_early(store: SecretStore) -> None:
    """A token in the first four fifths of its life is left alone."""
    assert due(store.load(), now=HOUR_US * 79 // 100) == ()
    assert len(due(store.load(), now=HOUR_US * 80 // 100)) == 1


@pytest.mark.parametrize("writes_left", [0, 1])
@pytest.mark.parametrize("dies_after", [False, True])
def test_a_kill_around_any_write_leaves_a_pair_that_works(
    store: SecretStore, file: FailingFile, provider: Provider, writes_left: int, dies_after: bool
) -> None:
    """Killed around the note or after the new pair is durable, the next start holds a refresh token that lives."""
    file.writes_left, file.dies_after = writes_left, dies_after
    with pytest.raises(Killed):
        rotate(store, provider, _name(store.load()), now=HOUR_US)
    after = SecretStore(PrivateFile(file._path)).load().grants[0]
    lost_on_the_way = writes_left == 1 and not dies_after
    if lost_on_the_way:
        assert after.refreshing, "the provider answered and nobody wrote it down: that must be visible"
    else:
        assert after.pair.refresh.reveal() == provider.living


def test_a_kill_before_the_provider_acts_is_healed_by_asking_again(store: SecretStore, provider: Provider) -> None:
    """A request that never arrived spent nothing: the next start refreshes with the same token."""

    def die() -> None:
        raise Killed

    provider.before = die
    with pytest.raises(Killed):
        rotate(store, provider, _name(store.load()), now=HOUR_US)
    assert store.load().grants[0].refreshing
    provider.before = lambda: None
    assert isinstance(rotate(store, provider, _name(store.load()), now=HOUR_US), Rotated)
    assert store.load().grants[0].refreshing is False


def test_both_tokens_change_together(store: SecretStore, provider: Provider, file: FailingFile) -> None:
    """There is no moment at which the file holds the access token of one pair and the refresh token of another."""
    rotate(store, provider, _name(store.load()), now=HOUR_US)
    pair = store.load().grants[0].pair
    assert pair.access.reveal().removeprefix("access-") == pair.refresh.reveal().removeprefix("refresh-")


def test_a_spent_token_needs_consent_and_a_busy_provider_patience(store: SecretStore, provider: Provider) -> None:
    """Only a refusal of the token itself asks for a person; anything else is tried again."""
    provider.generation = 5
    result = rotate(store, provider, _name(store.load()), now=HOUR_US)
    assert isinstance(result, ConsentNeeded)
    assert result.grant.accounts == (1, 2)

    def busy() -> None:
        raise OAuthRefused("pause", "REQUEST_FREQUENCY_EXCEEDED")

    provider.before = busy
    assert isinstance(rotate(store, provider, _name(store.load()), now=HOUR_US), Postponed)
    assert store.load().grants[0].refreshing is False


@pytest.mark.parametrize("was_sent", [False, True])
def test_an_unreachable_provider_costs_nothing(store: SecretStore, provider: Provider, was_sent: bool) -> None:
    """The old pair stays; that it may be spent is noted only if the request may have arrived."""

    def cut() -> None:
        raise OAuthUnreachable("cut", was_sent=was_sent)

    provider.before = cut
    before = store.load().grants[0].pair
    assert isinstance(rotate(store, provider, _name(store.load()), now=HOUR_US), Postponed)
    assert store.load().grants[0].pair == before
    assert store.load().grants[0].refreshing is was_sent


def test_a_pair_that_somebody_else_refreshed_is_taken_over(store: SecretStore, provider: Provider) -> None:
    """A consent that came while we asked with the older token wins; its accounts are not reported as locked out."""

    def meanwhile() -> None:
        provider.generation += 1
        name = _name(store.load())
        store.update(
            lambda vault: Vault(
                vault.fingerprint_key,
                vault.application,
                tuple(
                    type(grant)(grant.id, provider.pair(HOUR_US), grant.accounts, grant.application)
                    for grant in vault.grants
                    if grant.id == name
                ),
            )
        )

    provider.before = meanwhile
    result = rotate(store, provider, _name(store.load()), now=HOUR_US)
    assert isinstance(result, Rotated)
    assert result.grant.pair.refresh.reveal() == provider.living


def test_a_pair_that_its_place_does_not_take_is_handed_back(
    store: SecretStore, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old pair is spent by then: the new one is all there is, and is saved once that can be."""
    name, write = _name(store.load()), PrivateFile.write

    def refuse(_: PrivateFile, content: bytes) -> None:
        raise SecretsRefused("No space left on device")

    provider.after = lambda: monkeypatch.setattr(PrivateFile, "write", refuse)
    result = rotate(store, provider, name, now=HOUR_US)
    assert isinstance(result, Unsaved)
    assert result.grant.pair.refresh.reveal() == provider.living
    monkeypatch.setattr(PrivateFile, "write", write)
    saved = save(store, name, result.grant.pair)
    assert saved is not None
    assert (saved.pair, saved.refreshing) == (result.grant.pair, False)
    assert store.load().grants[0] == saved


def test_what_was_removed_meanwhile_is_nothing(store: SecretStore, provider: Provider) -> None:
    """Before the provider is asked, while it is, and where the whole vault is gone: nothing fails or comes back."""
    name = _name(store.load())
    provider.before = lambda: store.update(lambda vault: without_accounts(vault, [1, 2])) and None
    assert rotate(store, provider, name, now=HOUR_US) is None
    assert rotate(store, provider, name, now=HOUR_US) is None
    store.update(lambda vault: Vault(vault.fingerprint_key))
    assert rotate(store, provider, name, now=HOUR_US) is None
    assert store.load().grants == ()


def test_an_access_token_alone_cannot_be_refreshed(store: SecretStore, provider: Provider) -> None:
    """A script that brought no refresh token is told in time that a person is needed, and nothing is due."""
    alone = TokenPair(Secret("only"), Secret(""), 0, HOUR_US)
    store.update(lambda vault: with_grant(vault, alone, [1, 2])[0])
    assert due(store.load(), now=HOUR_US) == ()
    assert isinstance(rotate(store, provider, _name(store.load()), now=HOUR_US), ConsentNeeded)
    assert provider.spent == []
