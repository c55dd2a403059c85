"""Laws of the request budget against a server at the far end of a line that may do anything but reorder.

Frames are written late, read late, answered late or never; answers come in clots; the process is stopped for minutes.
The server counts a frame when it reads it. The model shares nothing with the budget but the constants in its bounds.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.openapi import catalogue
from cmam.openapi.budget import Budget
from cmam.openapi.lanes import Item, Lane, lane_of
from cmam.openapi.window import MARGIN_US

V = TypeVar("V")
SECOND = 1_000_000
MS = 1_000
UNREAD, STALLED = 10 * SECOND, 60 * SECOND
HISTORICAL = sorted(catalogue.HISTORICAL)
KINDS = [
    catalogue.CLOSE_POSITION,
    catalogue.AMEND_PROTECTION,
    catalogue.NEW_ORDER,
    catalogue.NEW_ORDER,
    catalogue.TRADER,
    catalogue.HEARTBEAT,
    catalogue.ACCOUNT_AUTH,
    HISTORICAL[0],
]


@dataclass
class Weather:
    """How long each thing takes, in turn, in us; `silent` are the frames that are never answered."""

    writing: list[int]
    there: list[int]
    working: list[int]
    back: list[int]
    noticing: list[int]
    silent: list[bool]


@dataclass
class Frame:
    """What happened to one frame, by the model's own account."""

    item: Item
    taken: int
    written: int = 0
    read: int = 0
    proved: int | None = None
    """When we learnt of an answer to it, or to a later one."""
    known: int | None = None
    """The moment that answer arrived at our socket."""


@dataclass
class World:
    """The budget, the line and the server, moment by moment."""

    budget: Budget
    weather: Weather
    now: int = 0
    frames: list[Frame] = field(default_factory=list)
    waiting: dict[str, Item] = field(default_factory=dict)
    behind: int = 0
    """How often an open left while a close waited."""
    _events: list[tuple[int, int, str, int]] = field(default_factory=list)
    _ties: count[int] = field(default_factory=count)
    _numbers: count[int] = field(default_factory=count)
    _last_written: int = 0
    _last_arrived: int = 0

    def submit(self, kind: int, account: int = 1) -> Item:
        """Let one more item want to leave."""
        item = Item(name=f"i{next(self._numbers)}", lane=lane_of(kind), payload_type=kind, account=account)
        assert self.budget.submit(item) == ()
        self.waiting[item.name] = item
        return item

    def look(self) -> None:
        """Let go what may leave now, and send it on its way."""
        leaving, returned = self.budget.take(self.now)
        assert returned == ()
        for item in leaving:
            del self.waiting[item.name]
            closes = any(other.lane is Lane.CLOSE for other in self.waiting.values())
            self.behind += item.lane >= Lane.OPEN and closes
            number = len(self.frames)
            self.frames.append(Frame(item, self.now))
            self._last_written = max(self._last_written, self.now + self._turn(self.weather.writing, number))
            self._put(self._last_written, "written", number)

    def pass_time(self, until: int, *, asleep: bool = False) -> None:
        """Let everything happen that happens until then; asleep, nobody looks before the end."""
        while True:
            wake = None if asleep else self.budget.next_wake(self.now)
            due = self._events[0][0] if self._events else None
            moments = [moment for moment in (wake, due) if moment is not None]
            if not moments or min(moments) > until:
                break
            self.now = max(self.now, min(moments))
            while self._events and self._events[0][0] <= self.now:
                _, _, what, number = heapq.heappop(self._events)
                self._happens(what, number)
            if not asleep:
                self.look()
        self.now = max(self.now, until)
        self.look()

    def _happens(self, what: str, number: int) -> None:
        frame = self.frames[number]
        if what == "written":
            frame.written = self.now
            before = self.frames[number - 1].read if number else 0
            frame.read = max(before, self.now + self._turn(self.weather.there, number))
            self.budget.wrote(self.now)
            silent = frame.item.payload_type == catalogue.HEARTBEAT or self._turn(self.weather.silent, number)
            if not silent:
                spoken = frame.read + self._turn(self.weather.working, number) + self._turn(self.weather.back, number)
                self._last_arrived = max(self._last_arrived, spoken)
                self._put(self._last_arrived, "arrived", number)
        elif what == "arrived":
            frame.known = self.now
            self._put(self.now + self._turn(self.weather.noticing, number), "noticed", number)
        else:
            assert frame.known is not None
            for earlier in reversed(self.frames[: number + 1]):
                if earlier.proved is not None and earlier.known is not None and earlier.known <= frame.known:
                    break
                earlier.proved, earlier.known = self.now, frame.known
            self.budget.proved(number + 1, frame.known)

    def _put(self, moment: int, what: str, number: int) -> None:
        heapq.heappush(self._events, (moment, next(self._ties), what, number))

    @staticmethod
    def _turn(values: list[V], number: int) -> V:
        return values[number % len(values)]

    def drain(self) -> None:
        """Let time pass until nothing waits and everything written was read."""
        while self.waiting or self._events:
            wake = self.budget.next_wake(self.now)
            moments = [moment for moment in (wake, self._events[0][0] if self._events else None) if moment is not None]
            self.pass_time(max(self.now, min(moments)))


