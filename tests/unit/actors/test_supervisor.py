"""The supervisor among real threads: one that hangs is found, replaced, and has nothing more to say when it wakes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pykka.messages import _ActorStop

from cmam.actors import messages as m
from cmam.actors.care.supervisor import (
    FATAL_US,
    FOLDED_AT_ONCE,
    LOOK_US,
    REPLACE_US,
    STUCK_US,
    Look,
    SupervisorActor,
)
from cmam.actors.care.vigil import BLIND_US, STILL_US, Vigil
from cmam.actors.status import StatusBoard
from cmam.actors.threads.runtime import Directory, Leash, ThreadRuntime, Watched
from cmam.clock import ManualClock
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ActorStuck, GuardRearmed
from cmam.domain.values.ids import LinkId
from tests.waiting import PATIENCE_S

NAME = "account:1"


@dataclass(frozen=True)
class Turn:
    """To an actor of the test: say that you have come this far."""

    is_over: threading.Event


@dataclass(frozen=True)
class Hurry:
    """To an actor of the test, before all else: say that you are at it, and go on when you may."""

    begun: threading.Event
    go: threading.Event


class Answering(Watched):
    """An actor that says when it has taken all that it was told before, and one may keep it busy."""

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Turn):
            message.is_over.set()
        elif isinstance(message, Hurry):
            message.begun.set()
            assert message.go.wait(PATIENCE_S)
        else:
            super().on_receive(message)


class Busy(Answering):
    """An actor with much to do."""

    def __init__(self, name: str, directory: Directory) -> None:
        super().__init__()
        self._name, self._directory = name, directory


class Supervisor(Answering, SupervisorActor):
    """The supervisor, and one may wait for it."""


class Hanging(Watched):
    """An account that hangs in the first message that is an Event, and then wants to say something."""

    def __init__(self, name: str, directory: Directory) -> None:
        super().__init__()
        self._name = name
        self._directory = directory
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.took: list[object] = []

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Turn):
            message.is_over.set()
            return
        self.took.append(message)
        if message == "hang":
            self.begun.set()
            assert self.goes_on.wait(PATIENCE_S)
            self._directory.tell(m.RECORDER, "said by a ghost")


class Sink(Watched):
    """Takes whatever it is told."""

    def __init__(self, name: str, directory: Directory) -> None:
        super().__init__()
        self._name = name
        self._directory = directory
        self.took: list[object] = []
        self.seen = threading.Condition()

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Turn):
            message.is_over.set()
            return
        with self.seen:
            self.took.append(message)
            self.seen.notify_all()

    def wait_for(self, kind: type) -> Any:
        """The first message of a kind, once it has come."""
        with self.seen:
            assert self.seen.wait_for(lambda: any(isinstance(told, kind) for told in self.took), PATIENCE_S)
            return next(told for told in self.took if isinstance(told, kind))


class Bench:
    """A supervisor with a clock that the test moves, and reminders that fire when the test looks."""

    def __init__(self) -> None:
        self.clock, self.directory, self.status = ManualClock(), Directory(), StatusBoard()
        self.runtime = ThreadRuntime({Hurry: 0})
        self.reminders: list[tuple[str, object]] = []
        self.fatal: list[str] = []
        self.turn = Turn(threading.Event())
        self.started: list[tuple[int, bool]] = []
        """The versions at which accounts have started again, and whether that turn was over by then."""
        self.recorder = self._start(m.RECORDER, Sink)
        self.operator = self._start(m.OPERATOR, Sink)
        ref = self.runtime.start(
            Supervisor,
            self.clock,
            self,
            self.directory,
            self.status,
            lambda view, *_: self.start_account(view),
            lambda _: None,
            self.fatal.append,
        )
        self.directory.register(m.SUPERVISOR, ref)

    def start_account(self, view: AccountView) -> None:
        """Put a fresh actor in the place of the account's."""
        self.started.append((view.version, self.turn.is_over.is_set()))
        self._begin(NAME, Sink)

    def after(self, _span_us: int, name: str, message: object) -> None:
        self.reminders.append((name, message))

    def _start(self, name: str, kind: type[Any], carrier: str = "") -> Any:
        self._begin(name, kind, carrier)
        return self.attached(name)

    def _begin(self, name: str, kind: type[Any], carrier: str = "") -> None:
        self.directory.register(name, self.runtime.start(kind, name, self.directory, carrier=carrier))

    def attached(self, name: str) -> Any:
        """The actor behind a name, once its thread has begun."""
        self._turn_is_over(name)
        return self.directory.actor(name)

    def _turn_is_over(self, name: str) -> None:
        """Wait until an actor has begun and taken all that it was told so far."""
        turn = Turn(threading.Event())
        assert self.directory.tell(name, turn)
        assert turn.is_over.wait(PATIENCE_S)

    def hanging(self, name: str = NAME) -> Hanging:
        """An actor that is stuck in the middle of a turn."""
        ref = self.runtime.start(Hanging, name, Leash(self.directory))
        self.directory.register(name, ref)
        actor: Hanging = self.attached(name)
        ref.tell("hang")
        assert actor.begun.wait(PATIENCE_S)
        return actor

    def sink(self, name: str) -> Sink:
        """An actor that takes whatever it is told."""
        sink: Sink = self._start(name, Sink)
        return sink

    def tell_supervisor(self, message: object) -> None:
        """Tell the supervisor, and wait until it has taken that."""
        self.directory.tell(m.SUPERVISOR, message)
        self._turn_is_over(m.SUPERVISOR)

    def carried(self, name: str) -> Any:
        """An actor that shares its thread with all others made so."""
        return self._start(name, Busy, "shared")

    def look(self, span_us: int) -> None:
        """Let the supervisor look once a second for so long."""
        for _ in range(span_us // LOOK_US + 1):
            self.directory.tell(m.SUPERVISOR, Look())
            for name in (m.SUPERVISOR, m.RECORDER, m.OPERATOR):  # the clock is not to run ahead of who has been told
                self._turn_is_over(name)
            self.clock.advance(LOOK_US)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Real threads, ended at the end."""
    bench = Bench()
    yield bench
    for name in bench.directory.names():
        bench.directory.tell(name, _ActorStop())


def test_an_account_that_hangs_is_said_then_replaced_and_speaks_no_more(bench: Bench) -> None:
    """What it had not taken is not taken, and what it says on waking is not told."""
    ghost = bench.hanging()
    bench.look(STUCK_US + 2 * LOOK_US)
    assert bench.operator.wait_for(ActorStuck).name == NAME
    bench.directory.tell(NAME, "waits")
    bench.look(REPLACE_US - STUCK_US + LOOK_US)
    assert ghost.is_retired
    assert [message for name, message in bench.reminders if name == m.SUPERVISOR and not isinstance(message, Look)]
    ghost.goes_on.set()
    assert ghost.actor_stopped.wait(PATIENCE_S)
    assert ghost.took == ["hang"]
    assert "said by a ghost" not in bench.recorder.took
    assert bench.fatal == []


def test_what_a_person_orders_as_an_account_dies_reaches_the_next_once_and_in_order(bench: Bench) -> None:
    """Also what lay in its inbox and was told of as not taken, what it was told too late, and what came after that."""
    orders = [m.Record(GuardRearmed(link=LinkId("link"), guard=str(number))) for number in range(4)]
    before = bench.sink(NAME)
    bench.tell_supervisor(m.Ordered(NAME, orders[0]))
    bench.attached(NAME)
    assert before.took == orders[:1]
    before.stop()
    assert before.actor_stopped.wait(PATIENCE_S)
    for order in (orders[1], orders[2]):
        bench.tell_supervisor(m.Ordered(NAME, order))
    bench.tell_supervisor(m.Failed(NAME, "it died", left=(orders[0], orders[1])))
    bench.tell_supervisor(m.Ordered(NAME, orders[3]))
    bench.tell_supervisor(m.StreamRead(NAME, ()))
    assert bench.attached(NAME).took == orders
    bench.tell_supervisor(m.Ordered(NAME, orders[0]))
    assert bench.attached(NAME).took == [*orders, orders[0]]


def test_nothing_waits_for_the_whole_log_of_an_account_that_starts_again(bench: Bench) -> None:
    """Hundreds of thousands of events take longer to fold than a flatten of another account may wait, or a look; what
    is ordered of the account itself meanwhile waits for it."""
    hurry = Hurry(threading.Event(), threading.Event())
    bench.directory.tell(m.SUPERVISOR, hurry)
    assert hurry.begun.wait(PATIENCE_S)
    bench.directory.tell(m.SUPERVISOR, m.Failed(NAME, "it died"))
    event = GuardRearmed(link=LinkId("link"))
    bench.directory.tell(m.SUPERVISOR, m.StreamRead(NAME, ((event, 1),) * (FOLDED_AT_ONCE + 1)))
    bench.directory.tell(m.SUPERVISOR, m.Ordered(NAME, m.Record(event)))
    bench.directory.tell(m.SUPERVISOR, bench.turn)
    hurry.go.set()
    assert bench.turn.is_over.wait(PATIENCE_S)
    bench.tell_supervisor(Look())
    assert bench.started == [(FOLDED_AT_ONCE + 1, True)]
    assert bench.attached(NAME).took == [m.Record(event)]


def test_who_is_idle_or_busy_with_many_turns_is_left_alone(bench: Bench) -> None:
    """An actor that has nothing to do makes no progress either, and one that takes its turns is well."""
    ref = bench.runtime.start(Hanging, NAME, Leash(bench.directory))
    bench.directory.register(NAME, ref)
    actor = bench.attached(NAME)
    bench.look(REPLACE_US)
    for _ in range(20):
        ref.tell("something")
        bench.attached(NAME)
        bench.look(0)
    assert not actor.is_retired
    assert bench.status.document_alerts() == []


def test_who_waits_behind_others_that_get_on_is_not_stuck(bench: Bench) -> None:
    """A crowd's backlog replaces nobody and ends nothing, however long it lasts: it is said, and taken back."""
    bench.carried("account:2")
    waiting = bench.carried("limiter:demo-1")
    last, turn = None, Turn(threading.Event())
    for number in range(FATAL_US // LOOK_US + 5):
        hurry = Hurry(threading.Event(), threading.Event())
        bench.directory.tell("account:2", hurry)
        if last is None:
            assert hurry.begun.wait(PATIENCE_S)
            bench.directory.tell("limiter:demo-1", turn)
        else:
            last.go.set()
            assert hurry.begun.wait(PATIENCE_S)
        bench.look(0)
        last = hurry
        kinds = [alert["kind"] for alert in bench.status.document_alerts()]
        assert kinds == (["behind"] if number > STUCK_US // LOOK_US else []), number
    assert last is not None
    last.go.set()
    assert turn.is_over.wait(PATIENCE_S)
    bench.look(LOOK_US)
    assert bench.status.document_alerts() == []
    assert not waiting.is_retired
    assert bench.fatal == []
    assert not [told for told in bench.operator.took if isinstance(told, ActorStuck)]


def test_two_that_hang_at_once_on_one_thread_are_replaced_and_hold_up_nobody(bench: Bench) -> None:
    """The second hangs while it is carried on in place of the first: both are found, whoever else gets on."""
    stuck, hurries = [], []
    other = bench.carried("limiter:demo-1")
    for name in ("account:1", "account:2"):
        stuck.append(bench.carried(name))
        hurries.append(Hurry(threading.Event(), threading.Event()))
        bench.directory.tell(name, hurries[-1])
        assert hurries[-1].begun.wait(PATIENCE_S)
        turn = Turn(threading.Event())
        bench.directory.tell("limiter:demo-1", turn)
        bench.look(2 * LOOK_US)
        assert turn.is_over.wait(PATIENCE_S)
    for _ in range(REPLACE_US // LOOK_US):
        bench.directory.tell("limiter:demo-1", Turn(threading.Event()))  # there is always somebody who gets on
        bench.look(0)
    assert [actor.is_retired for actor in stuck] == [True, True]
    assert not other.is_retired
    assert bench.fatal == []
    for hurry in hurries:
        hurry.go.set()


@pytest.mark.parametrize(("name", "is_fatal"), [("limiter:demo-1", True), (m.KEEPER, False)])
def test_only_who_waits_for_a_server_or_a_disk_is_waited_for(bench: Bench, name: str, is_fatal: bool) -> None:
    """A limiter that hangs ends the process; a keeper that hangs at its endpoint is said and waited for."""
    actor = bench.hanging(name)
    bench.look(FATAL_US + 2 * LOOK_US)
    assert bool(bench.fatal) == is_fatal
    assert [alert["kind"] for alert in bench.status.document_alerts()] == [f"stuck:{name}"]
    actor.goes_on.set()


def test_a_supervisor_that_looks_no_more_is_noticed_by_the_process(bench: Bench) -> None:
    """Half a minute without a look ends the process; a look in between begins the count anew; sleep counts little."""
    vigil = Vigil(bench.directory, bench.clock)
    bench.look(0)
    for _ in range(BLIND_US // LOOK_US - 2):
        assert vigil.look() == ""
        bench.clock.advance(LOOK_US)
    bench.look(0)
    bench.clock.advance(3_600 * LOOK_US)
    assert vigil.look() == ""
    for _ in range(BLIND_US // LOOK_US + 1):
        bench.clock.advance(LOOK_US)
        why = vigil.look()
    assert "has not looked for" in why


def test_that_all_of_cmam_stood_still_is_said(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """A laptop that slept: its lines were lost and its opens too old, and nothing said why."""
    vigil = Vigil(bench.directory, bench.clock)
    for span_us in (LOOK_US, STILL_US - 1, 70 * LOOK_US, LOOK_US):
        bench.clock.advance(span_us)
        assert vigil.look() == ""
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("= cmam stood still for 70 s: ")
