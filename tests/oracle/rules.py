"""The copy rules of opens, levels, parts and growth, written a second time from their description alone.

Nothing here knows the copier: facts of both accounts go in, and out comes every outcome that the rules allow. Numbers
are fractions; volumes are units, prices are prices. Where the rules leave something open (a side of a conversion that
nobody names), `Doubt` lets both readings be tried, and either is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import TypeVar
from zoneinfo import ZoneInfo

T = TypeVar("T")

ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class Symbol:
    """What a broker says of a symbol: volumes in units; commissions a side, in USD a lot or as a part of the value."""

    name: str
    base: str
    quote: str
    lot: Fraction
    least: Fraction
    step: Fraction
    most: Fraction
    digits: int
    pip: Fraction
    per_lot: Fraction = ZERO
    percent: Fraction = ZERO
    least_commission: tuple[Fraction, str] = (ZERO, "")
    fee: Fraction = ZERO
    stop_distance: Fraction = ZERO
    target_distance: Fraction = ZERO
    tiers: tuple[tuple[Fraction, int], ...] = ()

    @property
    def tick(self) -> Fraction:
        return Fraction(1, 10**self.digits)


@dataclass(frozen=True, slots=True)
class Holding:
    """A position: its symbol's name, whether it is long, its units and entry, and its costs so far (negative)."""

    symbol: str
    is_long: bool
    units: Fraction
    price: Fraction
    costs: Fraction
    margin: Fraction


@dataclass(frozen=True, slots=True)
class Account:
    """An account as its broker sees it: money in whole currency, quotes as bid and ask by the symbol's name."""

    currency: str
    balance: Fraction
    leverage: int
    symbols: Mapping[str, Symbol]
    quotes: Mapping[str, tuple[Fraction, Fraction]]
    holdings: tuple[Holding, ...] = ()
    resting: tuple[tuple[str, Fraction], ...] = ()
    """Symbol and units of each order that rests."""
    is_larger_side_bound: bool = False
    """Whether of both sides of a symbol only the larger one binds margin."""


@dataclass(frozen=True, slots=True)
class Open:
    """The leader's open, or his order that shall rest, with the distances that his order carried."""

    symbol: str
    is_long: bool
    units: Fraction
    price: Fraction
    stop: Fraction | None = None
    target: Fraction | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """What goes out: units, side, and the distances of stop and target from the entry."""

    units: Fraction
    is_long: bool
    stop: Fraction | None
    target: Fraction | None
    whole: Fraction = field(default=ZERO, compare=False)
    """What the copy shall be: more than its units where a rest was too small for an order."""
    owed: Fraction | None = field(default=None, compare=False)
    """How far from the entry the target lies that it does not carry since the broker would not take it so near."""


Outcome = Copy | str
"""A copy, or the word of the skip."""


class Skip(Exception):
    """The rules skip a change for this reason."""


class Doubt:
    """Readings that the rules leave open, tried one after the other."""

    def __init__(self) -> None:
        self._picked: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def of(self, name: str, *readings: T) -> T:
        """The reading that is tried now."""
        self._counts[name] = len(readings)
        return readings[self._picked.setdefault(name, 0)]

    def outcomes(self, decide: Callable[[], T]) -> Iterator[T]:
        """What comes out under every reading."""
        while True:
            yield decide()
            while self._picked:
                name, picked = self._picked.popitem()
                if picked + 1 < self._counts[name]:
                    self._picked[name] = picked + 1
                    break
            else:
                return


def floored(value: Fraction, step: Fraction) -> Fraction:
    """Down to the step."""
    return floor(value / step) * step


def raised(value: Fraction, step: Fraction) -> Fraction:
    """Up to the step."""
    return ceil(value / step) * step


# --- money ----------------------------------------------------------------------------------------------------------


def rate(account: Account, first: str, last: str, side: str) -> Fraction:
    """One of `first` in `last` over the shortest chain of the account's symbols, at the `high` or the `low` side."""
    reached: dict[str, Fraction] = {first: Fraction(1)}
    edge = [first]
    while last not in reached:
        following: dict[str, Fraction] = {}
        for asset in edge:
            for symbol in account.symbols.values():
                bid, ask = account.quotes[symbol.name]
                if symbol.base == asset and symbol.quote not in reached:
                    following[symbol.quote] = reached[asset] * (ask if side == "high" else bid)
                elif symbol.quote == asset and symbol.base not in reached:
                    following[symbol.base] = reached[asset] / (bid if side == "high" else ask)
        assert following, f"no chain from {first} to {last}"
        reached.update(following)
        edge = list(following)
    return reached[last]


def worth(account: Account, symbol: Symbol, units: Fraction) -> Fraction:
    """What so many units are worth in the account's money, at the dearer side of everything on the way."""
    if symbol.base == account.currency:
        return units
    _, ask = account.quotes[symbol.name]
    return units * ask * rate(account, symbol.quote, account.currency, "high")


