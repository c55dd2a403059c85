"""What somebody has added to nets beside our shares: said until it is gone, and nothing else follows from it.

What others take off a net comes off its shares (`touching.py`); what they add is in no share, and nothing would show
it.
"""

from __future__ import annotations

from collections.abc import Mapping

from cmam.domain.belief.shares import beside, is_untold
from cmam.domain.belief.view import AccountView
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import Volume, units_text
from cmam.domain.values.trades import Position

KIND = "beside "
"""What the kinds of these alerts begin with; the position's number follows."""


def said(view: AccountView) -> Mapping[str, str]:
    """What is to be said of each net that holds more than its shares, by the alert's kind.

    While requests of ours may have moved a net it tells nothing, and what was said of it stands.
    """
    if not view.is_netted():
        return {}
    found: dict[str, str] = {}
    for position in view.positions.values():
        kind = f"{KIND}{position.position}"
        if _is_moving(view, position.symbol):
            if kind in view.alerts:
                found[kind] = view.alerts[kind]
        elif more := beside(view, position):
            found[kind] = _in_words(view, position, more)
    return found


def _is_moving(view: AccountView, symbol: SymbolId) -> bool:
    return any(intent.command.symbol == symbol for intent in view.intents.values()) or is_untold(view, symbol)


def _in_words(view: AccountView, position: Position, more: Volume) -> str:
    spec = view.specs.get(position.symbol)
    name = spec.name if spec is not None else f"symbol {position.symbol}"
    return (
        f"Position {position.position} in {name} ({position.side.value}) holds {units_text(more)} units that are no "
        "copy's: somebody has added them. cmam lets them be, but the close of the last copy in it closes the whole "
        "position."
    )
