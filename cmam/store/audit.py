"""What the command line reads of the past: lists of plain dicts, with the keys that CLI.md promises.

Opened on a folder it first brings the views up to everything that is committed, so that no answer is older than the
question. It writes nothing but the views, and where it may not even write those it makes them in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlite_utils import Database

from cmam.store.chain import LogHead
from cmam.store.errors import StoreUnavailable
from cmam.store.log import EventLog
from cmam.store.projector import Projector, project_to_head
from cmam.store.verify import Fault, Finding, Verified, Verifier
from cmam.store.views_file import VIEWS_NAME, find_views, open_views

Line = dict[str, Any]
"""One line of an answer, ready for JSON."""

PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to leave out. Accounts are ctids, `since_us` a moment, `profile` a name or id, `symbol` the leader's."""

    since_us: int | None = None
    until_us: int | None = None
    profile: str | None = None
    account: int | None = None
    symbol: str | None = None
    reason: str | None = None
    state: str | None = None
    copy_id: str | None = None
    cause: str | None = None


NO_FILTERS = Filters()


class Audit(AbstractContextManager["Audit"]):
    """The past of one store. Close it, or use `with`."""

    def __init__(self, log: EventLog, views: Database, *, behind: int = 0) -> None:
        self.log = log
        self.views = views
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
        return cls(log, views, behind=behind)

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

    def close(self) -> None:
        """Let go of both files."""
        self.views.close()
        self.log.close()

    # --- lists --------------------------------------------------------------------------------------------------------

    def copies(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every copy there ever was, oldest first, with both position ids and volumes."""
        conditions = _Conditions(filters, moment="t.decided_us")
        conditions.profile_and_symbol()
        conditions.either_account()
        conditions.add("t.reason = ?", filters.reason)
        conditions.add("t.state = ?", filters.state)
        conditions.add("t.copy_id = ?", filters.copy_id)
        for row in self._rows("copies", conditions, order="t.decided_us, t.position"):
            yield _pick(row, _COPY_KEYS)

    def decisions(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every decision, oldest first: copied, skipped and why, or nothing to do and why."""
        conditions = _Conditions(filters, moment="t.at_us")
        conditions.profile_and_symbol()
        conditions.either_account()
        conditions.add("t.reason = ?", filters.reason)
        for row in self._rows("decisions", conditions, order="t.position"):
            yield _pick(row, _DECISION_KEYS)

    def orders(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every request that was decided, oldest first, with what became of it."""
        conditions = _Conditions(filters, moment="t.at_us")
        conditions.add("t.account = ?", filters.account)
        conditions.add("t.symbol = ?", filters.symbol)
        conditions.add("t.cause = ?", filters.cause)
        conditions.add("t.copy_id = ?", filters.copy_id)
        conditions.add("t.reason = ?", filters.reason)
        conditions.add("t.link IN (SELECT link FROM links WHERE profile_id IN " + _PROFILES + ")", filters.profile)
        sql = (
            "SELECT t.*, d.decision_id FROM orders AS t LEFT JOIN decisions AS d ON d.decision_id = t.cause "
            f"{conditions.where} ORDER BY t.at_us, t.intent"
        )
        for row in self._query(sql, conditions.values):
            yield _pick(row, _ORDER_KEYS)

    def accounts(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every account that was ever known."""
        conditions = _Conditions(filters)
        conditions.add("t.account = ?", filters.account)
        for row in self._rows("accounts", conditions, order="t.account", has_profile=False):
            line = _pick(row, _ACCOUNT_KEYS)
            line["tags"] = row["tags"].split(",") if row["tags"] else []
            for name in ("is_live", "can_trade", "paused", "removed"):
                line[name] = bool(line[name])
            yield line

    def settings(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every change of what the operator wanted, oldest first, with what it was before."""
        conditions = _Conditions(filters, moment="t.at_us")
        conditions.add("t.profile_id IN " + _PROFILES, filters.profile)
        conditions.add("t.account = ?", filters.account)
        for row in self._rows("settings", conditions, order="t.position"):
            line = _pick(row, _SETTING_KEYS)
            line["settings"], line["changed"] = json.loads(row["settings"]), json.loads(row["changed"])
            yield line

    def alerts(self, *, open_only: bool = False) -> Iterator[Line]:
        """What needed a person's eye, oldest first."""
        where = "WHERE healed_at IS NULL" if open_only else ""
        yield from self._query(f"SELECT at, account, kind, text, healed_at FROM alerts {where} ORDER BY position", ())

    def notes(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """What explains copies but is no decision about one: latches, flattens, stop-outs, a person's hand."""
        conditions = _Conditions(filters, moment="t.at_us")
        conditions.add("t.account = ?", filters.account)
        conditions.add("t.copy_id = ?", filters.copy_id)
        conditions.add("t.link IN (SELECT link FROM links WHERE profile_id IN " + _PROFILES + ")", filters.profile)
        for row in self._rows("notes", conditions, order="t.position", has_profile=False):
            yield _pick(row, ("at", "account", "what", "copy_id", "user")) | {"data": json.loads(row["data"])}

    def attempts(self, filters: Filters = NO_FILTERS) -> Iterator[Line]:
        """Every later look at an open that had to wait, oldest first."""
        conditions = _Conditions(filters, moment="t.at_us")
        conditions.add("t.follower = ?", filters.account)
        conditions.add("t.copy_id = ?", filters.copy_id)
        conditions.add("t.reason = ?", filters.reason)
        for row in self._rows("attempts", conditions, order="t.position", has_profile=False):
            yield _pick(row, _ATTEMPT_KEYS)

    def projection_errors(self) -> Iterator[Line]:
        """Records that could not be shown: damaged, or of a newer cmam."""
        yield from self._query("SELECT * FROM projection_errors ORDER BY position", ())

    def _rows(
        self, table: str, conditions: _Conditions, *, order: str, has_profile: bool = True
    ) -> Iterator[dict[str, Any]]:
        profile = ", p.name AS profile" if has_profile else ""
        join = "LEFT JOIN profiles AS p ON p.profile_id = t.profile_id" if has_profile else ""
        sql = f"SELECT t.*{profile} FROM {table} AS t {join} {conditions.where} ORDER BY {order}"
        return self._query(sql, conditions.values)

    def _query(self, sql: str, values: Sequence[object]) -> Iterator[dict[str, Any]]:
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
    for (fault,) in log.connection.execute("PRAGMA integrity_check(5)"):
        if fault != "ok":
            result.findings.append(Finding(Fault.FILE, "", 0, result.head.position, f"The file itself: {fault}."))
    return result


_PROFILES = "(SELECT profile_id FROM profiles WHERE lower(name) = lower(?) OR profile_id = ?)"

_COPY_KEYS = (
    "copy_id", "profile", "leader", "follower", "leader_position", "follower_position", "symbol", "side",
    "leader_volume", "volume", "state", "opened_at", "closed_at", "open_price", "close_price", "reason",
    "held", "target", "follower_symbol", "leader_price", "slippage_pips", "leader_order", "follower_order",
    "decided_at", "settings_version", "wait",
)  # fmt: skip
_DECISION_KEYS = (
    "decision_id", "at", "profile", "follower", "cause", "change", "verdict", "reason", "volume", "settings_version",
    "kind", "leader", "symbol", "side", "copy_id", "late", "wait",
)  # fmt: skip
_ATTEMPT_KEYS = (
    "attempt_id", "at", "follower", "change", "wait", "verdict", "reason", "volume", "settings_version", "copy_id",
)  # fmt: skip
_ORDER_KEYS = (
    "intent", "account", "kind", "symbol", "side", "volume", "filled", "state", "outcome", "reason",
    "recorded_at", "sent_at", "settled_at", "follower_position", "follower_order", "copy_id", "decision_id", "cause",
    "attempt",
)  # fmt: skip
_ACCOUNT_KEYS = (
    "account", "login", "broker", "alias", "tags", "currency", "account_type", "is_live", "can_trade", "paused",
    "removed", "health", "health_reason", "balance", "positions", "copies",
)  # fmt: skip
_SETTING_KEYS = ("at", "what", "profile", "account", "link", "changed", "settings", "user", "version")


def _pick(row: dict[str, Any], keys: Iterable[str]) -> Line:
    line = {key: row[key] for key in keys}
    if "late" in line:
        line["late"] = bool(line["late"])
    return line


class _Conditions:
    """A WHERE clause that grows; every value is bound by its number, never written into the SQL."""

    def __init__(self, filters: Filters, moment: str | None = None) -> None:
        self._filters = filters
        self._parts: list[str] = []
        self.values: list[object] = []
        if moment is not None:
            self.add(f"{moment} >= ?", filters.since_us)
            self.add(f"{moment} <= ?", filters.until_us)

    def add(self, condition: str, value: object) -> None:
        """One more condition, if there is a value for it; `?` stands for it as often as needed."""
        if value is not None:
            self.values.append(value)
            number = f"?{len(self.values)}"
            self._parts.append(condition.replace("?", number))

    def profile_and_symbol(self) -> None:
        self.add("t.profile_id IN " + _PROFILES, self._filters.profile)
        self.add("t.symbol = ?", self._filters.symbol)

    def either_account(self) -> None:
        self.add("(t.leader = ? OR t.follower = ?)", self._filters.account)

    @property
    def where(self) -> str:
        return "WHERE " + " AND ".join(self._parts) if self._parts else ""
