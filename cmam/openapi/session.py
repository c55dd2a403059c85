"""One connection's conversation with the server, without the connection: who may say what, who awaits which answer.

    DIALLING    ── connected ──▶ GREETING    ── ApplicationAuthRes ──▶ OPEN ── close, silence, 2148 ──▶ CLOSED
                                    └── refused ──▶ CLOSED

    an account   WANTED ── asked ──▶ ASKED ── AccountAuthRes, ALREADY_LOGGED_IN ──▶ READY
                    ▲                  └── refused ──▶ REFUSED (until asked for again)
                    └────────────── 2147, 2164 ─────────┘

Sans-IO: frames go in as envelopes, what follows comes out as events and as messages to send, in order. The caller
counts and writes every one of them. A heartbeat goes out after 10 s of own silence; 60 s without a word from the server
mean that it is gone (FACTS §1.5). Answers are matched by `clientMsgId` and by nothing else. Ids of questions begin with
a prefix of this process, because every connection hears the answers to everybody's ids.
"""

from __future__ import annotations

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
from cmam.openapi.refusals import Refusal, read_refusal

HEARTBEAT_US: Final = 10 * SECOND_US
SILENCE_US: Final = 60 * SECOND_US
ANSWER_US: Final = 15 * SECOND_US
"""How long a question may stay unanswered. Orders have their own time, kept by their account."""
GREETING_US: Final = 20 * SECOND_US


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
    """Something the server said of an account, asked for or not."""

    account: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Measured:
    """A round trip, from a request to the first word on it: what the guard of the budget learns from."""

    span_us: int


Event = Opened | Ended | AccountOpened | AccountClosed | Answer | Refused | Unanswered | Heard | Measured | Say

MEASURED: Final = catalogue.TRADING | {catalogue.ACCOUNT_AUTH, catalogue.TRADER}
"""Requests whose round trip says something of the line: small, and answered without a search in a history."""


@dataclass(slots=True)
class _Awaited:
    name: str
    account: int
    payload_type: int
    sent_us: int
    is_answered: bool = False

    @property
    def is_trade(self) -> bool:
        return self.payload_type in catalogue.TRADING


# --- the conversation ---------------------------------------------------------------------------------------------


