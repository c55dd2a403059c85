"""The one writer of the log: group commit, causes before effects, and only then the requests go on.

An urgent batch is written as soon as nobody calls with more; anything else waits 5 ms for company. What the store
does not take is kept in its order and tried again; nothing is renumbered, and nothing that waits for it leaves.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cmam import processor
from cmam.actors import messages as m
from cmam.actors.recording.backlog import BATCH_MAX, LATE, Backlog, pending_of
from cmam.actors.threads.runtime import Directory, Watched
from cmam.actors.threads.timer import Timer
from cmam.clock import Clock
from cmam.domain.events import Checkpointed, Event
from cmam.domain.values.replacing import replace
from cmam.store.errors import RecordRefused, StoreBroken, StoreError, StoreUnavailable
from cmam.store.logfile.chain import Checkpointer, checkpoint
from cmam.store.logfile.log import EventLog
from cmam.store.records.form_writers import get_ready

log = logging.getLogger(__name__)

COMPANY_US = 5_000
"""How long a fact that nobody waits for may wait for company."""
RETRY_FIRST_US = 50_000
RETRY_LAST_US = 2_000_000
IDLE_US = 1_000_000
"""How long after the last write the write-ahead log is folded back."""
UNFOLDED_US = 10_000_000
"""How long after that has failed it is tried again."""
UNREAD_US = 60_000_000
"""How long after a record was found damaged its stream is read again."""
READ_AT_ONCE = 2_000
"""So many records of a stream are read in one turn: it may have hundreds of thousands, and what others record waits
behind the turn, as do their opens."""


@dataclass(frozen=True, slots=True)
class CheckpointDue:
    """To the operator, who writes the stream `app`: put these heads on record."""

    checkpoint: Checkpointed


@dataclass(frozen=True, slots=True)
class Reading:
    """To the recorder's own ear: go on with a stream, of which so much has been read for that life of its writer."""

    read: m.Read
    life: int
    records: list[tuple[Event, int]]


