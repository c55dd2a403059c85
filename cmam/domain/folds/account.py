"""How each fact changes what is believed of one account: `evolve`, which folds it into the view.

A fold never raises: it takes whatever history holds. Copies and intents are those in which this account follows; as a
leader it has only positions and orders. The folds themselves stand by concept, beside this file and in `belief`:
`belief/holdings` (what the broker shows), `intents` (what we asked for and what became of it), `booking` (what a report
makes of the request and the copy it belongs to), `catching_up` (what came of them that nobody reported).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cmam.domain.belief import restored
from cmam.domain.belief.bare import is_charged_unseen, is_own_shown, is_shown_filled
from cmam.domain.belief.belonging import intent_of
from cmam.domain.belief.copies import IntentState
from cmam.domain.belief.holdings import (
    as_told,
    book_deal,
    drop_position,
    is_told_again,
    note_ahead,
    note_shown,
    note_told_closed,
    take_dealt,
    take_position,
    trail_stop,
    with_origin,
    without_told_closed,
)
from cmam.domain.belief.orders import take_order
from cmam.domain.belief.particulars import take_balance, take_spec, take_trader
from cmam.domain.belief.proofs import tells_past
from cmam.domain.belief.refused import without_gone
from cmam.domain.belief.shares import turned
from cmam.domain.belief.view import AccountView, ViewInTheMaking, in_the_making, lasting
from cmam.domain.events import (
    AlertHealed,
    AlertRaised,
    AttemptDecided,
    ChangeDecided,
    ClosesSeen,
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
    GuardInitialNamed,
    GuardRearmed,
    GuardTripped,
    Health,
    HealthChanged,
    IntentOverdue,
    IntentRecorded,
    IntentSent,
    IntentSettled,
    LeverageSeen,
    LogRestored,
    MarginSeen,
    Reconciled,
    ResultsSeen,
    RulesBegan,
    StopOutSeen,
    SymbolConfirmed,
    SymbolListSeen,
    SymbolSpecSeen,
    TraderSeen,
    TrailingStopMoved,
)
from cmam.domain.folds.afterwards import note_losses, note_unpriced, take_closes
from cmam.domain.folds.booking import match_copy, match_intent
from cmam.domain.folds.booking_shares import is_told_ahead, with_last_part
from cmam.domain.folds.catching_up import adopt_unknown, refresh_copies
from cmam.domain.folds.decided import take_attempt, take_decision
from cmam.domain.folds.endings import finish, stop_out, touch, wake_copy
from cmam.domain.folds.intents import doubt_intent, move_intent, settle, take_intent
from cmam.domain.folds.setting_back import STEP_US, set_back
from cmam.domain.folds.taking_in import take_rebuilt
from cmam.domain.folds.unseen import note_fills
from cmam.domain.guarding.latches import (
    begin_day,
    close_latch,
    flatten,
    name_initial,
    open_latch,
    raise_peak,
    release,
    take_cash,
    take_history,
)
from cmam.domain.market.listed import take_symbols
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import PositionId
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import Volume
from cmam.domain.values.replacing import replace, without
from cmam.domain.values.rules.guards import RESULTS_OUTDATED
from cmam.domain.values.rules.levels import TRAILS_ONE_WAY
from cmam.domain.values.rules.nets import OPENED_IN_ANOTHER_LIFE, TURNED_IS_BARE
from cmam.domain.values.rules.sight import (
    DEALS_COUNT,
    ORDER_ORIGINS,
    ORIGINS_OF_FILLS,
    RESTORES_ARE_KNOWN,
    TOLD_AGAIN,
    UNDECIDED_AT_BACKUPS,
    UNTIMED_SHOW_AHEAD,
)
from cmam.domain.values.trades import Deal, Order, Position

SAME_MOMENT_MS = 1_000
"""A deal within this of a position's own time is the one that opened it; later ones have added to it."""


def evolve(view: AccountView, event: Event, at_us: int) -> AccountView:
    """Fold one event of the account's stream into the view; unknown events only advance the version."""
    return lasting(advance(in_the_making(view), event, at_us))


def advance(view: ViewInTheMaking, event: Event, at_us: int) -> ViewInTheMaking:
    """Fold one event into a view that only its maker has, in place: for whoever folds many in a row."""
    before_us = view.at_us
    if at_us < before_us - STEP_US:
        set_back(view, before_us - at_us)
    fields = vars(view)
    fields["version"] += 1
    fields["at_us"] = at_us
    take = _FOLDS.get(event.__class__)
    if take is not None:
        take(view, event, at_us)
    elif isinstance(event, HealthChanged):
        _take_health(view, event, before_us)
    elif isinstance(event, LogRestored):
        _note_restore(view, before_us, at_us)
    return view


