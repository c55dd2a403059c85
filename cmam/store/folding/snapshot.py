"""A folded account as bytes: a cache of the projector's, never a truth and never part of a chain.

It is used only by the code that wrote it, and only for the same log; whatever cannot be kept is simply folded again.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import typing
import zlib
from functools import cache
from typing import Any, NamedTuple

import msgspec
from sqlite_utils import Database

from cmam.domain.belief.view import AccountView
from cmam.domain.market.listed import shared
from cmam.store.folding.telling import NOTHING, Place


class _Kept(msgspec.Struct, frozen=True):
    """A view, and beside it the mappings whose keys are pairs, as lists: JSON has no names for such keys.

    `told` is the place of the last change that the account's record told until then.
    """

    view: AccountView
    paired: dict[str, msgspec.Raw]
    told: Place


class Snapshot(NamedTuple):
    """A view as it was kept, and the place of the last change that the account's record had told."""

    view: AccountView
    told: Place


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


def keep(view: AccountView, told: Place = NOTHING) -> bytes | None:
    """The view as bytes, or None where it holds something that has no bytes."""
    empty: dict[str, Any] = {name: {} for name in _paired()}
    try:
        paired = {name: msgspec.Raw(_ENCODER.encode(list(getattr(view, name).items()))) for name in _paired()}
        return _ENCODER.encode(_Kept(dataclasses.replace(view, **empty), paired, told))
    except (TypeError, ValueError, OverflowError):
        return None


def pack(state: bytes) -> bytes:
    """A view's bytes as they are stored: a fraction of them, since what it holds is much alike."""
    return zlib.compress(state, 1)


def kept_view(views: Database, stream: str, before: int) -> AccountView | None:
    """The newest view of an account that was kept before a version of its stream; None where there is none."""
    found = kept_before(views, stream, before)
    return None if found is None else found.view


def kept_before(views: Database, stream: str, before: int) -> Snapshot | None:
    """The newest snapshot of an account that was kept before a version of its stream; None where there is none."""
    sql = "SELECT state FROM folds WHERE stream = ? AND version < ? ORDER BY version DESC LIMIT 1"
    row = views.execute(sql, [stream, before]).fetchone()
    found = restore(row[0]) if row is not None else None
    return found if found is not None and found.view.version < before else None


def restore(kept: bytes) -> Snapshot | None:
    """The snapshot that was kept and packed, or None where the bytes are of another time."""
    try:
        return unkeep(zlib.decompress(kept))
    except zlib.error:
        return None


def unkeep(state: bytes) -> Snapshot | None:
    """The snapshot that was kept, or None where the bytes are of another time."""
    try:
        found = _DECODER.decode(state)
        paired: dict[str, Any] = {name: dict(reader.decode(found.paired[name])) for name, reader in _paired().items()}
    except (msgspec.MsgspecError, TypeError, KeyError):
        return None
    return Snapshot(shared(dataclasses.replace(found.view, **paired)), found.told)
