"""Faults and incidents: each strikes as it says, as often as it says, and not otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox import faults
from cmam.sandbox.markets.recorded import read_ticks
from cmam.sandbox.service import incidents
from tests.unit.sandbox.bench import EURO, LEADER, Bench, Line, market_order

BUY = 1
LOT = 10_000_000
EXECUTION, ORDER_ERROR, ERROR = 2126, 2132, 2142
ACCEPTED, FILLED, REJECTED = 2, 3, 7
TRADER = messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)


@pytest.fixture
def bench() -> Bench:
    """A broker under virtual time."""
    return Bench(tick_interval_ms=10**9, idle_timeout_ms=10**12)


@pytest.fixture
def line(bench: Bench) -> Line:
    """A client with two accounts open."""
    return bench.login(LEADER, EURO)


def fault(line: Line, name: str, **arguments: Any) -> str:
    """Switch a fault on."""
    return line.bench.broker.set_fault(name, {key: str(value) for key, value in arguments.items()})


def buy(line: Line, ctid: int = LEADER) -> list[Any]:
    """Buy a lot and wait."""
    return line.trade(market_order(ctid, 1, BUY, LOT))


def positions(line: Line) -> int:
    """Count the leader's open positions, behind the protocol."""
    return len(list(line.bench.broker.floor.accounts[LEADER].open_positions()))


def test_drop_loses_the_request(line: Line) -> None:
    """No answer, nothing done; after `count` times all is well again."""
    fault(line, "drop", count=1)
    assert buy(line) == []
    assert positions(line) == 0
    assert len(buy(line)) == 2


def test_silence_does_it_without_a_word(line: Line) -> None:
    """The order is filled, the asking connection hears nothing of it; another connection does."""
    other = line.bench.login(LEADER)
    fault(line, "silence", type=2106, connection=line.number)
    assert buy(line) == []
    assert positions(line) == 1
    assert len([kind for kind, _, _ in other.inbox if kind == EXECUTION]) == 2
    assert line.ask(TRADER).trader.balance > 0


def test_delay_holds_everything_in_order(bench: Bench, line: Line) -> None:
    """Answers come later by `ms`; switched off, nothing overtakes what is still held."""
    fault(line, "delay", ms=2000)
    first = line.send(TRADER)
    line.bench.broker.clear_fault("delay")
    second = line.send(TRADER)
    assert line.inbox == []
    bench.pass_time(2)
    assert [msg_id for _, _, msg_id in line.inbox] == [first, second]
    assert line.ask(TRADER).trader.balance > 0


def test_duplicate_sends_execution_events_twice(line: Line) -> None:
    """Each event twice, byte for byte; other answers once."""
    fault(line, "duplicate")
    events = buy(line)
    assert [event.executionType for event in events] == [ACCEPTED, ACCEPTED, FILLED, FILLED]
    line.inbox.clear()
    line.send(TRADER)
    assert len(line.inbox) == 1


def test_reorder_mixes_accounts_and_keeps_each_in_order(bench: Bench, line: Line) -> None:
    """Over many orders at once the accounts' events interleave differently, each account's own order is kept."""
    fault(line, "reorder", ms=400)
    sent = []
    for _ in range(8):
        for ctid in (LEADER, EURO):
            sent.append((ctid, line.send(market_order(ctid, 1, BUY, 100_000))))
    bench.pass_time(5)
    accepted = [
        (body.ctidTraderAccountId, msg_id)
        for kind, body, msg_id in line.inbox
        if kind == EXECUTION and body.executionType == ACCEPTED
    ]
    assert sorted(accepted) == sorted(sent)
    assert accepted != sent
    for ctid in (LEADER, EURO):
        assert [each for each in accepted if each[0] == ctid] == [each for each in sent if each[0] == ctid]


@pytest.mark.parametrize(("name", "filled", "heard"), [("cut-before", 0, []), ("cut-after", 1, [])])
def test_cuts_before_and_after_a_write(line: Line, name: str, filled: int, heard: list[int]) -> None:
    """The line is cut without a word; before: nothing was done; after: the order lives."""
    fault(line, name, count=1)
    line.send(TRADER)
    assert line.closed is None, "reads are not meant unless their type is named"
    line.inbox.clear()
    line.send(market_order(LEADER, 1, BUY, LOT))
    line.bench.pass_time(1)
    assert line.closed is not None
    assert not line.closed.flush
    assert [kind for kind, _, _ in line.inbox] == heard
    assert positions(line) == filled


