"""Pending orders: placed, amended, cancelled with the leader's, and brought in line with his when either fills."""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.belief.copies import Copy, CopyState
from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.amounts import opened_with, sized, whole_of_open
from cmam.domain.deciding.carrying import pending_type
from cmam.domain.deciding.decision import COPY_FINISHED, Decision, asked_for, retarget, skip
from cmam.domain.deciding.draft import Draft
from cmam.domain.deciding.opening import AMEND_RULES, OPEN_RULES, first_reason
from cmam.domain.deciding.opens import closing_of, is_to_come, open_goal, patient, stand_back
from cmam.domain.deciding.reductions import decide_closed
from cmam.domain.events import Goal, Terms, Wait
from cmam.domain.profiles.choices import LevelsMode, PendingOutside, VolumeMode
from cmam.domain.profiles.hours import next_outside
from cmam.domain.profiles.reading import POINTS_MAX
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.quantities import Distance, Price, Volume, units_text
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.levels import FIXED_STAY
from cmam.domain.values.rules.resting import (
    ADDED_BESIDE_ORDERS,
    AHEAD_AS_OPENED,
    AMENDED_AS_ALLOWED,
    AMENDED_BEFORE_PLACED,
    AMENDED_BY_RISK,
    AMENDS_WAIT,
    EXACT_ORDERS,
    FILLS_GO_ON,
    GROWN_AS_OPENED,
    GROWN_ORDERS,
    ORDERS_KEEP_LEVELS,
    PARTS_REST,
    QUIET_AMENDS_WAIT,
    RANGES_IN_OWN_POINTS,
    WIDENED_ORDERS,
)
from cmam.domain.values.symbols import SymbolSpec, tick_of
from cmam.domain.values.trades import OrderType
from cmam.domain.wanted.levels import leader_levels, merged, plan, uncopied
from cmam.domain.wanted.resting import as_shown, place_command

AMEND_WAIT_US = 30_000_000
"""How long an order rests as it was before its leader amended it, where no quote tells at which price it may rest: as
long as an open waits, by default."""


def _terms(draft: Draft, volume: Volume) -> Terms:
    policy, change = draft.policy, draft.change
    return Terms(
        type=pending_type(draft),
        volume=volume,
        limit_price=draft.limit_price,
        stop_price=draft.stop_price,
        relative_stop=draft.stop,
        relative_target=draft.target,
        trailing=(
            change.trailing
            and policy.copy_trailing
            and draft.stop is not None
            and not draft.is_turned
            and not draft.is_guaranteed
        ),
        guaranteed=draft.is_guaranteed and draft.stop is not None,
        trigger=change.trigger,
        expires_ms=draft.expires_ms,
        slippage_points=_range(draft) if pending_type(draft) is OrderType.STOP_LIMIT else None,
    )