class RecorderActor(Watched):
    """Appends what all others hand it."""

    is_patient = True

    def __init__(self, event_log: EventLog, clock: Clock, timer: Timer, directory: Directory) -> None:
        super().__init__()
        self._name = m.RECORDER
        self._log = event_log
        self._clock = clock
        self._timer = timer
        self._directory = directory
        self._waiting = Backlog()
        self._refused: dict[str, m.StreamRefused] = {}
        self._lives: dict[str, int] = {}
        self._is_urgent = False
        self._is_armed = False
        self._is_closed = False
        self._retry_us = 0
        self._again_us = 0
        self._tidy_armed = False
        self._unfolded = ""
        self._unread: set[str] = set()
        self._checkpointer = Checkpointer()
        self._checkpoint_asked = False
        self._wrote_us = 0
        self._parts = 0

    def on_start(self) -> None:
        """Runs in the recorder's thread before its first message."""
        processor.ask_for_short_turns()
        super().on_start()
        get_ready()

    @property
    def unrecorded(self) -> int:
        """How many facts wait for the store. Read from other threads."""
        return self._waiting.facts

    @property
    def progress(self) -> tuple[int, int]:
        """Its turns, and the parts it has written: after hours without a store one turn writes a great many."""
        return self.turns, self._parts

    def is_pressing(self, message: Any) -> bool:
        """What somebody waits for: of a close in the middle of a crowd's opens it is not to wait for these."""
        return isinstance(message, m.Append) and message.urgent

    def on_receive(self, message: Any) -> None:
        """Take one message; then look at what waits, whatever it was: whoever came before has left that to it."""
        self._take(message)
        waiting = len(self._waiting)
        if waiting and not self._is_closed:
            self._consider(waiting)

    def _take(self, message: Any) -> None:
        match message:
            case _ if self._is_closed:
                log.debug("- the log is closed: %s", type(message).__name__)
            case m.Append() if message.stream in self._refused:
                log.warning("! %s is closed: %d facts were not recorded", message.stream, len(message.facts))
                if message.life:  # who began anew as that was told may not know
                    self._directory.tell(message.stream, self._refused[message.stream])
            case m.Append() if message.life < self._lives.get(message.stream, 0):
                log.warning("! %s was replaced: %d of its late facts are not taken", message.stream, len(message.facts))
            case m.Append():
                self._waiting.add(message)
                self._is_urgent = self._is_urgent or message.urgent
            case m.Flush():
                self._is_armed = False
                self._commit()
            case m.Read():
                if message.takes_over:
                    self._lives[message.stream] = self._lives.get(message.stream, 0) + 1
                self._commit()
                self._read(Reading(message, self._lives.get(message.stream, 0), []))
            case Reading():
                self._read(message)
            case m.Tidy():
                self._tidy()
            case m.Stop():
                self._commit()
                self._is_closed = True  # whoever asked has the log to himself from here on
                self._directory.tell(m.SUPERVISOR, m.Stopped(m.RECORDER))
            case _:
                raise AssertionError(f"the recorder cannot take {message!r}")

    def _consider(self, waiting: int) -> None:
        """Write when nobody else is about to join, or when enough have."""
        if self._retry_us:
            return
        is_last = not self.is_called()
        if (self._is_urgent and is_last) or waiting >= BATCH_MAX:
            self._commit()
        elif is_last and not self._is_armed:  # whoever comes next looks after those before
            self._is_armed = True
            self._timer.after(COMPANY_US, m.RECORDER, m.Flush())

    def _commit(self) -> None:
        while part := self._waiting.part():
            try:
                self._log.append(pending_of(part))
            except (StoreUnavailable, StoreBroken) as error:
                self._store_down(str(error))
                return
            except RecordRefused as error:
                self._refuse(error)
                continue
            self._waiting.written(part)
            self._parts += 1
            self._hand_on(part)
        self._is_urgent = False
        self._store_up()  # also where the last that waited is refused: nobody would try what comes next

    def _hand_on(self, written: list[m.Append]) -> None:
        """Tell whoever waited that their facts are on disk: this is the only way to the limiter."""
        now = self._clock.monotonic()
        leaving: dict[str, list[m.Submit]] = {}
        others: list[tuple[str, object]] = []
        for append in written:
            for name, message in append.then:
                if isinstance(message, m.Submit):
                    leaving.setdefault(name, []).append(replace(message, committed_us=now))
                else:
                    others.append((name, message))
        for name, submits in leaving.items():
            self._directory.tell(name, m.Committed(tuple(submits)))
        for name, message in others:
            self._directory.tell(name, message)
        self._wrote_us = now
        if self._checkpointer.appended([fact.event for append in written for fact in append.facts], now):
            self._checkpoint_asked = False
        self._consider_checkpoint(now)
        if not self._tidy_armed:
            self._tidy_armed = True
            self._timer.after(IDLE_US, m.RECORDER, m.Tidy())

    def _consider_checkpoint(self, now: int) -> None:
        if self._checkpoint_asked or not self._checkpointer.is_due(now):
            return
        try:
            found = checkpoint(self._log.heads(), self._log.log_head())
        except StoreError as error:  # it may have to be read for that: due again at the next write
            log.debug("- no checkpoint now: %s", error)
            return
        self._checkpoint_asked = True
        self._directory.tell(m.OPERATOR, CheckpointDue(found))

    def _tidy(self) -> None:
        if self._clock.monotonic() - self._wrote_us < IDLE_US and not self._log.is_tidy_due():
            self._timer.after(IDLE_US, m.RECORDER, m.Tidy())
            return
        self._tidy_armed = False
        self._consider_checkpoint(self._clock.monotonic())
        why = ""
        try:
            self._log.tidy()
        except StoreError as error:
            why = str(error)
            self._tidy_armed = True  # nobody may record anything for long, and it stays an alert until it is done
            self._timer.after(UNFOLDED_US, m.RECORDER, m.Tidy())
        if why != self._unfolded:
            self._unfolded = why
            log.warning("! %s" if why else "= the event store's file takes its records again%s", why)
            self._directory.tell(m.OPERATOR, m.NotFoldedBack(why))

    # --- when the store does not take it --------------------------------------------------------------------------

    def _store_down(self, why: str) -> None:
        if not self._retry_us:
            log.error("! the store takes nothing: %s", why)
            self._directory.tell(m.OPERATOR, m.StoreDown(why))
        for submit in self._waiting.give_back(self._clock.now()):
            dropped = m.Dropped(submit.intent, LATE, submit.attempt)
            self._directory.tell(m.account_name(submit.account), dropped)
        self._waiting.pack()
        now = self._clock.monotonic()
        if now < self._again_us:
            return  # somebody else had it tried: the next try is on its way
        self._retry_us = min(self._retry_us * 2 or RETRY_FIRST_US, RETRY_LAST_US)
        self._again_us = now + self._retry_us
        self._timer.after(self._retry_us, m.RECORDER, m.Flush())

    def _store_up(self) -> None:
        if self._retry_us:
            self._retry_us = self._again_us = 0
            log.warning("= the store takes facts again")
            self._directory.tell(m.OPERATOR, m.StoreUp())

    def _refuse(self, error: RecordRefused) -> None:
        """One stream cannot go on, whatever of it may still come; the others can."""
        log.error("! %s", error)
        refused = self._refused[error.stream] = m.StreamRefused(error.stream, str(error))
        self._waiting.forget(error.stream)
        if not error.stream.startswith("account:"):  # nothing is whole without these: an account alone can be missed
            self._directory.tell(m.SUPERVISOR, refused)
            return
        self._directory.tell(error.stream, refused)
        self._directory.tell(m.OPERATOR, refused)

    def _read(self, reading: Reading) -> None:
        """Answer with what is stored and what waits, so that a restarted actor misses nothing."""
        message, records = reading.read, reading.records
        try:
            stored = self._log.read_stream(message.stream, after=message.after + len(records))
            part = [(recorded.event, recorded.at_us) for recorded in islice(stored, READ_AT_ONCE)]
        except (StoreUnavailable, StoreBroken) as error:  # of one account: the others go on meanwhile
            if message.stream not in self._unread:
                log.warning("! %s is read later: %s", message.stream, error)
                self._unread.add(message.stream)
            self._directory.tell(m.OPERATOR, m.StreamUnread(message.stream, str(error)))
            pause = UNREAD_US if isinstance(error, StoreBroken) else RETRY_LAST_US
            self._timer.after(pause, m.RECORDER, reading)
            return
        records.extend(part)
        if len(part) == READ_AT_ONCE:
            self._directory.tell(m.RECORDER, reading)
            return
        if message.stream in self._unread:
            self._unread.discard(message.stream)
            self._directory.tell(m.OPERATOR, m.StreamUnread(message.stream, ""))
        for append in self._waiting.of(message.stream):
            # A batch whose answer was lost is in the file and waits all the same.
            fresh = append.facts[max(0, message.after + len(records) + 1 - append.version) :]
            records.extend((fact.event, append.at_us) for fact in fresh)
        told = m.StreamRead(message.stream, tuple(records), reading.life, message.after)
        self._directory.tell(message.reply_to, told)
