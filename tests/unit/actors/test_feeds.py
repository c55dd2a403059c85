"""The feeds of one connection: who carries them, and what becomes of refusals."""

from __future__ import annotations

import logging

import pytest

from cmam.actors import messages as m
from cmam.actors.lines.feeds import Feeds
from cmam.domain.values.ids import AccountId, SymbolId
from cmam.openapi import catalogue
from cmam.openapi._pb.OpenApiMessages_pb2 import (
    ProtoOASpotEvent,
    ProtoOASubscribeSpotsReq,
    ProtoOAUnsubscribeSpotsReq,
)
from cmam.openapi.envelope import Envelope
from cmam.openapi.quotes import QuoteBoard


class Bench:
    """Feeds whose questions are collected, and whose accounts are authorised or not."""

    def __init__(self) -> None:
        self.ready = {1, 2}
        self.asked: list[m.Ask] = []
        self.board = QuoteBoard()
        self.feeds = Feeds(self.board, "connection:demo-1", lambda account: account in self.ready, self.asked.append)

    def want(self, account: int, *symbols: int, feed: str = "f") -> None:
        self.feeds.want(m.QuotesWanted(AccountId(account), feed, symbols))

    def taken(self) -> list[tuple[int, list[int]]]:
        """By whom which symbols were asked for since the last look; the questions stay open."""
        found = [(ask.account, list(ask.message.symbolId)) for ask in self.asked]
        self.asked.clear()
        return [(int(account), symbols) for account, symbols in found]

    def is_awaited(self, feed: str) -> bool:
        """Whether quotes of a feed may still come, an hour after somebody began to read it."""
        self.board.join(AccountId(99), feed, 0)
        return self.board.is_warming(AccountId(99), 3_600_000_000)

    def hear(self, account: int, symbol: int) -> None:
        spot = ProtoOASpotEvent(ctidTraderAccountId=account, symbolId=symbol, bid=110_000, ask=110_010)
        self.board.receive(Envelope(catalogue.SPOT, spot.SerializeToString()), 5)

    def refuse(self, ask: m.Ask, code: str) -> None:
        self.feeds.refused(m.Unanswered(ask.question, code, "no"), 0)


def test_a_symbol_is_asked_for_once_whoever_wants_it() -> None:
    """A second account of the feed, and a second word of the same one, ask only for what is new."""
    bench = Bench()
    bench.want(1, 10, 11)
    bench.want(2, 11, 12)
    bench.want(1, 11)
    bench.want(1, 13)
    assert bench.taken() == [(1, [10, 11]), (1, [12]), (1, [13])]


def test_who_carries_on_asks_for_all_that_anybody_ever_wanted() -> None:
    """What was wanted later counts as what was wanted first: also on a new line, and after the carrier has gone."""
    bench = Bench()
    bench.want(1, 10)
    bench.want(1, 11)
    bench.want(2, 12)
    bench.taken()
    bench.ready.remove(1)
    bench.feeds.lose(1)
    assert bench.taken() == [(2, [10, 11, 12])]
    bench.feeds.lose_all()
    bench.ready.add(1)
    bench.feeds.tend()
    assert bench.taken() == [(1, [10, 11, 12])]


def test_what_is_refused_for_the_moment_is_asked_for_again_alone() -> None:
    """A second later the batch goes out once more, and what stands already does not."""
    bench = Bench()
    bench.want(1, 10, 11)
    bench.feeds.answered(bench.asked[0].question, 0)
    bench.want(1, 12, 13)
    bench.refuse(bench.asked[1], "REQUEST_FREQUENCY_EXCEEDED")
    bench.taken()
    bench.feeds.tend()
    assert bench.taken() == [(1, [12, 13])]
    bench.feeds.tend()
    assert bench.taken() == []


def test_what_is_refused_each_second_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A broker that tells no quotes for a day is asked each second, and fills nobody's disk with that."""
    bench = Bench()
    for code in ("CHANNEL_IS_BLOCKED", "CHANNEL_IS_BLOCKED", "INVALID_REQUEST", ""):
        bench.asked.clear()
        bench.want(1, 10)
        bench.feeds.tend()
        if code:
            bench.refuse(bench.asked[0], code)
        else:
            bench.feeds.answered(bench.asked[0].question, 0)
    bench.want(1, 11)
    bench.refuse(bench.asked[1], "INVALID_REQUEST")
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    told = ("CHANNEL_IS_BLOCKED", "INVALID_REQUEST", "INVALID_REQUEST")
    assert said == [f"! quotes were refused: {code} no" for code in told]


def test_a_symbol_that_the_broker_has_not_costs_no_other_its_quotes() -> None:
    """One symbol is to blame for the refusal of a batch: all others are subscribed, and it is asked for no more."""
    bench = Bench()
    bench.want(1, *range(10, 20))
    standing: set[int] = set()
    while bench.asked:
        ask = bench.asked.pop(0)
        if 13 in ask.message.symbolId:
            bench.refuse(ask, "SYMBOL_NOT_FOUND")
        else:
            standing.update(ask.message.symbolId)
            bench.feeds.answered(ask.question, 0)
    assert standing == set(range(10, 20)) - {13}
    bench.feeds.tend()
    bench.want(2, 13)
    assert bench.taken() == []


