"""The guards of a follower, written a second time from their description alone.

Nothing here knows the copier: equity of a moment goes in, and out comes which guards must have tripped by it. Between
two looks nobody can tell to the cent what the copier has seen, so money is a range: what lies inside may go either way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from tests.oracle.rules import Account, equity, rate

ZERO = Fraction(0)
DAILY = ("daily_loss", "daily_drawdown", "daily_target")
MONEY = ("daily_loss", "daily_drawdown", "trailing_drawdown", "daily_target", "total_loss")
GUARDS = ("min_equity", "take_equity", *MONEY)
OPENS = ("rejections", "stop_out")
"""Latches of what a broker did: they stop what opens of that profile, until somebody re-arms or the pause is over."""


@dataclass(frozen=True, slots=True)
class Range:
    """Money that lies between two bounds."""

    low: Fraction
    high: Fraction

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Range) -> Range:
        return Range(self.low - other.high, self.high - other.low)

    def times(self, factor: Fraction) -> Range:
        return Range(self.low * factor, self.high * factor)


def exactly(money: Fraction) -> Range:
    """Money that is known."""
    return Range(money, money)


def highest(*found: Range) -> Range:
    """The highest of several."""
    return Range(max(one.low for one in found), max(one.high for one in found))


def lowest(*found: Range) -> Range:
    """The lowest of several."""
    return Range(min(one.low for one in found), min(one.high for one in found))


def worth(account: Account) -> Range:
    """What equity may have been seen as: every quote may have been a tick beside, and minor units are whole."""
    slack = Fraction(2 if account.currency == "JPY" else Fraction(2, 100))
    for held in account.holdings:
        symbol = account.symbols[held.symbol]
        slack += held.units * symbol.tick * rate(account, symbol.quote, account.currency, "high") * Fraction(3, 2)
    found = equity(account)
    return Range(found - slack, found + slack)


@dataclass(frozen=True, slots=True)
class Latch:
    """A guard that has tripped: what it does, and whether it opens by itself as the day rolls."""

    reaction: str
    scope: str
    ends_with_day: bool

    @property
    def flattens(self) -> bool:
        return self.reaction == "flatten"


@dataclass(slots=True)
class Guarded:
    """The guards of one link, what they count from, and which of them have tripped."""

    settings: Mapping[str, str]
    initial: Range
    anchor: Range | None = None
    day_peak: Range | None = None
    ever: Range | None = None
    begun: Range | None = None
    """The highest of what equity was as days began."""
    bonus: Fraction = ZERO
    latches: dict[str, Latch] = field(default_factory=dict)

    @classmethod
    def first(cls, settings: Mapping[str, str], balance: Fraction, seen: Range) -> Guarded:
        """The guards as they first see the account."""
        named = settings.get("guard.initial", "off")
        found = cls(settings, exactly(balance if named == "off" else Fraction(named)))
        found.roll(balance, seen)
        return found

    @property
    def is_any(self) -> bool:
        """Whether there is a guard that looks at equity."""
        return any(name in self.settings for name in GUARDS)

    def roll(self, balance: Fraction, seen: Range) -> None:
        """A day begins: its anchor, its peak; what was locked for the day is open again."""
        kind = self.settings.get("guard.anchor", "higher")
        whole = exactly(balance)
        self.anchor = {"balance": whole, "equity": seen, "higher": highest(whole, seen)}[kind]
        self.day_peak = seen
        self.begun = seen if self.begun is None else highest(self.begun, seen)
        self.ever = seen if self.ever is None else highest(self.ever, seen)
        self.latches = {name: latch for name, latch in self.latches.items() if not latch.ends_with_day}

    def roll_unseen(self, balance: Fraction, *, is_flat: bool, paid: Fraction) -> None:
        """A day has begun while nobody looked: only the balance then is known, and equity where nothing was open."""
        if is_flat:
            self.roll(balance, exactly(balance))
        else:
            kept, known = self.begun, self.ever
            self.roll(balance, exactly(balance))
            self.begun, self.ever, self.day_peak = kept, known, None
            if self.settings.get("guard.anchor", "higher") != "balance":
                self.anchor = None
        self.pay(paid)

    @property
    def is_lost(self) -> bool:
        """Whether a guard would count from what nobody knows."""
        by_percent = [self.settings.get(name, "") for name in ("daily_drawdown", "trailing_drawdown")]
        is_based = any(text.endswith("%") for text in by_percent) and self.settings.get("guard.percent_of") != "initial"
        return self.anchor is None and (is_based or "daily_loss" in self.settings or "daily_target" in self.settings)

    def pay(self, money: Fraction) -> None:
        """Money is paid in or out: everything that is counted from moves with it."""
        moved = exactly(money)
        self.initial += moved
        for name in ("anchor", "day_peak", "ever", "begun"):
            known = getattr(self, name)
            setattr(self, name, None if known is None else known + moved)

    def see(self, seen: Range, *, is_unsure: bool = False) -> None:
        """Equity is looked at, or may have been: peaks rise."""
        if is_unsure:
            seen = Range(min(seen.low, (self.day_peak or seen).low), seen.high)
        self.day_peak = seen if self.day_peak is None else highest(self.day_peak, seen)
        self.ever = seen if self.ever is None else highest(self.ever, seen)

    def excess(self, seen: Range) -> Iterator[tuple[str, Range]]:
        """How far every guard that is set is beyond its limit."""
        bonus = exactly(self.bonus if self.settings.get("guard.bonus") == "on" else ZERO)
        if "min_equity" in self.settings:
            yield "min_equity", exactly(Fraction(self.settings["min_equity"])) - seen - bonus
        if "take_equity" in self.settings:
            yield "take_equity", seen + bonus - exactly(Fraction(self.settings["take_equity"]))
        is_intraday = self.settings.get("guard.peak", "intraday") == "intraday"
        for name, start, is_gain in (
            ("daily_loss", self.anchor, False),
            ("daily_drawdown", self.day_peak, False),
            ("trailing_drawdown", self.ever if is_intraday else self.begun, False),
            ("daily_target", self.anchor, True),
            ("total_loss", self.initial, False),
        ):
            limit = self._limit(name)
            if start is None or limit is None:
                continue
            if name == "trailing_drawdown" and self.settings.get("guard.stop_at_initial") == "on":
                start = lowest(start, self.initial + limit)
            yield name, (seen - start if is_gain else start - seen) - limit

    def _limit(self, name: str) -> Range | None:
        text = self.settings.get(name, "off")
        if text == "off":
            return None
        if not text.endswith("%"):
            return exactly(Fraction(text))
        by_initial = name == "total_loss" or self.settings.get("guard.percent_of") == "initial"
        base = self.initial if by_initial else self.anchor
        return None if base is None else base.times(Fraction(text[:-1]) / 100)

    def beyond(self, seen: Range) -> dict[str, bool]:
        """The guards that are not latched and beyond their limits; false where that cannot be told."""
        return {
            name: excess.low > 0 for name, excess in self.excess(seen) if excess.high >= 0 and name not in self.latches
        }

    def holding(self, seen: Range) -> dict[str, bool]:
        """The guards that have tripped and whose conditions still hold; false where that cannot be told."""
        return {name: excess.low > 0 for name, excess in self.excess(seen) if excess.high >= 0 and name in self.latches}

    def trip(self, name: str) -> Latch:
        """A guard trips."""
        if name in OPENS:
            self.latches[name] = Latch("open_only_off", "profile", ends_with_day=False)
            return self.latches[name]
        reaction = "flatten" if name not in MONEY else self.settings.get("guard.reaction", "flatten")
        is_of_day = name in DAILY and self.settings.get("guard.lockout", "rearm") == "day"
        self.latches[name] = Latch(reaction, self.settings.get("guard.scope", "profile"), is_of_day)
        return self.latches[name]
