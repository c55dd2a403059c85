"""A machine that lacks something, for real: what is asked of it is refused as it would be on a bad day."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

WHOLE_ADDRESS_SPACE = 1 << 47
"""No machine has memory to lay out a stack of so many bytes."""


@contextmanager
def no_threads() -> Iterator[None]:
    """Meanwhile no thread of this process can be started: RuntimeError."""
    before = threading.stack_size(WHOLE_ADDRESS_SPACE)
    try:
        yield
    finally:
        threading.stack_size(before)
