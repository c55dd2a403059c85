"""One record of the log as a line that a person reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cmam.cli.face.talk import legible

if TYPE_CHECKING:
    from rich.text import Text

    from cmam.domain.events import Event
    from cmam.store.records.envelope import Recorded


def record_line(record: Recorded) -> Text:
    """A record in one line."""
    from rich.text import Text

    from cmam.store.text import iso

    return Text.assemble(
        (f"{record.position:>6} ", "dim"),
        f"{(iso(record.at_us) or '')[5:].replace('T', ' ')} ",
        (f"{record.stream:<18} ", "cyan"),
        (f"{record.topic} ", "bold"),
        _gist(record.event),
    )


def _gist(event: Event) -> str:
    """The few words of an event that a person looks for."""
    from cmam.store.records.envelope import event_builtins

    return ", ".join(_words(event_builtins(event)))


def _words(data: Mapping[str, Any]) -> Iterable[str]:
    for name, value in data.items():
        if isinstance(value, str | int) and not isinstance(value, bool) and value not in ("", 0):
            text = legible(str(value))
            yield f"{name}={text if len(text) <= 60 else text[:59] + '…'}"
