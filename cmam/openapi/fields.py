"""Single fields of a message, each read with the question whether it is there.

The schema's enumerations are closed (wire.md#unknown-fields-and-words): a word that it does not know reads as absent,
and what an absent field reads as is the schema's first word, or 0. A default of that kind would be a trade, so nothing
here trusts one. Whatever a server sends, these raise RemoteError or give a value that the domain can hold. Knows no
entity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any, Final, TypeVar

from google.protobuf.unknown_fields import UnknownFieldSet

from cmam.domain.values.quantities import PRICE_SCALE, RELATIVE_SCALE, Distance, Price, Side, price_from_decimal
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.envelope import text
from cmam.openapi.errors import RemoteError

E = TypeVar("E", bound=Enum)

PRICE_MAX: Final = 1e10
"""No price is larger; a double beyond is garbage."""
EXACT_MAX: Final = 10**15
"""Below this a double tells every integer in 1e-8 from the next."""
MONEY_DIGITS_MAX: Final = 18
"""More digits do not fit into the integer beside them."""
MOMENT_MS_MAX: Final = 253_402_300_799_000
"""The last second that a calendar can show."""

WORDS_MAX: Final = 1_000
"""Characters kept of a text: labels have 100 and comments 512 at most (wire.md#units), and reports are kept for
good."""

SIDES: Final = {model.BUY: Side.BUY, model.SELL: Side.SELL}


def price(value: float) -> Price:
    """A real price as an integer one; raises RemoteError for what is no price."""
    if not 0 <= value < PRICE_MAX:
        raise RemoteError(f"expected a price, found {value!r}")
    near = round(value * PRICE_SCALE)
    if near / PRICE_SCALE == value and near < EXACT_MAX:  # a decimal of at most eight places, and this is it
        return Price(near)
    return price_from_decimal(Decimal(repr(value)))


def optional_price(message: Any, field: str) -> Price | None:
    """A price field that may be absent; 0 means absent too, since no level or price is 0."""
    if not message.HasField(field):
        return None
    found = price(getattr(message, field))
    return found if found > 0 else None


def distance(message: Any, field: str) -> Distance | None:
    """A relative level that may be absent, arriving in 1/100000 of price; 0 means absent too."""
    value = getattr(message, field) if message.HasField(field) else 0
    if value > PRICE_MAX * PRICE_SCALE / RELATIVE_SCALE:
        raise RemoteError(f"expected a distance in 1/100000 of price, found {value}")
    return Distance(value * RELATIVE_SCALE) if value > 0 else None


def word(message: Any, field: str, table: Mapping[Any, E], unknown: E, absent: E | None = None) -> E:
    """An enumerated field: `unknown` for a word outside the table and, without `absent`, for none at all."""
    if message.HasField(field):
        return table.get(getattr(message, field), unknown)
    if absent is None:
        return unknown
    number = message.DESCRIPTOR.fields_by_name[field].number
    others: Iterable[Any] = UnknownFieldSet(message)  # type: ignore[assignment]  # the stub lacks what it is for
    was_sent = any(entry.field_number == number for entry in others)
    return unknown if was_sent else absent


def side(message: Any) -> Side:
    """Which way it goes; there is no default for that."""
    if not message.HasField("tradeSide") or message.tradeSide not in SIDES:
        raise RemoteError(f"expected a trade side, found none that is known in {message.DESCRIPTOR.name}")
    return SIDES[message.tradeSide]


def needed(message: Any, field: str, *, least: int = 0) -> int:
    """An integer that must be there and at least `least`; 0 where it is absent would be a meaning of its own."""
    value = int(getattr(message, field))
    if not message.HasField(field) or value < least:
        found = value if message.HasField(field) else "none"
        raise RemoteError(f"expected {field} >= {least} in {message.DESCRIPTOR.name}, found {found}")
    return value


def moment_ms(value: int) -> int:
    """A moment as it is told, kept within what a calendar can show: beyond it nobody could put it on a screen again."""
    return value if 0 <= value <= MOMENT_MS_MAX else min(max(value, 0), MOMENT_MS_MAX)


def words(value: object) -> str:
    """A text as it is told, of bounded length: a megabyte of comment in every report would fill the disk."""
    return (value if isinstance(value, str) else text(value))[:WORDS_MAX]


def money_digits(message: Any) -> int:
    """How many digits the money of an entity has; 2 where the broker does not say: then those of its account hold."""
    digits = int(message.moneyDigits) if message.HasField("moneyDigits") else 2
    if digits > MONEY_DIGITS_MAX:
        raise RemoteError(f"expected at most {MONEY_DIGITS_MAX} digits of money, found {digits}")
    return digits


def in_digits(message: Any, digits: int) -> Callable[[int], int]:
    """What turns the money of an answer into minor units of its account, which has so many digits: an answer that says
    so counts in others (wire.md#units)."""
    own = money_digits(message) if message.HasField("moneyDigits") else digits
    if own <= digits:
        return lambda minor: minor * 10 ** (digits - own)
    return lambda minor: round(Fraction(minor, 10 ** (own - digits)))
