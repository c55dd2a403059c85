"""Copy or skip, and why: what one follower makes of one change of its leader.

Pure and total: every change meets exactly one verdict, whose inputs stand in it. What may raise exposure passes the
rules of `opening.py` in their one order; closes, cancels and protective changes pass none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from cmam.domain.changes import Change, ChangeKind
from cmam.domain.choices import HumanLevels, LevelsMode, PartialRounding, PendingOutside, Reaction
from cmam.domain.commands import Command, CommandKind
from cmam.domain.copies import Copy, CopyState, IntentState
from cmam.domain.events import Goal, Inputs, Step, Terms, Wait
from cmam.domain.hours import next_outside
from cmam.domain.levels import leader_levels, merged, pips, plan
from cmam.domain.link import LinkSettings
from cmam.domain.needs import OPENING_KINDS, enforced_target, excess_of, place_command
from cmam.domain.opening import AMEND_RULES, OPEN_RULES, Draft, first_reason, pending_type
from cmam.domain.policy import Policy
from cmam.domain.quantities import Distance, Side, Volume, units_text
from cmam.domain.reasons import Reason, Verdict
from cmam.domain.sizing import fraction_text
from cmam.domain.symbols import SymbolSpec
from cmam.domain.trades import OrderType
from cmam.domain.view import AccountView, resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict with what follows from it. `command` is what to ask of the broker to open or add; what an existing copy
    needs follows from its `goal`. With `wait`, the open stands back until `wait_until_us`."""

    verdict: Verdict
    reason: Reason | None = None
    symbol: SymbolSpec | None = None
    side: Side | None = None
    volume: Volume = Volume(0)
    goal: Goal | None = None
    command: Command | None = None
    working: tuple[Step, ...] = ()
    not_after_us: int = 0
    wait: Wait | None = None
    wait_until_us: int = 0


NO_COPY = Decision(verdict=Verdict.NONE, reason=Reason.NO_COPY)
COPY_FINISHED = Decision(verdict=Verdict.NONE, reason=Reason.COPY_FINISHED)
DUPLICATE = Decision(verdict=Verdict.NONE, reason=Reason.DUPLICATE)


def decide(view: AccountView, change: Change, settings: LinkSettings, inputs: Inputs, now_us: int) -> Decision:
    """Say what this follower does about `change`."""
    key = resolve(view, settings.link, change)
    live = view.copies.get(key)
    ended = view.finished.get(key) if live is None else None
    draft = Draft(view=view, change=change, settings=settings, inputs=inputs, now_us=now_us)
    match change.kind:
        case ChangeKind.OPENED:
            return _decide_opened(draft, live, ended)
        case ChangeKind.GREW:
            return _decide_grew(draft, live, ended)
        case ChangeKind.REVERSED:
            return _decide_reversed(draft, live)
        case ChangeKind.ORDER_PLACED:
            return DUPLICATE if live is not None or ended is not None else place_now(draft)
        case _:
            pass
    if live is None:
        return NO_COPY if ended is None else COPY_FINISHED
    match change.kind:
        case ChangeKind.REDUCED:
            return _decide_reduced(view, change, live)
        case ChangeKind.CLOSED:
            return _decide_closed(view, live)
        case ChangeKind.PROTECTED:
            return _decide_protected(draft, live)
        case ChangeKind.ORDER_AMENDED:
            return _decide_amended(draft, live)
        case _:
            return _decide_order_gone(view, live)


# --- opens --------------------------------------------------------------------------------------------------------


def _skip(draft: Draft, reason: Reason) -> Decision:
    verdict = Verdict.NONE if reason is Reason.SOURCE_GONE else Verdict.SKIP
    return Decision(verdict=verdict, reason=reason, symbol=draft.spec, working=tuple(draft.working))


def _decide_opened(draft: Draft, live: Copy | None, ended: Copy | None) -> Decision:
    if live is not None:
        return _decide_fill(draft, live) if live.source.startswith("o") else DUPLICATE
    if ended is not None and not ended.source_closed and not _may_reopen(draft.settings.policy, ended):
        return COPY_FINISHED
    return open_now(draft)


def _may_reopen(policy: Policy, ended: Copy) -> bool:
    """Once per source, after a person or a level closed its copy; an order that never filled leaves nothing behind."""
    if ended.position is None and ended.reason is not Reason.CLOSED_BY_HUMAN:
        return ended.source.startswith("o")
    by_others = ended.reason in (Reason.CLOSED_BY_HUMAN, Reason.CLOSED_BY_LEVEL)
    return policy.reopen and by_others and not ended.reopened and not ended.stopped_out


