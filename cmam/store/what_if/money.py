"""What a modelled fill costs and realises: by what was recorded on the same account, else by the specification."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil

from cmam.domain.belief.copies import Intent
from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.arithmetic import Missing
from cmam.domain.deciding.risk import commission_per_unit, least_commission
from cmam.domain.market.conversion import Rates, chain_symbols
from cmam.domain.market.equity import symbols_for
from cmam.domain.market.margins import expected_margin
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import PRICE_SCALE, VOLUME_SCALE, Price, Quote, Side, Volume
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.values.trades import Deal, Position
from cmam.store.what_if.answers import Answer, Answers

USD = "USD"

QuoteOf = Callable[[str], Quote | None]


@dataclass(slots=True)
class Counted:
    """How much of a what-if is a model."""

    by_record: int = 0
    by_quote: int = 0
    by_leader: int = 0
    unpriced: int = 0

    @property
    def fills(self) -> int:
        """All fills that are not recorded ones."""
        return self.by_record + self.by_quote + self.by_leader


@dataclass(slots=True)
class Money:
    """The arithmetic of one account's modelled fills."""

    answers: Answers
    quote_of: QuoteOf
    counted: Counted = field(default_factory=Counted)

    def price_of(
        self, view: AccountView, symbol: SymbolId, side: Side, like: Answer | None, intent: Intent, *, opens: bool
    ) -> Price | None:
        """At which price a request fills; None where nothing on record says."""
        if like is not None and like.price is not None and like.recorded.command.side is intent.command.side:
            self.counted.by_record += 1
            return Price(like.price)
        spec = view.specs.get(symbol)
        quote = self.quote_of(spec.name) if spec is not None else None
        if quote is not None:
            self.counted.by_quote += 1
            return quote.entry(side)
        copy = view.copies.get(intent.key)
        if opens and copy is not None and copy.goal.leader_price is not None:
            self.counted.by_leader += 1
            return copy.goal.leader_price
        self.counted.unpriced += 1
        return None

    def rates(self, view: AccountView, now_us: int, names: Iterable[str]) -> Rates:
        """The quotes of now by these names, however old: a model has no better ones."""
        quotes: Mapping[str, Quote] = {
            name: replace(quote, seen_us=now_us) for name in names if (quote := self.quote_of(name)) is not None
        }
        return Rates(view, quotes, now_us, 1)

    def _gross(self, view: AccountView, held: Position, volume: Volume, price: Price, now_us: int) -> tuple[int, int]:
        """What a close realises in minor units, and the broker's fee for converting it."""
        spec = view.specs.get(held.symbol)
        if spec is None or held.price is None:
            return 0, 0
        gain = Fraction((price - held.price) * held.side.sign * volume, PRICE_SCALE * VOLUME_SCALE)
        names = chain_symbols(view, spec.quote_name, view.currency)
        rate = self.rates(view, now_us, names).rate(spec.quote_name, view.currency, high=gain < 0)
        if spec.quote_name == view.currency:
            rate = Fraction(1)
        if rate is None:
            self.counted.unpriced += 1
            return 0, 0
        gross = gain * rate * 10**view.money_digits
        fee = abs(gross) * spec.conversion_fee_rate / 10_000 if spec.quote_name != view.currency else Fraction(0)
        return round(gross), -round(fee)

    def commission_of(
        self, view: AccountView, symbol: SymbolId, volume: Volume, price: Price, like: Answer | None, now_us: int
    ) -> int:
        """What one side of a volume costs; minor units, not above zero. In proportion to what was paid on record: where
        each order costs something at least, in that of what the specification says both cost."""
        known = self.answers.commission(view.account, symbol)
        paid = [(deal.commission, int(deal.filled_volume)) for deal in like.deals] if like is not None else []
        paid = paid or ([known] if known is not None else [])
        commission, then = sum(cost for cost, _ in paid), sum(volume for _, volume in paid)
        spec = view.specs.get(symbol)
        if spec is None or (paid and (not commission or not spec.min_commission_e8)):
            return round(Fraction(commission * volume, then)) if paid else 0
        cost_of = self._cost_of(view, spec, price, now_us)
        if cost_of is None:
            return round(Fraction(commission * volume, then)) if paid else 0
        before = sum(cost_of(volume) for _, volume in paid)
        return round(commission * cost_of(volume) / before) if before else -ceil(cost_of(volume))

    def _cost_of(
        self, view: AccountView, spec: SymbolSpec, price: Price, now_us: int
    ) -> Callable[[int], Fraction] | None:
        """What an order of a volume costs by its specification, in minor units; None where a rate for it is missing."""
        money = view.currency
        names = (
            *symbols_for(view, spec),
            *chain_symbols(view, spec.base_name, USD),
            *chain_symbols(view, USD, money),
            *chain_symbols(view, spec.min_commission_asset or USD, money),
        )
        rates = self.rates(view, now_us, names)
        to_deposit = Fraction(1) if spec.quote_name == money else rates.rate(spec.quote_name, money, high=True)
        if to_deposit is None:
            return None
        unit = Fraction(0)
        try:
            if spec.commission_rate_e8:
                unit = commission_per_unit(spec, rates, Fraction(price, PRICE_SCALE), to_deposit)
            least = least_commission(spec, rates)
        except Missing:
            return None
        scale = 10**view.money_digits
        return lambda volume: max(unit * Fraction(volume, VOLUME_SCALE), least) * scale

    def margin_of(self, view: AccountView, symbol: SymbolId, volume: Volume, like: Answer | None, now_us: int) -> int:
        """The margin that a volume binds."""
        if like is not None and like.margin:
            return round(like.margin * volume)
        known = self.answers.margin(view.account, symbol, volume)
        spec = view.specs.get(symbol)
        if known or spec is None:
            return known
        names = (*symbols_for(view, spec), *chain_symbols(view, spec.base_name, view.currency))
        worth = expected_margin(self.rates(view, now_us, names), spec, volume)
        return round(worth * 10**view.money_digits) if worth is not None else 0

    def realised(
        self, view: AccountView, held: Position, volume: Volume, price: Price, then: Iterable[Deal], now_us: int
    ) -> tuple[int, int]:
        """What a close realises in minor units, and the broker's fee for converting it; `then` are the recorded deals
        of the same close."""
        return _as_then(then, held, volume, price) or self._gross(view, held, volume, price, now_us)


def _as_then(then: Iterable[Deal], held: Position, volume: Volume, price: Price) -> tuple[int, int] | None:
    """What a close realises by what the recorded one did: at the broker's own conversion, to its rounding."""
    if held.price is None:
        return None
    moved = gross = fee = 0
    for deal in then:
        if deal.close is not None and deal.price is not None and deal.side is not held.side:
            moved += (deal.price - deal.close.entry_price) * deal.close.closed_volume
            gross, fee = gross + deal.close.gross, fee + deal.close.conversion_fee
    if not moved or not gross:
        return None
    part = Fraction((price - held.price) * volume, moved)
    return round(gross * part), -abs(round(fee * part))
