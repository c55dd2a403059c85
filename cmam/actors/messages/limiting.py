"""What the rate limiter of a connection is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cmam.domain.values.commands import Command
from cmam.domain.values.ids import AccountId, IntentId
from cmam.openapi.lanes import Lane


@dataclass(frozen=True)  # no slots: see replacing.py
class Submit:
    """Send this request when the budget lets it. `not_after_us` is by the wall clock, 0 for never too late.

    `goes_first` says that others of its lane wait for it: what it waited for has come, account by account.
    """

    account: AccountId
    command: Command
    intent: IntentId
    lane: Lane
    not_after_us: int = 0
    received_us: int = 0
    decided_us: int = 0
    committed_us: int = 0
    attempt: int = 1
    goes_first: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """Send these requests when the budget lets them: one transaction made them durable, and they leave together."""

    submits: tuple[Submit, ...]


@dataclass(frozen=True, slots=True)
class Urge:
    """Send this message of the session's own: a heartbeat or an authorisation. It may hold a secret."""

    message: Any = field(repr=False)
    account: int = 0


@dataclass(frozen=True, slots=True)
class LineUp:
    """The connection can be written to, or no longer. Each line has a number; what is said of another is old news."""

    is_up: bool
    line: int


@dataclass(frozen=True, slots=True)
class Wrote:
    """The connection is done with the oldest `count` frames that the limiter let go for this line."""

    line: int
    count: int
    at_us: int


@dataclass(frozen=True, slots=True)
class Proved:
    """The server had read the first `number` frames of this line by then. `round_trip_us` is 0 where nobody can say."""

    line: int
    number: int
    at_us: int
    round_trip_us: int = 0


@dataclass(frozen=True, slots=True)
class SlotDue:
    """To the limiter, from the timer: by now something may leave, if nothing has been learnt since that said when."""

    at_us: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this question; its answer comes back to `reply_to` as `Answered` or `Unanswered` under `question`.

    Its lane says who waits for it: nobody (`IDLE`), an account's closes (`LOOK`), or whoever waits for most answers.
    `goes_first` says that all others of its lane wait for it: what a leader holds tells what his followers close.
    After `within_us` it goes back unsent, if that is not 0.
    """

    account: AccountId
    question: str
    message: Any
    reply_to: str
    translate: Callable[[Any], Any] = field(repr=False)
    lane: Lane = Lane.QUERY
    goes_first: bool = False
    within_us: int = 0


@dataclass(frozen=True, slots=True)
class Hurry:
    """Whether something of an account is to be closed as soon as it is back: until then it goes before the others."""

    account: AccountId
    is_on: bool = True


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Do not send this intent if it has not left."""

    intent: IntentId
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Blocked:
    """The server refuses this payload type for a while."""

    payload_type: int
    span_us: int
