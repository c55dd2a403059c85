"""What decisions make of copies: a change of the leader gives a copy its goal, an attempt lets go what waited."""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.belief import restored
from cmam.domain.belief.copies import Copy, CopyKey, CopyState, Cursor
from cmam.domain.belief.view import AccountView, put, resolve
from cmam.domain.events import (
    AttemptDecided,
    ChangeDecided,
    Goal,
    Wait,
)
from cmam.domain.folds import growth
from cmam.domain.folds.endings import forget, unpinned
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.quantities import Price, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.replacing import copied, replace, without
from cmam.domain.values.rules.closes import ADDS_LEFT_OUT, CLOSES_APART
from cmam.domain.values.rules.levels import OWN_TRAILING, PEOPLE_MOVE_TRAILING, PINS_END, PINS_TRAIL
from cmam.domain.values.rules.nets import LEVELS_OF_ONE_SIDE, TURNED_ORDERS, TURNS_AWAIT_CLOSES
from cmam.domain.values.rules.opens import ADDS_CARRIED, ADDS_IN_VAIN, NEVER_OUT, WAITS_IN_PROPORTION
from cmam.domain.values.rules.resting import (
    AMENDED_BEFORE_PLACED,
    AMENDS_WAIT,
    FILLED_WHOLE,
    FILLS_IN_VAIN,
    ORDERS_ARE_TOLD,
    ORDERS_KEEP_LEVELS,
)
from cmam.domain.wanted import targets
from cmam.domain.wanted.levels import leader_levels, tighter, wanted_levels

TRAILED_US = 1_000_000
"""A copy's stop follows a trailing leader at most once in this time; the newest place wins."""

TELLING_LEVELS = (ChangeKind.OPENED, ChangeKind.REVERSED, ChangeKind.PROTECTED)
"""Changes whose stop and target become those of the copy."""

TELLING_VOLUMES = (ChangeKind.GREW, ChangeKind.REDUCED)
"""Changes after which the leader has another volume, whatever became of them here."""

TELLING_TERMS = (ChangeKind.PROTECTED, ChangeKind.ORDER_AMENDED)
"""Changes that ask for no close: one that was refused before is asked for no sooner."""


def told_levels(change: Change) -> tuple[Price | None, Price | None]:
    """The leader's stop and target as a change tells them."""
    found = leader_levels(change)
    return found.stop, found.target


def take_decision(view: AccountView, event: ChangeDecided, at_us: int) -> AccountView:
    """Move the link's cursor past a decided change, and give the copy its goal."""
    if not event.change.synced:
        cursor = Cursor(version=event.cause_version, index=event.cause_index)
        view = replace(view, cursors={**view.cursors, event.link: cursor})
    change, key = event.change, resolve(view, event.link, event.change)
    known = view.copies.get(key)
    if known is None:
        return _of_no_copy(view, key, event, at_us)
    if change.kind in TELLING_VOLUMES and view.rules >= ADDS_LEFT_OUT and key[1].startswith("p"):
        known = replace(known, told_volume=change.after if event.goal is None else Volume(0))
        view = put(view, known)
    if change.kind is ChangeKind.ORDER_AMENDED:
        known = replace(known, told_order=change)
    if event.goal is None:
        if change.kind is ChangeKind.PROTECTED:
            known = replace(known, told_levels=told_levels(change))
        elif change.kind is ChangeKind.ORDER_AMENDED:
            known = _amended_to_the_same(view, known, event)
        return put(view, known)
    if change.restored and change.kind in (ChangeKind.REDUCED, ChangeKind.CLOSED):
        target = Fraction(event.goal.target_numerator, event.goal.target_denominator)
        view = restored.settled_among(view, key, change, target)
        known = view.copies[key]
    copy = _as_set_since(view, known, event, event.goal) if change.restored else known
    copy = _moved_with_order(view, _unpinned(view, copy, event.goal), event.goal)
    copy = replace(copy, goal=event.goal, refusals=0, retry_at_us=0, change=known.change)
    if event.goal.leader_stop != known.goal.leader_stop:
        copy = replace(copy, stop_moved_us=at_us)
    copy = restored.answered(view, copy, change) if copy.restored is not None else copy
    copy = targets.moved(view, copy, known.goal, event.inputs.quotes)
    if view.rules >= ADDS_IN_VAIN:
        view, copy = _growing(view, copy, known, event)
    is_troubled = copy.trouble or copy.close_refusals or copy.close_at_us
    if is_troubled and (change.kind not in TELLING_TERMS or not copy.is_close_refused or view.rules < CLOSES_APART):
        copy = replace(copy, close_refusals=0, close_at_us=0, trouble="")
    if known.goal.shift and event.goal.shift == 0:
        copy = replace(copy, own_shift=known.goal.shift)
    if change.kind in TELLING_LEVELS:
        copy = replace(copy, told_levels=told_levels(change))
    if _gives_another_source(view, known, event):
        view = replace(view, chains={**view.chains, (event.link, change.source): key})
    copy = _following(view, copy, known, event, event.goal, at_us)
    if event.wait is not None:
        copy = replace(copy, wait=event.wait, wait_until_us=event.wait_until_us)
    return put(view, copy)


