"""What a copied order that rests needs so that the broker shows it as it should be: an amendment or a cancel.

Level-triggered, as all needs are (`needs.py`): what is asked for follows from how the order should rest and how it is
shown. The request that places one is made here too; whether one is placed is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Terms
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import OrderId, SymbolId
from cmam.domain.values.quantities import Distance, Side
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.resting import FILLED_BEFORE_AMENDED, WHOLE_TERMS
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.values.trades import Order, OrderType, TimeInForce


def needed_of_order(view: AccountView, copy: Copy, under_way: set[CommandKind]) -> Iterator[Command]:
    """What to ask of the broker for the order of a copy now, whose requests of these kinds are under way."""
    order = view.orders.get(copy.order) if copy.order is not None else None
    if order is None:
        return
    terms = copy.goal.terms
    if terms is None or copy.grace_over or not copy.is_wanted or _has_all(view, order, terms):
        if CommandKind.CANCEL not in under_way:
            yield Command(kind=CommandKind.CANCEL, symbol=copy.symbol, side=copy.side, order=order.order)
        return
    if under_way & {CommandKind.AMEND_ORDER, CommandKind.CANCEL, CommandKind.PLACE} or shows(order, terms, view.rules):
        return
    if copy.amended_to != terms:
        yield _order_command(CommandKind.AMEND_ORDER, copy.side, terms, order.symbol, order.order)
    elif bool(order.expires_ms) != bool(terms.expires_ms):
        # The broker took the amendment and not its kind of expiry: cancelled, and placed anew under the same chain.
        yield Command(kind=CommandKind.CANCEL, symbol=copy.symbol, side=copy.side, order=order.order)


def _has_all(view: AccountView, order: Order, terms: Terms) -> bool:
    """Whether an order has filled all that it is to be amended to, so that nothing of it may rest."""
    return 0 < terms.volume <= order.executed_volume and view.rules >= FILLED_BEFORE_AMENDED


def shows(order: Order, terms: Terms, rules: int) -> bool:
    """Whether a resting order is as it should be."""
    return as_shown(order, terms, rules) == replace(terms, expires_ms=terms.expires_ms or None)


def as_shown(order: Order, terms: Terms, rules: int) -> Terms:
    """The terms as a resting order shows them, levels as distances from its price."""
    stop, target = levels_as_distances(order)
    is_limit = terms.type is OrderType.LIMIT
    if rules >= WHOLE_TERMS:
        is_range = terms.type is OrderType.STOP_LIMIT
        terms = replace(
            terms,
            guaranteed=order.guaranteed if stop is not None else terms.guaranteed,
            trigger=terms.trigger if is_limit else order.trigger,
            slippage_points=order.slippage_points if is_range else terms.slippage_points,
        )
    return replace(
        terms,
        volume=order.volume,
        limit_price=order.limit_price if is_limit else terms.limit_price,
        stop_price=terms.stop_price if is_limit else order.stop_price,
        relative_stop=stop,
        relative_target=target,
        trailing=order.trailing,
        expires_ms=order.expires_ms or None,
    )


def levels_as_distances(order: Order) -> tuple[Distance | None, Distance | None]:
    """How far a resting order's stop and target lie from its price, whether it shows distances or prices."""
    price = order.limit_price if order.limit_price is not None else order.stop_price
    stop, target = order.relative_stop, order.relative_target
    if stop is None and order.stop is not None and price is not None:
        stop = Distance(abs(price - order.stop))
    if target is None and order.target is not None and price is not None:
        target = Distance(abs(price - order.target))
    return stop, target


def place_command(side: Side, symbol: SymbolSpec, terms: Terms) -> Command:
    """The request that places a pending order."""
    return _order_command(CommandKind.PLACE, side, terms, symbol.symbol)


def _order_command(
    kind: CommandKind, side: Side, terms: Terms, symbol: SymbolId, order: OrderId | None = None
) -> Command:
    """The request that makes an order what it should be: complete, for what is omitted of a resting one is cleared."""
    return Command(
        kind=kind,
        symbol=symbol,
        side=side,
        volume=terms.volume,
        order=order,
        order_type=terms.type,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
        relative_stop=terms.relative_stop,
        relative_target=terms.relative_target,
        trailing=terms.trailing,
        guaranteed=terms.guaranteed,
        trigger=terms.trigger,
        time_in_force=TimeInForce.GTD if terms.expires_ms else TimeInForce.GTC,
        expires_ms=terms.expires_ms,
        slippage_points=terms.slippage_points,
    )
