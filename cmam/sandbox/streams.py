"""Subscriptions to prices: who wants which symbol, and what a moved quote sends them (FACTS 6.3).

A quote that nobody subscribed costs one dictionary look-up; an event is serialised once for all who get the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from google.protobuf.message import Message

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox import units
from cmam.sandbox.floor import Floor, Refused
from cmam.sandbox.ledger import Account
from cmam.sandbox.venue import Quote, Venue

SPOT_EVENT = 2131

Listener = tuple[int, int]
"""(connection, ctid)."""


class Sink(Protocol):
    """Where events for one connection go."""

    def __call__(self, connection: int, payload_type: int, payload: bytes) -> None: ...


class Streams:
    """All price subscriptions of all connections."""

    def __init__(self, floor: Floor, sink: Sink) -> None:
        self._floor = floor
        self._sink = sink
        self._spots: dict[tuple[str, int], dict[Listener, bool]] = {}
        self._of: dict[Listener, set[int]] = {}

    def subscribe(self, connection: int, account: Account, symbol_ids: Iterable[int], *, with_time: bool) -> None:
        """Note a subscription to every one of the symbols; raises Refused and then notes none."""
        venue = self._floor.venue_of(account)
        wanted = list(dict.fromkeys(symbol_ids))
        listener = connection, account.spec.ctid
        self._check(venue, wanted)
        mine = self._of.setdefault(listener, set())
        if any(symbol_id in mine for symbol_id in wanted):
            raise Refused("ALREADY_SUBSCRIBED", "Already subscribed to spots of at least one of the symbols")
        for symbol_id in wanted:
            mine.add(symbol_id)
            self._spots.setdefault((venue.spec.name, symbol_id), {})[listener] = with_time

    def _check(self, venue: Venue, symbol_ids: list[int]) -> None:
        if not symbol_ids:
            raise Refused("INVALID_REQUEST", "Expected at least one symbolId")
        for symbol_id in symbol_ids:
            if symbol_id not in venue.symbols or venue.symbols[symbol_id].archived:
                raise Refused("SYMBOL_NOT_FOUND", f"Symbol not found with id {symbol_id}")

    def send_first(self, connection: int, account: Account, symbol_ids: Iterable[int]) -> None:
        """Send the last known prices, both sides, of symbols just subscribed."""
        venue = self._floor.venue_of(account)
        for symbol_id in dict.fromkeys(symbol_ids):
            with_time = self._spots[venue.spec.name, symbol_id][connection, account.spec.ctid]
            payload = self._event(venue.quotes[symbol_id], account.spec.ctid, True, True, with_time, is_first=True)
            self._sink(connection, SPOT_EVENT, payload)

    def unsubscribe(self, connection: int, account: Account, symbol_ids: Iterable[int]) -> None:
        """End subscriptions; those that do not exist are no error."""
        venue = self._floor.venue_of(account)
        wanted = list(dict.fromkeys(symbol_ids))
        self._check(venue, wanted)
        for symbol_id in wanted:
            self._drop(venue.spec.name, symbol_id, (connection, account.spec.ctid))

    def _drop(self, broker: str, symbol_id: int, listener: Listener) -> None:
        listeners = self._spots.get((broker, symbol_id))
        if listeners is not None:
            listeners.pop(listener, None)
            if not listeners:
                del self._spots[broker, symbol_id]
        self._of.get(listener, set()).discard(symbol_id)

    def is_subscribed(self, connection: int, account: Account, symbol_id: int) -> bool:
        """Say whether the connection gets spots of the symbol for that account."""
        return symbol_id in self._of.get((connection, account.spec.ctid), ())

    def forget(self, connection: int, account: Account) -> None:
        """End all subscriptions of an account on a connection."""
        listener = connection, account.spec.ctid
        for symbol_id in list(self._of.get(listener, ())):
            self._drop(account.spec.broker, symbol_id, listener)
        self._of.pop(listener, None)

    def on_quote(self, venue: Venue, quote: Quote, bid: bool, ask: bool) -> None:
        """Send a moved quote to its subscribers, only the sides that moved."""
        listeners = self._spots.get((venue.spec.name, quote.symbol.id))
        if not listeners:
            return
        made: dict[tuple[int, bool], bytes] = {}
        for (connection, ctid), with_time in listeners.items():
            key = ctid, with_time
            payload = made.get(key)
            if payload is None:
                payload = made[key] = self._event(quote, ctid, bid, ask, with_time)
            self._sink(connection, SPOT_EVENT, payload)

    def _event(
        self, quote: Quote, ctid: int, bid: bool, ask: bool, with_time: bool, *, is_first: bool = False
    ) -> bytes:
        event = messages.ProtoOASpotEvent(ctidTraderAccountId=ctid, symbolId=quote.symbol.id)
        if bid:
            event.bid = units.wire_price(quote.bid)
        if ask:
            event.ask = units.wire_price(quote.ask)
        if is_first:
            event.sessionClose = units.wire_price(quote.session_close)
        if with_time:
            event.timestamp = self._floor.stamp.ms(quote.at_us)
        return event.SerializeToString()


def payload_of(message: Message) -> bytes:
    """Serialise an inner message; the `payloadType` inside is never sent (FACTS 1.3)."""
    return message.SerializeToString()
