"""An account's desk: its view, and the one hand that folds facts into it and passes them to the recorder.

Every turn ends here: what came in is folded, what follows is derived (`domain/turns/turn.py`), and both go to the
recorder with the requests that may leave once they are durable. It knows neither what a message is nor when to look
again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cmam.actors import messages as m
from cmam.actors.accounts.account_quotes import AccountQuotes
from cmam.actors.accounts.followers import Followers
from cmam.actors.accounts.unrecorded import SHARE, UNCONFIRMED_US, Spent, Unrecorded
from cmam.actors.asking.question import Question
from cmam.actors.asking.shelf import SpecShelf
from cmam.actors.status import StatusBoard, latch_text
from cmam.actors.threads.runtime import Directory
from cmam.actors.threads.timer import Timer
from cmam.clock import SECOND_US, Clock
from cmam.domain.belief.copies import IntentState
from cmam.domain.belief.nameless import ALIKE, alike_in_words, like_another
from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    AlertHealed,
    AlertRaised,
    AttemptDecided,
    CopyWoken,
    Event,
    Health,
    HealthChanged,
    IntentDropped,
    IntentRecorded,
    IntentSent,
    IntentSettled,
    MessageSetAside,
    Outcome,
    Reconciled,
)
from cmam.domain.turns.making import Turn
from cmam.domain.turns.opens_again import LIKE_ANOTHER
from cmam.domain.turns.settling import SETTLE_US
from cmam.domain.turns.turn import step, withdrawn
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import IntentId, StoreId
from cmam.domain.values.quantities import Quote
from cmam.domain.wanted.needs import Nets, needed
from cmam.domain.wanted.unasked import asking, freed
from cmam.openapi import answers, requests
from cmam.openapi.lanes import Lane, lane_of
from cmam.openapi.quotes import QuoteBoard

log = logging.getLogger(__name__)

NEVER_SENT = (Outcome.ABSENT, Outcome.DROPPED)

LANE_OF_COMMAND: Mapping[CommandKind, Lane] = {
    kind: lane_of(payload_type) for kind, payload_type in requests.PAYLOAD_TYPES.items()
}


@dataclass(frozen=True, slots=True)
class AccountPorts:
    """What every account is joined to."""

    store: StoreId
    connection: str
    clock: Clock
    timer: Timer
    directory: Directory
    board: QuoteBoard
    status: StatusBoard
    is_live: bool = False
    settle_us: int = SETTLE_US
    spent: Spent = field(default_factory=Spent)
    shelf: SpecShelf = field(default_factory=SpecShelf)
    aside: Mapping[str, m.SetAside] = field(default_factory=dict)
    life: int = 0
    is_again: bool = False
    told: tuple[int, int] | None = None
    past: AccountView | None = None
    is_followed: Callable[[], bool] = lambda: False
    """Whether any profile that is on has this account as its leader, whether or not its followers have asked yet."""


class Desk:
    """The view of one account, and how it changes."""

    def __init__(self, view: AccountView, ports: AccountPorts) -> None:
        self.view = view
        self.ports = ports
        self.name = m.account_name(view.account)
        self.lacks_trader = False
        """Whether what the account is worth was not told when it was asked for last: nothing opens until it is."""
        self.is_worth_known = False
        """Whether it has been told on this line; each change of it is since, so guards look also where it is not told
        once more."""
        self.quotes = AccountQuotes(view.account, ports.connection, ports.board, ports.clock, self._ask_quotes)
        self.followers = Followers(view.account, ports.directory, self.quotes.newest, ports.told, ports.past)
        self._limiter = m.limiter_name(ports.connection)
        self._unrecorded = Unrecorded(view.account, ports.spent)
        self._withdrawn: frozenset[IntentId] = frozenset()
        self._is_urgent = False
        self.at: m.LeaderChanged | None = None
        """What is being decided, so that a failure is laid at the right door."""

    @property
    def leads(self) -> bool:
        """Whether anybody follows this account, or will once he has asked."""
        return bool(self.followers) or self.ports.is_followed()

    @property
    def is_reconciled(self) -> bool:
        """Whether what is believed of the account is what its broker shows."""
        return self.view.health is Health.RECONCILED

    def tell(self, name: str, message: object) -> None:
        """Tell another actor."""
        self.ports.directory.tell(name, message)

    def tell_limiter(self, message: object) -> None:
        """Tell the limiter of this account's connection."""
        self.ports.directory.tell(self._limiter, message)

    def ask(self, question: Question, lane: Lane = Lane.QUERY, *, goes_first: bool = False) -> None:
        """Ask the broker."""
        account, name, message, translate = self.view.account, question.name, question.message, question.translate
        self.tell_limiter(m.Ask(account, name, message, self.name, translate, lane, goes_first, question.within_us))

    def remind(self, span_us: int, what: str = "") -> None:
        """Have this account woken after a while."""
        self.ports.timer.after(span_us, self.name, m.Wake(what))

    def may_tend_later(self, before: AccountView) -> bool:
        """Whether nothing can have come due by what happened since, or another turn is certain and nobody need wait.

        A request that was handed to the recorder comes back as written, dropped or with the store's trouble.
        """
        view = self.view
        if self._is_urgent:
            self._is_urgent = False
            return True
        return (
            view.intents is before.intents
            and view.copies is before.copies
            and view.latches is before.latches
            and view.alerts is before.alerts
        )

    # --- a turn ---------------------------------------------------------------------------------------------------

    def fact(
        self,
        fact: Event,
        *,
        received_us: int = 0,
        cause: tuple[str, int] | None = None,
        then: tuple[tuple[str, object], ...] = (),
    ) -> None:
        """Fold an input, record it with what follows from it, and tell followers; `then` once all is durable."""
        before, now = self.view, self.ports.clock.now()
        turn = step(before, fact, self.ports.store, now)
        facts: tuple[m.Fact, ...] = (m.Fact(fact, cause),)
        if turn.derived:
            own = (self.name, before.version + 1)
            facts = (*facts, *[m.Fact(event, own) for event in turn.derived])
        self.commit(turn, facts, now, received_us, after=then, has_waited=isinstance(fact, CopyWoken))
        if turn.view.latches is not before.latches:
            self._say_latches(before)
        if isinstance(fact, Reconciled):
            self._say_alike(before, turn.derived)
        if isinstance(fact, CopyWoken):
            self._say_what_it_came_to(before, turn.derived, now)
        if turn.folded is not None:
            self.followers.tell(before, turn.folded, fact, received_us)
        nets: Nets | None = None
        for key in freed(before, fact):
            nets = nets.of(self.view) if nets is not None else Nets(self.view)
            if any(needed(self.view, key, now, nets)):
                self.fact(asking(key))

    def _say_latches(self, before: AccountView) -> None:
        """Say which guards have tripped, for whoever reads the log lines; `status` says it for as long as they lock."""
        for key, latch in self.view.latches.items():
            if key not in before.latches and (text := latch_text(latch, self.view)):
                log.error("! %s: %s", self.name, text)

    def _say_alike(self, before: AccountView, derived: tuple[Event, ...]) -> None:
        """Say what stands there that may be what a request has opened, which is not sent again."""
        for event in derived:
            if isinstance(event, IntentSettled) and event.reason == LIKE_ANOTHER:
                intent = before.intents[event.intent]
                if name := like_another(self.view, intent):
                    self.alert(m.Alert(f"{ALIKE}{name}", alike_in_words(name, intent.source)))

    def _say_what_it_came_to(self, before: AccountView, derived: tuple[Event, ...], now: int) -> None:
        """Have it shown what an open came to that had to wait."""
        for event in derived:
            if isinstance(event, AttemptDecided) and (copy := before.copies[event.link, event.source]).change:
                self.ports.status.look(event, copy.change, now)

    def commit(
        self,
        turn: Turn,
        facts: tuple[m.Fact, ...],
        now: int,
        received_us: int,
        *,
        settings: int = 0,
        after: tuple[tuple[str, object], ...] = (),
        has_waited: bool = False,
    ) -> None:
        """Take a turn's view, and hand its facts to the recorder with the requests that wait for them."""
        version = self.view.version + 1
        self.view = turn.view
        then, intents = list(after), turn.intents if turn.derived else ()
        decided_us = self.ports.clock.monotonic() if intents else 0
        for recorded in intents:
            submit = self._submit(recorded, received_us, decided_us, goes_first=has_waited)
            then.append((self._limiter, submit))
            if self._unrecorded.watch(turn.view, recorded, submit):
                then.append((self.name, m.Confirmed(recorded.intent)))
                self.remind(UNCONFIRMED_US, f"unconfirmed {recorded.intent}")
        self.tell(
            m.RECORDER, m.Append(self.name, version, now, facts, settings, tuple(then), bool(then), self.ports.life)
        )
        self._is_urgent = bool(intents)
        self.ports.status.show(turn.view)
        if turn.view.intents or self._withdrawn:
            self._withdraw()
        if turn.derived:
            self._take_back(turn)

    def _submit(
        self, recorded: IntentRecorded, received_us: int, decided_us: int, *, goes_first: bool = False
    ) -> m.Submit:
        return m.Submit(
            account=self.view.account,
            command=recorded.command,
            intent=recorded.intent,
            lane=_lane(recorded),
            not_after_us=recorded.not_after_us if recorded.command.kind.adds_risk else 0,
            received_us=received_us,
            decided_us=decided_us,
            attempt=recorded.attempt,
            goes_first=goes_first,
        )

    def _withdraw(self) -> None:
        """Take back the opens whose source is gone, where they have not left yet."""
        gone = withdrawn(self.view)
        for name in gone:
            if name not in self._withdrawn:
                self.tell_limiter(m.Withdraw(name, self.view.intents[name].attempt))
        self._withdrawn = frozenset(gone)

    def _take_back(self, turn: Turn) -> None:
        """Let no attempt leave late that counts as never sent, nor an order of a copy that is over: it may still wait
        for the store or in the limiter, and an add to a net that is gone would open another."""
        known = turn.folded.intents if turn.folded is not None else {}
        for event in turn.derived:
            if not isinstance(event, IntentSettled) or event.intent not in known:
                continue
            intent = known[event.intent]
            is_order = intent.command.kind.adds_risk  # closes of what seems gone do no harm
            if event.outcome in NEVER_SENT or (is_order and intent.state is IntentState.RECORDED):
                self.tell_limiter(m.Withdraw(event.intent, intent.attempt))

    # --- what became of requests ----------------------------------------------------------------------------------

    def confirmed(self, intent: str) -> None:
        """The record of a request is durable."""
        self._unrecorded.confirmed(intent)

    def is_overdue(self, intent: str) -> None:
        """Send what may no longer wait for its record, or ask first what there is to close."""
        found = self._unrecorded.overdue(intent, self.view)
        if isinstance(found, m.Submit):
            self.tell_limiter(found)
        elif found:
            state = requests.ask_state(self.view.account)
            self.tell_limiter(m.Ask(self.view.account, found, state, self.name, answers.read_snapshot))

    def share_read(self, message: m.Answered) -> None:
        """The net position of a share is known as it is now: let its close leave, if there is one to close."""
        submit = self._unrecorded.position_read(message.question, message.report[0], self.view)
        if submit is not None:
            self.tell_limiter(submit)

    def share_unread(self, message: m.Unanswered) -> None:
        """The look at a net position was refused: look again after a while."""
        self._look_again(message.question, max(message.retry_after_s * SECOND_US, UNCONFIRMED_US))

    def line_lost(self) -> None:
        """What was asked of nets will not be answered any more: look again."""
        for question in self._unrecorded.asking:
            self._look_again(question, UNCONFIRMED_US)

    def _look_again(self, question: str, pause_us: int) -> None:
        if self._unrecorded.unread(question):
            self.remind(pause_us, f"unconfirmed {question.removeprefix(SHARE)}")

    def written(self, message: m.Written) -> None:
        """A request has left."""
        start = message.received_us or message.decided_us
        self.fact(
            IntentSent(
                intent=message.intent,
                decided_us=max(0, message.decided_us - start),
                committed_us=max(0, message.committed_us - start),
                written_us=max(0, message.written_us - start),
            )
        )

    def dropped(self, message: m.Dropped) -> None:
        """An attempt will not leave; one that was given up before is no news."""
        intent = self.view.intents.get(message.intent)
        if intent is None or intent.attempt == message.attempt:
            self.fact(IntentDropped(intent=message.intent, reason=message.reason))

    # --- what is said of the account ------------------------------------------------------------------------------

    def health(self, health: Health, reason: str = "", *, silent_us: int = 0) -> None:
        """Put on record how the account is, where that is news."""
        if (self.view.health, self.view.health_reason) != (health, reason):
            self.fact(HealthChanged(health=health, reason=reason, silent_us=silent_us))

    def alert(self, message: m.Alert) -> None:
        """Raise an alert that is not up, or heal one that is."""
        known = self.view.alerts.get(message.kind)
        if message.text and known != message.text:
            log.error("! %s: %s", self.name, message.text)
            self.fact(AlertRaised(kind=message.kind, text=message.text))
        elif not message.text and known is not None:
            self.fact(AlertHealed(kind=message.kind))

    def set_aside(self, found: m.SetAside) -> None:
        """Put a message on record that this account died of too often, and say so until somebody has looked."""
        self.fact(MessageSetAside(message=found.name, content=found.content, error=found.error, tries=found.tries))
        text = (
            f"cmam failed on {found.name} {found.tries} times ({found.error}) and set it aside: what it should have "
            "done here is not done. Compare the account with its leader by hand, and report the error: the log keeps "
            "the message."
        )
        self.alert(m.Alert(f"set_aside {found.name}", text))

    def note_trader(self, *, is_known: bool) -> None:
        """Note whether the account's particulars are known, and say where they are not: nothing could be opened."""
        self.lacks_trader = not is_known
        self.is_worth_known |= is_known
        guards = "" if self.is_worth_known else ", and no guard trips,"
        lack = (
            f"cmam could not read what this account is worth. Nothing opens on it{guards} until it can; it asks again."
        )
        self.alert(m.Alert("trader", "" if is_known else lack))

    # --- quotes -----------------------------------------------------------------------------------------------------

    def ensure_held_quotes(self) -> None:
        """Have the quotes of everything that the account holds."""
        for position in self.view.positions.values():
            self.quotes.want(position.symbol)
        for order in self.view.orders.values():
            self.quotes.want(order.symbol)

    def _ask_quotes(self, wanted: m.QuotesWanted) -> None:
        self.tell(m.connection_name(self.ports.connection), wanted)

    def quote_by_name(self, name: str) -> Quote | None:
        """The newest quote of a symbol by its name on this account."""
        entry = self.view.names.get(name)
        return self.quotes.newest(entry.symbol) if entry is not None else None


def _lane(recorded: IntentRecorded) -> Lane:
    """What a share gives up against the net is a close, although the wire calls it an order."""
    gives_up = recorded.command.netted and not recorded.not_after_us
    return Lane.CLOSE if gives_up else LANE_OF_COMMAND[recorded.command.kind]
