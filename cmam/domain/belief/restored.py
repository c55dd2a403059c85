"""What a log that was restored from a backup does not know: what a later life of this store has done since.

The first look after a restore shows copies as that life has left them, and leaders as they are by then. Whatever copies
have lost between the two counts towards what their leaders did in the same time; nothing of it is done once more, and
nothing is bought back. (A part that a person took in that time cannot be told from ours: a close bears no name,
wire.md#closes.) What is told after that look is as always. Pure.
"""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.belief.copies import Copy, CopyKey, Restored
from cmam.domain.belief.shares import opened_since, rejoined, unclaimed
from cmam.domain.belief.view import AccountView, put
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.naming import number_of, part_of
from cmam.domain.values.quantities import Volume
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.nets import OPENED_IN_ANOTHER_LIFE, REBUILT_SHARES_REJOIN
from cmam.domain.values.rules.sight import RESTORES_ARE_KNOWN, UNDECIDED_AT_BACKUPS
from cmam.domain.values.symbols import SymbolSpec


def noted(view: AccountView) -> AccountView:
    """The view as the first look after a restore is taken in: each copy remembers what the log knew of it."""
    if view.rules < RESTORES_ARE_KNOWN:
        return view
    for copy in tuple(view.copies.values()):
        known = Restored(copy.goal.target_numerator, copy.goal.target_denominator, copy.volume, view.at_us)
        view = put(view, replace(copy, restored=known))
    return replace(view, restored_us=0, relooked_us=view.at_us if view.rules >= OPENED_IN_ANOTHER_LIFE else 0)


def is_anothers(copy: Copy, name: str) -> bool:
    """Whether the record of a copy has never given that name: a later number, or a later part of the last growth."""
    number = number_of(name)
    return number > copy.last_seq or (number == copy.part_seq and part_of(name) > copy.part)


def is_answer(change: Change, copy: Copy) -> bool:
    """Whether a copy may have answered a change of its leader already, in a life of which the log knows nothing."""
    return change.restored and copy.restored is not None


def as_undecided(leader: AccountView, version: int, change: Change) -> Change:
    """A change that a record of the leader's tells, for whoever has not decided it yet. One from before a restore may
    have been answered in the life of which the log knows nothing, as one that the first look has found."""
    is_before = version < leader.restored_version and leader.rules >= UNDECIDED_AT_BACKUPS
    return replace(change, restored=True) if is_before else change


def wanted_after(view: AccountView, copy: Copy, change: Change, before: int) -> Fraction:
    """The target of a copy whose leader has added or reduced: the same fraction of itself as his position has become of
    `before`. After a restore it is a fraction of what the log knew, and what has been done since counts towards it: the
    copy keeps its residue, unless somebody has taken more."""
    part = Fraction(change.after, before)
    if copy.restored is None or not change.restored:
        return copy.target * part
    was, spec = copy.restored.target, view.specs.get(copy.symbol)
    if part >= 1:
        return max(was * part, copy.target) if copy.target > was else copy.target * part
    is_rounded = spec is not None and _is_rounded(view, copy, was * part, spec)
    return was * part if is_rounded else min(was * part, copy.target)


def _is_rounded(view: AccountView, copy: Copy, target: Fraction, spec: SymbolSpec) -> bool:
    """Whether a copy may have been left as it is for that target: where it is rounded up, less than the target."""
    if copy.goal.round_up and view.rules >= UNDECIDED_AT_BACKUPS:
        return copy.volume > target - max(spec.step, spec.min_volume)
    return copy.volume >= spec.floor_volume(Volume(int(target)))


def answered(view: AccountView, copy: Copy, change: Change) -> Copy:
    """A copy that has met a change of its leader. What the log knew goes along with the first look's, one by one; what
    comes after that has found nobody's answer."""
    if copy.restored is None:
        return copy
    if view.rules < UNDECIDED_AT_BACKUPS:
        return replace(copy, restored=replace(copy.restored, is_met=True))
    if not change.restored:
        return replace(copy, restored=None)
    if copy.share or change.kind not in (ChangeKind.REDUCED, ChangeKind.GREW) or change.before <= 0:
        return copy
    target = copy.restored.target * Fraction(change.after, change.before)
    return replace(copy, restored=_of_target(copy.restored, target))


