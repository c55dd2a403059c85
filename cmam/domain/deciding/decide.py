"""Copy or skip, and why: what one follower makes of one change of its leader.

Pure and total: every change meets exactly one verdict, whose inputs stand in it. What may raise exposure passes the
rules of `opening.py` in their one order; closes, cancels and protective changes pass none of them.
"""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.belief import restored
from cmam.domain.belief.copies import Copy, CopyState
from cmam.domain.belief.view import AccountView, is_turning, resolve
from cmam.domain.deciding.amounts import whole_of_open
from cmam.domain.deciding.decision import COPY_FINISHED, DUPLICATE, NO_COPY, Decision, retarget, skip
from cmam.domain.deciding.draft import Draft
from cmam.domain.deciding.opening import TURN_RULES, first_reason
from cmam.domain.deciding.opens import add_now, may_reopen, open_now, patient, stand_back
from cmam.domain.deciding.pendings import decide_amended, decide_fill, decide_order_gone, place_now
from cmam.domain.deciding.reductions import decide_closed, decide_reduced
from cmam.domain.events import Goal, Inputs, Wait
from cmam.domain.profiles.choices import HumanLevels, LevelsMode, PartialRounding, Reaction
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.quantities import Distance, Price, Volume, price_text
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.closes import CLOSES_AS_SET
from cmam.domain.values.rules.guards import CLOSE_ONLY_KEEPS, WHOLE_ACCOUNT
from cmam.domain.values.rules.levels import (
    FIXED_STOPS_TRAILED,
    LOOSENED_UNTIL_TAKEN,
    OWN_TRAILING,
    SHIFTS_RETURN,
    TURNED_TRAILING,
)
from cmam.domain.values.rules.nets import LEVELS_OF_ONE_SIDE
from cmam.domain.values.rules.opens import NEVER_OUT, UNREAD_WAIT
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.wanted import targets
from cmam.domain.wanted.levels import fixed_at, merged, pips, plan, tighter

STANDING = frozenset({ChangeKind.GREW, ChangeKind.PROTECTED, ChangeKind.ORDER_AMENDED})
"""Changes after which nothing of a copy is closed for them, unless they are of the order that opened it."""


def decide(view: AccountView, change: Change, settings: LinkSettings, inputs: Inputs, now_us: int) -> Decision:
    """Say what this follower does about `change`."""
    if inputs.set_aside:
        return Decision(verdict=Verdict.SKIP, reason=Reason.SET_ASIDE)
    key = resolve(view, settings.link, change)
    live = view.copies.get(key)
    ended = view.finished.get(key) if live is None else None
    draft = Draft(view=view, change=change, settings=settings, inputs=inputs, now_us=now_us)
    if live is not None and (change.is_opening or change.kind not in STANDING):
        live = _closes_as_set(draft, live)
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
            return decide_reduced(view, change, live)
        case ChangeKind.CLOSED:
            return decide_closed(view, live, change)
        case ChangeKind.PROTECTED:
            return _decide_protected(draft, live)
        case ChangeKind.ORDER_AMENDED:
            return decide_amended(draft, live)
        case _:
            return decide_order_gone(view, change, live)


def _closes_as_set(draft: Draft, copy: Copy) -> Copy:
    """A copy that is closed, in part or whole, as its link is set now: how parts are rounded, how far nets go."""
    spec = draft.view.specs.get(copy.symbol)
    if spec is None or draft.view.rules < CLOSES_AS_SET:
        return copy
    goal, net_cap = copy.goal, draft.policy.net_cap(spec.lot_size)
    round_up = draft.policy.partial_rounding is PartialRounding.UP
    if (round_up, net_cap) == (goal.round_up, goal.net_cap):
        return copy
    return replace(copy, goal=replace(goal, round_up=round_up, net_cap=net_cap))


