"""What is believed of one account: a view, and `evolve`, which folds facts into it.

A fold never raises: it takes whatever history holds. Copies and intents are those in which this account follows; as a
leader it has only positions and orders. The folds themselves stand by concept: `holdings` (what the broker shows),
`intents` (what we decided and what became of it), `booking` (which report belongs to which request and copy).
"""

from __future__ import annotations

from cmam.domain.booking import adopt_unknown, intent_of, match_copy, match_intent, refresh_copies
from cmam.domain.copies import Copy, CopyKey, CopyState, Cursor, Intent, IntentState
from cmam.domain.endings import finish, touch, wake_copy
from cmam.domain.events import (
    AlertHealed,
    AlertRaised,
    AttemptDecided,
    ChangeDecided,
    CopiesReleased,
    CopyAdopted,
    CopyFinished,
    CopyOverdue,
    CopyRebuilt,
    CopyTouched,
    DayHistorySeen,
    EquityPeaked,
    Event,
    ExecutionSeen,
    FindingsMade,
    FlattenRequested,
    GuardDayBegan,
    GuardRearmed,
    GuardTripped,
    Health,
    HealthChanged,
    IntentDropped,
    IntentOverdue,
    IntentRecorded,
    IntentSent,
    IntentSettled,
    LeverageSeen,
    MarginSeen,
    Reconciled,
    RequestRefused,
    ResultsSeen,
    StopOutSeen,
    SymbolConfirmed,
    SymbolListSeen,
    SymbolSpecSeen,
    TraderSeen,
    TrailingStopMoved,
)
from cmam.domain.holdings import (
    book_deal,
    drop_position,
    take_balance,
    take_order,
    take_position,
    take_spec,
    take_symbols,
    take_trader,
    trail_stop,
)
from cmam.domain.ids import PositionId
from cmam.domain.intents import doubt_intent, move_intent, settle, take_attempt, take_decision, take_intent
from cmam.domain.latches import (
    begin_day,
    close_latch,
    flatten,
    latch_stop_out,
    open_latch,
    raise_peak,
    release,
    take_cash,
    take_history,
)
from cmam.domain.naming import read_label
from cmam.domain.quantities import Volume
from cmam.domain.replacing import replace
from cmam.domain.taking_in import take_rebuilt
from cmam.domain.trades import Deal
from cmam.domain.view import AccountView

__all__ = [
    "AccountView",
    "Copy",
    "CopyKey",
    "CopyState",
    "Cursor",
    "Intent",
    "IntentState",
    "evolve",
    "intent_of",
]


SAME_MOMENT_MS = 1_000
"""A deal within this of a position's own time is the one that opened it; later ones have added to it."""


def evolve(view: AccountView, event: Event, at_us: int) -> AccountView:
    """Fold one event of the account's stream into the view; unknown events only advance the version."""
    before_us = view.at_us
    view = replace(view, version=view.version + 1, at_us=at_us)
    match event:
        case ExecutionSeen():
            return _executed(view, event, at_us)
        case ChangeDecided():
            return take_decision(view, event, at_us)
        case IntentRecorded():
            return take_intent(view, event, at_us)
        case IntentSent():
            return move_intent(view, event.intent, state=IntentState.SENT, moved_us=at_us, only=IntentState.RECORDED)
        case IntentOverdue():
            return doubt_intent(view, event, at_us)
        case IntentSettled():
            return settle(view, event, at_us)
        case RequestRefused() | IntentDropped():
            return view
        case CopyFinished():
            return finish(view, event, at_us)
        case CopyOverdue():
            return wake_copy(view, event)
        case Reconciled():
            return _reconciled(view, event, at_us)
        case TrailingStopMoved():
            return trail_stop(view, event)
        case TraderSeen():
            return take_trader(view, event)
        case SymbolListSeen():
            return take_symbols(view, event)
        case SymbolSpecSeen():
            return take_spec(view, event.spec)
        case LeverageSeen():
            return replace(view, leverages={**view.leverages, event.leverage: event.tiers})
        case MarginSeen():
            return replace(view, margins={**view.margins, event.symbol: event.margins})
        case ResultsSeen():
            results = {result.position: result.net for result in event.results}
            return replace(view, results=results, results_us=at_us)
        case GuardDayBegan():
            return begin_day(view, event)
        case EquityPeaked():
            return raise_peak(view, event)
        case GuardTripped():
            return close_latch(view, event, at_us)
        case GuardRearmed():
            return open_latch(view, event)
        case FlattenRequested():
            return flatten(view, event, at_us)
        case CopiesReleased():
            return release(view, event)
        case StopOutSeen():
            return latch_stop_out(view, event, at_us)
        case SymbolConfirmed():
            former = {key: spec for key, spec in view.former_specs.items() if key != event.symbol}
            return replace(view, former_specs=former)
        case CopyRebuilt():
            return take_rebuilt(view, event, at_us)
        case FindingsMade():
            return replace(view, findings=event.findings)
        case CopyAdopted():
            stores = (*view.adopted.get(event.link, ()), event.store)
            return replace(view, adopted={**view.adopted, event.link: stores})
        case AttemptDecided():
            return take_attempt(view, event, at_us)
        case CopyTouched():
            return touch(view, event)
        case HealthChanged():
            is_lost = view.health is Health.RECONCILED and event.health is not Health.RECONCILED
            seen_us = before_us if is_lost else view.in_sight_us
            return replace(view, health=event.health, health_reason=event.reason, in_sight_us=seen_us)
        case DayHistorySeen():
            return take_history(view, event)
        case AlertRaised():
            return replace(view, alerts={**view.alerts, event.kind: event.text})
        case AlertHealed():
            return replace(view, alerts={kind: text for kind, text in view.alerts.items() if kind != event.kind})
        case _:
            return view


