"""What a symbol allows, and the arithmetic that depends only on it. All volumes in 1/100 unit, all prices in 1e-8."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cmam.domain.values.ids import AssetId, SymbolId
from cmam.domain.values.quantities import Price, Volume, ceil_to, floor_to, nearest_to

UNLISTED = SymbolId(0)
"""Stands for a symbol that is not known yet: no broker has that number."""


def tick_of(digits: int) -> int:
    """The smallest step of a price with so many digits, in 1e-8."""
    return int(10 ** max(0, 8 - digits))


class TradingMode(StrEnum):
    """Whether a symbol may be traded now."""

    ENABLED = "enabled"
    DISABLED_WITHOUT_PENDINGS = "disabled_without_pendings"
    DISABLED_WITH_PENDINGS = "disabled_with_pendings"
    CLOSE_ONLY = "close_only"


class DistanceIn(StrEnum):
    """The unit of a symbol's minimum distances: points of 10^-digits, or hundredths of a percent of the price."""

    POINTS = "points"
    PERCENTAGE = "percentage"


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolName:
    """A line of an account's symbol list: enough to find a symbol by name and to chain currencies."""

    symbol: SymbolId
    name: str
    enabled: bool = True
    base: AssetId = AssetId(0)
    quote: AssetId = AssetId(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A span of the trading week: seconds from Sunday 00:00 in the schedule's zone, end excluded
    (wire.md#trading-hours)."""

    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holiday:
    """A day without trade, or a part of it: days since 1970-01-01, seconds within the day in its own zone."""

    date_days: int
    zone: str = "UTC"
    recurring: bool = False
    start_s: int | None = None
    end_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSpec:
    """Everything about a symbol that a decision may rest on."""

    symbol: SymbolId
    name: str
    base: AssetId = AssetId(0)
    quote: AssetId = AssetId(0)
    base_name: str = ""
    quote_name: str = ""
    digits: int = 5
    pip_position: int = 4
    lot_size: Volume = Volume(10_000_000)
    min_volume: Volume = Volume(100_000)
    max_volume: Volume = Volume(10_000_000_000)
    step_volume: Volume = Volume(100_000)
    enabled: bool = True
    trading_mode: TradingMode = TradingMode.ENABLED
    short_selling: bool = True
    measurement_units: str = ""
    sl_distance: int = 0
    tp_distance: int = 0
    gsl_distance: int = 0
    distance_in: DistanceIn = DistanceIn.POINTS
    commission_type: int = 0
    commission_rate_e8: int = 0
    min_commission_e8: int = 0
    min_commission_asset: str = ""
    conversion_fee_rate: int = 0
    leverage_id: int = 0
    schedule_zone: str = "UTC"
    schedule: tuple[Interval, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    guaranteed_stops: bool | None = None
    """Whether a stop may be guaranteed; None where nobody has told, as in records before form 13."""

    @property
    def step(self) -> int:
        """The step of volumes, at least one hundredth of a unit whatever a broker says."""
        return max(1, self.step_volume)

    @property
    def tick(self) -> int:
        """The smallest price step, in 1e-8."""
        return tick_of(self.digits)

    @property
    def pip(self) -> int:
        """One pip, in 1e-8."""
        return int(10 ** max(0, 8 - self.pip_position))

    def floor_volume(self, volume: int) -> Volume:
        """Round down to the step: a copy never risks more than was asked."""
        return Volume(floor_to(volume, self.step))

    def closable(self, over: int, parts: int, *, up: bool) -> Volume:
        """What of the `over` / `parts` that a copy has too much can be closed: whole steps, at least the minimum. `up`
        leaves nothing above the target: whole steps that the minimum forbids are no reason to stay there either."""
        least = max(self.min_volume, 1)
        if up:
            return Volume(max(ceil_to(-(-over // parts), self.step), least))
        excess = self.floor_volume(over // parts)
        return excess if excess >= least else Volume(0)

    def in_one_order(self, volume: int) -> Volume:
        """What of a volume one order may have: the symbol's maximum, less where the rest would be below its minimum."""
        most = self.floor_volume(self.max_volume)
        if volume <= most or most <= 0:
            return Volume(volume)
        least = ceil_to(self.min_volume, self.step)
        short = self.floor_volume(volume - least)
        return short if volume - most < least <= short else most

    def nearest_tick(self, price: int) -> Price:
        """The nearest price that the symbol can have."""
        return Price(nearest_to(price, self.tick))

    def tick_at_or_below(self, price: int) -> Price:
        return Price(floor_to(price, self.tick))

    def tick_at_or_above(self, price: int) -> Price:
        return Price(ceil_to(price, self.tick))
