"""`cmam sandbox fault` and `cmam sandbox stats`: break the running sandbox on purpose, and read what it counted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from cmam.cli.face.rows import console, new_table
from cmam.cli.face.talk import print_json, say
from cmam.cli.face.verbs import Verb, face
from cmam.cli.sandbox.sandbox_common import key_values, running


@click.command(cls=Verb)
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]…", callback=key_values)
@click.option("--off", is_flag=True, help="Switch the fault off.")
@running
def fault(ready: dict[str, Any], name: str, arguments: tuple[tuple[str, str], ...], off: bool) -> None:
    """Switch a fault on or off; `fault list` says what there is, `fault all --off` ends all."""
    from cmam.sandbox.trader.control_client import ask

    if name == "list":
        _show_faults(ask(ready, "GET", "faults"))
        return
    if off:
        answer = ask(ready, "POST", "faults/clear", {"name": name})
    else:
        answer = ask(ready, "POST", "faults", {"name": name, "arguments": dict(arguments)})
    if face().as_json:
        print_json(answer)
    else:
        click.echo(answer["done"])


def _show_faults(found: Mapping[str, Any]) -> None:
    """List every fault; those that are on with what they were given."""
    if face().as_json:
        for name, text in found["known"].items():
            on = {"arguments": found["on"][name]} if name in found["on"] else {}
            print_json({"name": name, "help": text, "on": bool(on), **on})
        return
    table = new_table()
    for heading in ("fault", "on", "arguments: what it does"):
        table.add_column(heading, overflow="fold")
    for name, text in found["known"].items():
        given = " ".join(f"{key}={value}" for key, value in found["on"].get(name, {}).items() if value)
        table.add_row(name, f"on {given}".strip() if name in found["on"] else "", text)
    console().print(table)
    say("Those of requests and orders also take account=, connection=, type=, count= and chance= (of 1).")


COLUMNS = (
    "connection",
    "opened",
    "state",
    "requests",
    "heartbeats",
    "busiest second",
    "with heartbeats",
    "by rate",
    "errors",
)


@click.command(cls=Verb)
@running
def stats(ready: dict[str, Any]) -> None:
    """Show what each connection sent: requests, the busiest second with and without heartbeats, refusals."""
    from cmam.sandbox.trader.control_client import ask

    found = ask(ready, "GET", "stats")
    if face().as_json:
        print_json(found)
        return
    if found["connections"]:
        table = new_table()
        for heading in COLUMNS:
            table.add_column(heading, justify="right" if heading in COLUMNS[3:8] else "left", overflow="fold")
        for one in found["connections"]:
            table.add_row(*_row(one))
        console().print(table)
    click.echo(
        f"{found['connections_open']} open of {found['connections_total']}; "
        f"{found['messages_total']} messages received, {found['sent_total']} sent; "
        f"busiest second {found['busiest_second']} requests; {found['rate_refusals_total']} refused by rate"
    )
    if found["internal_errors"]:
        say(f"internal errors: {found['internal_errors']}; the last:\n{found['last_internal_error']}", error=True)


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    closed = f"closed {_clock(one['closed_us'])}: {one['close_reason']}" if one["closed_us"] is not None else "open"
    figures = ("requests", "heartbeats", "busiest_second", "busiest_second_with_heartbeats", "rate_refusals")
    errors = ", ".join(f"{code} {count}" for code, count in one["errors"].items())
    return (str(one["connection"]), _clock(one["opened_us"]), closed, *(str(one[name]) for name in figures), errors)


def _clock(moment_us: int) -> str:
    return datetime.fromtimestamp(moment_us / 1_000_000, tz=UTC).strftime("%H:%M:%SZ")
