"""The projector: pages of the log into `views.db`, each in one transaction with the position it brings.

Run as a process of its own (`python -m cmam.store.projection.projector --home DIR`): in the trading process it would
slow every copy down. Its standard input is held by whoever started it; at its end the projector drains the log and
exits. What it writes can always be made anew from the log, and is, whenever the code that fills the tables has changed.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from sqlite_utils import Database

from cmam.domain.belief.copies import CopyKey
from cmam.domain.values.ids import AccountId, OrderId
from cmam.domain.values.quantities import Volume, units_text
from cmam.store.errors import StoreError, StoreHeld, StoreUnavailable, ViewsDamaged
from cmam.store.folding.fold import ACCOUNT_PREFIX, AccountStep, Fold, account_of
from cmam.store.folding.snapshot import keep, kept_before, pack
from cmam.store.folding.telling import Told
from cmam.store.logfile.database import explain
from cmam.store.logfile.lock import StoreLock
from cmam.store.logfile.log import EventLog
from cmam.store.projection import schema
from cmam.store.projection.rows import Change, Row
from cmam.store.projection.rows_of_accounts import Answer, answered_by, changes_of_account, healed_by
from cmam.store.projection.rows_of_closes import closes, leader_closes
from cmam.store.projection.rows_of_copies import copy_row, former_lives, touched_copies
from cmam.store.projection.rows_of_orders import fills
from cmam.store.projection.rows_of_registry import changes_of_registry
from cmam.store.projection.spacing import Spacing, thin
from cmam.store.projection.views_file import HASH, POSITION, VIEWS_NAME, discard_views, meta, open_views, views_position
from cmam.store.projection.words import Words, words_of
from cmam.store.records.envelope import Raw, UnknownEvent
from cmam.store.text import iso

TOLD_ONCE = ("label", "comment", "decided_bid", "decided_ask", "leader_bid", "leader_ask")
"""What a copy's row has of its decision, and of nothing that comes later."""
LOCK_NAME = "views.lock"
PAGE = 1_000
"""Records projected in one transaction: few commits, and a reader never waits long."""
POLL_S = 0.02
"""How often the log is asked whether there is something new: one PRAGMA, a few microseconds."""
SNAPSHOT_EVERY = 20_000
"""So many records may have to be folded again after the projector was killed."""
WAIT_TRIES = 100
"""Times 50 ms: how long an audit waits for a living projector to come up to the head of the log."""
RETRY_S = 1.0
"""How long to wait before views that could not be written are tried again."""
SAID_EVERY = 60
"""What goes wrong again and again is said the first time, and then once in so many tries."""
TAKE_OVER_S = 10.0
"""How long a new projector waits for one that still drains, or for an audit that projects."""


class AnotherProjector(StoreError):
    """The views moved on under us: somebody else projects into them."""


