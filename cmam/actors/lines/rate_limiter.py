"""The rate limiter of one connection: everything that wants to leave passes here, closes before opens.

A shell around `openapi/budget.py`: it queues what it is told, lets go what the budget lets go, and tells whoever waits
for something that will not leave. Nothing else tells the connection to write.
"""

from __future__ import annotations

from typing import Any

from cmam.actors import messages as m
from cmam.actors.lines.reports import unsent
from cmam.actors.status import ROOM, StatusBoard
from cmam.actors.threads.runtime import Directory, Watched
from cmam.actors.threads.timer import Timer
from cmam.clock import Clock
from cmam.domain.trials.forecast import Room
from cmam.domain.values.commands import Command, CommandKind
from cmam.openapi import catalogue
from cmam.openapi.budget import RESERVED, RETURN, Budget, Returned
from cmam.openapi.lanes import Item, Lane, lane_of
from cmam.openapi.requests import PAYLOAD_TYPES
from cmam.store.text import iso

TURNS_MAX = 16
"""So many messages at most are taken before what may leave does. What comes together leaves together and in the order
of the lanes, in one write; what comes in a long row does not wait for its end, nor for what is less urgent."""


class RateLimitActor(Watched):
    """Serialises all outbound requests of its connection."""

    def __init__(
        self, connection: str, limit: int, clock: Clock, timer: Timer, directory: Directory, status: StatusBoard
    ) -> None:
        super().__init__()
        self._connection = m.connection_name(connection)
        self._name = m.limiter_name(connection)
        self._budget = Budget(limit)
        self._clock = clock
        self._timer = timer
        self._directory = directory
        self._status = status
        self._is_up = False
        self._line = 0
        self._armed_us = 0
        self._number = 0
        self._hurried: set[int] = set()
        self._waiting_turns = 0
        self._shown_waiting = 0
        self._is_shown = True

    def on_receive(self, message: Any) -> None:
        now = self._clock.monotonic()
        match message:
            case m.Committed():
                for submit in message.submits:
                    self._give_back(self._submit(submit, now))
            case m.Submit():
                self._give_back(self._submit(message, now))
            case m.Ask():
                self._give_back(self._queue(self._question(message)))
            case m.Urge():
                self._give_back(self._queue(self._session_item(message)))
            case m.Hurry():
                self._hurry(message)
            case m.Withdraw():
                returned = self._budget.withdraw(_item_name(message.intent, message.attempt))
                self._give_back((returned,) if returned is not None else ())
            case m.Blocked():
                self._budget.block(message.payload_type, message.span_us, now)
            case m.Wrote():
                if message.line == self._line:
                    self._budget.wrote(message.at_us, message.count)
                self._is_shown = False
            case m.Proved():
                self._proved(message)
            case m.LineUp():
                self._is_up, self._line = message.is_up, message.line
                self._give_back(self._budget.empty("the connection was lost", now))
            case m.SlotDue():
                if message.at_us == self._armed_us:
                    self._armed_us = 0
            case m.Stop():
                # What is committed still leaves; what does not come to it is looked up at the next start.
                self._let_go(now)
                self._directory.tell(m.SUPERVISOR, m.Stopped(self._name))
            case _:
                raise AssertionError(f"the limiter cannot take {message!r}")
        self._waiting_turns += 1
        if self._waiting_turns >= TURNS_MAX or not self.waits_before(message):
            self._waiting_turns = 0
            self._let_go(now)

    def _proved(self, message: m.Proved) -> None:
        if message.line != self._line:
            return
        self._budget.proved(message.number, message.at_us)
        if message.round_trip_us:
            self._budget.measured(message.round_trip_us)

    def _hurry(self, message: m.Hurry) -> None:
        if not message.is_on:
            self._hurried.discard(message.account)
            return
        self._hurried.add(message.account)  # its line may be down: then it goes first once that is up
        self._budget.hurry(message.account)

    def _submit(self, message: m.Submit, now: int) -> tuple[Returned, ...]:
        not_after = now + message.not_after_us - self._clock.now() if message.not_after_us else None
        item = Item(
            name=_item_name(message.intent, message.attempt),
            lane=message.lane,
            payload_type=PAYLOAD_TYPES[message.command.kind],
            account=message.account,
            merge=_merge_key(message.command),
            not_after_us=not_after,
            goes_first=message.goes_first,
            data=message,
        )
        return self._queue(item)

    def _queue(self, item: Item) -> tuple[Returned, ...]:
        """Queue an item, or give it back where there is no line; what has left before nobody may call unsent."""
        if self._is_up or self._budget.has_left(item.name):
            return self._budget.submit(item)
        return (Returned(item, "the connection is down"),)

    def _question(self, message: m.Ask) -> Item:
        payload_type = catalogue.type_of(message.message)
        self._number += 1
        return Item(
            name=f"question {self._number}",
            lane=message.lane,
            payload_type=payload_type,
            account=message.account,
            goes_first=message.goes_first or self._is_hurried(message.account, message.lane),
            not_after_us=self._clock.monotonic() + message.within_us if message.within_us else None,
            data=message,
        )

    def _session_item(self, message: m.Urge) -> Item:
        payload_type = catalogue.type_of(message.message)
        lane = lane_of(payload_type)
        self._number += 1
        return Item(
            name=f"session {self._number}",
            lane=lane,
            payload_type=payload_type,
            account=message.account,
            goes_first=self._is_hurried(message.account, lane),
            data=message,
        )

    def _is_hurried(self, account: int, lane: Lane) -> bool:
        return account in self._hurried and lane in RETURN

    def _let_go(self, now: int) -> None:
        leaving, returned = self._budget.take(now)
        self._give_back(returned)
        wake = self._budget.next_wake(now)
        if wake is not None and (not self._armed_us or wake < self._armed_us):
            self._armed_us = wake
            self._timer.after(wake - now, self._name, m.SlotDue(wake))
        if leaving:
            self._is_shown = False  # it is when they are written: figures wait, requests do not
            self._directory.tell(self._connection, m.Write(self._line, tuple(item.data for item in leaving)))
        elif returned or not self._is_shown or self._budget.waiting != self._shown_waiting:
            self._show(now)

    def _give_back(self, returned: tuple[Returned, ...]) -> None:
        """Tell whoever waits for something that will not leave; a second arrival is nobody's loss."""
        for entry in returned:
            told = unsent(entry.item.data, entry.reason) if entry.reason != "duplicate" else None
            if told is not None:
                self._directory.tell(*told)

    def _show(self, now: int) -> None:
        figures = self._budget.figures(now)
        self._shown_waiting = figures.waiting
        self._is_shown = True
        to_wall = self._clock.now() - now
        self._status.note(
            self._name,
            {
                "limit": figures.limit,
                "used": figures.used,
                "waiting": figures.waiting,
                "waiting_idle": figures.waiting_idle,
                "waiting_max": figures.waiting_max,
                "sent": figures.sent,
                "busiest_second": figures.busiest_second,
                "returned": figures.returned,
                "guard_ms": figures.guard_us / 1_000,
                "round_trip_ms": figures.round_trip_us / 1_000,
                "forecast_ms": figures.forecast_us // 1_000,
                "paused": {
                    catalogue.name_of(kind): iso(until + to_wall) for kind, until in figures.paused_until_us.items()
                },
                ROOM: Room(
                    figures.limit - RESERVED,
                    figures.span_us,
                    tuple(moment + to_wall for moment in figures.free_us),
                    figures.ahead,
                ),
            },
        )


def _item_name(intent: str, attempt: int) -> str:
    return f"{intent}#{attempt}"


def _merge_key(command: Command) -> str:
    """Amends of one target replace each other while they wait; nothing else is ever merged."""
    match command.kind:
        case CommandKind.AMEND_PROTECTION:
            return f"p{command.position}"
        case CommandKind.AMEND_ORDER:
            return f"o{command.order}"
        case _:
            return ""
