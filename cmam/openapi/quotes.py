"""The board of newest quotes: neither messages nor events, but state that is read by reference.

One writer, the reader's thread of the connection that carries the feed; any number of readers, without a lock: a quote
is frozen and replaced whole. A side that a spot leaves out is unchanged (wire.md#quotes). Prices arrive in 1/100000.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cmam.domain.deciding.inputs import WARM_US
from cmam.domain.market.differences import MOMENT_US, MOMENTS
from cmam.domain.values.ids import AccountId, SymbolId
from cmam.domain.values.quantities import PRICE_SCALE, RELATIVE_SCALE, Price, Quote
from cmam.openapi._pb.OpenApiMessages_pb2 import ProtoOASpotEvent
from cmam.openapi.envelope import Envelope, unpack
from cmam.openapi.errors import RemoteError
from cmam.openapi.fields import PRICE_MAX, moment_ms

OFFSET_WINDOW_US = 60_000_000
"""How long samples of a broker's clock are gathered; those of the window before still count."""
OFFSET_MS_MAX = 26 * 3_600_000
"""A broker's clock further from ours is none: no two zones of the world are further apart."""
SPOT_MAX = int(PRICE_MAX) * PRICE_SCALE // RELATIVE_SCALE


@dataclass(frozen=True, slots=True)
class BrokerClock:
    """A broker's clock minus ours, and by how much the last two minutes disagree: a step of either clock shows there.

    Both are 0 where nothing was measured: two clocks that are both kept right need no measurement.
    """

    offset_ms: int = 0
    doubt_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Samples:
    """The largest offset seen in this window of time and in the one before it, None where there was none."""

    since_us: int
    newest_ms: int
    before_ms: int | None = None


