"""The life of the program itself, and of its store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from cmam.domain.events.values import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCreated(Event):
    """The store began, with the name that stands in every order it will ever send.

    `again` says that a log of this name was there before and is gone: what it knew is to be found at the brokers.
    """

    TOPIC: ClassVar[str] = "app.store_created"
    store: str
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStarted(Event):
    """The trading process began."""

    TOPIC: ClassVar[str] = "app.system_started"
    version: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStopped(Event):
    """The trading process came to an orderly end; so many copies stay at their brokers, some of them without a stop."""

    TOPIC: ClassVar[str] = "app.system_stopped"
    reason: str = ""
    left_open: int = 0
    without_stop: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorRestarted(Event):
    """An actor failed and was started again from its record."""

    TOPIC: ClassVar[str] = "app.actor_restarted"
    name: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorStuck(Event):
    """An actor has made no progress for a while, though there was something to do; `doing` is what it was at."""

    TOPIC: ClassVar[str] = "app.actor_stuck"
    name: str
    doing: str
    stalled_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointed(Event):
    """The heads of all chains at one position of the log: what verify holds the file against."""

    TOPIC: ClassVar[str] = "app.checkpointed"
    position: int
    heads: Mapping[str, str]
