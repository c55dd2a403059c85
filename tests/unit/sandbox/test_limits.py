"""Rate limits as the server counts them, and the figures that prove a client's manners (wire.md#requests-a-second)."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox.service.limits import Window
from tests.unit.sandbox.bench import LEADER, LIVE, Bench, Line

ERROR = 2142
SECOND = 1_000_000


def ask_many(line: Line, count: int, request: Any) -> int:
    """Send a request many times at one moment; gives how many were answered."""
    before = len([kind for kind, _, _ in line.inbox if kind != ERROR])
    for _ in range(count):
        line.send(request)
    return len([kind for kind, _, _ in line.inbox if kind != ERROR]) - before


def test_fifty_in_any_second_and_then_a_block_of_that_type() -> None:
    """Of 60 at once 50 are answered; the rest gets BLOCKED_PAYLOAD_TYPE with retryAfter; a second later all is well."""
    bench = Bench()
    line = bench.login(LEADER)
    bench.pass_time(2)
    trader = messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)
    assert ask_many(line, 60, trader) == 50
    refused = line.inbox[-1][1]
    assert (refused.errorCode, refused.retryAfter) == ("BLOCKED_PAYLOAD_TYPE", 1)
    bench.pass_time(0.999)
    assert ask_many(line, 1, trader) == 0
    bench.pass_time(0.001)
    assert ask_many(line, 50, trader) == 50


def test_the_block_is_of_one_payload_type() -> None:
    """While one type is blocked, another is accepted as soon as the window has room."""
    bench = Bench(requests_per_second=2, retry_after_s=10)
    line = bench.login()
    bench.pass_time(2)
    assert ask_many(line, 3, messages.ProtoOAVersionReq()) == 2
    bench.pass_time(1.5)
    assert ask_many(line, 1, messages.ProtoOAVersionReq()) == 0
    line.send(messages.ProtoOARefreshTokenReq(refreshToken="x"))
    assert line.inbox[-1][1].errorCode == "CH_ACCESS_TOKEN_INVALID"


def test_five_historical_requests_in_any_second_beside_the_fifty() -> None:
    """The historical set has its own count and takes nothing from the others."""
    bench = Bench()
    line = bench.login(LEADER)
    bench.pass_time(2)
    assert ask_many(line, 9, messages.ProtoOADealListReq(ctidTraderAccountId=LEADER)) == 5
    assert ask_many(line, 51, messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)) == 50


def test_the_count_is_of_the_connection() -> None:
    """All accounts on a connection share it; another connection has its own."""
    bench = Bench()
    one, two = bench.login(LEADER, LIVE), bench.login(LEADER)
    bench.pass_time(2)
    assert ask_many(one, 30, messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)) == 30
    assert ask_many(one, 30, messages.ProtoOATraderReq(ctidTraderAccountId=LIVE)) == 20
    assert ask_many(two, 50, messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)) == 50


def test_a_refused_order_over_the_limit_comes_as_error_res() -> None:
    """A blocked trading request is refused on ErrorRes, with the client's id."""
    bench = Bench(requests_per_second=1)
    line = bench.login(LEADER)
    bench.pass_time(2)
    close = messages.ProtoOAClosePositionReq(ctidTraderAccountId=LEADER, positionId=1, volume=1)
    line.send(close)
    msg_id = line.send(close)
    kind, body, found = line.inbox[-1]
    assert (kind, body.errorCode, found) == (ERROR, "BLOCKED_PAYLOAD_TYPE", msg_id)


def test_the_older_form_of_the_refusal_is_a_switch() -> None:
    """REQUEST_FREQUENCY_EXCEEDED with the text that was reported and account 0."""
    bench = Bench(requests_per_second=1, rate_refusal="REQUEST_FREQUENCY_EXCEEDED")
    line = bench.login()
    bench.pass_time(2)
    ask_many(line, 2, messages.ProtoOAVersionReq())
    refused = line.inbox[-1][1]
    assert refused.errorCode == "REQUEST_FREQUENCY_EXCEEDED"
    assert refused.description == "You have reached the rate limit of requests"
    assert refused.HasField("ctidTraderAccountId")
    assert refused.ctidTraderAccountId == 0


