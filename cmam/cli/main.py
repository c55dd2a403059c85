"""The entry point: finds the command, runs it, and turns whatever goes wrong into one sentence and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import click

import cmam
from cmam.cli.face.exits import Exit, Last
from cmam.cli.face.talk import is_interactive, legible, say, shortened, wrapped
from cmam.cli.face.verbs import HELP, Lazy, common_options


class Root(Lazy):
    """All commands, in the order in which a person meets them."""

    places: ClassVar = {
        "demo": ("cmam.cli.demo.demo", "See it work: a broker, a leader, three followers, half a minute."),
        "sandbox": ("cmam.cli.sandbox.sandbox", "Run a broker of your own that speaks the real protocol."),
        "api": ("cmam.cli.access.api", "Configure and check the way to the Open API."),
        "account": ("cmam.cli.access.account", "Add and manage trading accounts."),
        "profile": ("cmam.cli.profiles.profile", "Say who follows whom, and how."),
        "start": ("cmam.cli.running.run", "Copy trades, in the foreground."),
        "status": ("cmam.cli.running.run", "Show connections, accounts, profiles and alerts."),
        "pause": ("cmam.cli.running.run", "Open nothing new; go on managing what is open."),
        "resume": ("cmam.cli.running.run", "Open again."),
        "flatten": ("cmam.cli.running.flatten", "Close every copy now, and keep it closed."),
        "rearm": ("cmam.cli.running.rearm", "Open again after a guard or a flatten."),
        "replay": ("cmam.cli.replaying.replay", "Rebuild the past from the log, and verify every decision."),
        "audit": ("cmam.cli.auditing.audit", "Show what was copied, skipped and why."),
        "backup": ("cmam.cli.upkeep.backups", "Copy the log while it is written, and check the copy."),
        "salvage": ("cmam.cli.upkeep.salvage", "Copy the good part of a damaged log."),
        "restore": ("cmam.cli.upkeep.backups", "Put a backup back in place of the log."),
        "archive": ("cmam.cli.upkeep.backups", "Put the log aside, and begin a new file that continues it."),
    }

    def __init__(self, *arguments: Any, **named: Any) -> None:
        click.Group.__init__(self, *arguments, **named)
        self.params += common_options()


@click.group(cls=Root, context_settings=HELP)
@click.version_option(cmam.__version__, "--version", message="cmam %(version)s")
def cli(**_: object) -> None:
    """Copy trades between cTrader accounts through the Spotware Open API.

    Begin with `cmam demo`, which needs no account. Exit codes: 0 done, 1 refused or diverged, 2 usage, 3 cannot reach
    the API, 4 another cmam holds this store.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit; the console script."""
    open_what_is_closed()
    show_what_can_be_shown()
    code = run(sys.argv[1:] if arguments is None else arguments)
    if isinstance(code, Last):
        leave(code)
    _forget_talk_that_fails()
    sys.exit(code)


def leave(code: int) -> NoReturn:
    """Be gone, once what was said is out: nothing else is waited for, or taken apart."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # whoever read it has gone
            stream.flush()
    os._exit(code)


def open_what_is_closed() -> None:
    """Whoever starts us without stdin, stdout or stderr means that nobody reads or answers, and nothing else.

    Their numbers must be taken: the next file that is opened would get one, and a stray line would land in it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            stream = os.fdopen(descriptor, "r" if number == 0 else "w", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)


def show_what_can_be_shown() -> None:
    """On a terminal that is not UTF-8 a sign it lacks becomes a question mark, instead of the end of the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and _may_refuse(stream):
            stream.reconfigure(errors="replace")


def _may_refuse(stream: io.TextIOWrapper) -> bool:
    """Whether it ends a command over a sign: in the C locale without UTF-8 only undecoded names pass as they are."""
    is_utf8 = stream.encoding.lower().replace("-", "") == "utf8"
    return stream.errors == "strict" or (stream.errors == "surrogateescape" and not is_utf8)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code."""
    debug = "--debug" in arguments
    try:
        code = _invoked(arguments)
        sys.stdout.flush()
        return code
    except click.ClickException as refused:
        if debug and refused.__cause__ is not None:
            raise
        refused.show(text := io.StringIO())
        with suppress(OSError):  # whoever read it has gone; the exit code still tells
            click.echo(wrapped(legible(shortened(text.getvalue()))), err=True, nl=False)
        return refused.exit_code
    except (click.Abort, KeyboardInterrupt) as stopped:
        _end_the_line()
        say(str(stopped) or "Interrupted; nothing more was done.")
        return Exit.REFUSED
    except BrokenPipeError:
        # Whoever read our output has gone.
        _forget_output()
        return Exit.DONE
    except Exception as error:
        if debug:
            raise
        return _explain(error)


def _end_the_line() -> None:
    """A terminal has echoed `^C` where the cursor stood: what is said of it begins on a line of its own."""
    if is_interactive():
        with suppress(OSError):
            click.echo(err=True)


def _invoked(arguments: Sequence[str]) -> int:
    """What the command itself says of its end."""
    try:
        with cli.make_context("cmam", list(arguments)) as context:
            outcome = cli.invoke(context)
            return int(outcome) if isinstance(outcome, int) else Exit.DONE
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.exceptions.NoArgsIsHelpError as help_:
        click.echo(help_.format_message())
        return Exit.USAGE


def _forget_output() -> None:
    """What stdout does not take must not complain a second time at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: Exception) -> int:
    """One sentence for an error that carries one, and an honest word for one that should not have happened."""
    from cmam.cli.face.failures import code_of

    code = code_of(error)
    if code is not None:
        say(str(error), error=True)
        return code
    if isinstance(error, UnicodeEncodeError):
        found = error.object[error.start : error.end]
        say(f"This terminal has no sign for {found!a}: its encoding is not UTF-8.", error=True)
        return Exit.USAGE
    if isinstance(error, OSError) and error.strerror:
        _forget_output_that_fails()
        say(_of_machine(error), error=True)
        return Exit.REFUSED
    say(
        f"Something went wrong that should not have: {type(error).__name__}: {error}. "
        "--debug shows where; please report it.",
        error=True,
    )
    return Exit.REFUSED


def _of_machine(error: OSError) -> str:
    """What the machine refuses: a name that is too long, a folder where a file is expected, a full disk."""
    if isinstance(error, FileNotFoundError) and _is_lost():
        return "The folder that this was typed in is gone: go to another one, with `cd`."
    if error.filename is None:
        return f"The machine refused what was to be read or written: {error.strerror}."
    from cmam.config.files import refusal

    file = Path(os.fsdecode(error.filename))
    return f"{file} could not be read or written: {refusal(error, file)}."


def _is_lost() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _forget_output_that_fails() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _forget_output()


def _forget_talk_that_fails() -> None:
    """What stderr does not take is lost, and must not be tried again at exit: that would change the exit code."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
