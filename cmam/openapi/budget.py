"""What leaves now, and when to look again: the rate limit of one connection as a pure core.

The server counts every frame, in any one second, over all accounts of the connection (wire.md#requests-a-second). So do
we: there are `limit` slots (`window.py` says when one is free again), 5 of them for historical requests, and a fifth of
either at most for what nobody waits for. A burst goes at once. One slot is kept for the lanes that never add risk, lent
to the others only when another is free within 20 ms, so that a lone close finds a slot within 20 ms in the middle of
any burst, of amendments too that follow one another. Nothing is lost: an item leaves, or is handed back.

Times are monotonic microseconds. Knows no socket, no clock and no meaning of what it lets pass.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from cmam.clock import MILLISECOND_US, SECOND_US
from cmam.domain.trials.forecast import leaving_times
from cmam.openapi import catalogue
from cmam.openapi.lanes import Item, Lane, LaneQueue
from cmam.openapi.window import Flight, Guard, Window

HISTORICAL_LIMIT: Final = 5
IDLE_PARTS: Final = 5
"""What nobody waits for fills one slot in so many, also while nothing else waits: a burst that comes upon it finds the
others free, and its last order leaves a second earlier than behind a window full of questions."""
RESERVED: Final = 1
"""Slots that opens and questions leave free, so that a close finds one in the middle of a burst."""
LEND_US: Final = 20 * MILLISECOND_US
"""A reserved slot is lent when another is free within this time: the longest that a lone close then waits."""
QUESTION_TURN: Final = 5
"""Of so many slots in a row that opens could fill, one is a question's if any waits: an account that cannot reconcile
cannot close, so no burst of opens may starve what it asks."""
IDLE_TURN: Final = 1_000
"""Of so many slots in a row that others use, one is for what nobody waits for: it may be late, not last for ever. That
is one in twenty seconds: each slot that it takes in a burst is one that the last follower waits for, and the longest
burst that a connection can hold in time, of five hundred, is over by then."""
AGAIN_STEP: Final = 10
"""So many slots counts one that an amendment of the same again takes: no burst, and it may go on for hours."""
AGAIN_US: Final = 30 * SECOND_US
"""So long after an amendment of a target the next one of it is one more, and takes turns with what else waits. A stop
that is moved at each tick, for many followers, would take all slots there are: nothing would be cancelled or opened
any more, and no account would come back on the line."""
KNOWN_US: Final = 600 * SECOND_US
KNOWN_LEAST: Final = 4_096
KNOWN_MAX: Final = 100_000
"""For how long the names of requests that moved money are remembered, to drop a second arrival: ten minutes and so many
at the least. What could come again stands in a box of messages, and nothing stands there for so long."""
PAUSE_US: Final = 1 * SECOND_US
"""How long a type is paused that the server refuses without saying for how long."""
PAUSE_US_MAX: Final = 120 * SECOND_US
"""A slower quota lies behind the one a second: growing pauses up to two minutes got through
(wire.md#the-slower-quota)."""
STRIKE_US: Final = 10 * SECOND_US
"""A block that comes within this after the last one ended is the same trouble, and the pause doubles."""

RETURN: Final = (Lane.LOOK, Lane.JOIN)
"""The lanes of what an account needs before anything of it can be closed."""
ALWAYS_FIRST: Final = tuple(lane for lane in Lane if lane.may_use_reserve)
LAST: Final = {
    (False, False): (Lane.OPEN, Lane.QUERY, Lane.IDLE),
    (True, False): (Lane.QUERY, Lane.OPEN, Lane.IDLE),
    (False, True): (Lane.IDLE, Lane.OPEN, Lane.QUERY),
    (True, True): (Lane.QUERY, Lane.IDLE, Lane.OPEN),
}
"""The last lanes in their order, by whether it is a question's turn, and that of what nobody waits for."""


def _in_order(last: tuple[Lane, ...], *, again_first: bool) -> tuple[Lane, ...]:
    """All lanes in their order: amendments of the same again before or behind what is no close, but for the idle."""
    if again_first:
        return (*ALWAYS_FIRST, Lane.AGAIN, *RETURN, *last)
    place = len(last) - (last[-1] is Lane.IDLE)
    return (*ALWAYS_FIRST, *RETURN, *last[:place], Lane.AGAIN, *last[place:])


TURNS: Final = {
    (is_again, *turns): _in_order(last, again_first=is_again)
    for turns, last in LAST.items()
    for is_again in (True, False)
}
"""The lanes in their order: whether it is the turn of an amendment of the same again, and as above."""


@dataclass(frozen=True, slots=True)
class Returned:
    """An item that will not leave, and why: expired, merged, withdrawn, duplicate, or the caller's word."""

    item: Item
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the budget is doing, for `status`.

    Of `waiting`, nobody waits for `waiting_idle`. `forecast_us` is the wait of an open that came now. `free_us` are the
    moments at which the slots that are taken are expected to be free again, `ahead` is how much would leave before that
    open, `span_us` how long a slot is taken.
    """

    limit: int
    used: int
    waiting: int
    waiting_idle: int
    waiting_max: int
    guard_us: int
    round_trip_us: int
    sent: int
    busiest_second: int
    returned: int
    forecast_us: int
    free_us: tuple[int, ...]
    ahead: int
    span_us: int
    paused_until_us: Mapping[int, int]


@dataclass(slots=True)
class _Pause:
    """A payload type that the server does not take: until when, and how often in a row."""

    until_us: int = 0
    strikes: int = 0


class Budget:
    """The window, the lanes, and who waits in them."""

    def __init__(self, limit: int) -> None:
        assert limit > RESERVED, f"expected a limit of at least {RESERVED + 1}, one slot being reserved; found {limit}"
        self._guard = Guard()
        self._window = Window(limit, self._guard)
        self._historical = Window(HISTORICAL_LIMIT, self._guard)
        self._idle = Window(max(1, limit // IDLE_PARTS), self._guard)
        self._idle_historical = Window(max(1, HISTORICAL_LIMIT // IDLE_PARTS), self._guard)
        self._lanes = {lane: LaneQueue() for lane in Lane}
        self._numbers = 0
        self._waiting: dict[int, Item] = {}
        self._names: dict[str, int] = {}
        self._merges: dict[tuple[int, int, str], int] = {}
        self._amended: OrderedDict[tuple[int, int, str], int] = OrderedDict()
        self._deadlines: list[tuple[int, int]] = []
        self._sent: OrderedDict[str, int] = OrderedDict()
        self._withdrawn: OrderedDict[str, int] = OrderedDict()
        self._flight = Flight()
        self._pauses: dict[int, _Pause] = {}
        self._last_second: deque[int] = deque()
        self._total = 0
        self._busiest = 0
        self._returned = 0
        self._waiting_max = 0
        self._opens_in_a_row = 0
        self._since_idle = 0
        self._is_turn_of_again = True

    @property
    def waiting(self) -> int:
        """How much waits."""
        return len(self._waiting)

    # --- what wants to leave --------------------------------------------------------------------------------------

    def submit(self, item: Item) -> tuple[Returned, ...]:
        """Queue an item; what it replaces, or the item itself where it was here before, is handed back."""
        if item.name in self._withdrawn:
            return self._back((item,), "withdrawn")
        if item.name in self._names or item.name in self._sent:
            return self._back((item,), "duplicate")
        number, older = self._place_of(item)
        if older is not None:
            item = replace(item, lane=older.lane)
        elif item.lane is Lane.PROTECT and item.merge_key in self._amended:
            item = replace(item, lane=Lane.AGAIN)
        if older is not None:
            self._forget(number, older, is_queued=False)  # the queue keeps its place for the newer one
        self._waiting[number] = item
        self._names[item.name] = number
        if item.merge_key is not None:
            self._merges[item.merge_key] = number
        if item.deadline_us is not None:
            heapq.heappush(self._deadlines, (item.deadline_us, number))
        self._lanes[item.lane].put(number, item)
        self._waiting_max = max(self._waiting_max, len(self._waiting))
        return () if older is None else self._back((older,), "merged")

    def has_left(self, name: str) -> bool:
        """Whether a request that moves money has left under this name, as far back as is remembered."""
        return name in self._sent

    def hurry(self, account: int) -> None:
        """Let what brings an account back, where any of that waits, leave before what brings others back."""
        for lane in RETURN:
            self._lanes[lane].hurry(account)

    def withdraw(self, name: str) -> Returned | None:
        """Take an item back if it waits; if it has not come yet, it will be handed back when it does."""
        if name in self._sent:
            return None
        _remember(self._withdrawn, name, 0)
        number = self._names.get(name)
        if number is None:
            return None
        item = self._waiting[number]
        self._forget(number, item)
        return self._back((item,), "withdrawn")[0]

    def empty(self, reason: str, now_us: int) -> tuple[Returned, ...]:
        """Hand back everything: the connection is gone, and none of it ever left."""
        self._flight.end(now_us)
        return self._take_back(lambda _: True, reason)

    def block(self, payload_type: int, span_us: int, now_us: int) -> int:
        """Let nothing of a type leave for a while that the server named, or 0 if it did not; says until when.

        Blocks that follow one another double the pause, but for closes, which go again the moment the server takes
        them. The rest of the burst that was refused together counts as one block.
        """
        pause = self._pauses.setdefault(payload_type, _Pause())
        if now_us >= pause.until_us:
            is_again = pause.until_us > 0 and now_us - pause.until_us < STRIKE_US
            pause.strikes = pause.strikes + 1 if is_again and payload_type != catalogue.CLOSE_POSITION else 0
        grown_us = min((span_us or PAUSE_US) << min(pause.strikes, 16), PAUSE_US_MAX)
        pause.until_us = max(pause.until_us, now_us + max(grown_us, span_us))
        return pause.until_us

    def measured(self, round_trip_us: int) -> None:
        """Take a measured round trip: the guard follows their variation."""
        self._guard.saw(round_trip_us)

    def wrote(self, at_us: int, count: int = 1) -> None:
        """Note when the oldest items that were taken and not yet written were written."""
        for _ in range(self._flight.wrote(count, at_us)):
            self._last_second.append(at_us)
        while self._last_second and self._last_second[0] <= at_us - SECOND_US:
            self._last_second.popleft()
        self._busiest = max(self._busiest, len(self._last_second))

    def proved(self, number: int, at_us: int) -> None:
        """Note that the server had read the first `number` frames written since the line came up: it has answered."""
        self._flight.read(number, at_us)

    # --- what leaves ----------------------------------------------------------------------------------------------

    def take(self, now_us: int) -> tuple[tuple[Item, ...], tuple[Returned, ...]]:
        """What leaves now, in order, counted as sent; and what is handed back because its time is over."""
        while self._amended and next(iter(self._amended.values())) < now_us - AGAIN_US:
            self._amended.popitem(last=False)
        late = []
        while self._deadlines and self._deadlines[0][0] < now_us:
            moment, number = heapq.heappop(self._deadlines)
            item = self._waiting.get(number)
            if item is not None and item.deadline_us == moment:
                self._forget(number, item)
                late.append(item)
        leaving = []
        while (found := self._next(now_us)) is not None:
            leaving.append(found)
        return tuple(leaving), self._back(tuple(late), "expired")

    def next_wake(self, now_us: int) -> int | None:
        """The moment at which `take` has something to say if nothing else happens, None when nothing waits."""
        if not self._waiting:
            return None
        moments = [
            max(self._lane_opens_at(lane, now_us), self._kind_opens_at(kind, now_us, lane))
            for lane, queue in self._lanes.items()
            for kind in queue.kinds()
        ]
        while self._deadlines:
            moment, number = self._deadlines[0]
            item = self._waiting.get(number)
            if item is not None and item.deadline_us == moment:
                moments.append(max(moment + 1, now_us))
                break
            heapq.heappop(self._deadlines)
        return min(moments, default=None)

    def forecast_us(self, lane: Lane, now_us: int) -> int:
        """How long an item that came into `lane` now would wait if nothing more urgent came after it, pauses apart."""
        return self._wait_us(lane, self._ahead(lane), self._window.expected(now_us), now_us)

    def _wait_us(self, lane: Lane, ahead: int, free_us: list[int], now_us: int) -> int:
        slots = self._window.limit - (0 if lane.may_use_reserve else RESERVED)
        return leaving_times(slots, free_us, self._window.span_us, ahead + 1, now_us)[-1] - now_us

    def _ahead(self, lane: Lane) -> int:
        """How many of those that wait would leave before one that came into `lane` now."""
        if not self._waiting:
            return 0
        ahead = sum(len(queue) for other, queue in self._lanes.items() if other <= lane and other is not Lane.AGAIN)
        if lane >= Lane.AGAIN:
            below = sum(len(queue) for other, queue in self._lanes.items() if Lane.AGAIN < other <= lane)
            ahead += min(len(self._lanes[Lane.AGAIN]), below + 1)
        if lane is Lane.OPEN:
            ahead += min(len(self._lanes[Lane.QUERY]), len(self._lanes[lane]) // (QUESTION_TURN - 1))
            ahead += min(len(self._lanes[Lane.IDLE]), len(self._lanes[lane]) // (IDLE_TURN - 1))
        return ahead

    def figures(self, now_us: int) -> Figures:
        """The state in numbers."""
        free_us, ahead = self._window.expected(now_us), self._ahead(Lane.OPEN)
        return Figures(
            limit=self._window.limit,
            used=len(free_us),
            waiting=self.waiting,
            waiting_idle=len(self._lanes[Lane.IDLE]),
            waiting_max=self._waiting_max,
            guard_us=self._guard.us,
            round_trip_us=self._guard.round_trip_us,
            sent=self._total,
            busiest_second=self._busiest,
            returned=self._returned,
            forecast_us=self._wait_us(Lane.OPEN, ahead, free_us, now_us),
            free_us=tuple(free_us),
            ahead=ahead,
            span_us=self._window.span_us,
            paused_until_us={kind: p.until_us for kind, p in sorted(self._pauses.items()) if p.until_us > now_us},
        )

    # --- inside ---------------------------------------------------------------------------------------------------

    def _place_of(self, item: Item) -> tuple[int, Item | None]:
        """The number under which an item waits: that of the one it replaces, or a new one."""
        number = None if item.merge_key is None else self._merges.get(item.merge_key)
        if number is not None:
            return number, self._waiting[number]
        self._numbers += 1
        return self._numbers, None

    def _forget(self, number: int, item: Item, *, is_queued: bool = True) -> None:
        """Let an item wait no longer."""
        if is_queued:
            self._lanes[item.lane].remove(number, item)
        del self._waiting[number], self._names[item.name]
        if item.merge_key is not None:
            del self._merges[item.merge_key]

    def _take_back(self, wanted: Callable[[Item], bool], reason: str) -> tuple[Returned, ...]:
        found = [(number, item) for number, item in sorted(self._waiting.items()) if wanted(item)]
        for number, item in found:
            self._forget(number, item)
        return self._back(tuple(item for _, item in found), reason)

    def _back(self, items: tuple[Item, ...], reason: str) -> tuple[Returned, ...]:
        self._returned += len(items)
        return tuple(Returned(item, reason) for item in items)

    def _next(self, now_us: int) -> Item | None:
        """Take the one item that leaves next, if any may."""
        if not self._waiting:
            return None
        for lane in self._order():
            queue = self._lanes[lane]
            if queue and self._lane_opens_at(lane, now_us) <= now_us:
                found = queue.pop(partial(self._is_kind_open, now_us, lane))
                if found is not None:
                    self._count(*found, now_us)
                    return found[1]
        return None

    def _order(self) -> tuple[Lane, ...]:
        """The lanes as they go first now."""
        is_question = self._opens_in_a_row >= QUESTION_TURN - 1
        return TURNS[self._is_turn_of_again, is_question, self._since_idle >= IDLE_TURN - 1]

    def _count(self, number: int, item: Item, now_us: int) -> None:
        """Count an item as sent now."""
        self._forget(number, item, is_queued=False)
        if item.merge_key is not None:
            self._amended[item.merge_key] = now_us
            self._amended.move_to_end(item.merge_key)
        if item.lane >= Lane.AGAIN:
            self._is_turn_of_again = item.lane is not Lane.AGAIN
            step = AGAIN_STEP if item.lane is Lane.AGAIN else 1
            self._since_idle = self._since_idle + step if item.lane is not Lane.IDLE else 0
        if item.lane >= Lane.OPEN:
            self._opens_in_a_row = self._opens_in_a_row + 1 if item.lane is Lane.OPEN else 0
        slot = self._flight.take(now_us, is_answered=item.payload_type != catalogue.HEARTBEAT)
        self._window.use(slot)
        if item.payload_type in catalogue.HISTORICAL:
            self._historical.use(slot)
            if item.lane is Lane.IDLE:
                self._idle_historical.use(slot)
        if item.lane is Lane.IDLE:
            self._idle.use(slot)
        if item.payload_type in catalogue.TRADING:
            _remember(self._sent, item.name, now_us)
        self._total += 1

    def _is_kind_open(self, now_us: int, lane: Lane, kind: int) -> bool:
        return self._kind_opens_at(kind, now_us, lane) <= now_us

    def _kind_opens_at(self, kind: int, now_us: int, lane: Lane) -> int:
        """When a payload type may leave, by its pause and the historical five; the present when it may now."""
        pause = self._pauses.get(kind)
        moment = now_us if pause is None else max(pause.until_us, now_us)
        if kind not in catalogue.HISTORICAL:
            return moment
        if lane is Lane.IDLE:
            moment = max(moment, self._idle_historical.room_at(now_us))
        return max(moment, self._historical.room_at(now_us, waits_out=lane.waits_out))

    def _lane_opens_at(self, lane: Lane, now_us: int) -> int:
        """When a lane may use a slot; the present when it may now."""
        one = self._window.room_at(now_us, waits_out=lane.waits_out)
        if lane.may_use_reserve:
            return one
        if lane is Lane.IDLE:
            one = max(one, self._idle.room_at(now_us))
        return max(one, self._window.room_at(now_us, keep=RESERVED, waits_out=lane.waits_out) - LEND_US)


def _remember(names: OrderedDict[str, int], name: str, now_us: int) -> None:
    """Note a name with its moment, and forget one for it where that is old enough."""
    names[name] = now_us
    for _ in range(2):  # two for one: it shrinks after a rush, and no turn is long for it
        is_old = len(names) > KNOWN_LEAST and next(iter(names.values())) < now_us - KNOWN_US
        if is_old or len(names) > KNOWN_MAX:
            names.popitem(last=False)
