"""A broker's list of symbols as its accounts know it: by name, by spelling, and as ways between assets.

Accounts of one broker mostly have equal lists, of thousands of symbols. An equal list is one object, whoever has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from cmam.domain.events import AssetName, SymbolListSeen
from cmam.domain.ids import AssetId
from cmam.domain.replacing import replace
from cmam.domain.symbols import SymbolName
from cmam.domain.view import AccountView

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
def listed(symbols: tuple[SymbolName, ...], assets: tuple[AssetName, ...]) -> Listed:
    """What finds a symbol by name and a way between two assets, worked out once for each list."""
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


def take_symbols(view: AccountView, event: SymbolListSeen) -> AccountView:
    """Take a broker's list."""
    return replace(view, symbol_digest=event.digest, **listed(event.symbols, event.assets)._asdict())


def shared(view: AccountView) -> AccountView:
    """The same view, with the list that others have where it is equal: a view that was kept has one of its own."""
    known = listed(tuple(view.names.values()), tuple(view.assets.values()))
    own = Listed(view.names, view.assets, view.asset_ids, view.pairs, view.plain_names)
    return replace(view, **known._asdict()) if known == own else view
