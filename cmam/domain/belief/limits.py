"""What a person is told of what a broker lets a follower do no longer: its rights, and symbols that have changed.

Either stops opens without a guard, and would otherwise show in nothing but skips.
"""

from __future__ import annotations

from cmam.domain.belief.view import AccountView
from cmam.domain.values.trades import AccessRights

RIGHTS = "rights"
"""The kind of the alert about what an account may do."""
SYMBOLS = "symbols"
"""The kind of the alert about symbols that wait to be confirmed."""

NAMES_SHOWN = 5

_RIGHTS = {
    AccessRights.CLOSE_ONLY: "The broker lets this account close, and open nothing: nothing opens until it may again.",
    AccessRights.NO_TRADING: (
        "The broker lets this account trade nothing: nothing opens, and cmam can close nothing on it until it may "
        "again. Ask the broker, who can close what it holds."
    ),
}
_RIGHTS[AccessRights.NO_LOGIN] = _RIGHTS[AccessRights.NO_TRADING]


def rights_in_words(view: AccountView) -> str:
    """What is said of an account that may not do everything; empty for one that may."""
    return _RIGHTS.get(view.trader.access, "") if view.trader is not None else ""


def symbols_in_words(view: AccountView) -> str:
    """What is said of symbols that are others than they were, and still listed; empty where there are none."""
    names = sorted(
        view.specs[symbol].name
        for symbol in view.former_specs
        if (entry := view.names.get(view.specs[symbol].name)) is not None and entry.symbol == symbol
    )
    if not names:
        return ""
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return (
        f"The broker has changed lot size, digits or step of {', '.join(names[:NAMES_SHOWN])}{more}: nothing opens in "
        f"what has changed until `cmam account confirm-symbol {view.account} {names[0]}`"
        + (" and so on for each of them." if len(names) > 1 else ".")
    )
