"""What `status` looks like: one screen that tells at a glance whether all is well, legible at 40 columns.

From a document to something rich can draw. Must not know where documents come from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from cmam.cli.face.rows import STYLES
from cmam.cli.face.tables import Window, measured
from cmam.cli.face.talk import counted, in_a_line
from cmam.cli.showing import crowds
from cmam.cli.showing.alike import Sentence, gathered, told

LAST_LEAST = 12
"""So much of the last column is always there: the longest word for a state."""
NAME_LEAST = 8
"""So much is left of a long name, where it has to make room for what stands beside it."""

APART = 3
"""So far is one table from another beside it."""
SUMMED = 2
"""So many lines has a table without any rows: an empty one, and what it would have."""
WIDE = 1000
"""A width in which nothing is cut."""
EACH = "`cmam status` in another terminal shows every row."

LATCH = "latch"
"""What the kind of an alert about a locked link begins with; the guard's name follows."""

_ACCOUNT = re.compile(r"(?<=\bAccount )\d+\b")

MARKS = {
    "reconciled": "●",
    "subscribed": "◐",
    "authorised": "◔",
    "down": "○",
    "refused": "✗",
    "token_dead": "✗",
}
"""Only a full circle is ready to trade."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """How many rows a low window has for the two tables that grow with the crowd."""

    accounts: int
    links: int
    left: int = 0
    """How wide the accounts are where a wide window has the links beside them; 0 has them below."""


def status_screen(
    document: Mapping[str, Any], headline: RenderableType | None = None, rooms: Rooms | None = None
) -> RenderableType:
    """The whole screen, under a headline of its own or the given one; in `rooms` the tables stand close, and what they
    have no room for is summed up."""
    parts: list[RenderableType] = [_headline(document) if headline is None else headline]
    parts += _alerts(document)  # first, since a low window shows the beginning
    parts += _unmanaged(document)
    parts += [Text(f"! {warning}", style="yellow") for warning in document.get("warnings", ())]
    if document.get("connections"):
        parts += _placed(_connections(document), rooms)
    accounts = _accounts(document, rooms) if document.get("accounts") else []
    links = _profiles(document, rooms) if document.get("profiles") else []
    parts += [_beside(accounts, links, rooms.left)] if rooms is not None and rooms.left else accounts + links
    parts += _forecasts(document.get("profiles", ()))
    parts += _unknown(document.get("accounts", ()))
    parts += _log(document.get("log"))
    if rooms is not None:
        parts.append(Text(EACH, style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


class LiveScreen:
    """The whole screen in a window where it fits; in a lower one what needs eyes, and what the rest comes to."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Measure what stands around the rows, and share out what is left."""
        height = options.height or console.height
        rows = len(self.document.get("accounts", ())) + len(_links(self.document))
        whole = status_screen(self.document)
        if rows < height and len(_drawn(console, options, whole)) <= height:
            yield whole
            return
        yield Window(status_screen(self.document, rooms=self._rooms(console, options, height)))

    def _rooms(self, console: Console, options: ConsoleOptions, height: int) -> Rooms:
        """Two tables beside each other where both are whole so, else one below the other."""
        accounts, links = _rows_of_accounts(self.document), _rows_of_links(self.document)
        bare = len(_drawn(console, options, status_screen(self.document, rooms=Rooms(0, 0))))
        each = height - bare + SUMMED - 1
        beside = Rooms(min(len(accounts), max(0, each)), min(len(links), max(0, each)))
        wide = [_wide(console, options, table(self.document, beside)) for table in (_accounts, _profiles)]
        if accounts and links and each > 0 and sum(wide) + APART < options.max_width:
            return replace(beside, left=wide[0] + 1)
        wanted, needs = (len(accounts), len(links)), (crowds.needing(accounts), crowds.needing(links))
        return Rooms(*crowds.shared(wanted, needs, max(0, height - bare - len(wanted))))


def _beside(left: Sequence[RenderableType], right: Sequence[RenderableType], width: int) -> RenderableType:
    grid = Table.grid(padding=(0, APART, 0, 0), pad_edge=False)
    grid.add_column(width=width)
    grid.add_column()
    grid.add_row(Group(*left), Group(*right))
    return grid


