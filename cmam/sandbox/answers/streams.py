"""Subscriptions to prices: who wants which symbol, and what a moved quote sends them (wire.md#quotes, wire.md#depth).

A quote that nobody subscribed costs one dictionary look-up; an event is serialised once for all who get the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox import units
from cmam.sandbox.answers import depth, prices
from cmam.sandbox.books.ledger import Account
from cmam.sandbox.trading.floor import Floor, Refused
from cmam.sandbox.trading.venue import Quote, Venue

SPOT_EVENT, DEPTH_EVENT = 2131, 2155

Listener = tuple[int, int]
"""(connection, ctid)."""


class Sink(Protocol):
    """Where events for one connection go."""

    def __call__(self, connection: int, payload_type: int, payload: bytes) -> None: ...


@dataclass(slots=True)
class Subscription:
    """What one listener wants of one symbol."""

    with_time: bool
    periods: tuple[int, ...] = ()
    with_depth: bool = False


@dataclass(slots=True)
class Audience:
    """Everybody who wants one symbol of one broker."""

    listeners: dict[Listener, Subscription] = field(default_factory=dict)
    book: depth.Book | None = None


class Streams:
    """All price subscriptions of all connections."""

    def __init__(self, floor: Floor, sink: Sink) -> None:
        self._floor = floor
        self._sink = sink
        self._audiences: dict[tuple[str, int], Audience] = {}
        self._of: dict[Listener, set[int]] = {}

    # Spots.

    def subscribe(self, connection: int, account: Account, symbol_ids: Iterable[int], *, with_time: bool) -> None:
        """Note a subscription to every one of the symbols; raises Refused and then notes none."""
        wanted = self._listed(account, symbol_ids)
        listener = connection, account.spec.ctid
        mine = self._of.get(listener, set())
        if any(symbol_id in mine for symbol_id in wanted):
            raise Refused("ALREADY_SUBSCRIBED", "Already subscribed to spots of at least one of the symbols")
        for symbol_id in wanted:
            self._of.setdefault(listener, set()).add(symbol_id)
            audience = self._audiences.setdefault((account.spec.broker, symbol_id), Audience())
            audience.listeners[listener] = Subscription(with_time)

    def _listed(self, account: Account, symbol_ids: Iterable[int]) -> list[int]:
        symbols = self._floor.venue_of(account).symbols
        wanted = list(dict.fromkeys(symbol_ids))
        if not wanted:
            raise Refused("INVALID_REQUEST", "Expected at least one symbolId")
        for symbol_id in wanted:
            if symbol_id not in symbols or symbols[symbol_id].archived:
                raise Refused("SYMBOL_NOT_FOUND", f"Symbol not found with id {symbol_id}")
        return wanted

    def send_first(self, connection: int, account: Account, symbol_ids: Iterable[int]) -> None:
        """Send the last known prices, both sides, of symbols just subscribed."""
        venue = self._floor.venue_of(account)
        for symbol_id in dict.fromkeys(symbol_ids):
            subscription = self._subscription(connection, account, symbol_id)
            quote = venue.quotes[symbol_id]
            payload = self._spot(quote, account.spec.ctid, True, True, subscription, is_first=True)
            self._sink(connection, SPOT_EVENT, payload)

    def unsubscribe(self, connection: int, account: Account, symbol_ids: Iterable[int]) -> None:
        """End subscriptions with all that hangs on them; those that do not exist are no error."""
        for symbol_id in self._listed(account, symbol_ids):
            self._drop(account.spec.broker, symbol_id, (connection, account.spec.ctid))

    def _drop(self, broker: str, symbol_id: int, listener: Listener) -> None:
        audience = self._audiences.get((broker, symbol_id))
        if audience is not None:
            audience.listeners.pop(listener, None)
            if not audience.listeners:
                del self._audiences[broker, symbol_id]
        mine = self._of.get(listener)
        if mine is not None:
            mine.discard(symbol_id)
            if not mine:
                del self._of[listener]

    def forget(self, connection: int, account: Account) -> None:
        """End all subscriptions of an account on a connection."""
        listener = connection, account.spec.ctid
        for symbol_id in list(self._of.get(listener, ())):
            self._drop(account.spec.broker, symbol_id, listener)

    def _subscription(self, connection: int, account: Account, symbol_id: int) -> Subscription:
        """Find a spot subscription; bars and depth need one (wire.md#bars-and-ticks)."""
        audience = self._audiences.get((account.spec.broker, symbol_id))
        subscription = audience.listeners.get((connection, account.spec.ctid)) if audience is not None else None
        if subscription is None:
            code = self._floor.switches.without_spots_code
            raise Refused(code, f"Not subscribed to spots of symbol {symbol_id}")
        return subscription

    # Live bars.

    def subscribe_bars(self, connection: int, account: Account, symbol_id: int, period: int) -> None:
        """Let spots of a symbol carry the present bar of a period."""
        self._listed(account, [symbol_id])
        subscription = self._subscription(connection, account, symbol_id)
        if period in subscription.periods:
            raise Refused("ALREADY_SUBSCRIBED", "Already subscribed to live trendbars of that symbol and period")
        self._floor.chart.watch(self._floor.symbol(account, symbol_id).feed, period)
        subscription.periods = (*subscription.periods, period)

    def unsubscribe_bars(self, connection: int, account: Account, symbol_id: int, period: int) -> None:
        """End the live bars of a period; what does not exist is no error."""
        self._listed(account, [symbol_id])
        audience = self._audiences.get((account.spec.broker, symbol_id), Audience())
        subscription = audience.listeners.get((connection, account.spec.ctid))
        if subscription is not None:
            subscription.periods = tuple(each for each in subscription.periods if each != period)

    # Depth.

    def subscribe_depth(self, connection: int, account: Account, symbol_ids: Iterable[int]) -> None:
        """Note a depth subscription to every one of the symbols; raises Refused and then notes none."""
        wanted = self._listed(account, symbol_ids)
        subscriptions = [self._subscription(connection, account, symbol_id) for symbol_id in wanted]
        if any(subscription.with_depth for subscription in subscriptions):
            raise Refused("ALREADY_SUBSCRIBED", "Already subscribed to depth of at least one of the symbols")
        for subscription in subscriptions:
            subscription.with_depth = True

    def send_first_depth(self, connection: int, account: Account, symbol_ids: Iterable[int]) -> None:
        """Send the whole book of symbols just subscribed."""
        for symbol_id in dict.fromkeys(symbol_ids):
            audience = self._audiences[account.spec.broker, symbol_id]
            if audience.book is None:
                audience.book = depth.Book()
                audience.book.update(self._floor.quote(account, symbol_id))
            payload = depth.event(account.spec.ctid, symbol_id, audience.book.whole(), [])
            self._sink(connection, DEPTH_EVENT, payload)

    def unsubscribe_depth(self, connection: int, account: Account, symbol_ids: Iterable[int]) -> None:
        """End depth subscriptions; what does not exist is no error."""
        for symbol_id in self._listed(account, symbol_ids):
            audience = self._audiences.get((account.spec.broker, symbol_id))
            if audience is not None and (connection, account.spec.ctid) in audience.listeners:
                audience.listeners[connection, account.spec.ctid].with_depth = False

    # Events.

    def on_quote(self, venue: Venue, quote: Quote, bid: bool, ask: bool) -> None:
        """Send a moved quote to its subscribers, only the sides that moved."""
        audience = self._audiences.get((venue.spec.name, quote.symbol.id))
        if audience is None:
            return
        made: dict[tuple[int, bool, tuple[int, ...]], bytes] = {}
        for (connection, ctid), wanted in list(audience.listeners.items()):
            key = ctid, wanted.with_time, wanted.periods
            payload = made.get(key)
            if payload is None:
                payload = made[key] = self._spot(quote, ctid, bid, ask, wanted)
            self._sink(connection, SPOT_EVENT, payload)
        if audience.book is not None:
            self._send_depth(audience, audience.book, quote)

    def _send_depth(self, audience: Audience, book: depth.Book, quote: Quote) -> None:
        wanting = [listener for listener, wanted in audience.listeners.items() if wanted.with_depth]
        if not wanting:
            audience.book = None
            return
        came, gone = book.update(quote)
        for connection, ctid in wanting:
            self._sink(connection, DEPTH_EVENT, depth.event(ctid, quote.symbol.id, came, gone))

    def _spot(
        self, quote: Quote, ctid: int, bid: bool, ask: bool, wanted: Subscription, *, is_first: bool = False
    ) -> bytes:
        fields: dict[str, Any] = {"ctidTraderAccountId": ctid, "symbolId": quote.symbol.id}
        if bid:
            fields["bid"] = units.wire_price(quote.bid)
        if ask:
            fields["ask"] = units.wire_price(quote.ask)
        if is_first:
            fields["sessionClose"] = units.wire_price(quote.session_close)
        if wanted.with_time:
            fields["timestamp"] = self._floor.stamp.ms(quote.at_us)
        event = messages.ProtoOASpotEvent(**fields)
        for period in wanted.periods:
            bar = self._floor.chart.present_bar(quote.symbol.feed, period)
            # Live bars name their period and have no close: that is the bid (wire.md#bars-and-ticks).
            named: Any = period
            event.trendbar.add(period=named, **prices.bar_fields(bar, quote))
        return event.SerializeToString()