def test_a_late_refusal_does_not_touch_who_carries_the_feed_now() -> None:
    """The line is new: what an older question is told says nothing of the subscriptions on it."""
    bench = Bench()
    bench.want(1, 10)
    [old] = bench.asked
    bench.taken()
    bench.feeds.lose_all()
    bench.feeds.tend()
    bench.taken()
    bench.refuse(old, "UNKNOWN_ERROR")
    bench.feeds.tend()
    assert bench.taken() == []


def test_what_is_subscribed_already_is_ended_and_subscribed_anew() -> None:
    """One symbol of the batch was subscribed: the others were not, and nobody was told the last price of that one."""
    bench = Bench()
    bench.want(1, 10, 11)
    bench.refuse(bench.asked.pop(), "ALREADY_SUBSCRIBED")
    (end,) = bench.asked
    assert isinstance(end.message, ProtoOAUnsubscribeSpotsReq)
    assert bench.taken() == [(1, [10, 11])]
    bench.feeds.answered(end.question, 0)
    (begin,) = bench.asked
    assert isinstance(begin.message, ProtoOASubscribeSpotsReq)
    assert bench.taken() == [(1, [10, 11])]
    assert bench.is_awaited("f")
    bench.refuse(begin, "ALREADY_SUBSCRIBED")  # then that is what was wanted
    assert not bench.is_awaited("f")
    bench.feeds.tend()
    assert bench.taken() == []


def test_an_end_that_is_refused_does_not_keep_a_subscription_from_beginning() -> None:
    """Nothing may have stood."""
    bench = Bench()
    bench.want(1, 10)
    bench.refuse(bench.asked.pop(), "ALREADY_SUBSCRIBED")
    bench.refuse(bench.asked.pop(), "INVALID_REQUEST")
    assert bench.taken() == [(1, [10])]


def test_an_end_that_comes_late_begins_nothing_in_another_session() -> None:
    """There all is asked for as ever."""
    bench = Bench()
    bench.want(1, 10)
    bench.refuse(bench.asked.pop(), "ALREADY_SUBSCRIBED")
    end = bench.asked.pop()
    bench.feeds.lose(1)
    assert bench.taken() == [(1, [10])]
    bench.feeds.answered(end.question, 0)
    assert bench.taken() == []


def test_who_reads_another_list_asks_for_what_is_new_in_it() -> None:
    """A batch of which one symbol is subscribed is refused whole: what is new would never have a quote.

    Once the line is new, or the session, all of it is asked for.
    """
    bench = Bench()
    bench.want(1, 10, 11)
    bench.want(1, 10, 11, 12, feed="g")
    assert bench.taken() == [(1, [10, 11]), (1, [12])]
    bench.feeds.lose(1)
    assert bench.taken() == [(1, [10, 11, 12])]
    bench.feeds.lose_all()
    bench.feeds.tend()
    assert bench.taken() == [(1, [10, 11, 12])]


def test_who_reads_another_list_keeps_its_quotes() -> None:
    """No first quote comes of what is subscribed already."""
    bench = Bench()
    bench.want(1, 10)
    bench.hear(1, 10)
    quote = bench.board.quote("f", SymbolId(10))
    bench.want(1, 10, feed="g")
    assert quote is not None
    assert bench.board.quote("g", SymbolId(10)) == quote
    assert bench.board.quote("f", SymbolId(10)) is None


def test_what_is_refused_after_the_list_has_changed_is_asked_for_all_the_same() -> None:
    """After a start quotes are asked for by the list on record, of which the broker has taken one symbol away: the
    batch is refused, and halved, when the account reads the new list already."""
    bench = Bench()
    bench.want(1, *range(10, 20))
    (old,) = bench.asked
    bench.taken()
    bench.want(1, *(symbol for symbol in range(10, 20) if symbol != 13), feed="g")
    assert bench.taken() == []
    assert bench.is_awaited("g")
    bench.asked.append(old)
    standing: set[int] = set()
    while bench.asked:
        ask = bench.asked.pop(0)
        if 13 in ask.message.symbolId:
            bench.refuse(ask, "SYMBOL_NOT_FOUND")
        else:
            standing.update(ask.message.symbolId)
            bench.feeds.answered(ask.question, 0)
    assert standing == set(range(10, 20)) - {13}
    assert not bench.is_awaited("g")


def test_what_is_refused_for_the_moment_is_asked_for_again_by_whichever_list() -> None:
    """The feed that it was asked for is at its end; the one that is read now lacks it all the same."""
    bench = Bench()
    bench.want(1, 10, 11)
    (old,) = bench.asked
    bench.want(1, 10, 11, 12, feed="g")
    bench.taken()
    bench.refuse(old, "REQUEST_FREQUENCY_EXCEEDED")
    bench.feeds.tend()
    assert bench.taken() == [(1, [10, 11])]


