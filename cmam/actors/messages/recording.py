"""What the recorder is told."""

from __future__ import annotations

from dataclasses import dataclass

from cmam.domain.events import Event


@dataclass(frozen=True, slots=True)
class Fact:
    """An event with what caused it: a stream and a version, or nothing."""

    event: Event
    cause: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Append:
    """Make these facts durable, the first at `version`; once they are, tell each of `then` to whom it is for.

    `urgent` means that somebody waits: the batch goes to disk as soon as the inbox is empty.
    """

    stream: str
    version: int
    at_us: int
    facts: tuple[Fact, ...]
    settings: int = 0
    then: tuple[tuple[str, object], ...] = ()
    urgent: bool = False
    life: int = 0
    """Which life of its writer this comes from: the recorder takes nothing from one that was replaced."""


@dataclass(frozen=True, slots=True)
class Flush:
    """A moment has passed in which facts waited for company."""


@dataclass(frozen=True, slots=True)
class Read:
    """Send this stream after a version, stored and waiting, to `reply_to` as `StreamRead`.

    `takes_over` begins a new life of the stream's writer: whatever its old one still sends is not taken.
    """

    stream: str
    reply_to: str
    takes_over: bool = False
    after: int = 0


@dataclass(frozen=True, slots=True)
class Tidy:
    """The store has been idle: fold its write-ahead log back, write a checkpoint if one is due."""
