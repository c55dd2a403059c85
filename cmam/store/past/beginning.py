"""Where a start or a look begins: every account from the projector's last snapshot of it, and from the log what came
after.

A snapshot is a cache: one is taken only where its views were made by this very code from this very log, the record it
stands at has the same link in the chain, and nothing of its stream was passed over. Anything else is folded from the
first record, so that nobody rests on what only a cache says. `verify` looks at the whole log, a start does not. It
writes nothing, and the log may grow meanwhile.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from sqlite_utils import Database

from cmam.domain.belief.view import AccountView
from cmam.domain.operating.registry import Registry
from cmam.domain.values.ids import AccountId
from cmam.domain.values.rules.newest import RULES
from cmam.store.errors import StoreNewer
from cmam.store.folding.fold import ACCOUNT_PREFIX, Fold, account_of
from cmam.store.folding.snapshot import Snapshot, restore
from cmam.store.folding.telling import NOTHING, Place, Told
from cmam.store.logfile.log import EventLog
from cmam.store.past.together import ALL_HANDS, LONG, Hands, fold_together, tell_together
from cmam.store.projection.views_file import VIEWS_NAME, look_at_views
from cmam.store.records.envelope import Fact

CONNECTIONS = "connection:"
"""Streams that change nothing of what is believed."""
LAST = 1 << 62
"""A number behind all versions and indexes."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Everything that is believed at the end of the log, and the last change that each account's record has told.

    `pasts` has a view of an earlier time of each leader that told changes which a follower has not decided: from there
    they can be folded again.
    """

    fold: Fold
    told: Mapping[AccountId, Place]
    pasts: Mapping[AccountId, AccountView]


def believe(log: EventLog, hands: Hands = ALL_HANDS, end: int | None = None) -> Fold:
    """Everything that is believed at the end of a log, or after the record at a position: what `fold_log` says of it,
    from as few records as possible."""
    kept = _kept(log, LAST if end is None else end)
    if not kept:
        return fold_together(log, end, hands)
    end = log.position() if end is None else end  # asked after the snapshots: none of them stands behind it
    state = Fold()
    accounts, others = _streams(log)
    for stream, account in accounts.items():
        after, snapshot = 0, kept.get(stream)
        if snapshot is not None:
            state.accounts[account], after = snapshot.view, snapshot.view.version
        state.run(log.facts_of(stream, after, end))
    state.run(_together(log, others, end))
    state.position, state.at_us = end, _moment(log, end)
    return state


def _folded(log: EventLog, accounts: Mapping[str, AccountId], hands: Hands) -> dict[str, Snapshot]:
    """Snapshots made now, by several processes, of accounts that have none; none where one process is as quick."""
    found = tell_together(log, {account: log.head(stream).version for stream, account in accounts.items()}, hands)
    return {f"{ACCOUNT_PREFIX}{snapshot.view.account}": snapshot for snapshot in found or ()}


def organise(log: EventLog, end: int) -> Registry:
    """The accounts and profiles as the log says up to a position, without a look at what any account did."""
    return Fold().run(_together(log, _streams(log)[1], end)).registry


def expect_known_rules(log: EventLog, found: Fold) -> None:
    """Refuse to go on where a newer cmam has decided by rules that this one does not know; raises StoreBroken."""
    newest, account = max(((view.rules, account) for account, view in found.accounts.items()), default=(0, 0))
    if newest > RULES:
        stream = f"{ACCOUNT_PREFIX}{account}"
        last = next(log.read_stream(stream, after=log.head(stream).version - 1), None)
        used, knows = f"it has decided by rules of number {newest}", f"rules up to number {RULES}"
        raise StoreNewer(log.path, used, knows, last.code if last is not None else "")


def begin(log: EventLog, hands: Hands = ALL_HANDS, on_long: Callable[[int], None] = lambda _: None) -> Beginning:
    """What a start rests on. `on_long` hears how many records of accounts are to be read where that takes its time: as
    at the first start of each version, whose code no snapshot fits."""
    state, told = Fold(), Told()
    kept = _kept(log)
    accounts, others = _streams(log)
    count = sum(log.head(stream).version - (kept[stream].view.version if stream in kept else 0) for stream in accounts)
    if count >= LONG:
        on_long(count)
    kept.update(_folded(log, {stream: account for stream, account in accounts.items() if stream not in kept}, hands))
    for stream, account in accounts.items():
        after, snapshot = 0, kept.get(stream)
        if snapshot is not None:
            state.accounts[account], after = snapshot.view, snapshot.view.version
            told.places[account] = snapshot.told
        for record in log.read_stream(stream, after=after):
            told.take(state.take(record))
    end = log.position()
    state.run(_together(log, others, end))
    state.position, state.at_us = end, _moment(log, end)
    last = {account: told.of(account) for account in state.accounts}
    return Beginning(state, last, dict(_pasts(log, _missed(state, last))))


def has_snapshots(log: EventLog) -> bool:
    """Whether what is believed of every account rests on a snapshot and what came after it."""
    accounts, _ = _streams(log)
    return bool(accounts) and accounts.keys() <= _kept(log).keys()


def _streams(log: EventLog) -> tuple[dict[str, AccountId], list[str]]:
    """The streams of accounts, in the order in which they began, and the others that change what is believed."""
    found = {stream: account_of(stream) for stream in log.streams()}
    accounts = {stream: account for stream, account in found.items() if account is not None}
    return accounts, [name for name in found if name not in accounts and not name.startswith(CONNECTIONS)]


def _together(log: EventLog, streams: Sequence[str], end: int) -> Iterator[Fact]:
    """Some streams as one, in the order of the log: a profile's record rests on what `app` said before it."""
    return heapq.merge(*(log.facts_of(stream, 0, end) for stream in streams))


