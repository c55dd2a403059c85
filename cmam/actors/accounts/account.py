"""One trading account: the only writer of its stream, whether it leads, follows or both.

Here each message finds its room: the desk folds and records, `Following` decides what leaders tell, `Questions` asks
the broker, `Watches` looks at guards, sight and quotes. After each message the timer is set to the next moment at which
something of the account falls due.
"""

from __future__ import annotations

import logging
from typing import Any

from cmam.actors import messages as m
from cmam.actors.accounts.account_symbols import AWAIT, AccountSymbols
from cmam.actors.accounts.asides import Asides
from cmam.actors.accounts.desk import AccountPorts, Desk
from cmam.actors.accounts.following import Following
from cmam.actors.accounts.questions import Questions
from cmam.actors.accounts.unrecorded import SHARE
from cmam.actors.accounts.watches import Watches
from cmam.actors.asking.preparation import Kind
from cmam.actors.care.poison import name_of
from cmam.actors.threads.runtime import Watched
from cmam.domain.belief import limits, refused
from cmam.domain.belief.copies import IntentState
from cmam.domain.belief.nameless import ALIKE
from cmam.domain.belief.restless import restless
from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.attempts import next_wake
from cmam.domain.events import CopyAdopted, GuardRearmed, Health, HealthChanged, IntentOverdue, RulesBegan
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.repair import rolled
from cmam.domain.repair.strays import is_nobodys
from cmam.domain.turns import absences
from cmam.domain.turns.timing import due, next_due
from cmam.domain.values.ids import IntentId
from cmam.domain.values.rules.newest import RULES
from cmam.openapi import translate

log = logging.getLogger(__name__)


