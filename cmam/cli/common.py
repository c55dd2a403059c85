"""What every command shares: where its home is, how it prints, and what its failures look like.

`--home`, `--json` and `--debug` stand before or after the command. Data goes to stdout, talk to stderr. Must not know
what any command does.
"""

from __future__ import annotations

import json
import math
import os
import re
import select
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import click

if TYPE_CHECKING:
    from pathlib import Path

    from cmam.cli.tables import LegibleTable
    from cmam.config.home import Home

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


SENTENCE_MAX = 1_000
"""Longer than the first sentence of any help."""

ENDS_WITH_STDIN = "CMAM_ENDS_WITH_STDIN"
"""Variable by which a command tells another that it starts: end when the pipe that is your stdin ends."""
STDIN = 0


class Exit(IntEnum):
    """What a script learns from a command."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    HELD = 4


class Failure(Exception):
    """A command that did not do what it was asked: one sentence, and which of the exit codes it is."""

    def __init__(self, sentence: str, code: int = Exit.REFUSED) -> None:
        super().__init__(sentence)
        self.code = int(code)


@dataclass(frozen=True, slots=True)
class Face:
    """How this run was asked to show itself, and which home it is about."""

    home: Home
    as_json: bool
    debug: bool


# --- options that stand anywhere ------------------------------------------------------------------------------------


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def keep(context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        if value:
            context.meta[f"cmam.{name}"] = value
        return value

    return keep


def common_options() -> list[click.Parameter]:
    """The options of every command; the nearest one to the command wins."""
    return [
        click.Option(
            ["--home"],
            metavar="DIR",
            callback=_remember("home"),
            help="The folder of log, secrets and lock [CMAM_HOME, else the platform's].",
        ),
        click.Option(["--json", "as_json"], is_flag=True, callback=_remember("json"), help="Print JSON."),
        click.Option(
            ["--debug"], is_flag=True, callback=_remember("debug"), help="Show the whole traceback of a failure."
        ),
    ]


def face() -> Face:
    """The face of the command that runs now."""
    from cmam.config.home import choose_home

    meta = click.get_current_context().meta
    return Face(
        home=choose_home(meta.get("cmam.home"), os.environ),
        as_json=bool(meta.get("cmam.json")),
        debug=bool(meta.get("cmam.debug")),
    )


class FiniteRange(click.FloatRange):
    """A range of numbers; what is no number at all (nan) compares with no bound, and so would pass each."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what no clock can go by."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is no finite number, and so not in the range {self._describe_range()}.", param, ctx)
        return found


class Erasable(click.Option):
    """An option for which an empty text means something: it takes away what is there."""


class _Exact(click.Command):
    """A command that refuses an empty text where a word was to stand.

    It is what a script's variable gives that was never set. Taken for "not given" it would widen what is asked for: a
    follower to all followers, a latch to all latches, a home to the default one.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look at what was typed before any callback or type makes something else of it."""
        typed, _, _ = self.make_parser(ctx).parse_args(list(args))
        for parameter in self.params:
            if not isinstance(parameter, Erasable) and _has_blank(parameter, typed.get(parameter.name or "")):
                raise click.BadParameter("expected a value, found an empty text.", ctx, parameter)
        return super().parse_args(ctx, args)


def _has_blank(parameter: click.Parameter, typed: object) -> bool:
    is_meant = isinstance(parameter, click.Option) or isinstance(parameter.type, click.Path)
    return is_meant and "" in (typed if isinstance(typed, list | tuple) else (typed,))


class Verb(_Exact):
    """A command with the options that all have."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        named.setdefault("context_settings", HELP)
        super().__init__(*arguments, **named)
        own = {name for parameter in self.params for name in parameter.opts}
        self.params += [_unexposed(option) for option in common_options() if not set(option.opts) & own]


class Noun(_Exact, click.Group):
    """A group of commands, each with the options that all have."""

    command_class = Verb

    def __init__(self, *arguments: Any, **named: Any) -> None:
        named.setdefault("context_settings", HELP)
        super().__init__(*arguments, **named)
        self.params += [_unexposed(option) for option in common_options()]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List each command with its whole first sentence."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        shown = [(name, command.get_short_help_str(SENTENCE_MAX)) for name, command in found if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(shown)


def _unexposed(option: click.Parameter) -> click.Parameter:
    option.expose_value = False
    return option


class Lazy(Noun):
    """A group that imports a command only when it is asked for, so that `-h` and small commands stay quick."""

    places: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """For each command its module and its one line of help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which a person meets them."""
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and take the command from it."""
        place = self.places.get(cmd_name)
        if place is None:
            return None
        command = getattr(import_module(place[0]), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place[1]) for name, place in self.places.items()])


def key_values(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """Read NAME=VALUE pairs; for click's callbacks."""
    pairs = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"expected NAME=VALUE, found {value!r}.", context, parameter)
        pairs[name.strip()] = text.strip()
    return pairs


# --- printing -------------------------------------------------------------------------------------------------------

NAME = "cmam: "
"""What an error begins with."""
WORD_SHOWN_MAX = 200
"""Of a longer word an error shows only so much: who pasted a file for a name wants the sentence, not the file."""