def _executed(view: AccountView, event: ExecutionSeen, at_us: int) -> AccountView:
    deal, order, former = event.deal, event.order, view.positions
    intent = intent_of(view, event) if view.intents else None
    is_new_deal = event.deal is not None and event.deal.is_execution and event.deal.deal not in view.deals
    if event.position is not None and event.position.position in view.doubted:
        view = replace(view, doubted=without(view.doubted, event.position.position))
    if order is not None and order.order in view.doubted_orders:
        view = replace(view, doubted_orders=without(view.doubted_orders, order.order))
    if event.position is not None and deal is not None and is_new_deal and view.rules >= DEALS_COUNT:
        is_shown = is_shown_filled(view, order, intent)
        view = take_dealt(view, event.position, deal, at_us, is_ours=intent is not None, is_shown=is_shown)
    elif event.position is not None and not (view.rules >= TOLD_AGAIN and is_told_again(view, event)):
        if not is_charged_unseen(view, event, is_ours=intent is not None):
            is_asked = intent is not None and intent.command.kind is CommandKind.AMEND_PROTECTION
            is_asked = is_asked and view.rules >= TRAILS_ONE_WAY
            shown = as_told(view, event, event.position)
            view = note_ahead(take_position(view, shown, is_new_deal=is_new_deal, is_asked=is_asked), event, former)
    elif deal is not None and is_new_deal and not is_own_shown(view, deal, order, intent):
        view = book_deal(view, deal, intent)
    view = note_told_closed(view, event, former) if len(view.positions) < len(former) else view
    if order is not None and (order.type.is_pending or order.order in view.orders):
        if deal is None and event.position is not None and view.is_netted():
            view = with_last_part(view, order)
        view = take_order(view, order, event.kind)
    if deal is not None and is_new_deal:
        if view.results_us:
            view = replace(view, results={}, results_us=0)
        view = replace(view, deals=(*view.deals[-63:], deal.deal), dealt_us=at_us)
        if deal.close is not None:
            view = take_balance(view, deal)
        elif deal.position not in view.origins:
            told = order if order is not None and order.order == deal.order else view.orders.get(deal.order)
            view = with_origin(view, deal.position, deal.order, told)
    elif deal is not None and deal.deal in view.told_ahead:
        view = replace(view, told_ahead=tuple(ahead for ahead in view.told_ahead if ahead != deal.deal))
    elif deal is None and order is not None and order.executed_volume:
        view = _with_origin_of_fill(view, event, order, former)
    if event.balance is not None:
        view = take_cash(view, event.balance)
    if intent is not None:
        is_new_deal = is_new_deal and not is_told_ahead(view, intent, event)
        view, intent = match_intent(view, intent, event, is_new_deal, at_us)
    view = match_copy(view, intent, event, is_new_deal, at_us)
    if deal is not None and view.is_netted() and view.rules >= TURNED_IS_BARE:
        was, now = former.get(deal.position), view.positions.get(deal.position)
        view = turned(view, deal.position) if was is not None and now is not None and now.side is not was.side else view
    return without_gone(view) if view.surplus or view.in_vain else view


def _with_origin_of_fill(
    view: AccountView, event: ExecutionSeen, order: Order, former: Mapping[PositionId, Position]
) -> AccountView:
    """Name the order that has opened a position where its fill is told without the deal."""
    number = event.position.position if event.position is not None else None
    is_opened = number is not None and number in view.positions and number not in former
    if number is None or not is_opened or order.closing or view.rules < ORIGINS_OF_FILLS:
        return view
    return view if number in view.origins else with_origin(view, number, order.order, order)


def _first_volumes(view: AccountView, deals: tuple[Deal, ...]) -> dict[PositionId, Volume]:
    """How large the positions of the very first snapshot were opened, as far as its deals tell."""
    found: dict[PositionId, Volume] = {}
    for deal in {deal.deal: deal for deal in deals if deal.is_execution}.values():
        if deal.close is None and view.origins.get(deal.position) == deal.order:
            found[deal.position] = Volume(found.get(deal.position, 0) + deal.filled_volume)
    return found