class Projector:
    """Brings one set of views up to its log."""

    def __init__(self, log: EventLog, views: Database) -> None:
        self._log = log
        self._views = views
        self._fold = Fold()
        self._told = Told()
        self._spacing = Spacing()
        self._folded: dict[str, int] = {}
        self._since_snapshot = 0
        self.position = int(meta(views, POSITION) or 0)
        self._restore()

    def project(self) -> int:
        """Project everything that is in the log now; answers the position reached."""
        while self.project_page():
            pass
        return self.position

    def project_page(self, until: int | None = None) -> int:
        """Project one page, in one transaction, none beyond a position; answers how many records it had."""
        limit = PAGE if until is None else min(PAGE, max(0, until - self.position))
        page = self._log.page_of_raw(self.position, limit) if limit else []
        if page:
            rows, healed = _Rows(), []
            for raw in page:
                healed += self._take(raw, rows)
            self._show_copies(rows)
            self._write(page, rows, healed)
        return len(page)

    def keep_snapshots(self) -> None:
        """Store all that was folded, so that the next projector need not fold it again."""
        self._keep(self._fold.accounts)
        self._since_snapshot = 0

    def _keep(self, accounts: Iterable[AccountId]) -> None:
        rows = []
        for account in accounts:
            view, stream = self._fold.accounts[account], f"{ACCOUNT_PREFIX}{account}"
            state, record = keep(view, self._told.of(account)), self._log.record(stream, view.version)
            self._spacing.was_kept(stream, view.version, len(state or b""))  # what has no bytes is not tried each page
            if state is not None and record is not None:
                name, link, packed = f"{stream}@{view.version}", record.hash, pack(state)
                rows.append({"name": name, "stream": stream, "version": view.version, "hash": link, "state": packed})
        with self._change():
            self._views.table(schema.FOLDS).upsert_all(rows, pk="name")
            for row in rows:
                thin(self._views, str(row["stream"]))

    @contextmanager
    def _change(self) -> Iterator[None]:
        """One transaction; what SQLite has against it is told of the views."""
        try:
            with self._views.atomic():
                yield
        except sqlite3.Error as error:
            raise explain(error, self._log.path.with_name(VIEWS_NAME), is_log=False) from error

    def _due(self, page: Sequence[Raw]) -> list[AccountId]:
        """The accounts of a page of which an old story would have to fold far from the last snapshot."""
        last = {raw.stream: raw.version for raw in page}
        found = ((account_of(stream), self._spacing.is_due(stream, version)) for stream, version in last.items())
        return [account for account, is_due in found if is_due and account in self._fold.accounts]

    # --- folding ------------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        """Fold the registry again, which is small; accounts follow from their snapshots when they are first met."""
        for stream in self._log.heads():
            if account_of(stream) is None and not stream.startswith("connection:"):
                self._fold.run(self._log.facts_of(stream, 0, self.position))

    def _bring_up(self, raw: Raw) -> None:
        """Have the account's view stand just before this record."""
        account = account_of(raw.stream)
        if account is None or raw.stream in self._folded:
            return
        self._folded[raw.stream] = raw.version
        kept, after = kept_before(self._views, raw.stream, raw.version), 0
        if kept is not None:
            self._fold.accounts[account], after = kept.view, kept.view.version
            self._told.places[account] = kept.told
        for record in self._log.read_stream(raw.stream, after=after):
            if record.version >= raw.version:
                break
            self._told.take(self._fold.take(record))

    def _take(self, raw: Raw, rows: _Rows) -> list[AccountStep]:
        """Fold one record into rows. One that cannot be read or shown is noted, and the rest goes on."""
        try:
            self._bring_up(raw)
            record = self._log.decode(raw)
            step = self._fold.take(record)
            self._told.take(step)
            if isinstance(record.event, UnknownEvent):
                rows.add(schema.ERRORS, _error(raw, record.event.why))
            store = self._fold.registry.store
            if not isinstance(step, AccountStep):
                rows.add_all(changes_of_registry(step))
                rows.add_words(words_of(step, store))
                return []
            for name, life in former_lives(step, store):
                rows.put_aside(name, life, self._views)
            rows.add_all(changes_of_account(step, store))
            rows.answer(answered_by(step))
            rows.add_closes(closes(step, store), self._views)
            rows.add_new(schema.LEADER_CLOSES, leader_closes(step, self._fold.registry))
            rows.touch(step)
            rows.fill(fills(step, store))
            rows.add_words(words_of(step, store))
            return [step] if healed_by(step) is not None else []
        except Exception as error:  # noqa: BLE001 - one bad record must not hide all that follow it
            rows.add(schema.ERRORS, _error(raw, f"{type(error).__name__}: {error}"))
            return []

    def _show_copies(self, rows: _Rows) -> None:
        """The rows of all copies that the page touched, each as its last record left it."""
        for key, step in rows.touched():
            try:
                rows.add(schema.COPIES, copy_row(step, key, self._fold.registry.store))
            except Exception as error:  # noqa: BLE001 - one that cannot be shown must not hide the others
                record = step.record
                raw = Raw(record.position, record.stream, record.version, record.topic, record.state)
                rows.add(schema.ERRORS, _error(raw, f"{type(error).__name__}: {error}"))

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write(self, page: Sequence[Raw], rows: _Rows, healed: Sequence[AccountStep]) -> None:
        last = page[-1]
        with self._change():
            self._move(last)
            rows.write(self._views)
            for step in healed:
                self._heal(step)
        self.position = last.position
        self._since_snapshot += len(page)
        if self._since_snapshot >= SNAPSHOT_EVERY:
            self.keep_snapshots()
        elif due := self._due(page):
            self._keep(due)

    def _move(self, last: Raw) -> None:
        """Write first, so that the transaction is a writing one from its start; refuse if somebody else moved on."""
        moved = self._views.execute(
            "UPDATE meta SET value = ? WHERE name = ? AND value = ?",
            [str(last.position), POSITION, str(self.position)],
        ).rowcount
        if moved != 1:
            raise AnotherProjector("Another process projects into the same views; this one stops.")
        self._views.execute("UPDATE meta SET value = ? WHERE name = ?", [last.hash, HASH])

    def _heal(self, step: AccountStep) -> None:
        event = healed_by(step)
        assert event is not None
        self._views.execute(
            "UPDATE alerts SET healed_at = ? WHERE account = ? AND kind = ? AND healed_at IS NULL AND position < ?",
            [iso(step.record.at_us), int(step.after.account), event.kind, step.record.position],
        )


