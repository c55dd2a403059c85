"""Numbers of the sandbox: integers inside, the wire's doubles at the edge, and the two ways in which the broker rounds.

Prices are integers in 1/100_000_000; volumes in 1/100 of a unit, as on the wire; money in minor units of its account;
rates between assets in 1/1_000_000_000_000. Shares nothing with the copier: shared code would hide a shared bug.
"""

from __future__ import annotations

import math
from decimal import Decimal

PRICE = 100_000_000
"""One in prices."""
PRICE_DIGITS = 8
WIRE_PRICE = 100_000
"""One in spots, bars, ticks and relative levels, whatever the symbol's digits (wire.md#units)."""
PRICE_PER_WIRE = PRICE // WIRE_PRICE
VOLUME = 100
"""One unit of the base asset in volumes."""
RATE = 1_000_000_000_000
"""One in conversion rates."""
PRICE_MAX = 10_000_000 * PRICE

SECOND_US = 1_000_000
MILLISECOND_US = 1_000
MINUTE_US = 60 * SECOND_US
DAY_US = 86_400 * SECOND_US
WEEK_MS = 604_800_000


def nearest(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest integer, halves away from zero: profits, margins, averages."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient, rest = divmod(abs(numerator), denominator)
    if 2 * rest >= denominator:
        quotient += 1
    return quotient if numerator >= 0 else -quotient


def away_from_zero(numerator: int, denominator: int) -> int:
    """Divide and round away from zero: costs (wire.md#money-of-an-account: 0.025 is booked as 3 cents)."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient = -(-abs(numerator) // denominator)
    return quotient if numerator >= 0 else -quotient


def price_out(price: int) -> float:
    """Give a price as the double that orders, positions and deals carry."""
    return price / PRICE


def price_in(value: float) -> int | None:
    """Read a double from the wire as a price; None unless it is finite, below `PRICE_MAX` and above 0 when rounded."""
    if not math.isfinite(value) or value <= 0 or value * PRICE >= PRICE_MAX:
        return None
    return round(Decimal(repr(value)) * PRICE) or None


def price_text(price: int, digits: int) -> str:
    """Write a price with the symbol's digits, for descriptions."""
    return f"{Decimal(price) / PRICE:.{digits}f}"


def wire_price(price: int) -> int:
    """Give a price in 1/100000, rounded to the nearest."""
    return (price + PRICE_PER_WIRE // 2) // PRICE_PER_WIRE


def tick_size(digits: int) -> int:
    """Give the smallest step of a price with that many digits."""
    return int(10 ** (PRICE_DIGITS - digits))


def rate_out(rate: int) -> float:
    """Give a conversion rate as a double."""
    return rate / RATE


def scaled(text: str | int | Decimal, one: int) -> int:
    """Read a decimal number as an integer in 1/`one`; raises ValueError when it has more decimals than that."""
    value = Decimal(text) * one
    if not value.is_finite() or value != value.to_integral_value():
        raise ValueError(f"expected at most {len(str(one)) - 1} decimals, found {text}")
    return int(value)
