"""Events that leave out the half: a position without deal and order, or a deal without its position."""

from __future__ import annotations

from cmam.domain.belief.copies import Intent
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen
from cmam.domain.values.rules.sight import CORRECTIONS_OPEN_NOTHING, FILLED_ONCE, OWN_SHOWN_BEFORE, SWAPS_OPEN_NOTHING
from cmam.domain.values.trades import Deal, ExecutionKind, Order

OF_ORDERS = (
    ExecutionKind.ORDER_FILLED,
    ExecutionKind.ORDER_PARTIAL_FILL,
    ExecutionKind.ORDER_REPLACED,
    ExecutionKind.ORDER_CANCELLED,
)
"""What tells what became of an order, also where it tells neither that nor a deal."""


def is_charged_unseen(view: AccountView, event: ExecutionSeen, *, is_ours: bool) -> bool:
    """Whether an event that trades nothing, a swap, shows a position that is not known; so may one that tells neither
    deal nor order, under a word for it that says nothing of orders, and answers no request of ours (`is_ours`)."""
    if event.position is None or event.position.position in view.positions:
        return False
    if event.kind is ExecutionKind.SWAP and view.rules >= SWAPS_OPEN_NOTHING:
        return True
    is_bare = event.deal is None and event.order is None and event.kind not in OF_ORDERS
    return is_bare and not is_ours and view.rules >= CORRECTIONS_OPEN_NOTHING


def is_own_shown(view: AccountView, deal: Deal, order: Order | None, intent: Intent | None) -> bool:
    """Whether a look that tells no times has shown what a deal of ours left, whose event tells no position: since its
    request the position has moved by all that its order has executed, and nothing else of ours is under way there."""
    known = view.positions.get(deal.position)
    if intent is None or order is None or known is None or view.rules < OWN_SHOWN_BEFORE:
        return False
    command, is_since = intent.command, intent.recorded_us > view.reconciled_us
    if is_since or command.position != deal.position or view.shown_ms.get(deal.position, 1):
        return False
    if any(one.command.symbol == command.symbol and one.intent != intent.intent for one in view.intents.values()):
        return False
    moved = (known.volume - intent.volume_before) * (1 if deal.side is known.side else -1)
    return 0 < order.executed_volume <= moved


def is_shown_filled(view: AccountView, order: Order | None, intent: Intent | None) -> bool:
    """Whether a request of a hedged copy is known already to have filled all that its order is told to have executed,
    so that its deal, where the position beside it is an older one, moves nothing any more."""
    if intent is None or order is None or view.rules < FILLED_ONCE or view.is_netted():
        return False
    return order.client_order_id == intent.intent and 0 < order.executed_volume <= intent.filled
