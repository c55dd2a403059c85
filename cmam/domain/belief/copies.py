"""What a follower holds of its leaders, and what it has asked of its broker: copies, intents, cursors.

Plain values; how they come about is told by the folds in `decided.py`, `intents.py`, `booking.py` and `catching_up.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from cmam.domain.events import Goal, Terms, Wait
from cmam.domain.values.changes import Change
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import (
    AccountId,
    IntentId,
    LinkId,
    OrderId,
    PositionId,
    ProfileId,
    SourceKey,
    SymbolId,
)
from cmam.domain.values.quantities import Distance, Price, Side, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import quickly_made

OF_CLOSES = (CommandKind.CLOSE.value, CommandKind.ADD.value)
"""What the trouble of a copy begins with where a close was refused."""


class CopyState(StrEnum):
    """Where a copy stands. The last four are ends."""

    WAITING = "waiting"
    OPENING = "opening"
    RESTING = "resting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_end(self) -> bool:
        return self in (CopyState.CLOSED, CopyState.REFUSED, CopyState.EXPIRED, CopyState.CANCELLED)


class IntentState(StrEnum):
    """Where a request stands that has no outcome yet."""

    RECORDED = "recorded"
    SENT = "sent"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"


CopyKey = tuple[LinkId, SourceKey]


@quickly_made
@dataclass(frozen=True, kw_only=True)  # no slots: see replacing.py
class Intent:
    """A request of ours without an outcome yet. `filled` is what its deals have executed so far.

    Of an unknown outcome, `why` and from when on the broker is asked about it. `after_ms` is the last that was known of
    its position when it was recorded, by the broker's clock.
    """

    intent: IntentId
    link: LinkId
    source: SourceKey
    seq: int
    command: Command
    volume_before: Volume
    attempt: int
    recorded_us: int
    state: IntentState = IntentState.RECORDED
    moved_us: int = 0
    order: OrderId | None = None
    filled: Volume = Volume(0)
    not_after_us: int = 0
    why: str = ""
    ask_us: int = 0
    after_ms: int = 0
    growth: tuple[int, int] = (0, 1)
    """What of its copy's target an add stands for: what it asks for, and what was held already."""

    @property
    def key(self) -> CopyKey:
        return (self.link, self.source)


@dataclass(frozen=True, slots=True)
class LostClose:
    """A close of a share of which only the net has told that it was done, and what each share has lost by it: its order
    asked for `volume`, and is not older than `after_ms` by the broker's clock, where nobody has told which it is."""

    parts: tuple[tuple[CopyKey, Volume], ...]
    position: PositionId
    volume: Volume
    after_ms: int
    order: OrderId | None