def equity(account: Account) -> Fraction:
    """Balance and floating results: losses at the dearer rate, gains at the other."""
    total = account.balance
    for held in account.holdings:
        symbol = account.symbols[held.symbol]
        bid, ask = account.quotes[held.symbol]
        gross = (bid - held.price if held.is_long else held.price - ask) * held.units
        gross *= rate(account, symbol.quote, account.currency, "high" if gross < 0 else "low")
        fee = abs(gross) * symbol.fee if symbol.quote != account.currency else 0
        total += gross + held.costs - fee
    return total


def free_margin(account: Account) -> Fraction:
    """What of the equity is not bound."""
    if not account.is_larger_side_bound:
        return equity(account) - sum(held.margin for held in account.holdings)
    bound: dict[str, list[Fraction]] = {}
    for held in account.holdings:
        bound.setdefault(held.symbol, [Fraction(0), Fraction(0)])[held.is_long] += held.margin
    return equity(account) - sum(max(sides) for sides in bound.values())


# --- one open -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Decision:
    """One open of a leader before one link."""

    leader: Account
    follower: Account
    opened: Open
    settings: Mapping[str, str]
    names: Mapping[str, str]
    """The follower's symbol for each of the leader's that is mapped."""
    kind: str = "market"
    """The type of the leader's order."""
    doubt: Doubt = field(default_factory=Doubt)
    distance: Fraction | None = None
    shrink: Fraction = Fraction(1)
    owed: Fraction | None = None
    moment: datetime | None = None
    """When it is, where hours and days matter."""

    def text(self, name: str) -> str:
        return self.settings.get(name, DEFAULTS[name])

    def number(self, name: str) -> Fraction | None:
        text = self.text(name)
        return None if text == "off" else Fraction(text)

    def is_on(self, name: str) -> bool:
        return self.text(name) == "on"

    @property
    def symbol(self) -> Symbol:
        return self.follower.symbols[self.names[self.opened.symbol]]

    @property
    def theirs(self) -> Symbol:
        return self.leader.symbols[self.opened.symbol]

    @property
    def is_long(self) -> bool:
        return self.opened.is_long is not self.is_on("reverse")

    @property
    def entry(self) -> Fraction:
        bid, ask = self.follower.quotes[self.symbol.name]
        return ask if self.is_long else bid

    def outcomes(self) -> set[Outcome]:
        """Every outcome that the rules allow."""
        return set(self.doubt.outcomes(self.outcome))

    def outcome(self) -> Outcome:
        """What becomes of it, in the order of the rules."""
        self.distance, self.shrink, self.owed = None, Fraction(1), None
        try:
            self.gates()
            stop, target = self.levels()
            whole = self.shrunk(self.bounded(self.size()))
            units = self.ordered(whole)
            if self.is_cut:
                whole = units  # what is split keeps a rest that is too small for an order, also by `volume.min`
            self.sane(units)
            self.capped(units)
            self.covered(units)
            if self.text("margin_reserve") == "off" and self.doubt.of("money", False, True):
                raise Skip("refused NOT_ENOUGH_MONEY")
        except Skip as skip:
            return str(skip)
        return Copy(units, self.is_long, stop, target, whole, self.owed)

    def gates(self) -> None:
        opened = self.opened
        if self.is_on("ignore_new"):
            raise Skip("ignore_new")
        include, exclude = self.text("symbols.include"), self.text("symbols.exclude")
        if include != "all" and opened.symbol not in include.split(","):
            raise Skip("symbol_excluded")
        if opened.symbol in exclude.split(","):
            raise Skip("symbol_excluded")
        if opened.symbol not in self.names:
            raise Skip("unmapped_symbol")
        if self.text("side") not in ("both", "buy" if opened.is_long else "sell"):
            raise Skip("side_excluded")
        if self.text("order_types") != "all" and self.kind not in self.text("order_types").split(","):
            raise Skip("order_type_excluded")
        kind, _, wanted = self.text("label").partition(":")
        if (kind == "exact" and opened.label != wanted) or (kind == "prefix" and not opened.label.startswith(wanted)):
            raise Skip("label_excluded")
        if self.moment is not None and not is_within(self.text("hours"), self.text("days"), self.moment):
            raise Skip("outside_hours")
        bid, ask = self.follower.quotes[self.symbol.name]
        self.check_price(bid, ask)

    def check_price(self, bid: Fraction, ask: Fraction) -> None:
        away = self.number("max_price_distance")
        if away is not None and self.worse > away * self.symbol.pip:
            raise Skip("price_away")
        self.check_better()
        wide = self.number("max_spread")
        if wide is not None and ask - bid > wide * self.symbol.pip:
            raise Skip("spread")

    @property
    def worse(self) -> Fraction:
        """By how much the follower's price is worse than the leader's."""
        return (self.entry - self.opened.price) * (1 if self.is_long else -1)

    def check_better(self) -> None:
        better = self.number("wait_for_better")
        if better is not None and -self.worse < better * self.symbol.pip:
            raise Skip(WAITS)

    @property
    def base(self) -> Fraction:
        """Where the market range lies: the leader's price, carried by the two quotes, on the tick."""
        exact = self.opened.price + self.entry - self.his_entry
        low, tick = floored(exact, self.symbol.tick), self.symbol.tick
        return low if exact - low < tick / 2 else low + tick

    @property
    def his_entry(self) -> Fraction:
        """Where the leader would enter."""
        bid, ask = self.leader.quotes[self.opened.symbol]
        return ask if self.opened.is_long else bid

    def is_in_range(self, market: Account) -> bool:
        """Whether the broker finds a price within `max_slippage`, where the market is when the order comes."""
        points = self.number("max_slippage")
        bid, ask = market.quotes[self.symbol.name]
        beyond = ask - self.base if self.is_long else self.base - bid
        return points is None or beyond <= points * self.symbol.tick

    @property
    def is_cut(self) -> bool:
        """Whether what is above the most of one order is cut off; else it is made in several."""
        return self.text("volume.rounding").endswith("cap")

    # --- levels

    @property
    def shift(self) -> Fraction:
        """By how much the leader's levels are carried."""
        return self.entry - self.opened.price if self.text("levels") == "shift" else ZERO

    def levels(self) -> tuple[Fraction | None, Fraction | None]:
        """Distances of stop and target from the entry on the follower's tick, positive on their right side."""
        opened, symbol, is_reversed = self.opened, self.symbol, self.is_on("reverse")
        farther = 1 if opened.is_long else -1
        his_stop = None if opened.stop is None else opened.price - farther * opened.stop
        his_target = None if opened.target is None else opened.price + farther * opened.target
        if his_stop is not None:
            his_stop -= farther * (self.number("sl_offset") or 0) * symbol.pip
        if his_target is not None:
            his_target += farther * (self.number("tp_offset") or 0) * symbol.pip
        shift = self.shift
        stop, target = (his_target, his_stop) if is_reversed else (his_stop, his_target)
        stop, target = stop if self.is_on("copy_sl") else None, target if self.is_on("copy_tp") else None
        sign = 1 if self.is_long else -1
        below = None if stop is None else sign * (self.entry - stop - shift)
        above = None if target is None else sign * (target + shift - self.entry)
        if (fixed := self.number("fixed_sl")) is not None:
            below = fixed * symbol.pip
        if (fixed := self.number("fixed_tp")) is not None:
            above = fixed * symbol.pip
        if below is None and is_reversed and self.is_on("copy_sl") and not self.is_on("reverse_without_stop"):
            raise Skip("no_stop_reversed")
        if below is None and self.is_on("require_stop"):
            raise Skip("stop_required")
        if (below is not None and below <= 0) or (above is not None and above <= 0):
            raise Skip("level_passed" if self.text("levels") == "price" else "level_wrong_side")
        below = None if below is None else floored(below, symbol.tick)
        above = None if above is None else floored(above, symbol.tick)
        if below is not None and below < max(symbol.stop_distance, symbol.tick):
            if self.text("bad_stop") == "skip":
                raise Skip("stop_too_close")
            wide = max(symbol.stop_distance, symbol.tick)
            self.shrink = below / wide
            below = wide
        self.distance = below
        return below, self.carried(below, above)

    def carried(self, stop: Fraction | None, target: Fraction | None) -> Fraction | None:
        """The target's distance, where the broker takes it: with the open, or at once from where the market is then."""
        if target is None or target >= self.symbol.target_distance:
            return target
        bid, ask = self.follower.quotes[self.symbol.name]
        level = self.entry + (target if self.is_long else -target)
        stands = None if stop is None else self.entry + (-stop if self.is_long else stop)
        # Only a quote that is younger than the fill tells, and the next may take its time.
        has_come = has_room(self.symbol, self.is_long, bid if self.is_long else ask, stands, level)
        if has_come and self.doubt.of("quote after the fill", True, False):
            return target
        self.owed = target
        return None

    # --- size

    def size(self) -> Fraction:
        """The exact units by the mode; a widened stop risks no more money than the narrow one would have."""
        amount = self.number("volume.amount")
        assert amount is not None
        match self.text("volume.mode"):
            case "multiplier":
                found = self.based() * amount
            case "fixed":
                found = amount * self.symbol.lot
            case "balance_ratio":
                found = self.ratio(self.leader.balance, self.follower.balance) * amount
            case "equity_ratio":
                found = self.ratio(equity(self.leader), equity(self.follower)) * amount
            case "free_margin_ratio":
                theirs, ours = free_margin(self.leader), free_margin(self.follower)
                found = self.ratio(theirs, ours) * amount
            case "notional_multiplier":
                found = self.opened.units * self.notional() * amount
            case "fixed_leverage":
                money = equity(self.follower)
                if money <= 0:
                    raise Skip("stale_input")
                found = money * amount / worth(self.follower, self.symbol, Fraction(1))
            case "risk_percent":
                found = self.by_risk(amount)
            case "formula":
                found = self.by_formula()
            case mode:
                raise AssertionError(mode)
        return found

    def based(self) -> Fraction:
        match self.text("volume.basis"):
            case "units":
                return self.opened.units
            case "notional":
                return self.opened.units * self.notional()
        if self.theirs.lot != self.symbol.lot and self.opened.symbol not in self.text("volume.lots_confirmed"):
            raise Skip("lots_unconfirmed")
        return self.opened.units / self.theirs.lot * self.symbol.lot

    def notional(self) -> Fraction:
        """What a unit of the leader's is worth in the follower's: his at the low side, its own at the dear one."""
        his = self.opened.price * rate(self.follower, self.symbol.quote, self.follower.currency, "low")
        return his / worth(self.follower, self.symbol, Fraction(1))

    def theirs_in_ours(self, money: Fraction) -> Fraction:
        """The leader's money in the follower's currency, at the dearer rate; it is told in whole cents."""
        money = self.doubt.of("told money", money, floored(money, CENT[self.leader.currency]))
        if self.text("volume.currency") == "raw":
            return money
        return money * rate(self.follower, self.leader.currency, self.follower.currency, "high")

    def ratio(self, theirs: Fraction, ours: Fraction) -> Fraction:
        size = self.based()
        if theirs <= 0 or ours <= 0:
            raise Skip("stale_input")
        return size / self.theirs_in_ours(theirs) * ours

    def by_risk(self, percent: Fraction) -> Fraction:
        if self.distance is None:
            lots = self.number("volume.without_stop")
            if lots is None:
                raise Skip("no_stop")
            return lots * self.symbol.lot
        bid, ask = self.follower.quotes[self.symbol.name]
        symbol = self.symbol
        tight = (self.number("risk_min_stop") or 0) * symbol.pip
        if self.distance < max(tight, 2 * (ask - bid), symbol.stop_distance):
            raise Skip("stop_too_tight")
        base = self.follower.balance if self.text("risk_base") == "balance" else equity(self.follower)
        if base <= 0:
            raise Skip("stale_input")
        dear = rate(self.follower, symbol.quote, self.follower.currency, "high")
        loss = self.distance * dear
        if symbol.quote != self.follower.currency:
            loss *= 1 + symbol.fee
        dollar = rate(self.follower, "USD", self.follower.currency, "high") if symbol.per_lot else ZERO
        away = -self.distance if self.is_long else self.distance
        per_lot = symbol.per_lot / symbol.lot * dollar
        opening = per_lot + symbol.percent * self.entry * dear
        closing = per_lot + symbol.percent * (self.entry + self.doubt.of("closing value", away, -away, ZERO)) * dear
        costs = opening + closing
        money = base * percent / 100
        found = [(money / (loss + costs), loss + costs)]
        amount, asset = symbol.least_commission
        if amount:  # of either order, which may be the more for one of them
            least = amount * rate(self.follower, asset, self.follower.currency, "high")
            found += [((money - least) / one, one) for one in (loss + opening, loss + closing)]
            found.append(((money - 2 * least) / loss, loss))
        units, per_unit = min((max(ZERO, units), per_unit) for units, per_unit in found)
        cent = 2 * CENT[self.follower.currency] / per_unit  # each commission is rounded up
        return max(ZERO, units - self.doubt.of("cents", -cent / 2, 2 * cent))

    def by_formula(self) -> Fraction:
        bid_ask = {
            "leader_lots": self.opened.units / self.theirs.lot,
            "leader_units": self.opened.units,
            "leader_balance": self.theirs_in_ours(self.leader.balance),
            "leader_equity": self.theirs_in_ours(equity(self.leader)),
            "leader_free_margin": self.theirs_in_ours(free_margin(self.leader)),
            "balance": self.follower.balance,
            "equity": equity(self.follower),
            "free_margin": free_margin(self.follower),
            "price": self.entry,
            "lot_units": self.symbol.lot,
            "min": min,
            "max": max,
            "Fraction": Fraction,
        }
        text = re.sub(r"\b\d+(\.\d+)?\b", lambda found: f"Fraction('{found[0]}')", self.text("volume.formula"))
        try:
            lots: Fraction = eval(text, {"__builtins__": {}}, bid_ask)  # noqa: S307 - our own texts
        except ZeroDivisionError:
            raise Skip("bad_formula") from None
        return lots * self.symbol.lot

    # --- bounds, proportion, caps, margin

    def bounded(self, exact: Fraction) -> Fraction:
        symbol, low = self.symbol, self.text("volume.rounding").split(",")[0]
        own_least, own_most = self.number("volume.min"), self.number("volume.max")
        least = symbol.least if own_least is None else max(symbol.least, raised(own_least * symbol.lot, symbol.step))
        units = floored(exact, symbol.step)
        if units < least:
            if low == "skip" or exact <= 0:
                raise Skip("below_minimum")
            if least > exact * (self.number("raise_risk_max") or 0):
                raise Skip("raise_too_far")
            units = least
        most = None if own_most is None else floored(own_most * symbol.lot, symbol.step)
        if most is not None and units > most:
            units = most
            if units < least:
                raise Skip("below_minimum")
        if self.is_cut:
            units = min(units, floored(symbol.most, symbol.step))  # before a widened stop shrinks it
        return units

    def ordered(self, units: Fraction) -> Fraction:
        """What goes out of a volume: one order of it, or all but a rest that is less than the least."""
        symbol = self.symbol
        most = floored(symbol.most, symbol.step)
        if units <= most:
            return units
        if self.is_cut:
            return most
        rest = units % most
        own = (self.number("volume.min") or ZERO) * symbol.lot
        least = self.doubt.of("rest", symbol.least, max(symbol.least, own))  # a part of an open, made as an add
        return units - rest if rest < least else units

    def shrunk(self, units: Fraction) -> Fraction:
        """What of a volume risks no more money at the widened stop than all of it would have at the narrow one."""
        if self.shrink == 1 or self.text("volume.mode") == "risk_percent":
            return units
        own_least = self.number("volume.min") or ZERO
        units = floored(units * self.shrink, self.symbol.step)
        if units < max(self.symbol.least, own_least * self.symbol.lot):
            raise Skip("below_minimum")
        return units

    def sane(self, units: Fraction) -> None:
        if self.text("volume.mode") in ("multiplier", "fixed"):
            return
        times = self.number("sanity.max_times_leader")
        if times is not None and units > times * self.opened.units:
            raise Skip("sanity")
        leverage = self.number("sanity.max_leverage")
        if leverage is not None:
            exposure = worth(self.follower, self.symbol, units)
            there = [*((held.symbol, held.units) for held in self.follower.holdings), *self.follower.resting]
            exposure += sum(worth(self.follower, self.follower.symbols[name], held) for name, held in there)
            if exposure > leverage * equity(self.follower):
                raise Skip("sanity")

    def capped(self, units: Fraction) -> None:
        there = [*((held.symbol, held.units) for held in self.follower.holdings), *self.follower.resting]
        if (most := self.number("max_positions")) is not None and len(there) + 1 > most:
            raise Skip("max_positions")
        lots = units / self.symbol.lot
        all_lots = sum(held / self.follower.symbols[name].lot for name, held in there)
        same = sum(held for name, held in there if name == self.symbol.name) / self.symbol.lot
        if (most := self.number("max_lots_open")) is not None and all_lots + lots > most:
            raise Skip("max_lots")
        if (most := self.number("max_lots_symbol")) is not None and same + lots > most:
            raise Skip("max_lots")

    def covered(self, units: Fraction) -> None:
        reserve = self.number("margin_reserve")
        if reserve is None:
            return
        free = free_margin(self.follower)
        resting: dict[str, Fraction] = {}
        for name, rests in self.follower.resting:
            resting[name] = resting.get(name, ZERO) + rests
        for name, rests in resting.items():  # what rests may fill, and needs its own
            free -= self.bound(self.follower.symbols[name], ZERO, rests)
        need = self.bound(self.symbol, resting.get(self.symbol.name, ZERO), units)
        # the broker's own reckoning may rest on prices of some minutes ago
        if need * reserve * self.doubt.of("margin", Fraction(1), MARGIN_MORE) > free:
            raise Skip("margin")

    def bound(self, symbol: Symbol, besides: Fraction, units: Fraction) -> Fraction:
        """The margin of what comes to what is held of a symbol, and rests besides."""
        if not symbol.tiers:
            return worth(self.follower, symbol, units) / self.follower.leverage
        held = besides + sum(holding.units for holding in self.follower.holdings if holding.symbol == symbol.name)
        return self.tiered(symbol, held + units) - self.tiered(symbol, held)

    def tiered(self, symbol: Symbol, units: Fraction) -> Fraction:
        """The margin of a volume slice by slice; the tiers speak of dollars."""
        dollars = units * rate(self.follower, symbol.base, "USD", "high")
        money = worth(self.follower, symbol, units)
        total, below = ZERO, ZERO
        for limit, leverage in symbol.tiers:
            top = min(limit, dollars) if (limit, leverage) != symbol.tiers[-1] else dollars
            if top > below:
                total += (top - below) / min(leverage, self.follower.leverage)
                below = top
        return total * money / dollars if dollars else ZERO


