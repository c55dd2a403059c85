"""The rules that an open, an add or a pending order passes, in one visible order; each may end it with its reason.

Closes, cancels and protective changes never come here. A new rule is a function in one of the files imported below, and
a line in the order.
"""

from __future__ import annotations

from collections.abc import Callable

from cmam.domain.deciding.amounts import caps, equity_known, margin, sanity, sized, slippage
from cmam.domain.deciding.carrying import levels, pending_price
from cmam.domain.deciding.draft import Draft
from cmam.domain.deciding.gates import (
    age,
    hours,
    label,
    latched,
    netted,
    order_type,
    other_copier,
    price,
    side,
    spread,
    standing,
    still_there,
    symbol,
    symbol_listed,
)
from cmam.domain.events import Wait
from cmam.domain.values.reasons import Reason

Rule = Callable[[Draft], "Reason | Wait | None"]

OPEN_RULES: tuple[Rule, ...] = (
    standing,
    latched,
    still_there,
    other_copier,
    symbol_listed,
    symbol,
    side,
    order_type,
    label,
    hours,
    netted,
    age,
    price,
    spread,
    pending_price,
    levels,
    sized,
    slippage,
    sanity,
    caps,
    margin,
    equity_known,
)
"""What an open, an add or a pending order passes, in this order: state and manage-only; symbol; side, order type,
label, hours; age, price, spread; levels; size and bounds; sanity; caps, margin and guards."""


AMEND_RULES: tuple[Rule, ...] = (pending_price, levels)
"""What decides whether an amended pending order may rest on."""

TURN_RULES: tuple[Rule, ...] = OPEN_RULES[: OPEN_RULES.index(netted)]
"""What of them can be said before the side that a leader has turned from is closed."""


def first_reason(draft: Draft, rules: tuple[Rule, ...] = OPEN_RULES) -> Reason | Wait | None:
    """Pass the rules in their order until one says no, or asks to wait."""
    for rule in rules:
        found = rule(draft)
        if found is not None:
            return found
    return None