def touched(view: AccountView, copy: Copy, before: int, after: int) -> Copy:
    """A copy of which somebody has taken a part, or added to it. After the first look that was nobody's answer, also
    where a later one finds it: what his leader did before is a fraction of what he has left."""
    known = copy.restored
    if known is None or before <= 0 or view.rules < UNDECIDED_AT_BACKUPS or view.at_us == known.seen_us:
        return copy
    shrunk = _of_target(known, known.target * Fraction(after, before))
    return replace(copy, restored=replace(shrunk, volume=Volume(known.volume * after // before)))


def booked(_view: AccountView, copy: Copy, before: int, after: int) -> Copy:
    """A share as the orders have left it that the log does not know: so much had it before what the net lacks was taken
    off all."""
    known = copy.restored
    if known is None:
        return copy
    more = known.more + after - before
    return replace(copy, restored=replace(known, volume=Volume(max(0, known.volume + after - before)), more=more))


def outlived(view: AccountView) -> AccountView:
    """The view as later rules begin: where a leader's change has been met by those before, which let what the log knew
    stand as it was, that is no answer to what he does next."""
    for copy in tuple(view.copies.values()):
        if copy.restored is not None and copy.restored.is_met:
            view = put(view, replace(copy, restored=None))
    return view


def settled_among(view: AccountView, key: CopyKey, change: Change, target: Fraction) -> AccountView:
    """The shares of a net as the restored log's leader has reduced or closed one of them: what the net had lost was
    taken off all in proportion, and was that one's first. The others get back of it what they had lost; once ledger and
    net agree by that, they all go on in the position that the net is now."""
    share = view.copies.get(key)
    spec = view.specs.get(share.symbol) if share is not None else None
    if share is None or spec is None or not share.share or not is_answer(change, share) or not share.restored:
        return view
    whole = share.restored.volume
    asked = min(share.restored.target, _fraction(change) * share.restored.target)
    kept = _kept(view, spec, share, whole, asked)
    left = replace(_of_target(share.restored, asked), volume=kept)
    spare = Volume(share.volume - _kept(view, spec, share, share.volume, target))
    for other in tuple(view.copies.values()):
        if not _has_lost(share, other):
            continue
        assert other.restored is not None
        back = min(spare, other.restored.volume - other.volume)
        spare = Volume(spare - back)
        view = put(view, _given_back(other, other.restored, back)) if back else view
        share = replace(share, volume=Volume(share.volume - back))
    others = min(spare, _opened_beside(view, share))
    share = replace(share, volume=Volume(share.volume - others))
    view = put(view, replace(share, restored=left))
    return rejoined(view, share.symbol) if view.rules >= REBUILT_SHARES_REJOIN else view


def _opened_beside(view: AccountView, share: Copy) -> int:
    """How much of what was opened beside a share since, for sources that the log does not know, the net shows as the
    share's: what its leader reduced was closed already, and hides it."""
    sign, opened = share.side.sign, opened_since(view, share.symbol)
    most = sum(volume * sign for volume in opened.values() if volume * sign > 0)
    return max(0, most - max(0, unclaimed(view, share.symbol) * sign)) if most else 0


def _kept(view: AccountView, spec: SymbolSpec, share: Copy, volume: Volume, target: Fraction) -> Volume:
    """What is left of a share of that volume once it has been closed down to a target."""
    if not target:
        return Volume(0)
    if view.rules < UNDECIDED_AT_BACKUPS:
        return Volume(volume - spec.floor_volume(Volume(max(0, int(volume - target)))))
    over = volume * target.denominator - target.numerator
    excess = spec.closable(over, target.denominator, up=share.goal.round_up) if over > 0 else 0
    return Volume(max(0, volume - excess))


def _of_target(known: Restored, target: Fraction) -> Restored:
    return replace(known, numerator=target.numerator, denominator=target.denominator)


def _fraction(change: Change) -> Fraction:
    return Fraction(change.after, change.before) if change.before > 0 and change.after else Fraction(0)


def _has_lost(share: Copy, other: Copy) -> bool:
    """Whether another share of the same side of the same net has less than the log knew."""
    is_of_net = other.share and other.position is not None and other.symbol == share.symbol
    is_beside = is_of_net and other.key != share.key and other.side is share.side
    return is_beside and other.restored is not None and other.volume < other.restored.volume


def _given_back(share: Copy, known: Restored, back: int) -> Copy:
    volume = Volume(share.volume + back)
    target = (known.target + known.more) * Fraction(volume, known.volume)
    goal = replace(share.goal, target_numerator=target.numerator, target_denominator=target.denominator)
    return replace(share, volume=volume, goal=goal, ending=None)
