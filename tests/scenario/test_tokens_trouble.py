"""What becomes of tokens that are refused, cannot be renewed or cannot be saved, and who pays for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.config.secret import Secret
from cmam.credentials.secrets_file import SecretsRefused
from cmam.credentials.vault import Application, TokenPair, Vault, with_application, with_grant, without_accounts
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Health, HealthChanged
from cmam.sandbox.world import Application as Registered
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import NETTED, OTHER_BROKER, SAME_BROKER, Whole

LOT = 10_000_000
SECOND = 1_000_000


@pytest.fixture
def whole() -> Whole:
    """A leader and two followers of one consent, up and reconciled."""
    whole = Whole(seed=12, followers=(SAME_BROKER, OTHER_BROKER))
    whole.start_ready()
    return whole


def _view(whole: Whole, account: int) -> AccountView:
    view = whole.view(account)
    assert view is not None
    return view


def _access(whole: Whole, account: int) -> str:
    grant = whole.secrets.load().grant_of(account)
    assert grant is not None
    return grant.pair.access.reveal()


def _tell(whole: Whole) -> None:
    """Let the broker say what it has just been made to do."""
    whole.broker.on_time(whole.stepper.clock.now())
    whole.stepper.network.collect()


def _lose(whole: Whole, account: int) -> None:
    """The owner takes one account out of the consent, which goes on for the others."""
    whole.broker.set_fault("withdraw-consent", {"account": str(account)})
    _tell(whole)


def _consent(whole: Whole, *accounts: int, client_id: str = "") -> None:
    """A new consent, taken in as `account add` does."""
    _give(whole, *accounts, client_id=client_id)
    whole.command({"command": "account.add", "accounts": [{"account": account} for account in accounts]})


def _give(whole: Whole, *accounts: int, client_id: str = "") -> None:
    """Have the tokens of a new consent in their place."""
    application = whole.broker.world.applications[0]
    grant = whole.broker.grants._issue(
        client_id or application.client_id, "maria", accounts, 1, whole.stepper.clock.now()
    )
    pair = TokenPair(Secret(grant.access_token), Secret(grant.refresh_token), whole.stepper.clock.now())
    whole.secrets.update(lambda vault: with_grant(vault, pair, accounts)[0])


def _copies(whole: Whole) -> None:
    """A trade of the leader's is copied by the first follower."""
    whole.person.buy(LOT)
    whole.run(5)
    assert len(whole.person.holds(SAME_BROKER)) == len(whole.person.holds(LEADER))
    assert whole.stepper.failures == []
    assert verify(whole.log.read_all()).is_identical


def test_an_account_that_left_a_consent_costs_the_others_nothing(whole: Whole) -> None:
    """One refresh at the most is spent on it, not one a minute with the sessions of all; it says what helps, and a new
    consent heals it."""
    _lose(whole, OTHER_BROKER)
    whole.run(10 * 60)
    assert whole.provider.refreshed <= 2
    fallen = [e for e in whole.events(SAME_BROKER, HealthChanged) if e.health is Health.DOWN]
    assert len(fallen) <= whole.provider.refreshed
    assert _view(whole, SAME_BROKER).health is Health.RECONCILED
    assert _view(whole, OTHER_BROKER).health is Health.TOKEN_DEAD
    assert "cmam account add" in _view(whole, OTHER_BROKER).alerts["token"]
    assert "token" not in _view(whole, SAME_BROKER).alerts
    _consent(whole, OTHER_BROKER)
    whole.run(60)
    assert _view(whole, OTHER_BROKER).health is Health.RECONCILED
    assert "token" not in _view(whole, OTHER_BROKER).alerts
    _copies(whole)


def test_a_consent_given_while_cmam_is_down_heals_what_it_was_told_then(whole: Whole) -> None:
    """It did what the alert said; that stood until the next refresh, weeks later."""
    _lose(whole, OTHER_BROKER)
    whole.run(5 * 60)
    assert "token" in _view(whole, OTHER_BROKER).alerts
    whole.stop()
    _give(whole, OTHER_BROKER)
    whole.start()
    whole.run(30)
    assert _view(whole, OTHER_BROKER).health is Health.RECONCILED
    assert "token" not in _view(whole, OTHER_BROKER).alerts
    _copies(whole)


