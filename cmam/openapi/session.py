"""One connection's conversation with the server, without the connection: who may say what, who awaits which answer.

    DIALLING    ── connected ──▶ GREETING    ── ApplicationAuthRes ──▶ OPEN ── close, silence, 2148 ──▶ CLOSED
                                    └── refused ──▶ CLOSED

    an account   WANTED ── asked ──▶ ASKED ── AccountAuthRes, ALREADY_LOGGED_IN ──▶ READY ── asked ──▶ READY
                    ▲                  └── refused, unanswered ──▶ REFUSED (until asked for again)
                    └── 2147, 2164, a request refused as not authorised ── READY (or ASKED, if asked meanwhile)

Asking for an account that is READY swaps its token: it stays READY, its events flow on, and ALREADY_LOGGED_IN says that
nothing was missed. An AccountAuthRes says that the server had dropped it, so it opens anew and is reconciled. Where one
is asked for again before it was answered, only the last answer can say no.

Sans-IO: frames go in as envelopes, what follows comes out as events and as messages to send, in order. The caller
counts and writes every one of them. A heartbeat goes out after 10 s of own silence; 60 s without a word from the server
mean that it is gone (wire.md#silence). Answers are matched by `clientMsgId` and by nothing else. Ids of questions begin
with a prefix of this process, because every connection hears the answers to everybody's ids; an id that was not sent
here is an event, never an answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from google.protobuf.message import Message

from cmam.clock import SECOND_US
from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoHeartbeatEvent
from cmam.openapi.envelope import Envelope, unpack
from cmam.openapi.outcomes import Kind
from cmam.openapi.refusals import Refusal, clean, read_refusal

HEARTBEAT_US: Final = 10 * SECOND_US
QUIET_US: Final = 31 * SECOND_US
"""A silence longer than this is odd: a server that has nothing to say sends a heartbeat after 25 to 30 s
(wire.md#silence), and a second is the way of it. Nothing follows from it but a word in `status`."""
SILENCE_US: Final = 60 * SECOND_US
ANSWER_US: Final = 15 * SECOND_US
"""How long a question may stay unanswered. Orders have their own time, kept by their account."""
GREETING_US: Final = 20 * SECOND_US
"""How long the application's authorisation may stay unanswered."""
TRADES_MAX: Final = 4_096
"""How many orders are remembered, so that a late refusal still finds its account: at 50 a second, more than a minute.
Orders are not forgotten by time: no answer yet is no answer never (wire.md#no-answer)."""
APPLICATION_MISSING: Final = "CH_CLIENT_NOT_AUTHENTICATED"


class State(StrEnum):
    """Where the connection stands."""

    DIALLING = "dialling"
    GREETING = "greeting"
    OPEN = "open"
    CLOSED = "closed"


class AccountState(StrEnum):
    """Where an account stands on this connection."""

    WANTED = "wanted"
    ASKED = "asked"
    READY = "ready"
    REFUSED = "refused"


# --- what comes out -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Say:
    """A message that must be sent, before all others. It may hold a secret, so it never shows."""

    message: Message = field(repr=False)
    account: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """The application is authorised."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection is of no more use. `refusal` says why, where the server did."""

    why: str
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class AccountOpened:
    """An account is authorised: its events flow, its requests may go."""

    account: int


@dataclass(frozen=True, slots=True)
class AccountClosed:
    """An account lost its session, or never got it. `refusal` says why, where the server did."""

    account: int
    why: str
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer to a question."""

    name: str
    account: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Refused:
    """The server's no to a question or to a request."""

    name: str
    account: int
    payload_type: int
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nothing came in time: for a question try again, for anything else the outcome is unknown."""

    name: str
    account: int


@dataclass(frozen=True, slots=True)
class Heard:
    """Something the server said of an account, asked for or not, and what its payload reads as."""

    account: int
    envelope: Envelope
    message: Message


@dataclass(frozen=True, slots=True)
class Read:
    """The first word on a frame: the server has read it, and so the first `number` frames of this connection.

    `round_trip_us` is what the guard of the budget learns from, 0 where it says nothing of the line.
    """

    number: int
    round_trip_us: int


Output = Opened | Ended | AccountOpened | AccountClosed | Answer | Refused | Unanswered | Heard | Read | Say

MEASURED: Final = catalogue.TRADING | {catalogue.ACCOUNT_AUTH, catalogue.TRADER}
"""Requests whose round trip says something of the line: small, and answered without a search in a history."""


@dataclass(slots=True)
class _Awaited:
    name: str
    account: int
    payload_type: int
    sent_us: int


# --- the conversation ---------------------------------------------------------------------------------------------


class Session:
    """One connection from dial to end. Times are monotonic microseconds."""

    def __init__(self, prefix: str) -> None:
        self.state = State.DIALLING
        self._prefix = prefix
        self._number = 0
        self._accounts: dict[int, AccountState] = {}
        self._swapping: set[int] = set()
        self._asking: dict[int, str] = {}  # of each account, what it was asked for last
        self._questions: dict[str, _Awaited] = {}
        self._trades: OrderedDict[str, _Awaited] = OrderedDict()
        self._frames = 0
        self._unread: OrderedDict[str, tuple[int, int, int]] = OrderedDict()
        self._heard_us = 0
        self._said_us = 0
        self._greeted_us = 0

    def account_state(self, account: int) -> AccountState | None:
        """Where an account stands, None for one that was never wanted."""
        return self._accounts.get(account)

    def ready_accounts(self) -> tuple[int, ...]:
        """The accounts that are authorised."""
        return tuple(account for account, state in self._accounts.items() if state is AccountState.READY)

    # --- what we do -----------------------------------------------------------------------------------------------

    def connected(self, client_id: str, client_secret: str, now_us: int) -> list[Output]:
        """The transport is there: greet."""
        self.state = State.GREETING
        self._heard_us = self._said_us = self._greeted_us = now_us
        return [Say(messages.ProtoOAApplicationAuthReq(clientId=client_id, clientSecret=client_secret))]

    def authorise(self, account: int, token: str) -> list[Output]:
        """Ask for an account, or swap the token of one that is ready; the application must be authorised."""
        if self._accounts.get(account) is AccountState.READY:
            self._swapping.add(account)
        else:
            self._accounts[account] = AccountState.ASKED
        request = messages.ProtoOAAccountAuthReq(ctidTraderAccountId=account, accessToken=token)
        return [Say(request, account)]

    def forget(self, account: int) -> None:
        """Want an account no more."""
        self._accounts.pop(account, None)
        self._asking.pop(account, None)
        self._swapping.discard(account)

    def next_id(self) -> str:
        """A message id that no other process uses."""
        self._number += 1
        return f"{self._prefix}.{self._number}"

    def sent(self, client_msg_id: str, name: str, account: int, payload_type: int, now_us: int) -> None:
        """A message was written: await its answer, if it has one."""
        self._said_us = now_us
        self._frames += 1
        if payload_type == catalogue.HEARTBEAT:
            return
        if client_msg_id not in self._trades:  # of an order that is sent again, a word may be on the first one
            self._unread[client_msg_id] = (self._frames, payload_type, now_us)
            while len(self._unread) > TRADES_MAX:
                self._unread.popitem(last=False)
        if payload_type in catalogue.TRADING:
            self._trades[client_msg_id] = _Awaited(name, account, payload_type, now_us)
            while len(self._trades) > TRADES_MAX:
                self._trades.popitem(last=False)
            return
        self._questions[client_msg_id] = _Awaited(name, account, payload_type, now_us)
        if payload_type == catalogue.ACCOUNT_AUTH:
            self._asking[account] = client_msg_id

    def skipped(self) -> None:
        """A message could not even be written: it has its number all the same, since the limiter counts it."""
        self._frames += 1

    # --- what they do ---------------------------------------------------------------------------------------------

    def heard(self, at_us: int) -> None:
        """Something came that was not for this conversation: spots, which are signs of life all the same.

        A server sends a heartbeat only when it has sent nothing else for 25 s (wire.md#silence), so under a stream of
        quotes there is no other sign.
        """
        self._heard_us = max(self._heard_us, at_us)

    def silent_us(self, now_us: int) -> int:
        """For how long the server has said nothing on a line that was up."""
        return max(0, now_us - self._heard_us) if self._said_us else 0

    def received(self, envelope: Envelope, now_us: int) -> list[Output]:
        """Take one message; raises RemoteError where it is garbage."""
        self._heard_us = now_us
        if self.state is State.CLOSED or envelope.payload_type == catalogue.HEARTBEAT:
            return []
        read = self.read(envelope.client_msg_id, envelope.payload_type, now_us)
        return [*self._taken(envelope), *read]

    def read(self, client_msg_id: str, payload_type: int, now_us: int) -> list[Output]:
        """What the mere coming of an answer says, before it is taken or with it: nothing the second time."""
        found = self._unread.get(client_msg_id)
        if found is None or not catalogue.may_answer(found[1], payload_type):
            return []
        number, asked_type, sent_us = found
        if now_us < sent_us:  # it came before this was sent: a word on an earlier sending under the same id
            return []
        while self._unread and next(iter(self._unread.values()))[0] <= number:
            self._unread.popitem(last=False)
        return [Read(number, max(0, now_us - sent_us) if asked_type in MEASURED else 0)]

    def _taken(self, envelope: Envelope) -> list[Output]:
        refusal = read_refusal(envelope)
        if refusal is not None:
            return self._refused(envelope, refusal)
        match envelope.payload_type:
            case catalogue.CLIENT_DISCONNECT:
                event = unpack(envelope, messages.ProtoOAClientDisconnectEvent)
                return self._end(f"the server ended the connection: {clean(event.reason) or 'no reason given'}")
            case catalogue.TOKEN_INVALIDATED:
                invalid = unpack(envelope, messages.ProtoOAAccountsTokenInvalidatedEvent)
                return self._lose(invalid.ctidTraderAccountIds, f"the token was invalidated: {clean(invalid.reason)}")
            case catalogue.ACCOUNT_DISCONNECT:
                gone = unpack(envelope, messages.ProtoOAAccountDisconnectEvent)
                return self._lose([gone.ctidTraderAccountId], "the server dropped the account's session")
        return self._answered(envelope)

    def _answered(self, envelope: Envelope) -> list[Output]:
        awaited = self._questions.get(envelope.client_msg_id)
        if awaited is None or not catalogue.may_answer(awaited.payload_type, envelope.payload_type):
            return self._heard(envelope)  # orders too: several events answer one (wire.md#opens)
        del self._questions[envelope.client_msg_id]
        match awaited.payload_type:
            case catalogue.APPLICATION_AUTH:
                return self._open()
            case catalogue.ACCOUNT_AUTH:
                return self._open_account(awaited.account)
        return [Answer(awaited.name, awaited.account, envelope)]

    def _open(self) -> list[Output]:
        was_open, self.state = self.state is State.OPEN, State.OPEN
        return [] if was_open else [Opened()]

    def _open_account(self, account: int, *, is_unbroken: bool = False) -> list[Output]:
        """Take an account for authorised. One that was ready all along and still is has missed nothing."""
        if account not in self._accounts:
            return []
        was_ready = self._accounts[account] is AccountState.READY
        self._accounts[account] = AccountState.READY
        self._swapping.discard(account)
        return [] if was_ready and is_unbroken else [AccountOpened(account)]

    def _heard(self, envelope: Envelope) -> list[Output]:
        message_class = catalogue.MESSAGES.get(envelope.payload_type)
        if message_class is None:
            return []
        message = unpack(envelope, message_class)
        account = catalogue.account_of(message)
        return [Heard(account, envelope, message)] if account else []

    def _refused(self, envelope: Envelope, refusal: Refusal) -> list[Output]:
        msg_id = envelope.client_msg_id
        awaited = self._questions.pop(msg_id, None) or self._trades.pop(msg_id, None) if msg_id else None
        if awaited is None:
            return [] if msg_id else self._refused_unasked(refusal)
        match awaited.payload_type:
            case catalogue.APPLICATION_AUTH:
                return self._open() if refusal.rule.kind is Kind.DONE else self._end(str(refusal), refusal)
            case catalogue.ACCOUNT_AUTH:
                if refusal.rule.kind is Kind.DONE:
                    return self._open_account(awaited.account, is_unbroken=True)
                if refusal.code == APPLICATION_MISSING:
                    return self._end(str(refusal))
                return self._give_up(msg_id, awaited.account, str(refusal), refusal)
        refused = Refused(awaited.name, awaited.account, awaited.payload_type, refusal)
        return [refused, *self._lose_by(refusal, awaited.account)]

    def _refused_unasked(self, refusal: Refusal) -> list[Output]:
        """A refusal without an id: of the greeting, of a session, or of nothing that anybody could tell."""
        if self.state is State.GREETING:
            return self._end(str(refusal), refusal)
        return self._lose_by(refusal, refusal.account)

    def _lose_by(self, refusal: Refusal, account: int) -> list[Output]:
        """What a refusal says about the session of an account, or of the whole application."""
        if refusal.code == APPLICATION_MISSING:
            return self._end(str(refusal))
        if refusal.rule.kind in (Kind.SESSION, Kind.TOKEN):
            return self._lose([account], str(refusal), refusal)
        return []

    def _give_up(self, msg_id: str, account: int, why: str, refusal: Refusal | None = None) -> list[Output]:
        """An account was asked for in vain; nothing to tell of one that is no longer wanted, or was asked for again
        meanwhile, with another token: what becomes of it is told by the answer to that."""
        if account not in self._accounts or self._asking.get(account) != msg_id:
            return []
        self._accounts[account] = AccountState.REFUSED
        self._swapping.discard(account)
        return [AccountClosed(account, why, refusal)]

    def _lose(self, accounts: Iterable[int], why: str, refusal: Refusal | None = None) -> list[Output]:
        events: list[Output] = []
        for account in accounts:
            if self._accounts.get(account) is AccountState.READY:
                self._accounts[account] = AccountState.ASKED if account in self._swapping else AccountState.WANTED
                self._swapping.discard(account)
                events.append(AccountClosed(account, why, refusal))
        return events

    def _end(self, why: str, refusal: Refusal | None = None) -> list[Output]:
        self.state = State.CLOSED
        return [Ended(why, refusal)]

    # --- what time does -------------------------------------------------------------------------------------------

    def on_time(self, now_us: int) -> list[Output]:
        """What silence means by now."""
        if self.state in (State.DIALLING, State.CLOSED):
            return []
        if now_us - self._heard_us >= SILENCE_US:
            return self._end(f"the server said nothing for {SILENCE_US // SECOND_US} s")
        if self.state is State.GREETING and now_us - self._greeted_us >= GREETING_US:
            return self._end("the server did not answer the application's authorisation")
        events: list[Output] = []
        for client_msg_id, awaited in list(self._questions.items()):
            if now_us - awaited.sent_us < ANSWER_US or awaited.payload_type == catalogue.APPLICATION_AUTH:
                continue
            del self._questions[client_msg_id]
            if awaited.payload_type == catalogue.ACCOUNT_AUTH:
                events += self._give_up(client_msg_id, awaited.account, "the account's authorisation was not answered")
            else:
                events.append(Unanswered(awaited.name, awaited.account))
        if now_us - self._said_us >= HEARTBEAT_US:
            self._said_us = now_us
            events.append(Say(ProtoHeartbeatEvent()))
        return events

    def next_deadline(self) -> int | None:
        """When `on_time` has something to do, if nothing happens before."""
        if self.state in (State.DIALLING, State.CLOSED):
            return None
        moments = [self._said_us + HEARTBEAT_US, self._heard_us + SILENCE_US]
        if self.state is State.GREETING:
            moments.append(self._greeted_us + GREETING_US)
        moments += [
            awaited.sent_us + ANSWER_US
            for awaited in self._questions.values()
            if awaited.payload_type != catalogue.APPLICATION_AUTH
        ]
        return min(moments)