@dataclass(frozen=True, slots=True)
class Missed:
    """What a look has found missing of a net and no deal had told: so much (0 where orders of ours hide that yet), by
    deals between two moments by the broker's clock (0 where that tells none), and what each share has lost by it, as
    that was booked."""

    position: PositionId
    volume: Volume
    since_ms: int
    until_ms: int
    parts: tuple[tuple[CopyKey, Volume], ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """The levels that the broker has confirmed last: asked for again only when somebody changed them since."""

    stop: Price | None
    target: Price | None
    trailing: bool


@dataclass(frozen=True, slots=True)
class Restored:
    """What a log that was restored from a backup knew of a copy: its target, in parts, and how much it held.

    `seen_us` is the moment of the first look after that. `is_met` says that a change of the leader has been met since
    by rules that let all this stand: by later ones nothing of it holds any more. `volume` counts what orders that the
    log does not know have made of a share since, and so much more than the log knew it is by these.
    """

    numerator: int
    denominator: int
    volume: Volume
    seen_us: int
    is_met: bool = False
    more: int = 0

    @property
    def target(self) -> Fraction:
        """What it was to hold, in 1/100 unit."""
        return Fraction(self.numerator, self.denominator)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A target that is left out until its broker may take it: it lies nearer to the market than that allows.

    `level` is None while nothing has filled. `refusals` counts how often it was asked for again in vain, `is_due` says
    that the market lets it be asked for now, `is_bare` that the one which the position shows was refused too.
    """

    level: Price | None = None
    refusals: int = 0
    is_due: bool = False
    is_bare: bool = False


BY_GATES = frozenset(
    {
        Reason.PAUSED,
        Reason.MANAGE_ONLY,
        Reason.IGNORE_NEW,
        Reason.UNMAPPED_SYMBOL,
        Reason.SYMBOL_EXCLUDED,
        Reason.SYMBOL_DISABLED,
        Reason.SYMBOL_CHANGED,
        Reason.SIDE_EXCLUDED,
        Reason.SHORT_SELLING,
        Reason.ORDER_TYPE_EXCLUDED,
        Reason.LABEL_EXCLUDED,
        Reason.NETTED_TAKEN,
        Reason.STALE_INPUT,
        Reason.TOO_OLD,
        Reason.EXPIRED,
        Reason.CLOCK,
        Reason.PRICE_AWAY,
        Reason.NOT_BETTER,
        Reason.SPREAD,
        Reason.OUTSIDE_HOURS,
        Reason.LEVEL_PASSED,
        Reason.LEVEL_WRONG_SIDE,
        Reason.NO_STOP,
        Reason.NO_STOP_REVERSED,
        Reason.STOP_REQUIRED,
        Reason.NO_GUARANTEED_STOP,
        Reason.STOP_TOO_CLOSE,
        Reason.STOP_TOO_TIGHT,
        Reason.STOP_NOT_A_RISK,
        Reason.BELOW_MINIMUM,
        Reason.NO_RATE,
        Reason.LOTS_UNCONFIRMED,
        Reason.BAD_FORMULA,
        Reason.RAISE_TOO_FAR,
        Reason.SANITY,
        Reason.MAX_POSITIONS,
        Reason.MAX_LOTS,
        Reason.MARGIN,
        Reason.EQUITY_UNKNOWN,
    }
)
"""Why an open that waited may be skipped after all, as one is that does not wait."""


_IDLE = (Wait.BETTER, Wait.STOP, Wait.QUOTES)
"""What an open waits for before it has ever been asked for."""


@quickly_made
@dataclass(frozen=True, kw_only=True)  # no slots: see replacing.py
class Copy:
    """One source of a leader as this follower holds it. Volumes are the follower's.

    `change` is the leader's change that an open still rests on, `wait` what it waits for until `wait_until_us`.
    `leader_filled` says that the leader's pending order became a position, `filled_us` since when its copy rests on
    grace, `ahead_since_us` since when a copy is filled that its leader's order is not. `pinned_*` are a person's
    levels, `own_*` those of his that stand where there is none to copy, `seen_*` the levels last seen, `applied` and
    `amended_to` what the broker confirmed last, `replacing` an order that is cancelled to be placed anew, `trouble`
    what the broker last refused, `ending` why we are closing it. A `share` is a part of a netted position. `again_us`
    is when an add that was refused may go out again, `part_seq` and `part` the number of the last open or add and how
    many requests have asked for it so far. `by_hand` is the fraction of its resting order that people have made
    of it. `close_at_us` is when a close that was refused may go out again, and
    `close_refusals` how often it was; what else was refused waits until `retry_at_us`.
    """

    link: LinkId
    profile: ProfileId
    source: SourceKey
    state: CopyState
    leader: AccountId
    leader_position: PositionId | None
    leader_order: OrderId | None
    leader_symbol: str
    leader_digits: int
    symbol: SymbolId
    side: Side
    goal: Goal
    decided_us: int
    leader_opened: Volume = Volume(0)
    position: PositionId | None = None
    order: OrderId | None = None
    volume: Volume = Volume(0)
    opened_volume: Volume = Volume(0)
    open_price: Price | None = None
    close_price: Price | None = None
    opened_us: int = 0
    closed_us: int = 0
    last_seq: int = 0
    reason: Reason | None = None
    awaits_protection: bool = False
    refusals: int = 0
    retry_at_us: int = 0
    close_refusals: int = 0
    close_at_us: int = 0
    not_after_us: int = 0
    settings_version: int = 0
    change: Change | None = None
    wait: Wait | None = None
    wait_until_us: int = 0
    leader_filled: bool = False
    filled_us: int = 0
    grace_over: bool = False
    ahead_since_us: int = 0
    pinned_stop: Price | None = None
    pinned_target: Price | None = None
    pinned_trailing: bool | None = None
    own_stop: Price | None = None
    own_target: Price | None = None
    applied: Applied | None = None
    amended_to: Terms | None = None
    replacing: bool = False
    seen_stop: Price | None = None
    seen_target: Price | None = None
    stopped_out: bool = False
    trouble: str = ""
    trouble_us: int = 0
    doubt: bool = False
    ended_order: bool = False
    source_closed: bool = False
    reopened: bool = False
    ending: Reason | None = None
    trailed_us: int = 0
    by_hand: tuple[int, int] = (1, 1)
    share: bool = False
    again_us: int = 0
    part_seq: int = 0
    part: int = 0
    refused: tuple[IntentId, ...] = ()
    """The requests to open or place it that were refused: a server may do one all the same."""
    told_levels: tuple[Price | None, Price | None] | None = None
    """The leader's stop and target as they were told last."""
    stop_moved_us: int = 0
    """When the leader's stop was last told to be another one."""
    levels_until_us: int = 0
    """Until when the broker may still be setting the levels that an order of ours carried, after each of its fills."""
    own_shift: Distance | None = None
    """The shift that it had before its link copied levels by price."""
    carried: tuple[Distance | None, Distance | None] | None = None
    """How far from its fill the stop and target lie that the last open carried."""
    told_order: Change | None = None
    """The last amendment of the leader's order that was told, by whatever rules and whatever became of it."""
    told_volume: Volume = Volume(0)
    """What the leader had after his last add or reduction, where that was not copied; 0 where it was."""
    left_out: LeftOut | None = None
    target_at_us: int = 0
    """From when on a target that is left out may be asked for again."""
    closed_by: OrderId | None = None
    """The leader's order that has closed its source, where that is known: not the one that opened it."""
    leader_fills: Volume = Volume(0)
    """How much of the leader's pending order has filled, whatever he has closed of it since."""
    unpriced: Volume = Volume(0)
    """How much this share had as it went with its net, where no deal has told by whom and at which price."""
    growth: tuple[int, int] = (0, 1)
    """The fraction of 1/100 unit that it is to grow by and has asked for nowhere, while it waits."""
    restored: Restored | None = None
    """What a log that was restored from a backup knew of it."""
    refused_part: Volume = Volume(0)
    """How much of it was asked to be closed and refused since the last look: a server may have done it all the same."""

    @property
    def is_idle(self) -> bool:
        """Whether it is an open that waits and has never been asked for: it passes all gates when it goes."""
        return self.state is CopyState.WAITING and self.wait in _IDLE and self.order is None

    @property
    def awaits_amend(self) -> bool:
        """Whether it is an order that rests as it is until it is known at which price it may rest as its leader's."""
        return self.wait is Wait.QUOTES and self.order is not None

    @property
    def was_never_out(self) -> bool:
        """Whether it was an open that waited, until a gate skipped it: nothing of it was ever asked of a broker."""
        is_unknown = self.position is None and self.order is None and not self.last_seq
        return is_unknown and self.reason in BY_GATES

    @property
    def key(self) -> CopyKey:
        return (self.link, self.source)

    @property
    def is_close_refused(self) -> bool:
        """Whether a close was refused; what a share gives up against its net is an add that closes."""
        return self.trouble.startswith(OF_CLOSES)

    @property
    def leader_had(self) -> Volume:
        """What the leader had as far as this copy was told: more than its goal counts where an add was not copied."""
        return max(self.goal.leader_volume, self.told_volume)

    @property
    def target(self) -> Fraction:
        """The exact volume the copy should have, in 1/100 unit; nothing where a record names no number."""
        return self.goal.target

    @property
    def is_wanted(self) -> bool:
        """Whether the copy should have any volume, which asks for no fraction."""
        return self.goal.target_numerator * self.goal.target_denominator > 0

    @property
    def residue(self) -> Fraction:
        """What a copy holds above its target as the step allows no less; below zero what it lacks; zero when closed."""
        return self.volume - self.target if self.state in (CopyState.OPEN, CopyState.CLOSING) else Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last of a leader's changes that a link has decided."""

    version: int
    index: int

    def is_before(self, version: int, index: int) -> bool:
        return (self.version, self.index) < (version, index)
