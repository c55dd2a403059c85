"""The copies of an account by key, and which of them are restless: those that time or a price may set in motion; and
which are to end, whose opens are taken back.

A thousand open copies at rest cost a turn nothing: whoever asks what falls due, what waits or what is refused looks at
the restless ones alone. A copy at rest has nothing to say there, which a test holds against looking at all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cmam.domain.belief.copies import Copy, CopyKey
from cmam.domain.values.replacing import without


class Copies(dict[CopyKey, Copy]):
    """Live copies in the order in which they came, never changed once made; `restless` and `ending` keep that order."""

    restless: Mapping[CopyKey, Copy] = {}
    ending: Mapping[CopyKey, Copy] = {}


def restless(copies: Mapping[CopyKey, Copy]) -> Collection[Copy]:
    """The copies that may have something to say; all that may, of a plain mapping."""
    if isinstance(copies, Copies):
        return copies.restless.values()
    return [copy for copy in copies.values() if is_restless(copy)]


def ending(copies: Mapping[CopyKey, Copy]) -> Collection[Copy]:
    """The copies that shall have no volume any more."""
    if isinstance(copies, Copies):
        return copies.ending.values()
    return [copy for copy in copies.values() if not copy.is_wanted]


def is_restless(copy: Copy) -> bool:
    """Whether a copy waits, rests as an order, was refused, is in doubt, lacks a target, or has a moment of its own.

    One that is being opened awaits its levels from its fill on: hundreds may wait for a store that takes nothing.
    """
    return bool(
        copy.wait is not None
        or copy.retry_at_us
        or copy.close_at_us
        or (copy.awaits_protection and copy.opened_us)
        or copy.ahead_since_us
        or copy.trouble
        or copy.doubt
        or copy.refused_part
        or copy.left_out is not None
        or (copy.order is not None and not copy.ended_order)
    )


def with_copy(copies: Mapping[CopyKey, Copy], copy: Copy) -> Copies:
    """These copies with one in its place."""
    fresh = _copied(copies)
    key = (copy.link, copy.source)
    fresh[key] = copy
    if is_restless(copy):
        fresh.restless = {**fresh.restless, key: copy}
    elif key in fresh.restless:
        fresh.restless = without(fresh.restless, key)
    if not copy.is_wanted:
        fresh.ending = {**fresh.ending, key: copy}
    elif key in fresh.ending:
        fresh.ending = without(fresh.ending, key)
    return fresh


def without_copy(copies: Mapping[CopyKey, Copy], key: CopyKey) -> Copies:
    """These copies without one."""
    fresh = _copied(copies)
    fresh.pop(key, None)
    if key in fresh.restless:
        fresh.restless = without(fresh.restless, key)
    if key in fresh.ending:
        fresh.ending = without(fresh.ending, key)
    return fresh


def _copied(copies: Mapping[CopyKey, Copy]) -> Copies:
    fresh = Copies(copies)
    if not isinstance(copies, Copies):
        fresh.restless = {key: copy for key, copy in copies.items() if is_restless(copy)}
        fresh.ending = {key: copy for key, copy in copies.items() if not copy.is_wanted}
        return fresh
    if copies.restless:  # most are at rest, and a class's default costs nothing
        fresh.restless = copies.restless
    if copies.ending:
        fresh.ending = copies.ending
    return fresh
