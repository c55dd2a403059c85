"""How an account gets ready on a fresh connection: which questions, in which order, and the facts their answers make.

    FULL      catalogue, trader, specifications, tiers of leverage, then the snapshot, the deals of the gap, and where
              positions carry a copier's label that nobody here knows, or the log was lost, the orders that tell of them
    LOOKUP    the order history, then a snapshot: settles what is unknown
    REFRESH   a snapshot alone, now and then: finds what no event told

The snapshot comes last, so that what it shows can be decided at once. Histories are read to their end, page by page:
a missing order proves something only then. No thread, no socket: the account's actor asks and answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from cmam.actors.listing import Listing
from cmam.actors.question import Question
from cmam.actors.shelf import SpecShelf
from cmam.clock import MILLISECOND_US
from cmam.domain.account import AccountView, IntentState
from cmam.domain.events import Event, ExecutionSeen, Reconciled, SymbolSpecSeen
from cmam.domain.ids import OrderId, PositionId, SymbolId
from cmam.domain.naming import read_label
from cmam.domain.symbols import SymbolSpec
from cmam.domain.trades import Deal, Order, Position
from cmam.domain.turn import SETTLE_US
from cmam.openapi import reckonings, requests, translate

LOOK_BACK_MS = 60_000
"""How much earlier than the moment in question a history is asked for: clocks differ."""
WEEK_MS = 604_800_000
DAY_US = 86_400_000_000
STRANGE_MAX = 200
"""So many positions with a label that nobody here knows are asked about, one historical request each."""
PARTICULARS = "particulars"
"""The name of a question that asks no broker: whether the account's particulars have come by now."""
PARTICULARS_US = 2_000_000
"""How long the snapshot waits for them, so that what it shows can be sized; longer, and closes would wait too."""
RETRY_FIRST_US = 500_000
RETRY_LAST_US = 30_000_000


class Kind(Enum):
    """What is asked for."""

    FULL = "full"
    LOOKUP = "lookup"
    REFRESH = "refresh"


