"""A working day on tokens that live an hour: each is changed in time, and no trade of the day is missed."""

from __future__ import annotations

from dataclasses import replace

from cmam.credentials.vault import Vault
from cmam.domain.events import ChangeDecided
from cmam.domain.values.reasons import Verdict
from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox.switches import Switches
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000
HOURS = 8
HOUR_S = 3_600


def test_a_day_of_hourly_tokens_misses_no_execution() -> None:
    """Eight hours, a token an hour, a trade opened and one closed each half hour, also around each change."""
    slow = Switches(history_days=0, access_token_s=HOUR_S, tick_interval_ms=600_000)
    whole = Whole(seed=8, settings={"input_max_age": "2h"}, switches=slow)
    first = {grant.access_token for grant in whole.broker.grants.grants()}
    whole.secrets.update(lambda vault: _expiring(vault, whole.stepper.clock.now() + HOUR_S * 1_000_000))
    whole.start_ready()
    opened: list[int] = []
    for half_hour in range(HOURS * 2):
        # 48 minutes is when a token of an hour is refreshed: half of the trades fall into that minute.
        whole.run(HOUR_S * 0.8 - 2 if half_hour % 2 == 0 else HOUR_S * 0.2 - 2)
        opened.append(whole.person.buy(LOT))
        whole.run(2)
        if len(opened) > 2:
            whole.person.close(opened.pop(0), LOT)
        whole.run(2)
    whole.run(90)
    kinds = [(e.change.kind.value, e.verdict) for e in whole.events(SAME_BROKER, ChangeDecided)]
    assert kinds.count(("opened", Verdict.COPY)) == HOURS * 2
    assert kinds.count(("closed", Verdict.COPY)) == HOURS * 2 - 2
    assert len(whole.person.holds(SAME_BROKER)) == len(whole.person.holds(LEADER)) == 2
    assert len({grant.pair.access.reveal() for grant in whole.secrets.load().grants} & first) == 0
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_new_tokens_are_got_by_the_running_system_when_asked() -> None:
    """Asked twice in a row, both are done; every account goes on with the new token; no answer holds one."""
    whole = Whole(seed=9)
    whole.start_ready()
    before = {grant.pair.access.reveal() for grant in whole.secrets.load().grants}
    for number in (1, 2):
        answer = whole.command({"command": "account.refresh", "accounts": [LEADER, SAME_BROKER]})
        assert set(answer["refreshed"]) >= {LEADER, SAME_BROKER}
        assert answer["failures"] == []
        assert whole.provider.refreshed >= number
        assert not any(secret in str(answer) for secret in whole.secrets_ever)
    used = {whole.secrets.load().grant_of(account) for account in (LEADER, SAME_BROKER)}
    assert not {grant.pair.access.reveal() for grant in used if grant is not None} & before
    whole.run(5)
    whole.person.buy(LOT)
    whole.run(5)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    whole.provider.is_reachable = False
    answer = whole.command({"command": "account.refresh", "accounts": [LEADER]})
    assert answer["refreshed"] == []
    assert "not refreshed now" in answer["failures"][0]["why"]


def _expiring(vault: Vault, expires_at: int) -> Vault:
    grants = tuple(replace(grant, pair=replace(grant.pair, expires_at=expires_at)) for grant in vault.grants)
    return replace(vault, grants=grants)


def test_a_session_that_is_told_to_be_over_and_goes_on_has_its_quotes_told_again() -> None:
    """After a refresh a server may tell 2147 and 2164 and keep what stood (wire.md#sessions-that-end): it answers
    ALREADY_LOGGED_IN and ALREADY_SUBSCRIBED then. In a market that does not move nobody would have a price until it
    does."""
    still = Switches(history_days=0, tick_interval_ms=600_000)
    whole = Whole(seed=8, settings={"max_spread": "5", "input_max_age": "2h"}, switches=still)
    whole.start_ready()
    for number in (LEADER, SAME_BROKER):
        account, publish = whole.broker.floor.accounts[number], whole.broker.floor.publish
        over = messages.ProtoOAAccountsTokenInvalidatedEvent(ctidTraderAccountIds=[number], reason="refreshed")
        publish(account, catalogue.TOKEN_INVALIDATED, over, None)
        gone = messages.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=number)
        publish(account, catalogue.ACCOUNT_DISCONNECT, gone, None)
    whole.stepper.network.collect()
    whole.run(20)
    whole.person.buy(LOT)
    whole.run(5)
    assert [e.verdict for e in whole.events(SAME_BROKER, ChangeDecided)] == [Verdict.COPY]
    assert len(whole.person.holds(SAME_BROKER)) == 1