def _reconciled(view: AccountView, event: Reconciled, at_us: int) -> AccountView:
    """Take the broker's word for all positions and orders; what it does not name is gone, unless that is doubted."""
    is_anew = not view.has_reconciled or (view.restored_us > 0 and view.rules >= RESTORES_ARE_KNOWN)
    keeps_orders = not tells_past(event, view.rules) or (view.restored_us > 0 and view.rules >= OPENED_IN_ANOTHER_LIFE)
    view = restored.noted(view) if view.restored_us else view
    copies, deals, known, held, intents = view.copies, view.deals, view.orders, view.positions, view.intents
    event = without_told_closed(view, event) if view.told_closed else event
    named = {position.position for position in event.positions if position.volume > 0} | set(event.doubted)
    for position in event.positions:
        view = take_position(view, position, is_newest=event.quiet)
    for gone in [key for key in view.positions if key not in named]:
        view = drop_position(view, gone, view.positions[gone].updated_ms)
    if view.doubted or event.doubted:
        view = replace(
            view, doubted={one: view.doubted.get(one, at_us) for one in event.doubted if one in view.positions}
        )
    view = replace(view, told_ahead=tuple(deal.deal for deal in event.deals if deal.deal not in view.deals))
    rests = {order.order for order in event.orders if order.is_resting} if event.deals else ()
    for deal in sorted(event.deals, key=lambda deal: (deal.executed_ms, deal.deal)):
        if deal.deal not in view.deals:
            view = replace(view, deals=(*view.deals[-63:], deal.deal))
            view = take_balance(view, deal)
            if view.results_us and view.rules >= RESULTS_OUTDATED:
                view = replace(view, results={}, results_us=0)  # what was closed of them is in the balance now
            opened = view.positions.get(deal.position)
            is_first = opened is not None and deal.executed_ms <= opened.opened_ms + SAME_MOMENT_MS
            if deal.close is None and is_first and deal.position not in view.origins:
                past = next((order for order in event.past_orders if order.order == deal.order), None)
                view = with_origin(view, deal.position, deal.order, view.orders.get(deal.order, past))
            elif opened is None and deal.order in rests and view.rules >= ORIGINS_OF_FILLS:  # the snapshot is behind
                view = with_origin(view, deal.position, deal.order, view.orders.get(deal.order))
    if view.rules >= ORDER_ORIGINS and not view.is_netted():
        view = _with_origins(view)
    if is_anew:
        view = replace(view, first_volumes=_first_volumes(view, event.deals))
    if event.past_orders and keeps_orders:
        view = replace(view, past_orders=tuple(o for o in event.past_orders if read_label(o.client_order_id)))
    view = replace(
        _with_orders(view, event, at_us), shown_ms={shown.position: shown.updated_ms for shown in event.positions}
    )
    view = replace(adopt_unknown(view, event, known, at_us), has_reconciled=True, reconciled_us=at_us, untold={})
    if not is_anew and view.rules >= UNTIMED_SHOW_AHEAD:
        view = note_shown(view, event, held, deals)
    view = note_unpriced(refresh_copies(view, event.deals), event, copies, deals)
    view = note_losses(view, event, copies, held, deals, intents)
    view = note_fills(view, event, copies)
    return without_gone(view) if view.surplus or view.in_vain else view


def _with_orders(view: AccountView, event: Reconciled, at_us: int) -> AccountView:
    """Take the resting orders that are shown, and keep those of which it is doubted whether they are gone."""
    orders = {order.order: order for order in event.orders if order.is_resting}
    if not view.doubted_orders and not event.doubted_orders:
        return replace(view, orders=orders)
    kept = [one for one in event.doubted_orders if one in view.orders]
    orders |= {one: view.orders[one] for one in kept}
    since = {one: view.doubted_orders.get(one, at_us) for one in kept}
    return replace(view, orders=orders, doubted_orders=since)


def _with_origins(view: AccountView) -> AccountView:
    """Name the resting orders, as they were known, of which positions came whose deals nobody told.

    A pending order has the number of its position from its acceptance on (wire.md#resting-orders).
    """
    for order in view.orders.values():
        position = order.position
        if position is not None and position in view.positions and position not in view.origins:
            view = with_origin(view, position, order.order, order)
    return view


# --- events of one line ---------------------------------------------------------------------------------------------


def _take_health(view: AccountView, event: HealthChanged, before_us: int) -> AccountView:
    """Out of sight since the last record before, or since its line fell silent: what was recorded after that, as an
    account does by itself when its machine wakes, saw nothing."""
    is_lost = view.health is Health.RECONCILED and event.health is not Health.RECONCILED
    seen_us = min(before_us, view.at_us - event.silent_us) if is_lost else view.in_sight_us
    return replace(view, health=event.health, health_reason=event.reason, in_sight_us=seen_us)


