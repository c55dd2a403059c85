"""The copies of an account by key, and which of them are restless: those that time or a price may set in motion.

A thousand open copies at rest cost a turn nothing: whoever asks what falls due, what waits or what is refused looks at
the restless ones alone. A copy at rest has nothing to say there, which a test holds against looking at all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cmam.domain.copies import Copy, CopyKey
from cmam.domain.replacing import without


class Copies(dict[CopyKey, Copy]):
    """Live copies in the order in which they came, never changed once made; `restless` keeps that order too."""

    restless: Mapping[CopyKey, Copy] = {}


def restless(copies: Mapping[CopyKey, Copy]) -> Iterable[Copy]:
    """The copies that may have something to say; all that may, of a plain mapping."""
    if isinstance(copies, Copies):
        return copies.restless.values()
    return [copy for copy in copies.values() if is_restless(copy)]


def is_restless(copy: Copy) -> bool:
    """Whether a copy waits, rests as an order, is refused, is in doubt, or has a moment of its own."""
    return bool(
        copy.wait is not None
        or copy.retry_at_us
        or copy.close_at_us
        or copy.awaits_protection
        or copy.ahead_since_us
        or copy.trouble
        or copy.doubt
        or (copy.order is not None and not copy.ended_order)
    )


def with_copy(copies: Mapping[CopyKey, Copy], copy: Copy) -> Copies:
    """These copies with one in its place."""
    fresh = _copied(copies)
    key = copy.key
    fresh[key] = copy
    if is_restless(copy):
        fresh.restless = {**fresh.restless, key: copy}
    elif key in fresh.restless:
        fresh.restless = without(fresh.restless, key)
    return fresh


def without_copy(copies: Mapping[CopyKey, Copy], key: CopyKey) -> Copies:
    """These copies without one."""
    fresh = _copied(copies)
    fresh.pop(key, None)
    if key in fresh.restless:
        fresh.restless = without(fresh.restless, key)
    return fresh


def _copied(copies: Mapping[CopyKey, Copy]) -> Copies:
    fresh = Copies(copies)
    if isinstance(copies, Copies):
        fresh.restless = copies.restless
    else:
        fresh.restless = {key: copy for key, copy in copies.items() if is_restless(copy)}
    return fresh
