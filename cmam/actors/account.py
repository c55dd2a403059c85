"""One trading account: the only writer of its stream, whether it leads, follows or both.

A turn is always the same: fold what came in, derive what follows (`domain/turn.py`), hand both to the recorder with the
requests that may leave once they are durable, and tell followers what changed. While the account is not reconciled its
leaders' changes wait here in order; closes and levels of its copies are asked for as soon as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cmam.actors import messages as m
from cmam.actors.followers import Followers
from cmam.actors.preparation import Kind, Preparation, Question
from cmam.actors.runtime import Directory, Watched
from cmam.actors.status import StatusBoard
from cmam.actors.timer import Timer
from cmam.clock import SECOND_US, Clock
from cmam.domain import guards
from cmam.domain.account import AccountView, Copy, IntentState
from cmam.domain.blindness import watch_blind
from cmam.domain.changes import Change, ChangeKind
from cmam.domain.commands import CommandKind
from cmam.domain.equity import equity_symbols
from cmam.domain.events import (
    AlertHealed,
    AlertRaised,
    ChangeDecided,
    Event,
    ExecutionSeen,
    Health,
    HealthChanged,
    Inputs,
    IntentDropped,
    IntentOverdue,
    IntentRecorded,
    IntentSent,
    IntentSettled,
    Outcome,
    QuotesSampled,
    SymbolSpecSeen,
)
from cmam.domain.ids import AccountId, IntentId, LinkId, StoreId, SymbolId
from cmam.domain.inputs import gather, gather_for_copy
from cmam.domain.link import LinkSettings
from cmam.domain.mapping import names_to_know
from cmam.domain.quantities import Quote
from cmam.domain.symbols import SymbolSpec
from cmam.domain.sync import at_start
from cmam.domain.turn import (
    SETTLE_US,
    Turn,
    decide_change,
    due,
    lookup_due,
    next_due,
    next_wake,
    step,
    wakes,
    withdrawn,
)
from cmam.openapi import translate
from cmam.openapi.budget import Lane
from cmam.openapi.quotes import BrokerClock, QuoteBoard

log = logging.getLogger(__name__)

LOOKUP_US = 5 * SECOND_US
"""How soon after one look-up the next may follow."""
QUIET_US = 700_000
"""A snapshot counts only if no execution came within this time of the question."""
RESTLESS_MAX = 8
REFRESH_US = 60 * SECOND_US
"""How often what the broker holds is compared with what is believed, while all is well."""
SIGHT_US = 15 * SECOND_US
"""How long an account may be out of sight before anybody is told, and how often that is looked at."""
WATCH_US = 250_000
"""How often guards are looked at, where there are any."""
SAMPLE_US = 10 * SECOND_US
"""How often the quotes of symbols with open copies are put on record."""
UNCONFIRMED_US = SECOND_US
"""How long a whole close or a cancel waits for the store before it goes out all the same (DESIGN §1, invariant 1)."""

NEVER_SENT = (Outcome.ABSENT, Outcome.DROPPED)

LANES: Mapping[CommandKind, Lane] = {
    CommandKind.CLOSE: Lane.CLOSE,
    CommandKind.AMEND_PROTECTION: Lane.PROTECT,
    CommandKind.AMEND_ORDER: Lane.PROTECT,
    CommandKind.CANCEL: Lane.CANCEL,
    CommandKind.OPEN: Lane.OPEN,
    CommandKind.ADD: Lane.OPEN,
    CommandKind.PLACE: Lane.OPEN,
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


class AccountActor(Watched):
    """The only writer of `account:<ctid>`."""

    def __init__(self, view: AccountView, ports: AccountPorts, links: tuple[LinkSettings, ...]) -> None:
        super().__init__()
        self._view = view
        self._ports = ports
        self._directory = ports.directory
        self._name = m.account_name(view.account)
        self._links: dict[LinkId, LinkSettings] = {link.link: link for link in links}
        self._followers = Followers(view.account, ports.directory, self._quote)
        self._deferred: list[m.LeaderChanged] = []
        self._early: list[tuple[m.Reported, bool]] = []
        self._preparation: Preparation | None = None
        self._specs: dict[SymbolId, SymbolSpec] = dict(view.specs)
        self._clock_offset_ms = 0
        self._unconfirmed: dict[str, m.Submit] = {}
        self._armed_us = 0
        self._feed = ""
        self._refused = ""
        self._withdrawn: frozenset[IntentId] = frozenset()
        self._to_sync: dict[LinkId, m.LeaderHolds] = {}
        self._tickets: dict[LinkId, int] = {}
        self._blind_since: dict[AccountId, int] = {}
        self._guarded = guards.Memory()
        self._is_watching = False
        self._is_looking = False
        self._looked_up_us = 0
        self._executed_us = 0
        self._asked_us = 0
        self._restless_answers = 0
        self._is_stopping = False

    # --- life -----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """What no record says of this process: nothing is connected, and nobody knows what became of open requests."""
        for intent in tuple(self._view.intents.values()):
            if intent.state is not IntentState.UNKNOWN:
                self._fact(IntentOverdue(intent=intent.intent, why="cmam was started again"))
        if self._view.health is not Health.DOWN:
            self._fact(HealthChanged(health=Health.DOWN, reason="cmam was started"))
        self._ports.timer.after(SIGHT_US, self._name, m.Wake("sight"))
        self._ask_leaders()

    def _ask_leaders(self) -> None:
        """Ask each leader for what this account has not decided yet."""
        for link in self._links.values():
            cursor = self._view.cursors.get(link.link)
            place = (link.since, 1 << 30) if cursor is None else (cursor.version, cursor.index)
            place = max(place, (link.since, 1 << 30)) if link.since else place
            ticket = max(self._tickets.get(link.link, 0) + 1, self._ports.clock.monotonic())
            self._tickets[link.link] = ticket
            ask = m.FollowFrom(link.link, self._view.account, *place, ticket)
            self._ports.directory.tell(m.account_name(link.leader), ask)

    def on_receive(self, message: Any) -> None:
        """One turn."""
        if self._refused:
            return
        self._receive(message)
        if any(copy.wait is not None for copy in self._view.copies.values()):
            self._wake_copies(self._ports.clock.now())

    def _receive(self, message: Any) -> None:
        match message:
            case m.Reported():
                self._reported(message)
            case m.LeaderChanged():
                self._leader_changed(message)
            case m.Written():
                self._written(message)
            case m.Dropped():
                self._dropped(message)
            case m.Confirmed():
                self._unconfirmed.pop(message.intent, None)
            case m.Answered():
                self._answered(message)
            case m.Unanswered():
                self._unanswered(message)
            case m.SessionMoved():
                self._session_moved(message)
            case m.TraderReported():
                self._trader_reported(message.trader)
            case m.Record():
                self._fact(message.fact, then=message.then)
            case m.Alert():
                self._alert(message)
            case m.SymbolsReported():
                self._symbols_changed(message.symbols)
            case m.Wake():
                self._woken(message)
            case _:
                self._organise(message)

    def _organise(self, message: Any) -> None:
        match message:
            case m.LinksChanged():
                self._links_changed(message)
            case m.Begin():
                self._begin()
            case m.LeaderRestarted():
                self._ask_leaders()
            case m.FollowFrom():
                self._followers.join(message, self._view)
            case m.LeaderHolds():
                self._leader_holds(message)
            case m.Unfollow():
                self._followers.leave(message.link)
            case m.StreamRead():
                self._followers.tell_the_past(message, self._view)
            case m.StreamRefused():
                self._refused = message.why
                log.error("! %s stops: %s", self._name, message.why)
            case m.StoreDown() | m.StoreUp():
                log.debug("= %s: %s", self._name, message)
            case m.Stop():
                self._is_stopping = True
                self._ports.directory.tell(m.RECORDER, m.Flush())
                self._ports.directory.tell(m.SUPERVISOR, m.Stopped(self._name))
            case _:
                raise AssertionError(f"an account cannot take {message!r}")

    # --- a turn ---------------------------------------------------------------------------------------------------

    def _fact(
        self,
        fact: Event,
        *,
        received_us: int = 0,
        cause: tuple[str, int] | None = None,
        then: tuple[tuple[str, object], ...] = (),
    ) -> None:
        """Fold an input, record it with what follows from it, and tell followers; `then` once all is durable."""
        before, now = self._view, self._ports.clock.now()
        turn = step(before, fact, self._ports.store, now)
        own = (self._name, before.version + 1)
        facts = (m.Fact(fact, cause), *(m.Fact(event, own) for event in turn.derived))
        self._commit_turn(before, turn, facts, now, received_us, after=then)
        if self._followers and turn.folded is not None:
            self._followers.tell(before, turn.folded, fact, received_us)

    def _commit_turn(
        self,
        before: AccountView,
        turn: Turn,
        facts: tuple[m.Fact, ...],
        now: int,
        received_us: int,
        *,
        settings: int = 0,
        after: tuple[tuple[str, object], ...] = (),
    ) -> None:
        self._view = turn.view
        self._ports.status.show(turn.view)
        decided_us = self._ports.clock.monotonic()
        then = list(after)
        for recorded in turn.intents:
            submit = self._submit(recorded, received_us, decided_us)
            then.append((m.limiter_name(self._ports.connection), submit))
            if _may_leave_unrecorded(turn.view, recorded):
                then.append((self._name, m.Confirmed(recorded.intent)))
                self._unconfirmed[recorded.intent] = submit
                self._ports.timer.after(UNCONFIRMED_US, self._name, m.Wake(f"unconfirmed {recorded.intent}"))
        is_urgent = bool(then)
        append = m.Append(self._name, before.version + 1, now, facts, settings, tuple(then), is_urgent)
        self._ports.directory.tell(m.RECORDER, append)
        self._withdraw()
        self._take_back(turn)
        self._arm()

    def _withdraw(self) -> None:
        """Take back the opens whose source is gone, where they have not left yet."""
        gone = withdrawn(self._view)
        for name in gone:
            if name not in self._withdrawn:
                attempt = self._view.intents[name].attempt
                self._ports.directory.tell(m.limiter_name(self._ports.connection), m.Withdraw(name, attempt))
        self._withdrawn = frozenset(gone)

    def _take_back(self, turn: Turn) -> None:
        """Let no attempt leave late that counts as never sent: it may still wait for the store or in the limiter."""
        known = turn.folded.intents if turn.folded is not None else {}
        for event in turn.derived:
            if isinstance(event, IntentSettled) and event.outcome in NEVER_SENT and event.intent in known:
                withdraw = m.Withdraw(event.intent, known[event.intent].attempt)
                self._ports.directory.tell(m.limiter_name(self._ports.connection), withdraw)

    def _dropped(self, message: m.Dropped) -> None:
        """An attempt will not leave; one that was given up before is no news."""
        intent = self._view.intents.get(message.intent)
        if intent is None or intent.attempt == message.attempt:
            self._fact(IntentDropped(intent=message.intent, reason=message.reason))

    def _submit(self, recorded: IntentRecorded, received_us: int, decided_us: int) -> m.Submit:
        return m.Submit(
            account=self._view.account,
            command=recorded.command,
            intent=recorded.intent,
            lane=_lane(recorded),
            not_after_us=recorded.not_after_us if recorded.command.kind.adds_risk else 0,
            received_us=received_us,
            decided_us=decided_us,
            attempt=recorded.attempt,
        )

    def _arm(self) -> None:
        """Have the timer wake this account when something of it falls due."""
        now = self._ports.clock.now()
        dues = (next_due(self._view), self._lookup_due(), next_wake(self._view, now))
        moments = [moment for moment in dues if moment is not None]
        if not moments:
            return
        moment = max(min(moments), now)
        if self._armed_us <= now or moment < self._armed_us:
            self._armed_us = moment
            self._ports.timer.after(moment - now + 1_000, self._name, m.Wake())

    def _woken(self, message: m.Wake) -> None:
        kind, _, intent = message.what.partition(" ")
        if kind == "unconfirmed":
            submit = self._unconfirmed.pop(intent, None)
            if submit is not None:
                log.warning("! the store is slow: %s leaves before its record", intent)
                self._ports.directory.tell(m.limiter_name(self._ports.connection), submit)
            return
        if kind == "sample":
            self._sample()
            return
        if kind == "sight":
            self._watch_sight()
            return
        if kind == "refresh":
            self._refresh()
            return
        if kind == "watch":
            self._is_watching = False
            self._watch()
            return
        if kind == "question":
            self._overdue(intent)
            return
        now = self._ports.clock.now()
        self._armed_us = 0
        for fact in due(self._view, now):
            self._fact(fact)
        self._wake_copies(now)
        lookup = self._lookup_due()
        if lookup is not None and now >= lookup:
            self._looked_up_us = now
            self._prepare(Kind.LOOKUP)
        self._arm()

    def _lookup_due(self) -> int | None:
        """When to ask what became of unknown outcomes; never while nobody could answer, nor again at once."""
        if self._preparation is not None or self._view.health is not Health.RECONCILED:
            return None
        moment = lookup_due(self._view, self._ports.settle_us)
        return None if moment is None else max(moment, self._looked_up_us + LOOKUP_US)

    def _wake_copies(self, now: int) -> None:
        """Let every copy that waits for a price, a stop or a moment be looked at again."""
        if self._view.health is not Health.RECONCILED or self._is_stopping:
            return
        for fact in wakes(self._view, self._links, self._inputs_of_copy, now):
            self._fact(fact)

    def _inputs_of_copy(self, copy: Copy, link: LinkSettings) -> Inputs:
        assert copy.change is not None
        clock = self._leader_clock(copy.change)
        return gather_for_copy(
            self._view,
            copy,
            link,
            self._quote_by_name,
            leader_quote=self._leader_quote(copy.change),
            clock_offset_ms=clock.offset_ms,
            clock_doubt_ms=clock.doubt_ms,
        )

    # --- guards ---------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Look at equity where a guard is set: on a timer and after executions, never for each tick."""
        links = tuple(self._links.values())
        if not guards.needs_watch(links):
            return
        found = guards.watch(self._view, links, self._quote_by_name, self._guarded, self._ports.clock.now())
        self._guarded = found.memory
        for fact in found.facts:
            self._fact(fact)
        if not self._is_watching:
            self._is_watching = True
            self._ports.timer.after(WATCH_US, self._name, m.Wake("watch"))

    def _watch_sight(self) -> None:
        """Say which copies are held in the dark while a leader or this account is out of sight, and close in time."""
        now = self._ports.clock.now()
        followed = {link.leader for link in self._links.values()} | {copy.leader for copy in self._view.copies.values()}
        blind = {account for account in (*followed, self._view.account) if not self._is_in_sight(account)}
        self._blind_since = {account: self._blind_since.get(account, now) for account in sorted(blind)}
        since = {account: moment for account, moment in self._blind_since.items() if now - moment >= SIGHT_US}
        for fact in watch_blind(self._view, self._links, since, now):
            self._fact(fact)
        self._ports.timer.after(SIGHT_US, self._name, m.Wake("sight"))

    def _is_in_sight(self, account: AccountId) -> bool:
        view = self._view if account == self._view.account else self._ports.status.view(account)
        return view is not None and view.health is Health.RECONCILED

    # --- as a follower --------------------------------------------------------------------------------------------

    def _leader_changed(self, message: m.LeaderChanged, *, superseded: bool = False) -> None:
        link = self._links.get(message.link)
        if link is None or self._is_stopping:
            return  # what is not decided now is told again at the next start
        if message.ticket != self._tickets.get(message.link):
            return  # meant for who was here before: what it missed comes first, in the answer to what was asked since
        if self._view.health is not Health.RECONCILED or (self._deferred and not superseded):
            self._deferred.append(message)
            return
        self._decide(link, message, superseded=superseded)

    def _decide(self, link: LinkSettings, message: m.LeaderChanged, *, superseded: bool) -> None:
        change = message.change
        self._ensure_specs(names_to_know(self._view, (change.symbol.name,), link.policy))
        before, now = self._view, self._ports.clock.now()
        clock = self._leader_clock(change)
        inputs = gather(
            before,
            change,
            link,
            self._quote_by_name,
            leader_quote=self._leader_quote(change),
            clock_offset_ms=clock.offset_ms,
            clock_doubt_ms=clock.doubt_ms,
            superseded=superseded,
            leader=self._ports.status.view(change.leader),
        )
        turn = decide_change(before, link, change, (message.version, message.index), inputs, now)
        if not turn.derived:
            return
        cause = (m.account_name(change.leader), message.version)
        own = (self._name, before.version + 1)
        facts = tuple(m.Fact(event, cause if isinstance(event, ChangeDecided) else own) for event in turn.derived)
        self._commit_turn(before, turn, facts, now, message.received_us, settings=link.version)

    def _leader_holds(self, message: m.LeaderHolds) -> None:
        """A link begins: bring its copies and what its leader holds together, once this account can."""
        link = self._links.get(message.link)
        if link is None or message.ticket != self._tickets.get(message.link):
            return
        if self._view.health is not Health.RECONCILED or self._deferred:
            self._to_sync[message.link] = message
            return
        leader = message.leader
        feed = self._ports.board.feed_of(leader.account)
        found = at_start(leader, self._view, link, lambda symbol: self._ports.board.quote(feed, symbol))
        for index, change in enumerate(found):
            self._decide(link, m.LeaderChanged(message.link, change, leader.version, index), superseded=False)

    def _flush_deferred(self) -> None:
        """Decide what waited, in its order; an open whose source has gone meanwhile is known to be superseded."""
        waiting, self._deferred = self._deferred, []
        ends = (ChangeKind.CLOSED, ChangeKind.ORDER_CANCELLED, ChangeKind.ORDER_EXPIRED)
        for number, message in enumerate(waiting):
            link = self._links.get(message.link)
            if link is None:
                continue
            superseded = any(
                later.link == message.link
                and later.change.source == message.change.source
                and later.change.kind in ends
                for later in waiting[number + 1 :]
            )
            self._decide(link, message, superseded=superseded)
        begun, self._to_sync = self._to_sync, {}
        for holds in begun.values():
            self._leader_holds(holds)

    def _ensure_specs(self, names: Iterable[str]) -> None:
        """Have the symbols that a decision needs on record before it."""
        for name in names:
            entry = self._view.names.get(name)
            spec = self._specs.get(entry.symbol) if entry is not None else None
            if spec is not None and self._view.specs.get(spec.symbol) != spec:
                self._fact(SymbolSpecSeen(spec=spec))

    def _quote_by_name(self, name: str) -> Quote | None:
        entry = self._view.names.get(name)
        return self._quote(entry.symbol) if entry is not None else None

    def _leader_quote(self, change: Change) -> Quote | None:
        """The leader's own quote of what it traded, as it is now."""
        leader = self._ports.status.view(change.leader)
        entry = leader.names.get(change.symbol.name) if leader is not None else None
        feed = self._ports.board.feed_of(change.leader)
        return self._ports.board.quote(feed, entry.symbol) if entry is not None and feed else None

    def _leader_clock(self, change: Change) -> BrokerClock:
        """The clock of the leader's broker: what a change says of its time is by that one."""
        return self._ports.board.clock(self._ports.board.feed_of(change.leader))

    def _quote(self, symbol: SymbolId) -> Quote | None:
        return self._ports.board.quote(self._feed, symbol) if self._feed else None

    def _links_changed(self, message: m.LinksChanged) -> None:
        fresh = {link.link: link for link in message.links}
        for gone in [link for link in self._links.values() if link.link not in fresh]:
            self._ports.directory.tell(m.account_name(gone.leader), m.Unfollow(gone.link))
        new = fresh.keys() - self._links.keys()
        self._links = fresh
        self._watch()
        if new:
            self._ask_leaders()

    # --- what the broker says -------------------------------------------------------------------------------------

    def _reported(self, message: m.Reported) -> None:
        """A report before the first reconcile is part of what the reconcile will show."""
        if isinstance(message.fact, ExecutionSeen):
            self._executed_us = self._ports.clock.monotonic()
        if self._preparation is not None and self._preparation.holds_reports:
            self._early.append((message, self._preparation.has_snapshot))
            return
        self._ensure_traded_spec(message.fact)
        self._fact(message.fact, received_us=message.received_us)
        self._watch()

    def _ensure_traded_spec(self, fact: Event) -> None:
        """Have the symbol of an execution on record before it: followers and replay read it from there."""
        if isinstance(fact, ExecutionSeen):
            traded = fact.position or fact.order
            spec = self._specs.get(traded.symbol) if traded is not None else None
            if spec is not None and self._view.specs.get(spec.symbol) != spec:
                self._fact(SymbolSpecSeen(spec=spec))

    def _trader_reported(self, wire: Any) -> None:
        fact = translate.trader_seen(wire, self._view.assets, is_live=self._ports.is_live)
        if fact.trader != self._view.trader:
            self._fact(fact)

    def _symbols_changed(self, symbols: tuple[int, ...]) -> None:
        """Read changed symbols again before anything is decided in them."""
        for symbol in symbols:
            self._specs.pop(SymbolId(symbol), None)
        if self._preparation is None and self._view.health is Health.RECONCILED:
            self._prepare(Kind.FULL)

    def _written(self, message: m.Written) -> None:
        start = message.received_us or message.decided_us
        self._fact(
            IntentSent(
                intent=message.intent,
                decided_us=max(0, message.decided_us - start),
                committed_us=max(0, message.committed_us - start),
                written_us=max(0, message.written_us - start),
            )
        )

    def _session_moved(self, message: m.SessionMoved) -> None:
        self._clock_offset_ms = message.clock_offset_ms
        if message.health is Health.AUTHORISED:
            self._health(Health.AUTHORISED)
            self._prepare(Kind.FULL)
            return
        self._preparation = None
        self._early.clear()
        for intent in tuple(self._view.intents.values()):
            if intent.state in (IntentState.SENT, IntentState.ACCEPTED):
                self._fact(IntentOverdue(intent=intent.intent, why="the connection was lost"))
        self._health(message.health, message.reason)

    def _alert(self, message: m.Alert) -> None:
        """Raise an alert that is not up, or heal one that is."""
        known = self._view.alerts.get(message.kind)
        if message.text and known != message.text:
            log.error("! %s: %s", self._name, message.text)
            self._fact(AlertRaised(kind=message.kind, text=message.text))
        elif not message.text and known is not None:
            self._fact(AlertHealed(kind=message.kind))

    def _health(self, health: Health, reason: str = "") -> None:
        if (self._view.health, self._view.health_reason) != (health, reason):
            self._fact(HealthChanged(health=health, reason=reason))

    # --- questions ------------------------------------------------------------------------------------------------

    def _prepare(self, kind: Kind) -> None:
        self._preparation = Preparation(
            self._view,
            specs=self._specs,
            kind=kind,
            leads=bool(self._followers),
            now_us=self._ports.clock.now(),
            is_live=self._ports.is_live,
            settle_us=self._ports.settle_us,
        )
        self._ask(self._preparation.begin())

    def _ask(self, questions: tuple[Question, ...]) -> None:
        self._asked_us = self._ports.clock.monotonic()
        for question in questions:
            ask = m.Ask(self._view.account, question.name, question.message, self._name, question.translate)
            self._ports.directory.tell(m.limiter_name(self._ports.connection), ask)

    def _answered(self, message: m.Answered) -> None:
        preparation = self._preparation
        if preparation is None or not preparation.expects(message.question):
            return
        if message.question == "snapshot" and preparation.kind is not Kind.FULL and self._is_restless():
            self._ports.timer.after(QUIET_US, self._name, m.Wake("question snapshot"))
            return
        facts, questions = preparation.answered(message.question, message.report, self._view, self._ports.clock.now())
        for fact in facts:
            self._fact(fact)
        self._specs = preparation.specs
        if preparation.wants_quotes:
            self._subscribe(preparation)
        self._ask(questions)
        if preparation.is_done:
            self._prepared(preparation)

    def _is_restless(self) -> bool:
        """Whether an execution came so close to a snapshot that nobody can say which of the two is newer.

        Then the snapshot is asked for again, a few times; at the worst a quieter moment is as good as any.
        """
        if self._executed_us < self._asked_us - QUIET_US or self._restless_answers >= RESTLESS_MAX:
            self._restless_answers = 0
            return False
        self._restless_answers += 1
        return True

    def _keep_looking(self) -> None:
        """Begin, once, to put quotes on record and to compare with the broker; accounts spread over the minute."""
        if self._is_looking:
            return
        self._is_looking = True
        first_us = SECOND_US + self._view.account % 60 * (REFRESH_US // 60)
        self._ports.timer.after(first_us, self._name, m.Wake("refresh"))
        self._ports.timer.after(SAMPLE_US, self._name, m.Wake("sample"))

    def _refresh(self) -> None:
        """Look now and then at what the broker holds: no event may be missed for longer than this."""
        if self._preparation is None and self._view.health is Health.RECONCILED:
            self._prepare(Kind.REFRESH)
        self._ports.timer.after(REFRESH_US, self._name, m.Wake("refresh"))

    def _prepared(self, preparation: Preparation) -> None:
        self._preparation = None
        early, self._early = self._early, []
        news = preparation.news(tuple(report.fact for report, is_later in early if not is_later))
        for report, is_later in early:
            if is_later or any(report.fact is fact for fact in news):
                self._ensure_traded_spec(report.fact)
                self._fact(report.fact, received_us=report.received_us)
        if preparation.kind is Kind.FULL:
            self._health(Health.RECONCILED)
            self._keep_looking()
            self._followers.reconciled(self._view)
        self._alert(m.Alert("session"))
        self._flush_deferred()
        self._watch()
        self._arm()

    def _subscribe(self, preparation: Preparation) -> None:
        self._feed = preparation.feed
        self._ports.board.join(self._view.account, preparation.feed)
        wanted = m.QuotesWanted(self._view.account, preparation.feed, tuple(preparation.quoted_symbols()))
        self._ports.directory.tell(m.connection_name(self._ports.connection), wanted)

    def _unanswered(self, message: m.Unanswered) -> None:
        """A question was refused: say so, and ask again after a while."""
        if self._preparation is None or not self._preparation.expects(message.question):
            return
        log.warning("! %s: %s was not answered: %s %s", self._name, message.question, message.error_code, message.text)
        text = f"{message.question} was refused: {message.error_code} {message.text}".strip()
        self._alert(m.Alert("session", text))
        delay_us = max(message.retry_after_s * SECOND_US, self._preparation.retry_us())
        self._ports.timer.after(delay_us, self._name, m.Wake(f"question {message.question}"))

    def _overdue(self, question: str) -> None:
        if self._preparation is not None and self._preparation.expects(question):
            self._ask(self._preparation.again(question))

    # --- quotes on record -----------------------------------------------------------------------------------------

    def _sample(self) -> None:
        """Put one quote of each symbol that values what is open on record, for replay and what-if."""
        if self._view.copies and self._view.health is Health.RECONCILED:
            found = {name: self._quote_by_name(name) for name in sorted(equity_symbols(self._view))}
            quotes = {name: quote for name, quote in found.items() if quote is not None}
            if quotes:
                self._fact(QuotesSampled(quotes=quotes))
        self._ports.timer.after(SAMPLE_US, self._name, m.Wake("sample"))


def _lane(recorded: IntentRecorded) -> Lane:
    """What a share gives up against the net is a close, although the wire calls it an order."""
    gives_up = recorded.command.netted and not recorded.not_after_us
    return Lane.CLOSE if gives_up else LANES[recorded.command.kind]


def _may_leave_unrecorded(view: AccountView, recorded: IntentRecorded) -> bool:
    """Whole closes of hedged copies and cancels may leave before their record; nothing else ever does."""
    command = recorded.command
    is_whole = command.kind is CommandKind.CLOSE and command.whole and not view.is_netted()
    return is_whole or command.kind is CommandKind.CANCEL
