"""Integers with units: volumes, prices, money, and the only roundings there are.

Volume is in 1/100 of a unit of the base asset, the wire's own scale. A price is an integer in 1e-8, finer than any
broker quotes, so that averages of several deals keep their digits. Money is an integer of minor units beside the
number of its digits. Ratios are exact fractions. A float never means money here; `openapi/translate.py` converts
once, each way.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import NewType

Volume = NewType("Volume", int)
"""1/100 of a unit of the base asset."""

Price = NewType("Price", int)
"""1e-8 of the quote asset for one unit of the base asset; never negative."""

Distance = NewType("Distance", int)
"""A difference of two prices, in the same 1e-8."""

PRICE_SCALE = 100_000_000
VOLUME_SCALE = 100
RELATIVE_SCALE = 1_000
"""How many price units one 1/100000 of the wire's relative prices and spots is."""


class Side(StrEnum):
    """Which way a trade goes."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for a buy, whose profit grows with the price; -1 for a sell."""
        return 1 if self is Side.BUY else -1


@dataclass(frozen=True, slots=True)
class Quote:
    """The best prices of a symbol, with the server's time of them and ours, in ms and us."""

    bid: Price
    ask: Price
    server_ms: int
    seen_us: int

    def entry(self, side: Side) -> Price:
        """The price at which `side` would open: the ask for a buy, the bid for a sell."""
        return self.ask if side is Side.BUY else self.bid

    def exit(self, side: Side) -> Price:
        """The price at which a position of `side` would close."""
        return self.bid if side is Side.BUY else self.ask


def floor_to(value: int, step: int) -> int:
    """Round towards minus infinity to a multiple of `step` (> 0)."""
    return value - value % step


def ceil_to(value: int, step: int) -> int:
    """Round towards plus infinity to a multiple of `step` (> 0)."""
    return value + -value % step


def nearest_to(value: int, step: int) -> int:
    """Round to the nearest multiple of `step` (> 0), a half upwards."""
    return floor_to(value + step // 2, step)


def floor_fraction(value: Fraction) -> int:
    """The whole part of an exact ratio, towards minus infinity."""
    return value.numerator // value.denominator


def price_from_decimal(value: Decimal) -> Price:
    """Turn a real price into an integer one, a half to even; exact for up to eight decimals."""
    return Price(int((value * PRICE_SCALE).to_integral_value()))


def decimal_text(value: int, scale_digits: int) -> str:
    """Write an integer of 10 to the minus `scale_digits` as a decimal, all digits shown."""
    sign = "-" if value < 0 else ""
    digits = str(abs(value)).rjust(scale_digits + 1, "0")
    return sign + (digits if scale_digits == 0 else f"{digits[:-scale_digits]}.{digits[-scale_digits:]}")


def price_text(price: int, digits: int = 5) -> str:
    """Write a price with a symbol's digits, or with more where the price has more."""
    text = decimal_text(price, 8)
    keep = len(text) - (8 - digits)
    head, tail = text[:keep], text[keep:].rstrip("0")
    return (head + tail).rstrip(".")


def units_text(volume: int) -> str:
    """Write a volume in units of the base asset, as the command line shows it."""
    return decimal_text(volume, 2)
