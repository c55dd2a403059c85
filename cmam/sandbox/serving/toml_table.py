"""One TOML table that is read value by value, each checked, with its place in every complaint.

A table may stand on others: what it does not say itself is looked up in them, nearest first. Knows nothing of worlds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import IntEnum
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cmam.sandbox import units
from cmam.sandbox.near import no_such

E_ = TypeVar("E_", bound=IntEnum)


class WorldError(ValueError):
    """A world file that cannot be played: where, what was expected, what was found."""


NUMBER_MAX = 10**15
"""What no number of a world exceeds, counted in its smallest part: the wire has 64 bits for it."""


class Layer(dict[str, Any]):
    """A table of the file that remembers what it was asked for, so that a key that nobody reads is found."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__((key, _remembering(value)) for key, value in values.items())
        self._asked: set[str] = set()

    def ask(self, key: str) -> Any:
        """Look a value up; None where there is none."""
        self._asked.add(key)
        return self.get(key)

    def check(self, where: str = "") -> None:
        """Refuse a key that nobody asked for, here or in a table within; one that was asked for nothing is unused."""
        for key, value in self.items():
            if self._asked and key not in self._asked:
                words = no_such("key", key, self._asked, f"there are {', '.join(sorted(self._asked))}")
                raise WorldError(f"{where}: {words}" if where else words)
            place = f"{where}.{key}" if where else key
            if isinstance(value, Layer):
                value.check(place)
            elif isinstance(value, list):
                for index, inner in enumerate(value):
                    if isinstance(inner, Layer):
                        inner.check(f"{place}[{index}]")


def _remembering(value: Any) -> Any:
    if isinstance(value, list):
        return [_remembering(item) for item in value]
    return Layer(value) if isinstance(value, dict) else value


@dataclass(frozen=True, slots=True)
class Table:
    """One TOML table (or a chain of them, nearest first) that remembers where it stands."""

    where: str
    layers: tuple[Layer, ...]

    def has(self, key: str) -> bool:
        return any(layer.ask(key) is not None for layer in self.layers)

    def raw(self, key: str, default: Any = None) -> Any:
        found = [value for layer in self.layers if (value := layer.ask(key)) is not None]
        if not found and default is None:
            raise WorldError(f"{self._place}expected a value for {key!r}, found none")
        return found[0] if found else default

    @property
    def _place(self) -> str:
        """What a complaint begins with: nothing for the file as a whole, which is named before."""
        return f"{self.where}: " if self.where else ""

    def _fail(self, key: str, expected: str, found: object) -> WorldError:
        return WorldError(f"{self._place}expected {expected} for {key!r}, found {found!r}")

    def text(self, key: str, default: str | None = None) -> str:
        value = self.raw(key, default)
        if not isinstance(value, str) or (not value and default != ""):
            raise self._fail(key, "a text", value)
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.raw(key, default)
        if not isinstance(value, bool):
            raise self._fail(key, "true or false", value)
        return value

    def number(self, key: str, default: int | None = None, *, least: int = 0, most: int = 2**62) -> int:
        value = self.raw(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._fail(key, f"a whole number from {least} to {most}", value)
        return value

    def decimal(self, key: str, default: str | None = None) -> Decimal:
        value = self.raw(key, default)
        try:
            number = Decimal(value) if isinstance(value, (str, int)) else value
            if isinstance(value, bool) or not isinstance(number, Decimal) or not number.copy_abs() < NUMBER_MAX:
                raise InvalidOperation
        except InvalidOperation:
            raise self._fail(key, "a decimal number", value) from None
        return number

    def fixed(self, key: str, one: int, default: str | None = None, *, least: int = -NUMBER_MAX) -> int:
        value = self.decimal(key, default)
        try:
            amount = units.scaled(value, one)
        except ValueError as fault:
            raise WorldError(f"{self._place}{key!r}: {fault}") from None
        if not least <= amount < NUMBER_MAX:
            ends = f"{Decimal(least) / one:f} to {Decimal(NUMBER_MAX) / one:f}"
            raise self._fail(key, f"a number from {ends}", str(value))
        return amount

    def choice(self, key: str, allowed: Sequence[str], default: str | None = None) -> int:
        value = self.raw(key, default)
        if value not in allowed:
            raise self._fail(key, " or ".join(allowed), value)
        return allowed.index(value)

    def member(self, key: str, enum: type[E_], default: E_) -> E_:
        value = self.raw(key, default.name)
        if not isinstance(value, str) or value not in enum.__members__:
            raise self._fail(key, " or ".join(enum.__members__), value)
        return enum[value]

    def zone(self, key: str, default: str) -> str:
        value = self.text(key, default)
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise self._fail(key, "an IANA time zone", value) from None
        return value

    def rows(self, key: str, *, needed: bool = False) -> list[Table]:
        value = self.raw(key, [])
        if not isinstance(value, list) or not all(isinstance(row, Layer) for row in value) or (needed and not value):
            raise self._fail(key, "a list of tables", value)
        return [Table(f"{self.where}{key}[{index}]", (row,)) for index, row in enumerate(value)]

    def tables(self, key: str) -> dict[str, Layer]:
        value = self.raw(key, {})
        if not isinstance(value, dict) or not all(isinstance(row, Layer) for row in value.values()):
            raise self._fail(key, "a table of tables", value)
        return value
