"""The kinds of settings: what a row of their table says, how its text is read, and what is allowed.

Knows no setting by its name, and nothing of `Policy`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cmam.domain.profiles import reading as r
from cmam.domain.profiles.table import SymbolRow, read_table


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: `field` is its name in `Policy`, `read` turns text into its value or raises ValueError."""

    name: str
    field: str
    read: Callable[[str], Any]
    default: str
    allowed: str
    meaning: str


def _choice(kind: type) -> tuple[Callable[[str], Any], str]:
    return (lambda text: kind(text.strip().lower())), "one of: " + ", ".join(kind)  # type: ignore[arg-type]  # an enum is called by its value


def table(text: str) -> tuple[SymbolRow, ...]:
    """The rows of a symbol table; raises ValueError with all its faults."""
    if not text.strip():
        return ()
    found = read_table(text)
    if found.faults:
        raise ValueError("; ".join(str(fault) for fault in found.faults))
    return found.rows


def names(text: str) -> tuple[str, ...]:
    """Words, or none of them; all of them would be a list of what is left out that leaves out everything."""
    if text.strip().lower() == "all":
        raise ValueError(text)
    return () if text.strip().lower() == "none" else r.words(text)


def include(text: str) -> tuple[str, ...]:
    """An empty list is refused: it never means to copy nothing, silently."""
    return () if text.strip().lower() == "all" else r.words(text)


NUMBER = "a finite number above 0, such as 0.5"
SPAN = "a span such as 500ms, 30s or 2m"
_SWITCH = "on or off"
_PIPS = "pips above 0, or off"
_LOTS = "lots above 0, or off"
_MONEY = "money or a percentage above 0, such as 500 or 5%, or off"


def one_of(name: str, into: str, kind: type, default: str, meaning: str) -> Setting:
    """One word of a closed set."""
    read, allowed = _choice(kind)
    return Setting(name, into, read, default, allowed, meaning)


def switch(name: str, default: str, meaning: str, into: str = "") -> Setting:
    """On or off."""
    return Setting(name, into or name, r.switch, default, _SWITCH, meaning)


def pips(name: str, meaning: str) -> Setting:
    """A distance, or off."""
    return Setting(name, name, r.or_off(r.positive), "off", _PIPS, meaning)


def lots(name: str, into: str, meaning: str) -> Setting:
    """A volume in lots, or off."""
    return Setting(name, into, r.or_off(r.positive), "off", _LOTS, meaning)


def guard(name: str, meaning: str) -> Setting:
    """What a guard counts: money, or a part of what the account was worth; or off."""
    return Setting(name, name, r.or_off(r.amount), "off", _MONEY, meaning)


def offset(name: str, meaning: str) -> Setting:
    """Pips to either side, or off."""
    return Setting(name, name, r.or_off(r.number), "off", "pips, or off", meaning)
