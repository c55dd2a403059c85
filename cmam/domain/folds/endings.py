"""How copies end, and what time and people do to them: folds."""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.belief import restored
from cmam.domain.belief.copies import Copy, CopyState
from cmam.domain.belief.refused import is_to_end
from cmam.domain.belief.restless import with_copy, without_copy
from cmam.domain.belief.shares import rejoined
from cmam.domain.belief.view import AccountView, put
from cmam.domain.events import (
    CopyFinished,
    CopyOverdue,
    CopyTouched,
    Goal,
    Health,
    StopOutSeen,
    Wait,
)
from cmam.domain.folds import growth
from cmam.domain.folds.afterwards import with_loss
from cmam.domain.guarding.latches import latch_stop_out
from cmam.domain.values.changes import Change
from cmam.domain.values.quantities import Price, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.replacing import copied, replace, without
from cmam.domain.values.rules.closes import ADDED_BY_HAND
from cmam.domain.values.rules.guards import STOP_OUTS_END_GROWTH
from cmam.domain.values.rules.levels import (
    FIXED_STOPS_TRAILED,
    MOVED_IN_A_GAP,
    OWN_STOPS_STAY,
    PEOPLE_MOVE_TRAILING,
    PEOPLE_TRAIL,
)
from cmam.domain.values.rules.nets import LOSSES_REJOIN, TURNED_NETS, TURNED_ORDERS
from cmam.domain.values.rules.opens import ADDS_IN_VAIN
from cmam.domain.values.rules.resting import PARTS_REST
from cmam.domain.wanted import targets
from cmam.domain.wanted.levels import fixed_at, tighter, wanted_levels
from cmam.domain.wanted.resting import as_shown

FINISHED_REMEMBERED = 128
"""Finished copies whose leader has closed too are remembered up to this many; nothing more can come of them."""

# --- ends ---------------------------------------------------------------------------------------------------------


def finish(view: AccountView, event: CopyFinished, at_us: int) -> AccountView:
    """End a copy; where its source has turned to the other side, a new one waits to open in its place."""
    key = (event.link, event.source)
    copy = view.copies.get(key)
    if copy is None:
        return view
    former = view.finished.get(key)
    ended = replace(
        copy,
        state=_end_state(event.reason),
        reason=event.reason,
        closed_us=at_us,
        volume=Volume(0),
        order=None,
        wait=None,
        change=None,
        refused=(*former.refused, *copy.refused) if former is not None and former.refused else copy.refused,
    )
    by_position = view.by_position if copy.position is None else without(view.by_position, copy.position)
    copies = without_copy(view.copies, key)
    if copy.wait is Wait.TURN and copy.change is not None:
        copies = with_copy(copies, _turned(view, copy, copy.change, at_us))
    if copy.share and copy.position is not None and view.rules >= TURNED_NETS:
        heir = next((other for other, share in copies.items() if share.share and share.position == copy.position), None)
        by_position = {**by_position, copy.position: heir} if heir is not None else by_position
    finished = copied(view.finished)
    finished[key] = ended
    view = replace(view, copies=copies, finished=finished, by_position=by_position)
    return forget(view)


def forget(view: AccountView) -> AccountView:
    """Drop the oldest finished copy of which nothing more can come, where there are very many."""
    if len(view.finished) <= FINISHED_REMEMBERED:
        return view
    old = next((key for key, copy in view.finished.items() if copy.source_closed), None)
    if old is None:
        return view
    return replace(
        view,
        finished=without(view.finished, old),
        chains={alias: key for alias, key in view.chains.items() if key != old},
    )


