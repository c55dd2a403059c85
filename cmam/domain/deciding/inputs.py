"""What a decision needs to be told besides the view: which quotes, and the whole of its `Inputs` in one call.

The shell hands down how to look a quote up by the follower's symbol name; everything that was looked at is recorded
with the decision, so that a replay needs no quotes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from cmam.domain.belief.copies import CopyState
from cmam.domain.belief.held import foreign_labels
from cmam.domain.belief.view import AccountView, resolve
from cmam.domain.events import Inputs
from cmam.domain.market.conversion import chain_symbols
from cmam.domain.market.differences import is_wide, mid_difference
from cmam.domain.market.equity import equity_symbols, in_flight, symbols_for
from cmam.domain.market.mapping import names_to_know
from cmam.domain.profiles.choices import LevelsMode
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import Distance, Quote
from cmam.domain.values.symbols import SymbolSpec

QuoteOf = Callable[[str], Quote | None]
"""A quote by the name of the follower's symbol."""

Found = Mapping[str, Quote | None]
"""What was found of the quotes that a decision may rest on, by the name of the follower's symbol."""

DifferenceOf = Callable[[str], Distance | None]
"""By how much a symbol usually is quoted above the leader's, by the name of the follower's."""

USD = "USD"

WARM_US = 3_000_000
"""How long after a feed begins a missing quote may still come: a broker sends one of each symbol first
(wire.md#quotes)."""


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
    is_warming: Callable[[Found], bool] = lambda _found: False,
    is_reading: bool = False,
    difference_of: DifferenceOf | None = None,
) -> Inputs:
    """All that a decision may rest on, looked up once; with the `leader`'s view, foreign copies of it too.

    `is_warming` is asked once every quote has been looked up, with what was found: one that nobody needed before is
    asked for by that.
    """
    found = {name: quote_of(name) for name in quotes_needed(view, change, settings)}
    quotes = {name: quote for name, quote in sorted(found.items()) if quote is not None}
    theirs, usual = leader_quote or change.quote, {}
    if difference_of is not None and theirs is not None and _is_carried(view, change, settings):
        usual = _unusual(_traded(view, change, settings), quotes, theirs, difference_of)
    return Inputs(
        standing=settings.standing,
        quotes=quotes,
        clock_offset_ms=clock_offset_ms,
        superseded=superseded,
        leader_quote=leader_quote,
        clock_doubt_ms=clock_doubt_ms,
        complete=True,
        other_copier=other_copier(view, leader, settings) if leader is not None and change.kind.adds_risk else "",
        warming=is_warming(found),
        reading=is_reading and change.kind.adds_risk,
        usual=usual,
    )


def _is_carried(view: AccountView, change: Change, settings: LinkSettings) -> bool:
    """Whether a price of the leader's may be carried over by the two quotes: not that of an ordinary open."""
    if change.kind in (ChangeKind.ORDER_PLACED, ChangeKind.ORDER_AMENDED):
        return True
    if not change.kind.adds_risk:
        return False
    is_late = change.late or change.synced or settings.policy.levels is LevelsMode.PRICE
    if is_late or settings.policy.for_symbol(change.symbol.name).max_slippage is not None:
        return True
    copy = view.copy(resolve(view, settings.link, change))
    return copy is not None and copy.wait is not None


def _traded(view: AccountView, change: Change, settings: LinkSettings) -> tuple[str, ...]:
    """The names of the follower's symbols that the leader's may turn out to be."""
    copy = view.copy(resolve(view, settings.link, change))
    spec = view.specs.get(copy.symbol) if copy is not None else None
    return (spec.name,) if spec is not None else names_to_know(view, (change.symbol.name,), settings.policy)


def _unusual(
    names: Iterable[str], quotes: Mapping[str, Quote], theirs: Quote, difference_of: DifferenceOf
) -> dict[str, Distance]:
    """What is usual of these symbols, where the two quotes of now say otherwise by more than both spreads."""
    found: dict[str, Distance] = {}
    for name in names:
        mine, usual = quotes.get(name), difference_of(name)
        if mine is None or usual is None:
            continue
        if is_wide(mid_difference(mine, theirs) - usual, mine, theirs):
            found[name] = usual
    return found


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
