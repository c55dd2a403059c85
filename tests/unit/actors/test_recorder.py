"""The one writer of the log, alone: what it hands on, and what it keeps from ever leaving."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from cmam.actors import messages as m
from cmam.actors.recording import recorder
from cmam.actors.recording.backlog import BATCH_MAX
from cmam.actors.recording.recorder import IDLE_US, CheckpointDue, RecorderActor
from cmam.clock import ManualClock
from cmam.domain.events import AlertRaised
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, IntentId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.openapi.lanes import Lane
from cmam.store.errors import StoreBroken
from cmam.store.logfile.chain import CHECKPOINT_US
from cmam.store.records.envelope import Pending
from tests.stepped import Stepper
from tests.whole import FaultyLog

STREAM = "account:1"


class Bench:
    """A recorder among inboxes."""

    def __init__(self) -> None:
        self.stepper = Stepper(0)
        self.log = FaultyLog.in_memory()
        self.told: list[tuple[str, object]] = []
        self.clock = ManualClock()
        ref = self.stepper.start(RecorderActor, self.log, self.clock, self.stepper, self)
        self._recorder = ref

    def tell(self, name: str, message: object) -> bool:
        self.told.append((name, message))
        return True

    def attach(self, _name: str, _actor: object) -> None:
        """Nobody watches here."""

    def take(self, *messages: object) -> None:
        """Hand over messages and let every turn be taken."""
        for message in messages:
            self._recorder.tell(message)
        while self.stepper._actors[0].actor_inbox.waiting:
            self.stepper._turn(self.stepper._actors[0])

    def of(self, kind: type) -> list[object]:
        return [message for _, message in self.told if isinstance(message, kind)]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A recorder on an empty log."""
    bench = Bench()
    yield bench
    assert bench.stepper.failures == []


def _append(version: int, *, stream: str = STREAM, urgent: bool = True) -> m.Append:
    fact = m.Fact(AlertRaised(kind="k", text=f"{stream} {version}"))
    return m.Append(stream, version, version, (fact,), then=(("limiter", version),), urgent=urgent)


def test_what_waits_for_a_commit_is_told_after_it(bench: Bench) -> None:
    """A request is handed on once its record can be read back, and in the order of the records."""
    bench.take(_append(1, urgent=False))
    assert bench.told == []
    bench.take(_append(2))
    assert bench.told == [("limiter", 1), ("limiter", 2)]
    assert bench.log.head(STREAM).version == 2


@pytest.mark.parametrize("behind", [m.Tidy(), _append(1, stream="account:refused")])
def test_what_waits_is_not_forgotten_for_whoever_came_behind(bench: Bench, behind: object) -> None:
    """An order whose record left the writing to the next message: that one is no record, or one that is not taken."""
    bench.log.append([Pending("account:refused", 1, 1, AlertRaised(kind="thief", text=""))])
    bench.take(_append(1, stream="account:refused"))
    bench.told.clear()
    bench.take(_append(1), behind)
    assert bench.of(int) == [1]
    assert bench.log.head(STREAM).version == 1


def test_who_died_as_its_stream_was_refused_hears_of_it_at_its_next_record(bench: Bench) -> None:
    """The word of it went to nobody: an account that starts again would go on, and nothing of it would be recorded."""
    bench.log.append([Pending(STREAM, 1, 1, AlertRaised(kind="thief", text=""))])
    bench.take(_append(1))
    why = bench.of(m.StreamRefused)[0]
    bench.told.clear()
    bench.take(m.Read(STREAM, "supervisor", takes_over=True))
    (read,) = bench.of(m.StreamRead)
    assert isinstance(read, m.StreamRead)
    bench.take(replace(_append(2), life=read.life))
    assert (STREAM, why) in bench.told
    assert bench.log.head(STREAM).version == 1


def test_nothing_of_a_refused_stream_leaves_whatever_follows(bench: Bench) -> None:
    """A later append that would fit behind the thief's record is not written and not handed on either."""
    bench.log.append([Pending(STREAM, 1, 1, AlertRaised(kind="thief", text=""))])
    bench.take(_append(1))
    bench.take(_append(2), _append(3))
    assert bench.of(int) == []
    assert bench.log.head(STREAM).version == 1
    assert bench.of(m.StreamRefused)
    bench.take(_append(1, stream="account:2"))
    assert bench.of(int) == [1]