WAITS = "waits"
"""The word of an open that waits for a better price."""
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_within(hours: str, days: str, moment: datetime) -> bool:
    """Whether a moment lies in windows such as `22:00-02:00 Europe/Berlin`, each of the day on which it began."""
    names = [WEEK.index(name) for name in days.split("-")] if days != "all" else [0, 6]
    first, last = names[0], names[-1]
    on = {(first + more) % 7 for more in range((last - first) % 7 + 1)}
    windows, _, zone = hours.partition(" ")
    here = moment.astimezone(ZoneInfo(zone or "UTC"))
    if hours == "always":
        return here.weekday() in on
    minute = here.strftime("%H:%M")
    for window in windows.split(","):
        start, _, end = window.partition("-")
        if start < end and start <= minute < end and here.weekday() in on:
            return True
        if start >= end and minute >= start and here.weekday() in on:
            return True
        if start >= end and minute < end and (here - timedelta(days=1)).weekday() in on:
            return True
    return False


CENT = {"USD": Fraction(1, 100), "EUR": Fraction(1, 100), "GBP": Fraction(1, 100), "JPY": Fraction(1)}
MARGIN_MORE = Fraction(103, 100)

DEFAULTS: Mapping[str, str] = {
    "volume.mode": "multiplier",
    "volume.amount": "1",
    "volume.basis": "lots",
    "volume.lots_confirmed": "none",
    "volume.currency": "convert",
    "volume.formula": "off",
    "volume.rounding": "skip,cap",
    "raise_risk_max": "5",
    "volume.min": "off",
    "volume.max": "off",
    "volume.without_stop": "off",
    "risk_base": "balance",
    "risk_min_stop": "0",
    "sanity.max_times_leader": "20",
    "sanity.max_leverage": "30",
    "margin_reserve": "1.2",
    "ignore_new": "off",
    "side": "both",
    "reverse": "off",
    "reverse_without_stop": "off",
    "order_types": "all",
    "label": "any",
    "symbols.include": "all",
    "symbols.exclude": "none",
    "symbols.mapping": "automatic",
    "hours": "always",
    "days": "all",
    "max_price_distance": "off",
    "wait_for_better": "off",
    "max_slippage": "off",
    "max_spread": "off",
    "levels": "shift",
    "copy_sl": "on",
    "copy_tp": "on",
    "sl_offset": "off",
    "tp_offset": "off",
    "fixed_sl": "off",
    "fixed_tp": "off",
    "require_stop": "off",
    "bad_stop": "skip",
    "max_positions": "off",
    "max_lots_open": "off",
    "max_lots_symbol": "off",
    "copy_trailing": "on",
    "trailing_step": "1",
    "human_levels": "pin",
    "scale_in": "on",
    "partial_rounding": "carry",
}