def _turned(view: AccountView, copy: Copy, change: Change, at_us: int) -> Copy:
    """The copy of the new side, still to be opened. Where the old one came of an order, that order has filled."""
    return Copy(
        link=copy.link,
        profile=copy.profile,
        source=copy.source,
        state=CopyState.WAITING,
        leader=copy.leader,
        leader_position=change.position,
        leader_order=change.origin,
        leader_symbol=copy.leader_symbol,
        leader_digits=copy.leader_digits,
        leader_opened=change.after,
        symbol=copy.symbol,
        side=copy.side.opposite,
        goal=Goal(target_numerator=1, leader_volume=change.after),
        decided_us=at_us,
        last_seq=copy.last_seq,
        not_after_us=copy.wait_until_us,
        settings_version=copy.settings_version,
        leader_filled=copy.source.startswith("o") and view.rules >= TURNED_ORDERS,
        change=change,
        wait=Wait.TURN,
        wait_until_us=copy.wait_until_us,
        share=copy.share,
    )


def _end_state(reason: Reason) -> CopyState:
    match reason:
        case Reason.REFUSED | Reason.UNKNOWN_OUTCOME:
            return CopyState.REFUSED
        case Reason.EXPIRED | Reason.TOO_OLD | Reason.NOT_BETTER:
            return CopyState.EXPIRED
        case Reason.SOURCE_GONE | Reason.CANCELLED:
            return CopyState.CANCELLED
        case _:
            return CopyState.CLOSED


# --- time, and people ---------------------------------------------------------------------------------------------


_ENDS_BY_TIME = {
    "hours": Reason.OUTSIDE_HOURS,
    "blind": Reason.LEADER_BLIND,
    "stop_passed": Reason.LEVEL_PASSED,
    "target_passed": Reason.CLOSED_BY_LEVEL,
}


def wake_copy(view: AccountView, event: CopyOverdue) -> AccountView:
    """Let a copy ask again for what it needs, or end what it waited for."""
    copy = view.copies.get((event.link, event.source))
    if copy is None:
        return _vainly(view, event)
    match event.what:
        case "grace":
            return put(view, replace(copy, grace_over=True, retry_at_us=0))
        case "hours" | "blind" | "stop_passed" | "target_passed":
            reason = _ENDS_BY_TIME[event.what]
            goal = replace(copy.goal, terms=None)
            if event.what != "hours" or copy.position is None:
                goal = replace(goal, target_numerator=0, target_denominator=1)
            copy = replace(copy, goal=goal, ending=copy.ending or reason, wait=None, retry_at_us=0, close_at_us=0)
            return put(view, copy)
        case "ahead":
            copy = replace(copy, ahead_since_us=0)
            if not copy.leader_filled:
                goal = replace(copy.goal, target_numerator=0, target_denominator=1, terms=None)
                copy = replace(copy, goal=goal, ending=copy.ending or Reason.AHEAD, retry_at_us=0, close_at_us=0)
            return put(view, copy)
        case "wait":
            return put(view, replace(_waited_out(view, copy), wait=None))
        case "close":
            return put(view, replace(copy, close_at_us=0))
        case "target":
            return put(view, targets.due(copy))
        case "pins":
            return put(view, replace(unpinned(copy), goal=replace(copy.goal, pins=True)))
        case "hours_set":
            return put(view, replace(copy, goal=replace(copy.goal, outside_us=0)))
        case _:
            trailed_us = max(copy.trailed_us, copy.retry_at_us)
            return put(view, replace(copy, awaits_protection=False, retry_at_us=0, trailed_us=trailed_us))


def _waited_out(view: AccountView, copy: Copy) -> Copy:
    """A copy by which what it waited for did not come in time."""
    if copy.position is not None and copy.wait in growth.WAITING and view.rules >= ADDS_IN_VAIN:
        return growth.waited_in_vain(view, copy)
    if copy.awaits_amend:
        return replace(copy, goal=_at_an_end(copy), ending=copy.ending or Reason.STALE_INPUT)
    if copy.position is not None:
        return growth.as_held(copy)
    if copy.wait is Wait.QUOTES:
        return replace(copy, ending=copy.ending or Reason.STALE_INPUT)
    return copy


def unpinned(copy: Copy) -> Copy:
    """A copy of whose levels none is a person's."""
    return replace(copy, pinned_stop=None, pinned_target=None, pinned_trailing=None)


def _at_an_end(copy: Copy) -> Goal:
    """What an order shall be that may not rest any more: what it has filled is held."""
    goal = replace(copy.goal, terms=None)
    return goal if copy.position is not None else replace(goal, target_numerator=0, target_denominator=1)