def test_cut_in_the_middle_of_an_order(line: Line) -> None:
    """ACCEPTED arrives, then the line closes; the fill happens without a listener."""
    fault(line, "cut-mid-order", count=1)
    line.inbox.clear()
    line.send(market_order(LEADER, 1, BUY, LOT))
    line.bench.pass_time(1)
    assert [body.executionType for kind, body, _ in line.inbox if kind == EXECUTION] == [ACCEPTED]
    assert line.closed is not None
    assert positions(line) == 1


def test_half_a_frame(line: Line) -> None:
    """The close names the message of which half is to be written."""
    fault(line, "half-frame", count=1)
    line.inbox.clear()
    msg_id = line.send(market_order(LEADER, 1, BUY, LOT))
    assert line.inbox == []
    assert line.closed is not None
    assert line.closed.half_of is not None
    assert line.closed.half_of.payload_type == EXECUTION
    assert line.closed.half_of.client_msg_id == msg_id


@pytest.mark.parametrize("code", ["TRADING_DISABLED", "NO_QUOTES", "MADE_UP_CODE"])
def test_each_error_code_on_its_carrier(line: Line, code: str) -> None:
    """A trade is refused on 2132, a read on 2142, with any code; retryAfter if asked for, then on 2142."""
    fault(line, "error", code=code)
    line.send(market_order(LEADER, 1, BUY, LOT))
    line.send(TRADER)
    carriers = [(kind, body.errorCode) for kind, body, _ in line.inbox[-2:]]
    assert carriers == [(ORDER_ERROR, code), (ERROR, code)]
    fault(line, "error", code=code, retry_after=7, type=2106)
    line.send(market_order(LEADER, 1, BUY, LOT))
    kind, body, _ = line.inbox[-1]
    assert (kind, body.retryAfter) == (ERROR, 7)
    assert line.ask(TRADER).trader.balance > 0


def test_rejections_of_accepted_orders(line: Line) -> None:
    """ORDER_REJECTED with the code, order REJECTED, no position; only for the account that is named."""
    fault(line, "reject", code="NOT_ENOUGH_MONEY", account=LEADER)
    accepted, rejected = buy(line)
    assert (accepted.executionType, rejected.executionType) == (ACCEPTED, REJECTED)
    assert (rejected.errorCode, rejected.order.orderStatus) == ("NOT_ENOUGH_MONEY", 3)
    assert positions(line) == 0
    assert [event.executionType for event in buy(line, EURO)] == [ACCEPTED, FILLED]


def test_maintenance_with_an_end(bench: Bench, line: Line) -> None:
    """Accounts of the broker get 2164 and are refused with the end in seconds; after it they can be opened again."""
    fault(line, "maintenance", seconds=60, broker="Alpha")
    bench.collect()
    assert [kind for kind, _, _ in line.inbox] == [2164, 2164]
    auth = messages.ProtoOAAccountAuthReq(ctidTraderAccountId=LEADER, accessToken=bench.token(LEADER))
    refused = line.ask(auth)
    assert refused.errorCode == "SERVER_IS_UNDER_MAINTENANCE"
    assert refused.maintenanceEndTimestamp == bench.now_us // 10**6 + 60
    bench.pass_time(60)
    assert line.ask(auth).ctidTraderAccountId == LEADER


def test_clock_skew(bench: Bench, line: Line) -> None:
    """Every time that the server states is wrong by so much, and right again afterwards."""
    fault(line, "clock-skew", ms=-5000)
    *_, filled = buy(line)
    assert filled.deal.executionTimestamp == bench.now_us // 1000 - 870 - 5000
    line.bench.broker.clear_fault("clock-skew")
    *_, filled = buy(line)
    assert filled.deal.executionTimestamp == bench.now_us // 1000 - 870


def test_the_slower_history_quota(bench: Bench, line: Line) -> None:
    """After so many historical requests the type is blocked for long."""
    fault(line, "history-quota", allowed=2, seconds=120)
    request = messages.ProtoOADealListReq(ctidTraderAccountId=LEADER)
    for _ in range(2):
        assert not line.ask(request).deal
    refused = line.ask(request)
    assert (refused.errorCode, refused.retryAfter) == ("BLOCKED_PAYLOAD_TYPE", 120)
    bench.pass_time(119)
    bench.broker.clear_fault("history-quota")
    assert line.ask(request).errorCode == "BLOCKED_PAYLOAD_TYPE"
    bench.pass_time(1)
    assert not line.ask(request).deal