def _of_no_copy(view: AccountView, key: CopyKey, event: ChangeDecided, at_us: int) -> AccountView:
    """A decision about a source of which nothing is held: a copy begins, or what is remembered of one may go."""
    if event.goal is not None and event.verdict is Verdict.COPY and event.symbol is not None:
        former = view.finished.get(key)
        own = (event.link, event.change.source)  # what follows finds it under its own source, whatever came before
        view = replace(view, chains=without(view.chains, own))
        return put(view, _new_copy(view, event, event.change, former, at_us))
    if event.change.reopens:
        return _used_up(view, key)
    return _source_closed(view, key) if event.change.kind is ChangeKind.CLOSED else view


def _gives_another_source(view: AccountView, known: Copy, event: ChangeDecided) -> bool:
    """Whether a copied order is a position from this change on, which the leader's broker calls by another number."""
    if not known.source.startswith("o"):
        return False
    match event.change.kind:
        case ChangeKind.OPENED | ChangeKind.REVERSED if event.wait is Wait.TURN:
            return view.rules >= TURNED_ORDERS
        case ChangeKind.OPENED | ChangeKind.GREW:
            return known.leader_order is not None
        case _:
            return False


def _following(view: AccountView, copy: Copy, known: Copy, event: ChangeDecided, goal: Goal, at_us: int) -> Copy:
    """A copy with its goal, and with what a change of this kind says beside it."""
    change = event.change
    match change.kind:
        case ChangeKind.OPENED | ChangeKind.REVERSED if event.wait is Wait.TURN:
            return replace(copy, ending=copy.ending or Reason.CLOSED_BY_LEADER, change=change)
        case ChangeKind.OPENED | ChangeKind.GREW if known.leader_order is not None and known.source.startswith("o"):
            fills = _fills_of_order(known, change)
            is_whole = (fills if view.rules >= FILLED_WHOLE else change.after) >= goal.leader_whole
            return replace(
                copy,
                leader_position=change.position,
                leader_filled=True,
                leader_fills=fills,
                filled_us=known.filled_us or at_us,
                change=change,
                not_after_us=max(copy.not_after_us, event.not_after_us),
                ahead_since_us=0 if is_whole else copy.ahead_since_us,
            )
        case ChangeKind.CLOSED:
            copy = replace(copy, ending=copy.ending or Reason.CLOSED_BY_LEADER, wait=None, source_closed=True)
            is_of_another = view.rules >= TURNS_AWAIT_CLOSES and change.origin != copy.leader_order
            return replace(copy, closed_by=change.origin) if is_of_another else copy
        case ChangeKind.ORDER_CANCELLED | ChangeKind.ORDER_EXPIRED:
            copy = replace(copy, ahead_since_us=0)
            if goal.target_numerator:
                return copy
            ending = copy.ending or (Reason.FILLS_INTO_NET if change.into_net else Reason.CLOSED_BY_LEADER)
            return replace(copy, ending=ending, wait=None, source_closed=True)
        case ChangeKind.GREW | ChangeKind.REDUCED:
            return _of_another_volume(view, copy, event)
        case ChangeKind.ORDER_AMENDED if event.wait is not None:
            return replace(copy, change=replace(change, kind=ChangeKind.ORDER_PLACED))
        case ChangeKind.ORDER_AMENDED if known.awaits_amend and view.rules >= AMENDS_WAIT:
            return replace(copy, wait=None)
        case ChangeKind.ORDER_AMENDED:
            return _as_amended(view, copy, change)
        case ChangeKind.PROTECTED if change.trailed:
            soonest = known.trailed_us + TRAILED_US
            is_early = soonest > at_us
            trailed_us = known.trailed_us if is_early else at_us
            copy = replace(copy, trailed_us=trailed_us, retry_at_us=soonest if is_early else 0)
            return _with_levels_of(copy, change) if view.rules >= OWN_TRAILING else copy
        case ChangeKind.PROTECTED:
            return _with_levels_of(copy, change)
        case _:
            return copy