class Preparation:
    """One way from authorised to reconciled, or one look-up."""

    def __init__(
        self,
        view: AccountView,
        *,
        specs: Mapping[SymbolId, SymbolSpec],
        kind: Kind,
        leads: bool,
        follows: bool = False,
        now_us: int,
        offset_ms: int = 0,
        is_live: bool = False,
        settle_us: int = SETTLE_US,
        asks_past: bool = False,
        shelf: SpecShelf | None = None,
    ) -> None:
        self.kind = kind
        self.has_snapshot = False
        self.is_quiet = True
        self.is_done = False
        self.is_to_wait = False
        """Whether to ask for `PARTICULARS` in a while: all else that the snapshot needs is there."""
        shelf = shelf if shelf is not None else SpecShelf()
        self.listing = Listing(view, specs, is_live=is_live, follows=follows, shelf=shelf)
        self._account = view.account
        self._leads = leads
        self._settle_us = settle_us
        self._is_live = is_live
        self._open: dict[str, Question] = {}
        self._orders: tuple[Order, ...] = ()
        self._deals: tuple[Deal, ...] = ()
        self._snapshot: Any = None
        self._from_ms = self._start_of_gap(view, now_us) + offset_ms
        self._to_ms = now_us // MILLISECOND_US + LOOK_BACK_MS + offset_ms
        self._retries = 0
        self._trader: Any = None
        self._has_trader = False
        self._asks_past = asks_past
        self._past_to_ms = 0
        self._past_seen: set[OrderId] = set()
        self._week_ms = now_us // MILLISECOND_US - WEEK_MS + 2 * LOOK_BACK_MS

    def _start_of_gap(self, view: AccountView, now_us: int) -> int:
        moments = [view.at_us] if self.kind is Kind.FULL else []
        moments += [intent.recorded_us for intent in view.intents.values() if intent.state is IntentState.UNKNOWN]
        if any(moment > now_us for moment in moments):
            moments = [now_us - DAY_US]  # the clock was set back since: nobody knows by how much
        first = min((moment for moment in moments if moment), default=now_us) // MILLISECOND_US - LOOK_BACK_MS
        return max(first, now_us // MILLISECOND_US - WEEK_MS + 2 * LOOK_BACK_MS)

    def expects(self, question: str) -> bool:
        """Whether an answer of that name is still awaited."""
        return question in self._open or self.listing.expects(question)

    @property
    def holds_reports(self) -> bool:
        """Whether what the broker reports now must wait: the snapshot is on its way, or not folded yet."""
        return self.kind is Kind.FULL and not self.is_done

    def retry_us(self) -> int:
        """How long to wait before a refused question is asked again: doubled each time."""
        self._retries += 1
        return min(RETRY_FIRST_US << min(self._retries, 10), RETRY_LAST_US)

    def again(self, question: str, view: AccountView) -> tuple[Question, ...]:
        """Ask an open question once more."""
        self.is_to_wait = False
        if self.listing.expects(question):
            return self._after_listing((), self.listing.again(question, view))[1]
        if question != PARTICULARS:
            return (self._open[question],)
        del self._open[question]
        return self._put_snapshot()

    def give_up(self) -> None:
        """Nothing of this will be answered."""
        self.listing.give_up()

    def begin(self) -> tuple[Question, ...]:
        """The first questions."""
        if self.kind is Kind.LOOKUP:
            return self._ask_orders()
        if self.kind is Kind.REFRESH:
            return self._ask_snapshot()
        trader = Question("trader", requests.ask_trader(self._account), translate.sane_trader)
        return (*self.listing.begin(), *self._put(trader))

    def _put(self, *questions: Question) -> tuple[Question, ...]:
        self._open.update({question.name: question for question in questions})
        return questions

    # --- answers --------------------------------------------------------------------------------------------------

    def answered(self, question: str, report: Any, view: AccountView) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        """Take an answer: the facts it makes, and what to ask next."""
        self.is_to_wait = False
        if self.listing.expects(question):
            facts, questions = self.listing.answered(question, report, view)
            told = self._tell_trader() if question == "assets" else ()
            return self._after_listing((*told, *facts), questions)
        del self._open[question]
        match question.partition(" ")[0]:
            case "trader":
                self._trader = report
                if not self.expects(PARTICULARS):
                    return self._tell_trader(), ()
                del self._open[PARTICULARS]
                return self._tell_trader(), self._put_snapshot()
            case "orders" if self.kind is Kind.FULL:
                return self._take_past(report, view)
            case "position":
                self._orders += report[0]
                return self._reconcile_if_all(view)
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
        """The account's particulars once its assets are known too: answers come in any order (FACTS §1.3), and money
        whose currency has no name is of no use."""
        if self._trader is None or self.listing.expects("assets"):
            return ()
        self._has_trader = True
        return (translate.trader_seen(self._trader, self.listing.assets, is_live=self._is_live),)

    def _after_listing(
        self, facts: tuple[Event, ...], questions: tuple[Question, ...]
    ) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        """Once it is known what the broker offers, what the account holds is asked for."""
        return facts, self._ask_snapshot() if self.listing.is_done else questions

    def _ask_orders(self) -> tuple[Question, ...]:
        return self._put(Question("orders", requests.ask_orders(self._account, self._from_ms, self._to_ms), _orders))

    def _take_orders(self, page: tuple[Order, ...], has_more: bool) -> tuple[Question, ...]:
        known = {order.order for order in self._orders}
        fresh = tuple(order for order in page if order.order not in known)
        self._orders += fresh
        oldest_ms = min((order.updated_ms for order in fresh), default=0)
        if has_more and oldest_ms >= self._from_ms:  # the newest come first: what is older than asked for is the end
            self._to_ms = oldest_ms
            return self._ask_orders()
        return self._ask_snapshot()

    def _ask_deals(self) -> tuple[Question, ...]:
        return self._put(
            Question("deals", requests.ask_deals(self._account, self._from_ms, self._to_ms), reckonings.read_deals)
        )

    def _take_deals(
        self, report: tuple[tuple[Deal, ...], bool], view: AccountView
    ) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        page, has_more = report
        known = {deal.deal for deal in self._deals}
        fresh = tuple(deal for deal in page if deal.deal not in known)
        self._deals += fresh
        oldest_ms = min((deal.executed_ms for deal in fresh), default=0)
        if has_more and oldest_ms >= self._from_ms:
            self._to_ms = oldest_ms
            return (), self._ask_deals()
        return self._reconcile_if_all(view)

    def _ask_snapshot(self) -> tuple[Question, ...]:
        if not self.expects("trader"):
            return self._put_snapshot()
        self.is_to_wait = True
        self._open[PARTICULARS] = Question(PARTICULARS, None, lambda wire: wire)
        return ()

    def _put_snapshot(self) -> tuple[Question, ...]:
        return self._put(Question("snapshot", requests.ask_state(self._account), snapshot))

    def _take_snapshot(self, report: Any, view: AccountView) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        self._snapshot = report
        self.has_snapshot = True
        if self.kind is not Kind.FULL:
            return self._reconcile(view)
        questions = tuple(self._unknown(view, report[0]))
        has_gap = view.version > 0 and (view.positions or view.orders or report[0])
        if self._leads and has_gap:
            if not view.has_reconciled:
                self._from_ms = self._week_ms  # which order opened what is held now
            questions += self._ask_deals()
        if self._asks_past:
            self._past_to_ms = self._to_ms
            questions += self._ask_past()
        return ((), questions) if questions else self._reconcile(view)

    def _unknown(self, view: AccountView, positions: Iterable[Position]) -> Iterator[Question]:
        """What is asked of positions that carry a copier's label and belong to no copy on record."""
        known = {copy.position for copy in view.copies.values()}
        strange = [p.position for p in positions if p.position not in known and read_label(p.label) is not None]
        for position in strange[:STRANGE_MAX]:
            asked = requests.ask_orders_of(self._account, position)
            yield from self._put(Question(f"position {position}", asked, _orders))

    def _ask_past(self) -> tuple[Question, ...]:
        asked = requests.ask_orders(self._account, self._week_ms, self._past_to_ms)
        return self._put(Question("orders", asked, _orders))

    def _take_past(
        self, report: tuple[tuple[Order, ...], bool], view: AccountView
    ) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        page, has_more = report
        fresh = tuple(order for order in page if order.order not in self._past_seen)
        self._past_seen |= {order.order for order in fresh}
        self._orders += tuple(order for order in fresh if read_label(order.client_order_id) is not None)
        oldest_ms = min((order.updated_ms for order in fresh), default=0)
        if has_more and oldest_ms >= self._week_ms:
            self._past_to_ms = oldest_ms
            return (), self._ask_past()
        return self._reconcile_if_all(view)

    def is_optional(self, question: str) -> bool:
        """Whether the account can be ready without this answer: then a refusal is taken for nothing known."""
        return question.startswith("position ")

    def _reconcile_if_all(self, view: AccountView) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        return ((), ()) if self._open.keys() - {"trader"} else self._reconcile(view)

    def _reconcile(self, view: AccountView) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        self.is_done = True
        positions, orders = self._snapshot
        if self.kind is Kind.REFRESH and not _differs(view, positions, orders):
            return (), ()
        used = {position.symbol for position in positions} | {order.symbol for order in orders}
        fresh = [self.listing.specs[symbol] for symbol in sorted(used) if symbol in self.listing.specs]
        facts: list[Event] = [SymbolSpecSeen(spec=spec) for spec in fresh if view.specs.get(spec.symbol) != spec]
        facts.append(
            Reconciled(
                positions=positions,
                orders=orders,
                deals=self._deals,
                past_orders=_once(self._orders),
                looked_up=self.kind is Kind.LOOKUP,
                covers_from_ms=self._from_ms if self.kind is Kind.LOOKUP else 0,
                settle_us=self._settle_us,
                quiet=self.is_quiet,
            )
        )
        return tuple(facts), ()

    def news(self, early: tuple[Event, ...]) -> tuple[Event, ...]:
        """Of what was reported before the snapshot came, what it does not show already; all that came later is news.

        A position that came and went before the snapshot is no news: told one by one, its open would be copied.
        """
        positions, _ = self._snapshot
        shown = {position.position: position for position in positions}
        last = {
            fact.position.position: fact.position
            for fact in early
            if isinstance(fact, ExecutionSeen) and fact.position is not None
        }
        return tuple(fact for fact in early if _is_news(fact, shown, last))


def _once(orders: tuple[Order, ...]) -> tuple[Order, ...]:
    """Each order once: a position's own list and the history may both have it."""
    return tuple({order.order: order for order in orders}.values())


def _is_news(fact: Event, shown: Mapping[PositionId, Position], last: Mapping[PositionId, Position]) -> bool:
    if not isinstance(fact, ExecutionSeen) or fact.position is None:
        return True
    known = shown.get(fact.position.position)
    if known is not None:
        return bool(fact.position.updated_ms >= known.updated_ms)
    return last[fact.position.position].volume > 0


def snapshot(wire: Any) -> Any:
    """The open positions and pending orders that the broker shows."""
    return (
        tuple(translate.position(position) for position in wire.position),
        tuple(translate.order(order) for order in wire.order),
    )


def _orders(wire: Any) -> tuple[tuple[Order, ...], bool]:
    return tuple(translate.order(order) for order in wire.order), bool(wire.hasMore)


def _differs(view: AccountView, positions: tuple[Position, ...], orders: tuple[Order, ...]) -> bool:
    """Whether a snapshot says anything that is not believed already; swaps and margins alone are no news."""
    shown = {position.position: position for position in positions if position.volume > 0}
    resting = {order.order: order for order in orders if order.is_resting}
    if shown.keys() != view.positions.keys() or resting.keys() != view.orders.keys():
        return True
    return any(_shown(position) != _shown(view.positions[key]) for key, position in shown.items()) or any(
        order.terms != view.orders[key].terms for key, order in resting.items()
    )


def _shown(position: Position) -> tuple[object, ...]:
    return (position.volume, position.side, *position.protection)