def test_frozen_quotes() -> None:
    """The feed stands still while the others go on, and moves again afterwards."""
    bench = Bench()
    line = bench.login(LEADER)
    bench.broker.set_fault("frozen-quotes", {"symbol": "EURUSD"})
    before = bench.quote(LEADER, 1), bench.quote(LEADER, 2)
    bench.pass_time(20)
    after = bench.quote(LEADER, 1), bench.quote(LEADER, 2)
    assert before[0] == after[0]
    assert before[1] != after[1]
    bench.broker.clear_fault("all")
    bench.pass_time(5)
    assert bench.quote(LEADER, 1) != before[0]
    assert line.closed is None


def test_dead_tokens(bench: Bench, line: Line) -> None:
    """Invalidated: 2147 and 2164, and both tokens are worth nothing. Expired: the refresh token still works."""
    other = Bench().login(LEADER)
    grant = bench.broker.grants.tokens_of(LEADER)
    assert grant is not None
    fault(line, "invalidate-token", account=LEADER)
    bench.collect()
    assert [kind for kind, _, _ in line.inbox] == [2147, 2164, 2164]
    refresh = messages.ProtoOARefreshTokenReq(refreshToken=grant.refresh_token)
    assert line.ask(refresh).errorCode == "CH_ACCESS_TOKEN_INVALID"
    fault(other, "expire-token", account=LEADER)
    other.bench.collect()
    assert [kind for kind, _, _ in other.inbox] == [2147, 2164]
    assert other.ask(refresh).accessToken


def test_a_consent_that_goes_on_without_an_account(bench: Bench) -> None:
    """Its session alone ends; the token is refused for it, also once it was refreshed, and good for the others."""
    line = bench.login(LEADER, EURO)
    fault(line, "withdraw-consent", account=EURO)
    bench.collect()
    assert [kind for kind, _, _ in line.inbox] == [2147, 2164]
    auth = messages.ProtoOAAccountAuthReq(ctidTraderAccountId=EURO, accessToken=bench.token(LEADER))
    assert line.ask(auth).errorCode == "CH_ACCESS_TOKEN_INVALID"
    assert line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)).trader.balance > 0
    grant = bench.broker.grants.tokens_of(LEADER)
    assert grant is not None
    fresh = line.ask(messages.ProtoOARefreshTokenReq(refreshToken=grant.refresh_token))
    auth.accessToken = fresh.accessToken
    assert line.ask(auth).errorCode == "CH_ACCESS_TOKEN_INVALID"


def test_a_foreign_session_trades(bench: Bench, line: Line) -> None:
    """Its events carry an id that nobody here knows; it opens, removes levels and closes."""
    fault(line, "foreign-trade", account=LEADER, action="buy", volume="1000", id="theirs")
    bench.pass_time(1)
    events = [(body.executionType, msg_id) for kind, body, msg_id in line.inbox if kind == EXECUTION]
    assert events == [(ACCEPTED, "theirs"), (FILLED, "theirs")]
    fault(line, "foreign-trade", account=LEADER, action="close")
    bench.pass_time(1)
    assert positions(line) == 0
    with pytest.raises(ValueError, match="expected an open position"):
        fault(line, "foreign-trade", account=LEADER, action="close")
    with pytest.raises(ValueError, match="the broker refused: TRADING_BAD_VOLUME"):
        fault(line, "foreign-trade", account=LEADER, action="sell", volume="1001")


def test_a_foreign_session_removes_levels(bench: Bench, line: Line) -> None:
    """The protective order is cancelled, with the foreign id, and the position stays."""
    line.trade(market_order(LEADER, 1, BUY, LOT, relativeStopLoss=500))
    line.inbox.clear()
    fault(line, "foreign-trade", account=9_000_001, action="remove-levels", id="theirs")
    bench.collect()
    assert [(body.executionType, msg_id) for _, body, msg_id in line.inbox] == [(5, "theirs")]
    assert positions(line) == 1


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [("step_volume", "200000", "stepVolume", 200_000), ("short_selling", "false", "enableShortSelling", False)],
)
def test_a_symbol_changes_while_clients_watch(
    bench: Bench, line: Line, key: str, value: str, field: str, expected: object
) -> None:
    """Every account of the broker that is open gets 2120; the symbol then reads as changed."""
    fault(line, "symbol", broker="Alpha Markets", symbol="EURUSD", set=f"{key}={value}")
    bench.collect()
    assert [(kind, list(body.symbolId)) for kind, body, _ in line.inbox] == [(2120, [1]), (2120, [1])]
    found = line.ask(messages.ProtoOASymbolByIdReq(ctidTraderAccountId=LEADER, symbolId=[1])).symbol[0]
    assert getattr(found, field) == expected


