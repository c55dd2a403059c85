"""What the brokers' symbols cost: one market, seen by two brokers under numbers and names of their own."""

from __future__ import annotations

import random

from tests.stranger.books import BUY, Symbol

EURO, DOLLAR, YEN, GOLD = 2, 1, 7, 12
ASSETS = {EURO: ("EUR", 2), DOLLAR: ("USD", 2), YEN: ("JPY", 0), GOLD: ("XAU", 2)}
BROKERS = {
    "North": {
        "EURUSD": Symbol(1, "EURUSD", EURO, DOLLAR, 5, 4, 10_000_000, 100_000, 8),
        "USDJPY": Symbol(4, "USDJPY", DOLLAR, YEN, 3, 2, 10_000_000, 100_000, 1_000),
        "XAUUSD": Symbol(41, "XAUUSD", GOLD, DOLLAR, 2, 0, 10_000, 100, 20_000),
    },
    "South": {
        "XAUUSD": Symbol(1, "XAUUSD", GOLD, DOLLAR, 2, 0, 10_000, 100, 20_000),
        "EURUSD": Symbol(4, "EURUSD", EURO, DOLLAR, 5, 4, 10_000_000, 100_000, 8),
        "USDJPY": Symbol(22_396, "USDJPY", DOLLAR, YEN, 3, 2, 10_000_000, 100_000, 1_000),
    },
}
"""The same number is one symbol here and another there."""
FIRST = {"EURUSD": 108_500, "USDJPY": 15_012_300, "XAUUSD": 235_012_000}


class Market:
    """The bid of each symbol, in 1/100000."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.bids = dict(FIRST)

    def bid(self, symbol: Symbol) -> int:
        return self.bids[symbol.name]

    def ask(self, symbol: Symbol) -> int:
        return self.bids[symbol.name] + symbol.spread

    def price(self, symbol: Symbol, side: int) -> int:
        """What an order of that side gets now."""
        return self.ask(symbol) if side == BUY else self.bid(symbol)

    def breathe(self, name: str) -> None:
        """Let a price move by a tick or two about where it stands."""
        self.bids[name] += self._chance.choice((-2, -1, 1, 2)) * BROKERS["North"][name].tick
