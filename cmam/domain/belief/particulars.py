"""Balance and particulars of an account, and those of its symbols, as the broker tells them."""

from __future__ import annotations

from cmam.domain.belief.view import AccountView
from cmam.domain.events import TraderSeen
from cmam.domain.values.replacing import replace
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.values.trades import Deal

UNEXPLAINED_MAX = 4_096
"""How many versions of the balance are looked for at most, when an account was out of sight for long."""


def take_trader(view: AccountView, event: TraderSeen) -> AccountView:
    """Take what the broker says the account is; an older balance does not replace a newer one."""
    trader = event.trader
    if trader.balance_version >= view.balance_version:
        if view.days and 0 < view.balance_version < trader.balance_version:
            first = max(view.balance_version, trader.balance_version - UNEXPLAINED_MAX) + 1
            missing = (*view.unexplained, *range(first, trader.balance_version + 1))
            view = replace(view, unexplained=missing)
        view = replace(view, balance=trader.balance, balance_version=trader.balance_version)
    return replace(view, trader=trader, currency=event.currency or view.currency, is_live=event.is_live)


def take_balance(view: AccountView, deal: Deal) -> AccountView:
    """Take the balance after a closing deal, unless a newer one is known."""
    if deal.close is None:
        return view
    view = explained(view, deal.close.balance_version)
    if deal.close.balance_version < view.balance_version:
        return view
    return replace(view, balance=deal.close.balance, balance_version=deal.close.balance_version)


def explained(view: AccountView, version: int) -> AccountView:
    """Note what made a version of the balance, where that was not known."""
    if version not in view.unexplained:
        return view
    return replace(view, unexplained=tuple(missing for missing in view.unexplained if missing != version))


def take_spec(view: AccountView, spec: SymbolSpec) -> AccountView:
    """Take what a symbol allows; one whose size or digits changed under open trade waits to be confirmed."""
    known = view.specs.get(spec.symbol)
    former = view.former_specs
    if known is not None and _nature(known) != _nature(spec):
        first = former.get(spec.symbol, known)
        former = {key: value for key, value in former.items() if key != spec.symbol}
        if _nature(first) != _nature(spec):
            former[spec.symbol] = first
    return replace(view, specs={**view.specs, spec.symbol: spec}, former_specs=former)


def _nature(spec: SymbolSpec) -> tuple[int, ...]:
    return (spec.lot_size, spec.digits, spec.step_volume)
