"""What to leave out of a list, and the WHERE clauses it makes. Every value is bound by its number, never written in."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from cmam.store.projection.words import match_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What to leave out; all that are given hold together.

    Accounts are ctids, `since_us` a moment, `profile` a name or id, `symbol` the leader's. `verdict` is a decision's,
    `state` a copy's or a request's: another list has what belongs to these. `text` are words, all of which must occur,
    each as the beginning of a word. `last` keeps only the newest so many.
    """

    since_us: int | None = None
    until_us: int | None = None
    profile: str | None = None
    account: int | None = None
    symbol: str | None = None
    reason: str | None = None
    state: str | None = None
    verdict: str | None = None
    text: str | None = None
    copy_id: str | None = None
    cause: str | None = None
    last: int | None = None


NO_FILTERS = Filters()

PROFILES = "(SELECT profile_id FROM profiles WHERE lower(name) = lower(?) OR profile_id = ?)"
NAME = "substr({0}, 1, instr({0} || '/', '/') - 1)"
"""The name of a copy, whichever of its lives a row is about (`rows_of_copies.former_lives`)."""
_NAMED = NAME.format("t.copy_id")
_DECIDED_SO = f"{_NAMED} IN (SELECT copy_id FROM decisions WHERE verdict = ?)"
_COPY_WITH = f"t.copy_id IN (SELECT {NAME.format('copy_id')} FROM copies WHERE {{}})"
_WORDS = "SELECT {column} FROM search WHERE search MATCH ?"
_OF_PROFILE = (
    f"t.account IN (SELECT leader FROM profiles WHERE profile_id IN {PROFILES}"
    f" UNION SELECT follower FROM links WHERE profile_id IN {PROFILES})"
)
_TOOK_PART = "t.account IN (SELECT leader FROM decisions AS t {0} UNION SELECT follower FROM decisions AS t {0})"
_LED_TO = (
    "t.position IN (SELECT s.position FROM settings AS s JOIN"
    " (SELECT profile_id, link, max(settings_version) AS last FROM decisions AS t {0} GROUP BY profile_id, link) AS d"
    " ON s.profile_id = d.profile_id AND s.version <= d.last AND (s.link IS NULL OR s.link = d.link))"
)


class Conditions:
    """A WHERE clause that grows."""

    def __init__(self, filters: Filters = NO_FILTERS, moment: str | None = None) -> None:
        self._parts: list[str] = []
        self.values: list[object] = []
        if moment is not None:
            self.add(f"{moment} >= ?", filters.since_us)
            self.add(f"{moment} <= ?", filters.until_us)

    def add(self, condition: str, value: object) -> None:
        """One more condition, if there is a value for it; `?` stands for it as often as needed."""
        if value is not None:
            self.values.append(value)
            self._parts.append(condition.replace("?", f"?{len(self.values)}"))

    def choose(self, condition: str, chosen: Conditions) -> None:
        """One more condition, on what other rows say: `{0}` stands for the clause that chooses these."""
        before = len(self.values)
        self.values.extend(chosen.values)
        where = re.sub(r"\?(\d+)", lambda number: f"?{before + int(number[1])}", chosen.where)
        self._parts.append(condition.format(where))

    def search(self, condition: str, text: str | None) -> None:
        """A condition on words; words that are none find nothing."""
        if text is not None:
            words = match_of(text)
            self.add(condition if words else "? = 0", words or 1)

    @property
    def where(self) -> str:
        return "WHERE " + " AND ".join(self._parts) if self._parts else ""


def _of_links(filters: Filters, moment: str) -> Conditions:
    """What rows of links share: when, whose, of which symbol and copy."""
    found = Conditions(filters, moment)
    found.add("t.profile_id IN " + PROFILES, filters.profile)
    found.add("t.symbol = ? COLLATE NOCASE", filters.symbol)
    found.add("(t.leader = ? OR t.follower = ?)", filters.account)
    found.add("t.copy_id = ?", filters.copy_id)
    return found


