"""What is not as it should be with an account, for the program to mend or a person to see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from cmam.domain.events.values import Event
from cmam.domain.values.ids import LinkId, OrderId, PositionId, SourceKey


class FindingKind(StrEnum):
    """How record, follower and leader may differ: closed, each with its row in `domain/repair/reconcile.py`."""

    MISSING = "missing"
    ORPHAN = "orphan"
    GONE = "gone"
    WRONG_SIZE = "wrong_size"
    RESIDUE = "residue"
    WRONG_SIDE = "wrong_side"
    WRONG_PROTECTION = "wrong_protection"
    WRONG_TERMS = "wrong_terms"
    UNKNOWN = "unknown"
    UNRECORDED = "unrecorded"
    DUPLICATE = "duplicate"
    FOREIGN = "foreign"
    HUMAN = "human"


class Remedy(StrEnum):
    """What becomes of a finding: all but the last three by itself."""

    CLOSE = "close"
    REDUCE = "reduce"
    CANCEL = "cancel"
    AMEND = "amend"
    TRADE_BACK = "trade_back"
    OPEN = "open"
    REBUILD = "rebuild"
    LOOK_UP = "look_up"
    NOTE = "note"
    WAIT = "wait"
    BY_HAND = "by_hand"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference, what was expected and what was found in words, and what removes it."""

    kind: FindingKind
    remedy: Remedy
    link: LinkId | None = None
    source: SourceKey | None = None
    position: PositionId | None = None
    order: OrderId | None = None
    expected: str = ""
    found: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsMade(Event):
    """Record, broker and leaders were compared, and differ otherwise than the last time: all that differs now."""

    TOPIC: ClassVar[str] = "account.findings_made"
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRaised(Event):
    """Something needs a person's eye."""

    TOPIC: ClassVar[str] = "account.alert_raised"
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSetAside(Event):
    """The account failed on this message again and again and goes on without it; `content` is the message itself."""

    TOPIC: ClassVar[str] = "account.message_set_aside"
    message: str
    content: str
    error: str
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertHealed(Event):
    """What an alert spoke of is over."""

    TOPIC: ClassVar[str] = "account.alert_healed"
    kind: str
