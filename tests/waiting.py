"""Waiting for what another process does: a look at a time, and in between the processor is its."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 120.0
"""How long anything may take on a machine that is busy with other work; a test that passes never waits so long."""

LOOK_EVERY_S = 0.02
"""A look asks a process that is busy with what is waited for: looking without a pause takes from it what it needs."""


def until(is_so: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Give what a look finds, as soon as it finds something; AssertionError with `what` where it never does."""
    pause = threading.Event()
    deadline = time.monotonic() + patience_s
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"never came true: {what}"
        pause.wait(LOOK_EVERY_S)
    return found
