"""What others did to a copy between a leader's change and the moment at which that came to light counts towards it.

Who closes a half by hand while cmam is down, as the leader has, has closed what cmam would; so has an earlier life of
this store of which the log knows nothing, where it was restored from a backup.
"""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView
from cmam.domain.values.changes import Change
from cmam.domain.values.quantities import Volume
from cmam.domain.values.rules import DONE_MEANWHILE

APART_MS = 5_000
"""So far may the clocks of two brokers be apart."""


def is_answer(view: AccountView, change: Change, touched_ms: int) -> bool:
    """Whether what others did to a copy, last seen of the broker's moment `touched_ms`, came after a leader's change
    that came to light late, by the brokers' own times."""
    is_late = change.late and change.at_ms > 0 and view.rules >= DONE_MEANWHILE
    return is_late and touched_ms + APART_MS >= change.at_ms


def moment_of(view: AccountView, copy: Copy) -> int:
    """When a copy's position was last changed by its broker's clock, as it is known now; 0 where that tells none."""
    held = view.positions.get(copy.position) if copy.position is not None else None
    return 0 if held is None else held.updated_ms


def wanted_after(view: AccountView, copy: Copy, change: Change, before: Volume) -> Fraction:
    """The target of a copy whose leader has added or reduced: the same fraction of itself as his position has become of
    `before`. What others have done to it since, the same way, counts towards that."""
    part = Fraction(change.after, before)
    was = None if copy.target_before is None else Fraction(*copy.target_before)
    if was is None or not is_answer(view, change, copy.taken_ms):
        return copy.target * part
    if part < 1 and copy.target < was:
        return min(was * part, copy.target)
    if part > 1 and copy.target > was:
        return max(was * part, copy.target)
    return copy.target * part
