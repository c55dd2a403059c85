"""Actors that share a thread: what is urgent goes first, each keeps its order, and one that fails harms nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pykka
import pytest

from cmam.actors.threads.carrier import Carrier, carried
from cmam.actors.threads.runtime import Directory, Failed, Latch, ThreadRuntime, Watched, waiting
from tests.waiting import PATIENCE_S


@dataclass(frozen=True)
class Urgent:
    number: int


@dataclass(frozen=True)
class Soon:
    number: int


@dataclass(frozen=True)
class Later:
    number: int


@dataclass(frozen=True)
class Pressing(Soon):
    """As urgent as its kind; more so where its actor says so."""


@dataclass(frozen=True)
class Hold:
    """Keep the thread until the latch opens, so that what comes meanwhile has to queue."""

    begun: Latch
    latch: Latch
    error: str = ""
    """What it fails with in the end, if with anything."""


class Listener(Watched):
    """Writes down what it is told, and by which thread."""

    def __init__(self, name: str, directory: Directory, heard: list[Any], done: Latch) -> None:
        super().__init__()
        self._name, self._directory, self._heard, self._done = name, directory, heard, done

    def is_pressing(self, message: Any) -> bool:
        return isinstance(message, Pressing)

    def on_receive(self, message: Any) -> None:
        if isinstance(message, Hold):
            message.begun.open()
            assert message.latch.wait(PATIENCE_S)
            if message.error:
                raise ValueError(message.error)
        elif isinstance(message, Exception):
            raise message
        elif isinstance(message, Failed):
            self._heard.append(message)
            self._done.open()
        elif message == "end":
            self._done.open()
        else:
            self._heard.append((self._name, message, threading.current_thread().name))


@pytest.fixture
def started() -> Iterator[ThreadRuntime]:
    """A runtime whose actors end with the test."""
    yield ThreadRuntime({Urgent: 0, Soon: 2, Pressing: 2})
    for ref in pykka.ActorRegistry.get_by_class(Listener):
        ref.stop(block=False)


def test_urgent_messages_go_first_and_each_lane_keeps_its_order(started: ThreadRuntime) -> None:
    """While a carrier is busy, what queues for its actors is taken by lane, and within a lane as it came."""
    heard: list[Any] = []
    directory, begun, go, done = Directory(), Latch(), Latch(), Latch()
    one = started.start(Listener, "one", directory, heard, done, carrier="c")
    two = started.start(Listener, "two", directory, heard, done, carrier="c")
    one.tell(Hold(begun, go))
    assert begun.wait(PATIENCE_S)
    for message in (Later(1), Soon(2), Urgent(3), Later(4), Urgent(5), Soon(6)):
        (one if message.number % 2 else two).tell(message)
    two.tell("end")
    go.open()
    assert done.wait(PATIENCE_S)
    assert [message.number for _, message, _ in heard] == [3, 5, 2, 6, 1, 4]
    assert {thread for _, _, thread in heard} == {"carrier c"}


def test_what_presses_goes_before_the_kind_of_others_but_never_before_its_own(started: ThreadRuntime) -> None:
    """A close goes before everybody's opens; where an open of the same actor waits, it keeps its place behind it."""
    heard: list[Any] = []
    directory, begun, go, done = Directory(), Latch(), Latch(), Latch()
    one = started.start(Listener, "one", directory, heard, done, carrier="c")
    two = started.start(Listener, "two", directory, heard, done, carrier="c")
    one.tell(Hold(begun, go))
    assert begun.wait(PATIENCE_S)
    one.tell(Later(1))
    one.tell(Soon(2))
    one.tell(Pressing(3))  # its own open waits: behind it
    two.tell(Later(4))  # a later lane of its own does not hold it
    two.tell(Pressing(5))
    two.tell(Soon(6))
    two.tell(Urgent(7))
    two.tell("end")
    go.open()
    assert done.wait(PATIENCE_S)
    assert [message.number for _, message, _ in heard] == [7, 5, 2, 3, 6, 1, 4]