def _executed(view: AccountView, event: ExecutionSeen, at_us: int) -> AccountView:
    is_new_deal = event.deal is not None and event.deal.is_execution and event.deal.deal not in view.deals
    if event.position is not None:
        view = take_position(view, event.position, is_new_deal=is_new_deal)
    elif event.deal is not None and is_new_deal:
        view = book_deal(view, event.deal)
    if event.order is not None:
        view = take_order(view, event.order, event.kind)
    if event.deal is not None and is_new_deal:
        if view.results_us:
            view = replace(view, results={}, results_us=0)
        view = replace(view, deals=(*view.deals[-63:], event.deal.deal))
        view = take_balance(view, event.deal)
        if event.deal.close is None and event.deal.position not in view.origins:
            view = replace(view, origins={**view.origins, event.deal.position: event.deal.order})
    if event.balance is not None:
        view = take_cash(view, event.balance)
    view = match_intent(view, event, is_new_deal, at_us)
    return match_copy(view, event, is_new_deal, at_us)


def _first_volumes(view: AccountView, deals: tuple[Deal, ...]) -> dict[PositionId, Volume]:
    """How large the positions of the very first snapshot were opened, as far as its deals tell."""
    found: dict[PositionId, Volume] = {}
    for deal in {deal.deal: deal for deal in deals if deal.is_execution}.values():
        if deal.close is None and view.origins.get(deal.position) == deal.order:
            found[deal.position] = Volume(found.get(deal.position, 0) + deal.filled_volume)
    return found


def _reconciled(view: AccountView, event: Reconciled, at_us: int) -> AccountView:
    """Take the broker's word for all positions and orders; what it does not name is gone."""
    named = {position.position for position in event.positions if position.volume > 0}
    for position in event.positions:
        view = take_position(view, position, is_newest=event.quiet)
    for gone in [key for key in view.positions if key not in named]:
        view = drop_position(view, gone, view.positions[gone].updated_ms)
    for deal in sorted(event.deals, key=lambda deal: (deal.executed_ms, deal.deal)):
        if deal.deal not in view.deals:
            view = replace(view, deals=(*view.deals[-63:], deal.deal))
            view = take_balance(view, deal)
            opened = view.positions.get(deal.position)
            is_first = opened is not None and deal.executed_ms <= opened.opened_ms + SAME_MOMENT_MS
            if deal.close is None and is_first and deal.position not in view.origins:
                view = replace(view, origins={**view.origins, deal.position: deal.order})
    if not view.has_reconciled:
        view = replace(view, first_volumes=_first_volumes(view, event.deals))
    if event.past_orders and not event.looked_up:
        view = replace(view, past_orders=tuple(o for o in event.past_orders if read_label(o.client_order_id)))
    view = replace(view, orders={order.order: order for order in event.orders if order.is_resting})
    view = replace(adopt_unknown(view, event, at_us), has_reconciled=True)
    return refresh_copies(view, event.deals)
