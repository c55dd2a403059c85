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

E_ = TypeVar("E_", bound=IntEnum)


class WorldError(ValueError):
    """A world file that cannot be played: where, what was expected, what was found."""


@dataclass(frozen=True, slots=True)
class Table:
    """One TOML table (or a chain of them, nearest first) that remembers where it stands."""

    where: str
    layers: tuple[Mapping[str, Any], ...]

    def has(self, key: str) -> bool:
        return any(key in layer for layer in self.layers)

    def raw(self, key: str, default: Any = None) -> Any:
        for layer in self.layers:
            if key in layer:
                return layer[key]
        if default is None:
            raise WorldError(f"{self._place}expected a value for {key!r}, found none")
        return default

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
            if isinstance(value, bool) or not isinstance(number, Decimal) or not number.is_finite():
                raise InvalidOperation
        except InvalidOperation:
            raise self._fail(key, "a decimal number", value) from None
        return number

    def fixed(self, key: str, one: int, default: str | None = None) -> int:
        value = self.decimal(key, default)
        try:
            return units.scaled(value, one)
        except ValueError as fault:
            raise WorldError(f"{self._place}{key!r}: {fault}") from None

    def choice(self, key: str, allowed: Sequence[str], default: str | None = None) -> int:
        value = self.raw(key, default)
        if value not in allowed:
            raise self._fail(key, " or ".join(allowed), value)
        return allowed.index(value)

    def member(self, key: str, enum: type[E_], default: E_) -> E_:
        value = self.raw(key, default.name)
        if value not in enum.__members__:
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
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value) or (needed and not value):
            raise self._fail(key, "a list of tables", value)
        return [Table(f"{self.where}{key}[{index}]", (row,)) for index, row in enumerate(value)]

    def tables(self, key: str) -> dict[str, Mapping[str, Any]]:
        value = self.raw(key, {})
        if not isinstance(value, dict) or not all(isinstance(row, dict) for row in value.values()):
            raise self._fail(key, "a table of tables", value)
        return value
