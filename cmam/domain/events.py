"""Every fact that the store keeps, grouped by stream, in the past tense.

Events are frozen, slotted dataclasses that know no store: `store/log.py` wraps, chains and writes them. `TOPIC` is the
name under which an event is stored for ever; an event is never edited, only succeeded, and new fields have defaults.
Fields are int, str, bool, Enum, NewType of these, tuple, nested dataclass, `| None` and mappings with sorted keys.

A stream of an account alternates between *inputs* (what the broker or the timer said) and what was *derived* from them
(decisions, intents, outcomes). Derived events follow the input they came from, so that a replay can compute them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from cmam.domain.changes import Change
from cmam.domain.commands import Command
from cmam.domain.ids import (
    AccountId,
    AssetId,
    ChangeKey,
    IntentId,
    LinkId,
    OrderId,
    PositionId,
    ProfileId,
    SourceKey,
    SymbolId,
)
from cmam.domain.quantities import Distance, Price, Quote, Side, Volume
from cmam.domain.reasons import Reason, Verdict
from cmam.domain.replacing import quickly_made
from cmam.domain.symbols import SymbolName, SymbolSpec
from cmam.domain.trades import (
    BalanceChange,
    Deal,
    ExecutionKind,
    Order,
    OrderType,
    Position,
    Trader,
    TriggerMethod,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A stored fact."""

    TOPIC: ClassVar[str]
    IS_DERIVED: ClassVar[bool] = False


# --- account:<ctid>, inputs ---------------------------------------------------------------------------------------