def of_copies(filters: Filters) -> Conditions:
    """Copies by the moment of their decision."""
    found = _of_links(filters, "t.decided_us")
    found.add("t.reason = ?", filters.reason)
    found.add("t.state = ?", filters.state)
    found.add(_DECIDED_SO, filters.verdict)
    found.search(f"{_NAMED} IN ({_WORDS.format(column='copy_id')})", filters.text)
    return found


def of_decisions(filters: Filters) -> Conditions:
    """Decisions by their moment."""
    found = _of_links(filters, "t.at_us")
    found.add("t.reason = ?", filters.reason)
    found.add("t.verdict = ?", filters.verdict)
    found.add(_COPY_WITH.format("state = ?"), filters.state)
    found.search(f"t.decision_id IN ({_WORDS.format(column='id')} AND kind = 'decision')", filters.text)
    return found


def of_closes(filters: Filters) -> Conditions:
    """What was closed of copies, by the moment at which its broker executed it; reason and state are the copy's."""
    found = _of_links(filters, "t.at_us")
    found.add("t.copy_id IN (SELECT copy_id FROM copies WHERE reason = ?)", filters.reason)
    found.add("t.copy_id IN (SELECT copy_id FROM copies WHERE state = ?)", filters.state)
    found.add(_DECIDED_SO, filters.verdict)
    found.search(f"{_NAMED} IN ({_WORDS.format(column='copy_id')})", filters.text)
    return found


def of_orders(filters: Filters) -> Conditions:
    """Requests by the moment they were recorded; `state` is that of the request, or its outcome. The symbol is either
    end's: a request bears the follower's name of it."""
    found = Conditions(filters, moment="t.at_us")
    found.add(f"(t.account = ? OR {_COPY_WITH.format('leader = ?')})", filters.account)
    found.add(f"(t.symbol = ? COLLATE NOCASE OR {_COPY_WITH.format('symbol = ? COLLATE NOCASE')})", filters.symbol)
    found.add("t.cause = ?", filters.cause)
    found.add(_DECIDED_SO, filters.verdict)
    found.add("t.copy_id = ?", filters.copy_id)
    found.add("t.reason = ?", filters.reason)
    found.add("(t.state = ? OR t.outcome = ?)", filters.state)
    found.add(f"t.link IN (SELECT link FROM links WHERE profile_id IN {PROFILES})", filters.profile)
    found.search(
        f"(t.intent IN ({_WORDS.format(column='id')}) OR t.copy_id IN ({_WORDS.format(column='copy_id')}))",
        filters.text,
    )
    return found


def of_accounts(filters: Filters) -> Conditions:
    """Accounts: those of a profile, and those that led or followed in a decision which the other filters choose."""
    found = Conditions()
    found.add("t.account = ?", filters.account)
    found.add(_OF_PROFILE, filters.profile)
    if any(one is not None for one in (filters.since_us, filters.until_us, filters.symbol, filters.reason)):
        found.choose(_TOOK_PART, of_decisions(replace(filters, account=None)))
    return found


def of_settings(filters: Filters) -> Conditions:
    """Changes of settings by their moment; by symbol and reason those of the profile and link of such decisions, up to
    the last of these."""
    found = Conditions(filters, moment="t.at_us")
    found.add("t.profile_id IN " + PROFILES, filters.profile)
    found.add("(t.account = ? OR t.profile_id IN (SELECT profile_id FROM profiles WHERE leader = ?))", filters.account)
    found.search(
        "t.position IN (SELECT CAST(id AS INTEGER) FROM search WHERE search MATCH ? AND kind = 'setting')",
        filters.text,
    )
    if filters.symbol is not None or filters.reason is not None:
        found.choose(_LED_TO, of_decisions(Filters(symbol=filters.symbol, reason=filters.reason)))
    return found