def _fills_of_order(known: Copy, change: Change) -> Volume:
    """How much of the leader's pending order has filled with this change."""
    if change.kind is ChangeKind.OPENED:
        return max(known.leader_fills, change.volume, change.after)
    return Volume(known.leader_fills + change.volume) if change.is_opening else known.leader_fills


def _of_another_volume(view: AccountView, copy: Copy, event: ChangeDecided) -> Copy:
    """A copy whose leader holds more or less than before."""
    change = event.change
    copy = replace(copy, not_after_us=max(copy.not_after_us, event.not_after_us))
    is_unopened = copy.position is None or copy.wait is Wait.TURN
    if change.kind is ChangeKind.GREW and not is_unopened:
        copy = replace(copy, change=change)  # what is not filled of an add is as old as the add
    if not is_unopened or copy.change is None:
        return copy
    volume = _left_of(view, copy.change, change)  # an open that comes back unsent passes the gates as it is now
    return replace(copy, change=replace(copy.change, volume=volume, after=volume))


def _growing(view: AccountView, copy: Copy, known: Copy, event: ChangeDecided) -> tuple[AccountView, Copy]:
    """A copy with what it is to grow by since a change that it follows."""
    match event.change.kind:
        case ChangeKind.OPENED | ChangeKind.GREW if event.verdict is Verdict.COPY and known.position is not None:
            return view, growth.decided(known, copy)
        case ChangeKind.REDUCED if 0 < copy.target < known.target:
            return growth.in_proportion(view, copy, copy.target / known.target)
        case _:
            return view, copy


def _with_levels_of(copy: Copy, change: Change) -> Copy:
    """A copy whose open still waits, or may come back, with the leader's levels of now."""
    if copy.change is None or (copy.wait is None and copy.position is not None):
        return copy
    levels = replace(copy.change, stop=change.stop, target=change.target, trailing=change.trailing)
    return replace(copy, change=replace(levels, relative_stop=None, relative_target=None))


def _amended_to_the_same(view: AccountView, copy: Copy, event: ChangeDecided) -> Copy:
    """A copied order whose leader has amended his, and nothing is to be made of it. Where it rests as his does now, an
    amendment of before waits for quotes no more: he has taken it back."""
    is_taken_back = event.reason is Reason.ALREADY_THERE and copy.awaits_amend and view.rules >= ORDERS_ARE_TOLD
    return _as_amended(view, replace(copy, wait=None) if is_taken_back else copy, event.change)


def _as_amended(view: AccountView, copy: Copy, change: Change) -> Copy:
    """A copied order with its leader's terms of now, as if it had been placed by them: before it rests it may have to
    pass the gates again, and from then on they are what was told of his order last."""
    if copy.change is None or copy.change.kind is not ChangeKind.ORDER_PLACED:
        return copy
    rests = copy.order is not None or copy.position is not None
    if view.rules < (ORDERS_ARE_TOLD if rests else AMENDED_BEFORE_PLACED):
        return copy
    as_placed = replace(change, kind=copy.change.kind, key=copy.change.key, at_ms=copy.change.at_ms)
    return replace(copy, change=as_placed)


