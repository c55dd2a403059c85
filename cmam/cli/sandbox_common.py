"""What every command of `cmam sandbox` shares: options that find a running sandbox, refusals as one sentence."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

HELP = {"help_option_names": ["-h", "--help"]}
EXIT_REFUSED = 1
PORT = click.IntRange(0, 65_535)
FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


def home_of(ctx: click.Context, home: Path | None) -> Path:
    """Say which home folder is meant: this command's option, the main command's, CMAM_HOME, the platform's."""
    from cmam.config.home import choose_home

    inherited = ctx.find_root().params.get("home")
    named = str(home) if home is not None else (str(inherited) if inherited is not None else None)
    return choose_home(named, os.environ).root


def wants_json(ctx: click.Context, as_json: bool) -> bool:
    """Say whether JSON is wanted: by this command's option or by the main command's."""
    root = ctx.find_root().params
    return bool(as_json or root.get("as_json") or root.get("json"))


@contextmanager
def one_sentence(ctx: click.Context) -> Iterator[None]:
    """Turn what the sandbox refuses into one sentence on stderr and exit code 1."""
    from cmam.sandbox.options import SandboxError

    try:
        yield
    except SandboxError as error:
        if ctx.find_root().params.get("debug"):
            raise
        click.echo(f"cmam sandbox: {error}", err=True)
        ctx.exit(EXIT_REFUSED)


def running(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that find the running sandbox, and the ready document as `ready`."""

    @click.option(
        "--ready-file",
        type=click.Path(path_type=Path),
        help="Ready file of the sandbox. Default: the one in the home folder.",
    )
    @click.option(
        "--home", type=click.Path(file_okay=False, path_type=Path), help="Home folder that the sandbox runs with."
    )
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @click.pass_context
    @functools.wraps(function)
    def command(ctx: click.Context, /, ready_file: Path | None, home: Path | None, as_json: bool, **rest: Any) -> None:
        from cmam.sandbox.control_client import read_ready_file

        with one_sentence(ctx):
            ready = read_ready_file(
                ready_file or option_above(ctx, "ready_file"), home_of(ctx, home or option_above(ctx, "home"))
            )
            function(ready=ready, as_json=wants_json(ctx, as_json or bool(option_above(ctx, "as_json"))), **rest)

    return command


def option_above(ctx: click.Context, name: str) -> Any:
    """Find an option that was given to one of the groups before this command."""
    above = ctx.parent
    while above is not None:
        if above.params.get(name):
            return above.params[name]
        above = above.parent
    return None


def key_values(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Read NAME=VALUE pairs."""
    pairs = []
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"expected NAME=VALUE, found {value!r}.", ctx, param)
        pairs.append((name.strip().replace("-", "_"), text.strip()))
    return tuple(pairs)