class Health(StrEnum):
    """How far an account's session has come; only RECONCILED is ready for trade."""

    DOWN = "down"
    AUTHORISED = "authorised"
    SUBSCRIBED = "subscribed"
    RECONCILED = "reconciled"
    TOKEN_DEAD = "token_dead"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChanged(Event):
    """An account's session came a step further, or fell back."""

    TOPIC: ClassVar[str] = "account.health_changed"
    health: Health
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraderSeen(Event):
    """The broker said what the account is and holds."""

    TOPIC: ClassVar[str] = "account.trader_seen"
    trader: Trader
    currency: str = ""
    is_live: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetName:
    """A currency or other asset of a broker, by name."""

    asset: AssetId
    name: str
    digits: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolListSeen(Event):
    """The broker listed its symbols and assets; recorded when the list differs from the last one."""

    TOPIC: ClassVar[str] = "account.symbol_list_seen"
    digest: str
    symbols: tuple[SymbolName, ...]
    assets: tuple[AssetName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolSpecSeen(Event):
    """The broker said what a symbol allows; recorded when it differs from what was known."""

    TOPIC: ClassVar[str] = "account.symbol_spec_seen"
    spec: SymbolSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSeen(Event):
    """The broker reported what happened to an order, a position or the balance."""

    TOPIC: ClassVar[str] = "account.execution_seen"
    kind: ExecutionKind
    order: Order | None = None
    position: Position | None = None
    deal: Deal | None = None
    balance: BalanceChange | None = None
    client_msg_id: str = ""
    is_server_event: bool = False
    error_code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused(Event):
    """The broker refused a request of ours before it became an order."""

    TOPIC: ClassVar[str] = "account.request_refused"
    intent: IntentId
    error_code: str
    description: str = ""
    retry_after_s: int = 0
    is_temporary: bool = False
    order: OrderId | None = None
    position: PositionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailingStopMoved(Event):
    """The broker moved a trailing stop; no execution event comes with it."""

    TOPIC: ClassVar[str] = "account.trailing_stop_moved"
    position: PositionId
    order: OrderId
    stop: Price
    updated_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled(Event):
    """All that the broker holds for the account at one moment, with what happened in the gap before it.

    `deals` and `closed_orders` are those of the gap. `looked_up` is set when the order history was asked too, so that
    the absence of an intent's order in it is proof; `covers_from_ms` is how far back it reaches in the broker's time,
    `settle_us` how long an order may be under way before its absence proves anything. `quiet` says that nothing
    happened around the question, so that this is newer than all that is known, whatever its times say: a broker's
    clock may step.
    """

    TOPIC: ClassVar[str] = "account.reconciled"
    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    deals: tuple[Deal, ...] = ()
    past_orders: tuple[Order, ...] = ()
    looked_up: bool = False
    covers_from_ms: int = 0
    settle_us: int = 10_000_000
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverageTier:
    """Up to how much exposure, in US cents, which leverage holds: 100 means 1:100."""

    limit_cents: int
    leverage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverageSeen(Event):
    """The broker told the tiers of a dynamic leverage, lowest exposure first; none where it does not know it."""

    TOPIC: ClassVar[str] = "account.leverage_seen"
    leverage: int
    tiers: tuple[LeverageTier, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedMargin:
    """The margin that a volume would bind on either side, in minor units of the account."""

    volume: Volume
    buy: int
    sell: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginSeen(Event):
    """The broker reckoned which margin some volumes of a symbol would bind, smallest first."""

    TOPIC: ClassVar[str] = "account.margin_seen"
    symbol: SymbolId
    margins: tuple[ExpectedMargin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionResult:
    """What a position would realise now by its broker's own reckoning, in minor units of the account."""

    position: PositionId
    net: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsSeen(Event):
    """The broker reckoned all floating results: asked where quotes are missing and a guard must know equity."""

    TOPIC: ClassVar[str] = "account.results_seen"
    results: tuple[PositionResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayHistorySeen(Event):
    """All deals and movements of money since a guard's day began: its beginning was missed and is rebuilt from them.

    `offset_ms` is the broker's clock minus ours.
    """

    TOPIC: ClassVar[str] = "account.day_history_seen"
    began_us: int
    deals: tuple[Deal, ...]
    money: tuple[BalanceChange, ...]
    offset_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotesSampled(Event):
    """The quotes of the symbols in which copies are open, recorded every ten seconds for replay and what-if."""

    TOPIC: ClassVar[str] = "account.quotes_sampled"
    quotes: Mapping[str, Quote]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentSent(Event):
    """A request was written to the socket. Spans in us since the leader's report was read, 0 where there was none."""

    TOPIC: ClassVar[str] = "account.intent_sent"
    intent: IntentId
    decided_us: int = 0
    committed_us: int = 0
    written_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentDropped(Event):
    """The limiter did not send a request: it waited too long, or a newer one took its place. Nothing was sent."""

    TOPIC: ClassVar[str] = "account.intent_dropped"
    intent: IntentId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentOverdue(Event):
    """No answer came in time, or the line was cut: the outcome is unknown until the broker shows it.

    `ask_us` is the moment from which on the broker's answer proves something: the settling time is over then.
    """

    TOPIC: ClassVar[str] = "account.intent_overdue"
    intent: IntentId
    why: str
    ask_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOverdue(Event):
    """Something that was to happen to a copy by itself has not, and is now asked for again."""

    TOPIC: ClassVar[str] = "account.copy_overdue"
    link: LinkId
    source: SourceKey
    what: str


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
    """Equity reached a new high of the day, put on record at most every ten seconds and before each trip of a guard."""

    TOPIC: ClassVar[str] = "account.equity_peaked"
    link: LinkId
    equity: int


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
class CopiesReleased(Event):
    """Links ended while copies of theirs were live: these are closed, or left as they are at the broker.

    Copied orders that rest are cancelled either way, unless they were to be kept; an open on its way is taken back.
    """

    TOPIC: ClassVar[str] = "account.copies_released"
    links: tuple[LinkId, ...]
    close: bool = False
    keep_pendings: bool = False
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolConfirmed(Event):
    """Somebody looked at a symbol whose lot size, digits or step changed, and lets it be traded again."""

    TOPIC: ClassVar[str] = "account.symbol_confirmed"
    symbol: SymbolId
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyWoken(Event):
    """Something that waited may be possible now: the inputs of this moment, and the link's settings, for what follows.

    The settings stand here because what is derived from this fact must be derivable from it again.
    """

    TOPIC: ClassVar[str] = "account.copy_woken"
    link: LinkId
    source: SourceKey
    inputs: Inputs
    settings: Mapping[str, str]
    settings_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyAdopted(Event):
    """Copies of another store, or of a lost log, were taken over by an explicit command."""

    TOPIC: ClassVar[str] = "account.copy_adopted"
    link: LinkId
    store: str
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRebuilt(Event):
    """A copy that the broker shows and the record lacked was taken in by its label, of a lost log or an adopted store.

    `goal` is what it shall be from now on: what it is, with the leader's levels of now. `change` is his position as if
    opened just now, None where that is gone. Without position and order it is known to have ended. `reason` says why,
    or why the copy had ended before this arrived.
    """

    TOPIC: ClassVar[str] = "account.copy_rebuilt"
    link: LinkId
    profile: ProfileId
    source: SourceKey
    store: str
    label: str
    leader: AccountId
    leader_position: PositionId | None
    leader_order: OrderId | None
    leader_symbol: str
    leader_digits: int
    leader_filled: bool
    symbol: SymbolId
    side: Side
    goal: Goal
    settings_version: int
    position: PositionId | None = None
    order: OrderId | None = None
    volume: Volume = Volume(0)
    open_price: Price | None = None
    opened_us: int = 0
    share: bool = False
    change: Change | None = None
    reason: Reason | None = None


class FindingKind(StrEnum):
    """How record, follower and leader may differ: closed, each with its row in `domain/reconcile.py`."""

    MISSING = "missing"
    ORPHAN = "orphan"
    GONE = "gone"
    WRONG_SIZE = "wrong_size"
    RESIDUE = "residue"
    WRONG_SIDE = "wrong_side"
    WRONG_PROTECTION = "wrong_protection"
    WRONG_TERMS = "wrong_terms"
    UNKNOWN = "unknown"
    UNRECORDED = "unrecorded"
    DUPLICATE = "duplicate"
    FOREIGN = "foreign"
    HUMAN = "human"


class Remedy(StrEnum):
    """What becomes of a finding: all but the last three by itself."""

    CLOSE = "close"
    REDUCE = "reduce"
    CANCEL = "cancel"
    AMEND = "amend"
    TRADE_BACK = "trade_back"
    OPEN = "open"
    REBUILD = "rebuild"
    LOOK_UP = "look_up"
    NOTE = "note"
    WAIT = "wait"
    BY_HAND = "by_hand"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference, what was expected and what was found in words, and what removes it."""

    kind: FindingKind
    remedy: Remedy
    link: LinkId | None = None
    source: SourceKey | None = None
    position: PositionId | None = None
    order: OrderId | None = None
    expected: str = ""
    found: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsMade(Event):
    """Record, broker and leaders were compared, and differ otherwise than the last time: all that differs now."""

    TOPIC: ClassVar[str] = "account.findings_made"
    findings: tuple[Finding, ...]


# --- account:<ctid>, derived --------------------------------------------------------------------------------------


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
    it stands for: while that one stays, so does ours.
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
    `warming` says that one of the two feeds is so new that a missing quote may still come.
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


class Wait(StrEnum):
    """What an open that was decided still waits for."""

    BETTER = "better"
    STOP = "stop"
    CANCEL = "cancel"
    TURN = "turn"
    RETRY = "retry"
    REMAINDER = "remainder"
    QUOTES = "quotes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDecided(Event):
    """A leader's change met its one decision for a link: copy, skip or none, with all that it rested on.

    `cause_version` and `cause_index` say which event of the leader's stream it was, and which change of that event.
    `working` is the arithmetic down to the last rounding, `not_after_us` the moment after which an open is too late.
    """

    TOPIC: ClassVar[str] = "account.change_decided"
    IS_DERIVED: ClassVar[bool] = True
    link: LinkId
    profile: ProfileId
    change: Change
    cause_version: int
    cause_index: int
    settings_version: int
    verdict: Verdict
    reason: Reason | None = None
    volume: Volume = Volume(0)
    symbol: SymbolId | None = None
    side: Side | None = None
    goal: Goal | None = None
    working: tuple[Step, ...] = ()
    inputs: Inputs = Inputs()
    not_after_us: int = 0
    wait: Wait | None = None
    wait_until_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptDecided(Event):
    """An open that had to wait was looked at again, and now goes out, waits on or ends.

    It belongs to the change that was decided before (`change`); the gates, the size and the levels are those of now.
    """

    TOPIC: ClassVar[str] = "account.attempt_decided"
    IS_DERIVED: ClassVar[bool] = True
    link: LinkId
    source: SourceKey
    change: ChangeKey
    wait: Wait
    settings_version: int
    verdict: Verdict
    reason: Reason | None = None
    volume: Volume = Volume(0)
    goal: Goal | None = None
    working: tuple[Step, ...] = ()
    not_after_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOutSeen(Event):
    """The broker stopped a copy out, whole or in part: it is never added to again, and its link opens nothing more."""

    TOPIC: ClassVar[str] = "account.stop_out_seen"
    IS_DERIVED: ClassVar[bool] = True
    link: LinkId
    source: SourceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyTouched(Event):
    """Somebody else changed a copy: `what` is volume, stop, target or order. It is respected, and never undone."""

    TOPIC: ClassVar[str] = "account.copy_touched"
    IS_DERIVED: ClassVar[bool] = True
    link: LinkId
    source: SourceKey
    what: str
    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRecorded(Event):
    """A request was decided and named before it may leave: the promise that it leaves at most once.

    `volume_before` is the position's volume when a close was decided: its outcome is told by the difference. `part` is
    above 1 where it asks for the rest of request `seq`, which was split or filled in part.
    """

    TOPIC: ClassVar[str] = "account.intent_recorded"
    IS_DERIVED: ClassVar[bool] = True
    intent: IntentId
    link: LinkId
    source: SourceKey
    seq: int
    command: Command
    change: ChangeKey | None = None
    volume_before: Volume = Volume(0)
    attempt: int = 1
    not_after_us: int = 0
    part: int = 0


class Outcome(StrEnum):
    """How an intent ended."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    DROPPED = "dropped"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentSettled(Event):
    """An intent came to its end, with proof from the broker or the certainty that it never left.

    `retry_in_us` is above zero where an open may be tried anew, through all gates, after that span.
    """

    TOPIC: ClassVar[str] = "account.intent_settled"
    IS_DERIVED: ClassVar[bool] = True
    intent: IntentId
    outcome: Outcome
    reason: str = ""
    retry_in_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFinished(Event):
    """A copy came to its end; its source never counts as missing again."""

    TOPIC: ClassVar[str] = "account.copy_finished"
    IS_DERIVED: ClassVar[bool] = True
    link: LinkId
    source: SourceKey
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRaised(Event):
    """Something needs a person's eye."""

    TOPIC: ClassVar[str] = "account.alert_raised"
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSetAside(Event):
    """The account failed on this message again and again and goes on without it; `content` is the message itself."""

    TOPIC: ClassVar[str] = "account.message_set_aside"
    message: str
    content: str
    error: str
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertHealed(Event):
    """What an alert spoke of is over."""

    TOPIC: ClassVar[str] = "account.alert_healed"
    kind: str


# --- profile:<id> -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileCreated(Event):
    """A profile was created: one leader, and links to follow."""

    TOPIC: ClassVar[str] = "profile.created"
    profile: ProfileId
    name: str
    leader: AccountId
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAdded(Event):
    """A follower was joined to the profile's leader. `since` is the leader's stream version at which it begins."""

    TOPIC: ClassVar[str] = "profile.link_added"
    link: LinkId
    follower: AccountId
    settings: Mapping[str, str] = field(default_factory=dict)
    since: int = 0
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettingsChanged(Event):
    """A link's policy was changed: the settings that differ from their defaults, all of them, by name."""

    TOPIC: ClassVar[str] = "profile.link_settings_changed"
    link: LinkId
    settings: Mapping[str, str]
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRemoved(Event):
    """A follower was taken out of the profile; its copies stay as they are."""

    TOPIC: ClassVar[str] = "profile.link_removed"
    link: LinkId
    user: str = ""


class ProfileState(StrEnum):
    """What the operator wants of a profile."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileStateChanged(Event):
    """The operator resumed, paused or stopped a profile. `since` maps each leader to the version copying begins at."""

    TOPIC: ClassVar[str] = "profile.state_changed"
    state: ProfileState
    since: int = 0
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSettingsChanged(Event):
    """Settings of the whole profile were changed: those that differ from their defaults, all of them, by name."""

    TOPIC: ClassVar[str] = "profile.settings_changed"
    settings: Mapping[str, str]
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRenamed(Event):
    """A profile got another name."""

    TOPIC: ClassVar[str] = "profile.renamed"
    name: str
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileDeleted(Event):
    """A profile was deleted; its history stays."""

    TOPIC: ClassVar[str] = "profile.deleted"
    user: str = ""


# --- app ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCreated(Event):
    """The store began, with the name that stands in every order it will ever send.

    `again` says that a log of this name was there before and is gone: what it knew is to be found at the brokers.
    """

    TOPIC: ClassVar[str] = "app.store_created"
    store: str
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfigured(Event):
    """The way to the API was configured. Credentials appear by keyed fingerprint only."""

    TOPIC: ClassVar[str] = "app.api_configured"
    settings: Mapping[str, str]
    application: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAdded(Event):
    """An account became known, or what is known of it changed. `grant` is the fingerprint of the consent to it."""

    TOPIC: ClassVar[str] = "app.account_added"
    account: AccountId
    login: int = 0
    broker: str = ""
    is_live: bool = False
    can_trade: bool = True
    grant: str = ""
    currency: str = ""
    account_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAliased(Event):
    """An account got a name of its owner's choice; empty takes it away."""

    TOPIC: ClassVar[str] = "app.account_aliased"
    account: AccountId
    alias: str
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTagged(Event):
    """An account's tags are now these."""

    TOPIC: ClassVar[str] = "app.account_tagged"
    account: AccountId
    tags: tuple[str, ...]
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPaused(Event):
    """An account takes no opens until it is resumed."""

    TOPIC: ClassVar[str] = "app.account_paused"
    account: AccountId
    paused: bool
    reason: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRemoved(Event):
    """An account is no longer cmam's; its history stays."""

    TOPIC: ClassVar[str] = "app.account_removed"
    account: AccountId
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStarted(Event):
    """The trading process began."""

    TOPIC: ClassVar[str] = "app.system_started"
    version: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStopped(Event):
    """The trading process came to an orderly end; so many copies stay at their brokers, some of them without a stop."""

    TOPIC: ClassVar[str] = "app.system_stopped"
    reason: str = ""
    left_open: int = 0
    without_stop: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorRestarted(Event):
    """An actor failed and was started again from its record."""

    TOPIC: ClassVar[str] = "app.actor_restarted"
    name: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorStuck(Event):
    """An actor has made no progress for a while, though there was something to do; `doing` is what it was at."""

    TOPIC: ClassVar[str] = "app.actor_stuck"
    name: str
    doing: str
    stalled_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointed(Event):
    """The heads of all chains at one position of the log: what verify holds the file against."""

    TOPIC: ClassVar[str] = "app.checkpointed"
    position: int
    heads: Mapping[str, str]


# --- connection:<env>-<n> -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionUp(Event):
    """The application was authorised on a connection."""

    TOPIC: ClassVar[str] = "connection.up"
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionDown(Event):
    """A connection was lost or could not be made."""

    TOPIC: ClassVar[str] = "connection.down"
    reason: str
    permanent: bool = False
    retry_in_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUnreadable(Event):
    """The server sent bytes that could not be read as what they claim to be; `payload` holds them in base64."""

    TOPIC: ClassVar[str] = "connection.message_unreadable"
    payload_type: int
    account: AccountId
    payload: str
    digest: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsBlocked(Event):
    """The server blocked a kind of request for a while."""

    TOPIC: ClassVar[str] = "connection.requests_blocked"
    payload_type: int
    retry_after_s: int
    error_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterMeasured(Event):
    """What the rate limiter did in the last minute."""

    TOPIC: ClassVar[str] = "connection.limiter_measured"
    sent: int
    busiest_second: int
    dropped: int
    guard_us: int
    queued_max: int = 0
