"""Events that tell of a position and of nothing that was traded: neither a deal nor an order."""

from __future__ import annotations

from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen
from cmam.domain.values.rules.sight import CORRECTIONS_OPEN_NOTHING, SWAPS_OPEN_NOTHING
from cmam.domain.values.trades import ExecutionKind

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
