"""Where a start begins: every account from the projector's last snapshot of it, and only what came after from the log.

A snapshot is a cache: one is taken only where its views were made by this very code from this very log, the record it
stands at has the same link in the chain, and nothing of its stream was passed over. Anything else is folded from the
first record, so that a start never rests on what only a cache says. `verify` looks at the whole log, a start does not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from sqlite_utils import Database

from cmam.domain.account import AccountView
from cmam.domain.ids import AccountId
from cmam.store.fold import ACCOUNT_PREFIX, Fold, account_of
from cmam.store.log import EventLog
from cmam.store.snapshot import Snapshot, restore
from cmam.store.telling import NOTHING, Place, Told
from cmam.store.views_file import VIEWS_NAME, find_views

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


def begin(log: EventLog) -> Beginning:
    """What a start rests on."""
    state, told = Fold(), Told()
    kept = _kept(log)
    for stream, head in log.heads().items():
        if stream.startswith(CONNECTIONS):
            continue
        account, after = account_of(stream), 0
        snapshot = kept.get(stream)
        if account is not None and snapshot is not None and snapshot.view.version <= head.version:
            state.accounts[account], after = snapshot.view, snapshot.view.version
            told.places[account] = snapshot.told
        for record in log.read_stream(stream, after=after):
            told.take(state.take(record))
    state.position = log.position()
    last = {account: told.of(account) for account in state.accounts}
    return Beginning(state, last, dict(_pasts(log, _missed(state, last))))


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


def _kept(log: EventLog) -> dict[str, Snapshot]:
    """The snapshots that the projector kept and that fit, by stream."""
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
    found = {row[0]: _fitting(log, *row) for row in rows if row[0] not in faulty}
    return {stream: snapshot for stream, snapshot in found.items() if snapshot is not None}


def _views(log: EventLog) -> Database | None:
    """The views beside the log, where this code made them from it."""
    path = log.path.with_name(VIEWS_NAME)
    if not path.exists():
        return None
    try:
        return find_views(log, path)
    except sqlite3.Error:
        return None


def _faulty(views: Database) -> frozenset[str]:
    """The streams of which the projector passed something over."""
    return frozenset(row[0] for row in views.execute("SELECT DISTINCT stream FROM projection_errors"))


def _fitting(log: EventLog, stream: str, version: int, link: str, state: bytes) -> Snapshot | None:
    """A snapshot, if the record that it stands at is still the one that it was made of."""
    record = log.record(stream, version)
    found = restore(state) if record is not None and record.hash == link else None
    return found if found is not None and found.view.version == version else None
