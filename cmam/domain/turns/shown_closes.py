"""Closes that nobody has told the outcome of: whether what is held shows that they have happened."""

from __future__ import annotations

from cmam.domain.belief.copies import Intent
from cmam.domain.belief.shares import is_untold, shows_less, told_by_net
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Event, IntentSettled, Outcome
from cmam.domain.values.commands import CommandKind


def has_closed(view: AccountView, intent: Intent) -> bool:
    """Whether the position's volume shows that a close has happened; of a share the ledger tells what it should be."""
    copy = view.copies.get(intent.key)
    if copy is not None and copy.share:
        left = max(0, intent.command.volume - intent.filled)
        return left == 0 or shows_less(view, copy.symbol, copy.side, left)
    position = intent.command.position
    held = view.positions.get(position) if position is not None else None
    return held is None or held.volume <= intent.volume_before - intent.command.volume


def is_among_others(view: AccountView, intent: Intent) -> bool:
    """Whether a share's close shares its net with other requests of unknown outcome: then the net tells nothing."""
    copy = view.copies.get(intent.key)
    return copy is not None and copy.share and is_untold(view, copy.symbol, besides=intent.intent)


def with_close(view: AccountView, intent: Intent, event: Event) -> AccountView:
    """The view after a share's close was told by the net."""
    copy = view.copies.get(intent.key)
    if copy is None or not copy.share or intent.command.kind is not CommandKind.CLOSE:
        return view
    if not isinstance(event, IntentSettled) or event.outcome is not Outcome.CONFIRMED:
        return view
    return told_by_net(view, copy, intent)
