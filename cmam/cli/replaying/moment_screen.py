"""What `cmam replay` shows of one moment: the screen of `status` as it stood, and what every copy held and wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cmam.cli.face.rows import new_table
from cmam.cli.showing.screen import status_screen

COPIES_MAX = 30
"""More copies than this are counted, not shown; `--json` has them all."""


def moment_screen(document: Mapping[str, Any], headline: RenderableType) -> RenderableType:
    """The whole screen."""
    parts: list[RenderableType] = [status_screen({**document, "connections": {}}, headline)]
    accounts = document.get("accounts", ())
    lines = [_line(name, found) for name, found in document.get("connections", {}).items()]
    copies = [(account, copy) for account in accounts for copy in account.get("live", ())]
    if copies:
        parts.append(_copies(copies[:COPIES_MAX]))
    if len(copies) > COPIES_MAX:
        parts.append(Text(f"and {len(copies) - COPIES_MAX} more copies; --json has them all.", style="dim"))
    parts += [_latch(account, latch) for account in accounts for latch in account.get("latches", ())]
    parts += [_request(account, found) for account in accounts for found in account.get("requests", ())]
    return Group(*parts, *lines)


def _name(account: Mapping[str, Any]) -> str:
    return str(account.get("alias") or account.get("login") or account["ctid"])


def _copies(copies: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Table:
    table: Table = new_table()
    for name in ("account", "symbol", "side", "state"):
        table.add_column(name, overflow="fold")
    for name in ("holds", "wants", "residue", "stop", "target"):
        table.add_column(name, justify="right", overflow="fold")
    for account, copy in copies:
        waits = f" ({copy['waits_for']})" if copy["waits_for"] else ""
        table.add_row(
            _name(account),
            copy["symbol"],
            copy["side"],
            f"{copy['state']}{waits}",
            _plain(copy["volume"]),
            _plain(copy["target"]),
            _plain(copy["residue"]),
            copy["stop"] or "–",
            copy["target_price"] or "–",
        )
    return table


def _plain(volume: str) -> str:
    return volume.removesuffix(".00")


def _latch(account: Mapping[str, Any], latch: Mapping[str, Any]) -> Text:
    until = f" until {latch['until']}" if latch["until"] else ""
    figures = f", {latch['value']} against {latch['limit']}" if Decimal(latch["limit"]) else ""
    words = f"{_name(account)}: latch {latch['guard']} ({latch['reaction']}){until}{figures}"
    return Text(words, style="yellow")


def _request(account: Mapping[str, Any], found: Mapping[str, Any]) -> Text:
    words = f"{_name(account)}: {found['kind']} {_plain(found['volume'])} is {found['state']} ({found['request']})"
    return Text(words, style="dim")


def _line(name: str, found: Mapping[str, Any]) -> Text:
    short = name.removeprefix("connection:")
    budget = found.get("budget")
    spent = (
        f"{budget['sent']} requests in the minute to {str(budget['measured_at'])[11:19]}Z, "
        f"{budget['busiest_second']} in its busiest second"
        if budget
        else "no minute measured yet"
    )
    blocked = f"; blocked: {', '.join(found['blocked'])}" if found.get("blocked") else ""
    return Text(f"{short} {found['state']}: {spent}{blocked}", style="dim")
