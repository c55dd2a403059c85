"""What every event is, and the values that events of several rooms share.

They know no event: what stands here is what a decision rested on, what it aims at, and what it still waits for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import ClassVar

from cmam.domain.values.quantities import Distance, Price, Quote, Volume
from cmam.domain.values.replacing import quickly_made
from cmam.domain.values.trades import OrderType, TriggerMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A stored fact."""

    TOPIC: ClassVar[str]
    IS_DERIVED: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a decision's arithmetic: a name, its value, and where that came from."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a copied pending order shall be; levels are distances from its price, as an opening request has them."""

    type: OrderType
    volume: Volume
    limit_price: Price | None = None
    stop_price: Price | None = None
    relative_stop: Distance | None = None
    relative_target: Distance | None = None
    trailing: bool = False
    guaranteed: bool = False
    trigger: TriggerMethod = TriggerMethod.TRADE
    expires_ms: int | None = None
    slippage_points: int | None = None

    @property
    def price(self) -> Price:
        """The price that its levels are counted from."""
        return self.limit_price or self.stop_price or Price(0)


@quickly_made
@dataclass(frozen=True, kw_only=True)  # no slots: see replacing.py
class Goal:
    """What a copy shall be. `target` is an exact volume as a fraction of 1/100 units; levels are absolute prices.

    Levels are as the leader has them, offsets and reversal done; `shift` is added to them, None until the copy's first
    fill says it. `fixed_stop` and `fixed_target` are distances from the copy's own entry instead. `is_exact` asks for
    the levels to the tick; until the leader moves one, those of the opening may be off by one tick of rounding.
    `stop_set` says that the leader himself set the stop, so that even a trailing copy takes it.

    Of a pending order: `terms` is what shall rest, None once it shall not; `whole` the volume of all of it, `ahead_us`
    and `grace_us` the policy's spans. `round_up`, `pins` and `priced` (price gates are set) carry the
    policy to where it is applied. `wide` is the distance of a stop that was widened, `wide_of` the leader's stop that
    it stands for: while that one stays, so does ours. `keeps_stop` and `keeps_target` say that the leader has no say in
    that level: it stays what the position shows.
    """

    target_numerator: int
    target_denominator: int = 1
    leader_volume: Volume = Volume(0)
    has_levels: bool = False
    leader_stop: Price | None = None
    leader_target: Price | None = None
    trailing: bool = False
    shift: Distance | None = None
    leader_price: Price | None = None
    is_exact: bool = False
    stop_set: bool = False
    fixed_stop: Distance | None = None
    fixed_target: Distance | None = None
    guaranteed: bool = False
    terms: Terms | None = None
    whole: Volume = Volume(0)
    leader_whole: Volume = Volume(0)
    grace_us: int = 0
    ahead_us: int = 0
    round_up: bool = False
    pins: bool = True
    priced: bool = False
    close_only: bool = False
    net_cap: Volume = Volume(0)
    base_price: Price | None = None
    outside_us: int = 0
    wide: Distance | None = None
    wide_of: Price | None = None
    keeps_stop: bool = False
    keeps_target: bool = False

    @property
    def target(self) -> Fraction:
        """The exact volume, in 1/100 unit; nothing where a record names no number."""
        return Fraction(self.target_numerator, self.target_denominator) if self.target_denominator else Fraction(0)


class Standing(StrEnum):
    """What a link may do at the moment of a decision: everything, no opens, or nothing but manage what it has."""

    RUNNING = "running"
    PAUSED = "paused"
    MANAGE_ONLY = "manage_only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a decision rested on besides the view, the change and the policy; recorded, so that replay needs no clock.

    `quotes` are by symbol name of the follower, `leader_quote` is the leader's own of the traded symbol now.
    `clock_offset_ms` is the broker's clock minus ours, give or take `clock_doubt_ms`. `superseded` says that a later
    change of the same source was already known. `complete` says that every quote which the decision could need was
    asked for, so that a missing one is missing at the broker. `other_copier` names a foreign copy of the same leader.
    `set_aside` says that the account failed on this change too often: nothing is derived from it.
    `usual` is by how much a symbol usually is quoted above the leader's, by names as in `quotes`, where the two quotes
    of now say otherwise: of a jump of the market one broker has told and the other has not.
    `warming` says that one of the two feeds is so new that a missing quote may still come, `reading` that the broker
    has not told yet, on this line, what the follower's symbol allows or what the follower is worth.
    """

    standing: Standing = Standing.RUNNING
    quotes: Mapping[str, Quote] = field(default_factory=dict)
    clock_offset_ms: int = 0
    superseded: bool = False
    leader_quote: Quote | None = None
    clock_doubt_ms: int = 0
    complete: bool = False
    other_copier: str = ""
    warming: bool = False
    set_aside: bool = False
    reading: bool = False
    usual: Mapping[str, Distance] = field(default_factory=dict)


class Wait(StrEnum):
    """What an open that was decided still waits for."""

    BETTER = "better"
    STOP = "stop"
    CANCEL = "cancel"
    TURN = "turn"
    RETRY = "retry"
    REMAINDER = "remainder"
    QUOTES = "quotes"

    @property
    def is_unasked(self) -> bool:
        """Whether nothing has been asked for yet, so that the later look is what the decision comes to. What waits
        otherwise was asked for already, or stands: its end is that of its copy."""
        return self not in (Wait.CANCEL, Wait.RETRY, Wait.REMAINDER)
