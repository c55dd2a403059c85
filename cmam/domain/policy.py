"""The policy of a link: every setting, its default, and what it may be.

The log keeps a policy as text by name, only what differs from the defaults; `Policy` is that text understood. One table
says all there is about a setting: parsing, defaults, refusals and the page `docs/settings.md` come from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any


class VolumeMode(StrEnum):
    """How much of the leader's volume a follower trades."""

    MULTIPLIER = "multiplier"


class VolumeBasis(StrEnum):
    """What the multiplied thing is: lots of each broker, or units of the base asset."""

    LOTS = "lots"
    UNITS = "units"


class BadSetting(ValueError):
    """A value that a setting cannot have: names the setting, the value and what is allowed."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        super().__init__(f"{name}: expected {allowed}, found {value!r}")
        self.name = name
        self.value = value
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: `field` is its name in `Policy`, `read` turns text into its value or raises ValueError."""

    name: str
    field: str
    read: Callable[[str], Any]
    default: str
    allowed: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one follower copies its leader; every field is a row of `SETTINGS`."""

    volume_mode: VolumeMode
    volume_amount: Fraction
    volume_basis: VolumeBasis
    max_age_ms: int
    copy_sl: bool
    copy_tp: bool


def positive(text: str) -> Fraction:
    """Read an exact number above zero."""
    value = Fraction(text)
    if value <= 0 or "/" in text:
        raise ValueError(text)
    return value


def switch(text: str) -> bool:
    """Read on or off."""
    return {"on": True, "off": False, "true": True, "false": False}[text.lower()]


_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}


def span_ms(text: str) -> int:
    """Read a span such as 500ms, 30s or 2m."""
    number = text.rstrip("msh")
    value = Fraction(number) * _UNITS_MS[text[len(number) :] or "s"]
    if value < 0 or value.denominator != 1:
        raise ValueError(text)
    return value.numerator


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "volume.mode", "volume_mode", VolumeMode, "multiplier", "one of: multiplier", "How the copy's volume is found."
    ),
    Setting(
        "volume.amount",
        "volume_amount",
        positive,
        "1",
        "a finite number above 0, such as 0.5",
        "The number that the mode uses; with `multiplier`, the copy is the leader's volume times this.",
    ),
    Setting(
        "volume.basis",
        "volume_basis",
        VolumeBasis,
        "lots",
        "one of: lots, units",
        "What is multiplied: lots as each broker defines them, or units of the base asset.",
    ),
    Setting(
        "max_age",
        "max_age_ms",
        span_ms,
        "30s",
        "a span such as 500ms, 30s or 2m",
        "The oldest change of the leader that may still open or add something.",
    ),
    Setting("copy_sl", "copy_sl", switch, "on", "on or off", "Copy the leader's stop losses."),
    Setting("copy_tp", "copy_tp", switch, "on", "on or off", "Copy the leader's take profits."),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}


def check_settings(settings: Mapping[str, str]) -> tuple[BadSetting, ...]:
    """Find every value that cannot be, and every name that is no setting."""
    found: list[BadSetting] = []
    for name, value in settings.items():
        setting = BY_NAME.get(name)
        if setting is None:
            found.append(BadSetting(name, value, f"one of the settings {', '.join(BY_NAME)}"))
            continue
        try:
            setting.read(value)
        except (ValueError, KeyError, ZeroDivisionError, OverflowError):
            found.append(BadSetting(name, value, setting.allowed))
    return tuple(found)


def policy_of(settings: Mapping[str, str]) -> Policy:
    """Understand stored settings, defaults filled in; a stored value that is no longer allowed falls to its default."""
    fields: dict[str, Any] = {}
    for setting in SETTINGS:
        try:
            fields[setting.field] = setting.read(settings.get(setting.name, setting.default))
        except (ValueError, KeyError, ZeroDivisionError, OverflowError):
            fields[setting.field] = setting.read(setting.default)
    return Policy(**fields)