def _wide(console: Console, options: ConsoleOptions, parts: Sequence[RenderableType]) -> int:
    lines = _drawn(console, options.update(width=WIDE), Group(*parts))
    return max((sum(segment.cell_length for segment in line) for line in lines), default=0)


def _drawn(console: Console, options: ConsoleOptions, what: RenderableType) -> list[list[Any]]:
    return console.render_lines(what, options.update(height=None), pad=False)


def _placed(
    table: Shrinking, rooms: Rooms | None, rest: Sequence[crowds.Row] = (), noun: str = ""
) -> list[RenderableType]:
    """A table on its own, or close below an empty line and above what it leaves out."""
    if rooms is None:
        return [table]
    style = "yellow" if any(row.needs_eyes for row in rest) else "dim"
    line = Text(crowds.told(rest, noun), style=style, no_wrap=True, overflow="ellipsis") if rest else Text()
    return [Text(), *[replace(table, is_close=True)] * bool(table.rows), *[line] * bool(rest)]


def _log(log: Mapping[str, Any] | None) -> list[RenderableType]:
    """How large the log is and how fast it grows, in one dim line."""
    if not log:
        return []
    archived = f", {_bytes(log['archived_bytes'])} archived" if log["archived_bytes"] else ""
    day = f"{_bytes(log['bytes_per_day'])} and {log['records_per_day']} records in the last day"
    return [Text(f"log {_bytes(log['bytes'])}{archived}; {day}", style="dim")]


def _bytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB" if count >= 100_000 else f"{count / 1_000:.1f} kB"


def _headline(document: Mapping[str, Any]) -> Text:
    if holder := document.get("holder"):
        named = f"process {holder['pid']}, {holder['command']}, since {holder['since']}"
        who = named if holder["pid"] else "a process that has not said its name"  # as on a full disk
        what = f"cmam does not answer ({who}): it starts, ends or hangs; this is what was stored last."
        return Text(what, style="bold red")
    if not document.get("running") and not document.get("accounts") and not document.get("profiles"):
        what = f"and no account was added yet{f' in {home}' if (home := document.get('home')) else ''}"
        return Text(f"cmam is not running, {what}: `cmam api configure`, `cmam account add`.", style="bold yellow")
    if not document.get("running"):
        return Text("cmam is not running; this is what was stored last.", style="bold yellow")
    accounts = document.get("accounts", ())
    ready = sum(account["health"] == "reconciled" for account in accounts)
    head = Text.assemble(("cmam is running", "bold green"), f"  {ready} of {len(accounts)} accounts ready")
    if silent := sum(bool(_silence(document, name.partition(":")[2])) for name in document.get("connections") or ()):
        head.append(f"  {counted(silent, 'connection')} silent", style="yellow")
    if document.get("event_store", {}).get("state") == "down":
        head.append("  store cannot write", style="bold red")
    if document.get("views_behind"):
        head.append(f"  views {document['views_behind']} behind", style="dim")
    return head


@dataclass(frozen=True, slots=True)
class Shrinking:
    """A table of which, in a narrow window, the `spare` columns go, the first of them first, and the last is cut.

    Where that is not enough the widest columns are cut too, so that a long name pushes no state off the screen. No row
    ever takes two lines. What stands in one word of `spare`, separated by blanks, goes together. The column `told` is
    cut only once nothing is left to go.
    """

    columns: Mapping[str, str]
    rows: Sequence[Mapping[str, str | Text]]
    numbers: frozenset[str] = frozenset()
    spare: Sequence[str] = ()
    told: str = ""
    is_close: bool = False
    """Without a rule and empty lines, for a low window."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Choose the columns for the width that there is."""
        keys = list(self.columns)
        table = self._of(keys)
        for gone in self.spare:
            if _needed(table, is_whole=keys[-1] == self.told) <= options.max_width:
                break
            keys = [key for key in keys if key not in gone.split()]
            table = self._of(keys)
        _cut(table, _needed(table, least=True) - options.max_width)
        yield table

    def _of(self, keys: Sequence[str]) -> Table:
        lines = None if self.is_close else box.SIMPLE_HEAD
        padding = (0, 1, 0, 0) if self.is_close else (0, 0)
        table = Table(box=lines, pad_edge=False, padding=padding, header_style="dim")
        for key in keys:
            justify: JustifyMethod = "right" if key in self.numbers else "left"
            is_last = key == keys[-1]
            table.add_column(self.columns[key], justify=justify, no_wrap=not is_last, overflow="ellipsis")
        for row in self.rows:
            cells = (row[key] for key in keys)
            table.add_row(*(in_a_line(cell) if isinstance(cell, str) else cell for cell in cells))
        return table


