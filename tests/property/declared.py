"""Values of whatever type a fact declares, drawn: what laws of events, views and bytes are tried on."""

from __future__ import annotations

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import partial
from typing import Any

from hypothesis import strategies as st

NO_POOLS: Mapping[Any, st.SearchStrategy[Any]] = {}


def any_of(hint: Any, pools: Mapping[Any, st.SearchStrategy[Any]] = NO_POOLS) -> st.SearchStrategy[Any]:
    """Values of a declared type, every field drawn: Hypothesis alone would leave those with defaults as they are.

    A type that has a pool is drawn from that: ids of few values meet.
    """
    if hint in pools:
        return pools[hint]
    within = partial(any_of, pools=pools)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        return st.builds(hint, **{field.name: within(hints[field.name]) for field in dataclasses.fields(hint)})
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(within, arguments))
    if origin is tuple and arguments[-1] is ...:
        return st.lists(within(arguments[0]), max_size=2).map(tuple)
    if origin is collections.abc.Mapping:
        return st.dictionaries(*map(within, arguments), max_size=3)
    return st.from_type(hint)
