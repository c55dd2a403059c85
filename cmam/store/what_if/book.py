"""One account in a what-if: as it was recorded, as it would have been, and from where the two went apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from cmam.domain.belief.belonging import copy_of, intent_of
from cmam.domain.belief.copies import CopyKey
from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    ClosesSeen,
    CopyOverdue,
    CopyWoken,
    EquityPeaked,
    Event,
    ExecutionSeen,
    GuardDayBegan,
    GuardInitialNamed,
    GuardRearmed,
    GuardTripped,
    IntentDropped,
    IntentOverdue,
    IntentRecorded,
    IntentSent,
    Reconciled,
    RequestRefused,
    ResultsSeen,
    TraderSeen,
    TrailingStopMoved,
)
from cmam.domain.guarding.guards import Memory
from cmam.domain.market.equity import equity, equity_symbols
from cmam.domain.turns.timing import next_due
from cmam.domain.values.ids import LinkId, PositionId, SourceKey, SymbolId
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import floor_fraction
from cmam.domain.values.trades import Deal, Order, Position
from cmam.store.what_if.model import Model

Concern = (IntentSent, IntentDropped, IntentOverdue, RequestRefused)


@dataclass(slots=True)
class Curve:
    """Equity at the recorded samples, and how far it fell from its highest; minor units."""

    peak: int | None = None
    drawdown: int = 0
    samples: int = 0

    def take(self, worth: int | None) -> None:
        """Take one sample; an unknown one counts for nothing."""
        if worth is None:
            return
        self.samples += 1
        self.peak = worth if self.peak is None else max(self.peak, worth)
        self.drawdown = max(self.drawdown, self.peak - worth)


@dataclass(slots=True)
class Book:
    """The two views of one account. `apart` are the copies whose fills are modelled from here on."""

    real: AccountView
    view: AccountView
    model: Model
    feed: str = ""
    apart: set[CopyKey] = field(default_factory=set)
    symbols: set[SymbolId] = field(default_factory=set)
    owners: dict[PositionId, CopyKey] = field(default_factory=dict)
    asked: set[tuple[str, int]] = field(default_factory=set)
    guards: Memory = field(default_factory=Memory)
    own_guards: bool = False
    alarm_us: int | None = None
    woken_us: int = 0
    fresh: list[IntentRecorded] = field(default_factory=list)
    curve: Curve = field(default_factory=Curve)
    other_curve: Curve = field(default_factory=Curve)
    clock: tuple[int, int] = (0, 0)
    balance_before: int = 0
    """The recorded balance before the fact that is on its way."""

    @property
    def is_apart(self) -> bool:
        """Whether anything of it is modelled."""
        return bool(self.apart) or self.own_guards

    # --- whose is it --------------------------------------------------------------------------------------------------

    def concern(self, before: AccountView, fact: Event) -> CopyKey | None:
        """The recorded copy that a fact is about."""
        match fact:
            case ExecutionSeen():
                intent = intent_of(before, fact)
                if intent is not None:
                    return intent.key
                found = copy_of(self.real, fact) or copy_of(before, fact)
                return found or self._owner(fact)
            case TrailingStopMoved() | ClosesSeen():
                return self.owners.get(fact.position)
            case CopyOverdue() | CopyWoken():
                return (fact.link, fact.source)
            case _ if isinstance(fact, Concern):
                known = before.intents.get(fact.intent)
                return known.key if known is not None else None
            case _:
                return None

    def _owner(self, fact: ExecutionSeen) -> CopyKey | None:
        position = fact.position.position if fact.position is not None else None
        position = fact.deal.position if fact.deal is not None else position
        return self.owners.get(position) if position is not None else None

    def is_of_apart(self, fact: Event, key: CopyKey | None) -> bool:
        """Whether the record's word about this does not hold here any more."""
        if key is not None and key in self.apart:
            return True
        if isinstance(fact, ExecutionSeen) and self.symbols:
            traded = fact.deal or fact.position or fact.order
            return traded is not None and traded.symbol in self.symbols
        return False

    # --- what was recorded, as it would have been said here -----------------------------------------------------------

    def translated(self, fact: Event) -> Event:
        """A recorded fact with the balance that the account has here, and a snapshot with what it holds here."""
        owed = self.view.balance - self.balance_before
        match fact:
            case ExecutionSeen() if owed:
                deal = _with_balance(fact.deal, owed) if fact.deal is not None else None
                cash = fact.balance
                if cash is not None and not cash.bonus:
                    cash = replace(cash, balance=cash.balance + owed)
                return replace(fact, deal=deal, balance=cash)
            case ClosesSeen() if owed:
                return replace(fact, deals=tuple(_with_balance(deal, owed) for deal in fact.deals))
            case TraderSeen() if owed:
                return replace(fact, trader=replace(fact.trader, balance=fact.trader.balance + owed))
            case Reconciled() if self.apart:
                return replace(
                    fact,
                    positions=tuple(self._positions(fact)),
                    orders=tuple(self._orders(fact)),
                    deals=tuple(
                        _with_balance(deal, owed)
                        for deal in fact.deals
                        if not self._is_apart(deal.position) and deal.symbol not in self.symbols
                    ),
                    past_orders=tuple(order for order in fact.past_orders if not self._is_order_of_apart(order)),
                )
            case _:
                return fact

    def _is_apart(self, position: PositionId | None) -> bool:
        """Whether a recorded position is that of a copy that is apart; one that a snapshot shows first, too."""
        if position is None:
            return False
        return self.owners.get(position) in self.apart or self.real.by_position.get(position) in self.apart

    def _is_named_apart(self, label: str) -> bool:
        mark = read_label(label)
        return mark is not None and (LinkId(mark.link), SourceKey(mark.source)) in self.apart

    def _is_order_of_apart(self, order: Order) -> bool:
        """Whether a recorded order is that of a copy that is apart: what became of it counts only there."""
        is_named = self._is_named_apart(order.label) or self._is_named_apart(order.client_order_id.rpartition(".")[0])
        return is_named or order.symbol in self.symbols or self._is_apart(order.position)

    def _positions(self, fact: Reconciled) -> Iterator[Position]:
        for position in fact.positions:
            is_other = self._is_apart(position.position) or self._is_named_apart(position.label)
            if not is_other and position.symbol not in self.symbols:
                yield position
        mine = {copy.position for key, copy in self.view.copies.items() if key in self.apart}
        for held in self.view.positions.values():
            if held.position in mine or held.symbol in self.symbols:
                yield held

    def _orders(self, fact: Reconciled) -> Iterator[Order]:
        theirs = {copy.order for key, copy in self.real.copies.items() if key in self.apart}
        theirs |= {copy.order for key, copy in self.real.finished.items() if key in self.apart}
        for order in fact.orders:
            if order.order not in theirs:
                yield order
        mine = {copy.order for key, copy in self.view.copies.items() if key in self.apart}
        for order in self.view.orders.values():
            if order.order in mine:
                yield order

    def keep_up(self) -> None:
        """Closes that are modelled make no version of the balance: the count is the record's, and so is what nobody
        could explain. What moved unseen and was not asked about then is taken for what trades came to."""
        then = self.real
        if (self.view.balance_version, self.view.unexplained) != (then.balance_version, then.unexplained):
            self.view = replace(self.view, balance_version=then.balance_version, unexplained=then.unexplained)

    def is_guard_fact(self, fact: Event) -> bool:
        """Whether a guard made or asked for this fact: an account that went another way would have others."""
        if isinstance(fact, GuardRearmed):
            return not fact.user
        guarded = GuardDayBegan | GuardInitialNamed | EquityPeaked | GuardTripped | ResultsSeen
        return isinstance(fact, guarded)

    # --- time and money -----------------------------------------------------------------------------------------------

    def of_apart(self) -> AccountView:
        """The view with nothing in it but what is modelled: what time does to that is ours to say."""
        view = self.view
        return replace(
            view,
            copies={key: copy for key, copy in view.copies.items() if key in self.apart},
            intents={name: intent for name, intent in view.intents.items() if intent.key in self.apart},
            latches=view.latches if self.own_guards else {},
            alerts={},
        )

    @property
    def watches_guards(self) -> bool:
        """Whether guards are looked at here: they are other ones, or look at another account."""
        return self.own_guards or bool(self.apart)

    def next_alarm(self, at_us: int, look_us: int) -> int | None:
        """When something of what is modelled is to be looked at again, at least `look_us` from now; None if never."""
        modelled = self.of_apart()
        moments = [next_due(modelled)]
        if self.watches_guards:
            moments += [day.next_us for day in self.view.days.values() if day.next_us > at_us]
            moments += [at_us + look_us for _ in self.guards.breaches]
        for copy in modelled.copies.values():
            if copy.wait is not None:  # at the end of its time it is looked at once more: `timing.py`
                moments += [one for one in (copy.again_us, copy.wait_until_us) if one > at_us]
                moments += [copy.retry_at_us] if copy.retry_at_us else []
        nearest = min((moment for moment in moments if moment is not None), default=None)
        return None if nearest is None else max(nearest, at_us + look_us)

    def sample(self, now_us: int) -> None:
        """Take equity of this moment on both sides."""
        worth = self.worth(self.real, now_us)
        self.curve.take(worth)
        is_same = not self.is_apart and self.real.balance == self.view.balance
        self.other_curve.take(worth if is_same else self.worth(self.view, now_us))

    def worth(self, view: AccountView, now_us: int) -> int | None:
        """Equity in minor units by the newest recorded quotes."""
        found = equity(self.model.rates(view, now_us, equity_symbols(view)))
        return None if found is None else floor_fraction(found * Fraction(10**view.money_digits))


def _with_balance(deal: Deal, owed: int) -> Deal:
    if deal.close is None or not owed:
        return deal
    return replace(deal, close=replace(deal.close, balance=deal.close.balance + owed))