class Session:
    """One connection from dial to end. Times are monotonic microseconds."""

    def __init__(self, prefix: str) -> None:
        self.state = State.DIALLING
        self._prefix = prefix
        self._number = 0
        self._accounts: dict[int, AccountState] = {}
        self._awaited: dict[str, _Awaited] = {}
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

    def connected(self, client_id: str, client_secret: str, now_us: int) -> list[Event]:
        """The transport is there: greet."""
        self.state = State.GREETING
        self._heard_us = self._said_us = self._greeted_us = now_us
        return [Say(messages.ProtoOAApplicationAuthReq(clientId=client_id, clientSecret=client_secret))]

    def authorise(self, account: int, token: str) -> list[Event]:
        """Ask for an account, again if need be; the application must be authorised."""
        self._accounts[account] = AccountState.ASKED
        request = messages.ProtoOAAccountAuthReq(ctidTraderAccountId=account, accessToken=token)
        return [Say(request, account)]

    def forget(self, account: int) -> None:
        """Want an account no more."""
        self._accounts.pop(account, None)

    def next_id(self) -> str:
        """A message id that no other process uses."""
        self._number += 1
        return f"{self._prefix}.{self._number}"

    def sent(self, client_msg_id: str, name: str, account: int, payload_type: int, now_us: int) -> None:
        """A message was written: await its answer, if it has one."""
        self._said_us = now_us
        if payload_type != catalogue.HEARTBEAT:
            self._awaited[client_msg_id] = _Awaited(name, account, payload_type, now_us)

    # --- what they do ---------------------------------------------------------------------------------------------

    def heard(self, at_us: int) -> None:
        """Something came that was not for this conversation: spots, which are signs of life all the same.

        A server sends a heartbeat only when it has sent nothing else for 25 s (FACTS §1.5), so under a stream of quotes
        there is no other sign.
        """
        self._heard_us = max(self._heard_us, at_us)

    def received(self, envelope: Envelope, now_us: int) -> list[Event]:
        """Take one message; raises RemoteError where it is garbage."""
        self._heard_us = now_us
        if self.state is State.CLOSED or envelope.payload_type == catalogue.HEARTBEAT:
            return []
        measured = self._measure(envelope, now_us)
        return [*self._taken(envelope), *measured]

    def _measure(self, envelope: Envelope, now_us: int) -> list[Event]:
        awaited = self._awaited.get(envelope.client_msg_id)
        if awaited is None or awaited.is_answered or awaited.payload_type not in MEASURED:
            return []
        if not catalogue.may_answer(awaited.payload_type, envelope.payload_type):
            return []
        awaited.is_answered = True
        return [Measured(now_us - awaited.sent_us)]

    def _taken(self, envelope: Envelope) -> list[Event]:
        refusal = read_refusal(envelope)
        if refusal is not None:
            return self._refused(envelope, refusal)
        match envelope.payload_type:
            case catalogue.CLIENT_DISCONNECT:
                event = unpack(envelope, messages.ProtoOAClientDisconnectEvent)
                return self._end(f"the server ended the connection: {event.reason or 'no reason given'}")
            case catalogue.TOKEN_INVALIDATED:
                invalid = unpack(envelope, messages.ProtoOAAccountsTokenInvalidatedEvent)
                return self._lose(invalid.ctidTraderAccountIds, f"the token was invalidated: {invalid.reason}")
            case catalogue.ACCOUNT_DISCONNECT:
                gone = unpack(envelope, messages.ProtoOAAccountDisconnectEvent)
                return self._lose([gone.ctidTraderAccountId], "the server dropped the account's session")
        return self._answered(envelope)

    def _answered(self, envelope: Envelope) -> list[Event]:
        awaited = self._awaited.get(envelope.client_msg_id) if envelope.client_msg_id else None
        if awaited is None or not catalogue.may_answer(awaited.payload_type, envelope.payload_type):
            return self._heard(envelope)
        if awaited.is_trade:
            return self._heard(envelope)  # several events answer one order; its account knows when it is done
        del self._awaited[envelope.client_msg_id]
        match awaited.payload_type:
            case catalogue.APPLICATION_AUTH:
                self.state = State.OPEN
                return [Opened()]
            case catalogue.ACCOUNT_AUTH:
                return self._open_account(awaited.account)
        return [Answer(awaited.name, awaited.account, envelope)]

    def _open_account(self, account: int) -> list[Event]:
        if account not in self._accounts:
            return []
        was_ready = self._accounts[account] is AccountState.READY
        self._accounts[account] = AccountState.READY
        return [] if was_ready else [AccountOpened(account)]

    def _heard(self, envelope: Envelope) -> list[Event]:
        message_class = catalogue.MESSAGES.get(envelope.payload_type)
        if message_class is None:
            return []
        account = catalogue.account_of(unpack(envelope, message_class))
        return [Heard(account, envelope)] if account else []

    def _refused(self, envelope: Envelope, refusal: Refusal) -> list[Event]:
        awaited = self._awaited.pop(envelope.client_msg_id, None) if envelope.client_msg_id else None
        if awaited is None:
            is_ours = envelope.client_msg_id.startswith(("cm1.", self._prefix))
            if not envelope.client_msg_id and self.state is State.GREETING:
                return self._end(str(refusal), refusal)
            if refusal.account and is_ours:
                return [Refused(envelope.client_msg_id, refusal.account, 0, refusal)]
            return []
        if awaited.payload_type == catalogue.APPLICATION_AUTH:
            if refusal.rule.kind is Kind.DONE:
                self.state = State.OPEN
                return [Opened()]
            return self._end(str(refusal), refusal)
        if awaited.payload_type == catalogue.ACCOUNT_AUTH:
            if refusal.rule.kind is Kind.DONE:
                return self._open_account(awaited.account)
            self._accounts[awaited.account] = AccountState.REFUSED
            return [AccountClosed(awaited.account, str(refusal), refusal)]
        events: list[Event] = [Refused(awaited.name, awaited.account, awaited.payload_type, refusal)]
        if refusal.rule.kind is Kind.SESSION and self._accounts.get(awaited.account) is AccountState.READY:
            self._accounts[awaited.account] = AccountState.WANTED
            events.append(AccountClosed(awaited.account, str(refusal), refusal))
        return events

    def _lose(self, accounts: Iterable[int], why: str) -> list[Event]:
        events: list[Event] = []
        for account in accounts:
            if self._accounts.get(account) in (AccountState.READY, AccountState.ASKED):
                was_ready = self._accounts[account] is AccountState.READY
                self._accounts[account] = AccountState.WANTED
                if was_ready:
                    events.append(AccountClosed(account, why))
        return events

    def _end(self, why: str, refusal: Refusal | None = None) -> list[Event]:
        self.state = State.CLOSED
        return [Ended(why, refusal)]

    def wanted_accounts(self) -> tuple[int, ...]:
        """The accounts that should be authorised and are not asked for."""
        return tuple(account for account, state in self._accounts.items() if state is AccountState.WANTED)

    # --- what time does -------------------------------------------------------------------------------------------

    def on_time(self, now_us: int) -> list[Event]:
        """What silence means by now."""
        if self.state in (State.DIALLING, State.CLOSED):
            return []
        if now_us - self._heard_us >= SILENCE_US:
            return self._end(f"the server said nothing for {SILENCE_US // SECOND_US} s")
        if self.state is State.GREETING and now_us - self._greeted_us >= GREETING_US:
            return self._end("the server did not answer the application's authorisation")
        events: list[Event] = []
        for client_msg_id, awaited in list(self._awaited.items()):
            if now_us - awaited.sent_us < ANSWER_US:
                continue
            del self._awaited[client_msg_id]
            if awaited.payload_type == catalogue.ACCOUNT_AUTH:
                self._accounts[awaited.account] = AccountState.REFUSED
                events.append(AccountClosed(awaited.account, "the account's authorisation was not answered"))
            elif not awaited.is_trade:
                events.append(Unanswered(awaited.name, awaited.account))
        if now_us - self._said_us >= HEARTBEAT_US:
            self._said_us = now_us
            events.append(Say(ProtoHeartbeatEvent()))
        return events

    def next_deadline(self) -> int | None:
        """When `on_time` has something to do at the latest."""
        if self.state in (State.DIALLING, State.CLOSED):
            return None
        moments = [self._said_us + HEARTBEAT_US, self._heard_us + SILENCE_US]
        moments += [awaited.sent_us + ANSWER_US for awaited in self._awaited.values()]
        return min(moments)
