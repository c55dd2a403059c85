"""All that is believed of one account, as one immutable value. How it changes is told by `account.evolve`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cmam.domain.belief.asked import of_copy
from cmam.domain.belief.copies import Copy, CopyKey, Cursor, Intent, LostClose, Missed
from cmam.domain.belief.restless import ending, with_copy
from cmam.domain.events import (
    AssetName,
    ExpectedMargin,
    Finding,
    Health,
    LeverageTier,
)
from cmam.domain.profiles.choices import Scope
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import (
    AccountId,
    AssetId,
    DealId,
    IntentId,
    LinkId,
    OrderId,
    PositionId,
    SourceKey,
    SymbolId,
    order_source,
)
from cmam.domain.values.quantities import Price, Volume
from cmam.domain.values.replacing import InTheMaking, replace
from cmam.domain.values.rules.nets import TURNS_AWAIT_CLOSES
from cmam.domain.values.symbols import SymbolName, SymbolSpec
from cmam.domain.values.trades import AccountType, Order, OrderType, Position, Trader


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """A guard that has tripped, until it is re-armed or its time is over. Money in minor units."""

    link: LinkId
    guard: str
    reaction: str
    scope: str
    since_us: int
    until_us: int = 0
    value: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardDay:
    """What a link's guards count from today. Money in minor units; `anchor` None where it is unknown.

    `peak_begun` is the highest equity at which a day began, for drawdowns that count ends of days only. `named` is what
    `guard.initial` was when they began to count from it, 0 where it was off (by rules before 8 the first balance that
    they saw), `anew` where a person asked for the day to begin again.
    """

    began_us: int
    next_us: int
    anchor: int | None
    initial: int
    peak_today: int | None = None
    peak_ever: int | None = None
    peak_begun: int | None = None
    named: int = 0
    anew: bool = False


@dataclass(frozen=True, slots=True)
class InVain:
    """A close or a cancel of what is no copy that came to nothing: when it is asked for again (us, 0 once it is due),
    how often it was refused since when, and why."""

    link: LinkId
    at_us: int
    since_us: int
    refusals: int = 0
    why: str = ""


@dataclass(frozen=True, kw_only=True)  # no slots: `replace` copies its dict, and there is one view for an account
class AccountView:
    """Everything believed of one account.

    `origins` are the orders that opened its positions, `origin_types` their types where that is not the market.
    `results` are floating results by the broker's own reckoning, asked where quotes are missing, with their moment.
    `unexplained` are balance versions of which no deal and no movement of money is known, `in_sight_us` the last moment
    at which the account was known to be what its broker shows, before it went out of sight. `untold` is by how much a
    position, bought as positive, has moved more than its deals have told since the last look, and `trailed_from` where
    its stop stood before it trailed to where it is. `doubted` are positions that snapshots leave out and that count as
    open still, with the moment (us) since when, and `doubted_orders` orders that count as resting. `surplus` is what
    stands besides a copy since a refused request was done all the same, by the source of what takes it back: `x` and
    the position, `y` and the order. `in_vain` is what was to end so, or with a flatten of the whole account, and has
    not yet. `unpriced` are positions of copies of which something went without a deal that told who took it and at
    which price, until the broker has been asked, and `lost_closes` those of our closes that did; `missed` is what
    others took of nets so. `told_closed` are hedged positions of which an event has just told that they are closed,
    with that moment (us), and `dealt_us` is when the last deal was told. `shown_ms` is how new each position was that
    the last look showed. `told_ahead` are deals that the history of the last look has told, and no event yet.
    `restored_us` is when the log was restored from a backup, until the first look after that, and `restored_version`
    how long the stream was by then. `relooked_us` is the moment of that look.
    """

    account: AccountId
    version: int = 0
    rules: int = 1
    at_us: int = 0
    has_reconciled: bool = False
    trader: Trader | None = None
    currency: str = ""
    is_live: bool = False
    health: Health = Health.DOWN
    health_reason: str = ""
    symbol_digest: str = ""
    names: Mapping[str, SymbolName] = field(default_factory=dict)
    assets: Mapping[AssetId, AssetName] = field(default_factory=dict)
    specs: Mapping[SymbolId, SymbolSpec] = field(default_factory=dict)
    positions: Mapping[PositionId, Position] = field(default_factory=dict)
    orders: Mapping[OrderId, Order] = field(default_factory=dict)
    origins: Mapping[PositionId, OrderId] = field(default_factory=dict)
    origin_types: Mapping[PositionId, OrderType] = field(default_factory=dict)
    closed: Mapping[PositionId, int] = field(default_factory=dict)
    told_closed: Mapping[PositionId, int] = field(default_factory=dict)
    shown_ms: Mapping[PositionId, int] = field(default_factory=dict)
    ended: Mapping[OrderId, int] = field(default_factory=dict)
    deals: tuple[DealId, ...] = ()
    told_ahead: tuple[DealId, ...] = ()
    balance: int = 0
    balance_version: int = 0
    cursors: Mapping[LinkId, Cursor] = field(default_factory=dict)
    copies: Mapping[CopyKey, Copy] = field(default_factory=dict)
    finished: Mapping[CopyKey, Copy] = field(default_factory=dict)
    by_position: Mapping[PositionId, CopyKey] = field(default_factory=dict)
    intents: Mapping[IntentId, Intent] = field(default_factory=dict)
    alerts: Mapping[str, str] = field(default_factory=dict)
    pairs: Mapping[AssetId, Mapping[AssetId, str]] = field(default_factory=dict)
    asset_ids: Mapping[str, AssetId] = field(default_factory=dict)
    plain_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    former_specs: Mapping[SymbolId, SymbolSpec] = field(default_factory=dict)
    chains: Mapping[CopyKey, CopyKey] = field(default_factory=dict)
    latches: Mapping[tuple[LinkId, str], Latch] = field(default_factory=dict)
    days: Mapping[LinkId, GuardDay] = field(default_factory=dict)
    refused_opens: Mapping[LinkId, int] = field(default_factory=dict)
    adopted: Mapping[LinkId, tuple[str, ...]] = field(default_factory=dict)
    flatten_account: bool = False
    reconciled_us: int = 0
    dealt_us: int = 0
    leverages: Mapping[int, tuple[LeverageTier, ...]] = field(default_factory=dict)
    margins: Mapping[SymbolId, tuple[ExpectedMargin, ...]] = field(default_factory=dict)
    results: Mapping[PositionId, int] = field(default_factory=dict)
    results_us: int = 0
    in_sight_us: int = 0
    unexplained: tuple[int, ...] = ()
    past_orders: tuple[Order, ...] = ()
    first_volumes: Mapping[PositionId, Volume] = field(default_factory=dict)
    untold: Mapping[PositionId, int] = field(default_factory=dict)
    trailed_from: Mapping[PositionId, Price] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    doubted: Mapping[PositionId, int] = field(default_factory=dict)
    doubted_orders: Mapping[OrderId, int] = field(default_factory=dict)
    surplus: Mapping[SourceKey, LinkId] = field(default_factory=dict)
    in_vain: Mapping[SourceKey, InVain] = field(default_factory=dict)
    unpriced: tuple[PositionId, ...] = ()
    lost_closes: tuple[LostClose, ...] = ()
    missed: tuple[Missed, ...] = ()
    restored_us: int = 0
    restored_version: int = 0
    relooked_us: int = 0

    @property
    def money_digits(self) -> int:
        return self.trader.money_digits if self.trader else 2

    def key_of(self, key: CopyKey) -> CopyKey:
        """The key of a source's copy: a position that came of a copied pending order has that order's."""
        return self.chains.get(key, key)

    def copy(self, key: CopyKey) -> Copy | None:
        """The copy of a source, live or finished."""
        key = self.chains.get(key, key)
        return self.copies.get(key) or self.finished.get(key)

    def in_doubt(self, copy: Copy) -> bool:
        """Whether nobody knows at the moment what has become of a copy, or of the order that it rests as."""
        return copy.doubt or copy.order in self.doubted_orders

    def unshown(self, copy: Copy) -> int:
        """What deals have added to a copy that its position does not show: it is held all the same."""
        if not self.untold or copy.position is None or copy.share:
            return 0
        return max(0, -self.untold.get(copy.position, 0) * copy.side.sign)

    def shown_ahead(self, copy: Copy) -> int:
        """What the position of a copy has more than deals have told: its volume counts that already."""
        if not self.untold or copy.position is None or copy.share:
            return 0
        return max(0, self.untold.get(copy.position, 0) * copy.side.sign)

    def latched(self, link: LinkId) -> tuple[Latch, ...]:
        """The latches of a link that are closed."""
        return tuple(latch for (of, _), latch in self.latches.items() if of == link)

    def locked(self, link: LinkId) -> tuple[Latch, ...]:
        """The latches that lock a link: its own, and those of the whole account."""
        return tuple(latch for latch in self.latches.values() if latch.link == link or latch.scope == Scope.ACCOUNT)

    def is_netted(self) -> bool:
        """Whether positions of one symbol net out."""
        return self.trader is not None and self.trader.account_type is AccountType.NETTED

    def intents_of(self, key: CopyKey) -> tuple[Intent, ...]:
        """The unsettled requests of one copy."""
        return of_copy(self.intents, key)


class ViewInTheMaking(AccountView, InTheMaking):
    """A view that one fold is still making and nobody else has: `replace` changes it in place."""

    __slots__ = ()


def in_the_making(view: AccountView) -> ViewInTheMaking:
    """A copy of a view for a fold to make its next one of."""
    fresh = object.__new__(ViewInTheMaking)
    fresh.__dict__.update(view.__dict__)
    return fresh


def lasting(view: ViewInTheMaking) -> AccountView:
    """The same view, once it is made: nothing changes it from now on."""
    object.__setattr__(view, "__class__", AccountView)
    return view


def put(view: AccountView, copy: Copy) -> AccountView:
    """The view with this copy in its place."""
    if view.copies.get((copy.link, copy.source)) is copy:
        return view
    return replace(view, copies=with_copy(view.copies, copy))


def is_turning(view: AccountView, link: LinkId, change: Change) -> bool:
    """Whether the order that opened a leader's position has closed another, whose copy is not closed yet."""
    if change.origin is None or view.rules < TURNS_AWAIT_CLOSES:
        return False
    return any(copy.closed_by == change.origin and copy.link == link for copy in ending(view.copies))


def never_asked(view: AccountView, copy: Copy) -> bool:
    """Whether nothing has been asked of the broker for a copy that lives, as where its open still waits: its requests
    are counted on from those of the life before."""
    former = view.finished.get(copy.key)
    is_bare = copy.position is None and copy.order is None and not copy.opened_volume
    return is_bare and copy.last_seq == (former.last_seq if former is not None else 0)


def resolve(view: AccountView, link: LinkId, change: Change) -> CopyKey:
    """The key under which a change finds its copy: its source, or the copied pending order that it is the fill of."""
    key = view.key_of((link, change.source))
    if key in view.copies or change.origin is None:
        return key
    of_order = (link, order_source(change.origin))
    return of_order if of_order in view.copies or (of_order in view.finished and key not in view.finished) else key