class _Rows:
    """The rows of one page, merged by key: what was said last of each column stands."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[object, Row]] = {}
        self._words: list[Words] = []
        self._fills: dict[str, tuple[Volume, OrderId | None]] = {}
        self._touched: dict[tuple[AccountId, CopyKey], AccountStep] = {}
        self._ended: list[tuple[str, str]] = []
        self._closed: set[tuple[int, int]] = set()
        self._closers: list[tuple[str | None, int, int]] = []
        self._answers: list[Answer] = []

    def add(self, table: str, row: Row) -> None:
        key = row[schema.TABLES[table].key]
        self._tables.setdefault(table, {}).setdefault(key, {}).update(row)

    def add_all(self, changes: Iterable[Change]) -> None:
        for table, row in changes:
            self.add(table, row)

    def add_new(self, table: str, rows: Iterable[Row]) -> None:
        """Rows of which the first stands, however often they are told."""
        known = self._tables.setdefault(table, {})
        for row in rows:
            known.setdefault(row[schema.TABLES[table].key], row)

    def add_closes(self, rows: Iterable[Row], views: Database) -> None:
        """Closes of one record. Whose a deal was, and in how many parts, stands as it was told first; who closed may be
        told afterwards."""
        deals: dict[tuple[int, int], list[Row]] = {}
        for row in rows:
            deals.setdefault((row["follower"], row["deal"]), []).append(row)
        told = f"SELECT 1 FROM {schema.CLOSES} WHERE deal = ? AND follower = ?"
        for (follower, deal), parts in deals.items():
            if (follower, deal) in self._closed or views.execute(told, [deal, follower]).fetchone() is not None:
                self._closers.append((parts[0]["closed_by"], deal, follower))
                continue
            self._closed.add((follower, deal))
            self._tables.setdefault(schema.CLOSES, {}).update({part["close_id"]: part for part in parts})

    def put_aside(self, name: str, life: Row, views: Database) -> None:
        """Keep a copy's row that its next life would write over, with what only its decision told of it."""
        told = views.execute(f"SELECT {', '.join(TOLD_ONCE)} FROM {schema.COPIES} WHERE copy_id = ?", [name]).fetchone()
        row = dict(zip(TOLD_ONCE, told, strict=True)) if told is not None else {}
        waiting = self._tables.get(schema.COPIES, {}).get(name, {})
        row |= {column: waiting[column] for column in TOLD_ONCE if column in waiting}
        self.add(schema.COPIES, {**row, **life})
        self._ended.append((life["copy_id"], name))
        for close in self._tables.get(schema.CLOSES, {}).values():
            if close["copy_id"] == name:
                close["copy_id"] = life["copy_id"]

    def touch(self, step: AccountStep) -> None:
        """Remember which copies a record touched: a copy changes many times a page, and its last row has it all."""
        account = step.after.account
        for key in touched_copies(step.before, step.after):
            if step.after.copy(key) is not None:
                self._touched[account, key] = step

    def touched(self) -> Iterator[tuple[CopyKey, AccountStep]]:
        """Each copy with the last record that touched it."""
        return ((key, step) for (_, key), step in self._touched.items())

    def add_words(self, words: Iterable[Words]) -> None:
        self._words.extend(words)

    def fill(self, fills: Iterable[tuple[str, Volume, OrderId | None]]) -> None:
        """Remember what requests have filled: it only grows, and stands where the request stands, and nowhere else."""
        for intent, volume, order in fills:
            known, number = self._fills.get(intent, (volume, None))
            self._fills[intent] = (max(volume, known), order if number is None else number)

    def answer(self, answer: Answer | None) -> None:
        """Remember what a decision came to that had let something wait."""
        if answer is not None:
            self._answers.append(answer)

    def write(self, views: Database) -> None:
        """Upsert them, those with the same columns together."""
        if self._words:
            sql = f"INSERT INTO {schema.SEARCH} (kind, id, copy_id, words) VALUES (?, ?, ?, ?)"
            views.conn.executemany(sql, self._words)
        if self._ended:
            sql = f"UPDATE {schema.CLOSES} SET copy_id = ? WHERE copy_id = ?"
            views.conn.executemany(sql, self._ended)
        for table in (schema.CLOSES, schema.LEADER_CLOSES):
            fresh = self._tables.pop(table, {}).values()
            views.table(table).insert_all(fresh, pk=schema.TABLES[table].key, ignore=True)
        if self._closers:
            sql = f"UPDATE {schema.CLOSES} SET closed_by = ? WHERE deal = ? AND follower = ? AND closed_by IS NULL"
            views.conn.executemany(sql, self._closers)
        for table, rows in self._tables.items():
            by_columns: dict[tuple[str, ...], list[Row]] = {}
            for row in rows.values():
                by_columns.setdefault(tuple(sorted(row)), []).append(row)
            for same in by_columns.values():
                views.table(table).upsert_all(same, pk=schema.TABLES[table].key, batch_size=500)
        if self._answers:
            which = "change = ? AND follower = ? AND link = ? AND wait = coalesce(?, wait) AND verdict = 'copy'"
            volume = "CASE WHEN CAST(volume AS REAL) = 0 THEN ? ELSE volume END"  # a turn's is what it closes
            sql = f"UPDATE {schema.DECISIONS} SET verdict = ?, reason = ?, volume = {volume} WHERE {which}"
            views.conn.executemany(sql, self._answers)
        if self._fills:
            filled = "CASE WHEN CAST(filled AS REAL) < CAST(?2 AS REAL) THEN ?2 ELSE filled END"
            number = "coalesce(follower_order, ?3)"
            sql = f"UPDATE {schema.ORDERS} SET filled = {filled}, follower_order = {number} WHERE intent = ?1"
            values = [(intent, units_text(volume), order) for intent, (volume, order) in self._fills.items()]
            views.conn.executemany(sql, values)


