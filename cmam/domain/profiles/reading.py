"""Readers of setting values: text in, a value out, ValueError for what cannot be. They know no setting by name."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_T = TypeVar("_T")

_NUMBER = re.compile(r"-?(\d{1,15}(\.\d{0,12})?|\.\d{1,12})", re.ASCII)
"""Fifteen digits before the point, twelve after it: more than any money or volume needs, and never a slow number."""

TEXT_CHARACTERS_MAX = 200


def number(text: str) -> Fraction:
    """Read an exact decimal number."""
    clean = text.strip()
    if _NUMBER.fullmatch(clean) is None:
        raise ValueError(text)
    return Fraction(clean.rstrip(".") or "x")


def positive(text: str) -> Fraction:
    """Read an exact number above zero."""
    value = number(text)
    if value <= 0:
        raise ValueError(text)
    return value


def not_negative(text: str) -> Fraction:
    """Read an exact number of at least zero."""
    value = number(text)
    if value < 0:
        raise ValueError(text)
    return value


def at_least_one(text: str) -> Fraction:
    """Read an exact number of at least one."""
    value = number(text)
    if value < 1:
        raise ValueError(text)
    return value


def count(text: str) -> int:
    """Read a whole number above zero."""
    value = positive(text)
    if value.denominator != 1:
        raise ValueError(text)
    return value.numerator


POINTS_MAX = 2**31 - 1
"""The most points that a request of the API can carry."""


def points(text: str) -> int:
    """Read a whole number of points above zero that a request can carry."""
    value = count(text)
    if value > POINTS_MAX:
        raise ValueError(text)
    return value


def switch(text: str) -> bool:
    """Read on or off."""
    return {"on": True, "off": False, "true": True, "false": False, "yes": True, "no": False}[text.strip().lower()]


def or_off(read: Callable[[str], _T]) -> Callable[[str], _T | None]:
    """Read a value, or `off` for none."""

    def reader(text: str) -> _T | None:
        return None if text.strip().lower() in ("off", "none") else read(text)

    return reader


_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "": 1_000}


def span_ms(text: str) -> int:
    """Read a span such as 500ms, 30s, 2m, 1h or 1d, in ms; a bare number is seconds."""
    clean = text.strip().lower()
    digits = clean.rstrip("msdh")
    value = not_negative(digits) * _UNITS_MS[clean[len(digits) :].strip()]
    if value.denominator != 1 or value > 366 * 86_400_000:
        raise ValueError(text)
    return value.numerator


def positive_span_ms(text: str) -> int:
    """Read a span above zero, in ms."""
    value = span_ms(text)
    if value <= 0:
        raise ValueError(text)
    return value


def words(text: str) -> tuple[str, ...]:
    """Read a list separated by commas; no empty entries, none twice."""
    found = tuple(word.strip() for word in text.split(","))
    if not all(found) or len(set(found)) != len(found):
        raise ValueError(text)
    return found


@dataclass(frozen=True, slots=True)
class Amount:
    """Money in whole units of a currency, or a part of something."""

    value: Fraction
    is_percent: bool = False

    def of(self, whole: Fraction) -> Fraction:
        """The money it means, where a percentage is one of `whole`."""
        return whole * self.value / 100 if self.is_percent else self.value

    def __str__(self) -> str:
        whole, part = divmod(self.value.numerator * 10**6 // self.value.denominator, 10**6)
        text = f"{whole}.{part:06d}".rstrip("0").rstrip(".")
        return f"{text}%" if self.is_percent else text


def amount(text: str) -> Amount:
    """Read money such as 500, or a percentage such as 5%."""
    clean = text.strip()
    if clean.endswith("%"):
        return Amount(positive(clean[:-1]), is_percent=True)
    return Amount(positive(clean))


def zone(name: str) -> str:
    """Read the name of an IANA zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise ValueError(name) from error
    return name


_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|(24):(00)", re.ASCII)