def test_a_crowd_whose_list_changes_is_carried_by_one() -> None:
    """One after the other reads the new list; those who read the former one keep its quotes meanwhile."""
    bench = Bench()
    crowd = range(1, 11)
    bench.ready = set(crowd)
    for account in crowd:
        bench.want(account, 10, 11)
    bench.hear(1, 10)
    for account in crowd:
        assert bench.board.quote("f", SymbolId(10)) is not None
        bench.want(account, 10, 11, 12, feed="g")
        assert bench.board.quote("g", SymbolId(10)) is not None
    assert bench.taken() == [(1, [10, 11]), (1, [12])]
    assert bench.board.quote("f", SymbolId(10)) is None


def test_who_carries_nothing_any_more_is_sent_no_quotes() -> None:
    """Another one has read the new list before the carrier of the former; it begins anew if it is to carry on."""
    bench = Bench()
    bench.want(1, 10)
    bench.want(2, 10)
    bench.want(2, 10, feed="g")
    assert bench.taken() == [(1, [10]), (2, [10])]
    bench.want(1, 10, feed="g")
    (ended,) = bench.asked
    assert isinstance(ended.message, ProtoOAUnsubscribeSpotsReq)
    assert bench.taken() == [(1, [10])]
    bench.ready.remove(2)
    bench.feeds.lose(2)
    (begun,) = bench.asked
    assert isinstance(begun.message, ProtoOASubscribeSpotsReq)
    assert bench.taken() == [(1, [10])]


def test_who_carries_two_feeds_loses_both() -> None:
    """Its session is gone: whoever reads either carries on."""
    bench = Bench()
    bench.ready = {1, 2, 3}
    for account in (1, 2, 3):
        bench.want(account, 10)
    bench.want(1, 10, feed="g")
    bench.want(2, 10, feed="g")
    bench.taken()
    bench.ready.remove(1)
    bench.feeds.lose(1)
    assert sorted(bench.taken()) == [(2, [10]), (3, [10])]
    bench.feeds.forget(3)
    bench.hear(3, 10)
    assert bench.board.quote("f", SymbolId(10)) is None


def test_quotes_may_still_come_until_their_question_is_answered() -> None:
    """On a busy line that takes longer than the three seconds that a feed is warm: these begin with the answer."""
    bench = Bench()
    bench.board.join(AccountId(1), "f", 0)
    bench.want(1, 10)
    (ask,) = bench.asked
    assert bench.board.is_warming(AccountId(1), 60_000_000)
    bench.feeds.answered(ask.question, 60_000_000)
    assert bench.board.is_warming(AccountId(1), 62_900_000)
    assert not bench.board.is_warming(AccountId(1), 63_100_000)


def test_quotes_of_a_feed_that_nobody_carries_any_more_may_still_come() -> None:
    """Its line was cut: who reads it has still to be told, and what he decides meanwhile waits."""
    bench = Bench()
    bench.board.join(AccountId(1), "f", 0)
    bench.want(1, 10)
    bench.feeds.answered(bench.asked.pop().question, 0)
    bench.hear(1, 10)
    assert not bench.board.is_warming(AccountId(1), 60_000_000)
    bench.ready.clear()
    bench.feeds.lose_all()
    assert bench.board.is_warming(AccountId(1), 60_000_000)
    bench.ready.add(2)
    bench.feeds.want(m.QuotesWanted(AccountId(2), "f", (10,)))
    bench.feeds.answered(bench.asked.pop().question, 120_000_000)
    assert bench.board.is_warming(AccountId(1), 122_900_000)
    assert not bench.board.is_warming(AccountId(1), 123_100_000)


class SteppedBoard(QuoteBoard):
    """Notes at each change whether a quote that is missing of the feed `f` may still come."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[bool] = []

    def note(self) -> None:
        self.join(AccountId(99), "f", 0)
        has_quote = self.quote("f", SymbolId(10)) is not None
        self.found.append(has_quote or self.is_warming(AccountId(99), 3_600_000_000))

    def carry(self, account: AccountId, feed: str) -> None:
        """Look right after it."""
        super().carry(account, feed)
        self.note()

    def drop(self, account: AccountId, feed: str) -> None:
        """Look right after it."""
        super().drop(account, feed)
        self.note()

    def answered(self, feed: str, at_us: int) -> None:
        """Look right after it."""
        super().answered(feed, at_us)
        self.note()


def test_at_no_moment_of_a_change_of_carriers_are_quotes_missing_for_good() -> None:
    """Accounts decide on other threads, between any two steps of it."""
    bench = Bench()
    bench.board = board = SteppedBoard()
    bench.feeds = Feeds(board, "connection:demo-1", lambda account: account in bench.ready, bench.asked.append)
    bench.want(1, 10)
    bench.want(2, 10)
    bench.feeds.answered(bench.asked.pop().question, 3_600_000_000)
    bench.hear(1, 10)
    board.found.clear()
    bench.ready.remove(1)
    bench.feeds.lose(1)
    assert board.found == [True, True, True]
