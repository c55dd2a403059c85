"""The broker's arithmetic (wire.md#money-of-an-account): profit, commission, fee, margin, swap. Exact, each rounding
named.

Pure: everything comes in as numbers. Amounts are in minor units of the account; costs are negative.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from cmam.sandbox import units
from cmam.sandbox.books.ledger import BUY
from cmam.sandbox.world import CommissionType, SwapType, Symbol

MILLION = 1_000_000
PRECISE = 10**8
"""Scale of preciseTradingCommissionRate and preciseMinCommission."""
PERCENT_PRECISE = 10**5
YEAR_DAYS = 360
"""Days that a yearly swap percentage is spread over."""


def gross_profit(side: int, entry: int, close: int, volume: int, rate: int, digits: int) -> int:
    """Count what closing `volume` earns: price difference times units times quote-to-deposit rate, to the nearest."""
    difference = close - entry if side == BUY else entry - close
    return units.nearest(difference * volume * rate * 10**digits, units.PRICE * units.VOLUME * units.RATE)


def conversion_fee(gross: int, symbol: Symbol, currency: str) -> int:
    """Count the fee for converting a profit or loss into the deposit currency, away from zero."""
    if symbol.quote == currency or not symbol.conversion_fee_rate:
        return 0
    return -units.away_from_zero(abs(gross) * symbol.conversion_fee_rate, 10_000)


def commission(
    symbol: Symbol, volume: int, price: int, *, usd: int, base_usd: int, quote: int, least: int, digits: int
) -> int:
    """Count one side's commission, away from zero and negative.

    `usd`, `base_usd`, `quote` and `least` are rates: USD to deposit, base to USD, quote to deposit, and the minimum
    commission's own asset to deposit.
    """
    scale = 10**digits
    minor = {
        CommissionType.USD_PER_LOT: (symbol.commission_rate * volume * usd, PRECISE * symbol.lot_size * units.RATE),
        CommissionType.QUOTE_CCY_PER_LOT: (
            symbol.commission_rate * volume * quote,
            PRECISE * symbol.lot_size * units.RATE,
        ),
        CommissionType.USD_PER_MILLION_USD: (
            symbol.commission_rate * volume * base_usd * usd,
            PRECISE * MILLION * units.VOLUME * units.RATE * units.RATE,
        ),
        CommissionType.PERCENTAGE_OF_VALUE: (
            symbol.commission_rate * volume * price * quote,
            PERCENT_PRECISE * 100 * units.VOLUME * units.PRICE * units.RATE,
        ),
    }[symbol.commission_type]
    amount = units.away_from_zero(minor[0] * scale, minor[1])
    return -max(amount, units.away_from_zero(symbol.min_commission * least * scale, PRECISE * units.RATE))


def margin(volume: int, rate: int, leverage_cents: int, digits: int) -> int:
    """Count the margin of a volume: units times the base-to-deposit rate through the leverage, to the nearest."""
    return units.nearest(volume * rate * 100 * 10**digits, units.VOLUME * units.RATE * leverage_cents)


def tiered_margin(
    volume: int, rate: int, base_usd: int, tiers: tuple[tuple[int, int], ...], leverage_cents: int, digits: int
) -> int:
    """Count the margin under dynamic leverage: each slice of the exposure in USD at its tier's leverage.

    The account's leverage counts where it is lower; above the last tier that one goes on. Tiers are (limit in USD
    cents, leverage).
    """
    exposure = volume * base_usd // units.RATE  # volume is in 1/100 unit, so this is USD cents
    if exposure <= 0:
        return units.nearest(volume * rate * 100 * 10**digits, units.VOLUME * units.RATE * leverage_cents)
    weighted, below = Fraction(0), 0
    for index, (limit, leverage) in enumerate(tiers):
        top = exposure if index == len(tiers) - 1 else min(limit, exposure)
        if top > below:
            weighted += Fraction(top - below, min(100 * leverage, leverage_cents))
            below = top
    amount = Fraction(volume * rate * 100 * 10**digits, units.VOLUME * units.RATE * exposure) * weighted
    return units.nearest(amount.numerator, amount.denominator)


def swap(symbol: Symbol, side: int, volume: int, price: int, rate: int, days: int, digits: int) -> int:
    """Count the swap of `days` nights, away from zero when it is a cost, to the nearest when it is earned."""
    points = symbol.swap_long if side == BUY else symbol.swap_short
    if symbol.swap_type is SwapType.PERCENTAGE:
        quote_amount = points / 100 / YEAR_DAYS * Decimal(price) / units.PRICE
    else:
        decimals = symbol.pip if symbol.swap_type is SwapType.PIPS else symbol.digits
        quote_amount = points.scaleb(-decimals)
    amount = quote_amount * volume / units.VOLUME * rate / units.RATE * days
    scaled = int(amount.scaleb(digits + 6))
    return units.nearest(scaled, 10**6) if scaled >= 0 else units.away_from_zero(scaled, 10**6)


def share(whole: int, part: int, total: int) -> int:
    """Give the part of an amount that goes with `part` of `total`; the last part takes the rest, so shares add up."""
    return whole if part == total else units.nearest(whole * part, total)
