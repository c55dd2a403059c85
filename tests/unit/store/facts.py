"""Small facts for the tests of the store: what they say does not matter there, only that they are kept."""

from __future__ import annotations

from collections.abc import Iterable

from cmam.domain.events import AlertRaised
from cmam.store.logfile.chain import checkpoint
from cmam.store.logfile.log import EventLog
from cmam.store.records.envelope import Pending, Raw

T0 = 1_577_836_800_000_000
"""2020-01-01 00:00 UTC."""


def a_fact(version: int, stream: str = "account:1", text: str = "") -> Pending:
    """A fact of one stream."""
    return Pending(stream, version, T0 + version, AlertRaised(kind="note", text=text or f"{stream} {version}"))


def facts(count: int, stream: str = "account:1", after: int = 0) -> list[Pending]:
    """The next facts of one stream."""
    return [a_fact(version, stream) for version in range(after + 1, after + count + 1)]


def write_checkpoint(log: EventLog) -> None:
    """Write a checkpoint of everything that stands in the log."""
    event = checkpoint(log.heads(), log.log_head())
    log.append([Pending("app", log.head("app").version + 1, T0, event)])


def a_log_of(*batches: Iterable[Pending], checkpoints: bool = False) -> EventLog:
    """A log in memory with these batches in it, each followed by a checkpoint if asked."""
    log = EventLog.in_memory(code="1.2.3")
    for batch in batches:
        log.append(list(batch))
        if checkpoints:
            write_checkpoint(log)
    return log


def rows_of(log: EventLog) -> list[Raw]:
    """All rows of a log as they lie in the file."""
    return list(log.raw())
