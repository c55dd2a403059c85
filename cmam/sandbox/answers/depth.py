"""The book of a symbol as depth subscribers see it: levels with ids that live until the level goes (wire.md#depth)."""

from __future__ import annotations

from dataclasses import dataclass, field

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox import units
from cmam.sandbox.trading.venue import Quote

LEVELS = 5
"""Levels a side for symbols whose book the world does not describe."""
BUY_SIDE, SELL_SIDE = 0, 1

Level = tuple[int, int, int]
"""(side, price, size)."""


@dataclass(slots=True)
class Book:
    """The levels of one symbol that are shown at present."""

    shown: dict[Level, int] = field(default_factory=dict)
    last_id: int = 0

    def update(self, quote: Quote) -> tuple[list[tuple[int, Level]], list[int]]:
        """Take over a quote; gives the levels that came, with their ids, and the ids of those that went."""
        wanted = _levels(quote)
        gone = [number for level, number in self.shown.items() if level not in wanted]
        kept = {level: number for level, number in self.shown.items() if level in wanted}
        came = []
        for level in wanted:
            if level not in kept:
                self.last_id += 1
                kept[level] = self.last_id
                came.append((self.last_id, level))
        self.shown = kept
        return came, gone

    def whole(self) -> list[tuple[int, Level]]:
        """Give all levels with their ids."""
        return [(number, level) for level, number in self.shown.items()]


def _levels(quote: Quote) -> dict[Level, None]:
    symbol = quote.symbol
    sizes = symbol.depth or tuple(symbol.min_volume * 100 * (level + 1) for level in range(LEVELS))
    levels: dict[Level, None] = {}
    for index, size in enumerate(sizes):
        levels[BUY_SIDE, max(quote.bid - index * quote.tick, quote.tick), size] = None
        levels[SELL_SIDE, quote.ask + index * quote.tick, size] = None
    return levels


def event(ctid: int, symbol_id: int, came: list[tuple[int, Level]], gone: list[int]) -> bytes:
    """Write a DepthEvent."""
    message = messages.ProtoOADepthEvent(ctidTraderAccountId=ctid, symbolId=symbol_id, deletedQuotes=gone)
    for number, (side, price, size) in came:
        quote = message.newQuotes.add(id=number, size=size)
        if side == BUY_SIDE:
            quote.bid = units.wire_price(price)
        else:
            quote.ask = units.wire_price(price)
    return message.SerializeToString()
