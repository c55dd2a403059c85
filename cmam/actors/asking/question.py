"""A question to a broker: the request, the name under which its answer comes back, and what makes that a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Question:
    """A request with a name, and what makes its answer a report.

    `within_us` is how long it is worth being sent, 0 for as long as its line is up.
    """

    name: str
    message: Any
    translate: Callable[[Any], Any] = field(repr=False)
    within_us: int = 0
