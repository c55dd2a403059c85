"""What leaves now, and when to look again: the rate limit of one connection as a pure core.

The server counts every frame, in any one second, over all accounts of the connection (FACTS §3). So do we: a sliding
window of one second and a guard for the jitter on the way, in which at most `limit` frames leave. A burst goes at once.

    lane      what                                    may use
    SESSION   heartbeats, authorisation               every slot
    CLOSE     reductions of exposure                  every slot
    PROTECT   stops and targets, pending amendments   every slot
    CANCEL    cancelled pendings                      every slot
    OPEN      what adds exposure                      all but one, unless another frees within 20 ms
    QUERY     questions                               all but one; historical ones also their own five a second

Times are monotonic microseconds. Knows no socket, no clock and no meaning of what it lets pass.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Final

WINDOW_US: Final = 1_000_000
GUARD_US_MIN: Final = 5_000
GUARD_US_MAX: Final = 50_000
HISTORICAL_LIMIT: Final = 5
RESERVED: Final = 1
"""Slots that opens and queries leave free, so that a close finds one in the middle of a burst."""
LEND_US: Final = 20_000
"""A reserved slot is lent when another becomes free within this time."""
KNOWN_MAX: Final = 8_192
"""How many names of past requests are remembered, to drop a second arrival."""
ROUND_TRIPS_MAX: Final = 1_000


class Lane(IntEnum):
    """Who goes first; the order is the priority."""

    SESSION = 0
    CLOSE = 1
    PROTECT = 2
    CANCEL = 3
    OPEN = 4
    QUERY = 5

    @property
    def may_use_reserve(self) -> bool:
        return self <= Lane.CANCEL


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One frame that wants to leave. `name` is unique for ever; `merge` names the target whose newest amend counts.

    `not_after_us` is the monotonic moment after which it goes back unsent, 0 for never.
    """

    name: str
    lane: Lane
    payload_type: int
    account: int = 0
    is_historical: bool = False
    merge: str = ""
    not_after_us: int = 0
    submitted_us: int = 0
    data: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Returned:
    """An item that will not leave, and why: expired, merged, withdrawn, duplicate or stopped."""

    item: Item
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the budget is doing, for `status`."""

    limit: int
    used: int
    waiting: int
    guard_us: int
    sent: int
    busiest_second: int
    returned: int
    forecast_us: int


class Budget:
    """The window, the lanes, and who waits in them."""

    def __init__(self, limit: int, *, historical_limit: int = HISTORICAL_LIMIT) -> None:
        assert limit >= 2, f"expected a limit of at least 2, one slot being reserved; found {limit}"
        self._limit = limit
        self._historical_limit = historical_limit
        self._guard_us = GUARD_US_MIN
        self._sent: deque[int] = deque()
        self._historical: deque[int] = deque()
        self._lanes: dict[Lane, OrderedDict[int, deque[Item]]] = {lane: OrderedDict() for lane in Lane}
        self._known: OrderedDict[str, None] = OrderedDict()
        self._withdrawn: OrderedDict[str, None] = OrderedDict()
        self._blocked: dict[int, int] = {}
        self._round_trips: deque[int] = deque(maxlen=ROUND_TRIPS_MAX)
        self._total = 0
        self._busiest = 0
        self._returned = 0

    # --- what wants to leave --------------------------------------------------------------------------------------

    def submit(self, item: Item, now_us: int) -> tuple[Returned, ...]:
        """Queue an item; what it replaces, or the item itself if it was here before, is handed back."""
        if item.name in self._known:
            return (Returned(item, "duplicate"),)
        self._remember(self._known, item.name)
        if self._withdrawn.pop(item.name, 0) is None:
            return self._count((Returned(item, "withdrawn"),))
        queue = self._lanes[item.lane].setdefault(item.account, deque())
        item = replace(item, submitted_us=now_us)
        if item.merge:
            for place, waiting in enumerate(queue):
                if waiting.merge == item.merge:
                    queue[place] = item
                    return self._count((Returned(waiting, "merged"),))
        queue.append(item)
        return ()

    def withdraw(self, name: str) -> Returned | None:
        """Take an item back if it waits; if it has not come yet, it will be handed back when it does."""
        for item in self._waiting():
            if item.name == name:
                self._lanes[item.lane][item.account].remove(item)
                return self._count((Returned(item, "withdrawn"),))[0]
        if name not in self._known:
            self._remember(self._withdrawn, name)
        return None

    def stop_opens(self) -> tuple[Returned, ...]:
        """Hand back everything that would add exposure: the system is coming to its end."""
        found = [Returned(item, "stopped") for queue in self._lanes[Lane.OPEN].values() for item in queue]
        self._lanes[Lane.OPEN].clear()
        return self._count(tuple(found))

    def empty(self, reason: str) -> tuple[Returned, ...]:
        """Hand back everything: the connection is gone, and none of it ever left."""
        found = tuple(Returned(item, reason) for item in self._waiting())
        for lane in self._lanes.values():
            lane.clear()
        return self._count(found)

    def block(self, payload_type: int, until_us: int) -> None:
        """Let nothing of this type leave before that moment: the server has said so."""
        self._blocked[payload_type] = max(until_us, self._blocked.get(payload_type, 0))

    def measured(self, round_trip_us: int) -> None:
        """Take a measured round trip: the guard follows its variation (p99.9 minus the shortest)."""
        self._round_trips.append(round_trip_us)
        if len(self._round_trips) % 50 == 0:
            ordered = sorted(self._round_trips)
            variation = ordered[min(len(ordered) - 1, len(ordered) * 999 // 1000)] - ordered[0]
            self._guard_us = max(GUARD_US_MIN, min(GUARD_US_MAX, variation))

    # --- what leaves ----------------------------------------------------------------------------------------------

    def take(self, now_us: int) -> tuple[tuple[Item, ...], tuple[Returned, ...]]:
        """What leaves now, in order, counted as sent; and what is handed back because its time is over."""
        self._forget_old(now_us)
        returned = self._expire(now_us)
        leaving: list[Item] = []
        while (item := self._next(now_us)) is not None:
            self._sent.append(now_us)
            if item.is_historical:
                self._historical.append(now_us)
            leaving.append(item)
        self._total += len(leaving)
        self._busiest = max(self._busiest, len(self._sent))
        return tuple(leaving), returned

    def _next(self, now_us: int) -> Item | None:
        for lane, accounts in self._lanes.items():
            if not accounts or not self._has_slot(lane, now_us):
                continue
            for account in list(accounts):
                queue = accounts[account]
                if not queue:
                    del accounts[account]
                    continue
                if self._may_leave(queue[0], now_us):
                    accounts.move_to_end(account)
                    return queue.popleft()
        return None

    def _has_slot(self, lane: Lane, now_us: int) -> bool:
        free = self._limit - len(self._sent)
        if free > RESERVED or (free > 0 and lane.may_use_reserve):
            return True
        return free == RESERVED and bool(self._sent) and self._sent[0] + self._span() - now_us <= LEND_US

    def _may_leave(self, item: Item, now_us: int) -> bool:
        if self._blocked.get(item.payload_type, 0) > now_us:
            return False
        return not item.is_historical or len(self._historical) < self._historical_limit

    def _span(self) -> int:
        return WINDOW_US + self._guard_us

    def _forget_old(self, now_us: int) -> None:
        edge = now_us - self._span()
        for times in (self._sent, self._historical):
            while times and times[0] <= edge:
                times.popleft()
        for payload_type in [key for key, until in self._blocked.items() if until <= now_us]:
            del self._blocked[payload_type]

    def _expire(self, now_us: int) -> tuple[Returned, ...]:
        found: list[Returned] = []
        for queue in self._lanes[Lane.OPEN].values():
            for item in [item for item in queue if item.not_after_us and item.not_after_us < now_us]:
                queue.remove(item)
                found.append(Returned(item, "expired"))
        return self._count(tuple(found))

    # --- when to look again ---------------------------------------------------------------------------------------

    def next_wake(self, now_us: int) -> int | None:
        """The moment at which `take` should be called again, None when nothing waits."""
        moments = [
            self._wake_of(lane, queue[0], now_us)
            for lane, accounts in self._lanes.items()
            for queue in accounts.values()
            if queue
        ]
        moments += [
            item.not_after_us + 1 for queue in self._lanes[Lane.OPEN].values() for item in queue if item.not_after_us
        ]
        return min(moments, default=None)

    def _wake_of(self, lane: Lane, item: Item, now_us: int) -> int:
        moment = now_us
        if not self._has_slot(lane, now_us) and self._sent:
            is_full = len(self._sent) >= self._limit
            lend = 0 if lane.may_use_reserve or is_full else LEND_US
            moment = self._sent[0] + self._span() - lend
        moment = max(moment, self._blocked.get(item.payload_type, 0))
        if item.is_historical and len(self._historical) >= self._historical_limit:
            moment = max(moment, self._historical[0] + self._span())
        return max(moment, now_us + 1)

    # --- what is told of it ---------------------------------------------------------------------------------------

    def figures(self, now_us: int) -> Figures:
        """The state in numbers. The forecast is how long the last of those waiting now will have to wait."""
        self._forget_old(now_us)
        waiting = sum(1 for _ in self._waiting())
        ahead = max(0, waiting - (self._limit - len(self._sent)))
        return Figures(
            limit=self._limit,
            used=len(self._sent),
            waiting=waiting,
            guard_us=self._guard_us,
            sent=self._total,
            busiest_second=self._busiest,
            returned=self._returned,
            forecast_us=-(-ahead // self._limit) * self._span(),
        )

    def _waiting(self) -> Iterator[Item]:
        for accounts in self._lanes.values():
            for queue in accounts.values():
                yield from queue

    def _count(self, returned: tuple[Returned, ...]) -> tuple[Returned, ...]:
        self._returned += len(returned)
        return returned

    @staticmethod
    def _remember(names: OrderedDict[str, None], name: str) -> None:
        names[name] = None
        while len(names) > KNOWN_MAX:
            names.popitem(last=False)
