"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import configparser
import importlib
import importlib.metadata
import inspect
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pykka

import cmam.actors
from cmam.actors.threads.runtime import Watched


@cache
def _trees(folder: Path) -> dict[Path, ast.Module]:
    """Every Python file of ours below a folder, parsed once for all tests here."""
    foreign = {"_pb", ".clients"}  # generated, and other people's
    paths = sorted(path for path in folder.rglob("*.py") if not foreign & set(path.parts))
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def _functions(node: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Those of a module and of its classes: what pytest takes for a test is nowhere else."""
    for child in node.body:
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child)


def test_no_test_sleeps(root: Path) -> None:
    """A test waits for an event or moves a clock; sleeping makes it slow, and flaky where the machine is slower."""
    sleeping = [
        f"{path.relative_to(root)}:{node.lineno}"
        for path, tree in _trees(root / "tests").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "sleep"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "time"
    ]
    assert not sleeping


def test_each_test_says_what_it_holds(root: Path) -> None:
    """A test without a sentence leaves its reader to guess whether a failure matters."""
    silent = [
        f"{path.relative_to(root)}::{node.name}"
        for path, tree in _trees(root / "tests").items()
        if path.name.startswith("test_")
        for node in _functions(tree)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert not silent


def test_only_the_named_modules_read_the_clock_or_start_threads(root: Path) -> None:
    """Each exemption from that lint rule is a module that exists, so that none lingers for a file long gone."""
    rules = (root / "ruff.toml").read_text(encoding="utf-8")
    exempt = re.findall(r'^"(cmam/[a-z_/]+\.py)" = \["TID251"', rules, re.MULTILINE)
    assert exempt
    assert [path for path in exempt if not (root / path).is_file()] == []


def test_installed_packages_meet_the_bounds_in_setup_cfg(root: Path) -> None:
    """What the tests run with lies inside what setup.cfg promises, for each runtime dependency."""
    setup = configparser.ConfigParser()
    setup.read(root / "setup.cfg", encoding="utf-8")
    lines = [
        line for line in setup["options"]["install_requires"].splitlines() if line and not line.strip().startswith("#")
    ]
    assert len(lines) > 10
    for line in lines:
        name, low, high = re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+)(?:,<([0-9.]+))?", line.strip()).groups()
        found = _numbers(importlib.metadata.version(name))
        assert found >= _numbers(low), line
        assert high is None or found < _numbers(high), line


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def test_each_exception_to_a_rule_has_its_reason_beside_it(root: Path) -> None:
    """Whoever reads a rule that is switched off need not guess."""
    excused = re.compile(r"# (?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\])(?: - |  # )\S")
    lines = {
        f"{path.relative_to(root)}:{number}": line
        for folder in ("cmam", "scripts")
        for path in _trees(root / folder)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "# noqa" in line or "# type: ignore" in line
    }
    assert lines
    assert [place for place, line in lines.items() if not excused.search(line)] == []


def test_no_actor_hides_a_method_of_its_base() -> None:
    """A method called `_stop` once hid Pykka's own: that actor never ended, and with it the process."""
    meant = {"__init__", "on_receive", "on_start", "on_stop", "on_failure"}
    marked = {"_handle_receive"}  # `Watched` marks where a turn begins and ends, and hands on
    modules = list(pkgutil.walk_packages(cmam.actors.__path__, "cmam.actors."))
    assert any(module.name == "cmam.actors.accounts.account" for module in modules)
    for module in modules:
        found = vars(importlib.import_module(module.name)).values()
        actors = [one for one in found if isinstance(one, type) and issubclass(one, pykka.Actor)]
        for actor in actors:
            own = {name for name, value in vars(actor).items() if inspect.isfunction(value)} - meant
            own -= marked if actor is Watched else set()
            assert actor is pykka.Actor or not {name for name in own if hasattr(pykka.Actor, name)}, actor


def test_names_are_imported_from_where_they_are_defined(root: Path) -> None:
    """An import tells a reader which file to open; a module that passes names on would tell him a wrong one."""
    modules = {
        ".".join(path.relative_to(root).with_suffix("").parts): tree
        for folder in ("cmam", "scripts", "tests")
        for path, tree in _trees(root / folder).items()
    }
    borrowed = {
        name: {alias.asname or alias.name for node in tree.body for alias in _imported(node)}
        for name, tree in modules.items()
    }
    fixtures = {"tests.scenario.test_guide_browser"}  # pytest finds a fixture of another file by its name in this one
    passed_on = [
        f"{name}: {node.module}.{alias.name}"
        for name, tree in modules.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in borrowed.get(node.module or "", ()) and node.module not in fixtures
    ]
    assert any(borrowed.values())
    assert passed_on == []


def _imported(node: ast.stmt) -> list[ast.alias]:
    return node.names if isinstance(node, ast.Import | ast.ImportFrom) else []


def test_each_rule_is_asked_for_somewhere(root: Path) -> None:
    """One that nobody asks for has lost its branch, or never had one; one that stands twice has the later number."""
    folder = root / "cmam"
    trees = _trees(folder)
    named = {
        page: [
            (target.id, node.value.value)
            for node in trees[page].body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        ]
        for page in sorted((folder / "domain" / "values" / "rules").glob("[!_]*.py"))
    }
    names = Counter(name for found in named.values() for name, _ in found)
    asked = {
        node.id
        for path, tree in trees.items()
        if path not in named
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    newest = next(number for found in named.values() for name, number in found if name == "RULES")
    for page, found in named.items():
        numbers = [number for _, number in found]
        assert numbers == sorted(numbers), f"{page}: each under those of its number"
        assert 2 <= min(numbers) <= max(numbers) <= newest, page
    assert [name for name, count in names.items() if count > 1] == []
    assert [name for name in names if name not in asked] == []
