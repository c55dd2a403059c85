"""What one process of a crew does with its share of a log, and how it says what came out.

Orders and answers are JSON. An account's view goes home as the bytes that a snapshot has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from cmam.domain.belief.view import AccountView
from cmam.domain.events import ChangeDecided
from cmam.domain.values.ids import AccountId
from cmam.store.folding.fold import ACCOUNT_PREFIX, Fold, account_of
from cmam.store.folding.snapshot import Snapshot, keep, unkeep
from cmam.store.folding.telling import Told
from cmam.store.logfile.log import EventLog
from cmam.store.past.replay import DIFFERENCES_MAX, Difference, Replay, Replayed, Witness
from cmam.store.records.envelope import Recorded

EVERY = 1_000
"""Between two words about how far one is lie so many records."""
AFTER_ALL = 1 << 62
"""Where what is found missing at the end of a log stands in the order of findings."""

Tick = Callable[[int], None]
"""Told now and then how many records this process has read."""
_Read = TypeVar("_Read")


class Job(StrEnum):
    """What there is to do: views, views with the last change that each account told, or everything derived again."""

    FOLD = "fold"
    TELL = "tell"
    JUDGE = "judge"


class Order(msgspec.Struct, frozen=True):
    """A share of the work: which log up to which record, the accounts of this share, and what is read beside them.

    `others` are the streams of no account: only `counts_others` counts them. `unread` are accounts of other shares.
    """

    job: Job
    parts: tuple[str, ...]
    end: int
    own: tuple[AccountId, ...]
    beside: tuple[AccountId, ...] = ()
    others: tuple[str, ...] = ()
    unread: frozenset[AccountId] = frozenset()
    counts_others: bool = False

    def write(self) -> bytes:
        """The order as one line."""
        return msgspec.json.encode(self)

    @classmethod
    def read(cls, line: bytes) -> Self:
        """The order that was written; raises msgspec.MsgspecError."""
        return msgspec.json.decode(line, type=cls)


class NoAnswer(Exception):
    """Only a process that reads everything can tell, as where a decision names a leader that no profile names."""


# --- folding ----------------------------------------------------------------------------------------------------------


class Folded(msgspec.Struct):
    """The views of a share, as bytes, and how many records they are made of."""

    records: int
    views: list[bytes]

    @classmethod
    def of(cls, records: int, views: Iterable[AccountView], told: Told) -> Self:
        """Views as bytes; raises NoAnswer for one that has none."""
        kept = [keep(view, told.of(view.account)) for view in views]
        if None in kept:
            raise NoAnswer("a view has no bytes to send")
        return cls(records, [one for one in kept if one is not None])

    def snapshots(self) -> Iterator[Snapshot]:
        """The views again, each with the last place it told."""
        for state in self.views:
            found = unkeep(state)
            if found is None:
                raise NoAnswer("a view came back that cannot be read")
            yield found


def fold_share(order: Order, log: EventLog, tick: Tick) -> Folded:
    """The views of a share."""
    count = Count(tick)
    folded = Fold().run(count.of(log.facts_among(_streams(order.own), order.end)))
    return Folded.of(count.read, folded.accounts.values(), Told())


def tell_share(order: Order, log: EventLog, tick: Tick) -> Folded:
    """The views of a share, stream by stream, with the last change that each told."""
    count, folded, told = Count(tick), Fold(), Told()
    for stream in _streams(order.own):
        for record in count.of(log.read_stream(stream)):
            told.take(folded.take(record))
    return Folded.of(count.read, folded.accounts.values(), told)


# --- judging ----------------------------------------------------------------------------------------------------------


class Judged(msgspec.Struct):
    """What a replay of a share saw of its own accounts, each difference with its place in the order of findings."""

    records: int = 0
    inputs: int = 0
    derived: int = 0
    decisions: int = 0
    codes: list[str] = []
    differences: list[tuple[tuple[int, int], Difference]] = []
    more_differences: int = 0


def judge_share(order: Order, log: EventLog, tick: Tick) -> Judged:
    """Derive again what a share's accounts derived, and compare."""
    streams = [*_streams((*order.own, *order.beside)), *order.others]
    judge = _Judge(order)
    judge.run(Count(tick).of(log.read_among(streams, order.end)))
    return judge.judged()