def _error(raw: Raw, text: str) -> Row:
    return {
        "position": raw.position,
        "stream": raw.stream,
        "version": raw.version,
        "topic": raw.topic,
        "error": text[:1_000],
    }


# --- bringing views up ----------------------------------------------------------------------------------------------


def project_to_head(home: Path) -> int:
    """Bring the views of a folder up to all that is committed now; answers how many records they are behind.

    If a projector lives it is waited for, at most five seconds; otherwise this process projects.
    """
    with closing(EventLog.read_only(home)) as log:
        head = log.position()
        lock = StoreLock(home, name=LOCK_NAME)
        for _ in range(WAIT_TRIES):
            try:
                with lock.acquire(since="", command="cmam audit", patience_s=0.05):
                    _project_once(log, home)
                    return 0
            except StoreHeld:
                if (views_position(home) or 0) >= head:
                    return 0
        return head - (views_position(home) or 0)


def damaged_views(home: Path, error: sqlite3.Error) -> StoreError:
    """What a reader of views that cannot be read is told; they are thrown away, so that who asks next has new ones."""
    found = explain(error, home / VIEWS_NAME, is_log=False)
    if not isinstance(found, ViewsDamaged):
        return found
    try:
        with StoreLock(home, name=LOCK_NAME).acquire(since="", command="cmam audit", patience_s=0.05):
            discard_views(home / VIEWS_NAME)
    except (StoreError, OSError):  # a projector that lives would go on in a file without a name
        return ViewsDamaged(f"{found} Stop cmam and ask again.")
    return ViewsDamaged(f"{found} Ask again.")


