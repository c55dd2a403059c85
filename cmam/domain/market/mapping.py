"""Which of the follower's symbols is the leader's: by the table, by the exact name, or by one that can mean no other.

A guess is never made: a name that fits several symbols, or one of another nature or price, stays unmapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cmam.domain.belief.view import AccountView
from cmam.domain.market.listed import is_ambiguous, named_in_row, plain_name
from cmam.domain.profiles.choices import MappingMode
from cmam.domain.profiles.policy import Policy
from cmam.domain.values.changes import LeaderSymbol
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import Quote
from cmam.domain.values.rules.opens import PRICES_MAY_LAG, UNREAD_WAIT
from cmam.domain.values.symbols import SymbolName, SymbolSpec

MID_TOLERANCE_PER_MILLE = 5
"""Mids of the same thing at two brokers lie within 0.5 %."""

AFFIXES = (
    "A", "B", "C", "I", "K", "M", "N", "P", "R", "S", "T", "X", "Z",
    "CASH", "CFD", "ECN", "FX", "MICRO", "MINI", "PRO", "RAW", "SPOT", "STD", "CENT", "PLUS", "VIP",
)  # fmt: skip
"""What brokers put before or after a symbol's name to tell their price lists apart."""


_SEVERAL = "the follower's broker has several symbols of the name {name}, and nobody can say which is meant"
_UNREAD = "its specification is not known yet"


@dataclass(frozen=True, slots=True)
class Mapped:
    """The follower's symbol, or why there is none; `how` is row, exact or alike.

    `awaits_quotes` is the one symbol that fits but for a quote of it, or of the leader's, that is missing. `unread` is
    the one that it is, or the first of those that it may be, where nothing is on record of what that allows. `apart` is
    the one that fits but for its price: of a market that has jumped one broker may have told before the other.
    """

    spec: SymbolSpec | None
    how: str
    why: str = ""
    awaits_quotes: SymbolSpec | None = None
    unread: SymbolId | None = None
    apart: SymbolSpec | None = None


def spellings(plain: str) -> frozenset[str]:
    """How brokers may spell a plain name: as it is, and with one known prefix or suffix more or less."""
    found = {plain}
    for affix in AFFIXES:
        found.update((plain + affix, affix + plain))
        if plain.endswith(affix) and len(plain) > len(affix) + 2:
            found.add(plain.removesuffix(affix))
        if plain.startswith(affix) and len(plain) > len(affix) + 2:
            found.add(plain.removeprefix(affix))
    return frozenset(found)


def candidates(view: AccountView, leader_symbol: str) -> tuple[SymbolName, ...]:
    """The enabled symbols whose name is the leader's but for separators and one known prefix or suffix."""
    found = sorted(spellings(plain_name(leader_symbol)))
    names = (name for spelling in found for name in view.plain_names.get(spelling, ()))
    return tuple(view.names[name] for name in names if name in view.names and view.names[name].enabled)


