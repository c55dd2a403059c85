"""The limiter as an actor, against a line and a server that do what they like, with the clock set and the process held.

Hypothesis makes up histories: bursts in any lane, one by one and committed together, withdrawals, requests that come a
second time, amends of the same target, questions that nobody waits for, accounts that come back and are hurried,
refusals, lost lines, a clock that jumps, a process that sleeps. What the limiter is told comes late and in clots.
The model keeps its own account of what was let go, written, read by the server and proven, and shares with the budget
only the constants of its promises.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cmam.actors import messages as m
from cmam.actors.lines.rate_limiter import RateLimitActor
from cmam.actors.status import StatusBoard
from cmam.actors.threads.runtime import Directory
from cmam.clock import Micros, MonotonicUs
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, IntentId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.openapi import catalogue, requests
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoHeartbeatEvent
from cmam.openapi._pb.OpenApiMessages_pb2 import ProtoOAAccountAuthReq
from cmam.openapi.lanes import Lane, lane_of
from cmam.openapi.window import MARGIN_US, STALLED_US, UNPROVEN_US
from tests.stepped import SteppedActor

SECOND, MS = 1_000_000, 1_000
SLOT_US = SECOND + MARGIN_US
HISTORICAL_MAX, IDLE_HISTORICAL_MAX = 5, 1
ORDERS = {
    CommandKind.OPEN: catalogue.NEW_ORDER,
    CommandKind.CLOSE: catalogue.CLOSE_POSITION,
    CommandKind.AMEND_PROTECTION: catalogue.AMEND_PROTECTION,
    CommandKind.CANCEL: catalogue.CANCEL_ORDER,
}
BLOCKABLE = (*ORDERS.values(), catalogue.TRADER, catalogue.type_of(requests.ask_deals(AccountId(1), 0, 1)))
DELAYS = st.lists(st.integers(0, 3 * SECOND) | st.integers(0, 20 * MS), min_size=1, max_size=6)
LAGS = st.lists(st.integers(0, 300 * MS) | st.just(0), min_size=1, max_size=6)
ACCOUNTS = st.integers(1, 4)
WAITS = st.integers(0, 30 * MS) | st.integers(0, 3 * SECOND)
PLACES = st.lists(st.integers(0, 500), min_size=1, max_size=5)
LOSSES_MAX = 2


class SetClock:
    """A wall clock that people set, and a monotonic one that nobody can."""

    def __init__(self) -> None:
        self.wall_us = 1_577_836_800_000_000
        self.mono_us = 0

    def now(self) -> Micros:
        return Micros(self.wall_us + self.mono_us)

    def monotonic(self) -> MonotonicUs:
        return MonotonicUs(self.mono_us)


@dataclass
class Wanted:
    """Something that was given to the limiter."""

    name: str
    lane: Lane
    kind: int
    deadline_us: int | None = None


@dataclass
class LetGo:
    """Something that the limiter let go, and what became of it."""

    wanted: Wanted
    line: int
    written_us: int | None = None
    is_written_told: bool = False
    read_us: int | None = None
    known_us: int | None = None
    ended_us: int | None = None

    def free_us(self, *, waits_out: bool = True) -> int | None:
        """When its slot is free by what the limiter was told; None for not before it is told more. What lowers risk
        does not wait out a line that stands still."""
        if self.known_us is not None:
            return self.known_us + SLOT_US
        if self.ended_us is not None:
            return self.ended_us + SLOT_US
        bound_us = STALLED_US if waits_out and self.wanted.kind != catalogue.HEARTBEAT else UNPROVEN_US
        return self.written_us + bound_us + SLOT_US if self.is_written_told and self.written_us is not None else None


@dataclass
class Line:
    """One connection from its beginning to its end: frames are numbered, and read in order."""

    number: int
    is_up: bool = True
    frames: list[LetGo] = field(default_factory=list)
    proven: int = 0
    last_read_us: int = 0


class Around(Directory):
    """Whoever the limiter speaks to; also its timer."""

    def __init__(self, machine: LimiterMachine) -> None:
        super().__init__()
        self._machine = machine

    def tell(self, name: str, message: object) -> bool:
        self._machine.told(message)
        return True

    def after(self, span_us: int, _name: str, message: object) -> None:
        """Remind the limiter, never early."""
        self._machine.later(max(0, span_us), lambda: self._machine.hear(message))


class LimiterMachine(RuleBasedStateMachine):
    """A limiter with the world around it."""

    @initialize(
        limit=st.integers(2, 60), delays=DELAYS, lags=LAGS, silent=st.lists(st.booleans(), min_size=1, max_size=5)
    )
    def begin(self, limit: int, delays: list[int], lags: list[int], silent: list[bool]) -> None:
        """Come up on a fresh line."""
        self.limit, self.delays, self.lags, self.silent = limit, delays, lags, silent
        self.clock = SetClock()
        self.around = Around(self)
        joined = type("Limiter", (RateLimitActor, SteppedActor), {})
        self.limiter = joined("demo-1", limit, self.clock, self.around, self.around, StatusBoard())
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.ties, self.names, self.draws = count(), count(1), count()
        self.wanted: dict[str, Wanted] = {}
        self.waiting: dict[str, Wanted] = {}
        self.gone: list[LetGo] = []
        self.fates: dict[str, list[str]] = {}
        self.withdrawn: set[str] = set()
        self.given: dict[str, m.Submit] = {}
        self.pauses: dict[int, int] = {}
        self.lines = [Line(1)]
        self.heard_line, self.written_us, self.told_us = 1, 0, 0
        self.hear(m.LineUp(True, 1))

    # --- what is asked for ------------------------------------------------------------------------------------------

    @rule(
        groups=st.lists(
            st.tuples(st.sampled_from(sorted(ORDERS)), ACCOUNTS, st.integers(1, 60)), min_size=1, max_size=4
        ),
        position=st.integers(1, 3),
        life_us=st.none() | st.integers(0, 4 * SECOND),
        is_one=st.booleans(),
        wait_us=WAITS,
    )
    def orders(
        self, groups: list[tuple[CommandKind, int, int]], position: int, life_us: int | None, is_one: bool, wait_us: int
    ) -> None:
        """So many orders come together, or of one transaction; amends of one target may replace each other."""
        found = [self.order(kind, account, position, life_us) for kind, account, many in groups for _ in range(many)]
        self.given |= {str(submit.intent): submit for submit in found}
        self.hear(*([m.Committed(tuple(found))] if is_one else found))
        self.time_passes(wait_us)

    @precondition(lambda self: self.given)
    @rule(places=PLACES)
    def come_again(self, places: list[int]) -> None:
        """The records of orders that left before them come; those that wait or have left are told a second time."""
        self.tell_again(places)

    def tell_again(self, places: list[int]) -> None:
        names = [name for name in self.given if name in self.waiting or self.fates[name] == ["left"]]
        again = {names[place % len(names)] for place in places} if names else set()
        for name in sorted(again):
            self.limiter.on_receive(m.Committed((self.given[name],)))

    def order(self, kind: CommandKind, account: int, position: int, life_us: int | None) -> m.Submit:
        name = f"o{next(self.names)}"
        aim = PositionId(position) if kind is CommandKind.AMEND_PROTECTION else PositionId(next(self.names) + 9)
        what = {"symbol": SymbolId(1), "side": Side.BUY, "volume": Volume(1), "order": OrderId(1), "label": "x"}
        command = Command(kind=kind, position=aim, **what)
        lane = lane_of(ORDERS[kind])
        not_after_us = self.clock.now() + life_us if life_us is not None else 0
        deadline_us = self.clock.mono_us + life_us if lane.may_age and life_us is not None else None
        self.wanted[name] = Wanted(name, lane, ORDERS[kind], deadline_us)
        return m.Submit(AccountId(account), command, IntentId(name), lane, not_after_us)

    @rule(account=ACCOUNTS, many=st.integers(1, 60), is_history=st.booleans(), is_idle=st.booleans(), wait_us=WAITS)
    def questions(self, account: int, many: int, is_history: bool, is_idle: bool, wait_us: int) -> None:
        """So many questions come together."""
        found = []
        for _ in range(many):
            name = f"q{next(self.names)}"
            message = (
                requests.ask_deals(AccountId(account), 0, 1) if is_history else requests.ask_trader(AccountId(account))
            )
            lane = Lane.IDLE if is_idle else Lane.QUERY
            self.wanted[name] = Wanted(name, lane, catalogue.type_of(message))
            found.append(m.Ask(AccountId(account), name, message, "asker", lambda wire: wire, lane))
        self.hear(*found)
        self.time_passes(wait_us)

    @rule(
        account=ACCOUNTS,
        many=st.integers(1, 60),
        within_us=st.integers(0, 3 * SECOND),
        is_on=st.booleans(),
        wait_us=WAITS,
    )
    def come_back(self, account: int, many: int, within_us: int, is_on: bool, wait_us: int) -> None:
        """So many accounts are authorised and looked at; one of them has something to close, or no longer."""
        message = requests.ask_state(AccountId(account))
        looks = []
        for _ in range(many):
            name = f"q{next(self.names)}"
            deadline_us = self.clock.mono_us + within_us if within_us else None
            self.wanted[name] = Wanted(name, Lane.LOOK, catalogue.type_of(message), deadline_us)
            looks.append(m.Ask(AccountId(account), name, message, "asker", lambda w: w, Lane.LOOK, within_us=within_us))
        joins = [m.Urge(ProtoOAAccountAuthReq(ctidTraderAccountId=number), number) for number in range(1, many)]
        self.hear(m.Hurry(AccountId(account), is_on), *joins, *looks)
        self.time_passes(wait_us)

    @rule()
    def heartbeat(self) -> None:
        """A frame that is never answered."""
        self.hear(m.Urge(ProtoHeartbeatEvent()))

    @precondition(lambda self: self.waiting)
    @rule(place=st.integers(0, 200))
    def withdraw(self, place: int) -> None:
        """Somebody no longer wants an order."""
        orders = [name for name in self.waiting if name.startswith("o")]
        if orders:
            name = orders[place % len(orders)]
            self.withdrawn.add(name)
            self.hear(m.Withdraw(IntentId(name)))

    # --- what happens -----------------------------------------------------------------------------------------------

    @rule(span_us=WAITS)
    def time_passes(self, span_us: int) -> None:
        """All that is due happens when it is due."""
        end = self.clock.mono_us + span_us
        while self.events and self.events[0][0] <= end:
            moment, _, happens = heapq.heappop(self.events)
            self.clock.mono_us = max(self.clock.mono_us, moment)
            happens()
        self.clock.mono_us = end

    @rule(span_us=st.integers(0, 100 * SECOND))
    def sleep(self, span_us: int) -> None:
        """The process is held: the world goes on, and the limiter hears of it afterwards."""
        self.clock.mono_us += span_us
        self.time_passes(0)

    @rule(jump_us=st.integers(-3_600 * SECOND, 3_600 * SECOND))
    def clock_is_set(self, jump_us: int) -> None:
        """Somebody sets the wall clock: what is under way keeps its time."""
        self.clock.wall_us += jump_us

    @rule(kind=st.sampled_from(BLOCKABLE), span_us=st.just(0) | st.integers(1, 3 * SECOND))
    def refused(self, kind: int, span_us: int) -> None:
        """The server takes no more of a kind, for so long or without saying how long."""
        self.hear(m.Blocked(kind, span_us))
        until_us = self.clock.mono_us + (span_us or SECOND)
        self.pauses[kind] = max(self.pauses.get(kind, 0), until_us)

    @rule(delays=DELAYS, lags=LAGS)
    def weather_changes(self, delays: list[int], lags: list[int]) -> None:
        """The line, the server and this machine become faster or slower."""
        self.delays, self.lags = delays, lags

    @precondition(lambda self: len(self.lines) <= LOSSES_MAX)
    @rule(silence_us=st.integers(0, 2 * SECOND), lag_us=st.integers(0, 200 * MS), places=PLACES)
    def line_is_lost(self, silence_us: int, lag_us: int, places: list[int]) -> None:
        """The line ends; the limiter hears of it a little later, and of the next one later still. Orders that have left
        may come again meanwhile."""
        line = self.lines[-1]
        if not line.is_up:
            return
        line.is_up = False
        number = line.number + 1

        def hear_of_it() -> None:
            for one in self.gone:
                if one.ended_us is None:
                    one.ended_us = self.clock.mono_us
            self.heard_line = number
            self.hear(m.LineUp(False, number))

        def come_up() -> None:
            self.lines.append(Line(number))
            self.hear(m.LineUp(True, number))

        self.later(lag_us, hear_of_it)
        self.later(lag_us + silence_us // 2, lambda: self.tell_again(places))
        self.later(lag_us + silence_us, come_up)

    # --- the world --------------------------------------------------------------------------------------------------

    def later(self, span_us: int, happens: Callable[[], None]) -> None:
        """Let something happen after a while."""
        heapq.heappush(self.events, (self.clock.mono_us + span_us, next(self.ties), happens))

    def hear(self, *messages: Any) -> None:
        """Let the limiter take messages that wait for it together."""
        inbox = self.limiter.actor_inbox
        for message in messages:
            inbox.put(message)
        for message in messages:
            for one in message.submits if isinstance(message, m.Committed) else (message,):
                if isinstance(one, m.Submit | m.Ask):
                    name = one.intent if isinstance(one, m.Submit) else one.question
                    self.waiting[name] = self.wanted[name]
            self.limiter.on_receive(inbox.get())

    def told(self, message: object) -> None:
        """The limiter says something."""
        match message:
            case m.Write():
                self.let_go(message)
            case m.Dropped():
                self.came_back(str(message.intent), message.reason)
            case m.Unanswered():
                self.came_back(message.question, message.text)

    def came_back(self, name: str, reason: str) -> None:
        wanted = self.waiting.pop(name)
        self.fates.setdefault(name, []).append(reason)
        if reason == "expired":
            assert wanted.deadline_us is not None
            assert wanted.deadline_us < self.clock.mono_us
        elif reason == "withdrawn":
            assert name in self.withdrawn
        elif reason == "merged":
            assert wanted.kind == catalogue.AMEND_PROTECTION
        else:
            assert reason in ("the connection was lost", "the connection is down")

    def let_go(self, message: m.Write) -> None:
        """What leaves, held against what was promised; then it is on its way to the connection."""
        now, leaving = self.clock.mono_us, []
        for one in message.what:
            if isinstance(one, m.Urge):
                kind = catalogue.type_of(one.message)
                leaving.append(LetGo(Wanted("session", lane_of(kind), kind), message.line))
                continue
            name = str(one.intent) if isinstance(one, m.Submit) else one.question
            wanted = self.waiting.pop(name)
            assert wanted.deadline_us is None or now <= wanted.deadline_us, "an open left after its time"
            assert self.pauses.get(wanted.kind, 0) <= now, "a kind left that the server does not take"
            assert name not in self.withdrawn, "a withdrawn order left"
            closes = [other for other in self.waiting.values() if other.lane is Lane.CLOSE]
            is_held = self.pauses.get(catalogue.CLOSE_POSITION, 0) > now
            assert wanted.lane < Lane.OPEN or not closes or is_held, "an open left while a close waited"
            self.fates.setdefault(name, []).append("left")
            leaving.append(LetGo(wanted, message.line))
        self.gone += leaving
        unsettled = [one for one in self.held() if one.written_us is None or now - one.written_us < UNPROVEN_US]
        idle = [one.wanted for one in unsettled if one.wanted.lane is Lane.IDLE]
        assert len(idle) <= max(1, self.limit // 5), "what nobody waits for takes more than its part"
        past = sum(wanted.kind in catalogue.HISTORICAL for wanted in idle)
        assert past <= IDLE_HISTORICAL_MAX, "what nobody waits for takes more than its part of the historical five"
        self.written_us = max(self.written_us, now + self.lag())  # one after the other, as they were let go
        self.later(self.written_us - now, lambda: self.write(message.line, leaving))

    def write(self, number: int, leaving: list[LetGo]) -> None:
        """The connection writes; on a line that is gone it cannot."""
        line = self.lines[-1]
        if line.number != number or not line.is_up:
            return
        now = self.clock.mono_us
        for one in leaving:
            one.written_us = now
            line.frames.append(one)
            line.last_read_us = one.read_us = max(line.last_read_us, now + self.delay())
            place = len(line.frames)
            is_silent = one.wanted.kind == catalogue.HEARTBEAT or self.silent[place % len(self.silent)]
            if not is_silent:
                back_us = line.last_read_us - now + self.delay()
                self.later(back_us, lambda place=place: self.answer(line, place))

        def noticed() -> None:
            for one in leaving:
                one.is_written_told = self.heard_line == number
            self.hear(m.Wrote(number, len(leaving), now))

        self.tell_limiter(noticed)

    def tell_limiter(self, happens: Callable[[], None]) -> None:
        """Tell the limiter something of the line, a little late, in the order in which it happened."""
        self.told_us = max(self.told_us, self.clock.mono_us + self.lag())
        self.later(self.told_us - self.clock.mono_us, happens)

    def answer(self, line: Line, place: int) -> None:
        """A word on a frame arrives: it and all before it were read, which is news unless a later one was answered."""
        if not line.is_up or place <= line.proven:
            return
        line.proven = place
        known_us = self.clock.mono_us

        def noticed() -> None:
            if self.heard_line == line.number:
                for one in line.frames[:place]:
                    if one.known_us is None:
                        one.known_us = known_us
            self.hear(m.Proved(line.number, place, known_us, 1 + place % 70 * MS))

        self.tell_limiter(noticed)

    def delay(self) -> int:
        return self.delays[next(self.draws) % len(self.delays)]

    def lag(self) -> int:
        return self.lags[next(self.draws) % len(self.lags)]

    # --- what must hold ---------------------------------------------------------------------------------------------

    @invariant()
    def it_is_never_idle_while_there_is_work_and_room(self) -> None:
        """Whatever waits has its reason: as many slots are taken as there are, or its kind is not to leave now."""
        now = self.clock.mono_us
        if self.events and self.events[0][0] <= now:
            return  # something is due this very moment
        by_all, by_short = self.held(), self.held(waits_out=False)
        if len(by_short) >= self.limit - 1:
            return
        of_nobody = [one.wanted for one in by_all if one.wanted.lane is Lane.IDLE]
        idle, past = len(of_nobody), sum(wanted.kind in catalogue.HISTORICAL for wanted in of_nobody)
        for wanted in self.waiting.values():
            held = by_all if wanted.lane.waits_out else by_short
            historical = sum(one.wanted.kind in catalogue.HISTORICAL for one in held)
            is_kept = (
                self.shown_pause(wanted.kind)
                or (not wanted.lane.may_use_reserve and len(held) >= self.limit - 1)
                or (wanted.lane is Lane.IDLE and idle >= max(1, self.limit // 5))
                or (wanted.kind in catalogue.HISTORICAL and historical >= HISTORICAL_MAX)
                or (wanted.kind in catalogue.HISTORICAL and wanted.lane is Lane.IDLE and past >= IDLE_HISTORICAL_MAX)
            )
            assert is_kept, f"{wanted} waits, and only {len(held)} of {self.limit} slots are taken"

    def held(self, *, waits_out: bool = True) -> list[LetGo]:
        """Whatever takes a slot now, by what the limiter was told."""
        now = self.clock.mono_us
        moments = ((one, one.free_us(waits_out=waits_out)) for one in self.gone)
        return [one for one, free_us in moments if free_us is None or free_us > now]

    def shown_pause(self, kind: int) -> bool:
        """Whether the limiter says that a kind is paused: a pause may grow beyond the server's word."""
        return bool(self.limiter._budget.figures(self.clock.mono_us).paused_until_us.get(kind))

    @invariant()
    def the_server_never_reads_too_much_in_any_second(self) -> None:
        """All frames of a line count, and no second has more than the limit, none more than five historical."""
        for line in self.lines:
            assert most_in_a_second([one.read_us or 0 for one in line.frames]) <= self.limit
            historical = [one.read_us or 0 for one in line.frames if one.wanted.kind in catalogue.HISTORICAL]
            assert most_in_a_second(historical) <= HISTORICAL_MAX

    def teardown(self) -> None:
        """In the end nothing waits, and everything left or came back, once."""
        if not hasattr(self, "lines"):
            return
        while self.events:
            self.time_passes(self.events[0][0] - self.clock.mono_us)
            self.it_is_never_idle_while_there_is_work_and_room()
        self.the_server_never_reads_too_much_in_any_second()
        assert not self.waiting
        assert all(len(fates) == 1 for fates in self.fates.values())


def most_in_a_second(moments: list[int]) -> int:
    """The largest number of sorted moments within any one second."""
    return max((bisect_left(moments, start + SECOND) - place for place, start in enumerate(moments)), default=0)


TestLimiter = LimiterMachine.TestCase
TestLimiter.settings = settings(max_examples=20, stateful_step_count=30)