def _project_once(log: EventLog, home: Path) -> None:
    try:
        _project_all(log, home)
    except ViewsDamaged:
        discard_views(home / VIEWS_NAME)
        _project_all(log, home)


def _project_all(log: EventLog, home: Path) -> None:
    views = open_views(log, home / VIEWS_NAME)
    try:
        projector = Projector(log, views)
        was = projector.position
        if projector.project() - was >= PAGE:
            projector.keep_snapshots()
    finally:
        views.close()


# --- the process --------------------------------------------------------------------------------------------------


def follow(log: EventLog, home: Path, held: int = 0) -> None:
    """Project whatever comes, until the file descriptor `held` ends; then once more, and return."""
    said, times = "", 0
    while why := _follow_until_it_fails(log, home, held):
        times = times + 1 if why == said else 0
        said = why
        if times % SAID_EVERY == 0:  # a disk that is full for hours fills nobody's screen
            _say(why)
        if _has_ended(held, RETRY_S):
            return


def _follow_until_it_fails(log: EventLog, home: Path, held: int) -> str:
    """Why it failed, or "" at the end of `held`. It is begun anew from the file: what is in memory may be ahead."""
    try:
        with closing(open_views(log, home / VIEWS_NAME)) as views:
            projector, seen, has_ended = Projector(log, views), -1, False
            while not has_ended:
                has_ended = _has_ended(held, POLL_S)
                log.expect_in_place()
                version = log.data_version()
                if version != seen or has_ended:
                    seen = version
                    projector.project()
            projector.keep_snapshots()
    except ViewsDamaged as error:
        discard_views(home / VIEWS_NAME)
        return str(error)
    except StoreUnavailable as error:
        return str(error)
    return ""


def _has_ended(held: int, wait_s: float) -> bool:
    readable, _, _ = select.select([held], [], [], wait_s)
    return bool(readable) and not os.read(held, 4_096)


def _say(text: str) -> None:
    print(f"! {text}", file=sys.stderr, flush=True)  # noqa: T201 - a process of its own has only its own stderr


def main(arguments: Sequence[str] | None = None) -> int:
    """Follow the log of a folder until standard input ends."""
    parser = argparse.ArgumentParser(prog="cmam.store.projection.projector", description=main.__doc__)
    parser.add_argument("--home", type=Path, required=True)
    home: Path = parser.parse_args(arguments).home
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # they are for the parent, whose end closes our stdin
        signal.signal(number, signal.SIG_IGN)
    try:
        with (
            closing(EventLog.read_only(home)) as log,
            StoreLock(home, name=LOCK_NAME).acquire(since="", command="cmam projector", patience_s=TAKE_OVER_S),
        ):
            follow(log, home)
    except StoreError as error:
        _say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
