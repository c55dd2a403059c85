"""What the arithmetic of a size is made of: what it may rest on, what it gives, and how its numbers are written.

Knows no mode and no rule: those are in `sizing.py` and `risk.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import gcd

from cmam.domain.events import Step
from cmam.domain.market.conversion import Rates
from cmam.domain.profiles.policy import Policy
from cmam.domain.values.changes import Change
from cmam.domain.values.quantities import Price, Side, Volume, decimal_text
from cmam.domain.values.reasons import Reason
from cmam.domain.values.symbols import SymbolSpec


@dataclass(frozen=True, slots=True)
class Sized:
    """A volume the broker takes, or the reason why there is none. `whole` is the sum of parts where it is split."""

    volume: Volume
    reason: Reason | None
    working: tuple[Step, ...]
    whole: Volume = Volume(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """All that a size may rest on. `entry` is the copy's price, `risk` the distance to its final stop, both in 1e-8.

    `market` is where the follower itself would enter: its own quote's side, or its pending order's price.
    """

    change: Change
    volume: Volume
    spec: SymbolSpec
    policy: Policy
    rates: Rates
    side: Side
    entry: Price | None = None
    risk: int | None = None
    market: Price | None = None


class Missing(Exception):
    """An input that is not there; `note` says how, for the working."""

    def __init__(
        self, name: str, reason: Reason = Reason.STALE_INPUT, note: str = "missing, not above zero, or too old"
    ) -> None:
        super().__init__(name)
        self.name = name
        self.reason = reason
        self.note = note


def there(name: str, value: Fraction | None, steps: list[Step], note: str = "") -> Fraction:
    """An input above zero, noted with its value; raises Missing for any other."""
    if value is None or value <= 0:
        raise Missing(name)
    steps.append(Step(name=name, value=fraction_text(value), note=note))
    return value


def fraction_text(value: Fraction) -> str:
    """Write an exact number: as a decimal where it ends, else as a ratio."""
    return ratio_text(value.numerator, value.denominator)


def ratio_text(numerator: int, denominator: int) -> str:
    """Write the quotient of two whole numbers, the second above zero, as `fraction_text` does."""
    common = gcd(numerator, denominator)
    if common > 1:
        numerator, denominator = numerator // common, denominator // common
    if denominator == 1:
        return str(numerator)
    rest, twos, fives = denominator, 0, 0
    while not rest & 1:
        rest >>= 1
        twos += 1
    while rest % 5 == 0:
        rest //= 5
        fives += 1
    if rest == 1:
        digits = max(twos, fives)
        return decimal_text(numerator * 10**digits // denominator, digits)
    if denominator.bit_length() > 64:
        return f"about {fraction_text(Fraction(numerator * 10**9 // denominator, 10**9))}"
    return f"{numerator}/{denominator}"


def cents_text(value: Fraction) -> str:
    """Write a number to two decimals, a half to even, without zeros at its end."""
    digits = 2
    scale = 10**digits
    whole, rest = divmod(value.numerator * scale, value.denominator)
    if 2 * rest > value.denominator or (2 * rest == value.denominator and whole % 2):
        whole += 1
    while digits and whole % 10 == 0:
        whole //= 10
        digits -= 1
    return decimal_text(whole, digits)
