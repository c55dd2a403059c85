"""The gaps at which the kill soak ends a process: each is a message that a copy really tells."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cmam.actors.threads.runtime import Directory
from tests.whole import Whole

DOOMED = Path(__file__).resolve().parents[2] / "scripts" / "soak" / "doomed.py"
LOT = 10_000_000


def gaps() -> dict[str, Callable[[str, object], bool]]:
    """The script's own list."""
    spec = importlib.util.spec_from_file_location("doomed", DOOMED)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.GAPS)


def test_a_copy_passes_every_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap whose message nobody tells any more would never kill anybody, and the soak would wait for it in vain."""
    told: list[tuple[str, object]] = []
    tell = Directory.tell

    def heard(self: Directory, name: str, message: object) -> bool:
        told.append((name, message))
        return tell(self, name, message)

    monkeypatch.setattr(Directory, "tell", heard)
    whole = Whole(seed=1)
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(3)
    whole.person.close(position, LOT)
    whole.run(3)
    assert whole.stop() == 0
    missing = [gap for gap, matches in gaps().items() if not any(matches(*one) for one in told)]
    assert missing == []
