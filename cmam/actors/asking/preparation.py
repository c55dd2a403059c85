"""How an account gets ready on a fresh connection: which questions, in which order, and the facts their answers make.

    FULL      the snapshot, and the trader where somebody reckons with it, beside what the broker offers (`listing.py`),
              then the deals of the gap, where positions carry a copier's label that nobody here knows, or the log was
              lost, the orders that tell of them, and where copies are smaller what took a part of them (`closings.py`)
    LOOKUP    the order history, then a snapshot: settles what is unknown
    READBACK  a snapshot alone: settles what it shows of that
    DOUBTS    the deals and orders of positions that the last snapshot left out, and such orders (`lives.py`), then
              another
    REFRESH   a snapshot alone, now and then: finds what no event told

The very first snapshot comes last, so that what it shows can be decided at once. Any later one tells what is to be
closed: it is asked for first, and what the broker offers is read behind it. So of a crowd that comes back, everybody's
closes leave before anybody's list is read. Histories are read to their end, page by page: a missing order proves
something only then. No thread, no socket: the account's actor asks and answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from cmam.actors.asking.closings import CLOSINGS, Closings
from cmam.actors.asking.listing import Found, Listing
from cmam.actors.asking.lives import LIFE, Lives
from cmam.actors.asking.question import Question
from cmam.clock import MILLISECOND_US
from cmam.domain.belief.copies import IntentState
from cmam.domain.belief.nameless import NO_NAMES, named
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, Health, Reconciled, SymbolSpecSeen
from cmam.domain.turns import absences, snapshots
from cmam.domain.turns.settling import SETTLE_US
from cmam.domain.values.ids import OrderId
from cmam.domain.values.naming import read_label
from cmam.domain.values.trades import Deal, Order, Position
from cmam.openapi import answers, pages, requests, translate

LOOK_BACK_MS = 60_000
"""How much earlier than the moment in question a history is asked for: clocks differ."""
LOOK_AHEAD_MS = 600_000
"""How much later than now: nothing is newer than now but by the clock of a broker that is ahead of ours, and how far it
is nobody has measured when a process has just started."""
WEEK_MS = 604_800_000
DAY_US = 86_400_000_000
STRANGE = "position "
"""How the names of questions begin about positions with a label that nobody here knows."""
STRANGE_MAX = 200
"""So many positions with a label that nobody here knows are asked about, one historical request each."""
PATIENCE = "patience "
"""How the name of a question begins that asks no broker: whether what the next step waits for has come by now."""
PATIENCE_US = 2_000_000
"""How long a snapshot waits for what the account is worth, and for symbols of which nothing is known; longer, and its
closes would wait too. An account in sight that looks at everything once more keeps back what is reported meanwhile for
no longer: what has not come by then is done without, and a snapshot is that of a `REFRESH`."""
IN_SIGHT = f"{PATIENCE}sight"
CLOSINGS_PATIENCE_US = 1_000_000
"""How long it waits for what took a part of copies: a round trip as a rule, and nobody asks again."""
HISTORY_PATIENCE_US = 5_000_000
"""How long it waits for histories: the deals of a leader's gap, and the orders of what carries a copier's label and is
in no record. A broker may refuse them for minutes, and closes would wait for as long. Without them the sum of what a
leader did is told, and what he no longer holds is doubted first; and a copy that is taken in counts as whole."""
LEADER_PATIENCE_US = 30_000_000
"""How long it waits for such a symbol where others follow: nobody can copy what is opened in lots of unknown size."""
RETRY_FIRST_US = 500_000
RETRY_LAST_US = 30_000_000


class Kind(Enum):
    """What is asked for."""

    FULL = "full"
    LOOKUP = "lookup"
    READBACK = "readback"
    """A look-up of what a snapshot alone tells: it waits for no history, which a server may refuse for long."""
    DOUBTS = "doubts"
    REFRESH = "refresh"


class Preparation:
    """One way from authorised to reconciled, or one look-up."""

    def __init__(
        self,
        view: AccountView,
        *,
        listing: Listing,
        kind: Kind,
        leads: bool,
        needs_worth: bool = True,
        now_us: int,
        offset_ms: int = 0,
        naming_ms: int = 0,
        names: Mapping[OrderId, str] = NO_NAMES,
        is_live: bool = False,
        settle_us: int = SETTLE_US,
        asks_past: bool = False,
        tells_costs: bool = True,
    ) -> None:
        self.kind = kind
        self.has_snapshot = False
        self.is_of_costs = False
        """Whether what a look tells is only what positions cost and bind by now; without `tells_costs` none does."""
        self.is_quiet = True
        self.is_done = False
        self.to_wait: list[tuple[str, int]] = []
        """What to ask again, of what asks no broker, after how many us; whoever does takes it away."""
        self._listing = listing
        self._is_first = not view.has_reconciled
        self.needs_worth = needs_worth or self._is_first
        """Whether the snapshot waits for what the account is worth, since guards or followers reckon with it; any other
        account asks for it afterwards."""
        self._account = view.account
        self._leads = leads
        self._settle_us = settle_us
        self._is_live = is_live
        self._open: dict[str, Question] = {}
        self._orders: tuple[Order, ...] = ()
        self._deals: tuple[Deal, ...] = ()
        self._heard: list[snapshots.Heard] = []
        self._doubt_us = absences.span_us(settle_us, leads=leads)
        newly = [one for one, since_us in view.doubted.items() if now_us - since_us < self._doubt_us]
        self._lives = Lives(self._account, newly, view.doubted_orders, self._doubt_us)
        self._is_second = any(now_us - since_us >= self._doubt_us for since_us in absences.moments(view))
        self._now_us = now_us
        self._snapshot: Any = None
        self._naming_ms, self._names = naming_ms, names
        from_ms = self._start_of_gap(view, now_us) + offset_ms
        to_ms = now_us // MILLISECOND_US + LOOK_AHEAD_MS + offset_ms
        self._week_ms = now_us // MILLISECOND_US - WEEK_MS + LOOK_BACK_MS + LOOK_AHEAD_MS + offset_ms
        self._deal_pages = pages.of_deals(from_ms, to_ms)
        self._order_pages = pages.of_orders(self._week_ms if kind is Kind.FULL else from_ms, to_ms)
        self._closings = Closings(self._account, from_ms, to_ms, CLOSINGS_PATIENCE_US)
        self._trader: Any = None
        self._has_trader = False
        self._without: set[str] = set()
        self._asks_past = asks_past
        self._is_in_sight = kind is Kind.FULL and view.health is Health.RECONCILED and not asks_past
        self._tells_costs = tells_costs

    def _start_of_gap(self, view: AccountView, now_us: int) -> int:
        lost_us = view.at_us if view.health is Health.RECONCILED else view.in_sight_us or view.at_us
        moments = [lost_us] if self.kind is Kind.FULL else []  # what it recorded since the line was lost saw nothing
        moments += [intent.recorded_us for intent in view.intents.values() if intent.state is IntentState.UNKNOWN]
        if any(moment > now_us for moment in moments):
            moments = [now_us - DAY_US]  # the clock was set back since: nobody knows by how much
        first = min((moment for moment in moments if moment), default=now_us) // MILLISECOND_US - LOOK_BACK_MS
        return max(first, now_us // MILLISECOND_US - WEEK_MS + LOOK_BACK_MS + LOOK_AHEAD_MS)

    def expects(self, question: str) -> bool:
        """Whether an answer of that name is still awaited."""
        return question in self._open

    @property
    def holds_reports(self) -> bool:
        """Whether what the broker reports now must wait: the snapshot is on its way, or not folded yet."""
        return self.kind is Kind.FULL and not self.is_done

    def again(self, question: str) -> tuple[Question, ...]:
        """Ask an open question once more."""
        return (self._open[question],)

    def impatient(self, question: str, view: AccountView) -> Found:
        """What was waited for has not come: go on without it."""
        del self._open[question]
        self._without.add(question)
        if self.kind is Kind.DOUBTS and self._is_second:
            return (), self._put_snapshot()
        if self.kind is Kind.DOUBTS:
            self.is_done = True  # a second look tells as much by now
            return (), ()
        if question == IN_SIGHT and not self.has_snapshot:
            self.kind = Kind.REFRESH
            return (), ()
        return self._go_on(view)

    def begin(self) -> tuple[Question, ...]:
        """The first questions."""
        if self.kind is Kind.LOOKUP:
            return self._ask_orders()
        if self.kind is Kind.DOUBTS:
            self._waits("lives", PATIENCE_US if self._is_second else self._doubt_us)
            return self._put(*self._lives.begin())
        if self.kind in (Kind.READBACK, Kind.REFRESH):
            return self._put_snapshot()
        if self._is_in_sight:
            self._waits("sight", PATIENCE_US)
        asked: tuple[Question, ...] = ()
        if self.needs_worth:
            asked = self._put(Question("trader", requests.ask_trader(self._account), translate.sane_trader))
        return asked if self._is_first else (*asked, *self._put_snapshot())

    def _put(self, *questions: Question) -> tuple[Question, ...]:
        self._open.update({question.name: question for question in questions})
        return questions

    def hear(self, fact: Event) -> None:
        """Note what is reported while answers are awaited, and whether the snapshot had come before it."""
        self._heard.append((fact, self.has_snapshot))

    # --- answers --------------------------------------------------------------------------------------------------

    def answered(self, question: str, report: Any, view: AccountView) -> Found:
        """Take an answer: the facts it makes, and what to ask next."""
        del self._open[question]
        match question.partition(" ")[0]:
            case "trader":
                self._trader = report
                return self._go_on(view)
            case "orders" if self.kind is Kind.FULL:
                return self._take_past(report, view)
            case "position":
                self._orders += report[0]
                return self._go_on(view)
            case "closings":
                return self._take_closings(question, report, view)
            case "life":
                return (), self._take_life(question, *report)
            case "orders":
                return (), self._take_orders(*report)
            case "deals":
                return self._take_deals(report, view)
            case "snapshot":
                return self._take_snapshot(report, view)
        raise AssertionError(f"nobody asked {question!r}")

    @property
    def lacks_trader(self) -> bool:
        """Whether nobody knows yet what the account is worth, so that nothing could be sized or afforded."""
        return self.kind is Kind.FULL and not self._has_trader

    def _tell_trader(self) -> tuple[Event, ...]:
        """The account's particulars once its assets are known too: answers come in any order (wire.md#envelopes), and
        money whose currency has no name is of no use."""
        listing = self._listing
        if self._trader is None or self._has_trader or not listing.names_asset(self._trader.depositAssetId):
            return ()
        self._has_trader = True
        return (translate.trader_seen(self._trader, listing.assets, is_live=self._is_live),)

    def listed(self, view: AccountView) -> Found:
        """More is known of what the broker offers: it may be what the next step waits for."""
        return self._go_on(view) if self.kind is Kind.FULL else ((), ())

    def _go_on(self, view: AccountView) -> Found:
        """Tell what the account is worth once that can be told, and take the next step once all for it is there."""
        told = self._tell_trader()
        if self._snapshot is None:
            is_next = self._listing.is_done and not self.expects("snapshot") and not self._waits_for_trader()
            return told, self._put_snapshot() if is_next else ()
        apart = ("trader", "deals")
        is_answered = all(name in apart or name.startswith((PATIENCE, CLOSINGS, STRANGE)) for name in self._open)
        if not is_answered or self._waits_for_history(view):
            return told, ()
        if self._waits_for_trader() or self._waits_for_symbols(view) or self._waits_for_closings():
            return told, ()
        facts, questions = self._reconcile(view)
        return (*told, *facts), questions

    def _waits_for_trader(self) -> bool:
        return self.needs_worth and not self._has_trader and self._waits("trader", PATIENCE_US)

    def _waits_for_symbols(self, view: AccountView) -> bool:
        """Whether nothing at all is known yet of something that the account holds."""
        used = snapshots.symbols_of(*self._snapshot)
        lacks = [symbol not in view.specs and self._listing.lacks(symbol) for symbol in used]
        return any(lacks) and self._waits("symbols", LEADER_PATIENCE_US if self._leads else PATIENCE_US)

    def _waits_for_history(self, view: AccountView) -> bool:
        """Whether histories may still come. What opened what is told by the very first ones, and whose a part of a net
        is by orders alone: these are waited for however long it takes."""
        awaited = [name for name in self._open if name == "deals" or name.startswith(STRANGE)]
        if not awaited or IN_SIGHT in self._without:
            return False
        is_needed = not view.has_reconciled or (view.is_netted() and awaited != ["deals"])
        return is_needed or self._waits("history", HISTORY_PATIENCE_US)

    def _waits_for_closings(self) -> bool:
        is_asked = any(name.startswith(CLOSINGS) for name in self._open)
        return is_asked and self._waits("closings", CLOSINGS_PATIENCE_US)

    def _waits(self, what: str, span_us: int) -> bool:
        """Whether patience is not over yet; it begins when it is first asked for."""
        name = f"{PATIENCE}{what}"
        if name in self._without or IN_SIGHT in self._without:
            return False
        if not self.expects(name):
            self._open[name] = Question(name, None, lambda wire: wire)
            self.to_wait.append((name, span_us))
        return True

    def _ask_orders(self) -> tuple[Question, ...]:
        asked = requests.ask_orders(self._account, self._order_pages.from_ms, self._order_pages.to_ms)
        return self._put(Question("orders", asked, answers.read_orders))

    def _take_orders(self, page: tuple[Order, ...], has_more: bool) -> tuple[Question, ...]:
        self._orders += self._order_pages.take(page, has_more=has_more)
        return self._ask_orders() if self._order_pages.has_more else self._put_snapshot()

    def _take_past(self, report: tuple[tuple[Order, ...], bool], view: AccountView) -> Found:
        page, has_more = report
        fresh = self._order_pages.take(page, has_more=has_more)
        self._orders += tuple(order for order in fresh if read_label(order.client_order_id) is not None)
        return ((), self._ask_orders()) if self._order_pages.has_more else self._go_on(view)

    def _take_life(self, question: str, page: tuple[Any, ...], has_more: bool) -> tuple[Question, ...]:
        """The snapshot comes last: what it leaves out then is newer than all that was told."""
        self._lives.take(question, page, has_more=has_more)
        return () if any(name.startswith(LIFE) for name in self._open) else self._put_snapshot()

    def _ask_deals(self) -> tuple[Question, ...]:
        asked = requests.ask_deals(self._account, self._deal_pages.from_ms, self._deal_pages.to_ms)
        return self._put(Question("deals", asked, answers.read_deals))

    def _take_deals(self, report: tuple[tuple[Deal, ...], bool], view: AccountView) -> Found:
        page, has_more = report
        self._deals += self._deal_pages.take(page, has_more=has_more)
        return ((), self._ask_deals()) if self._deal_pages.has_more else self._go_on(view)

    def _put_snapshot(self) -> tuple[Question, ...]:
        return self._put(Question("snapshot", requests.ask_state(self._account), answers.read_snapshot))

    def _take_snapshot(self, report: Any, view: AccountView) -> Found:
        self._snapshot = report
        self.has_snapshot = True
        if self.kind is not Kind.FULL:
            return self._reconcile(view)
        questions = (
            *self._unknown(view, report[0]),
            *self._put(*self._closings.look(view, report[0], leads=self._leads)),
        )
        for symbol in sorted(snapshots.symbols_of(*report) - view.specs.keys()):
            questions += self._listing.need(symbol)
        has_gap = view.version > 0 and (view.positions or view.orders or report[0])
        if self._leads and has_gap:
            if not view.has_reconciled:
                self._deal_pages.from_ms = self._week_ms  # which order opened what is held now
            questions += self._ask_deals()
        if self._asks_past:
            questions += self._ask_orders()
        facts, further = self._go_on(view)
        return facts, (*questions, *further)

    def _unknown(self, view: AccountView, positions: Iterable[Position]) -> Iterator[Question]:
        """What is asked of positions that carry a copier's label and belong to no copy on record."""
        known = {copy.position for copy in view.copies.values()}
        strange = [p.position for p in positions if p.position not in known and read_label(p.label) is not None]
        for position in strange[:STRANGE_MAX]:
            asked = requests.ask_orders_of(self._account, position)
            yield from self._put(Question(f"{STRANGE}{position}", asked, answers.read_orders))

    def _take_closings(self, question: str, report: tuple[tuple[Any, ...], bool], view: AccountView) -> Found:
        page, has_more = report
        further = self._put(*self._closings.take(question, page, has_more=has_more))
        facts, questions = self._go_on(view)
        return facts, (*further, *questions)

    def is_optional(self, question: str) -> bool:
        """Whether the account can be ready without this answer: then a refusal is taken for nothing known."""
        return question.startswith(STRANGE)

    def is_needless(self, question: str) -> bool:
        """Whether nobody asks once more for this answer: whatever kept it away, nothing is known then."""
        return question.startswith((LIFE, CLOSINGS))

    def _reconcile(self, view: AccountView) -> Found:
        self.is_done = True
        positions, resting = self._snapshot
        orders = named(view, resting, self._naming_ms, self._names)
        if self.kind is Kind.REFRESH and not snapshots.differs(view, positions, orders):
            self.is_of_costs = self._tells_costs and snapshots.costs_otherwise(view, positions)
            if not self.is_of_costs:
                return (), ()
        told = (*self._deals, *self._closings.deals, *absences.closing_deals(view, self._lives.deals))
        untold = snapshots.untold(self._heard, positions)
        deals = tuple(deal for deal in _once_each(told) if deal.deal not in untold)
        specs = self._listing.specs
        used = snapshots.symbols_of(*self._snapshot) | {copy.symbol for copy in view.copies.values()}
        fresh = [specs[symbol] for symbol in sorted(used) if symbol in specs]
        facts: list[Event] = [SymbolSpecSeen(spec=spec) for spec in fresh if view.specs.get(spec.symbol) != spec]
        booked = self.added if view.restored_us and view.is_netted() else ()  # whose a part of a net is, orders tell
        past = _once((*self._orders, *self._closings.orders, *self._lives.orders, *booked))
        past = named(view, past, self._naming_ms, self._names)
        kept = absences.doubted_orders(
            view,
            positions,
            orders,
            deals,
            past,
            self._now_us,
            self._doubt_us,
            is_asked=self.kind is Kind.DOUBTS,
        )
        facts.append(
            Reconciled(
                positions=positions,
                orders=orders,
                deals=deals,
                past_orders=past,
                looked_up=self.kind in (Kind.LOOKUP, Kind.READBACK),
                covers_from_ms=self._order_pages.from_ms if self.kind is Kind.LOOKUP else 0,
                settle_us=self._settle_us,
                quiet=self.is_quiet,
                doubted=absences.doubted(view, positions, deals, self._lives.deals, self._now_us, self._doubt_us),
                doubted_orders=kept,
            )
        )
        return tuple(facts), ()

    @property
    def added(self) -> tuple[Order, ...]:
        """The orders under a copier's name that made positions of copies larger out of sight."""
        return self._closings.added

    def news(self) -> tuple[Event, ...]:
        """What was heard and is to be told in its turn, behind the snapshot."""
        return snapshots.news(self._heard, self._snapshot[0])


def retry_us(refusals: int) -> int:
    """How long to wait before a refused question is asked again: doubled each time."""
    return min(RETRY_FIRST_US << min(refusals, 10), RETRY_LAST_US)


def _once(orders: tuple[Order, ...]) -> tuple[Order, ...]:
    """Each order once: a position's own list and the history may both have it."""
    return tuple({order.order: order for order in orders}.values())


def _once_each(deals: tuple[Deal, ...]) -> tuple[Deal, ...]:
    return tuple({deal.deal: deal for deal in deals}.values())