def _needed(table: Table, *, least: bool = False, is_whole: bool = False) -> int:
    """How wide a line is with all of it whole but the last column, of which the first words are enough.

    At the least a last column of figures is as wide as they are, and its heading is cut.
    """
    *whole, last = (measured(column).whole for column in table.columns)
    end = table.columns[-1]
    if least and end.justify == "right":
        last = max((cell_len(str(cell)) for cell in end.cells), default=0) + 1
    between = len(table.columns) + (1 if table.box else 0)
    return sum(whole) + (last if is_whole else min(last, LAST_LEAST)) + between


def _cut(table: Table, excess: int) -> None:
    """Take so much off the widest columns, but never from the last; what is cut ends with an ellipsis."""
    widths = {number: measured(column).whole for number, column in enumerate(table.columns[:-1])}
    for _ in range(excess):
        widest = max(widths, key=lambda number: widths[number])
        if widths[widest] <= NAME_LEAST:
            break
        widths[widest] -= 1
        table.columns[widest].width = widths[widest]


def _rest(text: str | Text) -> Text:
    """What stands in the last column: cut with an ellipsis where the window ends; --json has all of it."""
    found = text if isinstance(text, Text) else Text(text)
    found.no_wrap, found.overflow = True, "ellipsis"
    return found


def _word(text: str) -> Text:
    return Text(text, style=STYLES.get(text, ""))


def _connections(document: Mapping[str, Any]) -> Shrinking:
    rows: list[dict[str, str | Text]] = []
    for name, found in document["connections"].items():
        short = name.removeprefix("connection:")
        figures = document.get("limiters", {}).get(f"limiter:{short}", {})
        notes = [str(found.get("reason") or ""), _pauses(figures.get("paused", {}))]
        rows.append(
            {
                "name": short,
                "server": f"{found.get('host', '')}:{found.get('port', '')}",
                "state": _word(str(found.get("state", ""))),
                "used": f"{figures.get('used', 0)} of {figures.get('limit', '?')}",
                "busiest": str(figures.get("busiest_second", 0)),
                "guard": f"{figures['guard_ms']:.0f} ms" if "guard_ms" in figures else "",
                "waiting": str(figures.get("waiting", 0)),
                "notes": _rest("; ".join(filter(None, notes))),
            }
        )
    return Shrinking(
        {
            "name": "connection",
            "server": "server",
            "state": "state",
            "used": "this second",
            "busiest": "busiest",
            "guard": "guard",
            "waiting": "waiting",
            "notes": "",
        },
        rows,
        numbers=frozenset({"used", "busiest", "guard", "waiting"}),
        spare=("guard", "server", "busiest", "used"),
    )


def _pauses(paused: Mapping[str, str]) -> str:
    """What the server does not take for a while."""
    return ", ".join(f"no {kind} until {until}" for kind, until in paused.items())


def _rows_of_accounts(document: Mapping[str, Any]) -> list[crowds.Row]:
    accounts = document.get("accounts", ())
    silent = [bool(_silence(document, str(found.get("connection", "")))) for found in accounts]
    return crowds.rows_of_accounts(document, silent) if accounts else []


