"""`cmam sandbox`: run the sandbox broker until Ctrl-C; its subcommands trade on it, break it and count what it saw."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from cmam.cli.sandbox_admin import fault, stats
from cmam.cli.sandbox_common import FILE, HELP, PORT, home_of, key_values, one_sentence, wants_json
from cmam.cli.sandbox_trade import trade

if TYPE_CHECKING:
    from cmam.sandbox.options import ReadyInfo, SandboxOptions


def _bind(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value == "localhost":
        return value
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise click.BadParameter(
            f"expected an IP address of this machine or localhost, found {value!r}.", ctx, param
        ) from None


@click.group(invoke_without_command=True, context_settings={**HELP, "auto_envvar_prefix": "CMAM_SANDBOX"})
@click.option(
    "--port", type=PORT, default=5035, show_default=True, help="TLS, protobuf (raw or WebSocket). 0: any free one."
)
@click.option(
    "--json-port", type=PORT, default=5036, show_default=True, help="TLS, JSON (WebSocket or lines). 0: any free one."
)
@click.option(
    "--oauth-port",
    type=PORT,
    default=5080,
    show_default=True,
    help="HTTPS: consent page and token endpoint. 0: any free one.",
)
@click.option("--live-port", type=PORT, help="Serve live accounts here, and only demo ones on --port.")
@click.option(
    "--bind", default="127.0.0.1", show_default=True, callback=_bind, metavar="ADDRESS", help="Address to listen on."
)
@click.option(
    "--ready-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Written (0600) once everything listens: ports, credentials, accounts.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Chance of the market and of faults."
)
@click.option(
    "--ticks", type=FILE, multiple=True, help="CSV of recorded ticks (time,symbol,bid,ask) to play. May be repeated."
)
@click.option(
    "--world", "world_file", type=FILE, help="TOML with brokers, symbols, accounts. Default: three brokers, built in."
)
@click.option(
    "--speed",
    type=click.FloatRange(0, 10_000, min_open=True),
    default=1.0,
    show_default=True,
    help="Speed of the market.",
)
@click.option(
    "--state",
    "state_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep accounts, orders and tokens here across restarts.",
)
@click.option("--faults", "faults_file", type=FILE, help="Faults with their times, one a line: SECONDS NAME KEY=VALUE…")
@click.option(
    "--set",
    "switches",
    multiple=True,
    callback=key_values,
    metavar="NAME=VALUE",
    help="A switch of the broker, e.g. fill_delay_ms=0. May be repeated; docs/sandbox.md lists them.",
)
@click.option(
    "--raw-json/--no-raw-json",
    default=True,
    show_default=True,
    help="Accept JSON lines without WebSocket on the JSON port.",
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the certificate authority and the ready file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the ready document as JSON.")
@click.pass_context
def sandbox(ctx: click.Context, /, **given: Any) -> None:
    """Run a broker that speaks the cTrader Open API, until Ctrl-C.

    Listens on 127.0.0.1 unless told otherwise; no real money, no account, no network needed. Other programs find it by
    its ready file.
    """
    if ctx.invoked_subcommand is not None:
        return
    options = _options(ctx, given)
    with one_sentence(ctx):
        asyncio.run(_serve(options, wants_json(ctx, given["as_json"])))


def _options(ctx: click.Context, given: Mapping[str, Any]) -> SandboxOptions:
    from cmam.config.home import Home, HomeRefused
    from cmam.sandbox.options import SandboxOptions

    named = [given[name] for name in ("port", "json_port", "oauth_port") if given[name]]
    if len(set(named)) < len(named):
        raise click.UsageError(f"expected three different ports, found {', '.join(map(str, named))}.")
    home = home_of(ctx, given["home"])
    try:
        Home(home).prepare()
    except HomeRefused as error:
        raise click.UsageError(str(error)) from None
    return SandboxOptions(
        home=home,
        **{name: value for name, value in given.items() if name not in ("home", "as_json")},
    )


async def _serve(options: SandboxOptions, as_json: bool) -> None:
    from cmam.sandbox.options import SetUpFault
    from cmam.sandbox.server import SandboxServer

    try:
        server = SandboxServer(options)
    except SetUpFault as fault:
        raise click.UsageError(str(fault)) from None
    until = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        until.set()
        for number in (signal.SIGINT, signal.SIGTERM):  # a second signal ends the process at once
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    await server.serve(until, functools.partial(_announce, options=options, as_json=as_json))


def _announce(ready: ReadyInfo, *, options: SandboxOptions, as_json: bool) -> None:
    from cmam.sandbox.options import READY_FILE

    if as_json:
        click.echo(json.dumps(ready.as_document()))
        sys.stdout.flush()
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("protobuf", f"{ready.host}:{ready.port}  (TLS; raw or WebSocket)")
    table.add_row("JSON", f"{ready.host}:{ready.json_port}  (TLS; WebSocket{' or lines' if options.raw_json else ''})")
    table.add_row("consent page", f"{ready.oauth_url}/apps/auth")
    table.add_row("token endpoint", f"{ready.oauth_url}/apps/token")
    table.add_row("CA to trust", str(ready.ca_file))
    table.add_row("client id", ready.client_id)
    table.add_row("credentials", str(options.ready_file or options.folder / READY_FILE))
    accounts = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("account", "login", "broker", "type"):
        accounts.add_column(name)
    accounts.add_column("balance", justify="right")
    accounts.add_column("")
    for account in ready.accounts:
        accounts.add_row(
            str(account.ctid), str(account.login), account.broker, account.type, account.balance, account.currency
        )
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    console.print("[bold]cmam sandbox[/bold] is ready. No real money.\n")
    console.print(table)
    console.print()
    console.print(accounts)
    click.echo("Ctrl-C stops it. From a second terminal: cmam sandbox trade|fault|stats -h", err=True)


sandbox.add_command(trade)
sandbox.add_command(fault)
sandbox.add_command(stats)