@pytest.mark.parametrize(("shape", "expected"), [("sliding", 10), ("bucket", 19), ("fixed", 20)])
def test_the_shape_of_the_window(shape: str, expected: int) -> None:
    """10 a second, 10 tries just before a full second and 10 just after: each shape lets through what it must."""
    window = Window(10, shape)
    early = sum(window.accept(9 * SECOND + 50_000) for _ in range(10))
    late = sum(window.accept(10 * SECOND - 50_000) for _ in range(10))
    assert early == 10
    accepted = late + sum(window.accept(10 * SECOND + 1) for _ in range(10))
    assert accepted == {"sliding": 0, "bucket": 9, "fixed": 10}[shape] == expected - 10


def test_trading_limits_per_minute_on_demo_only() -> None:
    """100 cancels a minute; the next blocks cancels for a minute; a live account has no such limit."""
    bench = Bench(requests_per_second=10_000)
    line = bench.login(LEADER, LIVE)
    for ctid, answered in ((LEADER, 100), (LIVE, 120)):
        line.inbox.clear()
        for _ in range(120):
            line.send(messages.ProtoOACancelOrderReq(ctidTraderAccountId=ctid, orderId=1))
            bench.pass_time(0.1)
        assert len([kind for kind, _, _ in line.inbox if kind == 2132]) == answered
        blocked = [body for kind, body, _ in line.inbox if kind == ERROR]
        assert [body.errorCode for body in blocked[:1]] == (["BLOCKED_PAYLOAD_TYPE"] if ctid == LEADER else [])
        bench.pass_time(0)
        for _ in range(7):
            bench.pass_time(10)
            bench.broker.receive(line.number, 51, b"", None, bench.now_us)
            bench.collect()
    assert bench.broker.stats()["rate_refusals_total"] == 20


def test_the_figures_show_the_busiest_second_with_and_without_heartbeats() -> None:
    """Everything that arrives counts, refused or not; heartbeats are told apart."""
    bench = Bench()
    line = bench.login()
    bench.pass_time(5)
    for step in range(60):
        line.send(messages.ProtoOAVersionReq())
        bench.pass_time(0.01)
        if step % 2 == 0:
            bench.broker.receive(line.number, 51, b"", None, bench.now_us)
    report: Any = bench.broker.stats()
    (figures,) = report["connections"]
    assert (figures["busiest_second"], figures["busiest_second_with_heartbeats"]) == (60, 90)
    assert figures["heartbeats"] == 30
    assert figures["requests"] == 61
    assert figures["rate_refusals"] == report["rate_refusals_total"] == 10
    assert figures["rate_refusals_by_type"] == {"2104": 10}
    assert figures["requests_by_type"] == {"51": 30, "2100": 1, "2104": 60}
    bench.broker.disconnect(line.number, bench.now_us)
    report = bench.broker.stats()
    assert (report["connections_open"], report["busiest_second"]) == (0, 60)


@pytest.mark.parametrize(("code", "counted"), [("NOT_SUBSCRIBED_TO_SPOTS", 0), ("BLOCKED_PAYLOAD_TYPE", 1)])
def test_a_refusal_of_another_kind_that_says_when_to_ask_again_is_none_for_the_rate(code: str, counted: int) -> None:
    """It counted as one, so that a client that had asked once was told to have been too fast."""
    bench = Bench()
    line = bench.login()
    bench.broker.set_fault("error", {"code": code, "type": "2104", "retry_after": "1"})
    line.send(messages.ProtoOAVersionReq())
    assert (line.inbox[-1][1].errorCode, line.inbox[-1][1].retryAfter) == (code, 1)
    report: Any = bench.broker.stats()
    assert report["connections"][0]["rate_refusals"] == counted
