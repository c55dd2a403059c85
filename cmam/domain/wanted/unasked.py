"""Needs that nobody has asked for: what a fact made a copy need, and did not ask the broker for in its own turn.

A turn asks for what its fact may have set in motion, not for all copies. Where something else stood in the way at that
moment, nobody asks again until another fact touches the copy: what stands in the way is named here, and what is left.
Records of older turns must come out of their facts as they did, so all this is asked for by a fact of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from cmam.domain.belief.copies import CopyKey
from cmam.domain.belief.view import AccountView
from cmam.domain.events import CopyOverdue, Event, IntentDropped, RequestRefused
from cmam.domain.values.commands import Command
from cmam.domain.wanted.needs import Nets, needed

Unasked = dict[CopyKey, tuple[int, tuple[Command, ...]]]
"""What each copy needs, beside the number of its last request: with another number it was asked for meanwhile."""


def unasked(view: AccountView, now_us: int) -> Unasked:
    """What copies need of the broker and may ask for now: what is under way or waits for its next try is not among it.

    Nothing, where every fact that made a need has also asked for it.
    """
    nets = Nets(view)
    found = ((key, tuple(needed(view, key, now_us, nets))) for key in sorted(view.copies))
    return {key: (view.copies[key].last_seq, wanted) for key, wanted in found if wanted}


def still_unasked(before: Unasked, now: Unasked) -> Iterator[CopyOverdue]:
    """The facts that ask for what was needed at the last look already, and is needed now just the same."""
    for key, same in now.items():
        if before.get(key) == same:
            yield asking(key)


def freed(before: AccountView, fact: Event) -> tuple[CopyKey, ...]:
    """The shares of a net that may have waited for a request of another one, which has just come back undone.

    One reduction of a position is under way at a time: a refused one would hold up all others for as long as it is.
    """
    known = before.intents.get(fact.intent) if isinstance(fact, RequestRefused | IntentDropped) else None
    copy = before.copies.get(known.key) if known is not None else None
    if copy is None or not copy.share or copy.position is None:
        return ()
    return tuple(sorted(key for key, one in before.copies.items() if one.position == copy.position and one != copy))


def asking(key: CopyKey) -> CopyOverdue:
    """The fact that has a copy ask for what it needs."""
    return CopyOverdue(link=key[0], source=key[1], what="retry")
