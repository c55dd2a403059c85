"""What became of older kinds of events: how their data is read as the kind that succeeded them.

An event is never edited. When its meaning changes, the new kind gets a new topic (`account.execution_seen.2`) and the
old topic an entry here: a pure function from the old data to the new. Upcasts are chained, oldest first, and only ever
applied when reading; what is stored stays as it is. Each is tested against a stored sample in tests/unit/store/samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Upcast:
    """One step: the topic that succeeded, and how the old data reads there."""

    topic: str
    change: Callable[[Data], Data]


UPCASTS: Mapping[str, Upcast] = {}
"""By old topic. Empty as long as no kind of event has been succeeded by another."""
