"""What a decision needs to be told besides the view: which quotes, and the whole of its `Inputs` in one call.

The shell hands down how to look a quote up by the follower's symbol name; everything that was looked at is recorded
with the decision, so that a replay needs no quotes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cmam.domain.belief.copies import CopyState
from cmam.domain.belief.held import foreign_labels
from cmam.domain.belief.view import AccountView, resolve
from cmam.domain.events import Inputs
from cmam.domain.market.conversion import chain_symbols
from cmam.domain.market.equity import equity_symbols, in_flight, symbols_for
from cmam.domain.market.mapping import names_to_know
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import Quote
from cmam.domain.values.symbols import SymbolSpec

QuoteOf = Callable[[str], Quote | None]
"""A quote by the name of the follower's symbol."""

USD = "USD"

WARM_US = 3_000_000
"""How long after a feed begins a missing quote may still come: a broker sends one of each symbol first (FACTS §6.3)."""


def quotes_needed(view: AccountView, change: Change, settings: LinkSettings) -> tuple[str, ...]:
    """The names of the follower's symbols whose quotes a decision about this change may rest on."""
    policy = settings.policy
    copy = view.copy(resolve(view, settings.link, change))
    found: dict[str, None] = {}
    if copy is not None and copy.state is not CopyState.WAITING:
        specs = [view.specs.get(copy.symbol)]
    else:
        names = names_to_know(view, (change.symbol.name,), policy)
        found.update(dict.fromkeys(names))
        specs = [view.specs.get(view.names[name].symbol) for name in names]
    if not change.kind.adds_risk and change.kind is not ChangeKind.ORDER_AMENDED:  # which may grow, or be sized anew
        return tuple(spec.name for spec in specs if spec is not None)
    for spec in specs:
        if spec is not None:
            found.update(dict.fromkeys(_valuation(view, spec)))
    found.update(dict.fromkeys(equity_symbols(view)))
    for symbol in dict.fromkeys([symbol for symbol, _ in in_flight(view)]):
        spec = view.specs.get(symbol)
        if spec is not None:
            found.update(dict.fromkeys(_valuation(view, spec)))
    for currency in (change.money.currency if change.money is not None else "", change.symbol.quote):
        found.update(dict.fromkeys(chain_symbols(view, currency, view.currency)))
    return tuple(found)


def _valuation(view: AccountView, spec: SymbolSpec) -> tuple[str, ...]:
    """What values a symbol in the deposit currency, commission included: only risk_percent counts that, but what it
    needs is looked up for every mode, so that a what-if under another one finds it on record."""
    base, quote, money = spec.base_name, spec.quote_name, view.currency
    pairs = [(base, money)]
    if spec.leverage_id:
        pairs += (quote, USD), (base, USD)
    if spec.commission_rate_e8:
        pairs += (USD, money), (base, USD)
    if spec.min_commission_e8:
        pairs.append((spec.min_commission_asset, money))
    names = list(symbols_for(view, spec))
    for first, last in dict.fromkeys(pairs):  # most are the same few: in a deposit currency of USD all but one or two
        names += chain_symbols(view, first, last)
    return tuple(names)


def symbols_to_sample(view: AccountView, leaders: Iterable[tuple[AccountView, LinkSettings]]) -> tuple[str, ...]:
    """The names of the symbols whose quotes are worth recording now: those that value what the account holds, and what
    its leaders hold, copied or not, so that a what-if knows what a copy of it would have been worth."""
    found = dict.fromkeys(equity_symbols(view))
    for leader, settings in leaders:
        held = {position.symbol for position in leader.positions.values()}
        held |= {order.symbol for order in leader.orders.values()}
        traded = [spec.name for symbol in sorted(held) if (spec := leader.specs.get(symbol)) is not None]
        for name in names_to_know(view, traded, settings.policy):
            spec = view.specs.get(view.names[name].symbol)
            found.update(dict.fromkeys(_valuation(view, spec) if spec is not None else (name,)))
    return tuple(found)


def gather(
    view: AccountView,
    change: Change,
    settings: LinkSettings,
    quote_of: QuoteOf,
    *,
    leader_quote: Quote | None = None,
    clock_offset_ms: int = 0,
    clock_doubt_ms: int = 0,
    superseded: bool = False,
    leader: AccountView | None = None,
    is_warming: Callable[[], bool] = lambda: False,
    is_reading: bool = False,
) -> Inputs:
    """All that a decision may rest on, looked up once; with the `leader`'s view, foreign copies of it too.

    `is_warming` is asked once every quote has been looked up: one that nobody needed before is asked for by that.
    """
    quotes = {name: quote_of(name) for name in quotes_needed(view, change, settings)}
    return Inputs(
        standing=settings.standing,
        quotes={name: quote for name, quote in sorted(quotes.items()) if quote is not None},
        clock_offset_ms=clock_offset_ms,
        superseded=superseded,
        leader_quote=leader_quote,
        clock_doubt_ms=clock_doubt_ms,
        complete=True,
        other_copier=other_copier(view, leader, settings) if leader is not None and change.kind.adds_risk else "",
        warming=is_warming(),
        reading=is_reading and change.kind.adds_risk,
    )


def other_copier(view: AccountView, leader: AccountView, settings: LinkSettings) -> str:
    """The label of a live copy of the same leader that another store made and nobody adopted; empty where none is."""
    allowed = {settings.store, *view.adopted.get(settings.link, ())}
    held = foreign_labels(view.positions, allowed)
    for label in (*held, *[order.label for order in view.orders.values()]):
        mark = read_label(label)
        if mark is None or mark.store in allowed:
            continue
        number = int(mark.source[1:], 36) if mark.source[1:].isalnum() else -1
        if number in (leader.positions if mark.source[0] == "p" else leader.orders):
            return label
    return ""
