"""What a person is told of what a broker lets a follower do no longer: its rights, and symbols that have changed, a
leader's lots among them.

Either stops opens without a guard, and would otherwise show in nothing but skips.
"""

from __future__ import annotations

from cmam.domain.belief.view import AccountView
from cmam.domain.values.rules.opens import LEADERS_LOTS
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


def symbols_in_words(view: AccountView, *, follows: bool, leads: bool) -> str:
    """What is said of symbols that are others than they were, and still listed; empty where it stops nothing."""
    names = changed_symbols(view) if follows else []
    lots = changed_symbols(view, is_of_lots=True) if leads and view.rules >= LEADERS_LOTS else []
    told = []
    if names:
        what = f"The broker has changed lot size, digits or step of {_some(names)}: nothing opens in what has changed"
        told.append(f"{what} {_until(view, names)}")
    if lots:
        what = f"The broker has changed the lot size of {_some(lots)}: followers that count in lots open nothing in it"
        told.append(f"{what} {_until(view, lots)}")
    return " ".join(told)


def changed_symbols(view: AccountView, *, is_of_lots: bool = False) -> list[str]:
    """The symbols that their broker lists, has changed, and nobody has confirmed since; or only those of other lots."""
    found = [
        (former, spec)
        for symbol, former in view.former_specs.items()
        if (spec := view.specs[symbol]).name in view.names and view.names[spec.name].symbol == symbol
    ]
    return sorted(spec.name for former, spec in found if not is_of_lots or former.lot_size != spec.lot_size)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{', '.join(names[:NAMES_SHOWN])}{more}"


def _until(view: AccountView, names: list[str]) -> str:
    and_all = " and so on for each of them." if len(names) > 1 else "."
    return f"until `cmam account confirm-symbol {view.account} {names[0]}`{and_all}"
