"""What an account asks its broker: how it gets ready on a fresh line, looks up what is unknown, and looks now and then.

It holds back what is reported while a snapshot is on its way, since nobody could say which of the two is newer.
What is asked, and in which order, is told by `preparation.py` and `listing.py`; what follows once all is known is told
by the account's actor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cmam.actors import messages as m
from cmam.actors.accounts.account_symbols import AccountSymbols
from cmam.actors.accounts.desk import Desk
from cmam.actors.accounts.doubts import Doubts
from cmam.actors.accounts.held_reports import HeldReports
from cmam.actors.accounts.just_heard import QUIET_US, RESTLESS_MAX, JustHeard
from cmam.actors.accounts.lookups import Lookups
from cmam.actors.accounts.order_names import OrderNames
from cmam.actors.asking.listing import Found
from cmam.actors.asking.preparation import PATIENCE, Kind, Preparation, retry_us
from cmam.actors.asking.question import Question
from cmam.clock import SECOND_US
from cmam.domain.belief.parts import are_to_be_read
from cmam.domain.events import ExecutionSeen, Reconciled
from cmam.domain.repair.twins import Seen, seen
from cmam.domain.turns import absences
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.replacing import replace
from cmam.domain.values.trades import Order
from cmam.openapi.lanes import Lane

LOOK_AGAIN = "look"
"""What an account is reminded of when something changed while it was looked at."""
AGAIN_US = SECOND_US
"""How soon after a look the next one may follow that changes ask for: a broker may tell of one after the other."""
REFRESH_US = 60 * SECOND_US
"""How often what the broker holds is compared with what is believed, while all is well."""
COSTS_US = 600 * SECOND_US
"""How soon a look tells once more that nothing but what positions cost and bind has changed, where nobody said so. By
all recordings both stand still between trades; where a broker moves them all the time, each look would put the whole
account on record."""
PUT_OFF_US, PUT_OFF_SPREAD_US = 5 * SECOND_US, SECOND_US * 4 // 10
PUT_OFF_MAX = 8
"""How often in a row, and for how long each time, that look waits for a connection with nothing to send; accounts come
back spread over another twenty seconds, so that the looks of a crowd do not fill the window before the next burst.
Where seven seconds of ten are bursts, all but four looks in a hundred find a moment between them, three minutes late at
most."""


class Questions:
    """One way to readiness or one look-up at a time. `on_ready` is called at the end of each, with its kind."""

    def __init__(
        self,
        desk: Desk,
        symbols: AccountSymbols,
        on_ready: Callable[[Kind], None],
        is_guarded: Callable[[], bool] = lambda: False,
    ) -> None:
        """Of an account; `is_guarded` tells whether guards look at what it is worth."""
        self._desk = desk
        self._is_guarded = is_guarded
        self._symbols = symbols
        self._on_ready = on_ready
        self._preparation: Preparation | None = None
        self._early: list[m.Reported] = []
        self._held = HeldReports(desk, symbols)
        self._refusals: dict[str, int] = {}
        self._patient_until_us: dict[str, int] = {}
        self._is_refreshing = False
        self._put_off = 0
        self._lookups = Lookups(desk.ports.settle_us)
        self._doubts = Doubts(desk)
        self._costs_told_us = self._costs_moved_us = -COSTS_US
        self._names = OrderNames()
        self._quiet_at_us = 0
        self._begun_us = 0
        self._looks_put_off = 0
        self._is_outdated = False
        self.heard = JustHeard(desk)
        self.lacks_baseline = False
        """Whether the very first snapshot of the account is folded and not durable yet."""
        self.asks_past = False
        """Whether a week of orders is to be told too: where the log was lost, they tell what was copied before."""
        self.seen_before: Seen = seen(desk.view)
        """What was known of when everything was last asked for: the rest of it came out of sight."""
        self.added: tuple[Order, ...] = ()
        """The orders under a copier's name that made positions of copies larger meanwhile."""

    @property
    def has_held(self) -> bool:
        """Whether anything is held back until its symbol has been read."""
        return bool(self._held.reports)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked at the moment that tells what the account holds, and nothing of it is held back."""
        return self._preparation is None and not self._held.reports

    @property
    def may_begin(self) -> bool:
        """Whether everything may be asked once more: of what was asked before, nothing is on its way."""
        return self._preparation is None and self._symbols.is_through and self._desk.is_reconciled

    # --- asking ---------------------------------------------------------------------------------------------------

    def prepare(self, kind: Kind) -> None:
        """Begin to ask; whatever was asked before is no longer waited for.

        What is held back may be shown by the snapshot that is asked for now, as what is reported until it comes.
        """
        desk = self._desk
        listing = None if kind is Kind.FULL else self._symbols.listing
        is_new = listing is None
        if listing is None:
            self._is_outdated = False
            self._refusals.clear()
            listing = self._symbols.renew()
            self.seen_before = seen(desk.view)
            self._early = [*self._held.reports, *self._early]
            self._held.reports.clear()
        self._begun_us = desk.ports.clock.now()
        self._preparation = Preparation(
            desk.view,
            listing=listing,
            kind=kind,
            leads=desk.leads,
            needs_worth=desk.leads or self._is_guarded(),
            now_us=self._begun_us,
            offset_ms=self._offset_ms(),
            naming_ms=self._naming_ms(),
            names=self._names.known,
            is_live=desk.ports.is_live,
            settle_us=desk.ports.settle_us,
            asks_past=self.asks_past or (desk.ports.is_again and not desk.view.has_reconciled),
            tells_costs=self._tells_costs,
        )
        for report in self._early:
            self._preparation.hear(report.fact)
        self._quiet_at_us = 0 if desk.is_reconciled else self.heard.quiet_from_us()
        self._ask(self._preparation.begin())
        self._wait_with(self._preparation)
        if is_new:
            self._symbols.begin()

    def give_up(self) -> None:
        """The line is gone: nothing that was asked will be answered, and no event tells what changes from now on."""
        self._symbols.lose()
        self._lookups.told()
        self._preparation = None
        self._early.clear()
        self._held.reports.clear()
        self._is_outdated = False

    def again(self, question: str) -> None:
        """Ask once more what was refused a while ago."""
        preparation, view = self._preparation, self._desk.view
        if self._desk.ports.clock.monotonic() < self._patient_until_us.get(question, 0):
            return  # this reminder is of an earlier wait
        if self._symbols.expects(question):
            self._symbols.again(question)
            self._listed()
        elif preparation is not None and preparation.expects(question):
            is_over = question.startswith(PATIENCE)
            found = preparation.impatient(question, view) if is_over else ((), preparation.again(question))
            self._go_on(preparation, found)
            if not (preparation.holds_reports or preparation.is_done):
                self._held.reports[:0], self._early = self._early, []  # told one by one, as without this look

    def symbols_changed(self, symbols: tuple[int, ...]) -> None:
        """Read changed symbols again before anything is decided in them; with none, look at everything once more.

        What is being read at that moment may have been told before the change, so it is read once more afterwards.
        """
        changed = frozenset(SymbolId(symbol) for symbol in symbols)
        self._symbols.outdate(changed)
        self._is_outdated = True
        if not symbols:
            self._looks_put_off = RESTLESS_MAX  # what could not be read may have been a close: no quiet is waited for
        self.look_again()

    @property
    def _tells_costs(self) -> bool:
        """Whether a look that begins now tells what positions cost and bind where nothing else has changed."""
        is_told_to = self._costs_moved_us > self._costs_told_us
        return is_told_to or self._desk.ports.clock.monotonic() - self._costs_told_us >= COSTS_US

    def costs_moved(self) -> None:
        """What a position binds has changed by itself (wire.md#margin-that-changes): the next look tells it, however
        soon it comes after one that told as much."""
        self._costs_moved_us = self._desk.ports.clock.monotonic()

    def look_again(self) -> None:
        """Look once more where something has changed, unless it is being looked at, or has just been traded: then
        afterwards. For what changed symbols allow opens wait: that is read at once."""
        if not self._is_outdated or not self.may_begin:
            return
        is_quiet = self.heard.is_quiet
        if not is_quiet and self._looks_put_off < RESTLESS_MAX:
            self._looks_put_off += 1
            self._desk.remind(QUIET_US, LOOK_AGAIN)
            if not self._symbols.is_read:
                self._symbols.read_anew()
            return
        self._looks_put_off = 0
        self.prepare(Kind.FULL)
        assert self._preparation is not None
        self._preparation.is_quiet = is_quiet

    def keep_refreshing(self) -> None:
        """Begin, once, to compare with the broker now and then; accounts spread over the minute."""
        if not self._is_refreshing:
            self._is_refreshing = True
            self._desk.remind(SECOND_US + self._desk.view.account % 60 * (REFRESH_US // 60), "refresh")

    def refresh(self) -> None:
        """Look at what the broker holds: no event may be missed for longer than the time between two looks.

        Where orders wait for the budget the look does too, for a while: of 500 accounts it would take every sixth slot.
        What nobody waits for is nothing to wait for.
        """
        desk = self._desk
        figures = desk.ports.status.read(m.limiter_name(desk.ports.connection))
        if self._put_off < PUT_OFF_MAX and figures.get("waiting", 0) > figures.get("waiting_idle", 0):
            self._put_off += 1
            desk.remind(PUT_OFF_US + desk.view.account % 50 * PUT_OFF_SPREAD_US, "refresh")
            return
        self._put_off = 0
        self.look_again()
        if self.is_idle and desk.is_reconciled:
            self.prepare(Kind.REFRESH)
        desk.remind(REFRESH_US, "refresh")

    def look_due(self) -> int | None:
        """When to ask what became of unknown outcomes, or of what a snapshot left out; never while nobody could
        answer."""
        if not self._may_ask:
            return None
        moments = [moment for moment, _ in self._lookups.due(self._desk.view)]
        doubts = self._doubts.due_us()
        return min(moments if doubts is None else (*moments, doubts), default=None)

    @property
    def _may_ask(self) -> bool:
        return self._preparation is None and self._desk.is_reconciled

    def look_if_due(self, now: int) -> None:
        """Ask what became of what is unknown or doubted, if it is time."""
        if not self._may_ask:
            return
        lookup = next((kind for moment, kind in self._lookups.due(self._desk.view) if now >= moment), None)
        doubts = self._doubts.due_us()
        if doubts is not None and now >= doubts and self._doubts.is_new and lookup is not Kind.READBACK:
            self.prepare(self._doubts.asked(now))
        elif lookup is not None:
            self._lookups.begun(lookup, now)
            self.prepare(lookup)
        elif doubts is not None and now >= doubts:
            self.prepare(self._doubts.looked_again(now))

    def _ask(self, questions: tuple[Question, ...]) -> None:
        desk, preparation = self._desk, self._preparation
        keeps_back = preparation is not None and preparation.holds_reports
        is_new = not desk.is_reconciled or (keeps_back and desk.leads)
        for question in questions:
            is_look = question.name == "snapshot"
            if is_look and (left_us := self._quiet_at_us - desk.ports.clock.monotonic()) > 0:
                desk.remind(left_us, f"question {question.name}")  # it may show what stood before what was just told
                continue
            if is_look:
                self.heard.asked()
            is_urgent = is_new or (is_look and (absences.is_any(desk.view) or are_to_be_read(desk.view)))
            lane = Lane.LOOK if is_urgent else Lane.QUERY  # closes wait for what is held, by leaders above all
            desk.ask(question, lane, goes_first=is_urgent and desk.leads)

    # --- answers --------------------------------------------------------------------------------------------------

    def answered(self, message: m.Answered) -> None:
        """Take an answer: record what it says, ask what comes next."""
        preparation, desk = self._preparation, self._desk
        self._refusals.pop(message.question, None)
        if self._symbols.expects(message.question):
            self._symbols.answered(message.question, message.report)
            self._listed()
            return
        if preparation is None or not preparation.expects(message.question):
            return
        if message.question == "snapshot" and preparation.kind is not Kind.FULL:
            if self.heard.asks_again():
                desk.remind(QUIET_US, "question snapshot")
                return
            preparation.is_quiet = self.heard.was_quiet
        report = message.report
        if message.question == "orders":
            self._lookups.told()
        elif message.question == "snapshot":
            report = self.heard.with_trailed(self._held.without(report))
        self._go_on(preparation, preparation.answered(message.question, report, desk.view))

    def _listed(self) -> None:
        """More is known of what the broker offers."""
        if self._preparation is not None:
            self._go_on(self._preparation, self._preparation.listed(self._desk.view))
        elif self._symbols.is_through:
            self.heal()
            if self._is_outdated:
                self._desk.remind(AGAIN_US, LOOK_AGAIN)

    def heal(self) -> None:
        """Take back that something was refused, once all is answered."""
        if self._symbols.is_through and not self._lookups.lacks_past(self._desk.view):
            self._desk.alert(m.Alert("session"))

    def _go_on(self, preparation: Preparation, found: Found) -> None:
        desk, (facts, questions) = self._desk, found
        for fact in facts:
            if isinstance(fact, Reconciled) and fact.looked_up:
                fact = self._proving_from_question(fact)
            is_baseline = isinstance(fact, Reconciled) and not desk.view.has_reconciled
            self.lacks_baseline = self.lacks_baseline or is_baseline
            desk.fact(fact, then=((desk.name, m.BaselineKept()),) if is_baseline else ())
        self._wait_with(preparation)
        self._ask(questions)
        if preparation.is_done:
            self._prepared(preparation)

    def _proving_from_question(self, fact: Reconciled) -> Reconciled:
        """The same look; what it leaves out is absent where the settling time was over as it was begun, however long
        its answers were on their way."""
        elapsed_us = max(0, self._desk.ports.clock.now() - self._begun_us)
        return replace(fact, settle_us=fact.settle_us + elapsed_us)

    def _wait_with(self, preparation: Preparation) -> None:
        """Be reminded when the patience is over with which a preparation waits."""
        while preparation.to_wait:
            question, span_us = preparation.to_wait.pop()
            self._patient_until_us[question] = self._desk.ports.clock.monotonic() + span_us
            self._desk.remind(span_us, f"question {question}")

    def unanswered(self, message: m.Unanswered) -> None:
        """A question was refused: say so, and ask again after a while."""
        preparation = self._preparation
        if self._symbols.expects(message.question):
            if self._symbols.is_needless(message.question):
                self.answered(m.Answered(message.question, None))
                return
        elif preparation is None or not preparation.expects(message.question):
            return
        elif preparation.is_needless(message.question) or (
            preparation.is_optional(message.question) and message.is_final and not message.retry_after_s
        ):
            self.answered(m.Answered(message.question, ((), False)))
            return
        self._desk.alert(m.Alert("session", message.in_words()))  # which says so, once
        refusals = self._refusals[message.question] = self._refusals.get(message.question, 0) + 1
        delay_us = max(message.retry_after_s * SECOND_US, retry_us(refusals))
        if preparation is not None and preparation.kind is Kind.LOOKUP and message.question == "orders":
            self._preparation = None  # what needs no history is looked up meanwhile, and later times are asked for then
            self._lookups.refused(self._desk.ports.clock.now() + delay_us)
            self._desk.remind(0)
            return
        self._desk.remind(delay_us, f"question {message.question}")
        if preparation is not None:
            self._go_on(preparation, preparation.listed(self._desk.view))  # from now on nobody waits for ever

    def _prepared(self, preparation: Preparation) -> None:
        self._preparation = None
        if not preparation.has_snapshot:  # nothing was learnt: when to look again is all there is to see to
            self._desk.remind(0)
            return
        self.added = preparation.added
        if preparation.is_of_costs:
            self._costs_told_us = self.heard.asked_us
        early, self._early = self._early, []
        news = {id(fact) for fact in preparation.news()}
        for report in early:
            if id(report.fact) in news and not self._held.holds(report):
                self._symbols.ensure_traded(report.fact)
                self._desk.fact(report.fact, received_us=report.received_us)
        if self._is_outdated:
            self._desk.remind(AGAIN_US, LOOK_AGAIN)
        if preparation.kind is Kind.FULL and preparation.needs_worth:
            self._desk.note_trader(is_known=not preparation.lacks_trader)
        self._on_ready(preparation.kind)

    # --- beside what is reported ----------------------------------------------------------------------------------

    def named(self, message: m.Reported) -> m.Reported:
        """The same report, with the name of the request that its order is of, where nothing in it said so."""
        view, fact = self._desk.view, message.fact
        if not isinstance(fact, ExecutionSeen):
            return message
        told = self._names.named(view, fact, self._naming_ms) if view.intents else fact
        return message if told is fact else replace(message, fact=told)

    def _offset_ms(self) -> int:
        """How far ahead of ours this broker's clock is."""
        board = self._desk.ports.board
        return board.clock(board.feed_of(self._desk.view.account)).offset_ms

    def _naming_ms(self) -> int:
        """The same where an order's age is asked for: where quotes tell no time, by what executions tell."""
        board = self._desk.ports.board
        is_measured = board.is_measured(board.feed_of(self._desk.view.account))
        return self._offset_ms() if is_measured else self.heard.clock.offset_ms

    def holds(self, message: m.Reported) -> bool:
        """Keep a report back that the snapshot on its way may show, or that must wait for its symbol; whether it was
        kept."""
        if self._preparation is None or not self._preparation.holds_reports:
            return self._held.holds(message)
        self._early.append(message)
        self._preparation.hear(message.fact)
        return True

    def released(self) -> Iterator[m.Reported]:
        """What was held back, as far as its symbols are known by now; each is to be taken before the next."""
        return self._held.released()