def _take_rules(view: AccountView, event: RulesBegan) -> AccountView:
    is_later = view.rules < UNDECIDED_AT_BACKUPS <= event.rules
    return replace(restored.outlived(view) if is_later else view, rules=event.rules)


def _note_restore(view: AccountView, before_us: int, at_us: int) -> AccountView:
    """What the log knows is as old as its last record, and out of sight since."""
    seen_us = before_us if view.health is Health.RECONCILED else view.in_sight_us
    return replace(view, restored_us=at_us, restored_version=view.version, health=Health.DOWN, in_sight_us=seen_us)


def _take_sent(view: AccountView, event: IntentSent, at_us: int) -> AccountView:
    return move_intent(view, event.intent, state=IntentState.SENT, moved_us=at_us, only=IntentState.RECORDED)


def _take_spec(view: AccountView, event: SymbolSpecSeen, _at_us: int) -> AccountView:
    return take_spec(view, event.spec)


def _take_leverage(view: AccountView, event: LeverageSeen, _at_us: int) -> AccountView:
    return replace(view, leverages={**view.leverages, event.leverage: event.tiers})


def _take_margin(view: AccountView, event: MarginSeen, _at_us: int) -> AccountView:
    return replace(view, margins={**view.margins, event.symbol: event.margins})


def _take_results(view: AccountView, event: ResultsSeen, at_us: int) -> AccountView:
    return replace(view, results={result.position: result.net for result in event.results}, results_us=at_us)


def _confirm_symbol(view: AccountView, event: SymbolConfirmed, _at_us: int) -> AccountView:
    return replace(view, former_specs=without(view.former_specs, event.symbol))


def _take_findings(view: AccountView, event: FindingsMade, _at_us: int) -> AccountView:
    return replace(view, findings=event.findings)


def _adopt_store(view: AccountView, event: CopyAdopted, _at_us: int) -> AccountView:
    stores = (*view.adopted.get(event.link, ()), event.store)
    return replace(view, adopted={**view.adopted, event.link: stores})


def _raise_alert(view: AccountView, event: AlertRaised, _at_us: int) -> AccountView:
    return replace(view, alerts={**view.alerts, event.kind: event.text})


def _heal_alert(view: AccountView, event: AlertHealed, _at_us: int) -> AccountView:
    return replace(view, alerts=without(view.alerts, event.kind))


def _without_moment(fold: Callable[[AccountView, Any], AccountView]) -> Callable[[AccountView, Any, int], AccountView]:
    """A fold that asks for no moment, called as one that does."""
    return lambda view, event, _at_us: fold(view, event)


_FOLDS: Mapping[type[Event], Callable[[AccountView, Any, int], AccountView]] = {
    ExecutionSeen: _executed,
    ChangeDecided: take_decision,
    IntentRecorded: take_intent,
    IntentSent: _take_sent,
    IntentOverdue: doubt_intent,
    IntentSettled: settle,
    CopyFinished: finish,
    CopyOverdue: _without_moment(wake_copy),
    Reconciled: _reconciled,
    ClosesSeen: take_closes,
    RulesBegan: _without_moment(_take_rules),
    TrailingStopMoved: _without_moment(trail_stop),
    TraderSeen: _without_moment(take_trader),
    SymbolListSeen: _without_moment(take_symbols),
    SymbolSpecSeen: _take_spec,
    LeverageSeen: _take_leverage,
    MarginSeen: _take_margin,
    ResultsSeen: _take_results,
    GuardDayBegan: _without_moment(begin_day),
    EquityPeaked: _without_moment(raise_peak),
    GuardInitialNamed: _without_moment(name_initial),
    GuardTripped: close_latch,
    GuardRearmed: _without_moment(open_latch),
    FlattenRequested: flatten,
    CopiesReleased: _without_moment(release),
    StopOutSeen: stop_out,
    SymbolConfirmed: _confirm_symbol,
    CopyRebuilt: take_rebuilt,
    FindingsMade: _take_findings,
    CopyAdopted: _adopt_store,
    AttemptDecided: take_attempt,
    CopyTouched: _without_moment(touch),
    DayHistorySeen: _without_moment(take_history),
    AlertRaised: _raise_alert,
    AlertHealed: _heal_alert,
}
"""What each kind of event does to a view; one that is missing here only advances its version."""
