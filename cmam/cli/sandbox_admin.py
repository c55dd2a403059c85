"""`cmam sandbox fault` and `cmam sandbox stats`: break the running sandbox on purpose, and read what it counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from cmam.cli.sandbox_common import HELP, key_values, running


class Rows:
    """A plain table on stdout: narrow on a screen, one row a line in a pipe."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self._table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in columns:
            self._table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left")

    def add_row(self, *cells: str) -> None:
        """Add one row."""
        self._table.add_row(*cells)

    def print(self, when_empty: str) -> None:
        """Print it, or say that there is nothing."""
        if not self._table.row_count:
            click.echo(when_empty)
            return
        console = Console(highlight=False, markup=False)
        if not console.is_terminal:
            console.width = 240
        console.print(self._table)


def table(*columns: str) -> Rows:
    """Start a table; a column whose name begins with > is set to the right."""
    return Rows(columns)


@click.command(context_settings=HELP)
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]…", callback=key_values)
@click.option("--off", is_flag=True, help="Switch the fault off.")
@running
def fault(ready: dict[str, Any], as_json: bool, name: str, arguments: tuple[tuple[str, str], ...], off: bool) -> None:
    """Switch a fault on or off. `cmam sandbox fault list` says which there are and which are on."""
    from cmam.sandbox.control_client import ask

    if name == "list":
        _show_faults(ask(ready, "GET", "faults"), as_json)
        return
    if off:
        answer = ask(ready, "POST", "faults/clear", {"name": name})
    else:
        answer = ask(ready, "POST", "faults", {"name": name, "arguments": dict(arguments)})
    click.echo(json.dumps(answer) if as_json else answer["done"])


def _show_faults(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        for name, text in found["known"].items():
            click.echo(json.dumps({"name": name, "help": text, "on": name in found["on"], **_set(found, name)}))
        return
    rows = table("fault", "on", "arguments and what it does")
    for name, text in found["known"].items():
        given = " ".join(f"{key}={value}" for key, value in found["on"].get(name, {}).items() if value)
        rows.add_row(name, ("on " + given).strip() if name in found["on"] else "", text)
    rows.print("there are no faults")


def _set(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {"arguments": found["on"][name]} if name in found["on"] else {}


@click.command(context_settings=HELP)
@running
def stats(ready: dict[str, Any], as_json: bool) -> None:
    """Show what each connection sent: requests, the busiest second with and without heartbeats, refusals."""
    from cmam.sandbox.control_client import ask

    found = ask(ready, "GET", "stats")
    if as_json:
        click.echo(json.dumps(found))
        return
    rows = table(
        "connection",
        "opened",
        "state",
        ">requests",
        ">heartbeats",
        ">busiest s",
        ">with hb",
        ">rate refusals",
        "errors",
    )
    for one in found["connections"]:
        errors = ", ".join(f"{code} {count}" for code, count in one["errors"].items())
        rows.add_row(
            str(one["connection"]),
            _clock(one["opened_us"]),
            "open" if one["closed_us"] is None else f"closed {_clock(one['closed_us'])}: {one['close_reason']}",
            str(one["requests"]),
            str(one["heartbeats"]),
            str(one["busiest_second"]),
            str(one["busiest_second_with_heartbeats"]),
            str(one["rate_refusals"]),
            errors,
        )
    rows.print("no connection yet")
    click.echo(
        f"{found['connections_open']} open of {found['connections_total']}; "
        f"{found['messages_total']} messages received, {found['sent_total']} sent; "
        f"busiest second {found['busiest_second']} requests; {found['rate_refusals_total']} refused by rate"
    )
    if found["internal_errors"]:
        click.echo(f"internal errors: {found['internal_errors']}; the last:\n{found['last_internal_error']}", err=True)


def _clock(moment_us: int) -> str:
    return datetime.fromtimestamp(moment_us / 1_000_000, tz=UTC).strftime("%H:%M:%S")