def _vainly(view: AccountView, event: CopyOverdue) -> AccountView:
    """What is no copy may be asked to end again; what has gone meanwhile, or may stay, is forgotten."""
    known = view.in_vain.get(event.source)
    if known is None:
        return view
    left = without(view.in_vain, event.source)
    if is_to_end(view, event.source):
        left = {**left, event.source: replace(known, at_us=0)}
    return replace(view, in_vain=left)


def stop_out(view: AccountView, event: StopOutSeen, at_us: int) -> AccountView:
    """A stop-out closes the link for opens, and what its copy waits to grow by is given up: none of it was taken."""
    copy = view.copies.get((event.link, event.source))
    if copy is not None and copy.wait is Wait.REMAINDER and view.rules >= STOP_OUTS_END_GROWTH:
        target = max(Fraction(0), copy.target - growth.waiting(copy))
        view = put(view, growth.covered(growth.with_target(copy, target)))
    return latch_stop_out(view, event, at_us)


def touch(view: AccountView, event: CopyTouched) -> AccountView:
    """Respect what somebody else did to a copy: a volume becomes the basis of all that follows, a level is pinned."""
    key = (event.link, event.source)
    copy = view.copies.get(key)
    if copy is None:
        return view
    match event.what:
        case "volume":
            return _touched_volume(view, copy, event)
        case "stop":
            pinned = None if _is_moved_tighter(view, copy, event.after) else Price(event.after)
            copy = replace(copy, pinned_stop=pinned if copy.goal.pins else None, applied=None)
            if copy.goal.leader_stop is None and copy.goal.fixed_stop is None and view.rules >= PEOPLE_TRAIL:
                copy = replace(copy, own_stop=Price(event.after) if event.after else None)
            elif event.before and view.rules >= PEOPLE_MOVE_TRAILING:
                copy = _where_it_trailed(view, copy, Price(event.before))
        case "target":
            copy = replace(copy, pinned_target=Price(event.after) if copy.goal.pins else None, applied=None)
            copy = replace(copy, left_out=None)
            if copy.goal.leader_target is None and copy.goal.fixed_target is None and view.rules >= PEOPLE_TRAIL:
                copy = replace(copy, own_target=Price(event.after) if event.after else None)
        case "trailing":
            copy = replace(copy, pinned_trailing=bool(event.after) if copy.goal.pins else None, applied=None)
            if not event.after and view.rules >= PEOPLE_MOVE_TRAILING:
                copy = _left_where_it_is(view, copy)
        case "order":
            copy = _with_order(view, copy, event)
        case _:
            pass
    return put(view, copy)


def _touched_volume(view: AccountView, copy: Copy, event: CopyTouched) -> AccountView:
    """The volume that somebody else left is what all that follows is reckoned from; a share's losses rejoin its net."""
    if copy.restored is not None:
        is_booked = event.reason is Reason.LOG_LOST
        told = restored.booked if is_booked else restored.touched
        copy = told(view, copy, event.before, event.after)
    if event.before > 0 and copy.is_wanted:
        if view.rules >= ADDS_IN_VAIN:
            view, copy = _without_waiting(view, copy, event)
        target = copy.target * Fraction(event.after, event.before)
        if event.after > event.before and view.rules >= ADDED_BY_HAND:
            target = copy.target + event.after - event.before
        goal = replace(copy.goal, target_numerator=target.numerator, target_denominator=target.denominator)
        if goal.whole and view.rules >= PARTS_REST:
            goal = replace(goal, whole=Volume(max(0, goal.whole + event.after - event.before)))
        copy = replace(copy, goal=goal, wait=None if copy.wait is Wait.REMAINDER else copy.wait)
    if copy.share:
        why = Reason.CLOSED_BY_LEADER if event.reason is Reason.LOG_LOST else event.reason
        ending = copy.ending if event.after else copy.ending or why or Reason.CLOSED_BY_HUMAN
        view = put(view, replace(copy, volume=Volume(event.after), ending=ending))
        if view.missed and event.after < event.before:
            view = with_loss(view, copy, event.before - event.after)
        return rejoined(view, copy.symbol) if view.rules >= LOSSES_REJOIN else view
    return put(view, copy)