class AccountActor(Watched):
    """The only writer of `account:<ctid>`."""

    def __init__(self, view: AccountView, ports: AccountPorts, links: tuple[LinkSettings, ...]) -> None:
        super().__init__()
        self._directory = ports.directory
        self._name = m.account_name(view.account)
        self._desk = Desk(view, ports)
        self._symbols = AccountSymbols(self._desk, follows=lambda: bool(self._following.links))
        self._following = Following(self._desk, self._symbols, links, lambda: self._asides.expects_results())
        self._asides = Asides(self._desk, self._symbols, lambda: self._following.links.values())
        self._watches = Watches(self._desk, self._following, self._asides)
        self._questions = Questions(self._desk, self._symbols, self._ready, lambda: self._following.has_guards)
        self._armed_us = self._wakes_us = 0
        self._refused = ""
        self._is_prepared = False
        self._taken: rolled.Taken | None = None

    @property
    def culprit(self) -> Any:
        """What is being decided, if anything is: it may have waited for the message that let it be decided."""
        return self._desk.at or self.doing

    def is_pressing(self, message: Any) -> bool:
        """What a leader hears, and what takes risk from a follower: behind the opens of a crowd it would be late."""
        if isinstance(message, m.LeaderChanged):
            return not message.change.kind.adds_risk
        return bool(self._desk.followers)

    @property
    def _view(self) -> AccountView:
        return self._desk.view

    def on_receive(self, message: Any) -> None:
        """One turn."""
        if self._refused:
            if isinstance(message, m.Stop):
                self._desk.tell(m.SUPERVISOR, m.Stopped(self._name))
            return
        aside = self._desk.ports.aside
        if aside and not isinstance(message, m.LeaderChanged) and (found := aside.get(name_of(message))) is not None:
            self._desk.set_aside(found)
            return
        before = self._desk.view
        self._receive(message)
        view = self._desk.view
        if view.trader is not before.trader or view.former_specs is not before.former_specs:
            self._mind_limits()
        loose = restless(view.copies) if view.copies else ()
        if loose and any(copy.wait is not None for copy in loose):
            self._following.wake_copies(self._desk.ports.clock.now())
        if self._desk.view is not before and not self._desk.may_tend_later(before):
            self._arm()

    def _receive(self, message: Any) -> None:
        match message:
            case m.Reported():
                self._reported(message)
            case m.LeaderChanged():
                self._following.leader_changed(message)
            case m.Written():
                self._desk.written(message)
            case m.Dropped():
                self._desk.dropped(message)
            case m.Confirmed():
                self._desk.confirmed(message.intent)
            case m.Answered() if message.question.startswith(SHARE):
                self._desk.share_read(message)
            case m.Answered():
                if not self._asides.answered(message):
                    self._questions.answered(message)
                    self._take_released()
            case m.Unanswered() if message.question.startswith(SHARE):
                self._desk.share_unread(message)
            case m.Unanswered():
                if not self._asides.unanswered(message):
                    self._questions.unanswered(message)
                    self._take_released()
            case m.SessionMoved():
                self._session_moved(message)
            case m.TraderReported():
                self._trader_reported(message.trader)
            case m.Record():
                self._desk.fact(message.fact, then=message.then)
                if isinstance(message.fact, CopyAdopted):
                    self._following.look_for_strays()
                if isinstance(message.fact, GuardRearmed):
                    self._following.mind_twin("")
            case m.Alert():
                self._desk.alert(message)
            case m.SymbolsReported():
                self._questions.symbols_changed(message.symbols)
            case m.MarginCalled():
                self._watches.margin_called(message.threshold)
            case m.MarginMoved():
                self._questions.costs_moved()
            case m.LookAgain():
                self._questions.symbols_changed(())
            case m.Wake():
                self._woken(message)
            case _:
                self._organise(message)

    def _organise(self, message: Any) -> None:
        match message:
            case m.LinksChanged():
                self._following.links_changed(message)
                self._mind_limits()
                self._asides.look()
                self._watches.guard()
            case m.Begin():
                self._begin()
            case m.LeaderRestarted():
                self._following.ask_leaders()
            case m.FollowFrom():
                self._desk.followers.join(message, self._view)
            case m.LeaderHolds():
                self._following.leader_holds(message)
            case m.BaselineKept():
                self._baseline_kept()
            case m.Unfollow():
                self._desk.followers.leave(message.link)
            case m.StreamRead():
                self._desk.followers.tell_the_past(message, self._view)
            case m.StreamRefused():
                self._refused = message.why
                self._desk.ports.status.lose(self._view.account, Health.REFUSED, message.why)
                log.error("! %s stops: %s", self._name, message.why)
            case m.Stop():
                self._following.is_stopping = True
                self._desk.tell(m.RECORDER, m.Flush())
                self._desk.tell(m.SUPERVISOR, m.Stopped(self._name))
            case _:
                raise AssertionError(f"an account cannot take {message!r}")

    # --- life -----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """What no record says of this process: by which rules it derives, that nothing is connected, and that nobody
        knows what became of open requests.

        Unknown ones have their settling time anew: nobody knows either where the clock was while no cmam ran.
        """
        self._desk.quotes.leave()
        if self._view.rules != RULES:
            self._desk.fact(RulesBegan(rules=RULES))
        what = "this account" if self._desk.ports.life else "cmam"
        for intent in tuple(self._view.intents.values()):
            self._doubt(intent.intent, f"{what} was started again")
        if self._view.health is not Health.DOWN:
            self._desk.fact(HealthChanged(health=Health.DOWN, reason=f"{what} was started"))
        self._following.take_settings()
        self._watches.begin_sight()
        self._following.ask_leaders()

    def _doubt(self, intent: IntentId, why: str) -> None:
        """What became of a request is not known: say so, and when the broker is asked."""
        ports = self._desk.ports
        self._desk.fact(IntentOverdue(intent=intent, why=why, ask_us=ports.clock.now() + ports.settle_us))

    def _session_moved(self, message: m.SessionMoved) -> None:
        self._is_prepared = False
        if message.health is Health.AUTHORISED:
            self._desk.lacks_trader, self._desk.is_worth_known = True, False
            self._desk.health(Health.AUTHORISED)
            self._questions.prepare(Kind.FULL)
            return
        self._questions.give_up()
        self._asides.give_up()
        self._desk.line_lost()
        for intent in tuple(self._view.intents.values()):
            if intent.state in (IntentState.SENT, IntentState.ACCEPTED):
                self._doubt(intent.intent, "the connection was lost")
        self._desk.health(message.health, message.reason, silent_us=message.silent_us)

    def _ready(self, kind: Kind) -> None:
        """What was asked is answered: decide what waited for it."""
        if kind is Kind.FULL:
            if self._questions.lacks_baseline:
                self._is_prepared = True
                return
            if not self._questions.asks_past:
                self._following.look_for_twin(self._questions.seen_before, self._questions.added)
            self._following.note_findings()
            self._desk.ensure_held_quotes()
            self._desk.health(Health.RECONCILED)
            self._desk.tell_limiter(m.Hurry(self._view.account, is_on=False))
            self._questions.keep_refreshing()
            self._watches.keep_sampling()
            self._desk.followers.reconciled(self._view)
            if self._questions.asks_past:
                self._questions.asks_past = self._following.is_settling = False
                self._following.ask_leaders()
        self._desk.alert(m.Alert("unreadable"))  # whatever it said is seen now
        if not absences.is_any(self._view) or (kind is Kind.DOUBTS and self._desk.leads):
            self._desk.alert(m.Alert("left_out", absences.in_words(self._view)))
        self._questions.heal()
        self._mind_surplus()
        self._mind_limits()
        self._following.flush()
        if kind in (Kind.FULL, Kind.REFRESH):
            self._following.look_for_strays()
            if kind is Kind.REFRESH:
                self._following.note_findings()
            self._following.ask_for_unasked(is_first=kind is Kind.FULL)
        self._asides.look()
        self._watches.guard()
        self._arm()

    def _baseline_kept(self) -> None:
        """The very first snapshot is durable: what was held before is told from what came after by it.

        Where the log was lost, something may still be on its way that no record names: until it must have arrived,
        nothing is opened for what the leader holds.
        """
        self._questions.lacks_baseline = False
        if self._desk.ports.is_again and self._following.links:
            self._following.is_settling = True
            self._desk.remind(self._desk.ports.settle_us, "settled")
        if self._is_prepared:
            self._is_prepared = False
            self._ready(Kind.FULL)

    # --- what the broker says -------------------------------------------------------------------------------------

    def _reported(self, message: m.Reported) -> None:
        """A report before the first reconcile is part of what the reconcile will show."""
        message = self._questions.named(message)
        self._questions.heard.executed(message.fact)
        self._take_released()
        if not self._questions.holds(message):
            self._take(message)

    def _take_released(self) -> None:
        """Take what waited for a symbol, as far as that has come, or was waited for in vain."""
        if not self._questions.has_held:
            return
        was_idle = self._questions.is_idle
        for message in self._questions.released():
            self._take(message)
        if self._questions.is_idle and not was_idle:
            self._arm()  # nothing was looked up meanwhile

    def _take(self, message: m.Reported) -> None:
        self._symbols.ensure_traded(message.fact)
        before, twin = self._view, self._following.twin_in_report(message.fact)
        self._desk.fact(message.fact, received_us=message.received_us)
        if twin:
            self._following.mind_twin(twin)
        self._mind_surplus()
        view = self._desk.view
        if is_nobodys(view, message.fact):
            self._following.look_for_strays()
        if self._taken is not None and (position := rolled.anew(view, self._taken, message.fact)) is not None:
            self._desk.alert(m.Alert(f"{ALIKE}position {position}", rolled.in_words(position, self._taken)))
        if len(view.copies) < len(before.copies):
            self._taken = rolled.taken(before, view, message.fact) or self._taken
            self._following.reopen(before)
        self._watches.guard()

    def _mind_surplus(self) -> None:
        """Say what is taken back, until it is."""
        view = self._desk.view
        if view.surplus or refused.ALERT in view.alerts:
            self._desk.alert(m.Alert(refused.ALERT, refused.in_words(self._view)))

    def _mind_limits(self) -> None:
        """Say what the broker lets a follower do no longer, and whose lots it has changed, until that is over."""
        view, follows = self._view, bool(self._following.links)
        self._desk.alert(m.Alert(limits.RIGHTS, limits.rights_in_words(view) if follows else ""))
        symbols = limits.symbols_in_words(view, follows=follows, leads=self._desk.leads)
        self._desk.alert(m.Alert(limits.SYMBOLS, symbols))

    def _trader_reported(self, wire: Any) -> None:
        view, is_live = self._view, self._desk.ports.is_live
        fact = translate.trader_seen(wire, view.assets, is_live=is_live, known=view.trader)
        if fact.trader != self._view.trader:
            self._desk.fact(fact)
        if self._desk.is_reconciled:
            self._desk.note_trader(is_known=True)

    # --- time -----------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Have the timer wake this account when something of it falls due."""
        now, view = self._desk.ports.clock.now(), self._desk.view
        dues = (
            next_due(view, self._following.is_led),
            self._questions.look_due(),
            next_wake(view, now, self._following.is_reading),
        )
        moments = [moment for moment in dues if moment is not None]
        if not moments:
            return
        moment = max(min(moments), now)
        if self._armed_us <= now or moment < self._armed_us:
            self._armed_us = moment
            self._wakes_us = self._desk.ports.clock.monotonic() + moment - now
            self._desk.remind(moment - now + 1_000)

    def _woken(self, message: m.Wake) -> None:
        kind, _, name = message.what.partition(" ")
        match kind:
            case "unconfirmed":
                self._desk.is_overdue(name)
            case "sample":
                self._watches.sample()
            case "sight":
                self._watches.sight()
                self._arm()  # a leader may be in sight again
            case "blind":
                self._watches.blind()
            case "refresh":
                self._questions.refresh()
                self._asides.look()
            case "watch":
                self._watches.guard_again()
            case "settled":
                self._settled()
            case "question":
                self._questions.again(name)
                self._take_released()
            case kind if kind == AWAIT:
                self._take_released()
            case "aside":
                self._asides.look()
            case "look":
                self._questions.look_again()
            case _:
                self._fall_due()

    def _settled(self) -> None:
        """Look once more at what came of a time that no record knows, then make up what the leader holds."""
        if not self._questions.may_begin:
            self._desk.remind(self._desk.ports.settle_us, "settled")
            return
        self._questions.asks_past = True
        self._questions.prepare(Kind.FULL)

    def _fall_due(self) -> None:
        now = self._desk.ports.clock.now()
        if self._desk.ports.clock.monotonic() >= self._wakes_us:
            self._armed_us = 0  # a wake that a sooner one was put before starts none of its own: they would add up
        for fact in due(self._view, now, self._following.is_led):
            if isinstance(fact, IntentOverdue):
                self._doubt(fact.intent, fact.why)
            else:
                self._desk.fact(fact)
        self._following.wake_copies(now)
        self._questions.look_if_due(now)
        self._arm()
