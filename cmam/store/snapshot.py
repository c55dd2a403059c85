"""A folded account as bytes: a cache of the projector's, never a truth and never part of a chain.

It is used only by the code that wrote it, and only for the same log; whatever cannot be kept is simply folded again.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from cmam.domain.account import AccountView, Copy


class _Kept(msgspec.Struct, frozen=True):
    """A view whose copies stand as a list: their keys are pairs, which JSON has no names for."""

    view: AccountView
    copies: tuple[Copy, ...]
    finished: tuple[Copy, ...]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Kept)


def keep(view: AccountView) -> bytes | None:
    """The view as bytes, or None where it holds something that has no bytes."""
    bare = replace(view, copies={}, finished={})
    try:
        return _ENCODER.encode(_Kept(bare, tuple(view.copies.values()), tuple(view.finished.values())))
    except (TypeError, ValueError, OverflowError):
        return None


def restore(kept: bytes) -> AccountView | None:
    """The view that was kept, or None where the bytes are of another time."""
    try:
        found = _DECODER.decode(kept)
    except (msgspec.MsgspecError, TypeError):
        return None
    return replace(
        found.view,
        copies={copy.key: copy for copy in found.copies},
        finished={copy.key: copy for copy in found.finished},
    )