class QuoteBoard:
    """Newest quotes by feed and symbol. A feed is what accounts with the same symbol list share."""

    def __init__(self) -> None:
        self._feeds: dict[AccountId, tuple[str, ...]] = {}
        self._quotes: dict[tuple[str, SymbolId], Quote] = {}
        self._past: dict[tuple[str, SymbolId], tuple[Quote, ...]] = {}
        """The last quote of each of the last seconds in which one came, before the newest quote; newest first."""
        self._members: dict[AccountId, str] = {}
        self._joined_us: dict[AccountId, int] = {}
        self._asked: dict[str, set[SymbolId]] = {}
        self._asked_us: dict[str, int] = {}
        self._awaited: set[str] = set()
        self._fallen: set[str] = set()
        """Feeds that nobody carries any more."""
        self._clocks: dict[str, _Samples] = {}
        self._heard: dict[str, int] = {}

    def hear(self, connection: str, at_us: int) -> None:
        """Note that a connection has carried something, in monotonic us; of a spot nobody else is told."""
        self._heard[connection] = at_us

    def heard_us(self, connection: str) -> int:
        """When a connection last carried anything, 0 for never: a server that streams quotes sends no heartbeats."""
        return self._heard.get(connection, 0)

    def carry(self, account: AccountId, feed: str) -> None:
        """Let the spots of `account` count for `feed` too from now on.

        So do the quotes that it has brought already: the broker sends no first one of what is subscribed.
        """
        carried = self._feeds.get(account, ())
        if feed in carried:
            return
        for (known, symbol), quote in self._quotes.copy().items() if carried else ():  # readers add to it meanwhile
            if known in carried:
                self._quotes.setdefault((feed, symbol), quote)
        self._feeds[account] = (*carried, feed)
        self._fallen.discard(feed)

    def drop(self, account: AccountId, feed: str) -> None:
        """Let the spots of `account` count for `feed` no more, and forget that: half a quote from before a gap is none
        after it."""
        self._fallen.add(feed)
        left = tuple(other for other in self._feeds.pop(account, ()) if other != feed)
        if left:
            self._feeds[account] = left
        for key in list(self._quotes):
            if key[0] == feed:
                self._quotes.pop(key, None)
                self._past.pop(key, None)

    def join(self, account: AccountId, feed: str, at_us: int = 0) -> None:
        """Note which feed an account reads, whoever carries it, and since when by the steady clock."""
        self._members[account] = feed
        self._joined_us[account] = at_us

    def leave(self, account: AccountId) -> None:
        """Note that an account reads no feed until it joins one again: its line is new, or it has begun anew."""
        self._joined_us.pop(account, None)

    def ask(self, feed: str, symbols: Iterable[SymbolId], at_us: int) -> set[SymbolId]:
        """Note that symbols of a feed are asked for, and when that was new; answers all that ever were."""
        asked = self._asked.setdefault(feed, set())
        known = len(asked)
        asked.update(symbols)
        if len(asked) > known:
            self._asked_us[feed] = at_us
        return asked

    def await_answer(self, feed: str) -> None:
        """Note that the broker is being asked for quotes of a feed: its answer may take as long as its line is busy."""
        self._awaited.add(feed)

    def answered(self, feed: str, at_us: int) -> None:
        """Note that nothing of a feed is being asked for any more; what the broker streams comes behind its answer."""
        self._awaited.discard(feed)
        self._asked_us[feed] = at_us

    def is_asked(self, feed: str, symbol: SymbolId) -> bool:
        """Whether anybody has asked for a symbol of this feed."""
        return symbol in self._asked.get(feed, ())

    def is_warming(self, account: AccountId, now_us: int) -> bool:
        """Whether an account has its feed so newly, or not yet, that a quote which is missing may still come.

        The same holds where somebody has just asked for a symbol more of it, and until the broker has answered that;
        and while nobody carries it any more, which those who read it may not have been told yet.
        """
        joined_us = self._joined_us.get(account)
        if joined_us is None or self._members[account] in self._awaited or self._members[account] in self._fallen:
            return True
        return now_us - max(joined_us, self._asked_us.get(self._members[account], 0)) < WARM_US

    def feed_of(self, account: AccountId) -> str:
        """The feed that an account reads, empty before its symbols are known."""
        return self._members.get(account, "")

    def clock(self, feed: str) -> BrokerClock:
        """The clock of the broker behind a feed, from the spots that came through fastest in the last minute or two."""
        samples = self._clocks.get(feed)
        if samples is None:
            return BrokerClock()
        if samples.before_ms is None:
            return BrokerClock(samples.newest_ms)
        newest, before = samples.newest_ms, samples.before_ms
        return BrokerClock(max(newest, before), abs(newest - before))

    def is_measured(self, feed: str) -> bool:
        """Whether the quotes of a feed have told how far the broker's clock is from ours."""
        return feed in self._clocks

    def quote(self, feed: str, symbol: SymbolId) -> Quote | None:
        """The newest quote once both sides were seen, else None: nobody may trade on half a quote."""
        found = self._quotes.get((feed, symbol))
        return found if found is not None and found.bid and found.ask else None

    def past(self, feed: str, symbol: SymbolId) -> tuple[Quote, ...]:
        """The newest quote and those that were the last ones of their seconds before it, newest first."""
        newest, past = self.quote(feed, symbol), self._past.get((feed, symbol), ())  # this order: none falls between
        return (newest, *past) if newest is not None else past

    def receive(self, envelope: Envelope, now_us: int) -> None:
        """Take one spot event; raises RemoteError where it is none."""
        spot = unpack(envelope, ProtoOASpotEvent)
        symbol = SymbolId(spot.symbolId)
        is_absurd = max(spot.bid, spot.ask) > SPOT_MAX
        for feed in self._feeds.get(AccountId(spot.ctidTraderAccountId), ()):
            if is_absurd:
                self._quotes.pop((feed, symbol), None)  # what was known before it is no quote either
            else:
                self._take(feed, symbol, spot, now_us)
        if is_absurd:
            raise RemoteError(f"expected prices in 1/100000 of symbol {symbol}, found {spot.bid} and {spot.ask}")

    def _take(self, feed: str, symbol: SymbolId, spot: ProtoOASpotEvent, now_us: int) -> None:
        known = self._quotes.get((feed, symbol))
        if known is not None and spot.timestamp:
            self._measure(feed, spot.timestamp - now_us // 1_000, now_us)
        bid = Price(spot.bid * RELATIVE_SCALE) if spot.bid else (known.bid if known is not None else Price(0))
        ask = Price(spot.ask * RELATIVE_SCALE) if spot.ask else (known.ask if known is not None else Price(0))
        if known is not None and known.seen_us // MOMENT_US != now_us // MOMENT_US and known.bid and known.ask:
            self._past[feed, symbol] = (known, *self._past.get((feed, symbol), ())[: MOMENTS - 1])
        self._quotes[feed, symbol] = Quote(bid=bid, ask=ask, server_ms=moment_ms(spot.timestamp), seen_us=now_us)

    def _measure(self, feed: str, offset_ms: int, now_us: int) -> None:
        """Take one sample of the broker's clock; delay on the way only ever makes it smaller, so the largest counts.

        The first spot of a symbol is left out: it may be of last week. So is what is no time of a clock at all: taken
        for one it would make every change too old for two minutes, and a history be asked for where nothing is.
        """
        if abs(offset_ms) > OFFSET_MS_MAX:
            return
        samples = self._clocks.get(feed)
        if samples is None:
            self._clocks[feed] = _Samples(now_us, offset_ms)
        elif now_us - samples.since_us > 2 * OFFSET_WINDOW_US or now_us < samples.since_us:
            self._clocks[feed] = _Samples(now_us, offset_ms)  # what is older says nothing, after a step back neither
        elif now_us - samples.since_us > OFFSET_WINDOW_US:
            self._clocks[feed] = _Samples(now_us, offset_ms, samples.newest_ms)
        elif offset_ms > samples.newest_ms:
            self._clocks[feed] = _Samples(samples.since_us, offset_ms, samples.before_ms)