def _source_closed(view: AccountView, key: CopyKey) -> AccountView:
    """Nothing more can come of a finished copy whose source has closed too: remember it for a while."""
    copy = view.finished.get(key)
    if copy is None:
        return view
    finished = copied(view.finished)
    finished[key] = replace(copy, source_closed=True)
    return forget(replace(view, finished=finished))


def _unpinned(view: AccountView, copy: Copy, goal: Goal) -> Copy:
    """A level that the leader changes again takes a person's pin away, but only to be tighter; where the leader always
    wins, none is kept for the time when he does no more."""
    if goal.leader_stop is not None or goal.fixed_stop is not None:
        copy = replace(copy, own_stop=None) if copy.own_stop is not None else copy
    if goal.leader_target is not None or goal.fixed_target is not None:
        copy = replace(copy, own_target=None) if copy.own_target is not None else copy
    if goal.trailing != copy.goal.trailing and copy.pinned_trailing is not None:
        copy = replace(copy, pinned_trailing=None)
    copy = _pinned_where_it_trailed(view, copy, goal)
    if not goal.pins and view.rules >= PINS_END:
        copy = unpinned(copy)
    spec = view.specs.get(copy.symbol)
    if spec is None or (copy.pinned_stop is None and copy.pinned_target is None):
        return copy
    wanted = wanted_levels(spec, copy.side, replace(goal, shift=copy.goal.shift or goal.shift), copy.open_price)
    if goal.leader_stop != copy.goal.leader_stop and copy.pinned_stop is not None:
        pinned = _trailed_pin(view, copy, goal)
        is_tighter = wanted.stop is not None and tighter(copy.side, wanted.stop, pinned) == wanted.stop
        if view.rules >= PEOPLE_MOVE_TRAILING and wanted.stop == copy.pinned_stop:
            is_tighter = False  # as a pin that has trailed is, where his trailing ends
        copy = replace(copy, pinned_stop=None if is_tighter else copy.pinned_stop)
    if goal.leader_target != copy.goal.leader_target and copy.pinned_target is not None:
        other = copy.side.opposite
        is_nearer = wanted.target is not None and (
            copy.pinned_target == 0 or tighter(other, wanted.target, copy.pinned_target) == wanted.target
        )
        copy = replace(copy, pinned_target=None if is_nearer else copy.pinned_target)
    return copy


def _as_set_since(view: AccountView, copy: Copy, event: ChangeDecided, goal: Goal) -> Copy:
    """A copy whose stop or target was set where the leader's asks for it, in a life of which the restored log knows
    nothing: that is no level of a person's."""
    spec = view.specs.get(copy.symbol)
    is_pinned = copy.pinned_stop or copy.pinned_target
    if spec is None or not is_pinned or not restored.is_answer(event.change, copy):
        return copy
    asked = wanted_levels(spec, copy.side, replace(goal, shift=copy.goal.shift or goal.shift), copy.open_price)
    if asked.stop == copy.pinned_stop and goal.leader_stop != copy.goal.leader_stop:
        copy = replace(copy, pinned_stop=None)
    if asked.target == copy.pinned_target and goal.leader_target != copy.goal.leader_target:
        copy = replace(copy, pinned_target=None)
    return copy


def _moved_with_order(view: AccountView, copy: Copy, goal: Goal) -> Copy:
    """A copy whose resting order moves with its leader's: a person's levels are as far from the new price."""
    former, terms = copy.goal.terms, goal.terms
    if former is None or terms is None or copy.position is not None or view.rules < ORDERS_KEEP_LEVELS:
        return copy
    by = terms.price - former.price
    if not by or not (copy.pinned_stop or copy.pinned_target):
        return copy
    stop, target = (Price(level + by) if level else level for level in (copy.pinned_stop, copy.pinned_target))
    return replace(copy, pinned_stop=stop, pinned_target=target)


def _trailed_pin(view: AccountView, copy: Copy, goal: Goal) -> Price | None:
    """Where a pinned stop is by now: it may trail on. None where a person has taken the stop away."""
    held = view.positions.get(copy.position) if copy.position is not None else None
    is_trailing = held is not None and held.trailing and goal.trailing and held.side is copy.side
    if held is None or not is_trailing or not copy.pinned_stop or view.rules < PINS_TRAIL:
        return copy.pinned_stop or None
    return tighter(copy.side, copy.pinned_stop, held.stop)


