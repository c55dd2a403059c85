"""What every command shares: the options that stand anywhere, the face it was asked to show, how it is found.

`--home`, `--json` and `--debug` stand before or after the command. Must not know what any command does.
"""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import click

if TYPE_CHECKING:
    from pathlib import Path

    from cmam.config.home import Home


HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


SENTENCE_MAX = 1_000
"""Longer than the first sentence of any help."""


@dataclass(frozen=True, slots=True)
class Face:
    """How this run was asked to show itself, and which home it is about."""

    home: Home
    as_json: bool
    debug: bool


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


class WholeRange(click.IntRange):
    """A range of whole numbers, that says what it expects: click's own words are "not a valid integer range"."""

    def get_metavar(self, *_: Any, **__: Any) -> str:
        """As the pages name it."""
        return "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what is no whole number."""
        try:
            int(value)
        except ValueError:
            self.fail(f"expected a whole number in the range {self._describe_range()}, found {value!r}.", param, ctx)
        return super().convert(value, param, ctx)


class FiniteRange(click.FloatRange):
    """A range of numbers; what is no number at all (nan) compares with no bound, and so would pass each."""

    def get_metavar(self, *_: Any, **__: Any) -> str:
        """As the pages name it."""
        return "X"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what no clock can go by."""
        try:
            float(value)
        except ValueError:
            self.fail(f"expected a number in the range {self._describe_range()}, found {value!r}.", param, ctx)
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is no finite number, and so not in the range {self._describe_range()}.", param, ctx)
        return found


class Erasable(click.Option):
    """An option for which an empty text means something: it takes away what is there."""


class _Exact(click.Command):
    """A command that refuses an empty text where a word was to stand, two values for one, and two forms for one output.

    An empty text is what a script's variable gives that was never set. Taken for "not given" it would widen what is
    asked for: a follower to all followers, a latch to all latches, a home to the default one. Of two values the last
    would hold in silence: another leader, another account (decision 0245).
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look at what was typed before any callback or type makes something else of it."""
        typed, _, seen = self.make_parser(ctx).parse_args(list(args))
        for parameter in self.params:
            if _takes_one_value(parameter) and seen.count(parameter) > 1:
                raise click.BadParameter("given twice, and it takes one value: say it once.", ctx, parameter)
        for parameter in self.params:
            if not isinstance(parameter, Erasable) and _has_blank(parameter, typed.get(parameter.name or "")):
                raise click.BadParameter("the value is empty.", ctx, parameter)
        left = super().parse_args(ctx, args)
        if ctx.params.get("csv") and ctx.meta.get("cmam.json"):
            raise click.UsageError("say --csv or --json, not both.", ctx)
        return left


def _takes_one_value(parameter: click.Parameter) -> bool:
    """Whether a second value would take the place of the first; of homes the last one holds, for aliases' sake."""
    is_single = isinstance(parameter, click.Option) and not (parameter.multiple or parameter.is_flag or parameter.count)
    return is_single and parameter.name != "home"


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As any group, and for a name that is none the nearest that is one."""
        name = args[0]
        if name not in self.places and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, self.places, n=2)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            ctx.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place[1]) for name, place in self.places.items()])


def key_values(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """Read NAME=VALUE pairs, each name once: of two values the last would hold in silence; for click's callbacks."""
    pairs: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"expected NAME=VALUE, found {value!r}.", context, parameter)
        if name.strip() in pairs:
            raise click.BadParameter(f"expected each name once, found {name.strip()} twice.", context, parameter)
        pairs[name.strip()] = text.strip()
    return pairs


def carry_out(request: Mapping[str, Any]) -> dict[str, Any]:
    """Have a request carried out, by the running copier or beside it, on record as the command that runs; say
    which accounts it did not reach."""
    from cmam import office
    from cmam.cli.face.talk import say_unheard

    answer = office.carry_out(face().home, request, command=click.get_current_context().command_path)
    say_unheard(answer)
    return answer


def spare_others(file: Path, is_alike: Callable[[], bool], alike: str) -> None:
    """Refuse to write over a file that is not what `alike` names: a name is soon mistyped."""
    if file.is_file() and not is_alike():
        raise click.UsageError(f"{file} is there already, and is something else than {alike}: name another file.")


def spare_homes(file: Path) -> None:
    """Refuse to write where a home has what it lives by: `backup` names where to, and is easily read as what of."""
    from cmam.config.home import is_lived_by

    if is_lived_by(file):
        raise click.UsageError(f"{file} belongs to a home of cmam, and nothing is written over it: name another file.")
