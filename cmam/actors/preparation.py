"""How an account gets ready on a fresh connection: which questions, in which order, and the facts their answers make.

    FULL      catalogue, trader, specifications, tiers of leverage, then the snapshot, the deals of the gap, and where
              positions carry a copier's label that nobody here knows, or the log was lost, the orders that tell of them
    LOOKUP    the order history, then a snapshot: settles what is unknown
    REFRESH   a snapshot alone, now and then: finds what no event told

The snapshot comes last, so that what it shows can be decided at once. Histories are read to their end, page by page:
a missing order proves something only then. No thread, no socket: the account's actor asks and answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from cmam.actors.shelf import SpecShelf, sample_of
from cmam.clock import MILLISECOND_US
from cmam.domain.account import AccountView, IntentState
from cmam.domain.events import AssetName, Event, ExecutionSeen, LeverageSeen, Reconciled, SymbolListSeen, SymbolSpecSeen
from cmam.domain.ids import AssetId, OrderId, PositionId, SymbolId
from cmam.domain.naming import read_label
from cmam.domain.symbols import SymbolName, SymbolSpec
from cmam.domain.trades import Deal, Order, Position
from cmam.domain.turn import SETTLE_US
from cmam.openapi import reckonings, requests, translate

SPECS_PER_REQUEST = 100
"""Symbols asked for at once: answers stay far below the 1 MB at which a client was seen to give up."""
LOOK_BACK_MS = 60_000
"""How much earlier than the moment in question a history is asked for: clocks differ."""
WEEK_MS = 604_800_000
DAY_US = 86_400_000_000
QUOTED_MAX = 500
"""So many symbols of a feed are subscribed; of a longer list the first so many."""
STRANGE_MAX = 200
"""So many positions with a label that nobody here knows are asked about, one historical request each."""
SHELF = "shelf"
"""The name of the question that asks no broker: whether another account has read the same specifications by now."""
LOOK_US = 500_000
LOOKS_MAX = 120
"""After a minute of looking an account reads for itself: the other one may never come to its end."""
RETRY_FIRST_US = 500_000
RETRY_LAST_US = 30_000_000


class Kind(Enum):
    """What is asked for."""

    FULL = "full"
    LOOKUP = "lookup"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class Question:
    """A request with a name, and what makes its answer a report."""

    name: str
    message: Any
    translate: Callable[[Any], Any] = field(repr=False)


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
        self.wants_quotes = False
        self.is_to_look = False
        """Whether to ask for `SHELF` again in a while: another account is reading what this one needs."""
        self.feed = ""
        self.specs: dict[SymbolId, SymbolSpec] = dict(specs)
        self._account = view.account
        self._leads = leads
        self._follows = follows
        self._settle_us = settle_us
        self._is_live = is_live
        self._open: dict[str, Question] = {}
        self._assets: Mapping[AssetId, AssetName] = view.assets
        self._names: tuple[SymbolName, ...] = ()
        self._symbols: tuple[SymbolName, ...] | None = None
        self._orders: tuple[Order, ...] = ()
        self._deals: tuple[Deal, ...] = ()
        self._snapshot: Any = None
        self._snapshot_ms = 0
        self._from_ms = self._start_of_gap(view, now_us) + offset_ms
        self._to_ms = now_us // MILLISECOND_US + LOOK_BACK_MS + offset_ms
        self._retries = 0
        self._looks = 0
        self._broker = ""
        self._asks_past = asks_past
        self._past_to_ms = 0
        self._past_seen: set[OrderId] = set()
        self._week_ms = now_us // MILLISECOND_US - WEEK_MS + 2 * LOOK_BACK_MS
        self._shelf = shelf if shelf is not None else SpecShelf()
        self._asked: set[SymbolId] = set()
        self._read: dict[SymbolId, SymbolSpec] = {}
        self._changes = 0

    def _start_of_gap(self, view: AccountView, now_us: int) -> int:
        moments = [view.at_us] if self.kind is Kind.FULL else []
        moments += [intent.recorded_us for intent in view.intents.values() if intent.state is IntentState.UNKNOWN]
        if any(moment > now_us for moment in moments):
            moments = [now_us - DAY_US]  # the clock was set back since: nobody knows by how much
        first = min((moment for moment in moments if moment), default=now_us) // MILLISECOND_US - LOOK_BACK_MS
        return max(first, now_us // MILLISECOND_US - WEEK_MS + 2 * LOOK_BACK_MS)

    def expects(self, question: str) -> bool:
        """Whether an answer of that name is still awaited."""
        return question in self._open

    @property
    def holds_reports(self) -> bool:
        """Whether what the broker reports now must wait: the snapshot is on its way, or not folded yet."""
        return self.kind is Kind.FULL and not self.is_done

    @property
    def family(self) -> str:
        """Whose specifications this account may share; empty before its list is known."""
        return f"{'live' if self._is_live else 'demo'} {self.feed}" if self.feed else ""

    def retry_us(self) -> int:
        """How long to wait before a refused question is asked again: doubled each time."""
        self._retries += 1
        return min(RETRY_FIRST_US << min(self._retries, 10), RETRY_LAST_US)

    def again(self, question: str, view: AccountView) -> tuple[Question, ...]:
        """Ask an open question once more."""
        self.wants_quotes = self.is_to_look = False
        if question != SHELF:
            return (self._open[question],)
        del self._open[SHELF]
        return self._go_on_reading(view)

    def give_up(self) -> None:
        """Nothing of this will be answered."""
        self._shelf.give_up(self._account)

    def begin(self) -> tuple[Question, ...]:
        """The first questions."""
        if self.kind is Kind.LOOKUP:
            return self._ask_orders()
        if self.kind is Kind.REFRESH:
            return self._ask_snapshot()
        return self._put(
            Question("assets", requests.ask_assets(self._account), lambda wire: translate.asset_names(wire.asset)),
            Question("symbols", requests.ask_symbols(self._account), lambda wire: translate.symbol_names(wire.symbol)),
            Question("trader", requests.ask_trader(self._account), lambda wire: wire.trader),
        )

    def _put(self, *questions: Question) -> tuple[Question, ...]:
        self._open.update({question.name: question for question in questions})
        return questions

    # --- answers --------------------------------------------------------------------------------------------------

    def answered(
        self, question: str, report: Any, view: AccountView, now_us: int
    ) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        """Take an answer: the facts it makes, and what to ask next."""
        del self._open[question]
        self.wants_quotes = self.is_to_look = False
        kind, _, _ = question.partition(" ")
        match kind:
            case "assets":
                self._assets = {asset.asset: asset for asset in report}
                return self._catalogue(view)
            case "symbols":
                self._symbols = report
                return self._catalogue(view)
            case "trader":
                self._broker = report.brokerName
                return (translate.trader_seen(report, self._assets, is_live=self._is_live),), ()
            case "specs":
                return self._take_specs(report, view)
            case "leverage":
                return self._take_leverage(report)
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
                return self._take_snapshot(report, view, now_us)
        raise AssertionError(f"nobody asked {question!r}")

    def _catalogue(self, view: AccountView) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        if self._symbols is None or self.expects("assets"):
            return (), ()
        facts: tuple[Event, ...] = ()
        digest = _digest(self._symbols, self._assets)
        if digest != view.symbol_digest:
            assets = tuple(self._assets[key] for key in sorted(self._assets))
            facts = (SymbolListSeen(digest=digest, symbols=self._symbols, assets=assets),)
        self._names = tuple(name for name in self._symbols if name.enabled)
        self.feed = digest
        missing = [name for name in self._names if name.symbol not in self.specs]
        if not missing:
            self.wants_quotes = True
            return facts, self._after_specs(view)
        self._changes = self._shelf.changes(self.family)
        used = {position.symbol for position in view.positions.values()} | set(view.specs)
        return facts, self._ask_specs(sample_of(missing, frozenset(used)))

    def _ask_specs(self, names: list[SymbolName]) -> tuple[Question, ...]:
        """Ask for specifications, so many at once that no answer becomes too large."""
        batches = [names[start : start + SPECS_PER_REQUEST] for start in range(0, len(names), SPECS_PER_REQUEST)]
        self._asked.update(name.symbol for name in names)
        return self._put(
            *(
                Question(
                    f"specs {batch[0].symbol}",
                    requests.ask_specs(self._account, [name.symbol for name in batch]),
                    _specs_of(batch, self._assets),
                )
                for batch in batches
            )
        )

    def _take_specs(
        self, report: tuple[SymbolSpec, ...], view: AccountView
    ) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        self._read.update({spec.symbol: spec for spec in report})
        if any(name.startswith("specs ") for name in self._open):
            return (), ()
        return (), self._go_on_reading(view)

    def _go_on_reading(self, view: AccountView) -> tuple[Question, ...]:
        """Take from the shelf what was not read, or read it, or wait for who is reading it."""
        family = self.family
        wanted = {name.symbol for name in self._names}
        left = [name for name in self._names if name.symbol not in self.specs and name.symbol not in self._asked]
        found = self._shelf.match(family, self._read) if self._read else None
        if found is not None:
            self._read = {symbol: found[symbol] for symbol in self._read}  # one object for all who share it
            self.specs.update({name.symbol: found[name.symbol] for name in left if name.symbol in found})
        elif left and self._looks < LOOKS_MAX and not self._shelf.may_read(family, self._account):
            self._looks += 1
            self.is_to_look = True
            self._open[SHELF] = Question(SHELF, None, lambda wire: wire)
            return ()
        elif left:
            return self._ask_specs(left)
        elif self._asked >= wanted:
            self._shelf.put(family, self._account, dict(self._read), self._changes)
        self.specs.update(self._read)
        self.wants_quotes = True
        return self._after_specs(view)

    def _after_specs(self, view: AccountView) -> tuple[Question, ...]:
        """Tiers of leverage come before anything is decided: without them nobody knows what margin an open binds."""
        unknown = {spec.leverage_id for spec in self.specs.values()} - view.leverages.keys() - {0}
        if not self._follows or not unknown:
            return self._ask_snapshot()
        return self._put(
            *(
                Question(
                    f"leverage {leverage}", reckonings.ask_leverage(self._account, leverage), reckonings.read_leverage
                )
                for leverage in sorted(unknown)
            )
        )

    def _take_leverage(self, report: LeverageSeen | None) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        facts = (report,) if report is not None else ()
        is_last = not any(name.startswith("leverage ") for name in self._open)
        return facts, self._ask_snapshot() if is_last else ()

    def is_needless(self, question: str) -> bool:
        """Whether an account can be made ready without this answer: tiers are asked for again beside the way."""
        return question.startswith("leverage ")

    def _ask_orders(self) -> tuple[Question, ...]:
        return self._put(Question("orders", requests.ask_orders(self._account, self._from_ms, self._to_ms), _orders))

    def _take_orders(self, page: tuple[Order, ...], has_more: bool) -> tuple[Question, ...]:
        known = {order.order for order in self._orders}
        fresh = tuple(order for order in page if order.order not in known)
        self._orders += fresh
        if has_more and fresh:
            self._to_ms = min(order.updated_ms for order in fresh)
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
        if has_more and fresh:
            self._to_ms = min(deal.executed_ms for deal in fresh)
            return (), self._ask_deals()
        return self._reconcile_if_all(view)

    def _ask_snapshot(self) -> tuple[Question, ...]:
        return self._put(Question("snapshot", requests.ask_state(self._account), snapshot))

    def _take_snapshot(
        self, report: Any, view: AccountView, now_us: int
    ) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        self._snapshot = report
        self._snapshot_ms = now_us // MILLISECOND_US
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
        if has_more and fresh:
            self._past_to_ms = min(order.updated_ms for order in fresh)
            return (), self._ask_past()
        return self._reconcile_if_all(view)

    def is_optional(self, question: str) -> bool:
        """Whether the account can be ready without this answer: then a refusal is taken for nothing known."""
        return question.startswith("position ")

    def _reconcile_if_all(self, view: AccountView) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        return ((), ()) if self._open else self._reconcile(view)

    def _reconcile(self, view: AccountView) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        self.is_done = True
        positions, orders = self._snapshot
        if self.kind is Kind.REFRESH and not _differs(view, positions, orders):
            return (), ()
        self._changes = self._shelf.changes(self.family)
        used = {position.symbol for position in positions} | {order.symbol for order in orders}
        fresh = [self.specs[symbol] for symbol in sorted(used) if symbol in self.specs]
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

    # --- quotes ---------------------------------------------------------------------------------------------------

    def quoted_symbols(self) -> Iterable[SymbolId]:
        """The symbols whose quotes the account wants."""
        return [name.symbol for name in self._names[:QUOTED_MAX]]


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


def _specs_of(names: list[SymbolName], assets: Mapping[AssetId, AssetName]) -> Callable[[Any], Any]:
    by_id = {name.symbol: name for name in names}

    def read(wire: Any) -> tuple[SymbolSpec, ...]:
        return tuple(
            translate.symbol_spec(symbol, by_id[SymbolId(symbol.symbolId)], assets)
            for symbol in wire.symbol
            if SymbolId(symbol.symbolId) in by_id
        )

    return read


def _digest(names: tuple[SymbolName, ...], assets: Mapping[AssetId, AssetName]) -> str:
    text = repr((names, tuple(assets[key] for key in sorted(assets))))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