def _pinned_where_it_trailed(view: AccountView, copy: Copy, goal: Goal) -> Copy:
    """A pinned stop that trails no more stays where it has come to."""
    held = view.positions.get(copy.position) if copy.position is not None else None
    has_ended = held is not None and held.trailing and not goal.trailing and copy.pinned_trailing is None
    if held is None or not has_ended or not copy.pinned_stop or view.rules < PEOPLE_MOVE_TRAILING:
        return copy
    if held.side is not copy.side and view.rules >= LEVELS_OF_ONE_SIDE:
        return copy
    return replace(copy, pinned_stop=tighter(copy.side, copy.pinned_stop, held.stop))


def _used_up(view: AccountView, key: CopyKey) -> AccountView:
    """A source is opened anew once or not at all: the gates have said no."""
    copy = view.finished.get(key)
    if copy is None:
        return view
    return replace(view, finished={**view.finished, key: replace(copy, reopened=True)})


def _new_copy(view: AccountView, event: ChangeDecided, change: Change, former: Copy | None, at_us: int) -> Copy:
    assert event.goal is not None
    assert event.symbol is not None
    named = view.finished.get((event.link, change.source))
    is_first = view.rules >= NEVER_OUT and former is not None and former.was_never_out
    return Copy(
        link=event.link,
        profile=event.profile,
        source=change.source,
        state=CopyState.WAITING if event.wait is not None else CopyState.OPENING,
        leader=change.leader,
        leader_position=change.position,
        leader_order=change.order or change.origin,
        leader_symbol=change.symbol.name,
        leader_digits=change.symbol.digits,
        leader_opened=change.volume if change.kind is ChangeKind.ORDER_PLACED else change.after,
        symbol=event.symbol,
        side=event.side or change.side,
        goal=event.goal,
        decided_us=at_us,
        last_seq=named.last_seq if named is not None else 0,
        not_after_us=event.not_after_us,
        settings_version=event.settings_version,
        told_levels=told_levels(change),
        change=change,
        wait=event.wait,
        wait_until_us=event.wait_until_us,
        reopened=former is not None and not former.source_closed and not is_first,
        share=view.is_netted(),
    )


def _left_of(view: AccountView, opened: Change, change: Change) -> Volume:
    """What of the leader's an open that waits stands for, once he has added or closed a part."""
    if change.kind is ChangeKind.REDUCED and change.before and view.rules >= WAITS_IN_PROPORTION:
        return Volume(opened.after * change.after // change.before)
    return change.after


def take_attempt(view: AccountView, event: AttemptDecided, at_us: int) -> AccountView:
    """A waiting open was looked at again: it goes out, or what it waited for will not come."""
    key = (event.link, event.source)
    copy = view.copies.get(key)
    if copy is None:
        return view
    if event.verdict is not Verdict.COPY:
        return put(view, _unasked(view, copy, event))
    goal = event.goal or copy.goal
    if view.rules >= ADDS_IN_VAIN and copy.position is not None:
        copy = growth.attempted(view, copy, goal)
    return put(
        view,
        replace(copy, goal=goal, wait=None, decided_us=at_us, not_after_us=event.not_after_us, retry_at_us=0),
    )


def _unasked(view: AccountView, copy: Copy, event: AttemptDecided) -> Copy:
    """A copy whose open or add does not go out any more, or need not: what covers it is held."""
    ends = (Wait.REMAINDER, Wait.CANCEL) if view.rules >= FILLS_IN_VAIN else (Wait.REMAINDER,)
    if copy.position is None or event.wait not in ends:
        return replace(copy, wait=None)
    if view.rules < ADDS_IN_VAIN:
        return growth.as_held(replace(copy, wait=None))
    is_carried = event.reason is Reason.BELOW_MINIMUM and view.rules >= ADDS_CARRIED
    is_covered = event.reason is Reason.COVERED or is_carried
    return growth.covered(copy) if is_covered else growth.waited_in_vain(view, copy)
