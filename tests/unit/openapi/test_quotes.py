"""The board of newest quotes."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from cmam.domain.market.differences import MOMENT_US, MOMENTS
from cmam.domain.values.ids import AccountId, SymbolId
from cmam.openapi import catalogue
from cmam.openapi._pb.OpenApiMessages_pb2 import ProtoOASpotEvent
from cmam.openapi.envelope import Envelope
from cmam.openapi.errors import RemoteError
from cmam.openapi.quotes import BrokerClock, QuoteBoard

ONE, TWO = AccountId(1), AccountId(2)
EURUSD = SymbolId(7)


def spot(account: int = 1, symbol: int = 7, **fields: int) -> Envelope:
    """A spot event as it comes off the wire."""
    event = ProtoOASpotEvent(ctidTraderAccountId=account, symbolId=symbol, **fields)
    return Envelope(catalogue.SPOT, event.SerializeToString())


@pytest.fixture
def board() -> QuoteBoard:
    """A board on which account 1 carries the feed `a`."""
    board = QuoteBoard()
    board.carry(ONE, "a")
    return board


def test_a_quote_has_both_sides_in_the_domains_scale(board: QuoteBoard) -> None:
    """Spots come in 1/100000, whatever the symbol's digits."""
    board.receive(spot(bid=112_345, ask=112_347, timestamp=1_700), 5)
    quote = board.quote("a", EURUSD)
    assert quote is not None
    assert (quote.bid, quote.ask, quote.server_ms, quote.seen_us) == (112_345_000, 112_347_000, 1_700, 5)


def test_an_absent_side_is_unchanged(board: QuoteBoard) -> None:
    """A one-sided spot is not a price of zero."""
    board.receive(spot(bid=100, ask=102), 1)
    board.receive(spot(ask=105), 2)
    quote = board.quote("a", EURUSD)
    assert quote is not None
    assert (quote.bid, quote.ask, quote.seen_us) == (100_000, 105_000, 2)


def test_half_a_quote_is_none(board: QuoteBoard) -> None:
    """Until both sides were seen nobody trades on it, and an explicit 0 is no side."""
    board.receive(spot(bid=100), 1)
    assert board.quote("a", EURUSD) is None
    board.receive(spot(ask=0), 2)
    assert board.quote("a", EURUSD) is None


def test_feeds_and_symbols_are_kept_apart(board: QuoteBoard) -> None:
    """The same symbol id means another thing at another broker."""
    board.carry(TWO, "b")
    board.receive(spot(1, bid=100, ask=101), 1)
    board.receive(spot(2, bid=900, ask=901), 1)
    board.receive(spot(1, 8, bid=5, ask=6), 1)
    found = [board.quote("a", EURUSD), board.quote("b", EURUSD), board.quote("a", SymbolId(8))]
    assert [quote and quote.bid for quote in found] == [100_000, 900_000, 5_000]


def test_spots_of_an_account_that_carries_nothing_are_not_taken(board: QuoteBoard) -> None:
    """A few spots may still arrive after unsubscribing."""
    board.receive(spot(2, bid=1, ask=2), 1)
    assert board.quote("", EURUSD) is None
    board.drop(ONE, "a")
    board.receive(spot(1, bid=1, ask=2), 1)
    assert board.quote("a", EURUSD) is None


def test_who_carries_another_feed_too_brings_its_quotes_along(board: QuoteBoard) -> None:
    """No first quote comes of what is subscribed; what comes from now on counts for both, until either is dropped."""
    board.receive(spot(bid=100, ask=102), 1)
    board.carry(ONE, "b")
    assert board.quote("b", EURUSD) == board.quote("a", EURUSD) is not None
    board.receive(spot(bid=90), 2)
    assert board.quote("b", EURUSD) == board.quote("a", EURUSD)
    board.drop(ONE, "a")
    board.receive(spot(bid=80), 3)
    newest = board.quote("b", EURUSD)
    assert newest is not None
    assert newest.bid == 80_000
    assert board.quote("a", EURUSD) is None