def spans(most: int) -> st.SearchStrategy[list[int]]:
    """Some delays, mostly short."""
    return st.lists(st.integers(0, most) | st.integers(0, 5 * MS), min_size=1, max_size=8)


WEATHERS = st.builds(
    Weather,
    writing=spans(400 * MS),
    there=spans(4 * SECOND),
    working=spans(2 * SECOND),
    back=spans(3 * SECOND),
    noticing=spans(200 * MS),
    silent=st.lists(st.booleans(), min_size=1, max_size=6),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("burst"), st.sampled_from(KINDS), st.integers(1, 4), st.integers(1, 80)),
        st.tuples(st.just("wait"), st.just(0), st.just(0), st.integers(0, 2 * SECOND)),
        st.tuples(st.just("sleep"), st.just(0), st.just(0), st.integers(0, 600 * SECOND)),
        st.tuples(st.just("round trip"), st.just(0), st.just(0), st.integers(0, 80 * MS)),
    ),
    min_size=1,
    max_size=12,
)


def play(steps: list[tuple[str, int, int, int]], weather: Weather, limit: int) -> World:
    """Play a history to its end."""
    world = World(Budget(limit), weather)
    for what, kind, account, number in steps:
        if what == "burst":
            for _ in range(number):
                world.submit(kind, account)
            world.look()
        elif what == "round trip":
            world.budget.measured(number)
        else:
            world.pass_time(world.now + number, asleep=what == "sleep")
    world.drain()
    return world


def most_in_a_second(moments: list[int]) -> int:
    """The largest number of moments within any one second."""
    moments = sorted(moments)
    return max((bisect_left(moments, start + SECOND) - place for place, start in enumerate(moments)), default=0)


@given(STEPS, WEATHERS, st.integers(2, 60))
@settings(max_examples=80)
def test_the_server_never_reads_more_than_the_limit_in_any_second(
    steps: list[tuple[str, int, int, int]], weather: Weather, limit: int
) -> None:
    """Heartbeats and authorisations included, whatever the line does: never 51 in any second, never 6 historical."""
    world = play(steps, weather, limit)
    assert most_in_a_second([frame.read for frame in world.frames]) <= limit
    historical = [frame.read for frame in world.frames if frame.item.payload_type in catalogue.HISTORICAL]
    assert most_in_a_second(historical) <= 5
    assert world.budget.figures(world.now).busiest_second == most_in_a_second([f.written for f in world.frames])
    assert world.behind == 0