def symbol_for(
    view: AccountView,
    leader: LeaderSymbol,
    policy: Policy,
    quotes: Mapping[str, Quote],
    leader_quote: Quote | None,
) -> Mapped:
    """Find the follower's symbol of a leader's symbol."""
    row = policy.row(leader.name)
    if row is not None and row.follower_symbol:
        named = named_in_row(view, row.follower_symbol)
        if is_ambiguous(view, named):
            return Mapped(None, "row", _SEVERAL.format(name=named))
        entry = view.names.get(named)
        spec = view.specs.get(entry.symbol) if entry is not None else None
        if spec is None and entry is not None and view.rules >= UNREAD_WAIT:
            return Mapped(None, "row", _UNREAD, unread=entry.symbol)
        why = "" if spec is not None else f"the table names {row.follower_symbol}, which the follower's broker has not"
        return Mapped(spec, "row", why)
    if policy.symbols_mapping is MappingMode.FILE and row is None:
        return Mapped(None, "row", "the symbol table has no row for it")
    entry = view.names.get(leader.name)
    if is_ambiguous(view, leader.name):
        return Mapped(None, "exact", _SEVERAL.format(name=leader.name))
    if entry is not None:
        spec = view.specs.get(entry.symbol)
        return Mapped(spec, "exact", "" if spec is not None else _UNREAD, unread=entry.symbol if spec is None else None)
    found = [spec for spec in (view.specs.get(entry.symbol) for entry in candidates(view, leader.name)) if spec]
    alike = [spec for spec in found if _is_alike(leader, spec)]
    fitting = [spec for spec in alike if _is_priced_alike(spec, quotes, leader_quote)]
    if len(fitting) == 1 and len(candidates(view, leader.name)) == len(found):
        return Mapped(fitting[0], "alike")
    unread = [entry.symbol for entry in candidates(view, leader.name) if entry.symbol not in view.specs]
    if unread and view.rules >= UNREAD_WAIT:
        return Mapped(None, "alike", _UNREAD, unread=unread[0])
    if not found:
        return Mapped(None, "alike", "no symbol of this name, nor one like it")
    names = ", ".join(spec.name for spec in found)
    is_unquoted = len(alike) == 1 and (leader_quote is None or alike[0].name not in quotes)
    if len(alike) == 1 and not is_unquoted and not unread and view.rules >= PRICES_MAY_LAG:
        why = f"{alike[0].name} is like it in all but the price, which is more than 0.5 % from the leader's"
        return Mapped(None, "alike", why, apart=alike[0])
    return Mapped(None, "alike", f"not certain which it is: {names}", alike[0] if is_unquoted else None)


def _is_alike(leader: LeaderSymbol, spec: SymbolSpec) -> bool:
    return (leader.base, leader.quote, leader.lot_size, leader.measurement_units) == (
        spec.base_name,
        spec.quote_name,
        spec.lot_size,
        spec.measurement_units,
    )


def _is_priced_alike(spec: SymbolSpec, quotes: Mapping[str, Quote], leader_quote: Quote | None) -> bool:
    mine = quotes.get(spec.name)
    if mine is None or leader_quote is None:
        return False
    ours, theirs = mine.bid + mine.ask, leader_quote.bid + leader_quote.ask
    return abs(ours - theirs) * 1_000 <= theirs * MID_TOLERANCE_PER_MILLE


def names_to_know(view: AccountView, leader_symbols: Iterable[str], policy: Policy) -> tuple[str, ...]:
    """The follower's symbols whose specifications and quotes may be needed to copy these of the leader's."""
    found: dict[str, None] = {}
    for name in leader_symbols:
        row = policy.row(name)
        if row is not None and row.follower_symbol:
            found[named_in_row(view, row.follower_symbol)] = None
        elif name in view.names:
            found[name] = None
        elif policy.symbols_mapping is MappingMode.AUTOMATIC or row is not None:
            found.update((entry.name, None) for entry in candidates(view, name))
    return tuple([name for name in found if name in view.names])


def is_unread(view: AccountView, leader_symbol: str, policy: Policy) -> bool:
    """Whether nothing is on record of what one of the follower's symbols allows that it may be, or of that symbol."""
    names = names_to_know(view, (leader_symbol,), policy)
    is_missing = any(view.names[name].symbol not in view.specs for name in names)
    return is_missing or is_unlisted(view, leader_symbol, policy)


def is_unlisted(view: AccountView, leader_symbol: str, policy: Policy) -> bool:
    """Whether a leader's symbol would be copied, and the follower's list, which may be older, has none that it may
    be."""
    row = policy.row(leader_symbol)
    if row is None and leader_symbol in view.names:
        return False
    is_sought = policy.symbols_mapping is MappingMode.AUTOMATIC or row is not None
    is_sought = is_sought and policy.takes(leader_symbol, rules=view.rules)
    return is_sought and not names_to_know(view, (leader_symbol,), policy)