def test_an_actor_that_fails_leaves_the_others_of_its_carrier_running(started: ThreadRuntime) -> None:
    """The failure reaches the supervisor's name; what was meant for the dead is gone, the others go on."""
    heard: list[Any] = []
    directory, failed, done = Directory(), Latch(), Latch()
    watcher = started.start(Listener, "watcher", directory, [], failed)
    directory.register("supervisor", watcher)
    bad = started.start(Listener, "bad", directory, heard, done, carrier="c")
    good = started.start(Listener, "good", directory, heard, done, carrier="c")
    bad.tell(ValueError("oh"))
    assert failed.wait(PATIENCE_S)
    assert not bad.is_alive()
    good.tell(Soon(1))
    good.tell("end")
    assert done.wait(PATIENCE_S)
    assert [message for _, message, _ in heard] == [Soon(1)]


def test_a_carrier_whose_actors_have_all_ended_begins_again_with_the_next(started: ThreadRuntime) -> None:
    """The thread ends with its last actor and a new one starts with the next."""
    heard: list[Any] = []
    directory = Directory()
    for number in range(2):
        done = Latch()
        ref = started.start(Listener, "one", directory, heard, done, carrier="c")
        ref.tell(Later(number))
        ref.tell("end")
        assert done.wait(PATIENCE_S)
        ref.stop(block=False)
    assert [message.number for _, message, _ in heard] == [0, 1]


def test_who_is_at_one_thing_for_long_is_left_to_its_thread(started: ThreadRuntime) -> None:
    """The others go on in another thread; what was meant for the slow one waits for it, in its order."""
    heard: list[Any] = []
    directory, begun, go, done, slow_done = Directory(), Latch(), Latch(), Latch(), Latch()
    slow = started.start(Listener, "slow", directory, heard, slow_done, carrier="c")
    quick = started.start(Listener, "quick", directory, heard, done, carrier="c")
    slow.tell(Hold(begun, go))
    assert begun.wait(PATIENCE_S)
    slow.tell(Later(1))
    quick.tell(Later(2))
    directory.actor("quick").make_way()
    directory.actor("slow").make_way()
    slow.tell(Later(3))
    quick.tell("end")
    assert done.wait(PATIENCE_S)
    assert [message.number for name, message, _ in heard if name == "quick"] == [2]
    assert not [message for name, message, _ in heard if name == "slow"]
    go.open()
    slow.tell("end")
    assert slow_done.wait(PATIENCE_S)
    assert [message.number for name, message, _ in heard if name == "slow"] == [1, 3]


def test_a_long_turn_keeps_nobody_waiting() -> None:
    """Once a turn has lasted, the next message has the others carried on; what is meant for the slow one waits."""
    heard: list[Any] = []
    directory, begun, go, done, slow_done = Directory(), Latch(), Latch(), Latch(), Latch()
    listener = carried(Listener, Carrier("prompt", {}, long_s=0))
    slow = listener.start("slow", directory, heard, slow_done)
    quick = listener.start("quick", directory, heard, done)
    slow.tell(Hold(begun, go))
    assert begun.wait(PATIENCE_S)
    for number in range(3):
        slow.tell(Later(number))
        quick.tell(Later(number))
    quick.tell("end")
    assert done.wait(PATIENCE_S)
    assert [message.number for name, message, _ in heard if name == "slow"] == []
    go.open()
    slow.tell("end")
    assert slow_done.wait(PATIENCE_S)
    for name in ("slow", "quick"):
        assert [message.number for told, message, _ in heard if told == name] == [0, 1, 2]


