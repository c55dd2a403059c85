"""What actors say to each other: frozen, typed, told and never asked.

Grouped by who receives them. `received_us` is the monotonic moment at which the leader's report was read, carried along
so that the way from report to socket can be measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cmam.actors.runtime import SUPERVISOR as SUPERVISOR
from cmam.actors.runtime import Failed as Failed
from cmam.domain.events import Event, Health
from cmam.domain.folds.account import AccountView
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.changes import Change
from cmam.domain.values.commands import Command
from cmam.domain.values.ids import AccountId, IntentId, LinkId
from cmam.openapi.budget import Lane

NOT_SENT = "NOT_SENT"
"""The code of a question that the limiter gave back."""

KEEPER = "keeper"
RECORDER = "recorder"
OPERATOR = "operator"


def account_name(account: AccountId | int) -> str:
    """The name of an account's actor, and of its stream."""
    return f"account:{account}"


def connection_name(connection: str) -> str:
    """The name of a connection's actor, and of its stream."""
    return f"connection:{connection}"


def limiter_name(connection: str) -> str:
    """The name of a connection's rate limiter."""
    return f"limiter:{connection}"


# --- to the recorder ----------------------------------------------------------------------------------------------


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


# --- to an account ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reported:
    """The broker said something of this account. Told by the reader's thread."""

    fact: Event
    received_us: int = 0


@dataclass(frozen=True, slots=True)
class SessionMoved:
    """The account's session on its connection came a step further, or fell."""

    health: Health
    reason: str = ""


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

    @property
    def is_final(self) -> bool:
        """Whether the broker itself said no; what never left, was blocked or is late may be answered yet."""
        return self.error_code not in (NOT_SENT, "TIMEOUT", "BLOCKED_PAYLOAD_TYPE", "REQUEST_FREQUENCY_EXCEEDED")


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
class StoreDown:
    """The store does not take what it is given; nothing that adds risk may leave."""

    why: str


@dataclass(frozen=True, slots=True)
class StoreUp:
    """The store has taken all that waited."""


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


# --- to a limiter -------------------------------------------------------------------------------------------------


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


# --- to a connection ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame's envelope that the reader did not deliver itself."""

    generation: int
    envelope: Any
    received_us: int


@dataclass(frozen=True, slots=True)
class LeaderArrived(Arrived):
    """One of an account that led when the line came up."""


@dataclass(frozen=True, slots=True)
class AnswersSeen:
    """These came at that moment: the message id and payload type of each answer among what the reader delivers.

    That they came frees slots of the budget, before anybody has read what they say. Refusals are not among them: what
    they forbid is to be known before anything else leaves.
    """

    generation: int
    answers: tuple[tuple[str, int], ...]
    received_us: int
    blocks: int = 0
    """How often the server had blocked a kind of request on this line before."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The reader's connection ended."""

    generation: int
    why: str
    is_permanent: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """Write these to this line, in order: each a `Submit`, an `Ask` or an `Urge`. Told by the limiter only."""

    line: int
    what: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class AccountsWanted:
    """The accounts that this connection shall keep authorised, all of them."""

    accounts: tuple[AccountId, ...]


@dataclass(frozen=True, slots=True)
class AccountRestarted:
    """An account's actor was started again and knows nothing of its session."""

    account: AccountId


@dataclass(frozen=True, slots=True)
class TokensChanged:
    """These accounts have a fresh token: authorise them with it."""

    accounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class QuotesWanted:
    """An account asks for the quotes of these symbols of its broker's feed."""

    account: AccountId
    feed: str
    symbols: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Begin:
    """Everybody you may speak to has a name now."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Come to an orderly end."""

    reason: str = ""


# --- to the operator ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operate:
    """A command of a person, with where its answer goes. Told by the control listener."""

    request: dict[str, Any]
    answer: Callable[[dict[str, Any]], None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """What an actor is doing right now, for `status`."""

    name: str
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Alert:
    """To an account: raise this alert, or heal it where there is no text."""

    kind: str
    text: str = ""


# --- to the keeper ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenDead:
    """The server does not take this account's token; `again`: nor has it since it last did not."""

    account: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Refresh:
    """Get new tokens now for every consent that opens one of these accounts; `answer` hears what came of it."""

    accounts: tuple[int, ...]
    answer: Callable[[dict[str, Any]], None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reload:
    """The secrets were changed by a command: read them again."""


# --- to the supervisor --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stopped:
    """An actor has come to its orderly end."""

    name: str


@dataclass(frozen=True, slots=True)
class SetAside:
    """What is known of a message that an account must not take again: its name, itself, and what it did."""

    name: str
    content: str = field(repr=False)
    error: str
    tries: int


# --- on one carrier -----------------------------------------------------------------------------------------------


LANES: dict[type, int] = {
    **dict.fromkeys((Submit, Committed, Write, Wrote, AnswersSeen, Proved, SlotDue, Blocked), 0),
    LeaderArrived: 1,
    **dict.fromkeys((LeaderChanged, LeaderHolds), 2),
}
"""What goes before all else on a carrier: requests on their way out and all that lets the next one go, then what
leaders do, then what asks for a decision. Of these, what a leader tells a follower depends on its order, so all of it
is in one lane. What is said of frames follows from the line's coming up, and may overtake its end: the limiter tells
lines apart. An account's own frames keep their order, since a reader calls the same accounts leaders to its end."""
