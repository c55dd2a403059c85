"""How copies end: their order is over, their position gone, nothing came of their open, or shares cancel out."""

from __future__ import annotations

from cmam.domain.belief.belonging import intent_of
from cmam.domain.belief.copies import Copy, CopyKey, CopyState, IntentState
from cmam.domain.belief.shares import is_untold, losses, net_of_ledger, shares_of, unclaimed
from cmam.domain.belief.view import AccountView
from cmam.domain.events import CopyFinished, CopyTouched, Event, ExecutionSeen, IntentSettled, Outcome, Reconciled, Wait
from cmam.domain.folds.intents import POSITION_GONE
from cmam.domain.turns.making import TurnInTheMaking
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.nets import ADDS_OUTLIVE_NETS, SHARES_AWAIT_RESTS, TRADED_TO_FLAT
from cmam.domain.values.rules.resting import PARTS_REST, RESTS_EXPIRED, RESTS_REJECTED, WAITS_END
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus, OrderType
from cmam.domain.wanted.resting import place_command


def finish_order(turn: TurnInTheMaking, key: CopyKey, fact: Event) -> None:
    """A copied pending order has come to its end: what that means hangs on who ended it and what had filled."""
    copy = turn.view.copies.get(key)
    if copy is None or not copy.ended_order or copy.position is not None:
        return
    if copy.wait is not None and not copy.awaits_amend and (copy.is_wanted or turn.view.rules < WAITS_END):
        return
    if any(intent.command.kind.adds_risk for intent in turn.view.intents_of(key)):
        return
    spec = turn.view.specs.get(copy.symbol)
    if copy.replacing and copy.goal.terms is not None and copy.is_wanted and spec is not None:
        _settle_all(turn, key, "the order has ended")
        place = place_command(copy.side, spec, copy.goal.terms)
        turn.intend(key, place, change=copy.change.key if copy.change is not None else None)
        return
    reason = copy.ending
    if reason is None:
        is_ours = copy.goal.terms is None or copy.grace_over or copy.leader_filled
        reason = Reason.EXPIRED if _is_past(copy, turn.now_us) else Reason.CLOSED_BY_HUMAN
        if turn.view.rules >= RESTS_REJECTED and _has_ended(copy, fact, OrderStatus.REJECTED):
            reason = Reason.REFUSED
        if turn.view.rules >= RESTS_EXPIRED and _has_ended(copy, fact, OrderStatus.EXPIRED):
            reason = Reason.EXPIRED
        reason = Reason.CANCELLED if is_ours else reason
    _settle_all(turn, key, "the order has ended")
    turn.add(CopyFinished(link=copy.link, source=copy.source, reason=reason))


def _has_ended(copy: Copy, fact: Event, status: OrderStatus) -> bool:
    """Whether it is the broker who ended an order that rested: he had accepted it, and rejects it now or when it would
    fill, or its hour has come."""
    orders: tuple[Order | None, ...] = ()
    if isinstance(fact, ExecutionSeen):
        orders = (fact.order,)
    elif isinstance(fact, Reconciled):
        orders = fact.past_orders
    ends = (order.status for order in orders if order is not None and order.order == copy.order)
    return status in ends


def finish_if_gone(turn: TurnInTheMaking, key: CopyKey, fact: Event) -> None:
    """End a copy whose position the broker no longer has."""
    copy = turn.view.copies.get(key)
    if copy is None or copy.position is None:
        return
    is_share_out = copy.share and copy.volume == 0 and not copy.is_wanted
    if copy.position in turn.view.positions and not is_share_out:
        return
    if copy.share and copy.volume > 0 and net_of_ledger(turn.view, copy.symbol) == 0:
        return
    if copy.share and copy.volume > 0 and unclaimed(turn.view, copy.symbol):
        return  # it has another number since, and whose the rest of it is is told as it is taken into the record
    if copy.share and is_untold(turn.view, copy.symbol):
        return  # what took the net away may be a request of ours; whoever it was is told by the next look
    if copy.share and turn.view.rules >= TRADED_TO_FLAT and _is_traded_to_flat(turn.view, copy, fact):
        return
    if copy.share and turn.view.rules >= ADDS_OUTLIVE_NETS and _awaits_order(turn, copy, fact):
        return
    if _rests_on(turn, copy):
        # What is left of its pending order must not fill alone.
        _cancel_rest(turn, copy)
    _settle_all(turn, key, POSITION_GONE)
    turn.add(CopyFinished(link=copy.link, source=copy.source, reason=_end_reason(copy, fact)))


def _is_traded_to_flat(view: AccountView, share: Copy, fact: Event) -> bool:
    """Whether requests of shares that are on their way come to all that a net had which is gone, and leave something of
    this one: it goes on against the shares of the other side. Their deals tell, or a look; somebody else's deal is
    what took it."""
    if isinstance(fact, ExecutionSeen) and fact.deal is not None and intent_of(view, fact) is None:
        return False
    under_way = [
        intent
        for intent in view.intents.values()
        if intent.command.kind in (CommandKind.CLOSE, CommandKind.OPEN, CommandKind.ADD)
        and intent.command.symbol == share.symbol
        and intent.state in (IntentState.SENT, IntentState.ACCEPTED)
    ]
    moved = sum((intent.command.volume - intent.filled) * intent.command.side.sign for intent in under_way)
    own = sum(
        intent.command.volume - intent.filled
        for intent in under_way
        if intent.key == share.key and intent.command.side is not share.side
    )
    return share.volume > own and moved == -net_of_ledger(view, share.symbol)


