"""The documents against the code: nothing described that is not there, nothing there that is not described."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

import cmam
from cmam.cli.main import cli
from tests.conftest import ROOT

WRITTEN = sorted(
    path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] if "Made from the code" not in path.read_text()
)


def _load_writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "scripts/write_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["write_docs"] = module
    spec.loader.exec_module(module)
    return module


writer = _load_writer()


@pytest.mark.parametrize("page", sorted(writer.PAGES))
def test_pages_made_from_the_code_are_fresh(page: str) -> None:
    """A command, setting, event, reason or file that changes takes its page with it: run `make docs`."""
    assert writer.is_fresh(page, writer.PAGES[page]()), f"docs/{page} is stale: run `make docs`"


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link of a document points at a file that exists."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("heading", ["The way of one copy", "The way of a fact"])
def test_the_ways_of_the_map_lead_through_what_is_there(root: Path, heading: str) -> None:
    """Each file that the map names is there, and defines what the map names beside it."""
    page = (root / "docs/architecture.md").read_text(encoding="utf-8")
    way = page.partition(f"## {heading}")[2].partition("\n## ")[0]
    rows = re.findall(r"^\|[^|]+\| (`[^|]+`) \| (`[^|]+`) \|$", way, re.MULTILINE)
    assert rows
    for files, names in rows:
        for file, name in zip(files.split(", "), names.split(", "), strict=True):
            text = (root / "cmam" / file.strip("`")).read_text(encoding="utf-8")
            assert re.search(rf"^(def |class )?{name.strip('`')}\b", text, re.MULTILINE), f"{file} has no {name}"


_WAYS = r"(?:ExecStart=|(?:[\d*/]+ ){5}|docker run .* cmam (?=cmam )|docker exec cmam (?=cmam ))?"
"""Who else types a command: a service manager, cron, a container."""


def _commands_in(path: Path) -> Iterator[str]:
    """Every `cmam …` that a document shows, in blocks and in running text."""
    text = path.read_text(encoding="utf-8")
    for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            found = re.match(rf"(?:\$ )?(?:[A-Z_]+=\S* )*{_WAYS}(?:\S*/bin/)?(cmam [a-z-].*)", line)
            if found:
                yield re.split(r"\s{3,}|\s+[#|]|\$\(", found.group(1))[0]
    for inline in re.findall(r"`((?:\.venv/bin/)?cmam [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        yield inline.removeprefix(".venv/bin/")


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_in_documents_exist(path: Path) -> None:
    """Whoever copies a command out of a document finds its verb and each of its options."""
    for shown in _commands_in(path):
        _check_command(shown)


def _check_command(shown: str) -> None:
    words = shlex.split(shown.replace("…", "").replace("[", " ").replace("]", " ").replace("|", " "))[1:]
    command: click.Command = cli
    context = click.Context(cli)
    options = {name for parameter in cli.params for name in parameter.opts}
    for word in words:
        if word.startswith("--"):
            known = options | {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help"}
            assert word.split("=")[0] in known, f"{shown!r}: {word} is no option of {command.name}"
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", word):
            found = command.get_command(context, word)
            if found is None and command is not cli:
                continue
            assert found is not None, f"{shown!r}: there is no command {word}"
            command = found


def test_quick_start_of_the_readme_is_two_make_targets(root: Path) -> None:
    """What the README tells a stranger to type is what the Makefile offers, and nothing else is needed."""
    blocks = re.findall(r"```console\n(.*?)```", (root / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    typed = [line.removeprefix("$ ") for line in blocks[0].splitlines() if line.startswith("$ ")]
    assert typed == ["make demo", "make test"]
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{line.split()[1]}:", makefile, re.MULTILINE) for line in typed)


def test_every_make_target_that_documents_name_exists(root: Path) -> None:
    """`make X` in a document is a target."""
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path in WRITTEN:
        for named in re.findall(r"`(?:SEED=n )?make ([a-z ]+)`", path.read_text(encoding="utf-8")):
            assert set(named.split()) <= targets, f"{path.name}: make {named}"


def test_the_changelog_speaks_of_this_version(root: Path) -> None:
    """Whoever updates reads what is new in it."""
    assert f"## {cmam.__version__}" in (root / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_decision_is_in_the_index(root: Path) -> None:
    """A decision that nobody finds was not written down."""
    folder = root / "docs/decisions"
    index = (folder / "index.md").read_text(encoding="utf-8")
    assert [path.name for path in folder.glob("[0-9]*.md") if path.name not in index] == []


def test_the_index_of_decisions_names_what_changed_them(root: Path) -> None:
    """Whoever finds an old decision is sent on to the one that holds now."""
    folder = root / "docs/decisions"
    index = (folder / "index.md").read_text(encoding="utf-8").splitlines()
    for path in sorted(folder.glob("[0-9]*.md")):
        said = re.findall(r"^\*\*Changed\.\*\*.*", path.read_text(encoding="utf-8"), re.MULTILINE)
        row = next(line for line in index if line.startswith(f"| [{path.name[:4]}]({path.name})"))
        by = {name for line in said for name in re.findall(r"\]\((\d{4}-[^)]+)\)", line)}
        assert set(re.findall(r"\((\d{4}-[^)]+)\)", row.rpartition("|")[0].rpartition("|")[2])) == by, path.name


def test_documents_name_no_machine_of_ours(root: Path) -> None:
    """Nothing committed knows a path of the machine it was written on."""
    for path in WRITTEN:
        assert not re.search(r"(?<![\w.])/(?:work|root|tmp/house)/", path.read_text(encoding="utf-8")), path.name


def test_every_kind_of_alert_is_on_its_page(root: Path) -> None:
    """Whoever is called finds what called him; no kind is told of that nothing raises."""
    folders = ("actors", "domain", "store/logfile")
    text = "\n".join(path.read_text() for folder in folders for path in (root / "cmam" / folder).rglob("*.py"))
    raised = {
        *re.findall(r'\b(?:Alert|_?alarm)\(\s*f?"([a-z_]+)', text),
        *re.findall(r'^[A-Z_]+ = "([a-z_]+) ?"\n"""[^"]*\balerts?\b', text, re.MULTILINE),
        *re.findall(r'"kind": f"([a-z_]+)', text),
    }
    named = set(re.findall(r"^\| `([a-z_]+)", (root / "docs/alerts.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert len(raised) > 20
    assert raised - named == set()
    assert [kind for kind in named - raised if not re.search(rf'"{kind}[":]', text)] == []


CITED = re.compile(r"wire\.md#([a-z][a-z-]*[a-z])")


def _entries_of_the_wire(root: Path) -> dict[str, str]:
    """What `docs/wire.md` knows, by the name under which it is cited."""
    parts = re.split(r"^#{2,3} (.+)\n", (root / "docs/wire.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = zip(parts[1::2], parts[2::2], strict=True)
    return {re.sub(r"[^\w -]", "", name).lower().replace(" ", "-"): text for name, text in named if text.strip()}


def test_what_is_cited_of_the_wire_is_there(root: Path) -> None:
    """Whoever reads what a line of code leans on finds it, under that name."""
    entries = _entries_of_the_wire(root)
    texts = [*WRITTEN, *(path for folder in ("cmam", "tests", "scripts") for path in (root / folder).rglob("*.py"))]
    cited = {(path.name, name) for path in texts for name in CITED.findall(path.read_text(encoding="utf-8"))}
    assert {name for _, name in cited}
    assert {(path, name) for path, name in cited if name not in entries} == set()


def test_the_wire_names_who_leans_on_it(root: Path) -> None:
    """Each entry tells which files cite it, all of them; one that nobody cites holds up nothing."""
    citing: dict[str, set[str]] = {}
    for path in (root / "cmam").rglob("*.py"):
        for name in CITED.findall(path.read_text(encoding="utf-8")):
            citing.setdefault(name, set()).add(path.relative_to(root / "cmam").as_posix())
    entries = _entries_of_the_wire(root)
    named = {
        name: set(re.findall(r"`([\w/]+\.py)`", text.partition("\nRests on it: ")[2])) for name, text in entries.items()
    }
    assert named == {name: citing.get(name, {"somebody in cmam"}) for name in entries}


def test_what_is_told_of_the_wire_says_how_sure_it_is(root: Path) -> None:
    """Nothing of the broker is believed without a word of evidence."""
    words = re.compile(r"documented|measured|told|assumed|unknown", re.IGNORECASE)
    assert [name for name, text in _entries_of_the_wire(root).items() if not words.search(text)] == []


def test_code_and_documents_cite_nothing_that_is_kept_elsewhere(root: Path) -> None:
    """Whoever has the project has all that it leans on."""
    elsewhere = re.compile(r"FACTS(?: §?\d|\)|\.md)|open-api facts|COPY_RULES|DESIGN(?: §|\.md)|CLI\.md")
    texts = [*WRITTEN, *(path for folder in ("cmam", "scripts", "tests") for path in (root / folder).rglob("*.py"))]
    texts.remove(root / "tests/unit/test_docs.py")
    assert [path.name for path in texts if elsewhere.search(path.read_text(encoding="utf-8"))] == []
