"""What the market did: ticks and bars of each feed, from long before the start until now.

The time before the start is made up, from the seed: four ticks a minute on a path that arrives at the first price. Bars
are bars of those very ticks, so that both tell one story. From the start on, it is what the market really did. Prices
are the feed's; the caller turns them into a broker's.
"""

from __future__ import annotations

import random
from array import array
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cmam.sandbox import units
from cmam.sandbox.markets import periods
from cmam.sandbox.markets.market import Market

TICK_MS = 15_000
TICKS_A_DAY = 86_400_000 // TICK_MS
LIVE_TICKS_MAX = 20_000
"""Live ticks kept of each feed, at least; twice as many at most."""
LIVE_BARS_MAX = 44_640
"""Live minutes kept of each feed: 31 days."""
DAYS_CACHED = 48
DRIFT_STEPS = 40
"""How many steps of a feed's walk one day moves, at most."""


class Tick(NamedTuple):
    """A quote of the past."""

    ms: int
    bid: int
    ask: int


class Bar(NamedTuple):
    """A bar of bids; `minute` is when it opened, in minutes since 1970."""

    minute: int
    open: int
    high: int
    low: int
    close: int
    volume: int


@dataclass(slots=True)
class _Live:
    """What a feed did since the start."""

    moments: array[int]
    bids: array[int]
    asks: array[int]
    bars: deque[Bar]
    """Finished minutes, and as the last one the minute that is under way."""