def test_a_file_that_does_not_take_what_is_recorded_is_told_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged file is seen as the log is folded back into it, long before the next start is refused for it.

    It is tried again by itself, and said once, not each second; nothing that is recorded waits for it.
    """
    why = "the event store is damaged"

    def tidy() -> None:
        if why:
            raise StoreBroken(why)

    monkeypatch.setattr(bench.log, "tidy", tidy)
    bench.take(_append(1))
    for _ in range(3):
        bench.clock.advance(IDLE_US)
        bench.take(m.Tidy())
    assert bench.of(m.NotFoldedBack) == [m.NotFoldedBack(why)]
    assert sum(isinstance(entry[3], m.Tidy) for entry in bench.stepper._heap) > 3
    bench.take(_append(2))
    assert bench.of(int) == [1, 2]
    why = ""
    bench.clock.advance(IDLE_US)
    bench.take(m.Tidy(), m.Tidy())
    assert bench.of(m.NotFoldedBack)[1:] == [m.NotFoldedBack("")]


def test_a_store_that_is_down_is_told_once_and_loses_nothing(bench: Bench) -> None:
    """What came while the store took nothing is written in its order when it is back, and only then handed on.

    It is tried again by itself: after each failure a reminder is set. The operator is told, and nobody else.
    """
    bench.log.is_down = True
    bench.take(_append(1))
    assert any(isinstance(entry[3], m.Flush) for entry in bench.stepper._heap)
    bench.take(_append(2), m.Flush(), m.Flush())
    ((name, told),) = bench.told
    assert name == m.OPERATOR
    assert isinstance(told, m.StoreDown)
    bench.told.clear()
    bench.log.is_down = False
    bench.take(m.Flush())
    assert bench.of(int) == [1, 2]
    assert [told for told in bench.told if told[0] != "limiter"] == [(m.OPERATOR, m.StoreUp())]


def test_readers_of_a_store_that_is_down_have_it_tried_no_more_often(bench: Bench) -> None:
    """An account that dies again and again while the store is down must not leave a row of retries each time."""
    bench.log.is_down = True
    bench.take(_append(1), *(m.Read(STREAM, "supervisor") for _ in range(5)))
    assert sum(isinstance(entry[3], m.Flush) for entry in bench.stepper._heap) == 1


def test_an_open_that_is_too_late_goes_back_while_the_store_is_still_down(bench: Bench) -> None:
    """Its account need not carry it until the store is back; with its record it does not leave then either."""
    command = Command(kind=CommandKind.OPEN, symbol=SymbolId(1), side=Side.BUY, volume=Volume(100))
    submit = m.Submit(AccountId(1), command, IntentId("a"), Lane.OPEN, not_after_us=bench.clock.now() + 1)
    bench.log.is_down = True
    bench.take(replace(_append(1), then=(("limiter", submit),)), _append(2))
    assert bench.of(m.Dropped) == []
    bench.clock.advance(2)
    bench.take(m.Flush(), m.Flush())
    assert [told for told in bench.told if isinstance(told[1], m.Dropped)] == [
        (STREAM, m.Dropped(IntentId("a"), "expired"))
    ]
    bench.log.is_down = False
    bench.take(m.Flush())
    assert bench.log.head(STREAM).version == 2
    assert bench.of(m.Committed) == []
    assert bench.of(int) == [2]


def test_what_waits_for_long_is_tried_and_written_in_parts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much waits for the store, a try costs no more than one part, and each part's requests leave after it."""
    sizes: list[tuple[int, int]] = []
    append = bench.log.append

    def watched(batch: Sequence[Pending]) -> int:
        sizes.append((len(batch), len(bench.of(int))))
        return append(batch)

    monkeypatch.setattr(bench.log, "append", watched)
    bench.log.is_down = True
    count = 2 * BATCH_MAX + 1
    bench.take(*(_append(version) for version in range(1, count + 1)), m.Flush())
    assert max(size for size, _ in sizes) <= BATCH_MAX
    bench.log.is_down = False
    sizes.clear()
    bench.take(m.Flush())
    assert sizes == [(BATCH_MAX, 0), (BATCH_MAX, BATCH_MAX), (1, 2 * BATCH_MAX)]
    assert bench.of(int) == list(range(1, count + 1))
    assert len(bench.of(m.StoreUp)) == 1


