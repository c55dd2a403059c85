"""A folded account as bytes: a cache of the projector's, never a truth and never part of a chain.

It is used only by the code that wrote it, and only for the same log; whatever cannot be kept is simply folded again.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import typing
from functools import cache
from typing import Any

import msgspec
from sqlite_utils import Database

from cmam.domain.account import AccountView


class _Kept(msgspec.Struct, frozen=True):
    """A view, and beside it the mappings whose keys are pairs, as lists: JSON has no names for such keys."""

    view: AccountView
    paired: dict[str, msgspec.Raw]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Kept)


@cache
def _paired() -> dict[str, msgspec.json.Decoder[Any]]:
    """The fields that are mappings by pairs, each with what reads its list."""
    found: dict[str, msgspec.json.Decoder[Any]] = {}
    for name, hint in typing.get_type_hints(AccountView).items():
        if typing.get_origin(hint) is collections.abc.Mapping:
            key, value = typing.get_args(hint)
            if typing.get_origin(key) is tuple:
                pair: Any = tuple.__class_getitem__((key, value))
                found[name] = msgspec.json.Decoder(list.__class_getitem__(pair))
    return found


def keep(view: AccountView) -> bytes | None:
    """The view as bytes, or None where it holds something that has no bytes."""
    empty: dict[str, Any] = {name: {} for name in _paired()}
    try:
        paired = {name: msgspec.Raw(_ENCODER.encode(list(getattr(view, name).items()))) for name in _paired()}
        return _ENCODER.encode(_Kept(dataclasses.replace(view, **empty), paired))
    except (TypeError, ValueError, OverflowError):
        return None


def kept_view(views: Database, stream: str, before: int) -> AccountView | None:
    """The newest view of an account that was kept before a version of its stream; None where there is none."""
    sql = "SELECT state FROM folds WHERE stream = ? AND version < ? ORDER BY version DESC LIMIT 1"
    found = views.execute(sql, [stream, before]).fetchone()
    view = restore(found[0]) if found is not None else None
    return view if view is not None and view.version < before else None


def restore(kept: bytes) -> AccountView | None:
    """The view that was kept, or None where the bytes are of another time."""
    try:
        found = _DECODER.decode(kept)
        paired: dict[str, Any] = {name: dict(reader.decode(found.paired[name])) for name, reader in _paired().items()}
    except (msgspec.MsgspecError, TypeError, KeyError):
        return None
    return dataclasses.replace(found.view, **paired)
