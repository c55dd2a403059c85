"""The newest recorded quote of every symbol, by broker, since all accounts of one see the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cmam.domain.events import ChangeDecided, CopyWoken, Event, GuardTripped, QuotesSampled
from cmam.domain.values.quantities import Quote

FRESH_US = 15_000_000
"""A quote is recorded every ten seconds: until well after the next one was due it stands for the market of a moment."""


class Quotes:
    """What the record has shown of each feed until now."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], tuple[int, Quote]] = {}

    def see(self, feed: str, name: str, quote: Quote, at_us: int) -> bool:
        """Take a recorded quote; whether it is news."""
        known = self._newest.get((feed, name))
        self._newest[feed, name] = (at_us, quote)
        return known is None or (known[1].bid, known[1].ask) != (quote.bid, quote.ask)

    def at(self, feed: str, name: str, now_us: int) -> Quote | None:
        """The quote of a moment: a recorded one counts as seen just now until the next one would be recorded."""
        known = self._newest.get((feed, name))
        if known is None:
            return None
        at_us, quote = known
        return replace(quote, seen_us=max(quote.seen_us, now_us)) if now_us - at_us <= FRESH_US else quote

    def last(self, feed: str, name: str) -> Quote | None:
        """The newest quote, however old: what the end of a record is valued at."""
        known = self._newest.get((feed, name))
        return known[1] if known is not None else None


def quotes_in(event: Event) -> Iterator[tuple[bool, str, Quote]]:
    """The quotes that stand in a recorded event: whether it is the leader's, by whose name of the symbol, and which."""
    match event:
        case ChangeDecided() | CopyWoken():
            yield from ((False, name, quote) for name, quote in event.inputs.quotes.items())
            if isinstance(event, ChangeDecided):
                told = event.inputs.leader_quote or event.change.quote
                if told is not None:
                    yield True, event.change.symbol.name, told
        case QuotesSampled() | GuardTripped():
            yield from ((False, name, quote) for name, quote in event.quotes.items())
        case _:
            return
