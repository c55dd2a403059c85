"""The closed choices that settings offer, one enumeration each."""

from __future__ import annotations

from enum import StrEnum

from cmam.domain.profiles.reading import words
from cmam.domain.values.trades import OrderType


class VolumeMode(StrEnum):
    """How much of the leader's volume a follower trades."""

    MULTIPLIER = "multiplier"
    FIXED = "fixed"
    BALANCE_RATIO = "balance_ratio"
    EQUITY_RATIO = "equity_ratio"
    FREE_MARGIN_RATIO = "free_margin_ratio"
    NOTIONAL_MULTIPLIER = "notional_multiplier"
    FIXED_LEVERAGE = "fixed_leverage"
    RISK_PERCENT = "risk_percent"
    FORMULA = "formula"

    @property
    def is_plain(self) -> bool:
        """Whether the volume rests on nothing but the leader's and a number, so that sanity needs no proof."""
        return self in (VolumeMode.MULTIPLIER, VolumeMode.FIXED)

    @property
    def is_of_basis(self) -> bool:
        """Whether the leader's volume is taken over as `volume.basis` says, and then multiplied."""
        ratios = (VolumeMode.BALANCE_RATIO, VolumeMode.EQUITY_RATIO, VolumeMode.FREE_MARGIN_RATIO)
        return self is VolumeMode.MULTIPLIER or self in ratios


class VolumeBasis(StrEnum):
    """What the multiplied thing is: lots of each broker, units of the base asset, or notional value."""

    LOTS = "lots"
    UNITS = "units"
    NOTIONAL = "notional"


class VolumeCurrency(StrEnum):
    """Whether ratios compare money in one currency, or bare numbers."""

    CONVERT = "convert"
    RAW = "raw"


class MoneyBase(StrEnum):
    """Which money a percentage is of."""

    BALANCE = "balance"
    EQUITY = "equity"


class SideFilter(StrEnum):
    """Which sides of the leader are copied."""

    BOTH = "both"
    BUY = "buy"
    SELL = "sell"


class PartialRounding(StrEnum):
    """What happens to an excess below one step."""

    CARRY = "carry"
    UP = "up"


class LevelsMode(StrEnum):
    """How levels get from one broker's prices to another's."""

    SHIFT = "shift"
    PRICE = "price"


class BadStop(StrEnum):
    """What to do about a stop that the follower's symbol does not allow."""

    SKIP = "skip"
    WIDEN = "widen"


class HumanLevels(StrEnum):
    """Who wins where a person moved a copy's level."""

    PIN = "pin"
    LEADER = "leader"


class PendingOutside(StrEnum):
    """What becomes of resting copies at the end of the trading hours."""

    CANCEL = "cancel"
    KEEP = "keep"


class MappingMode(StrEnum):
    """How symbols find each other."""

    AUTOMATIC = "automatic"
    FILE = "file"


class Anchor(StrEnum):
    """What a day's loss is counted from: balance, equity, or the higher of both at the reset."""

    BALANCE = "balance"
    EQUITY = "equity"
    HIGHER = "higher"


class PercentOf(StrEnum):
    """What a guard's percentage is of."""

    ANCHOR = "anchor"
    INITIAL = "initial"


class PeakKind(StrEnum):
    """Which highs count for a trailing drawdown."""

    INTRADAY = "intraday"
    END_OF_DAY = "end_of_day"


class Reaction(StrEnum):
    """What a guard does when it trips, from mild to strong."""

    OPEN_ONLY_OFF = "open_only_off"
    CLOSE_ONLY = "close_only"
    FLATTEN = "flatten"


class Lockout(StrEnum):
    """What ends a lock-out: an explicit command, or the next day as well."""

    REARM = "rearm"
    DAY = "day"


class Scope(StrEnum):
    """What a guard or a flatten closes: the profile's copies, or all that the account holds."""

    PROFILE = "profile"
    ACCOUNT = "account"


ORDER_TYPES = (OrderType.MARKET, OrderType.MARKET_RANGE, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT)


def orders(text: str) -> tuple[OrderType, ...]:
    """Read `all`, or some types of orders."""
    if text.strip().lower() == "all":
        return ORDER_TYPES
    found = tuple(OrderType(word.lower()) for word in words(text))
    if not set(found) <= set(ORDER_TYPES):
        raise ValueError(text)
    return found
