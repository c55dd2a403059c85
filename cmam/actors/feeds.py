"""The quotes of one connection: of all accounts that read the same feed one is subscribed, with the symbols of all.

Looked at whenever an account comes or goes and once a second, so that no refusal and no race leaves a feed without
quotes for longer. Must not know the wire, nor what quotes are needed for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from cmam.actors import messages as m
from cmam.domain.ids import AccountId
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
class Carried:
    """A feed and the account that carries it: the symbols it was asked for, and those that the broker has not."""

    account: int
    asked: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question for quotes that is on its way."""

    feed: str
    carried: Carried
    symbols: tuple[int, ...]


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
        self._carried: dict[str, Carried] = {}
        self._asked_of: dict[int, set[int]] = {}
        self._under_way: dict[str, Asked] = {}
        self._again: set[str] = set()
        self._numbers = count(1)

    def want(self, message: m.QuotesWanted) -> None:
        """Note what an account wants of its feed besides what was wanted before, and see to it."""
        account, feed, symbols = message.account, message.feed, set(message.symbols)
        if self._feed_of.get(account, feed) != feed:
            self._board.inherit(AccountId(account), feed)
            self._leave(account)
        self._feed_of[account] = feed
        self._members.setdefault(feed, {})[account] = None
        self._wanted.setdefault(feed, set()).update(symbols)
        carried = self._carried.get(feed)
        if carried is not None and self._is_ready(carried.account):
            self._subscribe(feed, carried, symbols)
        else:
            self._have_carried(feed)

    def forget(self, account: int) -> None:
        """An account is no longer ours."""
        self._asked_of.pop(account, None)
        self._leave(account)

    def _leave(self, account: int) -> None:
        """An account reads its feed no longer; what was subscribed for it still is, for whichever feed it carries."""
        feed = self._feed_of.pop(account, "")
        self._members.get(feed, {}).pop(account, None)
        self._lose(feed, account)

    def tend(self) -> None:
        """Have each feed carried by one account that is authorised, and ask again what was refused for the moment."""
        again, self._again = self._again, set()
        for feed in self._members:
            carried = self._carried.get(feed)
            if carried is None or not self._is_ready(carried.account):
                self._have_carried(feed)
            elif feed in again:
                self._subscribe(feed, carried, self._wanted[feed])

    def _have_carried(self, feed: str) -> None:
        """Let the first account of a feed that is authorised carry it, with all symbols that were ever wanted."""
        carrier = next((account for account in self._members[feed] if self._is_ready(account)), 0)
        if not carrier:
            return
        before = self._carried.get(feed)
        if before is not None:
            self._board.drop(AccountId(before.account))
        self._board.carry(AccountId(carrier), feed)
        self._carried[feed] = Carried(carrier, self._asked_of.setdefault(carrier, set()))
        self._subscribe(feed, self._carried[feed], self._wanted[feed])

    def _subscribe(self, feed: str, carried: Carried, symbols: set[int]) -> None:
        missing = symbols - carried.asked - carried.refused
        if missing:
            self._ask_for(Asked(feed, carried, tuple(sorted(missing))))

    def _ask_for(self, asked: Asked) -> None:
        question = f"{QUOTES}{next(self._numbers)}"
        self._under_way[question] = asked
        self._board.await_answer(asked.feed)
        asked.carried.asked.update(asked.symbols)
        account = AccountId(asked.carried.account)
        request = requests.subscribe_spots(account, asked.symbols)
        self._ask(m.Ask(account, question, request, self._reply_to, lambda wire: wire, Lane.OPEN))  # opens wait for it

    def answered(self, question: str, now_us: int) -> None:
        """A subscription stands."""
        self._over(self._under_way.pop(question, None), now_us)

    def _over(self, asked: Asked | None, now_us: int) -> None:
        if asked is not None and all(other.feed != asked.feed for other in self._under_way.values()):
            self._board.answered(asked.feed, now_us)

    def refused(self, message: m.Unanswered, now_us: int) -> None:
        """A subscription was refused: it is tried again within a second, or without the symbol that is to blame.

        Twice subscribed is subscribed.
        """
        asked = self._under_way.pop(message.question, None)
        self._over(asked, now_us)
        if asked is None or asked.carried is not self._carried.get(asked.feed):
            return  # whoever carries the feed now has asked for all of it
        if rule_for(message.error_code).kind is Kind.DONE:
            return
        symbols = asked.symbols
        if message.error_code not in NO_SUCH_SYMBOL:
            log.warning("! quotes were refused: %s %s", message.error_code, message.text)
            asked.carried.asked.difference_update(symbols)
            self._again.add(asked.feed)
        elif len(symbols) > 1:
            middle = len(symbols) // 2
            for half in (symbols[:middle], symbols[middle:]):
                self._ask_for(replace(asked, symbols=half))
        else:
            log.warning("! the broker has no quotes of symbol %s: %s", symbols[0], message.text or message.error_code)
            asked.carried.refused.update(symbols)

    def lose(self, account: int) -> None:
        """The session of an account is gone, and its subscriptions with it: another of the same feed carries on."""
        self._asked_of.pop(account, None)
        self._lose(self._feed_of.get(account, ""), account)

    def _lose(self, feed: str, account: int) -> None:
        carried = self._carried.get(feed)
        if carried is not None and carried.account == account:
            self._board.drop(AccountId(account))
            del self._carried[feed]
            self._have_carried(feed)

    def lose_all(self) -> None:
        """The line is gone, and every subscription with it."""
        for carried in self._carried.values():
            self._board.drop(AccountId(carried.account))
        self._carried.clear()
        self._asked_of.clear()
        for asked in self._under_way.values():
            self._board.answered(asked.feed, 0)
        self._under_way.clear()
