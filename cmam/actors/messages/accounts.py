"""What an account is told: by its line, the recorder, its leaders and the timer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cmam.actors.messages.names import NOT_SENT, TIMEOUT
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, Health
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import AccountId, IntentId, LinkId


@dataclass(frozen=True, slots=True)
class Reported:
    """The broker said something of this account. Told by the reader's thread."""

    fact: Event
    received_us: int = 0


@dataclass(frozen=True, slots=True)
class SessionMoved:
    """The account's session on its connection came a step further, or fell, with a line that was silent for so long."""

    health: Health
    reason: str = ""
    silent_us: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """The broker answered a question of this account; `report` is what `translate` made of it."""

    question: str
    report: Any


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question got a refusal, or no answer in time."""

    question: str
    error_code: str
    text: str
    retry_after_s: int = 0

    def in_words(self) -> str:
        """What people are told of it: late is not refused."""
        if self.error_code == TIMEOUT:
            return f"{self.question} was not answered in time"
        return f"{self.question} was refused: {self.error_code} {self.text}".strip()

    @property
    def is_final(self) -> bool:
        """Whether the broker itself said no; what never left, was blocked or is late may be answered yet."""
        return self.error_code not in (NOT_SENT, TIMEOUT, "BLOCKED_PAYLOAD_TYPE", "REQUEST_FREQUENCY_EXCEEDED")


@dataclass(frozen=True, slots=True)
class TraderReported:
    """The broker says what the account is and holds now."""

    trader: Any


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Something of this account was not understood: look at all that its broker holds."""

    why: str


@dataclass(frozen=True, slots=True)
class SymbolsReported:
    """The broker says that these symbols have changed."""

    symbols: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MarginCalled:
    """The broker says that the margin level has come down to a threshold, in hundredths of a percent."""

    threshold: int


@dataclass(frozen=True, slots=True)
class MarginMoved:
    """The broker says that what a position binds has changed by itself."""


@dataclass(frozen=True, slots=True)
class BaselineKept:
    """The account's very first snapshot is durable: what its leader holds from now on is told from what came before."""


@dataclass(frozen=True, slots=True)
class LinksChanged:
    """The links in which this account follows, all of them, at their newest settings."""

    links: tuple[LinkSettings, ...]


@dataclass(frozen=True, slots=True)
class FollowFrom:
    """A follower asks to be told every change after its cursor, and from now on.

    What answers this question carries its ticket: anything else was meant for one who asked before, at another place.
    """

    link: LinkId
    follower: AccountId
    version: int
    index: int
    ticket: int = 0


@dataclass(frozen=True, slots=True)
class Unfollow:
    """A link no longer wants to be told."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class LeaderRestarted:
    """A leader's actor was started again and knows nobody who follows it."""

    leader: AccountId


@dataclass(frozen=True)  # no slots: see replacing.py
class LeaderChanged:
    """A leader's change, with its place in the leader's stream."""

    link: LinkId
    change: Change
    version: int
    index: int
    received_us: int = 0
    ticket: int = 0


@dataclass(frozen=True)  # no slots: see replacing.py
class LeaderHolds:
    """What a leader is as a link begins, after everything up to that moment was told."""

    link: LinkId
    leader: AccountView
    ticket: int = 0


@dataclass(frozen=True, slots=True)
class StreamRead:
    """The stream that was asked for, after that version and in order: event and moment in us; and which life of its
    writer is the present."""

    stream: str
    records: tuple[tuple[Event, int], ...]
    life: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """A request of an intent was written to the socket at this monotonic moment."""

    intent: IntentId
    received_us: int
    decided_us: int
    committed_us: int
    written_us: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """The limiter will never send this attempt of an intent."""

    intent: IntentId
    reason: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Wake:
    """A moment that somebody asked to be reminded of has come."""

    what: str = ""


@dataclass(frozen=True, slots=True)
class StreamRefused:
    """The store holds something else at this stream's next version: this account must stop."""

    stream: str
    why: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A close or cancel is on record (told back so that its 1 s exception need not be used)."""

    intent: IntentId


@dataclass(frozen=True, slots=True)
class Record:
    """To an account: this was ordered by a person; put it on record, do what follows, then tell each of `then`."""

    fact: Event
    then: tuple[tuple[str, object], ...] = ()