def sum_of(shares: Iterable[Judged]) -> Replayed:
    """What one replay of everything would have seen."""
    found, listed = Replayed(), []
    for share in shares:
        found.records += share.records
        found.inputs += share.inputs
        found.derived += share.derived
        found.decisions += share.decisions
        found.codes |= set(share.codes)
        found.more_differences += share.more_differences
        listed += share.differences
    listed.sort(key=lambda one: one[0])
    found.differences = [difference for _, difference in listed[:DIFFERENCES_MAX]]
    found.more_differences += len(listed[DIFFERENCES_MAX:])
    return found


class _Judge(Replay):
    """A replay that judges some accounts; witnesses go the same way, since what they tell hangs on it, uncounted."""

    def __init__(self, order: Order) -> None:
        super().__init__()
        self._own, self._unread = frozenset(order.own), order.unread
        self._counts_others = order.counts_others
        self._counted, self._aside = self.result, Replayed()
        self._began: dict[AccountId, int] = {}
        self._place = (0, 0)
        self._places_found: list[tuple[int, int]] = []

    def run(self, records: Iterable[Recorded]) -> Replayed:
        """Replay all records, then say what is missing at the end, the account first whose stream began first."""
        for record in records:
            self.take(record)
        for number in self._began:
            self._turn_to(number, (AFTER_ALL, self._began[number]))
            self.end_of(number)
        return self._counted

    def take(self, record: Recorded) -> None:
        """Replay the next record."""
        number = account_of(record.stream)
        if number is not None:
            self._began.setdefault(number, record.position)
        self._turn_to(number, (record.position, 0))
        super().take(record)

    def judged(self) -> Judged:
        """What was seen of the accounts that are judged here."""
        found = self._counted
        return Judged(
            found.records,
            found.inputs,
            found.derived,
            found.decisions,
            sorted(found.codes),
            list(zip(self._places_found, found.differences, strict=True)),
            found.more_differences,
        )

    def _turn_to(self, number: AccountId | None, place: tuple[int, int]) -> None:
        """From here on it is about an account, or about none."""
        is_counted = self._counts_others if number is None else number in self._own
        self.result = self._counted if is_counted else self._aside
        self._place = place

    def _leader_of(self, event: ChangeDecided) -> Witness | None:
        if event.change.leader in self._unread and self.result is self._counted:
            raise NoAnswer(f"account {event.change.leader} leads by no profile")
        return super()._leader_of(event)

    def _differ(self, record: Recorded, computed: str, why: str) -> None:
        super()._differ(record, computed, why)
        if self.result is self._counted and len(self.result.differences) > len(self._places_found):
            self._places_found.append(self._place)


# --- as bytes ---------------------------------------------------------------------------------------------------------


def answer_to(order: Order, tick: Tick) -> bytes:
    """Do what an order says on a log that is opened for it; answers as JSON. Raises StoreError or NoAnswer."""
    with closing(EventLog.read_file(Path(order.parts[-1]))) as log:
        if parts_of(log) != order.parts:
            raise NoAnswer("the log has other files than a moment ago")
        return msgspec.json.encode(do(order, log, tick))


def do(order: Order, log: EventLog, tick: Tick) -> Folded | Judged:
    """Do what an order says on a log that is open."""
    if order.job is Job.JUDGE:
        return judge_share(order, log, tick)
    return (tell_share if order.job is Job.TELL else fold_share)(order, log, tick)


def parts_of(log: EventLog) -> tuple[str, ...]:
    """The files of a log, the oldest first, as another process finds them."""
    return tuple(str(part.path.absolute()) for part in log.parts)


def _streams(accounts: Collection[AccountId]) -> list[str]:
    return [f"{ACCOUNT_PREFIX}{account}" for account in accounts]


class Count:
    """Counts what goes by, and says so now and then."""

    def __init__(self, tick: Tick = lambda _: None) -> None:
        self.read = 0
        self._tick = tick

    def of(self, records: Iterable[_Read]) -> Iterator[_Read]:
        """The same records, counted."""
        for record in records:
            yield record
            self.read += 1
            if not self.read % EVERY:
                self._tick(self.read)
