"""The mutations keep up with the code: each finds its place."""

from __future__ import annotations

import importlib
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