def test_sessions_that_the_server_ends(bench: Bench, line: Line) -> None:
    """An account session with 2164; all connections with 2148 and a close."""
    fault(line, "disconnect-account", account=EURO)
    bench.collect()
    assert [(kind, body.ctidTraderAccountId) for kind, body, _ in line.inbox] == [(2164, EURO)]
    line.inbox.clear()
    fault(line, "disconnect-client", reason="because")
    bench.collect()
    assert [(kind, body.reason) for kind, body, _ in line.inbox] == [(2148, "because")]
    assert line.closed is not None


def test_an_application_loses_its_state(bench: Bench) -> None:
    """Submitted again, it can no longer authorise."""
    client_id = bench.world.applications[0].client_id
    bench.broker.set_fault("application", {"client_id": client_id, "state": "Submitted"})
    line = bench.connect()
    secret = bench.world.applications[0].client_secret
    refused = line.ask(messages.ProtoOAApplicationAuthReq(clientId=client_id, clientSecret=secret))
    assert refused.description == "OA client is not in active state"


def test_a_price_jump_acts_like_a_tick(bench: Bench, line: Line) -> None:
    """The quote stands where it was put; crosses follow."""
    euro_yen = bench.quote(LEADER, 3)
    fault(line, "price", symbol="EURUSD", bid="1.2", ask="1.2001")
    assert bench.quote(LEADER, 1) == (120_000_000, 120_010_000)
    assert bench.quote(LEADER, 3) > euro_yen


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("nonsense", {}, "expected a fault .*; found 'nonsense': `cmam sandbox fault list` shows all$"),
        ("delay", {"ms": "soon"}, "whole number for ms"),
        ("delay", {"speed": "1"}, "expected delay to be given ms"),
        ("error", {}, "expected a value for code"),
        ("partial-fill", {"fraction": "2"}, "share above 0"),
        ("partial-fill", {"rest": "maybe"}, "cancel or fill"),
        ("drop", {"count": "-1"}, "whole number for count"),
        ("clock-skew", {"ms": "x"}, "whole number"),
        ("deposit", {"account": "7", "amount": "1"}, "ctid or login"),
        ("deposit", {"account": str(LEADER), "amount": "0.001"}, "at most 2 decimals"),
        ("deposit", {"account": str(LEADER)}, "expected a value for amount"),
        ("access", {"account": str(LEADER), "rights": "ALL"}, "FULL_ACCESS"),
        ("leverage", {"account": str(LEADER), "leverage": "0"}, "1 to 10000"),
        ("symbol", {"broker": "Omega", "symbol": "EURUSD", "set": "mode=ENABLED"}, "one of the brokers"),
        ("symbol", {"broker": "Alpha", "symbol": "EURUSD", "set": "colour=red"}, "expected one of mode"),
        ("symbol", {"broker": "Alpha", "symbol": "NOPE", "set": "mode=ENABLED"}, "a symbol of Alpha Markets"),
        ("symbol", {"broker": "Alpha", "symbol": "EURUSD", "set": "mode=HALF"}, "for mode"),
        ("symbol", {"broker": "Alpha", "symbol": "EURUSD", "set": "enabled=maybe"}, "true or false"),
        ("symbol", {"broker": "Alpha", "symbol": "EURUSD", "set": "lot_size=0"}, "at least 1"),
        ("disconnect-account", {"account": "nobody"}, "ctid or login"),
        ("disconnect-account", {"who": "nobody"}, "to be given account"),
        ("price", {"symbol": "EURUSD", "bid": "much"}, "decimal number for bid"),
        ("price", {"symbol": "EURJPY", "bid": "1"}, "price of its own"),
        ("price", {"symbol": "EURUSD", "bid": "-1"}, "0 < bid"),
        ("application", {"client_id": "x", "state": "Active"}, "client id"),
        ("foreign-trade", {"account": str(LEADER), "action": "dance"}, "buy, sell, close"),
    ],
)
def test_what_cannot_be_switched_on_is_said_in_one_sentence(
    bench: Bench, name: str, arguments: dict[str, str], words: str
) -> None:
    """A ValueError that says what was expected and what was found; nothing is on afterwards."""
    with pytest.raises(ValueError, match=words):
        bench.broker.set_fault(name, arguments)
    assert bench.broker.faults_on() == {}


