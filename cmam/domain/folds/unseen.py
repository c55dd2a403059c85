"""What opens and adds of a hedged copy have filled while nobody looked, by its position and by their orders.

A position that shows more than before tells that they filled so much of it at least; an order that has ended tells the
whole. Where that is more than the position shows, somebody has closed the rest of it in the same gap.
"""

from __future__ import annotations

from collections.abc import Mapping

from cmam.domain.belief.asked import with_intent
from cmam.domain.belief.copies import Copy, CopyKey, Intent
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Reconciled
from cmam.domain.folds.afterwards import with_unpriced
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Volume
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.sight import FILLS_ARE_SHOWN
from cmam.domain.values.trades import OrderStatus

_FILLING = (CommandKind.OPEN, CommandKind.ADD)
_MOVING = (*_FILLING, CommandKind.PLACE, CommandKind.CLOSE)


def note_fills(view: AccountView, event: Reconciled, copies: Mapping[CopyKey, Copy]) -> AccountView:
    """Note on each open and add of unknown outcome what it is known to have filled, and the positions that show less;
    `copies` are those before the snapshot."""
    if view.rules < FILLS_ARE_SHOWN:
        return view
    intents = view.intents
    for intent in tuple(intents.values()):
        copy, was = view.copies.get(intent.key), copies.get(intent.key)
        if intent.command.kind not in _FILLING or copy is None or copy.share:
            continue
        filled = max(_shown(view, intent, was, copy), _told(intent, event))
        if filled > intent.filled:
            intents = with_intent(intents, replace(intent, filled=Volume(filled)))
        if was is not None and copy.position is not None and missing(view, was, copy, event) > 0:
            view = with_unpriced(view, [copy.position])
    return replace(view, intents=intents)


def missing(before: AccountView, was: Copy, now: Copy, event: Reconciled) -> int:
    """How much of what its opens and adds have filled a position does not show; `before` is the account before that was
    noted. Of a position that comes to light now nothing is known of before."""
    if before.rules < FILLS_ARE_SHOWN or now.share or was.position is None or was.position != now.position:
        return 0
    asked = [intent for intent in before.intents_of(now.key) if intent.command.kind in _FILLING]
    return sum(max(0, _told(intent, event) - _shown(before, intent, was, now)) for intent in asked)


def _shown(view: AccountView, intent: Intent, was: Copy | None, now: Copy) -> int:
    """What an open or add has filled by its position; where something else may have moved that, no more than before."""
    moving = [other for other in view.intents_of(intent.key) if other.command.kind in _MOVING]
    is_same = was is not None and was.position is not None and was.position == now.position
    is_alone = len(moving) == 1 and (now.order is None or now.ended_order)
    if was is None or not is_same or not is_alone:
        return intent.filled
    return min(intent.command.volume, intent.filled + max(0, now.volume - was.volume))


def _told(intent: Intent, event: Reconciled) -> int:
    """What its order had filled when it ended, 0 where that is not told."""
    orders = (*event.past_orders, *event.orders)
    order = next((order for order in orders if order.client_order_id == intent.intent), None)
    return 0 if order is None or order.status is OrderStatus.ACCEPTED else order.executed_volume