def _awaits_order(turn: TurnInTheMaking, copy: Copy, fact: Event) -> bool:
    """Whether a share that has nothing left has to stay for an order under way: its own, which may fill into a net
    anew, as may what rests of it, or one by which another share of the net gives up what this one may have to take.

    What others took off the net is booked before that fills; where a close is under way, once that is told.
    """
    own = any(intent.command.kind.adds_risk for intent in turn.view.intents_of(copy.key))
    rests = copy.order in turn.view.orders and turn.view.rules >= SHARES_AWAIT_RESTS
    own = own or rests
    if any(position.symbol == copy.symbol for position in turn.view.positions.values()):
        return own
    shares = shares_of(turn.view, copy.symbol)
    asked = {intent.command.kind for share in shares for intent in turn.view.intents_of(share.key)}
    if not any(kind.adds_risk for kind in asked):
        if rests and copy.volume > 0:
            _lose(turn, copy, Volume(0), fact)
        return rests
    if CommandKind.CLOSE in asked:
        return True
    for share, left in tuple(losses(turn.view, copy.symbol)):
        _lose(turn, share, left, fact)
    return own or turn.view.copies[copy.key].volume > 0


def _lose(turn: TurnInTheMaking, share: Copy, left: Volume, fact: Event) -> None:
    """Book what others took of a share whose net is gone."""
    before, after = int(share.volume), int(left)
    reason = None if left else _end_reason(share, fact)
    link, source = share.key
    turn.add(CopyTouched(link=link, source=source, what="volume", before=before, after=after, reason=reason))


def finish_cancelling(turn: TurnInTheMaking, symbol: SymbolId) -> None:
    """End the shares of a net that cancel each other out."""
    for share in turn.nets.cancelling(symbol):
        if _rests_on(turn, share):
            _cancel_rest(turn, share)
        reason = share.ending or Reason.CLOSED_BY_LEADER
        turn.add(CopyFinished(link=share.link, source=share.source, reason=reason))


def finish_idle(turn: TurnInTheMaking, key: CopyKey) -> None:
    """End a copy of which nothing was ever sent and nothing shall be, or what it waited for did not come."""
    copy = turn.view.copies.get(key)
    if copy is None or copy.position is not None or copy.state is not CopyState.WAITING:
        return
    if copy.is_wanted and copy.wait is not None:
        return
    reason = copy.ending or (Reason.SOURCE_GONE if not copy.is_wanted else Reason.EXPIRED)
    if copy.wait is Wait.TURN and not copy.is_wanted:
        turn.add(CopyFinished(link=copy.link, source=copy.source, reason=Reason.SOURCE_GONE))
        return
    reason = Reason.SOURCE_GONE if reason is Reason.CLOSED_BY_LEADER else reason
    turn.add(CopyFinished(link=copy.link, source=copy.source, reason=reason))


def _rests_on(turn: TurnInTheMaking, copy: Copy) -> bool:
    """Whether a part of a copy's order rests, and its cancel is not under way."""
    if copy.order is None or copy.order not in turn.view.orders:
        return False
    if turn.view.rules < PARTS_REST:
        return copy.goal.terms is not None
    return not any(intent.command.kind is CommandKind.CANCEL for intent in turn.view.intents_of(copy.key))


def _cancel_rest(turn: TurnInTheMaking, copy: Copy) -> None:
    """Cancel what rests of a copy that is at its end."""
    cancel = Command(kind=CommandKind.CANCEL, symbol=copy.symbol, side=copy.side, order=copy.order)
    turn.intend(copy.key, cancel)


def _settle_all(turn: TurnInTheMaking, key: CopyKey, why: str) -> None:
    for intent in turn.view.intents_of(key):
        if intent.command.kind is not CommandKind.CANCEL or intent.command.order not in turn.view.orders:
            turn.add(IntentSettled(intent=intent.intent, outcome=Outcome.CONFIRMED, reason=why))


def _is_past(copy: Copy, now_us: int) -> bool:
    expires = copy.goal.terms.expires_ms if copy.goal.terms is not None else None
    return bool(expires) and now_us // 1_000 >= (expires or 0) - 1_000


def _end_reason(copy: Copy, fact: Event) -> Reason:
    if isinstance(fact, ExecutionSeen) and fact.order is not None:
        if fact.order.stop_out:
            return Reason.CLOSED_BY_STOP_OUT
        if fact.order.type is OrderType.PROTECTION and fact.kind is not ExecutionKind.ORDER_CANCELLED:
            return Reason.CLOSED_BY_LEVEL
    if isinstance(fact, Reconciled):
        closing = _closing_order(copy, fact)
        if closing is not None:
            return closing
    if copy.ending is not None:
        return copy.ending
    if copy.state is CopyState.CLOSING or not copy.is_wanted:
        return Reason.CLOSED_BY_LEADER
    return Reason.CLOSED_BY_HUMAN


def _closing_order(copy: Copy, fact: Reconciled) -> Reason | None:
    """What closed a copy while nobody looked, by the order of its last closing deal."""
    closes = [deal for deal in fact.deals if deal.position == copy.position and deal.close is not None]
    if not closes:
        return None
    last = max(closes, key=lambda deal: (deal.executed_ms, deal.deal))
    order = next((order for order in fact.past_orders if order.order == last.order), None)
    if order is None or order.status is OrderStatus.CANCELLED:
        return None
    if order.stop_out:
        return Reason.CLOSED_BY_STOP_OUT
    return Reason.CLOSED_BY_LEVEL if order.type is OrderType.PROTECTION else None
