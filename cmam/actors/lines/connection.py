"""One connection to the API: the session's shell, the only writer of its socket, the router of what arrives.

Dialling and reading happen in the reader's thread; here each message is taken in the order of the wire, so that an
account hears a snapshot and the events around it in the order in which the server said them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cmam.actors import messages as m
from cmam.actors.care.poison import unreadable
from cmam.actors.lines.feeds import Feeds
from cmam.actors.lines.outbox import Outbox
from cmam.actors.lines.pace import Flood, Passed
from cmam.actors.lines.reader import Dialled, Leaders, Wire
from cmam.actors.lines.reports import refusal_fact, report_of
from cmam.actors.lines.tries import LINE, Tries
from cmam.actors.status import StatusBoard
from cmam.actors.threads.runtime import Directory, Watched
from cmam.actors.threads.timer import Timer
from cmam.clock import SECOND_US, Clock
from cmam.config.secret import Secret
from cmam.domain.events import (
    ConnectionDown,
    ConnectionUp,
    Event,
    Health,
    LimiterMeasured,
    RequestsBlocked,
)
from cmam.domain.values.ids import AccountId
from cmam.openapi import catalogue, session
from cmam.openapi.envelope import Envelope, unpack_answer
from cmam.openapi.errors import RemoteError
from cmam.openapi.outcomes import Kind, Retry
from cmam.openapi.quotes import QuoteBoard
from cmam.openapi.refusals import clean, is_block, retry_delay_us

log = logging.getLogger(__name__)

TICK_US = SECOND_US
MEASURE_US = 60 * SECOND_US
WHY_MAX = 500
"""Characters kept of why a line was lost."""
UNREADABLE_MAX = 1_000
"""So many unreadable messages of one connection are kept on record by one process."""


@dataclass(frozen=True, slots=True)
class ConnectionPorts:
    """What a connection is joined to. `application` and `token` reveal secrets at the moment of sending only."""

    name: str
    host: str
    port: int
    prefix: str
    clock: Clock
    timer: Timer
    directory: Directory
    board: QuoteBoard
    status: StatusBoard
    dial: Callable[[int], None]
    application: Callable[[], tuple[str, Secret]]
    token: Callable[[int], Secret | None]
    leaders: Leaders
    chance: Callable[[], float]


class ConnectionActor(Watched):
    """Keeps one connection up and its accounts authorised."""

    def __init__(self, ports: ConnectionPorts, version: int, accounts: tuple[AccountId, ...]) -> None:
        super().__init__()
        self._ports = ports
        self._directory = ports.directory
        self._name = m.connection_name(ports.name)
        self._limiter = m.limiter_name(ports.name)
        self._version = version
        self._wanted: dict[int, None] = dict.fromkeys(accounts)
        self._session = session.Session(f"{ports.prefix}0")
        self._wire: Wire | None = None
        self._generation = 0
        self._blocks = 0
        self._tries = Tries(ports.chance)
        self._outbox = Outbox(ports.clock, self._directory.tell)
        self._feeds = Feeds(ports.board, self._name, self._is_ready, self._tell_limiter)
        self._is_dead: dict[int, bool] = {}  # whether the server did not take an account's token when it was shown last
        self._greeted_as = ""
        self._set_aside: set[str] = set()
        self._is_stopping = False
        self._reason = ""
        self._measured_us = 0
        self._flood = Flood()

    # --- life -----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._dial()
        self._ports.timer.after(TICK_US, self._name, m.Wake("tick"))

    def on_receive(self, message: Any) -> None:
        match message:
            case m.Arrived():
                if message.generation == self._generation:
                    self._arrived(message)
            case m.Write():
                self._write(message)
            case m.AnswersSeen():
                if message.generation == self._generation:
                    self._answers_seen(message)
            case Passed():
                self._passed(message)
            case Dialled():
                self._dialled(message)
            case m.Lost():
                if message.generation == self._generation:
                    self._lost(message.why, permanent=message.is_permanent, nobody=message.is_nobody_there)
            case m.Wake():
                self._woken(message.what)
            case m.QuotesWanted():
                self._feeds.want(message)
            case m.AccountsWanted():
                self._accounts_wanted(message)
            case m.TokensChanged():
                self._tokens_changed(message)
            case m.AccountRestarted():
                self._outbox.forget(message.account)
                if self._is_ready(message.account):
                    self._tell_account(message.account, m.SessionMoved(Health.AUTHORISED))
            case m.Answered():
                self._feeds.answered(message.question, self._ports.clock.monotonic())
            case m.Unanswered():
                self._feeds.refused(message, self._ports.clock.monotonic())
            case m.Begin():
                self._begin()
            case m.Stop():
                self._come_to_an_end()
            case _:
                raise AssertionError(f"a connection cannot take {message!r}")

    def _record(self, event: Event) -> None:
        self._version += 1
        append = m.Append(self._name, self._version, self._ports.clock.now(), (m.Fact(event),))
        self._directory.tell(m.RECORDER, append)

    # --- up and down ----------------------------------------------------------------------------------------------

    def _dial(self) -> None:
        self._generation += 1
        self._session = session.Session(f"{self._ports.prefix}{self._generation}")
        self._blocks = 0
        self._flood.begin(self._ports.clock.monotonic())
        self._show("transport", self._reason)  # why the last try failed, while this one may hang
        self._ports.dial(self._generation)

    def _dialled(self, message: Dialled) -> None:
        if message.generation != self._generation or self._is_stopping:
            message.wire.close()
            return
        self._wire = message.wire
        client_id, secret = self._ports.application()
        self._greeted_as = client_id
        self._outbox.begin()
        self._tell_limiter(m.LineUp(True, self._generation))
        self._follow(self._session.connected(client_id, secret.reveal(), self._ports.clock.monotonic()))
        self._show("application", self._reason)

    def _lost(self, why: str, *, permanent: bool = False, nobody: bool = False, delay_us: int | None = None) -> None:
        """The connection is gone: accounts are told, what waited goes back, and another try is due.

        What has not arrived by now must not: it is looked up on the next line, and asked for again where it is not.
        """
        why = clean(why, WHY_MAX)  # a file's name may be no text, which no record can hold
        if self._wire is not None:
            self._wire.close(at_once=True)
            self._wire = None
        silent_us = self._silent_us()
        self._generation += 1
        self._outbox.begin()
        self._feeds.lose_all()
        self._tell_limiter(m.LineUp(False, self._generation))
        for account in self._wanted:
            self._tell_account(account, m.SessionMoved(Health.DOWN, why, silent_us))
        if self._is_stopping:
            return
        pause = self._tries.line_lost(is_nobody_there=nobody)
        pause = pause if delay_us is None else delay_us
        if why != self._reason:
            self._record(ConnectionDown(reason=why, permanent=permanent, retry_in_ms=pause // 1_000))
            log.warning("= %s is down: %s", self._name, why)
        self._reason = why
        self._show("down", why, retry_ms=pause // 1_000)
        self._ports.timer.after(pause, self._name, m.Wake("dial"))

    def _silent_us(self) -> int:
        """For how long this line has carried nothing, where that is longer than a server is ever silent: nobody knows
        what its accounts have been since. Of any other line they were in sight until now."""
        self._session.heard(self._ports.board.heard_us(self._name))
        span_us = self._session.silent_us(self._ports.clock.monotonic())
        return span_us if span_us > session.QUIET_US else 0

    def _come_to_an_end(self) -> None:
        self._is_stopping = True
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        self._show("down", "stopped")
        self._directory.tell(m.SUPERVISOR, m.Stopped(self._name))

    # --- what leaves ----------------------------------------------------------------------------------------------

    def _write(self, message: m.Write) -> None:
        """Write what the limiter let go for this line; what it let go for another goes back."""
        if self._wire is None or message.line != self._generation:
            self._outbox.give_back(message.what)
            return
        failure = self._outbox.write(message.what, self._session, self._wire)
        self._tell_limiter(m.Wrote(message.line, len(message.what), self._ports.clock.monotonic()))
        if failure:
            self._lost(failure)

    # --- what arrives ---------------------------------------------------------------------------------------------

    def _arrived(self, message: m.Arrived) -> None:
        try:
            self._follow(self._session.received(message.envelope, message.received_us), message.received_us)
            self._blocks += is_block(message.envelope)
        except RemoteError as error:
            self._lost(f"the server broke the protocol: {error}")

    def _passed(self, message: Passed) -> None:
        """What the reader told before this is through, of whichever line: let it read on."""
        message.latch.open()
        if message.generation == self._generation:
            self._flood.held_us = message.held_us

    def _answers_seen(self, message: m.AnswersSeen) -> None:
        if message.blocks > self._blocks:  # what was forbidden before is not known yet: they free their slots after it
            return
        for client_msg_id, payload_type in message.answers:
            self._follow(self._session.read(client_msg_id, payload_type, message.received_us), message.received_us)

    def _follow(self, events: list[session.Output], received_us: int = 0) -> None:
        for event in events:
            match event:
                case session.Say():
                    self._tell_limiter(m.Urge(event.message, event.account))
                case session.Heard():
                    self._heard(event, received_us)
                case session.Answer():
                    self._answer(event)
                case session.Refused():
                    self._refused(event)
                case session.Unanswered():
                    asked = self._outbox.answered(event.name)
                    if asked is not None:
                        unanswered = m.Unanswered(asked.question, m.TIMEOUT, "no answer in time")
                        self._directory.tell(asked.reply_to, unanswered)
                case session.Opened():
                    self._opened()
                case session.Ended():
                    self._ended(event)
                case session.AccountOpened():
                    self._account_opened(event.account)
                case session.AccountClosed():
                    self._account_closed(event)
                case session.Read():
                    self._tell_limiter(m.Proved(self._generation, event.number, received_us, event.round_trip_us))

    def _heard(self, heard: session.Heard, received_us: int) -> None:
        if heard.account not in self._wanted:  # a server's word on an account that is none of ours, or on another line
            name = catalogue.name_of(heard.envelope.payload_type)
            log.debug("- %s of account %d, which is not on %s", name, heard.account, self._name)
            return
        try:
            told = report_of(heard, received_us)
        except Exception as error:  # noqa: BLE001 - what one message cannot be read as must not end all accounts
            self._unreadable(heard.account, heard.envelope, error)
            self._tell_account(heard.account, m.LookAgain("a report could not be read"))
            return
        if told is not None:
            self._tell_account(heard.account, told)

    def _unreadable(self, account: int, envelope: Envelope, error: Exception) -> None:
        """Keep the bytes of a message that nobody could read, once, and say so where its account is shown."""
        name = catalogue.name_of(envelope.payload_type)
        log.error("! %s of account %d cannot be read: %s: %s", name, account, type(error).__name__, error)
        fact = unreadable(envelope, account, error)
        if fact.digest not in self._set_aside and len(self._set_aside) < UNREADABLE_MAX:
            self._set_aside.add(fact.digest)
            self._record(fact)
        text = f"The server sent a {name} that cmam cannot read. It is on record, and cmam looks up what it changed."
        self._tell_account(account, m.Alert("unreadable", text))

    def _answer(self, event: session.Answer) -> None:
        asked = self._outbox.answered(event.name)
        if asked is None:
            return
        message_class = catalogue.MESSAGES[event.envelope.payload_type]
        try:
            report = asked.translate(unpack_answer(event.envelope, message_class, asked.account))
        except Exception as error:  # noqa: BLE001 - as above: it is asked again later
            self._unreadable(asked.account, event.envelope, error)
            self._directory.tell(asked.reply_to, m.Unanswered(asked.question, "UNREADABLE", str(error)))
            return
        self._directory.tell(asked.reply_to, m.Answered(asked.question, report))

    def _refused(self, event: session.Refused) -> None:
        refusal = event.refusal
        if refusal.rule.retry is Retry.RETRY_AFTER and event.payload_type:
            self._tell_limiter(m.Blocked(event.payload_type, refusal.retry_after_us))
            seconds = refusal.retry_after_us // SECOND_US
            self._record(
                RequestsBlocked(payload_type=event.payload_type, retry_after_s=seconds, error_code=refusal.code)
            )
        asked = self._outbox.answered(event.name)
        if asked is not None:
            unanswered = m.Unanswered(
                asked.question, refusal.code, refusal.description, refusal.retry_after_us // SECOND_US
            )
            self._directory.tell(asked.reply_to, unanswered)
        elif event.payload_type in catalogue.TRADING:
            self._tell_account(event.account, m.Reported(refusal_fact(event.name, refusal)))

    def _tell_account(self, account: int, message: object) -> None:
        self._directory.tell(m.account_name(account), message)

    def _tell_limiter(self, message: object) -> None:
        self._directory.tell(self._limiter, message)

    def _is_ready(self, account: int) -> bool:
        return self._wire is not None and self._session.account_state(account) is session.AccountState.READY

    # --- application and accounts ---------------------------------------------------------------------------------

    def _opened(self) -> None:
        self._tries.opened(LINE, self._ports.clock.monotonic())
        self._reason = ""
        self._record(ConnectionUp(host=self._ports.host, port=self._ports.port))
        log.info("= %s is up", self._name)
        self._authorise_all(self._wanted)
        self._show("open")

    def _authorise_all(self, accounts: Iterable[int]) -> None:
        """Ask for accounts: leaders first, whose followers wait to hear what to close, then who holds copies."""
        leaders, view_of = self._ports.leaders(), self._ports.status.view

        def holds_nothing(account: int) -> bool:
            view = view_of(AccountId(account))
            return view is None or not view.copies

        for account in sorted(accounts, key=lambda account: (account not in leaders, holds_nothing(account))):
            self._authorise(account)

    def _authorise(self, account: int) -> None:
        token = self._ports.token(account)
        if token is None:
            self._tell_account(
                account,
                m.SessionMoved(Health.TOKEN_DEAD, "no token opens this account; add it again with cmam account add"),
            )
            return
        self._follow(self._session.authorise(account, token.reveal()))

    def _ended(self, event: session.Ended) -> None:
        refusal = event.refusal
        if refusal is None:
            self._lost(event.why)
            return
        permanent = refusal.rule.kind is Kind.PERMANENT
        now = self._ports.clock.now()
        delay = retry_delay_us(refusal, self._tries.of(LINE) + 1, now, self._ports.chance())
        # Even a permanent no is asked again once a minute: an application becomes active without our doing.
        self._lost(event.why, permanent=permanent, delay_us=delay if delay is not None else 60 * SECOND_US)

    def _account_opened(self, account: int) -> None:
        self._tries.opened(account, self._ports.clock.monotonic())
        if self._is_dead.get(account, True):  # an alert may be of the process before
            self._tell_account(account, m.Alert("token"))
        self._is_dead[account] = False
        self._outbox.forget(account)  # a token that is swapped may begin a session without a word of the last one's end
        self._tell_account(account, m.SessionMoved(Health.AUTHORISED))
        self._show("open")

    def _account_closed(self, event: session.AccountClosed) -> None:
        self._outbox.forget(event.account)
        refusal = event.refusal
        if refusal is None or refusal.rule.kind is Kind.SESSION:
            self._tell_account(event.account, m.SessionMoved(Health.DOWN, event.why))
        elif refusal.rule.kind is Kind.TOKEN:
            self._tell_account(event.account, m.SessionMoved(Health.TOKEN_DEAD, event.why))
            self._directory.tell(m.KEEPER, m.TokenDead(event.account, again=self._is_dead.get(event.account, False)))
            self._is_dead[event.account] = True
        else:
            self._tell_account(event.account, m.SessionMoved(Health.REFUSED, event.why))
        pause = self._tries.lost(event.account)
        if refusal is not None and refusal.rule.kind is not Kind.SESSION:  # a lost session is asked for at once
            asked = retry_delay_us(
                refusal, self._tries.of(event.account), self._ports.clock.now(), self._ports.chance()
            )
            pause = asked if asked is not None else max(pause, 30 * SECOND_US)
        self._feeds.lose(event.account)
        self._ports.timer.after(pause, self._name, m.Wake(f"authorise {event.account}"))

    def _accounts_wanted(self, message: m.AccountsWanted) -> None:
        fresh = dict.fromkeys(int(account) for account in message.accounts)
        for gone in self._wanted.keys() - fresh.keys():
            self._session.forget(gone)
            self._feeds.forget(gone)
            self._tell_account(gone, m.SessionMoved(Health.DOWN, "it was removed"))
        new = [account for account in fresh if account not in self._wanted]
        self._wanted = dict(fresh)
        if self._session.state is session.State.OPEN:
            self._authorise_all(new)

    def _tokens_changed(self, message: m.TokensChanged) -> None:
        """A refreshed token is swapped on the open connection; the server says ALREADY_LOGGED_IN or drops and takes.

        One of another application is good on a line of that application only, so then the line is made anew.
        """
        if self._session.state is not session.State.OPEN:
            return
        if self._ports.application()[0] != self._greeted_as and set(message.accounts) & self._wanted.keys():
            self._lost("it is made anew for another application", delay_us=0)
            return
        for account in message.accounts:
            if account in self._wanted:
                self._authorise(account)

    # --- time -----------------------------------------------------------------------------------------------------

    def _woken(self, what: str) -> None:
        kind, _, argument = what.partition(" ")
        match kind:
            case "dial":
                if self._wire is None and not self._is_stopping:
                    self._dial()
            case "authorise":
                account = int(argument)
                is_open = self._session.state is session.State.OPEN
                if is_open and account in self._wanted and not self._is_ready(account):
                    self._authorise(account)
            case "tick":
                self._session.heard(self._ports.board.heard_us(self._name))
                self._feeds.tend()
                self._tries.count_anew(self._ports.clock.monotonic())
                self._follow(self._session.on_time(self._ports.clock.monotonic()))
                self._measure()
                self._say_flood()
                if not self._is_stopping:
                    self._ports.timer.after(TICK_US, self._name, m.Wake("tick"))

    def _measure(self) -> None:
        """Put the limiter's figures on record once a minute, while anything was sent."""
        now = self._ports.clock.monotonic()
        if now - self._measured_us < MEASURE_US:
            return
        figures = self._ports.status.read(self._limiter)
        if figures and self._measured_us:
            self._record(
                LimiterMeasured(
                    sent=int(figures["sent"]),
                    busiest_second=int(figures["busiest_second"]),
                    dropped=int(figures.get("returned", 0)),
                    guard_us=int(figures["guard_ms"] * 1_000),
                    queued_max=int(figures["waiting_max"]),
                )
            )
        self._measured_us = now

    def _say_flood(self) -> None:
        """Say where a line brings more than is worked off, and when that is over."""
        if not self._flood.has_turned(self._ports.clock.monotonic()):
            return
        is_flooded = self._flood.is_on
        text = (
            f"{self._name} brings more than this machine can work off, so cmam reads it more slowly and learns "
            "later what its accounts report. Nothing is left out, and the other connections go on."
        )
        self._ports.status.alarm(f"flood:{self._ports.name}", text if is_flooded else "")
        log.warning("= %s", text if is_flooded else f"{self._name} brings no more than this machine can work off")

    def _show(self, state: str, reason: str = "", *, retry_ms: int = 0) -> None:
        self._ports.status.note(
            self._name,
            {
                "host": self._ports.host,
                "port": self._ports.port,
                "state": state,
                "reason": reason,
                "retry_ms": retry_ms,
                "accounts": len(self._session.ready_accounts()),
            },
        )