UNSHOWN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Signs that move the cursor, colour a terminal or turn the direction of what follows."""


def legible(text: str) -> str:
    """What somebody else wrote, as a label or a comment, without what would make a terminal do something."""
    return UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text)


def shortened(text: str) -> str:
    """A sentence about something that was typed, legible however long that was."""
    return re.sub(
        rf"\S{{{WORD_SHOWN_MAX + 1},}}", lambda word: f"{word[0][:WORD_SHOWN_MAX]}… ({len(word[0])} characters)", text
    )


def say(text: str, *, error: bool = False) -> None:
    """Talk to the person, on stderr; that nobody listens any more, as at a closed terminal, ends nothing."""
    found = wrapped(NAME + shortened(text) if error else text)
    if error:
        colour = None if os.environ.get("NO_COLOR") else "red"
        found = click.style(NAME, fg=colour, bold=True) + found.removeprefix(NAME)
    with suppress(OSError):
        click.echo(found, err=True)


def wrapped(text: str) -> str:
    """Talk for a terminal, wrapped between words; an address stays whole, to be copied. A pipe has whole lines."""
    if not sys.stderr.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(_folded(line, width) for line in text.split("\n"))


def _folded(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def carry_out(request: Mapping[str, Any]) -> dict[str, Any]:
    """Have a request carried out, by the running copier or beside it, on record as the command that runs."""
    from cmam import office

    return office.carry_out(face().home, request, command=click.get_current_context().command_path)


def counted(number: int, noun: str) -> str:
    """A number with its noun, as people say it."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") else f"{number} {noun}s"


def is_orphaned() -> bool:
    """Tell whether who started us and holds our stdin is gone; only where it has said that we end with it."""
    if not os.environ.get(ENDS_WITH_STDIN):
        return False
    readable, _, _ = select.select([STDIN], [], [], 0)
    return bool(readable) and not os.read(STDIN, 1)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document, or one line of JSON lines, on stdout; escaped where stdout cannot hold every sign."""
    is_narrow = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") != "utf8"
    click.echo(json.dumps(document, ensure_ascii=is_narrow))


def print_rows(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str | tuple[str, str]],
    *,
    empty: str,
    title: str | None = None,
    numbers: frozenset[str] = frozenset(),
    spare: Sequence[str] = (),
) -> None:
    """A list: JSON lines with every key, or a table of `columns` (key, or key and heading) that fits the screen.

    On a narrow screen the `spare` columns go, the first of them first, so that what is left stays legible; lines wrap
    between words. Where not even the words of what is left fit side by side, each row is a card with all columns.
    """
    if click.get_current_context().meta.get("cmam.json"):
        for row in rows:
            print_json(row)
        return
    found = list(rows)
    if not found:
        say(empty)
        return
    pairs = [(column, column.replace("_", " ")) if isinstance(column, str) else column for column in columns]
    out = console()
    every = _filled(pairs, found, numbers, title)
    hidden: list[str] = []
    table = every
    for key in spare:
        if table.fits(out.width, is_wrapped=False):
            break
        hidden += [heading for name, heading in pairs if name == key]
        pairs = [pair for pair in pairs if pair[0] != key]
        table = _filled(pairs, found, numbers, title)
    if not table.fits(out.width):
        out.print(every.cards(out.width))
        return
    out.print(table)
    if hidden:
        say(f"Not shown on a screen this narrow: {', '.join(hidden)}. A wider one or --json has them.")


def _filled(
    pairs: Sequence[tuple[str, str]], rows: Sequence[Mapping[str, Any]], numbers: frozenset[str], title: str | None
) -> LegibleTable:
    table = new_table(title)
    for key, heading in pairs:
        table.add_column(heading, justify="right" if key in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(key)) for key, _ in pairs))
    return table


MOMENT = re.compile(r"\d{4}-(\d\d-\d\d)T(\d\d:\d\d:\d\d\.\d{3})Z")


def _cell(value: Any) -> Any:
    from rich.text import Text

    if value is None or value in ("", [], ()):
        return Text("–", style="dim")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    text = legible(str(value))
    if found := MOMENT.fullmatch(text):
        text = f"{found[1]} {found[2]}"
    elif text.endswith(".00"):
        text = text.removesuffix(".00")
    return Text(text, style=STYLES.get(text, ""))


STYLES = {
    "open": "green",
    "copy": "green",
    "running": "green",
    "reconciled": "green",
    "up": "green",
    "skip": "yellow",
    "paused": "yellow",
    "locked": "red",
    "flattened": "yellow",
    "subscribed": "yellow",
    "authorised": "yellow",
    "unknown": "bold red",
    "refused": "red",
    "down": "red",
    "token_dead": "red",
    "closed": "dim",
    "none": "dim",
    "stopped": "dim",
}
"""Colours carry nothing that the word does not say."""


def new_table(title: str | None = None) -> LegibleTable:
    """An empty table in the house's style."""
    from cmam.cli.tables import LegibleTable

    return LegibleTable(title)


def console(*, error: bool = False) -> Any:
    """A console on stdout (or stderr) that colours terminals only, and lets a pipe have whole lines."""
    from rich.console import Console

    class Plain(Console):
        """Of a reader who has gone the command hears as from any other print; rich would exit by itself, with 1."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    stream = sys.stderr if error else sys.stdout
    is_screen = stream.isatty()
    return Plain(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if is_screen else 240,
        no_color=True if not is_screen else None,
        force_terminal=None if is_screen else False,
    )


def spare_homes(file: Path) -> None:
    """Refuse to write where a home has what it lives by: `backup` names where to, and is easily read as what of."""
    from cmam.config.home import is_lived_by

    if is_lived_by(file):
        raise click.UsageError(f"expected a file to write to, found {file}, which a home of cmam lives by.")


def fail(sentence: str, code: int = Exit.REFUSED) -> NoReturn:
    """End the command with a sentence and an exit code."""
    raise Failure(sentence, code)


def is_interactive() -> bool:
    """Whether somebody can answer a question: nothing prompts when stdin is no terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
