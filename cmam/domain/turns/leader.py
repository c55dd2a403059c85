"""What a leader is and has, as its followers are told: its symbols, and what it is worth."""

from __future__ import annotations

from collections.abc import Callable

from cmam.domain.belief.view import AccountView
from cmam.domain.market.conversion import Rates
from cmam.domain.market.equity import equity, equity_symbols, free_margin
from cmam.domain.values.changes import LeaderMoney, LeaderSymbol
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import Quote, Volume, floor_fraction
from cmam.domain.values.rules.opens import LEADERS_LOTS

QUOTE_AGE_MS = 10_000
"""Quotes of a leader's positions that lie farther apart than this are not of one moment."""

QuoteOf = Callable[[SymbolId], Quote | None]


def no_quotes(_symbol: SymbolId) -> Quote | None:
    """The quotes of a time that is past."""
    return None


def symbol_of(view: AccountView, symbol: SymbolId) -> LeaderSymbol:
    """A symbol as followers are told of it."""
    spec = view.specs.get(symbol)
    if spec is None:
        name = next((entry.name for entry in view.names.values() if entry.symbol == symbol), f"#{symbol}")
        return LeaderSymbol(name=name, digits=5, pip_position=4, lot_size=Volume(0))
    return LeaderSymbol(
        name=spec.name,
        digits=spec.digits,
        pip_position=spec.pip_position,
        lot_size=spec.lot_size,
        base=spec.base_name,
        quote=spec.quote_name,
        measurement_units=spec.measurement_units,
    )


def lots_were(view: AccountView, symbol: SymbolId) -> Volume:
    """What a lot of a symbol was before its broker made it another, until somebody confirms that; else 0."""
    former = view.former_specs.get(symbol)
    if former is None or view.rules < LEADERS_LOTS or former.lot_size == view.specs[symbol].lot_size:
        return Volume(0)
    return former.lot_size


def money_of(view: AccountView, quote_of: QuoteOf = no_quotes) -> LeaderMoney | None:
    """What the leader has; equity and free margin only where every quote they rest on is there."""
    if view.trader is None:
        return None
    whole, free = _worth(view, quote_of)
    return LeaderMoney(
        currency=view.currency, money_digits=view.money_digits, balance=view.balance, equity=whole, free_margin=free
    )


def _worth(view: AccountView, quote_of: QuoteOf) -> tuple[int | None, int | None]:
    if not view.positions:
        return view.balance, view.balance
    quotes: dict[str, Quote] = {}
    for name in equity_symbols(view):
        quote = quote_of(view.names[name].symbol) if name in view.names else None
        if quote is None:
            return None, None
        quotes[name] = quote
    newest = max((quote.seen_us for quote in quotes.values()), default=0)
    rates = Rates(view, quotes, newest, QUOTE_AGE_MS)
    whole, free = equity(rates), free_margin(rates)
    scale = 10**view.money_digits
    return (
        None if whole is None else floor_fraction(whole * scale),
        None if free is None else floor_fraction(free * scale),
    )