def _range(draft: Draft) -> int | None:
    """How far a stop-limit's limit lies from its stop, in points of the follower's symbol: never farther than the
    leader's, and at least one where he has any."""
    points, theirs = draft.change.slippage_points, tick_of(draft.change.symbol.digits)
    if not points or draft.view.rules < RANGES_IN_OWN_POINTS:
        return points
    return min(max(points * theirs // draft.symbol.tick, 1), POINTS_MAX)


def place_now(draft: Draft) -> Decision:
    """Pass all the rules and rest; or say why not."""
    draft.is_pending = True
    if draft.change.into_net:
        return skip(draft, Reason.FILLS_INTO_NET)
    found = patient(draft, first_reason(draft))
    if found is Wait.QUOTES:
        return stand_back(draft, found)
    if found is Wait.STOP:
        found = Reason.NO_STOP
    if isinstance(found, Reason):
        return skip(draft, found)
    policy, change = draft.policy, draft.change
    terms = _terms(draft, draft.volume)
    keeps = policy.pending_outside is PendingOutside.KEEP
    outside = 0 if keeps else next_outside(policy, draft.now_us, rules=draft.view.rules) or 0
    goal = replace(
        open_goal(draft),
        target_numerator=draft.volume,
        leader_volume=change.volume,
        leader_price=None,
        shift=Distance(0) if policy.levels is LevelsMode.PRICE else None,
        has_levels=False,
        terms=terms,
        whole=draft.volume,
        leader_whole=change.volume,
        grace_us=policy.pending_grace_ms * 1_000,
        ahead_us=policy.pending_ahead_ms * 1_000,
        outside_us=outside,
    )
    return asked_for(draft, draft.side, goal, place_command(draft.side, draft.symbol, terms))


def decide_amended(draft: Draft, copy: Copy) -> Decision:
    """A resting copy becomes what the leader's order has become; where it cannot rest so, it is cancelled."""
    change = draft.change
    is_unplaced = copy.state is CopyState.WAITING and copy.is_wanted and not copy.leader_filled
    if is_unplaced and draft.view.rules >= AMENDED_BEFORE_PLACED:
        return Decision(verdict=Verdict.COPY, goal=replace(copy.goal, leader_volume=change.volume))
    is_part = copy.position is not None and draft.view.rules >= PARTS_REST
    goes_on = copy.leader_filled and copy.goal.whole > 0 and copy.goal.terms is not None
    if goes_on and draft.view.rules >= AHEAD_AS_OPENED:
        return _amended_ahead(draft, copy)
    if (copy.position is not None and not is_part) or copy.leader_filled or copy.goal.terms is None:
        return Decision(verdict=Verdict.NONE, reason=Reason.ALREADY_THERE)
    if is_part and copy.ended_order:
        return _amended_ahead(draft, copy)
    draft.is_pending, draft.copy = True, copy
    spec = draft.view.specs.get(copy.symbol)
    if spec is None:
        return Decision(verdict=Verdict.NONE, reason=Reason.UNMAPPED_SYMBOL)
    exact = Fraction(copy.goal.whole * change.volume, copy.goal.leader_whole or change.volume or 1)
    on_step = spec.floor_volume(int(exact))
    is_exact = draft.view.rules >= EXACT_ORDERS
    allowed = _amended_volume(draft, spec, on_step, copy.goal.terms.volume if is_exact else copy.goal.whole)
    if allowed is None:
        return _amended_later(draft, copy)
    volume, reason = allowed
    goal = retarget(copy.goal, Fraction(volume), change.volume)
    whole = Volume(int(exact)) if is_exact and volume == on_step else volume  # else each amendment would round again
    goal = replace(goal, terms=None, whole=whole, leader_whole=change.volume)
    if is_part and (reason is not None or volume <= copy.volume):  # what has filled is held, what rests ends
        return Decision(verdict=Verdict.COPY, reason=reason, goal=goal, working=tuple(draft.working))
    if reason is not None:
        goal = replace(retarget(copy.goal, Fraction(0), Volume(0)), terms=None)
        return Decision(verdict=Verdict.COPY, reason=reason, goal=goal, working=tuple(draft.working))
    goal = replace(goal, terms=_with_own_levels(draft, copy, _terms(draft, volume)))
    if draft.view.rules >= WIDENED_ORDERS:
        goal = _with_width(draft, goal)
    if goal == copy.goal:
        return Decision(verdict=Verdict.NONE, reason=Reason.ALREADY_THERE)
    return Decision(verdict=Verdict.COPY, volume=volume, goal=goal, working=tuple(draft.working))


def _amended_volume(
    draft: Draft, spec: SymbolSpec, wanted: Volume, present: Volume
) -> tuple[Volume, Reason | None] | None:
    """How much of the order may rest, and why it may not rest at all; None where that is known soon.

    What makes it larger passes the gates of an open; where it does not, it stays as large as it is.
    """
    volume = wanted
    most = spec.floor_volume(spec.max_volume)
    if 0 < most < volume and draft.view.rules >= AMENDED_AS_ALLOWED:
        draft.note("volume", units_text(most), f"the most that an order of {spec.name} may have by now")
        volume = most
    reason = _amend_reason(draft, spec, grows=volume > present)
    if _may_tell_soon(draft, reason, grows=volume > present):
        return None
    grows_less = reason is None and present < draft.volume < volume
    if grows_less and draft.view.rules >= GROWN_AS_OPENED:
        volume = draft.volume
    elif volume > present and (reason is not None or draft.volume < volume):
        why = reason.value if reason is not None else "too large"
        volume = present
        draft.working.clear()
        draft.note("volume", units_text(volume), f"a larger volume does not pass the gates of an open: {why}")
        reason = _amend_reason(draft, spec, grows=False)
        if _may_tell_soon(draft, reason):
            return None
    is_widened = draft.add_volume is not None and draft.view.rules >= WIDENED_ORDERS
    if reason is None and (is_widened or _risks_more(draft, spec)):
        found = sized(draft)
        reason = found if isinstance(found, Reason) else None
        if reason is Reason.STALE_INPUT and draft.view.rules >= QUIET_AMENDS_WAIT:
            return None
        volume = min(volume, draft.volume)
    if reason is None and volume < spec.min_volume:
        reason = Reason.BELOW_MINIMUM
    return volume, reason


def _with_own_levels(draft: Draft, copy: Copy, terms: Terms) -> Terms:
    """The terms with what of its levels is the order's own: one that is not copied, a person's that is nearer.

    They are distances, as on the wire, and move with the order's price.
    """
    order = draft.view.orders.get(copy.order) if copy.order is not None else None
    former = copy.goal.terms
    if order is None or former is None or draft.view.rules < ORDERS_KEEP_LEVELS:
        return terms
    shown, left = as_shown(order, former, draft.view.rules), uncopied(draft.policy, draft.view.rules)
    stop, target = terms.relative_stop, terms.relative_target
    if left.stop:
        terms = replace(terms, trailing=shown.trailing, guaranteed=shown.guaranteed)
        stop = shown.relative_stop
    elif copy.goal.pins and copy.pinned_stop:
        stop = _nearer(stop, (shown.price - copy.pinned_stop) * copy.side.sign)
    if left.target:
        target = shown.relative_target
    elif copy.goal.pins and copy.pinned_target:
        target = _nearer(target, (copy.pinned_target - shown.price) * copy.side.sign)
    return replace(terms, relative_stop=stop, relative_target=target)


def _nearer(asked: Distance | None, own: int) -> Distance | None:
    """The smaller of two distances from an order's price; what lies on the other side of that is none."""
    if own <= 0:
        return asked
    return Distance(own) if asked is None else min(asked, Distance(own))


def _risks_more(draft: Draft, spec: SymbolSpec) -> bool:
    """Whether an order that was sized by its stop shall have one that is farther by more than a tick, or none."""
    if draft.policy.volume_mode is not VolumeMode.RISK_PERCENT or draft.view.rules < AMENDED_BY_RISK:
        return False
    copy = draft.copy
    former = copy.goal.terms if copy is not None else None
    if copy is None or former is None or former.relative_stop is None:
        return False
    stop = _with_own_levels(draft, copy, _terms(draft, former.volume)).relative_stop
    return stop is None or stop - former.relative_stop > spec.tick


def _may_tell_soon(draft: Draft, reason: Reason | None, *, grows: bool = False) -> bool:
    """Whether what is missing is on its way: the next quote at the latest, if nothing has been quoted for a while."""
    if reason is Reason.WOULD_FILL and draft.may_lag:
        return True
    is_quiet = reason is Reason.STALE_INPUT and not grows and draft.view.rules >= QUIET_AMENDS_WAIT
    return is_quiet or (is_to_come(draft, reason) and draft.view.rules >= AMENDS_WAIT)


def _amended_later(draft: Draft, copy: Copy) -> Decision:
    """It rests as it is until it is known where it may rest."""
    return Decision(
        verdict=Verdict.COPY,
        goal=copy.goal,
        working=tuple(draft.working),
        not_after_us=copy.not_after_us,
        wait=Wait.QUOTES,
        wait_until_us=draft.now_us + AMEND_WAIT_US,
    )


def _amended_ahead(draft: Draft, copy: Copy) -> Decision:
    """Nothing of our order rests any more: what it filled is held ahead, and only the size of his counts.

    What is too much of it is closed, what is missing is added as his order fills, but no more than would open now.
    """
    change, goal = draft.change, copy.goal
    if change.volume == goal.leader_whole:
        return Decision(verdict=Verdict.NONE, reason=Reason.ALREADY_THERE)
    whole = Volume(goal.whole * change.volume // (goal.leader_whole or change.volume or 1))
    if whole > goal.whole and draft.view.rules >= AHEAD_AS_OPENED:
        whole = max(goal.whole, min(whole, opened_with(draft, copy, change.volume)))
    target, theirs = Fraction(whole), change.volume
    if copy.leader_filled:
        target, theirs = min(copy.target, target), goal.leader_volume
    goal = replace(retarget(goal, target, theirs), whole=whole, leader_whole=change.volume)
    return Decision(verdict=Verdict.COPY, volume=whole, goal=goal, working=tuple(draft.working))


def _with_width(draft: Draft, goal: Goal) -> Goal:
    """A goal that knows by how much the order's stop of now was widened, if at all."""
    assert draft.plan is not None
    wide = draft.stop if draft.add_volume is not None else None
    fixed, target = draft.plan.fixed_stop, goal.fixed_target
    if draft.view.rules >= FIXED_STAY:
        target = draft.plan.fixed_target
    goal = replace(goal, fixed_target=target)
    return replace(
        goal, wide=wide, wide_of=draft.plan.stop if wide else None, fixed_stop=wide if wide and fixed else fixed
    )


def _amend_reason(draft: Draft, spec: SymbolSpec, *, grows: bool) -> Reason | None:
    """Why an amended order may not rest: only price, expiry and levels matter, unless it grows."""
    draft.spec = spec
    rules = OPEN_RULES if grows else AMEND_RULES
    known = draft.view, draft.rates
    if grows and draft.copy is not None and draft.view.rules >= GROWN_ORDERS:
        draft.grows(draft.copy)
    found = next((found for rule in rules if isinstance(found := rule(draft), Reason)), None)
    draft.view, draft.rates = known
    return found


def decide_order_gone(view: AccountView, change: Change, copy: Copy) -> Decision:
    """The leader's order was cancelled or has expired, or fills into his net from now on: what rests of it goes, what
    it had filled stays."""
    if copy.leader_filled:
        return Decision(verdict=Verdict.COPY, goal=replace(copy.goal, terms=None), volume=Volume(0))
    gone = decide_closed(view, copy)
    return replace(gone, reason=Reason.FILLS_INTO_NET) if change.into_net and gone.reason is None else gone


def decide_fill(draft: Draft, copy: Copy) -> Decision:
    """The leader's pending order filled, whole or in part: the copy's order has its grace, then the market.

    No gate stands here: what rests or is filled already is only brought in line. What goes to market after the grace
    passes all gates then (`attempts.py`).
    """
    change, policy = draft.change, draft.policy
    spec = draft.view.specs.get(copy.symbol)
    goes_on = draft.view.rules >= FILLS_GO_ON
    if goes_on and copy.state is CopyState.WAITING and copy.wait in (Wait.QUOTES, Wait.RETRY):
        return _open_instead(draft, copy, copy.wait)
    if goes_on and copy.position is not None and (copy.state is CopyState.CLOSING or not copy.is_wanted):
        return COPY_FINISHED
    target = _filled(draft, copy)
    goal = retarget(copy.goal, target, change.after)
    if spec is not None:
        draft.copy = copy
        goal = merged(goal, _with_levels(change), spec, policy, draft.side, draft.view.rules)
        goal = _widened(draft, copy, goal, spec)
    if not (goes_on and copy.leader_filled):  # the shift is that of the first fills, for life
        shift = goal.shift
        if policy.levels is LevelsMode.SHIFT and copy.open_price is not None and change.price is not None:
            shift = Distance(copy.open_price - change.price)
        goal = replace(goal, leader_price=change.price, shift=shift)
    goal = replace(goal, is_exact=False)
    wait = _wait_of_fill(draft, replace(copy, goal=goal))
    grace_us = 0 if wait is Wait.REMAINDER else policy.pending_grace_ms * 1_000
    return Decision(
        verdict=Verdict.COPY,
        volume=Volume(int(target)),
        goal=goal,
        not_after_us=draft.not_after_us,
        wait=wait,
        wait_until_us=draft.not_after_us + grace_us,
    )


def _widened(draft: Draft, copy: Copy, goal: Goal, spec: SymbolSpec) -> Goal:
    """A stop that was widened for the order stays as wide from the fill, unless the leader's own is farther by now."""
    change = draft.change
    if not goal.wide or goal.leader_stop is None or change.price is None:
        return goal
    own, stop = goal.leader_stop, Price(change.price - copy.side.sign * goal.wide)
    if draft.view.rules >= WIDENED_ORDERS:
        own = plan(_with_levels(change), spec, draft.policy, draft.side).stop or own
        if (own - stop) * copy.side.sign <= 0:
            return replace(goal, leader_stop=own, wide_of=None)
    return replace(goal, leader_stop=stop, wide_of=own)


def _open_instead(draft: Draft, copy: Copy, wait: Wait) -> Decision:
    """Nothing of the copy ever rested: the fill is an open like any other, looked at as soon as that may be."""
    goal = Goal(target_numerator=1, leader_volume=draft.change.after)
    return Decision(
        verdict=Verdict.COPY,
        side=copy.side,
        goal=goal,
        not_after_us=draft.not_after_us,
        wait=wait,
        wait_until_us=draft.not_after_us,
    )


def _filled(draft: Draft, copy: Copy) -> Fraction:
    """What a copy shall be of what its leader's order has filled: the same fraction of its own order.

    One that went to market instead was sized by what had filled then, and grows in proportion.
    """
    change, goal = draft.change, copy.goal
    is_next = change.kind is ChangeKind.GREW and goal.whole > 0 and goal.leader_whole > 0
    is_mixed = 0 < copy.leader_fills != change.before  # he has added to it, or closed of it, beside his order
    if is_next and is_mixed and draft.view.rules >= ADDED_BESIDE_ORDERS:
        return copy.target + Fraction(goal.whole) * min(Fraction(1), Fraction(change.volume, goal.leader_whole))
    if goal.whole or draft.view.rules < FILLS_GO_ON:
        return Fraction(goal.whole) * min(Fraction(1), Fraction(change.after, goal.leader_whole or change.after))
    before = change.before or goal.leader_volume
    grown = copy.target * Fraction(change.after, before) if before > 0 else copy.target
    return whole_of_open(draft, copy, Volume(before), grown)


def _wait_of_fill(draft: Draft, copy: Copy) -> Wait | None:
    """What a fill waits for: our order's end where that may rest still, else the add of what our order lacks."""
    is_at_market = draft.view.rules >= FILLS_GO_ON and not copy.goal.whole
    is_over = copy.position is not None and (copy.order is None or copy.ended_order)
    if not is_over and not is_at_market:
        return Wait.CANCEL
    spec = draft.view.specs.get(copy.symbol)
    if copy.position is None or spec is None or draft.view.rules < FILLS_GO_ON:
        return copy.wait if is_at_market else None
    left = copy.volume + draft.view.unshown(copy) - closing_of(draft.view, copy)
    short = spec.floor_volume(int(copy.target - left))
    return Wait.REMAINDER if short >= max(spec.step, spec.min_volume) else None


def _with_levels(change: Change) -> Change:
    found = leader_levels(change)
    return replace(change, stop=found.stop, target=found.target)
