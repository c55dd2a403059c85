"""Price streams: spots, live bars, depth (wire.md#quotes, wire.md#depth)."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from tests.unit.sandbox.bench import BETA_EURO, EURO, LEADER, Bench, Line

SPOT, DEPTH = 2131, 2155
C: dict[str, Any] = {"ctidTraderAccountId": LEADER}


@pytest.fixture
def bench() -> Bench:
    """A market that stands at 1.10000 / 1.10010 until a test moves it."""
    bench = Bench(tick_interval_ms=10**9, idle_timeout_ms=10**12)
    bench.set_quote(LEADER, 1, 1.1, 1.1001)
    return bench


@pytest.fixture
def line(bench: Bench) -> Line:
    """A client with the leader's account open."""
    return bench.login(LEADER)


def subscribe(line: Line, *symbols: int, ctid: int = LEADER, **fields: Any) -> None:
    """Subscribe to spots."""
    line.send(messages.ProtoOASubscribeSpotsReq(ctidTraderAccountId=ctid, symbolId=symbols, **fields))


def test_the_answer_then_both_sides_then_only_what_moved(bench: Bench, line: Line) -> None:
    """The response, then both sides of each symbol; later only what moved, and nothing for a still quote."""
    subscribe(line, 1, 2)
    assert [kind for kind, _, _ in line.inbox] == [2128, SPOT, SPOT]
    first = line.inbox[1][1]
    assert (first.bid, first.ask, first.symbolId) == (110_000, 110_010, 1)
    assert not first.HasField("timestamp")
    line.inbox.clear()
    bench.set_quote(LEADER, 1, 1.1, 1.1002)
    bench.set_quote(LEADER, 1, 1.1, 1.1002)
    bench.set_quote(LEADER, 1, 1.0999, 1.1002)
    asked, bid = line.take(SPOT)
    assert (asked.HasField("bid"), asked.ask) == (False, 110_020)
    assert (bid.bid, bid.HasField("ask")) == (109_990, False)


def test_timestamps_only_for_those_who_asked(bench: Bench, line: Line) -> None:
    """In milliseconds."""
    subscribe(line, 1, subscribeToSpotTimestamp=True)
    (spot,) = line.take(SPOT)
    assert spot.timestamp == bench.now_us // 1000


def test_subscriptions_belong_to_connection_and_account(bench: Bench) -> None:
    """Two accounts on one connection get an event each; another connection gets none."""
    line, other = bench.login(LEADER, EURO), bench.login(LEADER)
    subscribe(line, 1)
    subscribe(line, 1, ctid=EURO)
    line.inbox.clear()
    bench.set_quote(LEADER, 1, 1.2, 1.2001)
    assert [spot.ctidTraderAccountId for spot in line.take(SPOT)] == [LEADER, EURO]
    assert other.take(SPOT) == []


def test_refusals_leave_nothing_subscribed(bench: Bench, line: Line) -> None:
    """ALREADY_SUBSCRIBED, or SYMBOL_NOT_FOUND for one of the list: and the good one is not subscribed either."""
    subscribe(line, 1)
    subscribe(line, 2, 1)
    assert line.inbox[-1][1].errorCode == "ALREADY_SUBSCRIBED"
    subscribe(line, 2, 999)
    assert line.inbox[-1][1].errorCode == "SYMBOL_NOT_FOUND"
    subscribe(line)
    assert line.inbox[-1][1].errorCode == "INVALID_REQUEST"
    line.inbox.clear()
    bench.set_quote(LEADER, 2, 1.3, 1.3001)
    assert line.take(SPOT) == []


def test_unsubscribing_ends_the_stream(bench: Bench, line: Line) -> None:
    """No event afterwards; it may be subscribed again; what was not subscribed is no error."""
    subscribe(line, 1)
    for _ in range(2):
        answer = line.ask(messages.ProtoOAUnsubscribeSpotsReq(symbolId=[1], **C))
        assert answer.ctidTraderAccountId == LEADER
    line.inbox.clear()
    bench.set_quote(LEADER, 1, 1.2, 1.2001)
    assert line.take(SPOT) == []
    subscribe(line, 1)
    assert len(line.take(SPOT)) == 1


