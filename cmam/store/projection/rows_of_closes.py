"""What a record adds to the tables of closes: what each closing deal of a copy realised, and who closed it; and what
each of a leader did. Pure.

A deal is told once, or again after a gap: its first row stands, and who closed it where only the later one tells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cmam.domain.belief.belonging import intent_of
from cmam.domain.belief.copies import Copy, CopyKey
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ClosesSeen, Event, ExecutionSeen, Reconciled
from cmam.domain.folds.afterwards import of_lost_closes
from cmam.domain.folds.realised import realised
from cmam.domain.operating.registry import Registry
from cmam.domain.values.ids import DealId, PositionId
from cmam.domain.values.quantities import units_text
from cmam.domain.values.rules.nets import TURNED_UNSEEN
from cmam.domain.values.trades import CloseDetail, Deal, Order, OrderType
from cmam.store.folding.fold import AccountStep
from cmam.store.projection.rows import LIFE, Row, copy_id
from cmam.store.text import iso, price

REQUEST, LEVEL, STOP_OUT, HUMAN = "request", "level", "stop_out", "human"
"""Who closed: cmam asked for it, a stop or a target was reached, the broker for want of margin, a person."""


def closes(step: AccountStep, store: str) -> Iterator[Row]:
    """The closing deals of copies that a record tells, each with what it realised in minor units of the follower. One
    that several shares of a net have a part in has a row for each."""
    parts: Counter[DealId] = Counter()
    for key, deal in realised(step.before, step.after, step.record.event):
        copy = _of_position(step, key, deal.position)
        if copy is not None:
            parts[deal.deal] += 1
            yield _close(step, copy, deal, parts[deal.deal], store)


def leader_closes(step: AccountStep, registry: Registry) -> Iterator[Row]:
    """The closing deals of an account that leads, each with what it realised in minor units of its own."""
    account = step.after.account
    match step.record.event:
        case ExecutionSeen(deal=Deal() as deal):
            told: tuple[Deal, ...] = (deal,)
        case Reconciled(deals=told) | ClosesSeen(deals=told):
            pass
        case _:
            return
    closing = [(deal, deal.close) for deal in told if deal.close is not None and deal.is_execution]
    if not closing or all(profile.leader != account for profile in registry.profiles.values()):
        return
    digits = _money_digits(step.after, closing[0][1])
    for deal, close in closing:
        yield {
            "close_id": f"{account}:{deal.deal}",
            "leader": int(account),
            "leader_position": int(deal.position),
            "net": close.net,
            "money_digits": digits,
            "position": step.record.position,
        }


def _close(step: AccountStep, copy: Copy, deal: Deal, part: int, store: str) -> Row:
    close, spec = deal.close, step.after.specs.get(deal.symbol)
    assert close is not None, f"expected a deal that closes, found {deal.deal}"
    account, at_us = int(step.after.account), deal.executed_ms * 1_000 or step.record.at_us
    digits = spec.digits if spec is not None else copy.leader_digits
    return {
        "close_id": f"{account}:{deal.deal}" + (f"/{part}" if part > 1 else ""),
        "at": iso(at_us),
        "profile_id": copy.profile,
        "link": copy.link,
        "copy_id": _name(step.after, copy, store),
        "leader": int(copy.leader),
        "follower": account,
        "deal": int(deal.deal),
        "follower_position": int(deal.position),
        "follower_order": int(deal.order),
        "symbol": copy.leader_symbol,
        "volume": units_text(close.closed_volume or deal.filled_volume),
        "entry_price": price(close.entry_price, digits),
        "price": price(deal.price, digits),
        "closed_by": _closed_by(step.before, step.record.event, deal, store),
        "gross": close.gross,
        "swap": close.swap,
        "commission": close.commission,
        "conversion_fee": close.conversion_fee,
        "money_digits": _money_digits(step.after, close),
        "at_us": at_us,
        "position": step.record.position,
    }


def _money_digits(view: AccountView, close: CloseDetail) -> int:
    """How small the minor units of an account are: what its broker leaves out of a deal, its trader says
    (wire.md#units)."""
    return view.money_digits if view.trader is not None else close.money_digits


def _of_position(step: AccountStep, key: CopyKey, position: PositionId) -> Copy | None:
    """The copy of that name that had this position: it may have begun anew since."""
    lives = [view.get(key) for side in (step.after, step.before) for view in (side.copies, side.finished)]
    known = [copy for copy in lives if copy is not None]
    return next((copy for copy in known if copy.position == position), known[0] if known else None)


def _name(view: AccountView, copy: Copy, store: str) -> str:
    """The name of a copy, and of one that has begun anew since that of the life it had (`former_lives`)."""
    name, newest = copy_id(store, *copy.key), view.copies.get(copy.key, copy)
    return f"{name}{LIFE}{copy.last_seq}" if copy.state.is_end and newest is not copy else name


def _closed_by(before: AccountView, event: Event, deal: Deal, store: str) -> str | None:
    """Who closed it; None where nothing proves it: then the end of the copy says so, if anything does."""
    order = _order(event, deal)
    if order is not None and order.stop_out:
        return STOP_OUT
    if order is not None and order.type is OrderType.PROTECTION:
        return LEVEL
    if order is None and isinstance(event, ClosesSeen) and before.rules >= TURNED_UNSEEN:
        order = next((past for past in before.past_orders if past.order == deal.order), None)
    is_ours = order is not None and order.client_order_id.startswith(f"cm1.{store}.")
    if is_ours or any(intent.order == deal.order for intent in before.intents.values()):
        return REQUEST
    if isinstance(event, ClosesSeen) and deal.order in of_lost_closes(before, event):
        return REQUEST
    if not isinstance(event, ExecutionSeen):  # the order of a close bears a name of its broker's own
        return None
    # The fill of a request of ours bears its id, also where that was settled by what was told before it.
    is_answer = event.client_msg_id.startswith(f"cm1.{store}.")
    return REQUEST if is_answer or intent_of(before, event) is not None else HUMAN


def _order(event: Event, deal: Deal) -> Order | None:
    """The order of a deal, where it was told with it."""
    match event:
        case ExecutionSeen(order=Order() as order):
            told: tuple[Order, ...] = (order,)
        case Reconciled(past_orders=told) | ClosesSeen(orders=told):
            pass
        case _:
            return None
    return next((order for order in told if order.order == deal.order), None)
