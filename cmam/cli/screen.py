"""What `status` looks like: one screen that tells at a glance whether all is well, legible at 80 columns.

From a document to something rich can draw. Must not know where documents come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from cmam.cli.common import STYLES, counted

MARKS = {
    "reconciled": "●",
    "subscribed": "◐",
    "authorised": "◔",
    "down": "○",
    "refused": "✗",
    "token_dead": "✗",
}
"""Only a full circle is ready to trade."""


def status_screen(document: Mapping[str, Any], headline: RenderableType | None = None) -> RenderableType:
    """The whole screen, under a headline of its own or the given one."""
    parts: list[RenderableType] = [_headline(document) if headline is None else headline]
    parts += _alerts(document)  # first, since a low window shows the beginning
    parts += [Text(f"! {warning}", style="yellow") for warning in document.get("warnings", ())]
    if document.get("connections"):
        parts.append(_connections(document))
    if document.get("accounts"):
        parts.append(_accounts(document))
    if document.get("profiles"):
        parts.append(_profiles(document))
        parts += _forecasts(document["profiles"])
    parts += _unknown(document.get("accounts", ()))
    parts += _log(document.get("log"))
    return Group(*parts)


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
        who = f"process {holder['pid']}, {holder['command']}, since {holder['since']}"
        what = f"cmam does not answer ({who}): it starts, ends or hangs; this is what was stored last."
        return Text(what, style="bold red")
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


def _table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """A table of which only the last column gives way in a narrow window; no row ever takes two lines."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0, header_style="dim")
    for number, column in enumerate(columns):
        is_last = number == len(columns) - 1
        justify: JustifyMethod = "right" if column in numbers else "left"
        table.add_column(column, justify=justify, no_wrap=not is_last, overflow="ellipsis")
    return table


def _rest(text: str | Text) -> Text:
    """What stands in the last column: cut with an ellipsis where the window ends; --json has all of it."""
    found = text if isinstance(text, Text) else Text(text)
    found.no_wrap, found.overflow = True, "ellipsis"
    return found


def _word(text: str) -> Text:
    return Text(text, style=STYLES.get(text, ""))


def _connections(document: Mapping[str, Any]) -> Table:
    numbers = ("this second", "busiest", "guard", "waiting")
    table = _table("connection", "server", "state", *numbers, "", numbers=numbers)
    for name, found in document["connections"].items():
        short = name.removeprefix("connection:")
        figures = document.get("limiters", {}).get(f"limiter:{short}", {})
        table.add_row(
            short,
            f"{found.get('host', '')}:{found.get('port', '')}",
            _word(str(found.get("state", ""))),
            f"{figures.get('used', 0)} of {figures.get('limit', '?')}",
            str(figures.get("busiest_second", 0)),
            f"{figures['guard_ms']:.0f} ms" if "guard_ms" in figures else "",
            str(figures.get("waiting", 0)),
            _rest("; ".join(filter(None, [str(found.get("reason") or ""), _pauses(figures.get("paused", {}))]))),
        )
    return table


def _pauses(paused: Mapping[str, str]) -> str:
    """What the server does not take for a while."""
    return ", ".join(f"no {kind} until {until}" for kind, until in paused.items())


def _accounts(document: Mapping[str, Any]) -> Table:
    numbers = ("balance", "pos.", "copies")
    table = _table("", "account", "broker", "", "balance", "", "pos.", "copies", "state", numbers=numbers)
    for found in document["accounts"]:
        health = str(found["health"])
        state = Text.assemble(_word(health))
        if silence := _silence(document, str(found.get("connection", ""))):
            state.append(f", {silence}", style="yellow")
        if found.get("paused"):
            state.append(f" paused ({found.get('paused_reason') or 'operator'})", style="yellow")
        if found.get("reason") and health not in ("reconciled", "down"):
            state.append(f" {found['reason']}", style="dim")
        table.add_row(
            Text(MARKS.get(health, "○"), style=STYLES.get(health, "")),
            found.get("alias") or str(found.get("login") or found["ctid"]),
            found.get("broker") or "–",
            str(found.get("environment", "")),
            str(found.get("balance") or "–"),
            str(found.get("currency", "")) if found.get("balance") else "",
            str(found.get("positions", "–")),
            str(found.get("copies", "–")),
            _rest(state),
        )
    return table


def _silence(document: Mapping[str, Any], connection: str) -> str:
    """Why a connection that is open may be of no use, empty where it may be trusted."""
    found = (document.get("connections") or {}).get(f"connection:{connection}", {})
    return str(found.get("reason") or "") if found.get("state") == "open" else ""


def _profiles(document: Mapping[str, Any]) -> Table:
    names = {
        found["ctid"]: found.get("alias") or str(found.get("login") or "") for found in document.get("accounts", ())
    }
    table = _table("profile", "leader", "follower", "state", "copies", "policy", numbers=("copies",))
    for profile in document["profiles"]:
        for number, link in enumerate(profile["links"] or [{}]):
            is_first = number == 0
            table.add_row(
                profile["profile"] if is_first else "",
                names.get(profile["leader"], str(profile["leader"])) if is_first else "",
                names.get(link.get("follower"), str(link.get("follower", "–"))),
                _word(str(link.get("standing", profile["state"]))),
                str(link.get("copies", 0)),
                _rest(
                    ", ".join(_setting(name, value) for name, value in link.get("settings", {}).items()) or "defaults"
                ),
            )
    return table


def _policy(settings: Mapping[str, str]) -> str:
    return ", ".join(_setting(name, value) for name, value in settings.items()) or "defaults"


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
    return [
        Text(
            f"? {account.get('alias') or account.get('login') or account['ctid']}: {one['kind'].replace('_', ' ')} "
            f"{one['source']} unknown since {one['since']} ({one['why']}); "
            f"the broker is asked from {one['asked_from'] or 'its return'} on. {one['then'].capitalize()}.",
            style="yellow",
        )
        for account in accounts
        for one in account.get("unknown", ())
    ]


def _alerts(document: Mapping[str, Any]) -> list[RenderableType]:
    """Each in full, by the name a person gave its account; those of the process itself have none."""
    names = {found["ctid"]: found.get("alias") or found.get("login") for found in document.get("accounts", ())}
    whose = [
        (f"{names.get(alert['account']) or alert['account']}: " if alert["account"] is not None else "", alert["text"])
        for alert in document.get("alerts", ())
    ]
    return [Text(f"! {who}{text}", style="bold red") for who, text in whose]
