"""From one currency to another through the follower's own symbols, at the side that costs.

A chain has at most two symbols. Rates are exact fractions; a chain with a quote missing or too old has no rate. The
last quote of a market that is closed is never too old to value money by: there is no newer one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from cmam.domain.belief.view import AccountView
from cmam.domain.market.sessions import is_open
from cmam.domain.values.ids import AssetId
from cmam.domain.values.quantities import PRICE_SCALE, Quote
from cmam.domain.values.rules.opens import CLOSED_MARKETS_STAND
from cmam.domain.values.symbols import SymbolSpec

AGELESS_MS = 1 << 60
HUBS = ("USD", "EUR", "USDT", "BTC")
"""Which middle of a chain is preferred, since its symbols are quoted best."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One symbol of a chain; `forward` where its base is what we come from."""

    symbol: str
    forward: bool


Chain = tuple[Leg, ...]


def chain(view: AccountView, first: str, last: str) -> Chain | None:
    """The symbols that lead from one asset to another, by the names of the assets; None where there are none."""
    if first == last and first:
        return ()
    start, end = view.asset_ids.get(first), view.asset_ids.get(last)
    if start is None or end is None:
        return None
    direct = _leg(view, start, end)
    if direct is not None:
        return (direct,)
    middles = view.pairs.get(start, {}).keys() & view.pairs.get(end, {}).keys()
    hubs = {view.asset_ids[name]: rank for rank, name in enumerate(HUBS) if name in view.asset_ids}
    for middle in sorted(middles, key=lambda asset: (hubs.get(asset, len(HUBS)), asset)):
        to, onward = _leg(view, start, middle), _leg(view, middle, end)
        if to is not None and onward is not None:
            return (to, onward)
    return None


def leads_nowhere(view: AccountView, currency: str) -> bool:
    """Whether no symbols of an account's broker make its own currency of another, so that none ever will.

    False where it is not known yet which symbols and assets there are.
    """
    is_listed = bool(currency and view.currency and view.asset_ids and view.names)
    return is_listed and chain(view, currency, view.currency) is None


def _leg(view: AccountView, first: AssetId, last: AssetId) -> Leg | None:
    symbol = view.pairs.get(first, {}).get(last)
    if symbol is None:
        return None
    return Leg(symbol, forward=view.names[symbol].base == first)


@dataclass(frozen=True, slots=True)
class Rates:
    """The quotes of one moment: what they make of one currency in another. Ages in ms are checked once per quote."""

    view: AccountView
    quotes: Mapping[str, Quote]
    now_us: int
    max_age_ms: int
    reckoned: dict[str, object] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What was worked out with these quotes before, by its name, for who asks again within one decision."""

    def quote(self, symbol: str) -> Quote | None:
        """A quote that is there, above zero and young enough."""
        quote = self.quotes.get(symbol)
        if quote is None or quote.bid <= 0 or quote.ask <= 0:
            return None
        return quote if self.now_us - quote.seen_us <= self.max_age_ms * 1_000 else None

    def standing(self, spec: SymbolSpec | None) -> Quote | None:
        """The last quote of a market that is closed, however old: what is held there is worth that until it opens."""
        quote = self.quotes.get(spec.name) if spec is not None else None
        if spec is None or quote is None or quote.bid <= 0 or quote.ask <= 0 or self.view.rules < CLOSED_MARKETS_STAND:
            return None
        return None if is_open(spec, self.now_us) else quote

    def ageless(self) -> Rates:
        """The same quotes, however old they are."""
        return Rates(self.view, self.quotes, self.now_us, AGELESS_MS)

    def rate(self, first: str, last: str, *, high: bool) -> Fraction | None:
        """How much of `last` one of `first` is: the dearer side of each symbol with `high`, else the cheaper."""
        legs = chain(self.view, first, last)
        if legs is None:
            return None
        rate = Fraction(1)
        for leg in legs:
            quote = self.quote(leg.symbol) or self.standing(self.view.specs.get(self.view.names[leg.symbol].symbol))
            if quote is None:
                return None
            if leg.forward:
                rate *= Fraction(quote.ask if high else quote.bid, PRICE_SCALE)
            else:
                rate *= Fraction(PRICE_SCALE, quote.bid if high else quote.ask)
        return rate


def chain_symbols(view: AccountView, first: str, last: str) -> tuple[str, ...]:
    """The names of the symbols whose quotes a conversion needs."""
    if first == last and first:
        return ()
    legs = chain(view, first, last)
    return tuple([leg.symbol for leg in legs]) if legs else ()