def test_live_bars_need_spots_and_come_with_them(bench: Bench, line: Line) -> None:
    """Period set, no close; grown by the tick; gone after unsubscribing."""
    bar: dict[str, Any] = {"symbolId": 1, "period": 1, **C}
    assert line.ask(messages.ProtoOASubscribeLiveTrendbarReq(**bar)).errorCode == "NOT_SUBSCRIBED_TO_SPOTS"
    subscribe(line, 1)
    line.ask(messages.ProtoOASubscribeLiveTrendbarReq(**bar))
    line.ask(messages.ProtoOASubscribeLiveTrendbarReq(symbolId=1, period="D1", **C))
    assert line.ask(messages.ProtoOASubscribeLiveTrendbarReq(**bar)).errorCode == "ALREADY_SUBSCRIBED"
    line.inbox.clear()
    bench.set_quote(LEADER, 1, 1.11, 1.1101)
    (spot,) = line.take(SPOT)
    minute, day = spot.trendbar
    assert (minute.period, day.period) == (1, 12)
    assert not minute.HasField("deltaClose")
    assert minute.low + minute.deltaHigh == 111_000
    assert day.volume > minute.volume
    line.ask(messages.ProtoOAUnsubscribeLiveTrendbarReq(**bar))
    line.inbox.clear()
    bench.set_quote(LEADER, 1, 1.1, 1.1001)
    assert [bar.period for bar in line.take(SPOT)[0].trendbar] == [12]


def test_a_live_bar_begins_with_its_minute(bench: Bench, line: Line) -> None:
    """In the next minute the bar starts anew at that minute with the tick's price."""
    subscribe(line, 1)
    line.ask(messages.ProtoOASubscribeLiveTrendbarReq(symbolId=1, period="M1", **C))
    bench.pass_time(61)
    line.inbox.clear()
    bench.set_quote(LEADER, 1, 1.12, 1.1201)
    ((bar,),) = [spot.trendbar for spot in line.take(SPOT)]
    assert bar.utcTimestampInMinutes == bench.now_us // 60_000_000
    assert (bar.low, bar.deltaOpen, bar.deltaHigh, bar.volume) == (112_000, 0, 0, 1)


def test_depth_is_a_book_by_ids(bench: Bench, line: Line) -> None:
    """A client that applies events to its book always holds the levels of the quote, best sides first."""
    assert line.ask(messages.ProtoOASubscribeDepthQuotesReq(symbolId=[1], **C)).errorCode == "NOT_SUBSCRIBED_TO_SPOTS"
    subscribe(line, 1)
    line.ask(messages.ProtoOASubscribeDepthQuotesReq(symbolId=[1], **C))
    book: dict[int, Any] = {}
    for step in range(6):
        for event in line.take(DEPTH):
            for number in event.deletedQuotes:
                del book[number]
            book.update({quote.id: quote for quote in event.newQuotes})
        bid, ask = bench.quote(LEADER, 1)
        bids = [quote.bid for quote in book.values() if quote.HasField("bid")]
        asks = [quote.ask for quote in book.values() if quote.HasField("ask")]
        assert (max(bids), min(asks)) == (bid // 1000, ask // 1000)
        assert len(bids) == len(asks) == 5
        bench.set_quote(LEADER, 1, 1.1 + step * 0.00001, 1.1001 + step * 0.00002)
    line.ask(messages.ProtoOAUnsubscribeDepthQuotesReq(symbolId=[1], **C))
    line.inbox.clear()
    bench.set_quote(LEADER, 1, 1.2, 1.2001)
    assert line.take(DEPTH) == []


def test_each_broker_quotes_with_its_own_digits_and_markup() -> None:
    """One feed: Alpha with five digits, Beta with three points more spread; the first event says so."""
    bench = Bench(tick_interval_ms=10**9)
    bench.set_quote(LEADER, 1, 1.234567, 1.234671)
    alpha, beta = bench.login(LEADER), bench.login(BETA_EURO)
    subscribe(alpha, 1)
    subscribe(beta, 2, ctid=BETA_EURO)
    (one,), (two,) = alpha.take(SPOT), beta.take(SPOT)
    assert (one.bid, one.ask) == (123_456, 123_468)
    assert (two.bid, two.ask) == (123_456, 123_471)


def test_session_close_is_the_last_bid_of_the_day_before(bench: Bench, line: Line) -> None:
    """It turns at 17:00 in New York, 22:00 UTC in winter, and not before."""
    found = []
    bench.set_quote(LEADER, 1, 1.2, 1.2001)
    for hours in (0, 9.99, 0.02, 24):
        bench.pass_time(hours * 3600)
        subscribe(line, 1)
        (spot,) = line.take(SPOT)
        found.append(spot.sessionClose)
        line.send(messages.ProtoOAUnsubscribeSpotsReq(symbolId=[1], **C))
        bench.set_quote(LEADER, 1, 1.3, 1.3001)
        line.inbox.clear()
    assert found == [108_500, 108_500, 130_000, 130_000]