def _decide_opened(draft: Draft, live: Copy | None, ended: Copy | None) -> Decision:
    if live is not None and live.source_closed:  # a netted leader whose position keeps its id when it turns
        return _decide_reversed(draft, live)
    if live is not None:
        return decide_fill(draft, live) if live.source.startswith("o") else DUPLICATE
    if ended is not None and draft.change.synced and draft.view.rules >= NEVER_OUT and ended.was_never_out:
        return open_now(draft)
    if ended is not None and not ended.source_closed and not may_reopen(draft, ended):
        return COPY_FINISHED
    return _turn_now(draft) if is_turning(draft.view, draft.settings.link, draft.change) else open_now(draft)


def _turn_now(draft: Draft) -> Decision:
    """What the leader has turned to opens under a number of its own, once the copy of what he had is closed."""
    found = patient(draft, first_reason(draft, TURN_RULES))
    return skip(draft, found) if isinstance(found, Reason) else stand_back(draft, Wait.TURN)


def _decide_grew(draft: Draft, live: Copy | None, ended: Copy | None) -> Decision:
    """A copy grows with its source; what further deals of the opening order bring belongs to the open itself."""
    change = draft.change
    if live is None:
        if ended is not None and may_reopen(draft, ended) and ended.position is not None:
            return open_now(draft)
        if change.is_opening and (ended is None or ended.source_closed):
            return open_now(draft)
        return NO_COPY if ended is None else COPY_FINISHED
    if change.is_opening and live.source.startswith("o"):
        return decide_fill(draft, live)
    is_turning = live.wait is Wait.TURN  # the old side closes, and what grows is the new one, still to be opened
    if not is_turning and (live.state is CopyState.CLOSING or live.stopped_out or not live.is_wanted):
        return COPY_FINISHED
    if not draft.settings.policy.scale_in and not change.is_opening:
        return Decision(verdict=Verdict.NONE, reason=Reason.SCALE_IN_OFF)
    if is_turning or live.state is CopyState.WAITING:
        return Decision(verdict=Verdict.COPY, goal=replace(live.goal, leader_volume=change.after))
    before = change.before or live.goal.leader_volume
    grown = restored.wanted_after(draft.view, live, change, before) if before > 0 else live.target
    if change.is_opening:
        grown = whole_of_open(draft, live, Volume(before), grown)
    return add_now(draft, live, grown)


def _decide_reversed(draft: Draft, live: Copy | None) -> Decision:
    """The copy is closed whole; once that has filled, a new one opens for the new side, through all gates."""
    if live is None:
        return open_now(draft)
    goal = replace(retarget(live.goal, Fraction(0), draft.change.after), terms=None)
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
    if spec is None and copy.state is CopyState.WAITING and view.rules >= UNREAD_WAIT:
        return Decision(verdict=Verdict.COPY, goal=copy.goal)  # the open that waits has his levels of now
    if spec is None:
        return Decision(verdict=Verdict.NONE, reason=Reason.UNMAPPED_SYMBOL)
    draft.copy = copy
    if change.trailed:
        return _decide_trailed(draft, copy, spec)
    goal = merged(copy.goal, change, spec, policy, draft.side, view.rules)
    goal = replace(goal, pins=policy.human_levels is HumanLevels.PIN, close_only=_is_close_only(draft))
    if goal.close_only and goal.leader_stop is None and view.rules >= CLOSE_ONLY_KEEPS:
        goal = replace(goal, leader_stop=copy.goal.leader_stop)  # none at all would be the loosest of stops
    if goal.leader_stop != copy.goal.leader_stop:
        goal = replace(goal, stop_set=_is_set(draft, copy))
    if policy.levels is LevelsMode.PRICE:
        goal = replace(goal, shift=Distance(0))
    elif not goal.shift and copy.own_shift is not None and view.rules >= SHIFTS_RETURN:
        goal = replace(goal, shift=copy.own_shift)
    goal = _stopped_trailing(draft, copy, goal)
    if replace(goal, is_exact=copy.goal.is_exact) == copy.goal:
        return Decision(verdict=Verdict.NONE, reason=Reason.ALREADY_THERE)
    _note_target(draft, copy, spec, goal)
    return Decision(verdict=Verdict.COPY, goal=goal, working=tuple(draft.working))