@dataclass(slots=True)
class Late(Decision):
    """An open that goes out when the market has moved: what levels are carried by is told by both quotes of then.

    `opened` has the leader's price, what he holds now, and his levels of now; `leader` what money he had at his open.
    """

    theirs_now: Mapping[str, tuple[Fraction, Fraction]] = field(default_factory=dict)
    """The leader's quotes of now."""

    @property
    def shift(self) -> Fraction:
        if self.text("levels") == "price":
            return ZERO
        return self.entry - self.his_entry

    @property
    def his_entry(self) -> Fraction:
        bid, ask = self.theirs_now[self.opened.symbol]
        return ask if self.opened.is_long else bid

    def outcome(self) -> Outcome:
        found = Decision.outcome(self)
        return "level_passed" if found == "level_wrong_side" else found


@dataclass(slots=True)
class Rest(Decision):
    """A leader's limit or stop order before one link; `opened.price` is its price."""

    @property
    def entry(self) -> Fraction:
        """His price on the follower's tick."""
        price, tick = self.opened.price, self.symbol.tick
        low = floored(price, tick)
        return low if price - low < tick / 2 else low + tick

    @property
    def shift(self) -> Fraction:
        """The order rests at the leader's own price, and its levels are his."""
        return ZERO

    @property
    def is_limit(self) -> bool:
        """Whether a limit rests: reversed, a stop becomes one and a limit a stop."""
        return (self.kind == "limit") is not self.is_on("reverse")

    def check_price(self, bid: Fraction, ask: Fraction) -> None:
        if self.is_limit:
            fills = self.entry >= ask if self.is_long else self.entry <= bid
        else:
            fills = self.entry <= ask if self.is_long else self.entry >= bid
        if fills:
            raise Skip("would_fill")

    @property
    def is_cut(self) -> bool:
        """What rests is one order."""
        return True

    def carried(self, stop: Fraction | None, target: Fraction | None) -> Fraction | None:
        """Distances count from the order's own price, wherever the market is."""
        if target is None or target >= self.symbol.target_distance:
            return target
        self.owed = target
        return None


