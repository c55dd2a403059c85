"""The log cut into turns: an input or a decision with all that was derived from it, as its account recorded them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cmam.domain.events import ChangeDecided, Event
from cmam.store.records.envelope import Recorded


@dataclass(slots=True)
class RecordedTurn:
    """One turn: the record it began with, and those that followed from it."""

    head: Recorded
    derived: list[Event] = field(default_factory=list)

    @property
    def events(self) -> tuple[Event, ...]:
        """All of its events, in order."""
        return (self.head.event, *self.derived)


def turns(records: Iterable[Recorded]) -> Iterator[RecordedTurn]:
    """The turns of a log, in its order: one turn is appended in one piece, so its records stand together."""
    current: RecordedTurn | None = None
    for record in records:
        is_head = isinstance(record.event, ChangeDecided) or not record.event.IS_DERIVED
        if current is not None and not is_head and current.head.stream == record.stream:
            current.derived.append(record.event)
            continue
        if current is not None:
            yield current
        current = RecordedTurn(record)
    if current is not None:
        yield current
