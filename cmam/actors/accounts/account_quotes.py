"""The quotes that one account reads: which feed, which of its symbols, and the newest quote of each.

The first so many symbols of a broker's list are asked for as the feed begins (`listing.py`), those of a longer one
as they are needed: by a decision, a guard, a position. Must not know what for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cmam.actors import messages as m
from cmam.clock import Clock
from cmam.domain.values.ids import AccountId, SymbolId
from cmam.domain.values.quantities import Quote
from cmam.openapi.quotes import QuoteBoard


class AccountQuotes:
    """What one account reads of the board. `ask` tells its connection what it wants."""

    def __init__(
        self,
        account: AccountId,
        connection: str,
        board: QuoteBoard,
        clock: Clock,
        ask: Callable[[m.QuotesWanted], None],
    ) -> None:
        self.feed = ""
        """Whose quotes this account reads; empty until its symbols are known."""
        self._account = account
        self._connection = connection
        self._board = board
        self._clock = clock
        self._ask = ask

    def join(self, digest: str, symbols: Iterable[SymbolId]) -> None:
        """Read the feed of accounts with this list of symbols, on a fresh line or for the first time.

        Equal lists are one feed on one connection: each quote has one writer, and one line to be lost with.
        """
        self.feed = f"{self._connection} {digest}"
        now_us = self._clock.monotonic()
        self._board.join(self._account, self.feed, now_us)
        self._want(self._board.ask(self.feed, symbols, now_us))

    def leave(self) -> None:
        """Wait for the feed of a new line: until it is joined, a quote that is missing is on its way."""
        self._board.leave(self._account)

    def want(self, symbol: SymbolId) -> None:
        """Have the quotes of a symbol from now on."""
        if self.feed and not self._board.is_asked(self.feed, symbol):
            self._board.ask(self.feed, (symbol,), self._clock.monotonic())
            self._want((symbol,))

    def _want(self, symbols: Iterable[SymbolId]) -> None:
        self._ask(m.QuotesWanted(self._account, self.feed, tuple(symbols)))

    def newest(self, symbol: SymbolId) -> Quote | None:
        """The newest quote of a symbol; one that was never asked for is on its way then."""
        if not self.feed:
            return None
        self.want(symbol)
        return self._board.quote(self.feed, symbol)