def _accounts(document: Mapping[str, Any], rooms: Rooms | None) -> list[RenderableType]:
    """Each account, those that need eyes first, then who leads; in a low window the others in one line."""
    every = _rows_of_accounts(document)
    places = crowds.chosen(every, len(every) if rooms is None else rooms.accounts)
    places.sort(key=lambda place: every[place].rank > 0 if rooms is None else every[place].rank)
    rows: list[dict[str, str | Text]] = []
    for found in (document["accounts"][place] for place in places):
        health = str(found["health"])
        state = Text.assemble(_word(health))
        if silence := _silence(document, str(found.get("connection", ""))):
            state.append(f", {silence}", style="yellow")
        if found.get("paused"):
            state.append(f" paused ({found.get('paused_reason') or 'operator'})", style="yellow")
        if found.get("reason") and health not in ("reconciled", "down"):
            state.append(f" {found['reason']}", style="dim")
        rows.append(
            {
                "mark": Text(MARKS.get(health, "○"), style=STYLES.get(health, "")),
                "account": str(found.get("alias") or found.get("login") or found["ctid"]),
                "broker": str(found.get("broker") or "–"),
                "environment": str(found.get("environment", "")),
                "balance": str(found.get("balance") or "–"),
                "currency": str(found.get("currency", "")) if found.get("balance") else "",
                "positions": str(found.get("positions", "–")),
                "copies": str(found.get("copies", "–")),
                "state": _rest(state),
            }
        )
    table = Shrinking(
        {
            "mark": "",
            "account": "account",
            "broker": "broker",
            "environment": "",
            "balance": "balance",
            "currency": "",
            "positions": "pos.",
            "copies": "copies",
            "state": "state",
        },
        rows,
        numbers=frozenset({"balance", "positions", "copies"}),
        spare=("broker", "environment", "balance currency", "positions"),
    )
    return _placed(table, rooms, crowds.left_out(every, places), "account")


def _silence(document: Mapping[str, Any], connection: str) -> str:
    """Why a connection that is open may be of no use, empty where it may be trusted."""
    found = (document.get("connections") or {}).get(f"connection:{connection}", {})
    return str(found.get("reason") or "") if found.get("state") == "open" else ""


