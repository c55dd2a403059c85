"""What the command line reads of the past: lists of plain dicts, with the keys that `--json` shows.

Opened on a folder it first brings the views up to everything that is committed, so that no answer is older than the
question. It writes nothing but the views, and where it may not even write those it makes them in memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlite_utils import Database

from cmam.store.auditing.filters import (
    NO_FILTERS,
    PROFILES,
    Conditions,
    Filters,
    of_accounts,
    of_closes,
    of_copies,
    of_decisions,
    of_orders,
    of_settings,
)
from cmam.store.errors import StoreUnavailable
from cmam.store.logfile.chain import LogHead
from cmam.store.logfile.log import EventLog
from cmam.store.projection.projector import Projector, damaged_views, project_to_head
from cmam.store.projection.sql_views import CLOSED_BY
from cmam.store.projection.views_file import VIEWS_NAME, find_views, open_views
from cmam.store.proof.verify import Fault, Finding, Verified, Verifier
from cmam.store.text import money

Line = dict[str, Any]
"""One line of an answer, ready for JSON."""

PAGE = 500


class Audit(AbstractContextManager["Audit"]):
    """The past of one store. Close it, or use `with`."""

    def __init__(self, log: EventLog, views: Database, *, behind: int = 0, home: Path | None = None) -> None:
        self.log = log
        self.views = views
        self._home = home
        self.behind = behind
        """How many records the views lack because a projector that lives does not come along."""

    @classmethod
    def open(cls, home: Path) -> Self:
        """Open the past of a folder, up to all that is committed; raises StoreMissing where there is no store."""
        log = EventLog.read_only(home)
        try:
            behind = project_to_head(home)
        except StoreUnavailable:
            return cls.of(log)
        views = find_views(log, home / VIEWS_NAME)
        if views is None:  # a projector of another version holds them: they are its own, and ours are made in memory
            return cls.of(log)
        return cls(log, views, behind=behind, home=home)

    @classmethod
    def of(cls, log: EventLog) -> Self:
        """The past of any log, with views in memory: a backup, a sample, a folder that may not be written."""
        views = open_views(log, None)
        Projector(log, views).project()
        return cls(log, views)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self._home is not None and isinstance(error, sqlite3.DatabaseError):  # those of the log have sentences
            raise damaged_views(self._home, error) from error

    def close(self) -> None:
        """Let go of both files."""
        self.views.close()
        self.log.close()

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Have all lists tell the same moment, whatever is projected meanwhile: none is later than the log is now."""
        self.views.execute("BEGIN")
        try:
            self.views.execute("SELECT count(*) FROM meta").fetchone()  # from here on it reads what stands there now
            yield
        finally:
            self.views.execute("ROLLBACK")

    # --- lists --------------------------------------------------------------------------------------------------------

    def copies(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every copy there ever was, oldest first, with both position ids and volumes."""
        found = self._select(
            "copies", _COPY_MORE, _COPY_JOIN, of_copies(filters), "t.decided_us, t.position", filters.last
        )
        for row in found:
            for whose in ("result", "leader_result"):
                net, digits = row[whose], row.pop(f"{whose}_digits")
                row[whose] = None if net is None else money(net, digits)
            yield _pick(row, _COPY_KEYS)

    def results(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every closing deal of a copy, the oldest first by its broker, with what it moved the balance by."""
        for row in self._select(
            "closes", _RESULT_MORE, _RESULT_JOIN, of_closes(filters), "t.at_us, t.deal", filters.last
        ):
            parts = ("gross", "swap", "commission", "conversion_fee")
            row["net"] = sum(row[name] for name in parts)
            for name in ("net", *parts):
                row[name] = money(row[name], row["money_digits"])
            yield _pick(row, _RESULT_KEYS)

    def decisions(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every decision, oldest first: copied, skipped and why, or nothing to do and why."""
        for row in self._rows("decisions", of_decisions(filters), "t.position", filters.last):
            yield _pick(row, _DECISION_KEYS)

    def orders(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every request that was decided, oldest first, with what became of it."""
        more = ", d.decision_id, p.name AS profile"
        join = (
            "LEFT JOIN decisions AS d ON d.decision_id = t.cause LEFT JOIN links AS l ON l.link = t.link "
            "LEFT JOIN profiles AS p ON p.profile_id = l.profile_id"
        )
        found = self._select("orders", more, join, of_orders(filters), "t.at_us, t.intent", filters.last)
        for row in found:
            yield _pick(row, _ORDER_KEYS)

    def accounts(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every account that was ever known."""
        for row in self._select("accounts", "", "", of_accounts(filters), "t.account"):
            line = _pick(row, _ACCOUNT_KEYS)
            line["tags"] = row["tags"].split(",") if row["tags"] else []
            for name in ("is_live", "can_trade", "paused", "removed"):
                line[name] = bool(line[name])
            yield line

    def settings(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every change of what the operator wanted, oldest first, with what it was before."""
        for row in self._rows("settings", of_settings(filters), "t.position", filters.last):
            line = _pick(row, _SETTING_KEYS)
            line["settings"], line["changed"] = json.loads(row["settings"]), json.loads(row["changed"])
            yield line

    def alerts(self) -> Iterator[Line]:
        """What needed a person's eye, oldest first; `healed_at` is null of what still does."""
        yield from self.query("SELECT at, account, kind, text, healed_at FROM alerts ORDER BY position", ())

    def notes(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """What explains copies but is no decision about one: latches, people's hands, findings, rebuilt ones."""
        conditions = Conditions(filters, moment="t.at_us")
        conditions.add("t.account = ?", filters.account)
        conditions.add("t.copy_id = ?", filters.copy_id)
        conditions.add(f"t.link IN (SELECT link FROM links WHERE profile_id IN {PROFILES})", filters.profile)
        for row in self._select("notes", "", "", conditions, "t.position", filters.last):
            yield _pick(row, _NOTE_KEYS) | {"data": json.loads(row["data"])}

    def attempts(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every later look at an open that had to wait, oldest first."""
        conditions = Conditions(filters, moment="t.at_us")
        conditions.add("t.follower = ?", filters.account)
        conditions.add("t.copy_id = ?", filters.copy_id)
        conditions.add("t.reason = ?", filters.reason)
        for row in self._select("attempts", "", "", conditions, "t.position"):
            yield _pick(row, _ATTEMPT_KEYS)

    def _rows(
        self, table: str, conditions: Conditions, order: str, last: int | None = None
    ) -> Iterator[dict[str, Any]]:
        join = "LEFT JOIN profiles AS p ON p.profile_id = t.profile_id"
        return self._select(table, ", p.name AS profile", join, conditions, order, last)

    def _select(
        self, table: str, more: str, join: str, conditions: Conditions, order: str, last: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Rows in their order; with `last`, only the newest so many, still oldest first."""
        if last is not None:
            newest = ", ".join(f"{part} DESC" for part in order.split(", "))
            chosen = f"SELECT t.rowid FROM {table} AS t {conditions.where} ORDER BY {newest} LIMIT {int(last)}"
            where = f"WHERE t.rowid IN ({chosen})"
        else:
            where = conditions.where
        sql = f"SELECT t.*{more} FROM {table} AS t {join} {where} ORDER BY {order}"
        return self.query(sql, conditions.values)

    def query(self, sql: str, values: Sequence[object] = ()) -> Iterator[dict[str, Any]]:
        """Rows of the views by name, page by page."""
        cursor = self.views.execute(sql, values)
        names = [column[0] for column in cursor.description]
        while rows := cursor.fetchmany(PAGE):
            for row in rows:
                yield dict(zip(names, row, strict=True))

    # --- the log itself -----------------------------------------------------------------------------------------------

    def verify(self, head: LogHead | None = None) -> Verified:
        """Check the file and every chain in it; the first bad record comes first."""
        return verify_log(self.log, head)

    def head(self) -> str:
        """The whole log in one line, to be kept elsewhere and given to verify later."""
        return str(self.log.log_head())


def verify_log(log: EventLog, head: LogHead | None = None) -> Verified:
    """Check a log's file and every chain in it, without views."""
    verifier = Verifier(head)
    result = verifier.run(log.raw())
    for part in log.parts:
        for fault in _faults_of(part.connection):
            text = f"The file {part.path.name} itself: {fault}."
            result.findings.append(Finding(Fault.FILE, "", 0, result.head.position, text))
    return result


def _faults_of(connection: sqlite3.Connection) -> Sequence[str]:
    """What SQLite finds wrong with a file; it may not even come to an end of looking."""
    try:
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [fault for fault in found if fault != "ok"]


_COPY_KEYS = (
    "copy_id", "profile", "leader", "follower", "leader_position", "follower_position", "symbol", "side",
    "leader_volume", "volume", "state", "opened_at", "closed_at", "open_price", "close_price", "reason",
    "held", "target", "follower_symbol", "leader_price", "slippage_pips", "leader_order", "follower_order",
    "decided_at", "settings_version", "wait", "label", "comment", "drift",
    "result", "currency", "leader_result", "leader_currency",
)  # fmt: skip
_NAMED = "LEFT JOIN profiles AS p ON p.profile_id = t.profile_id"
_COPY_JOIN = (
    f"{_NAMED} LEFT JOIN accounts AS fa ON fa.account = t.follower LEFT JOIN accounts AS la ON la.account = t.leader"
)
_MADE = (
    "(SELECT CASE min(c.money_digits) WHEN max(c.money_digits) THEN {what} END"
    " FROM {table} AS c WHERE {same}) AS {name}"
)
_OWN = {"table": "closes", "same": "c.copy_id = t.copy_id"}
_HIS = {
    "table": "leader_closes",
    "same": "c.leader_position = t.leader_position AND c.leader = t.leader AND NOT EXISTS (SELECT 1 FROM copies AS o"
    " WHERE o.leader_position = t.leader_position AND o.link = t.link AND o.copy_id <> t.copy_id)",
}
"""What a leader made of a trade is told where the copy is the only one of its link: else nobody knows of which part."""
_COPY_MORE = ", p.name AS profile, fa.currency AS currency, la.currency AS leader_currency, " + ", ".join(
    (
        _MADE.format(what="sum(c.gross + c.swap + c.commission + c.conversion_fee)", name="result", **_OWN),
        _MADE.format(what="max(c.money_digits)", name="result_digits", **_OWN),
        _MADE.format(what="sum(c.net)", name="leader_result", **_HIS),
        _MADE.format(what="max(c.money_digits)", name="leader_result_digits", **_HIS),
    )
)
_RESULT_JOIN = (
    f"{_NAMED} LEFT JOIN accounts AS fa ON fa.account = t.follower LEFT JOIN copies AS c ON c.copy_id = t.copy_id"
)
_RESULT_MORE = (
    ", p.name AS profile, fa.currency AS currency, c.side AS side, c.opened_at AS opened_at,"
    f" c.follower_symbol AS follower_symbol, {CLOSED_BY.format('t', 'c')} AS closed_by"
)
_RESULT_KEYS = (
    "at", "profile", "leader", "follower", "symbol", "side", "volume", "opened_at", "entry_price", "price", "currency",
    "net", "gross", "swap", "commission", "conversion_fee", "closed_by", "follower_symbol", "follower_position",
    "deal", "copy_id",
)  # fmt: skip
_DECISION_KEYS = (
    "decision_id", "at", "profile", "follower", "cause", "change", "verdict", "reason", "volume", "settings_version",
    "kind", "leader", "symbol", "side", "copy_id", "late", "wait", "label", "comment", "leader_position",
)  # fmt: skip
_ATTEMPT_KEYS = (
    "attempt_id", "at", "follower", "change", "wait", "verdict", "reason", "volume", "settings_version", "copy_id",
)  # fmt: skip
_ORDER_KEYS = (
    "intent", "account", "kind", "symbol", "side", "volume", "filled", "state", "outcome", "reason",
    "recorded_at", "sent_at", "unknown_since", "unknown_why", "asked_from", "settled_at", "follower_position",
    "follower_order", "copy_id", "decision_id", "cause",
    "attempt", "profile",
)  # fmt: skip
_ACCOUNT_KEYS = (
    "account", "login", "broker", "alias", "tags", "currency", "account_type", "is_live", "can_trade", "paused",
    "removed", "health", "health_reason", "balance", "positions", "copies",
)  # fmt: skip
_SETTING_KEYS = ("at", "what", "profile", "account", "link", "changed", "settings", "user", "version")
_NOTE_KEYS = ("at", "account", "what", "copy_id", "user", "data", "money_digits")

KEYS: Mapping[str, Sequence[str]] = {
    "copies": _COPY_KEYS,
    "decisions": _DECISION_KEYS,
    "orders": _ORDER_KEYS,
    "accounts": _ACCOUNT_KEYS,
    "settings": _SETTING_KEYS,
    "results": _RESULT_KEYS,
    "notes": _NOTE_KEYS,
}
"""What a line of each list has, in order: the header of its CSV, also of one without lines."""


def _pick(row: dict[str, Any], keys: Iterable[str]) -> Line:
    line = {key: row[key] for key in keys}
    if "late" in line:
        line["late"] = bool(line["late"])
    return line
