"""A decision about an open in the making: what the rules read, note and fill in for each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Inputs, Step, Wait
from cmam.domain.market.conversion import Rates
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.profiles.policy import Policy
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import (
    Distance,
    Price,
    Quote,
    Side,
    Volume,
)
from cmam.domain.values.replacing import replace, without
from cmam.domain.values.rules.levels import SIDES_ARE_KEPT
from cmam.domain.values.rules.opens import JUMPS_TOLD_APART, NOT_MADE_UP, OLD_DO_NOT_WAIT, QUOTES_OF_NOW
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.wanted.levels import Plan

LAG_MS_MAX = 2_000
"""How much later one broker may tell of a jump of the market than the other."""


@dataclass(slots=True, kw_only=True)
class Draft:
    """A decision about an open in the making. `shift` is preset for late opens, `stop` and `target` are distances.

    `by_hand` is what people have left of the order that it stands for, `filled` what of an amended one is held already.
    `is_dark` says that a guard lacks nothing but what the account is worth now, `leaves_target` that its broker has
    refused it with a target, `unread` which symbol it may be before its `spec` is known, `is_made_up` that it is
    what the leader held as the link began, within the limits that `sync_open` has for that.
    """

    view: AccountView
    change: Change
    settings: LinkSettings
    inputs: Inputs
    now_us: int
    copy: Copy | None = None
    wait: Wait | None = None
    is_add: bool = False
    is_full: bool = False
    is_pending: bool = False
    is_dark: bool = False
    stop_wait_over: bool = False
    leaves_target: bool = False
    add_volume: Fraction | None = None
    by_hand: Fraction = Fraction(1)
    filled: Volume = Volume(0)
    spec: SymbolSpec | None = None
    unread: SymbolId | None = None
    volume: Volume = Volume(0)
    whole: Volume = Volume(0)
    plan: Plan | None = None
    shift: Distance | None = None
    stop: Distance | None = None
    target: Distance | None = None
    limit_price: Price | None = None
    stop_price: Price | None = None
    expires_ms: int | None = None
    base_price: Price | None = None
    working: list[Step] = field(default_factory=list)
    policy: Policy = field(init=False)
    rates: Rates = field(init=False)
    is_made_up: bool = field(init=False)

    def __post_init__(self) -> None:
        self.policy = self.settings.policy.for_symbol(self.change.symbol.name)
        is_synced = self.change.synced and not self.change.reopens
        self.is_made_up = is_synced and (self.policy.sync_open or self.view.rules < NOT_MADE_UP)
        self.rates = Rates(self.view, self.inputs.quotes, self.now_us, self.policy.input_max_age_ms)

    def grows(self, copy: Copy) -> None:
        """From here on this is a resting copy that becomes larger: what it is now counts as it is to be, and once."""
        self.view = replace(self.view, orders=without(self.view.orders, copy.order)) if copy.order else self.view
        self.rates = Rates(self.view, self.inputs.quotes, self.now_us, self.policy.input_max_age_ms)
        self.filled = copy.volume if copy.position is not None else Volume(0)

    @property
    def side(self) -> Side:
        """The copy's own side: for life where it stands already, else as the link trades now."""
        copy = self.copy
        if copy is not None and copy.wait is not Wait.TURN and self.view.rules >= SIDES_ARE_KEPT:
            return copy.side
        return self.change.side.opposite if self.policy.reverse else self.change.side

    @property
    def is_turned(self) -> bool:
        """Whether the copy is on the other side than its leader."""
        return self.side is not self.change.side

    @property
    def symbol(self) -> SymbolSpec:
        assert self.spec is not None
        return self.spec

    @property
    def quote(self) -> Quote | None:
        """The follower's quote of the traded symbol, where it is young enough."""
        if self.spec is None or self.view.rules < QUOTES_OF_NOW:
            return self.newest_quote
        return self.rates.quote(self.spec.name)

    @property
    def newest_quote(self) -> Quote | None:
        """The follower's quote of the traded symbol, however old."""
        return self.inputs.quotes.get(self.spec.name) if self.spec is not None else None

    @property
    def leader_quote(self) -> Quote | None:
        """The leader's quote: of now where that is known, else of the change."""
        return self.inputs.leader_quote or self.change.quote

    @property
    def leader_quote_of_now(self) -> Quote | None:
        """The leader's quote, where that of his change is not too old to stand for the one of now."""
        quote = self.leader_quote
        if quote is None or self.inputs.leader_quote is not None or self.view.rules < QUOTES_OF_NOW:
            return quote
        return quote if self.now_us - quote.seen_us <= self.policy.input_max_age_ms * 1_000 else None

    @property
    def usual(self) -> Distance | None:
        """By how much the follower's quotes usually lie above the leader's, where those of now say otherwise."""
        if self.spec is None or not self.inputs.usual or self.view.rules < JUMPS_TOLD_APART:
            return None
        return self.inputs.usual.get(self.spec.name)

    @property
    def may_lag(self) -> bool:
        """Whether one of the two brokers has yet to tell of a jump of the market, and may at any moment."""
        return self.usual is not None and not self.is_old and self.age_ms <= LAG_MS_MAX

    @property
    def is_late(self) -> bool:
        """Whether the market has moved since the leader's fill, so that prices are carried by quotes instead."""
        return self.change.late or self.change.synced or self.wait in (Wait.BETTER, Wait.CANCEL, Wait.QUOTES)

    @property
    def is_limited(self) -> bool:
        """Whether the follower's account is of limited risk: it opens with a guaranteed stop only."""
        return self.view.trader is not None and self.view.trader.limited_risk

    @property
    def is_guaranteed(self) -> bool:
        """Whether the copy's stop must be guaranteed: at limited risk, or where the leader's is and that is copied."""
        return self.is_limited or (self.policy.copy_guaranteed and self.change.guaranteed)

    @property
    def age_ms(self) -> int:
        return self.now_us // 1_000 + self.inputs.clock_offset_ms - self.change.at_ms

    @property
    def max_age_ms(self) -> int:
        return self.policy.sync_max_age_ms if self.is_made_up else self.policy.max_age_ms

    @property
    def is_old(self) -> bool:
        """Whether nothing could be opened or added for it any more, so that there is nothing to wait for."""
        return self.view.rules >= OLD_DO_NOT_WAIT and self.age_ms > self.max_age_ms

    @property
    def not_after_us(self) -> int:
        """The moment, by our clock, after which this open is too late."""
        return (self.change.at_ms - self.inputs.clock_offset_ms + self.max_age_ms) * 1_000

    def note(self, name: str, value: object, note: str = "") -> None:
        """Add a line to the working."""
        self.working.append(Step(name=name, value=str(value), note=note))
