"""What every command of `cmam sandbox` shares: how it finds the running sandbox, and refusals as one sentence."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cmam.cli.face import verbs
from cmam.cli.face.exits import Exit
from cmam.cli.face.talk import say
from cmam.cli.face.verbs import FiniteRange, WholeRange, face

PORT = WholeRange(0, 65_535)
POINTS = WholeRange(0, 2**31 - 1)
"""Points as the protocol can say them."""
SPEED_MIN, SPEED_MAX = 0.001, 10_000
"""At a thousandth a minute takes most of a day; what is far slower than that is a slip, and tells no time."""
SPEED = FiniteRange(SPEED_MIN, SPEED_MAX)
"""How many times as fast."""
FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn what the sandbox refuses into one sentence on stderr and its exit code: a sandbox is an API, and one that
    does not run cannot be reached."""
    from cmam.sandbox.serving.options import SandboxError
    from cmam.sandbox.trader.control_client import NoReadyFile, NotRunning

    try:
        yield
    except SandboxError as error:
        if face().debug:
            raise
        say(str(error), error=True)
        codes = {NotRunning: Exit.UNREACHABLE, NoReadyFile: Exit.USAGE}
        click.get_current_context().exit(codes.get(type(error), Exit.REFUSED))


def running(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the ready document of the running sandbox as `ready`."""

    @click.option(
        "--ready-file",
        type=click.Path(path_type=Path),
        help="Ready file of the sandbox. Default: the one in the home folder.",
    )
    @functools.wraps(function)
    def command(ready_file: Path | None, **rest: Any) -> None:
        from cmam.sandbox.trader.control_client import read_ready_file

        with one_sentence():
            function(ready=read_ready_file(ready_file or _ready_file_above(), face().home.root), **rest)

    return command


def _ready_file_above() -> Path | None:
    """Find the option where it stands before the command: `cmam sandbox --ready-file F stats`."""
    above = click.get_current_context().parent
    while above is not None:
        if found := above.params.get("ready_file"):
            return Path(found)
        above = above.parent
    return None


def key_values(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Read NAME=VALUE pairs as any command does; a hyphen in a name is as good as an underscore."""
    pairs = verbs.key_values(ctx, param, values)
    return tuple((name.replace("-", "_"), text) for name, text in pairs.items())
