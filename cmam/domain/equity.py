"""Equity, free margin, exposure and expected margin of an account, from its view and the quotes of one moment.

All in the deposit currency as exact fractions; None where any quote it rests on is missing or too old, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from cmam.domain.commands import CommandKind
from cmam.domain.conversion import Rates, chain_symbols
from cmam.domain.ids import SymbolId
from cmam.domain.quantities import PRICE_SCALE, VOLUME_SCALE
from cmam.domain.symbols import SymbolSpec
from cmam.domain.trades import Position
from cmam.domain.view import AccountView

FEE_SCALE = 10_000
"""pnlConversionFeeRate is in hundredths of a percent (FACTS §4.9)."""
LEVERAGE_SCALE = 100


def money(view: AccountView, minor: int) -> Fraction:
    """Minor units of the account as whole ones."""
    return Fraction(minor, 10**view.money_digits)


def balance(view: AccountView) -> Fraction:
    """The account's balance."""
    return money(view, view.balance)


def floating(rates: Rates, position: Position) -> Fraction | None:
    """What a position would realise now, swap, commission and conversion fee included; losses at the dearer rate."""
    view = rates.view
    spec = view.specs.get(position.symbol)
    if spec is None or position.price is None:
        return None
    quote = rates.quote(spec.name)
    if quote is None:
        return None
    moved = (quote.exit(position.side) - position.price) * position.side.sign
    in_quote = Fraction(moved * position.volume, PRICE_SCALE * VOLUME_SCALE)
    if spec.quote_name == view.currency:
        gross, fee = in_quote, Fraction(0)
    else:
        rate = rates.rate(spec.quote_name, view.currency, high=moved < 0)
        if rate is None:
            return None
        gross = in_quote * rate
        fee = abs(gross) * spec.conversion_fee_rate / FEE_SCALE
    return gross - fee + money(view, position.swap + position.commission)


def equity(rates: Rates, *, with_bonus: bool = False) -> Fraction | None:
    """Balance and the floating results of all positions."""
    total = balance(rates.view)
    if with_bonus and rates.view.trader is not None:
        total += money(rates.view, rates.view.trader.bonus)
    for position in rates.view.positions.values():
        result = floating(rates, position)
        if result is None:
            return None
        total += result
    return total


def free_margin(rates: Rates) -> Fraction | None:
    """Equity less used margin."""
    whole = equity(rates)
    if whole is None:
        return None
    return whole - money(rates.view, sum(position.used_margin for position in rates.view.positions.values()))


def notional(rates: Rates, spec: SymbolSpec, volume: int) -> Fraction | None:
    """What a volume of a symbol is worth in the deposit currency, at the dearer side."""
    rate = base_rate(rates, spec)
    return None if rate is None else Fraction(volume, VOLUME_SCALE) * rate


def base_rate(rates: Rates, spec: SymbolSpec) -> Fraction | None:
    """What one unit of a symbol's base is worth in the deposit currency: by its own quote where that leads there."""
    currency = rates.view.currency
    if spec.base_name and spec.base_name == currency:
        return Fraction(1)
    quote = rates.quote(spec.name)
    if quote is not None:
        onward = Fraction(1) if spec.quote_name == currency else rates.rate(spec.quote_name, currency, high=True)
        if onward is not None:
            return Fraction(quote.ask, PRICE_SCALE) * onward
    return rates.rate(spec.base_name, currency, high=True)


def expected_margin(rates: Rates, spec: SymbolSpec, volume: int) -> Fraction | None:
    """The margin that a volume would bind by the account's leverage; None where leverage or rate is unknown."""
    trader = rates.view.trader
    worth = notional(rates, spec, volume)
    if trader is None or trader.leverage_cents <= 0 or worth is None:
        return None
    return worth * LEVERAGE_SCALE / trader.leverage_cents


def in_flight(view: AccountView) -> Iterator[tuple[SymbolId, int]]:
    """The volumes that may still be added: requests without an outcome, and resting copies."""
    for intent in view.intents.values():
        if intent.command.kind in (CommandKind.OPEN, CommandKind.ADD, CommandKind.PLACE):
            copy = view.copies.get(intent.key)
            rests = intent.command.kind is CommandKind.PLACE and copy is not None and copy.order is not None
            if not rests:
                yield intent.command.symbol, max(0, intent.command.volume - intent.filled)
    for copy in view.copies.values():
        order = view.orders.get(copy.order) if copy.order is not None else None
        if order is not None:
            yield copy.symbol, max(0, order.volume - order.executed_volume)


def reserved_margin(rates: Rates) -> Fraction | None:
    """The margin that what is in flight will bind."""
    total = Fraction(0)
    for symbol, volume in in_flight(rates.view):
        spec = rates.view.specs.get(symbol)
        part = expected_margin(rates, spec, volume) if spec is not None else None
        if part is None:
            return None
        total += part
    return total


def exposure(rates: Rates) -> Fraction | None:
    """The notional of all positions and of what is in flight, whatever its side."""
    total = Fraction(0)
    held = [(position.symbol, int(position.volume)) for position in rates.view.positions.values()]
    for symbol, volume in (*held, *in_flight(rates.view)):
        spec = rates.view.specs.get(symbol)
        part = notional(rates, spec, volume) if spec is not None else None
        if part is None:
            return None
        total += part
    return total


def symbols_for(view: AccountView, spec: SymbolSpec) -> tuple[str, ...]:
    """The names of the symbols whose quotes value a position in `spec`."""
    if spec.quote_name == view.currency:
        return (spec.name,)
    return (spec.name, *chain_symbols(view, spec.quote_name, view.currency))


def equity_symbols(view: AccountView) -> tuple[str, ...]:
    """The names of the symbols whose quotes equity rests on."""
    found: dict[str, None] = {}
    for position in view.positions.values():
        spec = view.specs.get(position.symbol)
        if spec is not None:
            found.update(dict.fromkeys(symbols_for(view, spec)))
    return tuple(found)
