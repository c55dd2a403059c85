"""Write the pages of docs/ that are made from the code: commands, settings, events, reasons, refusals, files.

Each page is a function from the code to text. `--check` writes nothing and exits 1 if a page on disk is not what the
code says today; a test does the same.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import click

from cmam.cli.face.verbs import Lazy
from cmam.cli.main import cli
from cmam.config.settings import notes
from cmam.domain import events
from cmam.domain.profiles.setting_table import SETTINGS
from cmam.domain.repair import reconcile
from cmam.domain.values import reasons
from cmam.openapi.outcomes import RULES, UNLISTED
from cmam.store.records.envelope import event_builtins, event_classes
from cmam.store.records.forms import ROWS, SAID_TWICE

sys.path.insert(0, str(Path(__file__).resolve().parent))

import walkthrough

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
MADE = "*Made from the code by `make docs`; edit the code, not this page.*"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say which pages are stale")
    only_check = parser.parse_args().check
    stale = [name for name, make in PAGES.items() if not is_fresh(name, make())]
    for name in stale:
        if not only_check:
            (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"docs/{name} {'is stale: run `make docs`' if only_check else 'written'}")
    return 1 if only_check and stale else 0


def is_fresh(name: str, text: str) -> bool:
    """Whether the page on disk is what the code says today."""
    path = DOCS / name
    return path.is_file() and path.read_text(encoding="utf-8") == text


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table."""
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""


# --- commands -------------------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name, groups first."""

    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        if isinstance(command, click.Group):
            context = click.Context(command, **command.context_settings)
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                if found is not None and not found.hidden:
                    yield from walk(f"{name} {child}", found)

    return walk("cmam", cli)


COMMON = ("--home", "--json", "--debug", "--help")


def cli_page() -> str:
    lines = [
        "# Commands",
        "",
        MADE,
        "",
        (
            "Noun then verb. Data on stdout, talk on stderr. `--home DIR` (or `CMAM_HOME`), `--json`, `--debug` and `-h` stand "
            "before or after any command. An option with an empty text, as of a variable that is not set, is a mistake; "
            "so is one that takes one value and is given twice (of two homes the last one holds)."
        ),
        "",
        "Exit codes: 0 done · 1 refused or diverged · 2 usage · 3 cannot reach the API · 4 another cmam holds this store.",
        "",
    ]
    for name, command in commands():
        if name == "cmam":
            continue
        lines += [f"{'##' if name.count(' ') == 1 else '###'} `{_usage(name, command)}`", "", *_help(command), ""]
        options = [parameter for parameter in command.params if _is_worth_a_row(parameter)]
        if options:
            lines += table(("option", "meaning"), (_option(option) for option in options))
    return "\n".join(lines).rstrip() + "\n"


def _usage(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, **command.context_settings)
    pieces = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    return " ".join([name, *pieces])


def _help(command: click.Command) -> list[str]:
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    assert text, f"{command.name} has no help"
    return [text]