def filled_at(price: Fraction, decision: Decision, copy: Copy) -> tuple[Copy, ...]:
    """What a copy may show that has filled elsewhere than the market was: with `levels=price` its levels are where his
    are, whatever distances it went out with; those of a tick are left alone."""
    if decision.text("levels") != "price" or decision.shrink != 1:
        return (copy,)
    away = (price - decision.entry) * (1 if copy.is_long else -1)
    stop, target, owed = copy.stop, copy.target, copy.owed
    if stop is not None and decision.number("fixed_sl") is None:
        stop += away
    if decision.number("fixed_tp") is None:
        target, owed = (None if level is None else level - away for level in (target, owed))
    return replace(copy, owed=owed), replace(copy, stop=stop, target=target, owed=owed)


# --- what becomes of a copy -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Standing:
    """A copy that is open: its units, the exact units it shall have, its shift, and the levels that it carries."""

    symbol: str
    is_long: bool
    units: Fraction
    target: Fraction
    shift: Fraction
    stop_level: Fraction | None
    target_level: Fraction | None
    owed: Fraction | None = None
    """The target that it shall have, and shows none or another for want of room."""
    entry: Fraction | None = None
    """Where it was opened, if fixed levels may be set anew and count from there."""


def has_room(symbol: Symbol, is_long: bool, market: Fraction, stop: Fraction | None, target: Fraction | None) -> bool:
    """Whether a broker takes both levels with the market, on the side that closes, where it is."""
    sign = 1 if is_long else -1
    below = stop is None or sign * (market - stop) >= max(symbol.stop_distance, symbol.tick)
    return below and (target is None or sign * (target - market) >= max(symbol.target_distance, symbol.tick))


