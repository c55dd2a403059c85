"""The quotes of one connection: of all accounts that read the same feed one is subscribed, with the symbols of all.

A broker's symbols keep their numbers from list to list, so an account whose list has changed carries on for those who
read the former one: else each of a crowd would subscribe all of it in its turn. Looked at whenever an account comes or
goes and once a second, so that no refusal and no race leaves a feed without quotes for longer. Must not know the wire,
nor what quotes are needed for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from cmam.actors import messages as m
from cmam.domain.values.ids import AccountId
from cmam.openapi import requests
from cmam.openapi.lanes import Lane
from cmam.openapi.outcomes import Kind, rule_for
from cmam.openapi.quotes import QuoteBoard

log = logging.getLogger(__name__)

QUOTES = "quotes "
"""How the name of a question for quotes begins; its number follows."""
NO_SUCH_SYMBOL = ("SYMBOL_NOT_FOUND", "UNKNOWN_SYMBOL")
"""Refusals for the sake of one symbol among many: which it is turns out by halves."""


@dataclass(slots=True)
class Subscriber:
    """An account in one session: the symbols it was asked for there, and those that the broker has not."""

    account: int
    asked: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question for quotes that is on its way, or the end of a subscription that is to begin `anew` after it."""

    subscriber: Subscriber
    symbols: tuple[int, ...]
    is_end: bool = False
    is_anew: bool = False


