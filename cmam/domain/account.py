"""What is believed of one account: a view, and `evolve`, which folds facts into it.

A fold never raises: it takes whatever history holds. Positions follow the broker's snapshots, the newest by its own time;
a snapshot of a position that is known to be closed does not raise it again. Copies and intents are those in which this
account follows; as a leader it has only positions and orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction

from cmam.domain.changes import Change, ChangeKind
from cmam.domain.commands import Command, CommandKind
from cmam.domain.events import (
    AlertHealed,
    AlertRaised,
    AssetName,
    ChangeDecided,
    CopyFinished,
    CopyOverdue,
    Event,
    ExecutionSeen,
    Goal,
    Health,
    HealthChanged,
    IntentDropped,
    IntentOverdue,
    IntentRecorded,
    IntentSent,
    IntentSettled,
    Outcome,
    Reconciled,
    RequestRefused,
    SymbolListSeen,
    SymbolSpecSeen,
    TraderSeen,
    TrailingStopMoved,
)
from cmam.domain.ids import (
    AccountId,
    AssetId,
    DealId,
    IntentId,
    LinkId,
    OrderId,
    PositionId,
    ProfileId,
    SourceKey,
    SymbolId,
)
from cmam.domain.quantities import Distance, Price, Side, Volume
from cmam.domain.reasons import Reason, Verdict
from cmam.domain.symbols import SymbolName, SymbolSpec
from cmam.domain.trades import Deal, ExecutionKind, Order, OrderStatus, Position, PositionStatus, Trader

CLOSED_REMEMBERED = 512
"""How many closed positions are remembered against late snapshots of them; far more than may be in flight."""

RETRY_FIRST_US = 1_000_000
"""Delay before a refused or absent reduction, cancel or amendment is asked for again; doubled each time."""
RETRY_LAST_US = 60_000_000


class CopyState(StrEnum):
    """Where a copy stands. The last four are ends."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A request of ours without an outcome yet. `filled` is what its deals have executed so far."""

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

    @property
    def key(self) -> CopyKey:
        return (self.link, self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One source of a leader as this follower holds it. Volumes are the follower's."""

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
    protection_refused: Goal | None = None
    not_after_us: int = 0
    settings_version: int = 0

    @property
    def key(self) -> CopyKey:
        return (self.link, self.source)

    @property
    def target(self) -> Fraction:
        """The exact volume the copy should have, in 1/100 unit."""
        return Fraction(self.goal.target_numerator, self.goal.target_denominator)

    @property
    def residue(self) -> Fraction:
        """What the copy holds above its target because the step does not allow less; zero after a full close."""
        return self.volume - self.target if self.state in (CopyState.OPEN, CopyState.CLOSING) else Fraction(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last of a leader's changes that a link has decided."""

    version: int
    index: int

    def is_before(self, version: int, index: int) -> bool:
        return (self.version, self.index) < (version, index)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """Everything believed of one account."""

    account: AccountId
    version: int = 0
    at_us: int = 0
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
    closed: Mapping[PositionId, int] = field(default_factory=dict)
    deals: tuple[DealId, ...] = ()
    balance: int = 0
    balance_version: int = 0
    cursors: Mapping[LinkId, Cursor] = field(default_factory=dict)
    copies: Mapping[CopyKey, Copy] = field(default_factory=dict)
    finished: Mapping[CopyKey, Copy] = field(default_factory=dict)
    by_position: Mapping[PositionId, CopyKey] = field(default_factory=dict)
    intents: Mapping[IntentId, Intent] = field(default_factory=dict)
    alerts: Mapping[str, str] = field(default_factory=dict)
    level_changes: int = 0

    @property
    def money_digits(self) -> int:
        return self.trader.money_digits if self.trader else 2

    def copy(self, key: CopyKey) -> Copy | None:
        """The copy of a source, live or finished."""
        return self.copies.get(key) or self.finished.get(key)

    def intents_of(self, key: CopyKey) -> tuple[Intent, ...]:
        """The unsettled requests of one copy."""
        return tuple(intent for intent in self.intents.values() if intent.key == key)


def evolve(view: AccountView, event: Event, at_us: int) -> AccountView:
    """Fold one event of the account's stream into the view; unknown events only advance the version."""
    view = replace(view, version=view.version + 1, at_us=at_us)
    match event:
        case ExecutionSeen():
            return _executed(view, event, at_us)
        case ChangeDecided():
            return _decided(view, event, at_us)
        case IntentRecorded():
            return _intended(view, event, at_us)
        case IntentSent():
            return _intent(view, event.intent, state=IntentState.SENT, moved_us=at_us, only=IntentState.RECORDED)
        case IntentOverdue():
            return _intent(view, event.intent, state=IntentState.UNKNOWN, moved_us=at_us)
        case IntentSettled():
            return _settled(view, event, at_us)
        case RequestRefused() | IntentDropped():
            return view
        case CopyFinished():
            return _finished(view, event, at_us)
        case CopyOverdue():
            return _overdue(view, event)
        case Reconciled():
            return _reconciled(view, event, at_us)
        case TrailingStopMoved():
            return _trailed(view, event)
        case TraderSeen():
            return _trader(view, event)
        case SymbolListSeen():
            return replace(
                view,
                symbol_digest=event.digest,
                names={symbol.name: symbol for symbol in event.symbols},
                assets={asset.asset: asset for asset in event.assets},
            )
        case SymbolSpecSeen():
            return replace(view, specs={**view.specs, event.spec.symbol: event.spec})
        case HealthChanged():
            return replace(view, health=event.health, health_reason=event.reason)
        case AlertRaised():
            return replace(view, alerts={**view.alerts, event.kind: event.text})
        case AlertHealed():
            return replace(view, alerts={kind: text for kind, text in view.alerts.items() if kind != event.kind})
        case _:
            return view


# --- what the broker said -----------------------------------------------------------------------------------------


def _trader(view: AccountView, event: TraderSeen) -> AccountView:
    trader = event.trader
    if trader.balance_version >= view.balance_version:
        view = replace(view, balance=trader.balance, balance_version=trader.balance_version)
    return replace(view, trader=trader, currency=event.currency or view.currency, is_live=event.is_live)


def _executed(view: AccountView, event: ExecutionSeen, at_us: int) -> AccountView:
    is_new_deal = event.deal is not None and event.deal.is_execution and event.deal.deal not in view.deals
    if event.position is not None:
        view = _position(view, event.position)
    elif event.deal is not None and is_new_deal:
        view = _position_by_deal(view, event.deal)
    if event.order is not None:
        view = _order(view, event.order, event.kind)
    if event.deal is not None and is_new_deal:
        view = replace(view, deals=(*view.deals[-63:], event.deal.deal))
        view = _balance_by_deal(view, event.deal)
        if event.deal.close is None and event.deal.position not in view.origins:
            view = replace(view, origins={**view.origins, event.deal.position: event.deal.order})
    if event.balance is not None and event.balance.balance_version >= view.balance_version:
        view = replace(view, balance=event.balance.balance, balance_version=event.balance.balance_version)
    view = _match_intent(view, event, is_new_deal, at_us)
    return _match_copy(view, event, is_new_deal, at_us)


def _position(view: AccountView, seen: Position) -> AccountView:
    """Take the newest snapshot of a position; volume 0 means it is gone, whatever its status says."""
    known = view.positions.get(seen.position)
    if seen.updated_ms and seen.updated_ms <= view.closed.get(seen.position, 0):
        return view
    if known is not None and seen.updated_ms and seen.updated_ms < known.updated_ms:
        return view
    if seen.volume > 0 and seen.status in (PositionStatus.OPEN, PositionStatus.ERROR):
        return replace(view, positions={**view.positions, seen.position: seen})
    if known is None:
        return view
    return _close_position(view, seen.position, max(seen.updated_ms, seen.closed_ms, known.updated_ms))


def _close_position(view: AccountView, position: PositionId, at_ms: int) -> AccountView:
    closed = {**view.closed, position: at_ms}
    while len(closed) > CLOSED_REMEMBERED:
        closed.pop(next(iter(closed)))
    return replace(
        view,
        positions={key: value for key, value in view.positions.items() if key != position},
        origins={key: value for key, value in view.origins.items() if key != position},
        closed=closed,
    )


def _position_by_deal(view: AccountView, deal: Deal) -> AccountView:
    """Book a deal whose event came without the position."""
    known = view.positions.get(deal.position)
    if known is None:
        if deal.close is not None or deal.position in view.closed:
            return view
        fresh = Position(
            position=deal.position,
            symbol=deal.symbol,
            side=deal.side,
            volume=deal.filled_volume,
            price=deal.price,
            opened_ms=deal.executed_ms,
            updated_ms=deal.executed_ms,
        )
        return replace(view, positions={**view.positions, deal.position: fresh})
    signed = deal.filled_volume if deal.side is known.side else -deal.filled_volume
    left = known.volume + signed
    if left <= 0:
        return _close_position(view, deal.position, deal.executed_ms)
    changed = replace(known, volume=Volume(left), updated_ms=max(known.updated_ms, deal.executed_ms))
    return replace(view, positions={**view.positions, deal.position: changed})


def _order(view: AccountView, order: Order, kind: ExecutionKind) -> AccountView:
    if kind is ExecutionKind.ORDER_CANCEL_REJECTED:
        return view
    known = view.orders.get(order.order)
    if known is not None and order.updated_ms and order.updated_ms < known.updated_ms:
        return view
    if order.is_resting:
        return replace(view, orders={**view.orders, order.order: order})
    if known is None:
        return view
    return replace(view, orders={key: value for key, value in view.orders.items() if key != order.order})


def _balance_by_deal(view: AccountView, deal: Deal) -> AccountView:
    if deal.close is None or deal.close.balance_version < view.balance_version:
        return view
    return replace(view, balance=deal.close.balance, balance_version=deal.close.balance_version)


def _trailed(view: AccountView, event: TrailingStopMoved) -> AccountView:
    known = view.positions.get(event.position)
    if known is None:
        return view
    return replace(view, positions={**view.positions, event.position: replace(known, stop=event.stop)})


def _reconciled(view: AccountView, event: Reconciled, at_us: int) -> AccountView:
    """Take the broker's word for all positions and orders; what it does not name is gone."""
    named = {position.position for position in event.positions if position.volume > 0}
    for position in event.positions:
        view = _position(view, position)
    for gone in [key for key in view.positions if key not in named]:
        view = _close_position(view, gone, view.positions[gone].updated_ms)
    for deal in event.deals:
        if deal.deal not in view.deals:
            view = replace(view, deals=(*view.deals[-63:], deal.deal))
            view = _balance_by_deal(view, deal)
            if deal.close is None and deal.position in view.positions and deal.position not in view.origins:
                view = replace(view, origins={**view.origins, deal.position: deal.order})
    view = replace(view, orders={order.order: order for order in event.orders if order.is_resting})
    view = _adopt_unknown(view, event, at_us)
    return _refresh_copies(view, event.deals)


# --- what we decided, and what became of it -----------------------------------------------------------------------


def _decided(view: AccountView, event: ChangeDecided, at_us: int) -> AccountView:
    cursor = Cursor(version=event.cause_version, index=event.cause_index)
    view = replace(view, cursors={**view.cursors, event.link: cursor})
    change, key = event.change, (event.link, event.change.source)
    known = view.copies.get(key)
    if event.goal is None:
        return view
    if known is not None:
        return _put(view, replace(known, goal=event.goal, refusals=0, retry_at_us=0))
    if event.verdict is Verdict.COPY and event.symbol is not None and change.kind.adds_risk:
        return _put(view, _new_copy(event, change, at_us))
    return view


def _new_copy(event: ChangeDecided, change: Change, at_us: int) -> Copy:
    assert event.goal is not None
    assert event.symbol is not None
    return Copy(
        link=event.link,
        profile=event.profile,
        source=change.source,
        state=CopyState.OPENING,
        leader=change.leader,
        leader_position=change.position,
        leader_order=change.order or change.origin,
        leader_symbol=change.symbol.name,
        leader_digits=change.symbol.digits,
        leader_opened=change.volume if change.kind is ChangeKind.ORDER_PLACED else change.after,
        symbol=event.symbol,
        side=event.side or change.side,
        goal=event.goal,
        decided_us=at_us,
        not_after_us=event.not_after_us,
        settings_version=event.settings_version,
    )


def _intended(view: AccountView, event: IntentRecorded, at_us: int) -> AccountView:
    intent = Intent(
        intent=event.intent,
        link=event.link,
        source=event.source,
        seq=event.seq,
        command=event.command,
        volume_before=event.volume_before,
        attempt=event.attempt,
        recorded_us=at_us,
        moved_us=at_us,
        not_after_us=event.not_after_us,
    )
    view = replace(view, intents={**view.intents, event.intent: intent})
    copy = view.copies.get(intent.key)
    if copy is None:
        return view
    copy = replace(copy, last_seq=max(copy.last_seq, event.seq))
    if event.command.kind is CommandKind.OPEN:
        has_levels = event.command.relative_stop is not None or event.command.relative_target is not None
        copy = replace(copy, awaits_protection=has_levels)
    if event.command.kind is CommandKind.CLOSE and event.command.whole:
        copy = replace(copy, state=CopyState.CLOSING)
    return _put(view, copy)


def _intent(
    view: AccountView, name: IntentId, *, state: IntentState, moved_us: int, only: IntentState | None = None
) -> AccountView:
    intent = view.intents.get(name)
    if intent is None or (only is not None and intent.state is not only):
        return view
    return replace(view, intents={**view.intents, name: replace(intent, state=state, moved_us=moved_us)})


def _settled(view: AccountView, event: IntentSettled, at_us: int) -> AccountView:
    intent = view.intents.get(event.intent)
    if intent is None:
        return view
    view = replace(view, intents={name: value for name, value in view.intents.items() if name != event.intent})
    copy = view.copies.get(intent.key)
    if copy is None or intent.command.kind.adds_risk:
        return view
    if event.outcome is Outcome.CONFIRMED:
        if intent.command.kind is CommandKind.AMEND_PROTECTION:
            copy = replace(copy, protection_refused=None)
        return _put(view, replace(copy, refusals=0, retry_at_us=0))
    if intent.command.kind is CommandKind.AMEND_PROTECTION and event.outcome is Outcome.REFUSED:
        copy = replace(copy, protection_refused=copy.goal)
    delay = min(RETRY_FIRST_US << min(copy.refusals, 10), RETRY_LAST_US)
    return _put(view, replace(copy, refusals=copy.refusals + 1, retry_at_us=at_us + delay))


def _finished(view: AccountView, event: CopyFinished, at_us: int) -> AccountView:
    key = (event.link, event.source)
    copy = view.copies.get(key)
    if copy is None:
        return view
    copy = replace(copy, state=_end_state(event.reason), reason=event.reason, closed_us=at_us, volume=Volume(0))
    by_position = view.by_position
    if copy.position is not None:
        by_position = {key_: value for key_, value in by_position.items() if key_ != copy.position}
    return replace(
        view,
        copies={key_: value for key_, value in view.copies.items() if key_ != key},
        finished={**view.finished, key: copy},
        by_position=by_position,
    )


def _end_state(reason: Reason) -> CopyState:
    match reason:
        case Reason.REFUSED | Reason.UNKNOWN_OUTCOME:
            return CopyState.REFUSED
        case Reason.EXPIRED | Reason.TOO_OLD:
            return CopyState.EXPIRED
        case Reason.SOURCE_GONE:
            return CopyState.CANCELLED
        case _:
            return CopyState.CLOSED


def _overdue(view: AccountView, event: CopyOverdue) -> AccountView:
    copy = view.copies.get((event.link, event.source))
    if copy is None:
        return view
    return _put(view, replace(copy, awaits_protection=False, retry_at_us=0, protection_refused=None))


def _put(view: AccountView, copy: Copy) -> AccountView:
    return replace(view, copies={**view.copies, copy.key: copy})


# --- joining executions to intents and copies ---------------------------------------------------------------------


def _match_intent(view: AccountView, event: ExecutionSeen, is_new_deal: bool, at_us: int) -> AccountView:
    intent = intent_of(view, event)
    if intent is None:
        return view
    filled = intent.filled
    if event.deal is not None and is_new_deal and not event.is_server_event:
        filled = Volume(filled + event.deal.filled_volume)
    if event.order is not None and event.order.client_order_id == intent.intent:
        filled = Volume(max(filled, event.order.executed_volume))
    order = intent.order or (event.order.order if event.order is not None and not event.is_server_event else None)
    seen = replace(intent, state=IntentState.ACCEPTED, moved_us=at_us, filled=filled, order=order)
    return replace(view, intents={**view.intents, intent.intent: seen})


def intent_of(view: AccountView, event: ExecutionSeen) -> Intent | None:
    """The request of ours that an execution event belongs to: by the order's client id, else by the message's."""
    if event.order is not None and event.order.client_order_id:
        intent = view.intents.get(IntentId(event.order.client_order_id))
        if intent is not None:
            return intent
    return view.intents.get(IntentId(event.client_msg_id)) if event.client_msg_id else None


def _match_copy(view: AccountView, event: ExecutionSeen, is_new_deal: bool, at_us: int) -> AccountView:
    intent = intent_of(view, event)
    deal = event.deal if is_new_deal else None
    if intent is not None and intent.command.kind in (CommandKind.OPEN, CommandKind.PLACE):
        view = _open_copy(view, intent, event, deal, at_us)
    position = deal.position if deal is not None else (event.position.position if event.position else None)
    key = view.by_position.get(position) if position is not None else None
    copy = view.copies.get(key) if key is not None else None
    if copy is None or position is None:
        return view
    held = view.positions.get(position)
    if event.order is not None and event.order.closing and event.is_server_event:
        copy = replace(copy, awaits_protection=False)
    if deal is not None and deal.close is not None:
        copy = replace(copy, close_price=deal.price)
    return _put(view, replace(copy, volume=held.volume if held else Volume(0)))


def _open_copy(view: AccountView, intent: Intent, event: ExecutionSeen, deal: Deal | None, at_us: int) -> AccountView:
    copy = view.copies.get(intent.key)
    if copy is None:
        return view
    if event.order is not None and intent.command.kind is CommandKind.PLACE and event.order.is_resting:
        return _put(view, replace(copy, state=CopyState.RESTING, order=event.order.order))
    if deal is None:
        return view
    return _attach(view, copy, deal.position, deal.price, at_us)


def _attach(view: AccountView, copy: Copy, position: PositionId, price: Price | None, at_us: int) -> AccountView:
    """Join a copy to the position that its order opened; the first fill fixes its shift for life."""
    held = view.positions.get(position)
    volume = held.volume if held is not None else Volume(0)
    first = copy.open_price if copy.open_price is not None else price
    goal = copy.goal
    if goal.shift is None and goal.leader_price is not None and first is not None:
        goal = replace(goal, shift=Distance(first - goal.leader_price))
    copy = replace(
        copy,
        state=copy.state if copy.state is CopyState.CLOSING else CopyState.OPEN,
        position=position,
        volume=volume,
        opened_volume=Volume(max(copy.opened_volume, volume)),
        open_price=first,
        opened_us=copy.opened_us or at_us,
        goal=goal,
    )
    view = replace(view, by_position={**view.by_position, position: copy.key})
    return _put(view, copy)


def _adopt_unknown(view: AccountView, event: Reconciled, at_us: int) -> AccountView:
    """Join what the broker holds to open requests of ours whose answer never came."""
    orders = {order.client_order_id: order for order in (*event.past_orders, *event.orders) if order.client_order_id}
    for intent in view.intents.values():
        if intent.command.kind not in (CommandKind.OPEN, CommandKind.PLACE):
            continue
        copy = view.copies.get(intent.key)
        if copy is None or copy.position is not None:
            continue
        order = orders.get(intent.intent)
        label = intent.command.label
        held = next((position for position in event.positions if label and position.label == label), None)
        position = order.position if order is not None and order.executed_volume > 0 else None
        if held is not None:
            position = held.position
        if position is not None:
            price = held.price if held is not None else (order.execution_price if order is not None else None)
            view = _attach(view, copy, position, price, at_us)
        elif order is not None and order.is_resting:
            view = _put(view, replace(copy, state=CopyState.RESTING, order=order.order))
    return view


def _refresh_copies(view: AccountView, deals: tuple[Deal, ...]) -> AccountView:
    closes = {
        deal.position: deal for deal in sorted(deals, key=lambda deal: deal.executed_ms) if deal.close is not None
    }
    for copy in list(view.copies.values()):
        if copy.position is None:
            continue
        held = view.positions.get(copy.position)
        close = closes.get(copy.position)
        copy = replace(
            copy,
            volume=held.volume if held is not None else Volume(0),
            close_price=close.price if close is not None else copy.close_price,
            awaits_protection=False,
        )
        view = _put(view, copy)
    return view


def order_is_final(order: Order) -> bool:
    """Whether nothing more can come of an order."""
    return order.status is not OrderStatus.ACCEPTED
