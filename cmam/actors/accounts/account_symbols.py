"""What one account knows of its symbols: what they allow as read on this line, and what is still being read of them.

What is traded or decided in goes on record first, where followers and replay read it. While a symbol is still to be
read nothing is opened in it. A list in which something is missing is read anew. Must not know the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from cmam.actors.accounts.desk import Desk
from cmam.actors.asking.listing import LOOK_US, QUOTED_MAX, SHELF, Found, Listing
from cmam.actors.asking.shelf import Specs
from cmam.clock import SECOND_US
from cmam.domain.events import Event, ExecutionSeen, SymbolSpecSeen
from cmam.domain.values.ids import SymbolId
from cmam.openapi.lanes import Lane

AWAIT = "symbol"
"""What an account is reminded of when it has waited for a symbol for long enough."""
HOLD_US = 30 * SECOND_US
"""How long what a leader has opened waits for its symbol: by then it is too old for most."""


class AccountSymbols:
    """The symbols of one account, with one reading of what its broker offers at a time."""

    def __init__(self, desk: Desk, follows: Callable[[], bool]) -> None:
        self.specs: Specs = {}
        """What the broker says of each symbol, as it was read on this line; on record are those that were needed."""
        self.listing: Listing | None = None
        self._desk = desk
        self._follows = follows
        self._family = ""
        self._outdated: frozenset[SymbolId] = frozenset()
        self._awaited_us: dict[SymbolId, int] = {}
        self._unlisted: set[SymbolId] = set()
        self._is_told = True

    # --- reading ----------------------------------------------------------------------------------------------------

    def renew(self) -> Listing:
        """Know only what was read on this line and has not changed since: what is missing is to be read."""
        desk, ports = self._desk, self._desk.ports
        if self.listing is not None:
            self.listing.give_up()
        self._awaited_us.clear()
        if self._outdated:  # the mapping may be shared with other accounts
            self.specs = {symbol: spec for symbol, spec in self.specs.items() if symbol not in self._outdated}
            self._outdated = frozenset()
        self.listing = Listing(desk.view, self.specs, is_live=ports.is_live, follows=self._follows(), shelf=ports.shelf)
        self._is_told = False
        return self.listing

    def begin(self) -> None:
        """Ask for what is missing, and for the quotes of the list on record: it is most likely still the list."""
        assert self.listing is not None
        view = self._desk.view
        if view.symbol_digest and not self._desk.quotes.feed:
            names = (name.symbol for name in view.names.values() if name.enabled)
            self._desk.quotes.join(view.symbol_digest, islice(names, QUOTED_MAX))
        self._ask(self.listing, ((), self.listing.begin()))

    def read_anew(self) -> None:
        """Read the list once more, and what is new in it: behind opens, which may be of other leaders."""
        self.renew()
        self.begin()

    def lose(self) -> None:
        """The line is gone: no event tells what changes from now on."""
        if self.listing is not None:
            self.listing.give_up()
        self.listing = None
        self.specs = {}
        self._outdated = frozenset()
        self._unlisted.clear()
        self._desk.ports.shelf.stop_seeking(self._desk.view.account)
        self._forget_shared()
        self._desk.quotes.leave()

    def outdate(self, symbols: frozenset[SymbolId]) -> None:
        """These symbols have changed at the broker: nothing is opened in them until they are read anew."""
        if symbols:
            self._outdated |= symbols
            self._awaited_us = {key: since for key, since in self._awaited_us.items() if key not in symbols}
            self._forget_shared()

    def _forget_shared(self) -> None:
        if self._family:
            self._desk.ports.shelf.forget(self._family)

    def expects(self, question: str) -> bool:
        """Whether an answer of that name is still awaited."""
        return self.listing is not None and self.listing.expects(question)

    def is_needless(self, question: str) -> bool:
        """Whether it is done without this answer."""
        return self.listing is not None and self.listing.is_needless(question)

    def answered(self, question: str, report: Any) -> None:
        """Take an answer that was awaited."""
        assert self.listing is not None
        self._ask(self.listing, self.listing.answered(question, report, self._desk.view))

    def again(self, question: str) -> None:
        """Ask once more what was refused a while ago."""
        assert self.listing is not None
        self._ask(self.listing, ((), self.listing.again(question, self._desk.view)))

    def _ask(self, listing: Listing, found: Found) -> None:
        """Record what an answer says, and ask what comes next."""
        desk, (facts, questions) = self._desk, found
        for fact in facts:
            desk.fact(fact)
        self.specs = listing.specs
        if listing.family and not self._is_told:
            self._is_told = True
            desk.ports.shelf.listed(listing.family, self._family, desk.ports.clock.monotonic())
        self._family = listing.family or self._family
        if listing.wants_quotes:
            listing.wants_quotes = False
            desk.quotes.join(listing.digest, listing.quoted_symbols())
        if listing.is_to_look:
            listing.is_to_look = False
            desk.remind(LOOK_US, f"question {SHELF}")
        for question in questions:
            desk.ask(question)
        if desk.is_reconciled:
            self._ensure_used()

    # --- waiting ----------------------------------------------------------------------------------------------------

    @property
    def is_through(self) -> bool:
        """Whether nothing of what the broker offers is being read."""
        return self.listing is None or self.listing.is_done

    @property
    def is_read(self) -> bool:
        """Whether it is known what every symbol allows."""
        return self.is_through and not self._outdated

    def lacks(self, names: Iterable[str]) -> bool:
        """Whether it is still to be read what one of these symbols allows; it is asked for out of turn then."""
        known = self._desk.view.names
        lacking = [known[name].symbol for name in names if name in known and self._lacks(known[name].symbol)]
        for symbol in lacking:
            self._need(symbol)
        return bool(lacking)

    def _lacks(self, symbol: SymbolId) -> bool:
        return symbol in self._outdated or (self.listing is not None and self.listing.lacks(symbol))

    def _need(self, symbol: SymbolId) -> None:
        for question in self.listing.need(symbol) if self.listing is not None else ():
            self._desk.ask(question, Lane.OPEN, goes_first=True)  # an open waits for it

    def awaits(self, symbol: SymbolId) -> bool:
        """Whether to wait until it has been read what a symbol allows, from the first time on for `HOLD_US`; whoever
        asks is woken when it is over."""
        if not self._lacks(symbol):
            return False
        now = self._desk.ports.clock.monotonic()
        since = self._awaited_us.setdefault(symbol, now)
        if since == now:
            self._desk.remind(HOLD_US, AWAIT)
            self._need(symbol)
        return now < since + HOLD_US

    # --- what is not listed -----------------------------------------------------------------------------------------

    def is_sought(self, symbol: str) -> bool:
        """Whether a list is being read, here or for all who have the same one, in which the leader's symbol that is to
        be opened may be; it is asked for where that is due."""
        listing = self.listing
        if listing is None or not listing.digest:
            return listing is not None
        if not listing.is_done:
            return False  # it is of just now
        shelf, now = self._desk.ports.shelf, self._desk.ports.clock.monotonic()
        if shelf.may_seek(listing.family, symbol, self._desk.view.account, now):
            self.read_anew()
            return True
        return shelf.is_sought(listing.family, now)

    def mind(self, symbol: SymbolId) -> None:
        """Read the list anew, once a line, where the account itself trades what is not in it."""
        view, listing = self._desk.view, self.listing
        if symbol in view.specs or symbol in self._unlisted or listing is None or not listing.is_done:
            return
        if all(name.symbol != symbol for name in view.names.values()):
            self._unlisted.add(symbol)
            self.read_anew()

    # --- on record --------------------------------------------------------------------------------------------------

    def ensure_named(self, names: Iterable[str]) -> None:
        """Have the symbols that a decision needs on record before it."""
        for name in names:
            entry = self._desk.view.names.get(name)
            if entry is not None:
                self._ensure(entry.symbol)

    def ensure_traded(self, fact: Event) -> None:
        """Have the symbol of an execution on record before it, where followers and replay read it, and its quotes."""
        if isinstance(fact, ExecutionSeen):
            traded = fact.position or fact.order
            if traded is not None:
                self._ensure(traded.symbol)
                self._desk.quotes.want(traded.symbol)

    def _ensure_used(self) -> None:
        """Have the symbols of what the account holds and copies on record, as they were read meanwhile."""
        view = self._desk.view
        holders = (view.positions, view.orders, view.copies)
        for symbol in sorted({one.symbol for held in holders for one in held.values()}):
            self._ensure(symbol)

    def _ensure(self, symbol: SymbolId) -> None:
        spec = self.specs.get(symbol)
        known = self._desk.view.specs.get(symbol)
        if spec is not None and known is not spec and known != spec:
            self._desk.fact(SymbolSpecSeen(spec=spec))