def test_faults_are_listed_and_cleared(bench: Bench, line: Line) -> None:
    """What is on is shown with how often it struck; clearing what is not on is an error, clearing all is none."""
    fault(line, "delay", ms=5, count=3)
    line.send(TRADER)
    assert bench.broker.faults_on() == {"delay": {"ms": "5", "struck": 1, "left": 2}}
    assert bench.broker.stats()["faults"] == bench.broker.faults_on()
    with pytest.raises(ValueError, match="delay"):
        bench.broker.clear_fault("drop")
    assert bench.broker.clear_fault("all") == "off: delay"
    assert bench.broker.clear_fault("all") == "no fault was on"
    assert set(incidents.ACTS) == set(faults.INCIDENTS)
    assert set(faults.KNOWN) == {*faults.KINDS, *faults.INCIDENTS}


def test_chance_strikes_from_the_seed(bench: Bench) -> None:
    """About one in three, and the same ones for the same seed."""

    def struck(seed: int) -> list[bool]:
        on = faults.Faults(seed)
        on.set("drop", {"chance": "0.33"})
        return [on.strikes("drop") is not None for _ in range(300)]

    assert struck(1) == struck(1) != struck(2)
    assert 60 < sum(struck(1)) < 140


def test_recorded_ticks_and_bars_go_on_over_a_restart() -> None:
    """The server after it neither plays the file from its beginning nor forgets what the market did."""
    rows = (f"157783680{second}000,EURUSD,{price},{price}" for second, price in ((0, 1.1), (2, 1.2), (6, 1.3)))
    ticks = read_ticks(["time,symbol,bid,ask", *rows])
    before = Bench(ticks=ticks, tick_interval_ms=10**9)
    before.pass_time(3)
    after = Bench(ticks=ticks, tick_interval_ms=10**9, start_us=before.now_us)
    after.broker.succeed(before.broker, after.now_us)
    assert after.quote(LEADER, 1)[0] == 120_000_000
    after.pass_time(3)
    assert after.quote(LEADER, 1)[0] == 130_000_000
    request = messages.ProtoOAGetTrendbarsReq(ctidTraderAccountId=LEADER, symbolId=1, period="M1", count=1)
    (bar,) = after.login(LEADER).ask(request).trendbar
    assert (bar.low, bar.deltaHigh, bar.volume) == (110_000, 20_000, 3)


def test_a_restart_finishes_what_was_under_way(bench: Bench, line: Line) -> None:
    """An order that was accepted is filled by the next server; a GTD order expires there; tokens still work."""
    soon = bench.now_us // 1000 + 5000
    line.send(market_order(LEADER, 1, BUY, LOT, relativeStopLoss=500))
    line.send(
        messages.ProtoOANewOrderReq(
            ctidTraderAccountId=LEADER,
            symbolId=1,
            orderType="LIMIT",
            tradeSide="BUY",
            volume=LOT,
            limitPrice=1.0,
            timeInForce="GOOD_TILL_DATE",
            expirationTimestamp=soon,
        )
    )
    state = json.loads(json.dumps(bench.broker.state()))
    token = bench.token(LEADER)
    after = Bench(start_us=bench.now_us + 10**6, tick_interval_ms=10**9)
    after.broker.load_state(state, after.now_us)
    again = after.login()
    auth = messages.ProtoOAAccountAuthReq(ctidTraderAccountId=LEADER, accessToken=token)
    assert again.ask(auth).ctidTraderAccountId == LEADER
    after.pass_time(1)
    found = again.ask(messages.ProtoOAReconcileReq(ctidTraderAccountId=LEADER))
    assert [position.HasField("stopLoss") for position in found.position] == [True]
    assert len(found.order) == 1
    after.pass_time(4)
    assert not again.ask(messages.ProtoOAReconcileReq(ctidTraderAccountId=LEADER)).order
