"""The quotes of one connection: of all accounts that read the same feed one is subscribed, with the symbols of all.

Looked at whenever an account comes or goes and once a second, so that no refusal and no race leaves a feed without
quotes for longer. Must not know the wire, nor what quotes are needed for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from cmam.actors import messages as m
from cmam.domain.ids import AccountId
from cmam.openapi import requests
from cmam.openapi.outcomes import Kind, rule_for
from cmam.openapi.quotes import QuoteBoard

log = logging.getLogger(__name__)

QUOTES = "quotes "
"""How the question for a feed's quotes begins; the feed follows."""


class Feeds:
    """Who wants which feed, and who carries it. `ask` sends a question whose answer comes back to `reply_to`."""

    def __init__(
        self, board: QuoteBoard, reply_to: str, is_ready: Callable[[int], bool], ask: Callable[[m.Ask], object]
    ) -> None:
        self._board = board
        self._reply_to = reply_to
        self._is_ready = is_ready
        self._ask = ask
        self._members: dict[str, dict[int, tuple[int, ...]]] = {}
        self._feed_of: dict[int, str] = {}
        self._carried: dict[str, tuple[int, set[int]]] = {}

    def want(self, message: m.QuotesWanted) -> None:
        """Note what an account wants of its feed, and see to it."""
        account, feed = message.account, message.feed
        if self._feed_of.get(account, feed) != feed:
            self.forget(account)
        self._feed_of[account] = feed
        self._members.setdefault(feed, {})[account] = message.symbols
        carrier, subscribed = self._carried.get(feed, (0, set()))
        if carrier and self._is_ready(carrier):
            self._subscribe(feed, carrier, subscribed, set(message.symbols) - subscribed)
        else:
            self._have_carried(feed)

    def forget(self, account: int) -> None:
        """An account is no longer ours, or reads another feed."""
        feed = self._feed_of.pop(account, "")
        self._members.get(feed, {}).pop(account, None)
        self._lose(feed, account)

    def tend(self) -> None:
        """Have each feed carried by one account that is authorised."""
        for feed in self._members:
            if not self._is_ready(self._carried.get(feed, (0, set()))[0]):
                self._have_carried(feed)

    def _have_carried(self, feed: str) -> None:
        """Let the first account of a feed that is authorised carry it, with all symbols that its accounts want."""
        members = self._members[feed]
        carrier = next((account for account in members if self._is_ready(account)), 0)
        if not carrier:
            return
        before, _ = self._carried.get(feed, (0, set()))
        self._board.drop(AccountId(before))
        self._board.carry(AccountId(carrier), feed)
        self._subscribe(feed, carrier, set(), {symbol for symbols in members.values() for symbol in symbols})

    def _subscribe(self, feed: str, carrier: int, subscribed: set[int], missing: set[int]) -> None:
        self._carried[feed] = (carrier, subscribed | missing)
        if missing:
            request = requests.subscribe_spots(AccountId(carrier), sorted(missing))
            self._ask(m.Ask(AccountId(carrier), f"{QUOTES}{feed}", request, self._reply_to, lambda wire: wire))

    def refused(self, message: m.Unanswered) -> None:
        """A subscription was refused: it is tried again within a second. Twice subscribed is subscribed."""
        if rule_for(message.error_code).kind is not Kind.DONE:
            log.warning("! quotes were refused: %s %s", message.error_code, message.text)
            self._carried.pop(message.question.removeprefix(QUOTES), None)

    def lose(self, account: int) -> None:
        """The session of an account is gone, and its subscriptions with it: another of the same feed carries on."""
        self._lose(self._feed_of.get(account, ""), account)

    def _lose(self, feed: str, account: int) -> None:
        carrier, _ = self._carried.get(feed, (0, set()))
        if carrier == account:
            self._board.drop(AccountId(account))
            del self._carried[feed]
            self._have_carried(feed)

    def lose_all(self) -> None:
        """The line is gone, and every subscription with it."""
        for carrier, _ in self._carried.values():
            self._board.drop(AccountId(carrier))
        self._carried.clear()
