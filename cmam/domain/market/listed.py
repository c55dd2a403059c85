"""A broker's list of symbols as its accounts know it: by name, by spelling, and as ways between assets.

Accounts of one broker mostly have equal lists, of thousands of symbols. An equal list is one object, whoever has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from cmam.domain.belief.view import AccountView
from cmam.domain.events import AssetName, SymbolListSeen
from cmam.domain.values.ids import AssetId
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.opens import ROWS_IN_ANY_CASE, UNIQUE_NAMES
from cmam.domain.values.symbols import SymbolName, SymbolSpec

LISTS_SHARED = 16
"""So many different lists are kept for who reads the same one next; brokers and their groups are fewer."""

_SEPARATORS = str.maketrans("", "", "._-/# ")


class Listed(NamedTuple):
    """What a view holds of a list."""

    names: Mapping[str, SymbolName]
    assets: Mapping[AssetId, AssetName]
    asset_ids: Mapping[str, AssetId]
    pairs: Mapping[AssetId, Mapping[AssetId, str]]
    plain_names: Mapping[str, tuple[str, ...]]


def plain_name(name: str) -> str:
    """A symbol's name without separators and case, so that brokers' spellings meet."""
    return name.translate(_SEPARATORS).upper()


@lru_cache(maxsize=LISTS_SHARED)
def listed(symbols: tuple[SymbolName, ...], assets: tuple[AssetName, ...], *, is_strict: bool = True) -> Listed:
    """What finds a symbol by name and a way between two assets, worked out once for each list.

    Of symbols of one name the one that is enabled is known by it. Where several are, the name stands several times
    among its spellings, and means none of them; without `is_strict` it means the last.
    """
    if is_strict:
        symbols = tuple(_told_apart(symbols))
    pairs: dict[AssetId, dict[AssetId, str]] = {}
    plain: dict[str, list[str]] = {}
    for symbol in sorted(symbols, key=lambda symbol: symbol.symbol):
        plain.setdefault(plain_name(symbol.name), []).append(symbol.name)
        if symbol.enabled and symbol.base and symbol.quote:
            pairs.setdefault(symbol.base, {}).setdefault(symbol.quote, symbol.name)
            pairs.setdefault(symbol.quote, {}).setdefault(symbol.base, symbol.name)
    return Listed(
        names={symbol.name: symbol for symbol in symbols},
        assets={asset.asset: asset for asset in assets},
        asset_ids={asset.name: asset.asset for asset in assets},
        pairs=pairs,
        plain_names={name: tuple(names) for name, names in plain.items()},
    )


def _told_apart(symbols: tuple[SymbolName, ...]) -> Iterator[SymbolName]:
    """A list without what is disabled beside another of its name."""
    enabled = Counter(symbol.name for symbol in symbols if symbol.enabled)
    disabled: set[str] = set()
    for symbol in symbols:
        if symbol.enabled:
            yield symbol
        elif symbol.name not in enabled and symbol.name not in disabled:
            disabled.add(symbol.name)
            yield symbol


def is_ambiguous(view: AccountView, name: str) -> bool:
    """Whether a broker has several enabled symbols of one name, so that nobody can say which is meant."""
    return view.rules >= UNIQUE_NAMES and view.plain_names.get(plain_name(name), ()).count(name) > 1


def named_in_row(view: AccountView, name: str) -> str:
    """A symbol that a table's row names, as its broker writes it; as in the row where none fits, or several do."""
    if name in view.names or view.rules < ROWS_IN_ANY_CASE:
        return name
    alike = [one for one in view.plain_names.get(plain_name(name), ()) if one.upper() == name.upper()]
    return alike[0] if len(alike) == 1 else name


def is_renumbered(view: AccountView, spec: SymbolSpec) -> bool:
    """Whether a broker lists a symbol of that name under another number than it had."""
    entry = view.names.get(spec.name)
    return entry is not None and entry.symbol != spec.symbol and not is_ambiguous(view, spec.name)


def take_symbols(view: AccountView, event: SymbolListSeen) -> AccountView:
    """Take a broker's list."""
    found = listed(event.symbols, event.assets, is_strict=view.rules >= UNIQUE_NAMES)
    return replace(view, symbol_digest=event.digest, **found._asdict())


def shared(view: AccountView) -> AccountView:
    """The same view, with the list that others have where it is equal: a view that was kept has one of its own."""
    is_strict = view.rules >= UNIQUE_NAMES
    known = listed(tuple(view.names.values()), tuple(view.assets.values()), is_strict=is_strict)
    own = Listed(view.names, view.assets, view.asset_ids, view.pairs, view.plain_names)
    return replace(view, **known._asdict()) if known == own else view