def _links(document: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Every link with its profile, and nothing with a profile that has none."""
    return [(profile, link) for profile in document.get("profiles", ()) for link in profile["links"] or [{}]]


def _rows_of_links(document: Mapping[str, Any]) -> list[crowds.Row]:
    seen: set[str] = set()
    rows = []
    for profile, link in _links(document):
        is_first = profile["profile"] not in seen
        seen.add(profile["profile"])
        rows.append(crowds.row_of_link(link, _state(link, profile["state"]), is_first=is_first))
    return rows


def _profiles(document: Mapping[str, Any], rooms: Rooms | None) -> list[RenderableType]:
    """Each link below its profile; in a low window those that need eyes, one at least of each profile, and the others
    in one line."""
    names = {
        found["ctid"]: str(found.get("alias") or found.get("login") or "") for found in document.get("accounts", ())
    }
    every, links = _rows_of_links(document), _links(document)
    places = crowds.chosen(every, len(every) if rooms is None else rooms.links)
    if rooms is not None:
        number = {profile["profile"]: place for place, (profile, _) in enumerate(links)}
        places.sort(key=lambda place: (number[links[place][0]["profile"]], every[place].rank > crowds.NEEDS_EYES))
    rows: list[dict[str, str | Text]] = []
    last = ""
    for profile, link in (links[place] for place in places):
        is_first, last = profile["profile"] != last, profile["profile"]
        settings = ", ".join(_setting(name, value) for name, value in link.get("settings", {}).items())
        rows.append(
            {
                "profile": profile["profile"] if is_first else "",
                "leader": names.get(profile["leader"], str(profile["leader"])) if is_first else "",
                "follower": names.get(link.get("follower"), str(link.get("follower", "–"))),
                "state": _word(_state(link, profile["state"])),
                "copies": str(link.get("copies", 0)),
                "skipped": _rest(_skipped(link)),
                "policy": _rest(settings or "defaults"),
            }
        )
    has_skips = any(str(row["skipped"]) for row in rows)
    columns = ("profile", "leader", "follower", "state", "copies", *["skipped"] * has_skips, "policy")
    table = Shrinking(
        dict(zip(columns, columns, strict=True)),
        rows,
        numbers=frozenset({"copies"}),
        spare=("policy", "leader"),
        told="skipped",
    )
    return _placed(table, rooms, crowds.left_out(every, places), "follower")


def _skipped(link: Mapping[str, Any]) -> Text:
    """How many of the leader's opens since the start were not copied, and why the last was not."""
    found = link.get("opens") or {}
    if not found.get("skipped"):
        return Text("")
    style = "" if found["copied"] else "yellow"  # a follower that copies nothing at all
    return Text(f"{found['skipped']} of {found['copied'] + found['skipped']}, {found['last_skip']['reason']}", style)


def _state(link: Mapping[str, Any], state: str) -> str:
    """How a link stands; one that runs and may open nothing is called by what keeps it from it."""
    standing, latches = str(link.get("standing", state)), link.get("latches")
    if standing != "running" or not latches:
        return standing
    return "flattened" if latches == ["flatten"] else "locked"


def _setting(name: str, value: str) -> str:
    """A setting as one word; a table by the number of its rows below the head."""
    rows = [line for line in value.splitlines() if line.strip()]
    return f"{name}={value}" if len(rows) < 2 else f"{name}={counted(len(rows) - 1, 'row')}"


def _forecasts(profiles: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """How late the last follower of a burst would be now, where there is more than one to be late."""
    return [
        Text(f"an open of {found['profile']} now: {found['forecast']['text']}", style="dim")
        for found in profiles
        if found.get("forecast") and found["forecast"]["followers"] > 1
    ]


def _unknown(accounts: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """Requests whose outcome nobody knows yet: since when, and when the broker is asked."""
    found = [
        Sentence(
            str(account.get("alias") or account.get("login") or account["ctid"]),
            f"{one['kind'].replace('_', ' ')} {one['source']} unknown since {one['since']} ({one['why']}); "
            f"the broker is asked from {one['asked_from'] or 'its return'} on. {one['then'].capitalize()}.",
            kind=one["kind"],
            source=one["source"],
        )
        for account in accounts
        for one in account.get("unknown", ())
    ]
    return [Text(in_a_line(f"? {line}"), style="yellow") for group in gathered(found) for line in told(group)]


def _alerts(document: Mapping[str, Any]) -> list[RenderableType]:
    """By the name a person gave its account, those of the process itself by none; many alike in two lines."""
    names = {found["ctid"]: found.get("alias") or found.get("login") for found in document.get("accounts", ())}
    found = []
    for alert in document.get("alerts", ()):
        account, (kind, *rest) = alert["account"], str(alert["kind"]).split() or [""]
        who = str(names.get(account) or account) if account is not None else ""
        if kind == LATCH and rest:
            kind, rest = f"{LATCH} {rest[0]}", []
        source = rest[-1] if rest and not rest[-1].isdecimal() else ""  # a number is that of an account out of sight
        found.append(Sentence(who, alert["text"], kind, account, source))
    lines = (line for group in gathered(found) for line in told(group, _cure(group[0].kind)))
    return [Text(in_a_line(f"! {_named(line, names)}"), style="bold red") for line in lines]


def _unmanaged(document: Mapping[str, Any]) -> list[RenderableType]:
    """Copies that were left to a person: no alert, since a person has said so, and yet nobody else closes them."""
    names = {found["ctid"]: str(found.get("alias") or found.get("login")) for found in document.get("accounts", ())}
    found = [
        Sentence(names.get(one["account"], str(one["account"])), one["text"], f"unmanaged {one['profile']}")
        for one in document.get("unmanaged", ())
    ]
    return [Text(in_a_line(f"! {line}"), style="yellow") for group in gathered(found) for line in told(group)]


def _named(line: str, names: Mapping[Any, Any]) -> str:
    """What speaks of an account by its number, by the name that a person gave it: alerts on record have no names."""
    return _ACCOUNT.sub(lambda found: str(names.get(int(found[0])) or found[0]), line)


def _cure(kind: str) -> str:
    """What opens all links again that one guard has locked, where that is what they have in common."""
    guard = kind.removeprefix(f"{LATCH} ")
    return f"`cmam rearm --all --guard {guard}` opens them all." if guard != kind else ""
