"""Where a start begins: every account from the projector's last snapshot of it, and only what came after from the log.

A snapshot is a cache: one is taken only where its views were made by this very code from this very log, the record it
stands at has the same link in the chain, and nothing of its stream was passed over. Anything else is folded from the
first record, so that a start never rests on what only a cache says. `verify` looks at the whole log, a start does not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from sqlite_utils import Database

from cmam.domain.account import AccountView
from cmam.store.fold import Fold, account_of
from cmam.store.log import EventLog
from cmam.store.snapshot import restore
from cmam.store.views_file import VIEWS_NAME, find_views

CONNECTIONS = "connection:"
"""Streams that change nothing of what is believed."""


def begin(log: EventLog) -> Fold:
    """Everything that is believed at the end of the log."""
    state = Fold()
    kept = _kept(log)
    for stream, head in log.heads().items():
        if stream.startswith(CONNECTIONS):
            continue
        account, after = account_of(stream), 0
        view = kept.get(stream)
        if account is not None and view is not None and view.version <= head.version:
            state.accounts[account], after = view, view.version
        for record in log.read_stream(stream, after=after):
            state.take(record)
    state.position = log.position()
    return state


def _kept(log: EventLog) -> dict[str, AccountView]:
    """The views that the projector kept and that fit, by stream."""
    path = log.path.with_name(VIEWS_NAME)
    if not path.exists():
        return {}
    try:
        views = find_views(log, path)
        if views is None:
            return {}
        try:
            return dict(_fitting(log, views))
        finally:
            views.close()
    except sqlite3.Error:
        return {}  # damaged: the log has it all


def _fitting(log: EventLog, views: Database) -> Iterator[tuple[str, AccountView]]:
    query = (  # of the views that were kept of an account, the last: SQLite takes the other columns from its row
        "SELECT stream, max(version), hash, state FROM folds"
        " WHERE stream NOT IN (SELECT stream FROM projection_errors) GROUP BY stream"
    )
    for stream, version, link, state in views.execute(query):
        record = log.record(stream, version)
        view = restore(state) if record is not None and record.hash == link else None
        if view is not None and view.version == version:
            yield stream, view