class Chart:
    """The past of all feeds."""

    def __init__(self, market: Market, *, seed: int, start_us: int, days: int) -> None:
        self._market = market
        self._seed = seed
        self._start_ms = start_us // units.MINUTE_US * 60_000
        self._days = days
        self._live: dict[str, _Live] = {}
        self._first = {name: (stream.bid, stream.ask - stream.bid) for name, stream in market.streams.items()}
        self._levels: dict[str, list[int]] = {}
        self._cache: OrderedDict[tuple[str, int], array[int]] = OrderedDict()
        self._watched: dict[str, dict[int, Bar]] = {}
        for name, stream in market.streams.items():
            self._live[name] = _Live(array("q"), array("q"), array("q"), deque(maxlen=LIVE_BARS_MAX))
            self.add(name, start_us, stream.bid, stream.ask)

    # What happens now.

    def add(self, feed: str, at_us: int, bid: int, ask: int) -> None:
        """Take note of a tick."""
        live = self._live[feed]
        ms = at_us // units.MILLISECOND_US
        live.moments.append(ms)
        live.bids.append(bid)
        live.asks.append(ask)
        if len(live.moments) >= 2 * LIVE_TICKS_MAX:
            for column in (live.moments, live.bids, live.asks):
                del column[:LIVE_TICKS_MAX]
        minute = ms // 60_000
        if live.bars and live.bars[-1].minute == minute:
            live.bars[-1] = _grown(live.bars[-1], bid)
        else:
            live.bars.append(Bar(minute, bid, bid, bid, bid, 1))
        watched = self._watched.get(feed)
        if watched:
            for period, bar in watched.items():
                start = periods.start_of(period, minute)
                watched[period] = _grown(bar, bid) if bar.minute == start else Bar(start, bid, bid, bid, bid, 1)

    def watch(self, feed: str, period: int) -> None:
        """Keep the present bar of a period at hand."""
        if period not in self._watched.setdefault(feed, {}):
            self._watched[feed][period] = next(self.bars(feed, period, None))

    def present_bar(self, feed: str, period: int) -> Bar:
        """Give the bar under way of a period that is watched."""
        return self._watched[feed][period]

    # What happened before.

    def ticks(self, feed: str, start_ms: int, end_ms: int) -> Iterator[Tick]:
        """Give the ticks of a span, newest first."""
        live = self._live[feed]
        for index in range(len(live.moments) - 1, -1, -1):
            ms = live.moments[index]
            if ms < start_ms:
                return
            if ms <= end_ms:
                yield Tick(ms, live.bids[index], live.asks[index])
        spread = self._first[feed][1]
        for day in range(self._days):
            day_start = self._start_ms - (day + 1) * 86_400_000
            if day_start + 86_400_000 <= start_ms:
                return
            if day_start > end_ms:
                continue
            bids = self._day(feed, day)
            last = min(TICKS_A_DAY - 1, (end_ms - day_start) // TICK_MS)
            for index in range(last, -1, -1):
                ms = day_start + index * TICK_MS
                if ms < start_ms:
                    return
                yield Tick(ms, bids[index], bids[index] + spread)

    def bars(self, feed: str, period: int, end_ms: int | None) -> Iterator[Bar]:
        """Give the bars that opened up to a moment (None: now), newest first."""
        end = 2**62 if end_ms is None else end_ms // 60_000
        present: Bar | None = None
        for minute in self._minutes(feed, periods.end_of(period, end) if end_ms is not None else end):
            start = periods.start_of(period, minute.minute)
            if present is not None and present.minute == start:
                present = Bar(
                    start,
                    minute.open,
                    max(present.high, minute.high),
                    min(present.low, minute.low),
                    present.close,
                    present.volume + minute.volume,
                )
                continue
            if present is not None and present.minute <= end:
                yield present
            present = minute._replace(minute=start)
        if present is not None and present.minute <= end:
            yield present

    def _minutes(self, feed: str, end: int) -> Iterator[Bar]:
        for bar in reversed(self._live[feed].bars):
            if bar.minute <= end:
                yield bar
        for day in range(self._days):
            first_minute = (self._start_ms - (day + 1) * 86_400_000) // 60_000
            if first_minute > end:
                continue
            bids = self._day(feed, day)
            for index in range(min(1439, end - first_minute), -1, -1):
                one, two, three, four = bids[index * 4 : index * 4 + 4]
                yield Bar(first_minute + index, one, max(one, two, three, four), min(one, two, three, four), four, 4)

    def _day(self, feed: str, day: int) -> array[int]:
        """Give the bids of one made-up day, 0 being the one that ends at the start."""
        key = feed, day
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        cross = self._market.streams[feed].feed.cross
        path = self._walked(feed, day) if cross is None else self._crossed(cross, day)
        self._cache[key] = path
        if len(self._cache) > DAYS_CACHED:
            self._cache.popitem(last=False)
        return path

    def _crossed(self, cross: tuple[str, str, str], day: int) -> array[int]:
        how, first, second = cross
        pairs = zip(self._day(first, day), self._day(second, day), strict=True)
        if how == "mul":
            return array("q", (one * two // units.PRICE for one, two in pairs))
        return array("q", (one * units.PRICE // two for one, two in pairs))

    def _level(self, feed: str, day: int) -> int:
        """Give the bid at the end of a made-up day."""
        levels = self._levels.setdefault(feed, [self._first[feed][0]])
        step = self._market.streams[feed].feed.step
        while len(levels) <= day:
            draw = random.Random(f"{self._seed}:{feed}:level:{len(levels)}").randint(-DRIFT_STEPS, DRIFT_STEPS)
            levels.append(max(levels[-1] + draw * step, levels[0] // 2))
        return levels[day]

    def _walked(self, feed: str, day: int) -> array[int]:
        """Walk from one day's level to the next, the random part bent so that it arrives."""
        begin, end = self._level(feed, day + 1), self._level(feed, day)
        chance = random.Random(f"{self._seed}:{feed}:day:{day}")
        step = self._market.streams[feed].feed.step
        path, position = [], 0
        for _ in range(TICKS_A_DAY):
            position += ((chance.getrandbits(5)) - 15) * step // 8
            path.append(position)
        bend = end - begin - position
        least = max(begin // 2, 1)
        return array(
            "q",
            (max(begin + offset + bend * (index + 1) // TICKS_A_DAY, least) for index, offset in enumerate(path)),
        )


def _grown(bar: Bar, bid: int) -> Bar:
    return Bar(bar.minute, bar.open, max(bar.high, bid), min(bar.low, bid), bid, bar.volume + 1)