@given(STEPS, WEATHERS, st.integers(2, 60))
@settings(max_examples=100)
def test_it_is_never_idle_while_there_is_work_and_room(
    steps: list[tuple[str, int, int, int]], weather: Weather, limit: int
) -> None:
    """Whatever has to wait, as many frames as the limit allows beside the reserve are within their second and margin.

    The second of a frame begins when an answer to it, or to a later one, was noticed; where none comes, 10 s after it
    was written for what lowers risk, and 60 s for all else, but for heartbeats.
    """
    world = World(Budget(limit), weather)

    def full(bound: int) -> bool:
        taken = 0
        for frame in world.frames:
            if not frame.written:
                taken += 1
                continue
            most = UNREAD if frame.item.payload_type == catalogue.HEARTBEAT else bound
            read = frame.written + most if frame.proved is None else frame.proved
            taken += read + SECOND + MARGIN_US > world.now
        return taken >= limit - 1

    for what, kind, account, number in steps:
        if what == "burst":
            for _ in range(number):
                world.submit(kind, account)
            world.look()
        elif what != "round trip":
            world.pass_time(world.now + number)
        waits = [item for item in world.waiting.values() if item.payload_type not in catalogue.HISTORICAL]
        assert not waits or full(UNREAD if any(item.lane.may_use_reserve for item in waits) else STALLED)


@given(st.integers(0, 300 * MS), st.integers(1, 400), st.integers(2, 60))
@settings(max_examples=60)
def test_a_steady_line_gives_the_limit_each_second_and_round_trip(round_trip: int, waiting: int, limit: int) -> None:
    """A burst leaves in rounds of a second, the round trip and the margin, and no slower."""
    world = World(Budget(limit), Weather([0], [round_trip // 2], [0], [round_trip - round_trip // 2], [0], [False]))
    for _ in range(25):
        world.budget.measured(round_trip)
    for _ in range(waiting):
        world.submit(catalogue.NEW_ORDER)
    world.look()
    world.drain()
    last = max(frame.taken for frame in world.frames)
    rounds = (waiting - 1) // (limit - 1)
    assert last <= rounds * (SECOND + round_trip + MARGIN_US)


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 60 * MS)), min_size=1, max_size=20),
    WEATHERS,
    st.integers(2, 60),
    st.integers(0, 3 * SECOND),
)
@settings(max_examples=100)
def test_a_lone_close_leaves_within_twenty_milliseconds(
    bursts: list[tuple[int, int]], weather: Weather, limit: int, later: int
) -> None:
    """In the middle of any burst of opens and questions, on any line, a close waits 20 ms at most."""
    world = World(Budget(limit), weather)
    for place, (number, span) in enumerate(bursts):
        for _ in range(number):
            world.submit(catalogue.NEW_ORDER if place % 3 else catalogue.TRADER, place % 4)
        world.look()
        world.pass_time(world.now + span)
    for _ in range(3 * limit):
        world.submit(catalogue.NEW_ORDER)
    world.pass_time(world.now + later)
    begun = world.now
    close = world.submit(catalogue.CLOSE_POSITION, 9)
    world.look()
    world.pass_time(begun + 20 * MS)
    [left] = [frame.taken for frame in world.frames if frame.item.name == close.name]
    assert left - begun <= 20 * MS


@given(st.integers(11 * SECOND, 55 * SECOND), st.sampled_from([catalogue.NEW_ORDER, catalogue.TRADER]))
@settings(max_examples=20)
def test_a_line_that_stands_still_for_seconds_brings_no_more_than_the_limit_at_once(stall: int, kind: int) -> None:
    """What left when the line stood still is read in one moment once it moves on, and nothing has followed it."""
    world = World(Budget(50), Weather([0], [stall, *[0] * 49], [0], [0], [0], [False]))
    for _ in range(120):
        world.submit(kind)
    world.look()
    world.drain()
    assert most_in_a_second([frame.read for frame in world.frames]) <= 50