def amended_levels(
    copy: Standing, symbol: Symbol, market: Fraction, stop: Fraction | None, target: Fraction | None
) -> tuple[Fraction | None, Fraction | None]:
    """What a copy shows of the levels that it shall have: a stop goes without a target that the broker does not take.

    The target that it had stays where it is farther and the broker takes it, or where no stop has to be moved.
    """
    if has_room(symbol, copy.is_long, market, stop, target):
        return stop, target
    if not has_room(symbol, copy.is_long, market, stop, None):
        return copy.stop_level, copy.target_level  # the stop itself is refused
    if stop == copy.stop_level:
        return stop, copy.target_level if target is not None else None
    had = copy.target_level
    is_farther = had is not None and target is not None and (had > target) is copy.is_long and had != target
    return stop, had if is_farther and has_room(symbol, copy.is_long, market, stop, had) else None


def reduced(
    copy: Standing, before: Fraction, after: Fraction, symbol: Symbol, *, up: bool
) -> tuple[Fraction, Fraction]:
    """Exact target and units after the leader has closed a part."""
    target = copy.target * after / before
    excess = copy.units - target
    if excess <= 0:
        return target, copy.units
    if up:
        return target, copy.units - min(max(raised(excess, symbol.step), symbol.least), copy.units)
    closed = floored(excess, symbol.step)
    return target, copy.units - (closed if closed >= symbol.least else 0)