def open_now(draft: Draft) -> Decision:
    """Pass all the rules and open; or say why not, or what to wait for."""
    found = first_reason(draft)
    if isinstance(found, Reason):
        return _skip(draft, found)
    change, policy = draft.change, draft.policy
    if isinstance(found, Wait):
        span_ms = policy.stop_wait_ms if found is Wait.STOP else draft.max_age_ms
        goal = Goal(target_numerator=1, leader_volume=change.after)
        until_us = draft.not_after_us - (draft.max_age_ms - span_ms) * 1_000
        return Decision(
            verdict=Verdict.COPY,
            symbol=draft.spec,
            side=draft.side,
            goal=goal,
            working=tuple(draft.working),
            not_after_us=draft.not_after_us,
            wait=found,
            wait_until_us=until_us,
        )
    goal = _open_goal(draft)
    command = Command(
        kind=CommandKind.OPEN,
        symbol=draft.symbol.symbol,
        side=draft.side,
        volume=draft.volume,
        order_type=OrderType.MARKET if draft.base_price is None else OrderType.MARKET_RANGE,
        relative_stop=draft.stop,
        relative_target=draft.target,
        trailing=goal.trailing,
        guaranteed=goal.guaranteed,
        base_price=draft.base_price,
        slippage_points=policy.max_slippage if draft.base_price is not None else None,
    )
    return Decision(
        verdict=Verdict.COPY,
        symbol=draft.spec,
        side=draft.side,
        volume=draft.volume,
        goal=goal,
        command=command,
        working=tuple(draft.working),
        not_after_us=draft.not_after_us,
    )


def _open_goal(draft: Draft) -> Goal:
    change, policy, asked = draft.change, draft.policy, draft.plan
    assert asked is not None
    stop = asked.stop
    is_wide = draft.add_volume is not None and draft.stop is not None and stop is not None
    if is_wide and draft.stop is not None and change.price is not None and not draft.is_late:
        # A widened stop stays as wide as it was opened.
        stop = type(change.price)(change.price - draft.side.sign * draft.stop)
    is_limited = draft.view.trader is not None and draft.view.trader.limited_risk
    cap = policy.max_lots_symbol
    return Goal(
        target_numerator=draft.whole,
        leader_volume=change.after,
        has_levels=True,
        leader_stop=stop,
        leader_target=asked.target,
        trailing=(
            change.trailing and policy.copy_trailing and asked.has_stop and not policy.reverse and not is_limited
        ),
        shift=draft.shift,
        leader_price=change.price,
        fixed_stop=asked.fixed_stop,
        fixed_target=asked.fixed_target,
        guaranteed=is_limited or (policy.copy_guaranteed and change.guaranteed),
        round_up=policy.partial_rounding is PartialRounding.UP,
        pins=policy.human_levels is HumanLevels.PIN,
        priced=_is_priced(policy),
        close_only=False,
        net_cap=Volume(int(cap * draft.symbol.lot_size)) if cap is not None else Volume(0),
        base_price=draft.base_price,
    )


def _is_priced(policy: Policy) -> bool:
    return any((policy.max_price_distance, policy.max_spread, policy.wait_for_better, policy.max_slippage))


# --- growth -------------------------------------------------------------------------------------------------------


def _decide_grew(draft: Draft, live: Copy | None, ended: Copy | None) -> Decision:
    """A copy grows with its source; what further deals of the opening order bring belongs to the open itself."""
    change = draft.change
    if live is None:
        if ended is not None and _may_reopen(draft.settings.policy, ended) and ended.position is not None:
            return open_now(draft)
        if change.is_opening and (ended is None or ended.source_closed):
            return open_now(draft)
        return NO_COPY if ended is None else COPY_FINISHED
    if change.is_opening and live.source.startswith("o"):
        return _decide_fill(draft, live)
    if live.state is CopyState.CLOSING or live.stopped_out or live.target <= 0:
        return COPY_FINISHED
    if not draft.settings.policy.scale_in and not change.is_opening:
        return Decision(verdict=Verdict.NONE, reason=Reason.SCALE_IN_OFF)
    if live.state is CopyState.WAITING:
        return Decision(verdict=Verdict.COPY, goal=replace(live.goal, leader_volume=change.after))
    before = change.before or live.goal.leader_volume
    grown = live.target * Fraction(change.after, before) if before > 0 else live.target
    return add_now(draft, live, grown)


def in_flight_of(view: AccountView, copy: Copy) -> int:
    """What may still be added to a copy by requests without an outcome."""
    return sum(
        max(0, intent.command.volume - intent.filled)
        for intent in view.intents_of(copy.key)
        if intent.command.kind in OPENING_KINDS and intent.command.side is copy.side
    )


