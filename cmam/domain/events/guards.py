"""What forbids a link or an account to open, and what allows it again.

The days and heights that guards reckon with, their latches, and the orders of people that close or unlock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from cmam.domain.events.values import Event
from cmam.domain.values.ids import LinkId, SymbolId
from cmam.domain.values.quantities import Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardDayBegan(Event):
    """A day of a link's guards began. Money in minor units; `anchor` None where it is unknown and opens must wait.

    `initial` is the balance that percentages of the initial one rest on, `peak` the highest equity before this day.
    """

    TOPIC: ClassVar[str] = "account.guard_day_began"
    link: LinkId
    began_us: int
    next_us: int
    balance: int
    equity: int | None = None
    anchor: int | None = None
    initial: int = 0
    peak: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPeaked(Event):
    """Equity reached a new high of the day, put on record after ten seconds, once it is far, before a guard trips."""

    TOPIC: ClassVar[str] = "account.equity_peaked"
    link: LinkId
    equity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardInitialNamed(Event):
    """`guard.initial` was set to another balance since guards first saw the account: they count from it from now on.

    With `is_off` it is named no more: `initial` is what they count from, and go on to.
    """

    TOPIC: ClassVar[str] = "account.guard_initial_named"
    link: LinkId
    initial: int
    is_off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardTripped(Event):
    """A guard's condition held long enough: it latches, and reacts. Money in minor units, until 0 for open end."""

    TOPIC: ClassVar[str] = "account.guard_tripped"
    link: LinkId
    guard: str
    reaction: str
    scope: str = "profile"
    value: int = 0
    limit: int = 0
    until_us: int = 0
    quotes: Mapping[str, Quote] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRearmed(Event):
    """A latch was opened, by a command or because its time was over; an empty name opens all of the link."""

    TOPIC: ClassVar[str] = "account.guard_rearmed"
    link: LinkId
    guard: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenRequested(Event):
    """Somebody asked to close everything, of some links or of the whole account. Nothing opens until re-armed."""

    TOPIC: ClassVar[str] = "account.flatten_requested"
    links: tuple[LinkId, ...]
    whole_account: bool = False
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolConfirmed(Event):
    """Somebody looked at a symbol whose lot size, digits or step changed, and lets it be traded again."""

    TOPIC: ClassVar[str] = "account.symbol_confirmed"
    symbol: SymbolId
    user: str = ""
