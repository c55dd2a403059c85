"""Pending orders: placed, amended, cancelled with the leader's, and brought in line with his when either fills."""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.changes import Change
from cmam.domain.choices import LevelsMode, PendingOutside
from cmam.domain.copies import Copy, CopyState
from cmam.domain.decision import Decision, retarget, skip
from cmam.domain.events import Terms, Wait
from cmam.domain.hours import next_outside
from cmam.domain.levels import leader_levels, merged
from cmam.domain.needs import place_command
from cmam.domain.opening import AMEND_RULES, OPEN_RULES, Draft, first_reason, pending_type
from cmam.domain.opens import open_goal, patient, stand_back
from cmam.domain.quantities import Distance, Price, Volume, units_text
from cmam.domain.reasons import Reason, Verdict
from cmam.domain.reductions import decide_closed
from cmam.domain.replacing import replace
from cmam.domain.rules import AMENDED_BEFORE_PLACED
from cmam.domain.symbols import SymbolSpec
from cmam.domain.trades import OrderType
from cmam.domain.view import AccountView


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
        slippage_points=change.slippage_points if pending_type(draft) is OrderType.STOP_LIMIT else None,
    )


def place_now(draft: Draft) -> Decision:
    """Pass all the rules and rest; or say why not."""
    draft.is_pending = True
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
    outside = 0 if keeps else next_outside(policy, draft.now_us) or 0
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
    return Decision(
        verdict=Verdict.COPY,
        symbol=draft.spec,
        side=draft.side,
        volume=draft.volume,
        goal=goal,
        command=place_command(draft.side, draft.symbol, terms),
        working=tuple(draft.working),
        not_after_us=draft.not_after_us,
    )


def decide_amended(draft: Draft, copy: Copy) -> Decision:
    """A resting copy becomes what the leader's order has become; where it cannot rest so, it is cancelled."""
    change = draft.change
    if copy.state is CopyState.WAITING and copy.is_wanted and draft.view.rules >= AMENDED_BEFORE_PLACED:
        return Decision(verdict=Verdict.COPY, goal=replace(copy.goal, leader_volume=change.volume))
    if copy.position is not None or copy.leader_filled or copy.goal.terms is None:
        return Decision(verdict=Verdict.NONE, reason=Reason.ALREADY_THERE)
    draft.is_pending, draft.copy = True, copy
    spec = draft.view.specs.get(copy.symbol)
    if spec is None:
        return Decision(verdict=Verdict.NONE, reason=Reason.UNMAPPED_SYMBOL)
    exact = Fraction(copy.goal.whole * change.volume, copy.goal.leader_whole or change.volume or 1)
    volume = spec.floor_volume(int(exact))
    reason = _amend_reason(draft, spec, grows=volume > copy.goal.whole)
    if volume > copy.goal.whole and (reason is not None or draft.volume < volume):
        why = reason.value if reason is not None else "too large"
        volume = copy.goal.whole
        draft.working.clear()
        draft.note("volume", units_text(volume), f"a larger volume does not pass the gates of an open: {why}")
        reason = _amend_reason(draft, spec, grows=False)
    if reason is None and volume < spec.min_volume:
        reason = Reason.BELOW_MINIMUM
    if reason is not None:
        goal = replace(retarget(copy.goal, Fraction(0), Volume(0)), terms=None)
        return Decision(verdict=Verdict.COPY, reason=reason, goal=goal, working=tuple(draft.working))
    terms = _terms(draft, volume)
    goal = replace(
        retarget(copy.goal, Fraction(volume), change.volume), terms=terms, whole=volume, leader_whole=change.volume
    )
    if goal == copy.goal:
        return Decision(verdict=Verdict.NONE, reason=Reason.ALREADY_THERE)
    return Decision(verdict=Verdict.COPY, volume=volume, goal=goal, working=tuple(draft.working))


def _amend_reason(draft: Draft, spec: SymbolSpec, *, grows: bool) -> Reason | None:
    """Why an amended order may not rest: only price, expiry and levels matter, unless it grows."""
    draft.spec = spec
    rules = OPEN_RULES if grows else AMEND_RULES
    for rule in rules:
        found = rule(draft)
        if isinstance(found, Reason):
            return found
    return None


def decide_order_gone(view: AccountView, copy: Copy) -> Decision:
    """The leader's order was cancelled or has expired: what rests of it goes, what it had filled stays."""
    if copy.leader_filled:
        return Decision(verdict=Verdict.COPY, goal=replace(copy.goal, terms=None), volume=Volume(0))
    return decide_closed(view, copy)


def decide_fill(draft: Draft, copy: Copy) -> Decision:
    """The leader's pending order filled, whole or in part: the copy's order has its grace, then the market.

    No gate stands here: what rests or is filled already is only brought in line. What goes to market after the grace
    passes all gates then (`attempts.py`).
    """
    change, policy = draft.change, draft.policy
    spec = draft.view.specs.get(copy.symbol)
    whole = copy.goal.leader_whole or change.after
    target = Fraction(copy.goal.whole) * min(Fraction(1), Fraction(change.after, whole))
    goal = retarget(copy.goal, target, change.after)
    if spec is not None:
        draft.copy = copy
        goal = merged(goal, _with_levels(change), spec, policy, draft.side, draft.uncopied)
        if goal.wide and goal.leader_stop is not None and change.price is not None:
            stop = Price(change.price - copy.side.sign * goal.wide)
            goal = replace(goal, leader_stop=stop, wide_of=goal.leader_stop)
    shift = goal.shift
    if policy.levels is LevelsMode.SHIFT and copy.open_price is not None and change.price is not None:
        shift = Distance(copy.open_price - change.price)
    goal = replace(goal, is_exact=False, leader_price=change.price, shift=shift)
    is_resting = copy.position is None or (copy.order is not None and not copy.ended_order)
    return Decision(
        verdict=Verdict.COPY,
        volume=Volume(int(target)),
        goal=goal,
        not_after_us=draft.not_after_us,
        wait=Wait.CANCEL if is_resting else None,
        wait_until_us=draft.not_after_us + policy.pending_grace_ms * 1_000,
    )


def _with_levels(change: Change) -> Change:
    found = leader_levels(change)
    return replace(change, stop=found.stop, target=found.target)
