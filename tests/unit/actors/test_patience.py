"""A patient inbox: what lies in it is told in its order; its bell waits until a carrier has decided what it has to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pykka
import pytest

from cmam.actors.recording.recorder import RecorderActor
from cmam.actors.threads.carrier import Carrier, carried
from cmam.actors.threads.runtime import Directory, Latch, ThreadRuntime, Watched
from tests.waiting import PATIENCE_S, until

CLERK = "clerk"


@dataclass(frozen=True)
class Decide:
    """Tell the clerk a number; before that, let somebody know and wait, where latches are given."""

    number: int | str
    begun: Latch | None = None
    go: Latch | None = None
    then_wait: bool = False


@dataclass(frozen=True)
class Press:
    """Something that goes before all decisions: the clerk is told this, which presses or does not."""

    what: str


@dataclass(frozen=True)
class Rest:
    """Something that goes after all decisions."""

    begun: Latch
    go: Latch


class Clerk(Watched):
    """Writes down what it is told, in a thread of its own."""

    is_patient = True

    def __init__(self, directory: Directory, heard: list[Any], done: Latch) -> None:
        super().__init__()
        self._name, self._directory, self._heard, self._done = CLERK, directory, heard, done

    def is_pressing(self, message: Any) -> bool:
        return message == "urgent"

    def on_receive(self, message: Any) -> None:
        if message == "end":
            self._done.open()
        else:
            self._heard.append(message)


class Interrupted(Clerk):
    """Writes down, besides, whether it looks idle with each message that it has taken and not begun."""

    def _handle_receive(self, message: Any) -> Any:
        self._heard.append(self.is_idle)
        return super()._handle_receive(message)


class Decider(Watched):
    """Tells the clerk, and waits where it is told to."""

    def __init__(self, name: str, directory: Directory) -> None:
        super().__init__()
        self._name, self._directory = name, directory

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Press):
            self._directory.tell(CLERK, message.what)
            return
        if isinstance(message, Decide):
            self._directory.tell(CLERK, message.number)
        if message.begun is not None and message.go is not None:
            message.begun.open()
            assert message.go.wait(PATIENCE_S)
        if isinstance(message, Decide) and message.then_wait:
            self._directory.tell(CLERK, "end")


class Office:
    """A clerk, and deciders of one carrier."""

    def __init__(self, *, long_s: float = PATIENCE_S, patience_s: float = PATIENCE_S) -> None:
        self.directory, self.heard, self.done = Directory(), [], Latch()
        self.clerk = ThreadRuntime().start(Clerk, self.directory, self.heard, self.done)
        self.directory.register(CLERK, self.clerk)
        self.heard: list[Any]
        self._kind = carried(Decider, Carrier("office", {Press: 1, Decide: 2}, long_s, patience_s))
        self.one, self.two = (self._kind.start(name, self.directory) for name in ("one", "two"))

    @property
    def lies_there(self) -> int:
        """How many messages the clerk has not taken."""
        clerk = self.directory.actor(CLERK)
        assert clerk is not None
        return len(clerk.actor_inbox._waiting)

    def finish(self) -> list[Any]:
        """What the clerk was told, once all is."""
        self.clerk.tell("end")
        assert self.done.wait(PATIENCE_S)
        return self.heard


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    for kind in (Clerk, Interrupted, Decider):
        for ref in pykka.ActorRegistry.get_by_class(kind):
            ref.stop(block=False)


def test_the_recorder_is_patient() -> None:
    """It is what every decision tells, and what would take the interpreter from the next one."""
    assert RecorderActor.is_patient


def test_it_is_not_rung_for_before_the_last_decision() -> None:
    """What the first decision told lies there while the second is made; then all is taken, in its order."""
    office, begun, go = Office(), Latch(), Latch()
    first, on = Latch(), Latch()
    office.two.tell(Rest(first, on))
    assert first.wait(PATIENCE_S)
    office.one.tell(Decide(1))
    office.two.tell(Decide(2, begun, go))
    on.open()
    assert begun.wait(PATIENCE_S)
    assert (office.lies_there, office.heard) == (2, [])
    go.open()
    assert office.finish() == [1, 2]


def test_it_is_rung_for_before_what_is_no_decision() -> None:
    """Reports and reminders do not keep a record from the disk."""
    office, begun, go = Office(), Latch(), Latch()
    first, on = Latch(), Latch()
    office.one.tell(Rest(first, on))
    assert first.wait(PATIENCE_S)
    office.one.tell(Decide(1, None, None, then_wait=True))
    office.two.tell(Rest(begun, go))
    on.open()
    assert begun.wait(PATIENCE_S)
    assert office.done.wait(PATIENCE_S)
    assert office.heard == [1]
    go.open()


def test_a_long_row_of_decisions_is_interrupted() -> None:
    """After a moment it is rung for, though more is to be decided: the first orders of a crowd do not wait for all."""
    office, begun, go = Office(patience_s=0), Latch(), Latch()
    first, on = Latch(), Latch()
    office.two.tell(Rest(first, on))
    assert first.wait(PATIENCE_S)
    office.one.tell(Decide(1, None, None, then_wait=True))
    office.two.tell(Decide(2, begun, go))
    on.open()
    assert begun.wait(PATIENCE_S)
    assert office.done.wait(PATIENCE_S)
    assert office.heard[0] == 1
    go.open()


@pytest.mark.parametrize(("what", "lies_there"), [("urgent", 0), ("whenever", 2)])
def test_what_presses_and_comes_of_what_pressed_does_not_wait_for_decisions(what: str, lies_there: int) -> None:
    """A close in the middle of a crowd's opens is rung for at once; a leader's own record waits for what follows it."""
    office, begun, go = Office(), Latch(), Latch()
    first, on = Latch(), Latch()
    office.two.tell(Rest(first, on))
    assert first.wait(PATIENCE_S)
    office.two.tell(Decide(1, begun, go))
    office.one.tell(Press(what))
    on.open()
    assert begun.wait(PATIENCE_S)
    while lies_there == 0 and office.heard != [what]:
        Latch().wait(0.001)
    assert office.lies_there == (lies_there or 1)  # the decision's own waits in any case
    go.open()
    assert office.finish() == [what, 1]


def test_a_decision_presses_nobody_however_urgent_what_it_tells() -> None:
    """What an open tells the recorder is urgent too: of a burst of opens the first does not wake it for itself."""
    office, begun, go = Office(), Latch(), Latch()
    first, on = Latch(), Latch()
    office.two.tell(Rest(first, on))
    assert first.wait(PATIENCE_S)
    office.one.tell(Decide("urgent"))
    office.two.tell(Decide(2, begun, go))
    on.open()
    assert begun.wait(PATIENCE_S)
    assert (office.lies_there, office.heard) == (2, [])
    go.open()
    assert office.finish() == ["urgent", 2]


def test_who_is_no_carrier_rings_at_once_and_keeps_the_order() -> None:
    """A message from outside has the first that lies there taken, and its own bell comes with it."""
    office, begun, go = Office(), Latch(), Latch()
    office.one.tell(Decide(1, begun, go))
    assert begun.wait(PATIENCE_S)
    office.clerk.tell(2)
    go.open()
    assert office.finish() == [1, 2]


def test_what_is_not_rung_for_is_no_reason_to_wait() -> None:
    """More to be taken now is what was rung for; idle it is only when nothing lies there."""
    office, begun, go = Office(), Latch(), Latch()
    office.one.tell(Decide(1, begun, go))
    assert begun.wait(PATIENCE_S)
    clerk = office.directory.actor(CLERK)
    assert clerk is not None
    assert (clerk.is_called(), clerk.is_idle) == (False, False)
    go.open()
    assert office.finish() == [1]


@pytest.mark.parametrize("carrier", ["", "office"])
def test_who_has_taken_a_message_is_not_idle_before_it_is_at_it(carrier: str) -> None:
    """The end of a system waits for those who have something to do: of a thread that was interrupted there it saw
    neither a message that waits nor one that it is at, and closed the connection before the request came to it."""
    directory, heard, done = Directory(), [], Latch()
    ref = ThreadRuntime().start(Interrupted, directory, heard, done, carrier=carrier)
    ref.tell("first")
    ref.tell("end")
    assert done.wait(PATIENCE_S)
    assert heard == [False, "first", False]
    actor = directory.actor(CLERK)
    assert actor is not None
    until(lambda: actor.is_idle, "it is through")


def test_a_turn_that_lasts_holds_no_bell() -> None:
    """Whoever was relieved rings at once, and what it told before is rung for by its relief."""
    office, begun, go = Office(long_s=0), Latch(), Latch()
    office.one.tell(Decide(1, begun, go, then_wait=True))
    assert begun.wait(PATIENCE_S)
    taken = Latch()
    office.two.tell(Rest(taken, taken))  # has the others carried on
    assert taken.wait(PATIENCE_S)
    while office.heard != [1]:
        Latch().wait(0.001)
    go.open()
    assert office.done.wait(PATIENCE_S)


def test_nothing_is_lost_and_each_sender_keeps_its_order() -> None:
    """Carried and others tell at the same time: each message is heard once, each sender's in its order."""
    office, each = Office(patience_s=0.0001), 2_000

    def tell() -> None:
        for number in range(each):
            office.clerk.tell(("outside", number))

    outside = threading.Thread(target=tell)
    outside.start()
    for number in range(each):
        office.one.tell(Decide(number))
    outside.join()
    last = Latch()
    office.one.tell(Rest(last, last))
    assert last.wait(PATIENCE_S)
    heard = office.finish()
    assert [one for one in heard if isinstance(one, int)] == list(range(each))
    assert [one for one in heard if isinstance(one, tuple)] == [("outside", number) for number in range(each)]
