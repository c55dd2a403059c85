"""The limiter's shell: what it tells whom, and that it believes nothing about a line that is gone."""

from __future__ import annotations

from typing import Any

from cmam.actors import messages as m
from cmam.actors.lines.rate_limiter import RateLimitActor
from cmam.actors.status import ROOM, StatusBoard
from cmam.actors.threads.runtime import Directory
from cmam.clock import ManualClock
from cmam.domain.operating.registry import Registry
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, IntentId, PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.openapi import requests
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi.lanes import Lane
from cmam.openapi.window import UNPROVEN_US
from tests.stepped import SteppedActor

ME = AccountId(7)
LIMIT = 4


class Told(Directory):
    """Who was told what."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[str, Any]] = []

    def tell(self, name: str, message: object) -> bool:
        self.messages.append((name, message))
        return True

    def take(self, kind: type) -> list[Any]:
        """What was told of one kind since the last time."""
        found = [message for _, message in self.messages if isinstance(message, kind)]
        self.messages = [entry for entry in self.messages if not isinstance(entry[1], kind)]
        return found


class Reminders:
    """A timer that only notes."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, Any]] = []

    def after(self, span_us: int, _name: str, message: object) -> None:
        self.spans.append((span_us, message))


class Desk:
    """A limiter with everything around it."""

    def __init__(self) -> None:
        self.told, self.timer, self.clock, self.board = Told(), Reminders(), ManualClock(1_000_000), StatusBoard()
        joined = type("Limiter", (RateLimitActor, SteppedActor), {})
        self.limiter = joined("demo-1", LIMIT, self.clock, self.timer, self.told, self.board)

    def hear(self, *messages: object) -> None:
        """Take messages, one turn each."""
        for message in messages:
            self.limiter.on_receive(message)

    def written(self) -> list[str]:
        """The intents that were handed over to be written, in order."""
        return [str(one.intent) for write in self.told.take(m.Write) for one in write.what]


def submit(name: str, kind: CommandKind = CommandKind.OPEN) -> m.Submit:
    """A request as the recorder hands it on."""
    lane = Lane.CLOSE if kind is CommandKind.CLOSE else Lane.OPEN
    command = Command(
        kind=kind, symbol=SymbolId(1), side=Side.BUY, volume=Volume(100), position=PositionId(5), label="x"
    )
    return m.Submit(ME, command, IntentId(name), lane)


def test_what_comes_together_leaves_together_closes_first() -> None:
    """While more is in the inbox nothing leaves; then all of it in one write, in the order of the lanes."""
    desk = Desk()
    desk.hear(m.LineUp(True, 1))
    desk.limiter.actor_inbox.put(None)
    desk.hear(submit("open 1"), submit("open 2"), submit("close", CommandKind.CLOSE))
    assert desk.written() == []
    desk.limiter.actor_inbox.get()
    desk.hear(submit("open 3"))
    [write] = desk.told.take(m.Write)
    assert [str(one.intent) for one in write.what] == ["close", "open 1", "open 2"]
    assert write.line == 1
    desk.hear(m.Wrote(1, 3, desk.clock.monotonic()))
    assert desk.board.read("limiter:demo-1")["waiting"] == 1


def test_what_was_committed_together_leaves_together_closes_first() -> None:
    """One write for a transaction, in the order of the lanes; figures are shown once it is written."""
    desk = Desk()
    desk.hear(m.LineUp(True, 1))
    kinds = {"open 1": CommandKind.OPEN, "open 2": CommandKind.OPEN, "close": CommandKind.CLOSE}
    desk.hear(m.Committed(tuple(submit(name, kind) for name, kind in kinds.items())))
    [write] = desk.told.take(m.Write)
    assert [str(one.intent) for one in write.what] == ["close", "open 1", "open 2"]
    assert not desk.board.read("limiter:demo-1").get("sent")
    desk.hear(m.Wrote(1, 3, desk.clock.monotonic()))
    assert desk.board.read("limiter:demo-1")["sent"] == 3


def test_what_is_said_of_another_line_changes_nothing() -> None:
    """A slot is not freed by a word on frames of the line before."""
    desk = Desk()
    desk.hear(m.LineUp(True, 1), m.LineUp(False, 2), m.LineUp(True, 3))
    desk.clock.advance_to(5_000_000)
    desk.hear(*(submit(f"close {n}", CommandKind.CLOSE) for n in range(LIMIT + 1)))
    assert len(desk.written()) == LIMIT
    now = desk.clock.monotonic()
    desk.hear(m.Wrote(1, LIMIT, now), m.Proved(1, LIMIT, now))
    desk.clock.advance_to(7_000_000)
    desk.hear(m.SlotDue(0))
    assert desk.written() == []
    desk.hear(m.Wrote(3, LIMIT, now), m.Proved(3, LIMIT, now))
    assert desk.written() == [f"close {LIMIT}"]


def test_a_line_that_comes_back_has_the_same_second_behind_it() -> None:
    """What the old line let go counts on: the server may count the account's requests over both."""
    desk = Desk()
    desk.hear(m.LineUp(True, 1), *(submit(f"close {n}", CommandKind.CLOSE) for n in range(LIMIT)))
    assert len(desk.written()) == LIMIT
    desk.hear(m.LineUp(False, 1), m.LineUp(True, 2), submit("late", CommandKind.CLOSE))
    assert desk.written() == []
    desk.clock.advance(2_000_000)
    desk.hear(submit("later", CommandKind.CLOSE))
    assert desk.written() == ["late", "later"]