def test_a_side_from_before_a_gap_is_no_quote_after_it(board: QuoteBoard) -> None:
    """After a reconnect the first one-sided spot does not make a quote with yesterday's other side."""
    board.receive(spot(bid=100, ask=102), 1)
    board.drop(ONE, "a")
    assert board.quote("a", EURUSD) is None
    board.carry(ONE, "a")
    board.receive(spot(bid=90), 2)
    assert board.quote("a", EURUSD) is None
    board.receive(spot(ask=91), 3)
    assert board.quote("a", EURUSD) is not None


def test_garbage_is_a_remote_error(board: QuoteBoard) -> None:
    """Bytes that are no spot raise RemoteError."""
    with pytest.raises(RemoteError):
        board.receive(Envelope(catalogue.SPOT, b"\xff\xff"), 1)


def test_a_connection_that_carries_spots_was_heard(board: QuoteBoard) -> None:
    """Spots are told to nobody, so the board remembers when each connection carried one."""
    assert board.heard_us("connection:demo-1") == 0
    board.hear("connection:demo-1", 77)
    assert (board.heard_us("connection:demo-1"), board.heard_us("connection:live-1")) == (77, 0)


def test_an_account_reads_the_feed_that_it_joined(board: QuoteBoard) -> None:
    """Who carries a feed and who reads it are two things."""
    board.join(TWO, "a")
    assert (board.feed_of(TWO), board.feed_of(AccountId(3))) == ("a", "")


# --- the broker's clock -------------------------------------------------------------------------------------------

SECOND = 1_000_000
START = 1_700_000_000 * SECOND


def tick(board: QuoteBoard, at_s: float, *, ahead_ms: int, delay_ms: int = 0, symbol: int = 1) -> None:
    """A spot that arrives `at_s` after the start, of a broker whose clock is ahead, late by `delay_ms`."""
    now = START + int(at_s * SECOND)
    stamp = now // 1_000 + ahead_ms - delay_ms
    board.receive(spot(symbol=symbol, bid=110_000, ask=110_001, timestamp=stamp), now)


def test_nothing_is_known_of_a_clock_before_the_second_spot(board: QuoteBoard) -> None:
    """The first spot of a symbol may be of last week: it says nothing of the clock."""
    tick(board, 0, ahead_ms=0, delay_ms=200_000_000)
    assert board.clock("a") == BrokerClock(0, 0)
    tick(board, 1, ahead_ms=700)
    assert board.clock("a") == BrokerClock(700, 0)
    assert board.clock("another") == BrokerClock(0, 0)


@pytest.mark.parametrize("ahead_ms", [-700, 0, 700])
def test_the_fastest_spot_tells_the_clock(board: QuoteBoard, ahead_ms: int) -> None:
    """Delay only ever makes a clock look slower, so of all spots of a minute or two the largest difference counts."""
    for number, delay_ms in enumerate([900, 40, 300, 2, 5_000, 80]):
        tick(board, number, ahead_ms=ahead_ms, delay_ms=delay_ms)
    assert board.clock("a") == BrokerClock(ahead_ms - 2, 0)
    tick(board, 62, ahead_ms=ahead_ms, delay_ms=50)
    assert board.clock("a") == BrokerClock(ahead_ms - 2, 48)


def test_an_old_window_is_forgotten(board: QuoteBoard) -> None:
    """A difference from before the last two minutes is no measurement any more."""
    for at_s in (0, 1, 62, 124):
        tick(board, at_s, ahead_ms=1_000 if at_s < 60 else 100)
    assert board.clock("a") == BrokerClock(100, 0)
    tick(board, 400, ahead_ms=40)
    assert board.clock("a") == BrokerClock(40, 0)


def test_a_step_of_a_clock_shows_as_doubt(board: QuoteBoard) -> None:
    """Where two windows disagree by ten minutes an age means nothing, until the older one is gone."""
    for at_s in (0, 1, 62):
        tick(board, at_s, ahead_ms=600_000 if at_s > 60 else 0)
    assert board.clock("a").doubt_ms == 600_000
    for at_s in (100, 123, 184):
        tick(board, at_s, ahead_ms=600_000)
    assert board.clock("a") == BrokerClock(600_000, 0)