def _is_worth_a_row(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and not parameter.hidden and not set(parameter.opts) & set(COMMON)


def _option(parameter: click.Parameter) -> tuple[str, str]:
    assert isinstance(parameter, click.Option)
    context = click.Context(cli)
    record = parameter.get_help_record(context)
    names, meaning = record if record is not None else ("", "")
    for kind, shown in (("INTEGER RANGE", "N"), ("FLOAT RANGE", "X"), ("INTEGER", "N"), ("FLOAT", "X")):
        names = names.replace(kind, shown)
    return f"`{names}`", " ".join(meaning.split())


# --- settings -------------------------------------------------------------------------------------------------------


def settings_page() -> str:
    lines = [
        "# Settings",
        "",
        MADE,
        "",
        "## Of a home",
        "",
        (
            "Kept in `settings.toml`, changed by `cmam api configure`. The environment variable wins over the file, an option "
            "over both. `CMAM_HOST` and `CMAM_PORT` speak of both environments at once."
        ),
        "",
        *table(
            ("setting", "variable", "default", "allowed", "meaning"),
            (
                (f"`{n.name}`", f"`{n.variable}`", f"`{n.default}`" if n.default else "–", n.allowed, n.meaning)
                for n in notes()
            ),
        ),
        (
            "Secrets are no settings: `CMAM_CLIENT_ID`, `CMAM_CLIENT_SECRET`, `CMAM_ACCESS_TOKEN`, `CMAM_REFRESH_TOKEN` and "
            "`CMAM_TOKEN_EXPIRES_AT` are read by the commands that take them, and kept in `secrets.json` or the keyring."
        ),
        "",
        "## Of a link",
        "",
        (
            "The policy under which a follower copies: `cmam profile create … --set NAME=VALUE`, `cmam profile set`. Each change "
            "is an event, and a decision names the version it was taken under."
        ),
        "",
        *table(
            ("setting", "default", "allowed", "meaning"),
            ((f"`{s.name}`", f"`{s.default}`" if s.default else "–", s.allowed, s.meaning) for s in SETTINGS),
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


# --- events ---------------------------------------------------------------------------------------------------------


def room_of(kind: type[events.Event]) -> str:
    """What the module of an event is about: its first sentence."""
    return first_sentence(Path(inspect.getsourcefile(kind) or "")).rstrip(".")


STREAMS = {
    "account": ("account:&lt;ctid&gt;", "one trading account; its actor is the only writer"),
    "link": ("account:&lt;ctid&gt;", "one trading account; its actor is the only writer"),
    "profile": ("profile:&lt;id&gt;", "one profile: its links and their settings"),
    "app": ("app", "accounts, settings, the system's life, checkpoints"),
    "connection": ("connection:&lt;env&gt;-&lt;n&gt;", "one connection to the API"),
}


def _default_text(field: dataclasses.Field[Any]) -> str:
    """What a missing field means, as JSON."""
    if field.default is not dataclasses.MISSING:
        return (
            f"`{json.dumps(event_builtins(field.default))}`" if not dataclasses.is_dataclass(field.default) else "`{}`"
        )
    return "" if field.default_factory is dataclasses.MISSING else f"`{json.dumps(field.default_factory())}`"


def _repeated(kind: type[Any]) -> list[tuple[str, str, str]]:
    """The fields of a fact that may be left out as told by others."""
    return [
        (f"`{kind.TOPIC}`", f"`{part}.{name}`".replace("`.", "`"), f"`{other}.{told_by}`")
        for part, other, pairs in SAID_TWICE[kind]
        for name, told_by in pairs
    ]


def events_page() -> str:
    lines = [
        "# Events",
        "",
        MADE,
        "",
        (
            "What `events.db` holds: one row a fact, readable JSON in the column `state` of `stored_events`. Each stands in an "
            'envelope: `{"form": n, "at_us", "cause": [stream, version] | null, "settings": n, "code": "x.y.z", "prev": hash, '
            '"data": {…}}`. An event is never edited, only succeeded. *Derived* ones follow from the inputs before them; a replay '
            "computes them again and compares."
        ),
        "",
        (
            "Records without a `form` name every field. Since form 2 a field that is missing is at its default, which never "
            f"changes; {', '.join(f'`{row.__name__}`' for row in ROWS[:-1])} and `{ROWS[-1].__name__}` are lists of their fields "
            "in order; and these fields are left out where they say the same as another one of their record:"
        ),
        "",
        *table(("event", "field", "the same as"), [line for kind in SAID_TWICE for line in _repeated(kind)]),
        "",
    ]
    last, last_room = "", ""
    for cls in event_classes():
        stream, meaning = STREAMS[cls.TOPIC.split(".")[0]]
        if stream != last:
            lines += [f"## {stream}", "", meaning[0].upper() + meaning[1:] + ".", ""]
            last = stream
        if (room := room_of(cls)) != last_room:
            lines += [f"### {room}", ""]
            last_room = room
        derived = " · derived" if cls.IS_DERIVED else ""
        lines += [f"#### `{cls.TOPIC}`{derived}", "", inspect.cleandoc(cls.__doc__ or ""), ""]
        hints = get_type_hints(cls)
        fields = [(f"`{f.name}`", _type_name(hints[f.name]), _default_text(f)) for f in dataclasses.fields(cls)]
        if fields:
            lines += table(("field", "type", "default"), fields)
    return "\n".join(lines).rstrip() + "\n"


def _type_name(hint: Any) -> str:
    """A type as a person reads it."""
    return f"`{re.sub(r'[A-Za-z_.]*[a-z_][.](?=[A-Za-z])', '', inspect.formatannotation(hint))}`"


# --- reasons and refusals -------------------------------------------------------------------------------------------


def reasons_page() -> str:
    lines = [
        "# Reasons",
        "",
        MADE,
        "",
        (
            "Every skip, every *none* and every refusal carries one of these words. `cmam audit explain ID` shows it with its "
            "numbers."
        ),
        "",
        *table(
            ("reason", "when", "rests on", "what would have let it through"),
            ((f"`{reason.value}`", row.when, row.inputs, row.cure) for reason, row in reasons.REASONS.items()),
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


def refusals_page() -> str:
    lines = [
        "# Refusals of the API",
        "",
        MADE,
        "",
        (
            "What each error code means, when the same request may go out again, and the cure. A code that is not here counts "
            "as permanent."
        ),
        "",
        *table(
            ("code", "kind", "again", "meaning", "cure"),
            (
                (f"`{r.code}`", r.kind.value, r.retry.value.replace("_", " "), r.sentence, r.cure)
                for r in (*RULES.values(), *UNLISTED.values())
            ),
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


def findings_page() -> str:
    lines = [
        "# Findings",
        "",
        MADE,
        "",
        "How record, follower and leader may differ. `cmam profile check` names each case; [recovery](recovery.md) tells the story.",
        "",
        *table(
            ("finding", "what it is", "what is done about it"),
            ((f"`{kind.value}`", row.what, row.done) for kind, row in reconcile.FINDINGS.items()),
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"


# --- files ----------------------------------------------------------------------------------------------------------


def whats_here_page() -> str:
    lines = [
        "# What is here",
        "",
        MADE,
        "",
        "Each folder and each file in one line, from its own first sentence; of tests/ what all of them share:",
        "[testing](testing.md) has its folders.",
        "",
    ]
    for folder, files in (("cmam", "**/*.py"), ("scripts", "**/*.py"), ("tests", "*.py")):
        by_package: dict[str, list[tuple[str, str]]] = {}
        for path in sorted((ROOT / folder).glob(files)):
            if "_pb" in path.parts or path.name == "__init__.py":
                continue
            package = path.parent.relative_to(ROOT).as_posix()
            by_package.setdefault(package, []).append((f"`{path.name}`", first_sentence(path)))
        for package, rows in sorted(by_package.items()):
            face = ROOT / package / "__init__.py"
            says = [first_sentence(face), ""] if face.exists() and face.stat().st_size else []
            lines += [f"## {package}/", "", *says, *table(("file", "what it is for"), rows)]
    return "\n".join(lines).rstrip() + "\n"


def first_sentence(path: Path) -> str:
    """The first line of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert text, f"{path} does not say what it is for"
    return " ".join(text.split("\n\n")[0].split())


def audit_page() -> str:
    """docs/audit.md with what its commands print today; the words between them are written by hand."""
    return walkthrough.page()


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "settings.md": settings_page,
    "events.md": events_page,
    "reasons.md": reasons_page,
    "refusals.md": refusals_page,
    "findings.md": findings_page,
    "whats-here.md": whats_here_page,
    "audit.md": audit_page,
}

assert issubclass(type(cli), Lazy), "the commands are walked through their lazy group"

if __name__ == "__main__":
    sys.exit(main())
