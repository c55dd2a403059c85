"""Applications, consents and tokens, and what a session hears when its token dies (wire.md#tokens)."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox.books.authority import Grant, Refusal
from tests.unit.sandbox.bench import BETA_EURO, EURO, JONAS, LEADER, Bench, Line, market_order

INVALIDATED, DISCONNECTED = 2147, 2164
MONTH_S = 2_628_000


def consent(bench: Bench, *ctids: int, scope: str = "trading") -> Grant:
    """Go through consent and exchange."""
    application = bench.world.applications[0]
    code = bench.broker.grants.authorise(
        user="maria",
        accounts=ctids,
        client_id=application.client_id,
        redirect_uri=application.redirect_uris[0],
        scope=scope,
        now_us=bench.now_us,
    )
    grant = exchange(bench, code)
    assert isinstance(grant, Grant)
    return grant


def exchange(bench: Bench, code: str, **changed: Any) -> Grant | Refusal:
    """Exchange a code."""
    application = bench.world.applications[0]
    values = {
        "client_id": application.client_id,
        "client_secret": application.client_secret,
        "redirect_uri": application.redirect_uris[0],
        **changed,
    }
    return bench.broker.grants.exchange(code=code, now_us=bench.now_us, **values)


def auth(bench: Bench, line: Line, ctid: int, token: str) -> Any:
    """Authorise an account with a token."""
    return line.ask(messages.ProtoOAAccountAuthReq(ctidTraderAccountId=ctid, accessToken=token))


@pytest.mark.parametrize(
    ("application", "secret", "text"),
    [
        (0, "wrong", "clientId or clientSecret is incorrect"),
        (None, "wrong", "clientId or clientSecret is incorrect"),
        (1, None, "OA client is not in active state"),
    ],
)
def test_an_application_that_may_not(application: int | None, secret: str | None, text: str) -> None:
    """Wrong credentials and an application that is only Submitted: CH_CLIENT_AUTH_FAILURE with the recorded texts."""
    bench = Bench()
    known = bench.world.applications[application or 0]
    refused = bench.connect().ask(
        messages.ProtoOAApplicationAuthReq(
            clientId="nobody" if application is None else known.client_id, clientSecret=secret or known.client_secret
        )
    )
    assert (refused.errorCode, refused.description) == ("CH_CLIENT_AUTH_FAILURE", text)


def test_an_application_authorises_once_on_a_connection() -> None:
    """The second time is CH_CLIENT_ALREADY_AUTHENTICATED."""
    bench = Bench()
    line = bench.login()
    application = bench.world.applications[0]
    again = messages.ProtoOAApplicationAuthReq(clientId=application.client_id, clientSecret=application.client_secret)
    assert line.ask(again).errorCode == "CH_CLIENT_ALREADY_AUTHENTICATED"


def test_the_account_list_shows_all_accounts_of_the_token() -> None:
    """Live and demo alike, with login and short broker title, and the scope of the token."""
    bench = Bench()
    found = bench.login().ask(messages.ProtoOAGetAccountListByAccessTokenReq(accessToken=bench.token(LEADER)))
    expected = [(a.ctid, a.live, a.login) for a in bench.world.accounts if a.owner == "maria"]
    listed = [(a.ctidTraderAccountId, a.isLive, a.traderLogin) for a in found.ctidTraderAccount]
    assert listed == expected
    assert found.permissionScope == 1
    assert found.ctidTraderAccount[0].brokerTitleShort == "Alpha"
    profile = bench.login().ask(messages.ProtoOAGetCtidProfileByTokenReq(accessToken=bench.token(LEADER)))
    assert profile.profile.userId == bench.world.users[0].id


def test_account_auth_refusals() -> None:
    """Wrong token, a token of somebody else, an unknown account, an account twice."""
    bench = Bench()
    line = bench.login(LEADER)
    assert auth(bench, line, EURO, "nonsense").errorCode == "CH_ACCESS_TOKEN_INVALID"
    assert auth(bench, line, JONAS, bench.token(LEADER)).errorCode == "CH_ACCESS_TOKEN_INVALID"
    assert auth(bench, line, 1, bench.token(LEADER)).errorCode == "CH_CTID_TRADER_ACCOUNT_NOT_FOUND"
    again = auth(bench, line, LEADER, bench.token(LEADER))
    assert again.errorCode == "ALREADY_LOGGED_IN"
    assert again.description == "Trading account is already authorized in this channel"


def test_an_account_may_be_open_on_several_connections() -> None:
    """Neither is disconnected."""
    bench = Bench()
    one, two = bench.login(LEADER), bench.login(LEADER)
    for line in (one, two):
        assert line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)).trader.traderLogin == 9_000_001


def test_a_code_works_once_within_a_minute_for_its_own_redirect() -> None:
    """Twice, late, with another redirect or another secret: refused."""
    bench = Bench()
    application = bench.world.applications[0]
    asked = {
        "user": "maria",
        "accounts": (LEADER,),
        "client_id": application.client_id,
        "redirect_uri": application.redirect_uris[0],
        "scope": "trading",
    }
    authorise = bench.broker.grants.authorise
    code = authorise(now_us=bench.now_us, **asked)
    assert isinstance(exchange(bench, code, client_secret="wrong"), Refusal)
    assert isinstance(exchange(bench, code), Grant)
    assert isinstance(exchange(bench, code), Refusal)
    code = authorise(now_us=bench.now_us, **asked)
    assert isinstance(exchange(bench, code, redirect_uri="https://elsewhere"), Refusal)
    code = authorise(now_us=bench.now_us, **asked)
    bench.pass_time(59.9)
    assert isinstance(exchange(bench, code), Grant)
    code = authorise(now_us=bench.now_us, **asked)
    bench.pass_time(60)
    assert isinstance(exchange(bench, code), Refusal)


def test_refreshing_on_the_socket_ends_the_old_token_and_its_sessions() -> None:
    """The answer comes first, then 2147 with all accounts and one 2164 each; the new token opens them."""
    bench = Bench()
    line = bench.login(LEADER, BETA_EURO)
    old = bench.broker.grants.tokens_of(LEADER)
    assert old is not None
    fresh = line.ask(messages.ProtoOARefreshTokenReq(refreshToken=old.refresh_token))
    assert fresh.tokenType == "bearer"
    assert fresh.expiresIn == MONTH_S
    assert [kind for kind, _, _ in line.inbox] == [2174, INVALIDATED, DISCONNECTED, DISCONNECTED]
    assert list(line.inbox[1][1].ctidTraderAccountIds) == [LEADER, BETA_EURO]
    assert auth(bench, line, LEADER, old.access_token).errorCode == "CH_ACCESS_TOKEN_INVALID"
    assert auth(bench, line, LEADER, fresh.accessToken).ctidTraderAccountId == LEADER


def test_a_refresh_token_works_once() -> None:
    """A replay is CH_ACCESS_TOKEN_INVALID and does not harm the new pair."""
    bench = Bench()
    line = bench.login()
    old = bench.broker.grants.tokens_of(LEADER)
    assert old is not None
    fresh = line.ask(messages.ProtoOARefreshTokenReq(refreshToken=old.refresh_token))
    replay = line.ask(messages.ProtoOARefreshTokenReq(refreshToken=old.refresh_token))
    assert replay.errorCode == "CH_ACCESS_TOKEN_INVALID"
    assert auth(bench, line, LEADER, fresh.accessToken).ctidTraderAccountId == LEADER


def test_a_refresh_that_keeps_sessions_is_a_switch() -> None:
    """With the switch off nothing is said, and the session goes on."""
    bench = Bench(refresh_drops_sessions=False)
    line = bench.login(LEADER)
    old = bench.broker.grants.tokens_of(LEADER)
    assert old is not None
    line.ask(messages.ProtoOARefreshTokenReq(refreshToken=old.refresh_token))
    assert [kind for kind, _, _ in line.inbox] == [2174]
    assert line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)).trader.balance > 0


def test_an_access_token_expires_and_says_so() -> None:
    """At its end the session is told, the token is refused as expired, and the refresh token still works."""
    bench = Bench(access_token_s=20, idle_timeout_ms=10**9)
    line = bench.login(LEADER)
    old = bench.broker.grants.tokens_of(LEADER)
    assert old is not None
    bench.pass_time(19)
    assert line.take(INVALIDATED) == []
    bench.pass_time(1)
    assert len(line.take(INVALIDATED)) == 1
    refused = auth(bench, line, LEADER, old.access_token)
    assert (refused.errorCode, refused.description) == ("CH_ACCESS_TOKEN_INVALID", "Access token expired")
    fresh = line.ask(messages.ProtoOARefreshTokenReq(refreshToken=old.refresh_token))
    assert auth(bench, line, LEADER, fresh.accessToken).ctidTraderAccountId == LEADER


def test_a_token_refreshed_long_ago_still_has_its_full_life() -> None:
    """One alarm serves many tokens: each expires at its own moment."""
    bench = Bench(access_token_s=100, idle_timeout_ms=10**9)
    first = consent(bench, LEADER)
    bench.pass_time(50)
    second = consent(bench, EURO)
    bench.pass_time(50)
    assert isinstance(bench.broker.grants.check(first.access_token, bench.now_us), Refusal)
    line = bench.login()
    assert auth(bench, line, EURO, second.access_token).ctidTraderAccountId == EURO
    bench.pass_time(50)
    assert [kind for kind, _, _ in line.inbox if kind in (INVALIDATED, DISCONNECTED)] == [INVALIDATED, DISCONNECTED]


def test_grants_live_side_by_side_unless_switched() -> None:
    """By default a new consent harms no earlier one; the switch ends them, with 2147 to their sessions."""
    for kills in (False, True):
        bench = Bench(consent_kills_earlier=kills)
        line = bench.login(LEADER)
        consent(bench, LEADER)
        bench.collect()
        assert bool(line.take(INVALIDATED)) == kills


def test_accounts_not_ticked_again_are_lost_with_the_switch() -> None:
    """Only the sessions of the lost accounts end; the earlier tokens go on for the others."""
    bench = Bench(consent_drops_unticked=True)
    line = bench.login(LEADER, EURO)
    consent(bench, LEADER)
    bench.collect()
    (event,) = line.take(INVALIDATED)
    assert list(event.ctidTraderAccountIds) == [EURO]
    assert line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)).trader.balance > 0


def test_a_token_covers_only_the_accounts_that_were_ticked() -> None:
    """Other accounts of the same user are not in its list and cannot be opened."""
    bench = Bench()
    grant = consent(bench, LEADER)
    line = bench.login()
    listed = line.ask(messages.ProtoOAGetAccountListByAccessTokenReq(accessToken=grant.access_token))
    assert [a.ctidTraderAccountId for a in listed.ctidTraderAccount] == [LEADER]
    assert auth(bench, line, EURO, grant.access_token).errorCode == "CH_ACCESS_TOKEN_INVALID"


def test_a_view_token_may_look_but_not_trade() -> None:
    """Its scope is 0; reads are answered, an order is refused with OrderErrorEvent."""
    bench = Bench()
    grant = consent(bench, LEADER, scope="accounts")
    line = bench.login()
    listed = line.ask(messages.ProtoOAGetAccountListByAccessTokenReq(accessToken=grant.access_token))
    assert listed.permissionScope == 0
    auth(bench, line, LEADER, grant.access_token)
    assert line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)).trader.balance > 0
    line.send(
        messages.ProtoOANewOrderReq(
            ctidTraderAccountId=LEADER, symbolId=1, orderType="MARKET", tradeSide="BUY", volume=100_000
        )
    )
    kind, body, _ = line.inbox[-1]
    assert (kind, body.errorCode) == (2132, "TRADING_NOT_ALLOWED")


def test_a_session_that_a_refresh_leaves_may_look_and_not_trade_as_before() -> None:
    """With the switch off it goes on, and what it may not do does not become possible when its token ends."""
    bench = Bench(refresh_drops_sessions=False)
    grant = consent(bench, LEADER, scope="accounts")
    line = bench.login()
    auth(bench, line, LEADER, grant.access_token)
    line.ask(messages.ProtoOARefreshTokenReq(refreshToken=grant.refresh_token))
    assert line.ask(market_order(LEADER, 1, 1, 100_000)).errorCode == "TRADING_NOT_ALLOWED"


def test_logout_ends_the_account_session() -> None:
    """AccountLogoutRes, then 2164; afterwards the account is not authorised and may be opened again."""
    bench = Bench()
    line = bench.login(LEADER)
    line.send(messages.ProtoOAAccountLogoutReq(ctidTraderAccountId=LEADER))
    assert [kind for kind, _, _ in line.inbox] == [2163, DISCONNECTED]
    assert line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)).errorCode == "INVALID_REQUEST"
    assert auth(bench, line, LEADER, bench.token(LEADER)).ctidTraderAccountId == LEADER


def test_connections_of_an_application_can_be_limited() -> None:
    """The one too many is refused with CONNECTIONS_LIMIT_EXCEEDED; a place that is given up can be taken."""
    bench = Bench(connections_max=1)
    first, second = bench.login(), bench.connect()
    application = bench.world.applications[0]
    login = messages.ProtoOAApplicationAuthReq(clientId=application.client_id, clientSecret=application.client_secret)
    assert second.ask(login).errorCode == "CONNECTIONS_LIMIT_EXCEEDED"
    bench.broker.disconnect(first.number, bench.now_us)
    assert not second.ask(login).ListFields()
