"""`cmam sandbox`: run the sandbox broker until Ctrl-C; its subcommands trade on it, break it and count what it saw."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.face.rows import console, new_table
from cmam.cli.face.talk import ENDS_WITH_STDIN, STDIN, say
from cmam.cli.face.verbs import HELP, Noun, WholeRange, face
from cmam.cli.sandbox.sandbox_admin import fault, stats
from cmam.cli.sandbox.sandbox_common import FILE, PORT, SPEED, key_values, one_sentence
from cmam.cli.sandbox.sandbox_trade import trade

if TYPE_CHECKING:
    from cmam.sandbox.serving.options import ReadyInfo, SandboxOptions
    from cmam.sandbox.serving.server import SandboxServer

TICKS_UNSAID_BYTES = 16 * 2**20
"""Of more ticks than these, which take some seconds, people are told that they are being read."""


def _bind(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value == "localhost":
        return value
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise click.BadParameter(
            f"expected an IP address of this machine or localhost, found {value!r}.", ctx, param
        ) from None


@click.group(cls=Noun, invoke_without_command=True, context_settings={**HELP, "auto_envvar_prefix": "CMAM_SANDBOX"})
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
@click.option("--seed", type=WholeRange(0), default=0, show_default=True, help="Chance of the market and of faults.")
@click.option(
    "--ticks", type=FILE, multiple=True, help="CSV of recorded ticks (time,symbol,bid,ask) to play. May be repeated."
)
@click.option(
    "--world", "world_file", type=FILE, help="TOML with brokers, symbols, accounts. Default: three brokers, built in."
)
@click.option(
    "--speed",
    type=SPEED,
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
@click.option(
    "--keep-always", "keeps_always", is_flag=True, help="Keep --state before each answer, so that a kill loses nothing."
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
@click.pass_context
def sandbox(ctx: click.Context, /, **given: Any) -> None:
    """Run a broker that speaks the cTrader Open API, until Ctrl-C.

    Listens on 127.0.0.1 unless told otherwise; no real money, no account, no network needed. Other programs find it by
    its ready file.
    """
    if ctx.invoked_subcommand is not None:
        return
    from cmam.sandbox.serving.options import SetUpFault
    from cmam.sandbox.serving.server import SandboxServer

    options = _options(given)
    size = sum(path.stat().st_size for path in options.ticks)
    if size > TICKS_UNSAID_BYTES:
        say(f"Reading {size / 2**20:,.0f} MiB of ticks …")
    _allow_many_connections()
    with one_sentence():
        try:
            server = SandboxServer(options)  # before it heeds signals by itself: millions of ticks take their time
            asyncio.run(_serve(server, options, as_json=face().as_json))
        except SetUpFault as fault_of_set_up:
            raise click.UsageError(f"{fault_of_set_up}.") from None


CONNECTIONS_MAX = 10_000
"""As many as memory is likely to be there for."""


def _allow_many_connections() -> None:
    """Let the process have more open files than the 256 or 1,024 that a shell gives it: each connection is one, and
    asyncio reports one that is too many a thousand times a second."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < CONNECTIONS_MAX:  # no limit at all is -1 on some systems
        most = hard if 0 <= hard < CONNECTIONS_MAX else CONNECTIONS_MAX
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _options(given: Mapping[str, Any]) -> SandboxOptions:
    from cmam.config.home import HomeRefused
    from cmam.sandbox.serving.options import SandboxOptions

    named = [given[name] for name in ("port", "json_port", "oauth_port", "live_port") if given[name]]
    if len(set(named)) < len(named):
        raise click.UsageError(f"expected different ports, found {', '.join(map(str, named))}.")
    home = face().home
    try:
        home.prepare()
    except HomeRefused as error:
        raise click.UsageError(str(error)) from None
    return SandboxOptions(home=home.root, **given)


async def _serve(server: SandboxServer, options: SandboxOptions, *, as_json: bool) -> None:
    until = asyncio.Event()
    loop = asyncio.get_running_loop()
    is_kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as nohup wants it
    numbers = (signal.SIGINT, signal.SIGTERM, *(() if is_kept else (signal.SIGHUP,)))

    def stop() -> None:
        until.set()
        loop.remove_reader(STDIN)
        for number in numbers:  # a second signal ends the process at once
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, stop)
    if os.environ.get(ENDS_WITH_STDIN):
        loop.add_reader(STDIN, stop)
    await server.serve(until, functools.partial(_announce, options=options, as_json=as_json))


def _announce(ready: ReadyInfo, *, options: SandboxOptions, as_json: bool) -> None:
    """Say that everything listens, and where; without secrets, which are in the ready file."""
    if as_json:
        click.echo(json.dumps(ready.as_document()))
    else:
        _show(ready, options)
        say("Ctrl-C stops it. From a second terminal: cmam sandbox trade|fault|stats -h")
    sys.stdout.flush()


def _show(ready: ReadyInfo, options: SandboxOptions) -> None:
    from rich.table import Table

    from cmam.sandbox.serving.options import READY_FILE

    rows = [
        ("protobuf", f"{ready.host}:{ready.port}  (TLS; raw or WebSocket)"),
        ("JSON", f"{ready.host}:{ready.json_port}  (TLS; WebSocket{' or lines' if options.raw_json else ''})"),
        ("consent page", f"{ready.oauth_url}/apps/auth"),
        ("token endpoint", f"{ready.oauth_url}/apps/token"),
        ("CA to trust", str(ready.ca_file)),
        ("client id", ready.client_id),
        ("credentials", str(options.ready_file or options.folder / READY_FILE)),
    ]
    if ready.live_port is not None:
        rows.insert(1, ("live accounts", f"{ready.host}:{ready.live_port}  (TLS; raw or WebSocket)"))
    places = Table.grid(padding=(0, 2))
    for name, place in rows:
        places.add_row(name, place)
    accounts = new_table()
    for heading in ("account", "login", "broker", "type", "balance", ""):
        accounts.add_column(heading, justify="right" if heading == "balance" else "left")
    for one in ready.accounts:
        accounts.add_row(str(one.ctid), str(one.login), one.broker, one.type, one.balance, one.currency)
    screen = console()
    screen.print("The sandbox is ready. No real money.\n")
    screen.print(places)
    screen.print(accounts)


sandbox.add_command(trade)
sandbox.add_command(fault)
sandbox.add_command(stats)