def test_an_account_that_is_refused_for_a_while_heals_by_itself(whole: Whole) -> None:
    """A server that lists an account again after a while needs no further consent, and the alert goes."""
    _lose(whole, OTHER_BROKER)
    whole.run(5 * 60)
    grants = whole.broker.grants
    grant = grants.tokens_of(LEADER)
    assert grant is not None
    grants._by_access[grant.access_token] = replace(grant, accounts=(*grant.accounts, OTHER_BROKER))
    whole.run(120)
    assert _view(whole, OTHER_BROKER).health is Health.RECONCILED
    assert "token" not in _view(whole, OTHER_BROKER).alerts
    before = whole.provider.refreshed
    grants.expire(grant.access_token)  # what comes later is another matter, and a refresh heals it
    _tell(whole)
    whole.run(120)
    assert whole.provider.refreshed > before
    assert _view(whole, OTHER_BROKER).health is Health.RECONCILED
    _copies(whole)


def test_an_account_that_was_removed_while_its_token_was_known_ends_nothing(whole: Whole) -> None:
    """The consent's tokens are gone from their place when they fall due weeks later: that is no failure."""
    _consent(whole, NETTED)
    whole.command({"command": "account.remove", "account": str(NETTED)})
    whole.secrets.update(lambda vault: without_accounts(vault, [NETTED]))  # after the command, as `account remove` does
    answer = whole.command({"command": "account.refresh", "accounts": [NETTED]})
    assert answer["refreshed"] == []
    assert "removed" in answer["failures"][0]["why"]
    _copies(whole)


def test_secrets_that_are_gone_end_nothing_and_are_said(whole: Whole) -> None:
    """What is in memory goes on being used, also on a new line; what is put back is used again."""
    before = whole.secrets.load()
    whole.secrets.update(lambda vault: Vault(vault.fingerprint_key))
    whole.broker.grants.expire(_token_of(before))
    _tell(whole)
    whole.run(120)
    assert "with the secrets is gone" in _view(whole, LEADER).alerts["token"]
    whole.restart_broker()
    whole.run(60)
    whole.secrets.update(lambda _: before)
    whole.run(180)
    assert "token" not in _view(whole, LEADER).alerts
    assert all(_view(whole, account).health is Health.RECONCILED for account in whole.accounts)
    _copies(whole)


def _token_of(vault: Vault) -> str:
    grant = vault.grant_of(LEADER)
    assert grant is not None
    return grant.pair.access.reveal()


class FullOnce:
    """A disk that is full from the moment on at which the provider has answered."""

    def __init__(self, whole: Whole) -> None:
        self._backend = whole.secrets._backend
        self._write = self._backend.write
        self._provider = whole.provider
        self.is_full = False

    def fill(self) -> None:
        provider, refresh = self._provider, self._provider.refresh

        def refresh_and_fill(*args: object, **kwargs: object) -> TokenPair:
            pair = refresh(*args, **kwargs)
            self.is_full = True
            return pair

        def write(content: bytes) -> None:
            if self.is_full:
                raise SecretsRefused("Expected to write secrets.json; found: No space left on device.")
            self._write(content)

        provider.refresh = refresh_and_fill
        self._backend.write = write


def test_new_tokens_that_cannot_be_saved_are_used_and_saved_later(whole: Whole) -> None:
    """A disk that is full just then costs no consent: copying goes on, it is said, and saved once there is room."""
    disk, spent = FullOnce(whole), _access(whole, LEADER)
    disk.fill()
    answer = whole.command({"command": "account.refresh", "accounts": [LEADER]})
    assert "cannot be saved" in answer["failures"][0]["why"]
    whole.run(20)
    assert _access(whole, LEADER) == spent
    assert "cannot be saved" in _view(whole, SAME_BROKER).alerts["token"]
    assert all(_view(whole, account).health is Health.RECONCILED for account in whole.accounts)
    _copies(whole)
    refreshed = whole.provider.refreshed
    whole.run(120)
    answer = whole.command({"command": "account.refresh", "accounts": [LEADER]})
    assert answer["failures"], "a pair that is nowhere but here must not be spent"
    assert whole.provider.refreshed == refreshed
    disk.is_full = False
    whole.run(5)
    assert _access(whole, LEADER) == _newest(whole, LEADER)
    assert "token" not in _view(whole, SAME_BROKER).alerts
    whole.kill()
    whole.start_ready()
    _copies(whole)


def _newest(whole: Whole, account: int) -> str:
    grant = whole.broker.grants.tokens_of(account)
    assert grant is not None
    return grant.access_token


