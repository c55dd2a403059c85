"""How an account gets ready on a fresh connection: which questions, in which order, and the facts their answers make.

The snapshot comes last, so that what it shows can be decided at once. A look-up is the same without the catalogue:
the order history and a snapshot, to settle what is unknown. No thread, no socket: the account's actor asks and answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cmam.clock import MILLISECOND_US
from cmam.domain.account import AccountView, IntentState
from cmam.domain.events import AssetName, Event, ExecutionSeen, Reconciled, SymbolListSeen, SymbolSpecSeen
from cmam.domain.ids import AssetId, SymbolId
from cmam.domain.symbols import SymbolName, SymbolSpec
from cmam.domain.trades import Deal, Order
from cmam.openapi import requests, translate

SPECS_PER_REQUEST = 100
"""Symbols asked for at once: answers stay far below the 1 MB at which a client was seen to give up."""
LOOK_BACK_MS = 60_000
"""How much earlier than the moment in question a history is asked for: clocks differ."""
WEEK_MS = 604_800_000
QUOTED_MAX = 500
"""So many symbols of a feed are subscribed; of a longer list the first so many."""
RETRY_FIRST_US = 500_000
RETRY_LAST_US = 30_000_000


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
        lookup: bool,
        leads: bool,
        now_us: int,
        is_live: bool = False,
    ) -> None:
        self.is_lookup = lookup
        self.has_reconciled = False
        self.is_done = False
        self.wants_quotes = False
        self.feed = ""
        self.specs: dict[SymbolId, SymbolSpec] = dict(specs)
        self._account = view.account
        self._leads = leads
        self._is_live = is_live
        self._open: dict[str, Question] = {}
        self._assets: Mapping[AssetId, AssetName] = view.assets
        self._names: tuple[SymbolName, ...] = ()
        self._symbols: tuple[SymbolName, ...] | None = None
        self._orders: tuple[Order, ...] = ()
        self._deals: tuple[Deal, ...] = ()
        self._snapshot: Any = None
        self._snapshot_ms = 0
        self._from_ms = self._start_of_gap(view, now_us)
        self._to_ms = now_us // MILLISECOND_US + LOOK_BACK_MS
        self._retries = 0
        self._broker = ""

    def _start_of_gap(self, view: AccountView, now_us: int) -> int:
        moments = [view.at_us] if not self.is_lookup else []
        moments += [intent.recorded_us for intent in view.intents.values() if intent.state is IntentState.UNKNOWN]
        first = min((moment for moment in moments if moment), default=now_us) // MILLISECOND_US - LOOK_BACK_MS
        return max(first, now_us // MILLISECOND_US - WEEK_MS + 2 * LOOK_BACK_MS)

    def expects(self, question: str) -> bool:
        """Whether an answer of that name is still awaited."""
        return question in self._open

    def retry_us(self) -> int:
        """How long to wait before a refused question is asked again: doubled each time."""
        self._retries += 1
        return min(RETRY_FIRST_US << min(self._retries, 10), RETRY_LAST_US)

    def again(self, question: str) -> tuple[Question, ...]:
        """Ask an open question once more."""
        return (self._open[question],)

    def begin(self) -> tuple[Question, ...]:
        """The first questions."""
        if self.is_lookup:
            return self._put(
                Question("orders", requests.ask_orders(self._account, self._from_ms, self._to_ms), _orders)
            )
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
        self.wants_quotes = False
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
                return self._take_specs(report)
            case "orders":
                self._orders = report
                return (), self._ask_snapshot()
            case "deals":
                self._deals = report
                return self._reconcile(view)
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
        batches = [missing[start : start + SPECS_PER_REQUEST] for start in range(0, len(missing), SPECS_PER_REQUEST)]
        asked = tuple(
            Question(
                f"specs {number}",
                requests.ask_specs(self._account, [name.symbol for name in batch]),
                _specs_of(batch, self._assets),
            )
            for number, batch in enumerate(batches)
        )
        if not asked:
            self.wants_quotes = True
            return facts, self._after_specs()
        return facts, self._put(*asked)

    def _take_specs(self, report: tuple[SymbolSpec, ...]) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        self.specs.update({spec.symbol: spec for spec in report})
        if any(name.startswith("specs ") for name in self._open):
            return (), ()
        self.wants_quotes = True
        return (), self._after_specs()

    def _after_specs(self) -> tuple[Question, ...]:
        return self._ask_snapshot()

    def _ask_snapshot(self) -> tuple[Question, ...]:
        return self._put(Question("snapshot", requests.ask_state(self._account), _snapshot))

    def _take_snapshot(
        self, report: Any, view: AccountView, now_us: int
    ) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        self._snapshot = report
        self._snapshot_ms = now_us // MILLISECOND_US
        self.has_reconciled = True
        has_gap = view.version > 0 and (view.positions or view.orders or report[0]) and not self.is_lookup
        if self._leads and has_gap:
            question = requests.ask_deals(self._account, self._from_ms, self._to_ms)
            return (), self._put(Question("deals", question, _deals))
        return self._reconcile(view)

    def _reconcile(self, view: AccountView) -> tuple[tuple[Event, ...], tuple[Question, ...]]:
        self.is_done = True
        positions, orders = self._snapshot
        used = {position.symbol for position in positions} | {order.symbol for order in orders}
        fresh = [self.specs[symbol] for symbol in sorted(used) if symbol in self.specs]
        facts: list[Event] = [SymbolSpecSeen(spec=spec) for spec in fresh if view.specs.get(spec.symbol) != spec]
        facts.append(
            Reconciled(
                positions=positions,
                orders=orders,
                deals=self._deals,
                past_orders=self._orders,
                looked_up=self.is_lookup,
                covers_from_ms=self._from_ms if self.is_lookup else 0,
            )
        )
        return tuple(facts), ()

    def is_after_snapshot(self, fact: Event) -> bool:
        """Whether a report that came while the gap was read says something that the snapshot does not show."""
        positions, _ = self._snapshot
        if isinstance(fact, ExecutionSeen) and fact.position is not None:
            shown = next((p for p in positions if p.position == fact.position.position), None)
            if shown is not None:
                return bool(fact.position.updated_ms >= shown.updated_ms)
        return True

    # --- quotes ---------------------------------------------------------------------------------------------------

    def quoted_symbols(self) -> Iterable[SymbolId]:
        """The symbols whose quotes the account wants."""
        return [name.symbol for name in self._names[:QUOTED_MAX]]


def _snapshot(wire: Any) -> Any:
    return (
        tuple(translate.position(position) for position in wire.position),
        tuple(translate.order(order) for order in wire.order),
    )


def _orders(wire: Any) -> tuple[Order, ...]:
    return tuple(translate.order(order) for order in wire.order)


def _deals(wire: Any) -> tuple[Deal, ...]:
    return tuple(translate.deal(deal) for deal in wire.deal)


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