def test_nothing_is_let_go_without_a_line() -> None:
    """Requests go back to their account, questions to who asked, and no slot is spent."""
    desk = Desk()
    ask = m.Ask(ME, "trader", requests.ask_trader(ME), "account:7", lambda wire: wire)
    desk.hear(submit("open"), ask)
    assert [message.reason for message in desk.told.take(m.Dropped)] == ["the connection is down"]
    assert [message.question for message in desk.told.take(m.Unanswered)] == ["trader"]
    assert desk.told.take(m.Write) == []


def test_what_has_left_is_not_given_back_when_it_comes_again_on_a_line_that_is_down() -> None:
    """A close left before its record; the line is lost, and then the record comes: what became of it is unknown, and
    nobody is told that it never left. What has not left goes back."""
    desk = Desk()
    desk.hear(m.LineUp(True, 1))
    early = submit("early", CommandKind.CLOSE)
    desk.hear(early)
    assert desk.written() == ["early"]
    desk.hear(m.LineUp(False, 2), m.Committed((early, submit("late", CommandKind.CLOSE))))
    assert [entry.intent for entry in desk.told.take(m.Dropped)] == ["late"]


def test_only_the_reminder_that_was_set_last_counts() -> None:
    """Each answer brings the next moment closer; older reminders set no more of their kind."""
    desk = Desk()
    desk.hear(m.LineUp(True, 1), *(submit(f"close {n}", CommandKind.CLOSE) for n in range(LIMIT + 1)))
    now = desk.clock.monotonic()
    desk.hear(m.Wrote(1, LIMIT, now))
    first = desk.timer.spans[-1]
    desk.hear(m.Proved(1, 1, now))
    assert len(desk.timer.spans) == 2
    assert first[0] > UNPROVEN_US > desk.timer.spans[-1][0]
    desk.hear(first[1])
    assert len(desk.timer.spans) == 2


def test_status_shows_guard_forecast_and_pauses() -> None:
    """The figures are there in words a person reads, and the room of a burst is kept for forecasts."""
    desk = Desk()
    desk.hear(m.LineUp(True, 1), m.Blocked(2106, 2_000_000), submit("open"))
    shown = desk.board.read("limiter:demo-1")
    assert (shown["limit"], shown["waiting"], shown["guard_ms"]) == (LIMIT, 1, 50.0)
    assert list(shown["paused"]) == ["NewOrderReq"]
    assert (shown[ROOM].slots, shown[ROOM].ahead) == (LIMIT - 1, 1)


def test_slots_and_pauses_end_by_themselves_in_status() -> None:
    """What `status` shows of a second ago is what holds now, though nothing was let go meanwhile."""
    desk = Desk()
    desk.hear(m.LineUp(True, 1), m.Blocked(2106, 2_000_000), submit("close", CommandKind.CLOSE))
    now, start = desk.clock.monotonic(), desk.clock.now()
    desk.hear(m.Wrote(1, 1, now), m.Proved(1, 1, now), submit("another", CommandKind.CLOSE))
    desk.hear(m.Wrote(1, 1, now))

    def shown(after_us: int) -> tuple[int, int]:
        document = desk.board.document(Registry(), (), start + after_us)["limiters"]["limiter:demo-1"]
        assert ROOM not in document
        return document["used"], len(document["paused"])

    # The second has not been answered: its slot is expected to be free a usual round trip later than the first's.
    moments = (0, 1_020_000, 1_900_000, 2_100_000)
    assert [shown(after_us) for after_us in moments] == [(2, 1), (1, 1), (0, 1), (0, 0)]


def _comes_back(account: int) -> m.Urge:
    return m.Urge(pb.ProtoOAAccountAuthReq(ctidTraderAccountId=account, accessToken="x"), account)


def _who_leave(desk: Desk) -> list[int]:
    """The accounts for which something leaves now, and a second after all that has been answered."""
    found: list[int] = []
    for _ in range(2):
        now = desk.clock.monotonic()
        leaving = [one.account for write in desk.told.take(m.Write) for one in write.what]
        found += leaving
        desk.hear(m.Wrote(1, len(leaving), now), m.Proved(1, 1_000, now))
        desk.clock.advance(1_100_000)
        desk.hear(m.SlotDue(0))
    return found


def test_who_has_something_to_close_comes_back_first_also_on_a_line_that_is_down_as_it_is_said() -> None:
    """Before all others whether it is said before the line is up, before anything of it waits, or while it does."""
    desk = Desk()
    desk.hear(m.Hurry(AccountId(8)), m.LineUp(True, 1))
    desk.hear(m.Hurry(AccountId(9)), *(_comes_back(account) for account in range(1, 10)), m.Hurry(AccountId(7)))
    assert _who_leave(desk) == [1, 2, 3, 7, 9, 8]


def test_who_is_back_is_hurried_no_more() -> None:
    """What it asks at the next cut waits for its turn like everybody's."""
    desk = Desk()
    desk.hear(m.Hurry(AccountId(8)), m.Hurry(AccountId(8), is_on=False), m.LineUp(True, 1))
    desk.hear(*(_comes_back(account) for account in range(1, 9)))
    assert _who_leave(desk) == [1, 2, 3, 4, 5, 6]


def test_what_is_taken_back_before_it_comes_does_not_leave_however_busy_it_is() -> None:
    """A leader has closed what he had just opened: the word of it does not wait behind the open that it takes back."""
    desk = Desk()
    desk.hear(m.LineUp(True, 1))
    waiting = [m.Withdraw(IntentId("a")), m.Committed((submit("a"), submit("b")))]
    desk.hear(*sorted(waiting, key=lambda message: m.CARRIER_LANES.get(type(message), 3)))
    assert desk.written() == ["b"]