def test_a_refresh_that_cannot_be_made_is_said_where_a_token_is_dead(whole: Whole) -> None:
    """Not only in the log: the account says why it is not healed, until it is."""
    whole.provider.is_reachable = False
    whole.broker.grants.expire(_access(whole, LEADER))
    _tell(whole)
    whole.run(120)
    assert "does not answer" in _view(whole, LEADER).alerts["token"]
    whole.provider.is_reachable = True
    whole.run(120)
    assert "token" not in _view(whole, LEADER).alerts
    _copies(whole)


def test_a_refresh_whose_answer_is_lost_is_said_at_once(whole: Whole) -> None:
    """Both tokens may be spent then, and every session is over: not a word of it was said for a minute.

    The next try tells that the consent is over, and a new one heals it.
    """
    whole.provider.loses_answers = 1
    answer = whole.command({"command": "account.refresh", "accounts": [LEADER]})
    assert "answer was lost" in answer["failures"][0]["why"]
    whole.run(3)
    for account in whole.accounts:
        assert _view(whole, account).health is Health.TOKEN_DEAD
        assert "answer was lost" in _view(whole, account).alerts["token"]
    whole.run(70)
    assert "The consent has ended" in _view(whole, LEADER).alerts["token"]
    _consent(whole, *whole.accounts)
    whole.run(5)
    assert all(not _view(whole, account).alerts for account in whole.accounts)
    _copies(whole)


def test_a_refresh_that_is_overdue_is_said_days_before_the_end(whole: Whole) -> None:
    """A provider that is away when a token falls due is told after an hour, while everything still works."""
    whole.provider.is_reachable = False
    now = whole.stepper.clock.now()
    whole.secrets.update(lambda vault: _due(vault, now - 57 * 60 * SECOND))
    whole.command({"command": "account.alias", "account": str(LEADER), "alias": "lead"})  # the secrets are read again
    whole.run(150)
    assert "token" not in _view(whole, LEADER).alerts
    whole.run(180)
    assert "does not answer" in _view(whole, LEADER).alerts["token"]
    assert _view(whole, LEADER).health is Health.RECONCILED


def _due(vault: Vault, at_us: int) -> Vault:
    """Tokens of ten days whose refreshing falls due at a moment."""
    day = 86_400 * SECOND
    pairs = [replace(grant.pair, issued_at=at_us - 8 * day, expires_at=at_us + 2 * day) for grant in vault.grants]
    grants = tuple(replace(grant, pair=pair) for grant, pair in zip(vault.grants, pairs, strict=True))
    return replace(vault, grants=grants)


def test_another_secret_of_the_application_is_used_without_a_restart(whole: Whole) -> None:
    """The secret was changed at the provider: the line falls, `api configure` names the new one, and it comes back."""
    world, first = whole.broker.world, whole.broker.world.applications[0]
    changed = replace(world, applications=(replace(first, client_secret="changed"), *world.applications[1:]))
    whole.broker.world = whole.broker.grants._world = changed
    whole.stepper.network.cut_all()
    whole.run(30)
    assert _view(whole, LEADER).health is Health.DOWN
    whole.secrets.update(lambda vault: with_application(vault, Application(first.client_id, Secret("changed"))))
    whole.command({"command": "api.configure", "settings": {}, "application": ""})
    whole.run(120)
    assert all(_view(whole, account).health is Health.RECONCILED for account in whole.accounts)


def test_another_application_is_used_without_a_restart(whole: Whole) -> None:
    """Its accounts, authorised again, are opened on a line of the new application, not refused on the old one's."""
    world, first = whole.broker.world, whole.broker.world.applications[0]
    other = Registered(client_id="other", client_secret="other-secret", name="Other", redirect_uris=(), state="Active")
    changed = replace(world, applications=(first, other))
    whole.broker.world = whole.broker.grants._world = changed
    whole.broker.grants.states["other"] = "Active"
    whole.secrets.update(lambda vault: with_application(vault, Application("other", Secret("other-secret"))))
    whole.command({"command": "api.configure", "settings": {}, "application": "x"})
    whole.run(5)
    assert _view(whole, LEADER).health is Health.RECONCILED, "nothing ends before there is something to go on with"
    _consent(whole, LEADER, SAME_BROKER, OTHER_BROKER, client_id="other")
    whole.run(60)
    assert all(_view(whole, account).health is Health.RECONCILED for account in whole.accounts)
    assert whole.provider.refreshed == 0
    assert whole.stepper.failures == []
