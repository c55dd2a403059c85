"""The life of a request, from the promise that it leaves at most once to its proven end.

Why it was wanted stands in a decision; what it did, in what the broker said.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from cmam.domain.events.values import Event
from cmam.domain.values.commands import Command
from cmam.domain.values.ids import ChangeKey, IntentId, LinkId, SourceKey
from cmam.domain.values.quantities import Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRecorded(Event):
    """A request was decided and named before it may leave: the promise that it leaves at most once.

    `volume_before` is the position's volume when a close was decided: its outcome is told by the difference. `part` is
    above 1 where it asks for the rest of request `seq`, which was split or filled in part.
    """

    TOPIC: ClassVar[str] = "account.intent_recorded"
    IS_DERIVED: ClassVar[bool] = True
    intent: IntentId
    link: LinkId
    source: SourceKey
    seq: int
    command: Command
    change: ChangeKey | None = None
    volume_before: Volume = Volume(0)
    attempt: int = 1
    not_after_us: int = 0
    part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentSent(Event):
    """A request was written to the socket. Spans in us since the leader's report was read, 0 where there was none."""

    TOPIC: ClassVar[str] = "account.intent_sent"
    intent: IntentId
    decided_us: int = 0
    committed_us: int = 0
    written_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentDropped(Event):
    """The limiter did not send a request: it waited too long, or a newer one took its place. Nothing was sent."""

    TOPIC: ClassVar[str] = "account.intent_dropped"
    intent: IntentId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentOverdue(Event):
    """No answer came in time, or the line was cut: the outcome is unknown until the broker shows it.

    `ask_us` is the moment from which on the broker's answer proves something: the settling time is over then.
    """

    TOPIC: ClassVar[str] = "account.intent_overdue"
    intent: IntentId
    why: str
    ask_us: int = 0


class Outcome(StrEnum):
    """How an intent ended."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    DROPPED = "dropped"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentSettled(Event):
    """An intent came to its end, with proof from the broker or the certainty that it never left.

    `retry_in_us` is above zero where an open may be tried anew, through all gates, after that span.
    """

    TOPIC: ClassVar[str] = "account.intent_settled"
    IS_DERIVED: ClassVar[bool] = True
    intent: IntentId
    outcome: Outcome
    reason: str = ""
    retry_in_us: int = 0
