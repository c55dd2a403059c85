"""A clock that was set back between two lives of the process: what was to fall due soon still does.

The record's times are the wall's. Within one life they only go on; where a life begins before the last one ended,
whatever lies ahead would lie further ahead by the difference: a refused close would be asked for again in an hour, an
unknown outcome looked up in an hour. So the moments move with the clock. Nothing here knows events or reads a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cmam.domain.belief.view import AccountView, put
from cmam.domain.guarding.latches import REJECTIONS
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.guards import LOCKS_END_IN_TIME, RESULTS_OF_ONE_CLOCK

STEP_US = 1_000_000
"""A record this much older than the one before it is of a clock that was set back, and not of two threads."""

OF_COPIES = (
    "retry_at_us",
    "close_at_us",
    "not_after_us",
    "wait_until_us",
    "filled_us",
    "ahead_since_us",
    "trouble_us",
    "trailed_us",
    "again_us",
    "levels_until_us",
    "target_at_us",
)
OF_INTENTS = ("recorded_us", "moved_us", "not_after_us", "ask_us")


def set_back(view: AccountView, by_us: int) -> AccountView:
    """The view as it would be if its last record had been made that much earlier."""
    for copy in tuple(view.copies.values()):
        view = put(view, _earlier(copy, OF_COPIES, by_us))
    intents = {name: _earlier(intent, OF_INTENTS, by_us) for name, intent in view.intents.items()}
    doubted = {position: max(1, since_us - by_us) for position, since_us in view.doubted.items()}
    orders = {order: max(1, since_us - by_us) for order, since_us in view.doubted_orders.items()}
    closed = {position: max(1, told_us - by_us) for position, told_us in view.told_closed.items()}
    vain = {source: _earlier(one, ("at_us", "since_us"), by_us) for source, one in view.in_vain.items()}
    if view.rules >= LOCKS_END_IN_TIME:
        paused = {key: latch for key, latch in view.latches.items() if key[1] == REJECTIONS and latch.until_us}
        latches = {key: _earlier(latch, ("until_us",), by_us) for key, latch in paused.items()}
        view = replace(view, latches={**view.latches, **latches}) if latches else view
    if view.results_us and view.rules >= RESULTS_OF_ONE_CLOCK:
        view = replace(view, results={}, results_us=0)
    return replace(view, intents=intents, doubted=doubted, doubted_orders=orders, told_closed=closed, in_vain=vain)


def _earlier(value: Any, names: Sequence[str], by_us: int) -> Any:
    """A value with those of its moments that are set moved."""
    return replace(value, **{name: max(1, at - by_us) for name in names if (at := getattr(value, name))})
