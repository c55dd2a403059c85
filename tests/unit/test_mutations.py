"""The mutations keep up with the code: each finds its place, and the page shows who has seen it."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def mutations(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script, as it imports itself."""
    monkeypatch.syspath_prepend(str(root / "scripts"))
    yield importlib.import_module("mutations")
    for name in [name for name in sys.modules if name.split(".")[0] in ("mutations", "mutants")]:
        del sys.modules[name]


def test_each_mutation_finds_its_place_once_and_still_is_code(mutations: Any, root: Path) -> None:
    """What is broken stands exactly once in its file, and the broken file can be compiled."""
    for mutation in (one for group in mutations.GROUPS.values() for one in group):
        text = (root / mutation.file).read_text(encoding="utf-8")
        assert text.count(mutation.old) == 1, f"{mutation.breaks!r} is not once in {mutation.file}: mend `old`"
        compile(text.replace(mutation.old, mutation.new), mutation.file, "exec")
        assert all((root / test).exists() for test in mutation.tests), mutation.breaks


def test_the_page_names_a_test_for_each_mutation(mutations: Any, root: Path) -> None:
    """The table has a row for each mutation and no other, and each of its tests stands where it says."""
    page = (root / "docs/testing.md").read_text(encoding="utf-8")
    table = page.partition(mutations.BEGIN)[2].partition(mutations.END)[0]
    rows = re.findall(r"^\| (\d.*?) \| (.*?) \| `(\S+?)::(?:\w+::)?(\w+).*` \|$", table, re.MULTILINE)
    named = [(group, mutation.breaks) for group, found in mutations.GROUPS.items() for mutation in found]
    assert [(group, breaks) for group, breaks, _, _ in rows] == named
    for _, breaks, file, test in rows:
        assert f"def {test}(" in (root / file).read_text(encoding="utf-8"), breaks