def _note_target(draft: Draft, copy: Copy, spec: SymbolSpec, goal: Goal) -> None:
    """Say which target is left out, as it is folded from the same goal and quotes."""
    left = targets.moved(draft.view, replace(copy, goal=goal), copy.goal, draft.inputs.quotes).left_out
    if left is not None and left != copy.left_out and left.level is not None:
        draft.note("target_left_out", price_text(left.level, spec.digits), targets.WHY)


def _is_set(draft: Draft, copy: Copy) -> bool:
    """Whether the leader himself has set a looser stop than the one that was told last, be it set or trailed to, now
    or before, where the copy has not taken that yet."""
    if copy.goal.stop_set and draft.view.rules >= LOOSENED_UNTIL_TAKEN:
        return True
    told, stop = copy.told_levels, draft.change.stop
    if draft.view.rules < OWN_TRAILING or told is None:
        return True
    return stop is not None and told[0] is not None and (stop - told[0]) * draft.change.side.sign < 0


def _stopped_trailing(draft: Draft, copy: Copy, goal: Goal) -> Goal:
    """A copy that trails no more keeps what it has trailed to, until the leader sets his stop himself."""
    held = draft.view.positions.get(copy.position) if copy.position is not None else None
    has_ended = copy.goal.trailing and not goal.trailing
    if held is None or not has_ended or not held.trailing or held.stop is None:
        return goal
    if held.side is not copy.side and draft.view.rules >= LEVELS_OF_ONE_SIDE:
        return goal  # a share against its net: what has trailed is the stop of the others
    if goal.fixed_stop is not None and copy.open_price is not None and draft.view.rules >= FIXED_STOPS_TRAILED:
        return fixed_at(goal, copy.side, held.stop, copy.open_price)
    if goal.leader_stop is None:
        return goal
    own = Price(held.stop - (goal.shift or 0))
    is_kept = own != goal.leader_stop and tighter(copy.side, own, goal.leader_stop) == own
    if draft.view.rules < OWN_TRAILING or not is_kept or _is_set(draft, copy):
        return goal
    return replace(goal, leader_stop=own, wide_of=goal.leader_stop)


def _is_close_only(draft: Draft) -> bool:
    """Under a latch that only closes, no stop is loosened."""
    view, link = draft.view, draft.settings.link
    latches = view.locked(link) if view.rules >= WHOLE_ACCOUNT else view.latched(link)
    return any(latch.reaction == Reaction.CLOSE_ONLY for latch in latches)


def _decide_trailed(draft: Draft, copy: Copy, spec: SymbolSpec) -> Decision:
    """The broker moved the leader's trailing stop: the copy trails itself, or follows in steps, tightening only."""
    policy = draft.policy
    if policy.copy_trailing and copy.goal.trailing:
        return Decision(verdict=Verdict.NONE, reason=Reason.TRAILS_ITSELF)
    asked = plan(draft.change, spec, policy, draft.side)
    if draft.is_turned and draft.view.rules >= TURNED_TRAILING:
        return _turned_trailed(draft, copy, spec, asked.target)
    old, new = copy.goal.leader_stop, asked.stop
    if new is None or draft.is_turned:
        return Decision(verdict=Verdict.NONE, reason=Reason.ALREADY_THERE)
    if old is not None and (new - old) * copy.side.sign < pips(spec, policy.trailing_step):
        return Decision(verdict=Verdict.NONE, reason=Reason.TRAILING_STEP)
    return Decision(verdict=Verdict.COPY, goal=replace(copy.goal, leader_stop=new, is_exact=True))


def _turned_trailed(draft: Draft, copy: Copy, spec: SymbolSpec, new: Price | None) -> Decision:
    """Reversed, his stop is the copy's target: it comes nearer in the same steps."""
    old = copy.goal.leader_target
    if new is None:
        return Decision(verdict=Verdict.NONE, reason=Reason.ALREADY_THERE)
    if old is not None and (old - new) * copy.side.sign < pips(spec, draft.policy.trailing_step):
        return Decision(verdict=Verdict.NONE, reason=Reason.TRAILING_STEP)
    goal = replace(copy.goal, leader_target=new, is_exact=True)
    _note_target(draft, copy, spec, goal)
    return Decision(verdict=Verdict.COPY, goal=goal, working=tuple(draft.working))