def test_a_turn_that_writes_hours_of_facts_is_progress(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of work once the store is back are no store that does not answer: each part that it takes is seen."""
    seen: list[object] = []
    (actor,) = bench.stepper._actors
    assert isinstance(actor, RecorderActor)
    append = bench.log.append
    monkeypatch.setattr(bench.log, "append", lambda batch: seen.append(actor.progress) or append(batch))
    bench.log.is_down = True
    bench.take(*(_append(version) for version in range(1, 2 * BATCH_MAX + 2)))
    bench.log.is_down = False
    seen.clear()
    bench.take(m.Flush())
    assert len(seen) == len(set(seen)) == 3


def test_a_reader_is_told_what_is_stored_and_what_waits(bench: Bench) -> None:
    """An account that starts again while the store is down still hears of everything it had said."""
    bench.take(_append(1))
    bench.log.is_down = True
    bench.take(_append(2), m.Read(STREAM, "supervisor"))
    (read,) = bench.of(m.StreamRead)
    assert isinstance(read, m.StreamRead)
    assert [event.text for event, _ in read.records if isinstance(event, AlertRaised)] == [f"{STREAM} 1", f"{STREAM} 2"]


def test_a_reader_is_not_told_twice_what_was_written_without_an_answer(bench: Bench) -> None:
    """A batch that is in the file and still waits, because the answer was lost, is read once: versions go by facts."""
    bench.log.loses_answers = 2
    bench.take(_append(1), m.Read(STREAM, "supervisor"))
    (read,) = bench.of(m.StreamRead)
    assert isinstance(read, m.StreamRead)
    assert len(read.records) == 1


def test_a_store_that_cannot_be_read_is_read_later(bench: Bench) -> None:
    """A question that the file cannot answer now is asked again; the recorder does not die of it."""
    bench.take(_append(1))
    bench.log.is_unreadable = True
    bench.take(m.Read(STREAM, "supervisor"))
    assert bench.of(m.StreamRead) == []
    (moment,) = [entry for entry in bench.stepper._heap if isinstance(entry[3], recorder.Reading)]
    bench.log.is_unreadable = False
    bench.take(moment[3])
    assert len(bench.of(m.StreamRead)) == 1


def test_the_answer_that_was_lost_is_not_written_twice(bench: Bench) -> None:
    """A batch that is in the file although its answer was lost counts as written at the next try."""
    bench.log.loses_answers = 1
    bench.take(_append(1))
    assert bench.of(int) == []
    bench.take(m.Flush())
    assert bench.of(int) == [1]
    assert bench.log.head(STREAM).version == 1


def test_nothing_is_taken_from_a_writer_that_was_replaced(bench: Bench) -> None:
    """From the moment another life begins, what the old one still sends is no record and no refusal either."""
    bench.take(_append(1), m.Read(STREAM, "supervisor", takes_over=True))
    (read,) = bench.of(m.StreamRead)
    assert isinstance(read, m.StreamRead)
    late, fresh = _append(2), replace(_append(2), life=read.life)
    bench.take(late, fresh)
    assert bench.of(int) == [1, 2]
    assert bench.of(m.StreamRefused) == []
    assert bench.log.head(STREAM).version == 2


def test_a_record_that_is_damaged_holds_up_its_own_account_alone(bench: Bench) -> None:
    """Who is to start again waits for its record, and is said to; the others go on, and it does once that is read."""
    bench.take(_append(1))
    ((state,),) = bench.log.connection.execute("SELECT state FROM stored_events").fetchall()
    bench.log.connection.execute("UPDATE stored_events SET state = 'nothing that was written here'")
    bench.take(m.Read(STREAM, "supervisor", takes_over=True))
    assert bench.of(m.StreamRead) == []
    (unread,) = bench.of(m.StreamUnread)
    assert isinstance(unread, m.StreamUnread)
    assert "damaged" in unread.why
    bench.take(_append(1, stream="account:2"))
    assert bench.of(int) == [1, 1]
    bench.log.connection.execute("UPDATE stored_events SET state = ? WHERE originator_id = ?", (state, STREAM))
    bench.take(*(entry[3] for entry in bench.stepper._heap if isinstance(entry[3], recorder.Reading)))
    assert bench.of(m.StreamRead)
    assert bench.of(m.StreamUnread)[1:] == [m.StreamUnread(STREAM, "")]


def test_a_checkpoint_that_cannot_be_made_is_made_later(bench: Bench) -> None:
    """Where the log stands has to be read again after an answer was lost, and the disk may not answer just then."""
    bench.take(_append(1))
    bench.log.refresh()
    bench.clock.advance(CHECKPOINT_US)
    bench.log.connection.execute("ALTER TABLE stored_events RENAME TO elsewhere")
    bench.take(m.Tidy())
    assert bench.of(CheckpointDue) == []
    bench.log.connection.execute("ALTER TABLE elsewhere RENAME TO stored_events")
    bench.take(m.Tidy())
    assert len(bench.of(CheckpointDue)) == 1


def test_what_comes_after_the_last_that_waited_was_refused_is_written(bench: Bench) -> None:
    """The store took nothing, and as it does again the only stream that waits is another's by then: all others go on.

    Nobody was left to try it, and what they recorded waited for ever.
    """
    bench.log.is_down = True
    bench.take(_append(1))
    bench.log.is_down = False
    bench.log.append([Pending(STREAM, 1, 1, AlertRaised(kind="thief", text=""))])
    bench.take(m.Flush())
    assert bench.of(m.StreamRefused)
    assert bench.of(m.StoreUp)
    bench.take(_append(1, stream="account:2"))
    assert bench.of(int) == [1]
    assert bench.log.head("account:2").version == 1


def test_others_record_while_a_long_stream_is_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that starts again has years of records: what others decide meanwhile leaves between the parts of it.

    Whoever asks hears all of them once, with what waits for the store, and nothing that its former life still says.
    """
    monkeypatch.setattr(recorder, "READ_AT_ONCE", 2)
    bench.take(*(_append(version) for version in range(1, 6)))
    bench.told.clear()
    bench.take(_append(6, urgent=False), m.Read(STREAM, "supervisor", takes_over=True))
    assert bench.of(m.StreamRead) == []
    bench.take(_append(1, stream="account:2"), _append(7))
    assert bench.of(int) == [6, 1]
    while not bench.of(m.StreamRead):
        bench.take(bench.of(recorder.Reading)[-1])
    (read,) = bench.of(m.StreamRead)
    assert isinstance(read, m.StreamRead)
    assert (read.life, [at_us for _, at_us in read.records]) == (1, [1, 2, 3, 4, 5, 6])