@dataclass(slots=True)
class Growth(Decision):
    """A leader's position that grows, before one copy of it; `opened` is the trade that adds, `before` what he had."""

    copy: Standing | None = None
    before: Fraction = ZERO

    def growths(self) -> set[tuple[str, Fraction, Fraction]]:
        """Every outcome that the rules allow."""
        return set(self.doubt.outcomes(self.grown))

    def grown(self) -> tuple[str, Fraction, Fraction]:
        """The word, the exact target and the units afterwards."""
        assert self.copy is not None
        copy = self.copy
        target = copy.target * (self.before + self.opened.units) / self.before
        if not self.is_on("scale_in"):
            return "scale_in_off", copy.target, copy.units
        try:
            self.gates()
            if self.is_on("require_stop") and copy.stop_level is None:
                raise Skip("stop_required")
            most = self.number("volume.max")
            if most is not None and target > most * self.symbol.lot:
                target = most * self.symbol.lot
                if target <= copy.target:
                    raise Skip("max_lots")
            if target <= copy.units:
                return "covered", target, copy.units
            added, target = self.added(target)
            self.sane(added)
            self.capped(added)
            self.covered(added)
        except Skip as skip:
            is_carried = str(skip) == "below_minimum"  # what is no order yet is a part of the next
            return str(skip), target if is_carried else copy.target, copy.units
        if self.text("margin_reserve") == "off" and self.doubt.of("money", False, True):
            return "", copy.units, copy.units
        rest = floored(target - copy.units, self.symbol.step) - added
        word = "below_minimum" if rest >= self.symbol.least else ""  # `volume.min` holds the last part back
        return word, target, copy.units + added

    def added(self, target: Fraction) -> tuple[Fraction, Fraction]:
        assert self.copy is not None
        symbol, copy = self.symbol, self.copy
        added = floored(target - copy.units, symbol.step)
        own_least = (self.number("volume.min") or ZERO) * symbol.lot
        is_raised = self.text("volume.rounding").startswith("raise")
        if is_raised and raised(own_least, symbol.step) <= (target - copy.units) * (self.number("raise_risk_max") or 0):
            own_least = ZERO
        if added < max(symbol.least, own_least):
            raise Skip("below_minimum")
        made = self.ordered(added)
        return made, copy.units + made if made < added and self.is_cut else target

    def check_better(self) -> None:
        """What is added does not wait: only an open does."""

    def sane(self, units: Fraction) -> None:
        """The proportion to the leader's stays what it was at the open."""
        kept, self.settings = self.settings, {**self.settings, "sanity.max_times_leader": "off"}
        Decision.sane(self, units)
        self.settings = kept

    def capped(self, units: Fraction) -> None:
        """A copy that grows is no new position."""
        kept, self.settings = self.settings, {**self.settings, "max_positions": "off"}
        Decision.capped(self, units)
        self.settings = kept


