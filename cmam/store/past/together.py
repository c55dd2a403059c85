"""A long log read by as many processes as there are processors: folded, or derived again and compared.

What comes out is what one process finds, to the last word: accounts do not rest on each other, and where a decision is
held against its leader's record, that leader is read beside it. Whenever anything else happens than that all of a sound
log was read (a damaged record, a process that died, a leader that no profile names), it is read again in this process,
whose word holds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeVar

import msgspec

from cmam.domain.operating.registry import APP, PROFILE_PREFIX
from cmam.domain.values.ids import AccountId
from cmam.store.errors import StoreError
from cmam.store.folding.fold import Fold, account_of
from cmam.store.folding.snapshot import Snapshot
from cmam.store.logfile.log import EventLog
from cmam.store.past.crew import Crew, CrewFailed, Progress, processors
from cmam.store.past.jobs import EVERY, Count, Folded, Job, Judged, NoAnswer, Order, do, parts_of, sum_of
from cmam.store.past.replay import Replay, Replayed, until
from cmam.store.past.shares import WORTH_IT, Leaders, leaders_of, split

LONG = 100_000
"""Fewer records are folded by one process almost as quickly: another one takes a third of a second to start."""
JUDGING = 4
"""Deriving a record again takes as long as folding so many."""

log = logging.getLogger(__name__)

_Read = TypeVar("_Read")
_Answer = TypeVar("_Answer", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Hands:
    """How many processes may read, from how many records on, up to which longest share; who hears how far they are."""

    processes: int = 0  # as many as there are processors
    least: int = LONG
    worth_it: float = WORTH_IT
    progress: Progress = lambda _: None

    def count(self, records: int) -> int:
        """How many processes for so many records."""
        if not records or records < self.least:
            return 1
        return self.processes or processors()

    def watched(self, records: Iterable[_Read]) -> Iterator[_Read]:
        """The same records, read by this process alone."""
        for count, record in enumerate(records):
            if not count % EVERY:
                self.progress(count)
            yield record


ALL_HANDS = Hands()


def fold_together(event_log: EventLog, end: int | None = None, hands: Hands = ALL_HANDS) -> Fold:
    """What `fold_log` makes of a log, up to a position."""
    last = _last(event_log, end)
    found = _attempt(lambda: _fold(event_log, last, hands))
    if found is None:
        facts = takewhile(lambda fact: fact[0] <= last, event_log.facts())
        found = Fold().run(hands.watched(facts))
    return found


def verify_together(event_log: EventLog, end: int | None = None, hands: Hands = ALL_HANDS) -> Replayed:
    """What `replay.verify` says of a log, up to a position."""
    last = _last(event_log, end)
    found = _attempt(lambda: _verify(event_log, last, hands))
    if found is None:
        found = Replay().run(hands.watched(until(event_log.read_all(), position=last)))
    return found


def tell_together(
    event_log: EventLog, accounts: Mapping[AccountId, int], hands: Hands = ALL_HANDS
) -> list[Snapshot] | None:
    """Some accounts folded from their first record, each with the last change that it told; None to do it alone.

    `accounts` says how many records each has.
    """
    return _attempt(lambda: _tell(event_log, accounts, hands))


def _last(event_log: EventLog, end: int | None) -> int:
    """The last record that is read: the log may grow meanwhile."""
    head = event_log.position()
    return head if end is None else min(end, head)


# --- the work ---------------------------------------------------------------------------------------------------------


def _fold(event_log: EventLog, end: int, hands: Hands) -> Fold | None:
    plan = _Plan.of(event_log, end, hands)
    orders = plan.orders(Job.FOLD, {}, hands)
    if len(orders) < 2:
        return None
    answers = _work(event_log, orders, hands.progress, Folded)
    state, last = Fold(), 0
    count = Count()
    state.run(count.of(event_log.facts_among(plan.others, end)))
    if sum(answer.records for answer in answers) + count.read != end:
        raise NoAnswer("not every record belongs to a share")
    views = {view.account: view for answer in answers for view, _ in answer.snapshots()}
    state.accounts = {account: views[account] for account in plan.accounts if account in views}
    for record in event_log.read(end - 1, 1):
        last = record.at_us
    state.position, state.at_us = end, last
    return state


def _verify(event_log: EventLog, end: int, hands: Hands) -> Replayed | None:
    plan = _Plan.of(event_log, end, hands, JUDGING)
    if plan.count < 2:
        return None
    orders = plan.orders(Job.JUDGE, leaders_of(event_log.facts_among(plan.organising, end)), hands)
    if len(orders) < 2:
        return None
    found = sum_of(_work(event_log, orders, hands.progress, Judged))
    if found.records != end:
        raise NoAnswer("not every record belongs to a share")
    return found


def _tell(event_log: EventLog, accounts: Mapping[AccountId, int], hands: Hands) -> list[Snapshot] | None:
    count = hands.count(sum(accounts.values()))
    plan = _Plan(parts_of(event_log), event_log.position(), accounts, (), count)
    orders = plan.orders(Job.TELL, {}, hands)
    if len(orders) < 2:
        return None
    answers = _work(event_log, orders, hands.progress, Folded)
    return [snapshot for answer in answers for snapshot in answer.snapshots()]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What there is to read: how many records of each account, in the order in which they began, and what else."""

    parts: tuple[str, ...]
    end: int
    accounts: Mapping[AccountId, int]
    others: tuple[str, ...]
    count: int

    @classmethod
    def of(cls, event_log: EventLog, end: int, hands: Hands, weight: int = 1) -> _Plan:
        count = hands.count(end * weight)
        if count < 2 or not event_log.path.exists():
            return cls((), end, {}, (), 1)
        heads, accounts, others = event_log.heads(), {}, []
        for stream in event_log.streams():
            account = account_of(stream)
            if account is None:
                others.append(stream)
            else:
                accounts[account] = heads[stream].version if stream in heads else 1
        return cls(parts_of(event_log), end, accounts, tuple(others), count)

    @property
    def organising(self) -> tuple[str, ...]:
        """The streams that say who follows whom."""
        return tuple(stream for stream in self.others if stream == APP or stream.startswith(PROFILE_PREFIX))

    def orders(self, job: Job, leaders: Leaders, hands: Hands) -> list[Order]:
        """The shares, that of the caller first; less than two where one process is as quick."""
        if self.count < 2 or not self.accounts:
            return []
        shares = split(self.accounts, leaders, self.count, hands.worth_it)
        return [
            Order(
                job=job,
                parts=self.parts,
                end=self.end,
                own=tuple(share.own),
                beside=tuple(sorted(share.beside)),
                others=() if job is not Job.JUDGE else self.organising if number else self.others,
                unread=frozenset(self.accounts) - share.read,
                counts_others=not number,
            )
            for number, share in enumerate(shares)
        ]


def _work(
    event_log: EventLog,
    orders: list[Order],
    progress: Progress,
    kind: type[_Answer],
) -> list[_Answer]:
    """Have all shares done, the first one here."""
    with Crew([order.write() for order in orders[1:]], progress) as crew:
        ours = do(orders[0], event_log, crew.tick)
        assert isinstance(ours, kind)
        return [ours, *(msgspec.json.decode(answer, type=kind) for answer in crew.answers())]


def _attempt(work: Callable[[], _Read | None]) -> _Read | None:
    """What comes out of a crew; None where one process has to do it after all."""
    try:
        return work()
    except (CrewFailed, NoAnswer, msgspec.MsgspecError) as error:
        log.warning("! the log is read by one process alone: %s", error)
    except StoreError:
        pass  # said by the reading that follows, of the first record that it meets
    return None
