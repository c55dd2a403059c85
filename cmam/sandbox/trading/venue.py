"""One broker's server while it runs: its quotes, its ids, its accounts and the orders that watch the price.

Turns the market's feeds into this broker's quotes (digits, markup) and converts money along chains of its own symbols.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cmam.sandbox import units
from cmam.sandbox.books.ledger import Account, Order
from cmam.sandbox.markets.market import Stream
from cmam.sandbox.world import Broker, Symbol


@dataclass(slots=True)
class Quote:
    """The best prices of one symbol at one broker, on its tick grid."""

    symbol: Symbol
    bid: int
    ask: int
    at_us: int
    tick: int
    markup: int
    session_close: int = 0


class Venue:
    """A broker's server."""

    def __init__(self, spec: Broker, streams: dict[str, Stream], now_us: int) -> None:
        self.spec = spec
        self.symbols: dict[int, Symbol] = {symbol.id: symbol for symbol in spec.symbols}
        self.asset_ids = {asset.name: asset.id for asset in spec.assets}
        self.asset_names = {asset.id: asset.name for asset in spec.assets}
        self.accounts: dict[int, Account] = {}
        self.next_id = {"order": spec.first_id, "position": spec.first_id, "deal": spec.first_id, "balance": 1}
        self.watchers: dict[int, dict[int, tuple[Account, Order]]] = {symbol.id: {} for symbol in spec.symbols}
        """Per symbol the orders that a price may trigger: pendings and protective orders, by orderId."""
        self.quotes: dict[int, Quote] = {}
        self.by_feed: dict[str, list[Quote]] = {}
        for symbol in spec.symbols:
            tick = units.tick_size(symbol.digits)
            quote = Quote(symbol, 0, 0, now_us, tick, symbol.spread_markup * tick)
            self._take(quote, streams[symbol.feed])
            quote.session_close = quote.bid
            self.quotes[symbol.id] = quote
            self.by_feed.setdefault(symbol.feed, []).append(quote)
        self._chains: dict[tuple[str, str], tuple[tuple[Symbol, bool], ...] | None] = {}
        self._rates: dict[tuple[str, str, str], int | None] = {}
        """Rates at the present quotes; forgotten when one of them moves."""

    def new_id(self, kind: str) -> int:
        """Give the next id of orders, positions, deals or balance operations."""
        number = self.next_id[kind]
        self.next_id[kind] = number + 1
        return number

    def replace_symbol(self, symbol: Symbol) -> None:
        """Put a changed symbol in the place of the one with its id."""
        self.symbols[symbol.id] = symbol
        quote = self.quotes[symbol.id]
        quote.symbol = symbol
        quote.markup = symbol.spread_markup * quote.tick
        self._chains.clear()
        self._rates.clear()

    def _take(self, quote: Quote, stream: Stream) -> tuple[bool, bool]:
        tick = quote.tick
        bid = max(stream.bid // tick * tick, tick)
        ask = max(-(-stream.ask // tick) * tick + quote.markup, bid)
        moved = bid != quote.bid, ask != quote.ask
        quote.bid, quote.ask = bid, ask
        return moved

    def take(self, stream: Stream, at_us: int) -> list[tuple[Quote, bool, bool]]:
        """Take over a feed's new prices; gives each quote that changed, and which of its sides did."""
        changed = []
        for quote in self.by_feed.get(stream.feed.name, ()):
            bid, ask = self._take(quote, stream)
            if bid or ask:
                quote.at_us = at_us
                self._rates.clear()
                changed.append((quote, bid, ask))
        return changed

    def chain(self, first: str, last: str) -> tuple[tuple[Symbol, bool], ...] | None:
        """Find the shortest chain of symbols between two assets; True means multiply. None: there is none.

        Those that may be traded come first; but what is not traded any more still has a price, and money its worth.
        """
        key = first, last
        if key not in self._chains:
            traded = [symbol for symbol in self.symbols.values() if symbol.enabled and not symbol.archived]
            found = self._search(first, last, traded)
            self._chains[key] = self._search(first, last, self.symbols.values()) if found is None else found
        return self._chains[key]

    @staticmethod
    def _search(first: str, last: str, symbols: Collection[Symbol]) -> tuple[tuple[Symbol, bool], ...] | None:
        paths: dict[str, tuple[tuple[Symbol, bool], ...]] = {first: ()}
        frontier = [first]
        while frontier and last not in paths:
            following = []
            for asset in frontier:
                for symbol in symbols:
                    if asset not in (symbol.base, symbol.quote):
                        continue
                    forward = symbol.base == asset
                    other = symbol.quote if forward else symbol.base
                    if other not in paths:
                        paths[other] = (*paths[asset], (symbol, forward))
                        following.append(other)
            frontier = following
        return paths.get(last)

    def rate(self, first: str, last: str, side: str = "bid") -> int | None:
        """Convert one of `first` to `last` at the present quotes, in 1/RATE; None without a chain."""
        key = first, last, side
        if key not in self._rates:
            self._rates[key] = self._convert(first, last, side)
        return self._rates[key]

    def _convert(self, first: str, last: str, side: str) -> int | None:
        chain = self.chain(first, last)
        if chain is None:
            return None
        numerator, denominator = units.RATE, 1
        for symbol, forward in chain:
            quote = self.quotes[symbol.id]
            price, one = (quote.bid, units.PRICE) if side == "bid" else (quote.bid + quote.ask, 2 * units.PRICE)
            numerator *= price if forward else one
            denominator *= one if forward else price
        return max(units.nearest(numerator, denominator), 1)