Amended = str | tuple[Fraction, Fraction, Fraction | None, Fraction | None, Fraction]
"""The word of what ended an order that rests, or its price, units, distances of both levels, and exact units."""


@dataclass(slots=True)
class Amend(Rest):
    """A leader's order that he has amended, before one copy of it that rests; `opened` is his order as it is now.

    The follower is without that copy, which has `units` of exactly `exact`, when his order had `before`.
    """

    units: Fraction = ZERO
    exact: Fraction = ZERO
    before: Fraction = ZERO
    had: Copy | None = None

    def amends(self) -> set[Amended]:
        """Every outcome that the rules allow."""
        return set(self.doubt.outcomes(self.amended))

    def amended(self) -> Amended:
        """In proportion; where it grows no larger than an open would be now, and through the same gates."""
        self.distance, self.shrink, self.owed = None, Fraction(1), None
        try:
            self.check_price(*self.follower.quotes[self.symbol.name])
            stop, target = self.levels()
            if self.had is not None:  # what is not copied stays
                stop = stop if self.is_on("copy_sl") or self.number("fixed_sl") is not None else self.had.stop
                target = target if self.is_on("copy_tp") or self.number("fixed_tp") is not None else self.had.target
            anew = self.shrink < 1 or self.risks_more(stop)
            most = self.ordered(self.shrunk(self.bounded(self.size()))) if anew else None
        except Skip as skip:
            return str(skip)
        exact = self.exact * self.opened.units / self.before
        units = floored(exact, self.symbol.step)
        if units > self.units:
            opened = self.outcome()
            grown = max(opened.units, self.units) if isinstance(opened, Copy) else self.units
            if grown < units:
                units = exact = grown
        if most is not None and most < units:
            units = exact = most
        if units < self.symbol.least:
            return "below_minimum"
        return self.entry, units, stop, target, floored(exact, Fraction(1, 100))  # what is kept of it

    def risks_more(self, stop: Fraction | None) -> bool:
        """Whether an order that is sized by its stop shall have a farther one, or none."""
        had = self.had.stop if self.had is not None and self.text("volume.mode") == "risk_percent" else None
        return had is not None and (stop is None or stop - had > self.symbol.tick)


def moved(level: Fraction | None, copy: Standing, symbol: Symbol, *, is_stop: bool) -> Fraction | None:
    """A level of the leader's, offset and side done, carried to a copy: on its tick, towards the market."""
    if level is None:
        return None
    carried = level + copy.shift
    return raised(carried, symbol.tick) if is_stop is copy.is_long else floored(carried, symbol.tick)


def carried_levels(
    copy: Standing, stop: Fraction | None, target: Fraction | None, symbol: Symbol, settings: Mapping[str, str]
) -> tuple[Fraction | None, Fraction | None]:
    """Both levels of a copy after the leader has moved his, given as prices."""

    def number(name: str) -> Fraction | None:
        text = settings.get(name, DEFAULTS[name])
        return None if text == "off" else Fraction(text)

    is_reversed = settings.get("reverse") == "on"
    farther = 1 if copy.is_long is not is_reversed else -1
    if stop is not None:
        stop -= farther * (number("sl_offset") or 0) * symbol.pip
    if target is not None:
        target += farther * (number("tp_offset") or 0) * symbol.pip
    if is_reversed:
        stop, target = target, stop
    if settings.get("levels") == "price":
        copy = replace(copy, shift=ZERO)
    found = []
    for level, copied, fixed, has, is_stop in (
        (stop, "copy_sl", "fixed_sl", copy.stop_level, True),
        (target, "copy_tp", "fixed_tp", copy.owed or copy.target_level, False),
    ):
        if (pips := number(fixed)) is not None and copy.entry is not None:
            away = floored(pips * symbol.pip, symbol.tick) * (-1 if is_stop is copy.is_long else 1)
            found.append(copy.entry + away)
        elif number(fixed) is not None or settings.get(copied, "on") == "off":
            found.append(has)
        else:
            found.append(moved(level, copy, symbol, is_stop=is_stop))
    return found[0], found[1]