class Feeds:
    """Who wants which feed, and who carries it. `ask` sends a question whose answer comes back to `reply_to`."""

    def __init__(
        self, board: QuoteBoard, reply_to: str, is_ready: Callable[[int], bool], ask: Callable[[m.Ask], object]
    ) -> None:
        self._board = board
        self._reply_to = reply_to
        self._is_ready = is_ready
        self._ask = ask
        self._members: dict[str, dict[int, None]] = {}
        self._wanted: dict[str, set[int]] = {}
        self._feed_of: dict[int, str] = {}
        self._carried: dict[str, Subscriber] = {}
        self._subscribers: dict[int, Subscriber] = {}
        self._under_way: dict[str, Asked] = {}
        self._again: set[str] = set()
        self._said = ""  # which refusal was said last: it may come each second
        self._numbers = count(1)

    def want(self, message: m.QuotesWanted) -> None:
        """Note what an account wants of its feed besides what was wanted before, and see to it."""
        account, feed, symbols = message.account, message.feed, set(message.symbols)
        former = self._feed_of.get(account, feed)
        self._feed_of[account] = feed
        self._members.setdefault(feed, {})[account] = None
        self._wanted.setdefault(feed, set()).update(symbols)
        carrier = self._carried.get(feed)
        if carrier is not None and self._is_ready(carrier.account):
            self._subscribe(feed, symbols)
        else:
            self._have_carried(feed)
        if former != feed:
            self._leave(account, former)

    def forget(self, account: int) -> None:
        """An account is no longer ours."""
        self._subscribers.pop(account, None)
        self._leave(account, self._feed_of.pop(account, ""))
        self.lose(account)

    def _leave(self, account: int, feed: str) -> None:
        """An account reads a feed no longer. Where nobody does it is at its end, and its carrier's subscriptions too if
        they serve no other."""
        members = self._members.get(feed, {})
        members.pop(account, None)
        carrier = self._carried.get(feed)
        if members or carrier is None:
            return
        self._let_fall(feed)
        if self._feeds_of(carrier.account) or self._subscribers.pop(carrier.account, None) is not carrier:
            return
        if carrier.asked:
            request = requests.unsubscribe_spots(AccountId(carrier.account), sorted(carrier.asked))
            self._send(carrier.account, request)

    def tend(self) -> None:
        """Have each feed carried by one account that is authorised, and ask again what was refused for the moment."""
        again, self._again = self._again, set()
        for feed in self._members:
            carrier = self._carried.get(feed)
            if carrier is None or not self._is_ready(carrier.account):
                self._have_carried(feed)
            elif feed in again:
                self._subscribe(feed, self._wanted[feed])

    def _have_carried(self, feed: str) -> None:
        """Let the first account of a feed that is authorised carry it, with all symbols that were ever wanted."""
        account = next((account for account in self._members[feed] if self._is_ready(account)), 0)
        if not account:
            return
        if feed in self._carried:
            self._let_fall(feed)
        carrier = self._carried[feed] = self._subscribers.setdefault(account, Subscriber(account))
        if self._is_asking(carrier) or self._missing(carrier, self._wanted[feed]):
            self._board.await_answer(feed)  # before it is carried: no moment at which its quotes are missing for good
        self._board.carry(AccountId(account), feed)
        self._subscribe(feed, self._wanted[feed])

    def _let_fall(self, feed: str) -> None:
        self._board.drop(AccountId(self._carried.pop(feed).account), feed)
        self._board.answered(feed, 0)

    def _feeds_of(self, account: int) -> list[str]:
        """The feeds that an account carries."""
        return [feed for feed, carrier in self._carried.items() if carrier.account == account]

    def _subscribe(self, feed: str, symbols: set[int]) -> None:
        carrier = self._carried[feed]
        missing = self._missing(carrier, symbols)
        if missing:
            self._ask_for(Asked(carrier, tuple(sorted(missing))))

    @staticmethod
    def _missing(carrier: Subscriber, symbols: set[int]) -> set[int]:
        return symbols - carrier.asked - carrier.refused

    def _ask_for(self, asked: Asked) -> None:
        account = asked.subscriber.account
        for feed in self._feeds_of(account):
            self._board.await_answer(feed)
        asked.subscriber.asked.update(asked.symbols)
        question = self._send(account, requests.subscribe_spots(AccountId(account), asked.symbols))
        self._under_way[question] = asked

    def _send(self, account: int, request: Any) -> str:
        question = f"{QUOTES}{next(self._numbers)}"
        lane = Lane.OPEN  # opens wait for it
        self._ask(m.Ask(AccountId(account), question, request, self._reply_to, lambda wire: wire, lane))
        return question

    def _is_asking(self, subscriber: Subscriber) -> bool:
        return any(asked.subscriber is subscriber for asked in self._under_way.values())

    def answered(self, question: str, now_us: int) -> None:
        """A subscription stands, or has ended."""
        self._said = ""
        asked = self._under_way.pop(question, None)
        self._over(asked, now_us)
        self._begin_anew(asked)

    def _over(self, asked: Asked | None, now_us: int) -> None:
        if asked is not None and not self._is_asking(asked.subscriber):
            for feed, carrier in self._carried.items():
                if carrier is asked.subscriber:
                    self._board.answered(feed, now_us)

    def refused(self, message: m.Unanswered, now_us: int) -> None:
        """A subscription was refused: it is tried again within a second, or without the symbol that is to blame.

        What is subscribed already, as where a session goes on that was told to be over (wire.md#sessions-that-end), is
        ended and subscribed anew, once: one such symbol has all refused, and no last price is told of it again.
        Subscribed already after that is subscribed.
        """
        asked = self._under_way.pop(message.question, None)
        self._over(asked, now_us)
        if asked is None or self._subscribers.get(asked.subscriber.account) is not asked.subscriber:
            return  # its session is another, or it carries nothing any more
        if asked.is_end:
            self._begin_anew(asked)
            return
        if rule_for(message.error_code).kind is Kind.DONE:
            if not asked.is_anew:
                self._end(asked)
            return
        symbols = asked.symbols
        if message.error_code not in NO_SUCH_SYMBOL:
            said, self._said = self._said, f"{message.error_code} {message.text}"
            log.log(logging.DEBUG if said == self._said else logging.WARNING, "! quotes were refused: %s", self._said)
            asked.subscriber.asked.difference_update(symbols)
            self._again.update(self._feeds_of(asked.subscriber.account))
        elif len(symbols) > 1:
            middle = len(symbols) // 2
            for half in (symbols[:middle], symbols[middle:]):
                self._ask_for(replace(asked, symbols=half))
        else:
            log.warning("! the broker has no quotes of symbol %s: %s", symbols[0], message.text or message.error_code)
            asked.subscriber.asked.difference_update(symbols)
            asked.subscriber.refused.update(symbols)

    def _end(self, asked: Asked) -> None:
        account = asked.subscriber.account
        question = self._send(account, requests.unsubscribe_spots(AccountId(account), asked.symbols))
        self._under_way[question] = replace(asked, is_end=True)
        for feed in self._feeds_of(account):
            self._board.await_answer(feed)

    def _begin_anew(self, ended: Asked | None) -> None:
        """Subscribe once more what was ended for that, if whoever carries it is the same still."""
        if ended is not None and ended.is_end and self._subscribers.get(ended.subscriber.account) is ended.subscriber:
            self._ask_for(replace(ended, is_end=False, is_anew=True))

    def lose(self, account: int) -> None:
        """The session of an account is gone, and its subscriptions with it: others of the same feeds carry on."""
        self._subscribers.pop(account, None)
        for feed in self._feeds_of(account):
            self._let_fall(feed)
            self._have_carried(feed)

    def lose_all(self) -> None:
        """The line is gone, and every subscription with it."""
        for feed in list(self._carried):
            self._let_fall(feed)
        self._subscribers.clear()
        self._under_way.clear()