def add_now(draft: Draft, copy: Copy, grown: Fraction) -> Decision:
    """Let a copy grow to an exact target: an add is an open for every gate and guard."""
    draft.copy, draft.is_add = copy, True
    draft.note("target", fraction_text(grown / 100), f"units; {fraction_text(copy.target / 100)} before")
    draft.add_volume = grown - copy.volume - in_flight_of(draft.view, copy)
    found = first_reason(draft)
    if isinstance(found, Reason):
        return _skip(draft, found)
    goal = _retarget(copy.goal, grown, draft.change.after)
    if copy.position is None:
        # The open is still in flight: what is missing is added once it has filled.
        command = None
    else:
        command = Command(
            kind=CommandKind.ADD,
            symbol=draft.symbol.symbol,
            side=copy.side,
            volume=draft.volume,
            order_type=OrderType.MARKET if draft.base_price is None else OrderType.MARKET_RANGE,
            position=None if copy.share else copy.position,
            base_price=draft.base_price,
            slippage_points=draft.policy.max_slippage if draft.base_price is not None else None,
        )
    return Decision(
        verdict=Verdict.COPY,
        symbol=draft.spec,
        side=copy.side,
        volume=draft.volume,
        goal=goal,
        command=command,
        working=tuple(draft.working),
        not_after_us=draft.not_after_us,
    )


# --- what lowers risk: no gates -----------------------------------------------------------------------------------


def _retarget(goal: Goal, target: Fraction, leader_volume: Volume) -> Goal:
    return replace(
        goal, target_numerator=target.numerator, target_denominator=target.denominator, leader_volume=leader_volume
    )


def _decide_reduced(view: AccountView, change: Change, copy: Copy) -> Decision:
    """The target becomes the same fraction of itself as the leader's position has become of its own."""
    if copy.state is CopyState.WAITING:
        return Decision(verdict=Verdict.COPY, goal=replace(copy.goal, leader_volume=change.after))
    before, after = change.before or copy.goal.leader_volume, change.after
    target = copy.target * Fraction(after, before) if before > 0 else Fraction(0)
    target = min(target, copy.target)
    goal = _retarget(copy.goal, target, after)
    spec = view.specs.get(copy.symbol)
    changed = replace(copy, goal=goal)
    excess = Volume(0) if spec is None else excess_of(spec, changed)
    working = (
        Step(name="before", value=units_text(before), note="leader's units"),
        Step(name="after", value=units_text(after), note="leader's units"),
        Step(
            name="target",
            value=fraction_text(target / 100),
            note=f"units: {fraction_text(copy.target / 100)} × after / before",
        ),
        Step(name="held", value=units_text(copy.volume), note="units of the copy now"),
        Step(name="close", value=units_text(excess), note="down to the step; the rest is carried"),
    )
    is_carried = spec is not None and excess == 0 and copy.volume > enforced_target(changed)
    return Decision(
        verdict=Verdict.NONE if is_carried else Verdict.COPY,
        reason=Reason.CARRIED if is_carried else None,
        volume=excess,
        goal=goal,
        working=working,
    )


def _decide_closed(view: AccountView, copy: Copy) -> Decision:
    goal = replace(_retarget(copy.goal, Fraction(0), Volume(0)), terms=None)
    is_unsent = any(intent.state is IntentState.RECORDED for intent in view.intents_of(copy.key))
    if copy.state is CopyState.WAITING or (copy.state is CopyState.OPENING and is_unsent):
        return Decision(verdict=Verdict.NONE, reason=Reason.SOURCE_GONE, goal=goal)
    return Decision(verdict=Verdict.COPY, volume=copy.volume, goal=goal)


def _decide_reversed(draft: Draft, live: Copy | None) -> Decision:
    """The copy is closed whole; once that has filled, a new one opens for the new side, through all gates."""
    if live is None:
        return open_now(draft)
    goal = replace(_retarget(live.goal, Fraction(0), draft.change.after), terms=None)
    return Decision(
        verdict=Verdict.COPY,
        volume=live.volume,
        goal=goal,
        not_after_us=draft.not_after_us,
        wait=Wait.TURN,
        wait_until_us=draft.not_after_us,
    )


# --- levels -------------------------------------------------------------------------------------------------------


def _decide_protected(draft: Draft, copy: Copy) -> Decision:
    view, change, policy = draft.view, draft.change, draft.policy
    spec = view.specs.get(copy.symbol)
    if spec is None:
        return Decision(verdict=Verdict.NONE, reason=Reason.UNMAPPED_SYMBOL)
    if change.trailed:
        return _decide_trailed(draft, copy, spec)
    goal = merged(copy.goal, change, spec, policy)
    goal = replace(goal, pins=policy.human_levels is HumanLevels.PIN, close_only=_is_close_only(draft))
    if goal.leader_stop != copy.goal.leader_stop:
        goal = replace(goal, stop_set=True)
    if policy.levels is LevelsMode.PRICE:
        goal = replace(goal, shift=Distance(0))
    if replace(goal, is_exact=copy.goal.is_exact) == copy.goal:
        return Decision(verdict=Verdict.NONE, reason=Reason.ALREADY_THERE)
    return Decision(verdict=Verdict.COPY, goal=goal)