def _moment(log: EventLog, end: int) -> int:
    """When the record at a position was made; 0 where there is none."""
    return max((record.at_us for record in log.read(end - 1, 1)), default=0)


def _missed(state: Fold, told: Mapping[AccountId, Place]) -> dict[AccountId, int]:
    """Of each leader that told more than a follower has decided, the version at which the first of them stands."""
    found: dict[AccountId, int] = {}
    for link in state.registry.links():
        follower = state.accounts.get(link.follower)
        cursor = follower.cursors.get(link.link) if follower is not None else None
        place = (cursor.version, cursor.index) if cursor is not None else NOTHING
        if max(place, (link.since, LAST)) < told.get(link.leader, NOTHING):
            found[link.leader] = min(found.get(link.leader, LAST), max(place[0], link.since))
    return found


def _pasts(log: EventLog, missed: Mapping[AccountId, int]) -> Iterator[tuple[AccountId, AccountView]]:
    """The newest view of each leader that was kept at or before a version, where it fits the log."""
    views = _views(log) if missed else None
    if views is None:
        return
    with closing(views):
        try:
            for account, version in missed.items():
                stream = f"{ACCOUNT_PREFIX}{account}"
                if stream in _faulty(views):
                    continue
                sql = "SELECT version, hash, state FROM folds WHERE stream = ? AND version <= ? ORDER BY version DESC"
                row = views.execute(sql, [stream, version]).fetchone()
                found = _fitting(log, stream, *row) if row is not None else None
                if found is not None:
                    yield account, found.view
        except sqlite3.Error:
            return  # damaged: the log has it all


def _kept(log: EventLog, end: int = LAST) -> dict[str, Snapshot]:
    """The newest snapshots that the projector kept, by stream, if they fit and stand no later than a position."""
    views = _views(log)
    if views is None:
        return {}
    with closing(views):
        try:
            query = "SELECT stream, max(version), hash, state FROM folds GROUP BY stream"
            rows = list(views.execute(query))  # SQLite takes the other columns from the row of the last version
            faulty = _faulty(views)
        except sqlite3.Error:
            return {}  # damaged: the log has it all
    found = {row[0]: _fitting(log, *row, end=end) for row in rows if row[0] not in faulty}
    return {stream: snapshot for stream, snapshot in found.items() if snapshot is not None}


def _views(log: EventLog) -> Database | None:
    """The views beside the log, where this code made them from it."""
    path = log.path.with_name(VIEWS_NAME)
    if not path.exists():
        return None
    try:
        return look_at_views(log, path)
    except sqlite3.Error:
        return None


def _faulty(views: Database) -> frozenset[str]:
    """The streams of which the projector passed something over."""
    return frozenset(row[0] for row in views.execute("SELECT DISTINCT stream FROM projection_errors"))


def _fitting(log: EventLog, stream: str, version: int, link: str, state: bytes, *, end: int = LAST) -> Snapshot | None:
    """A snapshot, if the record that it stands at is the one that it was made of, and no later than a position."""
    record = log.record(stream, version)
    found = restore(state) if record is not None and record.hash == link and record.position <= end else None
    return found if found is not None and found.view.version == version else None