def _is_moved_tighter(view: AccountView, copy: Copy, stop: int) -> bool:
    """Whether the leader's stop is tighter than what a person has made of the copy's out of sight, and was moved in the
    same gap, too: nothing tells which came last, and of both the one that risks less stands."""
    spec = view.specs.get(copy.symbol)
    is_gap = view.health is not Health.RECONCILED and copy.stop_moved_us > view.in_sight_us
    if spec is None or not is_gap or view.rules < MOVED_IN_A_GAP:
        return False
    own, by_hand = wanted_levels(spec, copy.side, copy.goal, copy.open_price).stop, Price(stop) if stop else None
    return own is not None and own != by_hand and tighter(copy.side, own, by_hand) == own


def _without_waiting(view: AccountView, copy: Copy, event: CopyTouched) -> tuple[AccountView, Copy]:
    """A copy whose volume a person has changed: what it waits to grow by is given up, what is under way is in
    proportion to what he has left."""
    if copy.wait is Wait.REMAINDER:
        copy = growth.covered(growth.with_target(copy, copy.target - growth.waiting(copy)))
    return growth.in_proportion(view, copy, min(Fraction(1), Fraction(event.after, event.before)))


def _left_where_it_is(view: AccountView, copy: Copy) -> Copy:
    """A copy that a person lets trail no more: where its stop has come to is where it is left."""
    held = view.positions.get(copy.position) if copy.position is not None else None
    if held is None or held.stop is None:
        return copy
    if copy.own_stop is not None and view.rules >= OWN_STOPS_STAY:
        copy = replace(copy, own_stop=held.stop)
    return _where_it_trailed(view, replace(copy, pinned_stop=held.stop if copy.goal.pins else None), held.stop)


def _where_it_trailed(view: AccountView, copy: Copy, stop: Price) -> Copy:
    """A copy that trails for its leader, and whose stop was there when a person moved it: no farther is it set back."""
    goal = copy.goal
    if goal.pins or not goal.trailing:
        return copy
    if goal.fixed_stop is not None and copy.open_price is not None and view.rules >= FIXED_STOPS_TRAILED:
        return replace(copy, goal=fixed_at(goal, copy.side, stop, copy.open_price))
    if goal.leader_stop is None:
        return copy
    own = Price(stop - (goal.shift or 0))
    is_nearer = own != goal.leader_stop and tighter(copy.side, own, goal.leader_stop) == own
    return replace(copy, goal=replace(goal, leader_stop=own)) if is_nearer else copy


def _with_order(view: AccountView, copy: Copy, event: CopyTouched) -> Copy:
    """A copy whose resting order a person has amended: what he made of it is what it shall be, levels pinned."""
    order = view.orders.get(copy.order) if copy.order is not None else None
    goal, terms = copy.goal, copy.goal.terms
    if order is None or terms is None or event.before <= 0:
        return copy
    shown = as_shown(order, terms, view.rules)
    target = copy.target * Fraction(event.after, event.before)
    goal = replace(
        goal,
        target_numerator=target.numerator,
        target_denominator=target.denominator,
        whole=Volume(max(0, goal.whole + event.after - event.before)),
        terms=shown,
    )
    left = Fraction(*copy.by_hand) * Fraction(event.after, event.before)
    copy = replace(copy, goal=goal, amended_to=shown, by_hand=(left.numerator, left.denominator))
    price, sign = shown.limit_price if shown.limit_price is not None else shown.stop_price, copy.side.sign
    if price is None or not goal.pins:
        return copy
    if shown.relative_stop != terms.relative_stop:
        copy = replace(copy, pinned_stop=Price(price - sign * shown.relative_stop if shown.relative_stop else 0))
    if shown.relative_target != terms.relative_target:
        copy = replace(copy, pinned_target=Price(price + sign * shown.relative_target if shown.relative_target else 0))
    return copy