def _is_close_only(draft: Draft) -> bool:
    """Under a latch that only closes, no stop is loosened."""
    return any(latch.reaction == Reaction.CLOSE_ONLY for latch in draft.view.latched(draft.settings.link))


def _decide_trailed(draft: Draft, copy: Copy, spec: SymbolSpec) -> Decision:
    """The broker moved the leader's trailing stop: the copy trails itself, or follows in steps, tightening only."""
    policy = draft.policy
    if policy.copy_trailing and copy.goal.trailing:
        return Decision(verdict=Verdict.NONE, reason=Reason.TRAILS_ITSELF)
    asked = plan(draft.change, spec, policy)
    old, new = copy.goal.leader_stop, asked.stop
    if new is None or policy.reverse:
        return Decision(verdict=Verdict.NONE, reason=Reason.ALREADY_THERE)
    if old is not None and (new - old) * copy.side.sign < pips(spec, policy.trailing_step):
        return Decision(verdict=Verdict.NONE, reason=Reason.TRAILING_STEP)
    return Decision(verdict=Verdict.COPY, goal=replace(copy.goal, leader_stop=new, is_exact=True))


# --- pending orders -----------------------------------------------------------------------------------------------


def _terms(draft: Draft, volume: Volume) -> Terms:
    policy, change = draft.policy, draft.change
    return Terms(
        type=pending_type(draft),
        volume=volume,
        limit_price=draft.limit_price,
        stop_price=draft.stop_price,
        relative_stop=draft.stop,
        relative_target=draft.target,
        trailing=change.trailing and policy.copy_trailing and draft.stop is not None and not policy.reverse,
        guaranteed=policy.copy_guaranteed and change.guaranteed,
        trigger=change.trigger,
        expires_ms=draft.expires_ms,
        slippage_points=change.slippage_points if pending_type(draft) is OrderType.STOP_LIMIT else None,
    )


def place_now(draft: Draft) -> Decision:
    """Pass all the rules and rest; or say why not."""
    draft.is_pending = True
    found = first_reason(draft)
    if found is Wait.STOP:
        found = Reason.NO_STOP
    if isinstance(found, Reason):
        return _skip(draft, found)
    policy, change = draft.policy, draft.change
    terms = _terms(draft, draft.volume)
    keeps = policy.pending_outside is PendingOutside.KEEP
    outside = 0 if keeps else next_outside(policy, draft.now_us) or 0
    goal = replace(
        _open_goal(draft),
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


def _decide_amended(draft: Draft, copy: Copy) -> Decision:
    """A resting copy becomes what the leader's order has become; where it cannot rest so, it is cancelled."""
    change = draft.change
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
        draft.note("volume", units_text(copy.goal.whole), "a larger volume does not pass the gates of an open")
        volume = copy.goal.whole
        draft.working.clear()
        reason = _amend_reason(draft, spec, grows=False)
    if reason is None and volume < spec.min_volume:
        reason = Reason.BELOW_MINIMUM
    if reason is not None:
        goal = replace(_retarget(copy.goal, Fraction(0), Volume(0)), terms=None)
        return Decision(verdict=Verdict.COPY, reason=reason, goal=goal, working=tuple(draft.working))
    terms = _terms(draft, volume)
    goal = replace(
        _retarget(copy.goal, Fraction(volume), change.volume), terms=terms, whole=volume, leader_whole=change.volume
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


def _decide_order_gone(view: AccountView, copy: Copy) -> Decision:
    """The leader's order was cancelled or has expired: what rests of it goes, what it had filled stays."""
    if copy.leader_filled:
        return Decision(verdict=Verdict.COPY, goal=replace(copy.goal, terms=None), volume=Volume(0))
    return _decide_closed(view, copy)


def _decide_fill(draft: Draft, copy: Copy) -> Decision:
    """The leader's pending order filled, whole or in part: the copy's order has its grace, then the market.

    No gate stands here: what rests or is filled already is only brought in line. What goes to market after the grace
    passes all gates then (`attempts.py`).
    """
    change, policy = draft.change, draft.policy
    spec = draft.view.specs.get(copy.symbol)
    whole = copy.goal.leader_whole or change.after
    target = Fraction(copy.goal.whole) * min(Fraction(1), Fraction(change.after, whole))
    goal = _retarget(copy.goal, target, change.after)
    if spec is not None:
        goal = merged(goal, _with_levels(change), spec, policy)
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