def minutes(text: str) -> int:
    """Read a time of day such as 09:30 in minutes since midnight; 24:00 is the end of the day."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    hour, minute = (match[1], match[2]) if match[1] is not None else (match[3], match[4])
    return int(hour) * 60 + int(minute)


@dataclass(frozen=True, slots=True)
class Window:
    """A span of the day in minutes, end excluded; it wraps midnight where it ends before it begins."""

    start: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day lies inside."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


@dataclass(frozen=True, slots=True)
class Hours:
    """When opens are allowed: windows of the day in one zone; no windows mean always."""

    windows: tuple[Window, ...] = ()
    zone: str = "UTC"


def hours(text: str) -> Hours:
    """Read windows such as `08:00-17:00,22:00-02:00 Europe/Berlin`, or `always`."""
    clean = text.strip()
    if clean.lower() == "always":
        return Hours()
    spans, _, name = clean.partition(" ")
    windows: list[Window] = []
    for span in words(spans):
        start, dash, end = span.partition("-")
        window = Window(minutes(start), minutes(end))
        if not dash or window.start == window.end or window.start == 1440:
            raise ValueError(text)
        windows.append(window)
    return Hours(tuple(windows), zone(name.strip() or "UTC"))


DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WHOLE_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def names_days(text: str) -> bool:
    """Whether each word names a day or a span of two. `days`, which reads what is stored, looks at three letters."""
    clean = text.strip().lower()
    return clean == "all" or all(
        word.count("-") < 2
        and all(any(name.startswith(day.strip()) for name in _WHOLE_NAMES) for day in word.split("-"))
        for word in words(clean)
    )


def days(text: str) -> tuple[int, ...]:
    """Read days such as `mon-fri` or `mon,wed,sun` as numbers, Monday 0; `all` is every day."""
    clean = text.strip().lower()
    if clean == "all":
        return tuple(range(7))
    found: set[int] = set()
    for word in words(clean):
        first, dash, last = word.partition("-")
        start, end = DAY_NAMES.index(first[:3]), DAY_NAMES.index((last if dash else first)[:3])
        found.update((start + step) % 7 for step in range((end - start) % 7 + 1))
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class ResetAt:
    """When a day begins, in minutes after midnight of an IANA zone."""

    minute: int = 0
    zone: str = "UTC"


def reset_at(text: str) -> ResetAt:
    """Read a moment of the day such as `17:00 America/New_York`."""
    clock, _, name = text.strip().partition(" ")
    minute = minutes(clock)
    if minute == 1440:
        raise ValueError(text)
    return ResetAt(minute, zone(name.strip() or "UTC"))


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """Which labels or comments of a leader's trades pass; `kind` is any, exact, prefix or pattern."""

    kind: str = "any"
    text: str = ""

    def passes(self, label: str, comment: str) -> bool:
        """Whether label or comment fits."""
        match self.kind:
            case "exact":
                return self.text in (label, comment)
            case "prefix":
                return label.startswith(self.text) or comment.startswith(self.text)
            case "pattern":
                return fnmatch.fnmatchcase(label, self.text) or fnmatch.fnmatchcase(comment, self.text)
            case _:
                return True


def label_filter(text: str) -> LabelFilter:
    """Read `any`, `exact:TEXT`, `prefix:TEXT` or `pattern:T*XT`; a bare text is exact."""
    clean = text.strip()
    if not clean or len(clean) > TEXT_CHARACTERS_MAX:
        raise ValueError(text)
    if clean == "any":
        return LabelFilter()
    kind, colon, rest = clean.partition(":")
    if colon and kind in ("exact", "prefix", "pattern"):
        if not rest:
            raise ValueError(text)
        return LabelFilter(kind, rest)
    return LabelFilter("exact", clean)


@dataclass(frozen=True, slots=True)
class Rounding:
    """What becomes of a volume below the minimum and above the maximum."""

    raises: bool = False
    splits: bool = False


def rounding(text: str) -> Rounding:
    """Read one word for each end: skip or raise below the minimum, cap or split above the maximum."""
    found = words(text.lower())
    if len(found) > 2 or not set(found) <= {"skip", "raise", "cap", "split"}:
        raise ValueError(text)
    if {"skip", "raise"} <= set(found) or {"cap", "split"} <= set(found):
        raise ValueError(text)
    return Rounding("raise" in found, "split" in found)


def blind(text: str) -> int | None:
    """Read `hold`, or `close_after SPAN`, in ms."""
    clean = text.strip().lower()
    if clean == "hold":
        return None
    first, _, rest = clean.partition(" ")
    if first != "close_after":
        raise ValueError(text)
    return positive_span_ms(rest)