def test_spots_without_a_time_say_nothing_of_the_clock(board: QuoteBoard) -> None:
    """The server's time is optional, and absent is not 1970."""
    for now in (START, START + SECOND):
        board.receive(spot(symbol=1, bid=110_000, ask=110_001), now)
    assert board.clock("a") == BrokerClock(0, 0)


def test_a_price_beyond_all_reason_is_a_remote_error(board: QuoteBoard) -> None:
    """A number that no store could hold is garbage, not a price."""
    with pytest.raises(RemoteError):
        board.receive(spot(symbol=1, bid=2**63), START)


def test_what_was_known_before_an_absurd_price_is_no_quote_either(board: QuoteBoard) -> None:
    """Somebody trades on it no longer; the next two sides are a quote again."""
    board.receive(spot(bid=100, ask=102), 1)
    with pytest.raises(RemoteError):
        board.receive(spot(bid=2**63), 2)
    assert board.quote("a", EURUSD) is None
    board.receive(spot(bid=100, ask=102), 3)
    assert board.quote("a", EURUSD) is not None


@pytest.mark.parametrize("time_ms", [2**63 - 1, -(2**63), 1, (START + 27 * 3_600 * 1_000_000) // 1_000])
def test_a_time_that_no_clock_can_show_is_no_sample(board: QuoteBoard, time_ms: int) -> None:
    """Two zones of the world are 26 hours apart at most, so not even a clock set wrongly is further away."""
    board.receive(spot(bid=1, ask=2, timestamp=START // 1_000), START)
    board.receive(spot(bid=1, ask=2, timestamp=time_ms), START)
    assert board.clock("a") == BrokerClock()
    board.receive(spot(bid=1, ask=2, timestamp=START // 1_000 + 40), START)
    assert board.clock("a") == BrokerClock(40)


def test_the_last_quote_of_each_second_is_kept(board: QuoteBoard) -> None:
    """Newest first, and no more than are compared; half a quote is none, and a feed that is lost has no past."""
    board.receive(spot(bid=1), 100_000)
    assert board.past("a", EURUSD) == ()
    for us in (1_100_000, 1_900_000, 2_000_000, 2_500_000, 7_000_000):
        board.receive(spot(bid=us // 100_000, ask=us // 100_000 + 1), us)
    assert [quote.seen_us for quote in board.past("a", EURUSD)] == [7_000_000, 2_500_000, 1_900_000]
    for second in range(8, 60):
        board.receive(spot(bid=second, ask=second), second * MOMENT_US)
    assert [quote.bid // 1_000 for quote in board.past("a", EURUSD)] == list(range(59, 59 - MOMENTS - 1, -1))
    board.drop(ONE, "a")
    board.carry(ONE, "a")
    assert board.past("a", EURUSD) == ()


@contextmanager
def interrupted(board: QuoteBoard) -> Iterator[None]:
    """Whenever garbage is looked for, as any new object may have it, a reader has its turn and brings a new symbol."""
    before, numbers = gc.get_threshold(), count(20_000)

    def read(_phase: str, _info: dict[str, int]) -> None:
        board.receive(spot(symbol=next(numbers), bid=100, ask=102), 2)

    gc.callbacks.append(read)
    gc.set_threshold(1)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(read)


def test_a_feed_is_carried_and_dropped_while_quotes_of_another_come(board: QuoteBoard) -> None:
    """Readers bring new symbols in the middle of it: with thousands known, that ended the connection of others."""
    for symbol in range(1, 5_001):
        board.receive(spot(symbol=symbol, bid=100, ask=102), 1)
    with interrupted(board):
        board.carry(ONE, "b")
        assert board.quote("b", EURUSD) is not None
        board.drop(ONE, "a")
    assert board.quote("a", EURUSD) is None
    assert board.quote("b", EURUSD) is not None