def test_whoever_is_asked_twice_to_make_way_forgets_nothing(started: ThreadRuntime) -> None:
    """What was parked for a slow actor before the second time is told it, though nothing else comes for it."""
    heard: list[Any] = []
    directory, begun, go, done = Directory(), Latch(), Latch(), Latch()
    slow = started.start(Listener, "slow", directory, heard, done, carrier="c")
    slow.tell(Hold(begun, go))
    assert begun.wait(PATIENCE_S)
    actor = directory.actor("slow")
    assert actor is not None
    slow.tell("end")
    actor.make_way()
    carrier: Carrier = actor.actor_inbox._carrier
    while not carrier._parked.get(actor):
        Latch().wait(0.001)
    actor.make_way()
    go.open()
    assert done.wait(PATIENCE_S)


def test_without_a_thread_for_a_relief_all_wait(started: ThreadRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no thread to give costs time, not messages."""
    heard: list[Any] = []
    directory, begun, go, done = Directory(), Latch(), Latch(), Latch()
    slow = started.start(Listener, "slow", directory, heard, done, carrier="c")
    quick = started.start(Listener, "quick", directory, heard, done, carrier="c")
    slow.tell(Hold(begun, go))
    assert begun.wait(PATIENCE_S)
    slow.tell(Later(1))
    with monkeypatch.context() as patch:
        patch.setattr(Carrier, "_relieve", _no_thread)
        directory.actor("slow").make_way()
    quick.tell("end")
    assert not done.is_open
    go.open()
    assert done.wait(PATIENCE_S)
    assert [message.number for _, message, _ in heard] == [1]


def _no_thread(_carrier: Carrier) -> None:
    raise RuntimeError("can't start new thread")


class Interrupted(Carrier):
    """A carrier that somebody wants to relieve, once, as it is about to begin a turn; the machine has no thread."""

    def __init__(self) -> None:
        self._count = 0
        self._is_asked, self._has_seen, self.is_due = Latch(), Latch(), False
        super().__init__("c", {})

    @property
    def _watch(self) -> int:
        if self.is_due and self._at is not None:
            self.is_due = False
            threading.Thread(target=self.make_way, args=(self._at,), name="helper").start()
            assert self._is_asked.wait(PATIENCE_S)
            found = self._count
            self._has_seen.open()
            return found
        return self._count

    @_watch.setter
    def _watch(self, count: int) -> None:
        self._count = count

    def _relieve(self) -> None:
        if threading.current_thread().name == "helper":
            self._is_asked.open()
            assert self._has_seen.wait(PATIENCE_S)
            _no_thread(self)
        super()._relieve()


def test_a_relief_that_gets_no_thread_ends_none_either() -> None:
    """Who is to be relieved as he begins a turn, and is not for lack of a thread, goes on: nobody else would."""
    heard: list[Any] = []
    directory, done, carrier = Directory(), Latch(), Interrupted()
    listener = carried(Listener, carrier).start("one", directory, heard, done)
    carrier.is_due = True
    for message in (Later(1), Later(2), "end"):
        listener.tell(message)
    assert done.wait(PATIENCE_S)
    assert [message.number for _, message, _ in heard] == [1, 2]
    assert not carrier.is_due
    listener.stop(block=False)


def test_what_was_not_taken_can_be_taken_back(started: ThreadRuntime) -> None:
    """An actor that is retired while it is stuck gives back what waits for it, and takes nothing more."""
    heard: list[Any] = []
    directory, begun, go, done = Directory(), Latch(), Latch(), Latch()
    slow = started.start(Listener, "slow", directory, heard, done, carrier="c")
    quick = started.start(Listener, "quick", directory, heard, done, carrier="c")
    slow.tell(Hold(begun, go))
    assert begun.wait(PATIENCE_S)
    actor = directory.actor("slow")
    assert actor is not None
    slow.tell(Later(1))
    actor.make_way()
    slow.tell(Urgent(2))
    assert not actor.is_idle
    assert sorted(message.number for message in actor.retire()) == [1, 2]
    go.open()
    quick.tell("end")
    assert done.wait(PATIENCE_S)
    assert heard == []


def test_an_inbox_knows_of_its_own_actor_alone(started: ThreadRuntime) -> None:
    """What waits for others is nothing to it, and what has been taken waits no longer, even while its turn lasts."""
    directory, begun, go, done = Directory(), Latch(), Latch(), Latch()
    one = started.start(Listener, "one", directory, [], done, carrier="c")
    two = started.start(Listener, "two", directory, [], done, carrier="c")
    one.tell(Hold(begun, go))
    assert begun.wait(PATIENCE_S)
    two.tell(Urgent(1))
    busy, other = directory.actor("one"), directory.actor("two")
    assert busy is not None
    assert other is not None
    assert busy.actor_inbox.empty()
    assert not other.actor_inbox.empty()
    assert (busy.is_idle, other.is_idle) == (False, False)
    assert other.actor_inbox.get_nowait().message == Urgent(1)
    assert other.actor_inbox.empty()
    go.open()
    two.tell("end")
    assert done.wait(PATIENCE_S)


def test_more_to_come_is_what_is_at_least_as_urgent(started: ThreadRuntime) -> None:
    """What waits in a later lane is not waited for, however much of it there is."""
    directory, begun, go, done = Directory(), Latch(), Latch(), Latch()
    one = started.start(Listener, "one", directory, [], done, carrier="c")
    one.tell(Hold(begun, go))
    assert begun.wait(PATIENCE_S)
    actor = directory.actor("one")
    assert actor is not None
    found = []
    for message in (Later(1), Soon(2), Urgent(3)):
        one.tell(message)
        found.append([actor.waits_before(kind) for kind in (Urgent(0), Soon(0), Later(0))])
    assert found == [[False, False, True], [False, True, True], [True, True, True]]
    go.open()
    one.tell("end")
    assert done.wait(PATIENCE_S)


def test_each_message_is_taken_once_whoever_takes_it(started: ThreadRuntime) -> None:
    """Turns, tellers and one who takes back, all at the same time: nothing is heard twice, and nothing is lost."""
    heard: list[Any] = []
    directory, done = Directory(), Latch()
    ref = started.start(Listener, "one", directory, heard, done, carrier="c")
    actor = directory.actor("one")
    assert actor is not None
    kinds, each = (Urgent, Soon, Later), 2_000

    def tell(kind: Any) -> None:
        for number in range(each):
            ref.tell(kind(number))

    tellers = [threading.Thread(target=tell, args=(kind,)) for kind in kinds]
    for teller in tellers:
        teller.start()
    taken: list[Any] = []
    while any(teller.is_alive() for teller in tellers):
        taken += waiting(actor.actor_inbox)
    for teller in tellers:
        teller.join()
    ref.tell("end")
    assert done.wait(PATIENCE_S)
    turned = [message for _, message, _ in heard]
    for kind in kinds:
        numbers = [[one.number for one in found if isinstance(one, kind)] for found in (turned, taken)]
        assert sorted(numbers[0] + numbers[1]) == list(range(each))
        assert numbers[0] == sorted(numbers[0])
        assert numbers[1] == sorted(numbers[1])


def test_one_thread_carries_on_after_a_stuck_actor_was_the_last(started: ThreadRuntime) -> None:
    """It fails in the thread it was left to, which ends; the relief, with nobody left, is there for the next actor."""
    heard: list[Any] = []
    directory, begun, go, done = Directory(), Latch(), Latch(), Latch()
    slow = started.start(Listener, "slow", directory, heard, done, carrier="alone")
    slow.tell(Hold(begun, go, "oh"))
    assert begun.wait(PATIENCE_S)
    (held,) = _threads_of("alone")
    actor = directory.actor("slow")
    assert actor is not None
    actor.make_way()
    go.open()
    held.join(PATIENCE_S)
    assert not held.is_alive()
    for number in range(3):
        begun = Latch()
        fresh = started.start(Listener, "fresh", directory, heard, begun, carrier="alone")
        fresh.tell(Later(number))
        fresh.tell("end")
        assert begun.wait(PATIENCE_S)
    assert [message.number for _, message, _ in heard] == [0, 1, 2]
    assert len(_threads_of("alone")) == 1


def _threads_of(carrier: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"carrier {carrier}"]
