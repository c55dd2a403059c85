"""Equity, free margin, exposure and expected margin of an account, from its view and the quotes of one moment.

All in the deposit currency as exact fractions; None where any quote it rests on is missing or too old, never a guess.
The last quote of a market that is closed is not too old: there is no newer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from cmam.domain.belief.asked import ADDING, adding, placing
from cmam.domain.belief.held import Index, index_of, margins, volumes
from cmam.domain.belief.restless import restless
from cmam.domain.belief.view import AccountView
from cmam.domain.market.conversion import Rates, chain_symbols
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import PRICE_SCALE, VOLUME_SCALE, Quote, Side
from cmam.domain.values.rules.opens import RESULTS_STAND_IN
from cmam.domain.values.rules.resting import GROWN_ORDERS
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.values.trades import MarginType, Order, Position

GAIN_SCALE = PRICE_SCALE * VOLUME_SCALE
"""What a price difference times a volume is in: the quote asset over this."""
FEE_SCALE = 10_000
"""pnlConversionFeeRate is in hundredths of a percent (wire.md#money-of-an-account)."""


def money(view: AccountView, minor: int) -> Fraction:
    """Minor units of the account as whole ones."""
    return Fraction(minor, 10**view.money_digits)


def balance(view: AccountView) -> Fraction:
    """The account's balance."""
    return money(view, view.balance)


@dataclass(frozen=True, slots=True)
class _Results:
    """What positions would realise: swaps and commissions in minor units, gains that need no conversion as they are,
    what is left of all others in the deposit currency."""

    booked: int
    own: int
    converted: Fraction | None


def _results(rates: Rates, positions: Iterable[Position]) -> _Results | None:
    """The results of positions, gathered by symbol and sign first, so that each rate is worked out once; what needs no
    conversion is added up in integers, since fractions are slow. None where a quote or a price is missing."""
    view = rates.view
    booked = own = 0
    moved: dict[tuple[SymbolId, bool], int] = {}
    quotes: dict[SymbolId, Quote] = {}
    for position in positions:
        symbol, price = position.symbol, position.price
        quote = quotes.get(symbol)
        if quote is None:
            spec = view.specs.get(symbol)
            quote = (rates.quote(spec.name) or rates.standing(spec)) if spec is not None else None
            if quote is None:
                return None
            quotes[symbol] = quote
        if price is None:
            return None
        # `quote.exit` and `side.sign` written out: this is what a decision asks of each open position.
        if position.side is Side.BUY:
            gain = (quote.bid - price) * position.volume
        else:
            gain = (price - quote.ask) * position.volume
        key = (symbol, gain < 0)
        moved[key] = moved.get(key, 0) + gain
        booked += position.swap + position.commission
    return _converted(rates, booked, own, moved)


def _results_of(rates: Rates, index: Index) -> _Results | None:
    """The same of what all positions come to, kept by symbol and side: no matter how many there are."""
    view = rates.view
    own = 0
    moved: dict[tuple[SymbolId, bool], int] = {}
    for (symbol, side), pile in index.piles.items():
        spec = view.specs.get(symbol)
        quote = (rates.quote(spec.name) or rates.standing(spec)) if spec is not None else None
        if spec is None or quote is None or pile.unpriced:
            return None
        if spec.quote_name == view.currency:
            price = quote.exit(side)
            own += side.sign * (price * pile.volume - pile.worth)
            continue
        for is_loss, gain in enumerate(pile.gains(side, quote)):
            if gain is not None:
                moved[symbol, bool(is_loss)] = moved.get((symbol, bool(is_loss)), 0) + gain
    return _converted(rates, index.booked, own, moved)


def _converted(rates: Rates, booked: int, own: int, moved: Mapping[tuple[SymbolId, bool], int]) -> _Results | None:
    """The results of gains and losses by symbol; None where a rate is missing."""
    view = rates.view
    converted: Fraction | None = None
    for (symbol, is_loss), gain in moved.items():
        spec = view.specs[symbol]
        if spec.quote_name == view.currency:
            own += gain
            continue
        rate = rates.rate(spec.quote_name, view.currency, high=is_loss)
        if rate is None:
            return None
        gross = Fraction(gain, GAIN_SCALE) * rate
        net = gross - abs(gross) * spec.conversion_fee_rate / FEE_SCALE
        converted = net if converted is None else converted + net
    return _Results(booked, own, converted)


def _held(rates: Rates) -> _Results | None:
    """The results of all positions, worked out once for one moment: equity and free margin both rest on them.

    None while it is doubted whether one of them is gone: its result may be in the balance already.
    """
    if rates.view.doubted:
        return None
    if "held" not in rates.reckoned:
        positions = rates.view.positions
        index = index_of(positions)
        reckoned = _results(rates, positions.values()) if index is None else _results_of(rates, index)
        rates.reckoned["held"] = reckoned
    found = rates.reckoned["held"]
    assert found is None or isinstance(found, _Results)
    return found


def _worth(rates: Rates, minor: int, results: _Results) -> Fraction:
    """So much money in minor units, and results."""
    minor += results.booked
    scale = 10**rates.view.money_digits
    if results.own:
        total = Fraction(minor * GAIN_SCALE + results.own * scale, scale * GAIN_SCALE)
    else:
        total = Fraction(minor, scale)
    return total if results.converted is None else total + results.converted


def equity(rates: Rates) -> Fraction | None:
    """Balance and the floating results of all positions."""
    found = _held(rates)
    return None if found is None else _worth(rates, rates.view.balance, found)


def told_equity(view: AccountView, now_us: int, max_age_ms: int) -> Fraction | None:
    """Balance and the results by the broker's own reckoning; None where that is too old or lacks a position, or while
    it is doubted whether one is gone."""
    if not view.results_us or now_us - view.results_us > max_age_ms * 1_000 or view.positions.keys() - view.results:
        return None
    if view.doubted:
        return None
    return balance(view) + money(view, sum(view.results[position] for position in view.positions))


def is_dark(view: AccountView, found: Mapping[str, Quote | None], now_us: int, max_age_ms: int) -> bool:
    """Whether neither these quotes nor the broker's own results tell what an account is worth."""
    quotes = {name: quote for name, quote in found.items() if quote is not None}
    oldest_us = min([quote.seen_us for quote in quotes.values()], default=now_us)
    if len(quotes) == len(found) and now_us - oldest_us <= max_age_ms * 1_000:
        return False
    whole = equity(Rates(view, quotes, now_us, max_age_ms))
    return whole is None and told_equity(view, now_us, max_age_ms) is None


def free_margin(rates: Rates) -> Fraction | None:
    """Equity less used margin."""
    found = _held(rates)
    if found is None:
        return None
    return _worth(rates, rates.view.balance - used_margin(rates.view), found)


def told_free_margin(rates: Rates) -> Fraction | None:
    """The same by the broker's own results, for where quotes do not tell it."""
    view = rates.view
    whole = told_equity(view, rates.now_us, rates.max_age_ms) if view.rules >= RESULTS_STAND_IN else None
    return None if whole is None else whole - money(view, used_margin(view))


def used_margin(view: AccountView) -> int:
    """What all positions bind, in minor units, as the account counts them."""
    return bound(margins(view.positions), view.trader.margin_type if view.trader is not None else MarginType.SUM)


def bound(parts: Iterable[tuple[SymbolId, Side, int]], counted: MarginType) -> int:
    """What margins of symbols and sides bind together, in their units (wire.md#money-of-an-account): both sides of a
    symbol, or the larger one. So too where their difference counts: whether what such positions show is netted already
    is not known."""
    if counted is MarginType.SUM:
        return sum([margin for _, _, margin in parts])
    sides: dict[tuple[SymbolId, Side], int] = {}
    for symbol, side, margin in parts:
        sides[symbol, side] = sides.get((symbol, side), 0) + margin
    symbols = {symbol for symbol, _ in sides}
    return sum(max(sides.get((symbol, side), 0) for side in Side) for symbol in symbols)


def notional(rates: Rates, spec: SymbolSpec, volume: int) -> Fraction | None:
    """What a volume of a symbol is worth in the deposit currency, at the dearer side."""
    rate = base_rate(rates, spec)
    return None if rate is None else Fraction(volume * rate.numerator, VOLUME_SCALE * rate.denominator)


def base_rate(rates: Rates, spec: SymbolSpec, currency: str = "") -> Fraction | None:
    """What one unit of a symbol's base is worth in a currency, the deposit's unless another is named: by its own quote
    where that leads there."""
    currency = currency or rates.view.currency
    if spec.base_name and spec.base_name == currency:
        return Fraction(1)
    quote = rates.quote(spec.name) or rates.standing(spec)
    if quote is not None:
        price = Fraction(quote.ask, PRICE_SCALE)
        if spec.quote_name == currency:
            return price
        onward = rates.rate(spec.quote_name, currency, high=True)
        if onward is not None:
            return price * onward
    return rates.rate(spec.base_name, currency, high=True)


def in_flight(view: AccountView) -> Iterator[tuple[SymbolId, int]]:
    """The volumes that may still be added: by requests without an outcome, together for each symbol, and by resting
    copies."""
    if not view.intents and not restless(view.copies):
        return
    yield from adding(view.intents)
    for intent in placing(view.intents):
        copy = view.copies.get(intent.key)
        if copy is None or copy.order is None:
            yield intent.command.symbol, max(0, intent.command.volume - intent.filled)
    for copy in restless(view.copies):
        order = view.orders.get(copy.order) if copy.order is not None else None
        if order is not None:
            volume, terms = order.volume, copy.goal.terms
            if terms is not None and view.rules >= GROWN_ORDERS:
                volume = max(volume, terms.volume)  # its amendment may be under way
            yield copy.symbol, max(0, volume - order.executed_volume)


def sides_of_nets(view: AccountView) -> dict[SymbolId, dict[Side, int]]:
    """What a netted account may come to in each symbol, long and short apart: what shares hold, what others have added
    to nets, what rests and what is under way. Either side is what the net becomes once the other has been closed."""
    found: dict[SymbolId, dict[Side, int]] = {}
    others: dict[SymbolId, int] = {}

    def count(symbol: SymbolId, side: Side, volume: int) -> None:
        sides = found.setdefault(symbol, {Side.BUY: 0, Side.SELL: 0})
        sides[side] += volume

    for held in view.positions.values():
        others[held.symbol] = others.get(held.symbol, 0) + held.side.sign * held.volume
    for copy in view.copies.values():
        if copy.share:
            count(copy.symbol, copy.side, copy.volume)
            others[copy.symbol] = others.get(copy.symbol, 0) - copy.side.sign * copy.volume
    for symbol, volume in others.items():
        count(symbol, Side.BUY if volume > 0 else Side.SELL, abs(volume))
    for intent in view.intents.values():
        asked, of = intent.command, view.copies.get(intent.key)
        gives_up = of is not None and asked.side is not of.side
        is_to_rest = asked.kind is CommandKind.PLACE and (of is None or of.order is None)
        if (asked.kind in ADDING and not gives_up) or is_to_rest:
            count(asked.symbol, asked.side, max(0, asked.volume - intent.filled))
    for copy in restless(view.copies):
        order = view.orders.get(copy.order) if copy.order is not None else None
        if order is not None:
            wanted = copy.goal.terms.volume if copy.goal.terms is not None else 0  # its amendment may be under way
            count(copy.symbol, copy.side, max(0, max(order.volume, wanted) - order.executed_volume))
    for order in others_resting(view):
        count(order.symbol, order.side, order.volume - order.executed_volume)
    return found


def others_resting(view: AccountView) -> tuple[Order, ...]:
    """The resting orders on an account that are no copies'."""
    ours = {copy.order for copy in restless(view.copies)}
    return tuple(order for order in view.orders.values() if order.order not in ours)


def _sum(
    rates: Rates,
    volumes: Iterable[tuple[SymbolId, int]],
    worth: Callable[[Rates, SymbolSpec, int], Fraction | None],
) -> Fraction | None:
    """What volumes come to, gathered by symbol first; None where one of them has no worth that is known."""
    gathered: dict[SymbolId, int] = {}
    for symbol, volume in volumes:
        gathered[symbol] = gathered.get(symbol, 0) + volume
    total = Fraction(0)
    for symbol, volume in gathered.items():
        spec = rates.view.specs.get(symbol)
        part = worth(rates, spec, volume) if spec is not None else None
        if part is None:
            return None
        total += part
    return total


def exposure(rates: Rates) -> Fraction | None:
    """The notional of all positions and of what is in flight, whatever its side."""
    return _sum(rates, (*volumes(rates.view.positions), *in_flight(rates.view)), notional)


def symbols_for(view: AccountView, spec: SymbolSpec) -> tuple[str, ...]:
    """The names of the symbols whose quotes value a position in `spec`."""
    if spec.quote_name == view.currency:
        return (spec.name,)
    return (spec.name, *chain_symbols(view, spec.quote_name, view.currency))


def equity_symbols(view: AccountView) -> tuple[str, ...]:
    """The names of the symbols whose quotes equity rests on."""
    found: dict[str, None] = {}
    for symbol in dict.fromkeys([position.symbol for position in view.positions.values()]):
        spec = view.specs.get(symbol)
        if spec is not None:
            found.update(dict.fromkeys(symbols_for(view, spec)))
    return tuple(found)
